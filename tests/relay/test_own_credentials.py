"""A credential of the environment or of .pypirc serves a run: that run alone, and its command holds none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import files_with
from support.runs import ACCOUNT, Index, Publisher
from support.servers.http_server import basic
from support.waiting import PATIENCE, until
from tokenward.services import is_asleep
from tokenward.transport.connect import AgentError, connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    from support.home import Home

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no relay yet")

READ = 'curl -sSf "$URL/simple/one/"'
SHOW = f"{READ}; echo read $?; env"


@pytest.fixture
def user(home: Home) -> Iterator[Publisher]:
    """A user who has stored nothing."""
    with Publisher(home, Index()) as it:
        home.done("logout", it.index.url, "-u", ACCOUNT[0])
        yield it


@pytest.fixture
def variables(user: Publisher) -> dict[str, str]:
    return {
        "UV_INDEX_CORP_USERNAME": ACCOUNT[0],
        "UV_INDEX_CORP_PASSWORD": ACCOUNT[1],
        "URL": user.index.url.rstrip("/"),
    }


def write_pypirc(home: Home, url: str) -> Path:
    path = home.path / ".pypirc"
    path.write_text(
        f"[distutils]\nindex-servers = corp\n[corp]\nrepository = {url}\n"
        f"username = {ACCOUNT[0]}\npassword = {ACCOUNT[1]}\n"
    )
    path.chmod(0o600)
    return path


def test_a_variable_serves_the_run_and_leaves_its_environment(
    user: Publisher, variables: dict[str, str]
) -> None:
    run = user.exec("sh", "-c", SHOW, **variables)
    assert "read 0" in run.stdout, run.stderr
    assert ACCOUNT[1] not in run.stdout + run.stderr
    assert user.index.seen() == [basic(*ACCOUNT)]


def test_a_pypirc_serves_the_run_to_read_and_to_publish(user: Publisher) -> None:
    write_pypirc(user.home, f"{user.index.url}legacy/")
    wheel = user.wheel()
    run = user.exec("--project", "mine", "--", user.twine(), "upload", wheel)
    assert run.stdout == "200 \n", run.stderr
    assert len(user.index.uploads) == 1
    (line,) = user.lines("published")
    assert (line["status"], line["project"], line["username"]) == ("200", "mine", ACCOUNT[0])


def test_it_answers_no_other_request_while_the_run_goes_on(
    user: Publisher, variables: dict[str, str]
) -> None:
    waiting = "touch begun; for n in $(seq 500); do [ -e go ] && break; sleep 0.02; done"
    with user.started("sh", "-c", waiting, **variables) as run:
        until((user.home.path / "begun").exists)
        assert "No credential for" in user.home.refused("token", "corp")
        assert user.home.answer("list")["credentials"] == []
        other = user.exec("true")
        assert other.returncode == 2
        assert "No credential for" in other.stderr
        (user.home.path / "go").touch()
        run.communicate(timeout=PATIENCE)
    assert files_with(user.home.path, ACCOUNT[1]) == []


def test_a_lock_ends_it_for_good(user: Publisher, variables: dict[str, str]) -> None:
    script = f"touch begun; for n in $(seq 500); do [ -e go ] && break; sleep 0.02; done; {READ}; echo read $?"
    with user.started("sh", "-c", script, **variables) as run:
        until((user.home.path / "begun").exists)
        user.home.done("lock")
        user.home.done("unlock")
        (user.home.path / "go").touch()
        said, _ = run.communicate(timeout=PATIENCE)
    assert "read 0" not in said
    assert user.index.requests == []


def test_a_variable_of_another_index_is_not_sent(
    user: Publisher, variables: dict[str, str]
) -> None:
    """A checkout gives its index the name of the user's: the variable is the user's index's."""
    elsewhere = f"{user.index.url}elsewhere/"
    command = ("exec", "--index", elsewhere, "--", "true")
    run = user.home.auth(*command, **variables)
    assert run.returncode == 2
    assert "No credential for" in run.stderr
    assert user.index.requests == []


def test_the_agent_takes_no_credential_for_an_index_that_it_is_not_bound_to(
    user: Publisher,
) -> None:
    environ = user.home.environment
    directory = user.home.answer("dir")["directory"]
    with connect(directory, start=True, asleep=is_asleep, environ=environ) as agent:
        for bound in ("https://other.example/", f"{user.index.url}simple/deeper/", ""):
            with pytest.raises(AgentError, match="not for this index"):
                agent.ask(
                    "grant",
                    b"secret",
                    service=f"{user.index.url}simple/",
                    username="ana",
                    own=bound,
                    size=6,
                )


