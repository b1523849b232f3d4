"""One spelling for each service: examples of every rule, and what must hold for any text."""

# ruff: noqa: RUF001 - characters that look like others are what is tested here

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenward_protocol.urls import (
    FIXED,
    MAX_KEY,
    PYPI,
    TESTPYPI,
    ServiceError,
    display,
    is_canonical,
    is_name,
    mask,
    parse_service_url,
    prefixes,
    strip_index_suffix,
)

SAME = {
    "https://h.example/": [
        "h.example",
        "H.Example",
        "https://h.example",
        "HTTPS://H.EXAMPLE/",
        "https://h.example:443/",
        "https://h.example:/",
        "https://h.example:0443",
        "https://h.example./",
        "https://h.example//",
        "https://h.example/?query#fragment",
        "https://h.example?query/with/slashes",
        "https://h.example#fragment@with.example",
        "https://h.example/a/..",
        "https://h.example/../..",
        " https://h.example\n",
        "user@h.example",
        "user:password@h.example",
        "https://user:pass:word@h.example",
    ],
    "https://h.example/a/b/": [
        "https://h.example/a/b",
        "https://h.example/a/b//",
        "https://h.example/a/./b",
        "https://h.example/x/../a/b/.",
        "https://h.example/%61/%62",
        "https://h.example/x/%2e%2E/a/b",
        "h.example/a/b?c",
    ],
    "https://h.example:8443/": ["h.example:8443", "https://h.example:08443/"],
    "https://h.example/A%2Fb/%25/%C3%A9/": [
        "https://h.example/A%2fb/%25/é",
        "https://h.example/%41%2Fb/%25/%c3%a9/",
    ],
    "https://h.example/%3Cx%3E%22%7B%7C%7D%5E%60%5B%5D/": ['https://h.example/<x>"{|}^`[]'],
    "https://xn--bcher-kva.example/": [
        "bücher.example",
        "BÜCHER.example",
        "bücher。example",
        "bu\u0308cher.example",
        "https://xn--bcher-kva.example",
        "https://XN--BCHER-KVA.example.",
    ],
    "https://xn--fa-hia.example/": ["faß.example"],
    "https://h_1.example/": ["https://h_1.example"],
    "https://10.0.0.5/": ["10.0.0.5", "１０.0.0.5", "https://10.0.0.5./"],
    "https://[2001:db8::1]/": [
        "[2001:db8::1]",
        "https://[2001:DB8:0:0:0:0:0:1]:443",
        "https://[2001:0db8::0001]/",
    ],
    "https://[1:0:0:2::3]/": ["[1:0:0:2:0:0:0:3]"],
    "https://[::ffff:102:304]/": ["[::ffff:1.2.3.4]"],
    "https://[::]/": ["[0:0:0:0:0:0:0:0]"],
    "http://localhost:8080/": ["http://LOCALHOST:8080", "http://localhost.:8080/"],
    "http://127.0.0.1/": ["http://127.0.0.1:80"],
    "http://[::1]:3141/": ["http://[0:0:0:0:0:0:0:1]:3141/"],
    PYPI: [
        "pypi.org",
        "https://pypi.org/simple/",
        "https://www.pypi.org/manage/account",
        "https://upload.pypi.org",
        "https://upload.pypi.org:443/legacy",
        "https://UPLOAD.pypi.org./legacy/",
        "ｐｙｐｉ.org",
        "https://__token__@upload.pypi.org/legacy/",
    ],
    TESTPYPI: ["test.pypi.org", "https://test.pypi.org/simple", "https://test.pypi.org/legacy/"],
    "https://upload.pypi.org:8443/legacy/": ["https://upload.pypi.org:8443/legacy/"],
    "https://files.pypi.org/": ["files.pypi.org"],
}
DIFFERENT = [
    ("https://h.example/a", "https://h.example/A"),
    ("https://h.example/a", "https://h.example/ab"),
    ("https://h.example/a%2Fb", "https://h.example/a/b"),
    ("https://h.example/a//b", "https://h.example/a/b"),
    ("https://h.example", "https://h.example:8443"),
    ("https://h.example:80", "https://h.example"),
    ("https://localhost", "http://localhost"),
    ("https://localhost", "https://127.0.0.1"),
    ("pypi.org", "test.pypi.org"),
    ("pypi.org", "pypi.org.example"),
]
REFUSED = {
    "is empty": ["", "  \n"],
    "holds a blank": [
        "https://h.example\\@evil.example",
        "https://h.example/a b",
        "https://h .example",
        "https://h.example/\tx",
        "https://h.example/\x00",
        "https://h.example/\x7f",
        "https://h.example/\u3000",
        "https://h.example/\u202e",
        "https://\ud800.example",
    ],
    "is a name": ["intranet", "PyPI", "16909060", "0x7f000001"],
    "scheme": ["ftp://h.example", "file:///etc/passwd", "git+https://h.example", "://h.example"],
    "unencrypted": [
        "http://h.example",
        "http://pypi.org",
        "http://10.0.0.5",
        "http://127.0.0.2",
        "http://foo.localhost",
        "http://[::2]",
        "http://[::ffff:127.0.0.1]",
        "http://localhost.example",
    ],
    "more than one @": ["https://a@b@h.example", "https://a:b@c@h.example"],
    "no host": ["https://", "https:///h.example", "//h.example", "https://user@/x", "https://:443"],
    "valid host": [
        "https://h..example",
        "https://.h.example",
        "https://h.example..",
        "https://.",
        "https://h%2eexample",
        "https://h.ex%61mple",
        "https://h!.example",
        "https://h,evil.example",
        "https://<h>.example",
        "https://h.example[",
        "https://" + "a" * 64 + ".example",
        "https://" + ".".join(["a" * 60] * 5),
    ],
    "internationalized": [
        "https://xn--zz.example",
        "https://a℀b.example",
        "https://evil.example／h.example",
        "https://evil.example＃.h.example",
        "https://☃.example",
        "https://" + "ü" * 300,
    ],
    "numeric host": [
        "https://16909060",
        "https://1.2.3",
        "https://1.2.3.4.5",
        "https://1.2.3.256",
        "https://01.2.3.4",
        "https://0x7f.0.0.1",
        "https://h.0x1f",
        "https://h.0x",
        "https://h.7",
        "1.2.3.4444",
    ],
    "IPv6": [
        "https://[::g]",
        "https://[]",
        "https://[::1",
        "https://[::1]x",
        "https://[fe80::1%25eth0]",
    ],
    "more than one colon": ["::1", "https://a:b:c", "h.example:80:80"],
    "port": [
        "https://h.example:0",
        "https://h.example:65536",
        "https://h.example:x",
        "https://h.example:-1",
        "https://h.example:+80",
        "https://h.example:٣",
        "https://h.example:" + "9" * 5000,
        "https:h.example",
        "user:password",
    ],
    "% without": [
        "https://h.example/%",
        "https://h.example/%g0",
        "https://u%4@h.example",
        "h.example/%+1",
    ],
    "UTF-8": ["https://%ff@h.example", "https://u:%c3@h.example"],
    "longer than": ["https://h.example/" + "a" * MAX_KEY],
}


