"""A child is good for nothing that its parent is not, and the index that made it reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pypitoken
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.macaroons import IDENTIFIER, ROOT_KEY, caveats_of, letters, raw_of, token_of
from tokenward_protocol.caveats import LATEST, TokenScope, normalise_name, read_scope
from tokenward_protocol.index_tokens import (
    Derivation,
    NotAttenuable,
    derive_text,
    plan_derivation,
    same_origin,
    split_names,
    token_of_text,
)
from tokenward_protocol.macaroons import MAX_TOKEN

NOW, END = 1_790_000_000, 1_790_003_600
USER = "00000000-1111-2222-3333-444444444444"
OF_USER = token_of("pypi.org", IDENTIFIER, f'[3,"{USER}"]')


def child(token: str, *projects: str, now: int = NOW, end: int = END) -> tuple[str, Derivation]:
    planned = plan_derivation(token_of_text(token), now, end, projects)
    return derive_text(token, planned), planned


VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "narrowed.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_each_child_is_what_its_vector_says(vector: dict[str, Any]) -> None:
    text, planned = child(vector["parent"], *vector["projects"], end=vector["end"])
    assert text == vector["child"]
    assert [caveat.decode() for caveat in planned.caveats] == vector["caveats"]
    assert caveats_of(text) == [*(caveats_of(vector["parent"]) or []), *vector["caveats"]]


def test_a_child_ends_first_and_is_for_its_projects_then() -> None:
    text, planned = child(OF_USER, "one", "two")
    assert caveats_of(text) == [f'[3,"{USER}"]', f"[0,{END},0]", '[1,["one","two"]]']
    assert planned.expires == END
    assert planned.projects == ("one", "two")


def test_a_child_for_devpi_is_in_its_dialect() -> None:
    text, _ = child(token_of("", prefix="devpi-"), "one", "two")
    assert text.startswith("devpi-")
    assert caveats_of(text) == [f"expires={END}", "projects=one,two"]


def accepts(token: str, project: str, now: int) -> bool:
    try:
        pypitoken.Token.load(token).check(
            key=ROOT_KEY, project_name=project, project_id=project, user_id=USER, now=now
        )
    except (pypitoken.ValidationError, ValueError):  # ValueError: it stumbles over two reasons
        return False
    return True


names = st.sampled_from(["one", "two", "three"])
moments = st.integers(NOW - 10, NOW + 10)
parents = st.lists(
    st.one_of(
        st.tuples(moments, moments).map(lambda each: f"[0, {each[0]}, {each[1]}]"),
        st.lists(names, unique=True, min_size=1).map(lambda each: json.dumps([1, each])),
        st.just(f'[3,"{USER}"]'),
        st.just('{"version": 1, "permissions": "user"}'),
        st.just('{"version": 1, "permissions": {"projects": ["one", "two"]}}'),
        st.tuples(moments, moments).map(lambda each: f'{{"nbf": {each[0]}, "exp": {each[1]}}}'),
    ),
    max_size=4,
)


@given(parents, st.lists(names, unique=True, max_size=2), st.integers(1, 20), moments, names)
def test_no_child_is_wider_than_its_parent(
    chain: list[str], wanted: list[str], ttl: int, when: int, project: str
) -> None:
    token = token_of("pypi.org", IDENTIFIER, *chain)
    try:
        text, planned = child(token, *wanted, end=NOW + ttl)
    except NotAttenuable:
        allowed = [name for name in wanted or ["one", "two", "three"] if accepts(token, name, NOW)]
        assert allowed == [] or set(allowed) < set(wanted)
        return
    if accepts(text, project, when):
        assert accepts(token, project, when)
        assert when < planned.expires <= NOW + ttl
        assert planned.projects is None or project in planned.projects
        assert not wanted or project in wanted
    elif accepts(token, project, when) and when < NOW + ttl:
        assert wanted
        assert project not in wanted


@given(parents)
def test_what_is_visible_is_what_pypitoken_reads(chain: list[str]) -> None:
    token = token_of("test.pypi.org", IDENTIFIER, *chain)
    found, theirs = token_of_text(token), pypitoken.Token.load(token)
    assert found.location == theirs.domain == "test.pypi.org"
    assert found.scope.caveats == len(theirs.restrictions)
    ends = [
        each.not_after
        for each in theirs.restrictions
        if isinstance(each, pypitoken.DateRestriction | pypitoken.LegacyDateRestriction)
    ]
    assert found.scope.expires == min(ends, default=None)
    assert found.scope.unknown == 0


def test_a_child_is_read_by_pypitoken() -> None:
    text, _ = child(OF_USER, "one")
    assert pypitoken.Token.load(text).restrictions == [
        pypitoken.UserIDRestriction(user_id=USER),
        pypitoken.DateRestriction(not_before=0, not_after=END),
        pypitoken.ProjectNamesRestriction(project_names=["one"]),
    ]
    assert accepts(text, "one", NOW)
    assert not accepts(text, "two", NOW)
    assert not accepts(text, "one", END)


def test_a_child_of_a_child_is_narrower_still() -> None:
    text, _ = child(child(OF_USER, "one", "two")[0], "two", end=NOW + 60)
    found = token_of_text(text).scope
    assert (found.projects, found.expires) == (("two",), NOW + 60)


def test_a_child_does_not_outlive_its_parent() -> None:
    planned = child(token_of("pypi.org", IDENTIFIER, f"[0,{NOW + 30},0]"))[1]
    assert planned.expires == NOW + 30


@pytest.mark.parametrize(
    ("caveat", "wanted", "reason"),
    [
        (f"[0,{NOW},0]", (), "has expired"),
        (f"[0,{END},{NOW + 61}]", (), "not valid yet"),
        ('[1,["one"]]', ("two",), "is for `one` alone, and not for `two`"),
        ('[1,["one"]]', ("one", "two"), "is for `one` alone, and not for `two`"),
    ],
)
def test_a_child_that_would_be_good_for_nothing_is_refused_with_the_reason(
    caveat: str, wanted: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(NotAttenuable, match=reason) as caught:
        child(token_of("pypi.org", IDENTIFIER, caveat), *wanted)
    assert IDENTIFIER not in str(caught.value)
    assert caught.value.hint


def test_what_only_seems_likely_never_takes_away_what_the_token_is_for() -> None:
    bound = token_of_text(token_of("pypi.org", IDENTIFIER, '[1,["one","two"]]'))
    assert plan_derivation(bound, NOW, END, likely=["two", "three"]).projects == ("two",)
    assert plan_derivation(bound, NOW, END, likely=["three"]).projects == ("one", "two")
    assert len(plan_derivation(bound, NOW, END, likely=["three"]).caveats) == 1
    assert plan_derivation(token_of_text(OF_USER), NOW, END, ["one"], ["two"]).projects == ("one",)


def test_a_child_for_more_projects_than_fit_is_refused() -> None:
    many = [f"a-project-with-a-long-name-{number}" for number in range(300)]
    with pytest.raises(NotAttenuable, match="too long"):
        child(OF_USER, *many)
    few = token_of("pypi.org", IDENTIFIER, json.dumps([1, many[:7]]))
    with pytest.raises(
        NotAttenuable, match="name-4` and 2 more alone, and not for `one` and `two`"
    ):
        child(few, "one", "two")
    text, _ = child(OF_USER, *many[:100])
    assert len(text) < MAX_TOKEN
    assert accepts(text, many[99], NOW)


def seen(*chain: str, dialect: str = "pypi") -> TokenScope:
    return read_scope(dialect, [memoryview(caveat.encode()) for caveat in chain])


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ([], {}),
        (["[0,5,3]"], {"expires": 5, "not_before": 3}),
        (["[0, 5, 0]", "[0,4,0]", "[0,9,2]"], {"expires": 4, "not_before": 2}),
        (["[0,5,0,99]"], {"expires": 5}),
        (['[1,["a","b"]]', '[1,["b","c"]]'], {"projects": ("b",)}),
        (["[1,[]]"], {"projects": ()}),
        (['[2,["x"]]'], {"project_ids": ("x",)}),
        ([f'[3,"{USER}"]'], {"user": USER}),
        (['[4,"p",null]'], {"publisher": "p"}),
        (['{"version":1,"permissions":"user"}'], {"user": "", "legacy": True}),
        (
            ['{"version":1,"permissions":{"projects":["A_b"]}}'],
            {"projects": ("a-b",), "legacy": True},
        ),
        (['{"nbf":1,"exp":2}'], {"expires": 2, "not_before": 1, "legacy": True}),
        (['{"project_ids":["x"]}'], {"project_ids": ("x",), "legacy": True}),
        ([f"[0,{10**30},0]"], {"expires": LATEST}),
        (["[0,-5,0]"], {"expires": 0}),
    ],
)
def test_a_restriction_of_pypi_is_visible(chain: list[str], expected: dict[str, Any]) -> None:
    assert seen(*chain) == TokenScope(**expected, caveats=len(chain))


@pytest.mark.parametrize(
    "caveat",
    [
        *("", "x", "[]", "{}", "1", "null", "[99]", "[0]", "[0,1]", '[0,"1",0]', "[0,1.0,0]"),
        *("[0,true,0]", "[false,1,0]", "[true,[]]", '[1,"a"]', "[1,[1]]", "[3,4]", "[4,null,null]"),
        *('{"version":2,"permissions":"user"}', '{"nbf":1}', "[" * 100_000, "[0,NaN,0]"),
        f"[0,{'9' * 5000},0]",
    ],
)
def test_a_caveat_that_is_not_understood_is_counted_and_nothing_more(caveat: str) -> None:
    assert seen(caveat) == TokenScope(unknown=1, caveats=1)


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        (["expires=5", "not_before=3"], {"expires": 5, "not_before": 3}),
        (["expires=never"], {}),
        (["projects=A_b, c", "projects=c"], {"projects": ("c",)}),
        (
            ["indexes=ana/dev", "allowed=upload,pkg_read"],
            {"indexes": ("ana/dev",), "allowed": ("upload", "pkg_read")},
        ),
        (["x=1", "nothing", "expires=soon", "=", ""], {"unknown": 5}),
    ],
)
def test_a_restriction_of_devpi_is_visible(chain: list[str], expected: dict[str, Any]) -> None:
    assert seen(*chain, dialect="devpi") == TokenScope(**expected, caveats=len(chain))


def test_what_a_token_is_good_for_is_visible_where_it_says_so_and_only_there() -> None:
    assert [seen(*chain).is_visible for chain in ([], ["[0,5,0]"], ["?"])] == [False, False, False]
    assert seen(f'[3,"{USER}"]').is_visible
    assert not seen(f'[3,"{USER}"]').is_confined
    assert seen('{"version":1,"permissions":"user"}').is_visible
    for caveat in ('[1,["a"]]', '[2,["x"]]', '[4,"p",null]'):
        assert seen(caveat).is_visible
        assert seen(caveat).is_confined


def test_text_that_is_not_utf8_is_a_caveat_that_is_not_understood() -> None:
    assert read_scope("pypi", [memoryview(b"\xff")]).unknown == 1


@given(st.binary(max_size=60), st.sampled_from(["pypi", "devpi"]))
def test_reading_a_caveat_never_fails(data: bytes, dialect: str) -> None:
    assert read_scope(dialect, [memoryview(data)]).caveats == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("My_Pkg", "my-pkg"),
        ("a", "a"),
        ("A..b--C__d", "a-b-c-d"),
        ("zope.interface", "zope-interface"),
    ],
)
def test_a_project_is_named_as_indexes_compare_it(name: str, expected: str) -> None:
    assert normalise_name(name) == expected


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "ä", "a/b", 'a"', "a,b", "a\n", "_"])
def test_what_is_no_name_of_a_project_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a project's name"):
        normalise_name(name)


def test_names_in_one_text_have_one_blank_between_them() -> None:
    assert split_names("b A_a b") == ("b", "a-a")
    for text in ("", " a", "a  b", "a\tb", "a,b"):
        with pytest.raises(ValueError, match="not a project's name"):
            split_names(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pypi-",
        "pypi-A",
        "pypi-AgEI",
        "pipy" + OF_USER[4:],
        OF_USER[5:],
        OF_USER + "=",
        OF_USER[:-1],
        OF_USER + "A",
        " " + OF_USER,
        OF_USER + "\n",
        "PYPI" + OF_USER[4:],
        "testpypi-" + OF_USER[5:],
        "pypi-" + letters(b"\x02\x01\x01\xff\x02\x01i\x00\x00\x06\x20" + bytes(32)),
        "é",
    ],
)
def test_what_is_no_token_of_an_index_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"token|macaroon|letter"):
        token_of_text(text)


def test_only_tokens_of_indexes_that_are_known_to_read_children_are_narrowed() -> None:
    assert token_of_text(token_of("pypi.org")).is_attenuable
    assert token_of_text(token_of("test.pypi.org")).is_attenuable
    assert token_of_text(token_of("", prefix="devpi-")).is_attenuable
    assert not token_of_text(token_of("index.example")).is_attenuable
    assert not token_of_text(token_of("")).is_attenuable


def test_tokens_of_one_issue_are_told_from_others() -> None:
    def same(one: str, other: str) -> bool:
        return same_origin(
            token_of_text(one),
            memoryview(raw_of(one)),
            token_of_text(other),
            memoryview(raw_of(other)),
        )

    assert same(OF_USER, child(OF_USER, "one")[0])
    assert same(token_of("pypi.org"), OF_USER)
    assert not same(OF_USER, token_of("pypi.org", "another"))
    assert not same(OF_USER, token_of("test.pypi.org", IDENTIFIER))
    assert not same(token_of("", "user-x"), token_of("", "user-x", prefix="devpi-"))


def test_the_identifier_is_in_nothing_that_is_shown() -> None:
    shown = repr(token_of_text(OF_USER)) + repr(child(OF_USER, "one")[1])
    assert IDENTIFIER not in shown
