"""`auth exec` with a real agent: what the program finds, and that it is the process itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.auth_commands import PROGRAMS
from support.macaroons import caveats_of, token_of
from support.terminal import Typist

if TYPE_CHECKING:
    from support.home import Home

URL = "https://h.example/"
TOKEN = token_of("pypi.org")
SHOW = (sys.executable, "-I", "-c", "import json, os; print(json.dumps(dict(os.environ)))")


def environment(home: Home, *options: str, **variables: str) -> dict[str, str]:
    """Return the environment of a program that `auth exec` starts with these options."""
    result = home.auth("exec", "--env", *options, "--", *SHOW, **variables)
    assert result.returncode == 0, result.stderr
    found: dict[str, str] = json.loads(result.stdout)
    return found


def failure(home: Home, *arguments: str, **variables: str) -> str:
    """Run what has to fail without starting `touch started`, and return what it says."""
    result = home.auth("exec", "--env", *arguments, "--", "touch", "started", **variables)
    assert (result.returncode, result.stdout) == (2, "")
    assert not (home.path / "started").exists()
    assert "Traceback" not in result.stderr
    return result.stderr


def configure(home: Home, text: str) -> None:
    settings = Path(home.environment["XDG_CONFIG_HOME"]) / "tokenward" / "config.toml"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(text)


# What the program finds.


def test_pypi_is_the_index_if_none_is_named(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    found = environment(home)
    assert found["UV_PUBLISH_TOKEN"] == found["TWINE_PASSWORD"] == found["POETRY_PYPI_TOKEN_PYPI"]
    assert caveats_of(found["TWINE_PASSWORD"])  # a child, of which there is more elsewhere
    assert found["TWINE_REPOSITORY_URL"] == "https://upload.pypi.org/legacy/"
    assert not [name for name in found if name.startswith(("PIP_INDEX", "UV_INDEX_"))]


def test_a_name_has_one_credential_for_uploads_and_another_for_installs(home: Home) -> None:
    configure(
        home,
        '[services.my-corp]\nurl = "https://h.example/simple/"\n'
        'publish-url = "https://up.example/legacy"\n',
    )
    home.done("login", "https://h.example/", "-u", "reader", "--password", "r")
    home.done("login", "https://up.example/", "--token", "w")
    found = environment(home, "--index", "my-corp")
    assert found["TWINE_REPOSITORY_URL"] == "https://up.example/legacy"
    assert found["TWINE_PASSWORD"] == found["POETRY_PYPI_TOKEN_MY_CORP"] == "w"
    assert found["PIP_INDEX_URL"] == "https://reader:r@h.example/simple/"


def test_one_of_the_two_is_enough_and_the_missing_one_is_said(home: Home) -> None:
    configure(
        home,
        f'[services.corp]\nurl = "{URL}simple/"\npublish-url = "https://up.example/legacy/"\n',
    )
    home.done("login", URL, "-u", "reader", "--password", "r")
    result = home.auth("exec", "--env", "--index", "corp", "--", *SHOW)
    assert "warning: No credential for https://up.example/legacy/ is stored" in result.stderr
    found = json.loads(result.stdout)
    assert found["PIP_INDEX_URL"] == "https://reader:r@h.example/simple/"
    assert not [name for name in found if name.startswith(("TWINE_", "UV_PUBLISH", "POETRY_"))]


def test_what_was_inherited_for_other_indexes_is_gone_and_the_rest_is_there(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "pw")
    old = {
        "UV_PUBLISH_TOKEN": "old",
        "UV_INDEX": "x=https://old.example/",
        "PIP_INDEX_URL": "old",
        "POETRY_HTTP_BASIC_OLD_PASSWORD": "old",
        "TWINE_REPOSITORY": "old",
    }
    found = environment(home, "--index", URL, **old, TWINE_CERT="/ca.pem", ODD="ünd\n")
    assert "old" not in found.values()
    assert (found["TWINE_CERT"], found["ODD"]) == ("/ca.pem", "ünd\n")
    assert found["UV_PUBLISH_PASSWORD"] == "pw"
    assert "UV_INDEX" not in found


def test_a_variable_and_pypirc_are_sources_as_for_auth_token(home: Home) -> None:
    (home.path / ".pypirc").write_text(f"[pypi]\nusername = __token__\npassword = {TOKEN}\n")
    assert environment(home)["TWINE_PASSWORD"] == TOKEN
    assert environment(home, UV_PUBLISH_TOKEN="given")["TWINE_PASSWORD"] == "given"


def test_a_password_keeps_every_character(home: Home) -> None:
    odd = "p w'\"$\\é%/@:"
    home.done("login", URL, "-u", "alice", "--password", odd)
    assert environment(home, "--index", URL)["TWINE_PASSWORD"] == odd


def test_the_url_says_whose_credential(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "hers")
    home.done("login", URL, "-u", "bob", "--password", "his")
    assert environment(home, "--index", "https://bob@h.example/")["TWINE_PASSWORD"] == "his"
    said = failure(home, "--index", URL)
    assert "alice and bob" in said
    assert "hint: name the account: `--index https://NAME@h.example/`" in said


def test_an_index_that_is_given_twice_counts_once(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "pw")
    assert "PIP_EXTRA_INDEX_URL" not in environment(home, "--index", URL, "--index", "h.example")


# What is refused.


def test_nothing_is_started_without_a_credential_for_every_index(home: Home) -> None:
    assert "No credential for pypi is stored, so nothing was started." in failure(home)
    home.done("login", "--token", TOKEN)
    said = failure(home, "--index", "pypi", "--index", "testpypi")
    assert "No credential for testpypi" in said
    assert "hint: `auth login testpypi`" in said


def test_nothing_is_started_while_locked(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    home.done("lock")
    assert "hint: `auth unlock`" in failure(home)


def test_an_upload_that_would_take_the_secret_elsewhere_is_not_started(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    result = home.auth("exec", "--env", "hatch", "publish", "-r", "test")
    assert result.returncode == 2
    assert "`-r` would send the credential of pypi elsewhere." in result.stderr


def test_two_names_that_are_one_in_variables_are_refused(home: Home) -> None:
    configure(home, f'[services.a-b]\nurl = "{URL}"\n[services.a_b]\nurl = "https://o.example/"\n')
    assert "The names a-b and a_b give the same variables." in failure(
        home, "--index", "a-b", "--index", "a_b"
    )


UV_SETTINGS = {
    "an index of the project": (
        "pyproject.toml",
        f'[[tool.uv.index]]\nname = "x"\nurl = "{URL}"\n',
    ),
    "a uv.toml": ("uv.toml", f'[[index]]\nurl = "{URL}"\n'),
    "a page below": ("uv.toml", f'index = [{{ name = "corp", url = "{URL}team/simple" }}]\n'),
    "an older spelling": ("uv.toml", f'extra-index-url = ["{URL}"]\n'),
    "for some packages": ("uv.toml", f'[[index]]\nname = "y"\nurl = "{URL}"\nexplicit = true\n'),
}


@pytest.mark.parametrize("where", UV_SETTINGS)
def test_uv_gets_the_credential_beside_the_url_that_its_settings_have(
    home: Home, where: str
) -> None:
    file, text = UV_SETTINGS[where]
    (home.path / file).write_text(text)
    home.done("login", URL, "-u", "alice", "--password", "pw")
    result = home.auth("exec", "--env", "--index", URL, "--", *SHOW)
    found = json.loads(result.stdout)
    page = "team/simple/" if "team" in text else ""
    assert found["UV_EXTRA_INDEX_URL"] == f"https://alice:pw@h.example/{page}"
    assert ("uv may take packages" in result.stderr) == ("explicit" in text)
    assert not [name for name in found if name.startswith("UV_INDEX")]


@pytest.mark.parametrize("user", ["bob", ""])
def test_uv_gets_nothing_for_the_account_of_another_or_for_what_it_does_not_use(
    home: Home, user: str
) -> None:
    url = URL.replace("//", "//bob@") if user else "https://other.example/"
    (home.path / "uv.toml").write_text(f'[[index]]\nname = "corp"\nurl = "{url}"\n')
    home.done("login", URL, "-u", "alice", "--password", "pw")
    found = environment(home, "--index", URL)
    assert not [name for name in found if name.startswith(("UV_INDEX", "UV_EXTRA"))]


@pytest.mark.parametrize(
    "text", ['publish = ["-r", "https://other.example/"]', 'publish = "-v"', "= broken"]
)
def test_pdm_gets_nothing_where_a_project_has_options_for_its_uploads(
    home: Home, text: str
) -> None:
    home.done("login", URL, "-u", "alice", "--password", "pw")
    (home.path / "pyproject.toml").write_text(f"[tool.pdm.options]\n{text}\n")
    below = home.path / "below"
    below.mkdir()
    pdm = below / "pdm"
    pdm.write_text("#!/bin/sh\nenv\n")
    pdm.chmod(0o700)
    for command in ((str(pdm), "publish"), (str(pdm), "publish", "-pbelow"), ("env",)):
        result = home.auth("exec", "--env", "--index", URL, "--", *command)
        assert "PDM_PUBLISH" not in result.stdout
        assert "TWINE_PASSWORD=pw" in result.stdout
        assert ("Nothing is set for pdm" in result.stderr) == (command != ("env",))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ((), "error: The command to run is missing."),
        (("--",), "error: The command to run is missing."),
        (("",), "error: The command to run is missing."),
        (("no-such-tool",), "error: no-such-tool was not found."),
        (("./plain",), "error: plain cannot be started: Permission denied."),
        ((TOKEN,), "error: The program was not found."),
    ],
)
def test_a_program_that_cannot_be_run_is_a_sentence(
    home: Home, program: tuple[str, ...], said: str
) -> None:
    home.done("login", "--token", TOKEN)
    (home.path / "plain").write_text("#!/bin/sh\n")
    result = home.auth("exec", "--env", *program)
    assert result.returncode == 2
    assert said in result.stderr
    assert TOKEN not in result.stderr
    assert "Traceback" not in result.stderr


def test_a_secret_with_a_zero_byte_is_a_sentence(home: Home) -> None:
    program = f"import keyring; keyring.set_password({URL!r}, 'alice', 'a\\0b')"
    assert home.run(sys.executable, "-c", program).returncode == 0
    said = failure(home, "--index", URL)
    assert f"No variable can hold the password of alice for {URL}: it has a zero byte" in said


# The process.


def started(home: Home, *program: str, **keywords: Any) -> subprocess.Popen[str]:
    command = [str(PROGRAMS / "auth"), "exec", "--env", "--index", URL, "--", *program]
    return subprocess.Popen(
        command, cwd=home.path, env=home.environment, stdout=subprocess.PIPE, text=True, **keywords
    )


def test_the_program_is_the_process_itself_and_nothing_comes_with_it(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    show = "import os; print(os.getpid(), os.getppid(), len(os.listdir('/dev/fd')))"
    with started(home, sys.executable, "-I", "-c", show) as child:
        said, _ = child.communicate()
    assert said.split() == [str(child.pid), str(os.getpid()), "4"]  # 0, 1, 2 and the listing itself


def test_the_exit_status_is_the_programs(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    assert home.auth("exec", "--env", "--index", URL, "sh", "-c", "exit 7").returncode == 7


@pytest.mark.parametrize("name", ["TERM", "KILL", "PIPE", "XFSZ", "INT"])
def test_a_program_can_die_of_a_signal(home: Home, name: str) -> None:
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    result = home.auth(
        "exec", "--env", "--index", URL, "--", "sh", "-c", f"kill -{name} $$; exit 0"
    )
    assert result.returncode == -signal.Signals[f"SIG{name}"]


def test_the_secret_is_in_the_environment_and_in_no_argument(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    with started(home, "sh", "-c", "echo; read line", stdin=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        shown = subprocess.run(
            ["ps", "-o", "args=", "-p", str(child.pid)], capture_output=True, text=True, check=True
        ).stdout
        child.communicate("\n")
    assert "echo" in shown
    assert "s3cret" not in shown


LISTENING = """\
import os, signal, sys
signals = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
os.write(1, b"ready\\n")
os.write(1, b"got %d\\n" % signal.sigwait(signals))
sys.exit(9)
"""


def test_ctrl_c_on_a_terminal_is_the_programs_to_handle(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    person = Typist(
        home, "exec", "--env", "--index", URL, "--", sys.executable, "-I", "-c", LISTENING
    )
    person.sees("ready").types("\x03").sees("got 2").leaves(9)


def test_a_signal_from_outside_reaches_the_program(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    with started(home, sys.executable, "-I", "-c", LISTENING) as child:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        child.terminate()
        assert child.stdout.readline() == "got 15\n"
    assert child.returncode == 9


# What is said and asked.


def test_verbose_tells_sources_and_names_and_never_a_value(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    result = home.auth("exec", "--env", "-v", "--index", URL, "--", "true", UV_PUBLISH_TOKEN="0ld")
    assert f"From the provider disabled: the password of alice for {URL}." in result.stderr
    assert "Set for true: FLIT_INDEX_URL, FLIT_PASSWORD, " in result.stderr
    assert "Removed from its environment: UV_PUBLISH_TOKEN." in result.stderr
    assert "s3cret" not in result.stderr
    assert "0ld" not in result.stderr
    assert home.auth("exec", "--env", "--index", URL, "--", "true").stderr == ""


def test_a_second_index_without_a_name_is_pips_alone_and_said(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    result = home.auth("exec", "--env", "--index", "pypi", "--index", URL, "--", *SHOW)
    assert f"warning: {URL} has no name" in result.stderr
    found = json.loads(result.stdout)
    assert found["PIP_EXTRA_INDEX_URL"] == "https://alice:s3cret@h.example/"
    assert caveats_of(found["TWINE_PASSWORD"])


def test_a_projects_name_is_shown_and_asked_about_where_somebody_is_there(home: Home) -> None:
    project = home.path / "pyproject.toml"
    project.write_text(f'[[tool.uv.index]]\nname = "theirs"\nurl = "{URL}simple/"\n')
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    result = home.auth("exec", "--env", "--index", "theirs", "--", *SHOW)
    assert f"theirs is {URL}simple/ ({project})." in result.stderr
    assert json.loads(result.stdout)["TWINE_PASSWORD"] == "s3cret"
    asked = ("exec", "--env", "--index", "theirs", "--", "touch", "started")
    shown = Typist(home, *asked).answers("Use its credential? [y/N]", "n").leaves(2)
    assert "Nothing was started." in shown
    assert not (home.path / "started").exists()
    Typist(home, *asked).answers("Use its credential? [y/N]", "y").leaves(0)
    assert (home.path / "started").exists()


def test_a_person_may_unlock_on_the_way(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    home.done("lock")
    person = Typist(home, "exec", "--env", "--index", URL, "--", "sh", "-c", "echo $TWINE_USERNAME")
    assert "alice" in person.answers("Unlock it? [y/N]", "y").leaves(0)