@pytest.mark.parametrize(
    ("text", "key"), [(text, key) for key, texts in SAME.items() for text in [key, *texts]]
)
def test_spellings_that_make_no_difference_have_one_key(text: str, key: str) -> None:
    assert parse_service_url(text).key == key


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_makes_a_difference_keeps_it(one: str, other: str) -> None:
    assert parse_service_url(one).key != parse_service_url(other).key


@pytest.mark.parametrize(
    ("text", "reason"), [(text, reason) for reason, texts in REFUSED.items() for text in texts]
)
def test_what_could_be_misread_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ServiceError, match=reason):
        parse_service_url(text)


@pytest.mark.parametrize(
    ("text", "username", "password"),
    [
        ("https://h.example", None, None),
        ("https://user@h.example", "user", None),
        ("https://user:@h.example", "user", None),
        ("https://:pw@h.example", None, "pw"),
        ("https://@h.example", None, None),
        ("user%40corp:p%2Fw@h.example", "user@corp", "p/w"),
        ("https://%C3%BCser:pässwörd%0A@h.example", "üser", "pässwörd\n"),
        ("https://__token__:pypi-AgEI@upload.pypi.org/legacy/", "__token__", "pypi-AgEI"),
    ],
)
def test_user_info_is_split_off_and_percent_decoded(
    text: str, username: str | None, password: str | None
) -> None:
    service = parse_service_url(text)
    assert (service.username, service.password) == (username, password)
    assert "@" not in service.key
    assert "@" not in service.url


def test_the_url_keeps_its_spelling_but_loses_its_user_info() -> None:
    assert parse_service_url("u:p@H.example/Up/?x").url == "https://H.example/Up/?x"
    assert parse_service_url("https://u:p@h.example/up").url == "https://h.example/up"


@pytest.mark.parametrize(
    "text",
    [
        "https://user:SECRET@h.example:x",
        "https://user:SEC/RET@h.example",
        "https://user:SEC?RET@h.example",
        "https://user:SEC#RET@h.example",
        "https://user:SEC@RET@h.example",
        "https://user:SEC%RET@h.example",
        "https://user:%ffSECRET@h.example",
        "https://user:SEC\\RET@h.example",
        "https://user:SEC RET@h.example",
        "ftp://user:SECRET@h.example",
        "user:SEC://RET@h.example",
        "user:SECRET@",
        "user:SECRET",
        "user:SECRET/path",
        "https://user:SECRET",
        "http://h.example/?token=SECRET",
        "http://h.example/#SECRET",
    ],
)
def test_no_message_repeats_a_password(text: str) -> None:
    with pytest.raises(ServiceError) as caught:
        parse_service_url(text)
    said = f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert "SEC" not in said
    assert "RET" not in said
    assert caught.value.__context__ is None
    assert "SEC" not in mask(text)


def test_a_message_holds_no_control_characters() -> None:
    assert mask("https://h.example/\x1b[31m") == "https://h.example/\ufffd[31m"


