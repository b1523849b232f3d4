"""Which way the near end of a share takes to other hosts: this side's proxy, or none."""

from __future__ import annotations

import sys

import pytest

if sys.platform == "win32":
    pytest.skip("the near end is for Unix", allow_module_level=True)

from tokenward.exec.near_end import _own_proxy

PROXY = {"https_proxy": "http://ana:p%40ss@proxy.example:3128"}
ACCOUNT = b"Proxy-Authorization: Basic YW5hOnBAc3M=\r\n"


@pytest.mark.parametrize(
    "without", ["*", "other.example, *", "index.example", ".example", "*.example", "EXAMPLE ,x"]
)
def test_no_proxy_names_the_hosts_that_are_reached_directly(without: str) -> None:
    assert _own_proxy({**PROXY, "no_proxy": without}, "https", "index.example") is None


@pytest.mark.parametrize("without", ["", "other.example", "ample", "x.index.example"])
def test_every_other_host_is_reached_by_the_proxy(without: str) -> None:
    found = _own_proxy({**PROXY, "no_proxy": without}, "https", "index.example")
    assert found == ("proxy.example", 3128, ACCOUNT)
