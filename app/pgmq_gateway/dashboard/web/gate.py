"""Checks every request first: Host, Origin, session. Sets the security headers of the response."""

import secrets
from collections.abc import Collection
from urllib.parse import urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from pgmq_gateway.dashboard.sessions import SESSION, SIGN_IN, Session, Sessions
from pgmq_gateway.http.asgi import App, Message, Receive, Scope, Send
from pgmq_gateway.http.hosts import Hosts, split

# Paths that need no session: the sign-in page, and the static files of public packages.
PUBLIC_PATHS = (SIGN_IN, "/assets/", "/_nicegui/", "/favicon.ico")
# Methods that change nothing (RFC 9110, 9.2.1).
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
WEBSOCKET_PATH = "/_nicegui_ws/"
# The prefix of Socket.IO messages that carry an event of the page: user activity.
EVENT_PREFIX = '42["event"'


class Gate:
    """ASGI middleware.

    hosts   names that the Host header may have, besides those of this machine
    cookie  the name of the session's cookie
    """

    def __init__(self, app: App, sessions: Sessions, hosts: Collection[str], cookie: str) -> None:
        self._app = app
        self._sessions = sessions
        self._hosts = Hosts(hosts)
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        # NiceGUI would write a prefix that the client chose into its pages.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"x-forwarded-prefix"]
        scope[SESSION] = session = self._session(scope)
        nonce = secrets.token_urlsafe(16)
        refusal = self._refusal(scope, session)
        if refusal is not None:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await refusal(scope, receive, SecureSend(send, nonce))
        elif scope["type"] == "websocket":
            assert session is not None
            await self._app(scope, self._watched(receive, session), send)
        else:
            if session is not None and not session.end_reason and not scope["path"].startswith(WEBSOCKET_PATH):
                self._sessions.touch(session)
            await self._app(scope, receive, SecureSend(send, nonce))

    def _refusal(self, scope: Scope, session: Session | None) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "")
        if not self._hosts.accept(host):
            text = (
                f"Host {host!r} is not allowed. The dashboard accepts names of its own machine, to prevent DNS "
                "rebinding. To allow this name, start it with: pgmq-gateway dashboard --allow-host NAME"
            )
            return PlainTextResponse(text, 421)
        safe = scope["type"] == "http" and scope["method"] in SAFE_METHODS and not path.startswith(WEBSOCKET_PATH)
        if not _same_origin(headers, host, required=not safe):
            text = "Cross-origin request rejected. Open the dashboard at its own address and repeat the action there."
            return PlainTextResponse(text, 403)
        if path.startswith(PUBLIC_PATHS) or (session is not None and not session.end_reason):
            return None
        if path.startswith(WEBSOCKET_PATH):
            return PlainTextResponse("Not signed in. Reload the page to sign in.", 403)
        query = scope["query_string"].decode("latin-1")
        return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': path + (query and f'?{query}')})}", 303)

    def _session(self, scope: Scope) -> Session | None:
        # SimpleCookie rejects all cookies when the name or value of one is invalid.
        found = cookie_parser(Headers(scope=scope).get("cookie", "")).get(self._cookie)
        return self._sessions.find(found) if found else None

    def _watched(self, receive: Receive, session: Session) -> Receive:
        """Messages of a WebSocket; those with an event keep the session from expiring."""

        async def watched() -> Message:
            message = await receive()
            if str(message.get("text") or "").startswith(EVENT_PREFIX):
                self._sessions.touch(session)
            return message

        return watched


class SecureSend:
    """Adds the security headers to a response, and the nonce to the scripts of NiceGUI's pages."""

    def __init__(self, send: Send, nonce: str) -> None:
        self._send = send
        self._nonce = nonce
        self._start: Message | None = None
        self._page = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = list(message["headers"])
            headers = MutableHeaders(raw=message["headers"])
            headers.setdefault("Content-Security-Policy", policy(self._nonce))
            headers.setdefault("Referrer-Policy", "no-referrer")
            headers["X-Content-Type-Options"] = "nosniff"
            headers["X-Frame-Options"] = "DENY"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            if headers.get("x-nicegui-content") == "page":
                self._start = message
                return
        elif self._start is not None:
            self._page += message.get("body", b"")
            if message.get("more_body"):
                return
            # NiceGUI escapes < in data: these script tags are the template's own.
            body = self._page.replace(b"<script", f'<script nonce="{self._nonce}"'.encode())
            MutableHeaders(raw=self._start["headers"])["Content-Length"] = str(len(body))
            await self._send(self._start)
            message = {"type": "http.response.body", "body": body}
        await self._send(message)


def policy(nonce: str) -> str:
    """A Content-Security-Policy that allows this origin only."""
    rules = {
        "default-src": "'none'",
        # Vue compiles templates, and NiceGUI evaluates JavaScript that its server sends.
        "script-src": f"'self' 'nonce-{nonce}' 'unsafe-eval'",
        # Quasar places its elements by style attributes.
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _same_origin(headers: Headers, host: str, *, required: bool) -> bool:
    """The request comes from a page of this origin. When not `required`, a request without Origin passes too."""
    origin = headers.get("origin")
    if origin is None:
        return not required or headers.get("sec-fetch-site") == "same-origin"
    return split(origin)[1] == host.lower()
