"""The policy judges each upload by its form, and reads once before the command starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.runs import ACCOUNT

if TYPE_CHECKING:
    from support.runs import Publisher

READ = "import urllib.request as r\nfor _ in range(3):\n    print(r.urlopen(os.environ['PIP_INDEX_URL']).status)"


def test_an_upload_that_no_rule_is_about_arrives_with_the_credential(publisher: Publisher) -> None:
    result = publisher.exec(publisher.twine(), "upload", publisher.wheel())
    assert result.stdout == "200 \n", result
    assert len(publisher.index.uploads) == 1


@pytest.mark.parametrize(
    ("rule", "arrives"),
    [
        ('purpose = "publish"\nproject = "mine"\ndecide = "deny"', False),
        ('purpose = "publish"\nproject = "other"\ndecide = "deny"', True),
        ('purpose = "publish"\ndecide = "deny"', False),
        ('purpose = "install"\nusername = "else"\ndecide = "deny"', True),
        ('program = "twine"\ndecide = "deny"\npurpose = "publish"', False),
        ('program = "uv"\ndecide = "deny"', True),
        ('program = "HOME/bin/twine"\npurpose = "publish"\ndecide = "deny"', False),
        ('program = "/usr/bin/twine"\ndecide = "deny"', True),
        ('purpose = "install"\ndecide = "allow"\n[[policy]]\ndecide = "deny"', False),
    ],
)
def test_rules_judge_the_form_of_an_upload(publisher: Publisher, rule: str, arrives: bool) -> None:
    rule = rule.replace("HOME", str(publisher.home.path))
    publisher.rules(f"[[policy]]\n{rule}\n")
    result = publisher.exec(publisher.twine(), "upload", publisher.wheel())
    if arrives:
        assert result.stdout == "200 \n", result
    else:
        assert result.stdout.startswith("400 tokenward: The policy denies twine an upload of mine")
        assert publisher.index.uploads == []
        (line,) = publisher.lines("publish")
        assert (line["decision"], line["code"], line["project"]) == ("refused", "refused", "mine")


def test_an_allowed_program_at_its_path_publishes_and_another_does_not(
    publisher: Publisher,
) -> None:
    allowed, other = publisher.twine(), publisher.twine("other")
    publisher.rules(
        f'[[policy]]\nprogram = "{allowed}"\ndecide = "allow"\n[[policy]]\ndecide = "deny"\n'
    )
    wheel = publisher.wheel()
    assert publisher.exec(allowed, "upload", wheel).stdout == "200 \n"
    refused = publisher.exec("--project", "mine", "--", other, "upload", wheel)
    assert refused.returncode == 2  # reading is denied, so it does not start
    assert "The policy denies other downloads from" in refused.stderr
    assert len(publisher.index.uploads) == 1


def test_a_rate_counts_uploads(publisher: Publisher) -> None:
    publisher.rules('[[policy]]\npurpose = "publish"\ndecide = "allow"\nrate = "1/1h"\n')
    wheels = publisher.wheel(), publisher.wheel("mine==2.0")
    shown = publisher.exec(publisher.twine(), "upload", *wheels).stdout
    assert shown.startswith("200 \n400 tokenward: The policy's rate limit is 1 in one hour")
    assert len(publisher.index.uploads) == 1


def test_a_rule_about_a_project_says_nothing_certain_of_reads(publisher: Publisher) -> None:
    """So the user is asked, as for a fetch; a rule about uploads alone says so by its purpose."""
    publisher.rules('[[policy]]\nproject = "mine"\ndecide = "deny"\n')
    result = publisher.exec("touch", "started")
    assert result.returncode == 2
    assert "it is not certain whether the rule in line" in result.stderr


def test_many_reads_are_one_decision_before_the_command_starts(publisher: Publisher) -> None:
    publisher.rules('[[policy]]\npurpose = "install"\ndecide = "allow"\nrate = "1/1h"\n')
    reader = publisher.script("pip", READ)
    assert publisher.exec(reader, "install").stdout == "200\n" * 3
    decisions = [line for line in publisher.lines("grant") if line["purpose"] == "install"]
    assert [line["rule"] for line in decisions] == [decisions[0]["rule"]]
    again = publisher.exec(reader, "install")
    assert (again.returncode, again.stdout) == (2, "")
    assert "rate limit" in again.stderr


def test_a_policy_that_denies_reads_starts_nothing(publisher: Publisher) -> None:
    publisher.rules('[[policy]]\npurpose = "install"\ndecide = "deny"\n')
    result = publisher.exec("touch", "started")
    assert result.returncode == 2
    assert "The policy denies touch downloads from" in result.stderr
    assert not (publisher.home.path / "started").exists()


def test_reads_are_decided_anew_when_the_policy_changes(publisher: Publisher) -> None:
    """The relay keeps what it read with for a minute, so the first read is behind the change."""
    wait = "import time\nopen('ready', 'w')\nwhile not os.path.exists('go'): time.sleep(.01)\n"
    reader = publisher.script(
        "pip",
        wait + "import urllib.request as r, urllib.error\n"
        "try:\n    r.urlopen(os.environ['PIP_INDEX_URL'])\n"
        "except urllib.error.HTTPError as e:\n    print(e.code, e.read().decode())",
    )
    run = publisher.started(reader, "install")
    wait_for(publisher, "ready")
    publisher.rules('[[policy]]\npurpose = "install"\ndecide = "deny"\n')
    (publisher.home.path / "go").touch()
    shown, _ = run.communicate()
    assert shown.startswith("403 tokenward: The policy denies pip downloads from")
    assert publisher.lines("grant")[-1]["decision"] == "refused"


@pytest.mark.parametrize("change", ["another login", "a logout"])
def test_reads_are_decided_anew_when_the_record_changes(publisher: Publisher, change: str) -> None:
    wait = "import time\nopen('ready', 'w')\nwhile not os.path.exists('go'): time.sleep(.01)\n"
    reader = publisher.script(
        "pip",
        wait + "import urllib.request as r, urllib.error\n"
        "try:\n    print(r.urlopen(os.environ['PIP_INDEX_URL']).status)\n"
        "except urllib.error.HTTPError as e:\n    print(e.code, e.read().decode())",
    )
    run = publisher.started(reader, "install")
    wait_for(publisher, "ready")
    before = len(publisher.lines("grant"))
    if change == "a logout":
        publisher.home.done("logout", publisher.index.url)
    else:
        publisher.home.log_in(publisher.index.url, ACCOUNT[1], username=ACCOUNT[0])
    (publisher.home.path / "go").touch()
    shown, _ = run.communicate()
    if change == "a logout":
        assert shown.startswith("403 tokenward: Nothing is stored"), shown
    else:
        assert shown == "200\n"
        (line,) = publisher.lines("grant")[before:]
        assert (line["decision"], line["purpose"]) == ("done", "install")
        assert "run" in line


def test_a_policy_that_cannot_be_read_refuses_reads_and_uploads(publisher: Publisher) -> None:
    wheel = publisher.wheel()
    wait = "import time\nopen('ready', 'w')\nwhile not os.path.exists('go'): time.sleep(.01)\n"
    tool = publisher.script("twine", wait + "print(*upload(sys.argv[2], 'mine', '1.0'))")
    run = publisher.started(tool, "upload", wheel)
    wait_for(publisher, "ready")
    publisher.rules("[[policy]]\nno-such-key = 1\n")
    (publisher.home.path / "go").touch()
    shown, _ = run.communicate()
    assert shown.startswith("400 tokenward: The file")
    assert "so the policy is not known" in shown
    assert publisher.index.uploads == []
    result = publisher.exec("touch", "started")
    assert result.returncode == 2
    assert "so the policy is not known" in result.stderr


def wait_for(publisher: Publisher, name: str) -> None:
    from support.waiting import until

    until((publisher.home.path / name).exists)
