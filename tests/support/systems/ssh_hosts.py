"""Two hosts on this machine, each in a network of its own, with a real sshd on one of them.

The one with sshd sees nothing of /tmp but a folder of its own and this checkout, so that what else is
there of the other one has come by ssh. Needs root, iproute2 and the Debian package openssh-server.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import pytest

from support import CHECKOUT
from support.systems.real_names import can_part
from support.waiting import PATIENCE, until

SSHD = "/usr/sbin/sshd"


def _can_make_hosts() -> bool:
    return can_part() and Path(SSHD).exists() and shutil.which("ssh") is not None


needs_ssh_hosts = pytest.mark.root(
    "makes hosts of its own", able=_can_make_hosts, needs="iproute2, namespaces and openssh-server"
)
HERE, THERE = "10.99.0.1", "10.99.0.2"

_CONFIG = """
HostKey {folder}/host
AuthorizedKeysFile {folder}/client.pub
ListenAddress {there}:22
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
"""
_THERE = """
set -e
mount -t tmpfs none /run
mkdir -m 755 /run/sshd /run/own /run/checkout
mount --bind "$1" /run/own
mount --bind "$2" /run/checkout
mount -t tmpfs -o mode=1777 none /tmp
mkdir -p "$1" "$2"
mount --bind /run/own "$1"
mount --bind /run/checkout "$2"
ip link set lo up
echo ready
read go
ip address add 10.99.0.2/24 dev there
ip link set there up
exec /usr/sbin/sshd -D -e -f "$1/config"
"""
_HERE = """
ip link set lo up
echo ready
read go
exec sleep infinity
"""


class SshHosts:
    """`ssh` and a folder's options go before what is to be done over there."""

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="ssh-", dir="/tmp"))
        self._hosts: list[subprocess.Popen[str]] = []
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def _begin(self) -> None:
        for name in ("host", "client"):
            _done("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self.folder}/{name}")
        (self.folder / "config").write_text(_CONFIG.format(folder=self.folder, there=THERE))
        for script in (_THERE, _HERE):
            self._hosts.append(self._parted(script))
        there, here = (str(host.pid) for host in self._hosts)
        cable = ("here", "netns", here, "type", "veth", "peer", "there", "netns", there)
        inside = ("nsenter", f"--target={here}", "--net")
        _done("ip", "link", "add", *cable)
        _done(*inside, "ip", "address", "add", f"{HERE}/24", "dev", "here")
        _done(*inside, "ip", "link", "set", "here", "up")
        for host in self._hosts:
            assert host.stdin is not None
            host.stdin.write("go\n")
            host.stdin.flush()
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
        self.ssh = (
            *(*inside, "ssh", "-F", "/dev/null", "-q"),
            *(f"-o{option}" for option in options),
            *("-i", str(self.folder / "client")),
        )
        self._wait()

    def _parted(self, script: str) -> subprocess.Popen[str]:
        command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script]
        host = subprocess.Popen(
            [*command, "sh", str(self.folder), str(CHECKOUT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert host.stdout is not None
        assert host.stdout.readline() == "ready\n"
        return host

    def _wait(self) -> None:
        until(lambda: self.run("true").returncode == 0, lambda: "no sshd answers")

    def run(self, *command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run a command over there, with more options of ssh's."""
        return subprocess.run(
            [*self.ssh, *options, f"root@{THERE}", *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        for host in self._hosts:
            host.kill()
            host.communicate()
        shutil.rmtree(self.folder)


def _done(*command: str) -> None:
    subprocess.run(command, check=True, timeout=PATIENCE)
