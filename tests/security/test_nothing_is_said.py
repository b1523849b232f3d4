"""No command says or writes down a secret: every one is driven here, well and badly.

Secrets and passphrases hold a mark. Whatever a command prints (but `auth token` and `auth helper`
on stdout) and whatever any file under the home holds afterwards is searched for it: as it is,
percent-encoded, in hexadecimal and in base64. A command that is new in the table fails here until
it is driven too.
"""

from __future__ import annotations

import base64
import json
import pickle
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.home import Home
from support.inspection.held_texts import files_below, paths_below
from support.inspection.marks import forms
from tokenward import cli
from tokenward.credentials.lookup import FoundCredential
from tokenward.credentials.python_api import Credential
from tokenward.transport.connection import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARK = "Zq7markedX4core"
SECRET = f'p/ä "{MARK}" %41+\\n'
PASSPHRASE = f"correct {MARK} staple"
URL, OTHER = "https://index.example/", "https://other.example/"
MADE = "https://made.example/"  # its credential is made by a command

FORMS = forms(MARK)
OF_ALL: list[list[str]] = [
    ["--help"],
    [f"--{MARK}"],
    [f"-{MARK}"],
    [f"--bogus={MARK}"],
    ["--format", SECRET],
    [f"--color={SECRET}"],
    [SECRET, SECRET, SECRET],
    [f"--quiet={SECRET}"],
]
"""What every command is given, beside its own."""

