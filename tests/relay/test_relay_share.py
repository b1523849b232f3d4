"""A relay share: commands elsewhere use an index, and what they get is worth nothing elsewhere."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.processes import relays
from support.relay.shares import (
    ACCOUNT,
    CURL,
    SECRET,
    SharedIndex,
    lowest_python,
    make_wheel,
)
from support.servers.http_server import basic
from support.terminal import Typist
from support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a relay is for Linux")


TTY = Path("/usr/bin/pinentry-tty")
needs_tty = pytest.mark.skipif(not TTY.exists(), reason="needs Debian's pinentry-tty")


@pytest.fixture
def corp() -> Iterator[SharedIndex]:
    with SharedIndex() as found:
        yield found


def test_a_command_behind_a_share_downloads_and_has_no_credential(corp: SharedIndex) -> None:
    path = corp.share()
    found = corp.near(path, *corp.download())
    assert found.returncode == 0, found.stderr
    assert (corp.home.path / "down/one-1.0-py3-none-any.whl").exists()
    assert corp.index.seen()[-1] == basic(*ACCOUNT)
    seen = corp.near(path, "sh", "-c", "env; cat $(dirname $SSL_CERT_FILE)/*").stdout
    assert "tokenward-run-" in seen
    assert SECRET not in seen
    assert basic(*ACCOUNT).split()[1] not in seen


def test_the_one_file_does_the_same_with_nothing_of_ours_installed(corp: SharedIndex) -> None:
    program, path = corp.one_file(), corp.share()
    command = ["/usr/bin/env", "-i", f"TOKENWARD_SOCK={path}", "PATH=/usr/bin:/bin"]
    isolated = [lowest_python(), "-I", "-S", program]
    found = corp.home.run(*command, *isolated, "--", *CURL, f"{corp.page}one/")
    assert "one-1.0-py3-none-any.whl" in found.stdout, found.stderr


def test_a_command_behind_a_share_publishes_the_projects_that_it_names(corp: SharedIndex) -> None:
    wheel = make_wheel(corp.home.path / "dist", "one", "1.0")
    path = corp.share("--project", "one")
    upload = (str(PROGRAMS / "twine"), "upload", "--non-interactive", str(wheel))
    found = corp.near(path, *upload)
    assert found.returncode == 0, found.stdout + found.stderr
    assert corp.index.requests[-1].method == "POST"
    lines = [line for line in corp.home.log_lines() if line["event"].startswith("publish")]
    assert [(line["event"], line["share"], line["project"]) for line in lines] == [
        ("publish", path, "one"),
        ("published", path, "one"),
    ]
    other = corp.share("--project", "two")
    refused = corp.near(other, *upload)
    assert refused.returncode == 1
    assert "this run may publish two, not one" in refused.stderr


@pytest.mark.parametrize("options", [(), ("--read-only",)])
def test_nothing_is_published_by_a_share_that_names_no_project(
    corp: SharedIndex, options: tuple[str, ...]
) -> None:
    path = corp.share(*options)
    post = (*CURL, "--data", "x=1", f"{corp.index.url}legacy/")
    found = corp.near(path, *post)
    assert "tokenward: this run may not" in found.stdout
    assert corp.index.requests == []


def test_every_run_has_a_capability_of_its_own_that_ends_with_it(corp: SharedIndex) -> None:
    path = corp.share()
    show = ("sh", "-c", "echo $https_proxy")
    one, two = (corp.near(path, *show).stdout.strip() for _ in range(2))
    assert one != two
    capability = one.partition("@")[0].rpartition(":")[2]
    with socket.socket(socket.AF_UNIX) as late:
        late.settimeout(PATIENCE)
        late.connect(path)
        assert said(late, "stream", capability.encode())["code"] == "refused"


def test_a_run_ends_with_its_command(corp: SharedIndex) -> None:
    path = corp.share()
    relays = relays_of(corp)
    shell = subprocess.Popen(
        [PROGRAMS / "auth", "exec", "--", "sh", "-c", "echo $SSL_CERT_FILE; read end"],
        env=corp.home.environment | {"TOKENWARD_SOCK": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    certificates = Path(shell.stdout.readline().strip())
    assert certificates.stat().st_mode & 0o777 == 0o600
    assert certificates.parent.stat().st_mode & 0o777 == 0o700
    assert len(relays_of(corp)) == len(relays) + 1
    shell.send_signal(signal.SIGKILL)
    shell.communicate()
    until(lambda: relays_of(corp) == relays, lambda: "the relay goes on")
    until(lambda: not certificates.parent.exists(), lambda: "the certificates stay")


@pytest.mark.parametrize("command", [("lock",), ("share", "--stop"), ("logout", "corp")])
def test_what_ends_a_share_ends_the_runs_behind_it(
    corp: SharedIndex, command: tuple[str, ...]
) -> None:
    path = corp.share()
    script = f"echo ready; read go; {' '.join(CURL)} {corp.page}one/"
    shell = subprocess.Popen(
        [PROGRAMS / "auth", "exec", "--", "sh", "-c", script],
        env=corp.home.environment | {"TOKENWARD_SOCK": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert shell.stdout is not None
    assert shell.stdout.readline() == "ready\n"
    corp.home.done(*command)
    out, err = shell.communicate("go\n", timeout=PATIENCE)
    assert shell.returncode != 0
    assert out == ""
    assert "tokenward: the share has ended" in err
    assert corp.index.requests == []
    assert relays_of(corp) == []


def test_the_policy_of_each_moment_judges_each_read(corp: SharedIndex) -> None:
    path = corp.share()
    ask = (*CURL, f"{corp.page}one/")
    assert "one-1.0" in corp.near(path, *ask).stdout
    corp.policy('[[policy]]\npurpose = "install"\ndecide = "deny"\n')
    found = corp.near(path, *ask)
    assert "The policy denies what is shared here" in found.stdout + found.stderr


def test_a_policy_that_denies_opens_no_share(corp: SharedIndex) -> None:
    corp.policy('[[policy]]\nprogram = "auth"\ndecide = "deny"\n')
    refused = corp.home.refused("share", "--relay", "--service", "corp")
    assert "The policy denies auth downloads from" in refused
    assert corp.home.answer("status")["shares"] == []


def test_an_upload_of_one_project_is_judged_by_its_own_rule(corp: SharedIndex) -> None:
    path = corp.share("--project", "one", "--project", "two")
    corp.policy('[[policy]]\nproject = "one"\ndecide = "deny"\n')
    for name, status in (("one", 1), ("two", 0)):
        wheel = make_wheel(corp.home.path / "dist", name, "1.0")
        upload = (str(PROGRAMS / "twine"), "upload", "--non-interactive", str(wheel))
        assert corp.near(path, *upload).returncode == status, name


@needs_tty
def test_a_user_who_is_asked_says_once_for_each_kind_what_others_may_do(corp: SharedIndex) -> None:
    corp.settings.write_text(f'pinentry = "{TTY}"\n{corp.settings.read_text()}')
    corp.policy('[[policy]]\ndecide = "ask"\n')
    command = ("share", "--relay", "--service", "corp", "--project", "one", "--ttl", "1h")
    person = Typist(corp.home, *command)
    person.sees("uploads of one without").sees("]? ").types("a")
    person.sees("downloads from there").sees("]? ").types("a").leaves(0)
    (share,) = corp.home.answer("status")["shares"]
    wheel = make_wheel(corp.home.path / "dist", "one", "1.0")
    upload = (str(PROGRAMS / "twine"), "upload", "--non-interactive", str(wheel))
    assert corp.near(share["socket"], *upload).returncode == 0
    assert "one-1.0" in corp.near(share["socket"], *CURL, f"{corp.page}one/").stdout
    corp.policy('[[policy]]\ndecide = "allow"\n')  # the user has agreed under another one
    assert corp.near(share["socket"], "true").returncode == 2
    corp.policy('[[policy]]\ndecide = "ask"\n')
    person = Typist(corp.home, *command)
    person.sees("Place of the socket: ").sees("]? ").types("d").leaves(2)


def test_no_credential_comes_out_of_the_socket_and_nothing_else_is_done_there(
    corp: SharedIndex,
) -> None:
    path = corp.share()
    assert "hands out no credential" in corp.home.refused("token", "corp", TOKENWARD_SOCK=path)
    refused = corp.home.refused(
        "exec", "--env", "--index", "corp", "--", "true", TOKENWARD_SOCK=path
    )
    assert "hint: `auth exec -- COMMAND` runs a command behind it" in refused
    for command in (("list",), ("lock",), ("share", "--service", "corp"), ("agent", "stop")):
        assert "does nothing else" in corp.home.refused(*command, TOKENWARD_SOCK=path), command


def test_at_a_share_without_a_relay_exec_names_the_option_for_it(corp: SharedIndex) -> None:
    path = corp.home.answer("share", "--service", "corp", "--whole")["socket"]
    refused = corp.home.refused("exec", "--relay", "--", "true", TOKENWARD_SOCK=path)
    assert "has no relay" in refused
    assert "hint: `auth exec --env`" in refused


def test_options_that_the_share_has_decided_are_refused_at_its_near_end(corp: SharedIndex) -> None:
    path = corp.share()
    for option in (("--index", "corp"), ("--project", "one"), ("--read-only",), ("--ttl", "1h")):
        refused = corp.home.refused("exec", *option, "--", "true", TOKENWARD_SOCK=path)
        assert f"At a relay share, `{option[0]}` cannot be chosen" in refused


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--service", "pypi"), "Everyone may read from pypi"),
        (("--service", "https://nothing.example/"), "No credential for https://nothing.example/"),
        (("--service", "corp", "--whole"), "`--whole` is not for shares with `--relay`"),
        (("--service", "corp", "--tunnel", "a/b"), "A tunnel is a HOST or HOST:PORT."),
        (("--service", "corp", "--tunnel", "a:0"), "A tunnel is a HOST or HOST:PORT."),
        (("--service", "corp", "--tunnel", "a:65536"), "A tunnel is a HOST or HOST:PORT."),
        (("--service", "corp", "--read-only", "--project", "x"), "nothing may be published"),
        (("--service", "corp", "--ttl", "5s"), "A share must last at least a minute"),
    ],
)
def test_what_cannot_be_shared_by_a_relay_is_told(
    corp: SharedIndex, options: tuple[str, ...], why: str
) -> None:
    assert why in corp.home.refused("share", "--relay", *options)


def test_a_share_says_what_it_may_do(corp: SharedIndex) -> None:
    path = corp.share("--project", "One", "--tunnel", "Files.Example", "--ttl", "1h")
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(PATIENCE)
        asking.connect(path)
        greeting = said(asking, "hello")
    assert greeting["relay"] is True
    assert greeting["tunnels"] == ["files.example:443"]
    assert greeting["indexes"] == [
        {
            "name": "corp",
            "install": corp.page,
            "publish": f"{corp.index.url}legacy/",
            "projects": ["one"],
        }
    ]
    (share,) = corp.home.answer("status")["shares"]
    assert (share["relay"], share["tunnels"]) == (True, ["files.example:443"])


def test_many_connections_at_once_are_all_served(corp: SharedIndex) -> None:
    path = corp.share()
    urls = [f"{corp.page}one/?{number}" for number in range(60)]
    few = {"CURL_CA_BUNDLE": str(corp.home.path / "index.pem")}  # curl reads it sixty times
    parallel = ("--parallel", "--parallel-immediate", "--parallel-max", "60")
    found = corp.near(path, *CURL, *parallel, *urls, variables=few)
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("</a>") == 60


def said(connection: socket.socket, op: str, body: bytes = b"") -> dict[str, object]:
    """Return the answer to a request."""
    from tokenward_protocol.frames import PREFIX, find_frame, make_frame
    from tokenward_protocol.messages import make_request
    from tokenward_protocol.packing import unpack

    connection.sendall(make_frame(make_request(op, 1, {}), body))
    data = bytearray()
    while (found := find_frame(memoryview(data))) is None:
        data += connection.recv(65536)
    return dict(unpack(data[PREFIX : found[0]]))


def relays_of(corp: SharedIndex) -> list[int]:
    """Return the processes of the agent's relays."""
    agent = corp.home.agent_pid()
    assert agent is not None
    return relays(agent)
