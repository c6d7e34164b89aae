"""The frame of every page: header, navigation, theme, and the redirect to the sign-in page when the session ends.

A page is a function in NAME/page.py, which pages.py imports:

    @page("/access", "Access")
    async def access(api: Api) -> None: ...
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import quote

import httpx
from nicegui import Client, background_tasks, ui

from pgmq_gateway.dashboard.api import Api, Problem
from pgmq_gateway.dashboard.parts import theme
from pgmq_gateway.dashboard.parts.widgets import badge, icon_button, words
from pgmq_gateway.dashboard.sessions import SESSION, SIGN_IN, Session

NAVIGATION = (
    ("/", "Queues", "view_list"),
    ("/access", "Access", "lock_open"),
    ("/connect", "Connect", "code"),
    ("/actions", "Actions", "history"),
    ("/health", "Health", "monitor_heart"),
)
THEME_ICONS = {"light": "light_mode", "dark": "dark_mode", "system": "brightness_auto"}
# A page is sent without its data when that takes longer.
DATA_TIMEOUT_SECONDS = 1.0
# Controls that the API would refuse are then on the page.
PERMISSIONS_TIMEOUT_SECONDS = 0.5
# Between two requests for the version of Postgres.
RETRY_SECONDS = 2.0
# Sets the theme before the first paint, and reports hidden tabs, whose updates pause.
HEAD = f"""<link rel="stylesheet" href="{theme.STYLE_SHEET_PATH}">
<script>
  const preferred = document.cookie.match(/(?:^|; ){theme.COOKIE}=(light|dark)/);
  if (preferred) document.documentElement.dataset.theme = preferred[1];
  document.documentElement.lang = "en";
  document.addEventListener("visibilitychange", () => emitEvent("tab_hidden", document.hidden));
  // Without a session the gate rejects the socket and redirects the page to the sign-in page: reload to follow it.
  const waiting = setInterval(() => {{
    if (!window.socket) return;
    clearInterval(waiting);
    if (document.hidden) emitEvent("tab_hidden", true);
    socket.on("connect_error", async () => {{
      const answer = await fetch(location.href, {{ method: "HEAD", redirect: "manual", cache: "no-store" }});
      if (answer.type === "opaqueredirect") location.reload();
    }});
  }}, 50);
  // An update that moves a table's row takes the focus from the elements in it: restore it.
  let focused = null;
  document.addEventListener("focusin", (event) => {{ focused = event.target.closest("td") && event.target; }});
  document.addEventListener("focusout", () => setTimeout(() => {{
    if (document.activeElement === document.body) focused = null;
  }}));
  new MutationObserver(() => {{
    if (focused?.isConnected && document.activeElement === document.body) focused.focus({{ preventScroll: true }});
  }}).observe(document, {{ childList: true, subtree: true }});
  // Times have one format on all pages: ISO 8601's, in the browser's zone, to the second.
  function localTime(at) {{
    const time = new Date(at);
    if (isNaN(time)) return String(at);
    return new Date(time - time.getTimezoneOffset() * 60000).toISOString().slice(0, 19).replace("T", " ");
  }}
  // navigator.clipboard exists in secure contexts only: https and localhost.
  async function copyText(text) {{
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = Object.assign(document.createElement("textarea"), {{ value: text }});
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }}
</script>"""

Builder = Callable[..., Awaitable[None]]


@dataclass
class GatewayAddress:
    """The dashboard's gateway.

    http        connections to its API
    public_url  its URL for its clients
    admin       URL of its admin port; None: unknown
    publishable one of its publishable keys; empty: unknown
    """

    http: httpx.AsyncClient
    public_url: str
    admin: str | None
    publishable: str = ""


_gateway: list[GatewayAddress] = []


def attach(gateway: GatewayAddress) -> None:
    """Set the gateway of all pages. NiceGUI's page functions are global and take no such argument."""
    _gateway[:] = [gateway]


def gateway() -> GatewayAddress:
    return _gateway[0]


def page(path: str, title: str, section: str | None = None) -> Callable[[Builder], Builder]:
    """Register a page. Its builder gets the API with the user's key, then the parameters of the path and the query.

    section   the path of its entry in the navigation, when that is not its own
    """

    def decorate(build: Builder) -> Builder:
        @wraps(build)
        async def framed(client: Client, **parameters: Any) -> None:  # noqa: ANN401 the path's
            session: Session = client.request.scope[SESSION]
            api = Api(gateway().http, session, gateway().public_url)
            with suppress(TimeoutError):
                await asyncio.wait_for(api.load_permissions(), PERMISSIONS_TIMEOUT_SECONDS)
            # From now on the page can be sent.
            background_tasks.create(_leave_when_signed_out(client, session), name="sign-out")
            with _shell(client, api, section or path):
                # On the page if it is sent before its data.
                loading = words("Loading…", "p").classes("muted loading").props("role=status")
                await build(api, **parameters)
            if not loading.is_deleted:
                loading.delete()

        given = list(inspect.signature(build).parameters.values())[1:]
        own = inspect.Parameter("client", inspect.Parameter.KEYWORD_ONLY, annotation=Client)
        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in given]
        framed.__signature__ = inspect.Signature([*parameters, own])  # type: ignore[attr-defined]
        ui.page(path, title=f"{title} · pgmq-gateway")(framed)
        return build

    return decorate


