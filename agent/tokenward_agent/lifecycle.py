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
from typing import TYPE_CHECKING, Any

from tokenward_agent.arena import Arena
from tokenward_agent.assembly import Assembly
from tokenward_agent.clock import SystemClock
from tokenward_agent.failure import Failure, describe_fault
from tokenward_agent.files import file_identity
from tokenward_agent.peer.peer import Peer
from tokenward_agent.service_manager import IdleExit
from tokenward_agent.session.bus_watches import BusWatches
from tokenward_agent.session.notifier import LOCKED, WITHHELD, Notifier
from tokenward_agent.system import new_loop, on_termination, raise_descriptor_limit
from tokenward_agent.wire.listener import ListenAddressError
from tokenward_agent.wire.server import MAX_CONNECTIONS, RESERVED, Server
from tokenward_os.files import uid
from tokenward_protocol import VERSION

if TYPE_CHECKING:
    from tokenward_agent.harden import HardenReport
    from tokenward_agent.service_manager import Notices
    from tokenward_agent.settings import Settings
    from tokenward_agent.wire.local import ListenAddress

LOOK_AROUND_SECONDS = 5
"""How often an agent checks that it is needed and that socket and directory are still its own."""


def run_agent(
    settings: Settings, address: ListenAddress, report: HardenReport, notices: Notices
) -> int:
    """Serve until stopped; return the exit code."""
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_serve(settings, address, report, notices))
    finally:
        address.release()
    return 0


async def _serve(
    settings: Settings, address: ListenAddress, report: HardenReport, notices: Notices
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report_fault)
    raise_descriptor_limit(MAX_CONNECTIONS + RESERVED)
    stop = asyncio.Event()
    on_termination(loop, stop.set)
    arena = Arena()
    if arena.kind.startswith("unlocked"):
        _, _, why = arena.kind.partition(": ")
        sys.stderr.write(
            f"tokenward-agent: Memory cannot be locked: {why}; secrets may be written to swap.\n"
        )
    assembly = Assembly(settings, report, arena, SystemClock(), stop.set)
    assembly.recorder.record_event("start", version=VERSION, pid=os.getpid())
    server = Server(address.listener, arena, assembly.dispatch, Peer)
    assembly.share_requests.serve(server)
    assembly.declared_shares.reconcile()
    assembly.run_requests.remove_leftovers()

    def claim() -> None:
        """Claim the credentials directory as soon as it exists; end if another agent has it."""
        try:
            address.claim()
        except ListenAddressError as error:
            sys.stderr.write(f"tokenward-agent: {error}\n")
            stop.set()

    assembly.vaults.observers.append(claim)
    opening = loop.create_task(assembly.opening.open_available(None))
    settling = loop.create_task(assembly.run_requests.settle(assembly.log))
    gc.freeze()  # the collector skips objects that live as long as the process
    if settings.ready is not None:
        with contextlib.suppress(BrokenPipeError):  # the client gave up waiting; others will come
            os.write(settings.ready, b"ready\n")
        os.close(settings.ready)
    reloads = _keep_manager_told(notices, assembly)
    idle_exit = IdleExit(
        settings.idle if address.handed else None,
        server,
        assembly.vaults.clock,
        lambda: assembly.agent.is_expendable() and not assembly.share_requests.overview(),
    )
    watching = BusWatches(assembly.auto_lock, os.environ, uid())
    watch = loop.create_task(_watch(settings, address, assembly, idle_exit, watching, stop))
    await stop.wait()
    notices.send("STOPPING=1")
    watch.cancel()
    watching.close()
    for reload in reloads:
        reload.cancel()
    opening.cancel()
    settling.cancel()
    assembly.share_requests.close()
    await assembly.run_requests.end("the agent has ended")
    await assembly.relay_shares.wait_for_ends()
    await server.close()
    assembly.recorder.record_event("end")
    await assembly.audit_anchoring.anchor_now()
    assembly.locking.close()
    assembly.made.forget()


def _keep_user_told(assembly: Assembly) -> Notifier:
    """Notify the user from now on if a passphrase is needed: after a lock, and when a tool waits."""
    notifier = Notifier(os.environ, assembly.vaults.clock.boot)

    def tell_of_lock(why: str) -> None:
        if why != "logout" and assembly.vaults.needs_passphrase():
            notifier.notify(LOCKED)

    assembly.auto_lock.before_locking = tell_of_lock
    assembly.recorder.when_withheld = lambda: notifier.notify(WITHHELD)
    return notifier


def _keep_manager_told(notices: Notices, assembly: Assembly) -> set[asyncio.Task[None]]:
    """Keep the service manager informed from now on; return the set of reloads in progress."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def status() -> None:
        notices.send_status("locked" if _is_locked(assembly) else "unlocked")

    async def reload() -> None:
        notices.send_reloading()
        assembly.recorder.record_event("lock", decision="done")
        await assembly.audit_anchoring.anchor_now()
        await assembly.run_requests.end("the vault was locked")
        with contextlib.suppress(Failure):  # it is locked; the marker may be missing
            await assembly.locking.lock()
        status()
        notices.send_ready()

    def begin() -> None:
        reloads.add(task := loop.create_task(reload()))
        task.add_done_callback(reloads.discard)

    if sys.platform != "win32" and notices.is_wanted:
        loop.add_signal_handler(signal.SIGHUP, begin)
        assembly.vaults.observers.append(status)
        status()
        notices.send_ready()
    return reloads


def _is_locked(assembly: Assembly) -> bool:
    """Tell whether nothing is handed out: by a lock, or because no existing vault is open."""
    states = {vault.state for vault in assembly.vaults.each.values()}
    return assembly.locking.is_locked or (
        "open" not in states and bool(assembly.vaults.not_open(None))
    )


async def _watch(
    settings: Settings,
    address: ListenAddress,
    assembly: Assembly,
    idle_exit: IdleExit,
    watching: BusWatches,
    stop: asyncio.Event,
) -> None:
    """End the agent when clients cannot find it or do not need it; lock, and drop expired entries.

    A new directory may get the inode number of a removed one, but not its vaults.
    """

    def identity() -> tuple[int, int] | None:
        return file_identity(os.path.realpath(settings.directory))

    began = identity()
    with contextlib.closing(_keep_user_told(assembly)):
        while address.is_valid() and (not began or identity() == began):
            await assembly.auto_lock.check()
            watching.refresh()
            await asyncio.sleep(min(LOOK_AROUND_SECONDS, settings.idle or LOOK_AROUND_SECONDS))
            assembly.opening.other_agents.check(thoroughly=True)
            assembly.vaults.drop_expired()
            assembly.vaults.when_changed()  # another agent may have set or removed a lock marker
            began = began or identity()
            if assembly.vaults.is_file_lost() or idle_exit.is_due():
                break
    stop.set()


def _report_fault(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report the type and line of an internal error, without any value: it might be a secret."""
    error = context.get("exception")
    sys.stderr.write(f"tokenward-agent: Internal error: {describe_fault(error)}.\n")
