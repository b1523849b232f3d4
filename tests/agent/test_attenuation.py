"""What a fetch hands out: children by default, the whole only to who asks, never what fails later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import START, Engine
from support.macaroons import IDENTIFIER, caveats_of, token_of
from tokenward_agent.failure import Failure, KeyDestroyed
from tokenward_agent.peer.evidence import Evidence
from tokenward_agent.requests.fetch import Fetch
from tokenward_agent.requests.project_detection import ProjectDetector, ProjectFolders
from tokenward_agent.store.lookup import RecordSecret
from tokenward_agent.wire.answer import Answer
from tokenward_agent.wire.request import Request
from tokenward_protocol.index_tokens import MOST_SEALED_TTL, MOST_TTL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYPI, TESTPYPI = "https://upload.pypi.org/legacy/", "https://test.pypi.org/legacy/"
DEVPI, OTHER = "https://devpi.example/root/dev/", "https://index.example/"
TOKEN = token_of("pypi.org", IDENTIFIER, '[3,"a user"]')
BOUND = token_of("pypi.org", "bound", '[1,["one","two"]]')


def caveats(token: str) -> list[str]:
    """Return the caveats of a token that its index would take."""
    found = caveats_of(token)
    assert found is not None
    return found


class Asked:
    """An engine that is asked one thing after the other."""

    def __init__(self, root: Path, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.engine = runner.run(self._made(root))

    async def _made(self, root: Path) -> Engine:
        engine = Engine(root)
        if engine.disabled.state == "absent":
            await engine.make("disabled")
        else:
            await engine.open("disabled")
        return engine

    def ask(self, op: str, body: str = "", **arguments: Any) -> tuple[dict[str, Any], str]:
        header, answer = self._runner.run(self.engine.ask(op, body.encode(), **arguments))
        return header, answer.decode()

    def login(self, service: str, token: str, **more: Any) -> dict[str, Any]:
        named = {"service": service, "username": "__token__", "provider": "disabled"}
        return self.ask("login", token, **{**named, **more})[0]

    def fetch(self, service: str = PYPI, **more: Any) -> tuple[dict[str, Any], str]:
        return self.ask("fetch", service=service, **more)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as found:
        yield found


@pytest.fixture
def holder(tmp_path: Path, runner: asyncio.Runner) -> Asked:
    """An agent that holds TOKEN for PyPI."""
    found = Asked(tmp_path, runner)
    assert found.login(PYPI, TOKEN)["ok"] is True
    return found


def test_a_fetch_that_asks_for_nothing_gets_a_child_for_an_hour(holder: Asked) -> None:
    header, child = holder.fetch()
    assert caveats(child) == ['[3,"a user"]', f"[0,{START + 3600},0]"]
    assert (header["narrowed"], header["expires"], header["projects"]) == (
        True,
        START + 3600,
        None,
    )


def test_a_child_is_as_narrow_as_it_was_asked_for(holder: Asked) -> None:
    header, child = holder.fetch(projects="My_Pkg two", ttl=60)
    assert caveats(child)[1:] == [f"[0,{START + 60},0]", '[1,["my-pkg","two"]]']
    assert header["expires"] == START + 60
    assert header["projects"] == ["my-pkg", "two"]


def test_devpi_gets_a_child_in_its_own_dialect(holder: Asked) -> None:
    holder.login(DEVPI, token_of("", "user-abc", prefix="devpi-"))
    _, child = holder.fetch(DEVPI, projects="one")
    assert caveats(child) == [f"expires={START + 3600}", "projects=one"]


def test_the_whole_is_handed_out_to_who_asks_for_it(holder: Asked) -> None:
    header, token = holder.fetch(whole=True)
    assert token == TOKEN
    assert (header["narrowed"], header["expires"], header["projects"]) == (False, None, None)


@pytest.mark.parametrize(
    "secret",
    [
        "a password",
        "",
        "pypi-not-a-macaroon",
        TOKEN[:-4],
        token_of("index.example"),
        token_of("", "no location"),
        "pypi-" + "A" * 9000,
        "x" * 65536,
    ],
    ids=lambda secret: f"{secret[:20]} of {len(secret)}",
)
def test_what_cannot_be_narrowed_is_handed_out_as_it_is(holder: Asked, secret: str) -> None:
    holder.login(OTHER, secret)
    header, found = holder.fetch(OTHER)
    assert found == secret
    assert header["narrowed"] is False
    for wish in ({"projects": "one"}, {"ttl": 60}):
        refused, found = holder.fetch(OTHER, **wish)
        assert refused["code"] == "refused"
        assert "cannot be attenuated" in refused["message"]
        assert found == ""


def test_a_password_is_opened_once_to_see_that_it_cannot_be_attenuated(
    holder: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    whole = RecordSecret.open_into

    def open_into(secret: RecordSecret, view: memoryview) -> None:
        opened.append(secret)
        whole(secret, view)

    monkeypatch.setattr(RecordSecret, "open_into", open_into)
    holder.login(OTHER, "a password")
    opened.clear()
    for opens in (2, 1, 1):
        assert holder.fetch(OTHER)[1] == "a password"
        assert len(opened) == opens
        opened.clear()
    assert holder.fetch()[0]["narrowed"] is True


def test_a_token_that_an_index_would_refuse_is_not_sent_to_fail_there(holder: Asked) -> None:
    holder.login(PYPI, token_of("pypi.org", "x", f"[0,{START + 900},{START + 99}]"))
    holder.engine.clock.pass_by(30)
    header, body = holder.fetch()
    assert (header["code"], body) == ("refused", "")
    assert "not valid yet" in header["message"]
    assert holder.fetch(whole=True)[0]["ok"] is True


def test_a_token_that_shows_its_end_is_gone_from_then_on(holder: Asked) -> None:
    holder.login(PYPI, token_of("pypi.org", "x", f"[0,{START + 30},0]"))
    holder.engine.clock.pass_by(29)
    assert holder.fetch(whole=True)[0]["ok"] is True
    holder.engine.clock.pass_by(1)
    for header, body in (holder.fetch(), holder.fetch(whole=True)):
        assert (header["code"], body) == ("not-found", "")


def test_a_child_for_a_project_that_its_parent_is_not_for_is_refused(holder: Asked) -> None:
    holder.ask("logout", service=PYPI)
    holder.login(PYPI, BOUND)
    header, _ = holder.fetch(projects="three")
    assert header["code"] == "refused"
    assert "is for `one` and `two` alone, and not for `three`" in header["message"]
    header, child = holder.fetch(projects="two")
    assert header["projects"] == ["two"]
    assert caveats(child)[-1] == '[1,["two"]]'
    header, _ = holder.fetch()
    assert header["projects"] == ["one", "two"]


def test_a_child_does_not_outlive_its_login(holder: Asked) -> None:
    holder.login(PYPI, TOKEN, lifetime=100)
    header, child = holder.fetch()
    assert header["expires"] == START + 100
    assert caveats(child)[-1] == f"[0,{START + 100},0]"
    holder.engine.clock.pass_by(100)
    assert holder.fetch()[0]["code"] == "not-found"


@pytest.mark.parametrize(
    "wish",
    [
        {"ttl": 59},
        {"ttl": 0},
        {"ttl": (1 << 63) - 1},
        {"projects": ""},
        {"projects": "a,b"},
        {"projects": "a  b"},
        {"whole": True, "ttl": 60},
        {"whole": True, "projects": "a"},
    ],
    ids=str,
)
def test_a_wish_that_cannot_be_meant_is_refused(holder: Asked, wish: dict[str, Any]) -> None:
    header, body = holder.fetch(**wish)
    assert (header["code"], body) == ("bad-request", "")


def test_each_fetch_gets_a_child_of_its_own_time(holder: Asked) -> None:
    first = holder.fetch()[1]
    holder.engine.clock.pass_by(1)
    second = holder.fetch()[1]
    assert first != second


class Known(ProjectDetector):
    """What is known is told here: how it is found out is another test's."""

    def __init__(self, *projects: str, at_once: bool) -> None:
        super().__init__(ProjectFolders())
        self.evidence, self.fast = Evidence(projects, "files"), at_once

    def try_detect(self, request: Request) -> Evidence | None:
        return self.evidence if self.fast else None

    async def detect(self, request: Request) -> Evidence:
        return self.evidence


