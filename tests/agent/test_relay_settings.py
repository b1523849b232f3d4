"""What the user's config.toml says of how runs reach their indexes."""

from __future__ import annotations

import pytest

from tokenward_agent.policy.reading import PolicyError, read_policy
from tokenward_agent.policy.relay_settings import IndexPaths

SETTINGS = b"""
ca = "/etc/ssl/company.pem"
proxy = "http://proxy.example:3128"

[services.corp]
url = "https://index.example/corp/simple/"
publish-url = "https://up.example/legacy/"
kind = "devpi"
also-read = ["/files/"]
pass = ["/api/search/"]

[services.plain]
url = "https://plain.example/simple/"
"""


def test_settings_are_found_by_the_service_of_each_url() -> None:
    relay = read_policy(SETTINGS).relay
    paths = IndexPaths("devpi", ("/files/",), ("/api/search/",))
    assert (relay.ca, relay.proxy) == ("/etc/ssl/company.pem", "http://proxy.example:3128")
    assert relay.paths_of("https://index.example/corp/") == paths
    assert relay.paths_of("https://up.example/legacy/") == paths
    assert relay.paths_of("https://plain.example/") == IndexPaths()
    assert relay.paths_of("https://index.example/") == IndexPaths()


def test_a_kind_holds_for_every_path_of_its_scheme_host_and_port() -> None:
    relay = read_policy(SETTINGS).relay
    for service in ("https://index.example/", "https://up.example/other/"):
        assert relay.kind_at(service) == "devpi"
    for service in ("https://index.example:8443/", "https://plain.example/", "a word"):
        assert relay.kind_at(service) == ""


def test_a_kind_without_paths_of_its_own_brings_none() -> None:
    text = b'[services.corp]\nurl = "https://index.example/"\nkind = "jfrog"\n'
    assert read_policy(text).relay.paths_of("https://index.example/") == IndexPaths()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('ca = "company.pem"', "has a `ca` that is not an absolute path"),
        ("ca = 1", "has a `ca` that is not an absolute path"),
        ('proxy = "https://proxy.example"', "has a `proxy` that is not a URL with http://, socks5"),
        ('proxy = "proxy.example:1"', "has a `proxy` that is not a URL with http://, socks5"),
        (
            '[services.corp]\nalso-read = "/x/"',
            "has a `services.corp.also-read` that is not a list",
        ),
        (
            '[services.corp]\npass = ["/x"]',
            "has a `services.corp.pass` that is not a list of paths",
        ),
        (
            '[services.corp]\npass = ["x/"]',
            "has a `services.corp.pass` that is not a list of paths",
        ),
    ],
)
def test_a_wrong_setting_makes_the_file_invalid_so_nothing_is_handed_out(
    text: str, wrong: str
) -> None:
    with pytest.raises(PolicyError, match=wrong):
        read_policy(text.encode())
