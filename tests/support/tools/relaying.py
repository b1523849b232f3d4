"""What each tool does behind a relay: one function each, with nothing set up but one login.

Each gets a stage before private indexes, and starts the real tool through `auth exec --relay`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import files_with
from support.servers.private_indexes_server import DEVPI, INDEX, SINGLE, STORED
from support.tools.environments import programs
from support.tools.installing import PYPROJECT as PROJECT
from support.tools.installing import WANTED
from support.tools.publishing import FLIT_PYPROJECT
from support.tools.tool_home import ALICE, SECRET, ToolHome
from support.tools.wheels import BUILT, MODULE, NAME, write_backend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from support.servers.devpi_server import DevpiServer
    from support.servers.private_indexes_server import Seen
    from support.systems.private_indexes import HomeInside, PrivateIndexes

    Done = CompletedProcess[str]

NAMED = f"""\
[services.ours]
url = "https://{INDEX}/simple/"
publish-url = "https://{INDEX}/"
username = "{ALICE}"
[services.elsewhere]
url = "https://{INDEX}/elsewhere/"
[services.single]
url = "https://{SINGLE}/simple/"
publish-url = "https://{SINGLE}/"
[services.repositories]
url = "https://{INDEX}/git/"
"""
SIMPLE = f"https://{INDEX}/simple/"
UV = {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}


class RelayStage(ToolHome):
    """A home in the network of private indexes, whose own variables name the authority there."""

    def __init__(self, home: HomeInside, indexes: PrivateIndexes, devpi: DevpiServer) -> None:
        super().__init__(home)
        self.indexes = indexes
        indexes.renew()
        self.devpi_server = devpi
        self.devpi = f"https://{DEVPI}/{devpi.renew()}/"
        trusted = str(indexes.authority)
        home.environment |= {"REQUESTS_CA_BUNDLE": trusted, "SSL_CERT_FILE": trusted}
        self.configure(f'ca = "{trusted}"\n{NAMED}[services.devpi]\nurl = "{self.devpi}"\n')

    def configure(self, text: str) -> None:
        """Write config.toml."""
        self.write(".config/tokenward/config.toml", text)

    def log_in_everywhere(self, secret: str = SECRET) -> None:
        """Log alice in at every host."""
        for host in (INDEX, DEVPI, SINGLE):
            self.log_in(f"https://{host}/", secret)

    def execute(
        self,
        environment: str,
        program: str,
        *arguments: str | Path,
        index: str = "ours",
        project: str = "",
        **variables: str,
    ) -> Done:
        """Run the tool behind a relay, in the project's folder; it may publish `project`."""
        tool = programs(environment) / program if environment else program
        named = ("--project", project) if project else ()
        command = (PROGRAMS / "auth", "exec", "--relay", "--index", index, *named, "--")
        return self.home.run(*command, tool, *arguments, cwd=str(self.project), **variables)

    def offer(self, wheel: Path) -> None:
        """Put something into the index, to be installed."""
        shutil.copy(wheel, self.indexes.packages)

    def asked(self) -> list[tuple[str, str]]:
        """Return method and path of what an index did with the stored credential."""
        return [(it.method, it.path) for it in self.indexes.seen() if was_let_in(it)]

    def installed(self) -> bool:
        """Tell whether the wheel is installed."""
        return any(self.home.path.glob(f"**/site-packages/{MODULE}"))

    def holding(self, text: str) -> list[Path]:
        """Return the files below the home that hold a text."""
        return files_with(self.home.path, text)


def was_let_in(request: Seen) -> bool:
    """Tell whether a request had the stored credential and the index did what it asks for."""
    return request.shown == STORED and request.status < 400


class Way(NamedTuple):
    """One thing that a tool does: `wants` are requests (patterns) of which the index sees each.

    `done` tells whether it is done; `lock` is the lock file that it writes, "" for none. `shows` is
    the folder where the tool logs its whole environment, the capability in it.
    """

    title: str
    run: Callable[[RelayStage], Done]
    done: Callable[[RelayStage], bool]
    wants: tuple[tuple[str, str], ...]
    lock: str = ""
    shows: str = ""