def fetch_with(engine: Engine, known: Known) -> Fetch:
    """Return the fetches of an engine, with what is known of a project."""
    return Fetch(
        engine.vaults,
        engine.opening,
        engine.made,
        engine.derived_tokens,
        known,
        engine.authorizer,
    )


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "after a look"])
def test_what_is_known_narrows_what_was_not_asked_for_and_never_the_whole(
    holder: Asked, runner: asyncio.Runner, at_once: bool
) -> None:
    engine = holder.engine
    known = Known("two", at_once=at_once)
    fetch = fetch_with(engine, known)

    def limits(**more: Any) -> tuple[Any, Any]:
        request = Request("fetch", 1, "", {"service": PYPI, **more})
        answer = fetch.try_fetch(request) or runner.run(fetch.fetch(request, memoryview(b"")))
        return answer.values["projects"], answer.values["evidence"]

    assert limits() == (["two"], "files")
    assert limits(projects="one") == (["one"], "asked")
    assert limits(whole=True) == (None, None)
    holder.ask("logout", service=PYPI)
    holder.login(PYPI, token_of("pypi.org", "for three", '[1,["three"]]'))
    assert limits() == (["three"], None)
    holder.login(OTHER, "a password")
    assert limits(service=OTHER) == (None, None)


@pytest.mark.parametrize(
    ("held", "given"),
    [
        ("", ["mine"]),  # good for all projects, and narrowed to the one that is uploaded
        ('[1,["mine","other"]]', ["mine"]),
        ('[1,["other"]]', None),
        ('[1,["other","third"]]', None),
    ],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "after a look"])
