"""The life of one agent: from a bound socket until the address is free again.

It reports that it is ready only once it answers. It ends by itself when clients cannot reach it any
more, because its socket or its credentials directory was removed or replaced. At every end it wipes
every key and releases the address.

A service manager is told that the agent serves, whether it is locked, and that it ends. A reload
locks the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys

from tokenward_agent.arena import Arena
from tokenward_agent.asking.peer import Peer
from tokenward_agent.clock import SystemClock
from tokenward_agent.failure import Failure
from tokenward_agent.faults import fault
from tokenward_agent.parts import Parts
from tokenward_agent.quiet import Quiet
from tokenward_agent.session.watching import Watching
from tokenward_agent.system import new_loop, raise_descriptors, when_ended
from tokenward_agent.wire.place import PlaceError
from tokenward_agent.wire.server import MAX_CONNECTIONS, RESERVED, Server
from tokenward_os.files import uid
from tokenward_protocol import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward_agent.harden import Report
    from tokenward_agent.notices import Notices
    from tokenward_agent.settings import Settings
    from tokenward_agent.wire.local import Place

LOOK_AROUND_SECONDS = 5
"""How often an agent checks that it is needed and that socket and directory are still its own."""


def run(settings: Settings, place: Place, report: Report, notices: Notices) -> int:
    """Serve until stopped; return the exit code."""
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_serve(settings, place, report, notices))
    finally:
        place.release()
    return 0


async def _serve(settings: Settings, place: Place, report: Report, notices: Notices) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report_fault)
    raise_descriptors(MAX_CONNECTIONS + RESERVED)
    stop = asyncio.Event()
    when_ended(loop, stop.set)
    arena = Arena()
    if arena.kind.startswith("unlocked"):
        _, _, why = arena.kind.partition(": ")
        sys.stderr.write(
            f"tokenward-agent: Memory cannot be locked: {why}; secrets may be written to swap.\n"
        )
    parts = Parts(settings, report, arena, SystemClock(), stop.set)
    parts.recorder.event("start", version=VERSION, pid=os.getpid())
    server = Server(place.listener, arena, parts.dispatch, Peer)
    parts.sharing.serve(server)
    _claim(place, parts, stop)
    opening = loop.create_task(parts.opening.open_what_opens(None))
    gc.freeze()  # the collector skips objects that live as long as the process
    _say_ready(settings)
    reloads = _tell(notices, parts)
    quiet = Quiet(
        settings.idle if place.handed else None, server, parts.vaults.clock, parts.agent.expendable
    )
    watching = Watching(parts.auto_lock, os.environ, uid())
    watch = loop.create_task(_watch(settings, place, parts, quiet, watching, stop))
    await stop.wait()
    notices.tell("STOPPING=1")
    watch.cancel()
    watching.close()
    for reload in reloads:
        reload.cancel()
    opening.cancel()
    parts.sharing.close()
    await server.close()
    parts.recorder.event("end")
    await parts.anchoring.now()
    parts.locking.close()
    parts.adopted.forget()


def _say_ready(settings: Settings) -> None:
    if settings.ready is not None:
        with contextlib.suppress(BrokenPipeError):  # the client gave up waiting; others will come
            os.write(settings.ready, b"ready\n")
        os.close(settings.ready)
        settings.ready = None


def _claim(place: Place, parts: Parts, stop: asyncio.Event) -> None:
    """Claim the credentials directory as soon as it exists; end if another agent has it."""
    look = parts.vaults.when_changed

    def changed() -> None:
        look()
        try:
            place.claim()
        except PlaceError as error:
            sys.stderr.write(f"tokenward-agent: {error}\n")
            stop.set()

    parts.vaults.when_changed = changed


def _tell(notices: Notices, parts: Parts) -> set[asyncio.Task[None]]:
    """Keep the service manager informed from now on; return the set of reloads in progress."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def status() -> None:
        notices.status("locked" if _locked(parts) else "unlocked")

    async def reload() -> None:
        notices.reloading()
        parts.recorder.event("lock", decision="done")
        await parts.anchoring.now()
        with contextlib.suppress(Failure):  # it is locked; the marker may be missing
            await parts.locking.lock()
        status()
        notices.ready()

    def begin() -> None:
        reloads.add(task := loop.create_task(reload()))
        task.add_done_callback(reloads.discard)

    if sys.platform != "win32" and notices.wanted:
        loop.add_signal_handler(signal.SIGHUP, begin)
        look = parts.vaults.when_changed

        def changed() -> None:
            look()
            status()

        parts.vaults.when_changed = changed
        status()
        notices.ready()
    return reloads


def _locked(parts: Parts) -> bool:
    """Tell whether nothing is handed out: by a lock, or because no existing vault is open."""
    states = {vault.state for vault in parts.vaults.each.values()}
    return parts.locking.locked or ("open" not in states and bool(parts.vaults.not_open(None)))


async def _watch(
    settings: Settings,
    place: Place,
    parts: Parts,
    quiet: Quiet,
    watching: Watching,
    stop: asyncio.Event,
) -> None:
    """End the agent when clients cannot find it or do not need it; lock, and drop expired entries.

    A new directory may get the inode number of a removed one, but not its vaults.
    """
    began = _inode(settings.directory)
    while place.still_ours() and (not began or _inode(settings.directory) == began):
        await parts.auto_lock.look_around()
        watching.look()
        await asyncio.sleep(min(LOOK_AROUND_SECONDS, settings.idle or LOOK_AROUND_SECONDS))
        parts.opening.elsewhere.look(thoroughly=True)
        parts.vaults.drop_expired()
        parts.vaults.when_changed()  # another agent may have set or removed a lock marker
        began = began or _inode(settings.directory)
        if parts.vaults.lost() or quiet.enough():
            break
    stop.set()


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _report_fault(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report the type and line of an internal error, without any value: it might be a secret."""
    error = context.get("exception")
    sys.stderr.write(f"tokenward-agent: Internal error: {fault(error)}.\n")
