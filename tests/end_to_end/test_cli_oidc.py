"""Tokens for a CI job at indexes beyond PyPI: where the user's own file says so, and nowhere else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.inspection.held_texts import files_with
from support.macaroons import token_of
from support.policy import rules
from support.servers.http_server import Loopback
from support.servers.oidc_indexes import AUDIENCE, CISystem, Minting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

    from support.home import Home

LOGIN = ("login", "corp", "--trusted-publishing")


class Job:
    """A job at a CI system, an index that mints for it, and a home whose config.toml says so."""

    def __init__(self, home: Home, ci: CISystem, minting: Minting, index: Loopback) -> None:
        self.home, self.ci, self.minting, self.index = home, ci, minting, index
        authority = home.path / "index.pem"
        authority.write_bytes(index.certificate)
        home.environment |= {"SSL_CERT_FILE": str(authority), "REQUESTS_CA_BUNDLE": str(authority)}

    def settings(self, kind: str, /, **changed: str) -> None:
        """Say in config.toml how `corp` mints."""
        more = {
            "jfrog": {"provider": "github"},
            "cloudsmith": {"organization": "acme", "account": "ci-x1", "api": self.index.url},
            "warehouse": {},
        }[kind]
        table = {"kind": kind, "audience": AUDIENCE[kind], **more, **changed}
        oidc = ", ".join(f'{key} = "{value}"' for key, value in table.items() if value)
        username = 'username = "ci"\n' if kind == "jfrog" else ""
        page = f"{self.index.url}simple/"
        rules(self.home, f'[services.corp]\nurl = "{page}"\n{username}oidc = {{ {oidc} }}\n')

    def auth(self, *words: str, **variables: str) -> CompletedProcess[str]:
        return self.home.auth(*words, **self.ci.variables | variables)

    def done(self, *words: str) -> CompletedProcess[str]:
        result = self.auth(*words)
        assert result.returncode == 0, result.stderr
        return result

    def asked(self) -> list[tuple[str, str]]:
        return [(each.method, each.path) for each in self.index.requests]


@pytest.fixture
def job(home: Home) -> Iterator[Job]:
    minting = Minting()
    with CISystem() as ci, Loopback(minting.answer, tls=True) as index:
        yield Job(home, ci, minting, index)


@pytest.mark.parametrize(
    ("kind", "username", "asked", "revoked"),
    [
        (
            *("jfrog", "ci", [("POST", "/access/api/v1/oidc/token")]),
            ("DELETE", "/access/api/v1/tokens/me"),
        ),
        ("cloudsmith", "token", [("POST", "/openid/acme/")], None),
        (
            *("warehouse", "__token__"),
            [("GET", "/_/oidc/audience"), ("POST", "/_/oidc/mint-token")],
            ("POST", "/_/oidc/burn-token"),
        ),
    ],
)
def test_a_job_gets_a_token_in_memory_alone_and_has_it_revoked(
    job: Job, kind: str, username: str, asked: list[tuple[str, str]], revoked: tuple[str, str]
) -> None:
    job.settings(kind)
    found = json.loads(job.done(*LOGIN, "--format", "json").stdout)
    assert (found["provider"], found["username"]) == ("memory", username)
    assert found["expires"] is not None
    assert (job.ci.asked, job.asked()) == ([AUDIENCE[kind]], asked)
    (live,) = job.minting.live
    token = job.home.answer("token", "corp")
    assert (token["token"], token["username"]) == (live, username)
    assert files_with(job.home.path, live.encode()) == []
    out = job.done("logout", "corp").stderr
    assert job.home.auth("token", "corp").returncode == 2
    if revoked:
        assert job.asked()[-1] == revoked
        assert job.minting.live == set()
    else:
        assert "was not revoked, and expires in" in out
        assert "Cloudsmith revokes no such token." in out


def test_exec_mints_another_for_one_that_ends_soon_and_stop_revokes_it(job: Job) -> None:
    job.settings("jfrog")
    job.minting.seconds = 200
    job.done(*LOGIN)
    (first,) = job.minting.live
    job.minting.seconds = 3600
    command = ("exec", "--env", "--index", "corp", "--", "printenv", "TWINE_PASSWORD")
    run = job.done(*command)
    assert "was renewed; it expires in" in run.stderr
    assert run.stdout.strip() in job.minting.live - {first}
    assert "It was revoked at 127.0.0.1" in job.done("agent", "stop").stderr
    assert job.minting.live == {first}  # an upload may be using it


def test_no_index_chooses_the_audience(job: Job) -> None:
    job.settings("warehouse")
    job.minting.audience = "pypi"
    refused = job.auth(*LOGIN)
    assert refused.returncode == 2
    assert "for another audience than config.toml names" in refused.stderr
    assert job.ci.asked == []
    for audience in ("pypi", "testpypi", " PyPI "):
        job.settings("warehouse", audience=audience)
        assert "`audience` that is PyPI's" in job.auth(*LOGIN).stderr
    assert job.ci.asked == []


def test_no_file_of_a_checkout_has_an_identity_token_sent(job: Job) -> None:
    oidc = 'oidc = { kind = "warehouse", audience = "index.example" }\n'
    checkout = job.home.path / "checkout"
    checkout.mkdir()
    index = f'name = "corp"\nurl = "{job.index.url}simple/"\n{oidc}'
    (checkout / "uv.toml").write_text(f"[[index]]\n{index}")
    (checkout / "pyproject.toml").write_text(
        f"[[tool.uv.index]]\n{index}\n[tool.tokenward.services.corp]\n{index}"
    )
    (checkout / "config.toml").write_text(f"[services.corp]\n{index}")
    job.home.done("trust", str(checkout))
    for service in ("corp", f"{job.index.url}simple/"):
        result = job.home.run(
            *("auth", "login", service, "--trusted-publishing"),
            cwd=str(checkout),
            **job.ci.variables | {"PATH": job.home.environment["PATH"]},
        )
        assert result.returncode == 2
        assert "works only with pypi and testpypi" in result.stderr
    assert (job.ci.asked, job.asked()) == ([], [])


@pytest.mark.parametrize(
    ("kind", "changed", "why"),
    [
        ("jfrog", {"provider": "gitlab"}, "mints no token: No identity mapping matched the token."),
        ("cloudsmith", {"account": "other"}, "mints no token: Invalid service slug."),
        ("cloudsmith", {"audience": "x"}, "mints no token: OIDC token cannot be authenticated."),
        ("cloudsmith", {"organization": "nobody"}, "it answered with the status 404"),
        ("cloudsmith", {"organization": "../x"}, "`organization` that is not a plain word"),
        ("cloudsmith", {"api": "http://api.example/"}, "`api` that is not a URL with https"),
        ("jfrog", {"provider": ""}, "has no `provider`."),
        ("warehouse", {"audience": ""}, "has no `audience`."),
        ("warehouse", {"provider": "x"}, "has an unknown key `provider`."),
        ("warehouse", {"kind": "azure"}, "has no known `kind`."),
    ],
)
def test_what_is_refused_or_wrong_is_told(
    job: Job, kind: str, changed: dict[str, str], why: str
) -> None:
    job.settings(kind, **changed)
    result = job.auth(*LOGIN)
    assert result.returncode == 2
    assert why in result.stderr
    assert job.minting.live == set()
    assert job.home.auth("list").stdout.count("memory") == 0


def test_an_index_without_https_gets_no_identity_token(job: Job) -> None:
    job.settings("warehouse")
    text = (job.home.path / ".config/tokenward/config.toml").read_text()
    rules(job.home, text.replace("https://127.0.0.1", "http://127.0.0.1"))
    assert "does not use https" in job.auth(*LOGIN).stderr
    assert job.ci.asked == []


def test_a_stored_token_of_that_account_is_not_replaced(job: Job) -> None:
    job.settings("warehouse")
    stored = token_of("index.example", "stored")
    job.home.done("login", "corp", "--token", "-", "--no-check", stdin=f"{stored}\n")
    assert job.auth(*LOGIN).returncode == 2
    assert job.home.done("token", "corp") == f"{stored}\n"
