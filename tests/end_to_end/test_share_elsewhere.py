"""`auth share --for`: what it prints is what the tools take, and works where they can run here.

What builds and runs images is buildah; ssh is the real one. The form of what only a docker or a
cluster could run is judged by kubectl's own types, and by the schema of compose that
check-jsonschema brings. No request leaves the machine.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.auth_commands import PROGRAMS
from support.macaroons import caveats_of, token_of
from support.policy import rules
from support.relay.shares import CURL, SharedIndex
from support.systems.image_builds import buildah, needs_buildah
from support.systems.small_root import write_small_root
from support.systems.ssh_hosts import THERE, SshHosts, needs_ssh_hosts
from support.waiting import PATIENCE

if TYPE_CHECKING:
    from support.home import Home

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shared socket is for Unix")

CHECK = Path(sys.executable).parent / "check-jsonschema"


def text(home: Home, *arguments: str) -> str:
    """Return what is printed for a place, of one share."""
    (found,) = home.answer("share", "--for", *arguments)["recipes"]
    return str(found["text"])


def mounted(folder: str) -> dict[str, Any]:
    """Return what devcontainer.json has: https://containers.dev/implementors/json_reference/."""
    return {
        "mounts": [f"source={folder},target=/run/tokenward,type=bind,readonly"],
        "containerEnv": {"TOKENWARD_SOCK": "/run/tokenward/tokenward.sock"},
    }


@pytest.fixture
def declared(home: Home) -> Home:
    """A home whose config.toml declares a share."""
    rules(home, f'[[share]]\nat = "{home.path}/job/tokenward.sock"\nservices = ["pypi"]\n')
    (home.path / "job").mkdir()
    return home


def test_a_devcontainer_gets_a_mount_and_a_variable(declared: Home) -> None:
    printed = declared.done("share", "--for", "devcontainer")
    assert json.loads(printed) == mounted(f"{declared.path}/job")
    assert json.loads(text(declared, "devcontainer")) == json.loads(printed)


