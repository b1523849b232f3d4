"""Which projects an upload is about: nothing that is not certain, and never too few of them."""

from __future__ import annotations

import fnmatch
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_agent.peer.evidence import (
    NOTHING,
    find_upload,
    needs_disk,
    project_of,
    projects_of,
)
from tokenward_agent.peer.process import Process
from tokenward_agent.peer.publishing import PUBLISHERS
from tokenward_agent.peer.requester import UNKNOWN, Requester
from tokenward_agent.requests.project_detection import MOST_FILES, ProjectFolders
from tokenward_protocol.caveats import normalise_name

if TYPE_CHECKING:
    from pathlib import Path

    from tokenward_agent.peer.evidence import Evidence

HOME = "/home/ana/src"
SDIST, WHEEL = "my_pkg-1.0.tar.gz", "my_pkg-1.0-py3-none-any.whl"


class Disk:
    """What lies in folders, as a test says."""

    def __init__(self, folders: dict[str, list[str]], projects: dict[str, str]) -> None:
        self.folders = folders
        self.projects = projects

    def names(self, folder: str) -> tuple[str, ...] | None:
        found = self.folders.get(folder)
        return None if found is None else tuple(found)

    def project(self, folder: str) -> str | None:
        return self.projects.get(folder)


EMPTY = Disk({}, {})


def asker(*argv: str, whole: bool = True, cwd: str = HOME) -> Requester:
    exe = "/usr/bin/python3" if argv[0] == "python" else f"/usr/bin/{argv[0]}"
    return Requester.from_processes((Process(9, 8, 0, 0, argv[0], exe, cwd, argv, whole),))


def known(*argv: str, disk: Disk | None = EMPTY, whole: bool = True) -> Evidence:
    return projects_of(find_upload(asker(*argv, whole=whole)), disk)


@pytest.mark.parametrize(
    "argv",
    [
        ["twine", "upload", SDIST, WHEEL],
        ["twine", "upload", "-r", "testpypi", f"dist/{SDIST}"],
        ["twine", "--no-color", "upload", "--skip-existing", "/elsewhere/" + WHEEL],
        ["twine", "upload", "--repository-url=https://x.example/", "-u", "ana", "--", WHEEL],
        ["twine", "upload", WHEEL, f"{WHEEL}.asc", f"{SDIST}.publish.attestation"],
        ["python", "-m", "twine", "upload", WHEEL],
        ["uv", "publish", "--token", "x", WHEEL],
        ["uv", "publish", "--an-option-of-tomorrow", WHEEL],
        ["hatch", "publish", WHEEL],
        ["maturin", "upload", WHEEL],
        ["devpi", "upload", WHEEL, SDIST],
    ],
    ids=" ".join,
)
def test_the_files_of_a_command_line_name_their_project(argv: list[str]) -> None:
    assert known(*argv) == (("my-pkg",), "files")


@pytest.mark.parametrize(
    "argv",
    [
        ["twine", "upload", "dist/*"],  # and nothing is there
        ["twine", "upload", WHEEL, "my-pkg-1.0.tar.gz"],  # either name could be meant
        ["twine", "upload", WHEEL, "notes.txt"],
        ["twine", "upload", "dist"],
        ["twine", "upload", "--new-option", "value", WHEEL],
        ["twine", "upload"],
        ["twine", "check", WHEEL],
        ["twine", WHEEL, "upload"],
        ["uv", "pip", "publish", WHEEL],
        ["uv", "--directory", "other", "publish", WHEEL],
        ["pip", "install", WHEEL],
        ["poetry", "build"],
        ["bash", "-c", f"twine upload {WHEEL}"],
        ["maturin", "publish"],
    ],
    ids=" ".join,
)
def test_what_is_not_certain_is_not_known(argv: list[str]) -> None:
    assert known(*argv) == NOTHING


def test_several_projects_at_once_are_all_named() -> None:
    assert known("twine", "upload", WHEEL, "other-2.tar.gz") == (("my-pkg", "other"), "files")
    many = [f"p{number}-1.tar.gz" for number in range(33)]
    assert known("twine", "upload", *many) == NOTHING


