"""Hooks of mkdocs: pages that stand outside of docs/, pages made from files and docstrings, and links between them.

A page of the repository links to files as they lie there (`../README.md`), so that it reads well without the site; here
these links are turned into links between pages. A file that is no page is named, not linked.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

import cards  # noqa: E402
import reference  # noqa: E402

OUTSIDE = {  # page of the site: file of the repository
    "overview.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "sources.md": "assets/SOURCES.md",
}
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
CODE = re.compile(r"^( *)```.*?^\1```|`[^`\n]*\]\([^`\n]*`", re.DOTALL | re.MULTILINE)


def slug(heading: str, separator: str) -> str:
    """The anchor of a heading as repositories show it, so that one link serves both."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", separator)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    config.mdx_configs["toc"]["slugify"] = slug
    models = next(entry for entry in config.nav or () if "Models" in entry)
    models["Models"] = [{title: page} for page, (title, _) in cards.pages().items()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    made = {page: (ROOT / source).read_text(encoding="utf-8") for page, source in OUTSIDE.items()}
    made |= {page: text for page, (_, text) in cards.pages().items()} | reference.pages()
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    here = page.file.src_uri
    in_repository = OUTSIDE.get(here, f"docs/{here}")
    pieces, at = [], 0
    for code in CODE.finditer(markdown):  # links within code are none
        pieces += [relinked(markdown[at : code.start()], here, in_repository), code[0]]
        at = code.end()
    return "".join([*pieces, relinked(markdown[at:], here, in_repository)])


def relinked(text: str, here: str, in_repository: str) -> str:
    """A stretch of a page with its links between files turned into links between pages."""

    def link(match: re.Match[str]) -> str:
        target, _, anchor = match["target"].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(in_repository), target))
        page = page_of(file)
        if page is None:
            return f"{match['text']} (`{file}`)" if (ROOT / file).exists() else match[0]  # mkdocs says what is wrong
        relative = posixpath.relpath(page, posixpath.dirname(here) or ".")
        return f"{match['image']}[{match['text']}]({relative}{'#' + anchor if anchor else ''})"

    return LINK.sub(link, text)


def page_of(file: str) -> str | None:
    """The page, or picture, that a file of the repository is on the site."""
    for page, source in OUTSIDE.items():
        if source == file:
            return page
    return file.removeprefix("docs/") if file.startswith("docs/") else None


FETCHED = re.compile(r"<(?:script|img|iframe|source)[^>]*src=\"https?://[^>]*>|<link[^>]*href=\"https?://[^>]*>")


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """A page may link to other sites, and fetches nothing from them; PluginError where it would."""
    found = FETCHED.search(output)
    if found:
        raise PluginError(f"{page.file.src_uri} would fetch {found[0]}")
    return output
