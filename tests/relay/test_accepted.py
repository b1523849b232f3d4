"""Certificates and a proxy that a login's environment named: the same ones serve later runs, no others.

The index has TLS, and neither the system nor the user's `config.toml` trusts its certificate.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.agents import raw_asking
from support.auth_commands import PROGRAMS
from support.recipes import Maker
from support.servers.http_server import Loopback, Response, basic, own_certificate
from support.servers.socks_proxy import SocksProxy
from tokenward.reach.certificates import in_text
from tokenward_protocol.packing import unpack
from tokenward_protocol.proxy_url import parse_proxy_url
from tokenward_protocol.reach_marks import (
    MOST_MARKS,
    certificate_mark,
    marks_text,
    proxy_mark,
    read_marks,
)
from tokenward_relay.accepted import require_accepted
from tokenward_relay.grants import Grant
from tokenward_relay.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home

SECRET = "a-password-of-ana"
TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture
def index() -> Iterator[Loopback]:
    def answer(request: Any) -> Response:
        is_ana = request.authorization == basic("ana", SECRET)
        return Response(200, b"<html>welcome</html>") if is_ana else Response(401)

    with Loopback(answer, tls=True) as it:
        yield it


class User:
    """The user of a home, whose shell has these variables."""

    def __init__(self, home: Home, index: Loopback) -> None:
        self.home, self.index = home, index
        self.own = self.file("own.pem", index.certificate)
        self.other = self.file("other.pem", own_certificate()[1])
        settings = home.path / ".config/tokenward/config.toml"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(f'[services.corp]\nurl = "{index.url}simple/"\n')

    def file(self, name: str, data: bytes) -> str:
        path = self.home.path / name
        path.write_bytes(data)
        return str(path)

    def log_in(self, *more: str, **variables: str) -> str:
        words = ("login", "corp", "-u", "ana", "--password", "-", "--no-check", *more)
        done = self.home.auth(*words, stdin=f"{SECRET}\n", **variables)
        assert done.returncode == 0, done
        return done.stderr

    def curl(self, **variables: str) -> tuple[str, str]:
        """Read a page of the index behind a relay; return what came and what was said."""
        self.index.requests.clear()
        words = ("exec", "--read-only", "--index", "corp", "--", "curl", "-sS")
        done = self.home.auth(*words, f"{self.index.url}simple/", **variables)
        return done.stdout, done.stderr

    def attack(
        self, certificates: tuple[bytes, ...], proxy: str, proxied: str, op: str = "run"
    ) -> dict[str, Any]:
        """Ask as a program with such an environment of its own; return the answer."""
        body = "\n".join(
            ["", proxy, "", *(base64.b64encode(each).decode() for each in certificates)]
        )
        it = {"service": self.index.url, "username": "ana"}
        named = {"proxied": proxied} if proxied else {}
        if op != "run":
            return self.ask((op, {**it, **named}, body))
        return self.ask(("grant", it, ""), ("run", named, body))

    def ask(self, *asked: tuple[str, dict[str, Any], str]) -> dict[str, Any]:
        """Send requests to the agent; return the answer to the last one."""
        at = str(self.home.path / "run/tokenward/agent.sock")
        done = self.home.run(sys.executable, raw_asking.__file__, at, stdin=json.dumps(asked))
        frame = bytes.fromhex(json.loads(done.stdout)[-1])
        return unpack(frame[6 : 6 + int.from_bytes(frame[4:6], "big")])


@pytest.fixture
def user(home: Home, index: Loopback) -> User:
    return User(home, index)


def der_of(path: str) -> bytes:
    (found,) = in_text(Path(path).read_bytes())
    return base64.b64decode(found)


@pytest.mark.skipif(sys.platform != "linux", reason="there is no relay on this system")
def test_certificates_of_a_login_serve_later_runs_and_no_others_do(user: User) -> None:
    mine = dict.fromkeys(TRUST, user.own)
    user.log_in()
    page, said = user.curl(**mine)  # not accepted yet
    assert page == ""
    assert "names certificates that a relay does not trust" in said
    assert "`auth login` in this environment accepts it" in said
    assert "Relays use what SSL_CERT_FILE names here, for what is stored now." in user.log_in(
        **mine
    )
    assert user.curl(**mine)[0] == "<html>welcome</html>"
    assert user.index.seen() == [basic("ana", SECRET)]
    assert user.curl()[0] != "<html>welcome</html>"  # who does not name them does not use them
    assert user.index.requests == []
    page, said = user.curl(SSL_CERT_FILE=user.other)
    assert page == ""
    assert "names certificates that a relay does not trust" in said
    own, other = der_of(user.own), der_of(user.other)
    for certificates in ((other,), (own, other), (b"no certificate",), (own + other,)):
        told = user.attack(certificates, "", "")
        assert (told["ok"], told["code"]) == (False, "refused"), told
        assert "stored where other certificates" in told["message"]
    assert user.attack((own,), "", "")["ok"] is True
    assert user.index.requests == []
    user.log_in()  # whoever logs in elsewhere takes it back
    assert "a relay does not trust" in user.curl(**mine)[1]


@pytest.mark.skipif(sys.platform != "linux", reason="there is no relay on this system")
def test_a_proxy_of_a_login_serves_later_runs_and_no_other_does(user: User) -> None:
    with SocksProxy((b"ana", b"word")) as proxy, SocksProxy() as other:
        through = {
            "HTTPS_PROXY": f"socks5h://ana:word@127.0.0.1:{proxy.port}",
            "SSL_CERT_FILE": user.own,
        }
        elsewhere = f"socks5h://127.0.0.1:{other.port}"
        said = user.log_in(**through)
        assert "Relays use what SSL_CERT_FILE and HTTPS_PROXY name here" in said
        assert user.curl(**through)[0] == "<html>welcome</html>"
        assert len(proxy.asked) == 1
        page, said = user.curl(**through | {"HTTPS_PROXY": elsewhere})
        assert page == ""
        assert "HTTPS_PROXY leads to 127.0.0.1 by another proxy" in said
        host, own = "127.0.0.1", der_of(user.own)
        assert user.attack((own,), elsewhere, host)["code"] == "refused"
        assert user.attack((own,), "", host)["code"] == "refused"  # never directly instead
        assert user.attack((own,), through["HTTPS_PROXY"], host)["ok"] is True
        assert other.asked == []


@pytest.mark.skipif(sys.platform != "linux", reason="there is no relay on this system")
def test_a_run_with_such_trust_uses_no_later_login(user: User) -> None:
    mine = dict.fromkeys(TRUST, user.own)
    user.log_in(**mine)
    get = f"curl -sS {user.index.url}simple/ -o /dev/null -w '%{{http_code}}'"
    script = f"echo begun; read line; {get}"
    with subprocess.Popen(
        [PROGRAMS / "auth", "exec", "--read-only", "--index", "corp", "--", "sh", "-c", script],
        cwd=user.home.path,
        env=user.home.environment | mine,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        user.log_in()
        out, _ = process.communicate("\n")
    assert out == "403"
    assert user.index.requests == []


@pytest.mark.skipif(sys.platform != "linux", reason="there is no relay on this system")
def test_a_check_of_a_sealed_credential_goes_by_what_its_login_named_and_by_nothing_else(
    user: User,
) -> None:
    host, own, other = "127.0.0.1", der_of(user.own), der_of(user.other)
    with SocksProxy((b"ana", b"word")) as proxy, SocksProxy() as another:
        through = {
            "HTTPS_PROXY": f"socks5h://ana:word@127.0.0.1:{proxy.port}",
            "SSL_CERT_FILE": user.own,
        }
        elsewhere = f"socks5h://127.0.0.1:{another.port}"
        user.log_in("--sealed", **through)
        checked = user.home.auth("token", "corp", "--check", **through)
        assert "accepts the credential" in checked.stdout, checked
        assert len(proxy.asked) == len(user.index.seen()) == 2  # without it, and with it
        user.index.requests.clear()
        for changed in ({"SSL_CERT_FILE": user.other}, {"HTTPS_PROXY": elsewhere}):
            told = user.home.refused("token", "corp", "--check", **through | changed)
            assert "stored where other certificates or another proxy were named" in told
            assert "hint: `auth login` in this environment accepts these" in told
        assert "its certificate is not trusted" in user.home.refused("token", "corp", "--check")
        for op in ("check", "revoke"):
            for certificates, by, proxied in (
                ((other,), "", ""),
                ((own, other), through["HTTPS_PROXY"], host),
                ((own,), elsewhere, host),
                ((own,), "", host),
            ):
                answer = user.attack(certificates, by, proxied, op)
                assert (answer["ok"], answer["code"]) == (False, "index"), answer
                assert "stored where other certificates" in answer["message"]
            answer = user.attack((b"x" * 49_140,), "", "", op)  # more than a worker reads
            assert answer["code"] == "refused", answer
            assert "are too long" in answer["message"]
        assert (user.index.requests, len(proxy.asked), another.asked) == ([], 2, [])
        assert user.attack((own,), through["HTTPS_PROXY"], host, "check")["state"] == "accepted"


@pytest.mark.skipif(sys.platform != "linux", reason="there is no relay on this system")
def test_whatever_stores_a_credential_keeps_what_its_environment_names(user: User) -> None:
    home, mine = user.home, dict.fromkeys(TRUST, user.own)
    netloc = user.index.url.split("/")[2]
    maker = Maker(home.path / "bin")
    maker.prints(SECRET)
    (home.path / ".pypirc").write_text(
        f"[distutils]\nindex-servers = corp\n[corp]\nrepository = {user.index.url}\n"
        f"username = ana\npassword = {SECRET}\n"
    )
    phrase = home.path / "phrase"
    phrase.write_text("of the export\n")
    phrase.chmod(0o600)
    backup = ("--passphrase-file", str(phrase), str(home.path / "backup"))
    account = f"protocol=https\nhost={netloc}\nusername=ana\npassword={SECRET}\n\n"
    recipe = ("auth", "login", "corp", "-u", "ana", "--command", "--", str(maker.program))
    ways: list[tuple[str, ...]] = [
        ("auth", "import", "pypirc"),
        ("keyring", "set", user.index.url, "ana"),
        ("git-credential-tokenward", "store"),
        ("auth", "restore", *backup),
        recipe,
        ("auth", "restore", "--yes", *backup),
    ]
    for program, *words in ways:
        stdin = account if program.startswith("git") else SECRET
        done = home.run(PROGRAMS / program, *words, stdin=stdin, **mine)
        assert done.returncode == 0, done
        (home.path / ".pypirc").unlink(missing_ok=True)  # only what is stored is to answer
        told = "Relays use what SSL_CERT_FILE names here, for what is stored now.\n"
        assert (told in done.stderr) is (program == "auth"), done
        page, said = user.curl(**mine)
        assert page == "<html>welcome</html>", (words, said)
        if program.startswith("git"):
            home.done("export", *backup)
        if words[0] == "login":
            home.done("export", *backup, "--yes")
            home.done("agent", "restart")  # the file of recipes has it
            assert user.curl(**mine)[0] == "<html>welcome</html>"
            assert "a relay does not trust" in user.curl(SSL_CERT_FILE=user.other)[1]
        home.done("logout", "corp")
    it = {"service": user.index.url, "username": "ana"}
    marks = marks_text([certificate_mark(der_of(user.own))])
    minted = ("login", {**it, "memory": True, "lifetime": 60, "trust": marks}, SECRET)
    assert user.ask(minted, ("grant", it, ""))["trust"] == marks


def test_marks_are_read_as_they_are_written() -> None:
    marks = tuple(sorted(certificate_mark(bytes([each])) for each in range(MOST_MARKS)))
    assert read_marks(marks_text(marks)) == marks
    assert len(marks_text(marks)) <= 1024  # a text of the wire
    assert read_marks("") == ()
    for wrong in ("x", "é" * 43, marks_text(marks) + " ", marks_text([*marks, bytes(32)])):
        with pytest.raises(ValueError):
            read_marks(wrong)


def test_the_mark_of_a_proxy_has_its_account_and_not_its_password() -> None:
    def mark(url: str) -> bytes:
        return proxy_mark(parse_proxy_url(url))

    assert mark("http://ana:one@Proxy.Example") == mark("http://ana:two@proxy.example:80/")
    others = [
        "http://ben@proxy.example",
        "http://proxy.example",
        "socks5://ana:two@proxy.example:80",
    ]
    assert mark("http://ana@proxy.example") not in map(
        mark, [*others, "http://ana@proxy.example:8"]
    )


def test_every_index_by_https_has_to_accept_all_of_it() -> None:
    one, two = Grant("one", "https", "one.example", 443), Grant("two", "https", "two.example", 443)
    plain = Grant("plain", "http", "localhost", 80)
    mark, other = certificate_mark(b"c"), certificate_mark(b"d")
    require_accepted((one, two, plain), ((mark,), (mark, other), ()), (b"c",), (), b"")
    for accepted in (((mark,), (other,)), ((), (mark,))):
        with pytest.raises(Refusal, match="stored where other certificates"):
            require_accepted((one, two), accepted, (b"c",), (), b"")
    url = b"http://proxy.example"
    through = proxy_mark(parse_proxy_url(url.decode()))
    require_accepted((one, two), ((through,), ()), (), ("one.example",), url)
    with pytest.raises(Refusal):
        require_accepted((one, two), ((through,), ()), (), ("two.example",), url)
