"""`config.toml`: the user's own settings for tokenward.

    auth-cache-dir = "~/credentials"    # the credentials directory
    keyring-provider = "disabled"       # keyring, subprocess or disabled
    keyring-exclusive = true            # tools' keyring asks no other backend (keyring_backend.py)
    leave = ["*.pkg.dev"]               # hosts for which it asks the other backends alone; `*` is one label
    pinentry = "/usr/bin/pinentry-qt"   # the program by which the agent prompts the user
    unlock = "prompt"                   # the agent asks for the passphrase of a closed vault
    keyring-program = "/opt/bin/keyring"  # the provider subprocess runs this one
    ca = "/etc/ssl/company.pem"         # and proxy: how a run's relay reaches indexes (docs/RELAY.md)
    exec = "relay"                      # how `auth exec` works without an option; or "env"
    lock-on-screen-lock = true          # and lock-on-sleep, lock-on-logout, lock-after-idle = "8h"

    [services.internal]                 # a name for an index; at least one of the URLs
    url = "https://index.example/simple/"
    publish-url = "https://index.example/legacy/"
    username = "alice"
    kind = "gitlab"                     # anaconda, azure, devpi, gitlab or jfrog
    also-read = ["/files/"]             # more paths that a run may read
    pass = ["/api/search/"]             # paths that a run may use without the credential
    command = ["/usr/bin/pass", "show", "index"]  # makes the credential; as, lifetime, timeout, attended,
    environment = ["AWS_PROFILE"]       # and run-in; the variables of your shell that it gets (recipes.py)
    oidc = { kind = "warehouse", audience = "index.example" }  # mints one for CI jobs (oidc.py)

    [[policy]]                          # rules of what is handed out, for the agent
    decide = "ask"

    [[share]]                           # a socket for others, for the agent (docs/SHARING.md)
    at = "/home/alice/job/tokenward.sock"
    services = ["internal"]

An unknown key is an error, because a setting that has silently no effect is worse than none. Paths
that are not absolute are relative to the file; `~` is the home directory.
"""

from __future__ import annotations

from tokenward.errors import CommandError
from tokenward.files.reading import parse_toml, read
from tokenward.settings.service_names import Definition, env_form
from tokenward_protocol.light import Record
from tokenward_protocol.messages import COMMAND, PROVIDERS
from tokenward_protocol.urls import FIXED, KINDS, is_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward_protocol.recipes import Recipe
    from tokenward_protocol.shares import DeclaredShare

_FIXED = {env_form(name) for name in FIXED}
_LOCKS = ("lock-on-sleep", "lock-on-screen-lock", "lock-on-logout", "lock-after-idle")
_OF_THE_AGENT = (
    *("pinentry", "unlock", "keyring-program", "policy", "share", "ca", "proxy", *_LOCKS),
)
OF_A_RECIPE = ("command", "as", "lifetime", "timeout", "attended", "run-in", "environment")
_OF_A_SERVICE = (
    *("url", "publish-url", "username", "kind", "also-read", "pass", "oidc", *OF_A_RECIPE),
)
_OF_COMMANDS = (
    "auth-cache-dir",
    "keyring-provider",
    "keyring-exclusive",
    "leave",
    "services",
    "exec",
)
_KNOWN = (*_OF_COMMANDS, *_OF_THE_AGENT)

ENV, _ = EXEC_WAYS = ("env", "relay")
"""How `auth exec` lets a command use credentials."""


class Config(Record):
    """The contents of config.toml; empty if the file does not exist.

    `exec_way` is one of EXEC_WAYS; `ca` and `proxy` are for relays. None is what the file leaves out.
    """

    file: str
    auth_cache_dir: str | None = None
    keyring_provider: str | None = None
    definitions: tuple[Definition, ...] = ()
    exec_way: str | None = None
    ca: str | None = None
    proxy: str | None = None
    leave: tuple[str, ...] = ()
    shares: tuple[DeclaredShare, ...] = ()


def load_config(path: str) -> Config:
    """Read config.toml. Raises CommandError with the file and the wrong key."""
    data = read(path)
    return Config(path) if data is None else parse_config(parse_toml(data, path), path)


