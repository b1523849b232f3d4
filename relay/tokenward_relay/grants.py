"""What a run may do at an index: read below some paths, publish some projects, and no more.

A grant is for one origin. A request is held against all grants of its origin, in this order:

- READ: GET and HEAD below a *root*, by whole segments. The credential is added.
- PUBLISH: POST to exactly the upload path, without a query. form.py judges the form.
- PASS: any method but CONNECT and TRACE below a path that the user lets through as the tool sent it:
  with the tool's own credentials, never with ours.

A root may have the segment ANY, which stands for one segment without a slash in it. Where several
grants have a root for a path, the one that says most of it decides, as the longest path that holds a
credential does everywhere else.
"""

from __future__ import annotations

from operator import attrgetter
from typing import NamedTuple

from tokenward_relay.refusal import Refusal, excerpt
from tokenward_relay.target import parse_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Final, TypeAlias

    from tokenward_relay.target import Target

    Root: TypeAlias = tuple[bytes, ...]
    Roots: TypeAlias = tuple[Root, ...]

READ: Final = "read"
PUBLISH: Final = "publish"
PASS: Final = "pass"  # noqa: S105 - a way, not a password

ANY: Final = b"?*"
"""One segment of a root, whatever it is; no decoded segment has a question mark."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SIMPLE: Final = {b"simple", b"+simple"}


class Grant(NamedTuple):
    """What a run may do at one index.

    `host` is in lower case, an IPv6 address without brackets. `upload` is the one path of uploads as
    segments, of which an empty last one counts. `projects` may be published, by normalised names. If it
    is the tool's `own`, a publish goes with the credential that the tool sends, not with one of ours.
    """

    name: str
    scheme: str
    host: str
    port: int
    roots: Roots = ()
    passes: Roots = ()
    upload: Root | None = None
    projects: tuple[str, ...] = ()
    own: bool = False

    @property
    def whose(self) -> str:
        """Name the credential of its publishes, to a user."""
        return "the command's own credential" if self.own else "the stored credential"

    @property
    def authority(self) -> bytes:
        """The value of `Host` in a request to this index."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = self.port == _DEFAULT_PORTS[self.scheme]
        return (host if default else f"{host}:{self.port}").encode("ascii")

    def as_map(self) -> dict[str, Any]:
        """Return the grant in the types of the wire, which has no bytes."""
        return {
            **self._asdict(),
            "roots": [_texts(root) for root in self.roots],
            "passes": [_texts(root) for root in self.passes],
            "upload": None if self.upload is None else _texts(self.upload),
            "projects": list(self.projects),
        }

    @classmethod
    def from_map(cls, values: Mapping[str, Any]) -> Grant:
        """Read what `as_map` made. Raises KeyError, TypeError or ValueError for anything else."""
        upload, scheme = values["upload"], values["scheme"]
        if values.keys() != set(cls._fields) or scheme not in _DEFAULT_PORTS:
            raise ValueError("this is not a grant")
        return cls(
            str(values["name"]),
            scheme,
            str(values["host"]),
            int(values["port"]),
            tuple(map(_root_of, values["roots"])),
            tuple(map(_root_of, values["passes"])),
            None if upload is None else _root_of(upload),
            tuple(map(str, values["projects"])),
            values["own"] is True,
        )


def decide(grants: Sequence[Grant], method: bytes, target: Target) -> tuple[Grant, str]:
    """Return the grant that lets a request through, and how: READ, PUBLISH or PASS.

    `grants` are those of the origin, at least one. Raises Refusal: 403 for a read, 400 for a POST
    (maturin hides the text of a 403), 405 for other methods.
    """
    if method in {b"GET", b"HEAD"}:
        if found := _closest(grants, target.segments, attrgetter("roots")):
            return found, READ
    elif method == b"POST" and b"?" not in target.raw:
        here = [grant for grant in grants if grant.upload == target.segments]
        for grant in here:
            if grant.projects:
                return grant, PUBLISH
        if here:
            raise Refusal(
                400,
                f"this run may publish nothing to {here[0].name}",
                "`auth exec --project NAME`, without `--read-only`, lets a run publish NAME",
            )
    if method not in {b"CONNECT", b"TRACE"} and (
        found := _closest(grants, target.segments, attrgetter("passes"))
    ):
        return found, PASS
    raise _refusal(grants, method, target)


def _refusal(grants: Sequence[Grant], method: bytes, target: Target) -> Refusal:
    names = " or ".join(dict.fromkeys(grant.name for grant in grants))
    path = excerpt(target.raw.partition(b"?")[0])
    keys = f"in `[services.{grants[0].name}]` of config.toml"
    if method in {b"GET", b"HEAD"}:
        hint = f"`also-read` {keys} adds what a run may read, `pass` what it may do by itself"
        return Refusal(403, f"this run may not read {path} of {names}", hint)
    hint = f"`pass` {keys} lets requests through with the tool's own credentials"
    if method == b"POST":
        return Refusal(400, f"this run may not post to {path} of {names}", hint)
    return Refusal(405, f"this run may not {excerpt(method)} {path} of {names}", hint)


