"""Credentials for uv's installs: in URLs, not by the names of indexes.

`UV_INDEX_<NAME>_PASSWORD` goes to any URL that some file gives NAME: a checkout's, a workspace
member's, a script's, one that we cannot read. So uv gets URLs with the credential in them, in
variables of lower rank than its settings: `UV_EXTRA_INDEX_URL` comes after their indexes and before
the default one, `UV_INDEX_URL` is the default index if they have none, and `uv add` writes neither
into a project. uv sends a credential of any of its indexes with each request below that URL, so an
index in the settings need not be replaced.

uv's settings are read here so that a lock file stays the same, not for safety:

| uv's settings | the URL goes |
| --- | --- |
| search it already | last, where it changes nothing |
| do not, or only for some packages; they have a default index | in the place of the default one, which theirs takes |
| likewise, without a default index | after PyPI |
| are not known: CMD reads others, or is not uv itself | last: uv may find packages there |

In the last case an index that no setting mentions is given only to uv. Pure: values in, values out.
"""

from __future__ import annotations

from tokenward.exec.environment import Access, with_user_info
from tokenward_protocol.urls import ServiceError, parse_service_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tokenward.settings.uv_toml import UvSettings

PYPI = "https://pypi.org/simple"
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
    pypi = [PYPI] if apart and is_known and not search.has_default else []
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
