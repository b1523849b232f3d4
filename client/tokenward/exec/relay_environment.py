"""The environment of a command that runs behind a relay.

It names the real URLs, and the *capability* as password: a text that is worth nothing at any other
place. Three things make tools use the relay:

- the proxy variables. uv lets the upper-case one win, pip and curl the lower-case one, so both are
  set. hatch obeys none, so its URL for uploads is the relay's own.
- the variables that name trusted certificates: each gets a file with what it named before, or the
  system's certificates, and the run's authority. Which tool reads which variable was measured.
- `NO_PROXY` without what would lead a tool past the relay: a tool matches by suffix, with or
  without a dot.

Pure: values in, values out; the caller writes the files.
"""

from __future__ import annotations

from tokenward.exec.environment import UPLOADS, child_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tokenward.exec.environment import ExecIndex

MARK = "TOKENWARD_RELAY"
"""Set in a run: there tokenward's keyring backend and helpers answer nothing of ours."""

USERNAME = "__token__"

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_OTHER_PROXIES = {"PIP_PROXY", "npm_config_proxy", "npm_config_https_proxy", "npm_config_noproxy"}

TRUST = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "TWINE_CERT",
    "MATURIN_CA_BUNDLE",
    "npm_config_cafile",
)
"""Variables that name all trusted certificates."""

ADDED_TRUST = ("NODE_EXTRA_CA_CERTS",)
"""Variables that name certificates besides the system's."""


def relay_environment(
    environ: Mapping[str, str],
    variables: Mapping[str, str],
    proxy: str,
    hosts: Iterable[str],
    trust: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment of CMD.

    `variables` are those that name the indexes, `proxy` is the relay's URL with the capability,
    `hosts` are the hosts of the indexes, and `trust` are the variables of certificates.
    """
    kept = child_environment(environ, variables)
    for name in _OTHER_PROXIES:
        kept.pop(name, None)
    kept.update(dict.fromkeys(PROXIES, proxy))
    for name in ("NO_PROXY", "no_proxy"):
        left = without_hosts(environ.get(name, ""), hosts)
        if left:
            kept[name] = left
        else:
            kept.pop(name, None)
    return {**kept, **trust, MARK: "1"}


def without_hosts(no_proxy: str, hosts: Iterable[str]) -> str:
    """Return NO_PROXY without the entries by which a tool would reach one of `hosts` directly."""
    entries = [entry.strip() for entry in no_proxy.split(",")]
    return ",".join(entry for entry in entries if entry and not _matches(entry, hosts))


def _matches(entry: str, hosts: Iterable[str]) -> bool:
    name = entry.lower().removeprefix("*").lstrip(".")
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    # An address block may hold a host that only a resolver knows.
    return not name or "/" in entry or any(f".{host}".endswith(f".{name}") for host in hosts)


def run_variables(indexes: Sequence[ExecIndex], capability: str, port: int) -> dict[str, str]:
    """Return the variables that name the indexes, for every tool but uv's installs."""
    found: dict[str, str] = {}
    first = indexes[0].publish if indexes else None
    if first:
        for url, username, password in UPLOADS:
            found |= {url: first.url, username: USERNAME, password: capability}
        path = first.url.partition("://")[2].partition("/")[2]
        found["HATCH_INDEX_REPO"] = f"http://127.0.0.1:{port}/{RELAYED}/{path}"
    for index in indexes:
        if index.publish and index.name:
            found |= {
                f"POETRY_REPOSITORIES_{index.name}_URL": index.publish.url,
                f"POETRY_HTTP_BASIC_{index.name}_USERNAME": USERNAME,
                f"POETRY_HTTP_BASIC_{index.name}_PASSWORD": capability,
            }
        if index.install and index.name:
            found |= {
                f"UV_INDEX_{index.name}_USERNAME": USERNAME,
                f"UV_INDEX_{index.name}_PASSWORD": capability,
            }
    installs = [index.install for index in indexes]
    if installs and installs[0]:
        found["PIP_INDEX_URL"] = installs[0].url
    if extra := [each.url for each in installs[1:] if each]:
        found["PIP_EXTRA_INDEX_URL"] = " ".join(extra)
    return found


RELAYED = "upload"
"""The name of the index for uploads in the relay's own URL."""
