"""Confirmation dialogs."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.parts.widgets import Failure, Kind, button, field, heading, labelled, words

# A field sends its value after a pause, or at a change event.
AFTER_THE_VALUE = '(event) => { event.target.dispatchEvent(new Event("change")); setTimeout(emit); }'


def confirm_by_name(title: str, text: str, name: str, action: str, do: Callable[[], Awaitable[object]]) -> None:
    """Run an irreversible action after the user has typed `name`.

    text   the consequences
    action the button's label
    do     a Problem that it returns is shown; any other result closes the dialog
    """
    with ui.context.client.content, labelled(ui.dialog(), title) as dialog, ui.card().classes("dialog"):
        heading(title)
        words(text, "p")
        typed = field(f"Type {name} to confirm").props("autocomplete=off spellcheck=false autofocus")
        failure = Failure()

        async def go() -> None:
            if typed.value != name:
                return
            failure.clear()
            confirm.props(add="loading")
            answer = await do()
            confirm.props(remove="loading")
            if isinstance(answer, Problem):
                failure.show(answer)
            else:
                dialog.close()

        with ui.element("div").classes("actions"):
            button("Cancel", dialog.close)
            confirm = button(action, go, "danger").bind_enabled_from(typed, "value", lambda value: value == name)
        typed.on("keydown.enter", go)
    dialog.on("hide", dialog.delete)
    dialog.open()


def keep_typed(dialog: ui.dialog, changed: Callable[[], bool]) -> Callable[[], Awaitable[None]]:
    """Ask before Esc or the button Cancel closes a dialog with typed text. A click beside it does nothing.

    Returns the handler of the button. `changed` is true if there is text to lose.
    """

    async def leave() -> None:
        if not changed() or await confirmed("Discard your changes?", "They are not saved.", "Discard", "danger"):
            dialog.close()

    (card,) = dialog.default_slot.children
    # Quasar closes the top dialog when Esc is released: opened at keydown, the question would be closed at once.
    card.on("keyup.esc", leave, js_handler=AFTER_THE_VALUE)
    dialog.props("persistent no-shake")
    return leave


async def confirmed(title: str, text: str, action: str, kind: Kind = "primary") -> bool:
    """True when the user confirms an action that can be undone. `action` is the button's label."""
    with ui.context.client.content, ui.dialog() as dialog, ui.card().classes("dialog"):
        dialog.props["aria-label"] = title
        heading(title)
        words(text, "p")
        with ui.element("div").classes("actions"):
            button("Cancel", dialog.close).props("autofocus")
            button(action, lambda: dialog.submit(True), kind)
    dialog.on("hide", dialog.delete)
    return await dialog is True
