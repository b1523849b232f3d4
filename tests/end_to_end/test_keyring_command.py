"""The `keyring` program: every call that tools make, and how it makes way for the next one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tokenward
from support.agents.reference import ReferenceAgent
from support.systems.desktop_keyrings import gnome_keyring
from support.waiting import PATIENCE
from tokenward.keyring_program.standalone import program

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from support.home import Home

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")

URL = "https://h.example/simple/"
SECRET = "pässwörd with \n two lines"
PACKAGE = str(Path(tokenward.__file__).parent.parent)
NEXT = """\
#!/bin/sh
echo "next: $*"
cat
exit 3
"""


class Keyring:
    """The program in a folder on PATH, behind it one with another `keyring` if there is to be one."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.path = self.write("bin", program(sys.executable, PACKAGE))
        self.folders = [str(self.path.parent), "/usr/bin", "/bin"]

    def write(self, folder: str, text: str) -> Path:
        path = self.home.path / folder / "keyring"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def put_behind(self) -> None:
        """Put another `keyring` on PATH."""
        self.folders.append(str(self.write("other", NEXT).parent))

    def __call__(self, *words: str, stdin: str = "", **variables: str) -> CompletedProcess[str]:
        variables.setdefault("PATH", ":".join(self.folders))
        return self.home.run("keyring", *words, stdin=stdin, **variables)


@pytest.fixture
def keyring(home: Home) -> Keyring:
    return Keyring(home)


@pytest.fixture
def alice(keyring: Keyring) -> Keyring:
    keyring.home.done("login", URL, "-u", "alice", "--password", SECRET)
    return keyring


@pytest.mark.parametrize("service", [URL, "https://H.example", "https://alice@h.example/simple"])
def test_the_secret_of_a_user_is_printed_as_it_is(alice: Keyring, service: str) -> None:
    found = alice("get", service, "alice")
    assert (found.returncode, found.stdout, found.stderr) == (0, f"{SECRET}\n", "")
    assert alice("--mode=password", "get", service, "alice").stdout == f"{SECRET}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("get", URL, "--mode", "creds"),
        ("--mode", "creds", "get", URL),
        ("--mode=creds", "get", URL, ""),
        ("get", "--mode=creds", URL, "alice"),
        ("--output=plain", "--mode=creds", "get", URL),
    ],
    ids=" ".join,
)
def test_creds_are_two_lines_in_whatever_order_the_options_come(
    alice: Keyring, words: tuple[str, ...]
) -> None:
    assert alice(*words).stdout == f"alice\n{SECRET}\n"


@pytest.mark.parametrize("words", [("get", URL), ("get", URL, "alice"), ("get", "h.example")])
def test_json_is_one_object(alice: Keyring, words: tuple[str, ...]) -> None:
    found = alice("--mode=creds", "--output=json", *words)
    if words[1] == URL:
        assert json.loads(found.stdout) == {"username": "alice", "password": SECRET}
    else:
        assert (found.returncode, found.stdout, found.stderr) == (1, "", "")
    found = alice("get", URL, "alice", "--output", "json")
    assert json.loads(found.stdout) == {"password": SECRET}


MISSES = [
    ("get", "https://other.example/", "alice"),
    ("get", URL, "__token__"),
    ("get", "h.example", "alice"),
    ("--mode=creds", "--output=json", "get", "https://other.example/"),
    ("del", "https://other.example/", "alice"),
]
FOREIGN = [
    ("get", URL),
    ("get", URL, "alice", "more"),
    ("--list-backends",),
    ("diagnose",),
    ("-b", "keyring.backends.null.Keyring", "get", URL, "alice"),
    ("get", URL, "alice", "--mode", "other"),
    ("set", "mail", "me"),
    ("del", "mail", "me"),
    (),
]


@pytest.mark.parametrize("words", MISSES + FOREIGN, ids=" ".join)
def test_what_is_not_here_ends_quietly_where_there_is_no_other_keyring(
    alice: Keyring, words: tuple[str, ...]
) -> None:
    found = alice(*words)
    assert (found.returncode, found.stdout) == (1, "")
    assert (found.stderr == "") is bool({"get", "set", "del"} & set(words))


@pytest.mark.parametrize("words", [("diagnose",), ("--list-backends",), ()], ids=" ".join)
def test_a_word_that_no_keyring_answers_is_told_what_this_one_does(
    alice: Keyring, words: tuple[str, ...]
) -> None:
    found = alice(*words)
    assert found.stderr.startswith("This is the keyring of tokenward")
    assert "keyring get " in found.stderr


