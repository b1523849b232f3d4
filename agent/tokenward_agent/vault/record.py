"""One credential in a vault: its service and user, its lifetime, and its sealed secret.

A record is immutable. Its secret is sealed under the vault's data key and bound to the vault,
service and user name. So neither a record nor its `repr` holds anything readable without the key,
and a secret that was moved to another record does not open. An *adopted* credential has no secret
here: it stays in its keyring, and what is sealed are the variables with which a plug-in of keyring
reads it. A secret that is *never shown* is sealed by its user: attenuated tokens of it are handed
out, and if none can be made, it is used by *relays alone*. `check` and `from_values` refuse what
docs/VAULT.md does not allow; records are checked in the same way when they are written and read.

A lifetime ends by the wall clock and by the boot clock. In the boot in which it began, it is over as
soon as either clock says so: setting the wall clock back does not prolong it, and time asleep counts.
In any other boot only the wall clock counts, and never as earlier than the latest wall time that the
vault has seen: so a machine that starts in 1970 revives nothing. If the system does not name its
boots, every boot counts as another one. The price: after a save under a wall clock set far ahead,
lifetimes end early in later boots. That errs on the safe side, and the user can log in again.

Pure: the time is an argument. All times are whole seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from tokenward_agent.vault.sealing import OVERHEAD, context
from tokenward_protocol.reach_marks import MOST_MARKS, SIZE

if TYPE_CHECKING:
    Key = tuple[str, ...]
    """Service and user name, and the projects by which one of several records is told apart."""

Limits = tuple[str, ...] | None
"""The projects that a token is visibly limited to, sorted; None for all, or if none are visible."""

LONGEST: Final = 100 * 366 * 86_400  # seconds; a longer lifetime is refused


SERVICE_BYTES: Final = 2048
USERNAME_BYTES: Final = 1024
SECRET_BYTES: Final = 64 * 1024
BOOT_ID_BYTES: Final = 64
PROJECT_BYTES: Final = 512
LATEST: Final = 1 << 53
"""Every time in a vault is below this many seconds: an integer in every language."""

_READERS: Final = ("keyring", "subprocess")


class Now(NamedTuple):
    """The time: `wall` since 1970 UTC, `boot` since start with sleep, and the name of the boot."""

    wall: int
    boot: int
    boot_id: str


class Lifetime(NamedTuple):
    """The end of a credential by both clocks; `boot_end` is of the boot `boot_id`."""

    wall_end: int
    boot_id: str
    boot_end: int

    @classmethod
    def beginning(cls, now: Now, seconds: int) -> Self:
        """Return the lifetime that ends in 1 to LONGEST *seconds* from *now*. Raises ValueError."""
        if not 1 <= seconds <= LONGEST:
            raise ValueError("a lifetime lasts from one second to a hundred years")
        return cls(now.wall + seconds, now.boot_id, now.boot + seconds)

    def remaining_seconds(self, now: Now, seen: int) -> int:
        """Return the seconds left, 0 or less if over; *seen* is the vault's latest wall time."""
        if self.boot_id and self.boot_id == now.boot_id:
            return min(self.boot_end - now.boot, self.wall_end - now.wall)
        return self.wall_end - max(now.wall, seen)

    def is_over(self, now: Now, seen: int) -> bool:
        """Tell whether it has ended; *seen* is the vault's latest wall time."""
        return self.remaining_seconds(now, seen) <= 0


class AdoptedSource(NamedTuple):
    """Where an adopted credential is read: `reader` is a provider, `spelling` the typed service."""

    reader: str
    spelling: str


class Login(NamedTuple):
    """Identifies one login: a later login of the same account is another, even in the same second.

    No secret is sealed to the same bytes twice. So a new data key, as `auth passphrase set` makes
    one, also makes every record another login.
    """

    service: str
    username: str
    created: int
    adopted: AdoptedSource | None
    sealed: bytes | None

    def __repr__(self) -> str:
        return f"Login({self.service!r}, {self.username!r}, {self.created})"


