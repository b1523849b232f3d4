"""After `auth login` and `auth setup` the real tools need no flag, no variable and no plug-in."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.systems.desktop_keyrings import gnome_keyring
from support.tools.keyring_program import keyring_program
from support.tools.wheels import write_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home
    from support.servers.index_server import IndexServer

ASKS = "import keyring; print(type(keyring.get_keyring()).__module__)"
URL = "https://h.example/"


@pytest.fixture(autouse=True)
def ordinary(home: Home) -> None:
    """Have ~/.local/bin on PATH, and pip read its files, but no index of this machine."""
    home.environment["PATH"] = f"{home.path}/.local/bin:{home.environment['PATH']}"
    del home.environment["PIP_CONFIG_FILE"]
    home.environment |= {"PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return write_wheel(tmp_path)


def uv_toml(home: Home, text: str) -> None:
    path = home.path / ".config" / "uv" / "uv.toml"
    path.parent.mkdir()
    path.write_text(text)


def environment(folder: Path, *, with_us: bool) -> Path:
    """Make an environment that holds what the tests' own does, with or without tokenward."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if with_us or "tokenward" not in entry.name:
            (site / entry.name).symlink_to(entry)
    have = subprocess.run([python, "-c", "import tokenward"], check=False, capture_output=True)
    assert (have.returncode == 0) == with_us
    return python


def test_uv_publishes_to_an_index_by_its_name(home: Home, index: IndexServer, wheel: Path) -> None:
    uv_toml(
        home,
        f'[[index]]\nname = "ours"\nurl = "{index.simple}"\npublish-url = "{index.url}"\n',
    )
    home.log_in(index.url, index.accounts["alice"])
    home.done("setup")
    done = home.run("uv", "publish", "--index", "ours", wheel)
    assert done.returncode == 0, done.stderr
    assert index.published() == [wheel.name]


def test_uv_publishes_without_a_word(home: Home, index: IndexServer, wheel: Path) -> None:
    uv_toml(home, f'publish-url = "{index.url}"\n')
    home.log_in(index.url, index.accounts["alice"])
    home.done("setup")
    done = home.run("uv", "publish", wheel)
    assert done.returncode == 0, done.stderr
    assert index.published() == [wheel.name]
    assert not any("oidc" in line for line in index.requests())


def test_uv_installs_from_an_index_of_the_users_own(
    home: Home, index: IndexServer, wheel: Path
) -> None:
    shutil.copy(wheel, index.packages)
    uv_toml(home, f'[[index]]\nname = "ours"\nurl = "{index.simple}"\ndefault = true\n')
    home.log_in(index.url, index.accounts["alice"])
    home.done("setup")
    done = home.run("uv", "pip", "install", "--no-deps", "--target", "site", "ward-greeting")
    assert done.returncode == 0, done.stderr
    assert (home.path / "site" / "ward_greeting.py").exists()


def test_uv_resolves_as_before_where_there_is_no_login(
    home: Home, index: IndexServer, wheel: Path
) -> None:
    home.done("setup")
    folder = home.path / "wheels"
    folder.mkdir()
    shutil.copy(wheel, folder)
    links = ("--no-index", "--find-links", folder, "--target", "site")
    done = home.run("uv", "pip", "install", *links, "ward-greeting")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("more", [(), ("--no-input",), ("--keyring-provider", "import")])
def test_pip_installs_with_and_without_somebody_to_ask(
    home: Home, index: IndexServer, wheel: Path, more: tuple[str, ...]
) -> None:
    shutil.copy(wheel, index.packages)
    home.log_in(index.url, index.accounts["alice"])
    home.done("setup")
    where = ("--no-deps", "--no-cache-dir", "--target", "site", "--index-url", index.simple)
    done = home.run("pip", "install", *more, *where, "ward-greeting")
    assert done.returncode == 0, done.stderr
    assert (home.path / "site" / "ward_greeting.py").exists()


def test_twine_asks_the_copy_in_the_state_directory(
    home: Home, index: IndexServer, wheel: Path
) -> None:
    home.log_in(index.url, index.accounts["alice"])
    home.done("setup")
    assert home.run(sys.executable, "-c", ASKS).stdout == "tokenward_keyring\n"
    done = home.run("twine", "upload", "--non-interactive", "--repository-url", index.url, wheel)
    assert done.returncode == 0, done.stdout
    assert index.published() == [wheel.name]
    home.done("setup", "--undo")
    assert not (home.path / ".local" / "state" / "tokenward" / "keyring").exists()


