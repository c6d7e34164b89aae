"""What the operator decides, from the environment, under PostgREST's names wherever PostgREST has the setting."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

# RFC 7518, section 3.2: a key for HS256 has at least the size of the hash.
SHORTEST_SECRET = 32

Names = Annotated[tuple[str, ...], NoDecode]


class SettingsError(Exception):
    """Settings that the gateway cannot start with, said in one line."""


class Settings(BaseSettings):
    """Frozen settings. Each field `x` is read from the variable `PGRST_X`; lists are separated by commas.

    jwt_role_claim_key     where a token names its role, as PostgREST writes such paths
    jwt_cache_max_entries  verified tokens kept in memory; 0: none
    app_settings           pairs of a name, with its `app.settings.`, and the value that SQL finds under it
    secret_keys            each as `name=key`
    key_layer              whether a request must show a key; None: when there are keys
    """

    model_config = SettingsConfigDict(env_prefix="PGRST_", frozen=True, extra="ignore")

    db_uri: SecretStr | None = None
    db_schemas: Names = ("public", "pgmq_public")
    db_anon_role: str | None = "anon"
    db_extra_search_path: Names = ("public", "extensions")
    db_pool: int = Field(default=10, ge=1)
    db_pool_acquisition_timeout: float = Field(default=10, gt=0)
    db_max_rows: int | None = Field(default=None, ge=1)
    db_tx_end: Literal["commit", "commit-allow-override", "rollback", "rollback-allow-override"] = "commit"
    db_pre_request: str | None = None
    db_plan_enabled: bool = False
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
    server_host: str = "127.0.0.1"
    server_port: int = Field(default=3000, ge=0, le=65535)
    admin_server_host: str | None = None
    admin_server_port: int = Field(default=3001, ge=0, le=65535)
    server_cors_allowed_origins: Names = ()
    server_timing_enabled: bool = False
    server_trace_header: str | None = None
    openapi_mode: Literal["follow-privileges", "ignore-privileges", "disabled"] = "follow-privileges"
    openapi_security_active: bool = False
    openapi_server_proxy_uri: str | None = None
    client_error_verbosity: Literal["verbose", "minimal"] = "verbose"
    log_level: Literal["crit", "error", "warn", "info", "debug"] = "warn"
    app_settings: Annotated[tuple[tuple[str, str], ...], NoDecode] = ()
    # The gateway's own: PostgREST leaves the keys to what stands in front of it.
    publishable_keys: Names = Field(default=(), validation_alias="PGMQ_GATEWAY_PUBLISHABLE_KEYS")
    secret_keys: Names = Field(default=(), validation_alias="PGMQ_GATEWAY_SECRET_KEYS")
    key_layer: bool | None = Field(default=None, validation_alias="PGMQ_GATEWAY_KEY_LAYER")

    @field_validator(
        "db_schemas",
        "db_extra_search_path",
        "db_hoisted_tx_settings",
        "server_cors_allowed_origins",
        "publishable_keys",
        "secret_keys",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator(
        "db_uri",
        "jwt_secret",
        "db_anon_role",
        "jwt_aud",
        "db_max_rows",
        "db_pre_request",
        "server_trace_header",
        "openapi_server_proxy_uri",
        "key_layer",
        mode="before",
    )
    @classmethod
    def _unset_when_empty(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("db_uri", "jwt_secret", mode="before")
    @classmethod
    def _from_file(cls, value: object) -> object:
        """PostgREST: `@path` means the content of that file, less one newline at its end."""
        if isinstance(value, str) and value.startswith("@"):
            try:
                return Path(value[1:]).read_text().removesuffix("\n")
            except OSError as error:
                raise ValueError(f"cannot read {value[1:]}: {error.strerror}") from None
        return value

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < SHORTEST_SECRET:
            raise ValueError(
                f"the secret must have at least {SHORTEST_SECRET} bytes; make one with: openssl rand -hex 32"
            )
        return value

    @field_validator("secret_keys")
    @classmethod
    def _named_keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(name and key for name, _, key in (pair.partition("=") for pair in value)):
            raise ValueError("write each key as name=key, separated by commas")
        return value

    @field_validator("db_schemas")
    @classmethod
    def _nothing_internal(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one schema to expose")
        if internal := {"pgmq_gateway", "pg_catalog", "information_schema"} & set(value):
            raise ValueError(f"{', '.join(sorted(internal))} must not be exposed")
        return value

    @field_validator("server_host", "admin_server_host")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        """PostgREST's special names for all addresses: `*`, `*4`, `!4`, `*6`, `!6`."""
        return {"*": "0.0.0.0", "*4": "0.0.0.0", "!4": "0.0.0.0", "*6": "::", "!6": "::"}.get(value or "", value)  # noqa: S104 asked for


def unheeded() -> list[str]:
    """Variables under PostgREST's names that are set and have no effect here."""
    known = {f"PGRST_{name.upper()}" for name in Settings.model_fields} - {"PGRST_APP_SETTINGS"}
    return sorted(name for name in os.environ if name.startswith("PGRST_") and name not in known)


def load(**chosen: Any) -> Settings:  # noqa: ANN401 pydantic judges the values
    """Settings from the environment, with those `chosen` on the command line in front (None: not chosen).

    Raises SettingsError that names the variable and what is wrong with it, never its value.
    """
    try:
        return Settings(**{name: value for name, value in chosen.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = str(first["loc"][0])
        name = place if place.startswith("PGMQ_GATEWAY_") else f"PGRST_{place.upper()}"
        reason = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}: {reason}") from None
