"""The addresses that the gateway listens on."""

import socket


class ServeError(Exception):
    """Why the gateway cannot serve, in one line that says what to do."""


def bind(host: str, port: int) -> socket.socket:
    """A listening address; port 0 is any free one. Raises ServeError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        raise ServeError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    return bound


def url(bound: socket.socket) -> str:
    """The address as a browser takes it."""
    host, port = bound.getsockname()[:2]
    # An address for all of them is none that can be called.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 no binding here
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
