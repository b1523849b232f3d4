"""What a user installs: the sdist and the wheel of this checkout, looked at from outside."""

from __future__ import annotations

import configparser
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from support.tools.environments import SYSTEM_CERTIFICATES
from tokenward_protocol import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.home import Home

ROOT = Path(__file__).resolve().parent.parent
UNITS = ROOT / "client/tokenward/services/units"

pytestmark = pytest.mark.xdist_group("packaging")


def build(source: Path, place: Path, umask: int = 0o022, **variables: str) -> dict[str, bytes]:
    """Build sdist and wheel of `source` without a network, and return both by name."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", place],
        cwd=source,
        env=os.environ | variables,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        umask=umask,
    )
    return {path.name: path.read_bytes() for path in place.iterdir()}


def of_kind(suffix: str, built: dict[str, bytes]) -> io.BytesIO:
    (content,) = (content for name, content in built.items() if name.endswith(suffix))
    return io.BytesIO(content)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return build(ROOT, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def wheel(built: dict[str, bytes]) -> zipfile.ZipFile:
    return zipfile.ZipFile(of_kind(".whl", built))


@pytest.fixture(scope="module")
def sdist(built: dict[str, bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=of_kind(".tar.gz", built))


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (n for n in wheel.namelist() if n.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def entry_points(wheel: zipfile.ZipFile) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(delimiters=["="])
    parser.read_string(metadata(wheel, "entry_points.txt"))
    return parser


def test_what_is_built_passes_the_checks_of_those_who_receive_it(
    built: dict[str, bytes], tmp_path: Path
) -> None:
    """By check-wheel-contents, which pyproject.toml tells what a wheel holds, and by twine."""
    for name, content in built.items():
        (tmp_path / name).write_bytes(content)
    (wheel,) = tmp_path.glob("*.whl")
    programs = Path(sys.executable).parent
    commands: list[list[str | Path]] = [
        [programs / "check-wheel-contents", wheel],
        [programs / "twine", "check", "--strict", *tmp_path.iterdir()],
    ]
    for command in commands:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_package_tells_type_checkers_that_it_is_typed(wheel: zipfile.ZipFile) -> None:
    assert {name for name in wheel.namelist() if name.endswith("py.typed")} == {
        "tokenward/py.typed",
        "tokenward_agent/py.typed",
        "tokenward_os/py.typed",
        "tokenward_protocol/py.typed",
        "tokenward_relay/py.typed",
    }


def test_the_programs_are_installed(wheel: zipfile.ZipFile) -> None:
    assert dict(entry_points(wheel)["console_scripts"]) == {
        "auth": "tokenward.__main__:main",
        "tokenward": "tokenward.__main__:main",
        "tokenward-agent": "tokenward_agent.__main__:main",
        "git-credential-tokenward": "tokenward.helpers:run_git",
        "docker-credential-tokenward": "tokenward.helpers:run_docker",
        "cargo-credential-tokenward": "tokenward.helpers:run_cargo",
    }


def test_keyring_finds_the_backend_by_its_entry_point(wheel: zipfile.ZipFile) -> None:
    assert dict(entry_points(wheel)["keyring.backends"]) == {
        "tokenward": "tokenward.keyring_backend"
    }


def test_the_newest_version_in_the_change_log_is_the_one_that_is_built(
    wheel: zipfile.ZipFile,
) -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    released = re.findall(r"^## \[(\d.*)\] - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert f"\nVersion: {released[0]}\n" in metadata(wheel, "METADATA")
    assert text.index("## [Unreleased]") < text.index(f"## [{released[0]}]")


def test_an_index_shows_the_readme_with_links_and_pictures_that_lead_somewhere(
    wheel: zipfile.ZipFile,
) -> None:
    shown = metadata(wheel, "METADATA").partition("\n\n")[2]
    readme = (ROOT / "README.md").read_text("utf-8")
    assert shown.splitlines()[0] == readme.splitlines()[0]
    place = f"https://github.com/tokenward/tokenward/blob/v{VERSION}/"
    raw = place.replace("github.com", "raw.githubusercontent.com").replace("/blob", "")
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)#]+)", readme)
    assert len(links) > 20
    for picture, target in links:
        assert target.startswith("https://") or (ROOT / target).exists()
        whole = target if "://" in target else f"{raw if picture else place}{target}"
        assert f"]({whole}" in shown
    assert not re.findall(r"\]\((?!https://)[^)]*\)", shown)


def test_the_licences_come_along(wheel: zipfile.ZipFile) -> None:
    texts = {PurePosixPath(n).name for n in wheel.namelist() if "/licenses/" in n}
    assert texts == {"LICENSE", "LICENSE-APACHE", "LICENSE-MIT"}
    assert "License-Expression: Apache-2.0 OR MIT\n" in metadata(wheel, "METADATA")


def test_twine_before_7_which_does_not_know_metadata_2_5_uploads_it(
    wheel: zipfile.ZipFile, sdist: tarfile.TarFile
) -> None:
    (listed,) = (member for member in sdist.getmembers() if member.name.endswith("/PKG-INFO"))
    file = sdist.extractfile(listed)
    assert file is not None
    for text in (metadata(wheel, "METADATA"), file.read().decode()):
        assert text.startswith("Metadata-Version: 2.4\n")


def test_nothing_in_the_wheel_runs_when_an_interpreter_starts(wheel: zipfile.ZipFile) -> None:
    assert [name for name in wheel.namelist() if name.endswith(".pth")] == []


def test_pages_and_completions_go_where_man_and_shells_look(wheel: zipfile.ZipFile) -> None:
    shared = {
        name.partition(".data/data/")[2]: wheel.read(name)
        for name in wheel.namelist()
        if ".data/" in name
    }
    here = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in (ROOT / "share").rglob("*")
        if path.is_file()
    }
    assert shared == here
    assert {PurePosixPath(name).parent.as_posix() for name in shared} == {
        "share/bash-completion/completions",
        "share/fish/vendor_completions.d",
        "share/man/man1",
        "share/man/man8",
        "share/zsh/site-functions",
    }


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_the_sdist_holds_the_whole_checkout_and_nothing_else(sdist: tarfile.TarFile) -> None:
    # Root may run the tests in the checkout of another user, which git takes for dubious.
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z"]
    git += ["--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, check=True, capture_output=True, text=True).stdout.split("\0")
    here: set[str] = set()
    for path in (ROOT / name for name in listed if name):
        files = path.iterdir() if path.is_dir() else [path]  # a link to a folder, or a file
        here.update(file.relative_to(ROOT).as_posix() for file in files if file.exists())
    names = {member.name.partition("/")[2] for member in sdist.getmembers()}
    assert names - {"PKG-INFO"} == here


def test_what_is_built_elsewhere_from_the_sdist_is_the_same_to_the_byte(
    built: dict[str, bytes], sdist: tarfile.TarFile, tmp_path: Path
) -> None:
    if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on; 3.12 warns where none is named
        sdist.extraction_filter = tarfile.data_filter
    sdist.extractall(tmp_path)
    (source,) = tmp_path.iterdir()
    for path in source.rglob("*"):
        os.utime(path, (1, 10**9))
    again = build(source, tmp_path / "built", 0o077, TZ="Asia/Tokyo", LC_ALL="C")
    assert again == built


def test_a_release_bears_the_date_that_it_is_given(tmp_path: Path) -> None:
    built = build(ROOT, tmp_path, SOURCE_DATE_EPOCH="1700000000")
    entries = zipfile.ZipFile(of_kind(".whl", built)).infolist()
    assert {entry.date_time[:3] for entry in entries} == {(2023, 11, 14)}


@pytest.mark.tools
@pytest.mark.root(
    "lays a package over the system", able=lambda: shutil.which("dpkg-deb"), needs="Debian"
)
def test_a_debian_package_works_where_it_is_unpacked(tmp_path: Path) -> None:
    """Laid over the system's own files, for one process alone."""
    if not shutil.which("dpkg-deb") or not Path("/usr/bin/python3").exists():
        pytest.skip("needs Debian's own Python")
    subprocess.run([ROOT / "scripts" / "deb", tmp_path], check=True)
    (package,) = tmp_path.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", package, tmp_path / "unpacked"], check=True)
    over = f"mount -t overlay overlay -o lowerdir={tmp_path}/unpacked/usr:/usr /usr || exit 77\n"
    script = over + "tokenward-agent --version && auth --help && man -w auth tokenward-agent"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("nothing can be laid over /usr here")
    assert done.returncode == 0, done.stderr
    assert "auth help COMMAND" in done.stdout
    assert "/usr/share/man/man1/auth.1.gz\n" in done.stdout
    units = {path.name for path in (tmp_path / "unpacked/usr/lib/systemd/user").iterdir()}
    assert units == {path.name for path in UNITS.iterdir()}


