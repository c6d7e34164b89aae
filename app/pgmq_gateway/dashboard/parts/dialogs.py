"""Dialogs that ask before something is done."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.parts.widgets import Failure, Kind, button, field, heading, labelled, words


def danger(title: str, text: str, name: str, action: str, do: Callable[[], Awaitable[object]]) -> None:
    """Ask for `name` to be typed before something is done that cannot be undone, then do it.

    text   what will be lost
    action the words of the button
    do     gives a Problem when it was refused, which is shown; all else closes the dialog
    """
    with ui.context.client.content, labelled(ui.dialog(), title) as dialog, ui.card().classes("dialog"):
        heading(title)
        words(text, "p")
        typed = field(f"Type {name} to go on").props("autocomplete=off spellcheck=false autofocus")
        failure = Failure()

        async def go() -> None:
            if typed.value != name:
                return
            failure.clear()
            sure.props(add="loading")
            answer = await do()
            sure.props(remove="loading")
            if isinstance(answer, Problem):
                failure.show(answer)
            else:
                dialog.close()

        with ui.element("div").classes("actions"):
            button("Cancel", dialog.close)
            sure = button(action, go, "danger").bind_enabled_from(typed, "value", lambda value: value == name)
        typed.on("keydown.enter", go)
    dialog.on("hide", dialog.delete)
    dialog.open()


async def confirmed(title: str, text: str, action: str, kind: Kind = "primary") -> bool:
    """Ask before something is done that can be undone, and tell whether to do it.

    action  the words of the button
    """
    with ui.context.client.content, ui.dialog() as dialog, ui.card().classes("dialog"):
        dialog.props["aria-label"] = title
        heading(title)
        words(text, "p")
        with ui.element("div").classes("actions"):
            button("Cancel", dialog.close).props("autofocus")
            button(action, lambda: dialog.submit(True), kind)
    answer = await dialog
    dialog.delete()
    return answer is True
