"""No copy of a token, of its macaroon or of any signature is left behind where children are made.

As test_no_copies.py has it, for the one place where the agent computes with a secret. Looked for
are the parent's letters, its bytes, its identifier and its signature; the same of every child; and
the signature between the two caveats of a child, which would open it up again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.process import Agent, NotDone
from support.inspection.process_memory import BEFORE, copies, dumped_copies, slices
from support.macaroons import caveats_of, raw_of, token_of
from support.systems.other_users import other_users

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = other_users

SIGNING = """
import os
from tokenward_agent.vault.sealing import mac_into
held = memoryview(bytearray(32))
for number in range(20):
    os.readv(0, [held])
    mac_into(held, b"a caveat", held)
held[:] = bytes(32)
os.write(1, b"ready")
os.read(0, 1)
"""
PYPI, DEVPI = "https://upload.pypi.org/legacy/", "https://devpi.example/root/dev/"


@pytest.fixture(params=BEFORE)
def signing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agent]:
    """An agent that can make children, with an arena of each kind."""
    with Agent(tmp_path, None, BEFORE[request.param]) as found:
        if found.ask("status")["protections"]["memory"] != request.param:  # type: ignore[index, call-overload]
            pytest.skip(f"this system does not grant {request.param}")
        found.create_vault()
        yield found


def needles(token: str, signed: list[bytes]) -> list[bytes]:
    """Return parts of a token that are nothing else: of its letters, its bytes, its signatures."""
    raw = raw_of(token)
    signature = raw[-32:]
    found = [*slices(token.encode()), signature[:16], signature[16:]]
    for caveat in signed:
        signature = hmac.digest(signature, caveat, hashlib.sha256)
        found += [signature[:16], signature[16:]]
    return found


def test_no_signature_is_left_by_a_process_that_made_some_and_nothing_else() -> None:
    """Not even the first, for which the libraries still had to be bound."""
    keys = [secrets.token_bytes(32) for _ in range(20)]
    signatures = [hmac.digest(key, b"a caveat", hashlib.sha256) for key in keys]
    with subprocess.Popen(
        [sys.executable, "-I", "-c", SIGNING], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"".join(keys))
        process.stdin.flush()
        assert process.stdout.read(5) == b"ready"
        halves = [each[at : at + 16] for each in keys + signatures for at in (0, 16)]
        found = copies(process.pid, halves)
        process.kill()
    assert found == 0


@pytest.mark.parametrize("dialect", ["pypi", "devpi"])
def test_nothing_of_a_token_is_left_after_children_were_made_of_it(
    signing: Agent, dialect: str, tmp_path: Path
) -> None:
    identifier = secrets.token_hex(18)
    if dialect == "pypi":
        service, parent = PYPI, token_of("pypi.org", identifier, f'[3,"{secrets.token_hex(18)}"]')
    else:
        service, parent = DEVPI, token_of("", identifier, "allowed=upload", prefix="devpi-")
    signing.ask("login", parent.encode(), service=service, username="__token__")
    looked_for = [identifier.encode()[:18], identifier.encode()[18:]]
    for number in range(20):
        arguments: dict[str, Any] = {"service": service, "ttl": 60 + number}
        project = f"project-{number}"
        if number % 2:
            arguments["projects"] = project
        header, body = signing.ask_whole("fetch", **arguments)
        assert header["narrowed"] is True
        assert caveats_of(body.decode())
        end = header["expires"]
        signed = [f"[0,{end},0]" if dialect == "pypi" else f"expires={end}"]
        if number % 2:
            signed.append(
                json.dumps([1, [project]], separators=(",", ":"))
                if dialect == "pypi"
                else f"projects={project}"
            )
        between = needles(parent, [caveat.encode() for caveat in signed])
        assert between[-1] == raw_of(body.decode())[-16:], "these are not the signatures in between"
        looked_for += between + slices(body)
    looked_for = [*dict.fromkeys(looked_for)]
    signing.ask("describe", service=service)
    signing.ask("list")
    again = signing.ask_whole("fetch", service=service, projects="one")[1]
    assert signing.ask("login", again, service=service, username="__token__")["kept"] is True
    looked_for += slices(again)
    wishes: list[dict[str, Any]] = [{"projects": "-"}, {"ttl": 1}, {"whole": True, "ttl": 60}]
    for wrong in wishes:
        with pytest.raises(NotDone):
            signing.ask("fetch", service=service, **wrong)
    assert signing.fetch(service) != parent.encode()
    assert copies(signing.pid, looked_for) == 0
    assert dumped_copies(signing.pid, looked_for, tmp_path) in {0, None}
    assert signing.ask_whole("fetch", service=service, whole=True)[1] == parent.encode()
    assert copies(signing.pid, looked_for) == 0


def test_nothing_of_a_token_is_left_where_one_cannot_be_narrowed(signing: Agent) -> None:
    looked_for: list[bytes] = []
    for caveat in ('[1,["other"]]', "[0,99999999999,99999999998]"):
        parent = token_of("pypi.org", secrets.token_hex(18), caveat)
        signing.ask("login", parent.encode(), service=PYPI, username="__token__")
        with pytest.raises(NotDone) as caught:
            signing.ask("fetch", service=PYPI, projects="one")
        assert caught.value.code == "refused"
        looked_for += needles(parent, [])
    over = token_of("pypi.org", secrets.token_hex(18), "[0,1,0]")
    cut = token_of("pypi.org", secrets.token_hex(18))[:-6]
    for wrong in (over, cut, f'"{over}"', f"testpypi-{cut}"):  # what is not even stored
        with pytest.raises(NotDone) as caught:
            signing.ask("login", wrong.encode(), service=PYPI, username="__token__")
        assert caught.value.code == "refused"
    looked_for += needles(over, [])
    assert signing.ask_whole("fetch", service=PYPI, whole=True)[1] == parent.encode()
    elsewhere = "https://index.example/"
    signing.ask("login", cut.encode(), service=elsewhere, username="__token__")
    assert signing.fetch(elsewhere) == cut.encode()
    looked_for += slices(cut.encode()) + slices(raw_of(cut + "A" * (-len(cut[5:]) % 4)))[:1]
    assert copies(signing.pid, looked_for) == 0
