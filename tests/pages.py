"""Pages of the documentation, read as Markdown. `tests/walk.py` runs their fenced blocks in order, as a reader would.

- `sh` runs as it stands, in one bash for the page: variables, functions and the folder stay, an error is fatal.
- `sql` runs in psql, as the owner of the database. If a block has "reload schema", the walk waits for the reload.
- `python`, `js` and `ts` are programs of their own. Node.js finds the packages of tests/clients/node.

Comments before a block, which readers do not see, steer the walk. They apply to the next block only:

    <!-- file: worker.py -->         save the block under this name instead of running it; a later block runs it, as in
                                     `python worker.py` or `node worker.ts`. In any language
    <!-- background -->              run it beside the following ones, as in a second terminal; stopped at the end
    <!-- output -->                  the block is the output of the last one that ran; … is any text, alone on a
                                     line any number of lines. In any language
    <!-- output of: worker.py -->    the same, for the last block that contains this text
    <!-- not run: REASON -->         leave the block out; tests/clients/test_pages.py counts these

The output of a background block is awaited. Two comments stand for themselves:

    <!-- run: COMMANDS -->           shell commands that readers do not see, such as a check of the rows left behind;
                                     can have several lines
    <!-- walked by: tests/x.py -->   anywhere in a page: a test of its own runs its blocks

http://127.0.0.1:3000 and http://127.0.0.1:3001 become the addresses of the running gateway.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
# The languages that are run, and the suffix of their files.
SUFFIXES = {"sh": "sh", "sql": "sql", "python": "py", "js": "mjs", "ts": "ts"}
COMMENTS = frozenset({"file", "background", "output", "output of", "not run"})
_PART = re.compile(
    r"^(?P<indent> *)(?P<fence>```+)(?P<language>[\w+-]*)[^\n]*\n(?P<code>.*?)^ *(?P=fence) *$"
    r"|^ *<!-- (?P<comment>.*?)\s*-->$"
    r"|^#+ (?P<heading>[^\n]*)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with the line where it begins, the heading above, and the comments before it."""

    page: str
    line: int
    heading: str
    language: str
    code: str
    comments: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        """True if a walk runs, saves or expects it."""
        return "not run" not in self.comments and (self.language in SUFFIXES or bool(self.comments))


@dataclass(frozen=True)
class Page:
    """A page by its path in the repository."""

    path: str

    def __str__(self) -> str:
        return self.path

    @cached_property
    def text(self) -> str:
        return (REPOSITORY / self.path).read_text()

    @cached_property
    def blocks(self) -> list[Block]:
        return list(self._blocks())

    @property
    def walked_by(self) -> str | None:
        """The test that runs the blocks instead of a walk."""
        found = re.search(r"^<!-- walked by: (\S+) -->$", self.text, re.MULTILINE)
        return found and found[1]

    @property
    def prose(self) -> str:
        """The text without blocks, headings and comments that steer a walk."""
        return _PART.sub("", self.text)

    def code(self, language: str) -> list[str]:
        """The code of the blocks in a language."""
        return [block.code for block in self.blocks if block.language == language]

    def _blocks(self) -> Iterator[Block]:
        heading, comments = "", dict[str, str]()
        for part in _PART.finditer(self.text):
            line = self.text.count("\n", 0, part.start()) + 1
            name, _, value = (part["comment"] or "").partition(":")
            if part["heading"] is not None:
                heading = part["heading"]
            elif name == "run":
                yield Block(self.path, line, heading, "sh", textwrap.dedent(value), {})
            elif name in COMMENTS:
                comments[name] = value.strip()
            elif part["code"] is not None:
                yield Block(self.path, line, heading, part["language"], textwrap.dedent(part["code"]), comments)
                comments = {}


def pages() -> list[Page]:
    """README and the pages under `docs/`."""
    found = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return [Page(str(path.relative_to(REPOSITORY))) for path in found]
