"""Wheels to publish and to install, written by hand so that nothing has to be built."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "ward_greeting-1.0-py3-none-any.whl"
MODULE = "ward_greeting.py"
BUILT = "ward_built-1.0-py3-none-any.whl"

_INFO = {
    "METADATA": "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: for tests\n",
    "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
_BACKEND = f"""\
import zipfile


def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{{folder}}/{BUILT}", "w") as archive:
        for name, text in {_INFO!r}.items():
            archive.writestr(f"ward_built-1.0.dist-info/{{name}}", text.format(name="ward-built"))
        archive.writestr("ward_built-1.0.dist-info/RECORD", "")
    return "{BUILT}"
"""


def write_wheel(folder: Path) -> Path:
    """Write the wheel of `ward-greeting`, a package of one module, into `folder`."""
    return _write(folder, "ward_greeting", "print('hello')\n")


def write_backend(folder: Path) -> Path:
    """Write the wheel of `ward-backend`, which needs nothing to build `BUILT` out of anything."""
    return _write(folder, "ward_backend", _BACKEND)


def _write(folder: Path, module: str, source: str) -> Path:
    files = {f"{module}.py": source}
    for name, text in _INFO.items():
        files[f"{module}-1.0.dist-info/{name}"] = text.format(name=module.replace("_", "-"))
    files[f"{module}-1.0.dist-info/RECORD"] = "".join(f"{name},,\n" for name in files)
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def write_named(folder: Path, module: str) -> Path:
    """Write the wheel of a package of one module of this name into `folder`."""
    return _write(folder, module, "")
