"""The environment that `auth exec` makes: whatever a tool reads there belongs together."""

from __future__ import annotations

import re
from itertools import permutations
from urllib.parse import unquote, urlsplit

import pytest

from tokenward.exec.environment import Access, ExecIndex, child_environment, tool_variables

PAIRED = {
    "TWINE_REPOSITORY_URL": ("TWINE_USERNAME", "TWINE_PASSWORD"),
    "UV_PUBLISH_URL": ("UV_PUBLISH_USERNAME", "UV_PUBLISH_PASSWORD", "UV_PUBLISH_TOKEN"),
    "PDM_PUBLISH_REPO": ("PDM_PUBLISH_USERNAME", "PDM_PUBLISH_PASSWORD"),
    "HATCH_INDEX_REPO": ("HATCH_INDEX_USER", "HATCH_INDEX_AUTH"),
    "FLIT_INDEX_URL": ("FLIT_USERNAME", "FLIT_PASSWORD"),
    "MATURIN_REPOSITORY_URL": ("MATURIN_USERNAME", "MATURIN_PASSWORD", "MATURIN_PYPI_TOKEN"),
}
"""Which variables each tool sends to the URL of which other one."""


def account(name: str, path: str = "") -> Access:
    return Access(f"https://{name}.example/{path}", f"user-of-{name}", f"secret-of-{name}")


def token(name: str) -> Access:
    return Access(f"https://{name}.example/", "__token__", f"secret-of-{name}")


INDEXES = {
    "a": ExecIndex(account("a"), account("a"), "A"),
    "b": ExecIndex(token("b"), token("b"), "B_2"),
    "c": ExecIndex(token("c"), None, "C"),
    "d": ExecIndex(account("d"), account("d")),
    "e": ExecIndex(account("e", "legacy/"), account("e", "simple/"), "E"),
    "f": ExecIndex(None, account("f"), "F"),
    "g": ExecIndex(token("g"), account("g"), "G"),
}
"""Each has a letter of its own in whatever belongs to it."""

PAIRS = list(permutations(INDEXES, 2))


def owner(text: str) -> str:
    """Return the letter of the index that a value belongs to, "" for a bare `__token__`."""
    found = set(re.findall(r"(?:-of-|//)(\w)\b", text))
    assert len(found) <= 1, text
    return found.pop() if found else ""


def in_urls(urls: str) -> list[tuple[str, str]]:
    """Return whose secret is in each of the URLs, and whose host it goes to."""
    found = re.findall(r"https://\S+?:secret-of-(\w)@(\w)\.example/\S*", urls)
    assert len(found) == len(urls.split())
    return found


@pytest.mark.parametrize("names", PAIRS)
def test_no_secret_stands_beside_the_url_of_another_index(names: tuple[str, str]) -> None:
    found = tool_variables([INDEXES[name] for name in names])
    grouped: set[str] = set()
    for url, others in PAIRED.items():
        group = [found[name] for name in (url, *others) if name in found]
        grouped |= {url, *others}
        assert len({owner(value) for value in group} - {""}) <= 1
        assert bool(group) == (url in found)  # never without the URL
    for name in set(found) - grouped:
        if by_name := re.fullmatch(r"POETRY_PYPI_TOKEN_(.+)", name):
            url = found[f"POETRY_REPOSITORIES_{by_name[1]}_URL"]
            assert owner(found[name]) == owner(url)
        elif "secret" in found[name]:
            assert all(secret == host for secret, host in in_urls(found[name]))
        else:
            assert re.fullmatch(r"POETRY_REPOSITORIES_.+_URL", name)


@pytest.mark.parametrize("names", PAIRS)
def test_no_secret_is_in_a_variable_that_a_project_can_give_a_url(names: tuple[str, str]) -> None:
    """Whatever else a tool takes by a name would be the next case: none is set but these."""
    found = tool_variables([INDEXES[name] for name in names])
    singles = {name for url, others in PAIRED.items() for name in (url, *others)}
    for name in set(found) - singles - {"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"}:
        assert re.fullmatch(r"POETRY_(PYPI_TOKEN_.+|REPOSITORIES_.+_URL)", name)


@pytest.mark.parametrize("names", PAIRS)
def test_variables_of_one_value_are_for_the_first_index_or_not_there(
    names: tuple[str, str],
) -> None:
    found = tool_variables([INDEXES[name] for name in names])
    for url, others in PAIRED.items():
        for name in (url, *others):
            assert owner(found.get(name, "")) in {names[0], ""}
    assert in_urls(found.get("PIP_INDEX_URL", "")) in ([(names[0], names[0])], [])


