"""The client of keyring's backend and of the `keyring` program: little code, no dependencies.

It asks a running agent for a credential. `tokenward.keyring_relay`, in a process of the interpreter
that has tokenward, does the rest: it starts an agent, obeys settings and makes every change.

This is part of the one file that `auth setup keyring` writes for tools that have nothing of
tokenward: any Python from 3.9 on, and only the standard library.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock
from time import monotonic

from tokenward.keyring_program.agent_client import (
    RUN,
    address,
    bus,
    fetch,
    is_first_time,
    is_left,
    is_listed,
    may_have_recipes,
    recorded_address,
    say,
    screen,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PYTHON = ""  # in a copy, the interpreter that has tokenward; else the running one

READ_SECONDS = 3.0
"""Seconds that a read may take, the start of an agent included."""

REST_SECONDS = 10.0
"""Seconds without another wait after a read that got no answer: tools ask often."""

WRITE_SECONDS = 30.0

CONSENT_SECONDS = 75.0
"""Seconds that a read may take if the user has to approve, for which the agent gives a minute."""

_WAITING = {"consent", "making"}
"""Codes after which the agent is asked again, and waited for: the user approves, a command runs."""

_ASKER = "asker"
"""The code of an answer that leaves a command to what asks: the relay runs it, for this process."""

NOTHING = {"not-found", "no-vault", "bad-request", "too-large"}
"""The codes of answers that mean: no such credential."""

_NO_AGENT = {"absent", "failed"}
"""The relay's own codes for no answer of an agent."""

_REASONS = {"sealed", "several tokens"}
"""The agent's reasons that the user is told."""

_SILENT = [0.0]  # when waiting is allowed again, by `monotonic`
_TURN = allocate_lock()
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
_OF_TOOLS = ("poetry-repository-", "pdm-repository-", "pdm-pypi-")


class Unavailable(Exception):  # noqa: N818 - a state of the world
    """The answer is not known: locked, several accounts, or no agent and none can be started.

    `stored` is False if nothing is stored there, for certain or for all that is known. The text is
    the message for the user, "" for none; with `unknown` it is shown even if `stored` is False.
    """

    def __init__(self, said: str = "", *, stored: bool = True, unknown: bool = False) -> None:
        super().__init__(said)
        self.stored = stored
        self.unknown = unknown


def must_withhold(shut: Unavailable, service: str) -> bool:
    """Return whether no other backend may be asked instead; tells the user, once for each tool."""
    if not is_index(service):
        return False
    if str(shut) and (shut.stored or shut.unknown) and is_first_time():
        say(str(shut))
    return shut.stored


class _AgentAbsent(Exception):  # noqa: N818 - a state of the world
    """No agent runs, or not the intended one."""