def publishing(*command: str, project: str = "") -> Callable[[RelayStage], Done]:
    """Return a way to run a command line that publishes."""

    def run(at: RelayStage) -> Done:
        (at.project / "pyproject.toml").write_text(FLIT_PYPROJECT)
        (at.project / MODULE).write_text('"""hello"""\n')
        return at.execute(command[0], *command, project=project)

    return run


def devpi_upload(at: RelayStage) -> Done:
    at.execute("devpi-client", "devpi", "use", at.devpi, index="devpi")
    upload = ("devpi", "upload", at.wheel)
    return at.execute("devpi-client", *upload, index="devpi", project=ONE_PROJECT)


def twine_to_devpi(at: RelayStage) -> Done:
    return at.execute("twine", "twine", "upload", "--non-interactive", at.wheel, index="devpi")


def hatch_to_a_single_label(at: RelayStage) -> Done:
    (at.project / "pyproject.toml").write_text(FLIT_PYPROJECT)
    return at.execute("hatch", "hatch", "publish", "-n", index="single")


def pip_install(at: RelayStage) -> Done:
    return _pip(at, "ours")


def pip_from_elsewhere(at: RelayStage) -> Done:
    return _pip(at, "elsewhere")


def pip_from_a_single_label(at: RelayStage) -> Done:
    return _pip(at, "single")


def _pip(at: RelayStage, index: str) -> Done:
    at.offer(at.wheel)
    target = str(at.home.path / "site-packages")
    return at.execute("pip", "pip", "install", "--target", target, "ward-greeting", index=index)


def pip_wheel(at: RelayStage) -> Done:
    _backend(at)
    return at.execute("pip", "pip", "wheel", "--no-deps", "-w", "dist", ".")


def pip_lock(at: RelayStage) -> Done:
    at.offer(at.wheel)
    return at.execute("pip", "pip", "lock", "ward-greeting")


def uv_pip_install(at: RelayStage) -> Done:
    at.offer(at.wheel)
    at.run("uv", "uv", "venv", "--quiet", **UV)
    return at.execute("uv", "uv", "pip", "install", "ward-greeting")


def uv_pip_compile(at: RelayStage) -> Done:
    at.offer(at.wheel)
    (at.project / "requirements.in").write_text("ward-greeting\n")
    words = ("pip", "compile", "--emit-index-annotation", "-o", "requirements.txt")
    return at.execute("uv", "uv", *words, "requirements.in", **UV)


def _uv_project(at: RelayStage, dependency: str = WANTED) -> None:
    at.offer(at.wheel)
    index = f'[[tool.uv.index]]\nname = "theirs"\nurl = "{SIMPLE}"\ndefault = true\n'
    always = 'authenticate = "always"\n'
    text = PROJECT.format(dependency=dependency) + index + always
    (at.project / "pyproject.toml").write_text(text)


def uv_sync(at: RelayStage) -> Done:
    _uv_project(at)
    return at.execute("uv", "uv", "sync", **UV)


def uv_add(at: RelayStage) -> Done:
    _uv_project(at, dependency="")
    return at.execute("uv", "uv", "add", "ward-greeting", **UV)


def uv_lock(at: RelayStage) -> Done:
    _uv_project(at)
    return at.execute("uv", "uv", "lock", **UV)


def uv_build(at: RelayStage) -> Done:
    _backend(at)
    return at.execute("uv", "uv", "build", "--wheel", **UV)


def poetry_lock(at: RelayStage) -> Done:
    at.offer(at.wheel)
    source = f'[[tool.poetry.source]]\nname = "theirs"\nurl = "{SIMPLE}"\npriority = "primary"\n'
    (at.project / "pyproject.toml").write_text(PROJECT.format(dependency=WANTED) + source)
    return at.execute("poetry", "poetry", "-n", "lock", **_POETRY)


