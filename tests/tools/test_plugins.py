"""Real plug-ins of keyring behind tokenward, against stand-ins of their clouds on loopback.

They lie in an environment of their own, as after `uv tool install keyring --with PLUGIN`, or are
loaded by the library in tokenward's from the folder that keyringrc.cfg names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.home import Home
from support.inspection.held_texts import files_with
from support.servers.cloud_apis import (
    CODEARTIFACT,
    AzureFeed,
    CodeArtifact,
    GoogleOAuth,
    configure_aws,
    write_service_account,
)
from support.servers.http_server import Loopback
from support.tools.environments import programs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.tools
GOOGLE = "https://europe-python.pkg.dev/corp/python/"
OTHER = "https://index.example/team/"
TOKEN = ("-u", "oauth2accesstoken", "--adopt")
PROGRAM = ("--keyring-provider", "subprocess")
OFF_GOOGLE = {"NO_GCE_CHECK": "true"}
"""No look at the network for a metadata server."""

GCLOUD = """\
#!/bin/sh
[ -e '{folder}/over' ] && {{ echo 'Reauthentication required.' >&2; exit 1; }}
printf '{{"credential": {{"access_token": "of-gcloud", "token_expiry": "2026-01-01T00:00:00Z"}}}}'
"""


@pytest.fixture
def at() -> Iterator[Home]:
    """A home with the file vault and, first on PATH, the `keyring` program beside the plug-ins."""
    with Home() as home:
        settings = home.path / ".config" / "tokenward"
        settings.mkdir()
        (settings / "config.toml").write_text('keyring-provider = "disabled"\n')
        links = home.path / ".local" / "bin"
        links.mkdir(exist_ok=True)
        (links / "keyring").symlink_to(programs("plugins") / "keyring")
        home.environment |= OFF_GOOGLE | {"PATH": f"{links}:/usr/bin:/bin"}
        yield home


def use_library(home: Home, backend: str) -> None:
    """Have the library in tokenward's environment load a plug-in, as keyringrc.cfg can say."""
    (packages,) = (programs("plugins").parent / "lib").glob("python3*/site-packages")
    config = home.path / ".config" / "python_keyring" / "keyringrc.cfg"
    config.parent.mkdir()
    config.write_text(f"[backend]\ndefault-keyring={backend}\nkeyring-path={packages}\n")


def test_googles_plugin_is_adopted_with_the_account_of_this_shell(at: Home) -> None:
    use_library(at, "keyrings.gauth.GooglePythonAuth")
    with Loopback(GoogleOAuth()) as google:
        account = at.path / "account.json"
        write_service_account(account, google.url)
        told = at.said("login", GOOGLE, *TOKEN, GOOGLE_APPLICATION_CREDENTIALS=str(account))
        assert "as they are now: GOOGLE_APPLICATION_CREDENTIALS, NO_GCE_CHECK." in told
        assert "in the file vault" in told
        assert at.done("token", GOOGLE) == "google-1\n", "what the login read is kept"
        at.done("agent", "restart")
        assert at.done("token", GOOGLE) == "google-2\n"
        assert at.done("token", GOOGLE) == "google-2\n"


def test_googles_plugin_finds_gcloud_on_the_path_of_this_shell_and_its_words_are_heard(
    at: Home,
) -> None:
    folder = at.path / "google-cloud-sdk" / "bin"
    folder.mkdir(parents=True)
    (folder / "gcloud").write_text(GCLOUD.format(folder=at.path))
    (folder / "gcloud").chmod(0o755)
    path = f"{folder}:{at.environment['PATH']}"
    at.done("list")  # an agent runs that knows nothing of this PATH
    at.done("login", GOOGLE, *TOKEN, *PROGRAM, PATH=path)
    assert at.done("token", GOOGLE) == "of-gcloud\n"
    (at.path / "over").touch()
    at.done("agent", "restart")
    told = at.refused("token", GOOGLE)
    assert "Failed to find credentials, Please run: `gcloud auth application-default login" in told
    assert f"`auth refresh {GOOGLE}`" in told
    (at.path / "over").unlink()
    assert "was asked for" in at.said("refresh", GOOGLE, PATH=path)
    assert at.done("token", GOOGLE) == "of-gcloud\n"


