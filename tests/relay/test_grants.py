"""Grants: which requests go through, how, by which grant, and what the others are told."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.relay.readers import readings
from tokenward_protocol.packing import pack, unpack
from tokenward_relay.grants import ANY, PASS, PUBLISH, READ, Grant, covers, decide, read_roots
from tokenward_relay.refusal import Refusal
from tokenward_relay.target import parse_target

CORP = Grant(
    *("corp", "https", "index.example", 443),
    roots=((b"team",),),
    passes=((b"team", b"search"), (b"api",)),
    upload=(b"team", b""),
    projects=("mine", "other"),
)


def way(method: bytes, target: bytes, *grants: Grant) -> tuple[str, str]:
    grant, kind = decide(grants or (CORP,), method, parse_target(target))
    return grant.name, kind


def refusal(method: bytes, target: bytes, *grants: Grant) -> Refusal:
    with pytest.raises(Refusal) as caught:
        way(method, target, *grants)
    return caught.value


@pytest.mark.parametrize(
    ("method", "target", "kind"),
    [
        (b"GET", b"/team", READ),
        (b"GET", b"/team/", READ),
        (b"HEAD", b"/team/simple/x/?format=json", READ),
        (b"GET", b"/%74eam/x", READ),
        (b"GET", b"/team/search", READ),
        (b"POST", b"/team/", PUBLISH),
        (b"POST", b"/team/search/x", PASS),
        (b"DELETE", b"/api/1", PASS),
        (b"GET", b"/api", PASS),
    ],
)
def test_a_request_goes_through_in_one_way(method: bytes, target: bytes, kind: str) -> None:
    assert way(method, target) == ("corp", kind)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        *(
            (b"GET", path, 403)
            for path in (b"/", b"/teamx", b"/tea", b"/Team/x", b"/x/team/", b"/apis")
        ),
        *(
            (b"POST", path, 400)
            for path in (b"/", b"/team", b"/team/?:action=x", b"/team/?", b"/team/x")
        ),
        *((method, b"/team/", 405) for method in (b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"get")),
        *((method, b"/api/", 405) for method in (b"TRACE", b"CONNECT")),
    ],
)
def test_what_no_grant_lets_through_is_refused(method: bytes, target: bytes, status: int) -> None:
    refused = refusal(method, target)
    assert refused.status == status
    assert "corp" in refused.text
    assert "`[services.corp]`" in refused.hint


def test_a_run_without_projects_publishes_nothing_and_is_told_the_option() -> None:
    refused = refusal(b"POST", b"/team/", CORP._replace(projects=()))
    assert (refused.status, refused.text) == (400, "this run may publish nothing to corp")
    assert "--project" in refused.hint


def test_the_root_that_says_most_of_a_path_decides() -> None:
    whole = Grant("whole", "https", "index.example", 443, roots=((),))
    files = whole._replace(name="files", roots=((ANY, ANY, b"+f"),))
    assert way(b"GET", b"/team/prod/+f/x", whole, files, CORP) == ("corp", READ)
    assert way(b"GET", b"/bob/prod/+f/x", whole, files, CORP) == ("files", READ)
    assert way(b"GET", b"/bob/prod/x", whole, files, CORP) == ("whole", READ)


def test_of_grants_with_one_upload_path_the_one_with_projects_decides() -> None:
    none = CORP._replace(name="none", projects=())
    assert way(b"POST", b"/team/", none, CORP) == ("corp", PUBLISH)


def test_a_coded_slash_is_let_through_only_where_a_root_has_it() -> None:
    root = read_roots("/api/v4/projects/a%2Fb/packages/pypi/simple")
    gitlab = Grant("gl", "https", "gitlab.example", 443, roots=root)
    assert way(b"GET", b"/api/v4/projects/a%2fb/packages/pypi/simple/x", gitlab) == ("gl", READ)
    for target in (
        b"/api/v4/projects/a%2Fc/packages/pypi/x",
        b"/api/v4/projects/a/b/packages/pypi/x",
    ):
        assert refusal(b"GET", target, gitlab).status == 403
    below = b"/api/v4/projects/a%2Fb/packages/pypi/x%2Fy"
    assert refusal(b"GET", below, gitlab).status == 403
    any_project = read_roots("/api/v4/groups/5/-/packages/pypi", "gitlab")
    gitlab = gitlab._replace(roots=any_project)
    assert refusal(b"GET", b"/api/v4/projects/a%2Fb/packages/pypi/x", gitlab).status == 403


def test_any_segment_is_one_segment_that_is_there() -> None:
    assert covers((ANY,), (b"x",))
    assert covers((ANY,), (b"x", b"y", b""))
    assert not covers((ANY,), (b"",))
    assert not covers((ANY,), ())
    assert not covers((ANY,), (b"x/y",))


def test_a_grant_goes_over_the_wire_and_comes_back() -> None:
    for grant in (CORP, Grant("x", "http", "::1", 8080, roots=((), (b"a", ANY)))):
        assert Grant.from_map(unpack(pack(grant.as_map()))) == grant
        assert msgpack.unpackb(msgpack.packb(grant.as_map()) or b"") == grant.as_map()


@pytest.mark.parametrize(
    "change", [{"scheme": "ftp"}, {"more": 1}, {"roots": None}, {"port": "x"}, {"upload": "é"}]
)
def test_another_map_is_not_a_grant(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Grant.from_map(CORP.as_map() | change)


@pytest.mark.parametrize(
    ("scheme", "host", "port", "authority"),
    [
        ("https", "index.example", 443, b"index.example"),
        ("https", "index.example", 8443, b"index.example:8443"),
        ("http", "127.0.0.1", 80, b"127.0.0.1"),
        ("https", "::1", 443, b"[::1]"),
        ("http", "::1", 8080, b"[::1]:8080"),
    ],
)
def test_a_grant_names_its_authority(scheme: str, host: str, port: int, authority: bytes) -> None:
    assert Grant("x", scheme, host, port).authority == authority


@pytest.mark.parametrize(
    ("path", "credential", "root"),
    [
        ("/simple/", "/", ()),
        ("/simple", "/", ()),
        ("/corp/+simple/", "/", (b"corp",)),
        ("/corp/Simple/", "/corp/", (b"corp",)),
        ("/corp/simple/", "/corp/simple/", (b"corp", b"simple")),
        ("/corp/simple/", "/corp/simple/deeper/", (b"corp", b"simple")),
        ("/corp/simple/x/", "/", (b"corp", b"simple", b"x")),
        ("/", "/", ()),
    ],
)
def test_the_root_is_the_path_without_its_simple(
    path: str, credential: str, root: tuple[bytes, ...]
) -> None:
    assert read_roots(path, credential=credential) == (root,)


def test_the_user_adds_paths() -> None:
    assert read_roots("/a/simple/", also_read=["/b/", "/c/d", "/a"]) == (
        (b"a",),
        (b"b",),
        (b"c", b"d"),
    )


@pytest.mark.parametrize("arguments", [("/a/../b",), ("a",), ("/", "nexus"), ("/", "", ("/é",))])
def test_a_path_or_a_kind_that_is_not_one_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"path|kind|read"):
        read_roots(*arguments)


GROUP, PROJECT = (
    "/api/v4/groups/5/-/packages/pypi/simple",
    "/api/v4/projects/7/packages/pypi/simple",
)
FEED, ORGANISATION = "/org/team/_packaging/feed/pypi/simple/", "/org/_packaging/feed/pypi/simple/"
INDEX = "/alice/dev/+simple/"


@pytest.mark.parametrize(
    ("kind", "path", "reads"),
    [
        ("gitlab", GROUP, "/api/v4/groups/5/-/packages/pypi/simple/x/"),
        ("gitlab", GROUP, "/api/v4/groups/5/-/packages/pypi/files/0/x.whl"),
        ("gitlab", GROUP, "/api/v4/projects/9/packages/pypi/files/0/x.whl"),
        ("gitlab", f"/git{GROUP}", "/git/api/v4/projects/9/packages/pypi/files/0/x.whl"),
        ("gitlab", PROJECT, "/api/v4/projects/7/packages/pypi/files/0/x.whl"),
        ("gitlab", "/", "/api/v4/projects/9/packages/pypi/simple/x/"),
        ("gitlab", "/", "/api/v4/groups/9/-/packages/pypi/simple/x/"),
        ("azure", FEED, "/org/team/_packaging/feed/pypi/simple/x/"),
        ("azure", FEED, "/org/0-1/_packaging/2-3/pypi/download/x/1/x.whl"),
        ("azure", FEED, "/org/team/_packaging/2-3/pypi/download/x/1/x.whl"),
        ("azure", ORGANISATION, "/org/_packaging/2-3/pypi/download/x/1/x.whl"),
        ("azure", "/org/", "/org/team/_packaging/feed/pypi/simple/x/"),
        ("devpi", INDEX, "/alice/dev/+f/0/x.whl"),
        ("devpi", INDEX, "/alice/dev/+api"),
        ("devpi", INDEX, "/root/pypi/+f/0/1/x.whl"),
        ("devpi", INDEX, "/root/pypi/+e/https_files.example/x.whl"),
        ("devpi", f"/devpi{INDEX}", "/devpi/root/pypi/+f/0/1/x.whl"),
    ],
)
def test_a_known_kind_brings_its_package_paths(kind: str, path: str, reads: str) -> None:
    grant = Grant("x", "https", "h.example", 443, roots=read_roots(path, kind))
    assert way(b"GET", reads.encode(), grant) == ("x", READ)


@pytest.mark.parametrize(
    ("kind", "path", "refused"),
    [
        *(("gitlab", path, "/api/v4/user") for path in ("/", "/api/v4/", GROUP, PROJECT)),
        ("gitlab", GROUP, "/api/v4/groups/6/-/packages/pypi/simple/x/"),
        ("gitlab", GROUP, "/api/v4/projects/9/repository/archive"),
        ("gitlab", PROJECT, "/api/v4/projects/9/packages/pypi/simple/x/"),
        ("gitlab", f"/git{GROUP}", "/api/v4/projects/9/packages/pypi/files/0/x.whl"),
        ("gitlab", "/", "/api/v4/projects/9/packages/generic/x"),
        ("azure", FEED, "/other/team/_packaging/feed/pypi/simple/x/"),
        ("azure", FEED, "/org/0-1/_packaging/2-3/pypi/simple/x/"),
        ("azure", FEED, "/org/0-1/_packaging/2-3/npm/x"),
        ("azure", ORGANISATION, "/other/_packaging/2-3/pypi/download/x/1/x.whl"),
        ("azure", "/org/", "/org/_apis/connectionData"),
        ("devpi", INDEX, "/root/pypi/+simple/x/"),
        ("devpi", INDEX, "/alice/prod/"),
        ("devpi", INDEX, "/+api"),
        ("devpi", f"/devpi{INDEX}", "/root/pypi/+f/0/1/x.whl"),
    ],
)
def test_a_known_kind_brings_nothing_else(kind: str, path: str, refused: str) -> None:
    grant = Grant("x", "https", "h.example", 443, roots=read_roots(path, kind))
    assert refusal(b"GET", refused.encode(), grant).status == 403


MUTATIONS = st.sampled_from(
    [
        *(
            "team",
            "/team",
            "/",
            "//",
            "/..",
            "/.",
            "..",
            "%2e%2e",
            "/%2e%2e/",
            "%2f",
            "%5c",
            "\\",
            ";",
        ),
        *(
            "x",
            "X",
            "%74eam",
            "TEAM",
            "?",
            "%3f",
            "%00",
            "%252e",
            "teamx",
            "+simple",
            ";x",
            "#",
            "\x80",
        ),
    ]
)
PATHS = st.lists(MUTATIONS, max_size=9).map("".join)


@given(st.sampled_from(["/team/", "/team", "/"]), PATHS, st.sampled_from([b"GET", b"HEAD"]))
def test_no_read_leaves_the_root_however_a_server_reads_it(
    start: str, path: str, method: bytes
) -> None:
    """Held against another reading: decoded up to three times, backslashes as slashes, normalised."""
    raw = (start + path).encode("latin-1")
    try:
        grant, kind = decide([CORP._replace(passes=())], method, parse_target(raw))
    except Refusal:
        return
    assert (grant.name, kind) == ("corp", READ)
    same = raw.replace(b"%74", b"t")  # RFC 3986, 6.2.2.2: a letter is the same, coded or not
    assert all((path + b"/").startswith(b"/team/") for path in readings(same))


@given(
    PATHS, st.sampled_from([b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"post", b"PROPFIND"])
)
def test_nothing_but_a_post_to_the_upload_path_is_a_publish(path: str, method: bytes) -> None:
    raw = ("/" + path).encode("latin-1")
    try:
        kind = decide([CORP._replace(passes=())], method, parse_target(raw))[1]
    except Refusal:
        return
    assert (kind, method, unquote_to_bytes(raw)) == (PUBLISH, b"POST", b"/team/")
