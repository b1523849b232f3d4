"""The demo: log in once, then publish and install with tools that know nothing about tokenward.

Everything happens in a temporary home and on loopback; all that is started here ends here, also
when a step fails. Each command runs as a user would type it, in an environment that names no
credential, and without a terminal, so nothing can stop to ask.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.home import Home  # noqa: E402 (found by the line above)
from support.servers.index_server import IndexServer  # noqa: E402 (likewise)

if TYPE_CHECKING:
    from subprocess import CompletedProcess

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "ward-greeting"
version = "1.0"
description = "What the demo publishes"
requires-python = ">=3.11"
"""
MODULE = 'print("hello from a package that came through a private index")\n'


class Stage(Home):
    """A private home whose commands are shown as a user would type them."""

    def show(self, *command: str, stdin: str = "", shown: str = "") -> CompletedProcess[str]:
        """Print `command` (or `shown` in its place), and run it; whatever it exits with."""
        print(f"  $ {shown or ' '.join(command)}", flush=True)
        return self.run(*command, stdin=stdin)

    def must(self, *command: str, stdin: str = "", shown: str = "") -> str:
        """Run `command`, which has to work, and return what it printed on stdout."""
        done = self.show(*command, stdin=stdin, shown=shown)
        if done.returncode:
            fail(f"it exited with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def files_with(self, secret: str) -> list[Path]:
        """Return the files below this home that hold `secret` as it is."""
        files = (path for path in self.path.rglob("*") if path.is_file())
        return [path for path in files if secret.encode() in path.read_bytes()]


def fail(sentence: str) -> NoReturn:
    """End the demo with `sentence`; the exit code tells that it did not work."""
    sys.exit(f"\nThe demo failed: {sentence}")


def say(sentence: str) -> None:
    """Tell what happened, indented below the command that did it."""
    print(f"    {sentence}", flush=True)


def step(number: int, title: str) -> None:
    """Open the next chapter of the story."""
    print(f"\n{number}. {title}", flush=True)


def build(stage: Stage) -> str:
    """Build the wheel that is published, and return its path relative to the stage's home."""
    project = stage.path / "ward-greeting"
    project.mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT)
    (project / "ward_greeting.py").write_text(MODULE)
    stage.must(
        *("pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", "dist", "./ward-greeting"),
    )
    (wheel,) = (stage.path / "dist").iterdir()
    return f"dist/{wheel.name}"


def play(stage: Stage, index: IndexServer, password: str) -> None:
    """Run the story against `index`, to which `alice` has the `password`."""
    step(1, "A private package index, which shows nothing to strangers")
    say(f"pypiserver listens at {index.url}; alice's password was made for this run")

    step(2, "Log in once: the password goes to the agent, which keeps it for every tool")
    login = ("auth", "login", index.url, "-u", "alice", "--password", "-")
    stage.must(
        *login,
        *("--keyring-provider", "disabled"),  # nothing of this run belongs in your own keyring
        stdin=f"{password}\n",
        shown=f"{' '.join(login)} <<< (the password)",
    )
    for line in stage.must("auth", "list").splitlines():
        say(line)
    if leaks := stage.files_with(password):
        fail(f"the password lies in plain text in {leaks[0]}")
    say("stored, and in no file as plain text")

    step(3, "Build a small package and upload it with twine, which is told no user and no password")
    wheel = build(stage)
    upload = ("twine", "upload", "--non-interactive", "--repository-url", index.url, wheel)
    stage.must(*upload)
    uploaded = [path.name for path in index.packages.iterdir()]
    if uploaded != [Path(wheel).name]:
        fail(f"the index holds {uploaded} after the upload")
    say(f"the index took {uploaded[0]}: twine asked keyring, keyring asked the agent")

    step(4, "Install it back with pip, from a URL without credentials")
    pip = ("pip", "install", "--quiet", "--no-deps", "--index-url", index.simple)
    stage.must(*pip, "--target", "site", "ward-greeting")
    say(
        stage.must(
            sys.executable, "site/ward_greeting.py", shown="python site/ward_greeting.py"
        ).strip()
    )

    step(5, "Log out, and the same commands are strangers again")
    stage.must("auth", "logout", index.url, "-u", "alice")
    refused = stage.show(*pip, "--target", "again", "ward-greeting")
    if not refused.returncode or " 401 " not in index.requests()[-1]:
        fail("pip could still install after the logout")
    say("the index answers 401, and no credential is stored for pip")
    stage.must("auth", "agent", "stop")
    say("the agent has ended")


def main() -> None:
    """Set the stage, play, and clean up whatever happened."""
    password = secrets.token_urlsafe(12)
    with Stage() as stage, IndexServer({"alice": password}) as index:
        play(stage, index, password)
    print("\nAll of it worked, and nothing of it is left. Your turn: auth login --help")


if __name__ == "__main__":
    main()
