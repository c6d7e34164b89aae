"""Markdown of the generated pages."""

import json
from collections.abc import Iterable, Sequence

GENERATED = "<!-- Generated from the code by `make reference`: change it there. -->"


def page(title: str, *parts: str) -> str:
    """A page of parts that are separated by empty lines."""
    return "\n\n".join([f"# {title}", GENERATED, *(part for part in parts if part)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; empty without rows."""
    lines = [f"| {' | '.join(cell(text) for text in row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *lines]) if lines else ""


def cell(text: str) -> str:
    """Text without what would end a cell or begin HTML."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    return "`".join(part if index % 2 else part.replace("<", "&lt;") for index, part in enumerate(parts))


def code(text: object) -> str:
    return f"`{text}`"


def block(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def json_block(value: object) -> str:
    return block("json", json.dumps(value, ensure_ascii=False))


def sentence(text: str) -> str:
    """Text with a full stop at its end."""
    return text if text.endswith((".", ":", "…")) or not text else f"{text}."
