"""An upload's own options must not take a secret to another index than it is for."""

from __future__ import annotations

import pytest

from tokenward.exec_command import leads_elsewhere
from tokenward_protocol.urls import PYPI, TESTPYPI

KEY = "https://h.example/legacy/"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("twine upload --repository-url https://other.example/ dist/x", "twine --repository-url"),
        ("twine upload --repository-url=https://other.example/ dist/x", "twine --repository-url"),
        ("/usr/bin/twine upload x --repository-url http://h.example", "twine --repository-url"),
        ("python -m twine upload --repository-url https://h.example/", "twine --repository-url"),
        ("uvx twine upload --repository-url https://h.example/legac", "twine --repository-url"),
        ("uv publish --publish-url https://other.example/", "uv --publish-url"),
        ("uv --directory x publish --publish-url=https://o.example/", "uv --publish-url"),
        ("hatch publish -r test", "hatch -r"),
        ("hatch publish -rtest", "hatch -r"),
        ("hatch publish --repo=main", "hatch --repo"),
        ("pdm publish --repository corp", "pdm --repository"),
        ("pdm publish -r https://h.example/", "pdm -r"),
        ("pdm publish -r", "pdm -r"),
        ("maturin publish --repository-url https://other.example", "maturin --repository-url"),
    ],
)
def test_an_option_that_leads_elsewhere_is_found(line: str, said: str) -> None:
    assert leads_elsewhere(line.split(), KEY) == said


@pytest.mark.parametrize(
    "line",
    [
        "twine upload dist/x",
        "twine upload -r other dist/x",
        "twine upload --repository-url https://H.example/legacy dist/x",
        "twine check --repository-url https://other.example/",
        "uv publish --index other",
        "uv run -r requirements.txt",
        "pdm run -r x",
        "hatch publish -n",
        "hatch publish --repository x",
        "poetry publish -r other",
        "flit publish --repository other",
        "make upload -r",
    ],
)
def test_a_command_that_goes_where_it_is_told_is_let_through(line: str) -> None:
    assert leads_elsewhere(line.split(), KEY) is None


def test_pypi_and_testpypi_are_known_by_what_tools_call_them() -> None:
    assert leads_elsewhere(["hatch", "publish", "-r", "main"], PYPI) is None
    assert leads_elsewhere(["pdm", "publish", "-r", "testpypi"], TESTPYPI) is None
    assert leads_elsewhere(["hatch", "publish", "-r", "test"], PYPI)
