"""Our key's host and the host that a tool would contact are never two different hosts.

Asked are urllib3 (twine, pip, poetry and pdm go through it or a copy of it) and uv, whose parser
shows what it read in the file that `uv auth login` writes. Where a tool refuses a text or we do,
nothing can go astray. The one exception is ours and documented: the hosts of pypi fold into one.
"""

# ruff: noqa: RUF001 - characters that look like others are what is tested here

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import sysconfig
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from support.waiting import PATIENCE
from tokenward_protocol.urls import PYPI, TESTPYPI, ServiceError, parse_service_url

if TYPE_CHECKING:
    from pathlib import Path

Origin = tuple[str, str, int]
"""Scheme, host and port."""

NASTY = [
    "https://h.example@evil.example/",
    "https://h.example:443@evil.example/",
    "https://evil.example#@h.example/",
    "https://evil.example?@h.example/",
    "https://evil.example/@h.example/",
    "https://evil.example\\@h.example/",
    "https://a@b@h.example/",
    "https://a%40b@h.example/",
    "https://h.example%2f@evil.example/",
    "https://h.example%00.evil.example/",
    "https://h.example／.evil.example/",
    "https://h.example。evil.example/",
    "https://h.example．/",
    "https://bücher.example/",
    "https://BÜCHER.example/",
    "https://faß.example/",
    "https://FAẞ.example/",
    "https://İ.example/",
    "https://K.example/",
    "https://ς.example/",
    "https://ﬃ.example/",
    "https://a\u00adb.example/",
    "https://a\u200db.example/",
    "https://क्\u200dष.example/",
    "https://xn--fa-hia.example/",
    "https://xn--a.example/",
    "https://１２７.0.0.1/",
    "https://127.1/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://2130706433/",
    "https://1.2.3.4./",
    "https://1.2.3.4.5/",
    "https://[::1]/",
    "https://[::ffff:1.2.3.4]/",
    "https://[0:0::0:1]:8443/",
    "https://[::1]evil.example/",
    "https://[::1]:80:90/",
    "https://[fe80::1%25eth0]/",
    "https://h.example:/",
    "https://h.example:0443/",
    "https://h.example:443:443/",
    "https://h.example.:8443/",
    "https://h..example/",
    "https://.h.example/",
    "https://h_x.example/",
    "https://-h.example/",
    "https://ab--c.example/",
    "https:///h.example/",
    "https:h.example",
    "HTTPS://H.EXAMPLE:8443/",
    " https://h.example/ ",
    "https://h.exa\tmple/",
    "https://h.exa\nmple/",
    "https://h.example;evil.example/",
    "https://h.example,evil.example/",
    "https://h.example/..//evil.example/",
    "http://localhost:8080/",
    "http://127.0.0.1:8080/",
    "http://[::1]:8080/",
    "https://pypi.org/simple/",
    "https://test.pypi.org:443/legacy/",
]
"""Texts that some parser somewhere has been seen to read in another way."""

LABELS = st.text(alphabet="abZ09-_xn.。ßéＡ１%!\u0308", min_size=1, max_size=12)
AUTHORITIES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "u@", "u:p@", "h.example:443@", "u@v@", "@", "h.example\\@"]),
    st.one_of(LABELS, st.ip_addresses(v=6).map("[{}]".format), st.ip_addresses(v=4).map(str)),
    st.sampled_from(["", ".", ".example", ":", ":8443", ":0443", ":443:1", ":99999"]),
)
URLS = st.builds(
    "https://{}{}".format,
    AUTHORITIES,
    st.sampled_from(["", "/", "/a/../b", "?@evil.example", "#@evil.example", "/@evil.example"]),
)


def origin(scheme: str, host: str, port: int | None) -> Origin:
    """Bring what a parser said to the point: whom would it connect to."""
    if host.startswith("["):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    return scheme, host.lower().removesuffix("."), port or (443 if scheme == "https" else 80)


def ours(text: str) -> Origin | None:
    try:
        key = parse_service_url(text).key
    except ServiceError:
        return None
    scheme, _, rest = key.partition("://")
    host, _, port = rest.partition("/")[0].rpartition(":")
    if not host or port.endswith("]"):
        host, port = rest.partition("/")[0], ""
    return origin(scheme, host, int(port) if port else None)


def of_urllib3(text: str) -> Origin | None:
    try:
        url = parse_url(text)
    except LocationParseError:
        return None
    if url.scheme is None or url.host is None:
        return None
    return origin(url.scheme, url.host, url.port)


UV = shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")


def of_uv(text: str, folder: Path) -> Origin | None:
    """Log in with uv, in a store of its own, and read the origin that it wrote down."""
    assert UV, "the test group of pyproject.toml installs uv"
    store = folder / "credentials.toml"
    store.unlink(missing_ok=True)
    environment = {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "UV_CREDENTIALS_DIR": str(folder),
        "UV_NO_CONFIG": "1",
    }
    for flags in (["-u", "x", "--password", "y"], ["--password", "y"], []):
        # uv wants a user name or password once: in the URL or as a flag.
        subprocess.run(  # noqa: PLW1510 - a refusal is an answer
            [UV, "auth", "login", *flags, "--", text],
            cwd=folder,
            env=environment,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
        )
        if store.exists():
            service = tomllib.loads(store.read_text())["credential"][0]["service"]
            return of_urllib3(service)
    return None


def agree(one: Origin | None, other: Origin | None) -> bool:
    """Whether nobody would send a credential for one of the two to the other."""
    if one is None or other is None:
        return True
    homes = {PYPI: {"pypi.org", "www.pypi.org", "upload.pypi.org"}, TESTPYPI: {"test.pypi.org"}}
    for key, hosts in homes.items():
        if one == ours(key) and other[0] == "https" and other[2] == 443:
            return other[1] in hosts
    return one == other


@pytest.mark.parametrize("text", NASTY)
def test_urllib3_contacts_the_host_of_our_key(text: str) -> None:
    assert agree(ours(text), of_urllib3(text))


@given(URLS)
@settings(max_examples=500)
@example("https://ẞ/")
def test_urllib3_contacts_the_host_of_our_key_whatever_the_text(text: str) -> None:
    assert agree(ours(text), of_urllib3(text))


@pytest.mark.parametrize("text", [text for text in NASTY if "\x00" not in text])
def test_uv_contacts_the_host_of_our_key(text: str, tmp_path: Path) -> None:
    assert agree(ours(text), of_uv(text, tmp_path))


@given(text=URLS)
@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_uv_contacts_the_host_of_our_key_whatever_the_text(text: str, tmp_path: Path) -> None:
    assert agree(ours(text), of_uv(text, tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "https://h.example/",
        "https://u@h.example/",
        "https://u:p@h.example/",
        "https://bücher.example:8443/",
        "https://[2001:db8::1]/",
    ],
)
def test_both_tools_do_answer_here(text: str, tmp_path: Path) -> None:
    assert of_urllib3(text) == of_uv(text, tmp_path) == ours(text) is not None
