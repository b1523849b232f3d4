"""The plug-ins of keyring that clouds document for their indexes, and whether the agent can load them.

It loads what is installed beside tokenward, and what keyringrc.cfg names. Nothing is imported to
find that out. Of other hosts nothing is known.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from importlib import metadata
from urllib.parse import urlsplit

from tokenward.keyring_program.agent_client import read_start
from tokenward.settings import directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

_AZURE: Final = ("artifacts_keyring", "artifacts-keyring")
_PLUGINS: Final = {
    "*.pkg.dev": ("keyrings.gauth", "keyrings.google-artifactregistry-auth"),
    "*.d.codeartifact.*.amazonaws.com": ("keyrings.codeartifact", "keyrings.codeartifact"),
    "pkgs.dev.azure.com": _AZURE,
    "*.pkgs.visualstudio.com": _AZURE,
}
"""By host: the module of a plug-in, and the package that has it."""


def missing_plugin(environ: Mapping[str, str], service: str) -> str | None:
    """Return the package of the plug-in for a service if the agent cannot load it, else None."""
    host = urlsplit(service).hostname or ""
    known = next((each for pattern, each in _PLUGINS.items() if fnmatchcase(host, pattern)), None)
    if known is None:
        return None
    module, package = known
    base = directories.config_base(environ, directories.home(environ))
    text = read_start(f"{base}/python_keyring/keyringrc.cfg").decode(errors="replace")
    # Also the line that `auth setup` made a comment.
    lines = [line for line in text.split("\n") if "default-keyring" in line]
    names = [line.partition("=")[2].strip() for line in lines]
    names += [each.value for each in metadata.entry_points(group="keyring.backends")]
    beginnings = (f"{module}.", f"{module}:")
    is_there = any(name == module or name.startswith(beginnings) for name in names)
    return None if is_there else package
