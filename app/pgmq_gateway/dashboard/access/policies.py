"""The policies of a queue: those of a template together, the others one by one."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.parts.dialogs import confirmed
from pgmq_gateway.dashboard.parts.widgets import Failure, badge, button, words

PLACES = {"queue": "on the queue", "archive": "on the archive"}
# The name that create_policy gives, unless it would be too long.
OF_TEMPLATE = re.compile(r"(\w+) of (.+?): (?:select|insert|update|delete)(?: where (.+) = (.+))?", re.DOTALL)


@dataclass(frozen=True)
class Group:
    """Policies that a template has created together. `member` and `claim` are empty where it takes none."""

    template: str
    role: str
    member: str = ""
    claim: str = ""

    @classmethod
    def of(cls, policy: str) -> "Group | None":
        """The group of a policy by its name; None for one that no template has created."""
        found = OF_TEMPLATE.fullmatch(policy)
        return cls(found[1], found[2], found[3] or "", found[4] or "") if found else None


class Policies:
    """The list.

    titles   those of the templates, by name
    edit     opens the editor with a group and the names of its policies
    changed  awaited after policies were dropped
    """

    def __init__(
        self,
        api: Api,
        queue: str,
        titles: Mapping[str, str],
        edit: Callable[[Group, Sequence[str]], None],
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._api = api
        self._queue = queue
        self._titles = titles
        self._edit = edit
        self._changed = changed
        self._rows: Sequence[Row] | None = None
        self._failure = Failure()
        self._list = ui.element("div").classes("policies").props("role=list aria-label=Policies")

    def show(self, rows: Sequence[Row]) -> None:
        if rows == self._rows:
            return
        self._rows = rows
        self._list.clear()
        with self._list:
            for group, policies in self._groups(rows).items():
                if isinstance(group, Group):
                    self._group(group, policies)
                else:
                    self._item(group, policies)
            if not rows:
                words("No policies.", "p").classes("muted").props("role=listitem")
            elif not self._api.can("create_policy"):
                words("Your key cannot see the conditions.", "p").classes("muted").props("role=listitem")

    def _groups(self, rows: Sequence[Row]) -> dict[Group | str, list[Row]]:
        """The policies of each group, and by its name each other one."""
        found: dict[Group | str, list[Row]] = {}
        for row in rows:
            group = Group.of(row["policy_name"])
            key = group if group and group.template in self._titles else row["policy_name"]
            found.setdefault(key, []).append(row)
        return found

    def _group(self, group: Group, rows: Sequence[Row]) -> None:
        names = list(dict.fromkeys(row["policy_name"] for row in rows))
        title = f"{self._titles[group.template]} of {group.role}"
        with ui.element("div").classes("policy").props("role=listitem"):
            with ui.element("div").classes("row-of"):
                words(title).classes("name")
                ui.element("div").classes("grow")
                if self._api.can("change_policy"):
                    change = button("Change", lambda: self._edit(group, names)).classes("small")
                    change.props["aria-label"] = f"Change policies {title}"
                self._drop_button(title, names)
            if group.member:
                words(f"Messages whose member {group.member} equals the claim {group.claim} of the token.", "p")
            with ui.element("details"):
                words(f"{len(rows)} policies in SQL" if len(rows) > 1 else "1 policy in SQL", "summary")
                for row in rows:
                    _policy(row)

    def _item(self, name: str, rows: Sequence[Row]) -> None:
        with ui.element("div").classes("policy").props("role=listitem"):
            with ui.element("div").classes("row-of"):
                words(name).classes("name")
                ui.element("div").classes("grow")
                self._drop_button(name, [name])
            for row in rows:
                _policy(row)

    def _drop_button(self, title: str, names: Sequence[str]) -> None:
        if self._api.can("drop_policy"):
            drop = button("Drop", lambda: self._drop(title, names)).classes("small")
            drop.props["aria-label"] = f"Drop policy {title}"

    async def _drop(self, title: str, names: Sequence[str]) -> None:
        text = f"{title}: permissions stay, but without another policy they give access to no message."
        if not await confirmed("Drop this policy?", text, "Drop", "danger"):
            return
        self._failure.clear()
        for name in names:
            answer = await self._api.call("drop_policy", {"queue_name": self._queue, "policy_name": name})
            if isinstance(answer, Problem):
                self._failure.show(answer)
                break
        await self._changed()


def _policy(row: Row) -> None:
    """One policy in SQL."""
    with ui.element("div").classes("row-of"):
        badge(f"{row['command']} {PLACES[row['on_table']]}")
        words(f"for {', '.join(row['roles'])}").classes("muted")
        if not row["permissive"]:
            badge("restrictive", "warn")
    for kind, expression in (("using", row["using_expression"]), ("with check", row["check_expression"])):
        if expression is not None:
            words(f"{kind} ({expression})", "code")
