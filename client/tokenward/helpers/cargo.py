"""`cargo-credential-tokenward`: a credential provider for cargo, protocol version 1.

Each message is one line of JSON: a greeting, then a request and its answer until cargo hangs up.
cargo sends the token unchanged in the header `Authorization`, so only tokens answer (user name
`__token__`), never a user's password.

A token is looked up by the registry's index. A sparse index has the URL of its registry. A git
index does not: a token for a git host would go to a registry that only keeps its index there. So the
credential for a git index has to be stored under exactly that URL; and crates.io, whose index cargo
names by a URL at GitHub, is `https://crates.io/` here.

https://doc.rust-lang.org/cargo/reference/credential-provider-protocol.html
"""

from __future__ import annotations

import sys

from tokenward.errors import CommandError
from tokenward.helpers import program
from tokenward.ui.secret_input import TOKEN_USER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.session import Session
    from tokenward.settings.service_names import Service

CRATES_IO = "https://crates.io/"
_CRATES_IO_INDEXES = {
    "https://github.com/rust-lang/crates.io-index",
    "sparse+https://index.crates.io/",
}


_MALFORMED = "Standard input is not a request of cargo."


class CargoError(Exception):
    """An answer other than Ok. `str()` is the protocol's word for the reason."""


def work(session: Session) -> int:
    """Answer cargo until it hangs up; return the exit status."""
    if sys.argv[1:2] != ["--cargo-plugin"]:
        raise CommandError(
            "`cargo-credential-tokenward` is run by cargo.",
            'write credential-provider = ["cargo-credential-tokenward"] below [registries.NAME]'
            " in ~/.cargo/config.toml",
        )
    session.terminal.json({"v": [1]})
    for line in program.read_lines():
        session.terminal.json(answer(line, session))
    return 0


def answer(line: str, session: Session) -> dict[str, Any]:
    """Return the response to one request."""
    try:
        return {"Ok": _handle(line, session)}
    except CargoError as refused:
        return {"Err": {"kind": str(refused)}}
    except CommandError as failed:
        return {"Err": {"kind": "other", "message": program.error_line(failed)}}


def _handle(line: str, session: Session) -> dict[str, Any]:
    request = _request(line)
    kind = request.get("kind")
    if kind not in {"get", "login", "logout"}:
        raise CargoError("operation-not-supported")
    service, whole = _service(request)
    if kind == "get":
        return _get(session, service, whole=whole)
    if kind == "login":
        token = request.get("token")
        if not isinstance(token, str) or not token:
            raise CommandError(
                "No token is given, and a helper cannot ask for one.",
                f"`auth login {service.key} --token -`, or write it to the stdin of `cargo login`",
            )
        program.keep(session, service, TOKEN_USER, token)
    elif not program.forget(session, service, TOKEN_USER):
        raise CargoError("not-found")
    return {"kind": kind}


def _get(session: Session, service: Service, *, whole: bool) -> dict[str, Any]:
    found = program.find(session, service, TOKEN_USER)
    if found is None or (whole and found.service != service.key):
        raise CargoError("not-found")
    cache: dict[str, Any] = {"cache": "session"}
    if found.expires is not None:
        cache = {"cache": "expires", "expiration": found.expires}
    return {"kind": "get", "token": found.text, **cache, "operation_independent": True}


def _service(request: dict[str, Any]) -> tuple[Service, bool]:
    """Return the registry's service, and whether only a credential for exactly its URL answers."""
    registry = request.get("registry")
    index = registry.get("index-url") if isinstance(registry, dict) else None
    if not isinstance(index, str):
        raise CommandError(_MALFORMED)
    if index in _CRATES_IO_INDEXES:
        index = f"sparse+{CRATES_IO}"
    kind, plus, url = index.partition("+")
    is_sparse = bool(plus) and kind == "sparse"
    if not plus or kind not in {"sparse", "registry"}:
        url = index
    service = program.service_of(url) if "://" in url else None
    if service is None:
        raise CargoError("url-not-supported")
    return service, not is_sparse


def _request(line: str) -> dict[str, Any]:
    request = program.parse_object(line, _MALFORMED)
    if request.get("v") != 1:
        raise CommandError("The version of the request was not offered.")
    return request