def _closest(
    grants: Sequence[Grant], segments: Root, roots: Callable[[Grant], Roots]
) -> Grant | None:
    """Return the grant with the root that says most of a path, None if no root has it."""
    having = [(grant, root) for grant in grants for root in roots(grant) if covers(root, segments)]
    return max(having, key=lambda pair: _weight(pair[1]))[0] if having else None


def covers(root: Root, segments: Root) -> bool:
    """Tell whether a path is `root` or lies below it. A coded slash is only ever the root's own."""
    front, below = segments[: len(root)], segments[len(root) :]
    return (
        len(front) == len(root)
        and all(
            found == want or (want == ANY and found != b"" and b"/" not in found)
            for found, want in zip(front, root, strict=True)
        )
        and not any(b"/" in segment for segment in below)
    )


def _weight(root: Root) -> tuple[int, int]:
    """Return how much a root says of a path: how many segments before any ANY, and in all."""
    return root.index(ANY) if ANY in root else len(root), len(root)


def read_roots(
    path: str, kind: str = "", also_read: Sequence[str] = (), credential: str = "/"
) -> Roots:
    """Return what a run may read for the index at `path` of an origin.

    A final `/simple` or `/+simple` is cut off, unless that leads above the path of the credential.
    `kind` is that of a server that keeps files elsewhere; `also_read` are paths that the user adds.
    Raises ValueError for a path that no request can have, and for an unknown kind.
    """
    own, least = _root(path), _root(credential)
    if own and own[-1].lower() in _SIMPLE and own[:-1][: len(least)] == least:
        own = own[:-1]
    if kind not in _KINDS:
        raise ValueError("this is not a kind of index")
    return tuple(dict.fromkeys([*_KINDS[kind](own), *map(_root, also_read)]))


def _gitlab(own: Root) -> Roots:
    """Return the package paths of GitLab: pages of a group link to files of its projects.

    An index at a project reads that project. Where the path is none of a package registry, it is no
    root at all: what else lies below /api/v4 is not for a run.
    """
    api = _before(own, (b"api", b"v4"))
    projects = (*api, b"api", b"v4", b"projects", ANY, b"packages", b"pypi")
    groups = (*api, b"api", b"v4", b"groups", ANY, b"-", b"packages", b"pypi")
    kind = own[len(api) + 2 : len(api) + 3]
    if own[-2:] != (b"packages", b"pypi"):
        return projects, groups
    return (own,) if kind == (b"projects",) else (own, projects)


def _azure(own: Root) -> Roots:
    """Return the paths of a feed of Azure Artifacts: its pages link to downloads by another name.

    That name is an id, of the feed and of its project; the organisation keeps its own.
    """
    if b"_packaging" not in own:
        return (*own, b"_packaging", ANY, b"pypi"), (*own, ANY, b"_packaging", ANY, b"pypi")
    above = _before(own, (b"_packaging",))
    files = (b"_packaging", ANY, b"pypi", b"download")
    by_id = [(*above[:-1], ANY, *files)] if len(above) > 1 else []
    return own, (*above, *files), *by_id


def _devpi(own: Root) -> Roots:
    """Return an index of devpi and the files of all: its pages link to those of its bases.

    `+f` has files that the server keeps, `+e` those that it gets from elsewhere.
    """
    server = own[:-2]
    return own, (*server, ANY, ANY, b"+f"), (*server, ANY, ANY, b"+e")


_KINDS: Final[dict[str, Callable[[Root], Roots]]] = {
    "": lambda own: (own,),
    "azure": _azure,
    "devpi": _devpi,
    "gitlab": _gitlab,
}


def _before(own: Root, mark: Root) -> Root:
    """Return what stands before `mark` in a path, () if it is not there."""
    at = (n for n in range(len(own)) if own[n : n + len(mark)] == mark)
    return own[: next(at, 0)]


def read_path(path: str) -> Root:
    """Return a path as segments; an empty last one stands for a final slash.

    Raises ValueError for a path that no request can have.
    """
    try:
        return parse_target(path.encode("utf-8")).segments
    except Refusal as refused:
        text = refused.text
    raise ValueError(text)


def _root(path: str) -> Root:
    segments = read_path(path)
    return segments if segments[-1] else segments[:-1]


def _texts(root: Root) -> list[str]:
    return [segment.decode("ascii") for segment in root]


def _root_of(texts: Iterable[str]) -> Root:
    return tuple(text.encode("ascii") for text in texts)
