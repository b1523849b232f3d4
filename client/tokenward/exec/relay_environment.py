"""The environment of a command that runs behind a relay.

It names the real URLs, and the *capability* as password: a text that is worth nothing at any other
place. Four things make tools use the relay:

- the proxy variables. uv lets the upper-case one win, pip and curl the lower-case one, so both are
  set; pip's and git's own settings would win over them, so their variables are set as well. hatch
  obeys none, so its URL for uploads is the relay's own.
- the variables that name trusted certificates: each names what it named before, and the run's
  authority. Which tool reads which variable was measured.
- `NO_PROXY` without what would lead a tool past the relay: a tool matches by suffix, with or
  without a dot.
- a user name for each tool: without one, most of them send nothing, or prompt.

Pure: values in, values out; certificates.py reads and writes the files.
"""

from __future__ import annotations

from tokenward.exec.environment import UPLOADS, child_environment
from tokenward.reach.variables import is_for
from tokenward_protocol.messages import RUN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tokenward.exec.environment import ExecIndex

MARK = RUN
"""Set in a run: there tokenward's keyring backend and helpers answer nothing of ours."""

USERNAME = "__token__"

MATURIN_USERNAME = "tokenward-run"
"""maturin stores what worked in the system's keyring, by this name for every index: not by a name
that the user has."""

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_PLACES = (
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"),
    "UV_PUBLISH_CHECK_URL",
)
"""Variables by which the user chooses where uv looks; without a credential in them they may stay."""

_OTHER_PROXIES = {"npm_config_proxy", "npm_config_https_proxy", "npm_config_noproxy"}

_THIS_MACHINE = "localhost,127.0.0.1,::1"
"""A run does not change how a command reaches its own machine, unless an index is there."""

RELAYED = "upload"
"""The first segment of the relay's own URL for uploads."""


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
    places = {name: environ[name] for name in _PLACES if "@" not in environ.get(name, "@")}
    kept = {**places, **child_environment(environ, variables)}
    for name in (*_OTHER_PROXIES, *(["SSL_CERT_DIR"] if "SSL_CERT_FILE" in trust else [])):
        kept.pop(name, None)
    kept.update(dict.fromkeys((*PROXIES, "PIP_PROXY"), proxy))
    for name in ("NO_PROXY", "no_proxy"):
        here = without_hosts(f"{environ.get(name, '')},{_THIS_MACHINE}", hosts)
        kept[name] = here
        if not here:
            del kept[name]
    return {**kept, **trust, MARK: "1"}


def git_variables(
    environ: Mapping[str, str], origins: Sequence[str], proxy: str, authority: str
) -> dict[str, str]:
    """Return git's settings for the indexes alone, behind those that the environment has.

    `origins` are URLs without a path, `authority` is the file of the run's authority. There are none
    where git itself would refuse what the environment has.
    """
    count = environ.get("GIT_CONFIG_COUNT") or "0"
    if not count.isascii() or not count.isdigit():
        return {}
    settings = [
        (f"http.{origin}/.{key}", value)
        for origin in origins
        for key, value in (("sslCAInfo", authority), ("proxy", proxy))
        if value
    ]
    found = {"GIT_CONFIG_COUNT": str(int(count) + len(settings))}
    for number, (key, value) in enumerate(settings, int(count)):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def without_hosts(no_proxy: str, hosts: Iterable[str]) -> str:
    """Return NO_PROXY without the entries by which a tool would reach one of `hosts` directly."""
    entries = [entry.strip() for entry in no_proxy.split(",")]
    return ",".join(entry for entry in entries if entry and not is_for(entry, hosts))


def run_variables(indexes: Sequence[ExecIndex], capability: str, port: int) -> dict[str, str]:
    """Return the variables that name the indexes, for every tool but uv's installs."""
    found: dict[str, str] = {}
    first = indexes[0].publish if indexes else None
    if first:
        for url, username, password in UPLOADS:
            found |= {url: first.url, username: USERNAME, password: capability}
        path = first.url.partition("://")[2].partition("/")[2]
        found["HATCH_INDEX_REPO"] = f"http://127.0.0.1:{port}/{RELAYED}/{path}"
        found["MATURIN_USERNAME"] = MATURIN_USERNAME
    for index in indexes:
        if index.publish and index.name:
            found |= {
                f"POETRY_REPOSITORIES_{index.name}_URL": index.publish.url,
                f"POETRY_HTTP_BASIC_{index.name}_USERNAME": USERNAME,
                f"POETRY_HTTP_BASIC_{index.name}_PASSWORD": capability,
            }
        if index.install and index.name:
            found |= uv_account(index.name, capability)
    installs = [index.install for index in indexes]
    if installs and installs[0]:
        found["PIP_INDEX_URL"] = installs[0].url
    if extra := [each.url for each in installs[1:] if each]:
        found["PIP_EXTRA_INDEX_URL"] = " ".join(extra)
    return found


def with_own_credential(variables: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a run whose command publishes with what it has itself.

    They name the index and hold no capability; what `environ` has for uploads stays.
    """
    names = {name for _, *both in UPLOADS for name in both} | {
        "UV_PUBLISH_TOKEN",
        "MATURIN_PYPI_TOKEN",
    }
    kept = {
        name: value
        for name, value in variables.items()
        if name not in names and not name.startswith("POETRY_HTTP_BASIC_")
    }
    return kept | {name: environ[name] for name in names if environ.get(name)}


def uv_account(name: str, capability: str) -> dict[str, str]:
    """Return the account for an index that uv's settings call `name`.

    uv sends nothing without one where they say `authenticate = "always"`.
    """
    return {f"UV_INDEX_{name}_USERNAME": USERNAME, f"UV_INDEX_{name}_PASSWORD": capability}