def test_nobody_and_a_cut_command_line_give_nothing() -> None:
    assert projects_of(find_upload(UNKNOWN), EMPTY) == NOTHING
    assert known("twine", "upload", WHEEL, whole=False) == NOTHING


def test_a_pattern_is_looked_up_as_the_tool_will() -> None:
    disk = Disk({f"{HOME}/dist": [SDIST, WHEEL]}, {})
    assert known("twine", "upload", "dist/*", disk=disk) == (("my-pkg",), "files")
    assert known("twine", "upload", "dist/my*.whl", disk=disk) == (("my-pkg",), "files")
    assert known("twine", "upload", "d*/x*", disk=disk) == NOTHING
    assert known("uv", "publish", "--directory=x", "dist/*", disk=disk) == NOTHING
    assert known("twine", "upload", "dist/*", disk=None) == NOTHING
    disk.folders[f"{HOME}/dist"].append("SHA256SUMS")
    assert known("twine", "upload", "dist/*", disk=disk) == NOTHING


BUILDERS = ["uv publish", "poetry publish", "pdm publish", "hatch publish", "flit publish"]


@pytest.mark.parametrize("command", BUILDERS)
def test_a_project_is_known_by_its_file_where_dist_holds_nothing_else(command: str) -> None:
    disk = Disk({f"{HOME}/dist": [SDIST, WHEEL]}, {HOME: "My.Pkg"})
    assert known(*command.split(), disk=disk) == (("my-pkg",), "pyproject")
    quietly = "--debug" if command.startswith("flit") else "-q"
    assert known(*command.split(), quietly, disk=disk) == (("my-pkg",), "pyproject")
    assert known(*command.split(), "--where", disk=disk) == NOTHING
    assert known(*command.split(), disk=None) == NOTHING


@pytest.mark.parametrize(
    ("held", "project"),
    [
        ([SDIST, "other-1.tar.gz"], "my-pkg"),  # a monorepo builds all into one folder
        ([SDIST, WHEEL], "workspace"),
        ([SDIST, WHEEL], None),
        ([SDIST, "my_pkg.zip"], "my-pkg"),
        ([], "my-pkg"),
        (None, "my-pkg"),
    ],
    ids=["two projects", "another's files", "no name", "an unknown file", "empty", "no dist"],
)
@pytest.mark.parametrize("command", BUILDERS)
def test_a_project_whose_dist_says_anything_else_is_not_known(
    command: str, held: list[str] | None, project: str | None
) -> None:
    disk = Disk(
        {} if held is None else {f"{HOME}/dist": held}, {} if project is None else {HOME: project}
    )
    assert known(*command.split(), disk=disk) == NOTHING


@pytest.mark.parametrize(
    ("file", "project"),
    [
        ("a-1.tar.gz", "a"),
        ("A.b_c-1.0rc1.post2.dev3+local.1.tar.gz", "a-b-c"),
        ("a-1!2.0-py2.py3-none-any.whl", "a"),
        ("a-1.0-1b-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "a"),
        ("a-b-1.tar.gz", None),
        ("a-latest.tar.gz", None),
        ("a-1.0.zip", None),
        ("a-1.0.tar.gz.zip", None),
        ("a-1.0-py3-none.whl", None),
        ("a-1.0-x-py3-none-any.whl", None),
        ("-1.0.tar.gz", None),
        ("_a-1.0.tar.gz", None),
        ("a-1.0-beta.tar.gz", None),
        ("é-1.0.tar.gz", None),
        ("a-1.0.tar.gz\n", None),
        ("", None),
    ],
)
def test_a_file_belongs_to_a_project_only_where_its_name_says_so_strictly(
    file: str, project: str | None
) -> None:
    assert project_of(file) == project


NAMES = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9._]{0,6}[a-zA-Z0-9])?", fullmatch=True)
VERSIONS = st.sampled_from(["1", "0.1.2", "1.0rc1", "2.0.post1", "1.0+abc"])


@st.composite
def files(draw: st.DrawFn) -> tuple[str, str]:
    """A distribution's file and the project that it is really of, strictly named or not."""
    name, version = draw(NAMES), draw(VERSIONS)
    form = draw(
        st.sampled_from(
            ["{n}-{v}.tar.gz", "{n}-{v}-py3-none-any.whl", "{n}-x-{v}.tar.gz", "{n}-{v}.zip"]
        )
    )
    real = f"{name}-x" if "-x-" in form else name
    return form.format(n=name, v=version), normalise_name(real)


