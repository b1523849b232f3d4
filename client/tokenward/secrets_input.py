"""Who is meant and where the secret comes from, as the command line and the URL say it.

Said twice is an error even where both say the same, so that a script never depends on which one
wins. `-` as a secret is one line of stdin, trimmed; a value on the command line is kept as it is.
Pure but for `line_of`, which reads the stream that it is given.
"""

from __future__ import annotations

from tokenward.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

TOKEN_USER = "__token__"  # noqa: S105 - the user name that every index knows tokens by
MAX_SECRET = 64 * 1024
"""Bytes of the longest secret: the body of one frame."""


class Given:
    """What was given: `username` and `secret` are None where it was not.

    `stdin` is true where the secret is to be read from there instead.
    """

    __slots__ = ("secret", "stdin", "username")

    def __init__(self, username: str | None, secret: str | None, stdin: bool) -> None:
        self.username = username
        self.secret = secret
        self.stdin = stdin

    @property
    def has_secret(self) -> bool:
        """Tell whether the secret is there or can be read without asking anybody."""
        return self.stdin or self.secret is not None


def username(flag: str | None, in_url: str | None) -> str | None:
    """Return the user name that is meant; CommandError if it is given twice."""
    if flag is not None and in_url is not None:
        raise CommandError(
            "The user name is given both in the URL and by `--username`.", "leave one of them out"
        )
    return in_url if flag is None else flag


def credential(
    *,
    username_flag: str | None,
    password_flag: str | None,
    token_flag: str | None,
    url_username: str | None,
    url_password: str | None,
) -> Given:
    """Return what `login` was given. Raises CommandError for whatever contradicts itself."""
    if token_flag is not None:
        for flag, value in (("--username", username_flag), ("--password", password_flag)):
            if value is not None:
                raise CommandError(
                    f"`--token` and `{flag}` exclude each other.",
                    f"a token's user name is {TOKEN_USER}; give the token alone",
                )
        if url_username not in {None, TOKEN_USER} or url_password is not None:
            raise CommandError(
                "`--token` is given beside a user name or password in the URL.",
                "leave one of them out",
            )
        return _given(TOKEN_USER, token_flag)
    name = username(username_flag, url_username)
    if password_flag is not None and url_password is not None:
        raise CommandError(
            "The password is given both in the URL and by `--password`.", "leave one of them out"
        )
    if password_flag is not None:
        return _given(name, password_flag)
    return Given(name, url_password, stdin=False)


def _given(name: str | None, value: str) -> Given:
    return Given(name, None, stdin=True) if value == "-" else Given(name, value, stdin=False)


def line_of(stream: BinaryIO) -> str:
    """Read one line, at most `MAX_SECRET` bytes of UTF-8, and trim it.

    Raises CommandError for anything that is none.
    """
    line = stream.readline(MAX_SECRET + 3)
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        text = None
    if text is None:  # outside the handler: the exception holds what was read
        raise CommandError("What stdin holds is not UTF-8 text.")
    if not text:
        raise CommandError("Standard input holds no secret.", "its first line is read for `-`")
    return text


def check_secret(secret: str) -> bytes:
    """Return the secret as it is stored. Raises CommandError for what cannot be stored."""
    try:
        data = secret.encode()
    except UnicodeEncodeError:
        data = None
    if data is None:  # outside the handler, likewise
        raise CommandError("The secret is not valid Unicode.", "give it by `-` on stdin")
    if len(data) > MAX_SECRET:
        raise CommandError(f"The secret is longer than {MAX_SECRET} bytes.")
    return data