def test_an_upload_that_the_policy_allows_gets_no_token_for_what_it_does_not_allow(
    holder: Asked, runner: asyncio.Runner, held: str, given: list[str] | None, *, at_once: bool
) -> None:
    engine, known = holder.engine, Known("mine", at_once=at_once)
    holder.ask("logout", service=PYPI)
    holder.login(PYPI, token_of("pypi.org", "held", *filter(None, [held])))
    engine.config.write_text(
        '[[policy]]\nproject = "mine"\ndecide = "allow"\n[[policy]]\ndecide = "deny"\n'
    )
    fetch = fetch_with(engine, known)

    def limits() -> Any:
        request = Request("fetch", 1, "", {"service": PYPI})
        answer = fetch.try_fetch(request) or runner.run(fetch.fetch(request, memoryview(b"")))
        return answer.values["projects"]

    if given is None:
        with pytest.raises(Failure) as failed:
            limits()
        assert failed.value.code == "refused"
    else:
        assert limits() == given


def test_the_whole_is_judged_by_what_it_is_good_for(holder: Asked) -> None:
    holder.ask("logout", service=PYPI)
    holder.login(PYPI, BOUND)
    for project, ok in (("two", False), ("three", True)):
        holder.engine.config.write_text(f'[[policy]]\nproject = "{project}"\ndecide = "deny"\n')
        wishes: list[dict[str, Any]] = [{"whole": True}, {"ttl": 60}, {}]
        for wish in wishes:
            assert holder.fetch(**wish)[0]["ok"] is ok
        assert holder.fetch(projects="one")[0]["ok"]


# A child never replaces its parent.


