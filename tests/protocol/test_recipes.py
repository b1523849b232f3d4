"""Recipes as tables, marks of secrets, and the ends that tokens show."""

from __future__ import annotations

import base64
import json

import pytest

from tokenward_protocol.recipes import (
    ALWAYS,
    ASKER,
    MOST_KEPT,
    USUAL_KEPT,
    Recipe,
    RecipeError,
    read_recipe,
    require_known,
)
from tokenward_protocol.secret_marks import is_marked, may_show
from tokenward_protocol.token_ends import jwt_claims, jwt_end, usual_seconds

PROGRAM = "/usr/bin/maker"


def test_a_recipe_reads_back_what_it_wrote() -> None:
    recipe = Recipe((PROGRAM, "a", "ü"), "json", 3600, 5, ALWAYS)
    assert read_recipe(recipe.as_table()) == recipe
    assert read_recipe({"command": [PROGRAM]}) == Recipe((PROGRAM,))
    for more in (Recipe((PROGRAM,), run_in=ASKER), Recipe((PROGRAM,), environment=("A", "B_*"))):
        assert read_recipe(more.as_table()) == more


@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("command", {}),
        ("command", {"command": []}),
        ("command", {"command": f"{PROGRAM} arg"}),
        ("command", {"command": ["maker"]}),
        ("command", {"command": ["./maker"]}),
        ("command", {"command": [PROGRAM, 5]}),
        ("command", {"command": [PROGRAM, "a\0b"]}),
        ("command", {"command": [PROGRAM, "\ud800"]}),
        ("command", {"command": [PROGRAM, *["a"] * 64]}),
        ("command", {"command": [PROGRAM, "a" * 8192]}),
        ("as", {"command": [PROGRAM], "as": "xml"}),
        ("as", {"command": [PROGRAM], "as": ["json"]}),
        ("lifetime", {"command": [PROGRAM], "lifetime": 60}),
        ("lifetime", {"command": [PROGRAM], "lifetime": "forever"}),
        ("timeout", {"command": [PROGRAM], "timeout": "61s"}),
        ("attended", {"command": [PROGRAM], "attended": True}),
        ("run-in", {"command": [PROGRAM], "run-in": "shell"}),
        ("run-in", {"command": [PROGRAM], "run-in": "asker", "attended": "always"}),
        ("environment", {"command": [PROGRAM], "run-in": "asker", "environment": ["A"]}),
        ("environment", {"command": [PROGRAM], "environment": "AWS_PROFILE"}),
        ("environment", {"command": [PROGRAM], "environment": ["*"]}),
        ("environment", {"command": [PROGRAM], "environment": ["A*B"]}),
        ("environment", {"command": [PROGRAM], "environment": ["LD_PRELOAD"]}),
        ("environment", {"command": [PROGRAM], "environment": ["LD_*"]}),
        ("environment", {"command": [PROGRAM], "environment": ["A"] * 65}),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_key(
    key: str, table: dict[str, object]
) -> None:
    with pytest.raises(RecipeError) as refused:
        read_recipe(table)
    assert refused.value.key == key


def test_a_name_that_ends_with_a_star_stands_for_variables_that_choose_no_code() -> None:
    recipe = Recipe((PROGRAM,), environment=("AWS_PROFILE", "CLOUDSDK_*", "PAT*", "AZURE_*"))
    names = ["AWS_PROFILE", "CLOUDSDK_CORE_ACCOUNT", "AZURE_TENANT", "CLOUDSDK_"]
    assert [name for name in names if recipe.passes(name)] == names
    others = ["AWS_PROFILE_2", "HOME", "PATH", "CLOUDSDK_PYTHON", "CLOUDSDK_PYTHON_ARGS"]
    others += ["CLOUDSDK_ROOT_DIR", "AZURE_EXTENSION_DIR", "CLOUDSDK_A=B", "CLOUDSDK_\0"]
    assert not [name for name in others if recipe.passes(name)]


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(RecipeError):
        require_known({"command": [PROGRAM], "shell": "true"})


def test_what_has_no_end_is_kept_for_minutes_and_what_the_user_made_for_half_a_day() -> None:
    assert Recipe((PROGRAM,)).usual_seconds == USUAL_KEPT
    assert Recipe((PROGRAM,), attended=ALWAYS).usual_seconds == MOST_KEPT
    assert Recipe((PROGRAM,), kept=60).usual_seconds == 60
    assert Recipe((PROGRAM,), kept=90_000).usual_seconds == MOST_KEPT


@pytest.mark.parametrize(
    "text",
    [
        "pypi-AgEIcHlwaS5vcmcCJDAwMDAwMDAw",
        "--token=abc",
        "password: hunter2",
        "https://user:pw@h.example/",
        "ghp_0123456789012345678901234567890123456",
        "Bearer eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjF9.c2ln",
    ],
)
def test_a_text_with_a_mark_of_a_secret_is_told(text: str) -> None:
    assert is_marked(text)
    assert may_show(text)


@pytest.mark.parametrize(
    "text",
    [
        "print-access-token",
        "--format=json(credential)",
        "get-authorization-token",
        "--domain-owner",
        "123456789012",
        "op://Private/PyPI/token",
        "https://h.example/simple/",
        "499b84ac-1321-427f-aa17-267ca6975798",
        "-field=password",
        "vault kv get -field=token",
    ],
)
def test_what_programs_need_as_arguments_has_none(text: str) -> None:
    assert not is_marked(text)


@pytest.mark.parametrize(
    "line",
    ["Please run: gcloud auth login", "error: no such item", "permission denied (os error 13)"],
)
def test_what_programs_say_when_they_fail_may_be_shown(line: str) -> None:
    assert not may_show(line)


def test_a_long_run_of_letters_and_digits_may_be_a_secret() -> None:
    assert may_show("used 8sd7f6s8df76sd8f76sd8f7 and failed")


def jwt(**claims: object) -> memoryview:
    parts = [json.dumps(each).encode() for each in ({"alg": "RS256"}, claims)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (*parts, b"signature"))
    return memoryview(text)


def test_the_end_of_a_jwt_is_its_claim() -> None:
    claims = jwt_claims(jwt(exp=1_790_000_000.5, sub="x"))
    assert claims is not None
    assert jwt_end(claims) == 1_790_000_000
    assert jwt_end({"exp": "tomorrow"}) is None
    assert jwt_claims(memoryview(b"eyJ.a.b")) is None
    assert jwt_claims(memoryview(b"hunter2")) is None


def test_a_host_is_known_for_the_end_of_its_tokens_only_with_their_user_name() -> None:
    aws = "https://team-111122223333.d.codeartifact.eu-central-1.amazonaws.com/pypi/main/"
    google = "https://europe-python.pkg.dev/corp/python/"
    assert usual_seconds(aws, "aws") == 12 * 3600
    assert usual_seconds(google, "oauth2accesstoken") == 3600
    assert usual_seconds(google, "_json_key_base64") is None
    assert usual_seconds("https://evil.example/x.d.codeartifact.a.amazonaws.com/", "aws") is None
