"""Lines put into somebody's settings files, and taken out again: no other byte ever changes."""

from __future__ import annotations

import configparser
import tomllib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenward.files import ini, toml
from tokenward.files.draft import Draft, ForeignSettingError, UneditableFileError, without
from tokenward.setup import settings_parts
from tokenward.setup.settings_parts import Accounts

PRIVATE = "https://index.example/simple/"
ACCOUNTS = Accounts(
    [(PRIVATE, "alice"), ("https://two.example/", "a"), ("https://two.example/", "b")]
)

INI_LINES = st.sampled_from(
    [
        "[global]",
        "  [global]",
        "[install]",
        "[pypi]",
        "[testpypi]",
        "[distutils]",
        "# a comment",
        "; another",
        "index-url = https://u:secret@h.example/",
        "  timeout = 5",
        "\ttab = 1",
        "keyring-provider = import",
        "keyring-provider = subprocess",
        "keyring_provider = x",
        "username = __token__",
        "username: eve",
        "password = %x%",
        "repository = https://index.example/",
        "index-servers =",
        "    pypi",
        "no value",
        "",
        "",
    ]
)
TOML_LINES = st.sampled_from(
    f"""\
keyring-provider = "disabled"
keyring-provider = "subprocess"
# a comment
native-tls = true
[pip]
[a.b]
[[index]]
  [[ index ]]  # odd
url = "{PRIVATE}"
name = "a"
name = "testpypi"
publish-url = "https://index.example/legacy/"
'publish-url' = 'https://upload.pypi.org/legacy/'
authenticate = "never"
trusted-publishing = "always"
index = [{{ url = "u" }}]
x = '''
'''
y = [
]
""".split("\n")
)
ENDS = st.sampled_from(["\n", "\r\n"])


def texts(lines: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda several, end, last: end.join(several) + (end if last else ""),
        st.lists(lines, max_size=12),
        ENDS,
        st.booleans(),
    )


def put_uv(draft: Draft, over: bool) -> None:
    settings_parts.uv_edit("uv.toml", ACCOUNTS).edit(draft, over)


def put_pip(draft: Draft, over: bool) -> None:
    settings_parts.pip_edit("pip.conf").edit(draft, over)


def put_pypirc(draft: Draft, over: bool) -> None:
    settings_parts.pypirc_edit("/home/u", ACCOUNTS).edit(draft, over)


@pytest.mark.parametrize(
    ("edit", "lines"), [(put_uv, TOML_LINES), (put_pip, INI_LINES), (put_pypirc, INI_LINES)]
)
def test_what_is_put_in_comes_out_byte_for_byte_and_a_second_time_nothing_is_put_in(
    edit: object, lines: st.SearchStrategy[str]
) -> None:
    done = 0

    @settings(max_examples=100)  # in the quick run, too: the count below is of them
    @given(texts(lines), st.booleans())
    def holds(text: str, over: bool) -> None:
        nonlocal done
        assert callable(edit)
        draft = Draft(text)
        try:
            edit(draft, over)
        except (ForeignSettingError, UneditableFileError):
            return  # the file is left alone
        done += 1
        assert without(draft.text, draft.inserted) == (text, [])
        again = Draft(draft.text)
        edit(again, False)
        assert (again.text, again.inserted) == (draft.text, [])

    holds()
    assert done > 10  # the lines above are not all nonsense


@given(texts(INI_LINES), st.booleans())
def test_an_ini_file_says_what_it_said_and_the_new_word(text: str, over: bool) -> None:
    draft = Draft(text)
    with suppress(ForeignSettingError, UneditableFileError):
        ini.put_values(draft, "global", {"keyring-provider": "subprocess"}, over=over)
        before, after = configparser.RawConfigParser(), configparser.RawConfigParser()
        before.read_string(text)
        after.read_string(draft.text)
        if not before.has_section("global"):
            before.add_section("global")
        before["global"]["keyring-provider"] = "subprocess"
        assert before == after


@given(texts(TOML_LINES), st.booleans())
def test_a_toml_file_says_what_it_said_and_the_new_word(text: str, over: bool) -> None:
    draft = Draft(text)
    with suppress(ForeignSettingError, UneditableFileError):
        toml.put_value(draft, "keyring-provider", "subprocess", over=over)
        before = tomllib.loads(text.replace("\r\n", "\n"))
        after = tomllib.loads(draft.text.replace("\r\n", "\n"))
        assert after == {**before, "keyring-provider": "subprocess"}


def test_another_word_for_the_same_key_is_a_strangers_and_stays() -> None:
    for edit, text in (
        (put_uv, 'keyring-provider = "disabled"\n'),
        (put_pip, "[global]\nkeyring_provider = import\n"),
        (put_pip, "[global]\nkeyring-provider = import\n"),
        (put_pypirc, "[pypi]\nusername = eve\n"),
    ):
        with pytest.raises(ForeignSettingError):
            edit(Draft(text), False)


