"""The verifier: whether the log is what the agents wrote, by what the vaults know of it.

In every chain that a vault vouches for it finds a line that was changed, moved, inserted or
removed, and a file that was, up to the last line that something vouches for: a vault, this agent,
or the first line of a later agent. Later lines are signed too, so they cannot be changed; they
could be cut off unnoticed, and so their number is reported. Lines of chains that no vault knows (no
vault was open while that agent lived) prove nothing and are counted as well. Pure except for the
keys, which it uses up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tokenward_agent.audit.chain import Keys
from tokenward_agent.audit.lines import Line, read_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAMED: Final = 20  # findings that are shown one by one; the rest is counted
KEYS_SIZE: Final = 96  # bytes for the keys of one chain during verification: three of 32
STEPS: Final = 100_000
"""Keys of one chain that are derived at most beyond those of its lines: half a second."""


class AnchoredChain(NamedTuple):
    """What vaults know of a chain, up to its line of number `lines`, which is in `file`.

    The known key is the one after the first `first` lines. `keys` is `KEYS_SIZE` writable bytes:
    that key, which is used up, and room for two more.
    """

    first: int
    keys: memoryview
    lines: int
    file: int


class VerificationReport:
    """The findings. `problems` are sentences, in the order of the log.

    `lines` exist; `anchored` of them are signed and vouched for; `unanchored` could be cut off
    unnoticed or belong to a chain that no vault knows; `lost` could not be written at the time. The
    lines go back to `since`, the time of the first; `gone` counts the earlier ones that are known
    of.
    """

    lines = anchored = unanchored = lost = gone = 0
    since: str | None = None

    def __init__(self) -> None:
        self.problems: list[str] = []


def verify(
    files: Iterable[tuple[int, bytes]], known: Mapping[str, AnchoredChain]
) -> VerificationReport:
    """Return the findings in the files, given as number and content, in order."""
    return _Verification(files, known).report


class _Verification:
    def __init__(
        self, files: Iterable[tuple[int, bytes]], known: Mapping[str, AnchoredChain]
    ) -> None:
        self.report = VerificationReport()
        self._known = known
        self._places: list[tuple[int, int]] = []  # pairs of lines with no stranger between
        self._lines: list[Line] = []
        self._fragments: list[tuple[int, int, int]] = []  # lines before it, file, number
        self._good: dict[tuple[str, int], Line] = {}
        for number, data in files:
            for at, text in enumerate(data.split(b"\n"), 1):
                line = read_line(text, number, at)
                if line is not None:
                    self._lines.append(line)
                elif text:
                    self._fragments.append((len(self._lines), number, at))
        self.report.lines = len(self._lines)
        self._find_reach()
        by_chain: dict[str, list[Line]] = {name: [] for name in known}
        for line in self._lines:
            by_chain.setdefault(line.chain, []).append(line)
        for name, lines in by_chain.items():
            if name in known:
                self._check_signatures(known[name], lines)
        # Only a signature that was checked makes a claim count: not the lines before a known key.
        self._signed = [line for line in self._good.values() if line.n > known[line.chain].first]
        # Files below this number were removed by an agent, so their lines are not missing.
        self._kept = max(map(self._claimed_removal, self._signed), default=0)
        pinned = self._reached_lines()
        for name, lines in by_chain.items():
            if name in known:
                self._check_complete(
                    name, known[name], lines, max(known[name].lines, pinned.get(name, 0))
                )
            else:
                self.report.unanchored += len(lines)
        self._check_unknown_chains()
        self._check_broken_lines()

    def _find_reach(self) -> None:
        """Determine how far back the lines go: each has a number, and full files are removed."""
        if self._lines:
            since = self._lines[0].values.get("time")
            self.report.since = since if isinstance(since, str) else None
        first: dict[str, int] = {}
        for line in self._lines:
            first[line.chain] = min(line.n, first.get(line.chain, line.n))
        # Of a chain without any line left, the vaults still know how many lines it had.
        whole = (known.lines for name, known in self._known.items() if name not in first)
        self.report.gone = sum(whole) + sum(n - 1 for n in first.values())

    def _add_problem(self, sentence: str) -> None:
        self.report.problems.append(sentence)

    def _check_signatures(self, known: AnchoredChain, lines: list[Line]) -> None:
        """Collect the lines of a chain that have a valid signature and are in order."""
        keys = Keys(known.keys, known.first, STEPS + known.lines + len(lines))
        before = 0
        for line in lines:
            if line.n <= before:
                self._add_problem(f"{_position_text(line)} is not where it was written.")
            elif line.n <= known.first:  # its key is in a closed vault: not checked
                self._good[line.chain, line.n], before = line, line.n
            elif keys.is_signed(line):
                self._good[line.chain, line.n], before = line, line.n
                self.report.lost += _number(line.values, "lost")
            else:
                self._add_problem(f"{_position_text(line)} was changed.")

    def _claimed_removal(self, line: Line) -> int:
        """Return the number below which files were removed, by this line; 0 if it is doubtful.

        An agent takes the highest number that it finds at its start, which an attacker may have
        planted. So its word on the files below counts only if the agent went on behind a line that
        exists, or that was in one of those files.
        """
        kept = _number(_first_line_values(line), "kept")
        first = self._good.get((line.chain, 1))
        if not kept or first is None or first.file == 1:
            return kept
        after = _predecessor(first)
        if after is None:
            return 0
        file, name, n, mac = after
        there = self._good.get((name, n))
        return kept if file < kept or (there is not None and there.mac.hex() == mac) else 0

    def _reached_lines(self) -> dict[str, int]:
        """Return, for each chain, the last line that a later agent's first line vouches for."""
        pinned: dict[str, int] = {}
        place = {line[:2]: at for at, line in enumerate(self._lines)}
        for line in self._signed:
            after = _predecessor(line)
            if after is None or after[1] not in self._known:
                continue
            file, name, n, mac = after
            there = self._good.get((name, n))
            if there is not None and there.mac.hex() == mac and (there.file, there.at) < line[:2]:
                pinned[name] = max(n, pinned.get(name, 0))
                # The later agent saw this line as the last one: nothing belongs between the two.
                self._places.append((place[there[:2]], place[line[:2]]))
            elif file >= self._kept and there is None:
                self._add_problem(
                    f"The lines before {_position_text(line, capital=False)} are missing."
                )
        return pinned

    def _check_complete(
        self, name: str, known: AnchoredChain, lines: list[Line], vouched: int
    ) -> None:
        """Find the missing lines of a chain, and count."""
        good = sorted(n for chain, n in self._good if chain == name)
        if not good and known.lines and known.file >= self._kept and not lines:
            self._add_problem(f"All {known.lines} lines of the agent {name} are missing.")
        expected = 1
        for n in good:
            line = self._good[name, n]
            entry = _first_line_values(line)
            # The chain's oldest line may begin late: its earlier files were removed as too old.
            dropped = n > 1 and expected == 1 and _number(entry, "before", self._kept) < self._kept
            here = [each for each in lines if expected <= each.n < n]  # already reported as changed
            if n > expected and not dropped and not here:
                self._add_problem(
                    f"{_span_text(expected, n - 1)} missing before {_position_text(line, capital=False)}."
                )
            if entry and entry.get("number") != line.file:
                self._add_problem(f"{_position_text(line)} was written into another file.")
            expected = n + 1
        last = good[-1] if good else 0
        if good and last < known.lines and not any(last < each.n for each in lines):
            where = _position_text(self._good[name, last], capital=False)
            self._add_problem(f"{_span_text(last + 1, known.lines)} missing behind {where}.")
        signed = [n for n in good if n > known.first]
        self.report.anchored += sum(n <= vouched for n in signed)
        self.report.unanchored += len(good) - sum(n <= vouched for n in signed)

    def _check_unknown_chains(self) -> None:
        """Find lines of unknown chains among those of a known one: they were inserted."""
        ends: dict[str, tuple[int, int]] = {}
        for place, line in enumerate(self._lines):
            if (line.chain, line.n) in self._good:
                ends[line.chain] = (ends.get(line.chain, (place, 0))[0], place)
        self._places += ends.values()
        for place, line in enumerate(self._lines):
            if line.chain not in self._known and any(a < place < b for a, b in self._places):
                self._add_problem(f"{_position_text(line)} was inserted.")

    def _check_broken_lines(self) -> None:
        """Tell broken lines that an agent reported, or that end the log, from others."""
        for place, file, at in self._fragments:
            behind = self._lines[place] if place < len(self._lines) else None
            if behind is None or behind.chain not in self._known:
                self.report.unanchored += 1
            elif not (behind.values.get("torn") and (behind.chain, behind.n) in self._good):
                self._add_problem(f"Line {at} of {file:08}.jsonl is not a line of the log.")


def _first_line_values(line: Line) -> dict[str, object]:
    """Return what an agent's first line in a file says about the file, {} for other lines."""
    entry = line.values.get("file")
    return entry if isinstance(entry, dict) else {}


def _predecessor(line: Line) -> tuple[int, str, int, str] | None:
    """Return file, chain, number and MAC of the line before, as a first line in a file has it."""
    match _first_line_values(line).get("after"):
        case [int(file), str(name), int(n), str(mac)]:
            return file, name, n, mac
    return None


def _number(values: Mapping[str, object], name: str, otherwise: int = 0) -> int:
    value = values.get(name)
    return value if isinstance(value, int) else otherwise


def _position_text(line: Line, *, capital: bool = True) -> str:
    return f"{'Line' if capital else 'line'} {line.at} of {line.file:08}.jsonl"


def _span_text(first: int, last: int) -> str:
    return "A line is" if first == last else f"{last - first + 1} lines are"
