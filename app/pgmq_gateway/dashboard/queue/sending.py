"""The dialog that sends a message."""

import json
from collections.abc import Awaitable, Callable

from nicegui import ui

from pgmq_gateway import strictjson
from pgmq_gateway.dashboard.api import Json, Problem
from pgmq_gateway.dashboard.parts.dialogs import AFTER_THE_VALUE, keep_typed
from pgmq_gateway.dashboard.parts.widgets import Failure, button, field, heading
from pgmq_gateway.dashboard.queue.actions import messages
from pgmq_gateway.dashboard.queue.client import Queue
from pgmq_gateway.dashboard.queue.moments import instant, time_field
from pgmq_gateway.dashboard.queue.payload import pretty

EXAMPLE = '{\n  "hello": "world"\n}'
MAX_COPIES = 1000
# Some 30 years.
MAX_DELAY_SECONDS = 10**9


class Sending:
    """The dialog, prefilled with a message. `sent` is awaited after it was sent."""

    def __init__(
        self, queue: Queue, sent: Callable[[], Awaitable[None]], message: str = EXAMPLE, headers: str = ""
    ) -> None:
        self._queue = queue
        self._sent = sent
        self._first = pretty(message), pretty(headers) if headers else ""
        with (
            ui.context.client.content,
            ui.dialog().props('aria-label="Send a message"') as self._dialog,
            ui.card().classes("dialog wide-dialog"),
        ):
            heading("Send a message")
            self._message = editor("Message (JSON)", self._first[0], json_error).props("autofocus").classes("tall")
            self._headers = editor("Headers (JSON, optional)", self._first[1], _headers_error)
            with ui.element("div").classes("fields"):
                self._delay = field("Delay in seconds", "0", validation=_whole(0, MAX_DELAY_SECONDS)).props(
                    "hide-bottom-space inputmode=numeric"
                )
                self._until = time_field("Or visible from")
                self._copies = field("Copies", "1", validation=_whole(1, MAX_COPIES)).props(
                    "hide-bottom-space inputmode=numeric"
                )
            self._failure = Failure()
            with ui.element("div").classes("actions"):
                button("Format", self._format)
                button("Cancel", keep_typed(self._dialog, self._changed))
                self._button = button("Send", self._send, "primary")
        for place in (self._message, self._headers):
            place.on("keydown.ctrl.enter", self._send, js_handler=AFTER_THE_VALUE)
        self._dialog.on("hide", self._dialog.delete)
        self._dialog.open()

    def _changed(self) -> bool:
        return (self._message.value, self._headers.value) != self._first

    def _format(self) -> None:
        for place in (self._message, self._headers):
            if place.validate() and place.value.strip():
                place.value = pretty(place.value)

    async def _send(self) -> None:
        if not all(place.validate() for place in (self._message, self._headers, self._delay, self._copies)):
            return
        headers = Json(self._headers.value) if (self._headers.value or "").strip() else None
        until, copies = await instant(self._until.value), int(self._copies.value)
        self._failure.clear()
        self._button.props(add="loading")
        seconds = 0 if until else int(self._delay.value)
        answer = await self._queue.send(Json(self._message.value), headers, copies, seconds, until)
        self._button.props(remove="loading")
        if isinstance(answer, Problem):
            self._failure.show(answer)
            return
        ids = f"id {answer[0]}" if len(answer) == 1 else f"ids {answer[0]} to {answer[-1]}"
        ui.notify(f"{messages(len(answer))} sent: {ids}.", position="bottom")
        self._dialog.close()
        await self._sent()


def editor(label: str, value: str, validation: Callable[[str], str | None]) -> ui.input:
    """A text area for JSON."""
    made = ui.textarea(label, value=value, validation=validation).props(
        "outlined dense stack-label autocomplete=off spellcheck=false debounce=250"
    )
    return made.classes("field editor")


def json_error(text: str) -> str | None:
    """The error in a JSON text, with its line and column; None when it is valid."""
    try:
        strictjson.loads(text or "")
    except json.JSONDecodeError as error:
        return f"Line {error.lineno}, column {error.colno}: {error.msg}"
    except ValueError as error:
        return f"{error} is not JSON."
    except RecursionError:
        return "This JSON is nested too deeply to be checked."
    return None


def _headers_error(text: str) -> str | None:
    if not (text or "").strip():
        return None
    if error := json_error(text):
        return error
    return None if isinstance(strictjson.loads(text), dict) else 'Headers must be a JSON object, such as {"trace": 7}.'


def _whole(minimum: int, maximum: int) -> Callable[[str], str | None]:
    def error(text: str) -> str | None:
        valid = (text or "").strip().isdecimal() and minimum <= int(text) <= maximum
        return None if valid else f"Enter a whole number from {minimum} to {maximum}."

    return error
