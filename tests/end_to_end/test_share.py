"""One credential for somebody elsewhere: a socket that hands out narrowed tokens, and does nothing else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.auth_commands import PROGRAMS
from support.macaroons import caveats_of as caveat_texts
from support.macaroons import token_of
from support.policy import TOOL, rules
from support.systems.other_users import SOMEBODY, become, other_users
from support.systems.ssh_hosts import SshHosts, needs_ssh_hosts
from support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home

PYPI, OTHER = "https://upload.pypi.org/legacy/", "https://other.example/"
TOKEN = token_of("pypi.org", "shared")


def caveats_of(token: str) -> list[Any]:
    """Return what a token is limited to."""
    return [json.loads(text) for text in caveat_texts(token) or ()]


@pytest.fixture
def stored(home: Home) -> Home:
    home.done("login", "pypi", "--token", "-", stdin=TOKEN)
    home.done("login", OTHER, "-u", "ana", "--password", "-", stdin="another")
    return home


def shared(home: Home, *options: str) -> dict[str, Any]:
    """Share PyPI's token, and return what is said of it."""
    answer = home.done("share", "--service", "pypi", *options, "--format", "json")
    found: dict[str, Any] = json.loads(answer)
    return found


def by(
    home: Home, path: str, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `auth` at a shared socket."""
    return home.auth(*arguments, TOKENWARD_SOCK=path, **variables)


def test_it_prints_the_path_and_hands_out_narrowed_tokens_alone(stored: Home) -> None:
    path = stored.done("share", "--service", "pypi", "--project", "Mine").strip()
    assert Path(path).stat().st_mode & 0o777 == 0o600
    for asked in (
        ("token",),
        ("token", "pypi", "--ttl", "5m"),
        ("token", "https://pypi.org/simple/"),
    ):
        token = by(stored, path, *asked).stdout.strip()
        assert token != TOKEN
        assert [1, ["mine"]] in caveats_of(token)
    line = stored.log_lines()[-1]
    assert (line["event"], line["share"], line["projects"]) == ("fetch", path, ["mine"])


def test_nothing_but_that_credential_can_be_had_or_done_there(stored: Home) -> None:
    path = shared(stored)["socket"]
    assert by(stored, path, "token", OTHER).returncode == 2
    assert by(stored, path, "token", "pypi", "-u", "ana").returncode == 2
    for command in (
        ("list",),
        ("status",),
        ("lock",),
        ("unlock",),
        ("logout", "pypi"),
        ("log", "--verify"),
        ("agent", "stop"),
        ("share", "--service", "pypi"),
        ("passphrase", "remove"),
        ("export", str(stored.path / "out")),
    ):
        result = by(stored, path, *command, TOKENWARD_ASKPASS="/bin/echo")
        assert result.returncode == 2, command
        assert "hands out one credential and does nothing else" in result.stderr, command
    assert by(stored, path, "login", OTHER, "-u", "x", "--password", "-", "x").returncode == 2
    assert len(stored.answer("list")["credentials"]) == 2


def test_a_share_is_narrower_than_what_is_asked_there_and_never_wider(stored: Home) -> None:
    share = shared(stored, "--project", "mine", "--project", "two", "--ttl", "10m")
    path = share["socket"]
    (end, projects) = caveats_of(by(stored, path, "token", "--project", "two").stdout.strip())
    assert projects == [1, ["two"]]
    refused = by(stored, path, "token", "--project", "three")
    assert "The credential is shared only for mine, two." in refused.stderr
    within = caveats_of(by(stored, path, "token", "--ttl", "2h").stdout.strip())[0]
    assert abs(within[1] - end[1]) < 60  # not two hours, but what is left of ten minutes


def test_it_ends_when_it_is_stopped_and_the_others_go_on(stored: Home) -> None:
    one, two = shared(stored), shared(stored, "--at", "two.sock")
    assert two["socket"] == str(stored.path / "two.sock")
    assert two["socket"] in stored.done("status")
    stored.done("share", "--stop", "--at", "two.sock")
    assert not Path(two["socket"]).exists()
    assert by(stored, one["socket"], "token").returncode == 0
    stored.done("share", "--stop")
    assert not Path(one["socket"]).exists()
    assert by(stored, one["socket"], "token").returncode == 2
    assert stored.auth("share", "--stop").returncode == 0


def test_it_ends_with_the_agent_and_is_not_remembered(stored: Home) -> None:
    path = shared(stored, "--project", "mine")["socket"]
    told = stored.auth("agent", "restart").stderr
    assert f"The share at {path} is gone: pypi (mine)." in told
    assert "hint: `auth share` shares it again" in told
    assert not Path(path).exists()
    assert stored.answer("status")["shares"] == []
    path = shared(stored)["socket"]
    assert stored.answer("agent", "stop")["unshared"] == [path]
    assert stored.answer("agent", "stop")["unshared"] == []


@pytest.mark.parametrize(
    ("command", "stdin"),
    [
        (("login", "pypi", "--token", "-"), token_of("pypi.org", "wider")),
        (("logout", "pypi"), ""),
        (("lock",), ""),
    ],
)
def test_it_ends_with_its_login_and_with_a_lock_and_that_is_said(
    stored: Home, command: tuple[str, ...], stdin: str
) -> None:
    path = shared(stored, "--project", "mine")["socket"]
    found = stored.auth(*command, stdin=stdin)
    assert found.returncode == 0
    assert f"This ended the share at {path}." in found.stderr
    stored.done("unlock")
    assert by(stored, path, "token").returncode == 2
    assert stored.answer("status")["shares"] == []


@pytest.mark.parametrize("ttl", ["20d", "36500d"])
def test_no_time_that_is_asked_for_there_makes_a_longer_token(stored: Home, ttl: str) -> None:
    path = shared(stored)["socket"]
    within = by(stored, path, "token", "--ttl", ttl)
    if within.returncode == 0:
        ends = caveats_of(within.stdout.strip())[0][1]
        usual = caveats_of(by(stored, path, "token").stdout.strip())[0][1]
        assert abs(ends - usual) < PATIENCE
    assert (within.returncode == 0) is (ttl == "20d")


def test_who_was_let_in_is_hung_up_on_when_it_is_stopped(stored: Home) -> None:
    path = shared(stored)["socket"]
    with socket.socket(socket.AF_UNIX) as inside:
        inside.connect(path)
        inside.settimeout(PATIENCE)
        stored.done("share", "--stop")
        assert inside.recv(1) == b""


def test_what_cannot_be_narrowed_is_shared_whole_or_not_at_all(stored: Home) -> None:
    refused = stored.auth("share", "--service", OTHER)
    assert refused.returncode == 2
    assert "hint: add `--whole` to share the credential itself" in refused.stderr
    answer = stored.done("share", "--service", OTHER, "--whole", "--format", "json")
    assert by(stored, json.loads(answer)["socket"], "token", OTHER).stdout == "another\n"
    path = shared(stored, "--whole")["socket"]
    assert by(stored, path, "token").stdout == f"{TOKEN}\n"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "No service is named."),
        (("--service", "pypi", "--ttl", "5s"), "A share must last at least a minute"),
        (("--service", "pypi", "--uid", "x"), "`--uid`"),
        (("--service", "pypi", "--uid=-1"), "is not a user id"),
        (("--service", "pypi", "--uid", "4294967295"), "is not a user id"),  # (uid_t) -1: no one
        (("--service", "pypi", "--uid", "9999999999"), "is not a user id"),
        (("--service", "pypi", "--at", "/no/such/folder/s"), "cannot be made: No such file"),
        (("--service", "pypi", "--at", "/tmp"), "The file at the socket's path is not a socket."),
        (
            ("--service", "pypi", "--at", "/tmp/" + "x" * 200),
            "cannot be made: AF_UNIX path too long",
        ),
        (("--service", "https://nothing.example/"), "is stored"),
        (("--service", "pypi", "--whole", "--project", "x"), "cannot be limited to projects"),
        (("--service", "pypi", "--service", OTHER), f"several are named: pypi and {OTHER}."),
        (("--service", "pypi", "--ttl", "1h", "--ttl", "8h"), "`--ttl` is given twice."),
        (("--service", "pypi", "--stop"), "`--stop` takes `--at` and nothing else."),
        (("--stop", "--at", "/tmp/nothing"), "No share is at this path."),
    ],
)
def test_what_cannot_be_shared_is_told(stored: Home, options: tuple[str, ...], why: str) -> None:
    result = stored.auth("share", *options)
    assert result.returncode == 2
    assert why in result.stderr


def test_a_socket_that_an_ended_agent_left_makes_way_and_one_that_answers_does_not(
    stored: Home,
) -> None:
    place = stored.path / "s.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
        left.listen()
        assert (
            "Another process listens"
            in stored.auth("share", "--service", "pypi", "--at", str(place)).stderr
        )
    assert shared(stored, "--at", str(place))["socket"] == str(place)


def test_a_policy_is_asked_for_the_share_and_a_rule_since_then_ends_it(stored: Home) -> None:
    path = shared(stored)["socket"]
    rules(stored, '[[policy]]\nprogram = "auth"\ndecide = "deny"\n')
    assert (
        "The policy denies auth the credential for pypi"
        in stored.auth("share", "--service", "pypi").stderr
    )
    refused = by(stored, path, "token")
    assert "The policy denies what is shared here." in refused.stderr
    assert str(stored.path) not in refused.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="a peer is read in /proc")
def test_tools_have_it_there_unchanged(stored: Home) -> None:
    path = shared(stored, "--project", "mine")["socket"]
    stored.done("setup", "keyring", "--yes")
    (stored.path / "twine").write_text(TOOL.format(url=PYPI))
    printed = stored.run(sys.executable, stored.path / "twine", TOKENWARD_SOCK=path).stdout
    assert printed.startswith("__token__ pypi-")
    assert [1, ["mine"]] in caveats_of(printed.split()[1])
    run = stored.auth(
        "exec", "--env", "--", "sh", "-c", "echo $TWINE_PASSWORD", TOKENWARD_SOCK=path
    )
    assert [1, ["mine"]] in caveats_of(run.stdout.strip())


@other_users
def test_another_user_is_let_in_if_it_was_named(stored: Home) -> None:
    stored.path.chmod(0o711)
    open_ = stored.path / "open"
    open_.mkdir(mode=0o711)
    command = [*become(), str(PROGRAMS / "auth"), "token"]
    environment = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

    def asks(path: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=environment | {"TOKENWARD_SOCK": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    named = shared(stored, "--at", str(open_ / "named.sock"), "--uid", str(SOMEBODY))
    assert named["uids"] == [SOMEBODY]
    assert asks(named["socket"]).stdout.startswith("pypi-")
    other = shared(stored, "--at", str(open_ / "other.sock"), "--uid", str(SOMEBODY + 1))
    told = asks(other["socket"])
    assert told.stdout == ""
    assert f"belongs to uid {os.geteuid()}, who does not let this user in." in told.stderr
    assert f"if it names {SOMEBODY} with `--uid`" in told.stderr
    Path(shared(stored, "--at", str(open_ / "own.sock"))["socket"]).chmod(0o666)
    assert asks(str(open_ / "own.sock")).stdout == ""


_CONTAINER = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/job"
mount --bind "$2" "$1/job"
mount -o remount,bind,ro "$1/job"
! touch "$1/job/x" 2>/dev/null
shift 2
exec "$@"
"""


@pytest.mark.parametrize("root", ["a user's own", "the real one"])
@other_users
def test_root_of_a_container_has_it_through_a_folder_that_it_may_only_read(
    stored: Home, root: str, tmp_path: Path
) -> None:
    """The home is not there, and neither are its processes; what is mounted is one folder."""
    job = tmp_path / "job"
    job.mkdir(mode=0o700)
    path = shared(stored, "--project", "mine", "--at", str(job / "tokenward.sock"))["socket"]
    home = stored.path
    inside = [
        *(
            "env",
            "-i",
            f"HOME={home}",
            "PATH=/usr/bin:/bin",
            f"TOKENWARD_SOCK={home}/job/tokenward.sock",
        )
    ]
    parted = ["unshare", "--mount", "--pid", "--fork", "--net", "--propagation", "private"]
    if root == "a user's own":
        parted += ["--user", "--map-root-user"]
    found = subprocess.run(
        [*parted, "sh", "-c", _CONTAINER, "sh", home, job, *inside, PROGRAMS / "auth", "token"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert [1, ["mine"]] in caveats_of(found.stdout.strip()), found.stderr
    assert Path(path).exists()
    line = stored.log_lines()[-1]
    assert (line["share"], line["decision"]) == (path, "given")


@pytest.fixture
def hosts() -> Iterator[SshHosts]:
    with SshHosts() as found:
        yield found


@needs_ssh_hosts
def test_another_host_has_it_by_ssh_as_long_as_the_connection_stands(
    stored: Home, hosts: SshHosts
) -> None:
    path = shared(stored, "--project", "mine", "--ttl", "1h")["socket"]
    remote = f"{hosts.folder}/tokenward.sock"
    forwarded = ("-R", f"{remote}:{path}")
    assert hosts.run("test", "-e", path).returncode == 1  # it is another host
    found = hosts.run(f"TOKENWARD_SOCK={remote}", f"{PROGRAMS}/auth", "token", options=forwarded)
    assert [1, ["mine"]] in caveats_of(found.stdout.strip()), found.stderr
    line = stored.log_lines()[-1]
    assert (line["share"], line["who"]["program"], line["projects"]) == (path, "ssh", ["mine"])
    gone = hosts.run(f"TOKENWARD_SOCK={remote}", f"{PROGRAMS}/auth", "token")
    assert gone.returncode == 2


@needs_ssh_hosts
def test_a_tool_on_another_host_has_it_too_and_lists_nothing(stored: Home, hosts: SshHosts) -> None:
    path = shared(stored, "--project", "mine")["socket"]
    remote = f"{hosts.folder}/tokenward.sock"
    (hosts.folder / "twine").write_text(TOOL.format(url=PYPI))
    forwarded = ("-R", f"{remote}:{path}")
    run = (f"TOKENWARD_SOCK={remote}", sys.executable, f"{hosts.folder}/twine")
    printed = hosts.run(*run, options=forwarded).stdout
    assert [1, ["mine"]] in caveats_of(printed.split()[1])
    (hosts.folder / "tokenward.sock").unlink()
    listed = hosts.run(f"TOKENWARD_SOCK={remote}", f"{PROGRAMS}/auth", "list", options=forwarded)
    assert listed.returncode == 2
    assert "hands out one credential" in listed.stderr
