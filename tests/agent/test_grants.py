"""A grant covers what is of its login and form, and neither longer nor wider; and what is judged goes out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_agent.failure import Failure
from tokenward_agent.policy.deciding import PolicyInput, decide
from tokenward_agent.policy.rule import ALLOW, ASK, DECISIONS, DENY, Rule, Terms
from tokenward_agent.requests.grants import Grant, decide_delivery
from tokenward_agent.vault.record import AdoptedSource, Login, Record

LOGIN = Login("https://h.example/", "ana", 7, None, b"sealed")
CHILD = Grant(LOGIN, "child", ("mine", "two"), 3600)
WHOLE = Grant(LOGIN, "whole", None, None)

NAMES = st.none() | st.lists(st.sampled_from(["mine", "two", "other"]), unique=True).map(tuple)
GRANTS = st.builds(
    Grant,
    st.sampled_from([LOGIN, LOGIN._replace(sealed=b"again"), LOGIN._replace(created=8)]),
    st.sampled_from(["whole", "child", "relay"]),
    NAMES,
    st.none() | st.integers(1, 5),
)


@pytest.mark.parametrize(
    "other",
    [
        CHILD._replace(login=LOGIN._replace(sealed=b"sealed anew")),
        CHILD._replace(login=LOGIN._replace(username="bob")),
        CHILD._replace(form="whole"),
        CHILD._replace(form="relay"),
        CHILD._replace(projects=("mine", "other")),
        CHILD._replace(projects=None),
        CHILD._replace(seconds=3601),
        CHILD._replace(seconds=None),
        WHOLE,
    ],
)
def test_another_login_another_form_a_project_or_a_second_more_is_not_covered(
    other: Grant,
) -> None:
    assert not CHILD.covers(other)
    with pytest.raises(Failure):
        CHILD.require_covers(other)


def test_what_is_shorter_and_narrower_is_covered() -> None:
    for other in CHILD, CHILD._replace(projects=("two",)), CHILD._replace(seconds=1):
        CHILD.require_covers(other)
    assert WHOLE.covers(WHOLE._replace(projects=("mine",)))
    assert not WHOLE.covers(WHOLE._replace(form="relay"))
    assert not WHOLE.covers(CHILD)  # a yes to the one is none to the other, whichever is wider


@given(GRANTS, GRANTS, GRANTS)
def test_what_is_covered_by_what_is_covered_is_covered(
    one: Grant, two: Grant, three: Grant
) -> None:
    assert one.covers(one)
    if one.covers(two) and two.covers(three):
        assert one.covers(three)
    if one.covers(two) and two.covers(one):
        assert (one.login, one.form, one.seconds) == (two.login, two.form, two.seconds)


def test_two_logins_are_told_apart_by_what_was_sealed_and_using_one_makes_it_no_other() -> None:
    record = Record("https://h.example/", "ana", 7, None, None, None, b"sealed")
    assert record._replace(last_used=9).login == record.login
    others: list[dict[str, Any]]
    others = [
        {"secret": b"anew"},
        {"created": 8},
        {"username": "bob"},
        {"service": "https://i.example/"},
        {"secret": None, "adopted": AdoptedSource("keyring", "x")},
    ]
    for other in others:
        assert record._replace(**other).login != record.login
    assert "sealed" not in repr(record.login)


# Judged by what goes out.


class Goes:
    """A token for some projects, None for all, which an upload of `likely` asks for."""

    def __init__(self, held: tuple[str, ...] | None, likely: tuple[str, ...]) -> None:
        self.held, self.likely = held, likely

    def grant_under(self, terms: Terms) -> Grant:
        if not terms.narrow:
            return Grant(LOGIN, "whole", self.held, None)
        names = tuple(n for n in self.likely if self.held is None or n in self.held)
        return Grant(LOGIN, "child", names or self.held, 3600)


def subject(projects: tuple[str, ...]) -> PolicyInput:
    none: frozenset[str] = frozenset()
    return PolicyInput(none, none, LOGIN.service, LOGIN.username, "publish", frozenset(projects))


AS_IT_IS = Terms(narrow=False)
MINE, OTHER = ("mine",), ("other",)


@pytest.mark.parametrize(
    ("held", "likely", "rules", "word"),
    [
        (OTHER, MINE, [Rule(ALLOW, projects=MINE), Rule(DENY)], DENY),
        (OTHER, MINE, [Rule(DENY, projects=OTHER)], DENY),
        (OTHER, (), [Rule(DENY, projects=OTHER)], DENY),
        (OTHER, (), [Rule(ALLOW, projects=OTHER), Rule(DENY)], ALLOW),
        (MINE + OTHER, MINE, [Rule(ALLOW, projects=MINE), Rule(DENY)], ALLOW),
        (MINE + OTHER, (), [Rule(ALLOW, projects=MINE), Rule(DENY)], DENY),
        (MINE + OTHER, (), [Rule(DENY, projects=OTHER)], DENY),
        (None, MINE, [Rule(ALLOW, projects=MINE), Rule(DENY)], ALLOW),
        (None, (), [Rule(ALLOW, projects=MINE), Rule(DENY)], ASK),
        # As it is: it is good for more than what it is wanted for.
        (MINE + OTHER, MINE, [Rule(ALLOW, projects=MINE, terms=AS_IT_IS), Rule(DENY)], DENY),
        (MINE + OTHER, MINE, [Rule(DENY, projects=OTHER), Rule(ALLOW, terms=AS_IT_IS)], DENY),
        (MINE, MINE, [Rule(ALLOW, projects=MINE, terms=AS_IT_IS), Rule(DENY)], ALLOW),
        (MINE + OTHER, MINE, [Rule(ASK, projects=MINE, terms=AS_IT_IS), Rule(ALLOW)], ASK),
        # Of a password nothing is visible but what it is wanted for.
        (None, MINE, [Rule(ALLOW, projects=MINE, terms=AS_IT_IS), Rule(DENY)], ALLOW),
    ],
)
def test_the_rules_see_the_projects_that_what_leaves_is_good_for(
    held: tuple[str, ...] | None, likely: tuple[str, ...], rules: list[Rule], word: str
) -> None:
    assert decide_delivery(rules, subject(likely), Goes(held, likely))[0].word == word


RULES = st.lists(
    st.builds(
        Rule,
        st.sampled_from(DECISIONS),
        projects=st.lists(st.sampled_from(["mine", "two", "other"]), unique=True).map(tuple),
        terms=st.sampled_from([Terms(), AS_IT_IS]),
    ),
    max_size=4,
)


@given(RULES, NAMES, st.lists(st.sampled_from(["mine", "two", "other"]), unique=True).map(tuple))
def test_nothing_leaves_that_the_rules_would_not_let_leave_if_it_were_asked_for_by_what_it_is(
    rules: list[Rule], held: tuple[str, ...] | None, likely: tuple[str, ...]
) -> None:
    decision, grant = decide_delivery(rules, subject(likely), Goes(held, likely))
    good = likely if grant.projects is None else grant.projects
    plain = decide(rules, subject(good)).word
    assert DECISIONS.index(decision.word) >= DECISIONS.index(plain)
    assert grant == Goes(held, likely).grant_under(decision.terms)
