"""The agent under a real `systemd --user`: installed, started by the first request, and taken away.

One session serves most tests; each of them leaves it as it was.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.relay_process.raw_index import RawIndex
from support.systems.other_users import SOMEBODY, give
from support.systems.systemd_user import MANAGER, RUNTIME, UserManager, needs_user_manager
from support.terminal import Typist
from support.tools.keyring_program import keyring_program
from tokenward_agent.requests.runs import MOST_RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [needs_user_manager, pytest.mark.xdist_group("systemd")]

UNITS = Path(__file__).resolve().parent.parent.parent / "client/tokenward/services/units"
URL = "https://index.example/simple/"
LOGIN = ("login", URL, "--token", "t-1", "--keyring-provider", "disabled")
AGENT, SOCKET = "tokenward.service", "tokenward.socket"
ADDRESS = f"{RUNTIME}/tokenward/agent.sock"
PYTHON = f"ExecStart={sys.executable} -I -c"

CAN_CONNECT = """
import os, socket
try:
    socket.socket(socket.AF_INET).close()
    found = "network"
except OSError:
    found = "none"
socket.socket(socket.AF_UNIX).close()
with open("{path}", "a") as file:
    file.write(found + "\\n")
"""


@pytest.fixture(scope="module")
def session() -> Iterator[UserManager]:
    with UserManager() as it:
        yield it


@pytest.fixture
def user(session: UserManager) -> Iterator[UserManager]:
    """A session in which the agent is installed, and nothing stored."""
    session.done("agent", "install")
    yield session
    session.done("agent", "uninstall")
    session.forget()


def ended(user: UserManager) -> None:
    user.until(lambda: user.shows(AGENT, "ActiveState") == "inactive")


@contextmanager
def changed(user: UserManager, *lines: str) -> Iterator[None]:
    """Have the agent's unit say something else, as `systemctl --user edit` does."""
    folder = user.path / ".config/systemd/user/tokenward.service.d"
    folder.mkdir()
    (folder / "test.conf").write_text("\n".join(["[Service]", *lines, ""]))
    give(folder)
    user.systemctl("stop", AGENT)
    user.systemctl("daemon-reload")
    try:
        yield
    finally:
        user.run("rm", "-r", str(folder))
        user.systemctl("stop", AGENT)
        user.systemctl("daemon-reload")
        user.systemctl("reset-failed")


def files(user: UserManager) -> str:
    return user.run("find", f"{user.path}/.config", "-type", "f", "-o", "-type", "l").stdout


def test_installing_says_what_it_did_and_uninstalling_undoes_it(session: UserManager) -> None:
    ours = session.path / ".config/foot.ini"
    session.run("mkdir", str(ours.parent))
    session.run("touch", str(ours))
    before = files(session)
    assert session.answer(*LOGIN)["provider"] == "disabled"
    on_demand = session.answer("agent", "status")
    assert on_demand["service"] is None

    found = session.answer("agent", "install")
    assert (found["manager"], found["installed"]) == ("systemd", True)
    written = found["written"]
    assert isinstance(written, list)
    assert sorted(Path(path).name for path in written) == sorted(
        path.name for path in UNITS.iterdir()
    )
    assert found["pid"] not in {None, on_demand["pid"]}
    assert session.shows(AGENT, "MainPID") == str(found["pid"])
    assert session.shows(SOCKET, "UnitFileState") == "enabled"
    assert session.done("token", URL) == "t-1\n"

    again = session.answer("agent", "install")
    assert (again["written"], again["pid"]) == ([], found["pid"])
    mode = session.run("stat", "-c", "%a %F", f"{RUNTIME}/tokenward", ADDRESS).stdout
    assert mode == "700 directory\n600 socket\n"

    removed = session.answer("agent", "uninstall")["removed"]
    assert sorted(removed if isinstance(removed, list) else []) == sorted(written)
    assert files(session) == before
    assert session.answer("agent", "status")["service"] is None
    assert session.systemctl("list-units", "--all", "--quiet", "tokenward*").strip() == ""
    assert session.done("token", URL) == "t-1\n"  # started on demand, as ever
    session.done("agent", "stop")
    assert session.answer("agent", "uninstall")["removed"] == []
    session.forget()


