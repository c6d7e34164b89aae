"""The side panel with one message: actions, facts, payload and headers."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem, Row
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.widgets import Failure, button, heading, icon_button, words
from pgmq_gateway.dashboard.queue.actions import AT_ONCE, MAKE_VISIBLE, OF_ARCHIVE, OF_QUEUE, Actions, Target
from pgmq_gateway.dashboard.queue.client import Queue
from pgmq_gateway.dashboard.queue.moments import Moment
from pgmq_gateway.dashboard.queue.payload import viewer
from pgmq_gateway.dashboard.queue.table import STATES

TIMES = (
    ("Sent", "enqueued_at"),
    ("Visible", "vt"),
    ("Last read", "last_read_at"),
    ("Archived", "archived_at"),
)


class Panel:
    """The panel. `send_again` gets payload and headers; `after` is awaited after an action has succeeded."""

    def __init__(
        self, queue: Queue, send_again: Callable[[str, str], None], after: Callable[[], Awaitable[None]]
    ) -> None:
        self._queue = queue
        self._send_again = send_again
        self._after = after
        self._actions = Actions(queue, self._done)
        with (
            ui.dialog().props('position=right aria-label="Message"') as self._dialog,
            ui.card().classes("side-panel") as self._card,
        ):
            pass

    async def open(self, msg_id: int, *, archived: bool) -> None:
        answer = await self._queue.message(msg_id, archived=archived)
        self._card.clear()
        with self._card:
            with ui.element("div").classes("head"):
                heading(f"Message {msg_id}")
                if not isinstance(answer, Problem) and answer:
                    words(STATES[answer["state"]]).classes(f"state {answer['state']}")
                ui.element("div").classes("grow")
                icon_button("close", "Close", self._dialog.close).props("autofocus")
            if isinstance(answer, Problem):
                Failure().show(answer)
            elif not answer:
                words("This message no longer exists here: it was archived, deleted or moved.", "p")
            else:
                self._fill(answer, archived=archived)
        self._dialog.open()

    def _fill(self, message: Row, *, archived: bool) -> None:
        target = Target(ids=[message["msg_id"]])
        payload, headers = str(message["message"]), message["headers"]
        with ui.element("div").classes("row-of").props('role=group aria-label="Actions"'):
            for action in OF_ARCHIVE if archived else OF_QUEUE:
                if action is MAKE_VISIBLE and message["state"] == "visible":
                    continue
                run = self._actions.at_once if action in AT_ONCE else self._actions.ask
                made = button(action.label, lambda run=run, action=action: run(action, target), icon=action.icon)
                made.classes("destructive" if action.destructive else "")
            button("Send again", lambda: self._again(payload, headers or ""), icon="send")
        _facts(message, archived=archived)
        heading("Payload", 3)
        viewer(payload, "payload")
        heading("Headers", 3)
        if headers is None:
            words("No headers.", "p").classes("muted")
        else:
            viewer(str(headers), "headers")

    def _again(self, payload: str, headers: str) -> None:
        self._dialog.close()
        self._send_again(payload, headers)

    async def _done(self) -> None:
        self._dialog.close()
        await self._after()


def _facts(message: Row, *, archived: bool) -> None:
    with ui.element("dl").classes("message-facts"):
        for name, text in (
            ("Id", str(message["msg_id"])),
            ("Reads", quantities.count(message["read_ct"])),
            ("Size", quantities.size(message["bytes"])),
        ):
            words(name, "dt")
            words(text, "dd")
        for name, member in TIMES:
            if message[member] and not (archived and member == "vt"):
                _time(name, message[member])


def _time(name: str, at: str) -> None:
    words(name, "dt")
    with ui.element("dd").classes("times"):
        Moment(at, "relative")
        with ui.element("span"):
            Moment(at, "local").classes("mono")
            words(" local").classes("muted")
        with ui.element("span"):
            Moment(at, "utc").classes("mono")
            words(" UTC").classes("muted")
