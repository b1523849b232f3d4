"""Which file chooses directory and provider, and that a checkout chooses neither unasked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tokenward.errors import CommandError
from tokenward.settings.effective import Settings
from tokenward.settings.service_names import resolve

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = '[tool.uv]\nauth-cache-dir = "creds"\nkeyring-provider = "disabled"\n'


class Machine:
    """A home, a project below it, and no file of the real machine's."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.checkout = home / "src" / "checkout"
        self.checkout.mkdir(parents=True)
        self.environ = {"HOME": str(home), "XDG_CONFIG_DIRS": str(home / "xdg")}

    def write(self, path: str, text: str) -> str:
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return str(file)

    def config(self, text: str) -> str:
        return self.write(".config/tokenward/config.toml", text)

    def user_uv(self, text: str) -> str:
        return self.write(".config/uv/uv.toml", text)

    def system_uv(self, text: str) -> str:
        return self.write("xdg/uv/uv.toml", text)

    def project(self, text: str) -> str:
        return self.write("src/checkout/pyproject.toml", text)

    def settings(self, **environ: str) -> Settings:
        return Settings(self.environ | environ, str(self.checkout))

    def directory(self, **environ: str) -> str:
        return self.settings(**environ).directories.credentials

    def provider(self, *, foreign: bool = False, **environ: str) -> str | None:
        return self.settings(**environ).provider(None, lambda: foreign).name


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path.resolve())


def test_the_directory_is_chosen_by_the_first_that_says_so(machine: Machine) -> None:
    machine.system_uv('auth-cache-dir = "/from/system"')
    assert machine.directory() == "/from/system"
    machine.user_uv('auth-cache-dir = "/from/user"')
    assert machine.directory() == "/from/user"
    machine.config('auth-cache-dir = "~/from-config"')
    assert machine.directory() == str(machine.home / "from-config")
    assert machine.directory(TOKENWARD_DIR="/from/variable") == "/from/variable"


def test_the_directory_says_who_chose_it(machine: Machine) -> None:
    file = machine.config('auth-cache-dir = "/from/config"')
    assert machine.settings().directories.chosen_by == f"auth-cache-dir in {file}"


def test_the_provider_is_chosen_by_the_first_that_says_so(machine: Machine) -> None:
    assert machine.provider() is None
    machine.system_uv('keyring-provider = "keyring"')
    assert machine.provider() == "keyring"
    machine.user_uv('keyring-provider = "disabled"')
    assert machine.provider() == "disabled"
    assert machine.provider(UV_KEYRING_PROVIDER="keyring") == "keyring"
    machine.config('keyring-provider = "subprocess"')
    assert machine.provider(UV_KEYRING_PROVIDER="keyring") == "subprocess"


def test_seed_provider_is_keyring_subprocess_or_disabled(machine: Machine) -> None:
    for name in ("keyring", "subprocess", "disabled"):
        chosen = machine.settings().provider(name, lambda: False)
        assert (chosen.name, chosen.explicit) == (name, True)
    with pytest.raises(CommandError, match="--keyring-provider"):
        machine.settings().provider("native", lambda: False)


def test_only_a_flag_is_explicit(machine: Machine) -> None:
    file = machine.config('keyring-provider = "keyring"')
    chosen = machine.settings().provider(None, lambda: False)
    assert (chosen.explicit, chosen.chosen_by) == (False, file)


def test_subprocess_for_uv_selects_nothing_without_a_foreign_program(machine: Machine) -> None:
    assert machine.provider(UV_KEYRING_PROVIDER="subprocess") is None
    assert machine.provider(foreign=True, UV_KEYRING_PROVIDER="subprocess") == "subprocess"


def test_an_empty_provider_variable_is_not_set(machine: Machine) -> None:
    machine.user_uv('keyring-provider = "disabled"')
    assert machine.provider(UV_KEYRING_PROVIDER="") == "disabled"


def test_a_provider_that_only_uv_knows_is_said_and_selects_nothing(machine: Machine) -> None:
    settings = machine.settings(UV_KEYRING_PROVIDER="native")
    assert settings.provider(None, lambda: False).name is None
    assert "UV_KEYRING_PROVIDER" in settings.notices[0]


