"""A wheel of one module, written by hand so that nothing has to be built."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "ward_greeting-1.0-py3-none-any.whl"


def write_wheel(folder: Path) -> Path:
    """Write the wheel of `ward-greeting` into `folder` and return its path."""
    info = "ward_greeting-1.0.dist-info"
    files = {
        "ward_greeting.py": "print('hello')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: ward-greeting\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        for name, text in (files | {f"{info}/RECORD": record}).items():
            archive.writestr(name, text)
    return folder / NAME
