"""One vault file on the disk: whole before, whole after, and every refusal is a sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.inspection.strace import traced
from tokenward_agent.vault import storage as storage_of
from tokenward_agent.vault.errors import VaultError, explain
from tokenward_agent.vault.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST = 1 << 20
root = pytest.mark.root("mounts, and gives files away")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "credentials").mkdir(mode=0o700)
    return tmp_path / "credentials"


@pytest.fixture
def storage(place: Path) -> Storage:
    return Storage(str(place), "disabled.vault")


def save(storage: Storage, data: bytes, *, keep_previous: bool = True) -> None:
    with storage.lock() as writer:
        writer.replace(data, keep_previous=keep_previous)


def names(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_a_file_that_is_not_there_is_none(storage: Storage, place: Path) -> None:
    assert storage.read(MOST) is None
    place.rmdir()
    assert storage.read(MOST) is None


def test_a_save_is_read_back_closed_to_others(storage: Storage, place: Path) -> None:
    before = os.umask(0)
    try:
        save(storage, b"one")
    finally:
        os.umask(before)
    assert storage.read(MOST) == b"one"
    assert storage.read(2) == b"on"
    assert names(place) == ["disabled.vault", "disabled.vault.lock"]
    assert {(place / name).stat().st_mode & 0o777 for name in names(place)} == {0o600}


def test_the_directory_is_made_closed_to_others(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "new" / "credentials"), "disabled.vault")
    save(storage, b"one")
    assert (tmp_path / "new" / "credentials").stat().st_mode & 0o777 == 0o700


def test_the_generation_before_is_kept_or_gone_as_asked(storage: Storage, place: Path) -> None:
    for data in (b"one", b"two", b"three"):
        save(storage, data)
    assert (storage.read(MOST), storage.read_previous(MOST)) == (b"three", b"two")
    save(storage, b"four", keep_previous=False)
    assert (storage.read(MOST), storage.read_previous(MOST)) == (b"four", None)
    assert names(place) == ["disabled.vault", "disabled.vault.lock"]


def test_what_a_save_that_died_left_behind_is_removed(storage: Storage, place: Path) -> None:
    save(storage, b"one")
    (place / ".disabled.vault.0123456789abcdef.tmp").write_bytes(b"half")
    os.link(place / "disabled.vault", place / "disabled.vault.previous")  # died after _keep
    (place / ".keyring.vault.0123456789abcdef.tmp").write_bytes(b"of another vault, perhaps alive")
    save(storage, b"two")
    assert storage.read_previous(MOST) == b"one"
    assert names(place) == [
        ".keyring.vault.0123456789abcdef.tmp",
        "disabled.vault",
        "disabled.vault.lock",
        "disabled.vault.previous",
    ]


def test_an_odd_name_in_the_directory_is_nobodys_business(storage: Storage, place: Path) -> None:
    (place / "notes.tmp").write_text("mine")
    save(storage, b"one")
    assert (place / "notes.tmp").read_text() == "mine"


def a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


def a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


REFUSED = {
    "a link": (a_link, "is a symbolic link"),
    "a directory": (a_directory, "is not a plain file"),
    "a fifo": (a_fifo, "is not a plain file"),
    "open to the group": (lambda path: path.chmod(0o640), "is open to other users (mode 640)"),
    "open to all": (lambda path: path.chmod(0o604), "is open to other users (mode 604)"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_vault_that_is_not_a_plain_closed_file_is_refused(
    what: str, storage: Storage, place: Path
) -> None:
    save(storage, b"one")
    spoil, reason = REFUSED[what]
    spoil(place / "disabled.vault")
    with pytest.raises(VaultError, match=re.escape(f"{storage.path} {reason}")) as caught:
        storage.read(MOST)
    assert caught.value.hint


@pytest.mark.parametrize("what", REFUSED)
def test_a_lock_file_that_is_not_a_plain_closed_file_is_refused(
    what: str, storage: Storage, place: Path
) -> None:
    save(storage, b"one")
    spoil, _ = REFUSED[what]
    spoil(place / "disabled.vault.lock")
    with pytest.raises(VaultError):
        save(storage, b"two")
    assert storage.read(MOST) == b"one"


def test_a_directory_that_is_a_link_or_open_to_others_is_refused(place: Path) -> None:
    link = place.with_name("link")
    link.symlink_to(place)
    for directory in (link, place):
        with pytest.raises(VaultError, match=r"is a symbolic link|is open to other users"):
            place.chmod(0o750)
            Storage(str(directory), "disabled.vault").read(MOST)
        with pytest.raises(VaultError, match=r"is a symbolic link|is open to other users"):
            save(Storage(str(directory), "disabled.vault"), b"one")
    place.chmod(0o700)
    assert names(place) == []


def test_a_file_where_the_directory_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VaultError, match="is not a directory"):
        Storage(str(tmp_path / "file"), "disabled.vault").read(MOST)
    with pytest.raises(VaultError):
        save(Storage(str(tmp_path / "file"), "disabled.vault"), b"one")


@root
@pytest.mark.parametrize("name", [".", "disabled.vault", "disabled.vault.lock"])
def test_what_belongs_to_another_user_is_refused(name: str, storage: Storage, place: Path) -> None:
    save(storage, b"one")
    os.chown(place / name, 65534, -1)
    with pytest.raises(VaultError, match=r"belongs to another user \(uid 65534\)") as caught:
        storage.read(MOST)
        save(storage, b"two")
    assert "chown" not in caught.value.hint  # which would make a planted one ours
    assert ".theirs`" in caught.value.hint


@contextlib.contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let us mount a tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@root
def test_a_full_disk_leaves_the_vault_as_it_was(storage: Storage, place: Path) -> None:
    with mounted(place, "size=256k"):
        save(storage, b"one")
        save(storage, b"two")
        with pytest.raises(VaultError, match=r"The disk that holds .* is full") as caught:
            save(storage, bytes(300_000))
        assert caught.value.code == "vault"
        assert "free some space" in caught.value.hint
        assert (storage.read(MOST), storage.read_previous(MOST)) == (b"two", b"one")
        assert not [name for name in names(place) if name.endswith(".tmp")]
        save(storage, b"three")
        assert storage.read(MOST) == b"three"


@root
def test_a_read_only_directory_is_read_and_says_why_it_is_not_written(
    storage: Storage, place: Path
) -> None:
    with mounted(place, "size=256k"):
        save(storage, b"one")
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        assert storage.read(MOST) == b"one"
        with pytest.raises(VaultError, match="is on a read-only file system") as caught:
            save(storage, b"two")
        assert caught.value.code == "read-only"
        assert storage.read(MOST) == b"one"


def test_a_directory_without_write_permission_says_so(place: Path) -> None:
    program = """