def test_auth_exec_runs_behind_a_relay_without_any_option(
    user: Publisher, variables: dict[str, str]
) -> None:
    program = (PROGRAMS / "auth", "exec", "--index", "corp", "--", "env")
    shown = user.home.run(*program, **variables)
    assert "TOKENWARD_RELAY=1" in shown.stdout
    assert ACCOUNT[1] not in shown.stdout


# What the command itself has: `--own-credential`.

WITH_OWN = """
opener = urllib.request.build_opener()
opener.addheaders = [("Authorization", value) for value in os.environ.get("OWN", "").split("|") if value]
urllib.request.install_opener(opener)
print(*upload(sys.argv[1], "mine", "1.0"), sorted(n for n in os.environ if "PASSWORD" in n), flush=True)
"""
TOOLS = "Bearer what-the-tool-has"


def publish_own(
    user: Publisher, *options: str, own: str = TOOLS, script: str = WITH_OWN
) -> CompletedProcess[str]:
    program = user.script("publish", script)
    options = options or ("--project", "mine")
    return user.exec(*options, "--own-credential", "--", program, user.wheel(), OWN=own)


def test_the_commands_own_credential_goes_with_a_publish_that_was_judged(user: Publisher) -> None:
    done = publish_own(user, own=basic(*ACCOUNT))
    assert done.stdout == "200  []\n", done
    assert user.index.seen() == [basic(*ACCOUNT)]
    given, published = user.lines("publish", "published")
    assert (given["project"], given["file"]) == ("mine", "mine-1.0-py3-none-any.whl")
    assert published["status"] == "200"


def test_it_is_preferred_to_a_stored_one_and_the_stored_one_does_not_leave(user: Publisher) -> None:
    user.home.log_in(user.index.url, ACCOUNT[1], username=ACCOUNT[0])
    done = publish_own(user)
    assert done.stdout.startswith("403 "), done  # the index takes another one alone
    assert "did not accept the command's own credential" in done.stdout
    assert user.index.seen() == [TOOLS]


def test_neither_the_capability_nor_nothing_passes_for_a_credential(user: Publisher) -> None:
    steal = "value = os.environ['HTTPS_PROXY'].partition('run:')[2].partition('@')[0]\n"
    steal += "import base64\n"
    steal += "os.environ['OWN'] = 'Basic ' + base64.b64encode(b'x:' + value.encode()).decode()\n"
    for script in (WITH_OWN, steal + WITH_OWN):
        done = publish_own(user, own="", script=script)
        assert done.stdout.startswith("400 tokenward: this publish to corp has no credential"), done
    assert user.index.requests == []


def test_a_policy_and_the_projects_of_the_run_judge_it_too(user: Publisher) -> None:
    done = publish_own(user, "--project", "other")
    assert done.stdout.startswith("400 "), done
    user.rules('[[policy]]\npurpose = "publish"\ndecide = "deny"\n')
    done = publish_own(user)
    assert done.stdout.startswith("400 "), done
    assert user.index.requests == []


def test_it_reads_nothing_and_is_for_a_relay_alone(user: Publisher) -> None:
    read = f"curl -s -o /dev/null -w '%{{http_code}}' -u ana:x {user.index.url}simple/one/"
    done = user.exec("--project", "mine", "--own-credential", "--", "sh", "-c", read)
    assert done.stdout == "403", done
    assert user.index.requests == []
    for options, said in (
        (("--env",), "works behind a relay alone"),
        (("--relay", "--read-only"), "exclude each other"),
    ):
        words = ("exec", *options, "--own-credential", "--index", "corp", "--", "true")
        assert said in user.home.refused(*words)


def test_the_agent_adds_no_index_to_read_by_it(user: Publisher) -> None:
    environ = user.home.environment
    directory = user.home.answer("dir")["directory"]
    with connect(directory, start=True, asleep=is_asleep, environ=environ) as agent:
        url = f"{user.index.url}legacy/"
        with pytest.raises(AgentError, match="for publishing alone"):
            agent.ask("grant", service=url, tool=True)
        with pytest.raises(AgentError, match="for publishing alone"):
            agent.ask("grant", service=url, tool=True, upload="/legacy/", shared=True)
