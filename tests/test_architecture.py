"""What may know what. The rules stand in docs/ARCHITECTURE.md; this holds the code to them."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from support.inspection.loaded_modules import HOT, loaded

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "tokenward_protocol": ROOT / "protocol" / "tokenward_protocol",
    "tokenward_os": ROOT / "protocol" / "tokenward_os",
    "tokenward_agent": ROOT / "agent" / "tokenward_agent",
    "tokenward_relay": ROOT / "relay" / "tokenward_relay",
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
        ("tokenward_os", {"tokenward", "tokenward_agent", "tokenward_protocol", "tokenward_relay"}),
        ("tokenward_protocol", {"tokenward", "tokenward_agent", "tokenward_os", "tokenward_relay"}),
        ("tokenward_relay", {"tokenward", "tokenward_agent"}),
        ("tokenward_agent", {"tokenward"}),
        ("tokenward", {"tokenward_agent", "tokenward_relay"}),
    ],
)
def test_a_package_knows_only_what_it_may(package: str, others: set[str]) -> None:
    assert {named(p): imports(p) & others for p in within(package) if imports(p) & others} == {}


# What each room may know, from the top to the ground. `cli` reaches `commands` by name.
ROOMS: dict[str, dict[str, set[str]]] = {
    "tokenward_agent": {
        "requests": {
            *("wire", "relay", "peer", "policy", "prompt", "session", "store", "audit", "vault"),
        },
        "relay": {"wire", "peer", "vault", "worker"},
        "wire": set(),
        "prompt": {"peer", "worker"},
        "peer": set(),
        "session": {"policy"},
        "policy": set(),
        "store": {"vault", "worker", "audit"},
        "audit": {"vault"},
        "vault": set(),
        "worker": set(),
    },
    "tokenward": {
        "__main__": {"cli", "hot", "ending"},
        "cli": {"session", "ui", "errors"},
        "commands": {
            *("checks", "backup", "exec", "helpers", "indexes", "sources", "credentials"),
            *("session", "services", "setup", "audit", "settings", "transport", "recipes"),
            *("files", "keyring_program", "ui", "windows", "shipped", "errors"),
        },
        "recipes": {
            *("credentials", "session", "settings", "transport", "keyring_program", "ui", "errors"),
            "run_here",
        },
        "checks": {
            *("sources", "credentials", "services", "setup", "audit", "settings"),
            *("files", "keyring_program", "ui", "windows", "errors"),
        },
        "__init__": {"credentials"},
        "keyring_relay": {"credentials", "session", "transport", "ui", "errors"},
        "backup": {"credentials", "session", "ui", "errors"},
        "exec": {
            *("credentials", "session", "settings", "transport", "files", "keyring_program", "ui"),
            *("one_file", "errors"),
        },
        "helpers": {
            *("credentials", "session", "settings", "transport", "files"),
            *("keyring_program", "ui", "ending", "errors"),
        },
        "indexes": {"credentials", "session", "settings", "transport", "ui", "errors"},
        "sources": {"credentials", "settings", "files", "keyring_program", "ui", "errors"},
        "credentials": {
            "session",
            "settings",
            "transport",
            "keyring_program",
            "ui",
            "errors",
        },
        "session": {"run_here", "services", "settings", "transport", "ui", "errors"},
        "run_here": {"transport"},
        "services": {"settings", "transport", "files", "errors"},
        "setup": {
            *("settings", "files", "keyring_program", "shipped", "ui", "errors"),
        },
        "shipped": {"errors"},
        "hot": {"keyring_program", "ui"},
        "settings": {"files", "keyring_program", "ui", "errors"},
        "transport": {"files", "windows", "errors"},
        "audit": {"ui", "errors"},
        "keyring_command": {"keyring_program", "ui", "windows", "ending", "errors"},
        "keyring_backend": {"keyring_program"},
        "keyring_program": {"one_file"},
        "one_file": set(),
        "files": {"errors"},
        "ui": {"windows", "errors"},
        "windows": set(),
        "ending": set(),
        "errors": set(),
    },
}


def module(path: Path) -> str:
    """Return the name by which a module is imported."""
    root = next(folder.parent for folder in PACKAGES.values() if path.is_relative_to(folder))
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


NAMES = {module(path): path for path in MODULES}


@cache
def known(path: Path) -> set[str]:
    """Return which of our modules `path` imports: in functions too, and for type checkers alone."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update(name if name in NAMES else node.module for name in names)
    return found & NAMES.keys()


def room(name: str) -> str:
    """Return the room of a module: the folder or the file at the top of its package."""
    return f"{name}.__init__".split(".")[1]


