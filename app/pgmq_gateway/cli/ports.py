"""Ports of `serve` and `dashboard`: errors that name the option, and the process that has the port."""

import errno
import socket
from contextlib import suppress

from pgmq_gateway.http.sockets import ServeError, bind


def bind_option(host: str, port: int, option: str, *, shared: bool = False, instead: str = "") -> socket.socket:
    """Bind an address that an option selects. Raises ServeError, which says how to select another.

    instead  another remedy
    """
    try:
        return bind(host, port, shared=shared)
    except ServeError as error:
        taken = isinstance(error.__context__, OSError) and error.__context__.errno == errno.EADDRINUSE
        if not taken:
            raise
        raise ServeError(
            f"{error}{_listener(port)}: choose another port with {option} PORT{instead}, or {option} 0 for any free one"
        ) from None


def _listener(port: int) -> str:
    """The process that listens on a port, as far as this user may know."""
    # An extra brings it.
    with suppress(ImportError):
        import psutil

        with suppress(psutil.Error, OSError):
            for one in psutil.net_connections("tcp"):
                if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr[1] == port and one.pid:
                    return f" by {psutil.Process(one.pid).name()} (pid {one.pid})"
    return ""
