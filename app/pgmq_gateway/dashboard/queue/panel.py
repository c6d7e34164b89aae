"""The side panel with one message: actions, facts, payload and headers."""

from collections.abc import Awaitable, Callable, Iterator, Sequence

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem, Row
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.widgets import Failure, button, heading, icon_button, words
from pgmq_gateway.dashboard.queue.actions import (
    AT_ONCE,
    MAKE_VISIBLE,
    OF_ARCHIVE,
    OF_QUEUE,
    REDRIVE,
    Target,
    permitted,
)
from pgmq_gateway.dashboard.queue.client import Queue
from pgmq_gateway.dashboard.queue.confirmations import Actions
from pgmq_gateway.dashboard.queue.headers import Fact, death, facts, facts_of_death, parsed, receives
from pgmq_gateway.dashboard.queue.letters import address
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
        known = parsed(headers)
        dead = death(known.get("x-pgmq-dead"))
        actions = OF_ARCHIVE if archived else (REDRIVE, *OF_QUEUE) if dead else OF_QUEUE
        with ui.element("div").classes("row-of").props('role=group aria-label="Actions"'):
            for action in permitted(self._queue.api, actions):
                if action is MAKE_VISIBLE and message["state"] == "visible":
                    continue
                run = self._actions.at_once if action in AT_ONCE else self._actions.ask
                made = button(action.label, lambda run=run, action=action: run(action, target), icon=action.icon)
                made.classes("destructive" if action.destructive else "")
            if self._queue.api.can("send"):
                button("Send again", lambda: self._again(payload, headers or ""), icon="send")
        _show([*_facts(message, archived=archived), *facts(known)])
        if dead:
            heading("Dead letter", 3)
            _show([fact for fact in facts_of_death(dead) if fact.text])
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


def _facts(message: Row, *, archived: bool) -> Iterator[Fact]:
    yield Fact("Id", str(message["msg_id"]))
    yield Fact("Reads", receives(message["read_ct"]))
    yield Fact("Size", quantities.size(message["bytes"]))
    for name, member in TIMES:
        if message[member] and not (archived and member == "vt"):
            yield Fact(name, message[member], "time")


def _show(facts: Sequence[Fact]) -> None:
    with ui.element("dl").classes("message-facts"):
        for fact in facts:
            words(fact.name, "dt")
            if fact.kind == "time":
                _time(fact.text)
            elif fact.kind == "queue":
                with ui.element("dd"):
                    ui.link(fact.text, address(fact.text))
            else:
                words(fact.text, "dd")


def _time(at: str) -> None:
    with ui.element("dd").classes("times"):
        Moment(at, "relative")
        with ui.element("span"):
            Moment(at, "local").classes("mono")
            words(" local").classes("muted")
        with ui.element("span"):
            Moment(at, "utc").classes("mono")
            words(" UTC").classes("muted")
