"""For how long an answer holds, and how often something goes through."""

from __future__ import annotations

from tokenward_agent.policy.approvals import (
    ANSWER_SECONDS,
    MOST_ANSWERS,
    MOST_QUESTIONS,
    AccessKey,
    Approvals,
    RequesterKey,
)
from tokenward_agent.policy.rule import ASK, Rate, Rule

WHAT = AccessKey("https://h.example/", "ana", "publish", ("mine",))
TWINE = ("/usr/bin/python3", "/usr/bin/twine")


def test_an_answer_holds_a_minute_for_the_process_that_asked() -> None:
    approvals = Approvals()
    for yes in (True, False):
        approvals.remember(RequesterKey((7, 100), TWINE), WHAT, yes=yes, remember=0, now=0)
        assert approvals.find(RequesterKey((7, 100), TWINE), WHAT, ANSWER_SECONDS - 1) is yes
        assert approvals.find(RequesterKey((7, 100), TWINE), WHAT, ANSWER_SECONDS) is None
        assert approvals.find(RequesterKey((7, 101), TWINE), WHAT, 1) is None
        assert approvals.find(RequesterKey((7, 100), TWINE), WHAT._replace(projects=()), 1) is None


def test_a_yes_that_is_remembered_holds_for_the_program_and_a_no_does_not() -> None:
    approvals = Approvals()
    approvals.remember(RequesterKey((7, 100), TWINE), WHAT, yes=True, remember=900, now=0)
    approvals.remember(RequesterKey((7, 100), ("/bin/x", "")), WHAT, yes=False, remember=900, now=0)
    assert approvals.find(RequesterKey((8, 200), TWINE), WHAT, 899) is True
    assert approvals.find(RequesterKey((8, 200), TWINE), WHAT, 900) is None
    assert approvals.find(RequesterKey((8, 200), ("/bin/x", "")), WHAT, 1) is None
    for other in (
        WHAT._replace(service="https://i.example/"),
        WHAT._replace(username="bob"),
        WHAT._replace(purpose=""),
        WHAT._replace(projects=("mine", "more")),
        WHAT._replace(grant_width=("whole",)),
    ):
        assert approvals.find(RequesterKey((8, 200), TWINE), other, 1) is None


def used(approvals: Approvals, rule: Rule, now: int) -> bool:
    """Make use of a rule if it lets one more through; tell whether it does."""
    room = approvals.may_use(rule, now)
    if room:
        approvals.use(rule, now)
    return room


def test_of_nobody_known_nothing_is_kept() -> None:
    approvals = Approvals()
    approvals.remember(RequesterKey(None, None), WHAT, yes=True, remember=900, now=0)
    assert approvals.find(RequesterKey(None, None), WHAT, 1) is None


def test_what_is_forgotten_is_asked_again_and_what_was_counted_counts() -> None:
    approvals, rule = Approvals(), Rule(ASK, rate=Rate(1, 60))
    approvals.remember(RequesterKey((7, 100), TWINE), WHAT, yes=True, remember=900, now=0)
    assert used(approvals, rule, 0)
    approvals.forget()
    assert approvals.find(RequesterKey((7, 100), TWINE), WHAT, 1) is None
    assert not used(approvals, rule, 59)


def test_a_rate_is_of_any_stretch_of_time() -> None:
    approvals, rule = Approvals(), Rule(ASK, rate=Rate(2, 60))
    assert [used(approvals, rule, now) for now in (0, 30, 59, 60, 89, 90)] == [
        *(True, True, False),
        *(True, False, True),
    ]
    assert all(used(approvals, Rule(ASK), 0) for _ in range(100))


def test_a_rule_that_moves_within_its_file_keeps_its_count() -> None:
    approvals, rule = Approvals(), Rule(ASK, 3, rate=Rate(1, 60))
    assert used(approvals, rule, 0)
    assert not used(approvals, rule._replace(line=4), 1)


def test_questions_have_a_rate_of_their_own() -> None:
    approvals = Approvals()
    assert [approvals.count_question(0) for _ in range(MOST_QUESTIONS + 1)] == [
        True
    ] * MOST_QUESTIONS + [False]
    assert approvals.count_question(60)


def test_not_more_answers_are_kept_than_there_is_room_for() -> None:
    approvals = Approvals()
    for pid in range(MOST_ANSWERS + 1):
        approvals.remember(RequesterKey((pid, 1), None), WHAT, yes=True, remember=0, now=0)
    assert approvals.find(RequesterKey((0, 1), None), WHAT, 1) is None
    assert approvals.find(RequesterKey((1, 1), None), WHAT, 1) is True


def test_what_still_counts_would_be_missed_and_what_is_over_would_not() -> None:
    approvals = Approvals()
    assert not approvals.has_state(0)
    approvals.remember(RequesterKey((7, 100), TWINE), WHAT, yes=True, remember=900, now=0)
    assert approvals.has_state(899)
    assert not approvals.has_state(900)
    rule = Rule(line=1, decide=ASK, rate=Rate(2, 3600))
    assert used(approvals, rule, 1000)
    assert approvals.has_state(4599)
    assert not approvals.has_state(4600)
