"""Where settings stand: cutting out one that was found leaves the parser exactly the others."""

from __future__ import annotations

import configparser
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from tokenward.files import ini, toml
from tokenward.sources.document import remove_spans

INI_LINES = st.sampled_from(
    [
        "[one]",
        "[two]",
        "",
        "  ",
        "# password = comment",
        "  ; indented comment",
        "password = p%w=:x",
        "Password: other",
        "  username = u",
        "key =",
        "    continued",
        "\tcontinued = too",
        "last",
    ]
)
TOML_LINES = st.sampled_from(
    [
        "[one]",
        "[two.three]",
        "[[many]]",
        "",
        "# a = comment",
        'a = "x" # comment',
        'b = """\n[one]\na = 1\n"""',
        "c = [\n  1,\n  2, # two\n]",
        "d = {e = 1, f = 2}",
        "  'g h' = 2026-01-01",
        'i."j".k = 1',
    ]
)


def read_ini(text: str) -> dict[str, dict[str, str]] | None:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return {name: dict(parser[name]) for name in parser.sections()}


def without(settings: dict[str, dict[str, str]], names: tuple[str, ...]) -> object:
    section, option = names
    return {
        name: {k: v for k, v in options.items() if (name, k) != (section, option)}
        for name, options in settings.items()
    }


@given(st.lists(INI_LINES, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_each_option_of_an_ini_file_can_be_cut_out_alone(lines: list[str], end: str) -> None:
    text = end.join(lines)
    settings = read_ini(text)
    if settings is None:
        return
    found = ini.settings(text)
    assert {names for names, *_ in found} == {(s, o) for s, os in settings.items() for o in os}
    for setting in found:
        left = read_ini(remove_spans(text, setting.spans))
        assert left == without(settings, setting.names)


@given(st.lists(TOML_LINES, max_size=10), st.sampled_from(["\n", "\r\n"]))
def test_the_pieces_of_a_toml_document_are_all_of_it(lines: list[str], end: str) -> None:
    text = "\n".join(lines).replace("\n", end)
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    spans = [span for setting in toml.settings(text) for span in setting.spans]
    assert tomllib.loads(remove_spans(text, spans)) == {}
    assert tomllib.loads("".join(text[start:stop] for start, stop in spans)) == settings
    rest = remove_spans(text, spans).splitlines()
    assert all(not line.strip() or line.startswith("#") for line in rest)


def test_a_piece_says_which_table_of_several_it_belongs_to() -> None:
    text = '[[c]]\na = 1\n\n[[c]]\na = """\n[[c]]\n"""\n[other]\nb = 2\n'
    assert [(setting.names, setting.number) for setting in toml.settings(text)] == [
        (("c",), 0),
        (("c", "a"), 0),
        (("c",), 1),
        (("c", "a"), 1),
        (("other",), 0),
        (("other", "b"), 0),
    ]


def test_a_setting_without_an_end_in_sight_ends_the_search() -> None:
    text = "a = 1\nb = [\n" + "1,\n" * 100_000 + "]\nc = 3\n"
    assert [setting.names for setting in toml.settings(text)] == [("a",)]


def test_what_is_cut_out_is_gone_and_nothing_else() -> None:
    assert remove_spans("abcdef", [(4, 5), (0, 2)]) == "cdf"
    assert remove_spans("abc", []) == "abc"
