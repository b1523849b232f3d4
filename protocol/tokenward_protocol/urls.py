"""The canonical form of a service, by which credentials are found.

A *key* is `scheme://host[:port]/path/`, printable ASCII, always with one slash at its end:

    EXAMPLE.com            -> https://example.com/
    https://h.example/a    -> https://h.example/a/
    http://[0:0::1]:8080   -> http://[::1]:8080/

so that "lies below, by whole segments" is `key.startswith(other)`. Host case, a default port, a
trailing dot, trailing slashes, percent-coding of unreserved characters (RFC 3986, 2.3), dot
segments (5.2.4), query and fragment make no difference; path case does. User name and password
are split off and never part of a key. The agent accepts no URL in any other spelling.

URLs that two programs might read as two different hosts are refused, not repaired: backslashes,
blanks and control characters, percent signs in a host, a raw `@` in user info, numeric hosts other
than a dotted quad. `http` is only for `localhost`, `127.0.0.1` and `[::1]`.

No message ever contains the text before an `@` or after a `?`, which may be a password. This module
knows only the two fixed names; the others are in configuration files.
"""

from __future__ import annotations

from tokenward_protocol.url_parts import PartError, decode, host_and_port, path_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PYPI = "https://upload.pypi.org/legacy/"
TESTPYPI = "https://test.pypi.org/legacy/"
FIXED = {"pypi": PYPI, "testpypi": TESTPYPI}
"""The two names that mean the same on every machine; nothing can redefine them."""

PAGES = {
    PYPI: "https://pypi.org/manage/account/token/",
    TESTPYPI: "https://test.pypi.org/manage/account/token/",
}
"""The pages on which users make and revoke tokens."""

ANACONDA, AZURE, DEVPI, GITLAB, JFROG = KINDS = ("anaconda", "azure", "devpi", "gitlab", "jfrog")
"""The kinds of index that a user's file may give, if the URL does not tell."""

MAX_KEY = 2048  # characters of the longest key
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")  # the only hosts that may be used without TLS
_HOMES = {
    "pypi.org": PYPI,
    "www.pypi.org": PYPI,
    "upload.pypi.org": PYPI,
    "test.pypi.org": TESTPYPI,
}