def test_help_without_another_keyring_is_data(alice: Keyring) -> None:
    found = alice("--help")
    assert (found.returncode, found.stderr) == (0, "")
    assert "keyring get " in found.stdout


@pytest.mark.parametrize("words", MISSES + FOREIGN, ids=" ".join)
def test_what_is_not_here_is_the_next_keyrings_with_its_words_input_and_status(
    alice: Keyring, words: tuple[str, ...]
) -> None:
    alice.put_behind()
    found = alice(*words, stdin="from stdin")
    assert (found.returncode, found.stdout) == (3, f"next: {' '.join(words)}\nfrom stdin")


def test_a_set_is_a_login_and_a_del_a_logout(keyring: Keyring) -> None:
    keyring.put_behind()
    assert keyring("set", "https://h.example/simple/", "bob", stdin="made-up\n\n").returncode == 0
    assert keyring.home.done("token", "https://h.example", "-u", "bob") == "made-up\n"
    assert keyring("set", "h.example", "bob", stdin="opaque").returncode == 0
    assert keyring("get", "h.example", "bob").stdout == "opaque\n"
    assert keyring("del", "https://h.example", "bob").returncode == 0
    assert keyring("get", "https://h.example", "bob").returncode == 3


def test_a_locked_vault_is_said_once_to_whoever_calls(alice: Keyring) -> None:
    alice.put_behind()
    alice.home.done("lock")
    said = "tokenward: The file vault is not open. (`auth unlock`)\n"
    for told in (said, "", ""):
        found = alice("get", URL, "alice")
        assert (found.returncode, found.stdout, found.stderr) == (1, "", told)
    three = f"keyring get {URL} alice; keyring get {URL} alice; keyring get {URL}/file alice; :"
    for _ in range(2):  # another tool each
        tool = alice.home.run("sh", "-c", three, PATH=":".join(alice.folders))
        assert (tool.stdout, tool.stderr) == ("", said)
    captures = (
        "import subprocess, sys; a = ['keyring', '--mode=creds', '--output=json', 'get', '"
        + URL
        + "'];"
        "sys.stderr.write(subprocess.run(a, capture_output=True, text=True).stderr * SHOWN)"
    )
    for name, shown in ({"pip": 0, "uv": 1} if sys.platform == "linux" else {}).items():
        script = alice.home.path / name
        script.write_text(captures.replace("SHOWN", str(shown)))
        tool = alice.home.run(sys.executable, script, PATH=":".join(alice.folders))
        assert (tool.stdout, tool.stderr) == ("", said), "pip shows nothing of what it captures"
    failed = alice("set", URL, "alice", stdin="new")
    assert failed.returncode == 1
    assert "`auth unlock`" in failed.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="a Secret Service")
@pytest.mark.parametrize("own", [None, "unix:path=/nowhere/bus"], ids=["no bus", "an old bus"])
@pytest.mark.parametrize("way", ["program", "backend"])
def test_an_agent_without_a_bus_opens_its_keyring_by_that_of_the_tool(
    way: str, own: str | None, keyring: Keyring, tmp_path: Path
) -> None:
    home = keyring.home
    with gnome_keyring(tmp_path) as session:
        there: dict[str, str] = {}
        session.join(there)
        words = ("login", URL, "-u", "alice", "--password", "made-up")
        home.done(*words, "--keyring-provider", "keyring", **there)
        home.done("agent", "stop")
        home.done("agent", "start", **({} if own is None else {"DBUS_SESSION_BUS_ADDRESS": own}))
        assert keyring("get", URL, "alice").stdout == ""
        if way == "program":
            assert keyring("get", URL, "alice", **there).stdout == "made-up\n"
        else:
            code = f"import keyring; print(keyring.get_password('{URL}', 'alice'))"
            assert home.run(sys.executable, "-c", code, **there).stdout == "made-up\n"
        home.done("agent", "stop")