def test_the_repr_of_a_service_holds_no_password() -> None:
    assert "pw" not in repr(parse_service_url("https://u:pw@h.example"))


@pytest.mark.parametrize("text", ["localhost", "LocalHost:8080", "127.0.0.1:3141/root", "[::1]"])
def test_a_bare_loopback_host_gets_https_and_a_hint_at_http(text: str) -> None:
    service = parse_service_url(text)
    assert service.key.startswith("https://")
    assert f"http{service.key[5:]}" in service.notice


@pytest.mark.parametrize("text", ["https://localhost", "http://localhost", "h.example"])
def test_other_services_get_no_hint(text: str) -> None:
    assert not parse_service_url(text).notice


@pytest.mark.parametrize("text", ["pypi", "my-index", "INTERNAL_2", "café", "16909060"])
def test_a_word_is_a_name(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize(
    "text", ["localhost", "LOCALHOST", "h.example", "h:80", "h/", "u@h", "[::1]"]
)
def test_a_dot_colon_slash_or_at_makes_a_host(text: str) -> None:
    assert not is_name(text)


def test_the_two_fixed_names_are_the_upload_endpoints() -> None:
    assert FIXED == {
        "pypi": "https://upload.pypi.org/legacy/",
        "testpypi": "https://test.pypi.org/legacy/",
    }
    assert all(is_canonical(key) for key in FIXED.values())


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("https://h.example/simple", "https://h.example/"),
        ("https://h.example/Simple/", "https://h.example/"),
        ("https://h.example/root/+simple/", "https://h.example/root/"),
        ("https://h.example/simple/simple", "https://h.example/simple/"),
        ("https://h.example/simple/x", "https://h.example/simple/x/"),
        ("https://h.example/notsimple", "https://h.example/notsimple/"),
        ("https://simple/", "https://simple/"),
    ],
)
def test_a_final_simple_segment_is_stripped_for_login(text: str, stored: str) -> None:
    assert strip_index_suffix(parse_service_url(text).key) == stored


def test_prefixes_are_whole_segments_and_the_longest_comes_first() -> None:
    assert list(prefixes("https://h.example:8443/a/bc/")) == [
        "https://h.example:8443/a/bc/",
        "https://h.example:8443/a/",
        "https://h.example:8443/",
    ]
    assert list(prefixes("https://h.example/")) == ["https://h.example/"]


def test_a_key_is_shown_by_its_fixed_name() -> None:
    assert [display(key) for key in (PYPI, TESTPYPI, "https://h.example/")] == [
        "pypi",
        "testpypi",
        "https://h.example/",
    ]


@pytest.mark.parametrize(
    "key",
    [
        "https://h.example",
        "https://H.example/",
        "https://h.example/a",
        "https://h.example:443/",
        "https://u@h.example/",
        "https://h.example/?",
        " https://h.example/",
        "h.example/",
        "https://pypi.org/simple/",
        "pypi",
        "",
    ],
)
def test_any_other_spelling_is_not_canonical(key: str) -> None:
    assert not is_canonical(key)


def test_reading_an_ordinary_url_loads_no_other_module() -> None:
    program = (
        "import sys; before = set(sys.modules); from tokenward_protocol.urls import parse_service_url;"
        " parse_service_url('https://u:p%20w@h.example:8443/a/../b?c'); print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert set(done.stdout.split()) - {"__future__"} <= {
        "tokenward_protocol",
        "tokenward_protocol.urls",
        "tokenward_protocol.url_parts",
    }


NASTY = st.text(
    alphabet="abZ019.-_~:/@?#%[]\\ \t\x00xXeEfF2+,;=&'\"<>{}|^`é。．ß℀ａ１K\u0308\u200d\u202e\ud800",
    max_size=40,
)
TEXTS = st.one_of(NASTY, st.builds("https://{}".format, NASTY), st.text(max_size=30))


@given(TEXTS)
@example("https://h.example/%25%32%65%2e/%252e%252e/")
@example("https://h.example/a//..//../b/./")
def test_normalising_twice_changes_nothing(text: str) -> None:
    try:
        key = parse_service_url(text).key
    except ServiceError:
        return
    assert parse_service_url(key).key == key
    assert is_canonical(key)
    assert key.isascii()
    assert key.endswith("/")
    assert parse_service_url(strip_index_suffix(key)).key == strip_index_suffix(key)


@given(TEXTS)
def test_any_text_is_a_service_or_a_service_error(text: str) -> None:
    try:
        parse_service_url(text)
    except ServiceError as error:
        assert str(error).isprintable()  # noqa: PT017 - both outcomes are right


@given(st.text(min_size=1), st.text(min_size=1))
def test_percent_coded_user_info_comes_back(username: str, password: str) -> None:
    from urllib.parse import quote

    try:
        coded = f"https://{quote(username, safe='')}:{quote(password, safe='')}@h.example/"
    except UnicodeEncodeError:
        return  # a lone surrogate has no bytes
    service = parse_service_url(coded)
    assert (service.key, service.username, service.password) == (
        "https://h.example/",
        username,
        password,
    )
