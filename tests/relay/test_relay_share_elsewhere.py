"""The near end of a relay share where it is meant to be: without a network, as another user, by ssh."""

from __future__ import annotations

import ast
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.relay.shares import ACCOUNT, CURL, SECRET, SharedIndex
from support.servers.http_server import Loopback, Response, basic
from support.systems.other_users import SOMEBODY, become, other_users
from support.systems.real_names import needs_namespaces
from support.systems.ssh_hosts import SshHosts, needs_ssh_hosts
from support.waiting import PATIENCE
from tokenward_relay import shared_tunnels
from tokenward_relay.refusal import Refusal
from tokenward_relay.shared_tunnels import Tunnels, is_public

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a relay is for Linux")

WITHOUT_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")


@pytest.fixture
def corp() -> Iterator[SharedIndex]:
    with SharedIndex() as found:
        yield found


@needs_namespaces
def test_without_any_network_a_command_installs_by_the_share_alone(corp: SharedIndex) -> None:
    path = corp.share()
    inside = (*WITHOUT_NETWORK, str(PROGRAMS / "auth"), "exec", "--")
    found = corp.home.run(*inside, *corp.download(), TOKENWARD_SOCK=path)
    assert found.returncode == 0, found.stderr
    assert (corp.home.path / "down/one-1.0-py3-none-any.whl").exists()
    assert set(corp.index.seen()) == {basic(*ACCOUNT)}
    elsewhere = corp.home.run(*inside, *CURL, "--verbose", "https://10.1.2.3/", TOKENWARD_SOCK=path)
    assert "10.1.2.3 does not answer on this side of the share" in elsewhere.stderr


@other_users
def test_another_user_who_was_named_uses_it_and_no_other_does(corp: SharedIndex) -> None:
    corp.home.path.chmod(0o711)
    place = corp.home.path / "open"
    place.mkdir(mode=0o711)
    program = place / "tokenward-exec"
    program.write_text(corp.home.done("share", "--near-end"))

    def asked(path: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(*become(), sys.executable, "-I", "-S", str(program), "--"),
                *("sh", "-c", f"id -u; {' '.join(CURL)} {corp.page}one/"),
            ],
            env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin", "TOKENWARD_SOCK": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    named = corp.share("--at", str(place / "named.sock"), "--uid", str(SOMEBODY))
    found = asked(named)
    assert found.stdout.startswith(f"{SOMEBODY}\n"), found.stderr
    assert "one-1.0-py3-none-any.whl" in found.stdout, found.stderr
    seen = len(corp.index.requests)
    other = corp.share("--at", str(place / "other.sock"), "--uid", str(SOMEBODY + 1))
    refused = asked(other)
    assert refused.returncode == 2
    assert f"No agent answers at {other}" in refused.stderr
    assert len(corp.index.requests) == seen


@needs_ssh_hosts
def test_another_host_uses_it_by_ssh_as_long_as_the_connection_stands(corp: SharedIndex) -> None:
    path = corp.share("--ttl", "1h")
    with SshHosts() as hosts:
        remote = f"{hosts.folder}/tokenward.sock"
        (hosts.folder / "tokenward-exec").write_text(corp.home.done("share", "--near-end"))
        command = (
            *(f"TOKENWARD_SOCK={remote}", sys.executable, "-I", "-S"),
            *(f"{hosts.folder}/tokenward-exec", "--", *CURL, f"{corp.page}one/"),
        )
        found = hosts.run(*command, options=("-R", f"{remote}:{path}"))
        assert "one-1.0-py3-none-any.whl" in found.stdout, found.stderr
        assert hosts.run(*command).returncode == 2
    assert [line["share"] for line in corp.home.log_lines() if line["event"] == "run"] == [path]


