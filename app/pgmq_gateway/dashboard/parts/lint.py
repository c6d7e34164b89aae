"""Findings of pgmq_admin.lint: one line with their number and the place that fixes the worst, which unfolds."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from urllib.parse import quote

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Row
from pgmq_gateway.dashboard.parts.widgets import button, icon_button, labelled, words

# What the page Access can do about a rule, and the function that does it.
FIXES = {
    "rls_off": ("Turn row-level security on", "set_rls"),
    "silent_policy": ("Create policies", "create_policy"),
    "notify_row": ("Re-enable notifications", "enable_notify"),
}
# The page where the user can fix a finding, by rule. The others are fixed outside of the dashboard, as their hints say.
ACCESS, SETTINGS = "/access?queue={}", "/queues/{}?settings=open"
PLACES = {
    **dict.fromkeys((*FIXES, "excess_privilege", "half_right", "notify_right", "open_groups"), ACCESS),
    **dict.fromkeys(("service_policy", "unread_dead_letters"), ACCESS),
    **dict.fromkeys(("group_without_max_receives", "notified_twice", "wake_without_trigger"), SETTINGS),
    "no_dead_letter_queue": SETTINGS,
}
# Of this browser: the findings that the user has dismissed.
COOKIE = "pgmq_dashboard_dismissed"
MAX_DISMISSED = 100
NUMBER = re.compile(r"\d+")

# Awaited with the rule of a finding.
Fix = Callable[[str], Awaitable[None]]


class Findings:
    """The line, and below it all findings, once the user unfolds them. Those of level info stand below, in grey.

    fix   fixes a rule of FIXES on this page; None: a button leads to the page that does
    named whether to name the queue of each finding
    """

    def __init__(self, api: Api, fix: Fix | None = None, *, named: bool = False) -> None:
        self._api = api
        self._fix = fix
        self._named = named
        self._rows: Sequence[Row] = ()
        self._unfolded = False
        cookie = ui.context.client.request.cookies.get(COOKIE, "")
        self._dismissed = [one for one in cookie.split(".") if one]
        self._place = ui.element("section").props('aria-label="Warnings"').classes("findings")
        self._place.set_visibility(False)

    def show(self, rows: Sequence[Row]) -> None:
        if rows != self._rows:
            self._rows = rows
            self._update()

    def _update(self) -> None:
        info = [row for row in self._rows if _is_info(row)]
        severe = [row for row in self._rows if not _is_info(row)]
        shown = sorted((row for row in severe if digest(row) not in self._dismissed), key=lambda row: row["level"])
        self._place.set_visibility(bool(self._rows))
        self._place.clear()
        with self._place:
            if shown:
                self._line(shown)
            if hidden := len(severe) - len(shown):
                words(f"Show {_counted(hidden, 'dismissed warning')}", "button").classes("link").props(
                    "type=button"
                ).on("click", self._restore)
            for row in info:
                words(f"{row['message']} {row.get('hint') or ''}", "p").classes("muted")

    def _line(self, rows: Sequence[Row]) -> None:
        errors = sum(row["level"] == "error" for row in rows)
        numbers = [
            _counted(number, name) for number, name in ((errors, "error"), (len(rows) - errors, "warning")) if number
        ]
        with ui.element("div").classes("notice error" if errors else "notice"):
            with ui.element("div").classes("finding-line"):
                fold = button(", ".join(numbers), icon="expand_less" if self._unfolded else "expand_more")
                fold.classes("level").on("click", self._toggle)
                fold.props(f"aria-expanded={'true' if self._unfolded else 'false'}")
                words(self._sentence(rows[0])).classes("first")
                self._button(rows[0])
                icon_button("close", "Dismiss", lambda: self._dismiss(rows))
            if self._unfolded:
                with ui.element("ul"):
                    for row in rows:
                        self._item(row)

    def _sentence(self, row: Row) -> str:
        """The finding in words; the facts in SQL come after the first sentence."""
        name = f"{row['queue_name']}: " if self._named and row.get("queue_name") else ""
        return f"{name}{row['message'].partition('. ')[0].removesuffix('.')}."

    def _item(self, row: Row) -> None:
        with ui.element("li"):
            words(f"{row['level']}: ").classes("level")
            words(f"{self._sentence(row)} ")
            self._button(row)
            details = " ".join(text for text in (row["message"].partition(". ")[2], row.get("hint") or "") if text)
            if details:
                words(details, "p").classes("muted")

    def _button(self, row: Row) -> None:
        rule = row["rule"]
        label, function = FIXES.get(rule, ("", ""))
        if self._fix is not None and rule in FIXES:
            fix = self._fix
            if self._api.can(function):
                button(label, lambda: fix(rule)).classes("small")
        elif rule in PLACES and row.get("queue_name") and not self._api.read_only:
            address = PLACES[rule].format(quote(row["queue_name"], safe=""))
            labelled(ui.link("Fix", address).classes("fix"), f"Fix: {label or self._sentence(row)}")

    def _toggle(self) -> None:
        self._unfolded = not self._unfolded
        self._update()

    def _dismiss(self, rows: Iterable[Row]) -> None:
        self._keep([*self._dismissed, *map(digest, rows)])

    def _restore(self) -> None:
        known = {digest(row) for row in self._rows}
        self._keep([one for one in self._dismissed if one not in known])

    def _keep(self, dismissed: Sequence[str]) -> None:
        self._dismissed = list(dict.fromkeys(dismissed))[-MAX_DISMISSED:]
        value = ".".join(self._dismissed)
        ui.run_javascript(f'document.cookie = "{COOKIE}={value}; Path=/; Max-Age=31536000; SameSite=Strict"')
        self._update()


def digest(row: Row) -> str:
    """Of a finding. Another number in its message, such as a count, makes no other finding; another queue does."""
    text = f"{row.get('queue_name')} {row['rule']} {row['level']} {NUMBER.sub('', row['message'])}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _is_info(row: Row) -> bool:
    return bool(row["level"] == "info")


def without_info(rows: Iterable[Row]) -> list[Row]:
    """The findings of a higher level than info."""
    return [row for row in rows if not _is_info(row)]
