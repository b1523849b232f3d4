"""What the user may declare as shares, and what is refused with the key that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tokenward_protocol.shares import DeclaredShare, read_shares, read_tunnel

AT: dict[str, Any] = {"at": "/run/job/tw.sock", "services": ["pypi"]}


def test_a_share_has_defaults_and_its_values_are_normalised() -> None:
    whole: dict[str, Any] = {
        **AT,
        "whole": ["pypi"],
        "projects": ["My_Project", "my-project"],
        "uids": [1000, 1000],
        "ttl-each": "15m",
    }
    behind: dict[str, Any] = {
        "at": "/run/job/relay.sock",
        "services": ["corp", "corp"],
        "relay": True,
        "read-only": True,
        "tunnel": ["Files.example", "files.example:8443"],
    }
    assert read_shares({"share": [whole, behind]}) == (
        DeclaredShare(AT["at"], ("pypi",), ("pypi",), ("my-project",), (1000,), 900),
        DeclaredShare(
            "/run/job/relay.sock",
            ("corp",),
            relay=True,
            read_only=True,
            tunnels=("files.example:443", "files.example:8443"),
        ),
    )
    assert read_shares({}) == ()
    assert read_shares({"share": [AT]})[0].ttl == 3600


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"at": "job/tw.sock"}, "`at` is not an absolute path"),
        ({"at": "/a\0b"}, "`at` is not an absolute path"),
        ({"services": []}, "`services` does not list 1 to 32 services"),
        ({"services": "pypi"}, "`services` is not a list of texts"),
        ({"services": [""]}, "`services` is not a list of texts"),
        ({"projects": ["../x"]}, "`projects` is not a list of names of projects"),
        ({"projects": ["a b"]}, "`projects` is not a list of names of projects"),
        ({"uids": [-1]}, "`uids` is not a list of user ids"),
        ({"uids": [True]}, "`uids` is not a list of user ids"),
        ({"uids": [4294967295]}, "`uids` is not a list of user ids"),
        ({"ttl-each": "2h"}, "`ttl-each` is not between a minute and an hour"),
        ({"ttl-each": "5s"}, "`ttl-each` is not between a minute and an hour"),
        ({"ttl-each": 60}, "`ttl-each` is not a length of time such as 15m"),
        ({"relay": "yes"}, "`relay` is neither true nor false"),
        ({"read-only": True}, "`read-only` is for shares with `relay = true`"),
        ({"tunnel": ["a.example"]}, "`tunnel` is for shares with `relay = true`"),
        ({"relay": True, "whole": ["pypi"]}, "`whole` is for shares without `relay = true`"),
        ({"relay": True, "ttl-each": "5m"}, "`ttl-each` is for shares without `relay = true`"),
        (
            {"relay": True, "read-only": True, "projects": ["x"]},
            "`read-only` leaves nothing that `projects` could publish",
        ),
        ({"relay": True, "tunnel": ["a b"]}, "`tunnel` has a value that is not a HOST"),
        ({"project": ["x"]}, "key is not a setting of shares"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match="has a share 1 whose") as found:
        read_shares({"share": [{**AT, **change}]})
    assert why in str(found.value)


def test_no_two_shares_have_one_place_and_there_are_sixteen_at_most() -> None:
    with pytest.raises(ValueError, match="share 2 whose `at` is that of another share"):
        read_shares({"share": [AT, AT]})
    with pytest.raises(ValueError, match="more than 16 shares"):
        read_shares({"share": [{**AT, "at": f"/s{n}"} for n in range(17)]})
    values: tuple[Any, ...] = ({}, [1], "x")
    for value in values:
        with pytest.raises(ValueError, match="`share` that is not a list of tables"):
            read_shares({"share": value})


@pytest.mark.parametrize("text", ["", "a b", "-a", "a:0", "a:70000", "http://a", "a/b"])
def test_a_tunnel_is_a_host_and_a_port(text: str) -> None:
    with pytest.raises(ValueError, match="is not a HOST or HOST:PORT"):
        read_tunnel(text)
