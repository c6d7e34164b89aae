"""How much a client may send, how long it may take, and how many there may be at once."""

import resource
from dataclasses import dataclass
from typing import Self

from pgmq_gateway.settings.model import Settings

# Files that the process needs besides its clients' connections and its pool: sockets, logs, clients that are on their
# way out.
OTHER_FILES = 128


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of one server. Sizes are in bytes, times in seconds.

    head          a request line with its headers
    body          a body
    head_seconds  from a head's first byte to its last; also from a connection to its first byte
    body_seconds  from the end of a head to the last byte of its body
    send_seconds  how long a client may take nothing of what is there for it
    idle_seconds  how long a connection is kept between requests: longer than the usual load balancer's, so that it is
                  not this side that closes it under a request
    connections   open at once
    verbose       whether errors tell details and hint
    """

    head: int = 32 * 1024
    body: int = 16 * 1024 * 1024
    head_seconds: float = 10
    body_seconds: float = 60
    send_seconds: float = 30
    idle_seconds: float = 75
    connections: int = 10_000
    verbose: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the operator set them, and no more connections than the process may have files."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = settings.max_connections if files == resource.RLIM_INFINITY else files - settings.db_pool - OTHER_FILES
        return cls(
            settings.max_head,
            settings.max_body,
            settings.head_timeout,
            settings.body_timeout,
            settings.send_timeout,
            connections=max(1, min(settings.max_connections, room)),
            verbose=settings.client_error_verbosity == "verbose",
        )
