"""docs/CLI.md says what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tokenward import cli

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "CLI.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
OF_ALL = {"--quiet", "--verbose", "--format", "--color", "--version", "--help"}


def options(command: str) -> set[str]:
    """Return the long options of a command, as its help shows them."""
    text = cli.parser_of(command).format_help().partition("\nexamples:")[0]
    return set(re.findall(r"(?<!\S)--[a-z-]+", text))


def in_tables(section: str) -> set[str]:
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return set(re.findall(r"--[a-z-]+", " ".join(rows)))


def test_the_page_has_a_section_for_every_command_and_no_other() -> None:
    sections = {name.removeprefix("auth ") for name in SECTIONS if name.startswith("auth ")}
    assert sections == set(cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_page_has_the_options_of_every_command_and_no_others(command: str) -> None:
    assert in_tables(SECTIONS[f"auth {command}"]) == options(command) - OF_ALL


def test_the_page_has_the_options_of_all_commands() -> None:
    assert in_tables(SECTIONS["Everywhere"]) == OF_ALL
    for command in cli.COMMANDS:
        missing = {"--format"} if command in cli.WITHOUT_FORMAT else set()
        assert options(command) >= OF_ALL - missing


def test_the_page_has_every_variable_that_the_client_reads() -> None:
    named = re.compile(r'"((?:TOKENWARD|UV|NO)_[A-Z_]+)"')
    read: set[str] = set()
    for path in (ROOT / "client").rglob("*.py"):
        read.update(named.findall(path.read_text()))
    read = {name for name in read if not name.endswith("_")}
    families = ("UV_PUBLISH_", "UV_INDEX_")
    assert read
    assert {n for n in read if f"`{n}`" not in PAGE and not n.startswith(families)} == set()
