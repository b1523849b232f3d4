"""What a benchmark finds: samples, their middle and their spread, and one line of the table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Row:
    """One figure of `what` beside its target; `measured` is None where it was not taken, `note` why.

    `limit` is the most that `measured` may be, or with `at_least` the least, both in `unit`.
    `aside` has what the figure was made of or is to be seen beside, in `aside_unit`; `spread` is
    the `noise` of what it was compared with.
    """

    what: str
    figure: str
    limit: float
    unit: str
    measured: float | None
    note: str = ""
    at_least: bool = False
    aside: dict[str, float] = field(default_factory=dict)
    aside_unit: str = "ms"
    spread: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None if nothing was measured."""
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {**asdict(self), "met": self.met}


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the sample below which `share` (0 to 1) of all lie."""
    return sorted(samples)[min(int(len(samples) * share), len(samples) - 1)]


def noise(samples: Sequence[float]) -> float:
    """Return how far the slow tenth is from the middle: 1.0 on a machine that does nothing else."""
    return percentile(samples, 0.9) / median(samples)


def interleaved(
    measures: Mapping[str, Callable[[], float]], rounds: int, times: int = 1
) -> dict[str, list[float]]:
    """Take samples, `times` in a row, of each measure in every round, in an order that rotates.

    What the machine does meanwhile then hits all of them alike, so their ratios can be compared.
    Two more rounds before count for nothing.
    """
    names = list(measures)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-2, rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            taken = [measures[name]() for _ in range(times)]
            if turn >= 0:
                samples[name] += taken
    return samples


def milliseconds(samples: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the medians of samples in seconds, as a row has them aside."""
    return {name: median(taken) * 1e3 for name, taken in samples.items()}