def test_awss_plugin_is_adopted_with_the_profile_of_this_shell(at: Home) -> None:
    with Loopback(api := CodeArtifact("AKIAHOME", "AKIAWORK")) as aws:
        configure_aws(at.path, aws.url)
        adopt = ("login", CODEARTIFACT, "-u", "aws", "--adopt", *PROGRAM)
        assert "now: AWS_PROFILE, NO_GCE_CHECK." in at.said(*adopt, AWS_PROFILE="work")
        at.done("agent", "restart")
        assert at.done("token", CODEARTIFACT) == "codeartifact-AKIAWORK-2\n"
        api.keys.clear()
        at.done("agent", "restart")
        told = at.refused("token", CODEARTIFACT)
        assert "The security token included in the request is expired" in told


def test_the_real_aws_makes_a_credential_as_a_command(at: Home) -> None:
    (at.path / ".local" / "bin" / "aws").symlink_to(programs("aws") / "aws")
    with Loopback(api := CodeArtifact("AKIAHOME", "AKIAWORK")) as aws:
        configure_aws(at.path, aws.url)
        told = at.said("login", CODEARTIFACT, "--from", "aws:work")
        assert "get-authorization-token --domain team --domain-owner 111122223333" in told
        assert at.done("token", CODEARTIFACT) == "codeartifact-AKIAWORK-1\n"
        (entry,) = at.answer("list")["credentials"]
        assert entry["until"] is not None
        at.done("agent", "restart")
        assert at.done("token", CODEARTIFACT) == "codeartifact-AKIAWORK-2\n"
        assert "aws made the password" in at.said("refresh", CODEARTIFACT)
        assert at.done("token", CODEARTIFACT) == "codeartifact-AKIAWORK-3\n"
        api.keys.clear()
        at.done("agent", "restart")
        told = at.refused("token", CODEARTIFACT)
        assert "aws failed with status 255: An error occurred (ExpiredTokenException)" in told
        assert "The security token included in the request is expired" in told


def test_the_real_aws_has_the_profile_of_what_asks_or_the_one_that_a_login_passed_on(
    at: Home,
) -> None:
    program = at.path / ".local" / "bin" / "aws"
    program.symlink_to(programs("aws") / "aws")
    command = [str(program), "codeartifact", "get-authorization-token", "--domain", "team"]
    command += ["--domain-owner", "111122223333", "--region", "eu-central-1", "--output", "json"]
    settings = at.path / ".config" / "tokenward" / "config.toml"
    table = f'[services.team]\nurl = "{CODEARTIFACT}"\nusername = "aws"\ncommand = {command}\n'
    usual = settings.read_text() + table
    ours = {"PYTHON_KEYRING_BACKEND": "tokenward.keyring_backend.Keyring"}
    with Loopback(CodeArtifact("AKIAHOME", "AKIAWORK")) as aws:
        configure_aws(at.path, aws.url)
        settings.write_text(usual + 'run-in = "asker"\n')
        assert at.done("token", "team", AWS_PROFILE="work") == "codeartifact-AKIAWORK-1\n"
        assert at.done("token", "team") == "codeartifact-AKIAHOME-2\n"
        get = f"{PROGRAMS / 'keyring'} get {CODEARTIFACT} aws"
        got = at.run("sh", "-c", f"{get}; {get}", **ours, AWS_PROFILE="work")
        assert got.stdout == "codeartifact-AKIAWORK-3\n" * 2, got.stderr

        settings.write_text(usual + 'environment = ["AWS_*"]\n')
        told = at.said("login", "team", AWS_PROFILE="work")
        assert "aws gets these as they are now: AWS_PROFILE." in told
        assert at.done("token", "team") == "codeartifact-AKIAWORK-4\n"
        at.done("agent", "restart")
        assert at.run("sh", "-c", get, **ours).stdout == "codeartifact-AKIAWORK-5\n"


