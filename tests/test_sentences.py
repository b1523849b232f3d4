"""Messages, hints and documents keep the rules of CONTRIBUTING.md, as far as a machine can tell.

A message is one sentence and a hint is a phrase: held for the texts in the source wherever an error
is made or something is printed, and for the errors of the system. The documents begin no sentence
with a relative clause. The given-up words, which leave open who acts, are counted in documents and
source.
"""

from __future__ import annotations

import ast
import errno
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokenward import cli
from tokenward.errors import CommandError, HelpShown
from tokenward_agent.vault.errors import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "examples/**/*.md")
    for path in sorted(ROOT.glob(pattern))
    if "node_modules" not in path.parts
]
SOURCES = sorted(ROOT.glob("*/tokenward*/**/*.py"))

GIVEN_UP = re.compile(r"\b(?:[Ww]hoever|[Nn]obody|[Ss]omebody|is none)\b")
"""Name who acts instead: the agent, the user, the tool, another user, another process."""

MOST_IN_DOCUMENTS = 10
MOST_IN_SOURCES = 40

RELATIVE_CLAUSE = re.compile(
    r"(?:^|[.!?]\s+|\|\s+|-\s+|\n\n)\**((?:What|Who|Whatever|Whoever)\s[^.?!|]*)(?=([.?!|]|$))"
)

HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands where a value is filled in."""

MESSAGE_AND_HINT: dict[str, tuple[int | None, int | None]] = {
    "AgentAbsent": (0, 1),
    "AgentError": (1, 2),
    "AgentLost": (0, 1),
    "AgentUnreachable": (0, 1),
    "CommandError": (0, 1),
    "Expired": (0, 1),
    "Failure": (1, 2),
    "HardenError": (0, None),
    "InheritedError": (0, None),
    "JobError": (1, 2),
    "ListenAddressError": (0, None),
    "LocalError": (1, None),
    "NotAdmitted": (0, 1),
    "PartError": (None, 1),  # its first argument is the end of a sentence
    "Refusal": (None, 2),  # its text is a fragment, for a status line
    "RemoteError": (1, None),
    "ServiceError": (0, 1),
    "SettingsError": (0, None),
    "VaultError": (1, 2),
    "WorkerError": (1, 2),
    "_add_problem": (0, None),
    "detail": (0, None),
    "fail": (0, 1),
    "hint": (None, 0),
    "ok": (1, None),
    "problem": (1, 2),
    "say": (0, None),
    "say_once": (0, None),
    "warn": (0, None),
    "warning": (1, 2),
}
"""At which place the calls that say something have a message and a hint."""


def wrong_message(text: str) -> str:
    """Return what is wrong with a message, or ""."""
    if text == HOLE:
        return ""  # made elsewhere
    if not text.endswith((".", f": {HOLE}")):  # a sentence may end with another one
        return "ends without a full stop"
    if re.match("[a-z]", text):
        return "begins without a capital"
    return "is more than one sentence" if re.search("[.!?] [A-Z]", text) else ""


def wrong_hint(text: str) -> str:
    """Return what is wrong with a hint, or ""."""
    bare = re.sub("`[^`]*`", "", text)
    if text.endswith((".", "!")):
        return "ends like a sentence"
    if re.match("[A-Z][a-z]|[A-Z] ", text):
        return "begins like a sentence"
    if re.search(r"(^| )(--[a-z]|-[a-z]\b|auth [a-z]|ch(own|mod) )", bare):
        return "has a command or an option outside of backquotes"
    return ""


def texts(node: ast.expr) -> Iterator[str]:
    """Yield what an expression says, with holes for values."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = (p.value if isinstance(p, ast.Constant) else HOLE for p in node.values)
        yield "".join(map(str, parts))
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)


def said() -> Iterator[tuple[str, str, str]]:
    """Yield every text in the source that a person may see: where it stands, its kind, itself."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            places = MESSAGE_AND_HINT.get(name, (None, None))
            for kind, place in zip(("message", "hint"), places, strict=True):
                if place is not None and place < len(node.args):
                    for text in texts(node.args[place]):
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", kind, text


def test_everything_that_is_said_has_one_voice() -> None:
    found = list(said())
    assert len(found) > 200
    check = {"message": wrong_message, "hint": wrong_hint}
    wrong = [
        f"{where}: {text!r} {problem}"
        for where, kind, text in found
        if (problem := check[kind](text))
    ]
    assert not wrong, "\n".join(wrong)


def commands_in_hints() -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of ours that hints name, in words, and where each stands."""
    for where, kind, text in said():
        for command in re.findall("`(auth [^`]*)`", text if kind == "hint" else ""):
            if HOLE not in command.split()[1]:  # a command that is filled in is another test's
                yield where, shlex.split(command.replace(HOLE, "x"))


