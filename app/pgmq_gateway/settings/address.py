"""Where the database is: what libpq knows in a URI, and the driver does not."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from urllib.parse import unquote

# Seconds that a server may take to accept a connection, unless connect_timeout says otherwise.
CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Keepalive:
    """How a connection whose other end is gone without a word is found (libpq's parameters of these names).

    on            1, or 0 for not at all
    idle          seconds of silence before the first question
    interval      seconds between questions
    count         questions without an answer
    user_timeout  milliseconds that sent data may go unacknowledged (RFC 5482)
    """

    on: int = 1
    idle: int = 15
    interval: int = 5
    count: int = 3
    user_timeout: int = 30000


OURS = {
    "keepalives": "on",
    "keepalives_idle": "idle",
    "keepalives_interval": "interval",
    "keepalives_count": "count",
    "tcp_user_timeout": "user_timeout",
}


@dataclass(frozen=True, slots=True)
class Address:
    """The servers of a database.

    uris       one for each server, in the order in which they are to be tried, for the driver
    seconds    that one of them may take to accept a connection
    """

    uris: Sequence[str]
    seconds: float
    keepalive: Keepalive

    @classmethod
    def of(cls, uri: str) -> "Address":
        """Raises ValueError for a parameter whose value is no whole number."""
        place, question, query = uri.partition("?")
        pairs = [pair.partition("=")[::2] for pair in query.split("&")] if question else []
        numbers = {name: _number(name, value) for name, value in pairs if name in OURS or name == "connect_timeout"}
        rest = [(name, value) for name, value in pairs if name not in numbers]
        uris = [
            f"{one}{question and '?'}{'&'.join('='.join(pair) for pair in its)}" for one, its in _split(place, rest)
        ]
        uris = [one.removesuffix("?") for one in uris]
        # libpq: 0 means no limit, and there is always one here.
        seconds = numbers.pop("connect_timeout", 0) or CONNECT_SECONDS
        return cls(uris, seconds, Keepalive(**{OURS[name]: value for name, value in numbers.items()}))


def _number(name: str, value: str) -> int:
    if not value.isdecimal():
        raise ValueError(f"{name} must be a whole number")
    return int(value)


def _split(place: str, pairs: list[tuple[str, str]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """One for each server, so that one that does not answer costs the others nothing of their time."""
    # The driver looks at all of them before it takes a standby.
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