class Record(NamedTuple):
    """A stored credential: `adopted` or `secret` is set. Times are in seconds.

    If both are, `secret` is a block of variables (worker/job.py) for what reads the adopted one.

    `service` is a canonical URL or an opaque key of at most 2,048 bytes; `username` has at most
    1,024 and may be empty; `secret` is sealed, and at most 64 KiB when open. If `never_shown`, only
    attenuated tokens of it are handed out; if also `relay_alone`, it was no token of which one can be
    made, and only the relay of a run gets it.

    `projects` (normalised, sorted) is () for the first record of its service and user name in a
    vault; each further one has the projects that its token is limited to. `trust` are the marks
    (tokenward_protocol/reach_marks.py, sorted) of the certificates and the proxy that its login named:
    towards its index a run may use those.
    """

    service: str
    username: str
    created: int
    last_used: int | None
    expires: Lifetime | None
    adopted: AdoptedSource | None
    secret: bytes | None
    never_shown: bool = False
    relay_alone: bool = False
    projects: tuple[str, ...] = ()
    trust: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"Record({self.service!r}, {self.username!r})"

    @property
    def key(self) -> Key:
        """The key of the record in its vault."""
        return self.service, self.username, *self.projects

    @property
    def login(self) -> Login:
        """The record's login; using or saving the record does not change it."""
        return Login(self.service, self.username, self.created, self.adopted, self.secret)


def secret_context(vault_id: str, service: str, username: str) -> bytes:
    """Return the context of a secret."""
    return context(b"tokenward record", vault_id, service, username)


def from_values(values: object, fields: int = len(Record._fields)) -> Record:
    """Return the record in *values*, as read from a vault. Raises ValueError.

    *fields* is the number of fields in the vault's version; later versions appended some.
    """
    service, username, created, last_used, expires, adopted, secret, *later = _array(values, fields)
    if fields > _PROJECTS:
        later[-2:] = [tuple(_array(each, None)) for each in later[-2:]]
    elif adopted is not None and secret is not None:
        raise ValueError("a record of an older version has either a secret or a place to read it")
    record = Record(
        service,
        username,
        created,
        last_used,
        None if expires is None else Lifetime(*_array(expires, 3)),
        None if adopted is None else AdoptedSource(*_array(adopted, 2)),
        secret,
        *later,
    )
    check(record)
    return record


def check(record: Record) -> None:
    """Raise ValueError, which quotes no value, for a record that a vault may not hold."""
    _text(record.service, 1, SERVICE_BYTES, "service")
    _text(record.username, 0, USERNAME_BYTES, "user name")
    _time(record.created)
    if record.last_used is not None:
        _time(record.last_used)
    if record.expires is not None:
        _time(record.expires.wall_end)
        _text(record.expires.boot_id, 0, BOOT_ID_BYTES, "boot")
        _time(record.expires.boot_end)
    if record.adopted is None and record.secret is None:
        raise ValueError("a record has neither a secret nor a place to read it")
    has_own = record.adopted is None
    if type(record.never_shown) is not bool or record.never_shown > has_own:
        raise ValueError("a record says wrongly whether its secret is never shown")
    if type(record.relay_alone) is not bool or record.relay_alone > record.never_shown:
        raise ValueError("a record says wrongly whether relays alone get its secret")
    _check_projects(record)
    if not _are_marks(record.trust):
        raise ValueError("a record says wrongly what is trusted towards its index")
    if record.adopted is not None:
        if record.adopted.reader not in _READERS:
            raise ValueError("a record is read in an unknown way")
        _text(record.adopted.spelling, 1, SERVICE_BYTES, "spelling")
        if record.secret is None:
            return
    if type(record.secret) is not bytes or not 0 <= len(record.secret) - OVERHEAD <= SECRET_BYTES:
        raise ValueError(f"a secret is not sealed bytes of at most {SECRET_BYTES}")


def _are_marks(marks: tuple[bytes, ...]) -> bool:
    fits = len(marks) <= MOST_MARKS and all(
        type(each) is bytes and len(each) == SIZE for each in marks
    )
    return fits and list(marks) == sorted(set(marks))


_PROJECTS: Final = Record._fields.index("projects")


def _check_projects(record: Record) -> None:
    names = record.projects
    if names and record.adopted is not None:
        raise ValueError("a record that is read elsewhere is told apart by projects")
    for name in names:
        _text(name, 1, PROJECT_BYTES, "project")
    if list(names) != sorted(set(names)):
        raise ValueError("the projects of a record are not in their order")


def _array(value: object, size: int | None) -> list[Any]:
    """Return an array of this size, None for any."""
    if not isinstance(value, list) or size not in {None, len(value)}:
        raise ValueError(f"a part of a record is not an array of {size}")
    return value


def _text(value: object, least: int, most: int, what: str) -> None:
    # A character is at most four bytes of UTF-8: most names need not be encoded to be measured.
    if type(value) is not str or len(value) < least:
        raise ValueError(f"a {what} is missing")
    if len(value) * 4 > most or not value.isascii():
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise ValueError(f"a {what} is not text that can be written as UTF-8") from None
        if size > most:
            raise ValueError(f"a {what} is longer than {most} bytes")


def _time(value: object) -> None:
    if type(value) is not int or not 0 <= value < LATEST:
        raise ValueError("a time is not a whole number of seconds")
