"""The page Connect: code that calls this gateway, and test tokens."""

import json
from collections.abc import Callable, Sequence

from nicegui import ui

from pgmq_gateway.auth import signing
from pgmq_gateway.auth.jwk import BadKey
from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.connect import snippets
from pgmq_gateway.dashboard.parts.refresh import Refresh
from pgmq_gateway.dashboard.parts.shell import page
from pgmq_gateway.dashboard.parts.widgets import Failure, button, code, field, heading, words
from pgmq_gateway.queue_functions import FUNCTIONS
from pgmq_gateway.settings.model import MASK

PLACEHOLDER_QUEUE = "hello"
ROLES = ["anon", "authenticated", "service_role"]
# The id of the HTML element that lists them.
ROLES_LIST_ID = "token-roles"
# The rest of a longer token is not shown, but copied.
MAX_SHOWN_CHARACTERS = 600


@page("/connect", "Connect")
async def connect(api: Api, queue: str = "") -> None:
    """`queue` is selected at first."""
    with ui.element("div").classes("head"):
        heading("Connect", 1)
        ui.element("div").classes("grow")
        refresh = Refresh(
            api.queues, lambda queues, _: examples.offer(queues), api.session.pictures, lambda: "/connect"
        )
    with ui.element("div").classes("columns"):
        examples = Examples(api, queue or PLACEHOLDER_QUEUE)
        Tokens(examples.use_token)
    await refresh.again()


class Examples:
    """Code that calls one operation of one queue. Keys and tokens in it are masked until the user shows them."""

    def __init__(self, api: Api, queue: str) -> None:
        self._api = api
        self._key = self._token = ""
        self._shown = False
        with ui.element("section").classes("panel").props('aria-label="Code"'):
            heading("Call an operation")
            with ui.element("div").classes("fields"):
                self._queue = _select("Queue", [queue], queue).props("use-input fill-input hide-selected")
                self._operation = _select("Operation", list(FUNCTIONS), "send")
                self._url = field("Gateway URL", api.public_url)
            self._secrets()
            with ui.tabs().props("dense no-caps align=left outside-arrows mobile-arrows") as self._language:
                for name in snippets.LANGUAGES:
                    ui.tab(name)
            self._language.value = "curl"
            self._place = ui.element("div").classes("stack")
            with ui.element("p").classes("muted"):
                words("The permissions of the key's role decide what it can do: see ")
                ui.link("Access", "/access")
                words(".")
        for chooser in (self._queue, self._operation, self._url, self._language):
            chooser.on_value_change(self._show)
        self._show()

    def _secrets(self) -> None:
        """The key and token in the code, and their buttons."""
        with ui.element("div").classes("row-of"):
            self._status = words("").props("role=status")
            self._use_key = button("Use the key I signed in with", self._use_session_key)
            self._reveal = button("Show", self._toggle)
            self._reset = button("Use the placeholder", self._use_placeholder)

    def offer(self, queues: Sequence[Row]) -> None:
        """Offer these queues for selection."""
        names = [str(row["queue_name"]) for row in queues] or [PLACEHOLDER_QUEUE]
        if names != self._queue.options:
            selected = self._queue.value
            self._queue.set_options(names, value=selected if selected in names else names[0])

    def use_token(self, token: str) -> None:
        self._token = token
        self._show()

    def _use_session_key(self) -> None:
        self._key = self._api.session.key
        self._show()

    def _use_placeholder(self) -> None:
        self._key = self._token = ""
        self._shown = False
        self._show()

    def _toggle(self) -> None:
        self._shown = not self._shown
        self._show()

    def _code(self, *, masked: bool) -> str:
        def secret(text: str) -> str:
            return MASK if masked and text else text

        url = (self._url.value or "").rstrip("/")
        key, token = secret(self._key) or snippets.PLACEHOLDER, secret(self._token) or None
        snippet = snippets.Snippet(url, self._queue.value or "", self._operation.value, key, token)
        return snippets.LANGUAGES[self._language.value](snippet)

    def _show(self) -> None:
        secret = bool(self._key or self._token)
        key = "the key you signed in with" if self._key else f"the placeholder {snippets.PLACEHOLDER}"
        self._status.text = f"The code has {key}{' and a test token' if self._token else ''}."
        self._use_key.set_visibility(not self._key)
        self._reveal.set_visibility(secret)
        self._reveal.text = "Hide" if self._shown else "Show"
        self._reset.set_visibility(secret)
        label = f"{self._operation.value} with {self._language.value}"
        self._place.clear()
        with self._place:
            code(self._code(masked=not self._shown), label, lambda: self._code(masked=False))