def test_an_account_is_in_the_variables_that_each_tool_reads() -> None:
    found = tool_variables([INDEXES["a"]])
    for url, (username, secret, *_) in PAIRED.items():
        assert found[url] == "https://a.example/"
        assert (found[username], found[secret]) == ("user-of-a", "secret-of-a")
    assert found["POETRY_REPOSITORIES_A_URL"] == "https://user-of-a:secret-of-a@a.example/"
    assert found["PIP_INDEX_URL"] == "https://user-of-a:secret-of-a@a.example/"
    assert not {"UV_PUBLISH_TOKEN", "MATURIN_PYPI_TOKEN", "PIP_EXTRA_INDEX_URL"} & set(found)


def test_a_token_is_where_tools_want_one_and_nothing_that_excludes_it() -> None:
    found = tool_variables([INDEXES["c"]])
    assert found["UV_PUBLISH_TOKEN"] == found["MATURIN_PYPI_TOKEN"] == "secret-of-c"
    assert found["POETRY_PYPI_TOKEN_C"] == "secret-of-c"
    assert (found["TWINE_USERNAME"], found["TWINE_PASSWORD"]) == ("__token__", "secret-of-c")
    assert not {"UV_PUBLISH_USERNAME", "UV_PUBLISH_PASSWORD", "MATURIN_USERNAME"} & set(found)
    assert not [name for name in found if name.startswith(("PIP_", "UV_INDEX_", "POETRY_HTTP"))]


def test_uploads_and_installs_of_one_index_get_what_is_for_each() -> None:
    found = tool_variables([INDEXES["g"], INDEXES["e"]])
    assert found["POETRY_PYPI_TOKEN_G"] == "secret-of-g"
    assert found["POETRY_REPOSITORIES_G_URL"] == "https://g.example/"
    assert found["TWINE_USERNAME"] == "__token__"
    assert found["PIP_EXTRA_INDEX_URL"] == "https://user-of-e:secret-of-e@e.example/simple/"


def test_the_others_of_pip_are_one_list() -> None:
    found = tool_variables([INDEXES[name] for name in "cdb"])
    assert "PIP_INDEX_URL" not in found  # pip's own, pypi, stays what it is
    assert found["PIP_EXTRA_INDEX_URL"].split() == [
        "https://user-of-d:secret-of-d@d.example/",
        "https://__token__:secret-of-b@b.example/",
    ]


def test_a_password_of_any_characters_stays_one_part_of_a_url() -> None:
    odd = "p w/@:?#%é\n\udcff$"
    index = ExecIndex(None, Access("https://h.example/simple/", "a@b:c", odd))
    url = tool_variables([index])["PIP_INDEX_URL"]
    assert url.isascii()
    assert urlsplit(url).hostname == "h.example"
    assert unquote(urlsplit(url).username or "") == "a@b:c"
    assert unquote(urlsplit(url).password or "", errors="surrogateescape") == odd


INHERITED = [
    *(name for url, others in PAIRED.items() for name in (url, *others)),
    *("TWINE_REPOSITORY", "MATURIN_REPOSITORY", "UV_PUBLISH_INDEX", "UV_PUBLISH_CHECK_URL"),
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX_TOKEN_X"),
    *("UV_INDEX_X_USERNAME", "UV_INDEX_X_Y_PASSWORD", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
    *("POETRY_PYPI_TOKEN_X", "POETRY_HTTP_BASIC_X_USERNAME", "POETRY_HTTP_BASIC_X_PASSWORD"),
    *("POETRY_REPOSITORIES_X_URL", "PDM_PYPI_URL", "PDM_PYPI_USERNAME", "PDM_PYPI_PASSWORD"),
    *("PIP_index_url", "PIP_PYPI_URL"),
]


@pytest.mark.parametrize("name", INHERITED)
@pytest.mark.parametrize("index", INDEXES)
def test_nothing_inherited_names_or_opens_another_index(name: str, index: str) -> None:
    found = child_environment({name: "old"}, tool_variables([INDEXES[index]]))
    assert "old" not in found.values()


def test_everything_else_is_passed_on_untouched() -> None:
    kept = {
        "PATH": "/bin",
        "HOME": "/home/u",
        "TWINE_CERT": "/ca.pem",
        "TWINE_NON_INTERACTIVE": "1",
        "UV_KEYRING_PROVIDER": "subprocess",
        "UV_INDEX_STRATEGY": "first-index",
        "PYTHON_KEYRING_BACKEND": "a.B",
        "PIP_CONFIG_FILE": "/dev/null",
        "PDM_CHECK_UPDATE": "0",
        "POETRY_KEYRING_ENABLED": "false",
        "HATCH_INDEX_CA_CERT": "/ca.pem",
        "ODD": "\udcff",
    }
    found = child_environment(kept, tool_variables([INDEXES["a"]]))
    assert {name: found[name] for name in kept} == kept


def test_no_repr_shows_a_secret() -> None:
    assert "secret" not in repr(INDEXES["a"])
    assert "secret" not in repr(account("a"))
