"""The settings, under PostgREST's names where PostgREST has them."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

from pgmq_gateway.schemas import INTERNAL, LEASES, MANAGEMENT, QUEUES, SETTINGS
from pgmq_gateway.settings import sources
from pgmq_gateway.settings.address import Address
from pgmq_gateway.settings.configfile import ConfigFileError
from pgmq_gateway.settings.ratelimit import read_rate_limits
from pgmq_gateway.settings.roleclaim import RoleClaim
from pgmq_gateway.settings.uris import check_base_url, check_string_or_uri

# RFC 7518, section 3.2: a key for HS256 is at least as long as the hash.
MIN_SECRET_BYTES = 32

# Printed in place of a secret.
MASK = "********"
MASKED = f"{MASK} is what --dump-config prints in place of a secret: write the secret itself"

# Messages of one call; defaults, as in sql/functions/pgmq_public/send_batch.sql and read.sql.
MAX_BATCH = 100_000
MAX_READ = 10_000

# Of notifications between gateways.
WAKEUP_CHANNEL = "pgmq_gateway"

# Fields for which an empty value is a value. For others, as in PostgREST, it selects the default.
EMPTY_ALLOWED = {"db_anon_role", "db_extra_search_path"}

# Settings of PostgREST without effect here, with the values that need no warning because the gateway behaves that way
# or the difference does not matter.
WITHOUT_EFFECT = {
    "db-aggregates-enabled": {"false"},
    "db-pool-automatic-recovery": {"true"},
    "db-pool-max-idletime": {"30"},
    "db-pool-max-lifetime": {"1800"},
    "db-timezone-enabled": {"true"},
    "db-use-legacy-gucs": {"false"},
    "log-query": {"false", "disabled"},
    "server-otel-enabled": {"false"},
    "server-unix-socket-mode": {"660"},
}
_SWITCHES = {"on": "true", "1": "true", "off": "false", "0": "false"}

Names = tuple[str, ...]


def secret_too_short(length: int) -> str:
    """The message for a secret of so many bytes."""
    return (
        f"the secret has {length} bytes and needs at least {MIN_SECRET_BYTES} for HS256: make one with:"
        " openssl rand -hex 32"
    )


class SettingsError(Exception):
    """Settings with which the gateway cannot start; the message is one line."""


def _app_setting(pair: tuple[str, str]) -> tuple[str, str]:
    name, value = pair
    # Otherwise set_config would fail in each call.
    if not re.fullmatch(r"[^\W\d][\w$]*(\.[^\W\d][\w$]*)*", name.removeprefix(sources.APP_SETTINGS)):
        raise ValueError(
            "Postgres accepts only letters, digits and _ in this name, and no digit at its start: rename the setting"
        )
    if value == MASK:
        raise ValueError(MASKED)
    return pair


AppSetting = Annotated[tuple[str, str], AfterValidator(_app_setting)]


class Settings(BaseModel):
    """Frozen settings. Each field `x_y` is PostgREST's setting `x-y`; lists are separated by commas.

    jwt_role_claim_key      path of the role in a token's claims, in PostgREST's syntax
    jwt_cache_max_entries   verified tokens kept in memory; 0: no cache
    jwt_previous_secret     former secret or keys, whose tokens are still accepted
    jwt_issuer              accepted values of the claim iss; empty: any
    jwks_url                URL of further keys
    jwks_private_addresses  allow jwks_url to lead to an address that is not on the internet
    db_config               read settings from the database too; they take precedence
    db_pre_config           function that sets further ones with set_config
    in_database             names and values of the settings that were read there
    app_settings            pairs of a name, including `app.settings.`, and the value that SQL reads
    secret_keys             each as `name=key`
    key_layer               require an API key; None: if keys are configured
    listen_uri              database URI for LISTEN and the catalog, instead of db_uri: LISTEN fails through a pooler
    call_timeout            statement timeout of calls in seconds; None: that of the login role
    filter_timeout          the same for calls whose filters match patterns or search text; 0: none
    history_interval        seconds between samples of the queues; 0: no samples
    history_keep            days for which samples are kept
    background              maintain queues: one gateway at a time does
    idempotency_keep        seconds for which responses to calls with an Idempotency-Key are stored
    log_format              of all lines on stderr
    log_requests            log each request, whatever the log level
    queue_metrics           maximum number of queues in the metrics; 0: no metrics of queues
    rate_limits             rate limits per caller (settings/ratelimit.py)
    trusted_proxies         networks of proxies whose X-Forwarded-For names the client
    admin_hosts             host names of the admin port besides its own
    reuse_port              SO_REUSEPORT, so that a new gateway can take over the ports
    max_body, max_head      bytes of a request's body; of its request line and headers
    head_timeout            seconds for receiving a request line and headers
    min_rate                bytes a second at which a client must send a body and take a response
    body_timeout            seconds over which the rate of a body is measured; send_timeout: of a response
    keep_alive_timeout      seconds for which a connection is kept between requests
    max_buffered            bytes of bodies and of responses not taken yet, of one process; None: http/memory.py
    max_connections         open connections of one process
    max_batch, max_read     messages of one send_batch; of one read, whatever n asks for
    max_wait                seconds for which a request can wait for messages, whatever it asks for; 0: none waits
    max_waiting             waiting requests and streams of one process
    wait_poll               seconds between looks at the queues that requests wait for
    max_stream              seconds after which a stream ends
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    db_uri: SecretStr | None = None
    db_config: bool = True
    db_pre_config: str | None = None
    in_database: tuple[tuple[str, str], ...] = Field(default=(), repr=False)
    db_schemas: Names = ("public", QUEUES, LEASES, MANAGEMENT)
    db_anon_role: str | None = "anon"
    db_extra_search_path: Names = ("public", "extensions")
    db_pool: int = Field(default=10, ge=1)
    db_pool_acquisition_timeout: float = Field(default=10, gt=0, allow_inf_nan=False)
    db_max_rows: int | None = Field(default=None, ge=1)
    db_tx_end: Literal["commit", "commit-allow-override", "rollback", "rollback-allow-override"] = "commit"
    db_pre_request: str | None = None
    db_plan_enabled: bool = False
    db_prepared_statements: bool = True
    db_hoisted_tx_settings: Names = (
        "statement_timeout",
        "plan_filter.statement_cost_limit",
        "default_transaction_isolation",
    )
    db_channel: str = "pgrst"
    db_channel_enabled: bool = True
    jwt_secret: SecretStr | None = None
    jwt_secret_is_base64: bool = False
    jwt_aud: str | None = None
    jwt_role_claim_key: str = ".role"
    jwt_cache_max_entries: int = Field(default=1000, ge=0)
    jwt_previous_secret: SecretStr | None = None
    jwt_issuer: Names = ()
    jwks_url: str | None = None
    jwks_private_addresses: bool = False
    server_host: str = "127.0.0.1"
    server_port: int = Field(default=3000, ge=0, le=65535)
    admin_server_host: str | None = None
    admin_server_port: int = Field(default=3001, ge=0, le=65535, validate_default=True)
    server_cors_allowed_origins: Names = ()
    server_timing_enabled: bool = False
    server_trace_header: str | None = None
    openapi_mode: Literal["follow-privileges", "ignore-privileges", "disabled"] = "follow-privileges"
    openapi_security_active: bool = False
    openapi_server_proxy_uri: str | None = None
    client_error_verbosity: Literal["verbose", "minimal"] = "verbose"
    log_level: Literal["crit", "error", "warn", "info", "debug"] = "warn"
    app_settings: tuple[AppSetting, ...] = ()
    publishable_keys: Names = ()
    secret_keys: Names = ()
    key_layer: bool | None = None
    listen_uri: SecretStr | None = None
    call_timeout: float | None = Field(default=None, gt=0, le=86400, allow_inf_nan=False)
    filter_timeout: float = Field(default=3, ge=0, le=86400, allow_inf_nan=False)
    history_interval: float = Field(default=30, ge=0, le=3600, allow_inf_nan=False)
    history_keep: float = Field(default=7, gt=0, le=3650, allow_inf_nan=False)
    background: bool = True
    idempotency_keep: float = Field(default=86_400, ge=60, le=31_536_000, allow_inf_nan=False)
    log_format: Literal["text", "json"] = "text"
    log_requests: bool = False
    queue_metrics: int = Field(default=100, ge=0, le=10_000)
    rate_limits: Names = ()
    trusted_proxies: Names = ()
    admin_hosts: Names = ()
    reuse_port: bool = False
    max_body: int = Field(default=16 * 1024 * 1024, ge=1)
    max_head: int = Field(default=32 * 1024, ge=1024)
    head_timeout: float = Field(default=10, gt=0, allow_inf_nan=False)
    min_rate: float = Field(default=8192, ge=0, allow_inf_nan=False)
    body_timeout: float = Field(default=10, gt=0, allow_inf_nan=False)
    send_timeout: float = Field(default=10, gt=0, allow_inf_nan=False)
    keep_alive_timeout: float = Field(default=75, gt=0, le=86400, allow_inf_nan=False)
    max_buffered: int | None = Field(default=None, ge=1)
    max_connections: int = Field(default=12_000, ge=1)
    max_batch: int = Field(default=MAX_BATCH, ge=1, le=2**31 - 1)
    max_read: int = Field(default=MAX_READ, ge=1, le=2**31 - 1)
    max_wait: int = Field(default=50, ge=0, le=9999)
    max_waiting: int = Field(default=10_000, ge=1)
    wait_poll: float = Field(default=1, ge=0.1, le=60, allow_inf_nan=False)
    max_stream: float = Field(default=3600, ge=1, le=86400, allow_inf_nan=False)

    @property
    def rolls_back(self) -> bool:
        """True if calls are rolled back unless their client may prefer otherwise, and does."""
        return self.db_tx_end.startswith("rollback")

    @field_validator(
        "db_schemas",
        "db_extra_search_path",
        "db_hoisted_tx_settings",
        "server_cors_allowed_origins",
        "jwt_issuer",
        "publishable_keys",
        "secret_keys",
        "rate_limits",
        "trusted_proxies",
        "admin_hosts",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("db_anon_role", mode="before")
    @classmethod
    def _unset_when_empty(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("db_uri", "listen_uri", "jwt_secret", "jwt_previous_secret", mode="before")
    @classmethod
    def _from_file(cls, value: object, info: ValidationInfo) -> object:
        """PostgREST: `@path` is the content of that file; a secret loses one trailing newline only."""
        if not isinstance(value, str):
            return value
        if MASK in value:
            raise ValueError(MASKED)
        if not value.startswith("@"):
            return value
        try:
            text = Path(value[1:]).read_text("utf-8")
        except OSError as error:
            raise ValueError(f"cannot read {value[1:]}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{value[1:]} is not text in UTF-8: save it in that encoding") from None
        return text.strip() if info.field_name in {"db_uri", "listen_uri"} else text.removesuffix("\n")

    @field_validator("db_uri", "listen_uri")
    @classmethod
    def _address_of_servers(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            Address.of(value.get_secret_value())
        return value

    @field_validator("jwt_secret", "jwt_previous_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (length := len(value.get_secret_value().encode())) < MIN_SECRET_BYTES:
            raise ValueError(secret_too_short(length))
        return value

    @field_validator("admin_server_port")
    @classmethod
    def _port_of_its_own(cls, value: int, info: ValidationInfo) -> int:
        """PostgREST refuses equal ports too, even on different hosts."""
        if value != 0 and value == info.data.get("server_port"):
            raise ValueError(
                f"{value} is also the API's port, PGRST_SERVER_PORT: set another port, or 0 for any free port"
                " (--port, --admin-port)"
            )
        return value

    @field_validator("jwt_aud", "jwt_role_claim_key", "openapi_server_proxy_uri")
    @classmethod
    def _well_formed(cls, value: str | None, info: ValidationInfo) -> str | None:
        check = {"jwt_aud": check_string_or_uri, "jwt_role_claim_key": RoleClaim.of}
        if value is not None:
            check.get(info.field_name or "", check_base_url)(value)
        return value

    @field_validator("secret_keys")
    @classmethod
    def _named_keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(name and key for name, _, key in (pair.partition("=") for pair in value)):
            raise ValueError("a key has no name: write each one as name=key, separated by commas")
        # As a key the mask would be publicly known.
        if any(MASK in pair for pair in value):
            raise ValueError(MASKED)
        return value

    @field_validator("jwks_url")
    @classmethod
    def _fetchable(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not re.fullmatch(r"https?://[!-~]+", value) or "\\" in value:
            raise ValueError("not a URL: write one such as https://id.example.org/.well-known/jwks.json")
        parts = urlsplit(value)
        if not parts.hostname or parts.port == 0 or "@" in parts.netloc or parts.fragment:
            raise ValueError("the URL has a user, a password, a fragment or no host: remove it, or add the host")
        if parts.scheme == "http" and not re.fullmatch(r"localhost|127\.[0-9.]+|::1", parts.hostname):
            raise ValueError("http is accepted only for this machine's own addresses: write https://")
        return value

    @field_validator("rate_limits")
    @classmethod
    def _readable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        read_rate_limits(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ip_network(text)
            except ValueError as error:
                raise ValueError(f"{error}: write an address or a network, such as 10.0.0.0/8") from None
        return value

    @field_validator("db_schemas")
    @classmethod
    def _nothing_internal(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("no schema is exposed: name at least one, such as pgmq_public")
        if internal := {INTERNAL, SETTINGS, "pg_catalog", "information_schema"} & set(value):
            raise ValueError(f"{', '.join(sorted(internal))} must not be exposed, because it is internal: remove it")
        return value

    @field_validator("db_channel")
    @classmethod
    def _no_wakeups(cls, value: str) -> str:
        if value == WAKEUP_CHANNEL:
            raise ValueError(f"{value} is the channel of wake-ups between gateways: choose another name")
        return value

    @field_validator("server_host", "admin_server_host")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        """PostgREST's special names for all addresses, `*`, `*4`, `!4`, `*6`, `!6`; an IPv6 address in brackets."""
        if value and value.startswith("[") and value.endswith("]"):
            return value[1:-1]
        return {"*": "0.0.0.0", "*4": "0.0.0.0", "!4": "0.0.0.0", "*6": "::", "!6": "::"}.get(value or "", value)  # noqa: S104 the operator's choice


# Fields by their names in a file.
FIELDS = {
    **{
        field.replace("_", "-"): field
        for field in Settings.model_fields
        if field not in sources.GATEWAY_SETTINGS.values()
    },
    **sources.GATEWAY_SETTINGS,
}
del FIELDS["app-settings"], FIELDS["in-database"]


def load_settings(
    config: Path | None = None,
    in_database: tuple[tuple[str, str], ...] = (),
    **options: Any,  # noqa: ANN401 pydantic validates the values
) -> Settings:
    """Settings of a file, the environment and the database; `options` of the command line take precedence.

    config       PostgREST's configuration file; None: the one named by PGMQ_GATEWAY_CONFIG, if any
    in_database  names and values of the settings in the database (`database/in_database.py`)
    options      None: not given

    Raises SettingsError that names the variable, or file and line, but never a secret value.
    """
    _refuse_files(in_database)
    found = {given.name: given for given in _given(config, in_database)}
    values: dict[str, Any] = {field: found[name].value for name, field in FIELDS.items() if name in found}
    values |= {field: value for field, value in options.items() if value is not None}
    values = {field: value for field, value in values.items() if value != "" or field in EMPTY_ALLOWED}
    app = [given for given in found.values() if given.name.startswith(sources.APP_SETTINGS)]
    places = {
        field: found[name].place for name, field in FIELDS.items() if name in found and options.get(field) is None
    }
    try:
        app_settings = tuple((given.name, given.value) for given in app)
        return Settings(**values, app_settings=app_settings, in_database=in_database)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field, *rest = first["loc"]
        place = app[int(rest[0])].place if field == "app_settings" else places.get(str(field)) or variable(str(field))
        raise SettingsError(f"{place}: {_reason(first)}") from None


def _reason(error: ErrorDetails) -> str:
    """Why a value is wrong, without the value, which can be a secret."""
    limits = error.get("ctx", {})
    match error["type"]:
        case "greater_than_equal":
            return f"must be {limits['ge']} or more"
        case "less_than_equal":
            return f"must be {limits['le']} or less"
        case "greater_than":
            return f"must be more than {limits['gt']}"
        case "less_than":
            return f"must be less than {limits['lt']}"
        case "int_parsing" | "int_type" | "int_from_float":
            return "must be a whole number"
        case "float_parsing" | "float_type" | "finite_number":
            return "must be a number"
        case "bool_parsing" | "bool_type":
            return "must be true or false"
        case "literal_error" | "enum":
            return f"must be {limits['expected']}"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")


def _refuse_files(in_database: tuple[tuple[str, str], ...]) -> None:
    """Roles of the database that may set settings must not read files of this machine with them."""
    if dict(in_database).get("pgrst.jwt_secret", "").startswith("@"):
        raise SettingsError("pgrst.jwt_secret in the database: names a file: set PGRST_JWT_SECRET to it instead")


def without_effect(config: Path | None = None, in_database: tuple[tuple[str, str], ...] = ()) -> list[str]:
    """Settings of the file, the environment and the database without effect here, by their names in the source."""
    return sorted({given.written for given in _given(config, in_database) if not _effective(given)})


def _effective(given: sources.Given) -> bool:
    value = given.value.lower()
    return (
        value == ""
        or given.name in FIELDS
        or given.name.startswith(sources.APP_SETTINGS)
        or _SWITCHES.get(value, value) in WITHOUT_EFFECT.get(given.name, ())
    )


def _given(config: Path | None, in_database: tuple[tuple[str, str], ...]) -> list[sources.Given]:
    try:
        return sources.given(config, in_database)
    except ConfigFileError as error:
        raise SettingsError(str(error)) from None


def variable(field: str) -> str:
    """The environment variable of a field."""
    return sources.variable(next(name for name, its in FIELDS.items() if its == field))
