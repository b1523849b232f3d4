"""What is to be said of the running agent: its process, its vaults, log, policy, tokens and manager.

The process is tested from outside, as this user; the agent's own report counts only if nothing can
be tested. Linux shows a process to others, and Windows says what may be done to it; other systems
leave only the agent's own report.
"""

from __future__ import annotations

import errno
import os
import sys

from tokenward import services
from tokenward.audit import stray, summary
from tokenward.checks import ok, problem, warning
from tokenward.credentials.listing import advice_text, end_of, is_attenuated
from tokenward.ui.formatting import count_of, join_words
from tokenward_os.files import CLOSED
from tokenward_protocol.messages import vault_name
from tokenward_protocol.urls import PAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tokenward.checks import Finding


_REFUSED = {errno.EACCES, errno.EPERM}
_OPENED = ("mem", "environ", "maps")
_RESTART = "`auth agent restart`, and report it if it happens again"


def check_closed(pid: int, uid: int, proc: str = "/proc") -> Iterator[Finding]:
    """Try to read the agent's memory and environment, and to list its descriptors."""
    check = "process"
    if sys.platform == "win32":
        from tokenward.windows.process import may_be_read

        if may_be_read(pid):
            yield problem(check, "Your other programs can read the agent's memory.", _RESTART)
        else:
            yield ok(check, "Your other programs cannot read the agent's memory.")
        return
    if not os.path.isdir(f"{proc}/self"):
        return
    if uid == 0:
        yield warning(
            check,
            "You are root, and root can read the agent's memory.",
            "use tokenward as an ordinary user",
        )
        return
    wrong = {what: _open(f"{proc}/{pid}/{what}") for what in _OPENED}
    opened = [what for what, error in wrong.items() if error is None]
    try:
        os.listdir(f"{proc}/{pid}/fd")
        opened.append("fd")
    except OSError:
        pass
    if opened:
        yield problem(
            check, f"Your other programs can read the agent ({', '.join(opened)}).", _RESTART
        )
    elif set(wrong.values()) <= _REFUSED:
        yield ok(
            check, "Your other programs cannot read the agent's memory, environment and files."
        )
    else:
        yield warning(
            check,
            f"The agent (pid {pid}) cannot be seen from here, so it cannot be tested.",
            "run `auth doctor` where the agent runs",
        )


def _open(path: str) -> int | None:
    """Return the error number of opening a file, or None if it opens."""
    try:
        os.close(os.open(path, os.O_RDONLY | CLOSED))
    except OSError as error:
        return error.errno
    return None


def check_limits(text: str) -> Iterator[Finding]:
    """Judge the agent's limits in /proc/PID/limits (proc_pid_limits(5))."""
    core = _limit(text, "Max core file size")
    if core == ("0", "0"):
        yield ok("core", "A crash of the agent writes no core file (limit 0, and fixed).")
    elif core:
        yield problem("core", f"A crash of the agent may write a core file ({core[1]}).", _RESTART)


def _limit(text: str, name: str) -> tuple[str, str] | None:
    """Return a soft and a hard limit, or None without such a line."""
    for line in text.splitlines():
        if line.startswith(name):
            soft, hard, *_ = line.removeprefix(name).split()
            return soft, hard
    return None


def check_memory(kind: str, limits_text: str) -> Finding:
    """Judge how the secrets are kept from swap and dumps, by the agent's own report."""
    if kind == "memfd_secret":
        return ok("memory", "Secrets are in memory that the kernel does not map (memfd_secret).")
    if kind == "mlock":
        return ok("memory", "Secrets are in locked memory, which is never swapped (mlock).")
    if kind == "VirtualLock":
        return ok("memory", "Secrets are in locked memory, which is never swapped (VirtualLock).")
    limit = _limit(limits_text, "Max locked memory")
    allowed = f" (lock limit {limit[1]})" if limit else ""
    return warning(
        "memory",
        f"The memory for secrets is {kind.rstrip('.')}{allowed}.",
        "raise the hard limit that `ulimit -H -l` shows, then `auth agent restart`",
    )


HELPS = {
    "not dumpable": "run the agent outside of it",  # refused only in a user namespace
    "remote debugging off": "`auth agent restart`",
}
"""What helps if a protection is refused."""


def check_protections(protections: Mapping[str, str]) -> Iterator[Finding]:
    """Report the protections that this system refuses."""
    for name, state in protections.items():
        if state.startswith("refused"):
            yield warning(
                "protections",
                f"This system refuses a protection: {name} ({state.removeprefix('refused: ')}).",
                HELPS.get(name, "a newer kernel may provide it"),
            )


def vault_openers(vaults: list[dict[str, Any]]) -> Iterator[Finding]:
    """Report for each vault who opens it without the agent."""
    told = set()
    for vault in vaults:
        name, state = vault["provider"], vault["state"]
        if state == "absent":
            continue
        if state == "broken":
            if vault["note"] not in told:  # a wrong folder is the same note for both vaults
                told.add(vault["note"])
                hint = str(vault.get("hint") or "`auth restore`")
                restored = f"`auth restore --previous --keyring-provider {name}`"
                yield problem(
                    "vaults",
                    f"The {vault_name(name)} cannot be used: {str(vault['note']).rstrip('.')}.",
                    restored if "auth restore" in hint else hint,
                )
            continue
        who = join_words([str(slot["detail"]) for slot in vault["slots"]])
        kinds = {slot["kind"] for slot in vault["slots"]}
        message = f"The {vault_name(name)} ({state}) can be opened by {who}."
        if "key-file" in kinds:
            yield warning("vaults", message, "`auth passphrase set`")
        else:
            yield ok("vaults", message)
        if state == "closed" and vault["note"]:
            yield warning(
                "vaults",
                f"The {vault_name(name)} did not open: {str(vault['note']).rstrip('.')}.",
                f"`auth unlock --keyring-provider {name}`",
            )


