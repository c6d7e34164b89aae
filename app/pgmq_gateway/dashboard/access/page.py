"""The page Access: shows, explains, changes and tests the permissions and policies of a queue."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from pgmq_gateway.dashboard.access.editor import Editor
from pgmq_gateway.dashboard.access.matrix import Matrix, Permissions, permissions_of
from pgmq_gateway.dashboard.access.policies import Policies
from pgmq_gateway.dashboard.access.protection import Protection, turn
from pgmq_gateway.dashboard.access.trial import Trial
from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.parts.lint import Findings, without_info
from pgmq_gateway.dashboard.parts.refresh import Refresh
from pgmq_gateway.dashboard.parts.shell import page
from pgmq_gateway.dashboard.parts.widgets import Failure, button, heading, words

# Permissions rarely change, and their query is expensive.
REFRESH_SECONDS = 10.0


@page("/access", "Access")
async def access(api: Api, queue: str = "") -> None:
    """Without a queue in the URL, the first one."""
    await AccessPage(api, queue).start()


def _queue_select(names: Sequence[str], selected: str) -> None:
    def go(event: ValueChangeEventArguments[str]) -> None:
        if event.value:
            ui.navigate.to(f"/access?queue={quote(event.value)}")

    options = list(dict.fromkeys([*names, selected]))
    select = ui.select(options, label="Queue", value=selected, with_input=True, on_change=go)
    select.props("outlined dense").classes("field")


@dataclass(frozen=True)
class Frame:
    """The names of all queues, and the templates of policies."""

    names: Sequence[str]
    templates: Sequence[Row]


@dataclass(frozen=True)
class Snapshot:
    """The data of one queue; `frame` is what the page was built with."""

    frame: Frame
    permissions: Permissions
    policies: Sequence[Row]
    warnings: Sequence[Row]
    rls: bool


class AccessPage:
    """The page, which is built with the first response."""

    def __init__(self, api: Api, queue: str) -> None:
        self._api = api
        self._queue = queue
        self._frame: Frame | None = None
        self._content: Access | None = None
        with ui.element("div").classes("head"):
            heading("Access", 1)
            self._chooser = ui.element("div").classes("chooser")
            ui.element("div").classes("grow")
            self._refresh: Refresh[Snapshot | None] = Refresh(
                self._load, self._show, api.session.pictures, lambda: f"/access {queue}", REFRESH_SECONDS
            )
        self._place = ui.element("div").classes("content")

    async def start(self) -> None:
        await self._refresh.again()

    async def _load(self) -> Snapshot | Problem | None:
        """None without queues."""
        if self._frame is None or not self._frame.names:
            listed, templates = await asyncio.gather(self._api.queues(), self._api.rows("policy_templates"))
            for answer in (listed, templates):
                if isinstance(answer, Problem):
                    return answer
            assert not isinstance(listed, Problem)
            assert not isinstance(templates, Problem)
            self._frame = Frame([row["queue_name"] for row in listed], templates)
            # Before the queue is loaded: if it does not exist, another one can be selected.
            self._build(self._frame)
        return await snapshot(self._api, self._queue, self._frame) if self._frame.names else None

    def _build(self, frame: Frame) -> None:
        if self._content is not None:
            return
        self._queue = self._queue or next(iter(frame.names), "")
        self._place.clear()
        with self._place:
            if not frame.names:
                words("There are no queues yet.", "p")
                ui.link("Create a queue", "/")
                return
            self._content = Access(self._api, self._queue, frame.templates, self._refresh.again)
        with self._chooser:
            _queue_select(frame.names, self._queue)

    def _show(self, snapshot: Snapshot | None, _: float) -> None:
        if snapshot is not None:
            self._build(snapshot.frame)
            assert self._content is not None
            self._content.show(snapshot)


async def snapshot(api: Api, queue: str, frame: Frame) -> Snapshot | Problem:
    named = {"queue_name": queue}
    answers: list[Any] = await asyncio.gather(
        *(api.rows(name, named) for name in ("rights", "list_grants", "list_policies", "lint")),
        api.rows("list_queues", query={"queue_name": f"eq.{queue}", "select": "rls"}),
    )
    for answer in answers:
        if isinstance(answer, Problem):
            return answer
    rights, grants, policies, warnings, queues = answers
    rls = bool(queues and queues[0]["rls"])
    # Findings of level info do not concern access.
    return Snapshot(frame, permissions_of(rights, grants), policies, without_info(warnings), rls)


class Access:
    """The page's content for one queue. `refresh` loads the data again."""

    def __init__(self, api: Api, queue: str, templates: Sequence[Row], refresh: Callable[[], Awaitable[None]]) -> None:
        self._api = api
        self._queue = queue
        self._refresh = refresh
        self._editor = Editor(api, queue, templates, lambda role: self._matrix.granted(role), refresh)
        self._warnings = Findings(api, self._fix)
        with ui.element("div").classes("stack sections") as self._content:
            with _section("Permissions"):
                self._protection = Protection(api, queue, refresh)
                self._failure = Failure()
                self._matrix = Matrix(api, self._change, self._editor.open)
            with _section("Policies") as section:
                section.classes("policy-section")
                if api.can("create_policy"):
                    with ui.element("div").classes("row-of"):
                        button("Create policies", lambda: self._editor.open(), icon="add")
                titles = {row["template"]: row["title"] for row in templates}
                self._policies = Policies(api, queue, titles, self._editor.change, refresh)
            self._trial: Trial | None = None
            if api.can("try_as") and api.can("messages_as"):
                with _section("Try as a caller"):
                    self._trial = Trial(api, queue)
        self._content.set_visibility(False)

    def show(self, snapshot: Snapshot) -> None:
        self._content.set_visibility(True)
        self._matrix.show(snapshot.permissions)
        self._protection.show(snapshot.rls)
        self._policies.show(snapshot.policies)
        self._warnings.show(snapshot.warnings)
        if self._trial is not None:
            self._trial.offer(self._matrix.roles)

    async def _change(self, role: str, operations: Sequence[str], grant: bool) -> None:
        self._failure.clear()
        function = "grant_queue" if grant else "revoke_queue"
        wanted = {"queue_name": self._queue, "role": role, "operations": list(operations)}
        answer = await self._api.call(function, wanted)
        if isinstance(answer, Problem):
            self._failure.show(answer, f"The permissions of {role} were not changed.")
        await self._refresh()

    async def _fix(self, rule: str) -> None:
        if rule == "silent_policy":
            self._editor.open()
            return
        if rule == "rls_off":
            answer = await turn(self._api, self._queue, on=True)
        else:
            answer = await self._api.call("enable_notify", {"queue_name": self._queue})
        if isinstance(answer, Problem):
            self._failure.show(answer)
        await self._refresh()


def _section(title: str) -> ui.element:
    section = ui.element("section").classes("panel")
    section.props["aria-label"] = title
    with section:
        heading(title)
    return section
