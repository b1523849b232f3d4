"""The files of other tools, as these tools write them: what is found, and what is left of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokenward import sources
from tokenward.errors import CommandError
from tokenward.sources.document import Document
from tokenward.sources.found import KnownIndex, KnownIndexes

if TYPE_CHECKING:
    from pathlib import Path

PYPIRC = """\
[distutils]
index-servers =
    pypi
    ours

# a comment
[pypi]
username = __token__
password = pypi-s3cret
; another

[ours]
repository: https://ours.example/legacy/
password: 100%
    sure
username: alice
"""

# uv 0.13.9: `uv auth login`, three times.
UV = """\
[[credential]]
service = "https://h.example/a"
username = "alice"
scheme = "basic"
password = 'p"w\\with'

[[credential]]
service = "https://pypi-index.example/"
username = "__token__"
scheme = "basic"
password = "tok-one"

[[credential]]
service = "http://127.0.0.1:8080/"
username = "bob"
scheme = "basic"
password = "pass word"
"""

# Poetry 2.5.1: `poetry config http-basic.priv alice ...` and so on, without a keyring.
POETRY = """\
[http-basic.priv]
username = "alice"
password = "p\\"w\\\\with"

[http-basic.other]
username = "bob"
password = "pass word"

[pypi-token]
pypi = "pypi-s3cret"
priv = "ghtok"
"""
POETRY_CONFIG = '[repositories.priv]\nurl = "https://priv.example/legacy/"\n'

PIP = """\
[global]
index-url = https://carol:s%40x@pip.example/simple/
timeout = 10
extra-index-url =
    https://open.example/simple
    # https://old:password@old.example/simple
    https://dave:zzz@e.example:8443/team/simple
