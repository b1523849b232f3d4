"""Where nothing of the user's may lie, and where it may, through the real commands.

What is refused is refused before anything is made, with what helps; what only looks odd (a home below
/tmp, group-writable folders, homes of containers) works.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from support.auth_commands import PROGRAMS
from support.home import Home
from support.inspection.held_texts import paths_below
from support.systems.other_users import SOMEBODY, become, give

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
root = pytest.mark.root("becomes another user")
AUTH, URL = PROGRAMS / "auth", "https://a.example/"
EVERYTHING = [
    ("login", URL, "--token", "x"),
    ("token", URL),
    ("list",),
    ("status",),
    ("lock",),
    ("dir",),
    ("agent", "start"),
    ("agent", "status"),
    ("setup",),
    ("setup", "keyring"),
]


@pytest.fixture
def fresh(home: Home) -> Home:
    """A home in which nothing is, and of which no variable but HOME says anything."""
    for variable in [name for name in home.environment if name.startswith("XDG_")]:
        del home.environment[variable]
    for folder in (".cache", ".config", ".local/share", ".local/state", ".local", "run"):
        (home.path / folder).rmdir()
    return home


def below(home: Home) -> set[str]:
    return {str(path.relative_to(home.path)) for path in paths_below(home.path)}


def as_user(home: Home, *command: str, uid: int = SOMEBODY, **more: str) -> str:
    """Run `auth` as another user with this home; it has to succeed. Return its stdout."""
    done = home.run(*become(uid), AUTH, *command, **more)
    assert done.returncode == 0, done
    return done.stdout


# D4: another user's home.


@root
@pytest.mark.parametrize("command", EVERYTHING, ids=" ".join)
def test_root_makes_nothing_in_the_home_of_another_user(
    command: tuple[str, ...], fresh: Home
) -> None:
    give(fresh.path)
    told = fresh.refused(*command)
    assert f"{fresh.path} belongs to another user (uid {SOMEBODY})" in told
    assert "hint: set HOME" in told
    assert "TOKENWARD_DIR" in told
    assert below(fresh) == set()


@root
def test_what_root_tried_there_is_in_nobodys_way(fresh: Home) -> None:
    give(fresh.path)
    fresh.refused("login", URL, "--token", "roots")
    as_user(fresh, "login", URL, "--token", "theirs")
    fresh.refused("token", URL)
    fresh.refused("agent", "start")
    assert as_user(fresh, "token", URL) == "theirs\n"
    assert {path.stat().st_uid for path in paths_below(fresh.path)} == {SOMEBODY}
    as_user(fresh, "agent", "stop")


@root
def test_tools_that_root_runs_there_make_nothing_either(fresh: Home) -> None:
    give(fresh.path)
    program = "import tokenward; print(tokenward.get('https://a.example/'))"
    fresh.run(sys.executable, "-c", program)
    fresh.run(
        PROGRAMS / "git-credential-tokenward", "get", stdin="protocol=https\nhost=a.example\n\n"
    )
    fresh.run(PROGRAMS / "tokenward-agent")
    assert below(fresh) == set()


@root
def test_directories_of_ones_own_are_the_way_out(fresh: Home) -> None:
    give(fresh.path)
    with Home() as own:
        places = {
            name: own.environment[name] for name in own.environment if name.startswith("XDG_")
        }
        fresh.done("login", URL, "--token", "x", **places)
        assert fresh.done("token", URL, **places) == "x\n"
        assert below(fresh) == set()


@root
@pytest.mark.parametrize(("kept", "first"), [("/", "/.local"), ("/nowhere", "/nowhere")])
def test_a_home_in_which_this_user_cannot_write_is_named(
    kept: str, first: str, fresh: Home
) -> None:
    """So containers begin that run under a user id of their own."""
    done = fresh.run(*become(), AUTH, "login", URL, "--token", "x", HOME=kept, cwd="/")
    assert done.returncode == 2
    assert f"error: {first} cannot be made, so there is no private directory" in done.stderr
    assert "hint: make / writable, or set HOME" in done.stderr


@root
def test_so_is_a_folder_that_this_user_has_closed_to_themselves(fresh: Home) -> None:
    give(fresh.path)
    closed = fresh.path / ".local" / "state" / "tokenward"
    closed.mkdir(parents=True, mode=0)
    give(fresh.path)
    done = fresh.run(*become(), AUTH, "login", URL, "--token", "x")
    assert f"error: {closed}/run cannot be made" in done.stderr
    assert f"hint: make {closed} writable, or" in done.stderr


# D5: folders that others can change.


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_every_folder_that_is_made_is_closed_whatever_the_umask(umask: int, fresh: Home) -> None:
    masked = ("sh", "-c", f'umask {umask:o}; exec "$@"', "sh", str(AUTH))
    for command in EVERYTHING:
        fresh.run(*masked, *command)
    made = [path for path in paths_below(fresh.path) if path.is_dir() and not path.is_symlink()]
    assert len(made) > 5
    modes = {str(path): stat.S_IMODE(path.stat().st_mode) for path in made}
    assert {path: mode for path, mode in modes.items() if mode != 0o700} == {}


@pytest.mark.parametrize("folder", [".local", ".local/state", ".local/share"])
def test_a_folder_above_that_all_can_write_in_is_refused_by_all(folder: str, fresh: Home) -> None:
    fresh.done("login", URL, "--token", "x")
    fresh.done("agent", "stop")
    open_to_all = fresh.path / folder
    open_to_all.chmod(0o777)
    before = below(fresh)
    for command in (("token", URL), ("setup", "keyring"), ("doctor",)):
        done = fresh.auth(*command)
        said = done.stdout + done.stderr
        assert done.returncode == 2, (command, said)
        assert f"All users can write in {open_to_all}" in said
        assert f"`chmod o-w {open_to_all}`" in said
        assert below(fresh) == before
    open_to_all.chmod(0o755)
    assert fresh.done("token", URL) == "x\n"


@root
def test_a_folder_that_another_user_planted_is_never_adopted(fresh: Home) -> None:
    state = fresh.path / ".local/state"
    (state / "tokenward").mkdir(parents=True, mode=0o700)
    for folder in (fresh.path / ".local", state):
        folder.chmod(0o700)
    os.chown(state / "tokenward", SOMEBODY, SOMEBODY)
    for command in (("setup", "keyring"), ("login", URL, "--token", "x"), ("doctor",)):
        done = fresh.auth(*command)
        assert done.returncode == 2
        assert f"uid {SOMEBODY}" in done.stdout + done.stderr
        assert "chown" not in done.stdout + done.stderr
    assert [*(state / "tokenward").iterdir()] == []


# D6: what cannot be said.


@pytest.mark.parametrize("command", EVERYTHING, ids=" ".join)
def test_a_home_that_is_no_utf_8_is_refused_before_anything_is_made(
    command: tuple[str, ...], fresh: Home
) -> None:
    odd = os.fsencode(fresh.path) + b"/\xff"
    os.mkdir(odd, 0o700)  # noqa: PTH102 - a path of bytes
    done = subprocess.run(
        [AUTH, *command],
        env={os.fsencode(k): os.fsencode(v) for k, v in fresh.environment.items()} | {b"HOME": odd},
        capture_output=True,
        check=False,
        cwd=fresh.path,
    )
    told = done.stderr.decode()
    assert done.returncode == 2, done
    assert f"error: The path {fresh.path}/\\xff" in told
    assert "is not valid UTF-8" in told
    assert "hint: " in told
    assert os.listdir(odd) == []  # noqa: PTH208 - a path of bytes
    os.rmdir(odd)  # noqa: PTH106 - a path of bytes
    assert below(fresh) == set()


@pytest.mark.parametrize(
    "variable",
    ["TOKENWARD_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "TOKENWARD_CONFIG"],
)
def test_so_is_every_other_place_that_is_none(variable: str, fresh: Home) -> None:
    odd = os.fsencode(fresh.path) + b"/\xff"
    done = subprocess.run(
        [AUTH, "login", URL, "--token", "x"],
        env={os.fsencode(k): os.fsencode(v) for k, v in fresh.environment.items()}
        | {os.fsencode(variable): odd},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2, done
    assert b"is not valid UTF-8" in done.stderr
    assert below(fresh) == set()


# What goes on working.


def group_writable(home: Home) -> None:
    (home.path / ".local").mkdir(mode=0o700)
    (home.path / ".local").chmod(0o775)


def works(home: Home) -> None:
    home.done("login", URL, "--token", "x")
    assert home.done("token", URL) == "x\n"
    home.done("setup", "keyring")


def test_group_writable_folders_are_the_doctors_to_warn_of(fresh: Home) -> None:
    group_writable(fresh)
    works(fresh)
    told = fresh.auth("doctor").stdout
    assert "warning  folders: A group can replace what lies below" in told
    assert f"{fresh.path}/.local" in told


def test_a_home_that_hands_its_group_down_works(fresh: Home) -> None:
    """Set-group-id, as shared and network homes have it: what is made below has it, too."""
    fresh.path.chmod(0o2755)
    works(fresh)
    program = fresh.path / ".local" / "bin" / "keyring"
    assert fresh.run(program, "get", URL, "__token__").stdout == "x\n"


@root
@pytest.mark.parametrize("owner", [0, 1001])
def test_a_home_of_the_group_0_for_any_user_id_works(owner: int, fresh: Home) -> None:
    """As OpenShift runs containers: a user id without an entry, in group 0, in a home with g+rwx."""
    uid = 1000650000
    os.chown(fresh.path, owner, 0)
    fresh.path.chmod(0o770)
    anybody = [word.replace("regid=1000650000", "regid=0") for word in become(uid)]
    for command in (("login", URL, "--token", "x"), ("setup", "keyring"), ("agent", "status")):
        done = fresh.run(*anybody, AUTH, *command)
        assert done.returncode == 0, done
    assert fresh.run(*anybody, AUTH, "token", URL).stdout == "x\n"
    fresh.run(*anybody, AUTH, "agent", "stop")


@root
def test_a_container_without_root_works(fresh: Home) -> None:
    inside = ("unshare", "--user", "--map-root-user")
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system has no user namespaces")
    give(fresh.path)
    there = (*become(), *inside, str(AUTH))
    for command in (("login", URL, "--token", "x"), ("setup", "keyring"), ("token", URL)):
        done = fresh.run(*there, *command)
        assert done.returncode == 0, done
    fresh.run(*there, "agent", "stop")


@root
def test_a_home_that_is_reached_by_links_works(fresh: Home) -> None:
    link = fresh.path.with_name(f"{fresh.path.name}-link")
    link.symlink_to(fresh.path)
    try:
        fresh.done("login", URL, "--token", "x", HOME=str(link))
        assert fresh.done("token", URL) == "x\n"
        assert fresh.done("token", URL, HOME=str(link)) == "x\n"
    finally:
        link.unlink()
