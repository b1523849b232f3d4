"""A vault that cannot be read is refused and left alone; the generation before may come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.agents.process import Agent, NotDone
from tokenward_agent.vault.errors import RESTORE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tokenward_protocol.packing import Value

FIRST, SECOND = "https://a.example/", "https://b.example/"


@pytest.fixture(autouse=True)
def stored(agent: Agent) -> None:
    """Two credentials, the second of which the generation before lacks."""
    agent.create_vault()
    agent.log_in(FIRST, b"first")
    agent.log_in(SECOND, b"second")


def vault(agent: Agent) -> Path:
    return agent.directory / "disabled.vault"


def kept(agent: Agent) -> list[Path]:
    return sorted(agent.directory.glob("disabled.vault.damaged-*"))


def restore(agent: Agent, *, anyway: bool = False) -> dict[str, Value]:
    return agent.ask("restore", provider="disabled", previous=True, anyway=anyway)


def refused(agent: Agent, op: str, body: bytes = b"", **arguments: str | bool) -> dict[str, Value]:
    with pytest.raises(NotDone) as caught:
        agent.ask(op, body, **arguments)
    assert str(caught.value.header["message"]).endswith(".")
    return caught.value.header


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def cut_in_the_header(data: bytes) -> bytes:
    return data[:40]


def one_bit_in_the_body(data: bytes) -> bytes:
    return data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]


def one_bit_in_the_header(data: bytes) -> bytes:
    at = data.index(b"generation") + len("generation")
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def empty(data: bytes) -> bytes:
    return b""


def zeros(data: bytes) -> bytes:
    """What some file systems leave of a file after a power cut."""
    return bytes(len(data))


def foreign(data: bytes) -> bytes:
    return b"-----BEGIN PGP MESSAGE-----\n" * 20


def of_another_provider(data: bytes) -> bytes:
    return data.replace(b"\xa8disabled", b"\xa7keyring")


def appended(data: bytes) -> bytes:
    return data + b"\n"


DAMAGE = [
    truncated,
    cut_in_the_header,
    one_bit_in_the_body,
    one_bit_in_the_header,
    empty,
    zeros,
    foreign,
    of_another_provider,
    appended,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_vault_is_refused_left_alone_and_its_previous_generation_offered(
    damage: Callable[[bytes], bytes], agent: Agent
) -> None:
    agent.end()
    data = damage(vault(agent).read_bytes())
    vault(agent).write_bytes(data)
    agent.start()
    for said in (
        refused(agent, "fetch", service=FIRST),
        refused(agent, "login", b"new", service=FIRST, username="ana", provider="disabled"),
        refused(agent, "logout", service=FIRST),
        refused(agent, "create", provider="disabled", slot="key-file"),
        refused(agent, "passphrase", b"phrase", action="set"),
    ):
        assert said["code"] == "vault"
        assert str(said["message"]).startswith(f"{vault(agent)} cannot be read: ")
        assert said["hint"] == RESTORE
    assert vault(agent).read_bytes() == data

    answer = restore(agent)
    assert (answer["provider"], answer["generation"], answer["count"]) == ("disabled", 2, 1)
    assert agent.fetch(FIRST) == b"first"
    assert refused(agent, "fetch", service=SECOND)["code"] == "not-found"
    assert [str(path) for path in kept(agent)] == [answer["kept"]]
    assert kept(agent)[0].read_bytes() == data
    assert kept(agent)[0].stat().st_mode & 0o777 == 0o600
    agent.log_in(SECOND, b"again")
    agent.restart()
    assert (agent.fetch(FIRST), agent.fetch(SECOND)) == (b"first", b"again")


def test_a_vault_that_is_gone_while_the_one_before_is_there_is_not_begun_anew(
    agent: Agent,
) -> None:
    agent.end()
    vault(agent).unlink()
    agent.start()
    for said in (
        refused(agent, "create", provider="disabled", slot="key-file"),
        refused(agent, "fetch", service=FIRST),
    ):
        assert "is missing, but its previous generation exists" in str(said["message"])
        assert "`auth restore --previous`" in str(said["hint"])
        assert "to start anew, remove" in str(said["hint"])
    assert restore(agent)["kept"] == ""
    assert agent.fetch(FIRST) == b"first"


def test_a_newer_vault_is_refused_and_not_taken_for_damaged(agent: Agent) -> None:
    agent.end()
    data = vault(agent).read_bytes().replace(b"vault 4\n", b"vault 6\n", 1)
    vault(agent).write_bytes(data)
    agent.start()
    for said in (
        refused(agent, "fetch", service=FIRST),
        refused(agent, "restore", provider="disabled", previous=True),
    ):
        assert "was written by a newer tokenward" in str(said["message"])
        assert "update tokenward" in str(said["hint"])
    assert vault(agent).read_bytes() == data
    assert kept(agent) == []


@pytest.mark.parametrize(
    ("spoil", "mend", "reason"),
    [
        (lambda p: p.chmod(0o644), lambda p: p.chmod(0o600), "open to other users (mode 644)"),
        (
            lambda p: (p.rename(f"{p}.real"), p.symlink_to(f"{p}.real")),
            lambda p: p.with_name(f"{p.name}.real").replace(p),
            "is a symbolic link",
        ),
    ],
    ids=["open to others", "a link"],
)
def test_a_vault_that_must_not_be_read_says_what_mends_it_and_is_read_when_it_is_mended(
    spoil: Callable[[Path], object],
    mend: Callable[[Path], object],
    reason: str,
    agent: Agent,
) -> None:
    agent.end()
    spoil(vault(agent))
    agent.start()
    assert reason in str(refused(agent, "fetch", service=FIRST)["message"])
    assert reason in str(refused(agent, "restore", provider="disabled", previous=True)["message"])
    mend(vault(agent))
    assert agent.fetch(SECOND) == b"second"


def test_a_vault_that_can_be_read_goes_back_only_if_a_person_says_so(agent: Agent) -> None:
    said = refused(agent, "restore", provider="disabled", previous=True)
    assert said["code"] == "refused"
    assert "generation 3" in str(said["message"])
    assert "generation 2" in str(said["message"])
    assert "--yes" in str(said["hint"])
    agent.restart()
    assert restore(agent, anyway=True)["count"] == 1
    assert agent.fetch(FIRST) == b"first"
    assert refused(agent, "fetch", service=SECOND)["code"] == "not-found"


def test_there_is_no_going_back_where_no_generation_was_kept(agent: Agent) -> None:
    agent.ask("logout", service=SECOND)
    for anyway in (False, True):
        said = refused(agent, "restore", provider="disabled", previous=True, anyway=anyway)
        assert said["code"] == "vault"
        assert "No previous generation" in str(said["message"])
    assert agent.fetch(FIRST) == b"first"


def test_a_damaged_previous_generation_is_not_put_anywhere(agent: Agent) -> None:
    agent.end()
    before = vault(agent).with_name("disabled.vault.previous")
    for path in (vault(agent), before):
        path.write_bytes(b"")
    agent.start()
    said = refused(agent, "restore", provider="disabled", previous=True)
    assert str(said["message"]).startswith(f"{before} cannot be read")
    assert said["hint"] == "replace it with a backup"
    assert (vault(agent).read_bytes(), kept(agent)) == (b"", [])


def test_an_open_vault_loses_nothing_when_its_file_is_damaged_and_restored(agent: Agent) -> None:
    vault(agent).write_bytes(b"")
    said = refused(agent, "login", b"new", service=FIRST, username="bob", provider="disabled")
    assert said["hint"] == RESTORE
    assert restore(agent)["count"] == 2
    agent.restart()
    assert (agent.fetch(FIRST), agent.fetch(SECOND)) == (b"first", b"second")


def test_what_was_logged_out_comes_back_neither_from_previous_nor_from_a_damaged_file(
    agent: Agent,
) -> None:
    agent.end()
    vault(agent).write_bytes(one_bit_in_the_header(vault(agent).read_bytes()))
    agent.start()
    restore(agent)
    assert len(kept(agent)) == 1
    agent.log_in(SECOND, b"again")
    assert len(kept(agent)) == 1  # it may be wanted until something is taken away
    agent.ask("logout", service=FIRST)
    assert sorted(path.name for path in agent.directory.iterdir()) == [
        "agent.lock",
        "disabled.vault",
        "disabled.vault.lock",
    ]
    refused(agent, "restore", provider="disabled", previous=True, anyway=True)


def test_an_old_passphrase_comes_back_from_nowhere(agent: Agent) -> None:
    agent.ask("passphrase", b"phrase", action="set")
    refused(agent, "restore", provider="disabled", previous=True, anyway=True)
    assert not vault(agent).with_name("disabled.vault.previous").exists()


def test_a_vault_that_a_passphrase_opens_is_restored_closed(agent: Agent) -> None:
    agent.ask("passphrase", b"phrase", action="set")
    agent.log_in(FIRST, b"newer")
    agent.log_in("https://c.example/", b"third")
    agent.end()
    data = vault(agent).read_bytes()
    vault(agent).write_bytes(one_bit_in_the_body(data))
    agent.start()
    said = refused(agent, "unlock", b"phrase")
    assert said["hint"] == RESTORE
    answer = restore(agent)
    assert answer["count"] is None
    agent.ask("unlock", b"phrase")
    assert agent.fetch(FIRST) == b"newer"


def test_a_restore_that_died_half_way_is_completed_by_the_next(agent: Agent) -> None:
    agent.end()
    vault(agent).rename(f"{vault(agent)}.damaged-2026-01-31T12-00-00Z")
    agent.start()
    assert restore(agent)["count"] == 1
    assert agent.fetch(FIRST) == b"first"
