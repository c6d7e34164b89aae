"""The colours in light and dark, and the style sheet made of them and of static/*.css."""

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

STYLE_SHEET_PATH = "/assets/dashboard.css"
STATIC = Path(__file__).parents[1] / "static"
ICON = STATIC / "icon.svg"
# The shared rules come first, so that those of one page override them.
STYLES = [STATIC / name for name in ("dashboard.css", "access.css", "health.css", "queue.css")]

# Each colour in light and in dark. Text has a contrast of at least 4.5 (WCAG 2.2, 1.4.3) on page, surface and raised.
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
    # Message states, in tables and charts.
    "visible": ("#1a5fb4", "#7fb3f5"),
    "delayed": ("#7a4fb5", "#c3a3f2"),
    "in-flight": ("#9c4f00", "#f0a75a"),
    "parked": ("#00686f", "#5cc7cf"),
    "archived": ("#566070", "#a3adbb"),
    "rate-in": ("#1c6b3c", "#6ecf95"),
    "rate-out": ("#9c4f00", "#f0a75a"),
}

# Quasar's names of colours, with those of COLOURS.
QUASAR = {"primary": "accent", "negative": "bad", "positive": "good", "warning": "warn", "dark": "surface"}

# The values of NiceGUI's dark mode; None follows the system.
THEMES = {"light": False, "dark": True, "system": None}
COOKIE = "pgmq_dashboard_theme"


def preferred(request: Request) -> str:
    """The theme in the request's cookie, else `system`."""
    name = request.cookies.get(COOKIE, "system")
    return name if name in THEMES else "system"


def colour(name: str, *, dark: bool) -> str:
    return COLOURS[name][dark]


@cache
def style_sheet() -> str:
    light, dark = (_variables(index) for index in (0, 1))
    return (
        f":root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {dark} }} }}\n"
        f":root[data-theme=dark], body.body--dark {{ {dark} }}\n"
        f"body.body--light {{ {light} }}\n" + "".join(path.read_text() for path in STYLES)
    )


def _variables(index: int) -> str:
    colours = " ".join(f"--{name}: {pair[index]};" for name, pair in COLOURS.items())
    # Quasar sets its own as inline styles of the body, which only !important overrides.
    quasar = " ".join(f"--q-{name}: {COLOURS[own][index]} !important;" for name, own in QUASAR.items())
    return f"{colours} {quasar} color-scheme: {('light', 'dark')[index]};"


def routes() -> list[BaseRoute]:
    async def style(_: Request) -> Response:
        return Response(style_sheet(), media_type="text/css", headers={"Cache-Control": "no-cache"})

    return [Route(STYLE_SHEET_PATH, style)]
