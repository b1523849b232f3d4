"""What may know what. The rules stand in docs/ARCHITECTURE.md; this holds the code to them."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

from support.inspection.loaded_modules import HOT, loaded

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "tokenward_protocol": ROOT / "protocol" / "tokenward_protocol",
    "tokenward_os": ROOT / "protocol" / "tokenward_os",
    "tokenward_agent": ROOT / "agent" / "tokenward_agent",
    "tokenward": ROOT / "client" / "tokenward",
}
MODULES = sorted(path for folder in PACKAGES.values() for path in folder.rglob("*.py"))

WORLD = {
    *("asyncio", "ctypes", "fcntl", "getpass", "glob", "http", "io", "logging", "mmap"),
    *("multiprocessing", "os", "pathlib", "platform", "pwd", "random", "resource", "secrets"),
    *("select", "selectors", "shutil", "signal", "socket", "_socket", "ssl", "subprocess", "sys"),
    *("tempfile", "threading", "time", "datetime", "urllib"),
}
NETWORK = {"ssl", "http", "urllib", "urllib3", "requests", "httpx", "aiohttp", "smtplib", "ftplib"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> set[str]:
    """Return the top-level names that `path` imports anywhere, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found


def within(package: str) -> list[Path]:
    return [path for path in MODULES if path.is_relative_to(PACKAGES[package])]


@pytest.mark.parametrize(
    ("package", "others"),
    [
        ("tokenward_os", {"tokenward", "tokenward_agent", "tokenward_protocol"}),
        ("tokenward_protocol", {"tokenward", "tokenward_agent", "tokenward_os"}),
        ("tokenward_agent", {"tokenward"}),
        ("tokenward", {"tokenward_agent"}),
    ],
)
def test_a_package_knows_only_what_it_may(package: str, others: set[str]) -> None:
    assert {named(p): imports(p) & others for p in within(package) if imports(p) & others} == {}


@pytest.mark.parametrize(
    ("room", "below"),
    [
        ("wire", set()),
        ("requests", {"wire", "store", "vault", "asking", "policy", "consent", "session", "audit"}),
        ("asking", set()),
        ("policy", set()),
        ("consent", {"asking", "worker"}),
        ("session", {"policy"}),
        ("store", {"vault", "worker", "audit"}),
        ("audit", {"vault"}),
        ("vault", set()),
        ("worker", set()),
    ],
)
def test_a_room_of_the_agent_knows_only_those_below_it(room: str, below: set[str]) -> None:
    rooms = {
        *("wire", "requests", "asking", "policy", "consent", "session"),
        *("store", "audit", "vault", "worker"),
    }
    known = {
        node.module.split(".")[1]
        for path in (PACKAGES["tokenward_agent"] / room).rglob("*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tokenward_agent.")
        if node.module is not None
    }
    assert known & rooms <= below | {room}


def test_the_protocol_does_no_input_or_output() -> None:
    assert {
        named(p): imports(p) & WORLD for p in within("tokenward_protocol") if imports(p) & WORLD
    } == {}
    called = {
        node.func.id
        for path in within("tokenward_protocol")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called & {"open", "print", "input", "exec", "eval"} == set()


def test_the_protocol_needs_nothing_installed_but_idna() -> None:
    known = sys.stdlib_module_names | {"idna", "tokenward_protocol"}
    assert {
        named(p): imports(p) - known for p in within("tokenward_protocol") if imports(p) - known
    } == {}


def test_nothing_in_the_agent_can_open_a_network_connection_of_its_own() -> None:
    assert {
        named(p): imports(p) & NETWORK for p in within("tokenward_agent") if imports(p) & NETWORK
    } == {}


def test_only_the_agents_workers_know_the_keyring_library() -> None:
    users = [path for path in within("tokenward_agent") if "keyring" in imports(path)]
    assert [path for path in users if path.parent.name != "worker"] == []


def test_every_module_begins_by_saying_what_it_is_for() -> None:
    assert [named(path) for path in MODULES if not ast.get_docstring(tree(path))] == []


def test_the_hot_path_loads_only_what_is_listed() -> None:
    assert loaded("import tokenward.hot") - loaded("pass") - HOT == set()