def test_a_tool_that_saves_what_it_got_leaves_the_parent_in_place(holder: Asked) -> None:
    _, child = holder.fetch(projects="one")
    header = holder.login(PYPI, child)
    assert (header["ok"], header["kept"], header["replaced"]) == (True, True, False)
    assert holder.fetch(whole=True)[1] == TOKEN
    holder.login(DEVPI, token_of("", "user-abc", prefix="devpi-"))
    _, child = holder.fetch(DEVPI)
    assert holder.login(f"{DEVPI}below/", child)["kept"] is True
    assert len(holder.engine.disabled.records) == 2


def test_another_token_or_a_wider_one_of_the_same_projects_takes_the_place(holder: Asked) -> None:
    other = token_of("pypi.org", "another", '[3,"a user"]', "[0,9999999999,0]")
    header = holder.login(PYPI, other)
    assert (header["kept"], header["replaced"]) == (False, True)
    for wider in (token_of("pypi.org", "another", '[3,"a user"]'), token_of("pypi.org", "another")):
        assert holder.login(PYPI, wider)["kept"] is False
        assert holder.fetch(whole=True)[1] == wider


def test_a_child_of_somebody_elses_is_stored(holder: Asked) -> None:
    _, child = holder.fetch()
    header = holder.login(PYPI, child, username="ana")
    assert header["kept"] is False
    header = holder.login(OTHER, child)
    assert header["kept"] is False


# Sealed.


def test_a_sealed_token_is_used_and_never_shown(
    holder: Asked, tmp_path: Path, runner: asyncio.Runner
) -> None:
    assert holder.login(PYPI, TOKEN, sealed=True)["ok"] is True
    header, body = holder.fetch(whole=True)
    assert (header["code"], body) == ("refused", "")
    assert "sealed" in header["message"]
    assert caveats(holder.fetch()[1])
    again = Asked(tmp_path, runner)
    assert again.fetch(whole=True)[0]["code"] == "refused"
    assert caveats(again.fetch()[1])


def test_of_what_cannot_be_narrowed_and_is_sealed_nothing_is_handed_out(holder: Asked) -> None:
    for secret in ("a password", token_of("index.example"), TOKEN[:-4]):
        header = holder.login(OTHER, secret, sealed=True)
        assert "`auth exec --relay -- CMD`" in header["notes"][-1]
        for asked in ({}, {"whole": True}, {"ttl": 60}, {"ttl": MOST_TTL}, {"projects": "one"}):
            header, body = holder.fetch(OTHER, **asked)
            assert (header["code"], header["why"], body) == ("refused", "sealed", "")
            assert "`auth exec --relay -- CMD`" in header["hint"]
        holder.engine.config.write_text('[[policy]]\ndecide = "allow"\nnarrow = false\n')
        assert holder.fetch(OTHER)[0]["code"] == "refused"
        holder.engine.config.unlink()
        (record,) = (each for each in holder.engine.disabled.records.values() if each.relay_alone)
        assert (record.service, record.never_shown) == (OTHER, True)


def test_what_no_relay_can_use_is_not_sealed(holder: Asked) -> None:
    header = holder.login("a word", "a password", sealed=True)
    assert header["code"] == "refused"
    assert "is not a URL" in header["message"]
    header, _ = holder.ask(
        "login", service=OTHER, username="u", provider="keyring", adopt=OTHER, sealed=True
    )
    assert header["code"] == "bad-request"
    assert len(holder.engine.disabled.records) == 1


def test_a_new_login_says_anew_whether_it_is_sealed(holder: Asked) -> None:
    holder.login(PYPI, TOKEN, sealed=True)
    holder.login(PYPI, token_of("pypi.org", "another"))
    assert holder.fetch(whole=True)[0]["ok"] is True


