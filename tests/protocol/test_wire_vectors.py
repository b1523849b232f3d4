"""The vectors of docs/PROTOCOL.md: what other implementations can hold themselves to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tokenward_protocol import RemoteError
from tokenward_protocol.frames import PREFIX, find_frame
from tokenward_protocol.packing import pack, unpack

FOLDER = Path(__file__).parents[1] / "vectors"


def vectors(name: str) -> list[Any]:
    found = json.loads((FOLDER / name).read_text(encoding="utf-8"))["vectors"]
    return [pytest.param(vector, id=vector["name"]) for vector in found]


@pytest.mark.parametrize("vector", vectors("wire-frames.json"))
def test_each_frame_means_what_its_vector_says(vector: dict[str, Any]) -> None:
    data = memoryview(bytes.fromhex(vector["bytes"]))
    if "code" in vector:
        with pytest.raises(RemoteError) as caught:
            find_frame(data)
        assert caught.value.code == vector["code"]
        return
    ends = find_frame(data)
    if vector.get("incomplete"):
        assert ends is None
        return
    assert ends is not None
    assert unpack(data[PREFIX : ends[0]]) == vector["header"]
    assert bytes(data[ends[0] : ends[1]]).hex() == vector["body"]
    assert len(data) - ends[1] == vector.get("rest", 0)


@pytest.mark.parametrize("vector", vectors("wire-headers.json"))
def test_each_header_means_what_its_vector_says(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["bytes"])
    if "code" in vector:
        with pytest.raises(RemoteError) as caught:
            unpack(data)
        assert caught.value.code == vector["code"]
        return
    assert unpack(data) == vector["header"]
    if vector["shortest"]:
        assert pack(vector["header"]).hex() == vector["bytes"]
