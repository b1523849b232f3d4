r"""Reading what the command of a recipe printed: the secret, and what is said of its end.

| `as` | read |
| --- | --- |
| text | the first line (`pass show`, `op read`, `vault kv get -field`, `gcloud auth print-access-token`) |
| json | one object, by the names below (`gcloud config config-helper`, `aws codeartifact`, `az account`, `bw get item`, Vault's HTTP API, the helpers of Docker, Bazel and Kubernetes) |
| git | `password=`, `password_expiry_utc=` on lines of their own (git-credential(1)) |
| auto | an object if it begins with `{`; git's lines if one is `password=`; else the first line |

Of an object the first of `SECRETS` that is there is the secret, and the first of `ENDS` its end: a
time of RFC 3339, or a number of seconds, since 1970 or (`FROM_NOW`) from now. A time without a zone
is UTC. A lease of 0 seconds is none. An end that is there and cannot be read is an error: a token must not be kept for too long. An
output without a secret is a miss.

Only a worker process and a client call this; there a secret may be an object. No error quotes the
output. Pure: the time is an argument.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import NamedTuple

from tokenward_protocol.caveats import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

MAX_OUTPUT: Final = 64 * 1024
"""Bytes of the longest output, and of the longest secret."""

SECRETS: Final = (
    *("password", "secret", "token", "access_token", "accessToken", "authorizationToken"),
    *("credential.access_token", "status.token", "login.password", "Secret"),
    "headers.Authorization",
    *("data.data.password", "data.data.token", "data.data.secret"),  # Vault, KV version 2
    *("data.password", "data.token", "data.access_token"),  # version 1, and other engines
)
"""The names of secrets in an object, by precedence; a dot leads into an object."""

ENDS: Final = (
    *("expires", "expiration", "expirationTimestamp", "token_expiry", "expires_on", "expires_in"),
    *("credential.token_expiry", "status.expirationTimestamp", "lease_duration"),
)
"""The names of its end."""

FROM_NOW: Final = ("expires_in", "lease_duration")
"""Those that are seconds from now."""

_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|z|[+-]\d\d:?\d\d)?", re.ASCII
)
_NUMBER: Final = re.compile(r"\d{1,16}(?:\.\d+)?", re.ASCII)


class OutputError(ValueError):
    """An output that is not in its format; the text is worded to follow the program's name."""


class Output(NamedTuple):
    """What a command made: `end` is in seconds since 1970, None if the output does not say it."""

    secret: bytes
    end: int | None = None

    def __repr__(self) -> str:
        return f"<Output, {len(self.secret)} bytes>"


def read_output(form: str, data: bytes, now: int) -> Output | None:
    """Return what an output says, None if it has no secret. Raises OutputError."""
    text = data.strip()
    if not text:
        return None
    if form == "auto":
        is_git = any(line.startswith(b"password=") for line in text.splitlines())
        form = "json" if text.startswith(b"{") else "git" if is_git else "text"
    if form == "json":
        return _from_json(text, now)
    if form == "git":
        return _from_git(text)
    return _output(data.lstrip(b"\r\n").splitlines()[0], None)


def _from_json(text: bytes, now: int) -> Output | None:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise OutputError("printed no object of JSON")
    place = next((name for name in SECRETS if _at(table, name) is not None), "")
    found = _at(table, place)
    if isinstance(found, list) and len(found) == 1:
        found = found[0]  # a header of Bazel's has a list of values
    if found is None or found == "":
        return None
    if not isinstance(found, str):
        raise OutputError("printed a secret that is not text")
    named = next((name for name in ENDS if _says_end(table, name)), None)
    end = None if named is None else _end(_at(table, named), now if named in FROM_NOW else 0)
    if place == "headers.Authorization":
        found = _without_scheme(found)
    return _output(found.encode("utf-8", "surrogatepass"), end)


def _at(table: Any, name: str) -> Any:
    for part in name.split("."):
        table = table.get(part) if isinstance(table, dict) else None
    return table


def _says_end(table: Any, name: str) -> bool:
    value = _at(table, name)
    return value is not None and not (name == "lease_duration" and value == 0)


def _without_scheme(value: str) -> str:
    """Return the secret of a header `Authorization`; a value without a known scheme is one itself."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer" and rest:
        return rest.strip()
    if scheme.lower() == "basic" and rest:
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            pass
        raise OutputError("printed a header of Basic that cannot be read")
    return value


def _from_git(text: bytes) -> Output | None:
    lines = (line.partition(b"=") for line in text.splitlines() if line)
    said = {name: value for name, _, value in lines}
    secret = said.get(b"password", b"")
    if not secret:
        return None
    end = said.get(b"password_expiry_utc")
    return _output(secret, None if end is None else _end(end.decode("ascii", "replace"), 0))


def _output(secret: bytes, end: int | None) -> Output | None:
    if any(byte < 0x20 or byte == 0x7F for byte in secret):
        raise OutputError("printed a secret with a control character")
    if len(secret) > MAX_OUTPUT:
        raise OutputError("printed too long a secret")
    return Output(secret, end) if secret else None


def _end(value: object, start: int) -> int:
    """Return a time in seconds since 1970; a number counts from *start*. Raises OutputError."""
    if isinstance(value, str):
        if matched := _TIME.fullmatch(value.strip()):
            return _seconds_of(matched)
        value = float(value) if _NUMBER.fullmatch(value.strip()) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LATEST:
        return start + int(value)
    raise OutputError("printed an end that is not a time")


def _seconds_of(matched: re.Match[str]) -> int:
    """Return the seconds since 1970 of a time of RFC 3339."""
    year, month, day, hour, minute, second = (int(matched[n]) for n in range(1, 7))
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        raise OutputError("printed an end that is not a time")
    # The days since 1970 in the proleptic calendar, with years that begin in March.
    years = year - (month < 3)
    days = 365 * years + years // 4 - years // 100 + years // 400
    days += (153 * ((month + 9) % 12) + 2) // 5 + day - 1 - 719468
    zone = (matched[7] or "Z").replace(":", "")
    ahead = 0 if zone in "Zz" else int(zone[0] + "1") * (int(zone[1:3]) * 60 + int(zone[3:5])) * 60
    return days * 86400 + hour * 3600 + minute * 60 + second - ahead