def test_what_is_written_is_for_the_directories_of_whoever_installs(session: UserManager) -> None:
    other = {"TOKENWARD_DIR": f"{session.path}/mine", "XDG_STATE_HOME": f"{session.path}/a 100% b"}
    session.done("agent", "install", **other)
    session.done(*LOGIN, **other)
    socket = session.answer("agent", "status", **other)["socket"]
    assert session.shows(SOCKET, "Listen") == f"{socket} (Stream)"
    assert {path.name for path in session.path.iterdir()} >= {"mine", "a 100% b"}
    status = session.done("agent", "status")
    assert status.splitlines()[0] == "The agent is not running."
    assert f"starts the agent of other credentials, at {socket}." in status
    assert session.auth("token", URL).returncode == 2
    session.done("agent", "stop")
    session.done("agent", "uninstall")
    session.forget()


def test_a_unit_that_was_changed_is_written_anew(user: UserManager) -> None:
    unit = user.path / ".config/systemd/user/tokenward.service"
    before = unit.read_text()
    user.run("sed", "-i", "s/^NoNewPrivileges=.*/NoNewPrivileges=no/", str(unit))
    assert user.answer("agent", "install")["written"] == [str(unit)]
    assert unit.read_text() == before


def test_where_the_unit_starts_nothing_the_agent_is_started_on_demand(user: UserManager) -> None:
    user.done(*LOGIN)
    with changed(user, "ExecStart=", "ExecStart=/nowhere/python", "StartLimitBurst=2"):
        assert "index.example" in user.done("list")
        assert user.shows(SOCKET, "ActiveState") == "failed"
        assert user.done("token", URL) == "t-1\n"
        assert "does not listen" in user.done("agent", "status")
        assert "does not listen" in user.auth("doctor").stdout
        user.done("agent", "stop")
    assert user.answer("agent", "install")["written"] == []
    assert user.shows(SOCKET, "ActiveState") == "active"


def test_a_strangers_unit_stays_and_nothing_is_written(session: UserManager) -> None:
    folder = session.path / ".config/systemd/user"
    session.run("mkdir", "-p", str(folder))
    session.run("sh", "-c", f"echo '[Service]' >{folder}/tokenward.service")
    result = session.auth("agent", "install")
    assert result.returncode == 2
    assert "tokenward.service exists" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["tokenward.service"]
    session.forget()


def test_the_units_of_a_distribution_do_and_are_not_taken_away(session: UserManager) -> None:
    folder = session.path / ".local/share/systemd/user"
    session.run("mkdir", "-p", str(folder))
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/usr/bin/tokenward-agent", f"{PROGRAMS}/tokenward-agent")
        session.run("sh", "-c", f"cat >'{folder}/{unit.name}'", stdin=text)
    session.systemctl("daemon-reload")
    session.systemctl("enable", "--now", SOCKET)
    session.done(*LOGIN)
    assert session.shows(AGENT, "ActiveState") == "active"
    protections = session.answer("status")["protections"]
    assert protections["remote debugging off"] == "in force"
    result = session.auth("agent", "uninstall")
    assert result.returncode == 2
    assert f"`systemctl --user disable --now {SOCKET}`" in result.stderr
    session.systemctl("disable", "--now", SOCKET)
    session.forget()
    session.systemctl("daemon-reload")


def test_a_program_that_does_not_start_is_not_kept(session: UserManager) -> None:
    """`/proc` in the place of the state directory, which cannot be made there."""
    result = session.auth("agent", "install", XDG_STATE_HOME="/proc/none")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert files(session) == ""
    session.forget()