def test_microsofts_plugin_is_adopted_with_the_proxy_and_the_feeds_of_this_shell(at: Home) -> None:
    user = "VssSessionToken"
    with AzureFeed(at.path, user, "azure-token") as azure:
        account = {"endpoint": azure.URL, "username": user, "password": "azure-token"}
        feeds = json.dumps({"endpointCredentials": [account]})
        way = {
            "HTTPS_PROXY": azure.proxy,
            "REQUESTS_CA_BUNDLE": str(azure.authority),
            "SSL_CERT_FILE": str(azure.authority),
        }
        adopt = ("login", azure.URL, "-u", user, "--adopt", *PROGRAM)
        told = at.refused(*adopt, **way)
        assert "Failed to get credentials" in told
        assert "hint: `auth login` with `--adopt --attended` asks it at your terminal" in told
        told = at.said(*adopt, **way, VSS_NUGET_EXTERNAL_FEED_ENDPOINTS=feeds)
        assert "SSL_CERT_FILE, VSS_NUGET_EXTERNAL_FEED_ENDPOINTS." in told
        at.done("agent", "restart")
        assert at.done("token", azure.URL) == "azure-token\n"
        assert files_with(at.path / ".local", "azure-token") == []


@pytest.fixture
def store(at: Home) -> Iterator[Path]:
    """A password store with a key of its own, where only this shell's variables lead."""
    for program in ("pass", "gpg", "gpgconf"):
        if shutil.which(program, path="/usr/bin:/bin") is None:
            pytest.skip(f"needs {program}")
    folder, keys = at.path / "store", at.path / "keys"
    keys.mkdir(mode=0o700)
    at.environment |= {"GNUPGHOME": str(keys), "PASSWORD_STORE_DIR": str(folder)}
    key = ("--batch", "--passphrase", "", "--quick-generate-key", "ana@index.example")
    try:
        for command in (
            ("gpg", *key, "default", "default", "never"),
            ("pass", "init", "ana@index.example"),
        ):
            done = at.run(*command)
            assert done.returncode == 0, done.stderr
        yield folder
    finally:
        variables = os.environ | at.environment
        subprocess.run(["gpgconf", "--kill", "all"], env=variables, check=False)


def test_passs_plugin_reads_the_store_of_this_shell(at: Home, store: Path) -> None:
    name = f"python-keyring/{OTHER}/ana"
    done = at.run("pass", "insert", "-m", name, stdin="from the store\n")
    assert done.returncode == 0, done.stderr
    told = at.said("login", OTHER, "-u", "ana", "--adopt", *PROGRAM)
    assert "GNUPGHOME, NO_GCE_CHECK, PASSWORD_STORE_DIR." in told
    for variable in ("GNUPGHOME", "PASSWORD_STORE_DIR"):
        del at.environment[variable]
    at.done("agent", "restart")
    assert at.done("token", OTHER) == "from the store\n"


