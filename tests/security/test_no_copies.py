"""No copy of any secret is in the agent's memory, with each provider, whatever it was made to do.

Looked for from outside, as root, in /proc/PID/mem and in a debugger's core. Where the arena is of
memfd_secret not even root can look into it, so each life is lived again with an arena that is only
locked: a filter refuses that system call. Then a secret may lie in the arena while it is needed,
as the vault's key does, and nowhere else; and that the scanner finds it there shows that it looks.
"""

from __future__ import annotations

import base64
import contextlib
import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from support.agents.bad_clients import HEADERS
from support.agents.process import Agent, NotDone
from support.inspection.process_memory import (
    BEFORE,
    copies,
    dumped_copies,
    locked,
    slices,
)
from support.inspection.processes import children, is_waiting
from support.systems.desktop_keyrings import gnome_keyring
from support.systems.other_users import other_users
from support.waiting import until
from tokenward_agent.vault.format import parse_head
from tokenward_agent.vault.slot import unwrap_into
from tokenward_protocol.frames import make_frame
from tokenward_protocol.messages import make_request
from tokenward_protocol.packing import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.systems.desktop_keyrings import Session

pytestmark = other_users

URL, OTHER = "https://index.example/team/", "https://other.example/"
PROVIDERS = {
    "key-file": ("disabled", "key-file"),
    "passphrase": ("disabled", "passphrase"),
    "keyring": ("keyring", "keyring"),
    "program": ("subprocess", "program"),
}
KEYRING_PROGRAM = """#!/bin/sh
case "$2" in https:*) file="{folder}/adopted" ;; *) file="{folder}/item" ;; esac
case "$1" in
  set) /bin/cat > "$file" ;;
  get) [ -f "$file" ] || exit 1; /bin/cat "$file" ;;
  del) [ -f "$file" ] || exit 1; /bin/rm "$file" ;;
  *) exit 2 ;;
esac
"""


def token() -> bytes:
    return b"pypi-" + secrets.token_urlsafe(150).encode()


CARELESS = "import sys; kept = sys.stdin.buffer.readline(); print('ready', flush=True); input()"


