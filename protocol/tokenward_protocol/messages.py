"""The vocabulary: the requests, their arguments, the codes of answers.

It is data, so that the agent can check a header in place against it, a client can build a request
from it, and a test can compare it with docs/PROTOCOL.md. Arguments that are not in here do not exist.
"""

from __future__ import annotations

from tokenward_protocol import WIRE_VERSION, LocalError
from tokenward_protocol.packing import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenward_protocol.packing import Value

TEXT, SERVICE, SPELLING, COUNT, FLAG = "text", "service", "spelling", "count", "flag"
"""The kinds of argument: bounded text, a service by its key or in any spelling, a number, a boolean."""

MAX_TEXT = 1024  # longest text argument, in bytes of UTF-8
MAX_SERVICE = 2048  # longest service, in any spelling, in bytes of UTF-8

NO_BODY, MAY_HAVE_BODY, HAS_BODY = range(3)

COMMON = {"v": COUNT, "id": COUNT, "op": TEXT, "dir": TEXT}
"""The keys that every request may have; the first three are required."""

_NAMED = {"service": SERVICE, "spelling": SPELLING}
"""A service, by its key or in the user's spelling: one of the two."""

VARIABLES = {
    "bus": "DBUS_SESSION_BUS_ADDRESS",
    "display": "DISPLAY",
    "wayland": "WAYLAND_DISPLAY",
    "xauthority": "XAUTHORITY",
}
"""The arguments that say where the client's keyring and screen are, and the variables with the same."""

_SESSION = dict.fromkeys(VARIABLES, TEXT)
"""The client's D-Bus address and displays, to open a keyring or to prompt the user."""

_PROMPT = {"attended": FLAG, "tty": TEXT, "term": TEXT, **_SESSION}
"""Whether and where the user may be prompted."""


class Op:
    """One request: its arguments (`!` after the kind: required) and whether it has a body."""

    __slots__ = ("arguments", "body", "required")

    def __init__(self, arguments: dict[str, str], body: int = NO_BODY) -> None:
        self.body = body
        self.required = frozenset(k for k, kind in arguments.items() if kind.endswith("!"))
        self.arguments = {k: kind.rstrip("!") for k, kind in arguments.items()}


OPS = {
    "hello": Op({"version": TEXT}),
    "fetch": Op(
        {
            **_NAMED,
            "username": TEXT,
            "provider": TEXT,
            "entry": TEXT,
            "projects": TEXT,
            "ttl": COUNT,
            "whole": FLAG,
            **_PROMPT,
        }
    ),
    "describe": Op({**_NAMED, "username": TEXT, "provider": TEXT, "projects": TEXT, "entry": TEXT}),
    "login": Op(
        {
            **_NAMED,
            "username": TEXT + "!",
            "provider": TEXT,
            "lifetime": COUNT,
            "adopt": TEXT,
            "reader": TEXT,
            "program": TEXT,
            "unread": FLAG,
            "sealed": FLAG,
            "memory": FLAG,
            "recipe": FLAG,
            "environment": COUNT,
            "trust": TEXT,
        },
        MAY_HAVE_BODY,
    ),
    "refresh": Op({**_NAMED, "username": TEXT, "end": COUNT}, MAY_HAVE_BODY),
    "logout": Op(
        {
            **_NAMED,
            "username": TEXT,
            "provider": TEXT,
            "entry": TEXT,
            "all": FLAG,
            "purge": FLAG,
            "refused": FLAG,
        }
    ),
    "list": Op({"after": COUNT}),
    "status": Op({}),
    "prepare": Op({"provider": TEXT, "program": TEXT, "probe": FLAG, **_SESSION}),
    "create": Op(
        {"provider": TEXT + "!", "slot": TEXT + "!", "program": TEXT, **_SESSION}, MAY_HAVE_BODY
    ),
    "lock": Op({}),
    "unlock": Op({"provider": TEXT, "program": TEXT, "attended": FLAG, **_SESSION}, MAY_HAVE_BODY),
    "passphrase": Op({"action": TEXT + "!", "keep": FLAG}, MAY_HAVE_BODY),
    "restore": Op({"provider": TEXT + "!", "previous": FLAG + "!", "anyway": FLAG}),
    "log": Op({"verify": FLAG + "!"}),
    "check": Op({**_NAMED, "username": TEXT, "provider": TEXT, "entry": TEXT, **_PROMPT}),
    "revoke": Op({**_NAMED, "username": TEXT, "provider": TEXT, "entry": TEXT, **_PROMPT}),
    "share": Op(
        {
            **_NAMED,
            "username": TEXT,
            "projects": TEXT,
            "lifetime": COUNT,
            "at": TEXT,
            "uids": TEXT,
            "whole": FLAG,
            "relay": FLAG,
            "tunnels": TEXT,
            **_PROMPT,
        }
    ),
    "unshare": Op({"at": TEXT}),
    "grant": Op(
        {
            **_NAMED,
            "username": TEXT,
            "provider": TEXT,
            "name": TEXT,
            "program": TEXT,
            "upload": TEXT,
            "projects": TEXT,
            "shared": FLAG,
            "url": TEXT,
            "own": TEXT,
            "size": COUNT,
            "tool": FLAG,
            "attended": FLAG,
            "tty": TEXT,
            "term": TEXT,
            **_SESSION,
        },
        MAY_HAVE_BODY,
    ),
    "run": Op(
        {
            "direct": TEXT,
            "proxied": TEXT,
            "lifetime": COUNT,
            "port": COUNT,
            "tty": TEXT,
            "term": TEXT,
            **_SESSION,
        },
        MAY_HAVE_BODY,
    ),
    "stream": Op({"notices": FLAG}, HAS_BODY),
    "clock": Op({**_NAMED, "now": COUNT + "!"}),
    "stop": Op({}),
}

