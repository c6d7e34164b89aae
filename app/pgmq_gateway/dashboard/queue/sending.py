"""The dialog that sends a message, or the same one again."""

import json
from collections.abc import Awaitable, Callable

from nicegui import ui

from pgmq_gateway import strictjson
from pgmq_gateway.dashboard.api import Json, Problem
from pgmq_gateway.dashboard.parts.widgets import Failure, button, field, heading
from pgmq_gateway.dashboard.queue.actions import messages
from pgmq_gateway.dashboard.queue.client import Queue
from pgmq_gateway.dashboard.queue.moments import instant, time_field
from pgmq_gateway.dashboard.queue.payload import pretty

EXAMPLE = '{\n  "hello": "world"\n}'
MOST = 1000


class Sending:
    """The dialog, with a message to begin with. `sent` is awaited after each sending."""

    def __init__(
        self, queue: Queue, sent: Callable[[], Awaitable[None]], message: str = EXAMPLE, headers: str = ""
    ) -> None:
        self._queue = queue
        self._sent = sent
        with (
            ui.context.client.content,
            ui.dialog().props('aria-label="Send a message"') as self._dialog,
            ui.card().classes("dialog wide-dialog"),
        ):
            self._title = heading("Send a message")
            self._message = editor("Message, as JSON", wrong_json).props("autofocus").classes("tall")
            self._headers = editor("Headers, as JSON (may be empty)", _wrong_headers)
            with ui.element("div").classes("fields"):
                self._delay = field("Delay, in seconds", "0", validation=_whole(0, 10**9)).props(
                    "hide-bottom-space inputmode=numeric"
                )
                self._until = time_field("Or visible from")
                self._times = field("How many", "1", validation=_whole(1, MOST)).props(
                    "hide-bottom-space inputmode=numeric"
                )
            self._failure = Failure()
            with ui.element("div").classes("actions"):
                button("Format", self._format)
                button("Cancel", self._dialog.close)
                self._button = button("Send", self._send, "primary")
        for place in (self._message, self._headers):
            place.on("keydown.ctrl.enter", self._send)
        self._message.value, self._headers.value = pretty(message), pretty(headers) if headers else ""
        self._dialog.on("hide", self._dialog.delete)
        self._dialog.open()

    def _format(self) -> None:
        for place in (self._message, self._headers):
            if place.validate() and place.value.strip():
                place.value = pretty(place.value)

    async def _send(self) -> None:
        asked = (self._message, self._headers, self._delay, self._times)
        if not all(place.validate() for place in asked):
            return
        headers = Json(self._headers.value) if (self._headers.value or "").strip() else None
        until, times = await instant(self._until.value), int(self._times.value)
        self._failure.clear()
        self._button.props(add="loading")
        seconds = 0 if until else int(self._delay.value)
        answer = await self._queue.send(Json(self._message.value), headers, times, seconds, until)
        self._button.props(remove="loading")
        if isinstance(answer, Problem):
            self._failure.show(answer)
            return
        ids = f"id {answer[0]}" if len(answer) == 1 else f"ids {answer[0]} to {answer[-1]}"
        ui.notify(f"{messages(len(answer))} sent: {ids}.", position="bottom")
        self._dialog.close()
        await self._sent()


def editor(label: str, wrong: Callable[[str], str | None]) -> ui.input:
    """Lines of JSON to type, which are checked while one types."""
    made = ui.textarea(label, validation=wrong).props(
        "outlined dense stack-label autocomplete=off spellcheck=false debounce=250"
    )
    return made.classes("field editor")


def wrong_json(text: str) -> str | None:
    """What is wrong with a JSON text, and where; numbers keep their digits, so nothing is made of it."""
    try:
        strictjson.loads(text or "")
    except json.JSONDecodeError as error:
        return f"Line {error.lineno}, column {error.colno}: {error.msg}"
    except ValueError as error:
        return f"{error} is not JSON."
    except RecursionError:
        return "Nested too deep."
    return None


def _wrong_headers(text: str) -> str | None:
    if not (text or "").strip():
        return None
    if wrong := wrong_json(text):
        return wrong
    return None if isinstance(strictjson.loads(text), dict) else 'Write an object: {"trace": "7"}'


def _whole(least: int, most: int) -> Callable[[str], str | None]:
    def wrong(text: str) -> str | None:
        right = (text or "").strip().isdecimal() and least <= int(text) <= most
        return None if right else f"A whole number from {least} to {most}."

    return wrong