def test_both_ways_of_looking_find_a_secret_in_a_careless_process(tmp_path: Path) -> None:
    secret = token()
    with subprocess.Popen(
        [sys.executable, "-I", "-c", CARELESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as careless:
        assert careless.stdin is not None
        assert careless.stdout is not None
        careless.stdin.write(secret + b"\n")
        careless.stdin.flush()
        assert careless.stdout.readline() == b"ready\n"
        for each in slices(secret):
            assert copies(careless.pid, [each]) >= 1
            assert dumped_copies(careless.pid, [each], tmp_path) != 0
        careless.kill()


class Life:
    """An agent whose vault opens in one way, with all that must not be found in its memory."""

    def __init__(self, agent: Agent, slot: str, folder: Path, session: Session | None) -> None:
        self.agent = agent
        self.folder = folder
        self.provider, self.slot = PROVIDERS[slot]
        self.passphrase = secrets.token_urlsafe(60).encode() if slot == "passphrase" else b""
        self.session = session
        self.kind = str(agent.ask("status")["protections"]["memory"])  # type: ignore[index, call-overload]
        self.needles: list[bytes] = slices(self.passphrase) if self.passphrase else []
        arguments: dict[str, Any] = {}
        if slot == "program":
            arguments["program"] = str(folder / "keyring")
        if session is not None:
            arguments["bus"] = session.environ["DBUS_SESSION_BUS_ADDRESS"]
        self.arguments = arguments
        agent.ask("create", self.passphrase, provider=self.provider, slot=self.slot, **arguments)
        self.slot_key = self._slot_key()
        self.data_key = self._data_key()
        written = base64.b64encode(self.slot_key)
        self.needles += [self.slot_key[:16], self.slot_key[16:], written[:20], written[20:40]]

    def _vault(self) -> tuple[Any, Any]:
        (path,) = self.agent.directory.glob("*.vault")
        header = parse_head(path.read_bytes(), str(path)).header
        slot = header.slot(self.slot)
        assert slot is not None
        return header, slot

    def _slot_key(self) -> bytes:
        if self.slot == "key-file":
            return next(self.agent.state.glob("*/*.key")).read_bytes()
        if self.slot == "program":
            return base64.b64decode((self.folder / "item").read_bytes())
        if self.session is not None:
            found = [base64.b64decode(item) for item in self.session.items().values()]
            return next(key for key in found if len(key) == 32)
        params = self._vault()[1].params
        return Argon2id(
            salt=params["salt"],
            length=32,
            iterations=params["passes"],
            lanes=params["lanes"],
            memory_cost=params["memory"],
        ).derive(self.passphrase)

    def _data_key(self) -> bytes:
        header, slot = self._vault()
        key = bytearray(32)
        unwrap_into(slot, self.slot_key, header.vault_id, memoryview(key))
        return bytes(key)

    def answers_prompts(self, *passphrases: bytes) -> None:
        """Have the agent ask for the passphrase, and answer with each of these in turn."""
        program = self.folder / "my-askpass"
        for number, passphrase in enumerate(passphrases):
            (self.folder / f"typed-{number}").write_bytes(passphrase)
        first = f'for file in {self.folder}/typed-*; do cat "$file"; rm "$file"; break; done'
        program.write_text(f"#!/bin/sh\n{first}\n")
        program.chmod(0o700)
        config = Path(self.agent.environment["HOME"]) / ".config" / "tokenward" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(f'pinentry = "{program}"\nunlock = "prompt"\n')

    @contextlib.contextmanager
    def spoilt(self) -> Iterator[None]:
        """Have nothing open the vault for a while."""
        if self.session is not None:
            self.session.lock()
            yield
            self.session.unlock()
            return
        wrong = secrets.token_bytes(32)
        self.needles += [wrong[:16], wrong[16:], base64.b64encode(wrong)[:20]]
        if self.slot == "key-file":
            path, written = next(self.agent.state.glob("*/*.key")), wrong
        elif self.slot == "program":
            path, written = self.folder / "item", base64.b64encode(wrong)
        else:
            yield
            return
        kept = path.read_bytes()
        path.write_bytes(written)
        yield
        path.write_bytes(kept)

    def keeps(self, secret: bytes) -> bool:
        """Put a secret where this provider would adopt it from; False where it adopts nothing."""
        if self.session is not None:
            self.session.store("a credential", {"service": OTHER, "username": "u"}, secret)
        elif self.slot == "program":
            (self.folder / "adopted").write_bytes(secret)
        return self.slot in {"keyring", "program"}

    def none_after(self, what: str) -> None:
        """No secret is anywhere, and the vault's key at most in the arena."""
        self.agent.ask("hello")  # what was sent before this is done
        assert copies(self.agent.pid, self.needles) == 0, f"a copy was left after {what}"
        arena = locked(self.agent.pid) if self.kind == "mlock" else []
        key = [self.data_key[:16], self.data_key[16:]]
        assert copies(self.agent.pid, key, besides=arena) == 0, f"the key lies open after {what}"

    def none_in_a_core(self) -> None:
        needles = [*self.needles, self.data_key[:16], self.data_key[16:]]
        assert dumped_copies(self.agent.pid, needles, self.folder) in {0, None}

    def opened(self) -> bool:
        """Tell whether the vault's key is found, which only an arena by mlock shows."""
        return copies(self.agent.pid, [self.data_key[:16]]) > 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a foreign `keyring` program, which only its owner can change."""
    path = Path(tempfile.mkdtemp(prefix="programs-", dir="/tmp"))
    path.chmod(0o755)
    program = path / "keyring"
    program.write_text(KEYRING_PROGRAM.format(folder=path))
    program.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=[(kind, slot) for kind in BEFORE for slot in PROVIDERS], ids="-".join)
def life(request: pytest.FixtureRequest, folder: Path) -> Iterator[Life]:
    kind, slot = request.param
    root = Path(tempfile.mkdtemp(prefix="tw", dir="/tmp"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        session = stack.enter_context(gnome_keyring(root / "s")) if slot == "keyring" else None
        agent = stack.enter_context(Agent(root, session.environ if session else None, BEFORE[kind]))
        found = Life(agent, slot, folder, session)
        if found.kind != kind:
            pytest.skip(f"this system grants {found.kind}")
        yield found


def ask_to_fail(agent: Agent, op: str, body: bytes = b"", **arguments: Any) -> None:
    with pytest.raises(NotDone):
        agent.ask(op, body, **arguments)


def malformed(secret: bytes) -> dict[str, bytes]:
    """Return frames that carry a secret and cannot be answered with anything but an error."""
    text = secret.decode()
    headers = HEADERS | {
        "the secret as a key": pack({"v": 1, "id": 1, "op": "login", text: "x"}),
        "the secret as the op": pack({"v": 1, "id": 1, "op": text}),
        "the secret in a URL": pack(
            {"v": 1, "id": 1, "op": "login", "service": f"https://u:{text}@a.example/"}
        ),
        "the secret as a number": pack({"v": 1, "id": 1, "op": "login", "lifetime": text}),
        "the secret as the header": secret,
    }
    frames = {name: make_frame(header, secret) for name, header in headers.items()}
    return frames | {
        "a frame that claims 4 GiB": b"\xff\xff\xff\xff\x00\x10" + secret,
        "a header longer than its frame": b"\x00\x00\x01\x00\xff\xff" + secret,
        "a frame of nothing": b"\x00\x00\x00\x00\x00\x00" + secret,
    }


def test_no_secret_is_left_in_memory_whatever_happens(life: Life) -> None:
    agent, secret = life.agent, token()
    life.needles += slices(secret)
    life.none_after("making the vault")
    where = {"service": URL, "provider": life.provider}
    agent.ask("login", secret, username="__token__", **where)
    life.none_after("login")
    for _ in range(20):
        assert agent.fetch(URL) == secret
    life.none_after("20 fetches")
    ask_to_fail(agent, "fetch", service="https://none.example/")
    ask_to_fail(agent, "fetch", service=URL, username="somebody else")
    life.none_after("a miss")
    ask_to_fail(agent, "fetch", secret, service=URL)
    life.none_after("a body where none belongs")
    for name, data in malformed(secret).items():
        wire = agent.wire()
        wire.send(data)
        assert wire.answer()[0]["ok"] is False, name
        wire.close()
        if life.slot == "key-file":  # frames are read in the same way whatever opens the vault
            life.none_after(name)
    life.none_after("malformed frames")
    wire = agent.wire()
    wire.send(
        make_frame(make_request("login", 1, {"service": OTHER, "username": "u"}), secret)[:-1]
    )
    wire.close()
    life.none_after("a login that was broken off")
    deaf = agent.wire()
    deaf.sock.settimeout(0.05)
    with contextlib.suppress(TimeoutError):
        for number in range(4000):
            deaf.send(make_frame(make_request("fetch", number + 1, {"service": URL})))
    until(lambda: is_waiting(agent.pid))  # while it answers, an answer is on its way
    life.none_after("answers that nobody takes")
    deaf.read(200)
    deaf.close()
    life.none_after("a disconnect in the middle of an answer")
    life.none_in_a_core()
    if life.kind == "mlock":
        assert life.opened(), "the scanner does not see the arena, so that this test says nothing"


def test_no_key_and_no_passphrase_is_left_after_lock_and_unlock(life: Life) -> None:
    agent, secret, wrong = life.agent, token(), secrets.token_urlsafe(60).encode()
    life.needles += slices(secret) + slices(wrong)
    agent.ask("login", secret, service=URL, username="__token__", provider=life.provider)
    agent.ask("lock")
    life.none_after("lock")
    assert not life.opened(), "the vault's key outlived the lock"
    ask_to_fail(agent, "fetch", service=URL)
    if life.passphrase:
        ask_to_fail(agent, "unlock", wrong)
        ask_to_fail(agent, "unlock")
        life.none_after("a failed unlock")
        assert not life.opened()
    agent.ask("unlock", life.passphrase, **_bus(life))
    assert agent.fetch(URL) == secret
    life.none_after("unlock")
    assert life.opened() == (life.kind == "mlock")
    agent.restart()
    if life.passphrase:  # typed at a prompt, which a worker shows
        life.answers_prompts(wrong, life.passphrase)
        asked = agent.ask_whole("fetch", service=URL, attended=True, display=":7")
        assert asked[1] == secret
    assert agent.fetch(URL) == secret
    life.none_after("a start that opens the vault")
    agent.ask("lock")
    agent.ask("hello")
    life.none_in_a_core()


def test_no_secret_is_left_in_memory_by_what_fails_or_is_broken_off(life: Life) -> None:
    agent, secret, refused = life.agent, token(), token()
    life.needles += slices(secret) + slices(refused)
    login = {"service": URL, "username": "__token__", "provider": life.provider}
    agent.ask("login", secret, **login)
    usual = resource.prlimit(agent.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (16, usual[1]))
    ask_to_fail(agent, "login", refused, **login)
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, usual)
    life.none_after("a login that the disk refused")
    ask_to_fail(agent, "login", refused, **login | {"service": "https://index.example/a/../b/"})
    ask_to_fail(agent, "login", refused, **login, lifetime=0)
    life.none_after("logins that were refused")
    assert agent.fetch(URL) == secret
    agent.ask("lock")
    with life.spoilt():
        wrong = secrets.token_urlsafe(60).encode() if life.passphrase else b""
        life.needles += slices(wrong) if wrong else []
        with contextlib.suppress(NotDone):
            agent.ask("unlock", wrong, **_bus(life))
        ask_to_fail(agent, "fetch", service=URL)
        life.none_after("an unlock by the wrong key")
        assert not life.opened()
    for _ in range(3):
        wire = agent.wire()
        wire.send(make_frame(make_request("unlock", 1, {**_bus(life)}), life.passphrase))
        wire.close()
    agent.ask("unlock", life.passphrase, **_bus(life))  # passphrases are tried one after the other
    until(lambda: not children(agent.pid))
    life.none_after("an unlock that nobody waits for")
    agent.ask("lock")
    if life.slot != "key-file":  # all others have a worker, which dies with the key in its hands
        wire = agent.wire()
        wire.send(make_frame(make_request("unlock", 1, {**_bus(life)}), life.passphrase))
        os.kill(until(lambda: children(agent.pid))[0], signal.SIGKILL)
        wire.answer()
        wire.close()
        life.none_after("an unlock whose worker died")
    agent.ask("unlock", life.passphrase, **_bus(life))
    assert agent.fetch(URL) == secret
    if life.slot == "passphrase":
        agent.ask("passphrase", action="remove")
        life.none_after("a passphrase that was removed")
    life.none_in_a_core()


def test_no_secret_that_stays_in_a_keyring_is_left_in_memory(life: Life) -> None:
    agent, adopted, variable = life.agent, token(), token()
    block = b"AWS_SECRET_ACCESS_KEY=" + variable + b"\0PATH=/usr/bin:/bin\0"
    if not life.keeps(adopted):
        where = {"service": OTHER, "username": "u", "provider": life.provider}
        ask_to_fail(agent, "login", b"", adopt=OTHER, **where)
        return
    life.needles += slices(adopted) + slices(variable)
    where = {"service": OTHER, "username": "u", "provider": life.provider}
    agent.ask("login", block, adopt=OTHER, environment=len(block), **where)
    life.none_after("adopting")
    for _ in range(5):
        assert agent.fetch(OTHER) == adopted
    life.none_after("fetches of an adopted secret")
    agent.ask("logout", service=OTHER, username="u", refused=True)
    assert agent.ask_whole("fetch", service=OTHER, attended=True)[1] == adopted
    life.none_after("another reading of it")
    agent.ask("lock")
    life.none_after("a lock")
    agent.ask("unlock", b"", **_bus(life))
    assert agent.ask_whole("fetch", service=OTHER, attended=True)[1] == adopted
    agent.ask("logout", service=OTHER, purge=True)
    life.none_after("a logout that purges")
    life.none_in_a_core()


def test_no_secret_that_is_over_is_left_in_memory(life: Life) -> None:
    agent, secret, brief = life.agent, token(), token()
    minted, short = token(), token()
    life.needles += [each for whole in (secret, brief, minted, short) for each in slices(whole)]
    agent.ask("login", secret, service=URL, username="__token__", provider=life.provider)
    for kept, lifetime in ((minted, 900), (short, 1)):  # in memory alone
        place = f"{OTHER}{lifetime}/"
        agent.ask("login", kept, service=place, username="u", lifetime=lifetime, memory=True)
    agent.ask("login", brief, service=OTHER, username="u", provider=life.provider, lifetime=1)
    wire = agent.wire()
    code: Any = None
    while code is None:  # two seconds at most, by the agent's own clocks
        try:
            wire.ask("fetch", service=OTHER)
        except NotDone as error:
            code = error.code
    wire.close()
    assert code == "not-found"
    life.none_after("expiry")
    agent.ask("fetch", service=f"{OTHER}900/")
    for service in (URL, f"{OTHER}900/"):
        agent.ask("logout", service=service)
    life.none_after("logout")
    if life.provider == "disabled":
        fresh = secrets.token_urlsafe(60).encode()
        life.needles += slices(fresh)
        agent.ask("passphrase", fresh, action="set")
        life.none_after("a new passphrase")
    life.none_in_a_core()


def _bus(life: Life) -> dict[str, str]:
    return {"bus": life.arguments["bus"]} if "bus" in life.arguments else {}
