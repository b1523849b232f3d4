"""Every attack of tests/relay/attacks, sent to the core of the relay."""

from __future__ import annotations

from collections import Counter

import pytest

from support.relay.attacks import FOLDER, Attack, fill, judge, load
from support.relay.core import CAPABILITY, OURS, PORT, Core

ATTACKS = load()


@pytest.mark.parametrize(
    "attack",
    [attack for attack in ATTACKS if not attack.needs_a_process],
    ids=lambda attack: f"{attack.name} ({attack.way})",
)
def test_an_attack_comes_to_what_it_should(attack: Attack) -> None:
    core = Core()
    raw, inside = (fill(part, CAPABILITY, PORT) for part in (attack.raw, attack.inside))
    status = core.send(raw, attack.way, attack.to, inside)
    judge(attack, status, core.seen, OURS, CAPABILITY)


def test_each_attack_is_there_once_and_each_file_has_some() -> None:
    names = Counter((attack.name, attack.way) for attack in ATTACKS)
    assert [name for name, count in names.items() if count > 1] == []
    assert len({attack.name for attack in ATTACKS}) > 150
    assert len(list(FOLDER.glob("*.toml"))) == 5


def test_some_attacks_pass_so_that_the_others_prove_something() -> None:
    for way in ("tunnel", "reverse", "connect", "absolute"):
        ends = {attack.expect for attack in ATTACKS if attack.way == way}
        assert "nothing" in ends
        assert ends & {"passes", "rewritten"}
