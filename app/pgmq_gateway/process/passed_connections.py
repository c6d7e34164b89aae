"""Connections that the supervisor passes to a worker's admin server through a socket pair (unix(7), SCM_RIGHTS).

A Unix socket in the file system would need a writable folder, which a container with a read-only root lacks, and an
abstract one could be reached by every user of the machine.
"""

import errno
import socket


class Passed(socket.socket):
    """The worker's end. It accepts connections as a listening socket does."""

    def accept(self) -> tuple[socket.socket, None]:
        # One byte goes with each connection.
        _, descriptors, _, _ = socket.recv_fds(self, 1, 1)
        if not descriptors:
            raise OSError(errno.EPIPE, "the supervisor has exited")
        return socket.socket(fileno=descriptors[0]), None


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """The supervisor's end and the worker's, which becomes a `Passed` there."""
    passing, passed = socket.socketpair()
    # A frozen worker must not delay the supervisor.
    passing.setblocking(False)
    return passing, passed


def connect(passing: socket.socket) -> socket.socket:
    """A connection to the worker. Raises OSError if it has exited, or has not accepted many earlier ones."""
    own, passed = socket.socketpair()
    with passed:
        try:
            socket.send_fds(passing, [b"\0"], [passed.fileno()])
        except OSError:
            own.close()
            raise
    own.setblocking(False)
    return own
