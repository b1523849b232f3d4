"""A mistake of ours, whose exception holds a secret: neither the answer nor the log has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support.agents.in_process import Engine
from tokenward_agent.failure import describe_fault
from tokenward_agent.lifecycle import _report_fault

if TYPE_CHECKING:
    from pathlib import Path

    from tokenward_agent.wire.answer import Answer
    from tokenward_agent.wire.request import Request

SECRET = "pypi-marked-secret"


def mistaken(secret: str) -> ValueError:
    """Return a raised exception whose text is a secret."""
    with pytest.raises(ValueError, match="marked") as caught:
        raise ValueError(secret)
    return caught.value


def test_a_mistake_is_told_by_its_kind_and_its_place() -> None:
    told = describe_fault(mistaken(SECRET))
    assert told.startswith("ValueError at test_faults.py:")
    assert SECRET not in told
    assert describe_fault("no exception at all") == "unknown"


@pytest.mark.parametrize("op", ["list", "hello"])
def test_neither_answer_nor_log_tells_what_a_mistake_was_about(
    op: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def slow(_request: Request, body: memoryview) -> Answer:
        raise ValueError(SECRET, bytes(body))

    def quick(_request: Request) -> Answer:
        raise ValueError(SECRET)

    async def main() -> None:
        engine = Engine(tmp_path)
        monkeypatch.setitem(engine.dispatch._slow, "list", slow)
        monkeypatch.setitem(engine.dispatch._quick, "hello", quick)
        header, _ = await engine.ask(op)
        assert header["code"] == "internal"
        assert "ValueError at test_faults.py" in str(header["message"])
        assert "marked" not in str(header)
        assert engine.arena.free_bytes == engine.quiet

    asyncio.run(main())
    _, logged = capfd.readouterr()
    assert logged.startswith("tokenward-agent: Internal error: ValueError at test_faults.py:")
    assert "marked" not in logged


def test_a_mistake_that_no_request_waits_for_is_logged_in_the_same_way(
    capfd: pytest.CaptureFixture[str],
) -> None:
    loop = asyncio.new_event_loop()
    _report_fault(loop, {"message": SECRET, "exception": mistaken(SECRET)})
    loop.close()
    _, logged = capfd.readouterr()
    assert logged.startswith("tokenward-agent: Internal error: ValueError at test_faults.py:")
    assert "marked" not in logged
