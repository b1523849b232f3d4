"""`keyring get` for what a plug-in of keyring makes: by tokenward, once kept, beside the plug-in alone.

The real plug-ins of Google and of AWS, each adopted, with the APIs of their clouds on loopback: what a
cloud itself takes comes on top of the plug-in's time, and of nothing on tokenward's side.
"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from figures import Row, interleaved, milliseconds, noise
from whole_process import prints, seconds

from support.home import Home
from support.servers.cloud_apis import (
    CODEARTIFACT,
    CodeArtifact,
    GoogleOAuth,
    configure_aws,
    write_service_account,
)
from support.servers.http_server import Loopback
from support.tools.environments import programs

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOGLE = "https://europe-python.pkg.dev/corp/python/"
PLUGINS = {
    "Google's plug-in": (GOOGLE, "oauth2accesstoken", "google-"),
    "AWS's plug-in": (CODEARTIFACT, "aws", "codeartifact-"),
}


def rows(rounds: int = 9) -> Iterator[Row]:
    """Yield one figure for each plug-in."""
    with (
        Home() as home,
        Loopback(GoogleOAuth()) as google,
        Loopback(CodeArtifact("AKIAHOME", "AKIAWORK")) as aws,
    ):
        write_service_account(home.path / "account.json", google.url)
        configure_aws(home.path, aws.url)
        account = str(home.path / "account.json")
        alone = programs("plugins")
        home.environment |= {
            "PATH": f"{alone}:{home.environment['PATH']}",
            "GOOGLE_APPLICATION_CREDENTIALS": account,
            "NO_GCE_CHECK": "true",
        }
        links = home.path / "own"
        links.mkdir()
        (links / "keyring").symlink_to(alone / "keyring")
        home.environment["PATH"] = f"{links}:{home.environment['PATH']}"
        for service, username, _ in PLUGINS.values():
            adopt = ("--adopt", "--keyring-provider", "subprocess")
            home.done("login", service, "-u", username, *adopt)
        before = dict(home.environment)
        home.done("setup", "keyring")
        ours = str(home.path / ".local" / "bin" / "keyring")
        for name, (service, username, token) in PLUGINS.items():
            get = ["get", service, username]
            # The library's own command, which is not to ask us first.
            plain = before | {"XDG_CONFIG_HOME": str(home.path / "no-settings")}
            commands = {
                "kept": ([ours, *get], home.environment),
                "alone": ([str(alone / "keyring"), *get], plain),
            }
            for command, environ in commands.values():
                prints(command, environ, token)
            measures = {each: partial(seconds, *command) for each, command in commands.items()}
            taken = interleaved(measures, rounds)
            yield Row(
                "`keyring get`, whole process, once kept",
                f"{name} alone, against it",
                25,
                "x",
                median(taken["alone"]) / median(taken["kept"]),
                at_least=True,
                aside=milliseconds(taken),
                spread=noise(taken["alone"]),
            )
