"""The one function that decides in which form a credential leaves, over everything that can be asked."""

from __future__ import annotations

from functools import partial
from itertools import product

import pytest

from tokenward_agent.requests.forms import CHILD, RELAY, WHOLE, WORKER, form_of

ASKED = [
    {"whole": whole, "limited": limited, "narrow": narrow}
    for whole, limited, narrow in product([True, False], repeat=3)
    if not (whole and limited)  # refused when it is read
]
"""Whatever a request and the policy may ask for."""


def leaves(*, sealed: bool, attenuable: bool, itself: str) -> set[str | None]:
    """Return the forms in which such a credential may leave, whatever is asked for."""
    return {
        form_of(sealed=sealed, attenuable=attenuable, itself=itself, **asked) for asked in ASKED
    }


@pytest.mark.parametrize("itself", [WHOLE, RELAY])
def test_a_sealed_token_leaves_attenuated_or_not_at_all(itself: str) -> None:
    assert leaves(sealed=True, attenuable=True, itself=itself) == {CHILD, None}


def test_any_other_sealed_credential_leaves_through_a_relay_or_not_at_all() -> None:
    assert leaves(sealed=True, attenuable=False, itself=WHOLE) == {None}
    assert leaves(sealed=True, attenuable=False, itself=RELAY) == {RELAY, None}


def test_what_is_not_sealed_leaves_as_it_is_asked_for() -> None:
    for attenuable, itself in product([True, False], [WHOLE, RELAY]):
        form = partial(form_of, sealed=False, attenuable=attenuable, itself=itself)
        assert form(whole=True, limited=False, narrow=True) == itself
        assert form(whole=False, limited=False, narrow=False) == itself
        narrower = CHILD if attenuable else itself
        assert form(whole=False, limited=False, narrow=True) == narrower
        limited = CHILD if attenuable else None  # less was asked for: it is not answered with more
        assert form(whole=False, limited=True, narrow=True) == limited


def test_no_tool_gets_what_is_for_a_relay_and_no_relay_what_is_for_a_tool() -> None:
    for sealed, attenuable in product([True, False], repeat=2):
        assert RELAY not in leaves(sealed=sealed, attenuable=attenuable, itself=WHOLE)
        assert WHOLE not in leaves(sealed=sealed, attenuable=attenuable, itself=RELAY)


def test_a_worker_gets_what_it_asks_the_index_about() -> None:
    for sealed, attenuable in product([True, False], repeat=2):
        assert leaves(sealed=sealed, attenuable=attenuable, itself=WORKER) == {WORKER}
