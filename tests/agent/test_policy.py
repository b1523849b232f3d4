"""Which rule decides about a request, whatever can be told of whoever asks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_agent.policy.deciding import (
    BARRED,
    MAYBE,
    NO,
    YES,
    Decision,
    PolicyInput,
    decide,
    match_rule,
)
from tokenward_agent.policy.rule import ALLOW, ASK, DECISIONS, DENY, PURPOSES, Rule, Terms
from tokenward_agent.requests.attenuation import Restriction

PYPI = "https://upload.pypi.org/legacy/"
TWINE = frozenset({"twine", "/usr/bin/python3", "/home/ana/.local/bin/twine"})
NOBODY: frozenset[str] = frozenset()
STRICTNESS = {ALLOW: 0, ASK: 1, DENY: 2}


def subject(
    tool: frozenset[str] = TWINE,
    around: frozenset[str] = NOBODY,
    service: str = PYPI,
    username: str = "__token__",
    purpose: str = "publish",
    projects: frozenset[str] = frozenset({"mine"}),
) -> PolicyInput:
    return PolicyInput(tool, around, service, username, purpose, projects)


def word(*rules: Rule, **about: frozenset[str] | str) -> str:
    return decide(rules, subject(**about)).word  # type: ignore[arg-type]  # of any name


def test_without_a_rule_everything_is_allowed() -> None:
    assert decide((), subject()) == Decision(ALLOW, None)


def test_the_first_rule_that_is_meant_decides_and_is_told() -> None:
    first, second = Rule(ASK, 1, programs=("uv",)), Rule(DENY, 4, programs=("twine",))
    assert decide((first, second, Rule(ALLOW, 7)), subject()) == Decision(DENY, second)


@pytest.mark.parametrize("name", sorted(TWINE))
def test_a_program_is_meant_by_its_name_and_by_its_paths(name: str) -> None:
    assert word(Rule(DENY, programs=(name,))) == DENY
    assert word(Rule(DENY, programs=(f"{name}x",))) == ALLOW


def test_what_a_denied_program_starts_is_denied_too_and_what_an_allowed_one_starts_is_not() -> None:
    around = frozenset({"agent-of-somebody", "bash"})
    assert word(Rule(DENY, programs=("agent-of-somebody",)), around=around) == DENY
    assert word(Rule(ASK, programs=("agent-of-somebody",)), around=around) == ASK
    assert word(Rule(ALLOW, programs=("bash",)), Rule(DENY), around=around) == DENY


def unknown(tool: frozenset[str] = NOBODY, **about: Any) -> PolicyInput:
    return subject(tool, **about)._replace(known=False)


@pytest.mark.parametrize("tool", [NOBODY, TWINE])
def test_who_is_not_wholly_known_is_allowed_by_no_name_and_denied_by_each(
    tool: frozenset[str],
) -> None:
    asked = unknown(tool)
    assert decide((Rule(DENY, programs=("helper",)),), asked).word == DENY
    assert decide((Rule(DENY, programs=("/opt/helper",)), Rule(ALLOW)), asked).word == DENY
    assert decide((Rule(ALLOW, programs=("twine",)), Rule(DENY)), asked).word == DENY
    assert decide((Rule(ALLOW, programs=("twine",)), Rule(ASK)), asked).word == ASK
    assert decide((Rule(ASK, programs=("helper",)),), asked).word == ASK
    assert decide((Rule(ASK, programs=("helper",)), Rule(DENY)), asked).word == ASK


def test_nor_is_a_yes_to_such_a_question_remembered_for_a_program() -> None:
    rule = Rule(ASK, programs=("helper",), remember=60)
    assert decide((rule,), unknown()) == Decision(ASK, rule, certain=False)


def test_a_rule_that_denies_a_program_for_something_is_not_for_everything() -> None:
    rule = Rule(DENY, programs=("helper",), purposes=("publish",))
    words = [
        decide((rule,), unknown(purpose=purpose)).word for purpose in ("publish", "install", "")
    ]
    assert words == [DENY, ALLOW, ASK]


def test_what_a_command_line_names_that_cannot_be_read_may_be_meant() -> None:
    known = subject()._replace(hints=frozenset({"helper", "deploy.sh"}))
    assert decide((Rule(DENY, programs=("/opt/bin/helper",)),), known).word == ASK
    assert decide((Rule(DENY, programs=("deploy.sh",)),), known).word == ASK
    assert decide((Rule(DENY, programs=("/opt/bin/other",)),), known).word == ALLOW
    assert decide((Rule(ALLOW, programs=("/opt/bin/helper",)), Rule(DENY)), known).word == DENY


def test_where_nothing_depends_on_who_it_is_nobody_is_asked() -> None:
    assert word(Rule(ALLOW, programs=("twine",)), tool=NOBODY) == ALLOW
    assert word(Rule(DENY, programs=("twine",)), Rule(DENY), tool=NOBODY) == DENY


def test_a_rule_for_a_service_is_meant_for_all_below_it_and_perhaps_for_what_is_above() -> None:
    rule = Rule(DENY, services=("https://h.example/team/",))
    assert word(rule, service="https://h.example/team/") == DENY
    assert word(rule, service="https://h.example/team/dev/") == DENY
    assert word(rule, service="https://h.example/") == ASK
    assert word(rule, service="https://h.example/teams/") == ALLOW
    assert word(rule, service="opaque") == ALLOW
    assert (
        word(Rule(DENY, services=("poetry-repository-x",)), service="poetry-repository-x") == DENY
    )
    assert (
        word(Rule(DENY, services=("poetry-repository-x",)), service="poetry-repository-xy") == ALLOW
    )


def test_a_rule_allows_all_the_projects_that_it_names_and_denies_any() -> None:
    mine = Rule(ALLOW, projects=("mine", "other"))
    assert word(mine, Rule(DENY)) == ALLOW
    assert word(mine, Rule(DENY), projects=frozenset({"mine", "theirs"})) == DENY
    secret = Rule(DENY, projects=("secret",))
    assert word(secret, projects=frozenset({"mine", "secret"})) == DENY
    assert word(secret) == ALLOW


def test_an_upload_of_who_knows_what_is_asked_about_where_it_matters() -> None:
    assert word(Rule(DENY, projects=("secret",)), projects=NOBODY) == ASK
    assert word(Rule(DENY, projects=("secret",)), Rule(DENY), projects=NOBODY) == DENY


def test_a_purpose_is_told_apart_and_asked_about_where_it_is_not_known() -> None:
    rule = Rule(DENY, purposes=("publish",))
    assert [word(rule, purpose=purpose) for purpose in ("publish", "install", "")] == [
        DENY,
        ALLOW,
        ASK,
    ]


def test_a_user_name_is_that_of_the_credential() -> None:
    assert word(Rule(DENY, usernames=("ana",)), username="ana") == DENY
    assert word(Rule(DENY, usernames=("ana",)), username="") == ALLOW


NAMES = ["a", "b", "/c"]
URLS = [PYPI, "https://h.example/", "https://h.example/x/", "opaque"]


def some(values: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2).map(tuple)


def all_rules(decisions: tuple[str, ...] = DECISIONS) -> st.SearchStrategy[Rule]:
    return st.builds(
        Rule,
        st.sampled_from(decisions),
        st.integers(0, 9),
        some(URLS),
        some(NAMES),
        some(NAMES),
        some(list(PURPOSES)),
        some(NAMES),
        terms=st.sampled_from([Terms(), Terms(900), Terms(7200), Terms(narrow=False)]),
    ).map(_as_it_can_be_written)


def _as_it_can_be_written(rule: Rule) -> Rule:
    """Return a rule without what no file can say: how narrow that goes out which is denied."""
    return rule._replace(terms=Terms()) if rule.decide == DENY else rule


SUBJECTS = st.builds(
    PolicyInput,
    st.frozensets(st.sampled_from(NAMES)),
    st.frozensets(st.sampled_from(NAMES)),
    st.sampled_from(URLS),
    st.sampled_from(NAMES),
    st.sampled_from(["", *PURPOSES]),
    st.frozensets(st.sampled_from(NAMES)),
    st.just(True),
    st.frozensets(st.sampled_from(["a", "b", "c"])),
)
LESS: list[dict[str, Any]] = [
    {"tool": NOBODY, "parents": NOBODY},
    {"purpose": ""},
    {"known": False},
    {"known": False, "parents": NOBODY, "hints": NOBODY},
    {"projects": NOBODY},
]
POLICIES = st.lists(all_rules(), max_size=6)


@given(all_rules((DENY,)), POLICIES, SUBJECTS)
def test_a_rule_that_denies_put_first_lets_nothing_through_that_was_not(
    rule: Rule, policy: list[Rule], asked: PolicyInput
) -> None:
    before, after = decide(policy, asked).word, decide([rule, *policy], asked).word
    assert STRICTNESS[after] >= STRICTNESS[before]


@given(all_rules((ASK,)), POLICIES, SUBJECTS)
def test_nor_does_a_rule_that_asks_make_anything_go_through_unasked(
    rule: Rule, policy: list[Rule], asked: PolicyInput
) -> None:
    before, after = decide(policy, asked).word, decide([rule, *policy], asked).word
    assert after != ALLOW or before == ALLOW


@given(POLICIES, SUBJECTS, st.data())
def test_to_be_known_less_of_is_never_of_use(
    policy: list[Rule], asked: PolicyInput, data: st.DataObject
) -> None:
    hidden = asked._replace(**data.draw(st.sampled_from(LESS)))
    if decide(policy, hidden).word == ALLOW:
        assert decide(policy, asked).word == ALLOW


@given(all_rules(), SUBJECTS)
def test_a_rule_that_is_meant_for_sure_says_what_becomes_of_it(
    rule: Rule, asked: PolicyInput
) -> None:
    meant = match_rule(rule, asked)
    decision = decide([rule], asked)
    if meant == YES:
        assert decision == Decision(rule.decide, rule, terms=rule.terms)
    elif meant == BARRED:
        assert (decision.word, decision.rule) == (ALLOW, None)
    elif meant == NO:
        assert decision == Decision(ALLOW, None)
    else:
        assert meant == MAYBE
        assert decision.word == (ALLOW if rule.decide == ALLOW else ASK)


def test_the_rule_that_decides_says_how_narrow_it_goes_out() -> None:
    rules = (
        Rule(ALLOW, services=("https://h.example/",), terms=Terms(60)),
        Rule(ALLOW, terms=Terms(900)),
    )
    assert decide(rules, subject()).terms == Terms(900)
    assert decide(rules, subject(service="https://h.example/")).terms == Terms(60)
    assert decide((), subject()).terms == Terms()


def test_where_another_rule_may_be_meant_it_is_as_narrow_as_either_has_it() -> None:
    freely = Rule(ALLOW, programs=("twine",), terms=Terms(narrow=False))
    long = Rule(ALLOW, programs=("twine",), terms=Terms(7200))
    short = Rule(ALLOW, terms=Terms(900))
    for rules, known, unknown in (
        ((freely,), Terms(narrow=False), Terms()),
        ((long,), Terms(7200), Terms(3600)),
        ((long, short), Terms(7200), Terms(900)),
        ((freely, short), Terms(narrow=False), Terms(900)),
    ):  # fmt: skip
        assert decide(rules, subject()).terms == known
        assert decide(rules, subject(tool=NOBODY)).terms == unknown


@given(POLICIES, SUBJECTS, st.data())
def test_to_be_known_less_of_gives_nothing_wider(
    policy: list[Rule], asked: PolicyInput, data: st.DataObject
) -> None:
    known = decide(policy, asked)
    hidden = decide(policy, asked._replace(**data.draw(st.sampled_from(LESS))))
    if DENY not in {known.word, hidden.word}:
        assert hidden.terms.narrow or not known.terms.narrow
        for restriction in (Restriction(False, ttl, ()) for ttl in (None, 60, 3600, 7200, 90000)):
            assert restriction.seconds(hidden.terms) <= restriction.seconds(known.terms)
