"""The policy as it stands in config.toml: read whole, refused whole, with the line that is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_agent.policy.file import MAX_SIZE, PolicyFile
from tokenward_agent.policy.reading import PolicyError, read_policy
from tokenward_agent.policy.rule import ALLOW, ASK, DENY, Policy, Rate, Rule, Terms

NOW = 4_000_000_000  # long after any file here was written
PYPI, TESTPYPI = "https://upload.pypi.org/legacy/", "https://test.pypi.org/legacy/"

FULL = b"""
keyring-provider = "disabled"
pinentry = "pinentry-qt"

[[policy]]
service = ["pypi", "https://Index.example:443/Team/simple/"]
username = "__token__"
program = ["twine", "/opt/uv"]
purpose = "publish"
project = "My_Project.x"
decide = "ask"
remember = "15m"
rate = "20/1h"
ttl = "30m"

  [[ policy ]]   # everything else
decide = "deny"
"""


def test_a_rule_is_read_in_the_words_of_the_lookup() -> None:
    policy = read_policy(FULL, lambda path: f"/real{path}")
    assert policy.pinentry == "pinentry-qt"
    assert policy.rules == (
        Rule(
            ASK,
            5,
            (PYPI, "https://index.example/Team/"),
            ("__token__",),
            ("twine", "/opt/uv", "/real/opt/uv"),
            ("publish",),
            ("my-project-x",),
            900,
            Rate(20, 3600),
            Terms(1800),
        ),
        Rule(DENY, 16),
    )


def test_a_service_may_be_a_name_that_the_file_defines() -> None:
    text = b"""[services.inhouse]
