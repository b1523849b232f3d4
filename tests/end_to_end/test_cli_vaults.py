"""`auth status`, `lock`, `unlock`, `passphrase` and `trust`, without a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.inspection.held_texts import paths_below

if TYPE_CHECKING:
    from pathlib import Path

    from support.home import Home

URL = "https://h.example/"


def phrase(home: Home, text: str = "phrase") -> dict[str, str]:
    """Return the variables that lead to a passphrase."""
    file: Path = home.path / f"{text}.txt"
    file.touch(mode=0o600)
    file.write_text(f"{text}\n")
    return {"TOKENWARD_PASSPHRASE_FILE": str(file)}


def kinds(home: Home) -> list[str]:
    return [slot["kind"] for slot in home.vault()["slots"]]


def test_status_without_an_agent_starts_none(home: Home) -> None:
    found = home.answer("status")
    assert (found["running"], found["pid"], found["vaults"]) == (False, None, None)
    assert found["directory"] == home.done("dir").removesuffix("\n")
    assert home.done("status").startswith("Not running: ")
    assert home.agent_pid() is None


def test_status_says_who_can_open_a_vault(home: Home) -> None:
    home.done("login", URL, "--token", "s3cret")
    found = home.answer("status")
    assert (found["running"], found["locked"]) == (True, False)
    assert (home.vault()["state"], home.vault()["count"], kinds(home)) == ("open", 1, ["key-file"])
    text = home.done("status")
    assert "1 credential " in text
    assert "a process that can read the key file" in text
    assert "s3cret" not in text + json.dumps(found)


def test_status_has_the_same_keys_with_and_without_an_agent(home: Home) -> None:
    before = home.answer("status").keys()
    home.done("agent", "start")
    assert home.answer("status").keys() == before


def test_a_key_file_is_called_what_it_is_once(home: Home) -> None:
    assert "key file" in home.said("login", URL, "--token", "a")
    assert "key file" not in home.said("login", URL, "--token", "b")


def test_a_provider_that_is_insisted_on_and_not_there_stores_nothing(home: Home) -> None:
    assert "D-Bus" in home.refused("login", URL, "--token", "t", "--keyring-provider", "keyring")
    home.refused("login", URL, "--token", "t", "--keyring-provider", "subprocess")
    assert not list(paths_below(home.path, "*.vault"))


def test_a_provider_that_settings_name_and_that_is_not_there_is_passed_over(home: Home) -> None:
    told = home.said("login", URL, "--token", "t", UV_KEYRING_PROVIDER="keyring")
    assert "warning: UV_KEYRING_PROVIDER names the provider keyring" in told
    assert "in the file vault" in told


def test_a_lock_holds_until_unlock_even_over_a_restart(home: Home) -> None:
    home.done("login", URL, "--token", "t")
    assert "Locked: tools get nothing until `auth unlock`." in home.said("lock")
    assert "Locked already, until `auth unlock`." in home.said("lock")
    home.done("agent", "restart")
    told = home.refused("token", URL)
    assert "error:" in told
    assert "`auth unlock`" in told
    home.refused("login", URL, "--token", "u")
    home.refused("logout", URL)
    assert home.answer("agent", "status")["locked"] is True
    assert "Unlocked: the file vault is open." in home.said("unlock")
    assert "Unlocked already: the file vault is open." in home.said("unlock")
    assert home.done("token", URL) == "t\n"


def test_locking_before_anything_is_stored_locks(home: Home) -> None:
    assert "there is no vault yet" in home.said("lock")
    assert home.answer("agent", "status")["locked"] is True
    assert "Unlocked; there is no vault yet." in home.said("unlock")
    assert home.answer("agent", "status")["locked"] is False


def test_a_passphrase_for_the_vault_may_come_from_a_file(home: Home) -> None:
    variables = phrase(home)
    home.done("login", URL, "--token", "t", **variables)
    assert kinds(home) == ["passphrase"]
    home.done("agent", "restart")
    assert "`auth unlock`" in home.refused("token", URL)
    assert home.done("token", URL, **variables) == "t\n"
    assert home.done("token", URL) == "t\n"


def test_a_passphrase_may_come_from_a_program(home: Home) -> None:
    home.done("login", URL, "--token", "t", **phrase(home))
    home.done("agent", "restart")
    program = home.path / "ask"
    program.write_text("#!/bin/sh\necho phrase\n")
    program.chmod(0o700)
    assert "Unlocked: the file vault is open." in home.said(
        "unlock", TOKENWARD_ASKPASS=str(program)
    )


def test_a_wrong_passphrase_opens_nothing(home: Home) -> None:
    home.done("login", URL, "--token", "t", **phrase(home))
    home.done("lock")
    told = home.refused("unlock", **phrase(home, "wrong"))
    assert "passphrase" in told
    assert "wrong\n" not in told
    assert home.vault()["state"] == "locked"


def test_a_passphrase_in_the_environment_does_not_end_a_lock(home: Home) -> None:
    variables = phrase(home)
    home.done("login", URL, "--token", "t", **variables)
    home.done("lock")
    home.refused("token", URL, **variables)
    home.said("unlock", **variables)
    assert home.done("token", URL) == "t\n"


def test_unlocking_without_a_way_to_ask_says_what_is_needed(home: Home) -> None:
    home.done("login", URL, "--token", "t", **phrase(home))
    home.done("lock")
    assert "passphrase" in home.refused("unlock")


def test_a_list_names_the_vaults_that_it_does_not_show(home: Home) -> None:
    variables = phrase(home)
    home.done("login", URL, "--token", "t", **variables)
    home.done("agent", "restart")
    assert "The file vault is not open, and not listed." in home.said("list")
    assert home.answer("list")["closed"] == ["disabled"]
    assert len(home.answer("list", **variables)["credentials"]) == 1


def test_a_new_passphrase_takes_the_place_of_the_key_file(home: Home) -> None:
    home.done("login", URL, "--token", "t")
    told = home.said("passphrase", "set", **phrase(home))
    assert "and with nothing else" in told
    assert kinds(home) == ["passphrase"]
    home.done("agent", "restart")
    home.refused("token", URL)
    assert home.done("token", URL, **phrase(home)) == "t\n"


def test_the_key_file_may_be_kept_beside_the_passphrase(home: Home) -> None:
    home.done("login", URL, "--token", "t")
    assert "as it did before" in home.said("passphrase", "set", "--keep-slots", **phrase(home))
    assert set(kinds(home)) == {"passphrase", "key-file"}
    assert "also opens without the passphrase" in home.done("status")
    home.done("agent", "restart")
    assert home.done("token", URL) == "t\n"


def test_removing_the_passphrase_puts_a_key_file_in_its_place(home: Home) -> None:
    home.done("login", URL, "--token", "t", **phrase(home))
    assert "A key file opens the file vault" in home.said("passphrase", "remove")
    assert kinds(home) == ["key-file"]
    assert "has no passphrase" in home.said("passphrase", "remove")
    home.done("agent", "restart")
    assert home.done("token", URL) == "t\n"


def test_a_new_vault_may_begin_with_its_passphrase(home: Home) -> None:
    home.done("passphrase", "set", **phrase(home))
    home.done("login", URL, "--token", "t")
    assert kinds(home) == ["passphrase"]


def test_a_new_passphrase_is_not_guessed_where_nobody_can_be_asked(home: Home) -> None:
    assert "no terminal" in home.refused("passphrase", "set")


def test_a_projects_directory_is_obeyed_once_it_is_trusted(home: Home) -> None:
    project = home.path / "uv.toml"
    project.write_text('auth-cache-dir = "vaults"\n')
    before = home.done("dir")
    assert f"`auth trust {home.path}`" in home.said("dir", "-v")
    assert str(project) in home.said("trust", ".")
    assert home.done("dir") == f"{home.path}/vaults\n" != before
    assert "already trusted" in home.said("trust", ".")
    project.write_text('auth-cache-dir = "elsewhere"\n')
    assert home.done("dir") == before


def test_trusting_a_directory_without_settings_is_an_error(home: Home) -> None:
    home.refused("trust", "/")


def test_a_projects_name_for_an_index_is_shown_before_it_is_used(home: Home) -> None:
    (home.path / "uv.toml").write_text('[[index]]\nname = "corp"\nurl = "https://h.example/"\n')
    told = home.said("login", "corp", "--token", "t")
    assert f"corp is https://h.example/ ({home.path}/uv.toml)" in told
