"""A netrc is read as Python's own reader reads it, and cut by whole entries."""

from __future__ import annotations

import netrc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward.errors import CommandError
from tokenward.sources.document import Document
from tokenward.sources.found import KnownIndex, KnownIndexes
from tokenward.sources.netrc_file import look, readable

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = ("a.example", "b.example")
KNOWN = KnownIndexes(KnownIndex(f"https://{host}/") for host in HOSTS)
WORDS = st.sampled_from(
    [
        "machine a.example",
        "machine b.example",
        "default",
        "login ana",
        "user bob",
        "account x",
        "password s3cret",
        'password "two words"',
        "password #hash",
        r"password back\\slash\ blank",
        "password login",
        "# a comment machine a.example",
        "macdef init\ncd /x\nmachine c.example\n\n",
    ]
)


def theirs(path: Path) -> dict[str, tuple[str, str, str]] | None:
    try:
        return netrc.netrc(str(path)).hosts
    except netrc.NetrcParseError:
        return None


def document(text: str) -> Document:
    return Document("netrc", "/a/netrc", text.encode(), KNOWN, look)


@given(st.lists(st.tuples(WORDS, st.sampled_from([" ", "\n", "\n\t"])), max_size=8))
def test_it_is_read_as_pip_and_twine_read_it(
    tmp_path_factory: pytest.TempPathFactory, words: list[tuple[str, str]]
) -> None:
    text = "".join(
        word + ("\n" if word.startswith(("#", "macdef")) else blank) for word, blank in words
    )
    path = tmp_path_factory.mktemp("home") / "netrc"
    path.write_text(text)
    hosts = theirs(path)
    named = [word for word, _ in words if word.startswith(("machine", "default"))]
    if hosts is None or len(set(named)) < len(named):
        return  # of two entries for one host Python's reader tells the second alone
    read = document(text)
    mine = {f.place.removeprefix("machine "): (f.username.strip("?"), f.secret) for f in read.found}
    assert mine == {host: (user, secret) for host, (user, _, secret) in hosts.items() if secret}
    path.write_bytes(read.without(found for found in read.found if not found.foreign))
    left = theirs(path)
    assert readable(path.read_text()) == (left is not None)
    assert {host for host, entry in (left or {}).items() if entry[2]} <= {"default"}


NETRC = """\
# mine
machine git.example login g password keep-1
machine a.example
    login ana   # who
    account x
    password s3cret

machine b.example login bob password two # end
default login any password keep-2
"""


def test_an_entry_goes_as_a_whole_and_everything_else_stays() -> None:
    read = document(NETRC)
    mine = [found for found in read.found if not found.foreign]
    assert [(f.place, f.services, f.username, f.secret) for f in mine] == [
        ("machine a.example", ("https://a.example/",), "ana", "s3cret"),
        ("machine b.example", ("https://b.example/",), "bob", "two"),
    ]
    assert read.without(mine).decode() == (
        "# mine\nmachine git.example login g password keep-1\n   # who\n # end\n"
        "default login any password keep-2\n"
    ).replace("   # who", "       # who")


def test_no_blanks_are_left_over_which_python_stumbles(tmp_path: Path) -> None:
    read = document("default machine a.example login ana password x  \n# a comment\n")
    left = read.without(found for found in read.found if not found.foreign)
    assert left == b"default\n# a comment\n"
    (tmp_path / "netrc").write_bytes(left)
    assert theirs(tmp_path / "netrc") == {"default": ("", "", "")}


def test_empty_lines_above_an_entry_go_with_it(tmp_path: Path) -> None:
    text = (
        "machine x.example login a password b\n\n\nmachine a.example login ana password x\n# c d\n"
    )
    assert readable(text)
    read = document(text)
    left = read.without(found for found in read.found if not found.foreign).decode()
    assert left == "machine x.example login a password b\n# c d\n"
    assert readable(left)


@pytest.mark.parametrize("text", ["machine a login b\n\n# two words\n", "nonsense", "x" * 200_000])
def test_what_python_cannot_read_is_known(text: str) -> None:
    assert not readable(text)
    assert readable("")


def test_hosts_of_no_index_and_the_default_are_left_with_a_reason() -> None:
    others = [found for found in document(NETRC).found if found.foreign]
    assert [found.place for found in others] == ["machine git.example", "default"]
    assert "--host git.example" in others[0].hint
    assert all(found.problem and not found.services for found in others)


def test_a_host_counts_for_every_port_on_which_an_index_is_known() -> None:
    known = KnownIndexes(
        [KnownIndex("http://localhost:8080/simple/"), KnownIndex("https://localhost:9/x")]
    )
    text = "machine localhost login a password b\n"
    (found,) = look(text, "/a/netrc", known)
    assert found.services == ("http://localhost:8080/", "https://localhost:9/")


def test_a_host_that_is_named_counts_and_one_that_is_none_is_refused() -> None:
    (found,) = look(
        "machine git.example password b login a", "/n", KnownIndexes((), ["git.example"])
    )
    assert found.services == ("https://git.example/",)
    for host in ("a b.example", "h.example:443", "https://h.example", "u@h.example", "h.example/x"):
        with pytest.raises(CommandError, match=r"^`--host` is not a host\.$"):
            KnownIndexes((), [host])


@pytest.mark.parametrize("text", ["marked", "machine h marked x", "machine", "machine h login"])
def test_what_is_no_netrc_is_said_with_its_line_and_not_quoted(text: str) -> None:
    with pytest.raises(CommandError) as refused:
        document(f"\n{text}")
    assert "/a/netrc is malformed in line 2" in str(refused.value)
    assert "marked" not in str(refused.value)
