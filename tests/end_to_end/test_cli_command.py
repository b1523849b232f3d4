"""Credentials that a command makes, as a user types it and as tools get it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from support.agents.process import NotDone, Wire
from support.auth_commands import PROGRAMS
from support.inspection.held_texts import files_with, paths_below
from support.macaroons import token_of
from support.recipes import Maker
from support.terminal import Typist

if TYPE_CHECKING:
    from support.home import Home

URL = "https://index.example/team/"


@pytest.fixture
def maker(home: Home) -> Maker:
    """The program `maker` of the user, on PATH."""
    found = Maker(home.path / "bin")
    home.environment["PATH"] = f"{home.path}/bin:{home.environment['PATH']}"
    return found


def log_in(home: Home, maker: Maker, *more: str) -> str:
    maker.makes(3600)
    return home.said(
        "login", URL, "-u", "ana", *more, "--command", "--", "maker", "--for", "the index"
    )


def test_a_login_stores_the_command_and_tools_get_what_it_makes(home: Home, maker: Maker) -> None:
    said = log_in(home, maker)
    assert "Stored the command that makes the password of ana for https://index.example/" in said
    assert "ends in" in said
    assert home.done("token", URL) == "secret-1\n"
    assert home.run(PROGRAMS / "keyring", "get", f"{URL}simple/", "ana").stdout == "secret-1\n"
    assert maker.runs == 1
    (entry,) = home.answer("list")["credentials"]
    assert (entry["provider"], entry["command"]) == ("command", "maker --for 'the index'")
    assert "maker --for 'the index'" in home.done("list")
    token = home.answer("token", URL)
    assert (token["token"], token["provider"]) == ("secret-1", "command")
    assert token["expires"] == entry["expires"]
    assert home.answer("status")["commands"] == {
        "recipes": 1,
        "kept": 1,
        "problem": None,
        "problems": [],
    }
    assert "by a command: 1 credential" in home.done("status")
    assert "made" in home.done("log")
    assert "the index" not in home.done("log")
    assert "Removed the password of ana" in home.said("logout", URL)
    assert maker.runs == 1
    assert home.answer("list")["credentials"] == []


def test_no_vault_is_made_and_no_secret_is_on_the_disk(home: Home, maker: Maker) -> None:
    log_in(home, maker)
    home.done("token", URL)
    assert not list(paths_below(home.path, "*.vault"))
    assert {path.parent for path in files_with(home.path, "secret-1")} <= {maker.folder}


def test_tools_are_answered_after_the_agent_has_ended_though_there_is_no_vault(
    home: Home, maker: Maker
) -> None:
    log_in(home, maker)
    home.done("agent", "stop")
    assert home.run(PROGRAMS / "keyring", "get", URL, "ana").stdout == "secret-2\n"


def test_a_command_that_fails_is_told_with_its_own_words_and_stores_nothing(
    home: Home, maker: Maker
) -> None:
    maker.prints("", 4, "You are not logged in: maker login")
    told = home.refused("login", URL, "-u", "ana", "--command", "--", "maker")
    assert "maker failed with status 4: You are not logged in: maker login." in told
    assert home.answer("list")["credentials"] == []


def test_a_tool_that_gets_nothing_says_why_once(home: Home, maker: Maker) -> None:
    log_in(home, maker)
    home.done("lock")
    home.done("unlock")
    maker.prints("", 4, "You are not logged in: maker login")
    told = home.run(PROGRAMS / "keyring", "get", URL, "ana")
    assert told.returncode == 1
    assert "You are not logged in" in told.stderr
    assert f"`auth refresh {URL}`" in told.stderr


def test_a_refresh_runs_it_with_the_users_terminal_and_environment(
    home: Home, maker: Maker
) -> None:
    asks = home.path / "bin" / "asks"
    asks.write_text(
        '#!/bin/sh\n[ -n "$SESSION" ] || exit 7\nprintf "Code? " >&2\nread code\necho "$SESSION-$code"\n'
    )
    asks.chmod(0o755)
    login = ("login", URL, "-u", "ana", "--command", "--attended", "--", "asks")
    assert "asks failed with status 7" in home.refused(*login)
    refused = home.refused("token", URL)
    assert "needs you" in refused
    assert f"`auth refresh {URL}`" in refused
    typist = Typist(home, "refresh", URL, SESSION="shell").answers("Code? ", "1234")
    assert "asks made the password of ana" in typist.leaves(0)
    assert home.done("token", URL) == "shell-1234\n"


def test_a_refresh_forgets_what_there_was_even_if_it_fails(home: Home, maker: Maker) -> None:
    log_in(home, maker)
    assert "it ends in" in home.said("refresh", URL)
    assert home.done("token", URL) == "secret-2\n"
    maker.prints("", 1)
    assert "maker failed with status 1" in home.refused("refresh", URL)
    assert "maker failed with status 1" in home.refused("token", URL)
    assert "is made by no command, and read in no keyring" in home.refused(
        "refresh", "https://other.example/"
    )


def test_config_toml_names_a_command_for_a_name(home: Home, maker: Maker) -> None:
    config = home.path / ".config" / "tokenward" / "config.toml"
    config.parent.mkdir(parents=True)
    maker.makes(3600)
    table = f'[services.corp]\nurl = "{URL}"\nusername = "ana"\n'
    config.write_text(f'{table}command = ["{maker.program}"]\nlifetime = "10m"\n')
    assert home.done("token", "corp") == "secret-1\n"
    assert home.run(PROGRAMS / "keyring", "get", URL, "ana").stdout == "secret-1\n"
    assert "config.toml" in home.refused("logout", "corp")
    assert "it ends in" in home.said("refresh", "corp")
    for line, wrong in (
        ('command = "maker"', "`services.corp.command`"),
        ('command = ["maker"]', "absolute path"),
        (f'command = ["{maker.program}"]\nas = "xml"', "`services.corp.as`"),
        ('lifetime = "1h"', "without `command`"),
    ):
        config.write_text(f"{table}{line}\n")
        assert wrong in home.refused("token", "corp")


@pytest.mark.parametrize("name", ["pyproject.toml", "uv.toml", "config.toml"])
def test_no_file_of_a_project_names_a_command_even_if_it_is_trusted(
    home: Home, maker: Maker, name: str
) -> None:
    project = home.path / "checkout"
    project.mkdir()
    table = f'[services.corp]\nurl = "{URL}"\nusername = "ana"\ncommand = ["{maker.program}"]\n'
    inside = f'[tool.tokenward.services.corp]\ncommand = ["{maker.program}"]\n'
    (project / name).write_text(table + inside)
    auth = str(PROGRAMS / "auth")
    home.run(auth, "trust", str(project), cwd=str(project))
    for words in (("token", "corp"), ("token", URL), ("refresh", URL), ("list",)):
        home.run(auth, *words, cwd=str(project))
    assert maker.runs == 0


def test_a_program_that_others_could_choose_is_refused(home: Home, maker: Maker) -> None:
    auth = str(PROGRAMS / "auth")
    words = ("login", URL, "-u", "ana", "--command", "--")
    checkout = home.path / "checkout"
    checkout.mkdir()
    here = Maker(checkout)
    told = home.run(auth, *words, "./maker", cwd=str(checkout))
    assert "lies in the working directory" in told.stderr
    (checkout / "pyproject.toml").touch()
    assert f"lies in the project {checkout}" in home.refused(*words, str(here.program))
    maker.program.chmod(0o777)
    assert "can be changed by others" in home.refused(*words, "maker")
    assert "not on PATH" in home.refused(*words, "no-such-program")
    assert here.runs == maker.runs == 0


def test_an_argument_that_looks_like_a_secret_is_refused_and_not_shown(
    home: Home, maker: Maker
) -> None:
    told = home.refused("login", URL, "-u", "ana", "--command", "--", "maker", "--password=hunter2")
    assert "looks like a secret" in told
    assert "hunter2" not in told
    assert maker.runs == 0


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("-u ana --command", "is missing"),
        ("-u ana -- maker", "need `--command`"),
        ("--as json --token x", "need `--command`"),
        ("--command -- maker", "needs the user name"),
        ("-u ana --password x --command -- maker", "takes no secret"),
        ("-u ana --sealed --command -- maker", "exclude each other"),
        ("-u ana --from gcloud --command -- maker", "exclude each other"),
        ("-u ana --from somewhere", "does not know such a source"),
        ("--from aws", "CodeArtifact"),
        ("-u ana --command --as xml -- maker", "must be"),
    ],
)
def test_options_that_do_not_fit_are_told_before_anything_is_run(
    home: Home, maker: Maker, words: str, wrong: str
) -> None:
    assert wrong in home.refused("login", URL, *words.split())
    assert maker.runs == 0


def test_a_share_is_answered_from_what_is_made_and_can_neither_store_nor_run_a_command(
    home: Home, maker: Maker
) -> None:
    log_in(home, maker)
    path = home.path / "run" / "share.sock"
    home.done("share", "--service", URL, "--whole", "--at", str(path))
    guest = {"TOKENWARD_SOCK": str(path)}
    assert home.done("token", URL, **guest) == "secret-1\n"
    assert home.auth("refresh", URL, **guest).returncode == 2
    assert home.auth("login", URL, "-u", "ana", "--command", "--", "maker", **guest).returncode == 2
    wire = Wire(path)
    try:
        for op, body, more in (
            ("login", maker.recipe("evil"), {"username": "ana", "recipe": True}),
            ("refresh", b"", {}),
            ("refresh", b"planted", {}),
            ("logout", b"", {"refused": True}),
            ("describe", b"", {}),
        ):
            with pytest.raises(NotDone) as refused:
                wire.ask(op, body, service=URL, **more)
            assert refused.value.code == "refused"
    finally:
        wire.close()
    assert maker.runs == 1
    assert home.done("token", URL) == "secret-1\n"


def test_a_share_hears_nothing_of_what_the_program_says(home: Home, maker: Maker) -> None:
    maker.makes(10)  # never kept
    home.done("login", URL, "-u", "ana", "--command", "--", "maker")
    path = home.path / "run" / "share.sock"
    home.done("share", "--service", URL, "--whole", "--at", str(path))
    assert home.done("token", URL, TOKENWARD_SOCK=str(path)).startswith("secret-")
    maker.prints("", 1, "internal host build7 is away")
    told = home.refused("token", URL, TOKENWARD_SOCK=str(path))
    assert "The command of the shared credential failed." in told
    assert "build7" not in told


def test_what_an_index_refused_is_forgotten_and_the_recipe_stays(home: Home, maker: Maker) -> None:
    log_in(home, maker)
    attributes = "protocol=https\nhost=index.example\npath=team\nusername=ana\n"
    git = str(PROGRAMS / "git-credential-tokenward")
    assert "password=secret-1" in home.run(git, "get", stdin=attributes).stdout
    home.run(git, "erase", stdin=f"{attributes}password=secret-1\n")
    assert "password=secret-2" in home.run(git, "get", stdin=attributes).stdout
    home.run(PROGRAMS / "keyring", "del", URL, "ana")
    assert home.done("token", URL) == "secret-3\n"


def test_an_export_has_the_recipe_and_a_restore_runs_it_only_after_a_yes(
    home: Home, maker: Maker
) -> None:
    log_in(home, maker)
    phrase = home.path / "phrase"
    phrase.write_text("a long passphrase\n")
    phrase.chmod(0o600)
    file, options = str(home.path / "export"), ("--passphrase-file", str(phrase))
    assert "Exported 1 credential" in home.said("export", file, *options)
    home.done("logout", URL)
    told = home.refused("restore", file, *options)
    assert "maker --for 'the index'" in told
    assert "only after a yes" in told
    assert maker.runs == 1
    assert "1 restored" in home.said("restore", file, *options, "--yes")
    assert home.done("token", URL) == "secret-2\n"
    assert "1 there already" in home.said("restore", file, *options)


def test_an_import_leaves_what_a_command_makes_as_it_is(home: Home, maker: Maker) -> None:
    log_in(home, maker)
    (home.path / ".netrc").write_text("machine index.example login ana password typed\n")
    (home.path / ".netrc").chmod(0o600)
    home.environment["NETRC"] = str(home.path / ".netrc")
    runs = maker.runs
    home.auth("import", "netrc")
    assert home.done("token", URL) == "secret-1\n"
    assert maker.runs == runs


def test_json_says_what_was_stored(home: Home, maker: Maker) -> None:
    maker.makes(3600)
    answer = json.loads(
        home.done("login", URL, "-u", "ana", "--format", "json", "--command", "--", "maker")
    )
    assert (answer["provider"], answer["stored"][0]["service"]) == ("command", URL)
    assert answer["expires"] is not None
    assert "secret" not in json.dumps(answer)
    assert home.answer("refresh", URL)["refreshed"][0]["service"] == URL


def test_a_recipe_needs_no_more_than_the_agents_short_environment(home: Home, maker: Maker) -> None:
    maker.prints("$NOTHING")
    shows = home.path / "bin" / "shows"
    shows.write_text('#!/bin/sh\n[ -z "$SECRET_OF_SHELL" ] && pwd\n')
    shows.chmod(0o755)
    login = ("login", URL, "-u", "ana", "--command", "--", "shows")
    home.done(*login, SECRET_OF_SHELL="yes")
    assert home.done("token", URL) == "/\n"
    assert os.path.lexists(home.path / "bin")


def test_pypi_needs_no_user_name_and_its_tokens_are_narrowed_as_ever(
    home: Home, maker: Maker
) -> None:
    token = token_of("pypi.org")
    maker.prints(token)
    home.done("login", "--command", "--lifetime", "2h", "--", "maker")
    got = home.run(PROGRAMS / "keyring", "get", "https://upload.pypi.org/legacy/", "__token__")
    assert got.stdout.startswith("pypi-")
    assert got.stdout.strip() != token
    assert home.done("token") == f"{token}\n"
    assert maker.runs == 1


SHOWS = (
    '#!/bin/sh\n[ -n "$PROFILE" ] || { echo "no profile" >&2; exit 1; }\necho "made-for-$PROFILE"\n'
)


@pytest.fixture
def shows(home: Home) -> str:
    """A program of the user's that needs a variable of the shell."""
    path = home.path / "bin" / "shows"
    path.parent.mkdir(exist_ok=True)
    path.write_text(SHOWS)
    path.chmod(0o755)
    return str(path)