def poetry_install(at: RelayStage) -> Done:
    done = poetry_lock(at)
    if done.returncode:
        return done
    return at.execute("poetry", "poetry", "-n", "install", "--no-root", **_POETRY)


_POETRY = {"POETRY_VIRTUALENVS_IN_PROJECT": "true"}


def _pdm_project(at: RelayStage) -> None:
    at.offer(at.wheel)
    source = f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{SIMPLE}"\n'
    text = PROJECT.format(dependency=WANTED) + "[tool.pdm]\ndistribution = false\n" + source
    (at.project / "pyproject.toml").write_text(text)
    at.run("pdm", "pdm", "venv", "create", sys.executable)


def pdm_lock(at: RelayStage) -> Done:
    _pdm_project(at)
    return at.execute("pdm", "pdm", "lock")


def pdm_install(at: RelayStage) -> Done:
    _pdm_project(at)
    return at.execute("pdm", "pdm", "install", "--no-self")


def _backend(at: RelayStage) -> None:
    at.offer(write_backend(at.home.path))
    backend = '[build-system]\nrequires = ["ward-backend"]\nbuild-backend = "ward_backend"\n'
    name = '[project]\nname = "ward-built"\nversion = "1.0"\n'
    (at.project / "pyproject.toml").write_text(backend + name)


def build_with_pip(at: RelayStage) -> Done:
    _backend(at)
    return at.execute("build-with-pip", "pyproject-build", "--wheel")


def build_with_uv(at: RelayStage) -> Done:
    _backend(at)
    words = ("pyproject-build", "--wheel", "--installer", "uv")
    return at.execute("build-with-uv", *words, UV_DEFAULT_INDEX=SIMPLE)


def hatch_build(at: RelayStage) -> Done:
    _backend(at)
    return at.execute("hatch", "hatch", "build", "-t", "wheel", UV_DEFAULT_INDEX=SIMPLE)


def hatch_run(at: RelayStage) -> Done:
    at.offer(at.wheel)
    environment = '[envs.default]\nskip-install = true\ndependencies = ["ward-greeting"]\n'
    (at.project / "hatch.toml").write_text(environment)
    (at.project / "pyproject.toml").write_text('[project]\nname = "it"\nversion = "1.0"\n')
    words = ("run", "python", "-c", "import ward_greeting")
    return at.execute("hatch", "hatch", *words, UV_DEFAULT_INDEX=SIMPLE)


def tox(at: RelayStage) -> Done:
    at.offer(at.wheel)
    (at.project / "tox.ini").write_text(
        "[tox]\nenv_list = py\nno_package = true\n[testenv]\ndeps = ward-greeting\n"
        "commands = python -c 'import ward_greeting'\n"
    )
    return at.execute("tox", "tox", "-e", "py")


def curl(at: RelayStage) -> Done:
    at.offer(at.wheel)
    url = f"https://{INDEX}/packages/{NAME}"
    return at.execute("", "curl", "-sSf", "-o", str(at.project / "got.whl"), url)


def git_clone(at: RelayStage) -> Done:
    bare = at.indexes.repositories / "it.git"
    alone = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    who = ("-c", "user.name=it", "-c", "user.email=it@h.example")
    source = at.home.path / "source"
    for words in (
        ("init", "-q", str(source)),
        ("-C", str(source), *who, "commit", "-q", "--allow-empty", "-m", "first"),
        ("clone", "-q", "--bare", str(source), str(bare)),
        ("-C", str(bare), "update-server-info"),
    ):
        subprocess.run(["git", *words], env={"PATH": "/usr/bin:/bin", **alone}, check=True)
    url = f"https://{INDEX}/git/it.git"
    return at.execute("", "git", "clone", "-q", url, "cloned", index="repositories")


def published(at: RelayStage) -> bool:
    """Tell whether the wheel has arrived."""
    return (at.indexes.packages / NAME).exists()


