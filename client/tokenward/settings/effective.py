"""All settings of one command: the files, which of them are obeyed, and what they choose.

Every file is read at most once, and only when a setting in it is needed.

| setting | chosen by the first that sets it |
| --- | --- |
| credentials directory | `TOKENWARD_DIR`, `config.toml`, a trusted project, user, system `uv.toml` |
| provider | the flag, `config.toml`, `UV_KEYRING_PROVIDER`, a trusted project, user, system `uv.toml` |
| names | `config.toml`, `~/.pypirc`, user and system `uv.toml`; then the project |
| names by which a variable may hold a secret | the same, without files at the working directory |

A checkout must not choose where a vault lies or which provider holds a secret. So a project that is
not trusted only defines names; what else it would choose is in `notices`. The user trusts exactly
one file, at one path and with one content (`auth trust DIR`); one changed byte ends that. Only the
path and a SHA-256 are stored, in `trusted.json` of the state directory, never the content. A
project file that cannot be read is in there, too, and defines nothing, as with uv; a broken file of
the user's own is an error.
"""

from __future__ import annotations

import os

from tokenward.errors import CommandError
from tokenward.files.own_folders import Memory
from tokenward.settings import config_toml as config
from tokenward.settings import directories, uv_toml
from tokenward.settings.service_names import Names
from tokenward_protocol.light import Record, once
from tokenward_protocol.messages import PROVIDERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenward.settings import pypirc
    from tokenward.settings.uv_toml import UvSettings


class Provider(Record):
    """A chosen provider; None lets the agent choose. Only a flag is `explicit`."""

    name: str | None
    chosen_by: str = ""
    explicit: bool = False


def settings_here(environ: Mapping[str, str]) -> Settings:
    """Return the settings for the working directory of this process."""
    try:
        cwd = os.getcwd()
    except OSError:  # the directory was removed meanwhile
        cwd = "/"
    return Settings(environ, cwd)