def test_other_hosts_are_reached_from_the_near_side_and_never_by_the_share(
    corp: SharedIndex,
) -> None:
    path = corp.share()
    with Loopback(lambda _: Response(200, b"secure"), tls=True) as secure:
        assert corp.near(path, *CURL, "--insecure", secure.url).stdout == "secure"
        leave_out = f"{' '.join(CURL)} --insecure --proxy ${{https_proxy##*@}} {secure.url}"
        refused = corp.near(path, "sh", "-c", leave_out)
        assert "407" in refused.stderr
        assert len(secure.requests) == 1
    with Loopback(lambda _: Response(200, b"plain")) as plain:
        url = f"{plain.url}a/b?c=d"
        assert corp.near(path, *CURL, url, url).stdout == "plainplain"
        for request in plain.requests:
            assert (request.path, request.query) == ("/a/b", "c=d")
            assert "proxy-authorization" not in request.headers
    assert corp.index.requests == []


def test_the_proxy_of_the_near_side_is_used_for_other_hosts(corp: SharedIndex) -> None:
    path = corp.share()
    with Loopback(lambda _: Response(200, b"by the proxy")) as proxy:
        own = {"http_proxy": f"http://me:pa%20ss@{proxy.netloc}"}
        found = corp.near(path, *CURL, "http://other.example/x", variables=own)
        assert found.stdout == "by the proxy", found.stderr
        (request,) = proxy.requests
        assert request.path == "http://other.example/x"
        assert request.headers["proxy-authorization"] == basic("me", "pa ss")


def test_a_tunnel_that_is_lent_leads_to_no_address_of_the_shares_host(corp: SharedIndex) -> None:
    with Loopback(lambda _: Response(200), tls=True) as service:
        port = service.netloc.partition(":")[2]
        path = corp.share("--tunnel", f"localhost:{port}", "--tunnel", f"127.0.0.1:{port}")
        for host in ("localhost", "127.0.0.1"):
            url = f"https://{host}:{port}/"
            found = corp.near(path, *CURL, "--insecure", "--noproxy", "", url)
            assert (
                f"this share opens no tunnel to {host}: its address is not public" in found.stderr
            )
        assert service.requests == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1"),
        *("2002:7f00:1::", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "localhost"),
    ],
)
def test_no_tunnel_leads_to_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "151.101.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_a_public_address_may_be_lent(address: str) -> None:
    assert is_public(address)


def test_the_address_that_is_judged_is_the_one_that_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        answers = [[("127.0.0.2", port), ("127.0.0.1", port)], [("127.0.0.3", port)]]

        def resolve(*_: object, **__: object) -> list[object]:
            stream = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
            return [(*stream, address) for address in answers.pop(0)]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        monkeypatch.setattr(shared_tunnels, "is_public", "127.0.0.1".__eq__)
        with Tunnels([f"a.example:{port}"]).open("a.example", port) as tunnel:
            assert tunnel.getpeername() == ("127.0.0.1", port)
        assert len(answers) == 1  # it is resolved once


@pytest.mark.parametrize("host", ["b.example", "a.example.b.example", "xa.example"])
def test_a_tunnel_leads_to_no_host_or_port_that_was_not_named(host: str) -> None:
    for tunnels, port in ((Tunnels(["a.example:443"]), 443), (Tunnels([f"{host}:443"]), 22)):
        with pytest.raises(Refusal, match="opens no tunnel") as refused:
            tunnels.open(host, port)
        assert refused.value.status == 403


def test_the_one_file_is_for_python_3_9_and_needs_nothing_else(corp: SharedIndex) -> None:
    tree = ast.parse(corp.home.done("share", "--near-end"), feature_version=(3, 9))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
        assert not isinstance(node, ast.Match)
    assert imported <= sys.stdlib_module_names


def test_a_server_that_is_no_relay_share_is_told(corp: SharedIndex, tmp_path: Path) -> None:
    program = corp.one_file()
    place = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place))
        other.listen()

        def answer() -> None:
            with other.accept()[0] as client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        found = corp.home.run(sys.executable, program, "--", "true", TOKENWARD_SOCK=str(place))
        thread.join()
    assert found.returncode == 2
    assert "is not an agent of tokenward" in found.stderr
    assert SECRET not in found.stderr