def test_compose_takes_what_is_printed(declared: Home) -> None:
    file = declared.path / "compose.yaml"
    file.write_text(text(declared, "compose"))
    command: list[str | Path] = [CHECK, "--builtin-schema", "vendor.compose-spec", file]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    file.write_text(file.read_text().replace("read_only", "readonly"))
    assert subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE).returncode


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_kubernetes_takes_what_is_printed_and_drops_nothing(declared: Home) -> None:
    file = declared.path / "pod.yaml"
    head = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: one\n"
    file.write_text(head + text(declared, "kubernetes"))
    command = ("kubectl", "set", "env", "--local", "-f", str(file), "MORE=x", "-o", "json")
    read = subprocess.run(
        command,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(declared.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert read.returncode == 0, read.stderr
    spec = json.loads(read.stdout)["spec"]
    (container,), (volume,) = spec["containers"], spec["volumes"]
    assert container["volumeMounts"] == [
        {"name": "tokenward", "readOnly": True, "mountPath": "/run/tokenward"}
    ]
    assert {"name": "TOKENWARD_SOCK", "value": "/run/tokenward/tokenward.sock"} in container["env"]
    folder = f"{declared.path}/job"
    assert volume == {"name": "tokenward", "hostPath": {"path": folder, "type": "Directory"}}


@needs_buildah
@pytest.mark.timeout(600)
def test_a_build_and_a_container_use_it_as_printed() -> None:
    with SharedIndex() as corp:
        home = corp.home.path
        job = home / "job"
        job.mkdir()
        settings = corp.settings.read_text()
        corp.settings.write_text(
            f'{settings}[[share]]\nat = "{job}/tokenward.sock"\nservices = ["corp"]\nrelay = true\n'
        )
        corp.home.answer("status")
        (job / "tokenward-exec").write_text(corp.home.done("share", "--near-end"))
        lines = text(corp.home, "docker").splitlines()
        run = next(line for line in lines if "#   RUN TOKENWARD_SOCK" in line).removeprefix("#   ")
        build = next(line for line in lines if line.startswith("buildah build "))
        start = next(line for line in lines if line.startswith("docker run "))
        write_small_root(home / "context/root")
        install = "python3 -m pip install --no-cache-dir --no-deps --target /site one"
        file = home / "context/Containerfile"
        file.write_text(f"FROM scratch\nCOPY root /\n{run.replace('COMMAND', install)}\n")
        words = shlex.split(build)
        assert words[-1] == "."
        options = ("--isolation", "chroot", "--network", "host", "--tag", "built")
        built = buildah(home, "build", *options, *words[2:-1], str(home / "context"))
        assert "Successfully installed one-1.0" in built
        _, _, *given, image, python, near_end, command = shlex.split(start)
        assert (image, command) == ("IMAGE", "COMMAND")
        container = buildah(home, "from", "built").split()[-1]
        inside = ("--isolation", "chroot", *given, container, "--", python, near_end)
        shown = buildah(home, "run", *inside, "sh", "-c", "echo $https_proxy")
        assert "tokenward-run-" in shown


@needs_ssh_hosts
def test_another_host_uses_it_as_printed_and_each_time_by_a_fresh_path(declared: Home) -> None:
    declared.done("login", "pypi", "--token", "-", stdin=token_of("pypi.org", "shared"))
    declared.answer("status")
    used = set()
    with SshHosts() as hosts:
        for _ in range(2):
            line = text(declared, "ssh", f"root@{THERE}")
            ssh, *words, sock, command = shlex.split(line)
            assert (ssh, command) == ("ssh", "COMMAND")
            used.add(sock)
            found = subprocess.run(
                [*hosts.ssh, *words, sock, str(PROGRAMS / "auth"), "token"],
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
            assert caveats_of(found.stdout.strip()), found.stderr
    assert len(used) == 2


@needs_ssh_hosts
def test_another_host_without_tokenward_runs_a_command_behind_a_relay_as_printed() -> None:
    with SharedIndex() as corp, SshHosts() as hosts:
        job = corp.home.path / "job"
        job.mkdir()
        at = job / "tokenward.sock"
        (job / "tokenward-exec").write_text(corp.home.done("share", "--near-end"))
        service = ("--service", "corp", "--relay", "--at", str(at))
        copy, line = text(corp.home, "ssh", f"root@{THERE}", *service).splitlines()
        assert shlex.split(copy) == ["scp", str(job / "tokenward-exec"), f"root@{THERE}:"]
        shutil.copy(job / "tokenward-exec", hosts.folder)  # what scp would do
        corp.share("--at", str(at))
        _, *words, sock, python, near_end, _ = shlex.split(line)
        found = subprocess.run(
            [
                *hosts.ssh,
                *words,
                sock,
                python,
                f"{hosts.folder}/{near_end}",
                *CURL,
                f"{corp.page}one/",
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert "one-1.0" in found.stdout, found.stderr


def test_each_declared_share_is_printed_and_one_can_be_chosen(home: Home) -> None:
    tables = [f'[[share]]\nat = "/srv/{n}/tw.sock"\nservices = ["pypi"]\n' for n in ("a", "b")]
    rules(home, "".join(tables))
    found = home.answer("share", "--for", "docker")["recipes"]
    assert [each["socket"] for each in found] == ["/srv/a/tw.sock", "/srv/b/tw.sock"]
    assert "# /srv/b/tw.sock\n" in home.done("share", "--for", "compose")
    assert "/srv/b:" in text(home, "docker", "--at", "/srv/b/tw.sock")
    assert "declares no share at /srv/c" in home.refused(
        "share", "--for", "docker", "--at", "/srv/c"
    )
    said = home.auth("share", "--for", "docker", "--service", "pypi", "--relay")
    assert f"--service pypi --at {home.path}/job/tokenward.sock` opens this one" in said.stderr
    assert "python3 /run/tokenward/tokenward-exec COMMAND" in said.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("ssh",), "`--for ssh` needs a host"),
        (("docker", "host"), "`--for ssh` needs a host"),
        (("ssh", "-oProxyCommand=x"), ""),
        (("ssh", "--", "-oProxyCommand=x"), "This is not the name of a host."),
        (("docker",), "declares no share."),
        (("docker", "--ttl", "1h"), "`--for` takes `--service`, `--at`, `--relay`"),
        (("docker", "--service", "pypi", "--stop"), "`--stop` takes `--at`"),
        (("docker", "--service", "nothing"), "No index is known as nothing"),
        (("docker", "--service", "pypi", "--at", "/srv/a b/s"), "cannot be mounted elsewhere"),
        (("docker", "--service", "pypi", "--at", "/srv/$(id)/s"), "cannot be mounted elsewhere"),
        (("docker", "--service", "pypi", "--at", "/srv/a:b/s"), "cannot be mounted elsewhere"),
        (("nomad",), "must be docker, devcontainer, compose, kubernetes or ssh"),
    ],
)
def test_what_cannot_be_printed_is_told(home: Home, arguments: tuple[str, ...], why: str) -> None:
    assert why in home.refused("share", "--for", *arguments)


def test_no_folder_is_mounted_elsewhere_that_has_the_agents_own_socket(home: Home) -> None:
    home.answer("list")
    runtime = home.path / "run/tokenward"
    for folder in (home.path, runtime, home.path / ".local/share/tokenward", Path("/")):
        at = ("--service", "pypi", "--at", f"{folder}/x.sock")
        for place in ("docker", "devcontainer", "compose", "kubernetes"):
            refused = home.refused("share", "--for", place, *at)
            assert "must not be mounted elsewhere" in refused or "cannot be mounted" in refused
    (home.path / "link").symlink_to(runtime)
    at = ("--service", "pypi", "--at", f"{home.path}/link/x.sock")
    assert "holds the agent's own socket" in home.refused("share", "--for", "docker", *at)
