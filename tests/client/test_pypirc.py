"""~/.pypirc is read as twine reads it, and its odd forms are one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twine.utils import get_config

from tokenward.errors import CommandError
from tokenward.settings import pypirc
from tokenward_protocol.urls import PYPI, TESTPYPI

if TYPE_CHECKING:
    from pathlib import Path

USUAL = """
[distutils]
index-servers =
    pypi
    testpypi
    internal

[pypi]
username = __token__
password = pypi-100%sure%(x)s

[testpypi]
password = pypi-test

[internal]
repository = https://index.example/legacy/
username: alice
password: pass word ; # kept

[unlisted]
repository = https://unlisted.example/
"""


def write(folder: Path, text: str) -> str:
    path = folder / ".pypirc"
    path.write_text(text)
    return str(path)


def test_seed_pypirc_lists_servers_with_repository_username_and_password(tmp_path: Path) -> None:
    pypi, testpypi, internal = pypirc.load_pypirc(write(tmp_path, USUAL))
    assert (pypi.key, pypi.username, pypi.password) == (PYPI, "__token__", "pypi-100%sure%(x)s")
    assert (testpypi.key, testpypi.username) == (TESTPYPI, "__token__")
    assert (internal.name, internal.key, internal.username, internal.password) == (
        "internal",
        "https://index.example/legacy/",
        "alice",
        "pass word ; # kept",
    )
    assert internal.definition.url == "https://index.example/legacy/"
    assert "pass word" not in repr(internal)


@pytest.mark.parametrize(
    "text",
    [
        USUAL,
        "",
        "[pypi]\nusername = u\npassword = p\n",
        (
            "[distutils]\nindex-servers = a b\n[a]\nrepository=https://a.example\n"
            "[server-login]\nusername=u\npassword=p\n[b]\nrepository=https://b.example\nusername=v"
        ),
        "[distutils]\nindex-servers =\n",
        "[DEFAULT]\nusername = d\n[distutils]\nindex-servers = a\n[a]\nrepository=https://a.example",
    ],
)
def test_twine_reads_the_same(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    twine = get_config(path)
    for server in pypirc.load_pypirc(path):
        theirs = twine.get(server.name, {})
        assert (theirs.get("repository") or "") == server.url
        assert theirs.get("password") == server.password
        # twine puts __token__ in for pypi and testpypi when it uploads
        assert theirs.get("username") in {server.username, None}


def test_a_missing_file_has_no_servers(tmp_path: Path) -> None:
    assert pypirc.load_pypirc(str(tmp_path / ".pypirc")) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SECRET = 1\n", "malformed in line 1"),
        ("[pypi]\nSECRET\n", "malformed in line 2"),
        ("[pypi]\n[pypi]\nSECRET=1\n", "malformed in line 2"),
        ("[pypi]\npassword=SECRET\npassword=SECRET\n", "malformed in line 3"),
    ],
)
def test_an_odd_file_is_one_sentence_without_its_text(text: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(CommandError, match=said) as caught:
        pypirc.load_pypirc(path)
    assert path in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_bytes_that_are_no_text_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / ".pypirc"
    path.write_bytes(b"[pypi]\npassword=\xff")
    with pytest.raises(CommandError, match="not UTF-8"):
        pypirc.load_pypirc(str(path))


def server(
    name: str, url: str, username: str | None = "u", password: str | None = "p"
) -> pypirc.Server:
    return pypirc.Server(name, url, username, password, "/home/u/.pypirc")


def test_a_credential_answers_for_its_url_and_below_by_the_longest_path() -> None:
    servers = (server("a", "https://h.example"), server("b", "https://h.example/b", "v"))
    for key, name in [("https://h.example/b/c/", "b"), ("https://h.example/bc/", "a")]:
        found = pypirc.find_server(servers, key, None)
        assert found
        assert found.name == name
    assert pypirc.find_server(servers, "https://other.example/", None) is None
    assert pypirc.find_server(servers, "https://h.example/b/", "w") is None
    found = pypirc.find_server(servers, "https://h.example/b/", "u")
    assert found
    assert found.name == "a"


def test_the_pypi_section_of_another_repository_never_answers_for_pypi() -> None:
    servers = (server("pypi", "https://mirror.example/"),)
    assert pypirc.find_server(servers, PYPI, None, "pypi") is None
    assert pypirc.find_server(servers, "https://mirror.example/", None) == servers[0]


def test_two_accounts_for_a_url_are_told_apart_by_name_or_it_is_an_error() -> None:
    servers = (
        server("one", PYPI, "__token__", "pypi-1"),
        server("two", "https://pypi.org", "__token__", "pypi-2"),
    )
    with pytest.raises(CommandError, match="several accounts for pypi: one, two"):
        pypirc.find_server(servers, PYPI, None)
    assert pypirc.find_server(servers, PYPI, None, "two") == servers[1]


def test_a_token_goes_before_an_account() -> None:
    servers = (server("a", "https://h.example"), server("b", "https://h.example", "__token__"))
    assert pypirc.find_server(servers, "https://h.example/", None) == servers[1]


@pytest.mark.parametrize(
    "incomplete",
    [
        server("a", "https://h.example", None),
        server("a", "https://h.example", "u", None),
        server("a", ""),
        server("a", "http://h.example"),
    ],
)
def test_an_incomplete_section_answers_for_nothing(incomplete: pypirc.Server) -> None:
    assert pypirc.find_server((incomplete,), "https://h.example/", None, "a") is None