FILES = ["pypirc", "uv", "netrc", "poetry", "pip"]
EXPORT = ["backup", "--passphrase-file", "passphrase"]
LOGIN = ["login", URL, "-u", "ana", "--password", "-"]
GOOD: dict[str, list[list[str]]] = {
    "login": [
        [URL, "-u", "ana", "--password", SECRET],
        [OTHER, "--token", SECRET],
        [MADE, "-u", "ana", "--command", "--", "/bin/sh", "-c", 'cat "$HOME/made"'],
    ],
    "refresh": [[MADE]],
    "logout": [[URL, "-u", "ana"], ["--all"]],
    "token": [[URL], [URL, "--format", "json"], [f"https://ana:{MARK}@index.example/"]],
    "exec": [
        ["--index", URL, "--", "true"],
        ["--index", f"https://ana:{MARK}@index.example/", "--", "true"],
    ],
    "list": [[], ["--format", "json"]],
    "import": [[], [*FILES, "--dry-run"], [*FILES, "--format", "json"], [*FILES, "--remove"]],
    "export": [[*EXPORT], [*EXPORT, "--yes", "--format", "json"]],
    "dir": [[], ["--format", "json"]],
    "status": [[], ["--format", "json"]],
    "lock": [[]],
    "unlock": [[]],
    "passphrase set": [[], ["--keep-slots"]],
    "passphrase remove": [[]],
    "restore": [EXPORT, ["--previous", "--yes"], ["--previous", "--yes", "--format", "json"]],
    "agent start": [[]],
    "agent stop": [[]],
    "agent restart": [[]],
    "agent status": [["--format", "json"]],
    "agent install": [[], ["--format", "json"]],
    "agent uninstall": [[], ["--format", "json"]],
    "agent run": [["--format", "json"]],
    "trust": [["project"]],
    "share": [
        ["--service", URL, "--whole"],
        ["--service", f"https://ana:{MARK}@index.example/", "--whole", "--format", "json"],
        ["--stop", "--format", "json"],
    ],
    "setup": [[], ["flit", "--format", "json"], ["--undo"]],
    "completion": [["bash"]],
    "doctor": [[], ["--format", "json"]],
    "log": [
        [],
        ["--verify"],
        ["--format", "json"],
        ["--service", f"https://x:{MARK}@index.example/"],
    ],
    "helper": [["--protocol", "bazel", "get"]],
    "uninstall": [["--keep-credentials", "--yes"], ["--yes", "--format", "json"]],
}
GOOD_STDIN = {"helper": json.dumps({"uri": URL})}
BAD: dict[str, list[list[str]]] = {
    "login": [
        ["pypi", "--token", SECRET],
        ["pypi", "--token", f"pypi-{MARK}"],
        ["pypi", "--token", f"testpypi-{MARK}"],
        [URL, "-u", "ana", "--password", SECRET, "--token", SECRET],
        [f"https://ana:{SECRET}@index.example/", "--password", SECRET],
        [f"https://ana:{MARK}/index.example"],
        [f"http://ana:{MARK}@index.example/"],
        [f"ftp://ana:{MARK}@index.example/"],
        [f"https://ana:{MARK}@index.example:99999/"],
        [f"https://index.example/?token={MARK}#{MARK}"],
        [SECRET],
        [f"pypi-{MARK}"],
        [URL, "-u", "ana", "--password", SECRET, "--lifetime", SECRET],
        [URL, "-u", "ana", "--password", SECRET, "--keyring-provider", SECRET],
        [URL, "-u", "ana", "--password", SECRET, "--keyring-provider", "keyring"],
        [URL, "-u", "ana", "--password", SECRET, "--adopt"],
        [URL, "-u", "ana", "--password", "x" * 70_000 + SECRET],
        [URL, "--password", SECRET],
    ],
    "logout": [[OTHER], [f"https://ana:{MARK}@none.example/"], [f"pypi-{MARK}"], [SECRET]],
    "token": [
        ["https://none.example/"],
        [f"https://ana:{MARK}@none.example/"],
        [f"pypi-{MARK}"],
        [SECRET],
        [URL, "--keyring-provider", SECRET],
    ],
    "exec": [
        ["--index", URL],
        ["--index", URL, SECRET],
        ["--index", URL, f"./{MARK}"],
        ["--index", URL, "pdm", "publish", "-r", SECRET],
        ["--index", SECRET, "true"],
        ["--index", f"pypi-{MARK}", "true"],
        ["--index", f"https://ana:{MARK}@none.example/", "true"],
    ],
    "import": [["--remove"], [SECRET], ["keyring"], ["netrc", "--host", SECRET]],
    "export": [["project", *EXPORT[1:]], ["other"], ["other", "--passphrase-file", "none"]],
    "restore": [
        [],
        ["--keyring-provider", SECRET],
        ["backup"],
        ["passphrase", *EXPORT[1:]],
        ["backup", "--passphrase-file", "backup"],
    ],
    "unlock": [["--keyring-provider", SECRET]],
    "trust": [["broken"], ["none"]],
    "share": [
        ["--service", URL],
        ["--service", "pypi", "--project", SECRET],
        ["--service", SECRET],
        ["--service", URL, "--whole", "--at", f"none/{SECRET}"],
        ["--stop", "--uid", SECRET],
    ],
}
CONFIGURATIONS = {
    ".pypirc": (
        "[distutils]\nindex-servers = team\n[team]\nusername = ana\n"  # noqa: ISC004
        f"repository = https://u:{MARK}@team.example/\npassword = {MARK}\n",
        f"[team\npassword = {MARK}\n",
    ),
    ".config/uv/uv.toml": (
        f'[[index]]\nname = "corp"\nurl = "https://u:{MARK}@corp.example/"\n',
        f'[[index]\nurl = "{MARK}"\n',
    ),
    ".config/tokenward/config.toml": (
        f'[index.mine]\nurl = "https://u:{MARK}@mine.example/"\n',
        f'index = "{MARK}\n',
    ),
    ".netrc": (
        f"machine team.example login ana password {MARK}\n",
        f"machine team.example {MARK}\n",
    ),
    ".local/share/uv/credentials/credentials.toml": (
        '[[credential]]\nservice = "https://kept.example/"\nusername = "ana"\n'  # noqa: ISC004
        f'password = "{MARK}"\n',
        f'[[credential]\npassword = "{MARK}"\n',
    ),
    ".config/pypoetry/auth.toml": (
        f'[pypi-token]\npypi = "{MARK}"\nother = "{MARK}"\n',
        f'[pypi-token\npypi = "{MARK}"\n',
    ),
    ".config/pip/pip.conf": (
        f"[global]\nindex-url = https://ana:{MARK}@pip.example/simple\n",
        f"[global\nindex-url = https://ana:{MARK}@pip.example/simple\n",
    ),
    "project/uv.toml": (
        'keyring-provider = "disabled"\n'  # noqa: ISC004
        f'[[index]]\nname = "proj"\nurl = "https://u:{MARK}@proj.example/"\n',
        f'[[index]\nurl = "{MARK}"\n',
    ),
}
"""Files of the user with secrets in them: as they should be, and broken."""