@pytest.mark.parametrize(
    ("package", "inside"), [(package, room) for package, rooms in ROOMS.items() for room in rooms]
)
def test_a_room_knows_only_those_below_it(package: str, inside: str) -> None:
    rooms = ROOMS[package]
    within_room = [path for name, path in NAMES.items() if is_in(name, package, inside)]
    found = {room(name) for path in within_room for name in known(path) if is_in(name, package)}
    assert within_room
    assert found & rooms.keys() <= rooms[inside] | {inside}


def is_in(name: str, package: str, inside: str | None = None) -> bool:
    return name.split(".", maxsplit=1)[0] == package and inside in {None, room(name)}


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_has_its_place_above_all_that_it_knows(package: str) -> None:
    TopologicalSorter(ROOMS[package]).prepare()


def test_every_file_of_the_client_stands_in_a_room_that_has_a_place() -> None:
    assert {room(name) for name in NAMES if is_in(name, "tokenward")} == ROOMS["tokenward"].keys()


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter({name: known(path) for name, path in NAMES.items()}).prepare()


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


def test_the_agent_knows_of_the_relay_what_workers_do_and_what_grants_and_paths_are() -> None:
    found = {name for path in within("tokenward_agent") for name in known(path)}
    assert {name for name in found if name.startswith("tokenward_relay")} <= {
        "tokenward_relay.grants",
        "tokenward_relay.index_jobs",
        "tokenward_relay.main",
        "tokenward_relay.target",
    }


JUDGING = {"refusal", "target", "grants", "head", "form"}
"""The modules of the relay that decide; the others move bytes."""


def test_what_the_relay_decides_it_decides_without_input_or_output() -> None:
    judges = [path for path in within("tokenward_relay") if path.stem in JUDGING]
    assert {path.stem for path in judges} == JUDGING
    assert {named(path): found for path in judges if (found := imports(path) & WORLD)} == {}
    shell = {name for path in judges for name in known(path)} - {
        f"tokenward_relay.{name}" for name in JUDGING
    }
    assert {name for name in shell if name.startswith("tokenward_relay.")} == set()


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


# A class for each system, of which one module picks one; and what two rooms ask of an object that
# may not know each other.
ONE_MEANING = {
    "tokenward_agent": {"SharedAddress"},
    "tokenward": {"Console", "Running", "Spawned"},
    "tokenward_protocol": set[str](),
    "tokenward_os": set[str](),
    "tokenward_relay": set[str](),
}
PARTICIPLES = {
    *("asked", "chosen", "described", "found", "given", "granted", "heard", "held", "judged"),
    *("kept", "known", "left", "lent", "made", "meant", "met", "moved", "named", "opened"),
    *("said", "seen", "sent", "shown", "stored", "taken", "told", "vouched", "wanted", "written"),
}


def docstrings(path: Path) -> str:
    return "\n".join(
        node.value.value
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Expr)
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )


def test_a_docstring_names_modules_and_errors_that_exist() -> None:
    files = {path.name for path in MODULES}
    names = {*dir(builtins)} | {
        getattr(node, "id", getattr(node, "attr", getattr(node, "name", "")))
        for path in MODULES
        for node in ast.walk(tree(path))
    }
    raised = re.compile(r"\b[A-Z]\w+Error\b|(?<=Raise )[A-Z]\w+|(?<=Raises )[A-Z]\w+")
    assert [
        f"{named(path)}: {name}"
        for path in MODULES
        for text in [docstrings(path)]
        for name in {*re.findall(r"\w+\.py\b", text)} - files | {*raised.findall(text)} - names
    ] == []


def test_the_overview_names_modules_that_exist() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    files = {path.with_suffix("") for folder in PACKAGES.values() for path in folder.rglob("*")}
    tails = {"/".join(path.parts[start:]) for path in files for start in range(len(path.parts))}
    found = {name.removesuffix(".py") for name in re.findall(r"`(\w+(?:/\w+)+(?:\.py)?)`", page)}
    tests = {name for name in found if (ROOT / f"{name}.py").exists()}
    assert found - tests - tails == set()


@pytest.mark.parametrize("package", list(PACKAGES))
def test_a_class_name_has_one_meaning_in_a_package(package: str) -> None:
    names = [
        node.name
        for path in within(package)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    ]
    assert {name for name in names if names.count(name) > 1} == ONE_MEANING[package]


def test_a_function_is_named_by_a_noun_or_a_verb() -> None:
    assert [
        f"{named(path)}:{node.lineno}: {node.name}"
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.strip("_") in PARTICIPLES
    ] == []
