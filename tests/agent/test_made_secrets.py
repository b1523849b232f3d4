"""What commands make: run when needed, kept until the end, renewed ahead of it, one run at a time."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import Engine, ManualClock
from support.recipes import Maker
from support.waiting import until_in_loop
from tokenward_agent.failure import Failure, KeyDestroyed
from tokenward_agent.store.made_secrets import Asker
from tokenward_agent.worker.said import last_line

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://index.example/team/"
BOTH = {"service": URL, "username": "ana"}


class Recipes:
    """An engine with one recipe, and what tests ask of it."""

    def __init__(self, root: Path) -> None:
        self.maker = Maker(root / "bin")
        self.clock = ManualClock()
        self.engine = Engine(root, self.clock)

    async def ask(self, op: str, body: bytes = b"", /, **arguments: Any) -> dict[str, Any]:
        header, secret = await self.engine.ask(op, body, **arguments)
        return {**header, "secret": secret.decode()}

    async def log_in(self, **more: str) -> dict[str, Any]:
        return await self.ask("login", self.maker.recipe(**more), **BOTH, recipe=True)

    async def get(self) -> Any:
        """Return the secret for one who waits, or the code of the failure."""
        answer = await self.ask("fetch", service=URL, attended=True)
        return answer["secret"] if answer["ok"] else answer["code"]

    async def settle(self) -> None:
        """Wait until no command runs."""
        await until_in_loop(lambda: not self.engine.made._running)


@pytest.fixture
def it(tmp_path: Path) -> Recipes:
    return Recipes(tmp_path)


def run(scenario: Any) -> None:
    asyncio.run(scenario)


def test_a_login_runs_the_command_once_and_what_it_made_answers_until_shortly_before_its_end(
    it: Recipes,
) -> None:
    async def scenario() -> None:
        it.maker.makes(3600)
        answer = await it.log_in()
        assert answer["provider"] == "command"
        assert answer["expires"] == it.clock.wall() + 3600
        assert [await it.get() for _ in range(3)] == ["secret-1"] * 3
        assert it.maker.runs == 1
        it.clock.pass_by(3550)
        assert await it.get() == "secret-2"
        assert it.maker.runs == 2

    run(scenario())


def test_a_use_after_most_of_the_life_renews_it_and_gets_what_is_there(it: Recipes) -> None:
    async def scenario() -> None:
        it.maker.makes(3600)
        await it.log_in()
        it.clock.pass_by(2800)
        assert await it.get() == "secret-1"
        await it.settle()
        assert it.maker.runs == 1
        it.clock.pass_by(100)
        it.maker.hold(on=True)
        assert [await it.get() for _ in range(3)] == ["secret-1"] * 3
        it.maker.hold(on=False)
        await it.settle()
        assert await it.get() == "secret-2"
        assert it.maker.runs == 2

    run(scenario())


def test_many_who_need_it_at_once_wait_for_one_run(it: Recipes) -> None:
    async def scenario() -> None:
        it.maker.makes(20)  # too short to be kept at all
        await it.log_in()
        it.maker.hold(on=True)
        waiting = [asyncio.create_task(it.get()) for _ in range(20)]
        await until_in_loop(lambda: it.maker.runs == 2)
        it.maker.hold(on=False)
        assert set(await asyncio.gather(*waiting)) == {"secret-2"}
        assert it.maker.runs == 2

    run(scenario())


def test_one_who_does_not_wait_is_told_that_it_is_being_made_and_comes_back_for_it(
    it: Recipes,
) -> None:
    async def scenario() -> None:
        it.maker.makes(3600)
        await it.log_in()
        it.clock.pass_by(4000)
        it.maker.hold(on=True)
        told = await it.ask("fetch", service=URL)
        assert told["code"] == "making"
        assert (await it.ask("fetch", service=URL))["code"] == "making"
        it.maker.hold(on=False)
        assert await it.get() == "secret-2"
        assert (await it.ask("fetch", service=URL))["secret"] == "secret-2"
        assert it.maker.runs == 2

    run(scenario())


def test_after_failures_the_command_rests_ever_longer_and_the_former_credential_still_answers(
    it: Recipes,
) -> None:
    async def scenario() -> None:
        it.maker.makes(3600)
        await it.log_in()
        it.maker.prints("", 1, "the cloud is away")
        it.clock.pass_by(3000)
        for runs, rest in ((2, 10), (3, 20), (4, 40), (5, 80)):
            assert await it.get() == "secret-1"
            await it.settle()
            assert it.maker.runs == runs
            it.clock.pass_by(rest - 1)
            assert await it.get() == "secret-1"
            await it.settle()
            assert it.maker.runs == runs
            it.clock.pass_by(1)
        it.clock.pass_by(410)  # 40 seconds are left
        assert await it.get() == "secret-1"
        it.clock.pass_by(20)
        assert await it.get() == "command"
        it.maker.makes(3600)
        it.clock.pass_by(301)
        assert await it.get() == f"secret-{it.maker.runs}"

    run(scenario())


@pytest.mark.parametrize(
    ("printed", "status", "said", "code", "message"),
    [
        (
            "",
            3,
            "maker: run `maker login` first",
            "command",
            "maker failed with status 3: maker: run `maker login` first.",
        ),
        ("abc", 1, "token=abcdef\nhunter22", "command", "hunter22"),
        ("", 0, "", "not-found", "maker printed no credential."),
        ('{"token": 5}', 0, "", "command", "maker printed a secret that is not text."),
        (
            '{"token": "t", "expires": "2020-01-01T00:00:00Z"}',
            0,
            "",
            "command",
            "is over by the clock",
        ),
    ],
)
def test_a_failure_is_said_in_words_and_stores_nothing(
    it: Recipes, printed: str, status: int, said: str, code: str, message: str
) -> None:
    async def scenario() -> None:
        it.maker.prints(printed, status, said)
        answer = await it.log_in()
        assert answer["code"] == code
        assert message in answer["message"]
        assert (await it.ask("list"))["entries"] == []

    run(scenario())


def test_a_program_with_rights_of_its_own_is_named_as_what_the_agent_cannot_start_so(
    it: Recipes,
) -> None:
    async def scenario() -> None:
        it.maker.program.chmod(0o2755)
        it.maker.prints("", 1, "cannot connect to the desktop app")
        answer = await it.log_in()
        assert "cannot connect to the desktop app" in answer["message"]
        assert answer["hint"].startswith("a login with `--attended`, or `run-in = ")

    run(scenario())


def test_of_what_a_program_says_only_a_line_without_a_secret_is_quoted() -> None:
    said = b"reading the item\nnot signed in\ngot hunter22 wrong\npassword: x\nid 8sd7f6s8df76sd8f76sd8f7\n\n"
    assert last_line(said, b"hunter22") == "not signed in"
    assert last_line(b"\x1b[31mno \xe2\x80\xaesuch item.\n", b"") == "[31mno  such item"
    assert last_line(b"secret-1234", b"secret-1234") == ""


def test_a_command_that_does_not_end_is_ended_with_its_children(it: Recipes) -> None:
    async def scenario() -> None:
        it.maker.hold(on=True)
        answer = await it.log_in(timeout="1s")
        assert answer["message"] == "maker did not end within 1 seconds."
        it.maker.hold(on=False)

    run(scenario())


def test_a_lock_forgets_what_was_made_and_what_is_being_made(it: Recipes) -> None:
    async def scenario() -> None:
        it.maker.makes(3600)
        await it.log_in()
        made = it.engine.made
        record = next(iter(it.engine.vaults.recipes))
        secret = made.peek(record)
        assert secret is not None
        it.clock.pass_by(3000)
        it.maker.hold(on=True)
        assert await it.get() == "secret-1"  # and begins a renewal
        await until_in_loop(lambda: it.maker.runs == 2)
        await it.ask("lock")
        with pytest.raises(KeyDestroyed):
            secret.secret.open_into(memoryview(bytearray(secret.secret.size)))
        assert await it.get() == "locked"
        it.maker.hold(on=False)
        assert await it.get() == "locked"
        assert made.peek(record) is None
        await it.ask("unlock")
        assert await it.get() == "secret-3"

    run(scenario())


def test_a_recipe_answers_without_any_vault_and_while_one_is_closed(it: Recipes) -> None:
    async def scenario() -> None:
        it.maker.makes(3600)
        await it.log_in()
        await it.engine.make("disabled")
        it.engine.locking.close()
        assert await it.get() == "secret-1"

    run(scenario())


def test_the_latest_login_of_an_account_counts_whether_a_secret_or_a_recipe(it: Recipes) -> None:
    async def scenario() -> None:
        await it.engine.make("disabled")
        stored = {**BOTH, "provider": "disabled"}
        assert (await it.ask("login", b"typed", **stored))["ok"]
        it.maker.makes(3600)
        answer = await it.log_in()
        assert answer["replaced"] is True
        assert await it.get() == "secret-1"
        assert len(it.engine.disabled.records) == 0
        assert (await it.ask("login", b"typed again", **stored))["replaced"] is True
        assert await it.get() == "typed again"
        assert [*it.engine.vaults.recipes] == []
        assert (await it.ask("logout", **BOTH))["count"] == 1
        assert await it.get() == "not-found"

    run(scenario())


def test_an_older_secret_in_a_closed_vault_does_not_come_back_after_the_recipe_is_gone(
    it: Recipes,
) -> None:
    async def scenario() -> None:
        await it.engine.make("disabled")
        await it.ask("login", b"old", **BOTH, provider="disabled")
        it.engine.locking.close()
        (key,) = it.engine.state.glob("*.key")
        key.rename(it.engine.state / "away")
        await it.log_in()
        (it.engine.state / "away").rename(key)
        await it.engine.open("disabled")
        assert len(it.engine.disabled.records) == 0
        await it.ask("logout", **BOTH)
        assert await it.get() == "not-found"

    run(scenario())


def test_the_recipe_outlives_the_agent_and_nothing_that_was_made_does(
    it: Recipes, tmp_path: Path
) -> None:
    async def scenario() -> None:
        it.maker.makes(3600)
        await it.log_in()
        path = it.engine.state / "recipes.toml"
        assert path.stat().st_mode & 0o777 == 0o600
        assert "secret" not in path.read_text().replace("No secret", "")
        later = Engine(tmp_path, it.clock)
        header, secret = await later.ask("fetch", service=URL, attended=True)
        assert header["ok"] is True
        assert secret == b"secret-2"
        assert not any((tmp_path / "credentials").glob("*"))

    run(scenario())


def test_a_damaged_file_of_recipes_is_reported_and_never_overwritten(
    it: Recipes, tmp_path: Path
) -> None:
    async def scenario() -> None:
        path = it.engine.state / "recipes.toml"
        for text in ("[[recipe]\n", '[[recipe]]\nservice = "x"\n'):
            path.write_text(text)
            path.chmod(0o600)
            later = Engine(tmp_path, it.clock)
            header, _ = await later.ask("login", it.maker.recipe(), **BOTH, recipe=True)
            assert header["code"] == "vault"
            status, _ = await later.ask("status")
            assert str(path) in str(status["commands"])
            assert path.read_text() == text

    run(scenario())


@pytest.mark.parametrize("mode", [0o666, 0o644])
def test_recipes_that_other_users_may_see_or_change_are_not_run(
    it: Recipes, tmp_path: Path, mode: int
) -> None:
    async def scenario() -> None:
        await it.log_in()
        (it.engine.state / "recipes.toml").chmod(mode)
        later = Engine(tmp_path, it.clock)
        header, _ = await later.ask("fetch", service=URL, attended=True)
        assert header["code"] == "not-found"
        assert it.maker.runs == 1

    run(scenario())


def test_a_program_that_changed_hands_is_not_run(it: Recipes) -> None:
    async def scenario() -> None:
        it.maker.makes(3600)
        await it.log_in()
        for mode, why in ((0o777, "changed by others"), (0o700, "another owner or mode")):
            await it.ask("logout", **BOTH, refused=True)  # only what was made
            it.maker.program.chmod(mode)
            answer = await it.ask("fetch", service=URL, attended=True)
            assert answer["code"] == "command"
            assert why in answer["message"]
        it.maker.program.unlink()
        assert (
            "does not exist any more"
            in (await it.ask("fetch", service=URL, attended=True))["message"]
        )
        assert it.maker.runs == 1

    run(scenario())


@pytest.mark.parametrize("mark", [".git", "pyproject.toml", "pyvenv.cfg"])
def test_a_program_inside_a_project_is_refused(tmp_path: Path, mark: str) -> None:
    async def scenario() -> None:
        it = Recipes(tmp_path / "checkout")
        (tmp_path / "checkout" / mark).touch()
        answer = await it.log_in()
        assert answer["code"] == "command"
        assert "is not run" in answer["message"]
        assert it.maker.runs == 0

    (tmp_path / "checkout").mkdir(mode=0o700)
    run(scenario())


def test_an_argument_that_looks_like_a_secret_is_refused(it: Recipes) -> None:
    async def scenario() -> None:
        body = it.maker.recipe("--password=hunter2")
        answer = await it.ask("login", body, **BOTH, recipe=True)
        assert answer["code"] == "refused"
        assert "hunter2" not in json.dumps(answer)
        assert it.maker.runs == 0

    run(scenario())


def test_what_needs_the_user_is_kept_from_a_refresh_and_never_run_by_the_agent(
    it: Recipes,
) -> None:
    async def scenario() -> None:
        answer = await it.log_in(attended="always")
        assert answer["ok"] is True
        refused = await it.ask("fetch", service=URL, attended=True)
        assert refused["code"] == "command"
        assert refused["hint"] == f"`auth refresh {URL}` runs it at your terminal"
        told = await it.ask("refresh", service=URL)
        assert told["command"] == [str(it.maker.program)]
        assert it.maker.runs == 0
        kept = await it.ask("refresh", b"typed at a terminal", **BOTH)
        assert kept["expires"] is None
        assert await it.get() == "typed at a terminal"
        it.clock.pass_by(11 * 3600)
        assert await it.get() == "typed at a terminal"
        assert (await it.ask("hello"))["replaceable"] is False
        it.clock.pass_by(3600)
        assert await it.get() == "command"
        assert (await it.ask("hello"))["replaceable"] is True

    run(scenario())


def test_config_toml_has_recipes_too_and_no_request_changes_them(it: Recipes) -> None:
    async def scenario() -> None:
        it.maker.makes(3600)
        entry = f'[services.corp]\nurl = "{URL}simple/"\nusername = "ana"\n'
        it.engine.config.write_text(f'{entry}command = ["{it.maker.program}"]\n')
        assert await it.get() == "secret-1"
        assert (await it.ask("list"))["entries"][0]["command"] == "maker"
        await it.engine.make("disabled")
        for op, body, more in (
            ("login", b"typed", {"provider": "disabled"}),
            ("login", it.maker.recipe(), {"recipe": True}),
            ("logout", b"", {}),
        ):
            refused = await it.ask(op, body, **BOTH, **more)
            assert refused["code"] == "refused"
            assert "config.toml" in refused["message"]
        it.engine.config.write_text(f'{entry}command = ["{it.maker.program}", "other"]\n')
        os.utime(it.engine.config, (1, 1))
        assert await it.get() == "secret-2"
        it.engine.config.write_text(entry)
        assert await it.get() == "not-found"

    run(scenario())


@pytest.mark.parametrize(
    "line", ['command = "maker"', 'command = ["maker"]', 'attended = "always"']
)
def test_a_wrong_recipe_in_config_toml_denies_everything_until_it_is_right(
    it: Recipes, line: str
) -> None:
    async def scenario() -> None:
        it.engine.config.write_text(
            f'[services.corp]\nurl = "{URL}"\nusername = "ana"\n{line}\n# command\n'
        )
        status = await it.ask("status")
        assert "`services.corp` whose `command`" in status["policy"]["problem"]

    run(scenario())


def test_each_run_is_a_line_of_the_log_without_its_arguments(it: Recipes) -> None:
    async def scenario() -> None:
        await it.ask("login", it.maker.recipe("--item", "deep"), **BOTH, recipe=True)
        it.maker.prints("", 1, "some reason")
        it.clock.pass_by(400)
        await it.get()
        lines = [
            json.loads(line)
            for file in sorted((it.engine.state / "audit").glob("*"))
            if file.is_file()
            for line in file.read_text().splitlines()
            if '"event"' in line
        ]
        made = [line for line in lines if line["event"] == "made"]
        assert [line["decision"] for line in made] == ["done", "failed"]
        assert {line["service"] for line in made} == {URL}
        assert "deep" not in json.dumps(lines)
        assert "some reason" not in json.dumps(lines)

    run(scenario())


def test_a_description_runs_no_command(it: Recipes) -> None:
    async def scenario() -> None:
        it.maker.makes(3600)
        await it.log_in()
        it.clock.pass_by(4000)
        answer = await it.ask("describe", service=URL)
        assert answer["recipe"]["command"] == [str(it.maker.program)]
        assert it.maker.runs == 1

    run(scenario())


def test_a_rule_that_denies_keeps_the_command_from_being_run(it: Recipes) -> None:
    async def scenario() -> None:
        it.maker.makes(3600)
        await it.log_in()
        it.clock.pass_by(4000)
        it.engine.config.write_text('[[policy]]\ndecide = "deny"\n')
        assert await it.get() == "refused"
        assert it.maker.runs == 1

    run(scenario())


def test_tokens_of_pypi_that_a_command_makes_are_judged_like_typed_ones(it: Recipes) -> None:
    async def scenario() -> None:
        service = "https://upload.pypi.org/legacy/"
        it.maker.prints("ghp_0123456789")
        answer = await it.ask(
            "login", it.maker.recipe(), service=service, username="__token__", recipe=True
        )
        assert answer["code"] == "command"
        assert "GitHub token" in answer["message"]

    run(scenario())


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        (b"LD_PRELOAD=/tmp/evil.so\0", "refused"),
        (b"NAME=value", "bad-request"),
        (b"NAME\0", "bad-request"),
        (b"N\0AME=x\0", "bad-request"),
        (b"NA ME=x\0", "refused"),
        (b"NAME=" + b"x" * 40_000 + b"\0", "too-large"),
    ],
)
def test_variables_that_a_command_may_not_get_are_refused_unseen(
    it: Recipes, variables: bytes, code: str
) -> None:
    async def scenario() -> None:
        await it.engine.make("disabled")
        arguments = {"recipe": True, "environment": len(variables), "provider": "disabled"}
        body = it.maker.recipe() + variables
        answer = await it.ask("login", body, **BOTH, **arguments)
        assert answer["code"] == code
        assert "evil" not in json.dumps(answer)
        assert it.maker.runs == 0

    run(scenario())


def test_what_a_process_made_is_kept_for_it_until_most_of_its_life_is_over(it: Recipes) -> None:
    async def scenario() -> None:
        made = it.engine.made
        made._asker_of = lambda peer: peer  # type: ignore[assignment, return-value]  # who asks is a test of its own
        entry = f'[services.corp]\nurl = "{URL}"\nusername = "ana"\nrun-in = "asker"\n'
        it.engine.config.write_text(f'{entry}command = ["{it.maker.program}"]\n')
        await it.ask("list")
        (record,) = it.engine.vaults.recipes
        one, other, unknown = Asker(5, 1), Asker(5, 2), Asker(0, 0)

        async def code(peer: Asker) -> str:
            with pytest.raises(Failure) as refused:
                await made.read(record, peer, attended=True)
            return refused.value.code

        assert await code(one) == "asker"
        assert await code(unknown) == "command"
        with pytest.raises(Failure):
            made.keep(record, memoryview(b"of-nobody"), None, unknown)
        end = it.clock.wall() + 1000
        made.keep(record, memoryview(b"of-one"), end, one)
        kept = await made.read(record, one, attended=False)
        assert made.ready(record, one) is kept
        assert await code(other) == "asker", "a process that has its number later is another one"
        assert made.ready(record) is None, "a share or a relay has nothing of it"
        it.clock.pass_by(799)
        assert made.ready(record, one) is kept
        it.clock.pass_by(1)
        assert await code(one) == "asker"
        for number in range(65):
            made.keep(record, memoryview(b"x"), None, Asker(number + 10, 1))
        assert made.ready(record, Asker(10, 1)) is None, "the oldest gave way"
        assert made.ready(record, Asker(74, 1)) is not None
        await it.ask("logout", **BOTH, refused=True)
        assert made.ready(record, Asker(74, 1)) is None
        made.keep(record, memoryview(b"x"), None, one)
        await it.ask("lock")
        with pytest.raises(KeyDestroyed):
            kept.secret.open_into(memoryview(bytearray(kept.secret.size)))
        await it.ask("unlock")
        assert await code(one) == "asker"
        assert it.maker.runs == 0

    run(scenario())
