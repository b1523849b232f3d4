"""The arena: what it lends never overlaps, comes back empty, and is not to be had from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenward_agent.arena import Arena, ArenaFull, wipe
from tokenward_agent.locked_memory import can_hibernate

if TYPE_CHECKING:
    from pathlib import Path

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

KINDS = {
    "memfd_secret": "locked_memory.can_hibernate = lambda state, swaps: False",
    "mlock": "locked_memory.can_hibernate = lambda state, swaps: True",
}


def start(kind: str, program: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run *program* with an arena `a` of *kind* in a process of its own."""
    setup = f"import os, sys\nfrom tokenward_agent import arena, locked_memory\n{KINDS[kind]}\n"
    made = f"a = arena.Arena(1 << 16)\nif a.kind != {kind!r}: sys.exit(77)\n"
    argv = [sys.executable, "-I", "-c", setup + made + program]
    result = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd)
    if result.returncode == 77:
        pytest.skip(f"this system grants no {kind}")
    return result


def test_a_block_has_the_size_asked_for_and_is_empty() -> None:
    block = Arena(4096).allocate(33)
    assert bytes(block) == bytes(33)
    assert not block.readonly


def test_a_block_of_no_bytes_can_be_lent_grown_and_given() -> None:
    arena = Arena(4096)
    block = arena.grow(arena.allocate(0), 5)
    block[:] = b"hello"
    arena.release(block)
    assert arena.free_bytes == 4096


def test_what_is_given_back_is_wiped() -> None:
    arena = Arena(4096)
    block = arena.allocate(100)
    block[:] = b"s" * 100
    arena.release(block)
    assert bytes(arena.view) == bytes(len(arena.view))


def test_a_block_cannot_be_used_after_it_was_given_back() -> None:
    arena = Arena(4096)
    block = arena.allocate(8)
    arena.release(block)
    with pytest.raises(ValueError, match="released"):
        block[0] = 1
    with pytest.raises(ValueError, match="not a block"):
        arena.release(block)


def test_what_the_arena_did_not_lend_it_does_not_take() -> None:
    arena = Arena(4096)
    block = arena.allocate(8)
    for stranger in (memoryview(bytearray(8)), block[:4], Arena(4096).allocate(8)):
        with pytest.raises(ValueError, match="not a block"):
            arena.release(stranger)
        with pytest.raises(ValueError, match="not a block"):
            arena.grow(stranger, 9)


def test_a_full_arena_says_so_and_keeps_what_it_lent() -> None:
    arena = Arena(4096)
    block = arena.allocate(4000)
    block[:4] = b"kept"
    with pytest.raises(ArenaFull, match="200"):
        arena.allocate(200)
    with pytest.raises(ArenaFull, match="5000"):
        arena.grow(block, 5000)
    assert bytes(block[:4]) == b"kept"


def test_a_block_grows_in_place_where_its_neighbour_is_free() -> None:
    arena = Arena(4096)
    block = arena.allocate(64)
    block[:] = b"x" * 64
    larger = arena.grow(block, 4096)
    assert bytes(larger) == b"x" * 64 + bytes(4032)


def test_a_block_that_moves_to_grow_leaves_nothing_behind() -> None:
    arena = Arena(4096)
    block = arena.allocate(64)
    block[:] = b"x" * 64
    neighbour = arena.allocate(64)
    larger = arena.grow(block, 128)
    assert bytes(larger) == b"x" * 64 + bytes(64)
    assert bytes(arena.view).count(b"x") == 64
    assert bytes(neighbour) == bytes(64)


def test_a_block_does_not_shrink() -> None:
    arena = Arena(4096)
    with pytest.raises(ValueError, match="shrink"):
        arena.grow(arena.allocate(10), 9)


def test_wiping_nothing_is_no_error() -> None:
    wipe(memoryview(bytearray()))