def test_every_command_that_a_hint_names_can_be_run() -> None:
    found = list(commands_in_hints())
    assert len(found) > 50
    for where, words in found:
        try:
            command, rest = cli.command_of(words[1:])
            cli.parser_of(command).read(rest)
        except HelpShown:
            continue
        except CommandError as wrong:
            if " must be " in str(wrong):
                continue  # one of a few words, which is filled in
            pytest.fail(f"{where}: {shlex.join(words)}: {wrong}")


def docstrings(path: Path) -> Iterator[str]:
    """Yield each text of a source that stands alone: of a module, class or function, or below a value."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


WRONG_RAISES = re.compile(r"(?<=[.:;)`])\s+Raise\b|^Raises\b")
"""`Raise X` is what a function does, in its first sentence; else `Raises X` says what may happen."""


def test_a_docstring_says_raises_of_an_error_that_may_happen() -> None:
    assert WRONG_RAISES.search("Return it. Raise OSError.")
    assert [
        f"{path.relative_to(ROOT)}: {text}"
        for path in SOURCES
        for text in docstrings(path)
        if WRONG_RAISES.search(text)
    ] == []


def test_every_call_in_the_table_exists() -> None:
    called = {
        getattr(node.func, "id", getattr(node.func, "attr", ""))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    }
    assert MESSAGE_AND_HINT.keys() - called == set()


def given_up(paths: list[Path]) -> list[str]:
    """Return where the given-up words stand."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {word}"
        for path in paths
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for word in GIVEN_UP.findall(line)
    ]


def relative_clauses(text: str) -> list[str]:
    """Return the sentences of a page that begin with a relative clause; questions may."""
    plain = re.sub(r"(?ms)^```.*?^```$|^#.*?$|^(?: {4}).*?$", "", text)
    return [found for found, end in RELATIVE_CLAUSE.findall(plain) if end != "?"]


def test_the_documents_name_who_acts() -> None:
    found = given_up(DOCUMENTS)
    assert len(found) <= MOST_IN_DOCUMENTS, "\n".join(found)


def test_the_sources_name_who_acts_at_least_as_often_as_before() -> None:
    found = given_up(SOURCES)
    assert len(found) <= MOST_IN_SOURCES, f"{len(found)}: say who acts instead"


@pytest.mark.parametrize(
    "path",
    [path for path in DOCUMENTS if "adr" not in path.parts],  # a record is not rewritten
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_sentence_of_a_page_begins_with_a_relative_clause(path: Path) -> None:
    assert relative_clauses(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "text",
    ["What answers cannot be narrowed.", "It is open. Who asks, waits.", "- Whoever asks, waits."],
)
def test_a_relative_clause_as_a_subject_is_found(text: str) -> None:
    assert relative_clauses(text)


@pytest.mark.parametrize(
    "text", ["What did twine get?", "## What is stored", "It says what it is."]
)
def test_a_question_and_a_heading_may_begin_so(text: str) -> None:
    assert relative_clauses(text) == []


@pytest.mark.parametrize("number", sorted(errno.errorcode))
@pytest.mark.parametrize("doing", ["read", "write"])
def test_a_mistake_of_the_system_is_told_in_the_same_voice(number: int, doing: str) -> None:
    error = explain(OSError(number, "x"), doing, "/v/disabled.vault")
    assert wrong_message(error.message) == wrong_hint(error.hint) == ""
    assert "{" not in error.message + error.hint


@pytest.mark.parametrize("text", ["No full stop", "no capital.", "One sentence. And another."])
def test_a_message_in_another_voice_is_found(text: str) -> None:
    assert wrong_message(text)


@pytest.mark.parametrize(
    "text",
    ["A sentence", "ends so.", "auth unlock", "use --token -", "or auth login", "chmod 600 x"],
)
def test_a_hint_in_another_voice_is_found(text: str) -> None:
    assert wrong_hint(text)
