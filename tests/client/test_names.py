"""What a person types becomes one service, whoever defines its name."""

from __future__ import annotations

import pytest

from tokenward.errors import CommandError
from tokenward.settings.service_names import Definition, Names, Service, env_form, resolve
from tokenward_protocol.urls import PYPI, TESTPYPI

INDEX = Definition(
    "internal",
    "https://index.example/simple/",
    "/home/u/.config/tokenward/config.toml",
    "https://index.example/legacy/",
    "alice",
)


def no_files() -> Names:
    raise AssertionError("no file may be read for this")


def by_name(name: str, user: list[Definition], project: list[Definition] | None = None) -> Service:
    return resolve(name, lambda: Names(user, project or []))


@pytest.mark.parametrize(("text", "key"), [("pypi", PYPI), ("testpypi", TESTPYPI)])
def test_seed_service_is_pypi_or_testpypi_or_a_url(text: str, key: str) -> None:
    service = resolve(text, no_files)
    assert (service.key, service.publish_url, service.name) == (key, key, text)
    assert resolve("https://index.example/", no_files).key == "https://index.example/"


def test_a_url_of_pypi_publishes_to_its_upload_endpoint() -> None:
    service = resolve("https://pypi.org/simple/", no_files)
    assert (service.key, service.publish_url, service.name) == (PYPI, PYPI, "pypi")


def test_a_typed_url_brings_its_user_and_its_notice() -> None:
    service = resolve("u:pw@localhost:8080/x", no_files)
    assert (service.username, service.password, service.key) == (
        "u",
        "pw",
        "https://localhost:8080/x/",
    )
    assert service.url == "https://localhost:8080/x"
    assert "http://localhost:8080/x/" in service.notice
    assert "pw" not in repr(service)


@pytest.mark.parametrize("text", ["", "  ", "ftp://h.example", "http://h.example", "a b"])
def test_what_is_no_service_is_a_command_error(text: str) -> None:
    with pytest.raises(CommandError):
        resolve(text, lambda: Names([]))


def test_a_name_means_its_url_and_its_publish_url() -> None:
    service = by_name("internal", [INDEX])
    assert service.key == "https://index.example/simple/"
    assert service.publish_key == "https://index.example/legacy/"
    assert service.default_username == "alice"
    assert (service.file, service.from_project) == (INDEX.file, False)


def test_login_stores_under_both_urls_unless_one_covers_the_other() -> None:
    assert by_name("internal", [INDEX]).login_keys == ("https://index.example/",)
    apart = Definition("a", "https://get.example/simple", "f", "https://put.example/")
    assert by_name("a", [apart]).login_keys == ("https://get.example/", "https://put.example/")
    assert by_name("a", [Definition("a", "https://h.example/x", "f")]).login_keys == (
        "https://h.example/x/",
    )


def test_logout_names_both_urls_even_where_one_covers_the_other() -> None:
    assert by_name("internal", [INDEX]).logout_keys == (
        "https://index.example/",
        "https://index.example/legacy/",
    )


def test_a_url_logs_in_and_out_without_its_simple_segment() -> None:
    service = resolve("https://h.example/root/+simple/", no_files)
    assert service.login_keys == service.logout_keys == ("https://h.example/root/",)


def test_the_user_files_go_first_and_the_first_definition_wins() -> None:
    second = Definition("internal", "https://other.example/", "/home/u/.pypirc")
    assert by_name("internal", [INDEX, second]).file == INDEX.file
    assert by_name("internal", [second, INDEX]).file == second.file


def test_a_definition_without_a_url_gives_way_to_one_that_has_it() -> None:
    empty = Definition("internal", "", "/home/u/.pypirc")
    assert by_name("internal", [empty, INDEX]).file == INDEX.file
    with pytest.raises(CommandError, match=r"/home/u/\.pypirc defines internal without a URL"):
        by_name("internal", [empty])


def test_a_projects_name_is_found_last_and_marked() -> None:
    project = Definition("theirs", "https://p.example/simple", "/p/pyproject.toml")
    service = by_name("theirs", [INDEX], [project])
    assert service.from_project
    assert service.file == "/p/pyproject.toml"


