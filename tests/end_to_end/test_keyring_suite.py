"""keyring's own suite for backends, over a real agent that is not running when each test begins.

Once for the module that is the entry point, once for the one file that tools without tokenward load.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import keyring.backend
import keyring.errors
import pytest
from keyring.testing.backend import BackendBasicTests

from support.home import Home
from tokenward import keyring_backend
from tokenward.keyring_program.standalone import MODULE, module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets"),
    pytest.mark.xdist_group("keyring suite"),
]


@contextmanager
def entered(home: Home) -> Iterator[None]:
    """Let this very process be one that runs in `home`."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(home.environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The module as `auth setup keyring` writes it."""
    path: Path = tmp_path_factory.mktemp("keyring") / f"{MODULE}.py"
    path.write_text(module(sys.executable))
    spec = importlib.util.spec_from_file_location(MODULE, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


class Suite(BackendBasicTests):
    """What both have to pass. The agent is stopped after each test, with what it holds removed."""

    keyring: Any
    copied: ClassVar[bool]

    @pytest.fixture(autouse=True)
    def _init_properties(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        monkeypatch.setattr(keyring.backend, "get_all_keyring", list)  # nobody else answers
        module_of_it = request.getfixturevalue("one_file") if self.copied else keyring_backend
        with Home() as home, entered(home):
            assert home.agent_pid() is None
            self.keyring = module_of_it.Keyring()
            self.credentials_created = set()
            yield
            with entered(home):  # one test puts another environment in this one's place
                self.cleanup()  # type: ignore[no-untyped-call]


class TestTheEntryPoint(Suite):
    copied = False


class TestTheOneFile(Suite):
    copied = True


def test_a_first_set_makes_the_vault_and_the_next_process_finds_it(home: Home) -> None:
    program = "import keyring; keyring.set_password('https://h.example/simple/', 'ann', 'made-up')"
    assert home.run(sys.executable, "-c", program).returncode == 0
    home.done("agent", "stop")
    program = "import keyring; print(keyring.get_credential('https://h.example', None).password)"
    assert home.run(sys.executable, "-c", program).stdout == "made-up\n"
    assert "https://h.example " in home.done("list")


def test_a_locked_vault_stays_locked_for_tools(home: Home) -> None:
    home.log_in("https://h.example", "made-up", username="ann")
    home.done("lock")
    program = "import keyring; print(keyring.get_password('https://h.example', 'ann'))"
    assert home.run(sys.executable, "-c", program).stdout == "None\n"
    program = "import keyring; keyring.set_password('https://h.example', 'ann', 's3cret')"
    failed = home.run(sys.executable, "-c", program)
    assert "PasswordSetError" in failed.stderr
    assert "`auth unlock`" in failed.stderr
    assert "s3cret" not in failed.stderr.replace(program, "")  # a traceback quotes its line


def test_no_passphrase_of_the_environment_opens_a_vault_for_a_tool(
    home: Home, tmp_path: Path
) -> None:
    (tmp_path / "passphrase").write_text("correct horse")
    (tmp_path / "passphrase").chmod(0o600)
    variable = {"TOKENWARD_PASSPHRASE_FILE": str(tmp_path / "passphrase")}
    given = ("login", "https://h.example", "-u", "ann", "--password", "-")
    home.done(*given, stdin="made-up\n", **variable)
    home.done("agent", "stop")
    program = "import keyring; print(keyring.get_password('https://h.example', 'ann'))"
    assert home.run(sys.executable, "-c", program, **variable).stdout == "None\n"
    assert home.done("token", "https://h.example", **variable) == "made-up\n"


def test_many_threads_that_ask_at_once_start_one_agent_and_all_are_answered(home: Home) -> None:
    home.log_in("https://h.example", "made-up", username="ann")
    home.done("agent", "stop")
    program = """
import keyring
from concurrent.futures import ThreadPoolExecutor
keyring.get_keyring()
with ThreadPoolExecutor(100) as threads:
    found = threads.map(lambda _: keyring.get_password("https://h.example", "ann"), range(100))
    print(set(found))
"""
    assert home.run(sys.executable, "-c", program).stdout == "{'made-up'}\n"