class RelayError(Exception):
    """The relay refused. `code` is the protocol's; the text is a sentence and its hint.

    `stored` is as in `Unavailable`, `why` the agent's.
    """

    def __init__(
        self, code: str, sentence: str, *, stored: bool = True, why: object = None
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.why = why
        self.stored = stored and code not in NOTHING


def is_index(service: str) -> bool:
    """Return whether this can only be an index, for which no other backend may answer or store.

    A URL that a secret may go to, `host:port`, a dotted host, or a key of a packaging tool.
    """
    scheme, mark, rest = service.lower().partition("://")
    if mark:
        host = rest.partition("/")[0].rpartition("@")[2]
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        return scheme == "https" or (scheme == "http" and name in _LOOPBACK)
    host, colon, port = scheme.rpartition(":")
    if colon and (host.startswith("[") or ":" not in host):
        return bool(host) and port.isdigit() and host.isprintable() and " " not in host
    words = [word.replace("-", "").replace("_", "") for word in scheme.split(".")]
    return scheme.startswith(_OF_TOOLS) or (len(words) > 1 and all(map(str.isalnum, words)))


def is_in_run() -> bool:
    """Return whether this is below the command of a run, where nothing of ours is handed out.

    A relay adds the credentials there; other backends answer for what they have.
    """
    return bool(os.environ.get(RUN))


def is_here(service: str, username: str) -> bool:
    """Return whether tokenward makes changes of this entry: of an index, or one that it has."""
    if is_in_run() or is_left(service):
        return False
    try:
        return is_index(service) or ask(service, username) is not None
    except Unavailable:
        return False


def ask(service: str, username: str | None) -> tuple[str, str] | None:
    """Return (user name, secret) of the credential that answers, or None. Raises Unavailable.

    `service` is a URL in any spelling, or an opaque string, which must match exactly.
    """
    if is_in_run() or is_left(service):
        return None
    try:
        service, username = _without_secrets(service, username)
        return _ask_agent(service, username)
    except _AgentAbsent:
        environ = os.environ
    except RelayError:
        return None
    if environ.get("TOKENWARD_SOCK") or environ.get("TOKENWARD_NO_AUTOSTART", "0") not in {"", "0"}:
        raise _without_agent(service)
    # One thread starts the agent; the threads that waited for it find it running.
    if not _TURN.acquire(timeout=READ_SECONDS):
        raise _without_agent(service)
    try:
        return _ask_agent(service, username)
    except _AgentAbsent:
        return _ask_by_relay(service, username)
    finally:
        _TURN.release()


def _ask_agent(service: str, username: str | None) -> tuple[str, str] | None:
    """Ask the running agent. Raises Unavailable, or _AgentAbsent if not the intended one runs."""
    if monotonic() < _SILENT[0]:
        raise _without_agent(service)
    where = address()
    if where is None:
        raise _AgentAbsent
    socket, directory = where
    asked: dict[str, str | bool | None]
    asked = {"spelling": service, "username": username, "dir": directory, "bus": bus()}
    try:
        return _ask_at(socket, asked)
    except _AgentAbsent:
        elsewhere = recorded_address(directory) if directory else None
        if elsewhere and elsewhere != socket:
            return _ask_at(elsewhere, asked)
        vaults = [f"{directory}/{name}.vault" for name in ("keyring", "disabled")]
        stored = any(map(os.path.lexists, vaults)) or not directory
        if not stored and not may_have_recipes(directory or ""):
            return None  # nothing was ever stored, so there is no reason to start an agent
        raise


def _ask_at(socket: str, asked: dict[str, str | bool | None]) -> tuple[str, str] | None:
    """Ask the agent at a socket. Raises Unavailable, _AgentAbsent if it is not the intended one."""
    try:
        header, body = fetch(socket, asked, READ_SECONDS)
        if header.get("code") in _WAITING:
            header, body = fetch(socket, {**asked, **screen()}, CONSENT_SECONDS)
        if header.get("code") == _ASKER:
            username = asked["username"]
            name = username if isinstance(username, str) else None
            return _ask_by_relay(str(asked["spelling"]), name, CONSENT_SECONDS)
        if header["ok"]:
            return header["username"], body.decode()
        if header["code"] in NOTHING:
            return None
        if header["code"] in {"other-directory", "version", "busy"}:
            raise _AgentAbsent
        said = f"{header['message']} ({header['hint']})" if header["hint"] else header["message"]
        raise _unavailable_error(header, said)
    except (UnicodeError, OverflowError):
        return None  # a keyring holds only text, and a stored key is shorter
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise _AgentAbsent from None
    except TimeoutError:
        _SILENT[0] = monotonic() + REST_SECONDS
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        pass
    raise _without_agent(str(asked["spelling"]))


def _unavailable_error(answer: dict[str, Any], said: str) -> Unavailable:
    """Return what to raise for such an answer: some of them tell the user."""
    tells = answer["code"] in {"locked", "vault", "command"} or answer.get("why") in _REASONS
    return Unavailable(said if tells else "", stored=answer.get("stored") is not False)


def _without_agent(service: str, why: str = "") -> Unavailable:
    """Return what is known without an agent: what its list for the own directory says.

    `why` is the reason why none starts; without a list it is unknown what it would have.
    """
    socket, directory = address() or ("", "")
    stored = is_listed(directory, service) if directory else None
    if socket and directory is None:  # the user named the socket, so a missing agent is an error
        why = "No agent answers at the socket that TOKENWARD_SOCK names."
    said = why or "No agent of tokenward answers (`auth doctor` may say why)."
    return Unavailable(said, stored=bool(stored), unknown=bool(why) and stored is None)


def _ask_by_relay(
    service: str, username: str | None, seconds: float | None = None
) -> tuple[str, str] | None:
    try:
        answer = relay("get", service, username, seconds=seconds)
    except RelayError as refused:
        if refused.code in NOTHING:
            return None
        if refused.code == "absent":
            _SILENT[0] = monotonic() + REST_SECONDS
        if refused.code in _NO_AGENT:
            raise _without_agent(
                service, str(refused) if refused.code == "failed" else ""
            ) from None
        answer = {"code": refused.code, "why": refused.why, "stored": refused.stored}
        raise _unavailable_error(answer, str(refused)) from None
    return answer["username"], answer["password"]


def relay(
    op: str,
    service: str,
    username: str | None,
    password: str | None = None,
    seconds: float | None = None,
) -> Any:
    """Have `get`, `set` or `del` done where tokenward is installed. Raises RelayError.

    With `seconds` the user may be prompted, and the answer is waited for that long; a `get` that the
    user has to approve is relayed again so.
    """
    import json
    import subprocess

    if is_in_run():
        raise RelayError("refused", "tokenward stores nothing for a command behind a relay.")
    if is_left(service):
        why = "config.toml leaves this index to other keyrings, by `leave`."
        raise RelayError("not-found", why, stored=False)
    service, username = _without_secrets(service, username)
    asked: dict[str, str | bool | None]
    asked = {"service": service, "username": username, "password": password}
    if op == "get":
        asked["bus"] = bus()
    if seconds is not None:
        asked.update(screen())
    usual = READ_SECONDS if op == "get" else WRITE_SECONDS
    try:
        done = subprocess.run(
            [PYTHON or sys.executable, "-I", "-m", "tokenward.keyring_relay", op],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=usual if seconds is None else seconds,
            start_new_session=True,  # so it has no terminal
            check=True,
        )
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        answer = {"code": "absent"}
        answer["message"] = "tokenward does not answer (`auth doctor` may say why)."
    if answer.get("code") in {*_WAITING, _ASKER} and op == "get" and seconds is None:
        return relay(op, service, username, seconds=CONSENT_SECONDS)
    if "code" in answer:
        stored = answer.get("stored")
        if answer["code"] in _NO_AGENT:
            stored = _without_agent(service).stored
        why = answer.get("why")
        raise RelayError(answer["code"], answer["message"], stored=stored is not False, why=why)
    for note in answer.get("notes", ()):
        if sys.stderr is not None:
            sys.stderr.write(f"keyring: {note}\n")
    return answer


def _without_secrets(service: str, username: str | None) -> tuple[str, str | None]:
    """Remove user info, query and fragment from a URL; a user name in it is the one asked for.

    Raises RelayError for URLs that programs read differently: some take the text before a backslash
    for the host, others for user info.
    """
    scheme, mark, rest = service.strip(" \t\r\n").partition("://")
    if not mark or scheme.lower() not in {"https", "http"}:
        return service, username
    authority, slash, path = rest.partition("#")[0].partition("?")[0].partition("/")
    userinfo, _, host = authority.rpartition("@")
    if "@" in userinfo or not rest.isprintable() or " " in rest or "\\" in rest:
        raise RelayError("bad-request", "A blank, a backslash or a second @ in a URL is ambiguous.")
    if userinfo and username is None:
        from urllib.parse import unquote

        username = unquote(userinfo.partition(":")[0]) or None
    return f"{scheme}://{host}{slash}{path}", username