@pytest.mark.gnome_keyring
@pytest.mark.skipif(sys.platform != "linux", reason="needs a D-Bus session")
def test_logging_in_goes_on_working_with_the_system_keyring(home: Home) -> None:
    with gnome_keyring(home.path / "desktop") as session:
        session.join(home.environment)
        home.done("setup")
        given = ("login", URL, "-u", "ana", "--password", "-", "--keyring-provider", "keyring")
        home.done(*given, stdin="marked\n")
        assert len(session.items()) == 1  # the vault's key lies where it belongs
        home.done("agent", "restart")
        assert home.done("token", URL) == "marked\n"


@pytest.fixture
def programs(home: Home) -> Iterator[Path]:
    """A folder on PATH, outside of the home, which is the working directory."""
    folder = Path(tempfile.mkdtemp(prefix="programs-", dir="/tmp"))
    folder.chmod(0o755)
    home.environment["PATH"] += f":{folder}"
    yield folder
    shutil.rmtree(folder)


def test_logging_in_does_not_take_what_uv_was_told_for_a_choice(home: Home, programs: Path) -> None:
    keyring_program(programs)
    home.done("setup")
    home.log_in(URL, "marked", username="ana")
    assert home.answer("list")["credentials"][0]["provider"] == ("disabled")


@pytest.mark.gnome_keyring
@pytest.mark.skipif(sys.platform != "linux", reason="needs a D-Bus session")
def test_a_keyring_program_that_reads_our_configuration_still_keeps_the_vaults_key(
    home: Home, programs: Path
) -> None:
    program = programs / "keyring"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m keyring "$@"\n')
    program.chmod(0o755)
    with gnome_keyring(home.path / "desktop") as session:
        session.join(home.environment)
        home.done("setup")
        given = ("login", URL, "-u", "ana", "--password", "-", "--keyring-provider", "subprocess")
        home.done(*given, stdin="marked\n")
        assert len(session.items()) == 1
        home.done("agent", "restart")
        assert home.done("token", URL) == "marked\n"
        other = "https://other.example/"
        words = ("-c", "import keyring, sys; keyring.set_password(*sys.argv[1:])")
        kept = (other, "eve", "in the keyring")
        home.run(sys.executable, *words, *kept, KEYRING_PROPERTY_ASIDE="1")
        home.done("login", other, "-u", "eve", "--adopt", "--keyring-provider", "subprocess")
        assert home.done("token", other) == "in the keyring\n"


def test_a_tool_without_us_beside_it_is_served_and_outlives_our_removal(
    home: Home, index: IndexServer, wheel: Path, tmp_path: Path
) -> None:
    tool = environment(tmp_path / "tool", with_us=False)
    ours = environment(tmp_path / "ours", with_us=True)
    home.environment["PATH"] = f"{home.path}/.local/bin:/usr/bin:/bin"
    upload = ("-m", "twine", "upload", "--non-interactive", "--repository-url", index.url, wheel)
    where = ("--no-deps", "--no-cache-dir", "--target", "site", "--index-url", index.simple)
    install = ("-m", "pip", "install", "--no-input", *where, "ward-greeting")
    before = [home.run(tool, *words) for words in (upload, install)]
    assert [done.returncode for done in before] == [1, 1]

    set_up = ("-m", "tokenward", "setup", "keyring", "pip")  # the PATH here need not have a pip
    assert home.run(ours, *set_up).returncode == 0
    home.log_in(index.url, index.accounts["alice"])
    assert home.run(tool, "-c", ASKS).stdout == "tokenward_keyring\n"
    for words in (upload, install):
        done = home.run(tool, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert home.run("keyring", "get", index.url, "alice").returncode == 0
    home.done("agent", "stop")
    shutil.rmtree(tmp_path / "ours")
    shutil.rmtree(home.path / "site")

    after = [home.run(tool, *words) for words in (upload, install)]
    for then, now in zip(before, after, strict=True):
        line = "tokenward: No agent of tokenward answers (`auth doctor` may say why).\n"
        assert (now.returncode, now.stdout, now.stderr.replace(line, "")) == (
            then.returncode,
            then.stdout,
            then.stderr,
        )
    missed = home.run("keyring", "get", index.url, "alice")
    assert (missed.returncode, missed.stdout, missed.stderr) == (1, "", "")
