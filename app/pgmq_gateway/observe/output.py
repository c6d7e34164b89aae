"""Lines on stdout and stderr. A thread writes them: a pipe without a reader must not block the event loop."""

import atexit
import os
import select
import threading
from collections import deque
from collections.abc import Callable

# Lines beyond this are dropped until half of it has been written.
MAX_WAITING_BYTES = 1024 * 1024
# How long the exit of the process waits for a reader.
FLUSH_TIMEOUT_SECONDS = 1.0


class Output:
    """Lines for one file descriptor.

    dropped  how many did not fit into the buffer
    report   the line that says how many were dropped, written where they are missing
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # Reentrant: a signal handler can log too.
        self._changed = threading.Condition(threading.RLock())
        self._lines: deque[bytes] = deque()
        # Bytes of these lines and of those that are being written.
        self._waiting = 0
        self._missing = 0
        self._thread: threading.Thread | None = None
        self.dropped = 0
        self.report: Callable[[int], str] = "{} lines were dropped".format

    def write(self, line: str) -> None:
        """Have a line written, or drop it."""
        data = _encoded(line)
        with self._changed:
            if self._waiting + len(data) > (MAX_WAITING_BYTES // 2 if self._missing else MAX_WAITING_BYTES):
                self._missing += 1
                self.dropped += 1
                return
            self._report_missing()
            self._append(data)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_lines, name="output", daemon=True)
                self._thread.start()
                atexit.register(self.flush)

    def flush(self, timeout: float = FLUSH_TIMEOUT_SECONDS) -> bool:
        """Wait until all lines are written, for `timeout` seconds at most. Returns whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout)

    def _append(self, data: bytes) -> None:
        self._lines.append(data)
        self._waiting += len(data)
        self._changed.notify_all()

    def _report_missing(self) -> None:
        if self._missing:
            missing, self._missing = self._missing, 0
            self._append(_encoded(self.report(missing)))

    def _write_lines(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                data = self._next()
            _write(self._descriptor, data)
            with self._changed:
                self._waiting -= len(data)
                if not self._lines:
                    self._report_missing()
                self._changed.notify_all()

    def _next(self) -> bytes:
        """The next lines: as many as a pipe takes in one piece, so that lines of other processes split none."""
        data = self._lines.popleft()
        while self._lines and len(data) + len(self._lines[0]) <= select.PIPE_BUF:
            data += self._lines.popleft()
        return data


STDOUT, STDERR = Output(1), Output(2)


def _encoded(line: str) -> bytes:
    return line.encode(errors="backslashreplace") + b"\n"


def _write(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            # Another process has made the pipe non-blocking, which applies to all that share it.
            select.select([], [descriptor], [])
        except OSError:
            # The reader has closed its end.
            return