def by_uv(file: Path, place: Path) -> Path:
    uv = Path(sys.executable).with_name("uv")
    variables = {"UV_TOOL_DIR": str(place / "tools"), "UV_TOOL_BIN_DIR": str(place / "bin")}
    install(uv, "tool", "install", "--quiet", "--python", sys.executable, file, **variables)
    return place / "tools" / "tokenward"


def by_pipx(file: Path, place: Path) -> Path:
    pipx = shutil.which("pipx")
    if pipx is None:
        pytest.skip("needs pipx")
    variables = {"PIPX_HOME": str(place), "PIPX_BIN_DIR": str(place / "bin")}
    install(pipx, "install", file, PIPX_MAN_DIR=str(place / "man"), **variables)
    return place / "venvs" / "tokenward"


def by_pip(file: Path, place: Path) -> Path:
    """By the pip that the interpreter brings, which on Debian 12 is years older than the others."""
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    install(place / "bin" / "pip", "install", "--quiet", file)
    return place


def install(*command: str | Path, **variables: str) -> None:
    """Run a command that installs; nothing can be compiled, as where there is no compiler."""
    environment = {**os.environ, **SYSTEM_CERTIFICATES, **variables, "CC": "/nonexistent"}
    subprocess.run(command, env=environment, check=True, stdin=subprocess.DEVNULL)


@pytest.mark.tools
@pytest.mark.parametrize(
    ("installed", "kind"),
    [(by_uv, ".whl"), (by_pipx, ".whl"), (by_pip, ".whl"), (by_pip, ".tar.gz")],
)
def test_what_an_installer_makes_of_a_built_file_works(
    installed: Callable[[Path, Path], Path],
    kind: str,
    built: dict[str, bytes],
    home: Home,
    tmp_path: Path,
) -> None:
    for name, content in built.items():
        (tmp_path / name).write_bytes(content)
    (file,) = tmp_path.glob(f"*{kind}")
    environment = installed(file, tmp_path / "place")

    def run(program: str, *arguments: str, stdin: str = "") -> str:
        done = home.run(environment / "bin" / program, *arguments, stdin=stdin)
        assert done.returncode == 0, done
        return done.stdout

    for program in ("auth", "tokenward"):
        assert run(program, "--version") == f"tokenward {VERSION}\n"
    run("tokenward-agent", "--version")
    run("auth", "login", "https://index.example/", "-u", "a", "--password", "-", stdin="made-up\n")
    assert run("auth", "token", "https://index.example/") == "made-up\n"
    run("auth", "setup", "shell")
    for page in (environment, home.path / ".local"):
        assert (page / "share" / "man" / "man1" / "auth.1").is_file()