def test_the_first_request_starts_it_and_asking_whether_it_runs_does_not(
    user: UserManager,
) -> None:
    user.systemctl("stop", AGENT)
    for _ in range(2):
        found = user.answer("agent", "status")
        assert (found["running"], found["pid"]) == (False, None)
        service = found["service"]
        assert isinstance(service, dict)
        assert (service["listening"], service["socket"]) == (True, ADDRESS)
    assert user.answer("status")["running"] is False
    assert user.answer("agent", "stop")["stopped"] is None
    by_hand = user.auth("agent", "run")
    assert (by_hand.returncode, "`auth agent uninstall`" in by_hand.stderr) == (2, True)
    assert user.shows(AGENT, "ActiveState") == "inactive"

    user.done(*LOGIN)
    pid = int(user.shows(AGENT, "MainPID"))
    assert user.answer("agent", "status")["pid"] == pid
    assert user.answer("agent", "restart")["stopped"] == pid
    assert user.done("token", URL, TOKENWARD_NO_AUTOSTART="1") == "t-1\n"
    assert user.shows(AGENT, "MainPID") not in {"0", str(pid)}
    assert user.answer("agent", "stop")["running"] is False
    ended(user)
    assert user.shows(SOCKET, "ActiveState") == "active"


def test_it_is_confined_as_the_unit_says(user: UserManager) -> None:
    user.done("list")
    pid = user.shows(AGENT, "MainPID")
    status = dict(line.split(":\t", 1) for line in user.proc(pid, "status").splitlines())
    assert (status["NoNewPrivs"], status["Seccomp"], status["Umask"]) == ("1", "2", "0077")
    limits = user.proc(pid, "limits").splitlines()
    (core,) = [line.split() for line in limits if line.startswith("Max core file size")]
    assert core[4:6] == ["0", "0"]
    protections = user.answer("status")["protections"]
    assert isinstance(protections, dict)
    assert protections.pop("memory")
    assert set(protections.values()) == {"in force"}


@pytest.mark.skipif(shutil.which("gdb") is None, reason="needs gdb")
def test_the_agent_itself_can_open_unix_sockets_alone(user: UserManager) -> None:
    """Root, who can do everything, has the running agent try it."""
    user.done("list")
    opened = [f"print ((int(*)(int,int,int))socket)({family},1,0) >= 0" for family in (1, 2, 10)]
    tries = [word for each in opened for word in ("-ex", each)]
    gdb = ["gdb", "-nx", "-batch", "-p", user.shows(AGENT, "MainPID"), *tries]
    said = subprocess.run([*user.inside_as_root, *gdb], capture_output=True, text=True, check=True)
    assert re.findall(r"^\$\d = (\d)$", said.stdout, re.MULTILINE) == ["1", "0", "0"]
    user.done("agent", "restart")  # one descriptor of it is nobody's


def test_what_runs_in_the_agents_unit_has_no_network(user: UserManager) -> None:
    """Not the agent but a probe in its place, under all that its unit says."""
    probe = user.path / "probe"
    probe.write_text(CAN_CONNECT.format(path=f"{user.path}/found"))
    start = f"ExecStart={sys.executable} -I {probe}"
    for confined, found in (("", "none\n"), ("RestrictAddressFamilies=", "none\nnetwork\n")):
        with changed(user, "Type=oneshot", "ExecStart=", start, confined):
            user.systemctl("start", AGENT)
            assert (user.path / "found").read_text() == found


def test_a_killed_agent_is_back_with_all_that_opens_by_itself(user: UserManager) -> None:
    user.done(*LOGIN)
    pid = user.shows(AGENT, "MainPID")
    for _ in range(2):
        user.run("kill", "-KILL", pid)
        assert user.done("token", URL) == "t-1\n"
        user.until(lambda: user.shows(AGENT, "MainPID") not in {pid, "0"})  # noqa: B023 - at once
        pid = user.shows(AGENT, "MainPID")
    assert user.shows(AGENT, "NRestarts") == "2"


def test_nobody_asks_it_goes_and_the_socket_stays(user: UserManager) -> None:
    user.done(*LOGIN)
    with changed(user, "Environment=TOKENWARD_IDLE_EXIT=1s"):
        assert user.done("token", URL) == "t-1\n"
        ended(user)
        assert user.shows(AGENT, "Result") == "success"
        assert user.shows(SOCKET, "ActiveState") == "active"
        assert user.done("token", URL) == "t-1\n"


