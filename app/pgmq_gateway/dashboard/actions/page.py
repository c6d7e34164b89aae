"""The page Actions: who has changed what, of one queue or all, the latest first."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from pgmq_gateway.dashboard.actions.operations import described
from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.refresh import Refresh
from pgmq_gateway.dashboard.parts.shell import page, queue_address
from pgmq_gateway.dashboard.parts.widgets import heading, words

ROWS_PER_PAGE = 50
REFRESH_SECONDS = 10.0
HEADS = ("Time", "Who", "Queue", "Action", "Messages")


@dataclass(frozen=True)
class Snapshot:
    """One page of the log, whether there are older actions, and the names of all queues."""

    rows: Sequence[Row]
    older: bool
    queues: Sequence[str]


@page("/actions", "Actions")
async def actions(api: Api, queue: str = "", before: str = "") -> None:
    """Without a queue in the URL, those of all queues. `before` is the id of an action."""
    await ActionsPage(api, queue, int(before) if before.isascii() and before.isdecimal() else None).start()


class ActionsPage:
    def __init__(self, api: Api, queue: str, before: int | None) -> None:
        self._api = api
        self._queue = queue
        self._before = before
        self._shown: Snapshot | None = None
        with ui.element("div").classes("head"):
            heading("Actions", 1)
            self._chooser = ui.element("div").classes("chooser")
            ui.element("div").classes("grow")
            self._refresh: Refresh[Snapshot] = Refresh(
                self._load, self._show, api.session.pictures, lambda: _address(queue, before), REFRESH_SECONDS
            )
        words("Changes by the dashboard, the command line, HTTP and SQL, for 90 days.", "p").classes("muted")
        self._place = ui.element("div").classes("stack")

    async def start(self) -> None:
        await self._refresh.now()

    async def _load(self) -> Snapshot | Problem:
        arguments = {"queue_name": self._queue or None, "before": self._before, "max_rows": ROWS_PER_PAGE + 1}
        rows, queues = await asyncio.gather(self._api.rows("list_actions", arguments), self._api.queues())
        if isinstance(rows, Problem):
            return rows
        if isinstance(queues, Problem):
            return queues
        return Snapshot(rows[:ROWS_PER_PAGE], len(rows) > ROWS_PER_PAGE, [row["queue_name"] for row in queues])

    def _show(self, snapshot: Snapshot, _: float) -> None:
        if snapshot == self._shown:
            return
        if self._shown is None:
            with self._chooser:
                _queue_select(snapshot.queues, self._queue)
        self._shown = snapshot
        self._place.clear()
        with self._place:
            if snapshot.rows:
                self._table(snapshot)
            else:
                words("There are no older actions." if self._before else "Nothing has been changed.", "p")
            with ui.element("nav").classes("row-of").props('aria-label="Pages of the log"'):
                if self._before:
                    ui.link("Latest", _address(self._queue))
                if snapshot.older:
                    ui.link("Older", _address(self._queue, snapshot.rows[-1]["id"]))

    def _table(self, snapshot: Snapshot) -> None:
        """The rows, without the column of the queue where that is selected: phones have no room for it."""
        scroll = ui.element("div").classes("panel scroll").props('role=region tabindex=0 aria-label="Actions"')
        with scroll, ui.element("table").classes("facts").props('aria-label="Actions"'):
            with ui.element("thead"), ui.element("tr"):
                for head in HEADS:
                    if not (self._queue and head == "Queue"):
                        words(head, "th").classes("number" if head == "Messages" else "").props("scope=col")
            with ui.element("tbody"):
                for row in snapshot.rows:
                    _row(row, None if self._queue else snapshot.queues)


def _row(row: Row, queues: Sequence[str] | None) -> None:
    """An action. `queues` are those that exist; None: without the queue."""
    name = row["queue_name"]
    with ui.element("tr"):
        time = words("", "td").props(f"title={json.dumps(row['at'])}")
        # Formatted by the browser, in its time zone.
        time.props[":textContent"] = f"localTime({json.dumps(row['at'])})"
        words(actor(row), "td")
        if queues is not None:
            with ui.element("td"):
                if name in queues:
                    ui.link(name, queue_address(name))
                else:
                    words(name or "-")
        words(described(row["operation"]), "td")
        words(quantities.count(row["count"]), "td").classes("number")


def actor(row: Row) -> str:
    """The name of the key, or of the token's bearer, and the role."""
    role, name = row["actor_role"], row["key_name"]
    return role if name in (None, role) else f"{name} ({role})"


def _queue_select(names: Sequence[str], selected: str) -> None:
    def go(event: ValueChangeEventArguments[str]) -> None:
        ui.navigate.to(_address(event.value or ""))

    options = {"": "All queues", **dict.fromkeys([*names, *([selected] if selected else [])])}
    choices = {name: label or name for name, label in options.items()}
    select = ui.select(choices, label="Queue", value=selected, with_input=True, on_change=go)
    select.props("outlined dense").classes("field")


def _address(queue: str, before: int | None = None) -> str:
    given = {**({"queue": queue} if queue else {}), **({"before": before} if before else {})}
    return f"/actions?{urlencode(given)}" if given else "/actions"
