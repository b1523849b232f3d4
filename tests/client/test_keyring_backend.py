"""The keyring backend over a socket: what it answers, what it never answers, and whom it asks next.

What it stores, and keyring's own suite, are in tests/end_to_end/test_keyring_suite.py.
"""

from __future__ import annotations

import json
import os
import sys
from hashlib import blake2s
from typing import TYPE_CHECKING

import keyring.backend
import keyring.core
import keyring.errors
import pytest
from keyring.backends import chainer, fail, null

from support.agents.reference import made_home, refused, served_here
from tokenward.files import draft
from tokenward.keyring_backend import Keyring
from tokenward.keyring_program import agent_client, client
from tokenward_protocol.places import directory_tag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.agents.reference import ReferenceAgent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")
SERVICE = "https://index.example/legacy/"
SECRETS = {
    (SERVICE, "alice"): b"made-up-secret",
    (SERVICE, "robot"): b"\xff no text",
    ("opaque", "bob"): b"another",
    ("empty", ""): b"",
}


class Other(keyring.backend.KeyringBackend):
    """A keyring of the user's that has nothing to do with indexes."""

    priority = 5  # pyright: ignore[reportAssignmentType]  # a number where keyring declares a property

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's base class is not annotated
        self.held: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append(service)
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.held.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError("none")


def backend() -> Keyring:
    return Keyring()  # type: ignore[no-untyped-call]  # keyring's base class is not annotated


def only(monkeypatch: pytest.MonkeyPatch, *backends: object) -> None:
    """Let these be all backends that keyring finds by itself."""
    monkeypatch.setattr(keyring.backend, "get_all_keyring", lambda: list(backends))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_home(tmp_path, monkeypatch)
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    monkeypatch.setattr(client, "_SILENT", [0.0])
    only(monkeypatch)


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReferenceAgent]:
    with served_here(tmp_path, monkeypatch, SECRETS) as it:
        yield it


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Other:
    it = Other()
    only(monkeypatch, fail.Keyring(), null.Keyring(), it, backend())  # type: ignore[no-untyped-call]
    return it


def stored(home: Path) -> None:
    """Leave a vault there, so that it matters whether an agent runs."""
    folder = home / ".local/share/tokenward"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "disabled.vault").touch()


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("username", [None, "", "alice"])
@pytest.mark.parametrize("spelling", [SERVICE, "https://INDEX.example:443/legacy"])
def test_a_url_in_any_spelling_finds_its_credential(spelling: str, username: str | None) -> None:
    found = backend().get_credential(spelling, username)
    assert found is not None
    assert (found.username, found.password) == ("alice", "made-up-secret")


def test_what_may_be_a_secret_in_a_url_is_not_sent(reference: ReferenceAgent) -> None:
    asked = "https://al%69ce:pass@index.example/legacy/?token=secret#also"
    found = backend().get_credential(asked, None)
    assert found is not None
    assert reference.requests[-1]["spelling"] == SERVICE
    assert reference.requests[-1]["username"] == "alice"


@pytest.mark.usefixtures("reference")
def test_a_password_is_of_that_very_user() -> None:
    assert backend().get_password(SERVICE, "alice") == "made-up-secret"
    assert backend().get_password(SERVICE, "__token__") is None
    assert backend().get_password(SERVICE, "") is None


@pytest.mark.usefixtures("reference")
def test_an_empty_secret_is_one() -> None:
    assert backend().get_password("empty", "") == ""


@pytest.mark.usefixtures("reference")
def test_a_secret_that_is_no_text_is_none() -> None:
    assert backend().get_password(SERVICE, "robot") is None


def test_a_bare_host_is_not_answered_from_a_url(reference: ReferenceAgent) -> None:
    assert backend().get_credential("index.example", None) is None
    assert reference.requests[-1]["spelling"] == "index.example"
    assert backend().get_password("opaque", "bob") == "another"


LONG = "x" * 100_000


