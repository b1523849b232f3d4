"""Whatever comes by whichever entry: exactly that is stored, or a sentence is said and all stays."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tokenward
from support.auth_commands import PROGRAMS
from support.macaroons import token_of
from tokenward.keyring_program.standalone import program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

    from support.home import Home

    Entry = Callable[[Home, str, str, str], "CompletedProcess[str]"]

PYPI, OTHER = "https://upload.pypi.org/legacy/", "https://index.example/"
GOOD = token_of("pypi.org")
OVER = token_of("pypi.org", "over", "[0,1600000000,0]")
USER = "__token__"
PACKAGE = str(Path(tokenward.__file__).parent.parent)
BACKEND = """\
import sys
from tokenward.keyring_backend import Keyring
from keyring.errors import PasswordSetError
try:
    Keyring().set_password(*sys.argv[1:3], sys.stdin.buffer.read().decode("utf-8", "surrogateescape"))
except PasswordSetError as refused:
    sys.exit(f"refused: {refused}")
"""


def by_stdin(home: Home, service: str, user: str, secret: str) -> CompletedProcess[str]:
    option = ("--token", "-") if user == USER else ("-u", user, "--password", "-")
    return home.auth("login", service, *option, stdin=secret)


def by_option(home: Home, service: str, user: str, secret: str) -> CompletedProcess[str]:
    option = ("--token", secret) if user == USER else ("-u", user, "--password", secret)
    return home.auth("login", service, *option)


def by_keyring_set(home: Home, service: str, user: str, secret: str) -> CompletedProcess[str]:
    script = home.path / "keyring"
    script.write_text(program(sys.executable, PACKAGE))
    script.chmod(0o755)
    return home.run(script, "set", service, user, stdin=secret)


def by_backend(home: Home, service: str, user: str, secret: str) -> CompletedProcess[str]:
    return home.run(sys.executable, "-c", BACKEND, service, user, stdin=secret)


def by_docker(home: Home, service: str, user: str, secret: str) -> CompletedProcess[str]:
    said = json.dumps({"ServerURL": service, "Username": user, "Secret": secret})
    return home.run(PROGRAMS / "docker-credential-tokenward", "store", stdin=said)


def by_git(home: Home, service: str, user: str, secret: str) -> CompletedProcess[str]:
    host, _, path = service.removeprefix("https://").partition("/")
    said = {"protocol": "https", "host": host, "path": path, "username": user, "password": secret}
    lines = "".join(f"{key}={value}\n" for key, value in said.items())
    return home.run(PROGRAMS / "git-credential-tokenward", "store", stdin=f"{lines}\n")


def by_import(home: Home, service: str, user: str, secret: str) -> CompletedProcess[str]:
    (home.path / ".pypirc").write_text(
        f"[distutils]\nindex-servers = it\n[it]\nrepository = {service}\n"
        f"username = {user}\npassword = {secret}\n"
    )
    return home.auth("import", "pypirc", "--replace")


ENTRIES: dict[str, Entry] = {
    each.__name__: each
    for each in (by_stdin, by_option, by_keyring_set, by_backend, by_docker, by_git, by_import)
}


@pytest.fixture(params=list(ENTRIES))
def entry(request: pytest.FixtureRequest) -> Entry:
    return ENTRIES[request.param]


@pytest.fixture
def kept(home: Home) -> Iterator[Home]:
    for service in (PYPI, OTHER):
        home.done("login", service, "--token", GOOD)
    yield home
    for service in (PYPI, OTHER):
        assert home.done("token", service) == f"{GOOD}\n"


def test_what_pypi_would_refuse_replaces_no_good_token(kept: Home, entry: Entry) -> None:
    for secret in ("garbage", GOOD[:-2], token_of("test.pypi.org"), OVER, f"'{OVER}'"):
        done = entry(kept, PYPI, USER, secret)
        assert done.returncode or entry is by_docker, (secret, done)
        assert "token" in (done.stderr + done.stdout).lower()
        assert "Traceback" not in done.stderr
        assert secret not in done.stderr + done.stdout


def test_what_has_expired_replaces_nothing_at_any_index(kept: Home, entry: Entry) -> None:
    done = entry(kept, OTHER, USER, OVER)
    assert done.returncode
    assert "has expired" in done.stderr + done.stdout


def test_quotes_around_a_token_are_left_out_and_that_is_said(home: Home, entry: Entry) -> None:
    home.done("login", "--token", GOOD)
    other = token_of("pypi.org", "another")
    done = entry(home, PYPI, USER, f'"{other}"')
    assert done.returncode == 0, done
    assert "were removed" in done.stderr
    assert home.done("token") == f"{other}\n"


@pytest.mark.parametrize(
    "data",
    [
        b"p\xe4ss\n",
        b"\xff\xfes\0",
        b"Zm9v\nYmFy\n",
        b"first\r\n\r\nsecond",
        b"a\0b\n",
        b"",
        b"\n\n",
    ],
)
def test_stdin_that_is_not_one_line_of_text_stores_nothing(kept: Home, data: bytes) -> None:
    file = kept.path / "stdin"
    file.write_bytes(data)
    script = kept.path / "keyring"
    script.write_text(program(sys.executable, PACKAGE))
    script.chmod(0o755)
    for command in (
        f"auth login {OTHER} --token -",
        f"auth login {OTHER} -u alice --password -",
        *([f"./keyring set {OTHER} {USER}"] if data.strip() else []),
    ):
        done = kept.run("sh", "-c", f"{command} < stdin")
        assert done.returncode, done
        assert done.stderr.startswith(("error: ", "keyring: "))
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", [b"s3cret\n", b"\xef\xbb\xbfs3cret\r\n", b"s3cret\n\n"])
def test_one_line_of_text_is_stored_without_what_stands_around_it(home: Home, text: bytes) -> None:
    (home.path / "stdin").write_bytes(text)
    assert home.run("sh", "-c", f"auth login {OTHER} --token - < stdin").returncode == 0
    assert home.done("token", OTHER) == "s3cret\n"


@pytest.mark.parametrize("where", ["secret", "user", "service"])
def test_bytes_that_are_no_text_are_told_in_a_sentence(kept: Home, where: str) -> None:
    bad = os.fsdecode(b"x\xff")
    said = {"secret": GOOD, "user": "alice", "service": OTHER, where: bad}
    for entry in (by_option, by_docker):
        done = entry(kept, said["service"], said["user"], said["secret"])
        assert done.returncode, done
        assert "Traceback" not in done.stderr, done
