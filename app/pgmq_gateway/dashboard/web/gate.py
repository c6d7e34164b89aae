"""What every request of the dashboard passes first: Host, Origin, session, and the headers of the answer."""

import secrets
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from pgmq_gateway.dashboard.sessions import SESSION, SIGN_IN, Session, Sessions
from pgmq_gateway.http.asgi import App, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# What needs no session: the way in, and files that everybody has who has the packages.
OPEN = (SIGN_IN, "/assets/", "/_nicegui/", "/favicon.ico")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SOCKET = "/_nicegui_ws/"
# How a message of the web socket begins that tells of something which a person has done.
EVENT = '42["event"'


class Gate:
    """An ASGI application in front of another.

    hosts   names, besides those of this machine, that the Host header may have
    cookie  the name of the session's cookie
    """

    def __init__(self, app: App, sessions: Sessions, hosts: Collection[str], cookie: str) -> None:
        self._app = app
        self._sessions = sessions
        self._hosts = LOOPBACK | {host.lower() for host in hosts}
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        # NiceGUI would write a prefix of the client's choosing into its pages.
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"x-forwarded-prefix"]
        scope[SESSION] = session = self._session(scope)
        nonce = secrets.token_urlsafe(16)
        refusal = self._refusal(scope, session)
        if refusal is not None:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await refusal(scope, receive, Answer(send, nonce))
        elif scope["type"] == "websocket":
            assert session is not None
            await self._app(scope, self._watched(receive, session), send)
        else:
            if session is not None and not session.why and not scope["path"].startswith(SOCKET):
                self._sessions.touch(session)
            await self._app(scope, receive, Answer(send, nonce))

    def _refusal(self, scope: Scope, session: Session | None) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "")
        if _split(f"//{host}")[0] not in self._hosts:
            text = f"This dashboard does not answer to the name {host!r}: start it with --allow-host to let it."
            return PlainTextResponse(text, 421)
        safe = scope["type"] == "http" and scope["method"] in SAFE and not path.startswith(SOCKET)
        if not _same_origin(headers, host, required=not safe):
            return PlainTextResponse("This request came from a page of another origin.", 403)
        if path.startswith(OPEN) or (session is not None and not session.why):
            return None
        if path.startswith(SOCKET):
            return PlainTextResponse("Signed out.", 403)
        query = scope["query_string"].decode("latin-1")
        return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': path + (query and f'?{query}')})}", 303)

    def _session(self, scope: Scope) -> Session | None:
        try:
            found = SimpleCookie(Headers(scope=scope).get("cookie", "")).get(self._cookie)
        except CookieError:
            return None
        return self._sessions.find(found.value) if found else None

    def _watched(self, receive: Receive, session: Session) -> Receive:
        """Messages of a web socket, which tell whether a person does something."""

        async def watched() -> Message:
            message = await receive()
            if str(message.get("text") or "").startswith(EVENT):
                self._sessions.touch(session)
            return message

        return watched


class Answer:
    """Sends an answer on with the headers that protect it; NiceGUI's own pages get a nonce for their scripts."""

    def __init__(self, send: Send, nonce: str) -> None:
        self._send = send
        self._nonce = nonce
        self._start: Message | None = None
        self._page = b""

    async def __call__(self, message: Message) -> None:
        """One message of the answer."""
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
            # Data within the page has its < escaped, so that these are the template's own.
            body = self._page.replace(b"<script", f'<script nonce="{self._nonce}"'.encode())
            MutableHeaders(raw=self._start["headers"])["Content-Length"] = str(len(body))
            await self._send(self._start)
            message = {"type": "http.response.body", "body": body}
        await self._send(message)


def policy(nonce: str) -> str:
    """A Content-Security-Policy: all from here."""
    rules = {
        "default-src": "'none'",
        # Vue compiles templates, and NiceGUI runs what its server sends.
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
    """Whether a request comes from a page of this origin; when not `required`, from no other page."""
    origin = headers.get("origin")
    if origin is None:
        return not required or headers.get("sec-fetch-site") == "same-origin"
    return _split(origin)[1] == host.lower()


def _split(address: str) -> tuple[str, str]:
    """The name, and name and port, in an address; empty when it is none."""
    try:
        parts = urlsplit(address)
        return parts.hostname or "", parts.netloc.lower()
    except ValueError:
        return "", ""
