"""The commands that send, read and settle messages: output, exit status, and rows."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pgmq_gateway.cli.main import FAILURES, app
from pgmq_gateway.cli.terminal import UsageError
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql
from tests.server import PROGRAM, environment
from tests.waiting import until

Command = Callable[..., str]


@pytest.fixture
def queue_command(
    directory: DataDirectory, queue: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """queue_command("read", "-n", "2") is the output of `pgmq-gateway queue read QUEUE -n 2`, run in this process.

    status  that must be its exit status; for another one the message is in the output
    """

    def command(word: str, *arguments: str, stdin: str | bytes = b"", status: int = 0, queue: str = queue) -> str:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        message = ""
        try:
            found = (
                app(["queue", word, "--data-dir", str(directory.path), queue, *arguments], standalone_mode=False) or 0
            )
        except (*FAILURES, UsageError) as error:
            found, message = (2 if isinstance(error, UsageError) else 1), str(error)
        assert (found, message) == (status, message)
        return message or capsys.readouterr().out

    return command


def test_messages_are_sent_read_and_acknowledged_in_pipes(queue_command: Command, queue: str, sql: Sql) -> None:
    # U+2028 ends a line for some programs.
    lines = '{"n": 1.10}\n\n["\N{SNOWMAN}\N{LINE SEPARATOR}", null]\n"three"\n'
    assert queue_command("send", stdin=lines) == "1\n2\n3\n"
    assert queue_command("send", "4", "null", "--delay", "600", "--headers", '{"a": 1}') == "4\n5\n"
    read = queue_command("read", "-n", "2", "--lease", "600")
    rows = [json.loads(line) for line in read.split("\n")[:-1]]
    assert [(row["msg_id"], row["queue_name"], row["read_ct"]) for row in rows] == [(1, queue, 1), (2, queue, 1)]
    assert '{"n": 1.10}' in read
    acked = queue_command("ack", stdin=read)
    assert acked == "".join(f"{row['receipt']} acked\n" for row in rows)
    assert queue_command("ack", rows[0]["receipt"], status=1) == f"{rows[0]['receipt']} gone\n"
    (popped,) = queue_command("pop", "-n", "10").splitlines()
    assert (json.loads(popped)["message"], json.loads(popped)["receipt"]) == ("three", None)
    assert queue_command("read") == ""
    assert sql(f"select msg_id, headers, vt > now() + '500 s' from pgmq.q_{queue} order by 1") == [
        (4, {"a": 1}, True),
        (5, {"a": 1}, True),
    ]


def test_messages_are_settled_in_every_way(queue_command: Command, queue: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, to_jsonb(n)) from generate_series(1, 8) n", queue)
    receipts = [row[0] for row in sql("select receipt from pgmq_api.read(%s, 600, 8)", queue)]
    assert queue_command("retry", receipts[0], "--delay", "5000", "--reason", "é") == f"{receipts[0]} retried\n"
    assert queue_command("reject", receipts[1], "--reason", "bad") == f"{receipts[1]} rejected\n"
    assert queue_command("extend", "--lease", "5000", stdin=f"{receipts[2]}\n") == f"{receipts[2]} extended\n"
    lines = [
        f"ack {receipts[3]}",
        f"archive {receipts[4]}",
        f"retry {receipts[5]} 5000",
        f"reject {receipts[6]}",
        f"extend {receipts[7]} 5000",
        "ack 99.1.5",
    ]
    settled = queue_command("settle", stdin="\n".join(lines), status=1).splitlines()
    assert settled == [
        f"{receipts[3]} acked",
        "99.1.5 gone",
        f"{receipts[4]} archived",
        f"{receipts[5]} retried",
        f"{receipts[6]} rejected",
        f"{receipts[7]} extended",
    ]
    assert sql(f"select msg_id from pgmq.q_{queue} where vt > now() + '4000 s' order by 1") == [(1,), (3,), (6,), (8,)]
    assert sql(f"select msg_id from pgmq.a_{queue} order by 1") == [(2,), (5,), (7,)]
    assert sql(f"select headers #>> '{{x-pgmq-retry,reason}}' from pgmq.q_{queue} where msg_id = 1") == [("é",)]
    refused = queue_command("settle", "--strict", stdin=f"ack {receipts[7]}\nack 99.1.5", status=1)
    assert "1 of 2 messages could not be settled: 99.1.5 gone" in refused
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(4,)]


def test_dead_letters_and_settings(queue_command: Command, queue: str, sql: Sql) -> None:
    dead = f"{queue}dead"
    sql("select pgmq_admin.create_queue(%s)", dead)
    try:
        shown = queue_command("settings", "max_receives=1", f"dead_letter_queue={dead}", "backoff=fixed")
        assert dict(line.split() for line in shown.splitlines())["max_receives"] == "1"
        found = json.loads(queue_command("settings", "--json"))
        assert (found["dead_letter_queue"], found["backoff"], found["lease_seconds"]) == (dead, "fixed", 30)
        sql("select pgmq.send(%s, to_jsonb(n)) from generate_series(1, 3) n", queue)
        queue_command("reject", stdin=queue_command("read", "-n", "2"))
        assert "visible" in queue_command("peek", queue=dead)
        peeked = json.loads(queue_command("peek", "--json", "--after", "1", queue=dead))
        assert [(row["msg_id"], row["message"], row["state"]) for row in peeked] == [(2, 2, "visible")]
        assert queue_command("redrive", "--max", "1", queue=dead) == "moved 1 message\n"
        assert queue_command("redrive", "--to", queue, "--per-second", "10", queue=dead) == "moved 1 message\n"
        assert queue_command("peek", queue=dead) == f"no messages in queue {dead}\n"
        sql("select pgmq.archive(%s, 3)", queue)
        assert queue_command("replay") == "sent 1 message\n"
        # A time that Python does not have.
        sql(f"update pgmq.q_{queue} set vt = 'infinity', enqueued_at = '97000-01-01Z', message = '1.10'")
        assert json.loads(queue_command("peek", "--json"))[0]["vt"] == "infinity"
        assert "1.10" in queue_command("peek")
        assert sql(f"select count(*) from pgmq.q_{queue}") == [(3,)]
    finally:
        sql("select pgmq_admin.drop_queue(%s)", dead)


def test_read_and_pop_wait_for_a_message(queue_command: Command, queue: str, sql: Sql) -> None:
    for word, number in (("read", 1), ("pop", 2)):
        sql("select pgmq.send(%s, to_jsonb(%s), clock_timestamp() + interval '0.3 s')", queue, number)
        assert json.loads(queue_command(word, "--wait", "60"))["message"] == number
    assert queue_command("pop", "--wait", "0.1") == ""


def test_tail_prints_messages_as_they_arrive(directory: DataDirectory, queue: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, to_jsonb(n)) from generate_series(1, 3) as n", queue)
    with tail(directory, queue, "-n", "2") as shown, tail(directory, queue, "--consume") as consumer:
        assert [message(consumer) for _ in range(3)] == [1, 2, 3]
        sql("select pgmq.send(%s, '4', 600)", queue)
        while (last := message(shown)) != 4:
            assert last in (2, 3)
        shown.send_signal(signal.SIGINT)
        assert shown.wait(30) == 130
        assert consumer.stdout
        consumer.stdout.close()
        until(lambda: sql(f"select msg_id from pgmq.q_{queue}") == [(4,)])
        sql("select pgmq.send(%s, '5')", queue)
        assert consumer.wait(30) == 0
        assert [process.stderr.read() for process in (shown, consumer) if process.stderr] == ["", ""]
    # It was not printed, so it was not acknowledged.
    assert sql(f"select msg_id, read_ct from pgmq.q_{queue} order by 1") == [(4, 0), (5, 1)]


@contextmanager
def tail(directory: DataDirectory, queue: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [str(PROGRAM), "queue", "tail", queue, "--data-dir", str(directory.path), *arguments]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def message(process: "subprocess.Popen[str]") -> object:
    """The message in the next line that a process prints."""
    assert process.stdout
    return json.loads(process.stdout.readline())["message"]


MISTAKES: tuple[tuple[str, tuple[str, ...], bytes, int, str], ...] = (
    ("send", ("{a}",), b"", 2, "{a} is not JSON: a string needs quotes"),
    ("send", (), b"\xff", 2, "stdin is not UTF-8"),
    ("send", ("1", "--at", "soon-ish"), b"", 1, "soon-ish"),
    ("ack", ("1.1",), b"", 1, 'receipt "1.1" is malformed: Use the receipt of a message as read() returned it.'),
    ("ack", (), b'{"msg_id": 1}', 2, '{"msg_id": 1} is not a line of queue read'),
    ("ack", (), b'{"receipt": null}', 2, "a message of queue pop has no receipt: it is deleted already"),
    ("send", ("1", "2", "--deduplication-id", "a"), b"", 2, "--deduplication-id is for one message, not 2"),
    ("send", ("1", "--delay", "-1"), b"", 2, "-1 is not a whole number of seconds (0 to 31536000)"),
    ("read", ("--lease", "-1"), b"", 2, "-1 is not a whole number of seconds (0 to 604800)"),
    ("read", ("-n", "10001"), b"", 2, "10001 is not a whole number (1 to 10000)"),
    ("settings", ("paused=true", "paused=false"), b"", 2, "a setting is given twice"),
    ("settle", (), b"delete 1.1.1", 2, "delete 1.1.1 is not a line such as ack RECEIPT"),
    ("settle", (), b"ack 1.1.1 5", 2, "ack 1.1.1 5 is not a line such as ack RECEIPT"),
    ("settings", ("paused",), b"", 2, "paused is not SETTING=VALUE"),
    ("settings", ("colour=red",), b"", 1, 'queue setting "colour" is unknown'),
    ("redrive", ("--filter", "{"), b"", 2, "{ is not JSON"),
)


def test_mistakes_have_a_message_and_change_nothing(queue_command: Command, queue: str, sql: Sql) -> None:
    for word, arguments, stdin, status, message in MISTAKES:
        assert message in queue_command(word, *arguments, stdin=stdin, status=status)
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]


def test_commands_end_with_their_status(directory: DataDirectory, queue: str, sql: Sql) -> None:
    def ended(*arguments: str) -> tuple[int, str, str]:
        command = [str(PROGRAM), "queue", *arguments, "--data-dir", str(directory.path)]
        process = subprocess.run(command, env=environment(), input="", capture_output=True, text=True, check=False)
        return process.returncode, process.stdout, process.stderr

    assert ended("ack", queue, "7.1.5") == (1, "7.1.5 gone\n", "")
    unknown = 'pgmq-gateway: queue "nope" does not exist: pgmq-gateway queue list lists all queues.\n'
    assert ended("peek", "nope") == (1, "", unknown)
    assert ended("send", queue, "{") == (
        2, "", "pgmq-gateway: { is not JSON: a string needs quotes: '\"…\"'\n"
    )  # fmt: skip
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]
