"""Where client and agent find each other, computed from what the caller has read.

Pure: platform, user, environment and home directory are arguments. The full commands use
platformdirs for the same directories; a test compares the two, so that the shortest command need
not load it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

APP = "tokenward"

SOCKET = "agent.sock"
"""The socket of the agent that serves the user's ordinary credentials directory."""

DARWIN_USER_TEMP_DIR = 65537
"""macOS' _CS_DARWIN_USER_TEMP_DIR, for os.confstr, which does not name it."""

PIPES = "\\\\.\\pipe\\"  # the prefix of every pipe's name on Windows
MAX_SOCKET_PATH = {"darwin": 103, "linux": 107}
"""Bytes that fit into sockaddr_un.sun_path beside its NUL."""


def data_directory(platform: str, environ: Mapping[str, str], home: str) -> str:
    """Return the user's ordinary credentials directory."""
    return _user_directory(platform, environ, home, "XDG_DATA_HOME", "/.local/share")


def state_directory(platform: str, environ: Mapping[str, str], home: str) -> str:
    """Return the user's state directory."""
    return _user_directory(platform, environ, home, "XDG_STATE_HOME", "/.local/state")


def config_directory(platform: str, environ: Mapping[str, str], home: str) -> str:
    """Return the directory of config.toml."""
    return _user_directory(platform, environ, home, "XDG_CONFIG_HOME", "/.config")


def uv_file(environ: Mapping[str, str], home: str) -> str:
    """Return the user's own uv.toml, as uv documents it; on macOS it is the same."""
    base = environ.get("XDG_CONFIG_HOME", "")
    return f"{base if base.startswith('/') else f'{home}/.config'}/uv/uv.toml"


def uv_system_files(environ: Mapping[str, str]) -> list[str]:
    """Return where a system-wide uv.toml may be; the first that exists counts."""
    bases = [base for base in environ.get("XDG_CONFIG_DIRS", "").split(":") if base.startswith("/")]
    return [f"{base}/uv/uv.toml" for base in [*(bases or ["/etc/xdg"]), "/etc"]]


def _user_directory(
    platform: str, environ: Mapping[str, str], home: str, variable: str, default: str
) -> str:
    if platform == "win32":
        base = environ.get("LOCALAPPDATA", "") or f"{home}\\AppData\\Local"
        return base.rstrip("\\") + f"\\{APP}"
    base = environ.get(variable, "")
    if not base.startswith("/"):  # the XDG specification: a relative one is ignored
        base = home.rstrip("/") + (
            "/Library/Application Support" if platform == "darwin" else default
        )
    return f"{base.rstrip('/')}/{APP}"


def runtime_directories(
    platform: str, uid: int, environ: Mapping[str, str], state: str, darwin_temp: str | None
) -> list[str]:
    """Return the directories for the agent's socket, best first; the first usable one counts.

    The last, in the state directory, is made if it is missing. Never bare /tmp, where any user can
    be first.
    """
    found: list[str] = []
    base = environ.get("XDG_RUNTIME_DIR", "")
    if base.startswith("/"):
        found.append(f"{base.rstrip('/')}/{APP}")
    if platform == "linux":
        found.append(f"/run/user/{uid}/{APP}")
    elif platform == "darwin" and darwin_temp:
        found.append(f"{darwin_temp.rstrip('/')}/{APP}")
    found.append(f"{state}/run")
    return found


def directory_tag(resolved: str) -> str:
    """Return the tag of a credentials directory whose links are resolved.

    It names the directory's state folder, and the socket of any but the ordinary one.
    """
    from hashlib import sha256

    return sha256(resolved.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def record_name(boot: str, namespace: str, node: str) -> str:
    """Return the name of the file in the state folder that holds the address of this host's agent.

    A host is a boot of a kernel and a namespace of process ids: `boot` is the content of
    /proc/sys/kernel/random/boot_id, `namespace` the target of the link /proc/self/ns/pid. If either
    is "", the name of the host, `node`, stands for both.
    """
    number = "".join(filter(str.isdigit, namespace))
    return f"agent-{boot.strip()}-{number}" if boot and number else f"agent-{directory_tag(node)}"


def socket_name(directory: str, ordinary: str) -> str:
    """Return the socket's file name for a credentials directory; both have links resolved."""
    return SOCKET if directory == ordinary else f"{directory_tag(directory)}.sock"


def pipe_name(sid: str, directory: str, ordinary: str) -> str:
    """Return the name of the pipe of an agent on Windows, given its user's SID."""
    name = "agent" if directory == ordinary else directory_tag(directory)
    return f"{PIPES}{APP}-{sid}-{name}"