def test_a_project_that_redefines_a_users_name_is_an_error_naming_both_files() -> None:
    project = Definition("internal", "https://evil.example/", "/p/pyproject.toml")
    with pytest.raises(CommandError) as caught:
        by_name("internal", [INDEX], [project])
    assert INDEX.file in str(caught.value)
    assert "/p/pyproject.toml" in str(caught.value)


def test_another_case_of_the_name_redefines_it_all_the_same() -> None:
    project = Definition("Internal", "https://evil.example/", "/p/pyproject.toml")
    with pytest.raises(CommandError, match=r"/p/pyproject\.toml"):
        by_name("internal", [INDEX], [project])


@pytest.mark.parametrize("url", ["https://index.example/", "https://INDEX.example/simple"])
def test_a_project_that_agrees_with_the_user_changes_nothing(url: str) -> None:
    service = by_name("internal", [INDEX], [Definition("internal", url, "/p/pyproject.toml")])
    assert (service.file, service.from_project) == (INDEX.file, False)


@pytest.mark.parametrize("name", ["pypi", "PyPI", "testpypi", "TESTPYPI"])
def test_nothing_redefines_the_two_fixed_names(name: str) -> None:
    evil = Definition(name, "https://evil.example/", "f")
    assert by_name(name, [evil], [evil]).key in {PYPI, TESTPYPI}


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    project = Definition("theirs", "https://p.example", "/p/uv.toml")
    with pytest.raises(CommandError, match="No index is known as nope") as caught:
        by_name("nope", [INDEX], [project])
    assert "pypi, testpypi, internal, theirs" in caught.value.hint


def test_case_and_punctuation_of_a_name_make_no_difference_unless_two_are_meant() -> None:
    one = Definition("my-index", "https://one.example/", "f")
    two = Definition("my_index", "https://two.example/", "f")
    assert by_name("My_Index", [one]).key == "https://one.example/"
    assert by_name("my_index", [one, two]).key == "https://two.example/"
    with pytest.raises(CommandError, match="my-index or my_index"):
        by_name("MY_INDEX", [one, two])


def test_a_bad_url_in_a_file_is_said_with_the_file_and_without_its_password() -> None:
    with pytest.raises(CommandError, match=r"^internal in /p/uv\.toml: ") as caught:
        by_name("internal", [], [Definition("internal", "http://u:SECRET@h.example", "/p/uv.toml")])
    assert "SECRET" not in str(caught.value)


def test_user_info_in_a_definition_gives_a_user_name_and_no_password() -> None:
    service = by_name("a", [Definition("a", "https://u:SECRET@h.example/", "f")])
    assert (service.default_username, service.username, service.password) == ("u", None, None)
    assert "SECRET" not in repr(Definition("a", "https://u:SECRET@h.example/", "f"))


@pytest.mark.parametrize(
    ("name", "form"), [("pypi", "PYPI"), ("my-index", "MY_INDEX"), ("a.b 1", "A_B_1"), ("ü", "_")]
)
def test_a_name_in_variables_is_upper_case_with_underscores(name: str, form: str) -> None:
    assert env_form(name) == form


def test_a_variable_form_that_two_names_share_stands_for_neither() -> None:
    one = Definition("my-index", "https://one.example/", "f")
    two = Definition("my_index", "https://two.example/", "f")
    assert set(Names([one, two]).by_variable()) == {"PYPI", "TESTPYPI"}
    assert Names([one], [one]).by_variable()["MY_INDEX"].key == "https://one.example/"
    assert "MY_INDEX" not in Names([one], [two]).by_variable()


def test_uploads_have_their_own_url_and_pypi_has_but_one() -> None:
    uploads = by_name("internal", [INDEX]).for_uploads
    assert (uploads.key, uploads.url) == ("https://index.example/legacy/",) * 2
    assert (uploads.name, uploads.default_username) == ("internal", "alice")
    mirror = Definition("ours", "https://pypi.org/simple", "f")
    assert by_name("ours", [mirror]).for_uploads.url == PYPI
