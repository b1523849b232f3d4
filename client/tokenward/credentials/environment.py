"""Credentials from environment variables, each bound to one service and never to another.

| variables | answer for |
| --- | --- |
| `UV_INDEX_TOKEN_<NAME>`, else `UV_INDEX_<NAME>_USERNAME` and `…_PASSWORD` | the URL of NAME |
| `UV_PUBLISH_TOKEN`, else `UV_PUBLISH_USERNAME` and `UV_PUBLISH_PASSWORD` | `UV_PUBLISH_URL`, else the publish URL of `UV_PUBLISH_INDEX`, else pypi |

NAME is defined by the user's own files, never by a project's: a checkout could name a URL of its
own and get the secret. A URL answers for itself and for what lies below it; the longest such URL
wins, and an index's own variables win over the general ones. A token's user name is `__token__`. A
variable does not answer if another user name is asked for; an empty one counts as not set. Pure:
the environment and the known names are arguments, and the names are read only if a variable needs
them.
"""

from __future__ import annotations

from tokenward.errors import CommandError
from tokenward_protocol.light import Record
from tokenward_protocol.urls import PYPI, ServiceError, parse_service_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tokenward.settings.service_names import Names

TOKEN_USER = "__token__"  # noqa: S105 - a user name


class BoundCredential(Record):
    """A credential of the environment, the service that it is for, and its variable."""

    key: str
    username: str
    secret: str
    variable: str


def find_in_environment(
    environ: Mapping[str, str],
    key: str,
    username: str | None,
    names: Callable[[], Names],
    say: Callable[[str], None] = lambda _: None,
) -> BoundCredential | None:
    """Return the credential of the environment that answers for `key` and `username`, or None.

    `names` returns the names in the user's own files; it is called only if a variable is named
    after an index, and its exceptions pass through. `say` gets a sentence for each variable that
    is set but answers for nothing.
    """
    able = [
        bound
        for bound in (
            *_index_credentials(environ, names, say),
            *_publish_credentials(environ, names, say),
        )
        if key.startswith(bound.key) and username in {None, bound.username}
    ]
    return max(able, key=lambda bound: len(bound.key), default=None)  # the first of equal ones


def _index_credentials(
    environ: Mapping[str, str], names: Callable[[], Names], say: Callable[[str], None]
) -> Iterator[BoundCredential]:
    given = {variable for variable in environ if environ[variable] and _names_an_index(variable)}
    if not given:
        return
    known = names().by_variable()
    for variable in sorted(given - {name for form in known for name in _variables_of(form)}):
        say(f"{variable} is not used: no file of yours has exactly one index of that name.")
    for form, service in known.items():
        for_token, for_password = _variables_of(form)
        if token := environ.get(for_token):
            yield BoundCredential(service.key, TOKEN_USER, token, for_token)
        user = environ.get(f"UV_INDEX_{form}_USERNAME")
        password = environ.get(for_password)
        if user and password:
            yield BoundCredential(service.key, user, password, for_password)
        elif password:
            say(f"{for_password} is not used: UV_INDEX_{form}_USERNAME is not set.")


def _publish_credentials(
    environ: Mapping[str, str], names: Callable[[], Names], say: Callable[[str], None]
) -> Iterator[BoundCredential]:
    token = environ.get("UV_PUBLISH_TOKEN")
    password = environ.get("UV_PUBLISH_PASSWORD")
    if not token and not password:
        return
    try:
        key, user = _publish_target(environ, names)
    except (CommandError, ServiceError) as error:
        say(f"UV_PUBLISH_TOKEN and UV_PUBLISH_PASSWORD are not used: {error}")
        return
    user = environ.get("UV_PUBLISH_USERNAME") or user
    if token:
        yield BoundCredential(key, TOKEN_USER, token, "UV_PUBLISH_TOKEN")
    if user and password:
        yield BoundCredential(key, user, password, "UV_PUBLISH_PASSWORD")
    elif password:
        say("UV_PUBLISH_PASSWORD is not used: UV_PUBLISH_USERNAME is not set.")


def _publish_target(
    environ: Mapping[str, str], names: Callable[[], Names]
) -> tuple[str, str | None]:
    if url := environ.get("UV_PUBLISH_URL"):
        service = parse_service_url(url)
        return service.key, service.username
    if name := environ.get("UV_PUBLISH_INDEX"):
        return names().resolve(name).publish_key, None
    return PYPI, None


def _variables_of(form: str) -> tuple[str, str]:
    return f"UV_INDEX_TOKEN_{form}", f"UV_INDEX_{form}_PASSWORD"


def _names_an_index(variable: str) -> bool:
    return variable.startswith("UV_INDEX_") and (
        variable.startswith("UV_INDEX_TOKEN_") or variable.endswith("_PASSWORD")
    )
