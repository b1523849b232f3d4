"""For how long an answer holds, and how often something goes through."""

from __future__ import annotations

from tokenward_agent.policy.answers import (
    ANSWER_SECONDS,
    MOST_ANSWERS,
    MOST_QUESTIONS,
    Answers,
    What,
    Who,
)
from tokenward_agent.policy.rule import ASK, Rate, Rule

WHAT = What("https://h.example/", "ana", "publish", ("mine",))
TWINE = ("/usr/bin/python3", "/usr/bin/twine")


def test_an_answer_holds_a_minute_for_the_process_that_asked() -> None:
    answers = Answers()
    for yes in (True, False):
        answers.keep(Who((7, 100), TWINE), WHAT, yes=yes, remember=0, now=0)
        assert answers.known(Who((7, 100), TWINE), WHAT, ANSWER_SECONDS - 1) is yes
        assert answers.known(Who((7, 100), TWINE), WHAT, ANSWER_SECONDS) is None
        assert answers.known(Who((7, 101), TWINE), WHAT, 1) is None
        assert answers.known(Who((7, 100), TWINE), WHAT._replace(projects=()), 1) is None


def test_a_yes_that_is_remembered_holds_for_the_program_and_a_no_does_not() -> None:
    answers = Answers()
    answers.keep(Who((7, 100), TWINE), WHAT, yes=True, remember=900, now=0)
    answers.keep(Who((7, 100), ("/bin/x", "")), WHAT, yes=False, remember=900, now=0)
    assert answers.known(Who((8, 200), TWINE), WHAT, 899) is True
    assert answers.known(Who((8, 200), TWINE), WHAT, 900) is None
    assert answers.known(Who((8, 200), ("/bin/x", "")), WHAT, 1) is None
    for other in (
        WHAT._replace(service="https://i.example/"),
        WHAT._replace(username="bob"),
        WHAT._replace(purpose=""),
        WHAT._replace(projects=("mine", "more")),
        WHAT._replace(width=("whole",)),
    ):
        assert answers.known(Who((8, 200), TWINE), other, 1) is None


def used(answers: Answers, rule: Rule, now: int) -> bool:
    """Make use of a rule if it lets one more through; tell whether it does."""
    room = answers.may_use(rule, now)
    if room:
        answers.use(rule, now)
    return room


def test_of_nobody_known_nothing_is_kept() -> None:
    answers = Answers()
    answers.keep(Who(None, None), WHAT, yes=True, remember=900, now=0)
    assert answers.known(Who(None, None), WHAT, 1) is None


def test_what_is_forgotten_is_asked_again_and_what_was_counted_counts() -> None:
    answers, rule = Answers(), Rule(ASK, rate=Rate(1, 60))
    answers.keep(Who((7, 100), TWINE), WHAT, yes=True, remember=900, now=0)
    assert used(answers, rule, 0)
    answers.forget()
    assert answers.known(Who((7, 100), TWINE), WHAT, 1) is None
    assert not used(answers, rule, 59)


def test_a_rate_is_of_any_stretch_of_time() -> None:
    answers, rule = Answers(), Rule(ASK, rate=Rate(2, 60))
    assert [used(answers, rule, now) for now in (0, 30, 59, 60, 89, 90)] == [
        *(True, True, False),
        *(True, False, True),
    ]
    assert all(used(answers, Rule(ASK), 0) for _ in range(100))


def test_a_rule_that_moves_within_its_file_keeps_its_count() -> None:
    answers, rule = Answers(), Rule(ASK, 3, rate=Rate(1, 60))
    assert used(answers, rule, 0)
    assert not used(answers, rule._replace(line=4), 1)


def test_questions_have_a_rate_of_their_own() -> None:
    answers = Answers()
    assert [answers.may_ask(0) for _ in range(MOST_QUESTIONS + 1)] == [True] * MOST_QUESTIONS + [
        False
    ]
    assert answers.may_ask(60)


def test_not_more_answers_are_kept_than_there_is_room_for() -> None:
    answers = Answers()
    for pid in range(MOST_ANSWERS + 1):
        answers.keep(Who((pid, 1), None), WHAT, yes=True, remember=0, now=0)
    assert answers.known(Who((0, 1), None), WHAT, 1) is None
    assert answers.known(Who((1, 1), None), WHAT, 1) is True


def test_what_still_counts_would_be_missed_and_what_is_over_would_not() -> None:
    answers = Answers()
    assert not answers.hold(0)
    answers.keep(Who((7, 100), TWINE), WHAT, yes=True, remember=900, now=0)
    assert answers.hold(899)
    assert not answers.hold(900)
    rule = Rule(line=1, decide=ASK, rate=Rate(2, 3600))
    assert used(answers, rule, 1000)
    assert answers.hold(4599)
    assert not answers.hold(4600)