def test_a_checkout_chooses_neither_directory_nor_provider(machine: Machine) -> None:
    file = machine.project(HOSTILE)
    settings = machine.settings()
    assert settings.directories.credentials == settings.directories.ordinary
    assert settings.provider(None, lambda: False).name is None
    (notice,) = settings.notices
    assert notice == (
        f"{file} sets auth-cache-dir and keyring-provider, "
        f"which needs `auth trust {machine.checkout}`."
    )


def test_seed_project_settings_are_obeyed_once_trusted(machine: Machine) -> None:
    file = machine.project(HOSTILE)
    assert machine.settings().trust(".") == (file, True)
    assert machine.settings().trust(str(machine.checkout)) == (file, False)
    assert machine.directory() == str(machine.checkout / "creds")
    assert machine.provider() == "disabled"


def test_trust_ends_with_the_first_changed_byte(machine: Machine) -> None:
    machine.project(HOSTILE)
    machine.settings().trust(".")
    machine.project(HOSTILE + "\n")
    assert machine.provider() is None


def test_trust_is_for_one_place(machine: Machine) -> None:
    machine.project(HOSTILE)
    machine.settings().trust(".")
    machine.write("src/other/pyproject.toml", HOSTILE)
    other = Settings(machine.environ, str(machine.home / "src" / "other"))
    assert other.provider(None, lambda: False).name is None


def test_trust_is_remembered_in_a_private_file_without_content(machine: Machine) -> None:
    file = machine.project(HOSTILE)
    machine.settings().trust(".")
    memory = machine.home / ".local/state/tokenward/trusted.json"
    assert memory.stat().st_mode & 0o777 == 0o600
    assert memory.parent.stat().st_mode & 0o777 == 0o700
    assert list(json.loads(memory.read_text())) == [file]
    assert "creds" not in memory.read_text()
    assert [path.name for path in memory.parent.iterdir()] == ["trusted.json"]


@pytest.mark.parametrize("content", ["", "[]", "not json", '{"x": 1}', "[" * 60_000])
def test_a_damaged_memory_trusts_nothing(machine: Machine, content: str) -> None:
    machine.project(HOSTILE)
    machine.write(".local/state/tokenward/trusted.json", content)
    assert machine.provider() is None


def test_a_directory_without_settings_cannot_be_trusted(machine: Machine) -> None:
    with pytest.raises(CommandError, match=str(machine.checkout)):
        machine.settings().trust(".")


def test_names_come_from_every_file_in_order(machine: Machine) -> None:
    machine.config("[services.a]\nurl = 'https://a.example'")
    machine.write(
        ".pypirc",
        "[distutils]\nindex-servers = a b\n[a]\nrepository=https://x.example\n"
        "[b]\nrepository=https://b.example\n",
    )
    machine.user_uv("[[index]]\nname = 'c'\nurl = 'https://c.example'")
    machine.system_uv("[[index]]\nname = 'd'\nurl = 'https://d.example'")
    machine.project("[[tool.uv.index]]\nname = 'e'\nurl = 'https://e.example'")
    settings = machine.settings()
    assert settings.names.known_names() == ["pypi", "testpypi", "a", "b", "c", "d", "e"]
    found = {name: resolve(name, lambda: settings.names) for name in "abcde"}
    assert {name: service.key for name, service in found.items()} == {
        name: f"https://{name}.example/" for name in "abcde"
    }
    assert [name for name, service in found.items() if service.from_project] == ["e"]


def test_a_broken_project_file_is_said_and_defines_nothing(machine: Machine) -> None:
    file = machine.project("[tool.uv")
    settings = machine.settings()
    assert settings.names.known_names() == ["pypi", "testpypi"]
    assert settings.notices == [
        f"{file} is not valid TOML (at its end), so it defines nothing here."
    ]


def test_a_broken_file_of_the_users_own_is_an_error(machine: Machine) -> None:
    machine.user_uv("[[index")
    with pytest.raises(CommandError, match=r"uv\.toml is not valid TOML"):
        _ = machine.settings().names
