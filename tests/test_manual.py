"""The manual pages, as `man` and mandoc read them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tokenward import cli

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "share" / "man"
PAGES = sorted(
    str(path.relative_to(PLACE))
    for path in PLACE.rglob("*.[18]")
    if not path.read_text("utf-8").startswith(".so ")  # another name of a page
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=PLACE,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "MANWIDTH": "500"},
    )


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(program), reason=f"needs {program}")


def test_pages_and_completions_say_what_the_commands_say() -> None:
    done = run(sys.executable, str(ROOT / "scripts" / "_generate.py"), "--check")
    assert done.returncode == 0, done.stdout


@needs("mandoc")
@pytest.mark.parametrize("page", PAGES)
def test_mandoc_has_no_warning(page: str) -> None:
    done = run("mandoc", "-T", "lint", "-W", "warning", page)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs("groff")
@pytest.mark.parametrize("page", PAGES)
def test_groff_has_no_warning(page: str) -> None:
    done = run("groff", "-man", "-Tutf8", "-ww", "-z", page)
    assert (done.returncode, done.stderr) == (0, "")


@needs("man")
@pytest.mark.parametrize("name", ["auth", "tokenward"])
def test_man_shows_every_command_with_its_options_and_examples(name: str) -> None:
    shown = run("man", "-M", str(PLACE), "--warnings", "--no-hyphenation", name)
    assert (shown.returncode, shown.stderr) == (0, "")
    text = re.sub("[ \n]+", " ", shown.stdout)
    for command in cli.COMMANDS:
        parser = cli.parser_of(command)
        assert f" {parser.usage} " in text
        options, _, examples = parser.format_help().partition("\nexamples:\n")
        for option in re.findall(r"(?<!\S)--[a-z-]+", options):
            assert f" {option} " in text
        for line in examples.splitlines():
            assert re.sub(" +", " ", line) in text
