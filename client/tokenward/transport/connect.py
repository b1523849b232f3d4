"""Finding the agent of a credentials directory, and starting it on demand.

    with connect(directory, start=True) as agent:
        answer = agent.ask("fetch", service="https://index.example/")

The address is the one in `$TOKENWARD_SOCK`, else this user's own address for the directory, else
the one that the agent recorded in the directory's state folder (docs/PROTOCOL.md, "Transport and
who may speak"): it may have been started in another environment. A record is trusted as little as
any other address: the file has to be the user's own and closed to other users, and the client checks
the socket's owner and the server's user id. connection.py speaks with the agent.
"""

from __future__ import annotations

import os
import stat
import sys
from time import monotonic, sleep

from tokenward.errors import AgentAbsent, AgentUnreachable
from tokenward.files import own_folders
from tokenward.transport.connection import ANSWER_SECONDS, AgentError, AgentLost, Answer, Connection
from tokenward_os import user
from tokenward_os.files import SAFE, missing, uid
from tokenward_protocol import places
from tokenward_protocol.light import Record

if sys.platform == "win32":
    from tokenward.transport import pipe as local
else:
    from tokenward.transport import unix as local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Asleep = Callable[[str, Mapping[str, str]], bool]
    """Returns whether a service manager listens at an address while its agent does not run."""

__all__ = [
    "ANSWER_SECONDS",
    "AgentAbsent",
    "AgentError",
    "AgentUnreachable",
    "Answer",
    "Connection",
    "connect",
]

_ROUNDS = 5
"""How often an agent is looked for again when one was started, replaced or is starting."""

_MOST_RECORD = 4096
"""The maximum length of a record in bytes: a socket's path is shorter."""


