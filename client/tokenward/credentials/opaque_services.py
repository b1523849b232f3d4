"""SERVICE where it may be a word that a tool stored something under, and that is no URL's.

Tools give keyrings any word: `keyring set poetry-repository-x alice`. Such a credential is stored
under that very word, and answers for nothing else. A word that a file defines, and a host that
something is stored for, mean what they always mean; only where there is nothing of the kind it is
looked for as it was typed.
"""

from __future__ import annotations

from tokenward.errors import CommandError
from tokenward.settings.service_names import Service
from tokenward.transport.connect import AgentError
from tokenward_protocol.urls import FIXED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.session import Session


def service(session: Session, text: str | None, provider: str | None) -> Service:
    """Return what SERVICE means to a command about what is stored. Raises CommandError.

    A provider's vault is looked into alone where one is named.
    """
    word = (text or "").strip()
    may_be = bool(word) and word not in FIXED and not any(mark in word for mark in ("://", "@"))
    try:
        found = session.service(text)
    except CommandError:
        if may_be and _is_stored(session, word, provider):
            return _as_typed(word)
        raise
    usual = not may_be or found.file is not None or _is_stored(session, found.key, provider)
    return found if usual or not _is_stored(session, word, provider) else _as_typed(word)


def _as_typed(word: str) -> Service:
    return Service(word, word, word, word)


def _is_stored(session: Session, key: str, provider: str | None) -> bool:
    """Tell whether something answers for a key, as far as that can be seen without opening a vault."""
    try:
        session.plain("describe", service=key, provider=provider)
    except CommandError as refused:
        return isinstance(refused, AgentError) and refused.code == "ambiguous"
    return True
