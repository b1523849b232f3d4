"""A credential of the environment answers for one service and never for another."""

from __future__ import annotations

import pytest

from tokenward.credentials import environment
from tokenward.settings.service_names import Definition, Names
from tokenward_protocol.urls import PYPI, TESTPYPI

INDEX = Definition(
    "my-index", "https://index.example/simple/", "f", "https://index.example/legacy/"
)


def names() -> Names:
    return Names([INDEX])


def no_names() -> Names:
    raise AssertionError("no file may be read for this")


def found(environ: dict[str, str], key: str, username: str | None = None) -> tuple[str, str] | None:
    bound = environment.find_in_environment(environ, key, username, names)
    return (bound.username, bound.secret) if bound else None


def test_seed_publish_token_answers_for_pypi() -> None:
    bound = environment.find_in_environment({"UV_PUBLISH_TOKEN": "t"}, PYPI, None, no_names)
    assert bound
    assert (bound.username, bound.secret, bound.variable) == ("__token__", "t", "UV_PUBLISH_TOKEN")


def test_seed_publish_url_says_which_service_it_is_for() -> None:
    environ = {"UV_PUBLISH_TOKEN": "t", "UV_PUBLISH_URL": "https://INDEX.example/legacy"}
    assert found(environ, "https://index.example/legacy/") == ("__token__", "t")
    assert found(environ, "https://index.example/legacy/below/") == ("__token__", "t")
    assert found(environ, "https://index.example/") is None
    assert found(environ, "https://index.example/legacyx/") is None
    assert found(environ, PYPI) is None


def test_seed_publish_username_and_password_answer_together() -> None:
    environ = {"UV_PUBLISH_USERNAME": "u", "UV_PUBLISH_PASSWORD": "p"}
    assert found(environ, PYPI) == ("u", "p")
    assert found({"UV_PUBLISH_USERNAME": "u"}, PYPI) is None
    assert found({"UV_PUBLISH_PASSWORD": "p"}, PYPI) is None


@pytest.mark.parametrize(("name", "key"), [("PYPI", PYPI), ("TESTPYPI", TESTPYPI)])
def test_seed_index_token_answers_for_its_index(name: str, key: str) -> None:
    environ = {f"UV_INDEX_TOKEN_{name}": "t"}
    assert found(environ, key) == ("__token__", "t")
    assert found(environ, ({PYPI, TESTPYPI} - {key}).pop()) is None


def test_an_index_of_a_file_has_its_variables_for_its_url_not_its_publish_url() -> None:
    environ = {"UV_INDEX_MY_INDEX_USERNAME": "u", "UV_INDEX_MY_INDEX_PASSWORD": "p"}
    assert found(environ, "https://index.example/simple/") == ("u", "p")
    assert found(environ, "https://index.example/legacy/") is None


def test_an_unknown_index_answers_for_nothing() -> None:
    assert found({"UV_INDEX_TOKEN_NOPE": "t"}, PYPI) is None


def test_publishing_to_a_named_index_binds_to_its_publish_url() -> None:
    environ = {"UV_PUBLISH_TOKEN": "t", "UV_PUBLISH_INDEX": "my-index"}
    assert found(environ, "https://index.example/legacy/") == ("__token__", "t")
    assert found(environ, PYPI) is None


def test_the_indexs_own_variable_wins_over_the_general_one() -> None:
    environ = {"UV_PUBLISH_TOKEN": "general", "UV_INDEX_TOKEN_PYPI": "own"}
    assert found(environ, PYPI) == ("__token__", "own")


def test_the_token_wins_over_user_and_password() -> None:
    own = {"UV_INDEX_PYPI_USERNAME": "u", "UV_INDEX_PYPI_PASSWORD": "p"}
    assert found({"UV_INDEX_TOKEN_PYPI": "t"} | own, PYPI) == ("__token__", "t")
    general = {"UV_PUBLISH_USERNAME": "u", "UV_PUBLISH_PASSWORD": "p"}
    assert found({"UV_PUBLISH_TOKEN": "t"} | general, PYPI) == ("__token__", "t")


def test_the_narrower_url_wins() -> None:
    environ = {
        "UV_PUBLISH_TOKEN": "narrow",
        "UV_PUBLISH_URL": "https://index.example/simple/deeper",
        "UV_INDEX_TOKEN_MY_INDEX": "wide",
    }
    assert found(environ, "https://index.example/simple/deeper/x/") == ("__token__", "narrow")
    assert found(environ, "https://index.example/simple/x/") == ("__token__", "wide")


def test_another_user_name_asked_means_no_answer() -> None:
    environ = {"UV_PUBLISH_TOKEN": "t"}
    assert found(environ, PYPI, "alice") is None
    assert found(environ, PYPI, "__token__") == ("__token__", "t")
    both = environ | {"UV_PUBLISH_USERNAME": "alice", "UV_PUBLISH_PASSWORD": "p"}
    assert found(both, PYPI, "alice") == ("alice", "p")


@pytest.mark.parametrize(
    "environ",
    [
        {"UV_PUBLISH_TOKEN": ""},
        {"UV_INDEX_TOKEN_PYPI": ""},
        {"UV_PUBLISH_USERNAME": "", "UV_PUBLISH_PASSWORD": "p"},
        {"UV_INDEX_PYPI_USERNAME": "u", "UV_INDEX_PYPI_PASSWORD": ""},
    ],
)
def test_an_empty_variable_is_not_set(environ: dict[str, str]) -> None:
    assert found(environ, PYPI) is None


def test_an_empty_publish_url_means_pypi() -> None:
    assert found({"UV_PUBLISH_TOKEN": "t", "UV_PUBLISH_URL": ""}, PYPI) == ("__token__", "t")


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"UV_PUBLISH_TOKEN": "SECRET", "UV_PUBLISH_URL": "http://h.example"}, "UV_PUBLISH_TOKEN"),
        ({"UV_PUBLISH_TOKEN": "SECRET", "UV_PUBLISH_INDEX": "nope"}, "UV_PUBLISH_TOKEN"),
        ({"UV_PUBLISH_PASSWORD": "SECRET"}, "UV_PUBLISH_USERNAME"),
        ({"UV_INDEX_PYPI_PASSWORD": "SECRET"}, "UV_INDEX_PYPI_USERNAME"),
    ],
)
def test_a_variable_that_can_answer_for_nothing_is_said(
    environ: dict[str, str], variable: str
) -> None:
    said: list[str] = []
    assert environment.find_in_environment(environ, PYPI, None, names, said.append) is None
    assert variable in said[0]
    assert "SECRET" not in said[0]


def test_no_file_is_read_unless_a_variable_is_named_after_an_index() -> None:
    others = {"UV_INDEX": "a=https://h.example", "UV_INDEX_URL": "x", "UV_INDEX_STRATEGY": "y"}
    assert environment.find_in_environment(others, PYPI, None, no_names) is None


def test_the_repr_of_a_found_credential_holds_no_secret() -> None:
    assert "SECRET" not in repr(
        environment.find_in_environment({"UV_PUBLISH_TOKEN": "SECRET"}, PYPI, None, no_names)
    )
