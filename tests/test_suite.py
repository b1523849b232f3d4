"""What holds for the tests themselves: what a newcomer might undo without seeing it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

from support import CHECKOUT, TESTS
from support.waiting import PATIENCE

# Such as: @pytest.mark.skipif(os.geteuid() != 0, reason="takes root")
HIDDEN = re.compile(r"skip(?:if)?\([^@]*?gete?uid\(\) != 0")


def test_what_only_root_can_do_is_marked_so_that_ci_has_root_do_it() -> None:
    """A skip of one's own is passed over by `-m root`, and by an ordinary user: nowhere does it run."""
    pages = {path.relative_to(TESTS): path.read_text() for path in TESTS.rglob("test_*.py")}
    assert HIDDEN.search(pages.pop(Path("test_suite.py"))), (
        "nothing is found, so nothing is looked for"
    )
    assert [str(name) for name, text in pages.items() if HIDDEN.search(text)] == []


def test_what_a_test_starts_hears_the_signals_that_the_caller_ignores() -> None:
    """As in a job in the background of a shell, and under `nohup`."""
    follows = "tests/end_to_end/test_cli_log.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=200"]
    done = subprocess.run(
        [*command, "-k", "follow", follows],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * PATIENCE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a shell does it
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def test_tests_of_one_group_run_in_one_process_one_after_the_other(tmp_path: Path) -> None:
    """Else a screen, a bus or a server would be shared by tests that each want it for themselves."""
    page = tmp_path / "test_turns.py"
    page.write_text(
        "import os, pytest\n"
        "@pytest.mark.xdist_group('turns')\n"
        "@pytest.mark.parametrize('number', range(40))\n"
        "def test_turn(number, testrun_uid):\n"
        f"    open({str(tmp_path / 'ran')!r}, 'a').write(os.environ['PYTEST_XDIST_WORKER'] + ' ')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-n", "4", "--dist", "loadgroup"]
    subprocess.run([*command, page], cwd=tmp_path, check=True, capture_output=True)
    ran = (tmp_path / "ran").read_text().split()
    assert (len(ran), len({*ran})) == (40, 1)
