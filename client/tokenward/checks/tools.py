"""Whether tools find tokenward by what `auth setup` wrote, and which of them keep secrets in files.

A keyringrc.cfg that names a missing module is a problem, because it makes the keyring library fail
in every tool. The other cases are warnings: tools get credentials in another way, or none.

Credentials in plain text are named by place, never by value. A file of those that `auth import`
reads is a problem if other users can read it, else a warning: every program of the user and every
backup has it.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from glob import escape, glob

from tokenward import sources
from tokenward.checks import ok, problem, warning
from tokenward.errors import CommandError
from tokenward.files import ini
from tokenward.files.draft import UneditableFileError
from tokenward.keyring_program import standalone
from tokenward.settings import directories
from tokenward.setup import keyring_part, parts
from tokenward.setup.work import read_text
from tokenward.sources.document import open_document
from tokenward.ui.formatting import join_words
from tokenward_os.files import open_to_others
from tokenward_protocol.urls import PAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tokenward.checks import Finding
    from tokenward.sources.found import KnownIndexes


CHECK = "tools"


def tool_findings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Examine the environment, keyringrc.cfg, its module, and the program on PATH."""
    for message, hint in keyring_part.variable_problems(environ):
        yield warning(CHECK, message, hint)
    path = keyring_part.configuration(directories.config_base(environ, directories.home(environ)))
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


ASKING_PIP = (26, 2)
"""The first pip that asks a keyring for the user name of an index."""


def pip_findings(environ: Mapping[str, str], stored: Iterable[str]) -> Iterator[Finding]:
    """Report each pip at hand that asks for no user name, if an index of the `stored` needs that.

    The version is read from the name of a folder; no pip is run.
    """
    if not any("://" in service and service not in PAGES for service in stored):
        return
    folders = [f"{environ['VIRTUAL_ENV']}/bin"] if environ.get("VIRTUAL_ENV") else []
    folders += [folder for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    found = [f"{folder}/pip" for folder in folders if os.access(f"{folder}/pip", os.X_OK)]
    for program in dict.fromkeys(found[:2]):
        version = _pip_version(os.path.dirname(os.path.dirname(program)))
        if version and tuple(map(int, version.split(".")[:2])) < ASKING_PIP:
            yield warning(
                "pip",
                f"{program} is pip {version}, which asks no keyring without a user name in the URL.",
                "`auth exec --index URL -- pip install ...`, or a newer pip in an environment",
            )


def _pip_version(prefix: str) -> str:
    """Return the version of the pip that is installed in an environment, or ""."""
    libraries = (
        "lib/python3/dist-packages",
        "lib/python3*/dist-packages",
        "lib/python3*/site-packages",
    )
    for library in libraries:
        for folder in sorted(glob(f"{escape(prefix)}/{library}/pip-*.dist-info")):
            version = os.path.basename(folder).removeprefix("pip-").removesuffix(".dist-info")
            if re.fullmatch(r"\d+\.\d+[.\w]*", version):
                return version
    return ""


PLAIN_TEXT = "plain text"


def plaintext_findings(
    environ: Mapping[str, str], home: str, known: KnownIndexes
) -> Iterator[Finding]:
    """Examine the files of other tools; `known` are the user's indexes."""
    found = False
    for name, source in sources.FILES.items():
        for path in sources.paths(name, environ, home):
            try:
                document = open_document(name, path, known, source.look)
            except CommandError as error:
                yield warning(PLAIN_TEXT, str(error), error.hint or f"`ls -l {shlex.quote(path)}`")
                continue
            places = [one.place for one in document.found if not one.foreign] if document else []
            if places:
                found = True
                yield _plaintext_finding(name, path, list(dict.fromkeys(places)))
    if not found:
        names = join_words(list(sources.FILES))
        yield ok(PLAIN_TEXT, f"The files of {names} hold no credential for an index.")


def _plaintext_finding(source: str, path: str, places: list[str]) -> Finding:
    message = f"{path} holds the secret of {join_words(places)} in plain text"
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if open_to_others(mode):
        return problem(
            PLAIN_TEXT,
            f"{message}, and other users can read it (mode {mode:o}).",
            f"`chmod 600 {shlex.quote(path)}`, then `auth import {source} --remove`",
        )
    return warning(PLAIN_TEXT, f"{message}.", f"`auth import {source} --remove`")
