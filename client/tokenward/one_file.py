"""A module with all that it needs of this package, as the text of one file.

`auth share --near-end` prints exec/near_end.py so, and `auth setup keyring` writes keyring_backend.py
so. There is one source: from each module the file takes the definitions that are needed, and what
those need in turn, in the order of the modules. Imports for type checkers are left out.

Refused is what the file could not have: a module as a whole, and two needed definitions of one name.
Pure, but it reads the sources.
"""

from __future__ import annotations

import ast
import os
from graphlib import TopologicalSorter
from textwrap import dedent

import tokenward_os
import tokenward_protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGES = {
    "tokenward": os.path.dirname(__file__),
    "tokenward_os": os.path.dirname(tokenward_os.__file__),
    "tokenward_protocol": os.path.dirname(tokenward_protocol.__file__),
}

_HEAD = '''\
{before}"""{docstring}
"""

from __future__ import annotations

{imports}
'''


class _Source:
    """One module: its definitions at the top level by name, and what it imports."""

    def __init__(self, name: str) -> None:
        with open(_path_of(name), encoding="utf-8") as file:
            text = file.read()
        tree = ast.parse(text)
        self._lines = text.splitlines(keepends=True)
        self.docstring = ast.get_docstring(tree, clean=False) or ""
        self.needed: set[str] = set()
        self.nodes = {name: node for node in _at_run_time(tree) for name in _defined_names(node)}
        self.ours: dict[str, tuple[str, str]] = {}  # what comes from which of our modules
        self._others: dict[str, str] = {}  # what comes from the standard library, by which line
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in _PACKAGES:
                self.ours |= {each.name: (str(node.module), each.name) for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
                for each in node.names:
                    self._others[each.name] = f"from {node.module} import {each.name}"
            elif isinstance(node, ast.Import):
                for each in node.names:
                    self._others[each.name.partition(".")[0]] = f"import {each.name}"

    def text(self) -> str:
        """Return the needed definitions."""
        nodes = {id(node): node for name, node in self.nodes.items() if name in self.needed}
        return "".join(map(self._text_of, sorted(nodes.values(), key=lambda node: node.lineno)))

    def _text_of(self, node: ast.stmt) -> str:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(each.lineno for each in decorators)])
        text = dedent("".join(self._lines[first - 1 : node.end_lineno]))
        return text if isinstance(node, ast.Assign | ast.AnnAssign) else f"\n\n{text}"

    def used_names(self) -> set[str]:
        """Return the names that the needed definitions use."""
        return {used for name in self.needed for used in _used_names(self.nodes[name])}

    def imports(self) -> set[str]:
        """Return the imports of the standard library that the needed definitions use."""
        used = self.used_names()
        return {line for name, line in self._others.items() if name in used}


def _at_run_time(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield what stands at the top level, with what only type checkers do not see."""
    for node in tree.body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name):
            yield from node.orelse
        else:
            yield node


def one_file(module: str, entry: str, before: str) -> str:
    """Return the definition `entry` of a module, with the module's docstring, behind comments.

    Raises LookupError if a needed name is not defined where it comes from, or twice.
    """
    sources: dict[str, _Source] = {}

    def need(where: str, name: str) -> None:
        if where not in sources:
            sources[where] = _Source(where)
        source = sources[where]
        if name not in source.nodes:
            raise LookupError(f"{where} does not define {name}")
        if name in source.needed:
            return
        source.needed.add(name)
        for used in sorted(_used_names(source.nodes[name])):
            if used in source.ours:
                need(*source.ours[used])
            elif used in source.nodes:
                need(where, used)

    need(module, entry)
    order = TopologicalSorter(
        {
            where: sorted({source.ours[n][0] for n in source.used_names() & source.ours.keys()})
            for where, source in sources.items()
        }
    ).static_order()
    parts = [sources[where] for where in order]
    needed = [name for part in parts for name in part.needed]
    if twice := {name for name in needed if needed.count(name) > 1}:
        raise LookupError(f"defined twice: {', '.join(sorted(twice))}")
    head = _HEAD.format(
        before=before,
        docstring=sources[module].docstring.rstrip("\n"),
        imports="\n".join(sorted({line for part in parts for line in part.imports()})),
    )
    return head + "\n".join(part.text() for part in parts)


def _path_of(module: str) -> str:
    package, *inside = module.split(".")
    path = "/".join([_PACKAGES[package], *inside])
    return f"{path}/__init__.py" if os.path.isdir(path) else f"{path}.py"


def _defined_names(node: ast.stmt) -> list[str]:
    """Return what a statement at the top level defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    walked = (each for target in targets for each in ast.walk(target))
    return [each.id for each in walked if isinstance(each, ast.Name)]


def _used_names(node: ast.stmt) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