def connect(
    directory: str,
    *,
    start: bool,
    asleep: Asleep,
    replace: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Connection:
    """Return a connection to the agent of a credentials directory (absolute, links resolved).

    With `start` an agent is started if none runs, unless `TOKENWARD_NO_AUTOSTART` or
    `TOKENWARD_SOCK` is set. Without it none is started, not even by a service manager: `asleep`
    returns whether connecting would do that. With `replace` an older agent that loses nothing makes
    way for one of this version. Raises AgentUnreachable (AgentAbsent: none runs) and AgentError.
    """
    environ = os.environ if environ is None else environ
    if given := environ.get("TOKENWARD_SOCK"):
        return _connect_to(given)
    home = user.home(environ)
    if home is None:
        raise AgentUnreachable("This user has no home directory.", "set HOME")
    state = places.state_directory(sys.platform, environ, home)
    ordinary = os.path.realpath(places.data_directory(sys.platform, environ, home))
    if found := own_folders.objection(directory, f"{state}/"):
        raise AgentUnreachable(f"{found.sentence}.", found.hint)
    may_start = start and environ.get("TOKENWARD_NO_AUTOSTART", "") in {"", "0"}
    look = local.make_runtime_directory if may_start else local.runtime_directory
    base = look(environ, state)
    if base is None and may_start:
        raise _no_place_error(f"{state}/run")
    search = _Search(directory, ordinary, base, state, environ, None if start else asleep)
    for _ in range(_ROUNDS):
        met = search.find()
        if isinstance(met, str):
            if not may_start:
                raise _absent_error(start)
            search.start(met)
        elif met is not None:
            if not (replace and may_start and met.may_be_replaced()):
                return met
            met.stop()  # if a manager listens, the next round meets its new agent
    if elsewhere := search.recorded():
        raise AgentUnreachable(
            f"The agent of {directory} runs on this host but cannot be reached from here; its"
            f" recorded address is {elsewhere}.",
            "stop it by `auth agent stop` in the environment that it was started in",
        )
    raise AgentUnreachable("The agent cannot be reached.", "`auth agent restart`")


def _no_place_error(last: str) -> AgentUnreachable:
    """Return the error for no usable directory for a socket, not even the last candidate."""
    if absent := missing(last):
        return AgentUnreachable(
            f"{absent[0]} cannot be made, so there is no private directory for the agent's socket.",
            f"make {os.path.dirname(absent[0])} writable, or set HOME, or TOKENWARD_DIR and the XDG_*"
            " variables, to writable directories",
        )
    return AgentUnreachable(
        f"There is no private directory for the agent's socket, and {last} is not private.",
        f"`chmod 700 {last}`, or set XDG_RUNTIME_DIR to a directory of your own",
    )


class _Search(Record):
    """Looks for the agent of a directory: first at this environment's addresses, in `base`.

    Then at its recorded address, below `state`, which is rarely needed. With `asleep` no agent may be
    started, not even by a service manager.
    """

    directory: str
    ordinary: str
    base: str | None
    state: str
    environ: Mapping[str, str]
    asleep: Asleep | None

    def find(self) -> Connection | str | None:
        """Return a connection, or the address for a new agent; None if another look may help.

        Raises AgentUnreachable (AgentAbsent: there is no address at all), AgentError.
        """
        free = busy = None
        for path, is_own in self.addresses():
            try:
                if (found := self._greet(path, is_own=is_own)) is not None:
                    return found
            except AgentAbsent:
                free = free or (path if is_own else None)
            except AgentLost:
                return None  # it was just ending, or its manager gave up: look again
            except AgentError as error:
                if error.code != "busy":
                    raise
                busy = error  # another agent has the directory: the next address may be its
        if busy is not None:
            raise busy
        if free is None and self.base is None:
            raise _absent_error(self.asleep is None)
        return free

    def start(self, path: str) -> None:
        """Start an agent; if another one is starting or ending, wait a moment for it."""
        from tokenward.transport import autostart

        began = autostart.start(self.directory, path, self.state, self.environ)
        if began != autostart.RUNNING:
            return
        deadline = monotonic() + 1
        while monotonic() < deadline:
            for there in filter(None, (path, self.recorded())):
                try:
                    local.open_stream(there).close()
                except AgentUnreachable:
                    continue
                return
            sleep(0.02)

    def addresses(self) -> Iterator[tuple[str, bool]]:
        """Yield the addresses, likeliest first, and whether each is one of this environment."""
        own = set()
        if self.base is not None:
            for path in local.addresses(self.base, self.directory, self.ordinary):
                own.add(path)
                yield path, True
        elsewhere = self.recorded()
        if elsewhere is not None and elsewhere not in own:
            yield elsewhere, False

    def recorded(self) -> str | None:
        """Return the address that the agent has recorded."""
        return recorded_address(f"{self.state}/{places.directory_tag(self.directory)}")

    def _greet(self, path: str, *, is_own: bool) -> Connection | None:
        """Connect to an agent; None if it serves another directory, or is not what it claims."""
        if is_own:
            if self.asleep is not None and self.asleep(path, self.environ):
                raise _absent_error(wanted=False)
            return _connect_and_greet(path, self.directory)
        try:
            return _connect_and_greet(path, self.directory)
        except AgentLost:
            raise
        except AgentUnreachable:
            return None


def _connect_to(path: str) -> Connection:
    """Connect to the agent at the address that the user set."""
    try:
        connection = Connection(local.open_stream(path), None)
    except AgentAbsent:
        raise AgentAbsent(
            f"No agent answers at {path}, which TOKENWARD_SOCK names.",
            "start it, or unset TOKENWARD_SOCK",
        ) from None
    try:
        connection.greet()
    except BaseException as error:
        connection.close()
        if isinstance(error, AgentLost):
            _refuse_where_another_user_does_not_let_in(path)
        raise
    return connection


def _refuse_where_another_user_does_not_let_in(path: str) -> None:
    """Raise AgentUnreachable if the agent that hung up at once is another user's."""
    if sys.platform == "win32":
        return
    try:
        owner = os.stat(path).st_uid
    except OSError:
        return
    if owner != os.geteuid():
        raise AgentUnreachable(
            f"The agent at {path} belongs to uid {owner}, who does not let this user in.",
            f"a share of that user lets you in if it names {os.geteuid()} with `--uid`",
        ) from None


def _connect_and_greet(path: str, directory: str) -> Connection | None:
    """Connect to an agent of our own; None if it serves another directory."""
    stream = local.open_stream(path)
    if stream.stranger is not None:
        stream.close()
        raise AgentUnreachable(
            f"The agent at {path} belongs to another user (uid {stream.stranger});"
            " nothing was sent to it.",
            f"`rm {path}`",
        )
    connection = Connection(stream, directory)
    try:
        connection.greet()
    except BaseException as error:
        connection.close()
        if isinstance(error, AgentError) and error.code == "other-directory":
            return None
        raise
    return connection


def _absent_error(wanted: bool) -> AgentAbsent:
    if wanted:
        return AgentAbsent(
            "No agent is running, and TOKENWARD_NO_AUTOSTART prevents its start.",
            "`auth agent start` starts it",
        )
    return AgentAbsent("No agent is running.", "`auth agent start` starts it")


def recorded_address(state_folder: str) -> str | None:
    """Return the recorded address of this host's agent, which may be gone by now, or None."""
    if sys.platform == "win32":
        return None  # the name of its pipe depends on no variable
    try:
        file = os.open(f"{state_folder}/{host_record_name()}", os.O_RDONLY | SAFE)
    except OSError:
        return None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != uid() or found.st_mode & 0o022:
            return None
        text = os.read(file, _MOST_RECORD).decode()
    except (OSError, UnicodeError):
        return None
    finally:
        os.close(file)
    path, end, _ = text.partition("\n")
    return path if end and os.path.isabs(path) and "\0" not in path else None


def host_record_name() -> str:
    """Return the name of this host's record."""
    if sys.platform == "win32":
        raise NotImplementedError
    from tokenward_os import user

    return places.record_name(*user.marks())
