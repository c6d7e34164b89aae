"""What is around every page: header, navigation, theme, and the way back to the sign-in page.

A page is a function in NAME/page.py, which pages.py imports:

    @page("/access", "Access")
    async def access(api: Api) -> None: ...
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import quote

import httpx
from nicegui import Client, background_tasks, ui

from pgmq_gateway.dashboard.api import Api, Problem
from pgmq_gateway.dashboard.parts import theme
from pgmq_gateway.dashboard.parts.widgets import icon_button
from pgmq_gateway.dashboard.sessions import SESSION, SIGN_IN, Session

NAVIGATION = (
    ("/", "Queues", "view_list"),
    ("/access", "Access", "lock_open"),
    ("/connect", "Connect", "code"),
    ("/health", "Health", "monitor_heart"),
)
THEME_ICONS = {"light": "light_mode", "dark": "dark_mode", "system": "brightness_auto"}
# For so long a page waits for its data before it is sent without.
DATA_SECONDS = 1.0
# The root's theme is set before anything is painted. Pages tell when they are hidden, so that they need not refresh.
HEAD = f"""<link rel="stylesheet" href="{theme.ADDRESS}">
<script>
  const chosen = document.cookie.match(/(?:^|; ){theme.COOKIE}=(light|dark)/);
  if (chosen) document.documentElement.dataset.theme = chosen[1];
  document.documentElement.lang = "en";
  document.addEventListener("visibilitychange", () => emitEvent("tab_hidden", document.hidden));
  // Where the session is over, the socket is refused, and the page itself would lead to the sign-in page.
  const waiting = setInterval(() => {{
    if (!window.socket) return;
    clearInterval(waiting);
    if (document.hidden) emitEvent("tab_hidden", true);
    socket.on("connect_error", async () => {{
      const answer = await fetch(location.href, {{ method: "HEAD", redirect: "manual", cache: "no-store" }});
      if (answer.type === "opaqueredirect") location.reload();
    }});
  }}, 50);
  // A table is made anew with each refresh: the link that had the focus gets it back.
  let focused = null;
  document.addEventListener("focusin", (event) => {{ focused = event.target.closest("td a")?.getAttribute("href"); }});
  document.addEventListener("focusout", (event) => {{
    const link = event.target;
    setTimeout(() => {{ if (link.isConnected && document.activeElement === document.body) focused = null; }});
  }});
  new MutationObserver(() => {{
    if (!focused || document.activeElement !== document.body) return;
    document.querySelector(`td a[href="${{CSS.escape(focused)}}"]`)?.focus({{ preventScroll: true }});
  }}).observe(document, {{ childList: true, subtree: true }});
  // navigator.clipboard is there only for pages of https and of this machine.
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
class Gateway:
    """The gateway that this dashboard is for."""

    http: httpx.AsyncClient
    public_url: str
    admin: str | None


_gateway: list[Gateway] = []


def attach(gateway: Gateway) -> None:
    """Say which gateway the pages are for, before the first one is built."""
    _gateway[:] = [gateway]


def gateway() -> Gateway:
    """The gateway that this dashboard is for."""
    return _gateway[0]


def page(path: str, title: str, section: str | None = None) -> Callable[[Builder], Builder]:
    """A page within the shell. Its builder gets the signed-in person's client, then the parameters of the path.

    section   the address in the navigation that it belongs to, when that is not its own
    """

    def decorate(build: Builder) -> Builder:
        @wraps(build)
        async def framed(client: Client, **parameters: Any) -> None:  # noqa: ANN401 the path's
            session: Session = client.request.scope[SESSION]
            background_tasks.create(_leave_when_signed_out(client, session), name="sign-out")
            api = Api(gateway().http, session, gateway().public_url)
            with _shell(client, api, section or path):
                await build(api, **parameters)

        given = list(inspect.signature(build).parameters.values())[1:]
        own = inspect.Parameter("client", inspect.Parameter.KEYWORD_ONLY, annotation=Client)
        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in given]
        framed.__signature__ = inspect.Signature([*parameters, own])  # type: ignore[attr-defined]
        ui.page(path, title=f"{title} · pgmq-gateway")(framed)
        return build

    return decorate