@pytest.mark.parametrize(
    "service",
    ["https://", "http://plain.example/", "https://h\\x", "\udcff", LONG, f"{SERVICE}{LONG}"],
    ids=range(6),
)
@pytest.mark.usefixtures("reference")
def test_what_is_no_service_is_nothing_and_no_accident(service: str) -> None:
    assert backend().get_credential(service, None) is None
    assert backend().get_password(SERVICE, LONG) is None


@pytest.mark.parametrize("userinfo", ["other.example\\", "a@b", "a b", "a\tb"])
def test_what_another_program_may_take_for_the_host_is_no_user_info(
    reference: ReferenceAgent, userinfo: str
) -> None:
    url = f"https://{userinfo}@index.example/legacy/"
    assert backend().get_password(url, "alice") is None
    assert reference.requests == []


@pytest.mark.parametrize("service", [SERVICE, "h.example:80", "index.example", "pdm-pypi-x", "app"])
def test_without_an_agent_that_may_start_reads_are_none_and_writes_keyrings_own_errors(
    service: str, tmp_path: Path
) -> None:
    stored(tmp_path)
    assert backend().get_password(service, "alice") is None
    assert backend().get_credential(service, None) is None
    with pytest.raises(keyring.errors.PasswordSetError, match="No agent is running"):
        backend().set_password(service, "alice", "made-up")
    with pytest.raises(keyring.errors.PasswordDeleteError):
        backend().delete_password(service, "alice")


def test_nothing_is_started_where_nothing_was_ever_stored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TOKENWARD_NO_AUTOSTART")
    assert backend().get_password(SERVICE, "alice") is None
    assert not (tmp_path / ".local/state").exists()


def test_an_agent_that_was_named_and_is_not_there_answers_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TOKENWARD_NO_AUTOSTART")
    monkeypatch.setenv("TOKENWARD_SOCK", str(tmp_path / "none.sock"))
    assert backend().get_password(SERVICE, "alice") is None


@pytest.mark.parametrize("more", [{}, {"stored": None}, {"stored": True}], ids=str)
@pytest.mark.parametrize("code", ["locked", "vault"])
def test_a_locked_vault_is_none_to_read_and_what_is_in_it_nobody_elses_to_answer(
    code: str, more: dict[str, bool | None], reference: ReferenceAgent, other: Other
) -> None:
    other.held = {(SERVICE, "alice"): "stale", ("mail", "me"): "mine"}
    reference.instead = lambda r: refused(r, code, "It is locked.", **more)
    assert backend().get_password(SERVICE, "alice") is None
    assert backend().get_credential(SERVICE, "alice") is None
    assert backend().get_password("mail", "me") == "mine"


def test_whoever_gets_nothing_because_a_vault_is_locked_is_told_once(
    reference: ReferenceAgent,
    other: Other,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / ".local/state/tokenward").mkdir(parents=True)
    monkeypatch.setattr(agent_client, "_TOLD", set())
    other.held = {("mail", "me"): "mine"}
    reference.instead = lambda r: refused(r, "locked", "It is locked.", stored=False)
    assert backend().get_password(SERVICE, "alice") is None
    reference.instead = lambda r: refused(r, "locked", "It is locked.", stored=True)
    assert backend().get_password("mail", "me") == "mine"
    reference.instead = lambda r: refused(r, "ambiguous", "There are two.")
    assert backend().get_credential(SERVICE, None) is None
    assert capsys.readouterr().err == ""
    reference.instead = lambda r: refused(r, "locked", "It is locked.", stored=True)
    for _ in range(3):
        assert backend().get_password(SERVICE, "alice") is None
        assert backend().get_credential(SERVICE, None) is None
    assert capsys.readouterr().err == "tokenward: It is locked. (h)\n"


def test_a_state_folder_that_cannot_be_written_keeps_no_word_back(
    reference: ReferenceAgent,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / ".local/state/tokenward/told").mkdir(parents=True)
    monkeypatch.setattr(agent_client, "_TOLD", set())
    reference.instead = lambda r: refused(r, "locked", "It is locked.")
    assert backend().get_password(SERVICE, "alice") is None
    assert capsys.readouterr().err == "tokenward: It is locked. (h)\n"


