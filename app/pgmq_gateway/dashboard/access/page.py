"""Who may do what with a queue: shown as it is, with the reasons, changed, and tried."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from pgmq_gateway.dashboard.access.exposure import Exposure
from pgmq_gateway.dashboard.access.matrix import Matrix, Rights, rights_of
from pgmq_gateway.dashboard.access.policies import Policies, Templates
from pgmq_gateway.dashboard.access.protection import Protection, turn
from pgmq_gateway.dashboard.access.trial import Trial
from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.parts.refresh import Refresh
from pgmq_gateway.dashboard.parts.shell import page
from pgmq_gateway.dashboard.parts.widgets import Failure, button, heading, problem, words

# Rights change seldom, and to find them out is work.
SECONDS = 10.0
# Rules of the lint that a button mends, and its words.
FIXES = {
    "rls_off": "Turn row-level security on",
    "silent_policy": "Create policies",
    "notify_row": "Enable notifications again",
}


@page("/access", "Access")
async def access(api: Api, queue: str = "") -> None:
    """The rights on the queue that the address names, else on the first."""
    with ui.element("div").classes("head"):
        heading("Access", 1)
        chooser = ui.element("div").classes("chooser")
        ui.element("div").classes("grow")
        corner = ui.element("div")
    queues = await api.queues()
    if isinstance(queues, Problem):
        problem(queues)
        return
    names = [row["queue_name"] for row in queues]
    if not names:
        words("There is no queue yet.", "p")
        ui.link("Create one", "/")
        return
    chosen = queue or names[0]
    with chooser:
        _choice(names, chosen)
    templates = await api.rows("policy_templates")
    if isinstance(templates, Problem):
        problem(templates)
        return
    await Access(api, chosen, templates, corner).start()


def _choice(names: Sequence[str], chosen: str) -> None:
    def go(event: ValueChangeEventArguments[str]) -> None:
        if event.value:
            ui.navigate.to(f"/access?queue={quote(event.value)}")

    options = list(dict.fromkeys([*names, chosen]))
    select = ui.select(options, label="Queue", value=chosen, with_input=True, on_change=go)
    select.props("outlined dense").classes("field")


@dataclass(frozen=True)
class Look:
    """What the page shows of one queue, at one time."""

    rights: Rights
    policies: Sequence[Row]
    warnings: Sequence[Row]
    rls: bool
    exposed: bool


class Access:
    """The page's content for one queue. `corner` is where the page says how old it is."""

    def __init__(self, api: Api, queue: str, templates: Sequence[Row], corner: ui.element) -> None:
        self._api = api
        self._queue = queue
        with corner:
            self._refresh: Refresh[Look] = Refresh(self._load, self._show, SECONDS)
        self._first = Failure()
        self._templates = Templates(api, queue, templates, self._refresh.again)
        self._warnings = Warnings(self._fix)
        with ui.element("div").classes("stack sections") as self._content:
            with _section("Rights"):
                self._protection = Protection(api, queue, self._refresh.again)
                self._failure = Failure()
                self._matrix = Matrix(self._change, self._templates.open)
            with _section("Policies") as section:
                section.classes("policy-section")
                with ui.element("div").classes("row-of"):
                    button("Create from a template", self._templates.open, icon="add")
                self._policies = Policies(api, queue, self._refresh.again)
            with _section("Try as"):
                self._trial = Trial(api, queue)
            with _section("All queues over HTTP"):
                self._exposure = Exposure(api, self._refresh.again)
        self._content.set_visibility(False)

    async def start(self) -> None:
        """Show it for the first time."""
        answer = await self._load()
        if isinstance(answer, Problem):
            self._first.show(answer)
            return
        await self._refresh.again()

    async def _load(self) -> Look | Problem:
        named = {"queue_name": self._queue}
        answers: list[Any] = await asyncio.gather(
            *(self._api.rows(name, named) for name in ("rights", "list_grants", "list_policies", "lint")),
            self._api.rows("list_queues", query={"queue_name": f"eq.{self._queue}", "select": "rls"}),
            self._api.call("exposed"),
        )
        for answer in answers:
            if isinstance(answer, Problem):
                return answer
        rights, grants, policies, warnings, queues, exposed = answers
        return Look(rights_of(rights, grants), policies, warnings, bool(queues and queues[0]["rls"]), exposed)

    def _show(self, look: Look) -> None:
        self._content.set_visibility(True)
        self._matrix.show(look.rights)
        self._protection.show(look.rls)
        self._policies.show(look.policies)
        self._warnings.show(look.warnings)
        self._exposure.show(look.exposed)
        self._trial.offer(self._matrix.roles)

    async def _change(self, role: str, operations: Sequence[str], give: bool) -> None:
        self._failure.clear()
        function = "grant_queue" if give else "revoke_queue"
        wanted = {"queue_name": self._queue, "role": role, "operations": list(operations)}
        answer = await self._api.call(function, wanted)
        if isinstance(answer, Problem):
            self._failure.show(answer, f"The rights of {role} were not changed.")
        await self._refresh.again()

    async def _fix(self, rule: str) -> None:
        """Do what mends a warning."""
        if rule == "silent_policy":
            self._templates.open()
            return
        if rule == "rls_off":
            answer = await turn(self._api, self._queue, on=True)
        else:
            answer = await self._api.call("enable_notify", {"queue_name": self._queue})
        if isinstance(answer, Problem):
            self._failure.show(answer)
        await self._refresh.again()


def _section(title: str) -> ui.element:
    section = ui.element("section").classes("panel")
    section.props["aria-label"] = title
    with section:
        heading(title)
    return section


class Warnings:
    """What the lint says of the queue. `fix` mends what can be mended with a button, by its rule."""

    def __init__(self, fix: Callable[[str], Awaitable[None]]) -> None:
        self._fix = fix
        self._rows: Sequence[Row] = ()
        self._place = ui.element("section").props("aria-label=Warnings").classes("stack")
        self._place.set_visibility(False)

    def show(self, rows: Sequence[Row]) -> None:
        """The warnings as they are now."""
        if rows == self._rows:
            return
        self._rows = rows
        self._place.set_visibility(bool(rows))
        self._place.clear()
        with self._place:
            for row in rows:
                self._warning(row)

    def _warning(self, row: Row) -> None:
        with ui.element("div").classes("notice"):
            with ui.element("p"):
                words(f"{row['level']}: ").classes("level")
                words(f"{row['message']} ")
            if row["hint"]:
                words(row["hint"], "p").classes("muted")
            if row["rule"] in FIXES:
                button(FIXES[row["rule"]], lambda: self._fix(row["rule"])).classes("small")
