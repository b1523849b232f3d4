"""What people have answered, for as long as it holds, and how often rules have been made use of.

An answer holds for the very process that asked, for a minute, so that a tool which asks for user
name and secret one after the other, or once more after a no, leads to one question. A yes holds
longer where the rule says `remember`: for the same program, credential, purpose and projects. Either
is a yes to what would go out and to nothing else: the whole, a share, or what another login has put
in the place of the credential, is asked about anew. What
runs a text instead of a file (`python -c`), what may be an interpreter that is not in the list, and
what could not be looked at is never the same program. Everything is forgotten by `forget`, and with the
agent.

Times are seconds of a clock that is never set and counts sleep.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tokenward_agent.policy.rule import Rule

ANSWER_SECONDS: Final = 60
"""For how long an answer holds for the process that asked."""

MOST_ANSWERS: Final = 4096
MOST_QUESTIONS: Final = 10
"""Questions a minute, so that nobody is asked until they no longer read."""


class What(NamedTuple):
    """What is asked for: the stored credential's service and user name, what for, which projects.

    `width` is what goes out: of which login, in which form, how wide and for how long.
    """

    service: str
    username: str
    purpose: str
    projects: tuple[str, ...]
    width: tuple[object, ...] = ()


class Who(NamedTuple):
    """Who asks: `process` is one process and no later one, `program` whatever runs the same.

    A process that has become another program is another one. None where that cannot be said.
    """

    process: tuple[int, ...] | None
    program: tuple[str, str] | None


class Answers:
    """The answers and counts of one agent."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[object, What], tuple[bool, int]] = OrderedDict()
        self._questions: deque[int] = deque()
        self._used: dict[Rule, deque[int]] = {}

    def known(self, who: Who, what: What, now: int) -> bool | None:
        """Return the answer that holds, None if somebody has to be asked."""
        for asker in who:
            if asker is not None and (held := self._held.get((asker, what))) is not None:
                answer, until = held
                if now < until:
                    return answer
        return None

    def keep(self, who: Who, what: What, *, yes: bool, remember: int, now: int) -> None:
        """Keep an answer; `remember` is the rule's, in seconds."""
        self._hold(who.process, what, (yes, now + ANSWER_SECONDS))
        if yes and remember:
            self._hold(who.program, what, (yes, now + remember))

    def _hold(self, asker: object, what: What, answer: tuple[bool, int]) -> None:
        if asker is None:
            return
        self._held.pop((asker, what), None)
        self._held[asker, what] = answer
        if len(self._held) > MOST_ANSWERS:
            self._held.popitem(last=False)

    def may_ask(self, now: int) -> bool:
        """Tell whether one more question can be put to a person now, and count it if so."""
        room = _room(self._questions, MOST_QUESTIONS, 60, now)
        if room:
            self._questions.append(now)
        return room

    def may_use(self, rule: Rule, now: int) -> bool:
        """Tell whether a rule's rate lets one more through."""
        return rule.rate is None or _room(self._times(rule), *rule.rate, now)

    def use(self, rule: Rule, now: int) -> None:
        """Count one more that a rule lets through."""
        if rule.rate is not None:
            self._times(rule).append(now)

    def _times(self, rule: Rule) -> deque[int]:
        """Return when a rule was made use of, though it has moved within its file."""
        return self._used.setdefault(rule._replace(line=0), deque())

    def hold(self, now: int) -> bool:
        """Tell whether anything would be decided otherwise if all of this were not known."""
        used = (
            times and rule.rate is not None and times[-1] > now - rule.rate.seconds
            for rule, times in self._used.items()
        )
        return any(now < until for _, until in self._held.values()) or any(used)

    def forget(self) -> None:
        """Forget every answer. What was counted stays: a rate is no matter of opinion."""
        self._held.clear()


def _room(times: deque[int], count: int, seconds: int, now: int) -> bool:
    """Tell whether there is room for one more in a span of so many seconds."""
    while times and times[0] <= now - seconds:
        times.popleft()
    return len(times) < count
