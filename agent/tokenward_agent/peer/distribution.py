"""The project of a distribution file, by the file's name alone.

Strict: a name that the specifications do not allow exactly so belongs to no known project, since a
guess might name another project. Sources, all at packaging.python.org under /specifications:
source-distribution-format, binary-distribution-format, name-normalization and version-specifiers
(the normal form, as in file names).
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._]*[A-Za-z0-9])?"
_VERSION: Final = (
    r"(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?(?:\.dev[0-9]+)?"
    r"(?:\+[a-z0-9]+(?:[._][a-z0-9]+)*)?"
)
_SDIST: Final = re.compile(rf"({_NAME})-{_VERSION}\.tar\.gz")
_TAG: Final = r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*"
_WHEEL: Final = re.compile(
    rf"({_NAME})-{_VERSION}(?:-[0-9][A-Za-z0-9_.]*)?-{_TAG}-{_TAG}-{_TAG}\.whl"
)
_BESIDE: Final = re.compile(r"(.+\.(?:tar\.gz|whl))(?:\.asc|\.[a-z]+\.attestation)")


def normalise_name(name: str) -> str:
    """Return the normal form of a project's name: lower case, runs of `-_.` as one dash."""
    return re.sub(r"[-_.]+", "-", name).lower()


def project_of(file: str) -> str | None:
    """Return the normalised project of a file by its name, None if the name is not valid.

    A signature or attestation belongs to the project of the file that it is for.
    """
    beside = _BESIDE.fullmatch(file)
    name = file if beside is None else beside[1]
    found = _SDIST.fullmatch(name) or _WHEEL.fullmatch(name)
    return None if found is None else normalise_name(found[1])


def is_name(text: str) -> bool:
    """Tell whether a text is a valid name of a project, normalised or not."""
    return re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", text) is not None
