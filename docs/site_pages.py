"""What the site needs beside docs/: a hook of MkDocs, named in mkdocs.yml.

Pages of the repository that lie elsewhere, README.md among them, are pages of the site too, beside those of docs/.
Links are written for the repository, where they work as they are, and are changed here to where a page is on the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "LICENSE.txt",
    "plugins/dreamsync/README.md": "plugin-dreamsync.md",
    "plugins/garden/README.md": "plugin-garden.md",
    "plugins/realrag/README.md": "plugin-realrag.md",
}
"""Files outside of docs/, and what they are called on the site, where all pages are in one folder."""
LINK = re.compile(r"""(?<=\]\()[^)\s#]+(?=[)#])|(?<=src=")[^"]+""")
TITLE = re.compile(r"^(```\w+) (\S+)$", re.MULTILINE)


def on_files(files: Any, config: Any) -> None:
    """Add the pages that lie elsewhere."""
    from mkdocs.structure.files import File

    for source, page in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Change links, and the file name behind the language of a code block, which becomes its title."""
    return TITLE.sub(r'\1 title="\2"', with_links(markdown, page.file.src_uri))


def with_links(markdown: str, page: str) -> str:
    """The text of a page of the site with the links of the repository changed into those of the site."""
    source = next((source for source, place in ELSEWHERE.items() if place == page), f"docs/{page}")

    def changed(link: re.Match[str]) -> str:
        if "://" in link[0]:
            return link[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[0]))
        if target in ELSEWHERE:
            return ELSEWHERE[target]
        return target.removeprefix("docs/") if target.startswith("docs/") else link[0]

    return LINK.sub(changed, markdown)