url = "https://index.example/simple"
publish-url = "https://index.example/upload"
[[policy]]
service = "inhouse"
decide = "deny"
[[policy]]
service = "poetry-repository-x"
decide = "deny"
"""
    first, second = read_policy(text).rules
    assert first.services == ("https://index.example/", "https://index.example/upload/")
    assert second.services == ("poetry-repository-x",)


def test_rules_may_be_written_in_one_line() -> None:
    assert read_policy(b'policy = [{decide = "allow"}]').rules == (Rule(ALLOW),)


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ('decide = "no"', "has no `decide` that is allow, ask or deny in rule 2 (line 4)"),
        ("", "has no `decide` that is allow, ask or deny in rule 2 (line 3)"),
        ("decide = 3", "has a `decide` that is not a text in rule 2 (line 4)"),
        ('program = "x"\nprogramm = "y"\ndecide = "ask"', "has an unknown key `programm` in rule 2 (line 5)"),
        ('"s3cret word" = 1\ndecide = "ask"', "has an unknown key in rule 2 (line 4)"),
        ('decide = "deny"\nservice = "typo"', "has a `service` that is neither a URL nor a name that this file defines in rule 2 (line 5)"),
        ('decide = "deny"\nservice = "http://h.example"', "has a `service` that is not a service in rule 2 (line 5)"),
        ('decide = "deny"\nservice = []', "has a `service` that is neither a text nor a list of texts in rule 2 (line 5)"),
        ('decide = "deny"\nprogram = [1]', "has a `program` that is neither a text nor a list of texts in rule 2 (line 5)"),
        ('decide = "deny"\nprogram = "bin/x"', "has a `program` that is neither a name nor an absolute path in rule 2 (line 5)"),
        ('decide = "deny"\npurpose = "upload"', "has a `purpose` that is neither publish nor install in rule 2 (line 5)"),
        ('decide = "deny"\nproject = "a b"', "has a `project` that is not the name of a project in rule 2 (line 5)"),
        ('decide = "ask"\nremember = "15"', "has a `remember` that is not a length of time such as 15m in rule 2 (line 5)"),
        ('decide = "allow"\nremember = "15m"', "has a `remember`, which only `ask` can have in rule 2 (line 5)"),
        ('decide = "deny"\nrate = "1/1h"', "has a `rate`, which `deny` cannot have in rule 2 (line 5)"),
        ('decide = "ask"\nrate = "0/1h"', "has a `rate` that is not like 20/1h, of at most 1000 in rule 2 (line 5)"),
        ('decide = "ask"\nrate = "9/x"', "has a `rate` that is not like 20/1h, of at most 1000 in rule 2 (line 5)"),
        ('decide = "ask"\nttl = 900', "has a `ttl` that is not a text in rule 2 (line 5)"),
        ('decide = "ask"\nttl = "15"', "has a `ttl` that is not a length of time such as 15m in rule 2 (line 5)"),
        ('decide = "ask"\nttl = "59s"', "has a `ttl` of less than a minute in rule 2 (line 5)"),
        ('decide = "allow"\nnarrow = "no"', "has a `narrow` that is neither true nor false in rule 2 (line 5)"),
        ('decide = "allow"\nnarrow = false\nttl = "15m"', "has a `ttl`, which `narrow = false` cannot have in rule 2 (line 6)"),
        ('decide = "deny"\nttl = "15m"', "has a `ttl`, which `deny` cannot have in rule 2 (line 5)"),
        ('decide = "deny"\nnarrow = false', "has a `narrow`, which `deny` cannot have in rule 2 (line 5)"),
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_told_with_its_line_and_without_its_value(
    rule: str, wrong: str
) -> None:
    text = f'[[policy]]\ndecide = "allow"\n[[policy]]\n{rule}\n'
    with pytest.raises(PolicyError) as refused:
        read_policy(text.encode())
    assert str(refused.value) == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (b"policy = 1", "has a `policy` that is not a list of rules"),
        (b"[policy]\ndecide = 'ask'", "has a `policy` that is not a list of rules"),
        (b"[[policy]]\ndecide = x\n", "is not valid TOML (line 2)"),
        (b"pinentry = 'a/b'\npolicy = []", "has a `pinentry` that is neither a name nor an absolute path"),
        (b"[[policy]]\ndecide = 'ask'\n" * 257, "has more than 256 rules"),
        (b"policy = [{decide = 'no'}]", "has no `decide` that is allow, ask or deny in rule 1"),
    ],
)  # fmt: skip
def test_a_file_that_has_no_policy_in_its_form_is_refused_whole(text: bytes, wrong: str) -> None:
    with pytest.raises(PolicyError) as refused:
        read_policy(text)
    assert str(refused.value) == wrong


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_stands_there_is_a_policy_or_one_error(data: bytes) -> None:
    wrong = ""
    try:
        read_policy(b"[[policy]]\n" + data)
    except PolicyError as refused:
        wrong = str(refused)
    assert "\n" not in wrong


@pytest.fixture
def file(tmp_path: Path) -> PolicyFile:
    return PolicyFile(str(tmp_path / "config.toml"))


def write(file: PolicyFile, text: str) -> None:
    Path(file.path).write_text(text, "utf-8")


def test_a_file_that_is_not_there_has_no_policy(file: PolicyFile) -> None:
    file.reload(NOW)
    assert (file.policy, file.problem, file.changes) == (Policy(), "", 0)


def test_a_change_is_seen_at_the_next_look_and_counted(file: PolicyFile) -> None:
    write(file, '[[policy]]\ndecide = "ask"\n')
    file.reload(NOW)
    file.reload(NOW)
    assert [rule.decide for rule in file.policy.rules] == ["ask"]
    assert file.changes == 1
    write(file, '[[policy]]\ndecide = "deny"\n')
    file.reload(NOW)
    assert [rule.decide for rule in file.policy.rules] == ["deny"]
    Path(file.path).unlink()
    file.reload(NOW)
    assert (file.policy, file.changes) == (Policy(), 3)


def test_a_change_within_the_same_moment_is_seen_though_no_time_tells(file: PolicyFile) -> None:
    write(file, '[[policy]]\ndecide = "ask" \n')
    path = Path(file.path)
    moment = int(path.stat().st_mtime)
    file.reload(moment)
    write(file, '[[policy]]\ndecide = "deny"\n')
    found = path.stat()
    file._seen = (  # as on a disk whose times are whole seconds
        *(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns),
    )
    file.reload(moment)
    assert [rule.decide for rule in file.policy.rules] == ["deny"]


def test_an_unchanged_file_is_not_read_again(
    file: PolicyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, '[[policy]]\ndecide = "ask"\n')
    file.reload(NOW)
    monkeypatch.setattr(os, "open", None)
    file.reload(NOW)
    assert len(file.policy.rules) == 1


def test_a_file_without_the_word_is_not_parsed(file: PolicyFile) -> None:
    write(file, "this is no TOML")
    file.reload(NOW)
    assert file.problem == ""


@pytest.mark.parametrize(
    "text",
    [
        'pinentry = "pinentry-qt"',
        'unlock = "prompt"',
        'keyring-program = "/usr/bin/keyring"',
        "lock-on-sleep = false",
        'ca = "/etc/ca.pem"',
        'proxy = "http://proxy.example:3128"',
        '[services.a]\nurl = "https://a.example/"\nkind = "devpi"',
        '[services.a]\nurl = "https://a.example/"\nalso-read = ["/files/"]',
        '[services.a]\nurl = "https://a.example/"\npass = ["/files/"]',
        '[services.a]\nurl = "https://a.example/"\nusername = "ana"\ncommand = ["/usr/bin/pass"]',
        '[[policy]]\ndecide = "ask"',
        '[[share]]\nat = "/run/job/one.sock"\nservices = ["https://a.example/"]',
    ],
    ids=lambda text: text.partition("\n")[0].split()[0] + text[-8:],
)
def test_each_setting_of_the_agent_is_seen_where_it_stands_alone(
    file: PolicyFile, text: str
) -> None:
    Path(file.path).write_text(text)
    file.reload(NOW)
    assert (file.policy, file.problem) == (read_policy(text.encode()), "")
    assert file.policy != Policy()


def test_the_word_is_found_however_it_is_spelled(file: PolicyFile) -> None:
    write(file, '[["polic\\u0079"]]\ndecide = "deny"\n')
    file.reload(NOW)
    assert [rule.decide for rule in file.policy.rules] == ["deny"]


def test_what_is_wrong_is_kept_until_it_is_mended(file: PolicyFile) -> None:
    write(file, '[[policy]]\ndecide = "nay"\n')
    file.reload(NOW)
    assert file.problem == "has no `decide` that is allow, ask or deny in rule 1 (line 2)"
    assert file.policy == Policy()
    write(file, '[[policy]]\ndecide = "ask"\n')
    file.reload(NOW)
    assert file.problem == ""


def test_what_is_no_file_or_too_large_is_a_problem(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"#policy" * (MAX_SIZE // 7 + 1))
    (tmp_path / "loop").symlink_to("loop")
    problems = []
    for name in ("fifo", "large", "loop"):
        file = PolicyFile(str(tmp_path / name))
        file.reload(NOW)
        problems.append(file.problem)
    assert problems == [
        "is not a regular file",
        f"is larger than {MAX_SIZE} bytes",
        "cannot be read: Too many levels of symbolic links",
    ]