def test_a_reload_is_a_lock_and_the_status_says_which(user: UserManager) -> None:
    user.done(*LOGIN)
    assert user.shows(AGENT, "StatusText") == "unlocked"
    user.systemctl("reload", AGENT)
    user.until(lambda: user.shows(AGENT, "StatusText") == "locked")
    assert user.shows(AGENT, "ActiveState") == "active"
    assert "`auth unlock`" in user.auth("token", URL).stderr
    user.done("agent", "restart")
    user.until(lambda: user.shows(AGENT, "StatusText") == "locked")
    user.done("unlock")
    user.until(lambda: user.shows(AGENT, "StatusText") == "unlocked")
    assert user.done("token", URL) == "t-1\n"
    events = [line["event"] for line in log(user)]
    assert "lock" in events


def log(user: UserManager) -> list[dict[str, object]]:
    found = user.log_lines()
    assert isinstance(found, list)
    return found


def test_an_agent_whose_address_is_taken_ends_at_once_and_says_why(user: UserManager) -> None:
    user.systemctl("stop", AGENT)
    lock = f"{ADDRESS}.lock"
    with changed(user, f"StandardError=append:{user.path}/errors"):
        held = user.run("flock", lock, *(PROGRAMS / "auth", "token", URL))
        assert held.returncode == 2
        assert "Another agent serves this address." in held.stderr
        ended(user)
        found = [user.shows(AGENT, name) for name in ("Result", "ExecMainStatus", "NRestarts")]
        assert found == ["success", "0", "0"]
        said = (user.path / "errors").read_text().splitlines()
        assert set(said) == {"tokenward-agent: Another agent serves this address."}
        user.done(*LOGIN)


def test_a_keyring_that_needs_the_network_is_asked_outside_of_the_filters(
    user: UserManager,
) -> None:
    programs = user.path / "programs"
    programs.mkdir()
    found = f"{programs}/found"
    kept = keyring_program(programs)
    kept.rename(programs / "kept")
    probe = CAN_CONNECT.format(path=found)
    (programs / "keyring").write_text(
        f"#!{sys.executable}\n{probe}\nos.execv('{programs}/kept', ['kept', *os.sys.argv[1:]])\n"
    )
    (programs / "keyring").chmod(0o755)
    give(programs)
    path = f"{programs}:{user.environment['PATH']}"
    user.done("login", URL, "--token", "t-2", "--keyring-provider", "subprocess", PATH=path)
    user.done("agent", "restart", PATH=path)
    assert user.done("token", URL, PATH=path) == "t-2\n"
    assert set(Path(found).read_text().split()) == {"network"}
    user.until(lambda: "tokenward-worker@" not in user.systemctl("list-units", "--all", "--plain"))


def test_the_system_keyring_is_asked_outside_of_the_filters(user: UserManager) -> None:
    if not all(map(shutil.which, ("dbus-daemon", "gnome-keyring-daemon"))):
        pytest.skip("needs the packages dbus and gnome-keyring")
    bus = f"DBUS_SESSION_BUS_ADDRESS=unix:path={RUNTIME}/bus"
    for unit, before, command in (
        ("bus", "", f"dbus-daemon --session --nofork --address=unix:path={RUNTIME}/bus"),
        ("keyring", "echo secret |", "gnome-keyring-daemon --unlock --foreground -c secrets"),
    ):
        start = ["systemd-run", "--user", "--quiet", f"--unit=test-{unit}", f"--setenv={bus}"]
        started = user.run(*start, "sh", "-c", f"{before} {command}")
        assert started.returncode == 0, started.stderr
    user.systemctl("set-environment", bus)
    login = ("login", URL, "--token", "t-4", "--keyring-provider", "keyring")
    variables = dict([bus.split("=", 1)])
    user.until(lambda: user.auth(*login, **variables).returncode == 0)
    user.done("agent", "restart")
    assert user.done("token", URL) == "t-4\n"
    (vault,) = [it for it in vaults(user) if it["state"] == "open"]
    assert vault["provider"] == "keyring"
    user.systemctl("unset-environment", "DBUS_SESSION_BUS_ADDRESS")
    user.systemctl("stop", "test-keyring", "test-bus")


def vaults(user: UserManager) -> list[dict[str, object]]:
    found = user.answer("status")["vaults"]
    assert isinstance(found, list)
    return found


