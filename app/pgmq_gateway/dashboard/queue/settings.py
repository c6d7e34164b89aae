"""The dialog with the settings of a queue."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast

from nicegui import ui

from pgmq_gateway.dashboard.api import Problem, Row
from pgmq_gateway.dashboard.parts.dialogs import keep_typed
from pgmq_gateway.dashboard.parts.widgets import Failure, button, heading, labelled, words
from pgmq_gateway.dashboard.queue.actions import show_failure
from pgmq_gateway.dashboard.queue.client import Queue
from pgmq_gateway.dashboard.queue.setting_fields import SettingField, Wording, setting_field

SECTIONS: Mapping[str, Mapping[str, Wording]] = {
    "Reads": {
        "lease_seconds": Wording("Lease", "seconds", help="For reads without sleep_seconds."),
        "paused": Wording("Paused", help="Reads of pgmq_api return no messages."),
    },
    "Waiting requests": {
        "wake": Wording("Announce sends", help="By SQL and other servers too: they wake waiting requests."),
        "wake_throttle_ms": Wording("At most once in", "milliseconds"),
    },
    "Failed messages": {
        "max_receives": Wording("Receives", unset="no limit", help="A message that was read so often is dead."),
        "dead_letter_queue": Wording("Dead-letter queue", unset="none: the archive", help="Where dead messages go."),
        "backoff": Wording("Back-off", help="For retries without delay_seconds."),
        "backoff_seconds": Wording("First delay", "seconds", help="Before a retry."),
        "backoff_max_seconds": Wording("Longest delay", "seconds", help="Of the exponential back-off."),
        "backoff_jitter": Wording("Jitter", help="The part of the delay that is random."),
    },
    "Retention": {
        "message_keep_seconds": Wording("Keep messages", "seconds", unset="forever", help="Older ones expire."),
        "on_expiry": Wording("Expired messages", help="Deleted, or moved as dead messages are."),
        "archive_keep_seconds": Wording("Keep archive", "seconds", unset="forever"),
    },
    "Limits": {
        "max_message_bytes": Wording(
            "Message size", "bytes", unset="no limit", help="For all senders, those of pgmq_public too."
        ),
        "max_messages": Wording(
            "Messages", unset="no limit", help="Then the queue is full, and sends of pgmq_api fail."
        ),
        "group_limit": Wording("Group limit", unset="no groups", help="1: first in, first out. For all callers."),
    },
    "Deduplication": {
        "deduplication_seconds": Wording("Remember ids", "seconds"),
        "deduplication_by_content": Wording("By content", help="Of messages without an id."),
    },
}
GROUPS_ON = (
    "Saving builds an index and triggers, and parks the messages of each group beyond {limit}, except those in flight. "
    "Writers wait meanwhile: some seconds for 100,000 messages. To shorten it, create the index concurrently first "
    "(docs/guides/groups.md)."
)
GROUPS_CHANGED = (
    "Saving parks or promotes messages, so that of each group at most {limit} are visible or in flight. Writers wait "
    "meanwhile."
)
GROUPS_OFF = (
    "Saving makes all parked messages visible at once, those with a delay after it, and drops the index and the "
    "triggers: groups have no order any more. Writers wait meanwhile."
)


async def edit_settings(queue: Queue, saved: Callable[[], Awaitable[None]]) -> None:
    """Open the dialog. `saved` is awaited after changes."""
    present, ranges, others = await asyncio.gather(queue.settings(), queue.api.rows("setting_ranges"), queue.others())
    for answer in (present, ranges, others):
        if isinstance(answer, Problem):
            show_failure(answer, "The settings could not be read.")
            return
    SettingsDialog(queue, cast(Row, present), cast(Sequence[Row], ranges), cast(Sequence[str], others), saved)


class SettingsDialog:
    """The form, with a section for each topic. It sends only the settings that were changed."""

    def __init__(
        self,
        queue: Queue,
        present: Row,
        ranges: Sequence[Row],
        others: Sequence[str],
        saved: Callable[[], Awaitable[None]],
    ) -> None:
        self._queue = queue
        self._saved = saved
        self._present = present
        self._others = others
        self._fields: dict[str, SettingField] = {}
        title = f"Settings of {queue.name}"
        with (
            ui.context.client.content,
            labelled(ui.dialog(), title) as self._dialog,
            ui.card().classes("dialog wide-dialog settings"),
        ):
            heading(title)
            words(
                "An empty field has its default. Consumers and producers that must obey all settings use pgmq_api.", "p"
            )
            self._add_sections({range["setting"]: range for range in ranges})
            self._failure = Failure()
            with ui.element("div").classes("actions"):
                can_save = queue.api.can("set_queue_settings")
                button("Cancel" if can_save else "Close", keep_typed(self._dialog, lambda: bool(self._changed())))
                self._save = button("Save", self._send, "primary")
                self._save.set_visibility(can_save)
        for one in self._fields.values():
            one.input.set_enabled(can_save)
            one.on_change(self._show_changes)
        self._show_changes()
        self._dialog.on("hide", self._dialog.delete)
        self._dialog.open()

    def _add_sections(self, ranges: Mapping[str, Row]) -> None:
        known = {name for wordings in SECTIONS.values() for name in wordings}
        # Of a database that has more settings than this dashboard knows.
        others = {name: Wording(name) for name in ranges if name not in known}
        for title, wordings in {**SECTIONS, "Others": others}.items():
            found = {name: wording for name, wording in wordings.items() if name in ranges}
            if not found:
                continue
            with labelled(ui.element("section").classes("stack").props("role=group"), title):
                heading(title, 3)
                with ui.element("div").classes("fields"):
                    for name, wording in found.items():
                        self._fields[name] = setting_field(ranges[name], wording, self._present.get(name), self._others)
                if "group_limit" in found:
                    self._consequences = words("", "p").classes("notice").props("role=status")

    def _changed(self) -> list[SettingField]:
        return [one for one in self._fields.values() if one.changed]

    def _show_changes(self) -> None:
        self._save.enabled = bool(self._changed())
        # Older databases have no groups.
        groups = self._fields.get("group_limit")
        if groups is None:
            return
        valid = groups.changed and groups.validate()
        self._consequences.text = group_consequences(groups.present, groups.value) if valid else ""
        self._consequences.set_visibility(valid)

    async def _send(self) -> None:
        changed = self._changed()
        if not all(one.validate() for one in changed):
            return
        self._failure.clear()
        self._save.props(add="loading")
        answer = await self._queue.set_settings({one.name: one.sent for one in changed})
        self._save.props(remove="loading")
        if isinstance(answer, Problem):
            self._refuse(answer, changed)
            return
        ui.notify(f"Saved: {', '.join(one.name for one in changed)}.", position="bottom")
        self._dialog.close()
        await self._saved()

    def _refuse(self, problem: Problem, changed: Sequence[SettingField]) -> None:
        """Show an error beside the field whose setting it names, else below the form."""
        named = re.sub("[ -]", "_", problem.message)
        # The name of a setting can be the beginning of another one.
        for one in sorted(changed, key=lambda one: len(one.name), reverse=True):
            if one.name in named:
                one.refuse(f"{problem.message}. {problem.hint}")
                return
        self._failure.show(problem)


def group_consequences(present: object, wanted: object) -> str:
    """The effect on the queue of saving another group limit."""
    if wanted is None:
        return GROUPS_OFF
    return (GROUPS_ON if present is None else GROUPS_CHANGED).format(limit=wanted)