import os, sys
from tokenward_agent.vault.storage import Storage
from tokenward_agent.vault.errors import VaultError
if os.geteuid() == 0:
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
try:
    with Storage(sys.argv[1], "disabled.vault").lock(): print("locked")
except VaultError as error: print(error.code, error.message)
"""
    if os.geteuid() == 0:
        os.chown(place, 65534, 65534)
    place.chmod(0o500)
    # The parents of a temporary directory are closed to others, so it is entered while we may.
    done = subprocess.run(
        [sys.executable, "-c", program, "."],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("read-only This user may not write ./disabled.vault"), done


SAVER = """
import sys
from tokenward_agent.vault.storage import Storage
from tokenward_agent.vault.errors import VaultError
try:
    with Storage(*sys.argv[1:]).lock() as writer:
        writer.replace(b"two", keep_previous=True)
    print("saved")
except VaultError as error:
    print(error.message)
"""
CALLS = ["fsync", "link,linkat", "rename,renameat,renameat2", "unlink,unlinkat", "flock", "openat"]


def save_with(storage: Storage, call: str, fault: str) -> str:
    """Save in another process in which the system refuses or ends it at a call on the directory."""
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-P"]
    strace += [storage.directory, "-P", f"{storage.path}.lock", "-e", f"inject={call}:{fault}"]
    command = [*strace, sys.executable, "-c", SAVER, storage.directory, storage.name]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


@traced
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ["signal=KILL", "error=ENOSPC", "error=EIO", "error=EDQUOT"])
def test_a_save_that_fails_at_any_call_leaves_one_whole_generation(
    call: str, fault: str, storage: Storage, place: Path
) -> None:
    save(storage, b"zero")
    save(storage, b"one")
    told = save_with(storage, call, f"{fault}:when=1")
    assert told != "saved", "the fault was not injected"
    assert bool(told) is (fault != "signal=KILL")
    assert storage.read(MOST) == (b"two" if call == "fsync" else b"one")
    assert storage.read_previous(MOST) in {b"zero", b"one"}
    save(storage, b"three")
    assert storage.read(MOST) == b"three"
    assert not [name for name in names(place) if name.endswith(".tmp")]


@traced
def test_a_save_that_is_written_but_not_confirmed_does_not_say_that_nothing_changed(
    storage: Storage,
) -> None:
    save(storage, b"one")
    told = save_with(storage, "fsync", "error=EIO:when=1")
    assert told.startswith(f"{storage.path} was written, but the disk did not confirm")
    assert storage.read(MOST) == b"two"


@traced
def test_a_file_system_that_cannot_fsync_a_directory_will_do(storage: Storage) -> None:
    assert save_with(storage, "fsync", "error=EINVAL:when=1") == "saved"


@pytest.mark.parametrize(
    ("number", "doing", "code", "message"),
    [
        (errno.ENOSPC, "write", "vault", "The disk that holds FILE is full."),
        (errno.EDQUOT, "write", "vault", "Your disk quota is used up, so FILE cannot be written."),
        (errno.EROFS, "write", "read-only", "FILE cannot be changed: it is on a read-only file"),
        (errno.EACCES, "write", "read-only", "This user may not write FILE."),
        (errno.EPERM, "read", "vault", "This user may not read FILE."),
        (errno.EIO, "read", "vault", "The disk reported an error, so the agent could not read"),
        (errno.EMFILE, "read", "busy", "The agent has too many files open to read FILE."),
        (errno.ESTALE, "read", "vault", "The agent could not read FILE: Stale file handle."),
    ],
)
def test_a_mistake_of_the_system_is_a_sentence(
    number: int, doing: str, code: str, message: str
) -> None:
    told = explain(OSError(number, "x"), doing, "FILE")
    assert told.code == code
    assert told.message.startswith(message)
    assert told.message.endswith(".")


def test_another_process_that_saves_is_waited_for(storage: Storage) -> None:
    holder = (
        "import sys\nfrom tokenward_agent.vault.storage import Storage\n"
        "with Storage(*sys.argv[1:]).lock() as writer:\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
        "    writer.replace(b'theirs', keep_previous=True)\n"
    )
    command = [sys.executable, "-c", holder, storage.directory, storage.name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(storage_of, "PATIENCE", 0.05)
            with pytest.raises(VaultError, match="Another process") as caught:
                save(storage, b"ours")
        assert caught.value.code == "busy"
        process.stdin.close()
        save(storage, b"ours")
    assert (storage.read(MOST), storage.read_previous(MOST)) == (b"ours", b"theirs")
