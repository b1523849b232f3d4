"""The commands that publish, and which files they send by their command lines.

The table is that of docs/TOOLS.md; a command that is not in it publishes nothing as far as the
agent knows. Pure: evidence.py reads the folders.

Doubt leads to no answer. An option that the table does not have might take the next word as its
value, so that word counts as a file, and a file of no known project ends the search.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.peer.requester import Link


class Upload(NamedTuple):
    """What a command sends: the absolute paths of `files`, or the content of `built`.

    Exactly one of both; `built` is the folder `dist` of the project that the command runs in.
    """

    files: tuple[str, ...]
    built: str


class _Publisher(NamedTuple):
    """A publishing command: options with a value, and options that change nothing.

    Without a file, `publish` sends the content of `dist` in the project that it runs in.
    """

    command: str
    valued: str
    flags: str = ""


_TABLE: Final[Mapping[str, _Publisher]] = {
    "twine": _Publisher(
        "upload",
        "-r --repository --repository-url --sign-with -i --identity -u --username -p"
        " --password -c --comment --config-file --cert --client-cert",
        "-s --sign --attestations --non-interactive --skip-existing --verbose"
        " --disable-progress-bar",
    ),
    "uv": _Publisher(
        "publish",
        "--index -u --username -p --password -t --token --trusted-publishing"
        " --keyring-provider --publish-url --check-url --allow-insecure-host --color"
        " --cache-dir --config-file",
        "-q --quiet -v --verbose -n --no-cache --native-tls --no-progress --no-config"
        " --dry-run --no-attestations --skip-existing --offline",
    ),
    "poetry": _Publisher(
        "publish",
        "-r --repository -u --username -p --password --cert --client-cert",
        "--build --dry-run --skip-existing -q --quiet -v -vv -vvv --verbose -n"
        " --no-interaction --ansi --no-ansi --no-plugins --no-cache",
    ),
    "pdm": _Publisher(
        "publish",
        "-r --repository -u --username -P --password -c --comment -i --identity --ca-certs",
        "-v --verbose -q --quiet --no-build --skip-existing -S --sign --no-very-ssl",
    ),
    "hatch": _Publisher(
        "publish",
        "-r --repo -u --user -a --auth --ca-cert --client-cert --client-key -p --publisher"
        " -o --option",
        "-n --no-prompt --initialize-repo --yes -y -q --quiet -v --verbose --no-color"
        " --color --no-interactive --interactive",
    ),
    "flit": _Publisher(
        "publish",
        "--repository --pypirc",
        "--setup-py --no-setup-py --no-use-vcs --use-vcs --debug",
    ),
    "maturin": _Publisher("upload", "-r --repository --repository-url -u --username -p --password"),
    "devpi": _Publisher("upload", "--index --debug --setup-option --pypi-cleanup"),
}
PUBLISHERS: Final = frozenset(_TABLE)  # names of the programs in the table


def upload_of(link: Link) -> Upload | None:
    """Return what a process publishes, None if it does not publish or if that is uncertain."""
    process, program = link
    publisher = _TABLE.get(program.name)
    if publisher is None or not process.whole or not os.path.isabs(process.cwd):
        return None
    files = _files_of(program.arguments, publisher)
    if files:
        at = (os.path.normpath(os.path.join(process.cwd, file)) for file in files)
        return Upload(tuple(at), "")
    built = files is not None and publisher.command == "publish"
    return Upload((), os.path.join(process.cwd, "dist")) if built else None


def _files_of(arguments: tuple[str, ...], publisher: _Publisher) -> tuple[str, ...] | None:
    """Return the words that are files, () for none; None if it is not the publisher's command.

    None, too, if an option might change where the command finds its files.
    """
    valued, flags = publisher.valued.split(), publisher.flags.split()
    words: list[str] = []
    strange = False
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        option, equals, _ = word.partition("=")
        if option in valued and words:
            if not equals and rest and not _is_file(rest[0]):
                rest.pop(0)
        else:
            strange = strange or option not in flags
    if words[:1] != [publisher.command]:
        return None
    files = tuple(words[1:])
    by_itself = files and not any(map(is_pattern, files))
    return None if strange and not by_itself else files


def _is_file(word: str) -> bool:
    """Tell whether a word that could be an option's value might rather be a file."""
    return word.endswith((".whl", ".gz", ".zip", ".asc", ".attestation")) or is_pattern(word)


def is_pattern(path: str) -> bool:
    """Tell whether a path is a pattern, as a shell reads it."""
    return not set("*?[").isdisjoint(path)
