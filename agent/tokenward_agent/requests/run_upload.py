"""An upload by a run: what its form says, and what the user is asked about it.

The relay has read the form and says what it publishes. The user is asked about project, version,
file, size, digest and index; what the tool says of itself stands in no question.

`auth exec` hashes the distribution files that its command line names before the run begins. The
first question lists those of the same release, and a yes covers their digests alone. Every other
file is a question of its own, `MOST_QUESTIONS` at most a run: a run that asks on and on is answered
without reading. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.prompt.question import covers_text
from tokenward_agent.requests.attenuation import RelayDelivery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Final

    from tokenward_agent.requests.access_request import AccessRequest

MOST_QUESTIONS: Final = 3
"""The most questions about uploads in a run."""

ANSWER_SECONDS: Final = 24 * 60 * 60
"""How long a yes holds: no run has a relay for longer."""

_TEXT: Final = re.compile(r"[A-Za-z0-9!+._-]{1,251}")
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_LISTED: Final = re.compile(r"([0-9a-f]{64}) ([0-9]{1,15}) ([A-Za-z0-9!+._-]{1,251})")
_MOST_BYTES: Final = 1 << 50


class UploadFacts(NamedTuple):
    """What is published: `project` is normalised, `size` in bytes, `sha256` in hex."""

    project: str
    version: str
    file: str
    size: int
    sha256: str


def read_upload(message: Mapping[str, Any]) -> UploadFacts:
    """Return what a relay says of an upload, each value checked. Raises Failure."""
    values = [message.get(name) for name in UploadFacts._fields]
    patterns = (_TEXT, _TEXT, _TEXT, None, _DIGEST)
    for name, value, pattern in zip(UploadFacts._fields, values, patterns, strict=True):
        if pattern is None:
            fits = type(value) is int and 0 <= value < _MOST_BYTES
        else:
            fits = isinstance(value, str) and pattern.fullmatch(value) is not None
        if not fits:
            raise Failure("bad-request", f"The relay does not say the {name} of an upload.")
    return UploadFacts(*values)  # type: ignore[arg-type]


def read_listing(listing: str) -> tuple[UploadFacts, ...]:
    """Return the distribution files that a command line names: `SHA-256 SIZE NAME` in each line.

    What is not a distribution file by its name is left out. Raises Failure for another text.
    """
    found: list[UploadFacts] = []
    for line in listing.splitlines():
        matched = _LISTED.fullmatch(line)
        if matched is None:
            raise Failure("bad-request", "A line of the listing is not `SHA-256 SIZE NAME`.")
        digest, size, name = matched.groups()
        release = _release_of(name)
        if release is not None:
            found.append(UploadFacts(*release, name, int(size), digest))
    return tuple(dict.fromkeys(found))


def covered_uploads(upload: UploadFacts, listed: Sequence[UploadFacts]) -> tuple[UploadFacts, ...]:
    """Return what one yes covers: the listed files of a release, or else that upload alone."""
    release = _release_of(upload.file)
    own = upload if release is None else upload._replace(version=release[1])
    if own not in listed:
        return (upload,)
    others = [each for each in listed if each[:2] == own[:2] and each != own]
    return (upload, *others)


def _release_of(file: str) -> tuple[str, str] | None:
    """Return project and version of a distribution file, both normalised, by its name."""
    from packaging.utils import (
        canonicalize_version,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    try:
        if file.endswith(".whl"):
            name, version, *_ = parse_wheel_filename(file)
        else:
            name, version = parse_sdist_filename(file)
    except ValueError:
        return None
    return str(name), canonicalize_version(version)


class UploadQuestions:
    """Counts the questions of one run."""

    def __init__(self) -> None:
        self._left = MOST_QUESTIONS

    def count(self) -> None:
        """Count one more question. Raises Failure if there were too many."""
        if not self._left:
            raise Failure(
                "refused",
                f"This run has asked {MOST_QUESTIONS} questions, and may ask no more.",
                "start it again, with the files on its command line",
                why="too many questions",
            )
        self._left -= 1


class UploadDelivery(RelayDelivery):
    """The delivery of a credential for one upload to `place`, a service key.

    `covered` is what a yes covers, that upload first.
    """

    answer_seconds = ANSWER_SECONDS

    def __init__(
        self, *of: Any, place: str, covered: tuple[UploadFacts, ...], watched: int, **more: Any
    ) -> None:
        super().__init__(*of, **more)
        self.place, self.covered, self.watched = place, covered, watched

    def question_lines(
        self, access: AccessRequest, _described: list[str], _remember: int, /
    ) -> list[str]:
        """Return the lines of the prompt."""
        files = [each[2:] for each in self.covered]
        project, version, *_ = self.covered[0]
        return [
            *access.upload_lines(self.place, f"{project} {version}", files),
            covers_text(len(files)),
        ]