def queue_address(queue: str) -> str:
    """Where a queue has its page."""
    return f"/queues/{quote(queue, safe='')}"


async def _leave_when_signed_out(client: Client, session: Session) -> None:
    # As soon as a task waits for the browser, NiceGUI sends the page as it is, with its data or without.
    await asyncio.sleep(DATA_SECONDS)
    gone = asyncio.ensure_future(client.disconnected())
    ended = asyncio.ensure_future(session.ended.wait())
    await asyncio.wait([gone, ended], return_when=asyncio.FIRST_COMPLETED)
    if ended.done() and not client.is_deleted:
        client.open(SIGN_IN)
    for task in (gone, ended):
        task.cancel()


def _shell(client: Client, api: Api, here: str) -> ui.element:
    """Header and navigation; gives the place for the page's content."""
    ui.add_head_html(HEAD)
    chosen = theme.chosen(client.request)
    dark = ui.dark_mode(theme.THEMES[chosen])
    # Quasar's page is the landmark main: what is not of the content stands before it.
    assert client.content.parent_slot is not None
    main = client.content.parent_slot.parent.props("tabindex=-1")
    with client.layout:
        ui.link("Skip to the content", f"#{main.html_id}").classes("skip").move(target_index=0)
        with ui.element("header").classes("shell-header") as header:
            _header(client, api, here, dark, chosen)
        with ui.element("aside").classes("shell-side") as aside:
            _navigation(here)
    header.move(target_index=1)
    aside.move(target_index=2)
    return client.content.classes("shell-main")


def _header(client: Client, api: Api, here: str, dark: ui.dark_mode, chosen: str) -> None:
    icon_button("menu", "Menu", lambda: _open_menu(here)).classes("shell-menu").props("aria-haspopup=dialog")
    ui.link("pgmq-gateway", "/").classes("product")
    where = ui.label(api.public_url).classes("where mono")
    background_tasks.create(_tell_database(client, api, where), name="database")
    _theme_switch(dark, chosen)
    icon_button("logout", "Sign out", lambda: api.session.end("You have signed out."))


async def _tell_database(client: Client, api: Api, where: ui.label) -> None:
    database = await api.database()
    if not isinstance(database, Problem) and not client.is_deleted:
        where.text = f"{api.public_url} · Postgres {str(database['postgres_version']).split()[0]}"


def _navigation(here: str) -> None:
    with ui.element("nav").classes("navigation").props('aria-label="Pages"'):
        for address, name, icon in NAVIGATION:
            link = ui.link("", address).props("aria-current=page" if address == here else "")
            with link:
                ui.icon(icon).props("aria-hidden=true")
                ui.label(name)


def _open_menu(here: str) -> None:
    """The navigation of a narrow screen."""
    with ui.context.client.content, ui.dialog() as menu, ui.card().classes("menu"):
        _navigation(here)
    menu.props('position=left aria-label="Pages"').on("hide", menu.delete)
    menu.open()


def _theme_switch(dark: ui.dark_mode, chosen: str) -> None:
    def choose(name: str) -> None:
        dark.value = theme.THEMES[name]
        button.props(f"icon={THEME_ICONS[name]}")
        ui.run_javascript(
            f'document.cookie = "{theme.COOKIE}={name}; Path=/; Max-Age=31536000; SameSite=Strict";'
            f'document.documentElement.dataset.theme = "{name}";'
        )

    with (
        icon_button(THEME_ICONS[chosen], "Light or dark").props("aria-haspopup=menu") as button,
        ui.menu().props("role=menu"),
    ):
        for name in theme.THEMES:
            ui.menu_item(f"{name.capitalize()}", lambda name=name: choose(name)).props("role=menuitem")