def on_devpi(at: RelayStage) -> bool:
    """Tell whether the wheel has arrived at devpi."""
    return at.devpi_server.holds(NAME)


def _built(at: RelayStage) -> bool:
    return (at.project / "dist" / BUILT).exists()


def _has(file: str) -> Callable[[RelayStage], bool]:
    return lambda at: (at.project / file).exists()


UPLOAD = (("POST", "/"),)
DEVPI_UPLOAD = ("POST", r"/alice/index\d+/")
ONE_PROJECT = "ward-greeting"
PAGE = ("GET", "/simple/ward-greeting/")
FILE = ("GET", f"/packages/{NAME}")
READ = (PAGE, FILE)
BUILD = (("GET", "/simple/ward-backend/"),)
DIST = f"dist/{NAME}"

WAYS = [
    Way(
        "twine upload", publishing("twine", "upload", "--non-interactive", DIST), published, UPLOAD
    ),
    Way("twine upload to devpi", twine_to_devpi, on_devpi, (DEVPI_UPLOAD,)),
    Way("devpi upload", devpi_upload, on_devpi, (("GET", r"/alice/index\d+/\+api"), DEVPI_UPLOAD)),
    Way("uv publish", publishing("uv", "publish"), published, UPLOAD),
    Way(
        "poetry publish",
        publishing("poetry", "publish", "-n", "-r", "ours"),
        published,
        UPLOAD,
    ),
    Way("pdm publish", publishing("pdm", "publish", "--no-build"), published, UPLOAD),
    Way("hatch publish", publishing("hatch", "publish", "-n"), published, UPLOAD),
    Way("hatch publish to a single label", hatch_to_a_single_label, published, UPLOAD),
    Way(
        "flit publish",
        publishing("flit", "publish", "--format", "wheel", project=ONE_PROJECT),
        published,
        UPLOAD,
    ),
    Way(
        "maturin upload",
        publishing("maturin", "upload", "--non-interactive", DIST),
        published,
        UPLOAD,
    ),
    Way("pip install", pip_install, RelayStage.installed, READ),
    Way("pip install from a single label", pip_from_a_single_label, RelayStage.installed, READ),
    Way(
        "pip install of files elsewhere",
        pip_from_elsewhere,
        RelayStage.installed,
        (("GET", "/elsewhere/ward-greeting/"),),
    ),
    Way("pip wheel", pip_wheel, _built, BUILD),
    Way("pip lock", pip_lock, _has("pylock.toml"), (PAGE,), "pylock.toml"),
    Way("uv pip install", uv_pip_install, RelayStage.installed, READ),
    Way("uv pip compile", uv_pip_compile, _has("requirements.txt"), (PAGE,), "requirements.txt"),
    Way("uv sync", uv_sync, RelayStage.installed, READ, "uv.lock"),
    Way("uv add", uv_add, RelayStage.installed, READ, "uv.lock"),
    Way("uv lock", uv_lock, _has("uv.lock"), (PAGE,), "uv.lock"),
    Way("uv build", uv_build, _built, BUILD),
    Way("poetry lock", poetry_lock, _has("poetry.lock"), (PAGE,), "poetry.lock"),
    Way("poetry install", poetry_install, RelayStage.installed, READ, "poetry.lock"),
    Way("pdm lock", pdm_lock, _has("pdm.lock"), (PAGE,), "pdm.lock"),
    Way("pdm install", pdm_install, RelayStage.installed, READ, "pdm.lock"),
    Way("build with pip", build_with_pip, _built, BUILD),
    Way("build with uv", build_with_uv, _built, BUILD),
    Way("hatch build", hatch_build, _built, BUILD),
    Way("hatch run", hatch_run, RelayStage.installed, READ),
    Way("tox", tox, RelayStage.installed, READ, shows=".tox/py/log"),
    Way("curl", curl, _has("got.whl"), (FILE,)),
    Way("git clone", git_clone, _has("cloned/.git"), (("GET", "/git/it.git/HEAD"),)),
]
