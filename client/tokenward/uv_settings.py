"""uv's settings files, found and read as uv documents it.

- User: `$XDG_CONFIG_HOME/uv/uv.toml`, else `~/.config/uv/uv.toml` (on macOS too).
- System: `uv/uv.toml` in the first of `$XDG_CONFIG_DIRS` (default `/etc/xdg`) that has it, else
  `/etc/uv/uv.toml`.
- Project: the nearest directory upward, from the workspace's root where there is a workspace, that
  has a `uv.toml`, or a `pyproject.toml` with `[tool.uv]`; `uv.toml` wins where both lie.
- `UV_NO_CONFIG` switches all of them off; `UV_CONFIG_FILE` is read instead of all of them.

https://docs.astral.sh/uv/concepts/configuration-files/

Beside today's `[[index]]` with `name`, `url`, `publish-url`, the spellings `index = "URL"`,
`index-url`, `extra-index-url` and `extra-index-urls` are read. `keyring-provider` and
`auth-cache-dir` are read; whether they are obeyed is for settings.py to say. Nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenward.definition import Definition
from tokenward.errors import CommandError
from tokenward.files import parse_toml, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class UvSettings:
    """What one of uv's files says about indexes and credentials."""

    file: str
    data: bytes = field(repr=False)
    definitions: tuple[Definition, ...] = ()
    unnamed: tuple[str, ...] = field(default=(), repr=False)
    keyring_provider: str | None = None
    auth_cache_dir: str | None = None


def user(environ: Mapping[str, str], home: str) -> UvSettings | None:
    """Read the user's uv.toml, or the file that UV_CONFIG_FILE names. Raises CommandError."""
    if _switched_off(environ):
        return None
    if named := environ.get("UV_CONFIG_FILE"):
        return _uv_toml(str(Path(named).absolute()))
    base = _absolute(environ.get("XDG_CONFIG_HOME")) or f"{home}/.config"
    return _uv_toml(f"{base}/uv/uv.toml")


def system(environ: Mapping[str, str]) -> UvSettings | None:
    """Read the first system-wide uv.toml that is there. Raises CommandError."""
    if _switched_off(environ) or environ.get("UV_CONFIG_FILE"):
        return None
    bases = [base for base in environ.get("XDG_CONFIG_DIRS", "").split(":") if _absolute(base)]
    for base in [*(bases or ["/etc/xdg"]), "/etc"]:
        if found := _uv_toml(f"{base}/uv/uv.toml"):
            return found
    return None


def project(environ: Mapping[str, str], directory: str) -> UvSettings | None:
    """Read the settings of the project around `directory` (absolute). Raises CommandError."""
    if _switched_off(environ) or environ.get("UV_CONFIG_FILE"):
        return None
    start = Path(directory)
    for folder in _upward(_workspace_root(start) or start):
        if found := of_directory(str(folder)):
            return found
    return None


def of_directory(directory: str) -> UvSettings | None:
    """Read the settings in `directory` itself: uv.toml, else [tool.uv]. Raises CommandError."""
    if found := _uv_toml(f"{directory}/uv.toml"):
        return found
    path = f"{directory}/pyproject.toml"
    if (data := read(path)) is None:
        return None
    table = _table(_table(parse_toml(data, path), "tool"), "uv", None)
    return None if table is None else parse(table, path, data)


def parse(table: dict[str, Any], path: str, data: bytes) -> UvSettings:
    """Pick out what concerns us. uv owns the format: what has another shape is passed over."""
    definitions: list[Definition] = []
    unnamed: list[str] = []
    index = table.get("index")
    for entry in index if isinstance(index, list) else [index]:
        if isinstance(entry, str):
            unnamed.append(entry)
        elif isinstance(entry, dict):
            name, url = _text(entry, "name"), _text(entry, "url")
            publish_url = _text(entry, "publish-url")
            if name and (url or publish_url):
                definitions.append(Definition(name, url or publish_url or "", path, publish_url))
            elif url:
                unnamed.append(url)
    for key in ("index-url", "extra-index-url", "extra-index-urls"):
        value = table.get(key)
        values = value if isinstance(value, list) else [value]
        unnamed += [url for url in values if isinstance(url, str)]
    return UvSettings(
        path,
        data,
        tuple(definitions),
        tuple(unnamed),
        _text(table, "keyring-provider"),
        _text(table, "auth-cache-dir"),
    )


def _uv_toml(path: str) -> UvSettings | None:
    data = read(path)
    return None if data is None else parse(parse_toml(data, path), path, data)


def _workspace_root(start: Path) -> Path | None:
    """Find the workspace that the nearest project upward belongs to, or is the root of."""
    member: Path | None = None
    for folder in _upward(start):
        path = folder / "pyproject.toml"
        try:
            data = read(str(path))
            workspace = _table(
                _table(_table(parse_toml(data or b"", str(path)), "tool"), "uv"), "workspace", None
            )
        except CommandError:
            return None  # said by whoever reads the file for its settings
        if workspace is not None and (member is None or _holds(folder, workspace, member)):
            return folder
        if data is not None and member is None:
            member = folder
    return None


def _holds(root: Path, workspace: dict[str, Any], member: Path) -> bool:
    def matches(key: str) -> bool:
        patterns = workspace.get(key, [])
        return isinstance(patterns, list) and any(
            isinstance(pattern, str) and _matches(member.relative_to(root), pattern)
            for pattern in patterns
        )

    return matches("members") and not matches("exclude")


def _matches(path: Path, pattern: str) -> bool:
    """Match `*` within one segment and `**` over any number, as the glob that uv uses."""
    from fnmatch import fnmatchcase

    def match(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
        if not patterns:
            return not parts
        if patterns[0] == "**":
            return any(match(parts[skip:], patterns[1:]) for skip in range(len(parts) + 1))
        return bool(parts) and fnmatchcase(parts[0], patterns[0]) and match(parts[1:], patterns[1:])

    return match(path.parts, Path(pattern).parts)


def _upward(start: Path) -> Iterator[Path]:
    yield start
    yield from start.parents


def _switched_off(environ: Mapping[str, str]) -> bool:
    return environ.get("UV_NO_CONFIG", "").lower() in {"1", "true", "yes", "on", "y", "t"}


def _absolute(path: str | None) -> str | None:
    return path if path and path.startswith("/") else None


def _table(table: dict[str, Any], key: str, default: Any = ()) -> Any:
    value = table.get(key)
    return value if isinstance(value, dict) else dict(default) if default is not None else None


def _text(table: dict[str, Any], key: str) -> str | None:
    value = table.get(key)
    return value if isinstance(value, str) and value else None