[install]
extra_index_url = https://eve@only-a-name.example/simple
find-links = https://x:y@files.example/
"""


def document(
    source: str, text: str, path: str = "/a/file", known: KnownIndexes | None = None
) -> Document:
    return Document(
        source, path, text.encode(), known or KnownIndexes(), sources.FILES[source].look
    )


def described(read: Document) -> list[tuple[str, tuple[str, ...], str, str]]:
    return [(f.place, f.services, f.username, f.secret) for f in read.found]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            (
                "[distutils]\nindex-servers = corp\n[corp]\nrepository = https://h.example/\n"
                "[other]\nrepository = https://o.example/\nusername = alice\npassword = made-up\n"
            ),
            (
                "[distutils]\nindex-servers = corp\n[corp]\nrepository = https://h.example/\n"
                "[other]\nrepository = https://o.example/\nusername = alice\n"
            ),
        ),
        (
            (
                "[distutils]\nindex-servers = corp, o\n[o]\nrepository = https://o.example/\n"
                "[corp]\nrepository = https://o.example/\nusername = alice\npassword = made-up\n"
            ),
            (
                "[distutils]\nindex-servers = corp, o\n[o]\nrepository = https://o.example/\n"
                "[corp]\nrepository = https://o.example/\nusername = alice\n"
            ),
        ),
        (
            "[distutils]\nindex-servers =\n    corp\n[corp]\nrepository = https://alice:made-up@o.example/\n",
            "[distutils]\nindex-servers =\n    corp\n[corp]\nrepository = https://alice@o.example/\n",
        ),
        (
            "[corp]\nrepository = https://:made%2Dup@o.example/\nusername = alice\n",
            "[corp]\nrepository = https://o.example/\nusername = alice\n",
        ),
    ],
    ids=["not listed", "with a comma", "in the URL", "alone in the URL"],
)
def test_a_password_in_a_pypirc_is_found_wherever_it_stands(text: str, left: str) -> None:
    read = document("pypirc", text)
    (found,) = read.found
    assert (found.services, found.username) == (("https://o.example/",), "alice")
    assert found.secret == "made-up"
    assert read.without(read.found).decode() == left


def test_a_pypirc_loses_the_lines_of_its_passwords() -> None:
    read = document("pypirc", PYPIRC)
    assert described(read) == [
        ("[pypi]", ("https://upload.pypi.org/legacy/",), "__token__", "pypi-s3cret"),
        ("[ours]", ("https://ours.example/legacy/",), "alice", "100%\nsure"),
    ]
    left = PYPIRC.replace("password = pypi-s3cret\n", "")
    assert read.without(read.found[:1]).decode() == left
    left = left.replace("password: 100%\n    sure\n", "")
    assert read.without(read.found).decode() == left


def test_a_password_that_servers_share_goes_with_the_last_of_them() -> None:
    text = (
        "[distutils]\nindex-servers = a b\n[server-login]\nusername=u\npassword=shared\n"
        "[a]\nrepository=https://a.example/\n[b]\nrepository=https://b.example/\n"
    )
    read = document("pypirc", text)
    assert [found.secret for found in read.found] == ["shared", "shared"]
    assert read.without(read.found[:1]).decode() == text
    assert read.without(read.found).decode() == text.replace("password=shared\n", "")


def test_line_ends_and_a_byte_order_mark_stay() -> None:
    text = "\ufeff" + PYPIRC.replace("\n", "\r\n")
    read = document("pypirc", text)
    left = text.replace("password = pypi-s3cret\r\n", "")
    assert read.without(read.found[:1]).decode() == left


def test_a_server_without_url_or_user_name_says_what_is_missing() -> None:
    text = "[distutils]\nindex-servers = a b\n[a]\npassword=x\n[b]\nrepository=https://b.example/\npassword=y\n"
    no_url, no_user = document("pypirc", text).found
    assert no_url.problem == "/a/file gives a no `repository`."
    assert no_user.problem == "[b] has no user name."


def test_uvs_store_loses_whole_entries() -> None:
    read = document("uv", UV)
    assert described(read) == [
        ("https://h.example/a", ("https://h.example/a/",), "alice", 'p"w\\with'),
        ("https://pypi-index.example/", ("https://pypi-index.example/",), "__token__", "tok-one"),
        ("http://127.0.0.1:8080/", ("http://127.0.0.1:8080/",), "bob", "pass word"),
    ]
    middle = UV[UV.index('[[credential]]\nservice = "https://pypi') :].partition("\n\n")[0] + "\n"
    assert read.without(read.found[1:2]).decode() == UV.replace(middle, "")
    assert read.without(read.found).decode().strip() == ""


def test_what_uv_keeps_and_we_cannot_is_left_with_a_reason() -> None:
    text = (
        '[[credential]]\nservice = "https://a.example/"\nscheme = "bearer"\ntoken = "t"\n'
        '[[credential]]\nservice = "http://plain.example/"\nusername = "u"\npassword = "p"\n'
        "credential-without-a-table = true\n"
    )
    bearer, plain = document("uv", text).found
    assert "bearer token" in bearer.problem
    assert "would send its credential unencrypted" in plain.problem


def test_entries_in_one_line_cannot_be_cut_out_one_by_one() -> None:
    text = (
        'credential = [{service="https://a.example/", username="u", password="p"},'
        ' {service="https://b.example/", username="u", password="q"}]\n'
    )
    read = document("uv", text)
    assert [found.secret for found in read.found] == ["p", "q"]
    with pytest.raises(CommandError, match="cannot be cut out of /a/file by itself"):
        read.without(read.found[:1])


def test_poetry_keeps_the_user_names(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(POETRY_CONFIG)
    known = KnownIndexes([KnownIndex("https://o.example/simple/", "Other")])
    read = document("poetry", POETRY, str(tmp_path / "auth.toml"), known)
    priv = "https://priv.example/legacy/"
    assert described(read) == [
        ("http-basic.priv", (priv,), "alice", 'p"w\\with'),
        ("http-basic.other", ("https://o.example/",), "bob", "pass word"),
        ("pypi-token.pypi", ("https://upload.pypi.org/legacy/",), "__token__", "pypi-s3cret"),
        ("pypi-token.priv", (priv,), "__token__", "ghtok"),
    ]
    left = "".join(
        line
        for line in POETRY.splitlines(keepends=True)
        if not line.startswith(("password", "pypi =", "priv ="))
    )
    assert read.without(read.found).decode() == left


def test_a_name_that_nobody_explains_is_left_with_what_explains_it(tmp_path: Path) -> None:
    found = document("poetry", POETRY, str(tmp_path / "auth.toml")).found
    assert [one.problem for one in found if one.problem] == [
        "No file of yours gives the URL of the index priv.",
        "No file of yours gives the URL of the index other.",
        "No file of yours gives the URL of the index priv.",
    ]
    assert "`poetry config repositories.priv URL`" in found[0].hint


def test_pips_urls_lose_user_name_and_password() -> None:
    read = document("pip", PIP)
    assert described(read) == [
        (
            "[global] index-url https://pip.example/simple/",
            ("https://pip.example/",),
            "carol",
            "s@x",
        ),
        (
            "[global] extra-index-url https://e.example:8443/team/simple",
            ("https://e.example:8443/team/",),
            "dave",
            "zzz",
        ),
    ]
    left = PIP.replace("carol:s%40x@", "").replace("dave:zzz@", "")
    assert read.without(read.found).decode() == left


def test_pips_files_are_the_users_own(tmp_path: Path) -> None:
    home = str(tmp_path)
    usual = [f"{home}/.pip/pip.conf", f"{home}/.config/pip/pip.conf"]
    assert sources.paths("pip", {}, home) == usual
    assert sources.paths("pip", {"VIRTUAL_ENV": "/v"}, home) == [*usual, "/v/pip.conf"]
    named = tmp_path / "named"
    assert sources.paths("pip", {"PIP_CONFIG_FILE": str(named)}, home) == usual
    named.touch()
    assert sources.paths("pip", {"PIP_CONFIG_FILE": str(named)}, home) == [str(named)]


@pytest.mark.parametrize("source", sources.FILES)
def test_a_secret_shows_in_no_description_of_what_was_found(source: str, tmp_path: Path) -> None:
    texts = {
        "pypirc": PYPIRC,
        "uv": UV,
        "poetry": POETRY,
        "pip": PIP,
        "netrc": "machine pypi.org login a password s3cret\n",
    }
    read = document(source, texts[source], str(tmp_path / "auth.toml"))
    assert read.found
    for found in read.found:
        assert found.secret not in f"{read!r} {found!r} {found.place} {found.problem} {found.hint}"


@pytest.mark.parametrize("source", sources.FILES)
def test_a_file_that_its_tool_could_not_read_is_named_and_not_quoted(source: str) -> None:
    with pytest.raises(CommandError) as refused:
        document(source, "marked { nonsense [\n")
    assert "/a/file" in str(refused.value)
    assert "marked" not in str(refused.value)


@pytest.mark.parametrize("source", sources.FILES)
def test_an_empty_file_holds_nothing(source: str) -> None:
    assert document(source, "").found == []
