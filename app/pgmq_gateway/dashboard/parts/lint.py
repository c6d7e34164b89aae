"""Findings of pgmq_admin.lint, with the button or the link that fixes them."""

from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import quote

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Row
from pgmq_gateway.dashboard.parts.widgets import button, words

# The label of the button on the page Access, by rule. Other findings have a hint.
FIXES = {
    "rls_off": "Turn row-level security on",
    "silent_policy": "Create policies",
    "notify_row": "Re-enable notifications",
}
# The function that the button calls.
FIXING = {"rls_off": "set_rls", "silent_policy": "create_policy", "notify_row": "enable_notify"}


def without_info(rows: Iterable[Row]) -> list[Row]:
    """The findings of a higher level than info."""
    return [row for row in rows if not _is_info(row)]


def finding(row: Row, address: str | None = None) -> None:
    """A finding with a link to its fix on the page Access. `address` is a link to its queue."""
    with ui.element("p").classes("muted" if _is_info(row) else "notice"):
        words(f"{row['level']}: ").classes("level")
        if address is not None:
            ui.link(row["queue_name"], address)
            words(": ")
        words(f"{row['message']} ")
        if row["rule"] in FIXES:
            ui.link(FIXES[row["rule"]], f"/access?queue={quote(row['queue_name'], safe='')}")
        else:
            words(row.get("hint") or "")


def fixable_finding(api: Api, row: Row, fix: Callable[[str], Awaitable[None]]) -> None:
    """A finding with the button that fixes it, if the key can do that. `fix` gets the rule."""
    with ui.element("div").classes("notice"):
        with ui.element("p"):
            words(f"{row['level']}: ").classes("level")
            words(f"{row['message']} ")
        if row["rule"] in FIXES and api.can(FIXING[row["rule"]]):
            button(FIXES[row["rule"]], lambda: fix(row["rule"])).classes("small")
        elif row["hint"]:
            words(row["hint"], "p").classes("muted")


def _is_info(row: Row) -> bool:
    return bool(row["level"] == "info")
