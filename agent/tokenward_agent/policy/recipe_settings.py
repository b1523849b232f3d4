"""The recipes in the user's `config.toml`: which commands make credentials.

    [services.corp]
    url = "https://europe-python.pkg.dev/corp/python/simple/"
    username = "oauth2accesstoken"
    command = ["/usr/bin/gcloud", "config", "config-helper", "--format=json(credential)"]

The keys are those of recipes.py. No project's file and no request can set them. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_protocol.messages import COMMAND
from tokenward_protocol.recipes import KEYS, Recipe, RecipeError, read_recipe
from tokenward_protocol.urls import ServiceError, parse_service_url, strip_index_suffix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class ConfiguredRecipe(NamedTuple):
    """The recipe for an account: `service` is a key, `name` that of its table."""

    service: str
    username: str
    recipe: Recipe
    name: str


def read_recipe_settings(table: Mapping[str, Any]) -> tuple[ConfiguredRecipe, ...]:
    """Return the recipes of a parsed config.toml.

    Raises ValueError with the problem, worded to follow the file's name.
    """
    services = table.get("services", {})
    found: dict[tuple[str, str], ConfiguredRecipe] = {}
    for name, entry in services.items() if isinstance(services, dict) else ():
        if not isinstance(entry, dict) or not any(key in entry for key in KEYS):
            continue
        shown = f"`services.{name}`" if name.isidentifier() else "service"
        try:
            if COMMAND not in entry:
                raise RecipeError(COMMAND, "is missing beside the other keys of a recipe")
            recipe = read_recipe(entry)
            username = entry.get("username")
            if not isinstance(username, str):
                raise RecipeError("username", "is missing beside `command`")
        except RecipeError as error:
            raise ValueError(f"has a {shown} whose `{error.key}` {error}") from None
        for key in ("url", "publish-url"):
            if isinstance(url := entry.get(key), str):
                try:
                    service = strip_index_suffix(parse_service_url(url).key)
                except ServiceError:
                    raise ValueError(f"has a {shown} whose `{key}` is not a URL") from None
                found[service, username] = ConfiguredRecipe(service, username, recipe, name)
    return tuple(found.values())
