"""`auth` as somebody at a terminal meets it: what is asked, what is shown, how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.inspection.held_texts import paths_below
from support.terminal import Shell, Typist

if TYPE_CHECKING:
    from support.home import Home

URL = "https://h.example/"
CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"


def stored(home: Home) -> str:
    return home.done("list")


def test_seed_login_asks_for_what_is_missing(home: Home) -> None:
    person = Typist(home, "login", "--no-check", URL)
    person.answers(f"User name for {URL} (empty: an API token):", "alice")
    person.answers(f"Password of alice for {URL} (not shown):", "s3cret wörd")
    person.answers("New passphrase for the vault (empty: a key file):", "")
    assert f"Stored the password of alice for {URL} in the file vault." in person.leaves(0)
    assert home.done("token", URL) == "s3cret wörd\n"


def test_seed_a_password_is_typed_unseen(home: Home) -> None:
    person = Typist(home, "login", "--no-check", URL, "-u", "alice").sees("(not shown):")
    assert not person.echoes()
    person.types("s3cret\r").answers("New passphrase", "phrase").answers("The same again", "phrase")
    shown = person.leaves(0)
    assert "s3cret" not in shown
    assert "phrase\n" not in shown.replace("passphrase", "")


def test_pypi_is_asked_for_the_token_alone(home: Home) -> None:
    shown = (
        Typist(home, "login", "--no-check")
        .answers("API token for pypi (not shown):", "nonsense")
        .leaves(2)
    )
    assert "User name" not in shown
    assert "nonsense" not in shown
    assert "begins with pypi-" in shown


def test_blanks_around_a_pasted_token_are_dropped_and_those_of_a_password_kept(home: Home) -> None:
    person = (
        Typist(home, "login", "--no-check", URL)
        .answers("User name", "")
        .answers("API token for", "  tok  ")
    )
    person.answers("New passphrase", "").leaves(0)
    Typist(home, "login", "--no-check", URL, "-u", "bob").answers(
        "Password of bob", "  pw  "
    ).leaves(0)
    assert home.done("token", URL) == "tok\n"
    assert home.done("token", URL, "-u", "bob") == "  pw  \n"


def test_a_token_of_5000_characters_can_be_pasted(home: Home) -> None:
    token = "t0ken" * 1000
    person = (
        Typist(home, "login", "--no-check", URL)
        .answers("User name", "")
        .answers("API token for", token)
    )
    person.answers("New passphrase", "").leaves(0)
    assert home.done("token", URL) == f"{token}\n"


def test_a_typing_mistake_can_be_taken_back(home: Home) -> None:
    person = Typist(home, "login", "--no-check", URL, "-u", "alice")
    person.answers("Password of alice", "wrong\x15rigth\x7f\x7fht")
    person.answers("New passphrase", "").leaves(0)
    assert home.done("token", URL) == "right\n"


@pytest.mark.parametrize("question", ["User name", "Password of alice"])
@pytest.mark.parametrize(("key", "said"), [(CTRL_C, "Interrupted."), (CTRL_D, "input ended")])
def test_leaving_at_a_question_stores_nothing(
    home: Home, question: str, key: str, said: str
) -> None:
    person = Typist(home, "login", "--no-check", URL)
    if question != "User name":
        person.answers("User name", "alice")
    shown = person.sees(question).types(key).leaves(2)
    assert f"error: {'The ' if key == CTRL_D else ''}{said}" in shown
    assert "Traceback" not in shown
    assert stored(home) == ""


def test_leaving_at_the_question_for_a_new_passphrase_makes_no_vault(home: Home) -> None:
    person = Typist(home, "login", "--no-check", URL, "-u", "alice").answers(
        "Password of alice", "s3cret"
    )
    person.sees("New passphrase").types(CTRL_C).leaves(2)
    assert not list(paths_below(home.path, "*.vault"))


def test_two_different_new_passphrases_are_asked_for_again(home: Home) -> None:
    person = Typist(home, "login", "--no-check", URL, "-u", "alice").answers(
        "Password of alice", "s3cret"
    )
    person.answers("New passphrase", "one").answers("The same again:", "two")
    person.sees("The two passphrases differ.")
    person.answers("New passphrase", "one").answers("The same again:", "one").leaves(0)
    home.done("agent", "restart")
    assert "one" not in Typist(home, "token", URL).answers("Passphrase:", "one").leaves(0)


def test_a_vault_closed_by_a_restart_asks_for_its_passphrase(home: Home) -> None:
    with_passphrase(home)
    home.done("agent", "restart")
    person = Typist(home, "token", URL).answers("Passphrase:", "wrong")
    person.sees("The passphrase is wrong.").answers("Passphrase:", "phrase")
    assert person.leaves(0).endswith("s3cret\n")


def test_an_empty_answer_opens_nothing(home: Home) -> None:
    with_passphrase(home)
    home.done("lock")
    assert "No passphrase was given." in Typist(home, "token", URL).answers(
        "Passphrase:", ""
    ).leaves(2)


def test_three_wrong_passphrases_are_the_end_of_it(home: Home) -> None:
    with_passphrase(home)
    home.done("lock")
    person = Typist(home, "unlock")
    for _ in range(3):
        person.answers("Passphrase:", "wrong")
    assert "error:" in person.leaves(2)


def test_ending_a_lock_that_needs_no_passphrase_takes_a_yes(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    home.done("lock")
    assert "s3cret" not in Typist(home, "token", URL).answers("Unlock it? [y/N]", "").leaves(2)
    assert "s3cret" not in Typist(home, "token", URL).answers("Unlock it? [y/N]", "n").leaves(2)
    assert (
        Typist(home, "token", URL).answers("Unlock it? [y/N]", "y").leaves(0).endswith("s3cret\n")
    )


def test_a_lock_from_before_the_first_vault_can_be_ended_on_the_way(home: Home) -> None:
    home.done("lock")
    person = Typist(home, "login", "--no-check", URL, "-u", "alice").answers(
        "Password of alice", "s3cret"
    )
    person.answers("New passphrase", "").sees("The agent is locked.")
    person.answers("Unlock it? [y/N]", "y").leaves(0)
    assert home.done("token", URL) == "s3cret\n"


def test_other_commands_do_not_ask_to_end_a_lock(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    home.done("lock")
    assert "[y/N]" not in Typist(home, "list").leaves(0)
    assert "[y/N]" not in Typist(home, "logout", URL).leaves(2)


def test_the_old_passphrase_is_asked_for_before_a_new_one(home: Home) -> None:
    with_passphrase(home)
    home.done("agent", "restart")
    person = Typist(home, "passphrase", "set").answers("Passphrase:", "phrase")
    person.answers("New passphrase:", "newer").answers("The same again:", "newer").leaves(0)
    home.done("agent", "restart")
    assert "s3cret" in Typist(home, "token", URL).answers("Passphrase:", "newer").leaves(0)


def test_suspending_at_a_hidden_question_gives_the_terminal_back(home: Home) -> None:
    shell = Shell(home).types(f"auth login --no-check {URL} -u alice\r").sees("(not shown):")
    assert not shell.echoes()
    shell.types(CTRL_Z).sees("Stopped")
    assert shell.types("stty -a\r").sees(" echo ")
    shell.types("fg\r").sees("(not shown):")
    assert not shell.echoes()
    shell.types("s3cret\r").answers("New passphrase", "").sees("Stored")
    shell.types("exit\r").leaves(0)
    assert "s3cret" not in shell.shown
    assert home.done("token", URL) == "s3cret\n"


def test_stdin_and_stdout_may_be_elsewhere(home: Home) -> None:
    """Questions go to the terminal; here stdin is one, and `-` is asked for without being shown."""
    person = Typist(home, "login", "--no-check", URL, "--token", "-").sees("(not shown):")
    assert not person.echoes()
    person.types("tok\r").answers("New passphrase", "").leaves(0)
    assert home.done("token", URL) == "tok\n"


def test_colour_is_for_terminals_and_can_be_turned_off(home: Home) -> None:
    assert "\x1b[" in Typist(home, "logout", NO_COLOR="").leaves(2)
    assert "\x1b[" not in Typist(home, "logout", NO_COLOR="1").leaves(2)
    assert "\x1b[" not in Typist(home, "logout", NO_COLOR="", TERM="dumb").leaves(2)
    assert "\x1b[" not in Typist(home, "--color", "never", "logout", NO_COLOR="").leaves(2)
    assert "\x1b[" in home.auth("logout", "--color", "always").stderr
    assert "\x1b[" not in home.auth("logout").stderr


def with_passphrase(home: Home) -> None:
    """Store one credential in a vault that opens with the passphrase `phrase`."""
    file = home.path / "phrase"
    file.touch(mode=0o600)
    file.write_text("phrase\n")
    home.done(
        "login",
        *(URL, "-u", "alice", "--password", "s3cret"),
        TOKENWARD_PASSPHRASE_FILE=str(file),
    )
