"""The documents tell the truth: their commands exist, and their links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = {".venv", ".git", ".pytest_cache", "build", "node_modules"}


def pages() -> Iterator[Path]:
    """Yield the documents; what is hidden is not even looked through, since it may be a whole system."""
    for place, folders, files in os.walk(ROOT):
        folders[:] = sorted({*folders} - HIDDEN)
        yield from (Path(place, name) for name in files if name.endswith(".md"))


PAGES = sorted(pages())
FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
AUTH = Path(sys.executable).parent / "auth"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def commands(page: Path) -> list[list[str]]:
    """Return the commands of the shell blocks of `page` in words; no comments or redirections."""
    blocks = FENCE.findall(page.read_text())
    lines = [line.partition(" < ")[0] for block in blocks for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def of(program: str, *pages: str) -> list[str]:
    """Return the distinct command lines of `program` on `pages`."""
    found = {shlex.join(w) for page in pages for w in commands(ROOT / page) if w[0] == program}
    return sorted(found)


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make, as code hosts spell them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_every_relative_link_resolves(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_script_that_is_named_can_be_run(page: str) -> None:
    scripts = {words[0] for words in commands(ROOT / page) if words[0].startswith("./")}
    assert scripts
    assert [script for script in scripts if not os.access(ROOT / script, os.X_OK)] == []


@pytest.mark.parametrize("line", of("auth", "README.md"))
def test_every_command_of_the_readme_exists_with_its_options(line: str) -> None:
    words = shlex.split(line)
    if "--" in words:
        words = words[: words.index("--")]  # what follows is another program's
    done = subprocess.run(
        [AUTH, *words[1:], "--help"], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    for option in (word for word in words if word.startswith("-") and word != "-"):
        assert option in done.stdout


def test_every_decision_record_is_in_the_index() -> None:
    folder = ROOT / "docs" / "adr"
    index = set(LINK.findall((folder / "README.md").read_text()))
    assert {path.name for path in folder.glob("[0-9]*.md")} == index


def test_every_page_is_in_the_list_of_pages() -> None:
    folder = ROOT / "docs"
    listed = set(LINK.findall((folder / "README.md").read_text()))
    assert {path.name for path in folder.glob("*.md")} - {"README.md"} <= listed
