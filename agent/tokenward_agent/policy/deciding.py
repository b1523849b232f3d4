"""What the policy says to one request: the first rule that is meant for it decides.

Whether a rule is meant for a request cannot always be told: a process could not be looked at, a
command line does not say which project is published. Then both answers are worked out, that of the
rule and that of the rules behind it. Where they are the same nothing depends on it; where they are
not, a person is to be asked. So ignorance never turns `deny` into `allow`, nor `ask`.

Who asks is held to more, since a program can see to it that it is not known: whoever is not wholly
known is meant by no rule that allows a program and by each that denies one.

A rule that allows has to cover all that is asked for, one that asks or denies only a part of it:

| | `allow` is meant for | `ask` and `deny` are meant for |
| --- | --- | --- |
| program | the tool that asks | the tool, whatever was started by the program, and whatever asks through it; perhaps what names it in a command line that nobody here can read |
| project | requests for no other projects | requests for any of the projects |
| service | credentials for it or what lies below | likewise; perhaps one for something above |

How narrow a token goes out is said by the same rule. Where others may have been meant, it is as
narrow as the narrowest of them has it.

Without a rule that is meant for it a request is allowed. A new rule `deny` before the others never
makes anything go through that did not before. Pure.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from tokenward_agent.policy.rule import ALLOW, ASK, DECISIONS, DENY, Rule, Terms
from tokenward_protocol.index_tokens import DEFAULT_TTL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

NO, BARRED, MAYBE, YES = range(4)
"""BARRED: it would be meant for a program that is not known to be the one: it bounds, and allows not."""


class Subject(NamedTuple):
    """A request as rules see it.

    `tool` has the name and the absolute paths of the tool that asks, `around` likewise those of the
    programs that started it, and of those that it asks through, such as `keyring`; `known` says whether
    that is all, and true for as far as that can be told. `hints` are names of files that may be run
    there as well. `service` and `username` are those of the stored credential; `purpose` is "" and
    `projects` (normalised) empty where unknown.
    """

    tool: frozenset[str]
    around: frozenset[str]
    service: str
    username: str
    purpose: str
    projects: frozenset[str]
    known: bool = True
    hints: frozenset[str] = frozenset()


class Decision(NamedTuple):
    """What is to be done, and the rule that says so, None where none does.

    `certain` is false where it could not be told whether the rule is meant. `terms` are those of all
    rules that may be.
    """

    word: str
    rule: Rule | None
    certain: bool = True
    terms: Terms = Terms()


DEFAULT: Final = Decision(ALLOW, None)


def decide(rules: Iterable[Rule], subject: Subject) -> Decision:
    """Return what these rules, in their order, say to a request."""
    perhaps: list[tuple[Rule, int]] = []
    decision = DEFAULT
    for rule in rules:
        meant = is_meant(rule, subject)
        if meant == YES:
            decision = Decision(rule.decide, rule, terms=rule.terms)
            break
        if meant != NO:
            perhaps.append((rule, meant))
    terms = decision.terms
    for rule, meant in reversed(perhaps):
        if rule.decide != DENY:
            terms = _narrower(terms, rule.terms)
        if meant == MAYBE and decision.word != rule.decide:
            decision = Decision(ASK, rule, certain=False)
    return decision._replace(terms=terms)


def _narrower(one: Terms, other: Terms) -> Terms:
    """Return what gives no more than either of two gives."""
    ttl = min(each.ttl or DEFAULT_TTL for each in (one, other)) if one.ttl or other.ttl else 0
    return Terms(ttl, one.narrow or other.narrow)


def possible(rules: Iterable[Rule], service: str, username: str) -> tuple[str, ...]:
    """Return what can become of requests for a credential, depending on who asks what for."""
    words: set[str] = set()
    for rule in rules:
        meant = min(_one_of(rule.usernames, username), _service(rule.services, service))
        if meant != NO:
            words.add(rule.decide)
        if meant == YES and not (rule.programs or rule.purposes or rule.projects):
            break
    else:
        words.add(ALLOW)
    return tuple(word for word in DECISIONS if word in words)


def is_meant(rule: Rule, subject: Subject) -> int:
    """Tell whether a rule is meant for a request: NO, BARRED, MAYBE or YES."""
    allows = rule.decide == ALLOW
    return min(
        _one_of(rule.usernames, subject.username),
        _service(rule.services, subject.service),
        _purpose(rule.purposes, subject.purpose),
        _program(rule.programs, subject, rule.decide),
        _project(rule.projects, subject.projects, allows=allows),
    )


def _one_of(wanted: tuple[str, ...], given: str) -> int:
    return YES if not wanted or given in wanted else NO


def _service(wanted: tuple[str, ...], given: str) -> int:
    if not wanted or given in wanted:
        return YES
    urls = tuple(key for key in wanted if "://" in key)
    if given.startswith(urls):
        return YES
    return MAYBE if "://" in given and any(url.startswith(given) for url in urls) else NO


def _purpose(wanted: tuple[str, ...], given: str) -> int:
    return MAYBE if wanted and not given else _one_of(wanted, given)


def _program(wanted: tuple[str, ...], subject: Subject, decide: str) -> int:
    if not wanted:
        return YES
    known = subject.known and bool(subject.tool)
    if decide == ALLOW:
        return BARRED if not known else NO if subject.tool.isdisjoint(wanted) else YES
    if not (subject.tool | subject.around).isdisjoint(wanted):
        return YES
    if not known:
        return YES if decide == DENY else MAYBE
    return NO if subject.hints.isdisjoint(map(os.path.basename, wanted)) else MAYBE


def _project(wanted: tuple[str, ...], given: frozenset[str], *, allows: bool) -> int:
    if not wanted:
        return YES
    if not given:
        return MAYBE
    return YES if (given.issubset(wanted) if allows else not given.isdisjoint(wanted)) else NO
