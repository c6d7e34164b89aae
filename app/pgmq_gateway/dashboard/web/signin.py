"""The sign-in page: plain HTML and one form, so that NiceGUI is not reachable without a session."""

from html import escape
from urllib.parse import parse_qs, quote, urlencode

import httpx
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from pgmq_gateway.dashboard.api import Problem, check
from pgmq_gateway.dashboard.kept import Links
from pgmq_gateway.dashboard.parts import theme
from pgmq_gateway.dashboard.sessions import RESTARTED, SESSION, SIGN_IN, Sessions
from pgmq_gateway.dashboard.web.plain import document

MAX_FORM_BYTES = 65536
REFUSED = "This key cannot manage queues. Sign in with a key whose role may execute the functions of pgmq_admin."
UNREACHABLE = "The key could not be checked. Try again once the gateway can be reached."


class SignIn:
    """Signs in with a key that the API accepts, or with the one-time code of the banner's link."""

    def __init__(self, http: httpx.AsyncClient, url: str, sessions: Sessions, links: Links | None, cookie: str) -> None:
        self._http = http
        self._url = url
        self._sessions = sessions
        self._links = links
        self._cookie = cookie

    def routes(self) -> list[BaseRoute]:
        return [Route(SIGN_IN, self._page, methods=["GET"]), Route(SIGN_IN, self._form, methods=["POST"])]

    async def _page(self, request: Request) -> Response:
        if (given := request.query_params.get("code")) is not None:
            return self._by_code(request, given)
        session = request.scope[SESSION]
        if session is None:
            return self._sign_in_page(request, RESTARTED if self._cookie in request.cookies else "")
        return self._sign_in_page(request, session.end_reason)

    def _by_code(self, request: Request, given: str) -> Response:
        key = self._links.redeem(given) if self._links else None
        if key is None:
            why = "This link was already used, or is older than an hour. pgmq-gateway dashboard-link prints a new one."
            return HTMLResponse(page(_form(self._url, why, None, "/"), theme.preferred(request)), 403)
        return self._opened(request, key, "/")

    async def _form(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                why = f"This is not a key: it is longer than {MAX_FORM_BYTES:,} bytes. Paste only the key."
                return self._sign_in_page(request, why, status=413)
        key = parse_qs(body.decode("latin-1")).get("key", [""])[0].strip()
        if not key or not key.isascii() or not key.isprintable():
            why = "This is not a key: keys are printable ASCII. Paste a service_role key, a secret key or a token."
            return self._sign_in_page(request, why, status=400)
        problem = await check(self._http, key)
        if problem is not None:
            return self._sign_in_page(request, REFUSED if problem.status else UNREACHABLE, problem, 403)
        return self._opened(request, key, _local(request.query_params.get("next", "/")))

    def _sign_in_page(self, request: Request, why: str, problem: Problem | None = None, status: int = 200) -> Response:
        target = _local(request.query_params.get("next", "/"))
        response = HTMLResponse(page(_form(self._url, why, problem, target), theme.preferred(request)), status)
        # With no-referrer the browser sends `Origin: null` with the form, which the gate rejects.
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cache-Control"] = "no-store"
        return response

    def _opened(self, request: Request, key: str, target: str) -> Response:
        # A page that refreshes instead of a redirect: browsers withhold a SameSite=Strict cookie from a redirect when
        # the navigation began at another site, such as a link in a terminal or a mail.
        safe = escape(target, quote=True)
        content = f'<meta http-equiv="refresh" content="0;url={safe}"><p><a href="{safe}">Continue</a></p>'
        response = HTMLResponse(page(content, theme.preferred(request)))
        response.headers["Cache-Control"] = "no-store"
        response.set_cookie(
            self._cookie,
            self._sessions.open(key),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response


def page(content: str, preferred: str) -> str:
    return document("Sign in", content, preferred)


def _form(address: str, why: str, problem: Problem | None, target: str) -> str:
    reason = f'<p class="why" role="alert">{escape(why)}</p>' if why else ""
    return f"""<main class="sign-in">
<h1>pgmq-gateway</h1>
<p class="muted">Queues of <code>{escape(address)}</code></p>
{reason}{_problem(problem)}
<form method="post" action="{SIGN_IN}?{escape(urlencode({"next": target}))}">
<label for="key">Key</label>
<input id="key" name="key" type="password" required autofocus autocomplete="off" spellcheck="false"
 aria-describedby="about">
<p id="about" class="muted">A service_role key, a secret key (<code>sb_secret_…</code>) or a token whose role may
execute the functions of <code>pgmq_admin</code>. The dashboard keeps it until you sign out.</p>
<button type="submit">Sign in</button>
</form>
<p class="muted">With the embedded database, <code>pgmq-gateway dashboard-link</code> prints a link
that signs you in. <code>pgmq-gateway keys</code> prints the keys.</p>
</main>"""


def _problem(problem: Problem | None) -> str:
    if problem is None:
        return ""
    facts = {"Code": problem.code, "Message": problem.message, "Details": problem.details, "Hint": problem.hint}
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    return f'<dl class="problem">{rows}</dl>'


def _local(target: str) -> str:
    """The target if it is a path of this dashboard, else `/` (no open redirect)."""
    fine = target.startswith("/") and target[1:2] not in ("/", "\\") and not target.startswith(SIGN_IN)
    return quote(target, safe="/?&=%+") if fine else "/"
