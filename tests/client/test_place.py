"""What kind of index a URL, a token or the user's file says that a service is, and where it is asked."""

from __future__ import annotations

import pytest

from tokenward.indexes.place import endpoint_of
from tokenward.settings.service_names import Definition
from tokenward_protocol.index_endpoint import OTHER, WAREHOUSE, origin
from tokenward_protocol.urls import ANACONDA, DEVPI, GITLAB, JFROG

SERVICES = [
    ("https://upload.pypi.org/legacy/", WAREHOUSE, "https://upload.pypi.org"),
    ("https://gitlab.com/api/v4/projects/7/packages/pypi/", GITLAB, "https://gitlab.com"),
    ("https://git.example/api/v4/groups/a%2Fb/-/packages/pypi/", GITLAB, "https://git.example"),
    ("https://h.example/git/api/v4/projects/7/packages/pypi/", GITLAB, "https://h.example/git"),
    ("https://gitlab.com/", GITLAB, "https://gitlab.com"),
    ("https://one.jfrog.io/artifactory/api/pypi/local/", JFROG, "https://one.jfrog.io"),
    ("https://h.example/artifactory/api/pypi/local/", JFROG, "https://h.example"),
    ("https://h.example/x/artifactory/api/pypi/local/", JFROG, "https://h.example/x"),
    ("https://api.anaconda.org/", ANACONDA, "https://api.anaconda.org"),
    ("https://pypi.anaconda.org/me/simple/", OTHER, "https://pypi.anaconda.org/me/simple"),
    ("https://h.example/gitlab.com/", OTHER, "https://h.example/gitlab.com"),
    ("https://gitlab.com.example/", OTHER, "https://gitlab.com.example"),
    ("https://jfrog.io.example/", OTHER, "https://jfrog.io.example"),
    ("https://evil-jfrog.io/", OTHER, "https://evil-jfrog.io"),
    ("some words", OTHER, ""),
]


@pytest.mark.parametrize(("key", "kind", "base"), SERVICES)
def test_a_url_says_what_an_index_is(key: str, kind: str, base: str) -> None:
    found = endpoint_of(key)
    assert (found.kind, found.base) == (kind, base)


@pytest.mark.parametrize(("key", "_kind", "_base"), SERVICES)
@pytest.mark.parametrize("secret", ["", "glpat-x", "devpi-x", "eyJx"])
def test_only_the_host_of_the_credential_is_ever_asked(
    key: str, _kind: str, _base: str, secret: str
) -> None:
    base = endpoint_of(key, secret=secret).base
    assert base == "" or origin(f"{base}/") == origin(key)


def test_a_token_says_what_an_index_of_an_unknown_host_is() -> None:
    key = "https://code.example/x/"
    assert endpoint_of(key, secret="glpat-1").kind == GITLAB
    assert endpoint_of(key, secret="glpat-1").base == "https://code.example"
    assert endpoint_of(key, secret="devpi-1").kind == DEVPI
    assert endpoint_of(key, secret="pypi-1").kind == OTHER


def test_the_users_file_has_the_last_word_about_its_own_host() -> None:
    ours = Definition("ours", "https://h.example:8443/simple/", "config.toml", kind=ANACONDA)
    bad = Definition("bad", "no url", "config.toml", kind=JFROG)
    known = [bad, ours]
    assert endpoint_of("https://h.example:8443/legacy/", known, "glpat-1").kind == ANACONDA
    assert endpoint_of("https://h.example:8443/legacy/", known).base == "https://h.example:8443/api"
    assert endpoint_of("https://h.example/legacy/", known).kind == OTHER
    assert endpoint_of("https://upload.pypi.org/legacy/", known).kind == WAREHOUSE


def test_a_page_for_people_is_named_where_one_is_known() -> None:
    assert endpoint_of("https://test.pypi.org/legacy/").page.startswith(
        "https://test.pypi.org/manage"
    )
    assert (
        endpoint_of("https://pypi.anaconda.org/me/").page == "https://anaconda.org/settings/access"
    )
    key = "https://h.example/git/api/v4/projects/7/packages/pypi/"
    page = endpoint_of(key).page
    assert page == "https://h.example/git/-/user_settings/personal_access_tokens"
    assert endpoint_of("https://h.example/").page == ""