def test_a_passphrase_that_the_manager_hands_over_asks_nobody(user: UserManager) -> None:
    phrase = user.path / "phrase"
    user.run("sh", "-c", f"umask 077; echo correct horse >{phrase}")
    user.done("passphrase", "set", TOKENWARD_PASSPHRASE_FILE=str(phrase))
    user.done(*LOGIN)
    user.done("agent", "restart")
    assert user.auth("token", URL).returncode == 2
    with changed(user, f"LoadCredential=tokenward-passphrase:{phrase}"):
        assert user.done("token", URL) == "t-1\n"
        assert "or a process that can read it where the service manager does" in user.done("status")
        assert user.shows(AGENT, "StatusText") == "unlocked"
        assert user.answer("agent", "restart")["running"] is True
        assert user.done("token", URL) == "t-1\n"
        user.run("sh", "-c", f"echo another one >{phrase}")
        user.done("agent", "restart")
        refused = user.auth("token", URL)
        assert (
            "The credential `tokenward-passphrase` of the slot `passphrase` does not open it"
            in (refused.stderr)
        )
        user.run("sh", "-c", f"echo correct horse >{phrase}")
        user.done("unlock", TOKENWARD_PASSPHRASE_FILE=str(phrase))


def systemd_version() -> int:
    """Return the version of the manager, 0 where none is."""
    if not MANAGER.exists():
        return 0
    said = subprocess.run([str(MANAGER), "--version"], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[1])


def as_root(user: UserManager, script: str) -> None:
    subprocess.run([*user.inside_as_root, "sh", "-ec", script], check=True, capture_output=True)


@contextmanager
def decrypting(user: UserManager) -> Iterator[None]:
    """Have somebody decrypt credentials for users, as systemd-creds.socket of the system does."""
    socket = "/run/systemd/io.systemd.Credentials"
    listen = f"systemd-socket-activate --accept --fdname=varlink -l {socket} systemd-creds"
    script = f"echo $$ >/run/decrypting; exec {listen}"
    with subprocess.Popen([*user.inside_as_root, "sh", "-c", script], stderr=subprocess.DEVNULL):
        try:
            user.until(lambda: user.run("test", "-S", socket).returncode == 0)
            as_root(user, f"chmod 666 {socket}")
            yield
        finally:
            as_root(user, "kill $(cat /run/decrypting)")


@pytest.mark.skipif(
    systemd_version() < 258, reason="systemd before 258 decrypts none for units of users"
)
def test_a_passphrase_that_is_encrypted_on_the_disk_is_handed_over(user: UserManager) -> None:
    phrase, sealed = user.path / "phrase", user.path / "phrase.cred"
    user.run("sh", "-c", f"umask 077; printf 'correct horse' >{phrase}")
    user.done("passphrase", "set", TOKENWARD_PASSPHRASE_FILE=str(phrase))
    user.done(*LOGIN)
    encrypt = f"systemd-creds encrypt --user --uid={SOMEBODY} --name=tokenward-passphrase"
    as_root(
        user,
        "mount -t tmpfs none /var/lib/systemd\n"  # where the machine's own key would lie
        f"{encrypt} --with-key=host {phrase} {sealed}; chown {SOMEBODY} {sealed}; rm {phrase}",
    )
    with decrypting(user), changed(user, f"LoadCredentialEncrypted=tokenward-passphrase:{sealed}"):
        assert user.done("token", URL) == "t-1\n"
        assert b"correct horse" not in sealed.read_bytes()


def test_where_no_worker_is_to_be_had_that_is_said(user: UserManager) -> None:
    user.done("list")
    user.systemctl("stop", "tokenward-worker.socket")
    assert user.shows(AGENT, "ActiveState") == "active"
    login = ("login", URL, "--token", "t-5", "--keyring-provider", "keyring")
    refused = user.auth(*login)
    assert "does not start a worker at" in refused.stderr
    user.done("agent", "restart")
    assert user.shows("tokenward-worker.socket", "ActiveState") == "active"


@pytest.fixture
def index(user: UserManager) -> Iterator[RawIndex]:
    """A private index, for which alice has logged in."""
    with RawIndex() as it:
        authority = user.path / "authority.pem"
        authority.write_bytes(it.certificate)
        authority.chmod(0o644)
        url = f"https://127.0.0.1:{it.port}"
        text = f'ca = "{authority}"\n[services.corp]\nurl = "{url}/team/simple/"\n'
        user.run("mkdir", "-p", f"{user.path}/.config/tokenward")
        user.run("sh", "-c", f"cat >{user.path}/.config/tokenward/config.toml", stdin=text)
        user.log_in(f"{url}/", "a-secret-of-the-index", "--keyring-provider", "disabled")
        yield it