class Tokens:
    """Creates tokens to test policies with. The JWT secret is forgotten after one signature."""

    def __init__(self, use: Callable[[str], None]) -> None:
        self._use = use
        with ui.element("section").classes("panel").props('aria-label="Test token"'):
            heading("Create a test token")
            text = "The dashboard signs it with the gateway's JWT secret, which it uses once and does not keep."
            words(text, "p").classes("muted")
            self._role = field("Role", "authenticated").props(f"autocomplete=off spellcheck=false list={ROLES_LIST_ID}")
            with ui.element("datalist").props(f"id={ROLES_LIST_ID}"):
                for role in ROLES:
                    ui.element("option").props(f"value={role}")
            self._sub = field("Subject (claim sub)").props("autocomplete=off spellcheck=false")
            self._claims = field("More claims (JSON)", validation=_claims_error).props(
                "type=textarea autogrow spellcheck=false"
            )
            self._lifetime = field("Expires in", "1h", validation=_lifetime_error).props('hint="90s, 15m, 1h, 30d"')
            self._secret = field("JWT secret").props("type=password autocomplete=off")
            self._base64 = ui.checkbox("The secret is base64-encoded")
            with ui.element("div").classes("row-of"):
                button("Create token", self._create, "primary")
            self._failure = Failure()
            self._place = ui.element("div").classes("stack")

    def _create(self) -> None:
        self._failure.clear()
        self._place.clear()
        if not (self._claims.validate() and self._lifetime.validate()):
            return
        text, self._secret.value = self._secret.value or "", ""
        if not text:
            hint = "Enter the value of the gateway's PGRST_JWT_SECRET."
            self._failure.show(Problem(0, "The JWT secret is missing.", hint=hint))
            return
        try:
            token = self._signed(signing.Signer.typed(text, is_base64=self._base64.value))
        except BadKey as error:
            self._failure.show(Problem(0, f"This secret cannot sign tokens: {error}."))
            return
        except ValueError as error:
            self._failure.show(Problem(0, str(error)))
            return
        with self._place:
            excerpt = token if len(token) <= MAX_SHOWN_CHARACTERS else f"{token[:MAX_SHOWN_CHARACTERS]}…"
            code(excerpt, "token", lambda: token)
            with ui.element("div").classes("row-of"):
                button("Use in the code", lambda: self._use(token))

    def _signed(self, signer: signing.Signer) -> str:
        claims = {**json.loads(self._claims.value or "{}"), **({"sub": self._sub.value} if self._sub.value else {})}
        if not self._role.value:
            raise ValueError("The token has no role. Enter one, such as authenticated.")
        return signing.token(signer, self._role.value, claims, signing.lifetime_seconds(self._lifetime.value))


def _claims_error(text: str) -> str | None:
    try:
        claims = json.loads(text or "{}")
    except ValueError as error:
        return f"Not JSON: {error}"
    return None if isinstance(claims, dict) else 'Claims must be a JSON object, such as {"team": 7}.'


def _lifetime_error(text: str) -> str | None:
    try:
        signing.lifetime_seconds(text)
    except ValueError as error:
        return str(error)
    return None


def _select(label: str, options: list[str], value: str) -> ui.select:
    return ui.select(options, label=label, value=value).props("outlined dense options-dense").classes("field")
