"""The sign-in page: plain HTML and one form. None of the pages' machinery is there before there is a session."""

from html import escape
from urllib.parse import parse_qs, quote, urlencode

import httpx
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from pgmq_gateway.dashboard.api import Problem, check
from pgmq_gateway.dashboard.parts import theme
from pgmq_gateway.dashboard.sessions import SESSION, SIGN_IN, Code, Sessions

# Longer ones are no keys.
LONGEST_FORM = 65536


class SignIn:
    """The ways in: a key that the API accepts, or the banner's code."""

    def __init__(self, http: httpx.AsyncClient, url: str, sessions: Sessions, code: Code | None, cookie: str) -> None:
        self._http = http
        self._url = url
        self._sessions = sessions
        self._code = code
        self._cookie = cookie

    def routes(self) -> list[BaseRoute]:
        """The page and its form."""
        return [Route(SIGN_IN, self._page, methods=["GET"]), Route(SIGN_IN, self._form, methods=["POST"])]

    async def _page(self, request: Request) -> Response:
        if (given := request.query_params.get("code")) is not None:
            return self._by_code(request, given)
        session = request.scope[SESSION]
        return self._asking(request, session.why if session is not None else "")

    def _by_code(self, request: Request, given: str) -> Response:
        key = self._code.redeem(given) if self._code else None
        if key is None:
            why = "This link has been used, or is too old. Sign in with the service_role key."
            return HTMLResponse(page(_form(self._url, why, None, "/"), theme.chosen(request)), 403)
        return self._welcome(request, key, "/")

    async def _form(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_FORM:
                return self._asking(request, "That is too long to be a key.", status=413)
        key = parse_qs(body.decode("latin-1")).get("key", [""])[0].strip()
        if not key or not key.isascii() or not key.isprintable():
            return self._asking(request, "Paste a service_role key, a secret key or a token.", status=400)
        problem = await check(self._http, key)
        if problem is not None:
            return self._asking(request, "The gateway does not let this key manage queues.", problem, 403)
        return self._welcome(request, key, _local(request.query_params.get("next", "/")))

    def _asking(self, request: Request, why: str, problem: Problem | None = None, status: int = 200) -> Response:
        target = _local(request.query_params.get("next", "/"))
        response = HTMLResponse(page(_form(self._url, why, problem, target), theme.chosen(request)), status)
        # With no-referrer the browser would not say which page the form's request comes from.
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cache-Control"] = "no-store"
        return response

    def _welcome(self, request: Request, key: str, target: str) -> Response:
        # A page of ours that goes on by itself: a strict cookie is not sent along with a redirect that another site's
        # link has led to.
        safe = escape(target, quote=True)
        content = f'<meta http-equiv="refresh" content="0;url={safe}"><p><a href="{safe}">Go on</a></p>'
        response = HTMLResponse(page(content, theme.chosen(request)))
        response.headers["Cache-Control"] = "no-store"
        response.set_cookie(
            self._cookie,
            self._sessions.open(key),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response


def page(content: str, chosen: str) -> str:
    """A page of plain HTML in the dashboard's dress, light or dark as is `chosen`."""
    return f"""<!doctype html>
<html lang="en" data-theme="{chosen}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in · pgmq-gateway</title>
<link rel="stylesheet" href="{theme.ADDRESS}">
</head>
<body class="plain">{content}</body>
</html>"""


def _form(address: str, why: str, problem: Problem | None, target: str) -> str:
    said = f'<p class="why" role="alert">{escape(why)}</p>' if why else ""
    return f"""<main class="sign-in">
<h1>pgmq-gateway</h1>
<p class="muted">Queues of <code>{escape(address)}</code></p>
{said}{_problem(problem)}
<form method="post" action="{SIGN_IN}?{escape(urlencode({"next": target}))}">
<label for="key">Key</label>
<input id="key" name="key" type="password" required autofocus autocomplete="off" spellcheck="false"
 aria-describedby="about">
<p id="about" class="muted">A service_role key, a secret key (<code>sb_secret_…</code>) or a token whose role may
execute <code>pgmq_admin</code>. It is kept in this server's memory until you sign out.</p>
<button type="submit">Sign in</button>
</form>
<p class="muted">On the embedded database, <code>pgmq-gateway keys</code> prints the key.</p>
</main>"""


def _problem(problem: Problem | None) -> str:
    if problem is None:
        return ""
    facts = {"Code": problem.code, "Message": problem.message, "Details": problem.details, "Hint": problem.hint}
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    return f'<dl class="problem">{rows}</dl>'


def _local(target: str) -> str:
    """A path of this dashboard, whatever is asked for."""
    fine = target.startswith("/") and target[1:2] not in ("/", "\\") and not target.startswith(SIGN_IN)
    return quote(target, safe="/?&=%+") if fine else "/"