def test_a_repr_shows_no_content() -> None:
    arena = Arena(4096)
    arena.allocate(6)[:] = b"hidden"
    assert "hidden" not in repr(arena)


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "give", "grow"]), st.integers(0, 7), st.integers(0, 900)),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_blocks_never_overlap_and_all_memory_comes_back(steps: list[Step]) -> None:
    arena = Arena(4096)
    held: list[tuple[memoryview, bytes]] = []
    for number, (action, which, size) in enumerate(steps):
        fill = bytes([number % 255 + 1])
        try:
            if action == "take" or not held:
                block = arena.allocate(size)
                assert bytes(block) == bytes(size)
                block[:] = fill * size
                held.append((block, fill * size))
            elif action == "give":
                arena.release(held.pop(which % len(held))[0])
            else:
                index = which % len(held)
                block, content = held[index]
                larger = arena.grow(block, len(content) + size)
                assert bytes(larger) == content + bytes(size)
                larger[len(content) :] = fill * size
                held[index] = larger, content + fill * size
        except ArenaFull:
            continue
    for block, content in held:
        assert bytes(block) == content
        arena.release(block)
    assert arena.free_bytes == 4096
    assert bytes(arena.view) == bytes(4096)
    assert len(arena.allocate(4096)) == 4096  # in one piece again


@pytest.mark.parametrize(
    ("state", "swaps", "answer"),
    [
        (b"freeze mem disk\n", b"Filename Type\n/dev/nvme0n1p3 partition\n", True),
        (b"freeze mem disk\n", b"Filename Type\n", False),
        (b"freeze mem disk\n", b"Filename Type\n/dev/zram0 partition\n", False),
        (b"freeze mem\n", b"Filename Type\n/swapfile file\n", False),
        (b"", b"", False),
    ],
)
def test_a_machine_hibernates_only_with_support_and_swap(
    state: bytes, swaps: bytes, *, answer: bool
) -> None:
    assert can_hibernate(state, swaps) is answer


@linux
@pytest.mark.parametrize("kind", KINDS)
def test_a_forked_child_finds_nothing(kind: str) -> None:
    program = """
b = a.allocate(6); b[:] = b"secret"
child = os.fork()
if child == 0:
    os._exit(1 if bytes(b) == b"secret" else 0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), bytes(b).decode())
"""
    code, content = start(kind, program).stdout.split()
    assert content == "secret"
    assert int(code) in (0, -signal.SIGSEGV, -signal.SIGBUS)  # zeros, or nothing there at all


@linux
def test_secret_memory_is_closed_even_to_root_reading_the_process() -> None:
    program = """
import ctypes
b = a.allocate(6); b[:] = b"secret"
control = bytearray(b"secret")
for view in (control, b):
    mem = os.open(f"/proc/{os.getpid()}/mem", os.O_RDONLY)
    address = ctypes.addressof(ctypes.c_char.from_buffer(view))
    try: print(os.pread(mem, 6, address).decode())
    except OSError as error: print(type(error).__name__, error.errno)
"""
    assert start("memfd_secret", program).stdout == "secret\nOSError 5\n"


@linux
@pytest.mark.parametrize("kind", KINDS)
def test_a_core_dump_of_a_crash_does_not_hold_it(kind: str, tmp_path: Path) -> None:
    program = """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
b, control = a.allocate(32), bytearray(32)
for i in range(32): b[i], control[i] = MASKED[i] ^ 0x5a, CONTROL[i] ^ 0x5a
os.abort()
"""
    secret, control = b"in-the-arena-" + b"7" * 19, b"outside-of-it-" + b"9" * 18
    masked = {
        name: bytes(c ^ 0x5A for c in text)
        for name, text in {"MASKED": secret, "CONTROL": control}.items()
    }
    lines = "".join(f"{name} = {text!r}\n" for name, text in masked.items())
    start(kind, lines + program, cwd=tmp_path)
    cores = [path for path in tmp_path.iterdir() if path.name.startswith("core")]
    if not cores:
        pytest.skip("this system writes cores elsewhere or not at all")
    dump = cores[0].read_bytes()
    assert control in dump
    assert secret not in dump
    assert secret[:16] not in dump


@linux
def test_where_locking_is_refused_the_reason_is_kept() -> None:
    program = """
import resource
resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096))
if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)
for hibernates in (False, True):
    locked_memory.can_hibernate = lambda state, swaps: hibernates
    print(arena.Arena(1 << 20).kind)
"""
    kinds = start("mlock", program).stdout.splitlines()
    assert kinds == [f"unlocked: {os.strerror(12)} for 1024 KiB (see `ulimit -l`)"] * 2