def test_what_was_never_stored_is_the_next_keyrings_while_the_vault_is_locked(
    alice: Keyring,
) -> None:
    alice.put_behind()
    alice.home.done("lock")
    for words in (
        ("get", "https://other.example/", "bob"),
        ("del", "https://other.example/", "bob"),
    ):
        found = alice(*words)
        assert (found.returncode, found.stdout) == (3, f"next: {' '.join(words)}\n")
    alice.home.done("agent", "stop")
    found = alice("get", "https://other.example/", "bob", TOKENWARD_NO_AUTOSTART="1")
    assert (found.returncode, found.stdout) == (3, "next: get https://other.example/ bob\n")
    assert alice("get", URL, "alice", TOKENWARD_NO_AUTOSTART="1").stdout == ""
    assert alice("get", URL, "alice").stdout == ""
    twice = f"keyring get {URL} alice; keyring get {URL} alice; :"
    variables = {
        "PATH": ":".join(alice.folders),
        "TOKENWARD_SOCK": str(alice.home.path / "gone.sock"),
    }
    gone = alice.home.run("sh", "-c", twice, **variables)
    assert gone.stdout == f"next: get {URL} alice\n" * 2
    assert gone.stderr.count("No agent answers at the socket that TOKENWARD_SOCK names.") == 1


def test_the_agent_is_started_where_it_may_be(alice: Keyring) -> None:
    alice.home.done("agent", "stop")
    assert alice("get", URL, "alice", TOKENWARD_NO_AUTOSTART="1").stdout == ""
    assert alice("get", URL, "alice").stdout == f"{SECRET}\n"


@pytest.mark.parametrize("gone", ["interpreter", "package"])
def test_without_tokenward_it_is_as_if_it_were_not_there(alice: Keyring, gone: str) -> None:
    python = "/nowhere/python" if gone == "interpreter" else sys.executable
    package = PACKAGE if gone == "interpreter" else "/nowhere"
    alice.write("bin", program(python, package))
    found = alice("get", URL, "alice")
    assert (found.returncode, found.stdout, found.stderr) == (1, "", "")
    alice.put_behind()
    assert alice("get", URL, "alice").stdout == f"next: get {URL} alice\n"


def test_two_of_these_do_not_call_each_other_for_ever(alice: Keyring) -> None:
    copy = alice.write("copy", alice.path.read_text())
    alice.folders = [str(alice.path.parent), str(copy.parent), *alice.folders]
    assert alice("get", "https://other.example/", "alice").returncode == 1
    link = alice.home.path / "link"
    link.symlink_to(alice.path.parent)
    alice.folders = [str(link), *alice.folders]
    assert alice("get", "https://other.example/", "alice").returncode == 1


def test_one_that_comes_before_it_on_path_is_passed_on_to_as_well(alice: Keyring) -> None:
    activated = alice.write("venv", NEXT)
    alice.folders = [str(activated.parent), *alice.folders]
    words = ("get", "https://other.example/", "alice")
    found = alice.home.run(alice.path, *words, PATH=":".join(alice.folders))
    assert (found.returncode, found.stdout) == (3, f"next: {' '.join(words)}\n")
    assert alice.home.run(alice.path, "get", URL, "alice", PATH=":".join(alice.folders)).stdout


def test_one_that_asks_us_in_turn_is_passed_on_to_once(alice: Keyring) -> None:
    calls = alice.home.path / "calls"
    asks_us = f'#!/bin/sh\necho called >> {calls}\nexec {alice.path} "$@"\n'
    alice.folders.append(str(alice.write("other", asks_us).parent))
    found = alice("get", "https://other.example/", "alice")
    assert (found.returncode, found.stdout, found.stderr) == (1, "", "")
    assert calls.read_text() == "called\n"


def test_a_copy_of_it_does_not_stand_before_the_next(alice: Keyring) -> None:
    copy = alice.write("copy", alice.path.read_text() + "\n")
    alice.folders.append(str(copy.parent))
    alice.put_behind()
    words = ("get", "https://other.example/", "alice")
    assert alice(*words).stdout == f"next: {' '.join(words)}\n"


def test_nobody_elses_module_is_loaded(alice: Keyring) -> None:
    (alice.home.path / "json.py").write_text("raise SystemExit('not this one')")
    (alice.home.path / "os.py").write_text("raise SystemExit('not this one')")
    found = alice("get", URL, "alice", "--output=json", PYTHONPATH=str(alice.home.path))
    assert json.loads(found.stdout) == {"password": SECRET}


def test_it_is_interrupted_without_a_word(keyring: Keyring) -> None:
    folder = keyring.home.path / "run/tokenward"
    folder.mkdir(mode=0o700)
    asked = threading.Event()

    def silent(_: object) -> bytes:
        asked.set()
        return b"\0"

    with ReferenceAgent(folder / "agent.sock", instead=silent):
        running = subprocess.Popen(
            [keyring.path, "get", URL, "alice"],
            env=keyring.home.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert asked.wait(PATIENCE)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        assert running.communicate() == ("", "")
        assert running.returncode in {-signal.SIGINT, 130}
