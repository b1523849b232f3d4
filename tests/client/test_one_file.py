"""A file that is made of several modules is made quickly: `auth setup` does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenward import one_file

if TYPE_CHECKING:
    import pytest


def test_each_source_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    path_of = one_file._path_of

    def noted(module: str) -> str:
        read.append(module)
        return path_of(module)

    monkeypatch.setattr(one_file, "_path_of", noted)
    assert "class Keyring" in one_file.one_file("tokenward.keyring_backend", "Keyring", "")
    assert len(read) > 1
    assert sorted(read) == sorted(set(read))
