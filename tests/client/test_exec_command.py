"""An upload's own words must not take a secret to another index than it is for."""

from __future__ import annotations

import pytest

from tokenward.exec.command import reads_what_is_here, refusal
from tokenward_protocol.urls import PYPI, TESTPYPI

KEY = "https://h.example/legacy/"
E = "https://other.example/"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"twine upload --repository-url {E} dist/x", "--repository-url"),
        (f"twine upload --repository-url={E} dist/x", "--repository-url"),
        (f"twine upload --repository-u {E} dist/x", "--repository-u"),
        (f"twine upload --repository- {E} dist/x", "--repository-"),
        ("/usr/bin/twine upload x --repository-url http://h.example", "--repository-url"),
        ("python -m twine upload --repository-url https://h.example/", "--repository-url"),
        ("python -mtwine upload --repository-url https://h.example/", "--repository-url"),
        ("uvx twine upload --repository-url https://h.example/legac", "--repository-url"),
        (f"uvx twine@6 upload --repository-url {E}", "--repository-url"),
        (f"an-alias --repository-url {E}", "--repository-url"),
        (f"uv publish --publish-url {E}", "--publish-url"),
        (f"uv --directory x publish --publish-url={E}", "--publish-url"),
        ("hatch publish -r test", "-r"),
        ("hatch publish -rtest", "-r"),
        ("hatch publish -nr test", "-nr"),
        ("hatch publish --repo=main", "--repo"),
        ("hatch publish --repo other.example", "--repo"),
        ("pdm publish --repository corp", "--repository"),
        ("pdm publish --repo corp", "--repo"),
        ("pdm publish --r corp", "--r"),
        ("pdm publish --repos=corp", "--repos"),
        ("pdm publish -r https://h.example/", "-r"),
        ("pdm publish -r", "-r"),
        ("pdm -v publish -vr corp", "-vr"),
        ("uvx pdm@2.29 publish -r corp", "-r"),
        ("pipx run pdm==2.29.3 publish -r corp", "-r"),
        ("uv run --with pdm[locked]>=2 pdm publish -r corp", "-r"),
        ("python3.13 -m pdm.__main__ publish --repo corp", "--repo"),
        ("C:\\x\\hatch.exe publish -r test", "-r"),
        ("python -Werror -m hatch publish -r test", "-r"),
        ("python -Werror -mpdm publish -vr corp", "-vr"),
        ("pdm run publish -r corp", "-r"),  # whatever the project calls publish
        ("pdm run --site-packages twine upload -r corp", "-r"),
        ("pdm --project twine publish -r corp", "-r"),
        ("pdm -p run publish twine -r corp", "-r"),
        ("pdm run pdm publish -r corp", "-r"),
        ("pdm run hatch publish -r test", "-r"),
        ("hatch run dev:pdm publish -r corp", "-r"),
        ("uv run pdm run release publish -r corp", "-r"),
        (f"pdm run twine upload --repository-url {E} dist/x", "--repository-url"),
        (f"maturin publish --repository-url {E}", "--repository-url"),
        (f"hatch publish -o repo={E}", "the URL"),
        (f"flit publish --repository {E}", "the URL"),
        (f"poetry publish --some-new-option={E}", "the URL"),
        (f"twine upload -r {E} x", "the URL"),
        (f"env TWINE_REPOSITORY_URL={E} twine upload x", "TWINE_REPOSITORY_URL"),
        ("env -u TWINE_REPOSITORY_URL twine upload -r other x", "TWINE_REPOSITORY_URL"),
        ("env -uUV_PUBLISH_URL uv publish", "UV_PUBLISH_URL"),
        ("env --unset=HATCH_INDEX_REPO hatch publish", "HATCH_INDEX_REPO"),
        (f"make upload POETRY_REPOSITORIES_CORP_URL={E}", "POETRY_REPOSITORIES_CORP_URL"),
        ("uv export --emit-index-url", "--emit-index-url"),
        ("uv pip compile r.in --emit-index-url -o out.txt", "--emit-index-url"),
    ],
)
def test_what_may_lead_elsewhere_is_refused(line: str, said: str) -> None:
    assert refusal(line.split(), KEY) == said


