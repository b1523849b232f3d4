"""`auth setup` and its undoing in a real home: what is written, what is left alone, what comes back."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import paths_below
from support.terminal import Typist
from support.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from support.home import Home

SECRET = "marked-secret"
PIP_CONF = f"# mine\n[global]\nindex-url = https://u:{SECRET}@h.example/simple/\ntimeout = 7\n"
UV_TOML = 'native-tls = true\n\n[[index]]\nname = "mine"\nurl = "https://h.example/simple/"'
KEYRINGRC = "[backend]\ndefault-keyring = keyring.backends.null.Keyring\n"


@pytest.fixture(autouse=True)
def programs(home: Home) -> Path:
    """Have ~/.local/bin on PATH, as most people do."""
    folder = home.path / ".local" / "bin"
    home.environment["PATH"] = f"{folder}:{home.environment['PATH']}"
    return folder


def place(home: Home, name: str, text: str, mode: int = 0o644) -> Path:
    path = home.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


def tree(home: Home) -> dict[str, tuple[int, bytes]]:
    """Return every file and folder of a home, with mode and content."""
    return {
        str(path.relative_to(home.path)): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(paths_below(home.path))
    }


def setup(home: Home, *arguments: str, status: int = 0, **variables: str) -> dict[str, Any]:
    """Run `auth setup`, which has to exit with `status`; return its JSON in paths below home."""
    result = home.auth("setup", *arguments, "--format", "json", **variables)
    assert result.returncode == status, result
    assert "Traceback" not in result.stderr
    assert SECRET not in result.stdout + result.stderr
    below = f"{home.path}/"
    answer: dict[str, list[str]] = json.loads(result.stdout)
    return {key: [path.removeprefix(below) for path in paths] for key, paths in answer.items()}


EVERYTHING = [
    ".local/state/tokenward/keyring/tokenward_keyring.py",
    ".config/python_keyring/keyringrc.cfg",
    ".local/bin/keyring",
    ".config/uv/uv.toml",
    ".config/pip/pip.conf",
]


def test_an_empty_home_gets_all_of_it_and_a_second_time_nothing(home: Home) -> None:
    done = setup(home)
    assert done == {"written": EVERYTHING, "unchanged": [], "removed": [], "refused": []}
    before = tree(home)
    assert before[EVERYTHING[0]][0] & 0o777 == 0o600
    assert before[".local/state/tokenward/keyring"][0] & 0o777 == 0o700
    assert before[".local/bin/keyring"][0] & 0o777 == 0o755
    assert setup(home)["unchanged"] == EVERYTHING
    assert tree(home) == before
    assert home.agent_pid() is None


def test_what_is_written_is_said_before_and_after(home: Home) -> None:
    told = home.auth("setup").stderr
    for path in EVERYTHING:
        assert f"{home.path}/{path} will be created" in told
    assert "`auth setup --undo`" in told
    assert home.auth("setup").stderr == "Everything is set up already.\n"
    assert home.auth("setup", "-q").stderr == ""


def test_undoing_leaves_the_home_as_it_was(home: Home) -> None:
    place(home, ".config/pip/pip.conf", PIP_CONF, 0o640)
    place(home, ".config/uv/uv.toml", UV_TOML, 0o600)
    place(home, ".pypirc", "[pypi]\npassword = " + SECRET + "\n", 0o600)
    place(home, ".config/python_keyring/keyringrc.cfg", "", 0o644)
    before = tree(home)
    setup(home)
    setup(home, "hatch", "flit")
    changed = {name for name, what in tree(home).items() if before.get(name) != what}
    assert changed >= {".config/pip/pip.conf", ".config/uv/uv.toml", ".pypirc", *EVERYTHING}
    assert {name: mode for name, (mode, _) in tree(home).items() if name in before} == {
        name: mode for name, (mode, _) in before.items()
    }
    journal = (home.path / ".local/state/tokenward/setup.json").read_text()
    assert SECRET not in journal
    setup(home, "--undo")
    assert tree(home) == before
    assert home.auth("setup", "--undo").stderr == "There is nothing to undo.\n"


def test_one_tool_can_be_undone_alone(home: Home) -> None:
    setup(home)
    assert setup(home, "--undo", "pip")["removed"] == [".config/pip/pip.conf", ".config/pip"]


def test_undoing_keeps_what_was_written_since(home: Home) -> None:
    setup(home)
    pip = home.path / ".config/pip/pip.conf"
    pip.write_text(f"[install]\nno-deps = true\n{pip.read_text()}timeout = 7\n")
    uv = home.path / ".config/uv/uv.toml"
    uv.write_text(uv.read_text().replace("explicit = true", "explicit = false"))
    program = home.path / ".local/bin/keyring"
    program.write_text(program.read_text() + "# mine\n")
    done = setup(home, "--undo", status=2)
    assert done["refused"] == [".config/uv/uv.toml", ".local/bin/keyring"]
    assert pip.read_text() == "[install]\nno-deps = true\ntimeout = 7\n"
    assert "explicit = false" in uv.read_text()
    assert program.exists()


def test_a_strangers_word_is_left_alone_and_the_rest_is_written(home: Home) -> None:
    strangers = {
        ".config/python_keyring/keyringrc.cfg": KEYRINGRC,
        ".local/bin/keyring": "#!/bin/sh\n# somebody's own\n",
        ".config/uv/uv.toml": 'keyring-provider = "disabled"\n',
        ".config/pip/pip.conf": "[global]\nkeyring-provider = import\n",
    }
    for name, text in strangers.items():
        place(home, name, text)
    done = setup(home, status=2)
    assert done["written"] == EVERYTHING[:1]
    assert done["refused"] == EVERYTHING[1:]
    for name, text in strangers.items():
        assert (home.path / name).read_text() == text


def test_with_yes_a_strangers_word_becomes_a_comment_and_comes_back(home: Home) -> None:
    place(home, ".config/python_keyring/keyringrc.cfg", KEYRINGRC)
    before = tree(home)
    assert not setup(home, "keyring", "--yes")["refused"]
    text = (home.path / ".config/python_keyring/keyringrc.cfg").read_text()
    assert "\ndefault-keyring = tokenward_keyring.Keyring\n" in text
    assert "# Before `auth setup`: default-keyring = keyring.backends.null.Keyring\n" in text
    assert setup(home, "keyring")["written"] == []
    setup(home, "--undo")
    assert tree(home) == before


def test_a_program_of_somebody_else_is_never_overwritten(home: Home) -> None:
    program = place(home, ".local/bin/keyring", "#!/bin/sh\n", 0o755)
    assert setup(home, "--yes", status=2)["refused"] == [".local/bin/keyring"]
    assert program.read_text() == "#!/bin/sh\n"
    assert "move" in home.auth("setup", "--yes").stderr


def test_a_program_in_a_folder_of_tokenwards_name_is_somebody_elses_too(home: Home) -> None:
    text = "#!/home/you/.local/share/uv/tools/tokenward/bin/python\nimport keyring\n"
    program = place(home, ".local/bin/keyring", text, 0o755)
    assert setup(home, "keyring", status=2)["refused"] == [".local/bin/keyring"]
    setup(home, "--undo")
    assert program.read_text() == text


def test_the_librarys_own_program_stays_since_it_asks_tokenward_too(home: Home) -> None:
    library = PROGRAMS / "keyring"
    assert "from keyring.cli import main" in library.read_text()
    (home.path / ".local" / "bin").mkdir(parents=True, exist_ok=True)
    program = home.path / ".local" / "bin" / "keyring"
    program.symlink_to(library)  # as `uv tool install keyring --with PLUGIN` makes it
    assert setup(home, "keyring")["refused"] == []
    assert program.is_symlink()
    assert "is the keyring library's own, which asks tokenward now" in home.said("setup", "keyring")
    url = "https://index.example/"
    home.log_in(url, "ours")
    assert home.run(program, "get", url, "alice").stdout == "ours\n"


def test_nobody_else_can_put_a_module_beside_the_backend(home: Home) -> None:
    folder = home.path / ".local/state/tokenward/keyring"
    folder.mkdir(parents=True)
    for each in (folder, folder.parent):
        each.chmod(0o777)
    planted = place(home, ".local/state/tokenward/keyring/json.py", "raise SystemExit('planted')\n")
    before = tree(home)
    assert f"All users can write in {folder.parent}" in home.refused("setup", "keyring")
    assert tree(home) == before
    for each in (folder, folder.parent):
        each.chmod(0o755)
    assert setup(home, "keyring", status=2)["refused"] == EVERYTHING[:2]
    assert planted.exists()
    planted.unlink()
    setup(home, "keyring")
    assert {each.stat().st_mode & 0o777 for each in (folder, folder.parent)} == {0o700}


def test_tools_are_never_led_to_a_backend_that_is_not_there(home: Home) -> None:
    module = place(home, EVERYTHING[0], "# somebody else's\n")
    done = setup(home, "keyring", status=2)
    assert done["refused"] == EVERYTHING[:2]
    assert not (home.path / EVERYTHING[1]).exists()
    module.unlink()
    setup(home, "keyring")
    settings = home.path / EVERYTHING[1]
    lines = [line for line in settings.read_text().splitlines() if not line.startswith("#")]
    settings.write_text("\n".join(lines))
    assert EVERYTHING[0] in setup(home, "--undo", status=2)["refused"]
    assert module.exists()
    settings.unlink()
    assert EVERYTHING[0] in setup(home, "--undo")["removed"]


def test_several_that_are_run_at_once_are_one_and_are_undone_as_one(home: Home) -> None:
    place(home, ".config/uv/uv.toml", UV_TOML)
    place(home, ".config/pip/pip.conf", PIP_CONF)
    before = tree(home)
    command = [str(PROGRAMS / "auth"), "setup", "-q", "keyring", "uv", "pip", "hatch"]
    several = [
        subprocess.Popen(command, env=home.environment, start_new_session=True) for _ in range(4)
    ]
    assert [one.wait(PATIENCE) for one in several] == [0] * 4
    assert setup(home, "keyring", "uv", "pip", "hatch")["written"] == []
    setup(home, "--undo")
    assert tree(home) == before


def test_somebody_at_a_terminal_is_asked_before_an_existing_file_gets_lines(home: Home) -> None:
    pip = place(home, ".config/pip/pip.conf", PIP_CONF)
    shown = Typist(home, "setup").sees("pip.conf will get").answers("Go on? [y/N]", "n").leaves(2)
    assert "Nothing was changed." in shown
    assert pip.read_text() == PIP_CONF
    assert not (home.path / EVERYTHING[0]).exists()
    Typist(home, "setup").answers("Go on? [y/N]", "y").leaves(0)
    assert pip.read_text() != PIP_CONF
    Typist(home, "setup").leaves(0)


def test_somebody_at_a_terminal_is_asked_about_a_strangers_word(home: Home) -> None:
    rc = place(home, ".config/python_keyring/keyringrc.cfg", KEYRINGRC)
    question = "says something else for `default-keyring`; keep that as a comment below ours? [y/N]"
    Typist(home, "setup", "keyring").answers(question, "").leaves(2)
    assert rc.read_text() == KEYRINGRC
    person = Typist(home, "setup", "keyring").answers(question, "yes")
    person.answers("Go on? [y/N]", "y").leaves(0)
    assert "tokenward_keyring" in rc.read_text()


def test_without_the_program_on_path_pip_is_left_to_its_own_devices(home: Home) -> None:
    without = f"{PROGRAMS}:/usr/bin:/bin"
    done = setup(home, PATH=without)
    assert ".config/pip/pip.conf" not in done["written"]
    told = home.auth("setup", PATH=without).stderr
    assert f"{home.path}/.local/bin is not on PATH" in told
    assert ".config/pip/pip.conf" in setup(home, "pip", PATH=without)["written"]


def test_a_link_to_a_file_of_ones_own_is_followed_and_stays_a_link(home: Home) -> None:
    kept = place(home, "dotfiles/pip.conf", PIP_CONF, 0o640)
    link = home.path / ".config/pip/pip.conf"
    link.parent.mkdir()
    link.symlink_to(kept)
    setup(home)
    assert link.is_symlink()
    assert "keyring-provider" in kept.read_text()
    setup(home, "--undo")
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (PIP_CONF, 0o640)


def test_a_link_that_leads_nowhere_is_refused(home: Home) -> None:
    link = home.path / ".config/pip/pip.conf"
    link.parent.mkdir()
    link.symlink_to(home.path / "gone")
    assert setup(home, status=2)["refused"] == [".config/pip/pip.conf"]


@pytest.mark.root("gives files away")
def test_a_file_of_another_user_is_refused(home: Home) -> None:
    pip = place(home, ".config/pip/pip.conf", PIP_CONF)
    os.chown(pip, 12345, 12345)
    assert setup(home, status=2)["refused"] == [".config/pip/pip.conf"]
    assert pip.read_text() == PIP_CONF


def test_a_file_that_is_not_understood_is_refused_with_the_line_to_write(home: Home) -> None:
    place(home, ".config/pip/pip.conf", f"password = {SECRET}\n[global\n")
    told = home.auth("setup")
    assert told.returncode == 2
    assert "cannot be edited safely" in told.stderr
    assert "`keyring-provider = subprocess` in [global]" in told.stderr
    assert SECRET not in told.stderr


def test_one_broken_file_keeps_the_others_from_nothing(home: Home) -> None:
    place(home, ".config/uv/uv.toml", "x = \n")
    place(home, ".pypirc", "password\n")
    done = setup(home, "uv", "pip", "flit", status=2)
    assert done["refused"] == [".config/uv/uv.toml", ".pypirc"]
    assert done["written"] == [path for path in EVERYTHING if "uv.toml" not in path]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        "{}",
        '{"version": 2}',
        '{"version": 1, "files": 3}',
        '{"version": 1, "files": {"/a": {"part": []}}, "folders": []}',
        '{"version": 1, "files": {"/a": {"part": "uv", "inserted": 5}}, "folders": []}',
        '{"version": 1, "files": {"/a": {"part": "uv", "inserted": [5]}}, "folders": []}',
        '{"version": 1, "files": {"a": {"part": "uv"}}, "folders": []}',
        '{"version": 1, "files": {}, "folders": ["/\\u0000"]}',
        '{"version": 1, "files": {}, "folders": ["/\\ud800"]}',
    ],
    ids=range(11),
)
def test_a_journal_that_cannot_be_read_stops_it_and_status_goes_on(home: Home, text: str) -> None:
    setup(home)
    before = tree(home)
    journal = place(home, ".local/state/tokenward/setup.json", text, 0o600)
    for words in ((), ("--undo",)):
        told = home.auth("setup", *words)
        assert told.returncode == 2
        assert f"{journal} is not a journal that this version can read." in told.stderr
    assert {**tree(home), ".local/state/tokenward/setup.json": 0} == {
        **before,
        ".local/state/tokenward/setup.json": 0,
    }
    assert "not set up" in home.done("status")


def test_a_tool_that_is_not_known_is_said_so(home: Home) -> None:
    told = home.auth("setup", "nonsense")
    assert told.returncode == 2
    assert "known: keyring, uv, pip" in told.stderr
    assert "`auth exec -- maturin upload`" in home.auth("setup", "maturin").stderr
    assert list(home.path.glob(".config/*")) == []


def test_a_folder_that_cannot_be_written_refuses_one_file_and_no_more(home: Home) -> None:
    place(home, ".config/uv", "a file where a folder is wanted")
    assert setup(home, status=2)["refused"] == [".config/uv/uv.toml"]


def test_the_user_names_that_the_agent_knows_go_into_the_publish_urls(home: Home) -> None:
    place(home, ".config/uv/uv.toml", f'{UV_TOML}\npublish-url = "https://h.example/up/"\n')
    told = home.auth("setup", "uv").stderr
    assert "No user name is known for the index mine in uv.toml" in told
    home.log_in("https://h.example/", SECRET)
    setup(home, "uv")
    text = (home.path / ".config/uv/uv.toml").read_text()
    assert 'publish-url = "https://alice@h.example/up/"' in text
    assert 'authenticate = "always"' in text
    setup(home, "--undo")
    assert (home.path / ".config/uv/uv.toml").read_text().startswith(UV_TOML)


def doctor(home: Home, **variables: str) -> dict[str, str]:
    findings = json.loads(home.auth("doctor", "--format", "json", **variables).stdout)["findings"]
    (found,) = (one for one in findings if one["check"] == "tools")
    return dict(found)


def test_doctor_and_status_tell_whether_it_is_in_force(home: Home) -> None:
    assert doctor(home)["state"] == "warning"
    assert home.answer("status")["setup"] == []
    setup(home)
    assert doctor(home)["state"] == "ok"
    assert home.answer("status")["setup"] == ["keyring", "uv", "pip"]
    assert "set up (keyring, uv, pip)" in home.done("status")
    module = home.path / EVERYTHING[0]
    module.write_text(module.read_text() + "\n")
    assert "another installation or version" in doctor(home)["message"]
    module.unlink()
    assert doctor(home)["state"] == "problem"
    assert "names the missing module" in doctor(home)["message"]
    assert doctor(home)["hint"] == "`auth setup`"
    setup(home)
    assert doctor(home)["state"] == "ok"


def test_doctor_says_when_setup_should_run_again(home: Home) -> None:
    write_uv_index(home)
    setup(home, "keyring", "uv", "pip")
    assert again(home) == []
    home.log_in("https://h.example/simple/", "s3cret")
    (found,) = again(home)
    assert (found["state"], "uv" in found["message"]) == ("warning", True)
    setup(home, "keyring", "uv", "pip")
    assert again(home) == []


def write_uv_index(home: Home) -> None:
    """Give uv an index of the user's own, whose account is not known yet."""
    settings = home.path / ".config/uv/uv.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text('[[index]]\nname = "corp"\nurl = "https://h.example/simple/"\n')


def again(home: Home) -> list[dict[str, str]]:
    """Return what `auth doctor` says of a setup that is out of date."""
    findings = json.loads(home.auth("doctor", "--format", "json").stdout)["findings"]
    return [dict(one) for one in findings if one["check"] == "setup"]
