"""SERVICE as an opaque key: a word that a tool stored a credential under.

Tools give keyrings any word: `keyring set poetry-repository-x alice`. Such a credential is stored
under exactly that word, and answers for nothing else. A name that a file defines and a host with a credential keep
their usual meaning; only a word without one is looked up as it was typed.
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
    """Return the meaning of SERVICE for a command about stored credentials. Raises CommandError.

    If a provider is named, only its vault is searched.
    """
    word = (text or "").strip()
    may_be = bool(word) and word not in FIXED and not any(mark in word for mark in ("://", "@"))
    try:
        found = session.service(text)
    except CommandError:
        if may_be and _is_stored(session, word, provider):
            return _opaque_service(word)
        raise
    usual = not may_be or found.file is not None or _is_stored(session, found.key, provider)
    return found if usual or not _is_stored(session, word, provider) else _opaque_service(word)


def _opaque_service(word: str) -> Service:
    return Service(word, word, word, word)


def _is_stored(session: Session, key: str, provider: str | None) -> bool:
    """Return whether a credential answers for a key, as far as the open vaults show."""
    try:
        session.ask_once("describe", service=key, provider=provider)
    except CommandError as refused:
        return isinstance(refused, AgentError) and refused.code == "ambiguous"
    return True
