"""Whether tools find tokenward: what `auth setup` wrote, and whether it still leads here.

A keyringrc.cfg that names a missing module is a problem, because it makes the keyring library fail
in every tool. The other cases are warnings: tools get credentials in another way, or none.
"""

from __future__ import annotations

import os
import sys

from tokenward.checks.finding import ok, problem, warning
from tokenward.errors import CommandError
from tokenward.keyring_program import standalone
from tokenward.settings import directories
from tokenward.setup import ini, kept_away, keyring_part, parts
from tokenward.setup.step import UneditableFileError, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenward.checks.finding import Finding

CHECK = "tools"


def findings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Examine the environment, keyringrc.cfg, its module, and the program on PATH."""
    for message, hint in kept_away.problems(environ):
        yield warning(CHECK, message, hint)
    path = keyring_part.configuration(parts.config_folder(environ))
    try:
        text = read_text(path)
        said = ini.parse(text or "")
    except UneditableFileError:
        yield problem(CHECK, f"{path} cannot be parsed.", "correct it, then `auth setup`")
        return
    except CommandError as error:
        yield problem(CHECK, str(error), error.hint or f"`ls -l {path}`")
        return
    backend = said.get("backend", "default-keyring", fallback="").strip()
    if not backend:
        yield warning(
            CHECK, "Tools find tokenward only if it is installed beside them.", "`auth setup`"
        )
        return
    if backend != keyring_part.BACKEND:
        yield warning(
            CHECK, f"{path} names another backend, so tools do not ask tokenward.", "`auth setup`"
        )
        return
    yield _module(path, said.get("backend", "keyring-path", fallback="").strip())
    if os.path.lexists(keyring_part.program_path(directories.home(environ))) and (
        found := parts.program_problem(environ)
    ):
        yield warning(CHECK, *found)


def _module(path: str, folder: str) -> Finding:
    module = f"{os.path.expanduser(folder)}/{standalone.MODULE}.py"
    try:
        text = read_text(module)
    except CommandError as error:
        return problem(CHECK, str(error), error.hint or f"`ls -l {module}`")
    if text is None:
        return problem(CHECK, f"{path} names the missing module {module}.", "`auth setup`")
    if text != standalone.module(sys.executable):
        return warning(
            CHECK, f"{module} is from another installation or version of tokenward.", "`auth setup`"
        )
    return ok(CHECK, f"{path} makes the keyring library ask tokenward.")
