"""The environment in which publish and install tools find their credentials, for `auth exec`.

| variables | carry |
| --- | --- |
| URL, user name and secret of twine, uv, pdm, hatch, flit, maturin | uploads to the first index |
| `POETRY_REPOSITORIES_<NAME>_URL`, `POETRY_PYPI_TOKEN_<NAME>`, `POETRY_HTTP_BASIC_<NAME>_…` | uploads to, and installs from, each that has a name |
| `UV_INDEX_<NAME>_USERNAME`, `UV_INDEX_<NAME>_PASSWORD` | installs from each that has a name |
| `PIP_INDEX_URL`; `PIP_EXTRA_INDEX_URL` | installs from the first; from the others |

A secret never stands without its URL, so that a tool which was told of another index elsewhere (a
.pypirc, a project) does not send it there. Only installs by uv and poetry have no URL beside them:
a name that could mean another place to them is not to be given here. Whatever else the environment says about
indexes is taken out: an old password would answer for a new URL. Pure: values in, a mapping out.

Left out on purpose: `UV_INDEX` and `UV_DEFAULT_INDEX`, which change what a project resolves to, and
`PDM_PYPI_…`, which pdm applies to whatever source a project calls pypi.
"""

from __future__ import annotations

import re

from tokenward.environment import TOKEN_USER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Access:
    """A URL without user info, and the credential that is for it."""

    __slots__ = ("secret", "url", "username")

    def __init__(self, url: str, username: str, secret: str) -> None:
        self.url = url
        self.username = username
        self.secret = secret


class Index:
    """One index: where uploads go and where installs come from; None where nothing is to be set.

    Its name is spelled as in variables: `uv` for uv and `poetry` for poetry, None where the index
    has no name or the tool could take it for another index.
    """

    __slots__ = ("install", "poetry", "publish", "uv")

    def __init__(
        self,
        publish: Access | None,
        install: Access | None,
        uv: str | None = None,
        poetry: str | None = None,
    ) -> None:
        self.publish = publish
        self.install = install
        self.uv = uv
        self.poetry = poetry


_UPLOADS = (
    ("TWINE_REPOSITORY_URL", "TWINE_USERNAME", "TWINE_PASSWORD"),
    ("UV_PUBLISH_URL", "UV_PUBLISH_USERNAME", "UV_PUBLISH_PASSWORD"),
    ("PDM_PUBLISH_REPO", "PDM_PUBLISH_USERNAME", "PDM_PUBLISH_PASSWORD"),
    ("HATCH_INDEX_REPO", "HATCH_INDEX_USER", "HATCH_INDEX_AUTH"),
    ("FLIT_INDEX_URL", "FLIT_USERNAME", "FLIT_PASSWORD"),
    ("MATURIN_REPOSITORY_URL", "MATURIN_USERNAME", "MATURIN_PASSWORD"),
)
"""URL, user name and secret, each with one value."""

_TOKENS = {"UV_PUBLISH_URL": "UV_PUBLISH_TOKEN", "MATURIN_REPOSITORY_URL": "MATURIN_PYPI_TOKEN"}
"""Which variable takes an API token, and excludes the user name (uv) or is read first (maturin)."""

_OTHERS = {
    *("TWINE_REPOSITORY", "MATURIN_REPOSITORY", "UV_PUBLISH_INDEX", "UV_PUBLISH_CHECK_URL"),
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"),
    *("PIP_INDEX_URL", "PIP_PYPI_URL", "PIP_EXTRA_INDEX_URL"),
    *("PDM_PYPI_URL", "PDM_PYPI_USERNAME", "PDM_PYPI_PASSWORD"),
}
"""What also names an index to one of the tools, or may hold a credential for one."""

_ONE_VALUE = {*_OTHERS, *_TOKENS.values(), *(name for names in _UPLOADS for name in names)}
_BY_NAME = re.compile(
    r"UV_INDEX_TOKEN_.+|UV_INDEX_.+_(USERNAME|PASSWORD)"
    r"|POETRY_(PYPI_TOKEN|HTTP_BASIC|REPOSITORIES)_.+"
)
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def speaks_of_an_index(variable: str) -> bool:
    """Tell whether a variable of this name could direct a tool to an index, or authenticate it.

    pip reads its variables in any case, so case makes no difference.
    """
    upper = variable.upper()
    return upper in _ONE_VALUE or _BY_NAME.fullmatch(upper) is not None


def variables(indexes: Sequence[Index]) -> dict[str, str]:
    """Return what the tools are to find, for the first index and the others."""
    found: dict[str, str] = {}
    if indexes and indexes[0].publish:
        found.update(_uploads(indexes[0].publish))
    for index in indexes:
        found.update(_poetry(index))
        if index.install and index.uv:
            found[f"UV_INDEX_{index.uv}_USERNAME"] = index.install.username
            found[f"UV_INDEX_{index.uv}_PASSWORD"] = index.install.secret
    if indexes and indexes[0].install:
        found["PIP_INDEX_URL"] = _with_user_info(indexes[0].install)
    if extra := [_with_user_info(index.install) for index in indexes[1:] if index.install]:
        found["PIP_EXTRA_INDEX_URL"] = " ".join(extra)
    return found


def child_environment(environ: Mapping[str, str], indexes: Sequence[Index]) -> dict[str, str]:
    """Return `environ` with the variables for these indexes and no other ones of their kind."""
    kept = {name: value for name, value in environ.items() if not speaks_of_an_index(name)}
    return kept | variables(indexes)


def _uploads(access: Access) -> Iterator[tuple[str, str]]:
    for url, username, secret in _UPLOADS:
        yield url, access.url
        if access.username == TOKEN_USER and url in _TOKENS:
            yield _TOKENS[url], access.secret
        else:
            yield username, access.username
            yield secret, access.secret


def _poetry(index: Index) -> Iterator[tuple[str, str]]:
    """Yield poetry's: it prefers a token for uploads, and has one account for them and installs."""
    access, name = index.publish, index.poetry
    if access is None or name is None:
        return
    yield f"POETRY_REPOSITORIES_{name}_URL", access.url
    if access.username == TOKEN_USER:
        yield f"POETRY_PYPI_TOKEN_{name}", access.secret
        access = index.install
    if access is not None:
        yield f"POETRY_HTTP_BASIC_{name}_USERNAME", access.username
        yield f"POETRY_HTTP_BASIC_{name}_PASSWORD", access.secret


def _with_user_info(access: Access) -> str:
    scheme, _, rest = access.url.partition("://")
    return f"{scheme}://{_quoted(access.username)}:{_quoted(access.secret)}@{rest}"


def _quoted(text: str) -> str:
    return "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"
        for byte in text.encode("utf-8", "surrogateescape")
    )
