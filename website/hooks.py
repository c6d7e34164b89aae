"""Hooks of MkDocs: pages outside `docs/`, the start of README on the home page, and the dashboard's colours.

Links are written for the files of the repository, so that pages read well without the site. A file outside `docs/` that
a page links to is part of the site under `project/`, with its own path.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from pgmq_gateway.dashboard.parts.theme import COLOURS, ICON

REPOSITORY = Path(__file__).parents[1]
OUTSIDE = "project/"
# The part of README that the home page begins with.
START_OF_README = re.compile(r"\A# .*?\n(.*?)^## Documentation$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\]\(|src=\")(?!\w+:)([^)#\s\"]+)")
OUTPUT = re.compile(r"^ *<!-- output.*? ?-->\n( *```)(\w+)$", re.MULTILINE)
COMMENT = re.compile(r"^ *<!--.*?-->\n", re.MULTILINE | re.DOTALL)
# Variables of the theme, with the dashboard's names.
VARIABLES = {
    "default-bg-color": "page",
    "default-fg-color": "text",
    "default-fg-color--light": "muted",
    "default-fg-color--lighter": "line",
    "default-fg-color--lightest": "line",
    "primary-fg-color": "surface",
    "primary-fg-color--light": "surface",
    "primary-fg-color--dark": "surface",
    "primary-bg-color": "text",
    "primary-bg-color--light": "muted",
    "accent-fg-color": "accent",
    "typeset-color": "text",
    "typeset-a-color": "accent",
    "typeset-table-color": "line",
    "code-bg-color": "raised",
    "code-fg-color": "text",
    "code-hl-string-color": "good",
    "code-hl-keyword-color": "accent",
    "code-hl-number-color": "bad",
    "code-hl-special-color": "bad",
    "code-hl-function-color": "delayed",
    "code-hl-constant-color": "delayed",
    "code-hl-name-color": "text",
    "code-hl-operator-color": "muted",
    "code-hl-punctuation-color": "muted",
    "code-hl-comment-color": "muted",
    "code-hl-generic-color": "muted",
    "code-hl-variable-color": "muted",
    "footer-bg-color": "surface",
    "footer-bg-color--dark": "surface",
    "footer-fg-color": "text",
    "footer-fg-color--light": "muted",
    "footer-fg-color--lighter": "muted",
}
SCHEMES = ("default", "slate")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside `docs/` that pages link to, and those that these link to."""
    files.append(File.generated(config, "assets/colours.css", content=colours()))
    files.append(File.generated(config, "assets/logo.svg", abs_src_path=str(ICON)))
    waiting = [file.src_uri for file in files.documentation_pages()]
    while waiting:
        uri = waiting.pop()
        text = FENCE.sub("", _path(uri).read_text())
        for _, link in LINK.findall(text):
            target = _target(posixpath.dirname(_repository_path(uri)), link)
            if target.startswith(OUTSIDE) and _path(target).is_file() and not files.get_file_from_path(target):
                files.append(File.generated(config, target, abs_src_path=str(_path(target))))
                if target.endswith(".md"):
                    waiting.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Lead links to where the site has their files, leave out comments, and put README's start on the home page."""
    uri = page.file.src_uri
    text = _for_site(markdown, uri, posixpath.dirname(_repository_path(uri)))
    if uri != "index.md":
        return text
    found = START_OF_README.match((REPOSITORY / "README.md").read_text())
    assert found, "README has no section Documentation"
    page.meta["hide"] = ["navigation"]
    title, _, rest = text.partition("\n")
    return "\n".join([title, _for_site(found[1], uri, ""), rest])


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001
    """Name the theme's search dialog for screen readers."""
    return output.replace('role="dialog">', 'role="dialog" aria-label="Search">', 1)


def colours() -> str:
    """A style sheet with the dashboard's colours, in light and dark."""
    schemes = []
    for index, scheme in enumerate(SCHEMES):
        lines = [f"  --md-{name}: {COLOURS[own][index]};" for name, own in VARIABLES.items()]
        schemes.append(f"[data-md-color-scheme={scheme}] {{\n" + "\n".join(lines) + "\n}\n")
    return "".join(schemes)


def _for_site(markdown: str, uri: str, folder: str) -> str:
    """Markdown whose links start at a folder of the repository, for a page of the site."""

    def lead(match: re.Match[str]) -> str:
        return match[1] + posixpath.relpath(_target(folder, match[2]), posixpath.dirname(uri) or ".")

    parts = FENCE.split(OUTPUT.sub(r"\1 { .\2 .output }", markdown))
    return "".join(part if FENCE.match(part) else COMMENT.sub("", LINK.sub(lead, part)) for part in parts)


def _target(folder: str, link: str) -> str:
    """The path in the site of a link from a file in a folder of the repository."""
    path = posixpath.normpath(posixpath.join(folder, link))
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    # MkDocs takes a README for the start of its section.
    return OUTSIDE + (path.removesuffix("/README.md") + ".md" if path.endswith("/README.md") else path)


def _repository_path(uri: str) -> str:
    if not uri.startswith(OUTSIDE):
        return f"docs/{uri}"
    path = uri.removeprefix(OUTSIDE)
    return path if (REPOSITORY / path).exists() else path.removesuffix(".md") + "/README.md"


def _path(uri: str) -> Path:
    return REPOSITORY / _repository_path(uri)
