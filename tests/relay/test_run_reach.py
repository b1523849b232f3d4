"""What a run's environment may not say about an index: other certificates, another proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.servers.certificates import write_certificates
from tokenward.errors import CommandError
from tokenward.reach import certificates
from tokenward.reach.certificates import in_text, read_certificates
from tokenward.reach.certificates import write_certificates as write
from tokenward.reach.reach import own_proxy, read_reach

if TYPE_CHECKING:
    from pathlib import Path

HOST = "index.example"
PROXY = "http://proxy.example:3128"


def authority(folder: Path, name: str) -> str:
    """Return the file of a new authority."""
    (folder / name).mkdir()
    return str(write_certificates(folder / name, [HOST]))


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The system's certificates, of two authorities."""
    both = (authority(tmp_path, "one"), authority(tmp_path, "two"))
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(read_certificates(both))
    monkeypatch.setattr(certificates, "SYSTEM", (str(bundle),))
    return str(bundle)


@pytest.fixture
def company(tmp_path: Path) -> str:
    """The file of an authority that the system does not have."""
    return authority(tmp_path, "company")


def require(environ: dict[str, str], ca: str = "", proxy: str = "") -> None:
    read_reach(environ, [HOST], ["CORP"], ca, proxy).require_accepted(HOST, ())


VARIABLES = [
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "TWINE_CERT"),
    *("MATURIN_CA_BUNDLE", "POETRY_CERTIFICATES_CORP_CERT"),
]
every_variable = pytest.mark.parametrize("variable", VARIABLES)


@every_variable
def test_other_certificates_than_the_relays_are_an_error_with_the_key_to_set(
    variable: str, system: str, company: str
) -> None:
    with pytest.raises(CommandError) as refused:
        require({variable: company})
    assert str(refused.value).startswith(f"{variable} names certificates")
    assert refused.value.hint.startswith(
        f'`ca = "{company}"` in config.toml makes it trust them; `'
    )


@every_variable
def test_certificates_of_the_users_settings_are_no_others(
    variable: str, system: str, company: str
) -> None:
    require({variable: company}, ca=company)


@every_variable
def test_the_systems_own_certificates_in_another_file_are_no_others(
    variable: str, system: str, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.pem"
    copy.write_bytes(b"# a remark\r\n" + read_certificates((system,)).replace(b"\n", b"\r\n"))
    require({variable: str(copy)})
    require({variable: system})


def test_certificates_for_git_or_npm_alone_say_nothing_of_an_index(
    system: str, company: str
) -> None:
    require({"GIT_SSL_CAINFO": company, "npm_config_cafile": company})
    require({"NODE_EXTRA_CA_CERTS": company, "POETRY_CERTIFICATES_OTHER_CERT": company})


def test_a_folder_is_read_as_openssl_reads_it(system: str, company: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "README").write_text("no certificate")
    (folder / "0a1b2c3d.0").symlink_to(company)
    environ = {"SSL_CERT_DIR": f"/does/not/exist:{folder}"}
    require(environ, ca=company)
    with pytest.raises(CommandError, match="SSL_CERT_DIR names certificates"):
        require(environ)


def test_a_file_that_cannot_be_read_is_an_error(system: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read") as refused:
        require({"PIP_CERT": str(tmp_path / "none.pem")})
    assert refused.value.hint == "PIP_CERT names them"


def test_without_an_https_index_no_certificates_matter(system: str, company: str) -> None:
    assert read_reach({"SSL_CERT_FILE": company}, [], [], None, None).marks() == []


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_another_proxy_than_the_relays_is_an_error_with_the_key_to_set(variable: str) -> None:
    for proxy in ("", "http://other.example:3128", "http://me:it@proxy.example:3128"):
        with pytest.raises(CommandError, match=f"^{variable} leads to index.example") as refused:
            require({variable: PROXY}, proxy=proxy)
        assert "`proxy` in config.toml" in refused.value.hint
        assert "me:it" not in str(refused.value) + refused.value.hint


@pytest.mark.parametrize(
    "spelling", [PROXY, f"{PROXY}/", "proxy.example:3128", "HTTP://Proxy.Example:3128"]
)
def test_the_same_proxy_in_another_spelling_is_no_other(spelling: str) -> None:
    require({"HTTPS_PROXY": spelling}, proxy=PROXY)


@pytest.mark.parametrize("without", [HOST, ".example", "*", "a.test, index.example"])
def test_a_proxy_that_the_index_is_excepted_from_is_no_other(without: str) -> None:
    require({"HTTPS_PROXY": PROXY, "NO_PROXY": without})


def test_a_block_of_addresses_excepts_no_name() -> None:
    with pytest.raises(CommandError):
        require({"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"})


@pytest.mark.parametrize(
    "url", ["socks4://h.example:1080", "socks://h.example", "https://h.example:3128", "ftp://x"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_of_another_kind_is_an_error_that_names_the_way_without_a_relay(
    url: str, scheme: str
) -> None:
    with pytest.raises(CommandError, match="neither an http proxy nor a SOCKS5 one") as refused:
        own_proxy({f"{scheme}_proxy": url}, scheme)
    assert "--env" in refused.value.hint


def test_every_variable_gets_what_it_named_and_the_authority(
    system: str, company: str, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    run = tmp_path / "run.pem"
    run.write_bytes(read_certificates((authority(tmp_path, "run-authority"),)))
    former = {"A": (company,), "B": (), "C": (), "D": ()}
    found = write(former, ["D"], str(folder), run.read_bytes())
    own = in_text(run.read_bytes())
    held = {name: in_text(read_certificates([file])) for name, file in found.items()}
    assert held["A"] == in_text(read_certificates([company])) | own
    assert held["B"] == held["C"] == in_text(read_certificates([system])) | own
    assert held["D"] == own
    assert found["B"] == found["C"]
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
