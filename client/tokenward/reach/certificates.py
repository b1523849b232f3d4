"""The certificates that the command of a run trusts: files with those of before, and one more.

A variable names a file, or a folder as OpenSSL has it. What cannot be read is an error: left out,
it would make a tool fail at a host that has nothing to do with the run. Only a folder that is not
there is ignored, as OpenSSL does.
"""

from __future__ import annotations

import os
import re

from tokenward.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)
"""Where systems have their certificates in one file."""

_IN_FOLDER = re.compile(r"[0-9a-f]{8}\.\d+")  # by a hash of the subject, as c_rehash links them
_BLOCK = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.+?)-----END", re.DOTALL)


def read_certificates(paths: Sequence[str], variable: str = "SSL_CERT_FILE") -> bytes:
    """Return what files and folders hold, the system's certificates if `paths` is empty.

    Raises CommandError, with the variable that names them, if a file cannot be read.
    """
    if not paths:
        paths = [*filter(os.path.exists, SYSTEM)][:1]
    if not paths:
        raise CommandError(
            "The system's certificates were not found.", "SSL_CERT_FILE can name the file"
        )
    found = b""
    for path in paths:
        for file in _files(path) if os.path.isdir(path) else [path]:
            try:
                with open(file, "rb") as opened:
                    found += opened.read().rstrip(b"\n") + b"\n"
            except OSError as failed:
                raise CommandError(
                    f"The certificates in {file} cannot be read: {failed.strerror}.",
                    f"{variable} names them",
                ) from None
    return found


def without_missing_folders(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose SSL_CERT_DIR has no folder that is not there."""
    folders = environ.get("SSL_CERT_DIR", "").split(":")
    return {**environ, "SSL_CERT_DIR": ":".join(filter(os.path.isdir, folders))}


def _files(folder: str) -> list[str]:
    names = sorted(filter(_IN_FOLDER.fullmatch, os.listdir(folder)))
    return [os.path.join(folder, name) for name in names]


def in_text(pem: bytes) -> set[bytes]:
    """Return the certificates in a text, to be compared: without line ends."""
    return {b"".join(block.split()) for block in _BLOCK.findall(pem)}


def write_certificates(
    former: Mapping[str, Sequence[str]], alone: Sequence[str], folder: str, authority: bytes
) -> dict[str, str]:
    """Write each variable's former certificates and the authority's into `folder`.

    Return the variables with their files, one for the same paths. `alone` are the variables that
    add to the system's certificates: nothing before is nothing there. Raises CommandError.
    """
    found: dict[str, str] = {}
    written: dict[tuple[str, ...] | None, str] = {}
    for variable, paths in former.items():
        key = None if not paths and variable in alone else tuple(paths)
        if key not in written:
            before = b"" if key is None else read_certificates(paths, variable)
            written[key] = os.path.join(folder, f"{variable}.pem")
            _write_file(written[key], before + authority)
        found[variable] = written[key]
    return found


def write_authority(folder: str, authority: bytes) -> str:
    """Write the authority's certificate alone; return its file."""
    path = os.path.join(folder, "authority.pem")
    _write_file(path, authority)
    return path


def _write_file(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
