"""The environment in which publish and install tools find their credentials, for `auth exec`.

| variables | carry |
| --- | --- |
| URL, user name and secret of twine, uv, pdm, hatch, flit, maturin | uploads to the first index |
| `POETRY_REPOSITORIES_<NAME>_URL`, with the account in it or `POETRY_PYPI_TOKEN_<NAME>` beside it | uploads to each that has a name |
| `PIP_INDEX_URL`; `PIP_EXTRA_INDEX_URL` | installs from the first; from the others |
| `UV_EXTRA_INDEX_URL`, `UV_INDEX_URL` | installs by uv |

A secret is never set without its URL, so that a tool with another index in its files (a .pypirc, a
project) does not send it there. A variable that a tool looks up by a name is set only if the same
environment fixes the URL of that name: the files of a checkout give names to URLs of their own. All
other variables about indexes are removed: an old password would answer for a new URL. Pure: values
in, a mapping out.

Left out intentionally:

- `UV_INDEX_<NAME>_…`, which goes to any URL that some file gives NAME: a checkout's, a workspace
  member's, a script's; and `POETRY_HTTP_BASIC_<NAME>_…`, which poetry sends to the source that a
  project calls NAME, even with `POETRY_REPOSITORIES_<NAME>_URL`. For installs poetry has no other.
- `UV_INDEX` and `UV_DEFAULT_INDEX`, which win over a project, and which `uv add` writes into it.
- `PDM_PYPI_…`, which pdm applies to any source that a project calls pypi.

For installs uv gets URLs with the credential in them, in variables of lower rank than its settings:
`UV_EXTRA_INDEX_URL` comes after their indexes and before the default one, `UV_INDEX_URL` is the
default index if they have none, and `uv add` writes neither into a project. uv sends a credential of
any of its indexes with each request below that URL, so an index in the settings need not be replaced.
uv's settings are read here so that a lock file stays the same, not for safety:

| uv's settings | the URL goes |
| --- | --- |
| search it already | last, where it changes nothing |
| do not, or only for some packages; they have a default index | in the place of the default one, which theirs takes |
| likewise, without a default index | after PyPI |
| are not known: CMD reads others, or is not uv itself | last: uv may find packages there |

In the last case an index that no setting mentions is given only to uv.
"""

from __future__ import annotations

import re

from tokenward.credentials.environment import TOKEN_USER
from tokenward_protocol.light import Record
from tokenward_protocol.urls import ServiceError, parse_service_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tokenward.settings.uv_toml import UvSettings


class Access(Record):
    """A URL without user info, and the credential for it."""

    url: str
    username: str
    secret: str


class ExecIndex(Record):
    """One index: where uploads go and where installs come from; None for nothing to set.

    `name` is spelled as in variables, None if the index has none.
    """

    publish: Access | None
    install: Access | None
    name: str | None = None


UPLOADS = (
    ("TWINE_REPOSITORY_URL", "TWINE_USERNAME", "TWINE_PASSWORD"),
    ("UV_PUBLISH_URL", "UV_PUBLISH_USERNAME", "UV_PUBLISH_PASSWORD"),
    ("PDM_PUBLISH_REPO", "PDM_PUBLISH_USERNAME", "PDM_PUBLISH_PASSWORD"),
    ("HATCH_INDEX_REPO", "HATCH_INDEX_USER", "HATCH_INDEX_AUTH"),
    ("FLIT_INDEX_URL", "FLIT_USERNAME", "FLIT_PASSWORD"),
    ("MATURIN_REPOSITORY_URL", "MATURIN_USERNAME", "MATURIN_PASSWORD"),
)
"""URL, user name and secret, each with one value."""

_TOKENS = {"UV_PUBLISH_URL": "UV_PUBLISH_TOKEN", "MATURIN_REPOSITORY_URL": "MATURIN_PYPI_TOKEN"}
"""The variables for an API token, which exclude the user name (uv) or win over it (maturin)."""

_OTHERS = {
    *("TWINE_REPOSITORY", "MATURIN_REPOSITORY", "UV_PUBLISH_INDEX", "UV_PUBLISH_CHECK_URL"),
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"),
    *("PIP_INDEX_URL", "PIP_PYPI_URL", "PIP_EXTRA_INDEX_URL"),
    *("PDM_PYPI_URL", "PDM_PYPI_USERNAME", "PDM_PYPI_PASSWORD"),
}
"""Other variables that name an index to one of the tools, or may hold a credential for one."""

_ONE_VALUE = {*_OTHERS, *_TOKENS.values(), *(name for names in UPLOADS for name in names)}
_BY_NAME = re.compile(
    r"UV_INDEX_TOKEN_.+|UV_INDEX_.+_(USERNAME|PASSWORD)"
    r"|POETRY_(PYPI_TOKEN|HTTP_BASIC|REPOSITORIES)_.+"
)
_ON_THE_WAY = re.compile(
    r"(UV|PIP|TWINE|PDM|HATCH|FLIT|POETRY|MATURIN|PIPENV)_.*"
    r"|.*PROXY|.*CA_BUNDLE|SSL_CERT_(FILE|DIR)|NETRC|HOME|XDG_CONFIG_.*|.*SSLKEYLOGFILE"
)
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def is_index_variable(variable: str) -> bool:
    """Return whether a variable of this name could lead a tool to an index, or authenticate it.

    pip reads its variables in any case, so case makes no difference.
    """
    upper = variable.upper()
    return upper in _ONE_VALUE or _BY_NAME.fullmatch(upper) is not None


