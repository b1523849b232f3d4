"""A sealed password leaves through a relay and in no other way: every other way out is tried.

It holds a mark. Every request of the protocol, every command and every program of the distribution
asks for it here, and whatever comes out is searched: answers byte by byte, stdout, stderr, and every
file of the home. A request, command or program that is new fails here until it is tried, too. The
index has TLS, and the relay reaches it, so that the same search finds the secret where it belongs.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Any, Self

import pytest

from support.agents import raw_asking
from support.auth_commands import PROGRAMS
from support.home import Home
from support.inspection.held_texts import files_with
from support.inspection.marks import forms
from support.servers.http_server import Loopback, Request, Response, basic, own_certificate
from support.servers.index_apis import GitLab
from tokenward import cli
from tokenward.keyring_program.standalone import program
from tokenward_protocol.messages import OPS
from tokenward_protocol.packing import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no relay on Windows")

MARK = "Zq7sealedX4core"
SECRET = f"a-password-{MARK}"
GLPAT = f"glpat-{MARK}"
FORMS = forms(MARK)
Asked = tuple[str, dict[str, Any], str]
"""An op, its arguments and its body."""

WAY = "`auth exec --relay -- CMD`"
"""What the user is told to use instead."""


class SealedIndex:
    """An index `corp` that wants an account, and the home whose user has stored it sealed."""

    def __enter__(self) -> Self:
        self.home = Home().__enter__()
        self.gitlab = GitLab(GLPAT)
        self.index = Loopback(self._answer, tls=True).__enter__()
        authority = self.home.path / "index.pem"
        authority.write_bytes(self.index.certificate)
        settings = self.home.path / ".config/tokenward/config.toml"
        settings.parent.mkdir()
        settings.write_text(
            f'ca = "{authority}"\n[services.corp]\nurl = "{self.index.url}simple/"\n'
            f'publish-url = "{self.index.url}legacy/"\n'
        )
        self.log_in("--sealed")
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.home.__exit__()
        finally:
            self.index.__exit__()

    def _answer(self, request: Request) -> Response:
        if request.path.startswith("/api/"):
            return self.gitlab(request)
        if request.path.startswith("/+api"):  # devpi's, of one that shows what it was sent
            shown = {"result": {"authstatus": ["ok", request.authorization, SECRET]}}
            return Response(200, json.dumps(shown).encode())
        if request.authorization != basic("ana", SECRET):
            return Response(401)
        return Response(200, b"<html>welcome</html>")

    @property
    def url(self) -> str:
        return self.index.url

    @property
    def socket(self) -> Path:
        return self.home.path / "run/tokenward/agent.sock"

    def log_in(self, *options: str) -> None:
        """Store the secret."""
        self.home.log_in(self.url, SECRET, *options, username="ana")

    def sealed(self) -> object:
        """Return what a list says of it; None if it is not there."""
        found = self.home.answer("list")["credentials"]
        return found[0]["sealed"] if found else None

    def run(self, *command: str | Path, stdin: str = "", **variables: str) -> CompletedProcess[str]:
        """Run a command and search what it said."""
        done = self.home.run(*command, stdin=stdin, **variables)
        require_without(f"{done.stdout}\n{done.stderr}".encode(), command)
        assert "Traceback" not in done.stderr
        return done

    def auth(self, *words: str, stdin: str = "", **variables: str) -> CompletedProcess[str]:
        return self.run(PROGRAMS / "auth", *words, stdin=stdin, **variables)

    def ask(self, *asked: Asked, at: str = "") -> list[dict[str, Any]]:
        """Put raw requests on one connection, search the frames, and return the headers."""
        command = (sys.executable, raw_asking.__file__, at or str(self.socket))
        done = self.run(*command, stdin=json.dumps(asked))
        frames = [bytes.fromhex(each) for each in json.loads(done.stdout)]
        for frame in frames:
            require_without(frame, asked)
        return [unpack(frame[6 : 6 + int.from_bytes(frame[4:6], "big")]) for frame in frames]

    def search(self) -> None:
        """Search every file of the home."""
        assert files_with(self.home.path, *FORMS) == []

    def require_unseen(self) -> None:
        """Require that the index got the secret from nothing so far."""
        assert basic("ana", SECRET) not in self.index.seen()

    def uses(self) -> None:
        """Use the credential behind a relay, with which its index answers."""
        self.index.requests.clear()
        script = f"printenv; cat /proc/$$/environ; curl -sS {self.url}simple/"
        done = self.auth("exec", "--relay", "--index", "corp", "--", "sh", "-c", script)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("<html>welcome</html>"), done
        assert basic("ana", SECRET) in self.index.seen()


def require_without(data: bytes, what: object) -> None:
    """Raise AssertionError if data has the mark, in any form."""
    for form in FORMS:
        assert form not in data, (what, data)


@pytest.fixture
def held() -> Iterator[SealedIndex]:
    with SealedIndex() as it:
        yield it
        it.search()


def test_a_relay_uses_it_and_nothing_of_the_run_has_it(held: SealedIndex) -> None:
    held.require_unseen()
    held.uses()


def test_the_search_finds_what_is_not_sealed(held: SealedIndex) -> None:
    held.log_in()
    for words in (("token", held.url), ("exec", "--env", "--index", "corp", "--", "printenv")):
        with pytest.raises(AssertionError):
            held.auth(*words)


# By the protocol.


def requests(url: str) -> dict[str, list[list[Asked]]]:
    """Return what is asked by each op: connections of requests with their bodies."""
    it = {"service": url, "username": "ana"}
    upload = {**it, "service": f"{url}legacy/", "upload": "/legacy/", "projects": "mine"}
    fetches: list[dict[str, Any]] = [
        {"service": url},
        {"spelling": f"{url}simple/mine/"},
        {**it, "whole": True},
        {**it, "ttl": 60},
        {**it, "projects": "mine"},
        {**it, "provider": "disabled", "attended": True, "tty": "/dev/tty"},
    ]
    alone: dict[str, list[tuple[dict[str, Any], str]]] = {
        "hello": [({}, "")],
        "check": [(it, ""), ({**it, "attended": True, "entry": ""}, "")],
        "revoke": [(it, "")],
        "fetch": [(each, "") for each in fetches],
        "describe": [(it, "")],
        "list": [({}, "")],
        "status": [({}, "")],
        "log": [({"verify": True}, "")],
        "prepare": [({}, ""), ({"provider": "disabled"}, "")],
        "create": [({"provider": "disabled", "slot": "key-file"}, "")],
        "clock": [({"service": url, "now": 1}, "")],
        "stream": [({}, "x"), ({"notices": True}, "x")],
        "share": [(it, ""), ({**it, "whole": True}, ""), ({**it, "projects": "mine"}, "")],
        "unshare": [({}, "")],
        "login": [
            ({**it, "adopt": url, "provider": "keyring"}, ""),
            ({**it, "adopt": url, "sealed": True}, ""),
            ({**it, "memory": True, "lifetime": 60}, "another"),
            ({"service": "a word", "username": "ana", "sealed": True}, "another"),
        ],
        "refresh": [(it, ""), ({**it, "end": 1 << 40}, "another")],
        "restore": [({"provider": "disabled", "previous": True}, "")],
        "forget": [({}, "")],
        "passphrase": [({"action": "set"}, "correct horse"), ({"action": "remove"}, "")],
        "lock": [({}, "")],
        "unlock": [({}, "")],
    }
    found: dict[str, list[list[Asked]]]
    found = {op: [[(op, *each)] for each in variants] for op, variants in alone.items()}
    run: list[Asked] = [
        ("grant", it, ""),
        ("grant", upload, ""),
        ("run", {"direct": "*"}, "\n\n"),
    ]
    relay: list[Asked] = [("grant", it, ""), ("share", {**it, "relay": True}, "")]
    found |= {"grant": [run, relay], "run": [[("run", {}, "")]]}
    return found | {"logout": [[("logout", it, "")]], "stop": [[("stop", {}, "")]]}


def test_no_request_is_answered_with_it(held: SealedIndex) -> None:
    table = requests(held.url)
    assert set(table) == set(OPS)
    for op, connections in table.items():
        for asked in connections:
            answers = held.ask(*asked)
            assert len(answers) == len(asked), op
            if op in {"fetch", "share"}:
                (answer,) = answers
                assert (answer["code"], answer["why"]) == ("refused", "sealed"), asked
                assert WAY in answer["hint"] or "`auth share --relay`" in answer["hint"]
            if op in {"grant", "unlock", "logout", "check", "revoke"}:
                assert all(answer["ok"] for answer in answers), answers
            if op == "check":  # a worker asked the index, and nothing else may
                assert answers[0]["state"] == "accepted"
                assert basic("ana", SECRET) in held.index.seen()
                held.index.requests.clear()
        if op in {"login", "passphrase", "unlock"}:
            assert held.sealed() is True, op
    held.require_unseen()


def test_no_request_at_a_relay_share_is_answered_with_it(held: SealedIndex) -> None:
    path = str(held.home.answer("share", "--relay", "--service", "corp")["socket"])
    for op, connections in requests(held.url).items():
        for asked in connections:
            answers = held.ask(*asked, at=path)
            assert answers, op
            assert not any(answer["ok"] for answer in answers if op != "hello"), op
    held.require_unseen()
    near = held.auth(
        *("exec", "--", "curl", "-sS", f"{held.url}simple/"), TOKENWARD_SOCK=path, http_proxy=""
    )
    assert near.stdout == "<html>welcome</html>", near
    assert basic("ana", SECRET) in held.index.seen()


# By the commands.


def commands(url: str) -> dict[str, list[list[str]]]:
    """Return the words that are tried of each command; those that remove it come last."""
    asking = [
        *([url], [url, "-v"], [url, "--format", "json"], [url, "-u", "ana"], ["corp"]),
        *([url, "--check", "--ttl", "5m"], [url, "--project", "mine"], [url, "--ttl", "5m"]),
    ]
    found: dict[str, list[list[str]]] = {command: [["-v"]] for command in cli.COMMANDS}
    return found | {
        "token": [*asking, [url, "--describe"]],
        "exec": [
            *(["--env", "--index", url, "--", "printenv"], ["--index", url, "--", "printenv"]),
            ["--env", "-v", "--index", "corp", "--project", "mine", "--", "printenv"],
        ],
        "share": [["--service", url], ["--service", url, "--whole"]],
        "export": [["backup", "--passphrase-file", "passphrase"]],
        "restore": [["backup", "--passphrase-file", "passphrase"], ["--previous", "--yes"]],
        "import": [["pypirc"], ["pypirc", "--dry-run"], ["pypirc", "--format", "json"]],
        "helper": [["--protocol", "bazel", "get"]],
        "doctor": [["-v"], ["--format", "json"]],
        "agent status": [["-v"]],
        "login": [
            [url, "-u", "ana", "--adopt"],
            [url, "-u", "ana", "--adopt", "--sealed"],
            [url, "-u", "ana", "--adopt", "--keyring-provider", "keyring"],
            [url, "-u", "ana", "--adopt", "--keyring-provider", "subprocess"],
        ],
    }


TOLD = {"token", "exec", "share", "helper"}
"""The commands that ask for the secret, and say why they do not get it."""


def test_no_command_says_it(held: SealedIndex) -> None:
    (held.home.path / "passphrase").write_text("correct horse")
    (held.home.path / "passphrase").chmod(0o600)
    (held.home.path / ".pypirc").write_text(
        f"[distutils]\nindex-servers = corp\n[corp]\nrepository = {held.url}\n"
        "username = ana\npassword = another\n"
    )
    table = commands(held.url)
    assert set(table) == set(cli.COMMANDS)
    last = ("restore", "logout")  # they may remove it
    for command in (*(each for each in table if each not in last), *last):
        for words in table[command]:
            stdin = json.dumps({"uri": held.url}) if command == "helper" else ""
            done = held.auth(*command.split(), *words, stdin=stdin)
            is_behind_relay = command == "exec" and "--env" not in words
            if command in TOLD and "--describe" not in words and not is_behind_relay:
                assert done.returncode == 2, (command, words)
                assert "is sealed" in done.stderr, done
                way = "`auth share --relay`" if command == "share" else WAY
                assert way in done.stderr, done
            if command == "export":
                assert "Not exported, because it is sealed: the password of ana" in done.stderr, (
                    done
                )
            if command == "import":
                said = f"{done.stdout}{done.stderr}"
                assert "is stored and sealed" in said or "differs from the stored one" in said, done
        if command == "lock":
            held.home.done("unlock")
        assert command in last or held.sealed() is True, command
    held.require_unseen()


# By the index, which a worker of the agent asks.


def test_a_worker_asks_the_index_about_it_and_tells_the_verdict_alone(held: SealedIndex) -> None:
    done = held.auth("token", held.url, "--check")
    assert done.returncode == 0, done
    assert done.stdout.startswith(f"{held.index.netloc} accepts the credential, and needs one.\n")
    assert held.index.seen() == [None, basic("ana", SECRET)]
    found = json.loads(held.auth("token", "corp", "--check", "--format", "json").stdout)
    assert (found["check"], found["username"], found["source"]) == ("accepted", "ana", "agent")
    held.home.log_in(f"{held.url}other/", f"wrong-{MARK}", "--sealed", username="bob")
    done = held.auth("token", f"{held.url}other/", "--check")
    assert done.returncode == 2
    assert "does not accept the credential" in done.stderr
    log = held.auth("log", "--format", "json").stdout
    assert '"event": "check"' in log.replace('":"', '": "'), log


def test_it_is_revoked_where_its_index_does_that_for_the_holder(held: SealedIndex) -> None:
    held.home.log_in(f"{held.url}{GitLab.INDEX}", GLPAT, "--sealed", username="ana")
    done = held.auth("token", f"{held.url}{GitLab.INDEX}", "--check")
    assert "accepts the token (scopes api; until 2027-01-31)" in done.stdout
    done = held.auth("logout", f"{held.url}{GitLab.INDEX}", "-u", "ana", "--revoke")
    assert done.returncode == 0, done
    assert f"It was revoked at {held.index.netloc}.\n" in done.stderr
    assert held.gitlab.tokens == set()
    done = held.auth("logout", held.url, "-u", "ana", "--revoke")  # a password: no index revokes it
    assert "no call of its index is known for that" in done.stderr
    assert held.sealed() is None


def test_what_cannot_be_revoked_stays(held: SealedIndex) -> None:
    held.home.log_in(f"{held.url}{GitLab.INDEX}", GLPAT, "--sealed", username="ana")
    held.gitlab.tokens.clear()
    words = ("logout", f"{held.url}{GitLab.INDEX}", "-u", "ana", "--revoke")
    done = held.auth(*words)
    assert done.returncode == 2
    assert "was not revoked at its index" in done.stderr
    assert len(held.home.answer("list")["credentials"]) == 2
    assert held.auth(*words, "--forget").returncode == 0


def test_an_index_that_shows_what_it_was_sent_tells_it_to_no_client(held: SealedIndex) -> None:
    settings = held.home.path / ".config/tokenward/config.toml"
    settings.write_text(f'{settings.read_text()}kind = "devpi"\n')
    done = held.auth("token", held.url, "--check")
    assert done.returncode == 2
    assert f"{held.index.netloc} sent the credential back." in done.stderr


def test_a_requester_chooses_neither_certificates_nor_proxy_of_a_check(held: SealedIndex) -> None:
    settings = held.home.path / ".config/tokenward/config.toml"
    ca, rest = settings.read_text().split("\n", 1)
    settings.write_text(rest)  # the index is one that only the requester vouches for
    own = ca.partition('"')[2].rstrip('"')
    with Loopback(lambda _: Response(200)) as proxy:
        names = {
            **dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), own),
            **dict.fromkeys(("https_proxy", "HTTPS_PROXY", "ALL_PROXY"), proxy.url),
            "no_proxy": "",
        }
        done = held.auth("token", held.url, "--check", **names)
        assert done.returncode == 2
        assert "was stored where other certificates or another proxy were named" in done.stderr
        assert proxy.requests == []
    held.require_unseen()


def test_what_runs_behind_a_relay_neither_checks_nor_revokes(held: SealedIndex) -> None:
    it = {"service": held.url, "username": "ana"}
    asked = json.dumps([["check", it, ""], ["revoke", it, ""]])
    asking = (sys.executable, raw_asking.__file__, str(held.socket))
    done = held.auth("exec", "--index", "corp", "--", *asking, stdin=asked)
    frames = [bytes.fromhex(each) for each in json.loads(done.stdout)]
    for frame in frames:
        assert unpack(frame[6 : 6 + int.from_bytes(frame[4:6], "big")])["code"] == "refused"
    assert len(frames) == 2
    held.require_unseen()


# By the programs that tools start, and in their processes.


PYTHON = "import keyring; print(keyring.get_password({url!r}, 'ana'), keyring.get_credential({url!r}, None))"
API = """
import tokenward
try: print(tokenward.get({url!r}, "ana"))
except Exception as error: print(error, error.hint)
"""


def tools(held: SealedIndex) -> dict[str, list[tuple[tuple[str | Path, ...], str]]]:
    """Return the commands of tools, by the program of the distribution that answers; and stdin."""
    url, host = held.url, held.index.netloc
    git = f"protocol=https\nhost={host}\nusername=ana\n\n"
    cargo = {"v": 1, "registry": {"index-url": f"sparse+{url}index/"}, "args": [], "kind": "get"}
    python = PROGRAMS / "python"
    return {
        "git-credential-tokenward": [
            (("git-credential-tokenward", "get"), git),
            (("git-credential-tokenward", "erase"), f"{git.rstrip()}\npassword={SECRET}\n"),
        ],
        "docker-credential-tokenward": [
            (("docker-credential-tokenward", "get"), url),
            (("docker-credential-tokenward", "list"), ""),
        ],
        "cargo-credential-tokenward": [
            (
                ("cargo-credential-tokenward", "--cargo-plugin"),
                json.dumps({**cargo, "operation": "read"}) + "\n",
            )
        ],
        "keyring": [
            ((held.home.path / "bin/keyring", "get", url, "ana"), ""),
            ((held.home.path / "bin/keyring", "--mode", "creds", "get", url), ""),
            ((PROGRAMS / "keyring", "get", url, "ana"), ""),
            ((python, "-c", PYTHON.format(url=url)), ""),
            (
                (python, "-I", "-m", "tokenward.keyring_relay", "get"),
                json.dumps({"service": url, "username": "ana", "password": None}),
            ),
        ],
        "tokenward": [((python, "-c", API.format(url=url)), "")],
    }


COMMANDS_THEMSELVES = {"auth", "tokenward-agent"}
"""Programs of the distribution that other tests here try."""


def test_no_tool_gets_it_and_each_is_told_why(held: SealedIndex) -> None:
    held.home.done("login", f"{held.url}index/", "--token", "-", "--sealed", stdin=f"{SECRET}\n")
    bin_folder = held.home.path / "bin"
    bin_folder.mkdir()
    (bin_folder / "keyring").write_text(program(sys.executable, str(PROGRAMS.parent)))
    (bin_folder / "keyring").chmod(0o755)
    table = tools(held)
    scripts = distribution("tokenward").entry_points.select(group="console_scripts")
    assert {each.name for each in scripts} - COMMANDS_THEMSELVES == set(table) - {"keyring"}
    for commands_of in table.values():
        for command, stdin in commands_of:
            # Each by a caller of its own, as each caller is told once.
            done = held.home.run("sh", "-c", '"$@"; true', "sh", *command, stdin=stdin)
            said = f"{done.stdout}{done.stderr}"
            require_without(said.encode(), command)
            if command[-1] != "list":
                assert "is sealed" in said, (command, done)
                assert WAY in said, (command, done)
    assert len(held.home.answer("list")["credentials"]) == 2
    held.require_unseen()


def test_a_second_agent_adopts_nothing_of_it(held: SealedIndex) -> None:
    """Its keyring would be the first agent: by the backend, and by the program of that name."""
    bin_folder = held.home.path / "bin"
    bin_folder.mkdir()
    (bin_folder / "keyring").write_text(program(sys.executable, str(PROGRAMS.parent)))
    (bin_folder / "keyring").chmod(0o755)
    other = {
        "TOKENWARD_DIR": str(held.home.path / "other"),
        "PATH": f"{bin_folder}:{held.home.environment['PATH']}",
    }
    for provider in "keyring", "subprocess":
        words = ("login", held.url, "-u", "ana", "--adopt", "--keyring-provider", provider)
        assert held.auth(*words, **other).returncode == 2
    assert held.home.answer("list", **other)["credentials"] == []
    held.home.done("agent", "stop", **other)


# Behind a relay that the program of the user asks for itself.


TAKER = """
import json, os, socket, ssl, sys
from tokenward_protocol.frames import PREFIX, make_frame, read_sizes
from tokenward_protocol.messages import make_request
from tokenward_protocol.packing import unpack
path, url, proxies, direct, target = json.loads(sys.argv[1])
agent = socket.socket(socket.AF_UNIX)
agent.connect(path)
def ask(number, op, arguments, body=b""):
    agent.sendall(make_frame(make_request(op, number, arguments), body))
    data, whole = b"", PREFIX
    while len(data) < whole:
        data += agent.recv(65536)
        if whole == PREFIX <= len(data):
            whole, header = read_sizes(data)
    return unpack(data[PREFIX:PREFIX + header]), data[PREFIX + header:]
