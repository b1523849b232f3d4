"""Which folders nothing is kept below, over made-up trees, and over real ones in test_whose_place.py."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_protocol.folder_trust import (
    ALL_IDS,
    FolderTrust,
    Identity,
    count_ids,
    is_text,
    printable,
)

ME, OTHER, ROOT, NOBODY = 1000, 1001, 0, 65534
PLAIN = Identity(ME, frozenset({ME, 100}))


class Entry(NamedTuple):
    mode: int = 0o755
    uid: int = ROOT
    gid: int = ROOT
    link: str = ""


def way(tree: dict[str, Entry], who: Identity = PLAIN) -> FolderTrust:
    def lstat(path: str) -> os.stat_result:
        found = tree.get(path)
        if found is None:
            raise FileNotFoundError(path)
        kind = stat.S_IFLNK if found.link else stat.S_IFDIR
        return os.stat_result((kind | found.mode, 0, 0, 0, found.uid, found.gid, 0, 0, 0, 0))

    return FolderTrust(who, lstat, lambda path: tree[path].link)


HOME = {"/": Entry(), "/home": Entry(), "/home/me": Entry(0o700, ME, ME)}
PATH = "/home/me/.local/share/tokenward"
GOOD = {
    "an ordinary home": HOME,
    "a home below /tmp": HOME | {"/home": Entry(0o1777)},
    "a group-writable .local": HOME | {"/home/me/.local": Entry(0o775, ME, ME)},
    "a home of another group": HOME | {"/home/me": Entry(0o770, ME, 100)},
    "a root that is group-writable": HOME | {"/": Entry(0o775)},
    "a home that is not there": {"/": Entry()},
    "a link of root's": HOME
    | {"/home": Entry(0o777, ROOT, ROOT, "data/homes"), "/data": Entry(), "/data/homes": Entry()}
    | {"/data/homes/me": Entry(0o700, ME, ME)},
    "a link of one's own in /tmp": HOME
    | {
        "/home": Entry(0o1777),
        "/home/me": Entry(0o777, ME, ME, "/real"),
        "/real": Entry(0o700, ME),
    },
    "links that go round": HOME | {"/home/me": Entry(0o777, ME, ME, "/home/me")},
}
BAD = {
    "another user's home": (HOME | {"/home/me": Entry(0o755, OTHER, OTHER)}, "/home/me belongs"),
    "another user's closed home": (HOME | {"/home/me": Entry(0o700, OTHER)}, "/home/me belongs"),
    "a folder of another user's": (
        HOME | {"/home/me/.local": Entry(0o700, OTHER)},
        ".local belongs",
    ),
    "a folder that all can write in": (HOME | {"/home/me/.local": Entry(0o777, ME)}, "me/.local"),
    "one of root's that all can write in": (HOME | {"/home": Entry(0o777)}, "write in /home,"),
    "another user's sticky folder": (HOME | {"/home": Entry(0o1777, OTHER)}, "/home belongs"),
    "another user's link in /tmp": (
        HOME | {"/home": Entry(0o1777), "/home/me": Entry(0o777, OTHER, OTHER, "/")},
        "/home/me belongs",
    ),
    "a link of one's own into another's home": (
        HOME
        | {"/home/me/.local": Entry(0o777, ME, ME, "../you"), "/home/you": Entry(0o755, OTHER)},
        "/home/you belongs",
    ),
    "a group that owns nothing here": (
        HOME | {"/home/me": Entry(0o770, OTHER, 100)},
        "/home/me belongs",
    ),
}


@pytest.mark.parametrize("what", GOOD)
def test_a_place_is_good(what: str) -> None:
    assert way(GOOD[what]).objection(PATH) is None


@pytest.mark.parametrize("what", BAD)
def test_a_place_is_refused_with_the_folder_that_is_wrong(what: str) -> None:
    tree, named = BAD[what]
    found = way(tree).objection(PATH)
    assert found is not None
    assert named in found.sentence
    assert "HOME" in found.hint


def test_the_home_of_a_container_for_any_id_is_roots_by_its_group() -> None:
    tree = {"/": Entry(), "/opt": Entry(), "/opt/home": Entry(0o770, OTHER, ROOT)}
    anybody = Identity(1000650000, frozenset({ROOT}))
    assert way(tree, anybody).objection("/opt/home/.local/x") is None
    assert way(tree, PLAIN).objection("/opt/home/.local/x") is not None
    assert way(tree, Identity(ROOT, frozenset({ROOT}))).objection("/opt/home/.local/x") is not None


def test_in_a_user_namespace_the_root_outside_is_still_root() -> None:
    tree = {"/": Entry(uid=NOBODY), "/home": Entry(uid=NOBODY), "/home/me": Entry(0o700, ME)}
    assert way(tree, Identity(ME, frozenset(), 1)).objection(PATH) is None
    assert way(tree).objection(PATH) is not None


def test_the_overflow_id_is_somebody_outside_of_namespaces_alone() -> None:
    tree = {"/": Entry()}
    assert way(tree, Identity(NOBODY, frozenset())).objection("/x/y") is None
    assert way(tree, Identity(NOBODY, frozenset(), 0)).objection("/x/y") is not None
    assert way(tree, Identity(NOBODY, frozenset(), 65536)).objection("/x/y") is not None


def test_group_writable_folders_are_named_for_the_doctor() -> None:
    assert way(GOOD["a group-writable .local"]).group_writable(PATH) == ["/home/me/.local"]
    assert way(HOME | {"/home": Entry(0o1775)}).group_writable(PATH) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("         0          0 4294967295\n", ALL_IDS),
        ("         0       1000          1\n", 1),
        ("0 1000 1\n1 100000 65536\n", 65537),
        ("", 0),
    ],
)
def test_a_map_knows_so_many_ids(text: str, count: int) -> None:
    assert count_ids(text) == count


def test_a_path_that_is_no_utf_8_is_refused_and_can_be_shown() -> None:
    path = os.fsdecode(b"/home/\xff/x")
    assert not is_text(path)
    found = way({"/": Entry()}).objection(path)
    assert found is not None
    assert "/home/\\xff/x" in found.sentence
    assert printable(path).isascii()


ENTRIES = st.builds(
    Entry,
    st.sampled_from([0o700, 0o755, 0o770, 0o775, 0o777, 0o1777, 0o1770, 0o757]),
    st.sampled_from([ME, OTHER, ROOT]),
    st.sampled_from([ME, 100, ROOT]),
    st.just(""),
)


@given(st.lists(ENTRIES, min_size=1, max_size=4))
def test_nothing_lies_below_what_another_user_can_rename(entries: list[Entry]) -> None:
    """Said again from their side: who else may give another tree the name of a folder on the way."""
    tree = {"/" + "/".join("abcd"[:n]): entry for n, entry in enumerate(entries)}
    path = "/" + "/".join("abcd"[: len(entries)])

    def another_may_rename_in(entry: Entry) -> bool:
        if entry.uid == OTHER:
            return True
        return bool(entry.mode & 0o002) and not entry.mode & 0o1000

    wrong = any(map(another_may_rename_in, tree.values()))
    assert (way(tree).objection(path) is not None) == wrong
