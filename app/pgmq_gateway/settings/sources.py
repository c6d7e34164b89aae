"""Settings of a configuration file, the environment and the database, under all names that PostgREST accepts."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pgmq_gateway.settings import configfile

CONFIG_VARIABLE = "PGMQ_GATEWAY_CONFIG"
APP_SETTINGS = "app.settings."

_PREFIX = "PGRST_"
_APP_PREFIX = "PGRST_APP_SETTINGS_"
DATABASE_PREFIX = "pgrst."

# The settings that are read from the database, as with PostgREST.
IN_DATABASE = {
    "client-error-verbosity",
    "db-aggregates-enabled",
    "db-anon-role",
    "db-extra-search-path",
    "db-hoisted-tx-settings",
    "db-max-rows",
    "db-plan-enabled",
    "db-pre-request",
    "db-prepared-statements",
    "db-root-spec",
    "db-schemas",
    "db-timezone-enabled",
    "db-tx-end",
    "jwt-aud",
    "jwt-cache-max-entries",
    "jwt-role-claim-key",
    "jwt-secret",
    "jwt-secret-is-base64",
    "openapi-mode",
    "openapi-security-active",
    "openapi-server-proxy-uri",
    "server-cors-allowed-origins",
    "server-timing-enabled",
    "server-trace-header",
}

# Older names that PostgREST still accepts.
_ALIASES = {
    "db-pool-timeout": "db-pool-max-idletime",
    "db-schema": "db-schemas",
    "max-rows": "db-max-rows",
    "pre-request": "db-pre-request",
    "role-claim-key": "jwt-role-claim-key",
    "root-spec": "db-root-spec",
    "secret-is-base64": "jwt-secret-is-base64",
    "server-proxy-uri": "openapi-server-proxy-uri",
}

# Settings that PostgREST does not have, with the field of each.
GATEWAY_SETTINGS = {
    "pgmq-gateway-publishable-keys": "publishable_keys",
    "pgmq-gateway-secret-keys": "secret_keys",
    "pgmq-gateway-key-layer": "key_layer",
    "pgmq-gateway-listen-uri": "listen_uri",
    "pgmq-gateway-call-timeout": "call_timeout",
    "pgmq-gateway-filter-timeout": "filter_timeout",
    "pgmq-gateway-jwt-previous-secret": "jwt_previous_secret",
    "pgmq-gateway-jwt-issuer": "jwt_issuer",
    "pgmq-gateway-jwks-url": "jwks_url",
    "pgmq-gateway-jwks-private-addresses": "jwks_private_addresses",
    "pgmq-gateway-history-interval": "history_interval",
    "pgmq-gateway-history-keep": "history_keep",
    "pgmq-gateway-background": "background",
    "pgmq-gateway-idempotency-keep": "idempotency_keep",
    "pgmq-gateway-log-format": "log_format",
    "pgmq-gateway-log-requests": "log_requests",
    "pgmq-gateway-queue-metrics": "queue_metrics",
    "pgmq-gateway-rate-limits": "rate_limits",
    "pgmq-gateway-trusted-proxies": "trusted_proxies",
    "pgmq-gateway-admin-hosts": "admin_hosts",
    "pgmq-gateway-reuse-port": "reuse_port",
    "pgmq-gateway-max-body": "max_body",
    "pgmq-gateway-max-head": "max_head",
    "pgmq-gateway-head-timeout": "head_timeout",
    "pgmq-gateway-body-timeout": "body_timeout",
    "pgmq-gateway-send-timeout": "send_timeout",
    "pgmq-gateway-keep-alive-timeout": "keep_alive_timeout",
    "pgmq-gateway-min-rate": "min_rate",
    "pgmq-gateway-max-buffered": "max_buffered",
    "pgmq-gateway-max-connections": "max_connections",
    "pgmq-gateway-max-batch": "max_batch",
    "pgmq-gateway-max-read": "max_read",
    "pgmq-gateway-max-wait": "max_wait",
    "pgmq-gateway-max-waiting": "max_waiting",
    "pgmq-gateway-wait-poll": "wait_poll",
    "pgmq-gateway-max-stream": "max_stream",
}


@dataclass(frozen=True, slots=True)
class Given:
    """One setting of a file, the environment or the database.

    name     its current name, as in files: `db-uri`
    written  the name in the source
    place    its position for messages: the variable, or file, line and name
    current  the source uses the current name
    """

    name: str
    value: str
    written: str
    place: str
    current: bool = True


def variable(name: str) -> str:
    """The environment variable of the setting `name`."""
    upper = name.replace("-", "_").upper()
    return upper if name in GATEWAY_SETTINGS else f"{_PREFIX}{upper}"


def given(config: Path | None = None, database: Iterable[tuple[str, str]] = ()) -> list[Given]:
    """All given settings in rising precedence: file, environment, database. Older names come before current ones.

    config    None: the file named by PGMQ_GATEWAY_CONFIG, if any
    database  names, with their prefix, and values of the settings in the database

    Raises configfile.ConfigFileError.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    path = config or (Path(named) if named else None)
    found = [*(_in_file(path) if path else ()), *_in_environment(), *map(_in_database, database)]
    return sorted(found, key=lambda one: one.current)


def _in_file(path: Path) -> Iterator[Given]:
    for entry in configfile.read(path):
        name = _ALIASES.get(entry.name, entry.name)
        yield Given(name, entry.value, entry.name, f"{path}:{entry.line}: {entry.name}", name == entry.name)


def _in_environment() -> Iterator[Given]:
    own = {variable(name): name for name in GATEWAY_SETTINGS}
    for written, value in os.environ.items():
        if written.startswith(_APP_PREFIX):
            yield Given(APP_SETTINGS + written.removeprefix(_APP_PREFIX), value, written, written)
        elif written.startswith(_PREFIX):
            name = written.removeprefix(_PREFIX).replace("_", "-").lower()
            yield Given(_ALIASES.get(name, name), value, written, written, name not in _ALIASES)
        # Other variables PGMQ_GATEWAY_… are not errors: Kubernetes sets them for a service of that name.
        elif written in own:
            yield Given(own[written], value, written, written)


def _in_database(setting: tuple[str, str]) -> Given:
    """A setting of the database. Those that PostgREST does not read there keep their whole name, without effect."""
    written, value = setting
    name = written.removeprefix(DATABASE_PREFIX).replace("_", "-")
    return Given(name if name in IN_DATABASE else written, value, written, f"{written} in the database")