def may_lead_elsewhere(variable: str) -> bool:
    """Return whether a file that sets this variable could send a secret elsewhere.

    That is every variable of the tools, and those of proxies and of trusted certificates.
    """
    upper = variable.upper()
    return is_index_variable(variable) or _ON_THE_WAY.fullmatch(upper) is not None


def is_upload_url(variable: str) -> bool:
    """Return whether a tool sends a secret of another variable to the URL in this one."""
    urls = {url for url, _, _ in UPLOADS}
    return variable in urls or re.fullmatch(r"POETRY_REPOSITORIES_.+_URL", variable) is not None


def tool_variables(
    indexes: Sequence[ExecIndex], *, without: Collection[str] = ()
) -> dict[str, str]:
    """Return the variables for the first index and the others, without those for uv's installs.

    The tools in `without` get none: a file chooses where they would send it.
    """
    found: dict[str, str] = {}
    if indexes and indexes[0].publish:
        found.update(_uploads(indexes[0].publish, without))
    for index in indexes:
        found.update(_poetry(index))
    if indexes and indexes[0].install:
        found["PIP_INDEX_URL"] = with_user_info(indexes[0].install)
    if extra := [with_user_info(index.install) for index in indexes[1:] if index.install]:
        found["PIP_EXTRA_INDEX_URL"] = " ".join(extra)
    return found


def child_environment(environ: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` with the variables `found` instead of all others of their kind."""
    kept = {name: value for name, value in environ.items() if not is_index_variable(name)}
    return {**kept, **found}


def with_user_info(access: Access) -> str:
    """Return the URL with user name and secret, or as it is if there is no user name."""
    if not access.username:
        return access.url
    scheme, _, rest = access.url.partition("://")
    return f"{scheme}://{_quote(access.username)}:{_quote(access.secret)}@{rest}"


def _uploads(access: Access, without: Collection[str]) -> Iterator[tuple[str, str]]:
    for url, username, secret in UPLOADS:
        if url.partition("_")[0].lower() in without:
            continue
        yield url, access.url
        if access.username == TOKEN_USER and url in _TOKENS:
            yield _TOKENS[url], access.secret
        else:
            yield username, access.username
            yield secret, access.secret


def _poetry(index: ExecIndex) -> Iterator[tuple[str, str]]:
    """Yield poetry's, which are for uploads: this variable's URL wins over a project's."""
    access, name = index.publish, index.name
    if access is None or name is None:
        return
    if access.username == TOKEN_USER:
        yield f"POETRY_REPOSITORIES_{name}_URL", access.url
        yield f"POETRY_PYPI_TOKEN_{name}", access.secret
    else:
        yield f"POETRY_REPOSITORIES_{name}_URL", with_user_info(access)


def _quote(text: str) -> str:
    return "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"
        for byte in text.encode("utf-8", "surrogateescape")
    )


UV_PYPI = "https://pypi.org/simple"
"""uv's default index, as uv spells it in a lock file."""


OTHER_SETTINGS = (
    "UV_PROJECT",
    "UV_WORKING_DIR",
    "UV_WORKING_DIRECTORY",
    "UV_CONFIG_FILE",
    "UV_NO_CONFIG",
)
"""Variables by which uv reads other settings than those of its working directory."""


class ResolverSettings:
    """The indexes in uv's settings: those it searches, and those for some packages only."""

    __slots__ = ("explicit", "has_default", "searched")

    def __init__(self, settings: Iterable[UvSettings]) -> None:
        self.searched: list[str] = []
        self.explicit: list[str] = []
        self.has_default = False
        for found in settings:
            self.searched += found.searched
            self.explicit += found.explicit
            self.has_default |= found.has_default


def uv_variables(
    accesses: Sequence[Access], search: ResolverSettings, *, is_uv: bool, is_known: bool
) -> tuple[dict[str, str], list[str]]:
    """Return the variables for uv, and the URLs by which it may resolve otherwise than without.

    `search` is from uv's settings here; `is_known` means that CMD is uv and reads these.
    """
    behind: list[Access] = []
    apart: list[Access] = []
    for access in accesses:
        searched = [*_accesses_below(access, search.searched)]
        behind += searched
        if explicit := [*_accesses_below(access, search.explicit)]:
            apart += explicit
        elif is_uv and not searched:
            apart.append(access)
    found: dict[str, str] = {}
    if apart and is_known and search.has_default:
        found["UV_INDEX_URL"] = with_user_info(apart.pop(0))
    pypi = [UV_PYPI] if apart and is_known and not search.has_default else []
    urls = [*map(with_user_info, behind), *pypi, *map(with_user_info, apart)]
    if urls:
        found["UV_EXTRA_INDEX_URL"] = " ".join(urls)
    return found, [] if pypi else [access.url for access in apart]


def is_mentioned(access: Access, search: ResolverSettings) -> bool:
    """Return whether uv's settings have an index that the credential would be for."""
    return any(_accesses_below(access, [*search.searched, *search.explicit]))


def _accesses_below(access: Access, urls: Sequence[str]) -> Iterator[Access]:
    """Yield access to those of `urls` that the credential is for: below its own, for its user.

    They are spelled anew: a project's own text, which uv may parse otherwise, gets no secret.
    """
    for url in dict.fromkeys(urls):
        try:
            theirs = parse_service_url(url)
            covers = theirs.key.startswith(parse_service_url(access.url).key)
        except ServiceError:
            continue
        if covers and theirs.username in {None, access.username}:
            yield Access(theirs.key, access.username, access.secret)