@pytest.mark.parametrize(
    "words",
    [
        ("sh", "-c", f"twine upload --repository-url {E} dist/*"),
        ("sh", "-c", f"true; twine upload dist/* --repository-u={E}"),
        ("sh", "-c", "cd x && pdm publish -r corp"),
        ("sh", "-c", 'pdm publish "$@"', "--", "-r", "corp"),
        ("sh", "-c", 'cd x && pdm publish "$@"', "--", "-r", "corp"),
        ("sh", "-c", "pdm run twine upload -r x; pdm publish -r corp"),
        ("sh", "-c", f"TWINE_REPOSITORY_URL={E} twine upload dist/*"),
        ("sh", "-c", "unset UV_PUBLISH_URL; uv publish"),
        ("env", "-S", "hatch publish -r test"),
        ("bash", "-c", f'twine upload "--repository-url={E}" x'),
    ],
)
def test_a_command_line_within_a_word_is_read(words: tuple[str, ...]) -> None:
    assert refusal(words, KEY)


def spellings(option: str, tool: str) -> list[tuple[str, ...]]:
    """Every way in which argparse would take an option that no other begins like."""
    shortest = {"twine": len("--repository-"), "pdm": len("--r")}[tool]
    return [
        words
        for length in range(shortest, len(option) + 1)
        for words in ((option[:length], E), (f"{option[:length]}={E}",))
    ]


@pytest.mark.parametrize(
    "start", ["{}", "/opt/{}", "{}.exe", "{}@6", "{}==6.0", "{}[x]>=6", "-m{}"]
)
@pytest.mark.parametrize(
    ("tool", "command", "option"),
    [("twine", "upload", "--repository-url"), ("pdm", "publish", "--repository")],
)
def test_every_abbreviation_under_every_start_is_refused(
    start: str, tool: str, command: str, option: str
) -> None:
    for words in spellings(option, tool):
        for place in (words, (words[0].replace(E, "corp"), *("corp" for _ in words[1:]))):
            assert refusal(("run", start.format(tool), command, "x", *place), KEY), place


@pytest.mark.parametrize(
    "line",
    [
        "twine upload dist/x",
        "twine upload -r other dist/x",
        f"env TWINE_REPOSITORY_URL={KEY} twine upload x",
        "twine upload --repository other dist/x",
        "python -Werror -m hatch publish",
        "python -Werror -X importtime -m pdm publish",
        "uv run -r requirements.txt pdm publish",
        "pdm run twine upload -r other dist/x",
        "pdm run python -m twine upload -r other dist/x",
        "uvx pdm run twine upload -r other dist/x",
        "hatch run twine upload -r other dist/x",
        "hatch run dev:twine upload -r other dist/x",
        "twine upload dist/pdm-2.29.3-py3-none-any.whl -r other",
        "twine upload --repository-url https://H.example/legacy dist/x",
        "pdm publish -r https://h.example/legacy",
        "pdm publish --repo=https://h.example/legacy/",
        f"twine check {E}",
        "uv publish --index other",
        f"uv publish --check-url {E}",
        f"uv publish --check-url={E}",
        f"uvx --index-url {E} twine upload dist/x",
        "uv run -r requirements.txt",
        "pdm run -r x",
        "hatch publish -n",
        "poetry publish -r other",
        "flit publish --repository other",
        "make upload -r",
        "gh release create --repo me/mine",
        "env TWINE_CERT=/ca.pem twine upload x",
        "echo TWINE_REPOSITORY_URL",
        f"curl {E}",
    ],
)
def test_a_command_that_goes_where_it_is_told_is_let_through(line: str) -> None:
    assert refusal(line.split(), KEY) is None


@pytest.mark.parametrize(
    "text",
    [
        f"twine upload dist/* && curl {E}",
        "pdm publish && rm -r build",
        "echo $TWINE_REPOSITORY_URL",
        f"pip install -i {E} x; uv publish",
    ],
)
def test_the_other_commands_of_a_shell_are_its_own_business(text: str) -> None:
    assert refusal(("sh", "-c", text), KEY) is None


def test_pypi_and_testpypi_are_known_by_what_tools_call_them() -> None:
    assert refusal(["hatch", "publish", "-r", "main"], PYPI) is None
    assert refusal(["pdm", "publish", "-r", "testpypi"], TESTPYPI) is None
    assert refusal(["hatch", "publish", "-r", "test"], PYPI)


@pytest.mark.parametrize(
    ("line", "it_does"),
    [
        ("uv lock", True),
        ("/x/uv sync --locked", True),
        ("uv run pytest -q", True),
        ("uv --directory x lock", False),
        ("uv lock --project=x", False),
        ("uv run x.py", False),
        ("uv run -s x", False),
        ("uv lock --script x", False),
        ("uv lock --default-index https://x.example", False),
        ("uv pip install x", False),
        ("uvx x", False),
        ("make lock", False),
        ("", False),
    ],
)
def test_uv_at_work_on_the_project_of_this_folder_is_known(line: str, it_does: bool) -> None:
    assert reads_what_is_here(line.split()) is it_does
