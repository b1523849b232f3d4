"""A job of a CI system publishes with nothing stored: minted, used, revoked; and what is said if not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import files_below, files_with, paths_below
from support.macaroons import raw_of
from support.servers.real_names_server import BEARER, CI, Seen
from support.servers.trusted_publishing import identity_token
from support.systems.real_names import RealNames, needs_namespaces
from support.tools.wheels import NAME, write_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

    from support.home import Home

pytestmark = [needs_namespaces, pytest.mark.xdist_group("trusted publishing")]

PYPI = "https://upload.pypi.org/legacy/"
OIDC = "https://upload.pypi.org/_/oidc"
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://{CI}/token?api-version=2",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": BEARER,
}
LOGIN = ("login", "pypi", "--trusted-publishing")


class Job:
    """A job: a home of its own, in which the names of the indexes lead to our server."""

    def __init__(self, names: RealNames, home: Home) -> None:
        self.names = names
        self.home = home
        home.environment["SSL_CERT_FILE"] = str(names.authority)

    def auth(self, *arguments: str, **variables: str) -> CompletedProcess[str]:
        """Run `auth` in the job, with what GitHub gives it unless `variables` say otherwise."""
        command = (*self.names.inside, str(self.home.path), str(PROGRAMS / "auth"), *arguments)
        return self.home.run(*command, **({"GITHUB_ACTIONS": "", **(variables or GITHUB)}))

    def done(self, *arguments: str, **variables: str) -> CompletedProcess[str]:
        result = self.auth(*arguments, **variables)
        assert result.returncode == 0, result.stderr
        return result

    def asked(self) -> list[tuple[str, str, int]]:
        return [(seen.method, seen.url, seen.status) for seen in self.names.seen()]


@pytest.fixture(scope="module")
def names() -> Iterator[RealNames]:
    with RealNames(trusted=True) as it:
        yield it


@pytest.fixture
def job(names: RealNames, home: Home) -> Job:
    names.seen()
    return Job(names, home)


def twine(job: Job) -> CompletedProcess[str]:
    """Upload a wheel in the job, with what `auth exec` gives it."""
    folder = job.home.path / "dist"
    folder.mkdir(exist_ok=True)
    wheel = write_wheel(folder)
    upload = (str(PROGRAMS / "twine"), "upload", "--non-interactive", "--verbose", str(wheel))
    return job.auth("exec", "--env", "--", *upload, REQUESTS_CA_BUNDLE=str(job.names.authority))


def test_a_job_mints_a_token_publishes_with_it_and_has_it_revoked(job: Job) -> None:
    result = job.done(*LOGIN)
    assert "Kept the token for pypi in memory only; it expires in 15 minutes.\n" in result.stderr
    assert job.asked() == [
        ("GET", f"{OIDC}/audience", 200),
        ("GET", f"http://{CI}/token?api-version=2&audience=pypi", 200),
        ("POST", f"{OIDC}/mint-token", 200),
    ]
    assert "in memory only: 1 credential, until" in job.done("status").stdout
    token = job.done("token").stdout.strip()
    assert token not in result.stderr
    upload = twine(job)
    assert upload.returncode == 0, upload.stdout + upload.stderr
    uploads = [seen for seen in job.names.seen() if seen.method == "POST"]
    assert uploads == [Seen(PYPI, "POST", "__token__", True, 200, NAME)]
    out = job.done("logout", "pypi")
    assert out.stderr == "Removed the token for pypi.\nupload.pypi.org was told to revoke it.\n"
    assert job.asked() == [("POST", f"{OIDC}/burn-token", 202)]
    again = job.home.auth("login", "pypi", "--token", "-", stdin=f"{token}\n")
    assert again.returncode == 0
    assert twine(job).returncode != 0  # a copy that somebody kept is good for nothing
    assert job.names.seen()[-1].status == 403


def test_nothing_of_it_is_written_anywhere(job: Job) -> None:
    job.done(*LOGIN)
    token = job.done("token").stdout.strip().encode()
    assert not list(paths_below(job.home.path, "*.vault"))
    assert list(files_below(job.home.path))
    assert files_with(job.home.path, token) == []


def test_the_list_says_where_it_is_and_when_it_ends(job: Job) -> None:
    found = json.loads(job.done(*LOGIN, "--format", "json").stdout)
    assert (found["provider"], found["replaced"], found["adopted"]) == ("memory", False, False)
    (entry,) = json.loads(job.done("list", "--format", "json").stdout)["credentials"]
    assert (entry["service"], entry["provider"]) == (PYPI, "memory")
    assert entry["expires"] is not None


@pytest.mark.parametrize("action", ["stop", "restart"])
def test_it_is_revoked_when_the_agent_is_stopped(job: Job, action: str) -> None:
    job.done(*LOGIN)
    job.names.seen()
    assert "upload.pypi.org was told to revoke it." in job.done("agent", action).stderr
    assert job.asked() == [("POST", f"{OIDC}/burn-token", 202)]
    assert job.home.auth("token").returncode == 2


def test_revoking_takes_no_option_and_the_option_changes_nothing(job: Job) -> None:
    job.done(*LOGIN)
    job.names.seen()
    found = json.loads(job.done("logout", "--all", "--revoke", "--format", "json").stdout)
    assert [entry["revoked"] for entry in found["removed"]] == [True]
    assert job.asked() == [("POST", f"{OIDC}/burn-token", 202)]


def test_an_index_that_is_not_there_holds_up_no_logout(job: Job) -> None:
    job.done(*LOGIN)
    result = job.auth("logout", "pypi", SSL_CERT_FILE="/nowhere")
    assert result.returncode == 0
    assert "warning: The token for pypi was not revoked, and expires in " in result.stderr
    assert job.home.auth("token").returncode == 2


def test_logging_in_again_mints_another(job: Job) -> None:
    job.done(*LOGIN)
    before = job.done("token").stdout
    assert json.loads(job.done(*LOGIN, "--format", "json").stdout)["replaced"] is True
    assert job.done("token").stdout != before


PRINTED = ("exec", "--env", "--", "printenv", "UV_PUBLISH_TOKEN")


def test_exec_mints_another_where_the_token_ends_within_minutes(job: Job) -> None:
    job.done(*LOGIN, **gitlab("pypi", "owner/hasty", job="renewed"))
    before = job.done("token").stdout
    job.names.seen()
    renewed = job.done(*PRINTED)
    assert "The token for pypi was renewed; it expires in 15 minutes.\n" in renewed.stderr
    assert ("POST", f"{OIDC}/mint-token", 200) in job.asked()
    after = job.done("token").stdout
    assert after != before
    assert raw_of(renewed.stdout.strip()).startswith(raw_of(after.strip())[:-40])  # of the new one
    again = job.done(*PRINTED)
    assert (again.stderr, job.asked()) == ("", [])


def test_a_run_behind_a_relay_mints_another_as_well(job: Job) -> None:
    job.done(*LOGIN, **gitlab("pypi", "owner/hasty", job="renewed behind a relay"))
    before = job.done("token").stdout
    settings = job.home.path / ".config/tokenward/config.toml"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(f'ca = "{job.names.authority}"\n')
    run = job.done("exec", "--", "printenv", "UV_PUBLISH_PASSWORD")
    assert "The token for pypi was renewed; it expires in 15 minutes.\n" in run.stderr
    assert run.stdout.startswith("tokenward-run-")
    assert job.done("token").stdout != before


def test_exec_goes_on_with_a_token_that_cannot_be_renewed(job: Job) -> None:
    variables = gitlab("pypi", "owner/hasty", job="not renewed")
    job.done(*LOGIN, **variables)
    goes_on = job.done(*PRINTED, **variables)
    assert goes_on.stdout.startswith("pypi-")
    assert "warning: The token for pypi was not renewed, and expires in 3 minutes: upload" in (
        goes_on.stderr
    )


def gitlab(
    audience: str, repository: str = "owner/project", ends: int = 300, job: str = "a job of GitLab"
) -> dict[str, str]:
    """Return what GitLab gives a job that asks for one identity token."""
    token = identity_token(audience, job, repository, ends)
    return {"GITLAB_CI": "true", "PYPI_ID_TOKEN": token, "TESTPYPI_ID_TOKEN": token}


def test_a_job_of_gitlab_mints_once(job: Job) -> None:
    variables = gitlab("testpypi")
    job.done("login", "testpypi", "--trusted-publishing", **variables)
    result = job.auth("login", "testpypi", "--trusted-publishing", **variables)
    assert result.returncode == 2
    assert "test.pypi.org mints no token: invalid token: already used.\n" in result.stderr
    assert "a GitLab job has one" in result.stderr
    assert job.done("token", "testpypi").stdout  # the first one is there still


def test_a_publisher_that_is_not_registered_is_shown_what_it_said(job: Job) -> None:
    result = job.auth(*LOGIN, "-v", **gitlab("pypi", "somebody/else"))
    assert result.returncode == 2
    assert "error: upload.pypi.org mints no token: valid token, but no" in result.stderr
    assert "https://pypi.org/manage/account/publishing/" in result.stderr
    assert "repository somebody/else" in result.stderr
    assert job.home.auth("token").returncode == 2


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"CI": "true"}, "No identity token was found"),
        (
            {"GITHUB_ACTIONS": "true"},
            "GitHub gives this job no identity token.\nhint: the job needs",
        ),
        ({"GITLAB_CI": "true"}, "The CI system gives no identity token: GitLab: Environment var"),
        ({**GITHUB, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "wrong"}, "GitHub: OIDC token request fail"),
        (gitlab("testpypi"), "The CI system gives no identity token: Token audience claim mis"),
        (gitlab("pypi", ends=-60), "mints no token: malformed or invalid token"),
    ],
)
def test_what_is_missing_in_a_job_is_said(job: Job, variables: dict[str, str], said: str) -> None:
    result = job.auth(*LOGIN, **variables)
    assert result.returncode == 2
    assert said in result.stderr
    for value in variables.values():
        assert value not in result.stderr or len(value) < 10


def test_an_index_that_could_name_another_is_asked_nothing(job: Job) -> None:
    result = job.auth("login", "https://index.example/", "--trusted-publishing")
    assert result.returncode == 2
    assert "only with pypi and testpypi, and where `oidc` in your config.toml" in result.stderr
    assert job.asked() == []


@pytest.mark.parametrize(
    "beside",
    [("--token", "x"), ("-u", "alice"), ("--lifetime", "1h"), ("--adopt",), ("--check",)],
)
def test_what_trusted_publishing_decides_is_not_decided_beside_it(
    job: Job, beside: tuple[str, ...]
) -> None:
    result = job.auth(*LOGIN, *beside)
    assert result.returncode == 2
    assert "exclude" in result.stderr
    assert job.asked() == []


def test_a_token_that_is_stored_is_not_replaced_by_one_for_minutes(job: Job) -> None:
    from support.servers.real_names_server import token

    job.home.done("login", "--token", "-", stdin=f"{token('upload.pypi.org')}\n")
    result = job.auth(*LOGIN)
    assert result.returncode == 2
    assert "is stored already" in result.stderr
    assert job.done("token").stdout.strip() == token("upload.pypi.org")


def test_the_check_says_whether_the_index_knows_a_token(job: Job) -> None:
    job.done(*LOGIN)
    answer: dict[str, Any] = json.loads(job.done("token", "--check", "--format", "json").stdout)
    assert answer["check"] == "accepted"
    assert answer["message"] == "upload.pypi.org knows the token."
    assert answer["unproven"].startswith("This does not prove its restrictions")
    token = job.done("token").stdout
    job.done("logout", "pypi")
    said = job.home.run(
        *job.names.inside,
        str(job.home.path),
        PROGRAMS / "auth",
        *("login", "--token", "-", "--check"),
        stdin=token,
    )
    assert said.returncode == 2
    assert "error: upload.pypi.org does not know the token" in said.stderr
    assert job.home.auth("token").returncode == 2
