"""Lines to a pipe that nobody reads: writing never blocks, the buffer is bounded, and missing lines are reported."""

import os
from collections.abc import Iterator
from fcntl import F_SETPIPE_SZ, fcntl

import pytest

from pgmq_gateway.observe import output
from pgmq_gateway.observe.output import Output

PIPE_BYTES = 4096
MAX_BYTES = 10_000


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """The reading and the writing end of a small pipe."""
    monkeypatch.setattr(output, "MAX_WAITING_BYTES", MAX_BYTES)
    reading, writing = os.pipe()
    fcntl(writing, F_SETPIPE_SZ, PIPE_BYTES)
    yield reading, writing
    os.close(reading)


def lines(reading: int, last: str) -> list[str]:
    """The lines up to the last one."""
    text = ""
    while not text.endswith(f"{last}\n"):
        text += os.read(reading, 65536).decode()
    return text.splitlines()


def test_lines_are_written_in_order(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    written = Output(writing)
    for number in range(100):
        written.write(f"line {number}")
    assert lines(reading, "line 99") == [f"line {number}" for number in range(100)]
    assert written.flush()


@pytest.mark.parametrize("blocking", [True, False])
def test_lines_that_do_not_fit_are_dropped_and_counted(pipe: tuple[int, int], *, blocking: bool) -> None:
    reading, writing = pipe
    os.set_blocking(writing, blocking)
    written = Output(writing)
    sent = [f"line {number:04}" for number in range(2000)]
    for line in sent:
        written.write(line)
    assert 0 < written.dropped < len(sent)
    assert not written.flush(0)
    kept = len(sent) - written.dropped
    # Its lines up to the gap are the oldest: pipe and buffer are full from then on.
    found = lines(reading, f"{written.dropped} lines were dropped")
    assert found[:-1] == sent[:kept]
    assert written.flush()
    written.write("after")
    assert lines(reading, "after") == ["after"]


def test_a_gap_is_reported_before_the_next_line(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    written = Output(writing)
    while not written.dropped:
        written.write("x" * 99)
    dropped = 0
    while dropped < written.dropped:
        dropped = written.dropped
        os.read(reading, 1000)
        written.write("after")
    assert lines(reading, "after")[-2:] == [f"{dropped} lines were dropped", "after"]


def test_a_pipe_without_a_reader_discards_lines() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    written = Output(writing)
    written.write("nobody reads this")
    assert written.flush(60)
