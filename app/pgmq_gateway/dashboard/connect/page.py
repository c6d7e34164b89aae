"""The page Connect: code that calls this gateway, and test tokens."""

import json
from collections.abc import Callable, Sequence
from urllib.parse import quote, urlencode

from nicegui import ui

from pgmq_gateway.auth import signing
from pgmq_gateway.auth.jwk import BadKey
from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.connect import snippets, workers
from pgmq_gateway.dashboard.parts.dialogs import confirmed
from pgmq_gateway.dashboard.parts.refresh import Refresh
from pgmq_gateway.dashboard.parts.shell import gateway, page
from pgmq_gateway.dashboard.parts.widgets import Failure, button, code, field, heading, words
from pgmq_gateway.queue_functions import FUNCTIONS
from pgmq_gateway.settings.model import MASK

PLACEHOLDER_QUEUE = "hello"
ROLES = ["anon", "authenticated", "service_role"]
# The id of the HTML element that lists them.
ROLES_LIST_ID = "token-roles"
# The rest of a longer token is not shown, but copied.
MAX_SHOWN_CHARACTERS = 600
# In the list of operations: a program that reads and settles messages.
WORKER = "worker"
FIRST = ("send", "curl")
WARNING = (
    "The key that you signed in with can do all that its role can do, and a secret key bypasses row-level security. "
    "Use it on servers only: never in a browser, an app or a repository."
)


@page("/connect", "Connect")
async def connect(api: Api, queue: str = "", snippet: str = "") -> None:
    """`queue` and `snippet`, such as read/supabase-js, are selected at first."""
    with ui.element("div").classes("head"):
        heading("Connect", 1)
        ui.element("div").classes("grow")
        refresh = Refresh(
            api.queues, lambda queues, _: examples.offer(queues), api.session.pictures, lambda: "/connect"
        )
    with ui.element("div").classes("columns"):
        examples = Examples(api, queue or PLACEHOLDER_QUEUE, *_selected(snippet))
        Tokens(api, examples.use_token)
    await refresh.again()


def _languages(operation: str) -> Sequence[str]:
    return list(workers.FILES if operation == WORKER else snippets.LANGUAGES)


def _selected(snippet: str) -> tuple[str, str]:
    """Operation and language of a snippet's address; the first ones if it has none."""
    operation, _, language = snippet.partition("/")
    known = operation in (*FUNCTIONS, WORKER) and language in _languages(operation)
    return (operation, language) if known else FIRST


class Examples:
    """Code that calls one operation of one queue, or processes its messages.

    It has the publishable key, or after a warning the key of the session, which is masked until the user shows it.
    """

    def __init__(self, api: Api, queue: str, operation: str, language: str) -> None:
        self._api = api
        self._secret = self._token = ""
        self._shown = False
        with ui.element("section").classes("panel").props('aria-label="Code"'):
            heading("Call an operation, or run a worker")
            with ui.element("div").classes("fields"):
                self._queue = _select("Queue", [queue], queue).props("use-input fill-input hide-selected")
                self._operation = _select("Operation", [*FUNCTIONS, WORKER], operation)
                self._url = field("Gateway URL", api.public_url)
            self._keys()
            self._tabs = ui.element("div")
            self._add_tabs(language)
            self._place = ui.element("div").classes("stack")
            with ui.element("p").classes("muted"):
                words("The permissions of the key's role decide what it can do: see ")
                ui.link("Access", "/access")
                words(".")
        self._operation.on_value_change(self._switch_operation)
        for chooser in (self._queue, self._url):
            chooser.on_value_change(self._show)
        self._show()

    def _add_tabs(self, selected: str) -> None:
        self._tabs.clear()
        with (
            self._tabs,
            ui.tabs().props("dense no-caps align=left outside-arrows mobile-arrows") as self._language,
        ):
            for name in _languages(self._operation.value):
                ui.tab(name)
        self._language.value = selected
        self._language.on_value_change(self._show)

    def _switch_operation(self) -> None:
        languages = _languages(self._operation.value)
        if self._language.value not in languages:
            self._add_tabs(languages[0])
        self._show()

    def _keys(self) -> None:
        """The key and token in the code, and their buttons."""
        with ui.element("div").classes("row-of"):
            self._status = words("").props("role=status")
            self._use_secret = button("Use a secret key…", self._ask_for_secret)
            self._reveal = button("Show", self._toggle)
            self._reset = button("Use the publishable key", self._use_publishable)

    def offer(self, queues: Sequence[Row]) -> None:
        """Offer these queues for selection."""
        names = [str(row["queue_name"]) for row in queues] or [PLACEHOLDER_QUEUE]
        if names != self._queue.options:
            selected = self._queue.value
            self._queue.set_options(names, value=selected if selected in names else names[0])

    def use_token(self, token: str) -> None:
        self._token = token
        self._show()

    async def _ask_for_secret(self) -> None:
        if await confirmed("Put your key into the code?", WARNING, "Use it", "danger"):
            self._secret = self._api.session.key
            self._show()

    def _use_publishable(self) -> None:
        self._secret = self._token = ""
        self._shown = False
        self._show()

    def _toggle(self) -> None:
        self._shown = not self._shown
        self._show()

    def _snippet(self, *, masked: bool) -> snippets.Snippet:
        def secret(text: str) -> str:
            return MASK if masked and text else text

        url = (self._url.value or "").rstrip("/")
        key = secret(self._secret) or gateway().publishable or snippets.PUBLISHABLE_PLACEHOLDER
        token = secret(self._token) or None
        return snippets.Snippet(url, self._queue.value or "", self._operation.value, key, token)

    def _code(self, *, masked: bool) -> str:
        return snippets.LANGUAGES[self._language.value](self._snippet(masked=masked))

    def _environment(self, *, masked: bool) -> str:
        return workers.settings(self._language.value, self._snippet(masked=masked))

    def _show(self) -> None:
        key = "the key you signed in with" if self._secret else "the publishable key"
        self._status.text = f"The code has {key}{' and a test token' if self._token else ''}."
        self._use_secret.set_visibility(not self._secret)
        self._reveal.set_visibility(bool(self._secret or self._token))
        self._reveal.text = "Hide" if self._shown else "Show"
        self._reset.set_visibility(bool(self._secret or self._token))
        operation, language = self._operation.value, self._language.value
        self._place.clear()
        with self._place:
            if operation == WORKER:
                self._show_worker(language)
            else:
                label = f"{operation} with {language}"
                code(self._code(masked=not self._shown), label, lambda: self._code(masked=False))
        self._keep_address(f"{operation}/{language}")

    def _show_worker(self, language: str) -> None:
        words("Set its environment:", "p")
        environment = self._environment(masked=not self._shown)
        code(environment, "environment", lambda: self._environment(masked=False))
        words(f"Save the program as {workers.FILES[language]}. Your code goes into its function work.", "p")
        code(workers.program(language), f"worker in {language}")

    def _keep_address(self, snippet: str) -> None:
        """Put the selection into the address, so that a reload and a link have it."""
        query = urlencode({"queue": self._queue.value or "", "snippet": snippet}, quote_via=quote)
        ui.run_javascript(f"history.replaceState(history.state, '', {json.dumps(f'?{query}')})")


class Tokens:
    """Creates tokens to test policies with. The JWT secret is forgotten after one signature."""

    def __init__(self, api: Api, use: Callable[[str], None]) -> None:
        self._api = api
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

    async def _create(self) -> None:
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
        if problem := await self._api.check_token(token):
            self._failure.show(problem, "The gateway does not accept the token.")
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