class Watched:
    """A home in which every command is looked at, and every file that appears."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.ours: set[Path] = set()

    def write(self, name: str, text: str) -> None:
        """Write a file that may hold the mark."""
        path = self.home.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        self.ours.add(path)

    def auth(self, *words: str, stdin: str = "", **variables: str) -> int:
        """Run a command and search what it said and wrote; return its exit status."""
        done = self.home.auth(*words, stdin=stdin, **variables)
        hands_out = done.returncode == 0 and words[0] in {"token", "helper"}
        said = done.stderr if hands_out else str(done.stdout)
        for text in (said, done.stderr):
            for form in FORMS:
                assert form not in text.encode(), (words, text)
        assert "Traceback" not in done.stderr, (words, done.stderr)
        self.search(words)
        return done.returncode

    def search(self, after: object) -> None:
        """Search every file, and every file's name."""
        assert not list(paths_below(self.home.path, f"*{MARK}*"))
        for path, data in files_below(self.home.path):
            for form in () if path in self.ours else FORMS:
                assert form not in data, (path, after)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with Home() as home:
        (home.path / "tmp").mkdir()
        home.environment["TMPDIR"] = str(home.path / "tmp")
        yield Watched(home)


@pytest.fixture
def passphrase(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE)
    path.chmod(0o600)
    return {"TOKENWARD_PASSPHRASE_FILE": str(path)}


def test_every_command_is_driven() -> None:
    assert set(GOOD) == set(cli.COMMANDS)


def test_the_search_finds_every_form(watched: Watched) -> None:
    hidden = SECRET.encode()
    for text in (hidden, hidden.hex().encode(), base64.b64encode(b"x" + hidden)):
        path = watched.home.path / "found"
        path.write_bytes(b"before" + text + b"behind")
        with pytest.raises(AssertionError):
            watched.search("")


@pytest.mark.parametrize("protected", [False, True], ids=["key file", "passphrase"])
def test_no_command_says_or_writes_a_secret(
    watched: Watched, passphrase: dict[str, str], *, protected: bool
) -> None:
    environ = passphrase if protected else {}
    watched.write("project/uv.toml", 'keyring-provider = "disabled"\n')
    watched.write("passphrase", PASSPHRASE)
    watched.write("made", SECRET)
    watched.write(".pypirc", CONFIGURATIONS[".pypirc"][0])
    for command, variants in GOOD.items():
        assert watched.auth(*LOGIN, "-v", stdin=f"{SECRET}\n", **environ) == 0
        for words in variants:
            given = environ if command != "passphrase set" else passphrase
            stdin = GOOD_STDIN.get(command, "")
            status = watched.auth(*command.split(), *words, "-v", stdin=stdin, **given)
            if command not in {"restore", "passphrase remove", "agent run"}:
                assert status == 0, (command, words)
        watched.auth("unlock", **environ)
    for command, variants in BAD.items():
        for words in variants:
            status = watched.auth(*command.split(), *words, "-v", **environ)
            assert status == 2, (command, words)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_no_wrong_use_makes_a_command_quote_a_secret(watched: Watched, command: str) -> None:
    for words in OF_ALL:
        status = watched.auth(*command.split(), *words)
        assert (status == 0) == (words == ["--help"]), (command, words)


@pytest.mark.parametrize("words", OF_ALL, ids=range(len(OF_ALL)))
def test_options_before_the_command_are_not_quoted_either(
    watched: Watched, words: list[str]
) -> None:
    watched.auth(*words, "login")
    watched.auth(*words)


@pytest.mark.parametrize("broken", [None, *CONFIGURATIONS])
def test_no_command_quotes_what_stands_in_a_file(watched: Watched, broken: str | None) -> None:
    for name, (whole, damaged) in CONFIGURATIONS.items():
        if broken in {None, name}:
            watched.write(name, whole if broken is None else damaged)
    for command in GOOD:
        words = ["project"] if command == "trust" else []
        if command != "agent run":
            watched.auth(*command.split(), *words, "-v")
    for server in ("team", "corp", "mine", "proj"):
        watched.auth("token", server, "-v", "-u", "nobody")
        watched.auth("exec", "--env", "--index", server, "-v", "--", "true")
        watched.auth("logout", server, "-v")
    watched.home.environment["PIP_CONFIG_FILE"] = ""
    for words in ([], [*FILES, "--dry-run"], [*FILES, "--remove"], [*FILES, "--replace"]):
        watched.auth("import", *words, "-v")