def parse_config(table: dict[str, Any], path: str) -> Config:
    """Judge a parsed config.toml. Raises the exceptions of `load_config`."""
    _only(table, _KNOWN, "", path)
    if not isinstance(table.get("keyring-exclusive", False), bool):
        raise CommandError(f"`keyring-exclusive` in {path} is neither true nor false.")
    services = table.get("services", {})
    if not isinstance(services, dict):
        raise CommandError(f"`services` in {path} is not a table.")
    provider = _text(table, "keyring-provider", "", path)
    if provider not in {None, *PROVIDERS}:
        raise CommandError(
            f"`keyring-provider` in {path} is not a provider.",
            f"it is one of {', '.join(PROVIDERS)}",
        )
    exec_way = _text(table, "exec", "", path)
    if exec_way not in {None, *EXEC_WAYS}:
        raise CommandError(
            f"`exec` in {path} is not a way of `auth exec`.", f"it is one of {', '.join(EXEC_WAYS)}"
        )
    return Config(
        path,
        _text(table, "auth-cache-dir", "", path),
        provider,
        tuple(_definition(name, value, path) for name, value in services.items()),
        exec_way,
        _text(table, "ca", "", path),
        _text(table, "proxy", "", path),
        _hosts(table, "leave", path),
        _shares(table, path) if "share" in table else (),
    )


def _shares(table: dict[str, Any], path: str) -> tuple[DeclaredShare, ...]:
    """Judge the shares, which the agent opens. Raises CommandError."""
    from tokenward_protocol.shares import read_shares

    try:
        return read_shares(table)
    except ValueError as wrong:
        raise CommandError(f"{path} {wrong}.") from None


def _definition(name: str, table: Any, path: str) -> Definition:
    where = f"services.{name}."
    if not name or not is_name(name) or not name.isprintable() or env_form(name) in _FIXED:
        raise CommandError(
            f"`services.{name}` in {path} is not a valid name of a service.",
            "a name has no dot, colon, slash or @, and is neither pypi nor testpypi",
        )
    if not isinstance(table, dict):
        raise CommandError(f"`services.{name}` in {path} is not a table.")
    _only(table, _OF_A_SERVICE, where, path)
    url = _text(table, "url", where, path)
    publish_url = _text(table, "publish-url", where, path)
    if not url and not publish_url:
        raise CommandError(f"`services.{name}` in {path} has neither `url` nor `publish-url`.")
    kind = _text(table, "kind", where, path) or ""
    if kind and kind not in KINDS:
        raise CommandError(
            f"`{where}kind` in {path} is not a known kind of index.",
            f"it is one of {', '.join(KINDS)}",
        )
    username = _text(table, "username", where, path)
    recipe = _read_recipe(table, where, path)
    oidc = None
    if "oidc" in table:
        from tokenward.settings.oidc import read_oidc

        oidc = read_oidc(table["oidc"], where, path, username)
    return Definition(
        name, url or publish_url or "", path, publish_url, username, kind, oidc, recipe
    )


def _read_recipe(table: dict[str, Any], where: str, path: str) -> Recipe | None:
    """Read a recipe, as the agent does. Raises CommandError."""
    if not any(key in table for key in OF_A_RECIPE):
        return None
    from tokenward_protocol.recipes import RecipeError, read_recipe

    if COMMAND not in table or "username" not in table:
        raise CommandError(
            f"`{where.rstrip('.')}` in {path} has a recipe without `command` or `username`.",
            "a command makes the credential of one user name",
        )
    try:
        return read_recipe(table)
    except RecipeError as wrong:
        raise CommandError(f"`{where}{wrong.key}` in {path} {wrong}.") from None


def _hosts(table: dict[str, Any], key: str, path: str) -> tuple[str, ...]:
    """Return a list of hosts, written as the keyring of tools reads it (keyring_program/agent_client.py)."""
    hosts = table.get(key, [])
    if not isinstance(hosts, list) or not all(isinstance(h, str) and _is_host(h) for h in hosts):
        raise CommandError(
            f"`{key}` in {path} is not a list of hosts, in which `*` may stand for one label.",
            f'`{key} = ["*.pkg.dev", "pkgs.dev.azure.com"]`',
        )
    return tuple(hosts)


def _is_host(host: str) -> bool:
    labels = host.split(".")
    words = (label.replace("-", "") for label in labels)
    return len(labels) > 1 and all(w == "*" or (w.isascii() and w.isalnum()) for w in words)


def _only(table: dict[str, Any], known: tuple[str, ...], where: str, path: str) -> None:
    for key in table:
        if key not in known:
            raise CommandError(
                f"`{where}{key}` in {path} is not a setting.", f"known: {', '.join(known)}"
            )


def _text(table: dict[str, Any], key: str, where: str, path: str) -> str | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise CommandError(f"`{where}{key}` in {path} is not text, or it is empty.")
    return value
