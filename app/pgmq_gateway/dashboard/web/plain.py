"""Pages of plain HTML: the frame of the sign-in page, and the page for an unknown address."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pgmq_gateway.dashboard.parts import theme


def document(title: str, content: str, preferred: str) -> str:
    """A page with the dashboard's style sheet. `preferred` is the name of a theme."""
    return f"""<!doctype html>
<html lang="en" data-theme="{preferred}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} · pgmq-gateway</title>
<link rel="icon" href="/favicon.ico">
<link rel="stylesheet" href="{theme.STYLE_SHEET_PATH}">
</head>
<body class="plain">{content}</body>
</html>"""


async def not_found(request: Request, _: Exception) -> Response:
    """The page for an address that the dashboard does not have, in place of NiceGUI's."""
    content = f"""<main class="sign-in">
<h1>Page not found</h1>
<p>The dashboard has no page <code>{escape(request.url.path)}</code>. The address may be mistyped, or from another
version.</p>
<p><a href="/">All queues</a></p>
</main>"""
    return HTMLResponse(document("Page not found", content, theme.preferred(request)), 404)
