"""The environment of a run, as a value: proxies, certificates, accounts, and what is taken out."""

from __future__ import annotations

import re

import pytest

from tokenward.exec.environment import Access, ExecIndex
from tokenward.exec.relay_environment import (
    PROXIES,
    git_variables,
    relay_environment,
    run_variables,
    without_hosts,
)
from tokenward.reach.variables import former_trust

HOST = "index.example"
PROXY = "http://run:tokenward-run-x@127.0.0.1:4000"
INDEX = ExecIndex(
    Access(f"https://{HOST}/legacy/", "", ""), Access(f"https://{HOST}/simple/", "", ""), "CORP"
)


def made(environ: dict[str, str]) -> dict[str, str]:
    return relay_environment(environ, {}, PROXY, [HOST], {"SSL_CERT_FILE": "/run/it.pem"})


@pytest.mark.parametrize("name", [*PROXIES, "PIP_PROXY"])
def test_every_proxy_variable_leads_to_the_relay(name: str) -> None:
    assert made({name: "http://proxy.example:3128"})[name] == PROXY


def test_the_command_can_tell_that_it_runs_behind_a_relay() -> None:
    assert made({})["TOKENWARD_RELAY"] == "1"


def test_the_folder_of_certificates_goes_where_a_file_has_them() -> None:
    assert "SSL_CERT_DIR" not in made({"SSL_CERT_DIR": "/etc/company"})


@pytest.mark.parametrize(
    "entry",
    [
        HOST,
        ".example",
        "example",
        "*.example",
        "*",
        "index.example:443",
        "10.0.0.0/8",
        "INDEX.example",
    ],
)
def test_no_entry_leads_past_the_relay(entry: str) -> None:
    found = made({"NO_PROXY": f"{entry},other.test", "no_proxy": entry})
    assert found["NO_PROXY"] == "other.test,localhost,127.0.0.1,::1"
    assert found["no_proxy"] == "localhost,127.0.0.1,::1"


def test_an_index_on_this_machine_is_reached_through_the_relay() -> None:
    found = relay_environment({}, {}, PROXY, ["127.0.0.1", "::1", "localhost"], {})
    assert "NO_PROXY" not in found
    assert "no_proxy" not in found


@pytest.mark.parametrize("entry", ["ndex.example", "index.example.org", "other.example"])
def test_an_entry_for_another_host_stays(entry: str) -> None:
    assert without_hosts(entry, [HOST]) == entry


@pytest.mark.parametrize(
    ("entry", "host"), [("[::1]:8443", "::1"), ("::1", "::1"), ("bücher.example", "bücher.example")]
)
def test_an_address_and_a_name_outside_of_ascii_are_compared(entry: str, host: str) -> None:
    assert without_hosts(entry, [host]) == ""


def test_each_trust_variable_keeps_its_own_file() -> None:
    named = {
        name: f"/own/{name}"
        for name in (
            *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "TWINE_CERT"),
            *("MATURIN_CA_BUNDLE", "POETRY_CERTIFICATES_CORP_CERT", "NODE_EXTRA_CA_CERTS"),
            *("POETRY_CERTIFICATES_OTHER_CERT", "GIT_SSL_CAINFO", "npm_config_cafile"),
        )
    }
    assert former_trust(named, ["CORP"]) == {name: (path,) for name, path in named.items()}


@pytest.mark.parametrize(
    ("environ", "variable", "paths"),
    [
        ({}, "PIP_CERT", ()),
        ({"SSL_CERT_FILE": "/a"}, "PIP_CERT", ("/a",)),
        ({"SSL_CERT_FILE": "/a"}, "CURL_CA_BUNDLE", ("/a",)),
        ({"SSL_CERT_FILE": "/a"}, "REQUESTS_CA_BUNDLE", ()),
        ({"SSL_CERT_DIR": "/b:/c"}, "SSL_CERT_FILE", ("/b", "/c")),
        ({"SSL_CERT_FILE": "/a", "SSL_CERT_DIR": "/b"}, "PIP_CERT", ("/a", "/b")),
        ({"CURL_CA_BUNDLE": "/a"}, "REQUESTS_CA_BUNDLE", ("/a",)),
        ({"CURL_CA_BUNDLE": "/a", "REQUESTS_CA_BUNDLE": "/b"}, "TWINE_CERT", ("/b",)),
        ({"CURL_CA_BUNDLE": "/a"}, "POETRY_CERTIFICATES_CORP_CERT", ("/a",)),
        ({"POETRY_CERTIFICATES_CORP_CERT": "false"}, "POETRY_CERTIFICATES_CORP_CERT", ()),
    ],
)
def test_an_unset_variable_takes_what_its_tool_reads_instead(
    environ: dict[str, str], variable: str, paths: tuple[str, ...]
) -> None:
    assert former_trust(environ, ["CORP"])[variable] == paths


def test_where_uv_looks_stays_the_users_to_say() -> None:
    url = f"https://{HOST}/simple/"
    assert made({"UV_DEFAULT_INDEX": url})["UV_DEFAULT_INDEX"] == url
    found = relay_environment({"UV_INDEX_URL": url}, {"UV_INDEX_URL": "ours"}, PROXY, [HOST], {})
    assert found["UV_INDEX_URL"] == "ours"


@pytest.mark.parametrize(
    "variable", ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"]
)
def test_a_credential_of_the_environment_leaves_it(variable: str) -> None:
    assert variable not in made({variable: f"https://alice:secret@{HOST}/simple/"})


def test_gits_own_variable_is_set_only_where_it_was() -> None:
    assert "GIT_SSL_CAINFO" not in former_trust({}, [])


def test_git_trusts_the_authority_at_the_index_alone_and_keeps_the_users_settings() -> None:
    before = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "it"}
    assert git_variables(before, [f"https://{HOST}"], PROXY, "/run/a.pem") == {
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_1": f"http.https://{HOST}/.sslCAInfo",
        "GIT_CONFIG_VALUE_1": "/run/a.pem",
        "GIT_CONFIG_KEY_2": f"http.https://{HOST}/.proxy",
        "GIT_CONFIG_VALUE_2": PROXY,
    }


def test_what_git_refuses_is_left_to_git() -> None:
    assert git_variables({"GIT_CONFIG_COUNT": "many"}, [f"https://{HOST}"], PROXY, "/a") == {}


def test_every_tool_gets_the_real_url_but_hatch() -> None:
    found = run_variables([INDEX], "cap", 4000)
    urls = {name: value for name, value in found.items() if re.search("_(URL|REPO)$", name)}
    assert urls.pop("HATCH_INDEX_REPO") == "http://127.0.0.1:4000/upload/legacy/"
    assert urls.pop("PIP_INDEX_URL") == f"https://{HOST}/simple/"
    assert set(urls.values()) == {f"https://{HOST}/legacy/"}


def test_maturin_gets_a_name_under_which_no_user_has_stored_a_password() -> None:
    assert run_variables([INDEX], "cap", 4000)["MATURIN_USERNAME"] not in {"", "__token__"}