RUN = "TOKENWARD_RELAY"
"""Set in the environment of a command behind a relay, and of what it starts: tools get nothing there."""

PROVIDERS = ("keyring", "subprocess", "disabled")
"""Where a credential may rest; `subprocess` is another way to open the vault of `keyring`."""

_VAULTS = {"keyring": "keyring vault", "subprocess": "keyring vault", "disabled": "file vault"}


def vault_name(provider: str) -> str:
    """Return the name of a provider's vault in messages for users: "file vault"."""
    return _VAULTS.get(provider, f"vault of {provider}")


def vaults_are(providers: Iterable[object]) -> str:
    """Begin a sentence on the vaults of providers: "file vault is", "two vaults are"."""
    names = list(dict.fromkeys(vault_name(str(provider)) for provider in providers))
    return f"{names[0]} is" if len(names) == 1 else "two vaults are"


MEMORY = "memory"  # the provider in answers about a credential that is only in memory
COMMAND = "command"  # the same about one that a command makes

CODES = {
    "bad-frame": "the frame is malformed; the agent closes the connection after this answer",
    "too-large": "the frame or a value is past its limit",
    "bad-header": "the header is not a map of the protocol's subset of msgpack",
    "bad-request": "an argument is missing, unknown, of another type or out of range",
    "unknown-op": "there is no such request",
    "version": "the agent does not speak this version; `supported` lists those that it does",
    "other-directory": "the agent serves another credentials directory; nothing was done",
    "not-found": "no stored credential answers",
    "ambiguous": "several accounts answer equally, or several entries of one; `usernames` lists the"
    " accounts, `entries` the entries, as far as they fit",
    "locked": "a vault that may hold the answer is closed or locked; `vaults` names them",
    "no-vault": "the vault does not exist yet; `provider` and `note` say which",
    "passphrase-needed": "the vault opens with a passphrase in the body",
    "wrong-passphrase": "the passphrase does not open the vault",
    "provider": "the provider cannot be used; the message says why",
    "vault": "a vault cannot be read or written; the message says why",
    "read-only": "the credentials directory cannot be written",
    "consent": "the user has to approve first; ask again with `attended`",
    "making": "a command is making the credential, or a keyring is asked for it; ask again with"
    " `attended`, and wait",
    "asker": "the command that makes the credential is left to what asks; run it, give what it made to"
    " `refresh`, and ask again",
    "command": "the command that makes the credential, or the plug-in that has it, failed; the message"
    " says why",
    "index": "the index could not be asked, or does not answer as it should; the message says why",
    "refused": "the agent does not do this for this peer or in this state",
    "busy": "the agent cannot do this now; try again",
    "internal": "an internal error of the agent; its log has the place",
}
"""The codes of error answers."""


def make_request(op: str, number: int, arguments: dict[str, Value]) -> bytes:
    """Return the header of a request; arguments that are None are left out.

    Raises LocalError with code `bad-request` for an argument that the op does not have.
    """
    known = OPS[op].arguments
    header: dict[str, Value] = {"v": WIRE_VERSION, "id": number, "op": op}
    for key, value in arguments.items():
        if value is None:
            continue
        if key not in known and key != "dir":
            raise LocalError("bad-request", f"A {op} request has no argument {key}.")
        header[key] = value
    return pack(header)