def behind_a_relay(index: RawIndex, script: str) -> tuple[str, ...]:
    """Return a command of `auth` that runs a script, in which $URL is an index."""
    script = f"URL=https://127.0.0.1:{index.port}; {script}"
    return ("exec", "--relay", "--index", "corp", "--", "sh", "-c", script)


def relays(user: UserManager) -> list[str]:
    """Return the units of workers that run: of a run's relay, then of the spare one if there is one."""
    units = user.systemctl("list-units", "--plain", "--quiet", "tokenward-worker@*").splitlines()
    return [line.split()[0] for line in units if " running " in line]


def test_a_relay_and_a_check_of_what_is_sealed_have_units_of_their_own_with_the_network(
    user: UserManager, index: RawIndex
) -> None:
    fetch = "curl -sS -o /dev/null -w '%{http_code}' $URL"
    words = behind_a_relay(index, f"{fetch}/team/simple/; {fetch}/other/")
    errors = f"{user.path}/errors"  # its stderr is a file of the user's own, which the agent opens
    found = user.run("sh", "-c", f'exec "$@" 2>{errors}', "sh", str(PROGRAMS / "auth"), *words)
    said = Path(errors).read_text()
    assert (found.returncode, found.stdout) == (0, "200403"), said
    assert "tokenward: this run may not read /other/ of corp" in said
    basic = b"Basic " + base64.b64encode(b"alice:a-secret-of-the-index")
    assert [each.authorization for each in index.requests] == [basic]
    user.until(lambda: len(relays(user)) < 2)  # a spare one may wait for the next run
    sealed = ("--sealed", "--keyring-provider", "disabled")
    user.log_in(f"https://127.0.0.1:{index.port}/", "a-secret-of-the-index", *sealed)
    checked = user.answer("token", "corp", "--check")
    assert (checked["username"], checked["source"]) == ("alice", "agent")
    assert [each.authorization for each in index.requests] == [basic, b"", basic], checked


@contextmanager
def long_run(user: UserManager, index: RawIndex) -> Iterator[None]:
    """Have a run go on until the end of the block."""
    words = behind_a_relay(index, f"echo $$ >{user.path}/pid; exec sleep 600")
    with subprocess.Popen([*user.inside, str(PROGRAMS / "auth"), *words], env=user.environment):
        user.until(lambda: bool(relays(user)) and (user.path / "pid").exists())
        try:
            yield
        finally:
            user.run("kill", (user.path / "pid").read_text().strip())
            user.run("rm", f"{user.path}/pid")


def test_a_relays_unit_has_no_limit_of_time_and_is_closed_to_its_user(
    user: UserManager, index: RawIndex
) -> None:
    """Nothing of the unit or its socket ends a relay that lives for hours."""
    with long_run(user, index):
        unit = relays(user)[0]
        for name in ("RuntimeMaxUSec", "MemoryMax", "CPUQuotaPerSecUSec"):
            assert user.shows(unit, name) == "infinity"
        assert user.shows(unit, "WatchdogUSec") in {"0", "infinity"}
        assert user.shows(unit, "ActiveState") == "active"  # the start is over, and its limit
        most = int(user.shows("tokenward-worker.socket", "MaxConnections"))
        assert most >= 2 * MOST_RUNS  # other jobs have places beside the relays of all runs
        pid = user.shows(unit, "MainPID")
        status = dict(line.split(":\t", 1) for line in user.proc(pid, "status").splitlines())
        assert status["NoNewPrivs"] == "1"
        assert user.run("cat", "/proc/self/environ").returncode == 0
        assert user.run("cat", f"/proc/{pid}/environ").returncode != 0
    user.until(lambda: unit not in relays(user))


