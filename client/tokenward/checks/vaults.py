"""Who can open the vaults, as the agent says, and whether a stolen copy opens by itself."""

from __future__ import annotations

from tokenward.checks.finding import ok, problem, warning
from tokenward.ui.formatting import join_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tokenward.checks.finding import Finding


def openers(vaults: list[dict[str, Any]]) -> Iterator[Finding]:
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
                    f"The vault of `{name}` cannot be used: {str(vault['note']).rstrip('.')}.",
                    restored if "auth restore" in hint else hint,
                )
            continue
        who = join_words([str(slot["detail"]) for slot in vault["slots"]])
        kinds = {slot["kind"] for slot in vault["slots"]}
        message = f"The vault of `{name}` ({state}) can be opened by {who}."
        if "key-file" in kinds:
            yield warning("vaults", message, "`auth passphrase set`")
        else:
            yield ok("vaults", message)
        if state == "closed" and vault["note"]:
            yield warning(
                "vaults",
                f"The vault of `{name}` did not open: {str(vault['note']).rstrip('.')}.",
                f"`auth unlock --keyring-provider {name}`",
            )


def copies(vaults: list[dict[str, Any]], directory: str, state: str) -> Iterator[Finding]:
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
