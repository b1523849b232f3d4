"""Each check of `auth doctor` finds what is really broken, and says nothing of what is not."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tokenward.checks import agent, machine, tools
from tokenward.sources.found import KnownIndex, KnownIndexes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tokenward.checks import Finding

UID = os.geteuid()
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def states(found: Iterable[Finding]) -> list[str]:
    return [one.state for one in found]


def run_hint(finding: Finding) -> None:
    """Do what the hint says: the first command in backquotes."""
    command = finding.hint.split("`")[1]
    subprocess.run(shlex.split(command), check=True)


# Files.


def private(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    (folder / "a vault").touch(mode=0o600)
    return folder


def test_a_private_directory_is_one_finding(tmp_path: Path) -> None:
    (found,) = machine.check_directory("credentials", str(private(tmp_path / "c")), UID)
    assert found.state == "ok"
    assert "the 1 file in it" in found.message


def test_a_directory_that_is_not_there_is_no_problem(tmp_path: Path) -> None:
    assert states(machine.check_directory("credentials", str(tmp_path / "none"), UID)) == ["ok"]


@pytest.mark.parametrize("name", [".", "a vault"])
def test_what_is_open_to_others_is_mended_by_the_command_that_is_named(
    name: str, tmp_path: Path
) -> None:
    folder = private(tmp_path / "my credentials")
    (folder / name).chmod(0o755)
    (found,) = machine.check_directory("credentials", str(folder), UID)
    assert found.state == "problem"
    assert "mode 755" in found.message
    run_hint(found)
    assert states(machine.check_directory("credentials", str(folder), UID)) == ["ok"]


@pytest.mark.root("gives files away")
@pytest.mark.parametrize("name", [".", "a vault"])
def test_what_belongs_to_somebody_else_is_a_problem(name: str, tmp_path: Path) -> None:
    folder = private(tmp_path / "c")
    os.chown(folder / name, 12345, 12345)
    (found,) = machine.check_directory("credentials", str(folder), UID)
    assert found.state == "problem"
    assert "number 12345" in found.message
    assert "chown" not in found.hint  # which would make a planted one ours
    assert ".theirs`" in found.hint


def test_a_link_or_a_file_in_the_directorys_place_is_a_problem(tmp_path: Path) -> None:
    target = private(tmp_path / "c")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        assert states(machine.check_directory("state", str(tmp_path / name), UID)) == ["problem"]
    (target / "linked").symlink_to("/etc/passwd")
    assert states(machine.check_directory("state", str(target), UID)) == ["problem"]


def test_temporary_files_count_once_they_are_old(tmp_path: Path) -> None:
    folder = private(tmp_path / "c")
    left = folder / ".disabled.vault.1234.tmp"
    left.touch(mode=0o600)
    written = left.stat().st_mtime
    assert machine.check_leftovers([str(folder)], written + 10).state == "ok"
    found = machine.check_leftovers([str(folder), str(tmp_path / "none")], written + 4000)
    assert found.state == "warning"
    run_hint(found)
    assert machine.check_leftovers([str(folder)], written + 4000).state == "ok"


# The process.

SLEEPER = "import sys; print('ready', flush=True); sys.stdin.read()"


@LINUX
def test_a_process_that_can_be_read_is_a_problem() -> None:
    with subprocess.Popen(
        [sys.executable, "-I", "-c", SLEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as open_:
        assert open_.stdout is not None
        assert open_.stdout.readline() == b"ready\n"
        (found,) = agent.check_closed(open_.pid, uid=1)  # whatever our own number is
        open_.kill()
    assert found.state == "problem"
    assert "mem, environ, maps, fd" in found.message


@LINUX
def test_a_process_that_is_not_here_proves_nothing() -> None:
    (found,) = agent.check_closed(2**22 + 1, uid=1)
    assert found.state == "warning"


@LINUX
def test_to_root_nothing_is_promised() -> None:
    (found,) = agent.check_closed(os.getpid(), uid=0)
    assert found.state == "warning"


@LINUX
def test_a_core_limit_is_read_from_the_process() -> None:
    for limit, state in ((0, "ok"), (4096, "problem")):
        command = ["/bin/sh", "-c", f"ulimit -S -c 0; ulimit -H -c {limit // 512}; cat"]
        with subprocess.Popen(
            [*command[:2], f"{command[2]} /proc/self/limits"], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            (found,) = agent.check_limits(child.stdout.read())
        assert found.state == state


def test_memory_that_is_not_locked_is_told_with_the_limit() -> None:
    limits = "Max locked memory         65536                65536                bytes     \n"
    found = agent.check_memory(
        "unlocked: Cannot allocate memory for 4096 KiB (see `ulimit -l`)", limits
    )
    assert found.state == "warning"
    assert "lock limit 65536" in found.message
    assert agent.check_memory("mlock", limits).state == "ok"
    assert agent.check_memory("memfd_secret", "").state == "ok"


def test_a_protection_that_the_system_refuses_is_named() -> None:
    told = {
        "memory": "mlock",
        "core limit 0": "in force",
        "no writable and executable memory": "refused: Invalid argument",
    }
    (found,) = agent.check_protections(told)
    assert found.state == "warning"
    assert "no writable and executable memory (Invalid argument)" in found.message
    assert "kernel" in found.hint
    (found,) = agent.check_protections(
        {"remote debugging off": "refused: Python was started without it"}
    )
    assert found.hint == "`auth agent restart`"


# The machine.

SWAPS = "Filename Type Size Used Priority\n"


@pytest.mark.parametrize(
    ("lines", "encrypted", "state"),
    [
        ("", False, "ok"),
        ("/dev/zram0 partition 1 0 100\n", False, "ok"),
        ("/dev/dm-1 partition 1 0 -2\n", True, "ok"),
        ("/dev/sda2 partition 1 0 -2\n", False, "warning"),
        ("/dev/zram0 partition 1 0 100\n/swapfile file 1 0 -2\n", False, "warning"),
    ],
)
def test_swap_is_judged_by_where_it_goes(lines: str, *, encrypted: bool, state: str) -> None:
    assert machine.swap(SWAPS + lines, lambda _: encrypted).state == state


def test_an_encrypted_device_is_known_by_what_the_kernel_says(tmp_path: Path) -> None:
    for name, uuid in (("dm-0", "CRYPT-PLAIN-swap\n"), ("dm-1", "LVM-abc\n")):
        (tmp_path / "class/block" / name / "dm").mkdir(parents=True)
        (tmp_path / "class/block" / name / "dm/uuid").write_text(uuid)
    known = [machine.is_encrypted(f"/dev/{name}", str(tmp_path)) for name in ("dm-0", "dm-1", "x")]
    assert known == [True, False, False]


def test_only_lines_of_code_in_a_pth_file_are_slow(tmp_path: Path) -> None:
    (tmp_path / "plain.pth").write_text("/some/where\n# import this\n")
    assert machine.slow_start(dict(machine.pth_files([str(tmp_path)]))).state == "ok"
    (tmp_path / "slow.pth").write_text("/some/where\nimport os; os.getpid()\n")
    found = machine.slow_start(dict(machine.pth_files([str(tmp_path), "/nonexistent"])))
    assert found.state == "warning"
    assert "slow.pth" in found.message
    assert "plain.pth" not in found.message


def test_an_old_console_script_is_found_by_its_import() -> None:
    old = "#!/usr/bin/python3\nimport re\nimport sys\nfrom tokenward.__main__ import main\n"
    assert states(machine.wrapper("/x/auth", old)) == ["warning"]
    assert states(machine.wrapper("/x/auth", old.replace("import re\n", ""))) == []


# Plain text.

SECRET = "pypi-marked"


def in_plain_text(home: Path, **environ: str) -> list[Finding]:
    """Return what was found, in which no secret may stand."""
    known = KnownIndexes([KnownIndex("https://index.example/simple/")])
    found = list(tools.plaintext_findings(environ, str(home), known))
    assert SECRET not in repr(found)
    return found


def test_without_such_files_all_is_well(tmp_path: Path) -> None:
    assert states(in_plain_text(tmp_path)) == ["ok"]


@pytest.mark.parametrize(("mode", "state"), [(0o600, "warning"), (0o644, "problem")])
@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        (".pypirc", f"[pypi]\nusername = __token__\npassword = {SECRET}\n", "[pypi]"),
        (
            ".local/share/uv/credentials/credentials.toml",
            f'[[credential]]\nservice = "https://u:{SECRET}@index.example/"\npassword = "{SECRET}"\n',
            "https://index.example/",
        ),
        (".netrc", f"machine index.example login ana password {SECRET}\n", "machine index.example"),
        (
            ".config/pypoetry/auth.toml",
            f'[pypi-token]\npypi = "{SECRET}"\n',
            "pypi-token.pypi",
        ),
        (
            ".config/pip/pip.conf",
            f"[global]\nindex-url = https://u:{SECRET}@index.example/simple\n",
            "[global] index-url https://index.example/simple",
        ),
    ],
)
def test_a_secret_in_plain_text_is_named_by_its_place(
    mode: int, state: str, name: str, text: str, shown: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    (found,) = in_plain_text(tmp_path)
    assert found.state == state
    assert f"{path} holds the secret of {shown} " in found.message
    assert "`auth import " in found.hint
    if state == "problem":
        run_hint(found)
        assert states(in_plain_text(tmp_path)) == ["warning"]


def test_what_concerns_no_index_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(f"machine mail.example login ana password {SECRET}\n")
    (tmp_path / ".pypirc").write_text("[pypi]\nusername = __token__\n")
    assert states(in_plain_text(tmp_path)) == ["ok"]


def test_variables_say_where_the_files_are(tmp_path: Path) -> None:
    (tmp_path / "n").write_text(f"machine index.example login ana password {SECRET}\n")
    (tmp_path / "credentials.toml").write_text(
        '[[credential]]\nservice = "index.example"\npassword = "x"\n'
    )
    found = in_plain_text(tmp_path, NETRC=f"{tmp_path}/n", UV_CREDENTIALS_DIR=str(tmp_path))
    assert len(found) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".pypirc", f"{SECRET}\n"),
        (".netrc", f"machine index.example {SECRET}\n"),
        (".local/share/uv/credentials/credentials.toml", f"{SECRET}\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_and_not_quoted(
    name: str, text: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    found = in_plain_text(tmp_path)
    assert "warning" in states(found)
    assert str(path) in found[0].message


# Vaults.


def vault(state: str = "open", *kinds: str) -> dict[str, Any]:
    slots = [{"kind": kind, "detail": f"whoever has the {kind}"} for kind in kinds]
    return {"provider": "disabled", "state": state, "slots": slots, "note": None}


def test_a_key_file_is_a_warning_and_a_passphrase_is_none() -> None:
    assert states(agent.vault_openers([vault("open", "key-file")])) == ["warning"]
    assert states(agent.vault_openers([vault("closed", "passphrase"), vault("absent")])) == ["ok"]


def test_a_broken_vault_is_a_problem_with_the_way_back() -> None:
    (found,) = agent.vault_openers([vault("broken") | {"note": "It is damaged."}])
    assert found.state == "problem"
    assert "`auth restore --previous --keyring-provider disabled`" in found.hint


def test_a_key_file_inside_of_what_is_copied_is_a_problem() -> None:
    held = [vault("open", "key-file")]
    assert states(agent.vault_copies(held, "/home/a/vaults", "/home/a/vaults/state/1")) == [
        "problem"
    ]
    assert states(agent.vault_copies(held, "/home/a/vaults", "/home/a/vaults-state/1")) == ["ok"]
    assert states(agent.vault_copies([vault("absent")], "/c", "/c/s")) == []


# pip.


def with_pip(prefix: Path, library: str, version: str) -> Path:
    """Lay out an environment that has a pip."""
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin/pip").touch(mode=0o755)
    (prefix / library / f"pip-{version}.dist-info").mkdir(parents=True)
    return prefix


@pytest.mark.parametrize(
    ("library", "version", "told"),
    [
        ("lib/python3/dist-packages", "23.0.1", 1),
        ("lib/python3.11/site-packages", "26.1", 1),
        ("lib/python3.11/site-packages", "26.2", 0),
        ("lib/python3.11/site-packages", "27.0", 0),
        ("lib/python3.11/site-packages", "odd", 0),
    ],
)
@pytest.mark.parametrize("variable", ["PATH", "VIRTUAL_ENV"])
def test_a_pip_that_asks_for_no_user_name_is_named(
    tmp_path: Path, library: str, version: str, told: int, variable: str
) -> None:
    prefix = with_pip(tmp_path / "an [env]", library, version)
    environ = {variable: str(prefix / "bin" if variable == "PATH" else prefix)}
    found = list(tools.pip_findings(environ, ["https://h.example/"]))
    assert states(found) == ["warning"] * told
    for one in found:
        assert f"{prefix}/bin/pip is pip {version}," in one.message
        assert "auth exec" in one.hint


def test_an_old_pip_is_no_matter_where_only_pypi_is_stored(tmp_path: Path) -> None:
    prefix = with_pip(tmp_path, "lib/python3/dist-packages", "23.0.1")
    environ = {"PATH": str(prefix / "bin")}
    assert not list(tools.pip_findings(environ, ["https://upload.pypi.org/legacy/", "mail"]))