def queue_address(queue: str) -> str:
    return f"/queues/{quote(queue, safe='')}"


async def _leave_when_signed_out(client: Client, session: Session) -> None:
    # NiceGUI sends the page as soon as a task waits for the browser: leave the builder time to load the data.
    await asyncio.sleep(DATA_TIMEOUT_SECONDS)
    closed = asyncio.ensure_future(client.disconnected())
    ended = asyncio.ensure_future(session.ended.wait())
    await asyncio.wait([closed, ended], return_when=asyncio.FIRST_COMPLETED)
    if ended.done() and not client.is_deleted:
        client.open(SIGN_IN)
    for task in (closed, ended):
        task.cancel()


def _shell(client: Client, api: Api, here: str) -> ui.element:
    """Add header and navigation, and return the element for the page's content."""
    ui.add_head_html(HEAD)
    preferred = theme.preferred(client.request)
    dark = ui.dark_mode(theme.THEMES[preferred])
    # Quasar's page is the landmark `main`: header and navigation belong before it.
    assert client.content.parent_slot is not None
    main = client.content.parent_slot.parent.props("tabindex=-1")
    with client.layout:
        ui.link("Skip to the content", f"#{main.html_id}").classes("skip").move(target_index=0)
        with ui.element("header").classes("shell-header") as header:
            _header(client, api, here, dark, preferred)
        with ui.element("aside").classes("shell-side") as aside:
            _navigation(here)
    header.move(target_index=1)
    aside.move(target_index=2)
    return client.content.classes("shell-main")


def _header(client: Client, api: Api, here: str, dark: ui.dark_mode, preferred: str) -> None:
    icon_button("menu", "Menu", lambda: _open_menu(here)).classes("shell-menu").props("aria-haspopup=dialog")
    ui.link("pgmq-gateway", "/").classes("product")
    address = ui.label(api.public_url).classes("address mono")
    if api.read_only:
        badge("read-only")
    background_tasks.create(_add_version(client, api, address), name="database")
    _theme_switch(dark, preferred)
    icon_button("logout", "Sign out", lambda: api.session.end("You have signed out."))


async def _add_version(client: Client, api: Api, address: ui.label) -> None:
    database = await api.database()
    while isinstance(database, Problem) and database.outage and not client.is_deleted:
        await asyncio.sleep(RETRY_SECONDS)
        database = await api.database()
    if not isinstance(database, Problem) and not client.is_deleted:
        address.text = f"{api.public_url} · Postgres {str(database['postgres_version']).split()[0]}"


def _navigation(here: str) -> None:
    with ui.element("nav").classes("navigation").props('aria-label="Pages"'):
        for path, name, icon in NAVIGATION:
            link = ui.link("", path).props("aria-current=page" if path == here else "")
            with link:
                ui.icon(icon).props("aria-hidden=true")
                ui.label(name)


def _open_menu(here: str) -> None:
    """The navigation on a narrow screen."""
    with ui.context.client.content, ui.dialog() as menu, ui.card().classes("menu"):
        _navigation(here)
    menu.props('position=left aria-label="Pages"').on("hide", menu.delete)
    menu.open()


def _theme_switch(dark: ui.dark_mode, preferred: str) -> None:
    items: dict[str, ui.menu_item] = {}

    def select(name: str) -> None:
        dark.value = theme.THEMES[name]
        button.props(f"icon={THEME_ICONS[name]}")
        mark(name)
        ui.run_javascript(
            f'document.cookie = "{theme.COOKIE}={name}; Path=/; Max-Age=31536000; SameSite=Strict";'
            f'document.documentElement.dataset.theme = "{name}";'
        )

    def mark(selected: str) -> None:
        for name, item in items.items():
            item.props(f"aria-checked={'true' if name == selected else 'false'}")

    with (
        icon_button(THEME_ICONS[preferred], "Theme").props("aria-haspopup=menu") as button,
        ui.menu().props("role=menu"),
    ):
        for name in theme.THEMES:
            items[name] = ui.menu_item(name.capitalize(), lambda name=name: select(name)).props("role=menuitemradio")
    mark(preferred)
