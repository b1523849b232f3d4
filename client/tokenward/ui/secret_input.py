"""Which account is meant and where its secret comes from, by the command line and the URL.

A value that is given twice is an error, even if both are equal, so that no script depends on which
one wins. `-` as a secret is one line of stdin, trimmed; a value on the command line is kept as it
is. `one_line` reads every source of one line: stdin, a passphrase file, the output of a program.
Only `stdin` reads anything; the rest is pure. Nothing here needs the protocol's package, because
program `keyring`, which reads secrets too, does not see it in a checkout.
"""

from __future__ import annotations

import sys

from tokenward.errors import CommandError, exclude

TOKEN_USER = "__token__"  # noqa: S105 - the user name that every index knows tokens by
MAX_SECRET = 64 * 1024
"""The maximum length of a secret in bytes: the body of one frame."""

MAX_INPUT = 2 * MAX_SECRET
"""How many bytes of stdin are read for a secret; enough to refuse a longer one with the right error."""

_MARK = b"\xef\xbb\xbf"  # Windows begins UTF-8 files with it


class GivenCredential:
    """The given credential: `chosen_username` and `secret` are None if they were not given.

    `stdin` is true if the secret is to be read from stdin.
    """

    def __init__(self, username: str | None, secret: str | None, *, stdin: bool) -> None:
        self.username, self.secret, self.stdin = username, secret, stdin

    @property
    def has_secret(self) -> bool:
        """Return whether the secret is given or can be read without a prompt."""
        return self.stdin or self.secret is not None


def chosen_username(
    flag: str | None, in_url: str | None, url_password: str | None = None, *, none: bool = False
) -> str | None:
    """Return the given user name, "" for an empty one (`none`: `--no-username`), or None.

    A URL with only a password means an empty user name. Raises CommandError if it is given twice.
    """
    if flag is not None and in_url is not None:
        raise CommandError(
            "The user name is given both in the URL and by `--username`.", "leave one of them out"
        )
    found = in_url if flag is None else flag
    if none and found is not None:
        raise CommandError("`--no-username` is given beside a user name.", "leave one of them out")
    if found is None and (none or url_password is not None):
        return ""
    return found


def given_credential(
    *,
    username_flag: str | None,
    password_flag: str | None,
    token_flag: str | None,
    url_username: str | None,
    url_password: str | None,
    no_username: bool = False,
    no_password: bool = False,
) -> GivenCredential:
    """Return what `login` was given. Raises CommandError for a contradiction."""
    if token_flag is not None:
        beside: dict[str, object] = {
            "--username": username_flag is not None,
            "--password": password_flag is not None,
            "--no-username": no_username,
            "--no-password": no_password,
        }
        exclude("--token", beside, f"a token's user name is {TOKEN_USER}; give the token alone")
        if url_username not in {None, TOKEN_USER} or url_password is not None:
            raise CommandError(
                "`--token` is given beside a user name or password in the URL.",
                "leave one of them out",
            )
        return _credential_of(TOKEN_USER, token_flag)
    name = chosen_username(username_flag, url_username, url_password, none=no_username)
    if no_password:
        if password_flag is not None or url_password is not None or no_username:
            raise CommandError(
                "`--no-password` is given beside a password or `--no-username`.",
                "leave one of them out",
            )
        return GivenCredential(name, "", stdin=False)
    if password_flag is not None and url_password is not None:
        raise CommandError(
            "The password is given both in the URL and by `--password`.", "leave one of them out"
        )
    if password_flag is not None:
        return _credential_of(name, password_flag)
    return GivenCredential(name, url_password, stdin=False)


def _credential_of(name: str | None, value: str) -> GivenCredential:
    return GivenCredential(name, None if value == "-" else value, stdin=value == "-")


def is_typed() -> bool:
    """Return whether the user types stdin, so that a secret is better asked for unseen."""
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except (OSError, ValueError):  # stdin is closed
        return False


def read_stdin(limit: int, *, line: bool = False) -> bytes:
    """Read stdin to its end, or one line, at most `limit` bytes. Raises CommandError."""
    if sys.stdin is None:
        raise CommandError("Standard input is closed, so there is nothing to read.")
    without_core()
    try:
        stream = sys.stdin.buffer
        data = (stream.readline(limit + 1) if line else stream.read(limit + 1)) or b""
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not open for reading"
        raise CommandError(f"Standard input cannot be read: {why}.") from None
    if len(data) > limit:
        raise CommandError(f"Standard input holds more than {limit} bytes.")
    return data


def one_line(data: bytes, what: str) -> bytes:
    """Return the one line in the data of a file, stdin or a program, without its end.

    A byte order mark before it and empty lines after it are ignored. A second line is refused,
    because only one can be the secret. Raises CommandError; `what` begins the sentence.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CommandError(f"{what} is UTF-16 text, by its byte order mark.", "write it in UTF-8")
    data = data.removeprefix(_MARK)
    line, _, behind = data.replace(b"\r", b"\n").partition(b"\n")
    if behind.strip():
        raise CommandError(f"{what} holds more than one line.", "a secret is one line")
    return line


def line_of(data: bytes) -> str:
    """Return the one line of stdin, trimmed. Raises CommandError if it is not one line of text."""
    text = text_of(data).strip()
    if not text:
        raise CommandError("Standard input holds no secret.", "it is one line for `-`")
    return text


def text_of(data: bytes) -> str:
    """Return the one line of stdin, with its blanks. Raises CommandError if it is empty."""
    if not data:
        raise CommandError("Standard input holds no secret.", "it is one line")
    line = one_line(data, "Standard input")
    if b"\0" in line:
        raise CommandError("Standard input holds NUL bytes, so it is not UTF-8 text.")
    try:
        return line.decode()
    except UnicodeDecodeError:
        pass  # raised below: the exception holds the input
    raise CommandError("Standard input is not UTF-8 text.", "write it in UTF-8")


def check_secret(secret: str) -> bytes:
    """Return the secret as it is stored. Raises CommandError if it cannot be stored."""
    try:
        data = secret.encode()
    except UnicodeEncodeError:
        data = None
    if data is None:  # outside the handler for the same reason
        raise CommandError("The secret is not valid Unicode.", "give it by `-` on stdin")
    if len(data) > MAX_SECRET:
        raise CommandError(f"The secret is longer than {MAX_SECRET} bytes.")
    return data


def without_core() -> None:
    """Forbid a core file of this process, which holds a secret from now on."""
    if sys.platform == "win32":
        return  # Windows writes none
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
