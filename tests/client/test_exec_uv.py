"""Which of uv's variables hold the credential, by what uv's settings say."""

from __future__ import annotations

import pytest

from tokenward.exec.environment import UV_PYPI, Access, ResolverSettings, uv_variables
from tokenward.settings.uv_toml import parse_uv_settings

URL = "https://h.example/simple/"
CORP = "https://alice:pw@h.example/simple/"
OTHER = "https://alice:pw@o.example/"
EXTRA, DEFAULT = "UV_EXTRA_INDEX_URL", "UV_INDEX_URL"
A_DEFAULT: dict[str, object] = {"name": "d", "url": "https://d.example/", "default": True}
SEARCHED: dict[str, object] = {"name": "x", "url": "https://H.example/simple"}
EXPLICIT: dict[str, object] = {"name": "x", "url": URL, "explicit": True}


def given(
    *indexes: dict[str, object], is_uv: bool = True, is_known: bool = True, more: bool = False
) -> tuple[dict[str, str], list[str]]:
    accesses = [Access(URL, "alice", "pw")]
    accesses += [Access("https://o.example/", "alice", "pw")] * more
    search = ResolverSettings([parse_uv_settings({"index": [*indexes]}, "f", b"")])
    return uv_variables(accesses, search, is_uv=is_uv, is_known=is_known)


@pytest.mark.parametrize("is_uv", [True, False])
@pytest.mark.parametrize("more", [(), (A_DEFAULT,)])
def test_what_uv_searches_already_comes_behind_all(
    more: tuple[dict[str, object], ...], is_uv: bool
) -> None:
    assert given(SEARCHED, *more, is_uv=is_uv, is_known=is_uv) == ({EXTRA: CORP}, [])


def test_a_default_index_of_the_settings_gets_it_as_well() -> None:
    assert given(SEARCHED | {"default": True}) == ({EXTRA: CORP}, [])


@pytest.mark.parametrize("index", [EXPLICIT, EXPLICIT | {"default": True}, {}])
def test_what_uv_does_not_search_comes_behind_everything_it_does(index: dict[str, object]) -> None:
    assert given(index) == ({EXTRA: f"{UV_PYPI} {CORP}"}, [])
    assert given(index, A_DEFAULT) == ({DEFAULT: CORP}, [])
    assert given(index, more=True) == ({EXTRA: f"{UV_PYPI} {CORP} {OTHER}"}, [])


def test_what_may_come_before_the_default_index_is_said() -> None:
    assert given(is_known=False) == ({EXTRA: CORP}, [URL])
    assert given(A_DEFAULT, is_known=False) == ({EXTRA: CORP}, [URL])
    assert given(EXPLICIT, is_uv=False, is_known=False) == ({EXTRA: CORP}, [URL])
    found = given(A_DEFAULT, more=True)
    assert found == ({DEFAULT: CORP, EXTRA: OTHER}, ["https://o.example/"])


def test_a_program_that_nothing_connects_with_the_index_gets_nothing() -> None:
    assert given(is_uv=False, is_known=False) == ({}, [])
    assert given(A_DEFAULT, is_uv=False, is_known=False) == ({}, [])


@pytest.mark.parametrize(
    "url",
    [
        "https://h.example/",
        "https://h.example/simples/",
        "https://h.example:444/simple/",
        "http://h.example/simple/",
        "https://bob@h.example/simple/",
        "https://h.example.evil.example/simple/",
        "https://h.example@evil.example/simple/",
        "file:///srv",
        "./packages",
        "",
    ],
)
def test_no_other_url_of_the_settings_gets_it(url: str) -> None:
    found, _ = given({"name": "x", "url": url}, is_uv=False, is_known=False)
    assert found == {}
