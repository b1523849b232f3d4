"""What a command behind a relay finds of tokenward: a mark, reasons, and nothing to use elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import keyring.backend
import keyring.core
import keyring.errors
import pytest
from keyring.credentials import SimpleCredential

import tokenward
from support.agents.reference import made_home, served_here
from support.auth_commands import PROGRAMS
from support.servers.http_server import basic
from support.servers.simple_index import simple_index
from tokenward.keyring_backend import Keyring
from tokenward.keyring_program.standalone import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

    from support.home import Home
    from support.servers.http_server import Loopback

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no relay yet")

SECRET = "s3cret-of-the-index"
PACKAGE = str(Path(tokenward.__file__).parent.parent)


@pytest.fixture
def index(home: Home) -> Iterator[Loopback]:
    """An index at http on this machine, `corp`, logged in to."""
    with simple_index("one==1.0", account=("alice", SECRET)) as it:
        configure(home, it)
        home.log_in("corp", SECRET)
        yield it


def configure(home: Home, index: Loopback, more: str = "") -> None:
    settings = home.path / ".config/tokenward/config.toml"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(f'{more}\n[services.corp]\nurl = "{index.url}a/simple/"\n')


def inside(
    home: Home, *command: str | Path, stdin: str = "", options: tuple[str, ...] = ()
) -> CompletedProcess[str]:
    """Run a command behind a relay."""
    execute = ("exec", "--relay", "--index", "corp", *options, "--")
    return home.run(PROGRAMS / "auth", *execute, *command, stdin=stdin)


def test_an_index_at_http_on_this_machine_is_read_with_the_credential(
    home: Home, index: Loopback
) -> None:
    read = inside(home, "curl", "-sSf", f"{index.url}a/simple/one/")
    assert read.returncode == 0, read.stderr
    assert "one-1.0-py3-none-any.whl" in read.stdout
    assert index.seen() == [basic("alice", SECRET)]


def test_the_environment_holds_no_credential(home: Home, index: Loopback) -> None:
    shown = inside(home, "env")
    assert shown.returncode == 0
    assert "tokenward-run-" in shown.stdout
    assert SECRET not in shown.stdout + shown.stderr


@pytest.mark.parametrize("service", ["corp", "URL"])
@pytest.mark.parametrize("options", [(), ("--describe",), ("--format", "json")])
def test_auth_token_says_why_it_is_refused(
    service: str, options: tuple[str, ...], home: Home, index: Loopback
) -> None:
    named = index.url if service == "URL" else service
    asked = inside(home, PROGRAMS / "auth", "token", named, *options)
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "behind a relay" in asked.stderr
    assert "auth exec --env" in asked.stderr


def test_the_function_for_programs_says_why_it_is_refused(home: Home, index: Loopback) -> None:
    text = f"import tokenward; tokenward.get({index.url!r})"
    asked = inside(home, sys.executable, "-c", text)
    assert asked.returncode == 1
    assert "behind a relay" in asked.stderr


def test_a_run_begins_no_other_one(home: Home, index: Loopback) -> None:
    asked = inside(home, PROGRAMS / "auth", "exec", "--env", "--index", "corp", "--", "env")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "behind a relay already" in asked.stderr


def test_the_helpers_have_nothing_of_ours(home: Home, index: Loopback) -> None:
    host = index.netloc
    git = f"protocol=http\nhost={host}\n\n"
    registry = {"index-url": f"sparse+{index.url}"}
    cargo = json.dumps({"v": 1, "registry": registry, "kind": "get", "operation": "read"})
    asked = {
        "git": inside(home, PROGRAMS / "git-credential-tokenward", "get", stdin=git),
        "docker": inside(home, PROGRAMS / "docker-credential-tokenward", "get", stdin=index.url),
        "cargo": inside(
            home, PROGRAMS / "cargo-credential-tokenward", "--cargo-plugin", stdin=f"{cargo}\n"
        ),
        "bazel": inside(
            home,
            *(PROGRAMS / "auth", "helper", "--protocol", "bazel", "get"),
            stdin=json.dumps({"uri": index.url}),
        ),
    }
    assert (asked["git"].returncode, asked["git"].stdout, asked["git"].stderr) == (0, "", "")
    assert asked["docker"].stdout == "credentials not found in native keychain\n"
    assert json.loads(asked["cargo"].stdout.splitlines()[1]) == {"Err": {"kind": "not-found"}}
    assert json.loads(asked["bazel"].stdout) == {"headers": {}}


def test_git_stores_nothing_and_erases_nothing(home: Home, index: Loopback) -> None:
    said = f"protocol=http\nhost={index.netloc}\nusername=alice\npassword={{}}\n\n"
    for operation, secret in (("store", "tokenward-run-x"), ("erase", SECRET)):
        text = said.format(secret)
        done = inside(home, PROGRAMS / "git-credential-tokenward", operation, stdin=text)
        assert (done.returncode, done.stderr) == (0, "")
    assert home.done("token", "corp") == f"{SECRET}\n"


@pytest.mark.parametrize(
    "words", [("get", "URL", "alice"), ("set", "URL", "alice"), ("del", "URL", "alice")]
)
def test_the_keyring_program_passes_everything_on(
    words: tuple[str, ...], home: Home, index: Loopback
) -> None:
    first, second = home.path / "first", home.path / "second"
    for folder, text in (
        (first, program(sys.executable, PACKAGE)),
        (second, "#!/bin/sh\necho next $1\n"),
    ):
        folder.mkdir()
        (folder / "keyring").write_text(text)
        (folder / "keyring").chmod(0o755)
    home.environment["PATH"] = f"{first}:{second}:/usr/bin:/bin"
    asked = inside(home, "keyring", *(index.url if word == "URL" else word for word in words))
    assert (asked.returncode, asked.stdout) == (0, f"next {words[0]}\n")
    assert home.done("token", "corp") == f"{SECRET}\n"


class Others(keyring.backend.KeyringBackend):
    """A plug-in for other indexes."""

    priority = 5  # pyright: ignore[reportAssignmentType]  # a number where keyring declares a property

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's base class is not annotated
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Others]:
    """The plug-in beside our backend, in a run, with an agent that would answer."""
    made_home(tmp_path, monkeypatch)
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    it = Others()
    monkeypatch.setattr(keyring.backend, "get_all_keyring", lambda: [it])
    with served_here(
        tmp_path, monkeypatch, {("https://h.example/", "alice"): b"ours"}
    ) as reference:
        monkeypatch.setenv("TOKENWARD_RELAY", "1")
        before = len(reference.requests)
        yield it
    assert len(reference.requests) == before


def ours() -> Keyring:
    return Keyring()  # type: ignore[no-untyped-call]  # keyring's base class is not annotated


def test_the_backend_lets_plug_ins_answer_and_asks_no_agent(others: Others) -> None:
    others.held["https://other.example/", "alice"] = "theirs"
    assert ours().get_password("https://other.example/", "alice") == "theirs"
    assert ours().get_password("https://h.example/", "alice") is None
    found = ours().get_credential("https://other.example/", "alice")
    assert isinstance(found, SimpleCredential)


def test_the_backend_passes_changes_on(others: Others) -> None:
    ours().set_password("https://h.example/", "alice", "new")
    assert others.held == {("https://h.example/", "alice"): "new"}
    ours().delete_password("https://h.example/", "alice")
    assert others.held == {}


def test_the_backend_alone_stores_nothing(others: Others, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring.backend, "get_all_keyring", list)
    with pytest.raises(keyring.errors.PasswordSetError, match="behind a relay"):
        ours().set_password("https://h.example/", "alice", "new")


def test_the_settings_choose_the_relay_and_both_options_override_them(
    home: Home, index: Loopback
) -> None:
    execute = ("exec", "--index", "corp")
    assert "TOKENWARD_RELAY=1" in home.done(*execute, "--", "env")
    configure(home, index, 'exec = "relay"')
    assert "TOKENWARD_RELAY=1" in home.done(*execute, "--", "env")
    assert "TOKENWARD_RELAY" not in home.done(*execute, "--env", "--", "env")
    configure(home, index, 'exec = "env"')
    assert "TOKENWARD_RELAY" not in home.done(*execute, "--", "env")
    assert "TOKENWARD_RELAY=1" in home.done(*execute, "--relay", "--", "env")


def test_a_run_that_only_reads_is_behind_a_relay(home: Home, index: Loopback) -> None:
    execute = ("exec", "--read-only", "--index", "corp", "--", "env")
    assert "TOKENWARD_RELAY=1" in home.done(*execute)
    assert "leave `--env` out" in home.refused("exec", "--env", *execute[1:])
    configure(home, index, 'exec = "env"')
    assert "add `--relay`" in home.refused(*execute)
    both = ("exec", "--relay", "--read-only", "--project", "one", "--index", "corp", "--", "env")
    assert "exclude each other" in home.refused(*both)


def test_a_proxy_that_a_relay_cannot_use_starts_nothing(home: Home, index: Loopback) -> None:
    home.environment["ALL_PROXY"] = "https://127.0.0.1:9"
    asked = inside(home, "env")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "ALL_PROXY names neither an http proxy nor a SOCKS5 one" in asked.stderr


@pytest.mark.parametrize("options", [("--read-only",), ()])
def test_who_may_not_publish_is_told_so_before_a_byte_reaches_the_index(
    options: tuple[str, ...], home: Home, index: Loopback
) -> None:
    form = ("-F", ":action=file_upload", "-F", "name=one", f"{index.url}a/simple/")
    asked = inside(home, "curl", "-sS", *form, options=options)
    assert "this run may publish nothing to corp" in asked.stdout
    assert asked.stderr.count("this run may publish nothing to corp") == 1
    assert index.requests == []


def test_what_a_tool_hides_is_said_once(home: Home, index: Loopback) -> None:
    url = f"{index.url}private/"
    asked = inside(home, "curl", "-sS", "-o", "/dev/null", "-o", "/dev/null", url, url)
    assert asked.stderr.count("this run may not read /private/ of corp") == 1
    assert "also-read" in asked.stderr


def test_no_prompt_comes_of_a_credential_that_the_index_refuses(
    home: Home, index: Loopback
) -> None:
    home.log_in("corp", "another secret")
    asked = inside(home, "curl", "-sS", "-w", "%{http_code}", f"{index.url}a/simple/one/")
    assert asked.stdout.endswith("403")
    assert "corp did not accept the stored credential" in asked.stderr
