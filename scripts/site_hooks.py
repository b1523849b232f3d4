"""What MkDocs does not do by itself: README.md as the home page, links that lead out of docs/.

Pages link to each other and to the checkout by relative paths, which work wherever the checkout is
shown. On the site a link to a file that is no page leads to the repository.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
HOME = "index.md"
_CODE = re.compile(r"`[^`\n]*`")
_CODE_IN_ROW = re.compile(r"(?m)(?<=^\|).*`.*")
_LINK = re.compile(r"(?<=\]\()(?!https?://|#)([^)\s#]+)(#[^)\s]*)?(?=\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the home page in the place of the list of pages, which here is the navigation."""
    if listing := files.get_file_from_path("README.md"):
        files.remove(listing)
    files.append(File.generated(config, HOME, abs_src_path=str(ROOT / "README.md")))
    return files


def on_page_markdown(markdown: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links that lead out of docs/, and code in tables."""
    source = page.file.src_uri
    folder = "" if source == HOME else posixpath.dirname(f"docs/{source}")

    def led(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[1]))
        anchor = match[2] or ""
        inside = HOME if target == "README.md" else target.removeprefix("docs/")
        if files.get_file_from_path(inside) and (inside == HOME or inside != target):
            return posixpath.relpath(inside, posixpath.dirname(source)) + anchor
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"{config.extra['repository']}/{kind}/main/{target}{anchor}"

    # Elsewhere a bar in a table's code is escaped; here it would be shown with its escape.
    rows = _CODE_IN_ROW.sub(
        lambda row: _CODE.sub(lambda code: code[0].replace("\\|", "|"), row[0]), markdown
    )
    return _LINK.sub(led, rows)