@pytest.mark.parametrize("end", ["kill", "reload", "stop"])
def test_an_agent_that_ends_or_locks_takes_its_relays_with_it(
    user: UserManager, index: RawIndex, end: str
) -> None:
    with long_run(user, index):
        if end == "kill":
            user.run("kill", "-KILL", user.shows(AGENT, "MainPID"))
        else:
            user.systemctl(end, AGENT)
        user.until(lambda: relays(user) == [])
        user.done("unlock")
        assert user.run("sh", "-c", f"ls -d {ADDRESS}.runs/*").returncode != 0


class Person(Typist):
    """Somebody on a terminal of the session."""

    program = "nsenter"


@pytest.mark.skipif(
    not Path("/usr/bin/pinentry-curses").exists(), reason="needs Debian's pinentry-curses"
)
def test_a_person_is_asked_on_their_terminal_by_a_worker_outside(user: UserManager) -> None:
    user.done(*LOGIN)
    user.run("mkdir", "-p", f"{user.path}/.config/tokenward")
    policy = '[[policy]]\ndecide = "ask"\n'
    user.run("sh", "-c", f"cat >{user.path}/.config/tokenward/config.toml", stdin=policy)
    command = [*user.on_a_terminal[1:], str(PROGRAMS / "auth"), "token", URL]
    person = Person(user, *command).sees("auth wants the credential").sees("<Allow>")
    units = user.systemctl("list-units", "--plain", "tokenward-worker@*")
    assert "running" in units
    assert "t-1" in person.types("\t\r").leaves(0)
    Person(user, *command).sees("<Allow>").hangs_up()
    user.until(lambda: "tokenward-worker@" not in user.systemctl("list-units", "--all"))


def test_a_worker_does_nothing_for_anybody_but_the_agent(user: UserManager) -> None:
    user.done("list")
    ask = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(30);"
        f"s.connect('{RUNTIME}/tokenward/worker.sock'); s.send(b'x'); print(s.recv(1))"
    )
    result = user.run(sys.executable, "-c", ask)
    assert "ConnectionResetError" in result.stderr or result.stdout == "b''\n"


def test_an_agent_sends_nothing_to_a_worker_that_is_not_the_managers(user: UserManager) -> None:
    user.done("list")
    with changed(user, f"Environment=TOKENWARD_WORKERS={RUNTIME}/mine.sock"):
        listen = (
            "import socket; s = socket.socket(socket.AF_UNIX);"
            f"s.bind('{RUNTIME}/mine.sock'); s.listen(); c, _ = s.accept(); print(c.recv(99))"
        )
        command = f'{sys.executable} -c "{listen}" >{user.path}/got & auth login {URL} --token t-3'
        result = user.run("sh", "-c", f"{command} --keyring-provider keyring; wait")
        assert result.returncode in {0, 2}
        assert (user.path / "got").read_text() == "b''\n"
        assert "does not start a worker at" in result.stderr
        assert "another process listens there" in result.stderr
    user.run("rm", f"{RUNTIME}/mine.sock")


def test_a_newer_version_takes_over_without_anybody_being_asked(user: UserManager) -> None:
    user.done(*LOGIN)
    older = "import tokenward_protocol as p; p.VERSION = '0.0.1'; import tokenward_agent.__main__ as m; m.main()"
    with changed(user, "ExecStart=", f'{PYTHON} "{older}"'):
        assert user.done("token", URL) == "t-1\n"
        pid = user.shows(AGENT, "MainPID")
        assert user.answer("agent", "status")["version"] == "0.0.1"
        # The files are the new ones now; the agent that runs is the old one.
        user.run("rm", str(user.path / ".config/systemd/user/tokenward.service.d/test.conf"))
        user.systemctl("daemon-reload")
        Person(user, *user.on_a_terminal[1:], str(PROGRAMS / "auth"), "list").sees("index").leaves(
            0
        )
        assert user.shows(AGENT, "MainPID") not in {"0", pid}
        assert user.answer("agent", "status")["version"] != "0.0.1"
        assert user.done("token", URL) == "t-1\n"


def test_logging_out_ends_it_in_good_order() -> None:
    with UserManager() as user:
        user.done("agent", "install")
        user.done(*LOGIN)
        state = next((user.path / ".local/state/tokenward").iterdir())
        user.log_out()
        (written,) = (state / "audit").iterdir()
        assert json.loads(written.read_text().splitlines()[-1])["event"] == "end"