def test_a_line_that_gives_way_stays_as_a_comment() -> None:
    draft = Draft("[global]\n# mine\nkeyring-provider = import\n")
    put_pip(draft, True)
    assert draft.text == (
        "[global]\n# mine\n"
        "# The next line was written by `auth setup`; `auth setup --undo` takes it out.\n"
        "keyring-provider = subprocess\n"
        "# Before `auth setup`: keyring-provider = import\n"
    )


def test_nothing_of_the_file_is_in_what_is_remembered() -> None:
    text = "[global]\nindex-url = https://u:secret@h.example/\nkeyring-provider = secret\n"
    draft = Draft(text)
    put_pip(draft, True)
    assert "secret" not in "".join(draft.inserted)


@pytest.mark.parametrize(
    "text",
    [
        "[global]\nkeyring-provider = a\n  b\n",  # the rest would hang on ours
        "[global]\n[global]\n",
        "keyring-provider = x\n",
        "[global\n",
    ],
)
def test_an_ini_file_that_cannot_be_edited_safely_is_left_alone(text: str) -> None:
    with pytest.raises(UneditableFileError):
        put_pip(Draft(text), True)


@pytest.mark.parametrize(
    "text",
    [
        "keyring-provider = '''\nx'''\n",
        f"index = [{{ name = 'a', url = '{PRIVATE}' }}]\n",
        "x = \n",
        '"keyring-provider" = "x"\n',
        f"x = {'9' * 5000}\n",
        "x = '\udcff'\n",  # a byte that is no UTF-8
    ],
)
def test_a_toml_file_that_cannot_be_edited_safely_is_left_alone(text: str) -> None:
    with pytest.raises(UneditableFileError):
        put_uv(Draft(text), True)


def test_indented_keys_stay_keys() -> None:
    draft = Draft("[global]\n    timeout = 5\n")
    put_pip(draft, False)
    assert "\n    keyring-provider = subprocess\n    timeout = 5\n" in draft.text


def uv(text: str, over: bool = False) -> dict[str, object]:
    draft = Draft(text)
    put_uv(draft, over)
    return tomllib.loads(draft.text)


def test_an_index_whose_account_is_known_gets_its_user_name_and_is_always_asked_for() -> None:
    said = uv(
        f'[[index]]\nname = "a"\nurl = "{PRIVATE}"\npublish-url = "https://index.example/up/"\n'
        '[[index]]\nname = "b"\nurl = "https://two.example/simple/"\n'
        '[[index]]\nname = "c"\nurl = "https://public.example/simple/"\n'
    )
    index = said["index"]
    assert isinstance(index, list)
    assert index[0] == {
        "name": "a",
        "url": PRIVATE,
        "publish-url": "https://alice@index.example/up/",
        "authenticate": "always",
    }
    assert index[1] == {"name": "b", "url": "https://two.example/simple/"}  # two accounts: no guess
    assert index[2] == {"name": "c", "url": "https://public.example/simple/"}
    assert index[3]["explicit"] is True


def test_a_user_name_is_percent_coded_in_a_url() -> None:
    draft = Draft(
        '[[index]]\nname = "a"\nurl = "https://h.example/"\npublish-url = "https://h.example/"\n'
    )
    part = settings_parts.uv_edit("uv.toml", Accounts([("https://h.example/", "a@b/c")]))
    part.edit(draft, False)
    assert 'publish-url = "https://a%40b%2Fc@h.example/"' in draft.text


def test_a_publish_url_that_names_a_user_stays() -> None:
    text = 'publish-url = "https://eve@h.example/"\n'
    assert uv(text)["publish-url"] == "https://eve@h.example/"


def test_who_demands_trusted_publishing_gets_no_user_name_for_pypi() -> None:
    assert "publish-url" not in uv('trusted-publishing = "always"\n')


def test_a_pypirc_gets_names_and_no_password() -> None:
    draft = Draft("[distutils]\nindex-servers =\n    pypi\n    mine\n\n[mine]\nrepository = x\n")
    notes = settings_parts.pypirc_edit("/home/u", ACCOUNTS).edit(draft, False)
    said = ini.parse(draft.text)
    assert dict(said["pypi"]) == {
        "repository": "https://upload.pypi.org/legacy/",
        "username": "__token__",
    }
    assert said["distutils"]["index-servers"].split() == ["pypi", "mine"]
    assert "username" not in said["mine"]
    assert notes == ["flit does not see testpypi: `index-servers` does not list it."]


def test_a_server_of_ones_own_gets_its_user_name() -> None:
    draft = Draft("[mine]\nrepository = https://index.example/legacy/\npassword = %x\n")
    settings_parts.pypirc_edit("/home/u", Accounts([("https://index.example/", "alice")])).edit(
        draft, False
    )
    assert ini.parse(draft.text)["mine"]["username"] == "alice"
