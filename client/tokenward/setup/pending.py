"""Which parts `auth setup` would write now: a tool was installed since, or an account became known.

It looks at the files and changes nothing. A file that cannot be edited, or that says something else,
is no part to write: `auth setup` itself reports it.
"""

from __future__ import annotations

from contextlib import suppress

from tokenward.errors import CommandError
from tokenward.files.draft import ForeignSettingError, UneditableFileError
from tokenward.settings import directories
from tokenward.setup import parts
from tokenward.setup.journal import Journal
from tokenward.setup.work import plan_change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward.setup.settings_parts import Accounts

TOOLS_OF = {"keyring": "the tools", "uv": "uv", "pip": "pip", "pypirc": "hatch and flit"}
"""Whom each part is for, in a sentence."""


def pending_parts(environ: Mapping[str, str], accounts: Accounts) -> list[str]:
    """Return the parts that would change, in their order. Raises CommandError for the journal."""
    known = Journal(directories.state(environ)).files
    found = []
    for step in parts.steps(parts.parts_for((), environ), environ, accounts):
        with suppress(CommandError, ForeignSettingError, UneditableFileError):
            if plan_change(step, known.get(step.path)).has_changes:
                found.append(step.part)
    return list(dict.fromkeys(found))
