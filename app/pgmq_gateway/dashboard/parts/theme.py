"""How the dashboard looks: colours and sizes, each said once, for style sheets and for charts."""

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

ADDRESS = "/assets/dashboard.css"
STATIC = Path(__file__).parents[1] / "static"
# Those of single pages come after what all pages share.
STYLES = [STATIC / name for name in ("dashboard.css", "access.css", "health.css", "queue.css")]

# Each colour in light and in dark. Text on `surface` and on `page` has a contrast of 4.5 or more, `faint` is for lines.
COLOURS = {
    "page": ("#f6f7f9", "#14171c"),
    "surface": ("#ffffff", "#1b1f26"),
    "raised": ("#eef0f3", "#262b34"),
    "line": ("#d9dde3", "#343b46"),
    "text": ("#1b2330", "#e6e9ee"),
    "muted": ("#566070", "#a3adbb"),
    "accent": ("#1a5fb4", "#7fb3f5"),
    "on-accent": ("#ffffff", "#10151c"),
    "good": ("#1c6b3c", "#6ecf95"),
    "warn": ("#8a5300", "#f0b75a"),
    "bad": ("#b3261e", "#ff9a90"),
    "bad-surface": ("#fdeceb", "#3a2123"),
    "warn-surface": ("#fdf3e1", "#352a17"),
    # The states of messages, in tables and charts alike.
    "visible": ("#1a5fb4", "#7fb3f5"),
    "delayed": ("#7a4fb5", "#c3a3f2"),
    "in-flight": ("#9c4f00", "#f0a75a"),
    "archived": ("#566070", "#a3adbb"),
    "rate-in": ("#1c6b3c", "#6ecf95"),
    "rate-out": ("#9c4f00", "#f0a75a"),
}

# Quasar's names for its own components' colours.
QUASAR = {"primary": "accent", "negative": "bad", "positive": "good", "warning": "warn", "dark": "surface"}


# What a person can choose, as NiceGUI's dark mode takes it; the choice is kept in a cookie.
THEMES = {"light": False, "dark": True, "system": None}
COOKIE = "pgmq_dashboard_theme"


def chosen(request: Request) -> str:
    """The theme that the person has chosen, else the system's."""
    name = request.cookies.get(COOKIE, "system")
    return name if name in THEMES else "system"


def colour(name: str, *, dark: bool) -> str:
    """One colour, for what cannot read style sheets."""
    return COLOURS[name][dark]


@cache
def style_sheet() -> str:
    """The whole style sheet."""
    light, dark = (_variables(index) for index in (0, 1))
    return (
        f":root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {dark} }} }}\n"
        f":root[data-theme=dark], body.body--dark {{ {dark} }}\n"
        f"body.body--light {{ {light} }}\n" + "".join(path.read_text() for path in STYLES)
    )


def _variables(index: int) -> str:
    colours = " ".join(f"--{name}: {pair[index]};" for name, pair in COLOURS.items())
    # Quasar writes its own onto the body.
    quasar = " ".join(f"--q-{name}: {COLOURS[ours][index]} !important;" for name, ours in QUASAR.items())
    return f"{colours} {quasar} color-scheme: {('light', 'dark')[index]};"


def routes() -> list[BaseRoute]:
    """The style sheet's address."""

    async def style(_: Request) -> Response:
        return Response(style_sheet(), media_type="text/css", headers={"Cache-Control": "no-cache"})

    return [Route(ADDRESS, style)]