ARGUMENTS = ["-r", "pypi", "--verbose", "-u", "ana", "--skip-existing", "--strange", "--", "-x=1"]


@given(
    held=st.lists(files(), max_size=5),
    shown=st.lists(files(), max_size=4),
    options=st.lists(st.sampled_from(ARGUMENTS), max_size=5),
    pattern=st.sampled_from(["", "dist/*", "dist/*.whl", "dist/a*", "*", "dist/[a-c]*"]),
    program=st.sampled_from(sorted(PUBLISHERS)),
    project=NAMES,
    data=st.data(),
)
def test_whatever_is_known_covers_all_that_is_sent(
    held: list[tuple[str, str]],
    shown: list[tuple[str, str]],
    options: list[str],
    pattern: str,
    program: str,
    project: str,
    data: st.DataObject,
) -> None:
    """A tool may read the words of its command line as it likes: what it could send is covered."""
    word = "upload" if program in {"twine", "maturin", "devpi"} else "publish"
    given = [f"dist/{file}" for file, _ in shown] + ([pattern] if pattern else [])
    mixed = data.draw(st.permutations(given + options))
    disk = Disk({f"{HOME}/dist": [file for file, _ in held], HOME: []}, {HOME: project})
    found = known(program, word, *mixed, disk=disk)
    really = {real for file, real in shown if f"dist/{file}" in mixed}
    if pattern:
        really |= {real for file, real in held if fnmatch.fnmatch(f"dist/{file}", pattern)}
    if not given:
        really |= {real for _, real in held}
    assert found == NOTHING or really <= set(found.projects)


@given(st.lists(st.text(max_size=10), max_size=6), st.sampled_from(sorted(PUBLISHERS)))
def test_any_command_line_is_read(words: list[str], program: str) -> None:
    found = known(program, *words, disk=Disk({f"{HOME}/dist": [SDIST]}, {HOME: "my-pkg"}))
    assert found == NOTHING or found.projects


def test_the_disk_is_asked_only_where_it_has_the_answer() -> None:
    plain = find_upload(asker("twine", "upload", WHEEL))
    pattern = find_upload(asker("twine", "upload", "dist/*"))
    built = find_upload(asker("uv", "publish"))
    assert plain is not None
    assert pattern is not None
    assert built is not None
    assert [needs_disk(each) for each in (plain, pattern, built)] == [False, True, True]


def test_folders_show_their_plain_files_and_hide_what_starts_with_a_dot(tmp_path: Path) -> None:
    folders = ProjectFolders()
    assert folders.names(str(tmp_path / "dist")) is None
    dist = tmp_path / "dist"
    dist.mkdir()
    assert folders.names(str(dist)) == ()
    (dist / SDIST).touch()
    (dist / ".gitignore").touch()
    assert folders.names(str(dist)) == (SDIST,)
    (dist / "more").mkdir()
    assert folders.names(str(dist)) is None
    (dist / "more").rmdir()
    for number in range(MOST_FILES):
        (dist / f"{number}").touch()
    assert folders.names(str(dist)) is None


@pytest.mark.parametrize(
    ("text", "project"),
    [
        ('[project]\nname = "My.Pkg"', "My.Pkg"),
        ('[tool.poetry]\nname = "old"', "old"),
        ('[project]\nname = "new"\n[tool.poetry]\nname = "old"', "new"),
        ('[project]\nname = "no name"', None),
        ("[project]\nname = 1", None),
        ("project = 1\ntool = 2", None),
        ("[project", None),
        ("a = " + "[" * 5000, None),
        ("# " + "x" * 300_000 + '\n[project]\nname = "a"', None),
        ("é".encode("latin-1").decode("latin-1"), None),
    ],
)
def test_a_pyproject_names_its_project_or_nothing(
    text: str, project: str | None, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert ProjectFolders().project(str(tmp_path)) == project


def test_a_pyproject_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pyproject.toml")
    assert ProjectFolders().project(str(tmp_path)) is None
