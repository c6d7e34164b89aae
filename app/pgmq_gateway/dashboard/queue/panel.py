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
    """The panel.

    send_again     gets payload and headers
    changed        awaited after an action has succeeded
    close          awaited to close the panel
    step           awaited with 1 for the next message, -1 for the previous one
    filter         awaited with a condition on a field of the payload
    open_archived  awaited with the id of a message that may be in the archive
    """

    def __init__(
        self,
        queue: Queue,
        send_again: Callable[[str, str], None],
        changed: Callable[[], Awaitable[None]],
        close: Callable[[], Awaitable[None]],
        step: Callable[[int], Awaitable[None]],
        filter: Callable[[str], Awaitable[None]],
        open_archived: Callable[[int], Awaitable[None]],
    ) -> None:
        self._queue = queue
        self._send_again = send_again
        self._changed = changed
        self._close = close
        self._step = step
        self._filter = filter
        self._open_archived = open_archived
        self._shown: tuple[int, bool] | None = None
        self._actions = Actions(queue, self._done)
        self._place = ui.element("section").classes("side-panel").props("aria-label=Message")
        self._place.set_visibility(False)

    def close(self) -> None:
        self._shown = None
        self._place.clear()
        self._place.set_visibility(False)

    def focus(self) -> None:
        """Move the keyboard's focus into the panel."""
        ui.run_javascript(f"document.getElementById({self._closing.html_id!r})?.focus({{preventScroll: true}})")

    def keep_focus(self, by: int) -> None:
        """Focus the button of a step again, which the panel has replaced."""
        found = f"document.getElementById({self._steps[by].html_id!r})"
        ui.run_javascript(f"if (document.activeElement === document.body) {found}?.focus({{preventScroll: true}})")

    async def open(self, msg_id: int, *, archived: bool) -> None:
        self._shown = wanted = (msg_id, archived)
        answer = await self._queue.message(msg_id, archived=archived)
        # Meanwhile the user may have gone on to another message.
        if self._shown == wanted and not self._place.is_deleted:
            self._show(msg_id, answer, archived=archived)

    def _show(self, msg_id: int, answer: Row | Problem, *, archived: bool) -> None:
        self._place.clear()
        self._place.set_visibility(True)
        with self._place:
            self._head(msg_id, answer)
            if isinstance(answer, Problem):
                Failure().show(answer)
            elif answer:
                self._fill(answer, archived=archived)
            else:
                self._state_absence(msg_id, archived=archived)

    def _head(self, msg_id: int, answer: Row | Problem) -> None:
        with ui.element("div").classes("head"):
            heading(f"Message {msg_id}")
            if not isinstance(answer, Problem) and answer:
                words(STATES[answer["state"]]).classes(f"state {answer['state']}")
            ui.element("div").classes("grow")
            previous = icon_button("keyboard_arrow_up", "Previous message (k)", lambda: self._step(-1))
            following = icon_button("keyboard_arrow_down", "Next message (j)", lambda: self._step(1))
            self._steps = {-1: previous, 1: following}
            link = icon_button("link", "Copy link")
            link.on("click", js_handler="() => copyText(location.href)")
            link.on("click", lambda: ui.notify("Link copied.", position="bottom"))
            self._closing = icon_button("close", "Close (Esc)", self._close)

    def _state_absence(self, msg_id: int, *, archived: bool) -> None:
        where = "in the archive" if archived else "in the queue"
        words(f"Message {msg_id} is not {where}: it was deleted, moved, or never existed.", "p")
        with ui.element("div").classes("row-of"):
            if not archived:
                button("Look in the archive", lambda: self._open_archived(msg_id), icon="archive")
            button("Back to the list", self._close)

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
                button("Send again", lambda: self._send_again(payload, headers or ""), icon="send")
        _show([*_facts(message, archived=archived), *facts(known)])
        if dead:
            heading("Dead letter", 3)
            _show([fact for fact in facts_of_death(dead) if fact.text])
        heading("Payload", 3)
        viewer(payload, "payload", self._filter)
        heading("Headers", 3)
        if headers is None:
            words("No headers.", "p").classes("muted")
        else:
            viewer(str(headers), "headers")

    async def _done(self) -> None:
        """Show the message as it is after an action. Without it, close."""
        shown = self._shown
        await self._changed()
        if shown is None or self._shown != shown:
            return
        msg_id, archived = shown
        answer = await self._queue.message(msg_id, archived=archived)
        if isinstance(answer, Problem) or answer:
            self._show(msg_id, answer, archived=archived)
        else:
            await self._close()


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
        Moment(at, "local").classes("mono")
        Moment(at, "utc").classes("mono")