def test_a_plugin_answers_by_our_program_while_locked_and_where_its_host_is_left_to_it(
    at: Home,
) -> None:
    (at.path / ".local" / "bin" / "keyring").unlink()
    at.environment["PATH"] += f":{programs('plugins')}"
    at.log_in(OTHER, "ours")
    at.done("setup", "keyring")
    keyring = at.path / ".local" / "bin" / "keyring"
    user = "oauth2accesstoken"
    with Loopback(GoogleOAuth()) as google:
        account = at.path / "account.json"
        write_service_account(account, google.url)
        at.environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(account)
        at.done("lock")
        assert at.run(keyring, "get", GOOGLE, user).stdout == "google-1\n"
        told = at.run(keyring, "get", OTHER, "alice")
        assert (told.returncode, told.stdout) == (1, "")
        assert "The file vault is not open. (`auth unlock`)" in told.stderr

        at.done("unlock")
        at.log_in(GOOGLE, "typed long ago", username=user)
        assert at.run(keyring, "get", GOOGLE, user).stdout == "typed long ago\n"
        settings = at.path / ".config" / "tokenward" / "config.toml"
        settings.write_text(settings.read_text() + 'leave = ["*.pkg.dev"]\n')
        assert at.run(keyring, "get", GOOGLE, user).stdout == "google-2\n"
        assert "leaves this index to other keyrings" in at.said(
            "login", GOOGLE, "-u", user, "--password", "-", stdin="typed again\n"
        )


def test_after_setup_a_plugin_is_adopted_by_either_reader(at: Home) -> None:
    links = at.path / "tools"
    links.mkdir()
    (at.path / ".local" / "bin" / "keyring").rename(links / "keyring")
    at.environment["PATH"] += f":{links}"
    use_library(at, "keyrings.gauth.GooglePythonAuth")
    at.done("setup", "keyring", "--yes")
    with Loopback(GoogleOAuth()) as google:
        account = at.path / "account.json"
        write_service_account(account, google.url)
        at.environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(account)
        for number, reader in enumerate(((), PROGRAM), 1):
            at.done("login", GOOGLE, *TOKEN, *reader)
            keyring = at.path / ".local" / "bin" / "keyring"
            got = at.run(keyring, "get", "--mode=creds", GOOGLE)
            assert got.stdout == f"oauth2accesstoken\ngoogle-{number}\n"


def test_doctor_names_a_plugin_that_is_no_longer_beside_tokenward(at: Home) -> None:
    use_library(at, "keyrings.codeartifact.CodeArtifactBackend")
    config = at.path / ".config" / "python_keyring" / "keyringrc.cfg"
    with Loopback(CodeArtifact("AKIAHOME", "AKIAWORK")) as aws:
        configure_aws(at.path, aws.url)
        at.done("login", CODEARTIFACT, "-u", "aws", "--adopt")
        assert "1 credential adopted from keyrings can be read." in at.done("doctor", "-v")
        config.rename(config.with_suffix(".away"))
        told = at.auth("doctor")
        assert told.returncode == 2
        words = " ".join(told.stdout.split())
        assert "PROBLEM plug-ins: keyrings.codeartifact, the plug-in of keyring for" in words
        assert "pip install keyrings.codeartifact`" in words
        config.with_suffix(".away").rename(config)
        assert at.auth("doctor").returncode == 0


def test_pip_in_an_activated_environment_is_answered_by_the_plugin_there_after_setup(
    at: Home,
) -> None:
    """pip skips the `keyring` of its own environment and takes ours, which passes on to it."""
    (at.path / ".local" / "bin" / "keyring").unlink()
    at.done("setup", "keyring")
    with Loopback(GoogleOAuth()) as google:
        account = at.path / "account.json"
        write_service_account(account, google.url)
        environment = programs("plugins")
        activated = {
            "GOOGLE_APPLICATION_CREDENTIALS": str(account),
            "PATH": f"{environment}:{at.environment['PATH']}",
            "VIRTUAL_ENV": str(environment.parent),
        }
        asks = (
            "import sysconfig; from pip._internal.network.auth import get_keyring_provider as get;"
            f" sysconfig.get_path = lambda _: {str(environment)!r};"
            f" print(get('subprocess').get_auth_info({GOOGLE!r}, 'oauth2accesstoken'))"
        )
        python = programs("pip") / "python"
        done = at.run(python, "-c", asks, **activated)
        assert done.stdout == "('oauth2accesstoken', 'google-1')\n", done.stderr
