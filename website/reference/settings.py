"""The page of all settings, from their model."""

import inspect
import re
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from pgmq_gateway.settings.model import FIELDS, Settings, variable
from pgmq_gateway.settings.sources import GATEWAY_SETTINGS, IN_DATABASE
from website.reference import markdown
from website.reference.markdown import code, sentence, table

INTRODUCTION = """
Settings come from the environment, from a file in PostgREST's format, and those marked *database* also from `ALTER
ROLE authenticator SET pgrst.… = '…'`: [Configuring](../operating/configuring.md). In a file, a setting has the second
of its names. Lists are separated by commas. For URIs and secrets, `@path` reads a file.
[Compatibility](compatibility.md#settings) lists the differences from PostgREST, and its settings without effect here.
""".strip()
# Those that the docstring of Settings does not have, because they are PostgREST's, or has for readers of the code.
MEANINGS = {
    "db_uri": "the database, as the login role; without it, the embedded database",
    "db_schemas": "exposed schemas, the default first",
    "db_anon_role": "role of requests without a token; empty: they are refused",
    "db_extra_search_path": "schemas in the search path of calls, after the exposed one",
    "db_pool": "maximum number of database connections of one process",
    "db_pool_acquisition_timeout": "seconds that a request waits for a connection, then 504",
    "db_max_rows": "maximum number of rows in a response; the function itself is not limited",
    "db_tx_end": "whether calls are committed, and whether `Prefer: tx=…` can change that",
    "db_pre_request": "function to run before each call, in the caller's role",
    "db_plan_enabled": "allow clients to ask for the plan of a call",
    "db_prepared_statements": "prepare statements; off for a pooler in transaction mode",
    "db_hoisted_tx_settings": "settings of a function that apply to its whole transaction",
    "db_channel": "channel of `NOTIFY pgrst, 'reload schema'`",
    "db_channel_enabled": "listen to that channel, and to wake-ups of other processes",
    "jwt_secret": "a secret of 32 bytes or more, a JWK, or a set of them; generated for the embedded database",
    "jwt_secret_is_base64": "the secret is base64 of the key",
    "jwt_aud": "value that a token's `aud` must contain, if it has one",
    "server_host": "address of the API",
    "server_port": "port of the API; 0: any free one",
    "admin_server_host": "address of `/live`, `/ready`, `/metrics`; default: that of the API",
    "admin_server_port": "port of these; keep it private",
    "server_cors_allowed_origins": "origins whose pages can call the API; empty: all, without credentials",
    "server_timing_enabled": "send the header `Server-Timing`",
    "server_trace_header": "request header to return in the response",
    "openapi_mode": "whether the description of the API lists only what the caller can execute",
    "openapi_security_active": "state in PostgREST's document that requests need a token",
    "openapi_server_proxy_uri": "public URL, for clients: in documents, banner, `keys` and dashboard",
    "client_error_verbosity": "`minimal` leaves details and hints out of errors",
    "log_level": "least severity of logged events",
    "publishable_keys": "API keys of the anonymous role",
    "secret_keys": "API keys of `service_role`, each as `name=key`",
    "key_layer": "require an API key",
    "call_timeout": "statement timeout of calls in seconds; none: that of the login role",
    "rate_limits": "[rate limits](../operating/rate-limits.md) per caller",
    "body_timeout": "seconds over which the rate of a body is measured",
    "send_timeout": "seconds over which the rate of a response is measured",
    "max_buffered": "bytes of bodies and of responses not taken yet, of one process",
}
# Defaults that depend on something.
DEFAULTS = {"key_layer": "on if keys are configured", "max_buffered": "half of the memory, at most 1 GiB"}
LINE = re.compile(r"^(\w[\w, ]*?) {2,}(\S.*)$", re.MULTILINE)


def page() -> str:
    own = set(GATEWAY_SETTINGS)
    head = ["variable, name in a file", "meaning", "default"]
    return markdown.page(
        "Settings",
        INTRODUCTION,
        "## Of PostgREST",
        table(head, (_row(name) for name in FIELDS if name not in own)),
        "## Of the gateway",
        table(head, (_row(name) for name in FIELDS if name in own)),
        "`app.settings.NAME` is any text that SQL reads with `current_setting('app.settings.NAME')`.",
    )


def _row(name: str) -> list[str]:
    field = FIELDS[name]
    info = Settings.model_fields[field]
    meaning = " ".join(filter(None, [sentence(meanings()[field]), _range(info), _database(name)]))
    return [f"{code(variable(field))} {code(name)}", meaning, DEFAULTS.get(field) or _default(info)]


def meanings() -> dict[str, str]:
    """The meaning of each field."""
    found: dict[str, str] = {}
    for names, meaning in LINE.findall(inspect.getdoc(Settings) or ""):
        # "max_body, max_head   bytes of a body; of a head"
        first, _, second = meaning.partition("; of ")
        found |= dict.fromkeys(names.split(", "), meaning)
        if second and ", " in names:
            one, other = names.split(", ")
            found |= {one: first, other: f"{first.partition(' of ')[0]} of {second}"}
    return found | MEANINGS


def _default(info: FieldInfo) -> str:
    value: Any = info.default
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, SecretStr):
        return "none"
    return (
        ", ".join(map(code, value))
        if isinstance(value, tuple)
        else code(f"{value:g}" if isinstance(value, float) else value)
    )


def _range(info: FieldInfo) -> str:
    if get_origin(info.annotation) is Literal:
        return f"One of {', '.join(map(code, get_args(info.annotation)))}."
    bounds = {type(bound): bound for bound in info.metadata}
    least = f"from {bounds[Ge].ge}" if Ge in bounds else f"above {bounds[Gt].gt}" if Gt in bounds else ""
    most = f"to {bounds[Le].le}" if Le in bounds else ""
    text = " ".join(filter(None, [least, most]))
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _database(name: str) -> str:
    return "*Database.*" if name in IN_DATABASE else ""