def vault_copies(vaults: list[dict[str, Any]], directory: str, state: str) -> Iterator[Finding]:
    """Report whether a copy of the credentials directory opens by itself."""
    kinds = {slot["kind"] for vault in vaults for slot in vault["slots"]}
    if "key-file" in kinds and f"{state}/".startswith(f"{directory}/"):
        yield problem(
            "copies",
            f"A copy of {directory} opens by itself, because the key file lies in it.",
            "let TOKENWARD_DIR name a directory of its own, or `auth passphrase set`",
        )
    elif kinds:
        yield ok(
            "copies",
            f"A copy of {directory} alone does not open; `auth export` makes a backup.",
        )


def log_findings(status: dict[str, Any], verified: dict[str, Any] | None) -> Iterator[Finding]:
    """Report the state of the log; `verified` is None if no vault is open to verify it with."""
    if status["problem"]:
        yield problem("log", str(status["problem"]), f"`ls -la {status['folder']}` and `df`")
    if verified is None:
        yield warning("log", "The audit log cannot be verified: no vault is open.", "`auth unlock`")
        return
    if verified["count"]:
        first = str(verified["problems"][0]).rstrip(".")
        more = f", and {verified['count'] - 1} more of the kind" if verified["count"] > 1 else ""
        yield problem("log", f"{first}{more}.", "`auth log --verify`")
    else:
        yield ok("log", summary(verified))
    for sentence in stray(verified):
        yield warning("log", sentence, "move it out of there")


def policy_finding(policy: dict[str, Any]) -> Finding:
    """Report the policy; `policy` as `status` answers it."""
    if policy["problem"]:
        return problem(
            "policy",
            f"Nothing is handed out, because {policy['file']} {policy['problem']}.",
            "correct that line, or remove the rules",
        )
    if not policy["rules"]:
        return ok("policy", "No policy is set: every program of yours gets what it asks for.")
    return ok("policy", f"The policy in {policy['file']} has {count_of(policy['rules'], 'rule')}.")


def share_findings(shares: list[dict[str, Any]]) -> Iterator[Finding]:
    """Report the declared shares that are not open; `shares` as `status` answers them."""
    why = {str(each["socket"]): each["problem"] for each in shares if each.get("problem")}
    for path, text in why.items():
        yield warning(
            "share",
            f"The share at {path} is not open: {text}",
            "`at` in config.toml has to name a free place in a folder that is there",
        )


def service_findings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Report an installed service; raises nothing."""
    manager = services.find_manager(environ)
    service = manager.service() if manager is not None else None
    if manager is None or service is None:
        return
    if service.listening:
        yield ok("service", f"{manager.name} starts the agent, at {service.socket}.")
    else:
        yield warning(
            "service",
            f"{manager.name} should start the agent, but does not listen at {service.socket}.",
            "`auth agent install`",
        )


def token_findings(entries: list[dict[str, Any]], now: float) -> Iterator[Finding]:
    """Report for each entry of a list what should be done about its token."""
    seen = [entry for entry in entries if entry["token"] is not None]
    fine = 0
    for entry in seen:
        moment = end_of(entry)
        if moment is not None and moment <= now:
            yield warning(
                "tokens", f"The token for {entry['service']} has expired.", "`auth login`"
            )
        elif sentence := advice_text(entry, now):
            page = PAGES[entry["service"]]
            yield warning("tokens", sentence, f"make a new one at {page}, then `auth login`")
        else:
            fine += 1
    if seen and fine == len(seen):
        yield ok("tokens", f"No problem is visible in {count_of(fine, 'token')}.")


def sealed_findings(
    entries: list[dict[str, Any]], vaults: list[dict[str, Any]]
) -> Iterator[Finding]:
    """Report what is sealed, and for each vault that holds some whether programs open it alone."""
    held = [entry for entry in entries if entry["sealed"]]
    if not held:
        return
    alone = sum(not is_attenuated(entry) for entry in held)
    tokens = len(held) - alone
    ways = [
        f"{count_of(tokens, 'token')} for tools by attenuated ones",
        f"{count_of(alone, 'credential')} for commands behind a relay alone",
    ]
    said = join_words([way for way, some in zip(ways, (tokens, alone), strict=True) if some])
    yield ok("sealed", f"Sealed: {said}.")
    for vault in vaults:
        kinds = {slot["kind"] for slot in vault["slots"]}
        if kinds <= {"passphrase"} or vault["provider"] not in {e["provider"] for e in held}:
            continue
        yield warning(
            "sealed",
            f"The vault of `{vault['provider']}` has sealed credentials, and a program of yours that"
            " looks for its key can open it without the agent.",
            "log in again with `--keyring-provider disabled` and a passphrase (`auth passphrase set`)",
        )