class ServiceError(ValueError):
    """A text is not a service. `str()` is one sentence without secrets, `hint` says what helps."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ServiceURL:
    """A parsed service: `key`, and the other parts of the text.

    `url` is the text without its user info and with a scheme, otherwise as typed: some servers
    care about a final slash. `username` and `password` are percent-decoded; an empty one is None.
    `notice` is a sentence for the user, or "".
    """

    __slots__ = ("key", "notice", "password", "url", "username")

    def __init__(
        self, key: str, url: str, username: str | None, password: str | None, notice: str
    ) -> None:
        self.key = key
        self.url = url
        self.username = username
        self.password = password
        self.notice = notice

    def __repr__(self) -> str:
        return f"ServiceURL({self.key!r})"


def is_name(text: str) -> bool:
    """Tell whether `text` can only be a name: no dot, colon, slash or `@`, and not localhost."""
    marks = ".:/@" if text.isascii() else ".:/@\u3002\uff0e\uff61"  # UTS 46 has four dots
    return text.lower() != "localhost" and not any(mark in text for mark in marks)


def parse_service_url(text: str) -> ServiceURL:
    """Read a URL or `[user[:password]@]host[:port][/path]`, which gets https.

    Blanks around it are dropped. Raises ServiceError for the refusals above, and for a name
    (`is_name`), which only configuration can resolve.
    """
    text = text.strip(" \t\r\n")
    try:
        return _parse_service_url(text)
    except PartError as refused:
        message, hint = f"{mask(text)} {refused.predicate}.", refused.hint
    # Outside the handler, so that this exception has no context that holds a piece of the text.
    raise ServiceError(message, hint)


def key_of(text: str) -> str | None:
    """Return the key of a URL; None for a text that is not a URL that a credential may go to."""
    try:
        return parse_service_url(text).key
    except ServiceError:
        return None


def is_canonical(key: str) -> bool:
    """Tell whether `key` is canonical, which is the only spelling on the wire."""
    return key_of(key) == key


def prefixes(key: str) -> Iterator[str]:
    """Yield every key whose entry may answer for `key`, longest path first: itself and all above."""
    root = key.index("/", key.index("://") + 3) + 1
    end = len(key)
    while end >= root:
        yield key[:end]
        end = key.rfind("/", 0, end - 1) + 1


def strip_index_suffix(key: str) -> str:
    """Remove a final `simple` or `+simple` segment (any case) from a URL, as login does."""
    if "://" not in key:
        return key
    above, _, last = key[:-1].rpartition("/")
    if last.lower() in {"simple", "+simple"} and not above.endswith("/"):
        return above + "/"
    return key


def display(key: str) -> str:
    """Return a key as the user sees it: by its fixed name if it has one."""
    return "pypi" if key == PYPI else "testpypi" if key == TESTPYPI else key


def mask(text: str) -> str:
    """Make `text` fit for a message: no user info, query, fragment or unprintable characters.

    A port that is not a number is masked, too: it may be a password whose `@host` was forgotten. A
    text that cannot be a URL, host or name is not shown at all: it may be a secret in the service's
    place.
    """
    if "://" not in text and any(c in text for c in ' "\\'):
        return "the service"
    before, at, after = text.rpartition("@")
    if at:
        scheme = before.partition("://")[0].lower()
        text = (f"{scheme}://***@" if scheme in {"https", "http"} else "***@") + after
    text = text.partition("?")[0].partition("#")[0]
    scheme, separator, rest = text.rpartition("://")
    host, colon, port = rest.partition("/")[0].partition(":")
    if colon and not port.isdigit() and not host.startswith(("[", "***@[")):
        text = f"{scheme}{separator}{host}:***"
    text = "".join(c if c.isprintable() else "\ufffd" for c in text[:200])
    return text or "the service"


def _parse_service_url(text: str) -> ServiceURL:
    if not text:
        raise PartError("is empty", "name a service, such as pypi, or give its URL")
    if not text.isprintable() or " " in text or "\\" in text:
        raise PartError(
            "holds a blank, a backslash or a control character",
            "percent-encode it: %20 is a blank, %5C a backslash",
        )
    if is_name(text):
        raise PartError("is a name, not a URL", "write https:// before it if it is a host")

    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "https", text
    scheme = scheme.lower()
    if scheme not in {"https", "http"}:
        raise PartError("has a scheme that no package index has", "an index has an https:// URL")

    authority, path = _divide(rest)
    userinfo, _, authority = authority.rpartition("@")
    if "@" in userinfo:
        raise PartError("has more than one @ before its path", "write %40 for an @ in a user name")
    host, port = host_and_port(authority)
    if scheme == "http" and host not in LOOPBACK:
        raise PartError(
            "would send its credential unencrypted",
            "use https://; http:// is for localhost, 127.0.0.1 and [::1] only",
        )
    key = _key(scheme, host, port, path)
    username, _, password = userinfo.partition(":")
    notice = ""
    if not separator and host in LOOPBACK:
        notice = f"{key} is meant; write http{key[5:]} if the index there does not speak TLS"
    return ServiceURL(
        key,
        f"{scheme}://{authority}{path}",
        decode(username) or None,
        decode(password) or None,
        notice,
    )


def _divide(rest: str) -> tuple[str, str]:
    """Divide what follows `://` into authority and the rest from its first `/`, `?` or `#`."""
    end = len(rest)
    for mark in "/?#":
        at = rest.find(mark, 0, end)
        end = end if at < 0 else at
    return rest[:end], rest[end:]


def _key(scheme: str, host: str, port: str, path: str) -> str:
    path = path_key(path.partition("#")[0].partition("?")[0])
    if port == ("443" if scheme == "https" else "80"):
        port = ""
    if scheme == "https" and not port and host in _HOMES:
        return _HOMES[host]
    key = f"{scheme}://{host}:{port}{path}" if port else f"{scheme}://{host}{path}"
    if len(key) > MAX_KEY:
        raise PartError(f"is longer than {MAX_KEY} characters")
    return key
