"""The database's connection string: its servers, and the parameters of libpq that the driver does not support."""

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from urllib.parse import quote, urlencode

from pgmq_gateway.settings.conninfo import parameters

# For each server; the connection string's connect_timeout overrides it.
CONNECT_TIMEOUT_SECONDS = 10.0

# Parameters that the driver has too.
DRIVER_PARAMETERS = {
    "user", "password", "passfile", "dbname", "options", "target_session_attrs", "krbsrvname", "gsslib",
    "sslmode", "sslnegotiation", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl",
    "ssl_min_protocol_version", "ssl_max_protocol_version",
}  # fmt: skip

# Parameters that the driver does not have, with the values that are accepted; None: any. Most have no effect: the
# gateway has an application_name of its own and always uses UTF-8, compression and GSSAPI encryption are not used.
ACCEPTED: Mapping[str, Sequence[str] | None] = {
    "application_name": None,
    "channel_binding": ("disable", "prefer", "require"),
    "client_encoding": None,
    "fallback_application_name": None,
    "gssdelegation": ("0",),
    "gssencmode": ("disable", "prefer", "allow"),
    "load_balance_hosts": ("disable", "random"),
    "max_protocol_version": None,
    "min_protocol_version": ("3.0",),
    "requiressl": ("0", "1"),
    "ssl": ("true",),
    "sslcertmode": ("allow",),
    "sslcompression": None,
    "sslsni": None,
}

# Parameters of TLS that have no effect where the gateway builds the TLS context, and not the driver.
_NEED_FILE = ("sslcert", "sslkey", "sslpassword", "sslcrl", "ssl_min_protocol_version", "ssl_max_protocol_version")


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


# Parameters of the connection string, by the member of Keepalive that each sets.
KEEPALIVE_PARAMETERS = {
    "keepalives": "on",
    "keepalives_idle": "idle",
    "keepalives_interval": "interval",
    "keepalives_count": "count",
    "tcp_user_timeout": "user_timeout",
}


# The largest values that Linux accepts for a socket; libpq's other numbers are 32-bit integers.
_MAX = {"keepalives": 1, "keepalives_idle": 32767, "keepalives_interval": 32767, "keepalives_count": 127}
_MAX_INTEGER = 2**31 - 1
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """The servers of a database.

    uris                one for each server, in the order of attempts, as the driver takes them
    connect_timeout     seconds, for each server
    system_authorities  verify the server's name and certificate with the certificate authorities of this system
    target              target_session_attrs: which servers are wanted
    """

    uris: Sequence[str]
    connect_timeout: float
    keepalive: Keepalive
    system_authorities: bool = False
    target: str = "any"

    @classmethod
    def of(cls, text: str) -> "Address":
        """Parse a connection string. Raises ValueError for an unknown parameter and for one that cannot be applied."""
        given = dict(parameters(text))
        names = [name for name in (*KEEPALIVE_PARAMETERS, "connect_timeout") if name in given]
        numbers = {name: _number(name, given.pop(name)) for name in names}
        servers = _servers(given.pop("host", ""), given.pop("port", ""))
        if given.get("load_balance_hosts") == "random":
            random.shuffle(servers)
        _refuse_unsupported(given)
        system_authorities = _require_tls(given)
        _refuse_unreadable(given)
        its = {name: value for name, value in given.items() if name in DRIVER_PARAMETERS}
        uris = [_uri(host, port, its) for host, port in servers]
        # To libpq 0 means no timeout; the gateway always applies one.
        connect_timeout = numbers.pop("connect_timeout", 0) or CONNECT_TIMEOUT_SECONDS
        keepalive = Keepalive(**{KEEPALIVE_PARAMETERS[name]: value for name, value in numbers.items()})
        return cls(uris, connect_timeout, keepalive, system_authorities, its.get("target_session_attrs", "any"))


def _number(name: str, value: str) -> int:
    if not value.isdecimal():
        raise ValueError(f"{name} must be a whole number, such as {name}=10")
    most = _MAX.get(name, _MAX_INTEGER)
    if int(value) > most:
        raise ValueError(f"{name} must be at most {most}")
    return int(value)


def _require_tls(given: dict[str, str]) -> bool:
    """Set `sslmode` to what other parameters require. True if the system's authorities verify the certificate.

    The driver has no channel binding. If required, it proves that the server knows the password, so that no other one
    can pose as it. A verified certificate proves as much.
    """
    if given.get("ssl") == "true" or given.get("requiressl") == "1":
        given.setdefault("sslmode", "require")
    if given.get("channel_binding") == "require":
        given["sslmode"] = "verify-full"
        given.setdefault("sslrootcert", "system")
    if given.get("sslrootcert") != "system":
        return False
    del given["sslrootcert"]
    if given.setdefault("sslmode", "verify-full") != "verify-full":
        raise ValueError("sslrootcert=system needs sslmode=verify-full: change one of them")
    if name := next((name for name in _NEED_FILE if name in given), None):
        raise ValueError(f"{name} has no effect with the system's certificate authorities: set sslrootcert to a file")
    return True


def _refuse_unreadable(given: Mapping[str, str]) -> None:
    """The driver's error would be that of a server that does not respond."""
    for name in ("sslrootcert", "sslcrl", "sslcert", "sslkey"):
        try:
            Path(given.get(name, os.devnull)).read_bytes()
        except OSError as error:
            raise ValueError(f"cannot read {given[name]}, the file of {name}: {error.strerror}") from None


def _servers(hosts: str, ports: str) -> list[tuple[str, str]]:
    """Pairs of a host and a port; empty ones are the driver's defaults."""
    names, numbers = hosts.split(","), ports.split(",")
    if len(numbers) not in (1, len(names)):
        raise ValueError(f"{len(names)} hosts have {len(numbers)} ports: give one port, or one for each host")
    if not all(number == "" or number.isdecimal() for number in numbers):
        raise ValueError("a port is not a number: in the password, percent-encode the characters : / ? # [ ] @ %")
    if not all(number == "" or 1 <= int(number) <= _MAX_PORT for number in numbers):
        raise ValueError(f"a port is not between 1 and {_MAX_PORT}")
    return list(zip_longest(names, numbers, fillvalue=numbers[0]))


def _refuse_unsupported(given: Mapping[str, str]) -> None:
    for name in given.keys() - DRIVER_PARAMETERS:
        values = ACCEPTED.get(name, ())
        if values == ():
            raise ValueError(f"the gateway does not support the parameter {name}: remove it")
        if values is not None and given[name] not in values:
            raise ValueError(f"the gateway supports {name}={' and '.join(values)} only: change or remove it")


def _uri(host: str, port: str, others: Mapping[str, str]) -> str:
    pairs = {"host": f"[{host}]" if ":" in host and not host.startswith("/") else host, "port": port, **others}
    return f"postgresql://?{urlencode({name: value for name, value in pairs.items() if value}, quote_via=quote)}"
