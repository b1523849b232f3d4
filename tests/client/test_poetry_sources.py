"""What a poetry project calls its package sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokenward.poetry_sources import of_project

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """\
[[tool.poetry.source]]
name = "corp"
url = "https://corp.example/simple/"

[[tool.poetry.source]]
name = "PyPI"
priority = "primary"
"""


def test_the_nearest_project_upward_says_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    (found,) = of_project(str(below))
    assert (found.name, found.url) == ("corp", "https://corp.example/simple/")
    assert found.file == str(tmp_path / "pyproject.toml")
    (tmp_path / "src" / "pyproject.toml").write_text("[project]\n")
    assert of_project(str(below)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "source = ",
        "source = 1",
        "tool.poetry = 1 # source",
        "[tool.poetry]\nsource = 1",
        "[tool.poetry]\nsource = [1, {name = 2, url = 3}, {name = 'a'}]",
    ],
)
def test_a_file_of_another_shape_defines_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert of_project(str(tmp_path)) == []


def test_the_root_has_nothing_above_it() -> None:
    assert of_project("/") == []
