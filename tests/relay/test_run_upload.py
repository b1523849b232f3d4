"""What is read of an upload and of a listing, and which files one yes covers. Pure."""

from __future__ import annotations

import pytest

from tokenward_agent.failure import Failure
from tokenward_agent.peer.process import Process
from tokenward_agent.peer.program import program_of
from tokenward_agent.peer.requester import Link, Requester
from tokenward_agent.peer.run_command import requester_of_run
from tokenward_agent.prompt.question import covers_text, upload_lines
from tokenward_agent.requests.run_upload import (
    MOST_QUESTIONS,
    UploadFacts,
    UploadQuestions,
    covered_uploads,
    read_listing,
    read_upload,
)

DIGEST = "0123456789abcdef" * 4
GOOD = {
    "project": "mine",
    "version": "1.0",
    "file": "mine-1.0.tar.gz",
    "size": 7,
    "sha256": DIGEST,
}


def test_what_a_relay_says_of_an_upload_is_taken_over() -> None:
    assert read_upload({**GOOD, "filetype": "sdist"}) == UploadFacts(**GOOD)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"project": None},
        {"project": ""},
        {"project": "mine to nowhere"},
        {"version": "1.0\n"},
        {"file": "a/b"},
        {"file": "x" * 252},
        {"file": b"mine-1.0.tar.gz"},
        {"size": -1},
        {"size": True},
        {"size": 1 << 60},
        {"size": "7"},
        {"sha256": DIGEST.upper()},
        {"sha256": DIGEST[1:]},
        {"sha256": DIGEST + "\n"},
    ],
)
def test_a_value_that_no_upload_has_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Failure) as refused:
        read_upload({**GOOD, **wrong})
    assert refused.value.code == "bad-request"


def test_a_listing_has_the_distribution_files_alone() -> None:
    names = ["Mine-1.0.0.tar.gz", "mine-1.0-py3-none-any.whl", "notes.zip", "mine-1.0.zip"]
    listed = read_listing("".join(f"{DIGEST} 7 {name}\n" for name in names))
    assert [(each.project, each.version, each.file) for each in listed] == [
        ("mine", "1", "Mine-1.0.0.tar.gz"),
        ("mine", "1", "mine-1.0-py3-none-any.whl"),
        ("mine", "1", "mine-1.0.zip"),
    ]


@pytest.mark.parametrize("line", ["x", f"{DIGEST} 7", f"{DIGEST} -7 a", f"{DIGEST} 7 a b", "\n\n"])
def test_another_listing_is_refused(line: str) -> None:
    with pytest.raises(Failure):
        read_listing(line)


def test_a_yes_covers_the_listed_files_of_that_version_and_digest() -> None:
    names = ["mine-1.0.tar.gz", "mine-1.0-py3-none-any.whl", "mine-2.0.tar.gz", "other-1.0.tar.gz"]
    listed = read_listing("".join(f"{DIGEST} 7 {name}\n" for name in names))
    upload = UploadFacts(**GOOD)  # type: ignore[arg-type]
    assert [each.file for each in covered_uploads(upload, listed)] == names[:2]
    for change in ({"sha256": "f" * 64}, {"size": 8}, {"file": "mine-1.0-py2-none-any.whl"}):
        changed = upload._replace(**change)
        assert covered_uploads(changed, listed) == (changed,)
    assert covered_uploads(upload, ()) == (upload,)


def test_a_run_has_so_many_questions() -> None:
    count = UploadQuestions().count
    for _ in range(MOST_QUESTIONS):
        count()
    with pytest.raises(Failure) as refused:
        count()
    assert refused.value.more["why"] == "too many questions"


def test_a_question_about_many_files_fits_into_what_a_pinentry_takes() -> None:
    files = [(f"mine-1.0-cp3{number}-none-any.whl", 10**9, DIGEST) for number in range(40)]
    lines = upload_lines(Requester(()), "https://index.example/up/", "ana", "mine 1.0", files)
    assert lines[0] == "An unknown program wants to publish mine 1.0 to https://index.example/up/:"
    assert lines[-2] == "and 35 more of its files, 35,000,000,000 bytes"
    assert sum(len(line.encode()) + 3 for line in lines) < 700
    assert covers_text(40) == "A yes covers these 40 files alone, in this run."


@pytest.mark.parametrize(
    ("word", "path", "exe"),
    [
        ("twine", "/opt/bin/twine", "/opt/bin/twine"),
        ("twine", "/opt/bin/other", "twine"),
        ("twine", "bin/twine", "twine"),
        ("twine", "", "twine"),
        ("./bin/twine", "/opt/bin/twine", "/home/ana/bin/twine"),
        ("/usr/bin/twine", "/opt/bin/twine", "/usr/bin/twine"),
    ],
)
def test_a_command_is_at_the_path_that_its_command_line_allows(
    word: str, path: str, exe: str
) -> None:
    argv = ("/usr/bin/auth", "exec", "--relay", "--", word, "upload", "x")
    process = Process(7, 1, 9, 0, "auth", "/usr/bin/auth", "/home/ana", argv, whole=True)
    before = Requester((Link(process, program_of(process)),))
    tool = requester_of_run(before, path).tool
    assert tool is not None
    assert tool.process.exe == exe
    assert tool.program.name == "twine"
