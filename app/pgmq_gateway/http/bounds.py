"""Size, time and connection limits for clients."""

import resource
from dataclasses import dataclass
from typing import Self

from pgmq_gateway.http.memory import MAX_DEFAULT_BYTES, default_limit
from pgmq_gateway.settings.model import Settings

# Open files besides client connections and the pool: listening sockets, logs, connections that are being closed.
OTHER_FILES = 128
# Fewer connections than this are reported, unless the settings allow no more.
FEW_CONNECTIONS = 100


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of one server. Times are in seconds.

    head_timeout   from the first byte of a head to its last; also from the connection to the first byte
    min_rate       bytes that a client must send of a body, and take of a response, in each second on average
    body_timeout   the period in which the rate of a body is measured
    send_timeout   the same of a response
    keep_alive_timeout  how long a connection is kept between requests: longer than a load balancer's usual 60 s, so
                        that the balancer closes first and no request meets a closed connection
    max_buffered_bytes  request bodies and responses that clients have not taken yet, of all connections
    verbose        whether errors carry details and hint
    """

    max_head_bytes: int = 32 * 1024
    max_body_bytes: int = 16 * 1024 * 1024
    head_timeout: float = 10
    min_rate: float = 8192
    body_timeout: float = 10
    send_timeout: float = 10
    keep_alive_timeout: float = 75
    max_connections: int = 12_000
    max_buffered_bytes: int = MAX_DEFAULT_BYTES
    verbose: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The limits from the settings, with no more connections than the process may open files."""
        return cls(
            settings.max_head,
            settings.max_body,
            settings.head_timeout,
            settings.min_rate,
            settings.body_timeout,
            settings.send_timeout,
            settings.keep_alive_timeout,
            max_connections=_max_connections(settings),
            max_buffered_bytes=settings.max_buffered or default_limit(),
            verbose=settings.client_error_verbosity == "verbose",
        )


def raise_file_limit(settings: Settings) -> None:
    """Raise the soft limit of open files to what the connections of the settings take, as far as the hard one allows.

    The usual soft limit is 1024, for programs that use select().
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _wanted_files(settings)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def too_few_files(settings: Settings) -> str | None:
    """A warning if the limit of open files leaves few connections."""
    connections = _max_connections(settings)
    if connections >= min(settings.max_connections, FEW_CONNECTIONS):
        return None
    return (
        f"the limit of client connections is {connections}, because the limit of open files (ulimit -n) is "
        f"{_max_files()}, and {settings.db_pool} are for the database and {OTHER_FILES} for other files: set it to "
        f"{_wanted_files(settings)} for {settings.max_connections} connections"
    )


def _wanted_files(settings: Settings) -> int:
    return settings.max_connections + settings.db_pool + OTHER_FILES


def _max_connections(settings: Settings) -> int:
    files = _max_files()
    room = settings.max_connections if files == resource.RLIM_INFINITY else files - settings.db_pool - OTHER_FILES
    return max(1, min(settings.max_connections, room))


def _max_files() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