@pytest.mark.parametrize(
    ("sealed", "ttl", "code"),
    [
        (True, MOST_SEALED_TTL, None),
        (True, MOST_SEALED_TTL + 1, "refused"),
        (False, MOST_SEALED_TTL + 1, None),
        (False, MOST_TTL, None),
        (False, MOST_TTL + 1, "bad-request"),
        (False, 36500 * 86400, "bad-request"),
    ],
)
def test_a_child_lives_for_a_year_at_most_and_one_of_a_sealed_token_for_a_day(
    holder: Asked, ttl: int, code: str | None, *, sealed: bool
) -> None:
    holder.login(PYPI, TOKEN, sealed=sealed)
    header, body = holder.fetch(ttl=ttl)
    assert header.get("code") == code
    if code is None:
        assert caveats(body)[-1] == f"[0,{START + ttl},0]"
    else:
        assert ("one day at most" if sealed else "366 days at most") in header["message"]


def test_no_rule_has_a_child_of_a_sealed_token_live_longer(holder: Asked) -> None:
    holder.login(PYPI, TOKEN, sealed=True)
    holder.engine.config.write_text('[[policy]]\ndecide = "allow"\nttl = "30d"\n')
    assert holder.fetch()[0]["expires"] == START + MOST_SEALED_TTL


# What is said of a token.


def test_a_description_has_all_that_is_visible_and_no_identifier(holder: Asked) -> None:
    token = token_of(
        "test.pypi.org", IDENTIFIER, '[4,"publisher",null]', '[2,["id"]]', "[0,1790000900,5]", "?"
    )
    holder.login(TESTPYPI, token, sealed=True)
    header, body = holder.ask("describe", service=TESTPYPI)
    assert body == ""
    assert header["sealed"] is True
    assert header["token"] == {
        "dialect": "pypi",
        "location": "test.pypi.org",
        "narrows": True,
        "confined": True,
        "visible": True,
        "expires": 1790000900,
        "not_before": 5,
        "projects": None,
        "project_ids": ["id"],
        "user": None,
        "publisher": "publisher",
        "indexes": None,
        "allowed": None,
        "legacy": False,
        "unknown": 1,
        "caveats": 4,
    }
    assert IDENTIFIER not in repr(header)


def test_a_description_of_a_password_says_that_it_is_no_token(holder: Asked) -> None:
    holder.login(OTHER, "a password", lifetime=50)
    header, body = holder.ask("describe", service=OTHER)
    assert (header["token"], header["expires"], body) == (None, START + 50, "")
    assert holder.ask("describe", service="https://none.example/")[0]["code"] == "not-found"


def test_a_list_says_how_wide_each_token_is(holder: Asked) -> None:
    holder.login(TESTPYPI, token_of("test.pypi.org", "x", '[1,["one","two"]]'))
    holder.login(DEVPI, token_of("", "user-x", prefix="devpi-"))
    holder.login(OTHER, "a password")
    header: Any = holder.ask("list")[0]
    tokens = {entry["service"]: entry["token"] for entry in header["entries"]}
    assert tokens[OTHER] is None
    assert tokens[TESTPYPI]["projects"] == ["one", "two"]
    wide = {key: (each["confined"], each["visible"]) for key, each in tokens.items() if each}
    assert wide == {PYPI: (False, True), TESTPYPI: (True, True), DEVPI: (False, False)}


def test_a_lock_makes_a_child_that_waits_to_be_sent_unreadable(holder: Asked) -> None:
    answer = holder.engine.dispatch(Request("fetch", 1, "", {"service": PYPI}), memoryview(b""))
    assert isinstance(answer, Answer)
    assert answer.secret is not None
    holder.ask("lock")
    with pytest.raises(KeyDestroyed):
        answer.secret.open_into(memoryview(bytearray(answer.secret.size)))


def test_nothing_is_left_in_the_regions_that_children_are_made_in(holder: Asked) -> None:
    holder.fetch(projects="one")
    holder.fetch(TESTPYPI)
    holder.ask("describe", service=PYPI)
    held = bytes(holder.engine.arena.view)
    assert TOKEN.encode()[:24] not in held
    assert IDENTIFIER.encode() not in held
