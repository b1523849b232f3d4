"""From SERVICE on the command line to a service: a URL, a host, or a name that a file defines.

`pypi` and `testpypi` are the same on every machine; a URL or a host stands for itself; no file is
read for these. Any other word is looked up in `config.toml`, `~/.pypirc`, the user's and the
system's `uv.toml` (the first that has it wins), and last in the project's files. If a project gives
a name of the user's another URL, that is an error with both files.

A name matches exactly, else by its form in environment variables (my-index, My_Index and MY_INDEX
are the same), unless that could be two different ones.
"""

from __future__ import annotations

from tokenward.errors import CommandError, sayable
from tokenward_protocol.light import Record
from tokenward_protocol.urls import (
    FIXED,
    JFROG,
    ServiceError,
    is_name,
    parse_service_url,
    strip_index_suffix,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenward_protocol.recipes import Recipe


WAREHOUSE, CLOUDSMITH = "warehouse", "cloudsmith"
OIDC_KINDS = (WAREHOUSE, JFROG, CLOUDSMITH)
"""The kinds of index that mint tokens for CI jobs, besides pypi and testpypi."""


class Oidc(Record):
    """How an index mints tokens for CI jobs: one of OIDC_KINDS, and what it wants to know.

    `account` is a service account of an `organization`, `provider` the name of an integration, `api`
    where the index is asked, or "".
    """

    kind: str
    audience: str
    provider: str = ""
    organization: str = ""
    account: str = ""
    api: str = ""


class Definition(Record):
    """The definition of `name` in `file`.

    `url` is for installing and `auth token`; `publish_url` is None if uploads go to the same place.
    Both are as written, so they may hold user info and stay out of the repr. `url` is "" if the
    file has no URL. `kind` is one of `urls.KINDS`, or "". Only config.toml has `oidc` and `recipe`.
    """

    name: str
    url: str
    file: str
    publish_url: str | None = None
    username: str | None = None
    kind: str = ""
    oidc: Oidc | None = None
    recipe: Recipe | None = None


def env_form(name: str) -> str:
    """Return a name as in UV_INDEX_<NAME>_…: upper case, and `_` for all but ASCII letters and digits."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper()


_FIXED = {env_form(name): name for name in FIXED}


class Service(Record):
    """The meaning of SERVICE.

    `key` is for `auth token` and index variables, `publish_key` for uploads; `url` and
    `publish_url` are the same as a tool wants them, without user info. `username` and `password`
    were typed in the URL; `default_username` is from the file. `file` is None unless a file defines
    `name`; with `from_project` the user should see `NAME is URL (FILE)`.
    """

    key: str
    url: str
    publish_key: str
    publish_url: str
    username: str | None = None
    password: str | None = None
    default_username: str | None = None
    name: str | None = None
    file: str | None = None
    from_project: bool = False
    notice: str = ""

    @property
    def for_uploads(self) -> Service:
        """The same with `key` and `url` for uploads; pypi and testpypi have only one of each."""
        url = self.publish_key if self.publish_key in FIXED.values() else self.publish_url
        return Service(
            self.publish_key,
            url,
            self.publish_key,
            url,
            self.username,
            default_username=self.default_username,
            name=self.name,
            file=self.file,
        )

    @property
    def logout_keys(self) -> tuple[str, ...]:
        """Every key that may hold a credential for this service."""
        keys = (strip_index_suffix(self.key), strip_index_suffix(self.publish_key))
        return tuple(dict.fromkeys(keys))

    def spelling_of(self, key: str) -> str:
        """Return one of the `logout_keys` as it was typed, with a final `/simple/`."""
        return next((k for k in (self.key, self.publish_key) if strip_index_suffix(k) == key), key)

    @property
    def login_keys(self) -> tuple[str, ...]:
        """The keys to store under: those that no other one covers."""
        keys = self.logout_keys
        return tuple(k for k in keys if not any(k != o and k.startswith(o) for o in keys))


class Names:
    """The names in this user's and this project's files."""

    def __init__(self, user: Sequence[Definition], project: Sequence[Definition] = ()) -> None:
        self._user = user
        self._project = project

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """All definitions, the user's files first."""
        return (*self._user, *self._project)

    def known_names(self) -> list[str]:
        """Every name: the two fixed ones, then in the order of the files."""
        names = [*FIXED, *(d.name for d in (*self._user, *self._project))]
        return list(dict.fromkeys(names))

    def resolve(self, name: str) -> Service:
        """Return the service of a name. Raises CommandError if it is unknown or contested."""
        if fixed := _FIXED.get(env_form(name)) if name.isascii() else None:
            return _fixed_service(fixed)
        mine = _find(name, self._user)
        theirs = _find(name, self._project)
        if mine and theirs:
            if not _is_same_index(mine, theirs):
                raise CommandError(
                    f"{name} is one index in {mine.file} and another in {theirs.file}.",
                    "give the URL, or rename it in one of the files",
                )
            theirs = None
        if found := mine or theirs:
            return _service(found, from_project=theirs is not None)
        from tokenward.ui.suggestions import closest

        known = self.known_names()
        near = closest(name, known)
        raise CommandError(
            f"No index is known {f'as {name}' if sayable(name) else 'by that name'}.",
            f"{f'did you mean {near}? ' if near else ''}known: {', '.join(known)};"
            " or give a URL (https:// before a host's name)",
        )

    def by_variable(self) -> dict[str, Service]:
        """Every name in the form of environment variables, with its service.

        Names with contradicting definitions and with unusable URLs are left out.
        """
        found: dict[str, list[Service]] = {}
        for name in self.known_names():
            try:
                found.setdefault(env_form(name), []).append(self.resolve(name))
            except CommandError:
                continue
        return {form: those[0] for form, those in found.items() if len({s.key for s in those}) == 1}


def resolve(text: str, names: Callable[[], Names]) -> Service:
    """Turn SERVICE into a service; `names` is called only for a name that is not fixed.

    Raises CommandError for a bad URL, or as `Names.resolve`.
    """
    text = text.strip()
    if text in FIXED:
        return _fixed_service(text)
    if text and is_name(text):
        return names().resolve(text)
    return _service_of_url(text)


def _fixed_service(name: str) -> Service:
    key = FIXED[name]
    return Service(key, key, key, key, name=name)


def _service_of_url(text: str) -> Service:
    try:
        parsed = parse_service_url(text)
    except ServiceError as error:
        raise CommandError(str(error), error.hint) from None
    name = next((name for name, key in FIXED.items() if key == parsed.key), None)
    return Service(
        parsed.key,
        parsed.url,
        parsed.key,
        parsed.key if name else parsed.url,
        parsed.username,
        parsed.password,
        name=name,
        notice=parsed.notice,
    )


def _service(definition: Definition, *, from_project: bool) -> Service:
    """Judge the URLs of a definition; a password in one of them is ignored."""
    if not definition.url:
        raise CommandError(f"{definition.file} defines {definition.name} without a URL.")
    try:
        index = parse_service_url(definition.url)
        publish = parse_service_url(definition.publish_url) if definition.publish_url else index
    except ServiceError as error:
        raise CommandError(f"{definition.name} in {definition.file}: {error}", error.hint) from None
    return Service(
        index.key,
        index.url,
        publish.key,
        publish.url,
        default_username=definition.username or index.username or publish.username,
        name=definition.name,
        file=definition.file,
        from_project=from_project,
    )


def _find(name: str, definitions: Sequence[Definition]) -> Definition | None:
    same = [d for d in definitions if d.name == name]
    if not same and name.isascii():
        same = [d for d in definitions if env_form(d.name) == env_form(name)]
    written = list(dict.fromkeys(d.name for d in same))
    if len(written) > 1:
        raise CommandError(
            f"{name} could mean {' or '.join(written)}.", "write it as its file does"
        )
    # A .pypirc may list a server without its URL; another file may have it.
    return next((d for d in same if d.url), same[0] if same else None)


def _is_same_index(mine: Definition, theirs: Definition) -> bool:
    """Return whether two definitions of a name are of the same index."""
    return bool(
        set(_service(mine, from_project=False).logout_keys)
        & set(_service(theirs, from_project=True).logout_keys)
    )
