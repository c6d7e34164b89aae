"""The database's URI: the parameters of libpq that the driver does not support."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from urllib.parse import unquote

# For each server; the URI's connect_timeout overrides it.
CONNECT_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Keepalive:
    """TCP keepalive, which detects a connection whose peer has disappeared (libpq's parameters of these names).

    on            1 or 0
    idle          idle seconds before the first probe
    interval      seconds between probes
    count         unanswered probes after which the connection is lost
    user_timeout  milliseconds that sent data may stay unacknowledged (RFC 5482)
    """

    on: int = 1
    idle: int = 15
    interval: int = 5
    count: int = 3
    user_timeout: int = 30000


# Parameters of the URI, by the member of Keepalive that each sets.
KEEPALIVE_PARAMETERS = {
    "keepalives": "on",
    "keepalives_idle": "idle",
    "keepalives_interval": "interval",
    "keepalives_count": "count",
    "tcp_user_timeout": "user_timeout",
}


@dataclass(frozen=True, slots=True)
class Address:
    """The servers of a database.

    uris             one for each server, in the order of attempts, as the driver takes them
    connect_timeout  seconds, for each server
    """

    uris: Sequence[str]
    connect_timeout: float
    keepalive: Keepalive

    @classmethod
    def of(cls, uri: str) -> "Address":
        """Raises ValueError for a parameter whose value is not a whole number."""
        place, question, query = uri.partition("?")
        pairs = [pair.partition("=")[::2] for pair in query.split("&")] if question else []
        numbers = {
            name: _number(name, value)
            for name, value in pairs
            if name in KEEPALIVE_PARAMETERS or name == "connect_timeout"
        }
        rest = [(name, value) for name, value in pairs if name not in numbers]
        uris = [
            f"{one}{question and '?'}{'&'.join('='.join(pair) for pair in its)}" for one, its in _split(place, rest)
        ]
        uris = [one.removesuffix("?") for one in uris]
        # To libpq 0 means no timeout; the gateway always applies one.
        connect_timeout = numbers.pop("connect_timeout", 0) or CONNECT_TIMEOUT_SECONDS
        return cls(
            uris, connect_timeout, Keepalive(**{KEEPALIVE_PARAMETERS[name]: value for name, value in numbers.items()})
        )


def _number(name: str, value: str) -> int:
    if not value.isdecimal():
        raise ValueError(f"{name} in the URI must be a whole number, such as {name}=10")
    return int(value)


def _split(place: str, pairs: list[tuple[str, str]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """One URI for each server, so that each has the whole connect_timeout."""
    # Here the driver needs all servers at once: it takes a primary only when no standby accepts connections.
    if ("target_session_attrs", "prefer-standby") in pairs:
        return [(place, pairs)]
    scheme, slashes, hosts = place.partition("//")
    hosts, slash, database = hosts.partition("/")
    login, at, hosts = hosts.rpartition("@")
    if "," in hosts:
        return [(f"{scheme}{slashes}{login}{at}{host}{slash}{database}", pairs) for host in hosts.split(",")]
    given = dict(pairs)
    hosts = unquote(given.get("host", ""))
    if "," not in hosts:
        return [(place, pairs)]
    others = [pair for pair in pairs if pair[0] not in {"host", "port"}]
    names, ports = hosts.split(","), unquote(given.get("port", "")).split(",")
    last = ports[-1] if len(ports) == 1 else ""
    return [
        (place, [*others, ("host", host), *([("port", port)] if port else [])])
        for host, port in zip_longest(names, ports[: len(names)], fillvalue=last)
    ]