class Settings:
    """The settings for `environ` in the working directory `cwd` (absolute)."""

    def __init__(self, environ: Mapping[str, str], cwd: str) -> None:
        self.environ = environ
        self.cwd = cwd
        self._notices: list[str] = []
        self._project_is_broken = False
        self._project_is_judged = False

    @property
    def notices(self) -> list[str]:
        """The sentences for `-v` about the settings that were needed; this reads the project's."""
        if "_obeyed_uv" in vars(self) and not self._project_is_judged:
            self._project_is_judged = True
            self._judge_project()
        return self._notices

    @once
    def config(self) -> config.Config:
        """The user's config.toml."""
        return config.load_config(directories.config_file(self.environ))

    @once
    def pypirc(self) -> tuple[pypirc.Server, ...]:
        """The servers of ~/.pypirc."""
        from tokenward.settings.pypirc import load_pypirc

        return load_pypirc(f"{directories.home(self.environ)}/.pypirc")

    @once
    def project(self) -> UvSettings | None:
        """The project's uv settings, trusted or not."""
        try:
            return uv_toml.project_settings(self.environ, self.cwd)
        except CommandError as error:
            self._project_is_broken = True
            self._notices.append(f"{str(error).removesuffix('.')}, so it defines nothing here.")
            return None

    @once
    def names(self) -> Names:
        """All names in the user's files and the project's."""
        user = [*self.config.definitions, *(server.definition for server in self.pypirc)]
        user += [one for found in self._users_uv for one in found.definitions]
        return Names(user, self.project.definitions if self.project else ())

    @once
    def own_names(self) -> Names:
        """The names that bind variables: only those in the user's files, wherever the command runs.

        A project could make a variable's secret answer for a URL of its own. So could a file that
        the environment names by a path relative to the working directory.
        """
        found = [server.definition for server in self.pypirc]
        if _is_fixed(self.environ.get("TOKENWARD_CONFIG")):
            found = [*self.config.definitions, *found]
        if _is_fixed(self.environ.get("UV_CONFIG_FILE")):
            found += [one for file in self._users_uv for one in file.definitions]
        return Names(found)

    @once
    def uv(self) -> list[UvSettings] | None:
        """The settings that uv reads here, strongest first; None if some cannot be read."""
        project = self.project
        if self._project_is_broken:
            return None
        try:
            return [*([project] if project else []), *self._users_uv]
        except CommandError:
            return None

    @property
    def unnamed_indexes(self) -> list[str]:
        """The URLs of indexes without a name in the user's and the system's `uv.toml`."""
        return [url for found in self._users_uv for url in found.unnamed]

    @once
    def directories(self) -> directories.Directories:
        """The directories of the credentials and the state."""
        if self.environ.get("TOKENWARD_DIR"):
            return directories.locate(self.environ)
        said = [(self.config.auth_cache_dir, self.config.file)]
        if not said[0][0]:
            said = [(found.auth_cache_dir, found.file) for found in self._obeyed_uv]
        setting, file = next(((path, file) for path, file in said if path), (None, ""))
        return directories.locate(self.environ, setting, file)

    def provider(self, flag: str | None, has_foreign_keyring: Callable[[], bool]) -> Provider:
        """Choose the provider.

        `has_foreign_keyring` returns whether a `keyring` program other than ours is on PATH: uv's
        `subprocess` is about how uv reads, so only then it selects a provider here. Raises
        CommandError if the flag is not a provider.
        """
        if flag is not None:
            if flag not in PROVIDERS:
                raise CommandError(
                    "`--keyring-provider` is not a provider.",
                    f"it is one of {', '.join(PROVIDERS)}",
                )
            return Provider(flag, "--keyring-provider", explicit=True)
        if self.config.keyring_provider:
            return Provider(self.config.keyring_provider, self.config.file)
        said = [(self.environ.get("UV_KEYRING_PROVIDER"), "UV_KEYRING_PROVIDER")]
        if not said[0][0]:
            said = [(found.chosen_provider, found.file) for found in self._obeyed_uv]
        for name, source in said:
            if name in {"keyring", "disabled"} or (name == "subprocess" and has_foreign_keyring()):
                return Provider(name, source)
            if name:
                if name not in PROVIDERS:
                    self._notices.append(f"The provider in {source} is not known.")
                break
        return Provider(None)

    def trust(self, directory: str) -> tuple[str, bool]:
        """Trust the current settings in `directory`; return their file, and whether that is new.

        Raises CommandError if there are none, or if that cannot be recorded.
        """
        from pathlib import Path

        path = str(Path(self.cwd, directory))
        found = uv_toml.settings_in(path)
        if found is None:
            raise CommandError(f"{path} has neither uv.toml nor a pyproject.toml with [tool.uv].")
        if self._is_trusted(found):
            return found.file, False
        self._trusted.save(self._trusted.load() | {os.path.realpath(found.file): _digest(found)})
        return found.file, True

    def _is_trusted(self, settings: UvSettings) -> bool:
        return self._trusted.load().get(os.path.realpath(settings.file)) == _digest(settings)

    @once
    def _trusted(self) -> Memory:
        """Paths and digests of trusted files."""
        return Memory(f"{directories.state(self.environ)}/trusted.json")

    @once
    def _users_uv(self) -> list[UvSettings]:
        both = (
            uv_toml.user_settings(self.environ, directories.home(self.environ)),
            uv_toml.system_settings(self.environ),
        )
        return [found for found in both if found]

    @once
    def _obeyed_uv(self) -> list[UvSettings]:
        """The uv settings that may choose a directory or a provider, strongest first."""
        if not os.path.lexists(f"{directories.state(self.environ)}/trusted.json"):
            return self._users_uv  # no project is trusted, so this one is not read
        project = self.project
        if project is None or not (project.auth_cache_dir or project.keyring_provider):
            return self._users_uv
        return [project, *self._users_uv] if self._is_trusted(project) else self._users_uv

    def _judge_project(self) -> None:
        """Add a notice of what an untrusted project sets."""
        project = self.project
        if project is None or project in self._obeyed_uv:
            return
        keys = {
            "auth-cache-dir": project.auth_cache_dir,
            "keyring-provider": project.keyring_provider,
        }
        if said := " and ".join(key for key, value in keys.items() if value):
            folder = os.path.dirname(project.file)
            self._notices.append(f"{project.file} sets {said}, which needs `auth trust {folder}`.")


def _is_fixed(path: str | None) -> bool:
    """Return whether the working directory has no influence on which file this is."""
    return not path or os.path.isabs(path)


def _digest(settings: UvSettings) -> str:
    from hashlib import sha256

    return sha256(settings.data).hexdigest()