def test_a_variable_of_the_shell_is_passed_on_and_sealed_in_a_vault(home: Home, shows: str) -> None:
    words = ("login", URL, "-u", "ana")
    told = home.refused(*words, "--command", "--", shows, PROFILE="s3cret-profile")
    assert "no profile" in told
    passing = (*words, "--pass-env", "PROFILE", "--command", "--", shows)
    home.done(*passing, PROFILE="s3cret-profile")
    assert home.done("token", URL) == "made-for-s3cret-profile\n"
    home.done("agent", "restart")  # the vault opens by its key file, without the user
    assert home.done("token", URL) == "made-for-s3cret-profile\n"
    assert not files_with(home.path, "s3cret-profile")
    (recipes,) = paths_below(home.path, "recipes.toml")
    assert 'environment = ["PROFILE"]' in recipes.read_text()


def test_a_recipe_with_variables_needs_its_vault_open_and_under_the_same_key(
    home: Home, shows: str
) -> None:
    phrase = home.path / "phrase"
    phrase.write_text("a passphrase of the vault\n")
    phrase.chmod(0o600)
    opens = {"TOKENWARD_PASSPHRASE_FILE": str(phrase)}
    passing = ("--pass-env", "PROFILE", "--command", "--", shows)
    home.done("login", URL, "-u", "ana", *passing, PROFILE="work", **opens)
    home.done("agent", "restart")
    assert "is not open" in home.refused("token", URL)
    assert home.done("token", URL, **opens) == "made-for-work\n"
    home.done("passphrase", "set", **opens)
    home.done("lock")
    home.done("unlock", **opens)
    refused = home.refused("token", URL, **opens)
    assert "sealed under a former key" in refused
    assert "`--pass-env` again" in refused


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PYTHONPATH", "BASH_ENV", "NODE_OPTIONS", "PATH"])
def test_no_variable_that_chooses_the_code_is_passed_on(home: Home, shows: str, name: str) -> None:
    passing = ("--pass-env", name, "--command", "--", shows)
    assert "choose the code" in home.refused(
        "login", URL, "-u", "ana", *passing, **{name: home.environment.get(name, "x")}
    )


def test_a_variable_that_is_not_set_is_told(home: Home, shows: str) -> None:
    passing = ("--pass-env", "NO_SUCH", "--command", "--", shows)
    assert "NO_SUCH is not set" in home.refused("login", URL, "-u", "ana", *passing)