@pytest.mark.parametrize("code", ["locked", "vault"])
def test_what_was_never_stored_is_the_others_to_answer_whatever_the_vault_is(
    code: str, reference: ReferenceAgent, other: Other
) -> None:
    other.held = {(SERVICE, "alice"): "theirs"}
    reference.instead = lambda r: refused(r, code, "It is locked.", stored=False)
    assert backend().get_password(SERVICE, "alice") == "theirs"
    found = backend().get_credential(SERVICE, "alice")
    assert found is not None
    assert found.password == "theirs"


def test_a_named_agent_that_is_gone_silences_nobody(
    other: Other, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other.held = {(SERVICE, "alice"): "theirs"}
    monkeypatch.setenv("TOKENWARD_SOCK", str(tmp_path / "share.sock"))
    assert backend().get_password(SERVICE, "alice") == "theirs"
    (tmp_path / "share.sock").touch()
    assert backend().get_password(SERVICE, "alice") == "theirs"


def noted(home: Path, *origins: str) -> None:
    """Leave the list of an agent that is not there, for a vault that is."""
    stored(home)
    directory = os.path.realpath(home / ".local/share/tokenward")
    folder = home / ".local/state/tokenward" / directory_tag(directory)
    folder.mkdir(parents=True)
    key = bytes(16)
    hashes = [blake2s(each.encode(), key=key, digest_size=16).hexdigest() for each in origins]
    held = {"key": key.hex(), "disabled": {"vault": "", "generation": 1, "origins": hashes}}
    (folder / "stored.json").write_text(json.dumps(held))


@pytest.mark.parametrize(
    ("service", "theirs"),
    [
        ("https://index.example/any/where", False),
        ("https://INDEX.example.:443/", False),
        ("https://pypi.org/simple/", False),
        ("https://index.example:8443/legacy/", True),
        ("https://other.example/", True),
        ("https://testpypi.example/", True),
        ("pdm-pypi-x", False),
        ("pdm-pypi-y", True),
        ("https://b\u00fccher.example/", False),  # it may be one of those: that takes IDNA
        ("https://[0:0::1]/", False),
        (f"https://index.example:{'9' * 5000}/", False),
        ("pdm-pypi-\udcff", True),
    ],
)
def test_without_an_agent_its_list_says_what_is_not_the_others(
    service: str, theirs: bool, other: Other, tmp_path: Path
) -> None:
    other.held = {(service, "alice"): "theirs"}
    noted(tmp_path, "https://index.example", "https://upload.pypi.org", "pdm-pypi-x")
    assert backend().get_password(service, "alice") == ("theirs" if theirs else None)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": "zz"}', '{"key": "00", "disabled": 1}'])
def test_a_list_that_is_none_silences_nobody(text: str, other: Other, tmp_path: Path) -> None:
    other.held = {(SERVICE, "alice"): "theirs"}
    noted(tmp_path)
    next((tmp_path / ".local/state/tokenward").glob("*/stored.json")).write_text(text)
    assert backend().get_password(SERVICE, "alice") == "theirs"


def test_of_several_accounts_none_is_guessed(reference: ReferenceAgent) -> None:
    reference.instead = lambda r: refused(r, "ambiguous", usernames=["ann", "bob"])
    assert backend().get_credential(SERVICE, None) is None


NESTED = b"\0\0\xea\x62\xea\x60" + b"\x91" * 60_000


@pytest.mark.parametrize(
    "answer", [b"", b"\0\0\0\3\0\1\xc1", b"\0\0\0\2\0\0", b"\xff" * 40, NESTED], ids=range(5)
)
def test_whatever_breaks_the_protocol_is_none(reference: ReferenceAgent, answer: bytes) -> None:
    reference.instead = lambda _: answer
    assert backend().get_password(SERVICE, "alice") is None


def test_an_agent_that_does_not_answer_is_waited_for_once(
    reference: ReferenceAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference.instead = lambda _: b"\0"
    with monkeypatch.context() as impatient:
        impatient.setattr(client, "READ_SECONDS", 0.1)
        assert backend().get_credential(SERVICE, None) is None
        assert backend().get_password(SERVICE, "alice") is None
        assert len(reference.requests) == 1
    monkeypatch.setattr(client, "_SILENT", [0.0])
    reference.instead = lambda _: None
    assert backend().get_password(SERVICE, "alice") == "made-up-secret"


# Whom it asks next.


@pytest.mark.usefixtures("reference")
def test_a_miss_goes_to_the_keyring_that_would_be_there_without_us(other: Other) -> None:
    other.held = {("https://mail.example/", "me"): "mine"}
    assert backend().get_password("https://mail.example/", "me") == "mine"
    found = backend().get_credential("https://mail.example/", "me")
    assert found is not None
    assert found.password == "mine"
    assert backend().get_password(SERVICE, "alice") == "made-up-secret"
    assert SERVICE not in other.asked


@pytest.mark.usefixtures("reference")
def test_what_is_no_indexs_is_stored_and_removed_there(other: Other) -> None:
    backend().set_password("mail", "me", "new")
    assert other.held == {("mail", "me"): "new"}
    backend().delete_password("mail", "me")
    assert other.held == {}
    with pytest.raises(keyring.errors.PasswordDeleteError):
        backend().delete_password("mail", "me")


@pytest.mark.usefixtures("reference")
def test_several_others_are_asked_in_keyrings_order_and_each_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = Other(), Other()
    first.priority = 6  # pyright: ignore[reportAssignmentType]  # a number where keyring declares a property
    only(monkeypatch, second, first, chainer.ChainerBackend())  # type: ignore[no-untyped-call]
    second.held = {("mail", "me"): "second's"}
    assert backend().get_password("mail", "me") == "second's"
    assert (first.asked, second.asked) == (["mail"], ["mail"])


@pytest.mark.usefixtures("reference")
def test_one_that_stands_above_keyrings_chain_is_asked_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    high, low = Other(), Other()
    high.priority = 11  # pyright: ignore[reportAssignmentType]  # a number where keyring declares a property
    only(monkeypatch, low, high)
    low.held = {("mail", "me"): "low"}
    assert backend().get_password("mail", "me") is None
    assert low.asked == []


@pytest.mark.usefixtures("reference", "other")
def test_a_backend_that_the_user_chose_is_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Other()
    chosen.held = {("mail", "me"): "chosen's"}
    monkeypatch.setattr(keyring.core, "load_env", lambda: chosen)
    assert backend().get_password("mail", "me") == "chosen's"
    monkeypatch.setattr(keyring.core, "load_env", null.Keyring)
    assert backend().get_password("mail", "me") is None


@pytest.mark.usefixtures("reference")
def test_we_are_never_the_next(other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "tokenward.keyring_backend.Keyring")
    other.held = {("mail", "me"): "mine"}
    assert backend().get_password("mail", "me") == "mine"


THEIRS = """\
from keyring.backend import KeyringBackend


class Keyring(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        return "chosen's"

    def set_password(self, service, username, password):
        raise NotImplementedError
"""


@pytest.mark.usefixtures("reference", "other")
@pytest.mark.parametrize(
    "before",
    [
        "default-keyring = {name}.Keyring\nkeyring-path = {folder}\n",
        "{BEFORE}default-keyring: {name}.Keyring\n{BEFORE}keyring-path={folder}\n",
    ],
    ids=["behind the environment", "as a comment of setup"],
)
def test_a_backend_that_keyringrc_chose_before_us_is_the_next(
    before: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "tokenward.keyring_backend.Keyring")
    name = f"chosen_{len(before)}"
    (tmp_path / f"{name}.py").write_text(THEIRS)
    settings = tmp_path / ".config/python_keyring/keyringrc.cfg"
    settings.parent.mkdir(parents=True)
    text = before.format(name=name, folder=tmp_path, BEFORE=draft.BEFORE)
    settings.write_text(f"[backend]\n{text}")
    for _ in range(3):
        assert backend().get_password("mail", "me") == "chosen's"
    assert sys.path.count(str(tmp_path)) == 1


@pytest.mark.usefixtures("reference")
@pytest.mark.parametrize("way", ["setting", "property"])
def test_exclusive_asks_nobody_else(
    other: Other, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if way == "setting":
        (tmp_path / "config.toml").write_text("keyring-exclusive = true # all here\n[services]\n")
        monkeypatch.setenv("TOKENWARD_CONFIG", str(tmp_path / "config.toml"))
    else:
        monkeypatch.setenv("KEYRING_PROPERTY_EXCLUSIVE", "1")
    other.held = {("mail", "me"): "mine"}
    assert backend().get_password("mail", "me") is None


@pytest.mark.parametrize(
    "text",
    [
        "keyring-exclusive = false",
        "# keyring-exclusive = true",
        "[services]\nkeyring-exclusive=true",
    ],
)
@pytest.mark.usefixtures("reference")
def test_only_the_setting_itself_makes_it_exclusive(
    other: Other, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("TOKENWARD_CONFIG", str(tmp_path / "config.toml"))
    other.held = {("mail", "me"): "mine"}
    assert backend().get_password("mail", "me") == "mine"


def test_another_directory_that_settings_choose_is_not_answered_for_by_the_ordinary_agent(
    reference: ReferenceAgent, tmp_path: Path
) -> None:
    folder = tmp_path / ".config/tokenward"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('auth-cache-dir = "~/elsewhere"\n')
    assert backend().get_password(SERVICE, "alice") is None
    assert reference.requests == []


def test_a_directory_of_the_environment_has_a_socket_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    directory = tmp_path / "elsewhere"
    monkeypatch.setenv("TOKENWARD_DIR", str(directory))
    with served_here(tmp_path, monkeypatch, SECRETS, directory=directory) as agent:
        assert backend().get_password(SERVICE, "alice") == "made-up-secret"
        assert agent.requests[-1]["dir"] == os.path.realpath(directory)


LEFT = "https://europe-python.pkg.dev/corp/simple/"


@pytest.mark.parametrize(
    "text",
    [
        'leave = ["*.pkg.dev"]',
        "leave = [\n  'index.example',  # ours\n  '*.pkg.dev', # Google's\n]\n[services]\n",
        '"leave"=["EUROPE-python.PKG.dev"]',
    ],
)
def test_what_is_left_to_other_keyrings_is_asked_there_alone_whatever_is_stored(
    reference: ReferenceAgent,
    other: Other,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "config.toml").write_text(f"keyring-provider = 'disabled'\n{text}")
    monkeypatch.setenv("TOKENWARD_CONFIG", str(tmp_path / "config.toml"))
    for service in (LEFT, "europe-python.pkg.dev", "https://x@Europe-Python.pkg.dev.:443/y"):
        reference.secrets[service, "robot"] = b"never asked for"
        other.held[service, "robot"] = "of the plug-in"
        assert backend().get_password(service, "robot") == "of the plug-in"
    assert not reference.requests
    backend().set_password(LEFT, "robot", "another")
    assert other.held[LEFT, "robot"] == "another"
    backend().delete_password(LEFT, "robot")
    only(monkeypatch)
    with pytest.raises(keyring.errors.PasswordSetError, match="by `leave`"):
        backend().set_password(LEFT, "robot", "x")


@pytest.mark.parametrize(
    "text",
    [
        "leave = []",
        '# leave = ["*.example"]',
        'leaves = ["*.example"]',
        '[services]\nleave = ["index.example"]',
        'leave = ["*.index.example", "*", "example", "*.*.example", "index.example.org"]',
        'leave = ["',
        "leave",
    ],
)
@pytest.mark.usefixtures("reference")
def test_only_the_hosts_themselves_are_left_to_other_keyrings(
    other: Other, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("TOKENWARD_CONFIG", str(tmp_path / "config.toml"))
    other.held[SERVICE, "alice"] = "of the plug-in"
    assert backend().get_password(SERVICE, "alice") == "made-up-secret"