answer, _ = ask(1, "grant", {"service": url, "username": "ana", "url": url})
assert answer["ok"], answer
answer, capability = ask(2, "run", {"direct": direct}, "\\n".join(["", *proxies]).encode())
assert answer["ok"], answer
relay = socket.create_connection(("127.0.0.1", answer["port"]))
host = url.split("/")[2]
import base64
shown = base64.b64encode(b"run:" + capability).decode()
relay.sendall(f"CONNECT {host} HTTP/1.1\\r\\nHost: {host}\\r\\nProxy-Authorization: Basic {shown}\\r\\n\\r\\n".encode())
head = b""
while b"\\r\\n\\r\\n" not in head:
    head += relay.recv(1)
print(head.split(b"\\r\\n")[0].decode())
context = ssl.create_default_context(cadata=answer["ca"])
with context.wrap_socket(relay, server_hostname=host.split(":")[0]) as tls:
    tls.sendall(f"GET {target} HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n".encode())
    while data := tls.recv(65536):
        print(data.decode("latin-1"))
"""


class Rogue:
    """What a program of the user leads to: an index of its own, and a proxy before it.

    The proxy answers each CONNECT with a connection to that index. `seen` has every byte that came.
    """

    def __enter__(self) -> Self:
        self.index = Loopback(lambda _: Response(200, b"<html>rogue</html>"), tls=True).__enter__()
        self.proxy = Loopback(lambda _: Response(200, b"<html>rogue</html>")).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.index.__exit__()
        self.proxy.__exit__()

    def variables(self, folder: Path) -> dict[str, str]:
        """Return the variables that would lead to it: certificates, proxies, resolver, loader."""
        authority = folder / "rogue.pem"
        authority.write_bytes(own_certificate()[1] + self.index.certificate)
        (folder / "hosts").write_text("index.example 127.0.0.1\n")
        (folder / "modules").mkdir(exist_ok=True)
        (folder / "modules/sitecustomize.py").write_text(
            f"import pathlib; pathlib.Path({str(folder)!r}, 'loaded').touch()\n"
        )
        proxy = self.proxy.url.rstrip("/")
        proxies = dict.fromkeys(
            ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
            proxy,
        )
        trust = dict.fromkeys(
            ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"), str(authority)
        )
        return {
            **proxies,
            **trust,
            "NO_PROXY": "",
            "no_proxy": "",
            "HOSTALIASES": str(folder / "hosts"),
            "RES_OPTIONS": "attempts:1",
            "LOCALDOMAIN": "rogue.example",
            "SSLKEYLOGFILE": str(folder / "keys"),
            "PYTHONPATH": str(folder / "modules"),
            "PYTHONSTARTUP": str(folder / "modules/sitecustomize.py"),
        }

    def require_unseen(self) -> None:
        """Require that neither was reached, but by what has nothing of the secret."""
        for server in (self.index, self.proxy):
            for request in server.requests:
                require_without(repr(request).encode(), request)
                assert "authorization" not in request.headers


@pytest.fixture
def rogue() -> Iterator[Rogue]:
    with Rogue() as it:
        yield it


@pytest.mark.parametrize("direct", ["", "*"])
def test_a_program_that_asks_for_a_run_with_a_proxy_of_its_own_gets_nothing_of_it(
    held: SealedIndex, rogue: Rogue, direct: str
) -> None:
    proxy = rogue.proxy.url.rstrip("/")
    for target in ("/simple/", "/legacy/", "/../simple/", "//other.example/simple/"):
        asked = [str(held.socket), held.url, [proxy, proxy], direct, target]
        environment = rogue.variables(held.home.path)
        del environment["PYTHONPATH"], environment["PYTHONSTARTUP"]
        done = held.run(sys.executable, "-c", TAKER, json.dumps(asked), **environment)
        assert "200" in done.stdout.splitlines()[0], done
        if target == "/simple/":
            assert "<html>welcome</html>" in done.stdout, done
    assert basic("ana", SECRET) in held.index.seen()  # by the way that the user's settings say
    assert rogue.proxy.requests == []
    assert rogue.index.requests == []
    rogue.require_unseen()


def test_auth_exec_in_such_an_environment_starts_nothing(held: SealedIndex, rogue: Rogue) -> None:
    environment = rogue.variables(held.home.path)
    words = ("exec", "--relay", "--index", "corp", "--", "true")
    done = held.auth(*words, **environment)
    assert done.returncode == 2, done
    held.require_unseen()
    rogue.require_unseen()


def test_an_agent_that_such_an_environment_has_started_leads_nowhere_else(
    held: SealedIndex, rogue: Rogue
) -> None:
    held.home.done("agent", "stop")
    held.auth("list", **rogue.variables(held.home.path))
    (held.home.path / "loaded").unlink(missing_ok=True)  # by `auth` itself, which is the program's
    held.uses()
    assert not (held.home.path / "loaded").exists()
    assert not (held.home.path / "keys").exists()
    assert rogue.proxy.requests == []
    assert rogue.index.requests == []


def test_a_login_that_is_not_sealed_takes_its_place(held: SealedIndex) -> None:
    """Whoever has the secret anyway may store it openly; the sealed one is not opened by that."""
    held.home.log_in(held.url, "another", username="ana")
    assert held.home.done("token", held.url) == "another\n"
    assert held.sealed() is False


def test_list_and_doctor_show_what_is_sealed(held: SealedIndex) -> None:
    assert "(sealed, for relays alone)" in held.home.done("list")
    assert "only commands behind a relay use it" in held.home.done("token", held.url, "--describe")
    findings = [
        each
        for each in json.loads(held.auth("doctor", "--format", "json").stdout)["findings"]
        if each["check"] == "sealed"
    ]
    assert [each["state"] for each in findings] == ["ok", "warning"]
    assert findings[0]["message"] == "Sealed: 1 credential for commands behind a relay alone."
    assert "auth passphrase set" in findings[1]["hint"]


def test_a_vault_goes_back_to_version_4_when_nothing_in_it_needs_more(held: SealedIndex) -> None:
    (vault,) = (held.home.path / ".local/share/tokenward").glob("disabled.vault")
    held.home.log_in("https://other.example/", "another", username="ana")
    assert vault.read_bytes().startswith(b"tokenward-vault 5\n")
    held.home.done("logout", held.url, "-u", "ana")
    assert vault.read_bytes().startswith(b"tokenward-vault 4\n")
