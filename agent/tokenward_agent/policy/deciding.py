"""The policy's decision on one request: the first rule that matches decides.

Whether a rule matches can be uncertain: a process could not be read, a command line does not say
which project is published. Then both decisions are worked out, that of the rule and that of the
rules behind it. If they agree, the uncertainty does not matter; if not, the user is asked. So
missing knowledge never turns `deny` or `ask` into `allow`.

Identity is held to more, since a program can arrange not to be known: a requester that is not
completely known matches no rule that allows a program, and every rule that denies one.

A rule that allows has to cover the whole request, one that asks or denies only a part of it:

| | `allow` matches | `ask` and `deny` match |
| --- | --- | --- |
| program | the tool that asks | the tool, anything that the program started, and anything that asks through it; perhaps a name in a command line that the agent cannot interpret |
| project | requests for no other projects | requests for any of the projects |
| service | credentials for it or below it | likewise; perhaps one for a place above it |

The same rule says how the issued token is attenuated. If other rules may match, the token gets the
strictest limits of them all.

A request that no rule matches is allowed. A new `deny` rule in front never allows a request that
was not allowed before. Pure.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from tokenward_agent.policy.rule import ALLOW, ASK, DECISIONS, DENY, Rule, Terms
from tokenward_protocol.index_tokens import DEFAULT_TTL

if TYPE_CHECKING:
    from collections.abc import Iterable

NO, BARRED, MAYBE, YES = range(4)
"""BARRED: a rule that allows a program, and an unknown requester: it only restricts."""


class PolicyInput(NamedTuple):
    """A request as rules see it.

    `tool` has the name and the absolute paths of the tool that asks; `parents` those of the programs
    that started it, and of those that it asks through, such as `keyring`; `known` tells whether
    that is complete and, as far as can be determined, true. `hints` are names of files that may run
    there as well. `service` and `username` are those of the stored credential; `purpose` is "" and
    `projects` (normalised) empty if unknown.
    """

    tool: frozenset[str]
    parents: frozenset[str]
    service: str
    username: str
    purpose: str
    projects: frozenset[str]
    known: bool = True
    hints: frozenset[str] = frozenset()


class Decision(NamedTuple):
    """The decision, and the rule that made it, None if no rule did.

    `certain` is false if it is uncertain whether the rule matches. `terms` combine those of all
    rules that may match.
    """

    word: str
    rule: Rule | None
    certain: bool = True
    terms: Terms = Terms()


DEFAULT: Final = Decision(ALLOW, None)


def decide(rules: Iterable[Rule], policy_input: PolicyInput) -> Decision:
    """Return the decision of these rules, in their order, on a request."""
    perhaps: list[tuple[Rule, int]] = []
    decision = DEFAULT
    for rule in rules:
        meant = match_rule(rule, policy_input)
        if meant == YES:
            decision = Decision(rule.decide, rule, terms=rule.terms)
            break
        if meant != NO:
            perhaps.append((rule, meant))
    terms = decision.terms
    # From the last uncertain rule to the first: each one compares itself with the decision of the
    # rules behind it, which is what would hold if it did not match.
    for rule, meant in reversed(perhaps):
        if rule.decide != DENY:
            terms = _narrower_terms(terms, rule.terms)
        if meant == MAYBE and decision.word != rule.decide:
            decision = Decision(ASK, rule, certain=False)
    return decision._replace(terms=terms)


def _narrower_terms(one: Terms, other: Terms) -> Terms:
    """Return terms that give no more than either of two."""
    ttl = min(each.ttl or DEFAULT_TTL for each in (one, other)) if one.ttl or other.ttl else 0
    return Terms(ttl, one.narrow or other.narrow)


def possible_decisions(rules: Iterable[Rule], service: str, username: str) -> tuple[str, ...]:
    """Return the decisions that requests for a credential can get."""
    words: set[str] = set()
    for rule in rules:
        meant = min(_match_any(rule.usernames, username), _match_service(rule.services, service))
        if meant != NO:
            words.add(rule.decide)
        if meant == YES and not (rule.programs or rule.purposes or rule.projects):
            break  # it matches every request, so no later rule decides
    else:
        words.add(ALLOW)
    return tuple(word for word in DECISIONS if word in words)


def match_rule(rule: Rule, policy_input: PolicyInput) -> int:
    """Tell whether a rule matches a request: NO, BARRED, MAYBE or YES."""
    allows = rule.decide == ALLOW
    return min(
        _match_any(rule.usernames, policy_input.username),
        _match_service(rule.services, policy_input.service),
        _match_purpose(rule.purposes, policy_input.purpose),
        _match_program(rule.programs, policy_input, rule.decide),
        _match_project(rule.projects, policy_input.projects, allows=allows),
    )


def _match_any(wanted: tuple[str, ...], given: str) -> int:
    return YES if not wanted or given in wanted else NO


def _match_service(wanted: tuple[str, ...], given: str) -> int:
    if not wanted or given in wanted:
        return YES
    urls = tuple(key for key in wanted if "://" in key)
    if given.startswith(urls):
        return YES
    return MAYBE if "://" in given and any(url.startswith(given) for url in urls) else NO


def _match_purpose(wanted: tuple[str, ...], given: str) -> int:
    return MAYBE if wanted and not given else _match_any(wanted, given)


def _match_program(wanted: tuple[str, ...], policy_input: PolicyInput, decide: str) -> int:
    if not wanted:
        return YES
    known = policy_input.known and bool(policy_input.tool)
    if decide == ALLOW:
        return BARRED if not known else NO if policy_input.tool.isdisjoint(wanted) else YES
    if not (policy_input.tool | policy_input.parents).isdisjoint(wanted):
        return YES
    if not known:
        return YES if decide == DENY else MAYBE
    return NO if policy_input.hints.isdisjoint(map(os.path.basename, wanted)) else MAYBE


def _match_project(wanted: tuple[str, ...], given: frozenset[str], *, allows: bool) -> int:
    if not wanted:
        return YES
    if not given:
        return MAYBE
    return YES if (given.issubset(wanted) if allows else not given.isdisjoint(wanted)) else NO