def test_no_variable_of_the_environment_is_quoted(
    watched: Watched, passphrase: dict[str, str]
) -> None:
    variables: dict[str, str] = dict.fromkeys(
        ("UV_PUBLISH_TOKEN", "UV_PUBLISH_PASSWORD", "UV_INDEX_TOKEN_TEAM", "UV_KEYRING_PROVIDER"),
        SECRET.replace("\n", ""),
    )
    variables["UV_PUBLISH_URL"] = f"https://u:{MARK}@publish.example/"
    for command in GOOD:
        if command != "agent run":
            watched.auth(*command.split(), "-v", **variables)
    watched.auth("token", "https://publish.example/", "-v", **variables)
    watched.auth(*LOGIN, stdin=f"{SECRET}\n", **passphrase)
    watched.auth("lock")
    wrong = watched.home.path / "askpass"
    wrong.write_text(f"#!/bin/sh\necho wrong-{MARK}\n")
    wrong.chmod(0o700)
    watched.ours.add(wrong)
    assert watched.auth("unlock", "-v", TOKENWARD_ASKPASS=str(wrong)) == 2
    wrong.write_text(f"#!/bin/sh\necho {MARK}\nexit 3\n")
    assert watched.auth("unlock", "-v", TOKENWARD_ASKPASS=str(wrong)) == 2


def test_a_secret_in_an_object_is_neither_shown_nor_pickled() -> None:
    found = FoundCredential(URL, "ana", SECRET.encode(), "agent", ("provider", "disabled"))
    for held in (Credential("ana", SECRET), Answer({"ok": True}, SECRET.encode()), found):
        assert MARK not in f"{held!r} {held}"
        with pytest.raises(TypeError) as refused:
            pickle.dumps(held)
        assert MARK not in str(refused.value)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (f"{tool}-credential-tokenward", words)
        for tool, operations in {
            "git": ["get", "store", "erase"],
            "docker": ["get", "store", "erase", "list"],
            "cargo": ["--cargo-plugin"],
        }.items()
        for words in ([], *([operation] for operation in operations), [MARK])
    ]
    + [("auth", ["helper", "--protocol", "bazel", "get", "-v"])],
)
def test_no_helper_quotes_what_it_cannot_use(
    watched: Watched, program: str, words: list[str]
) -> None:
    said = [
        MARK,
        f"{MARK}\0=x\n",
        f"protocol=http\nhost=u:{MARK}@h.example\nusername=u\npassword={MARK}\n",
        f"protocol=https\nhost=h.example\nusername={'u' * 3000}\npassword={MARK}\n",
        f"http://u:{MARK}@h.example/",
        json.dumps({"ServerURL": f"http://u:{MARK}@h.example", "Username": "u", "Secret": MARK}),
        json.dumps({"ServerURL": "r.example", "Secret": MARK}),
        json.dumps({"v": 1, "kind": "login", "token": MARK, "registry": {"index-url": MARK}}),
        json.dumps({"uri": MARK}),
        json.dumps({"uri": f"https://u:{MARK}@h.example:99999/"}),
    ]
    for stdin in said:
        done = watched.home.run(program, *words, stdin=stdin)
        assert MARK not in done.stdout + done.stderr, stdin
        assert "Traceback" not in done.stderr
    watched.search(program)


def test_the_python_interface_quotes_nothing(watched: Watched) -> None:
    watched.auth(*LOGIN, stdin=f"{SECRET}\n")
    program = (
        "import tokenward\n"
        f"print(tokenward.get({URL!r}))\n"
        f"for url in ('ftp://u:{MARK}@h.example/', 'pypi-{MARK}', 'https://none.example/'):\n"
        "    try: print(tokenward.get(url))\n"
        "    except Exception as error: print(repr(error), error)\n"
    )
    done = watched.home.run(PROGRAMS / "python", "-c", program)
    assert "Credential(username='ana')" in done.stdout, done
    assert MARK not in done.stdout + done.stderr
    watched.search("tokenward.get")
