"""Postgres killed, rejecting, read-only, full or unreachable: errors of callers, and stored messages."""

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import SOCKET_NAME, socket_folder, socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.answers import error, key_in_use, refusal
from tests.faults.conftest import Faulty, login
from tests.proxy import SIDES, Proxy, Side
from tests.server import SECRET, ready
from tests.streams import opened
from tests.waiting import repeated, until

NOTES = "select array_agg(message::int order by message::int) from pgmq.q_{0}"


def kill(directory: DataDirectory) -> None:
    """Kill Postgres. Its gateway restarts it."""
    os.kill(int((directory.postgres / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


def test_f1_the_gateway_is_live_without_a_database_and_serves_once_it_connects(
    database: str, directory: DataDirectory, tmp_path: Path
) -> None:
    with Proxy(socket_folder(directory) / SOCKET_NAME) as wire:
        wire.refuse()
        env = {"PGRST_DB_URI": login(wire, database), "PGRST_JWT_SECRET": SECRET}
        gateway = server.start(tmp_path / "log", env=env)
        try:
            assert httpx.get(f"{gateway.admin_url}/live").status_code == 200
            assert httpx.get(f"{gateway.admin_url}/ready").status_code == 503
            answer = httpx.post(f"{gateway.url}/rpc/pop", json={"queue_name": "x"})
            assert (answer.status_code, error(answer)["code"], answer.headers["retry-after"]) == (503, "PGRST002", "1")
            wire.heal()
            until(lambda: httpx.get(f"{gateway.admin_url}/ready").status_code == 200)
            assert httpx.post(f"{gateway.url}/rpc/nothing").json()["code"] == "PGRST202"
        finally:
            assert gateway.stop() == 0


def test_60_f47_a_stream_survives_a_restart_of_the_database(
    faulty: Faulty, jobs: str, directory: DataDirectory
) -> None:
    faulty.sql("select pgmq.send(%s, '1')", jobs)
    with opened(faulty.client, jobs, sleep_seconds=600) as stream:
        assert stream.message()["message"] == 1
        kill(directory)
        until(faulty.serves)
        faulty.sql("select pgmq.send(%s, '2')", jobs)
        assert stream.message()["message"] == 2


def test_f3_a_crash_during_sends_loses_and_repeats_nothing(faulty: Faulty, jobs: str, directory: DataDirectory) -> None:
    def send(number: int) -> httpx.Response:
        if number == 100:
            kill(directory)
        return faulty.call("send", queue_name=jobs, message=number)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(send, range(200)))
    until(faulty.serves)
    stored = faulty.sql(NOTES.format(jobs))[0][0]
    acknowledged = [number for number, answer in enumerate(answers) if answer.is_success]
    assert set(acknowledged) <= set(stored)
    assert len(set(stored)) == len(stored)
    refused = [answer for answer in answers if not answer.is_success]
    assert refused
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in refused} == {(503, "1")}


def test_f4_terminated_connections_are_not_reused(faulty: Faulty, jobs: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: faulty.call("send", queue_name=jobs, message=n), range(20)))
    faulty.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgmq-gateway'")
    answers = [faulty.call("send", queue_name=jobs, message=n) for n in range(20, 40)]
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert [answer.status_code for answer in answers[8:]] == [200] * 12
    sent = [n for n, answer in enumerate(answers, 20) if answer.is_success]
    assert faulty.sql(NOTES.format(jobs)) == [([*range(20), *sent],)]


@pytest.mark.parametrize(
    "ending",
    [
        "perform set_config('transaction_timeout', '1', true); perform pg_sleep(60)",
        "perform pg_terminate_backend(pg_backend_pid())",
    ],
)
def test_f4_a_session_that_ends_alone_costs_the_pool_no_other(
    faulty: Faulty, jobs: str, directory: DataDirectory, ending: str
) -> None:
    faulty.define(
        "drop function if exists pgmq_public.leave, pgmq_public.wait_for_lock",
        "create function pgmq_public.leave() returns void volatile security definer language plpgsql"
        f" as $f$ begin {ending}; end $f$",
        "create function pgmq_public.wait_for_lock() returns void volatile language sql"
        " as 'select pg_advisory_xact_lock_shared(4)'",
    )
    waiting = "select array_agg(pid) from pg_locks where locktype = 'advisory' and not granted"
    ((database,),) = faulty.sql("select current_database()")

    def sessions() -> set[int]:
        """Those of three calls that run at once."""
        with psycopg.connect(socket_uri(directory, database=str(database))) as holder, ThreadPoolExecutor() as threads:
            holder.execute("select pg_advisory_xact_lock(4)")
            calls = [threads.submit(faulty.call, "wait_for_lock") for _ in range(3)]
            until(lambda: len(faulty.sql(waiting)[0][0] or []) == 3)
            ((found,),) = faulty.sql(waiting)
            holder.rollback()
            assert [call.result().status_code for call in calls] == [204] * 3
        assert isinstance(found, list)
        return set(found)

    before = sessions()
    assert faulty.call("leave").status_code == 503
    assert ready(faulty.server)
    # The call has ended one of them, and one may be in use by the gateway itself.
    assert not before.isdisjoint(sessions())
    assert faulty.call("send", queue_name=jobs, message=1).status_code == 200


def test_f13_a_purge_waits_for_a_reader_no_longer_than_its_statement_timeout(
    faulty: Faulty, jobs: str, directory: DataDirectory
) -> None:
    faulty.define("alter function pgmq_admin.purge_queue(text) set statement_timeout = '200ms'")

    def purge() -> httpx.Response:
        headers = {"Content-Profile": "pgmq_admin"}
        return faulty.client.post("/rpc/purge_queue", json={"queue_name": jobs}, headers=headers)

    faulty.call("send", queue_name=jobs, message=1)
    ((database,),) = faulty.sql("select current_database()")
    with psycopg.connect(socket_uri(directory, database=str(database))) as reader:
        reader.execute(f"select * from pgmq.q_{jobs} for update")
        assert refusal(purge())[:2] == (500, "57014")
    assert faulty.sql(NOTES.format(jobs)) == [([1],)]
    # On a busy machine a purge can take longer.
    faulty.define("alter function pgmq_admin.purge_queue(text) reset statement_timeout")
    assert purge().status_code == 200


def test_f13_a_purge_waits_for_a_lock_no_longer_than_its_lock_timeout(
    faulty: Faulty, jobs: str, directory: DataDirectory
) -> None:
    def purge() -> httpx.Response:
        headers = {"Content-Profile": "pgmq_admin"}
        return faulty.client.post("/rpc/purge_queue", json={"queue_name": jobs}, headers=headers)

    def waits() -> bool:
        return bool(faulty.sql("select from pg_locks where relation = %s::regclass and not granted", f"pgmq.q_{jobs}"))

    faulty.define("alter function pgmq_admin.purge_queue(text) reset statement_timeout")
    faulty.define("alter function pgmq_admin.purge_queue(text) set lock_timeout = '1s'")
    faulty.call("send", queue_name=jobs, message=1)
    ((database,),) = faulty.sql("select current_database()")
    with psycopg.connect(socket_uri(directory, database=str(database))) as dump, ThreadPoolExecutor() as pool:
        # What pg_dump does.
        dump.execute(f"lock table pgmq.q_{jobs} in access share mode")
        purging = pool.submit(purge)
        until(lambda: waits() or purging.done())
        # Whether the purge still waits or not.
        assert faulty.call("send", queue_name="idle", message=1).status_code == 200
        assert refusal(purging.result())[:2] == (503, "55P03")
        assert purging.result().headers["retry-after"] == "1"
        assert faulty.call("send", queue_name=jobs, message=2).status_code == 200
    assert faulty.sql(NOTES.format(jobs)) == [([1, 2],)]
    assert purge().json() == 2


def test_d4_a_connection_lost_before_the_call_is_no_unknown_outcome(faulty: Faulty, jobs: str) -> None:
    faulty.define(
        "create function pgmq_public.strict(queue_name text) returns bigint volatile language sql"
        " set default_transaction_isolation = serializable as $f$ select pgmq_public.send(queue_name, '1') $f$"
    )
    assert faulty.call("strict", queue_name=jobs).status_code == 200
    faulty.wire.cut_after("client", mark=b"begin isolation level")
    assert refusal(faulty.call("strict", queue_name=jobs))[:2] == (503, "PGRST000")
    assert faulty.sql(f"select count(*) from pgmq.q_{jobs}") == [(1,)]


def test_f16_a_read_only_database_answers_like_postgrest(faulty: Faulty, jobs: str) -> None:
    ((database,),) = faulty.sql("select current_database()")
    faulty.sql(f"alter database {database} set default_transaction_read_only = on")
    faulty.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgmq-gateway'")
    try:
        until(lambda: faulty.call("send", queue_name=jobs, message=1).status_code == 405)
        # The gateway's other connection has been replaced too, and it has found other settings: all sessions are new.
        until(lambda: ready(faulty.server))
        assert faulty.call("send", queue_name=jobs, message=1).status_code == 405
        before = faulty.wire.accepted
        for _ in range(3):
            told = refusal(faulty.call("send", queue_name=jobs, message=1))
            assert told == (405, "25006", "cannot execute INSERT in a read-only transaction")
        assert faulty.wire.accepted == before
    finally:
        faulty.sql(f"begin read write; alter database {database} reset default_transaction_read_only; commit;")
        faulty.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgmq-gateway'")
    until(lambda: faulty.call("send", queue_name=jobs, message=2).status_code == 200)
    assert faulty.sql(NOTES.format(jobs)) == [([2],)]


def test_f19_f20_unlogged_tables_emptied_by_a_crash_work_again(
    faulty: Faulty, jobs: str, directory: DataDirectory
) -> None:
    faulty.sql("select pgmq_admin.create_queue('volatile', 'unlogged'), pgmq_admin.enable_notify(%s)", jobs)
    faulty.call("send", queue_name="volatile", message=1)
    assert faulty.call("archive", queue_name="volatile", message_id=1).text == "true"
    faulty.call("send", queue_name="volatile", message=2)
    faulty.call("send", queue_name=jobs, message=1)
    kill(directory)
    # Before the crash is noticed there is a message, or an error.
    until(lambda: faulty.call("read", queue_name="volatile", sleep_seconds=0, n=9).json() == [])
    # The archive is logged (WAL), and message ids start again.
    assert faulty.call("send", queue_name="volatile", message=3).text == "[1]"
    assert refusal(faulty.call("archive", queue_name="volatile", message_id=1))[:2] == (409, "23505")
    assert faulty.call("delete", queue_name="volatile", message_id=1).text == "true"
    assert faulty.call("send", queue_name=jobs, message=2).status_code == 200
    assert faulty.sql(NOTES.format(jobs)) == [([1, 2],)]


@pytest.mark.parametrize("fault", ["latency", "slices", "trickle"])
def test_f22_a_slow_or_fragmented_network_corrupts_nothing(faulty: Faulty, jobs: str, fault: str) -> None:
    if fault == "latency":
        faulty.wire.latency = 0.2
    elif fault == "slices":
        faulty.wire.slicing = 3
    else:
        faulty.wire.rate = 4000
    texts = ["é" * 50, "x" * 100, ""]
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda text: faulty.call("send", queue_name=jobs, message=text), texts))
    assert [answer.status_code for answer in answers] == [200] * 3
    rows = faulty.call("read", queue_name=jobs, sleep_seconds=60, n=9).json()
    assert sorted(row["message"] for row in rows) == sorted(texts)


@pytest.mark.parametrize("side", SIDES)
def test_f6_f22_a_connection_cut_during_a_send_is_an_error(faulty: Faulty, jobs: str, side: Side) -> None:
    faulty.call("send", queue_name=jobs, message=0)
    # Not a query of the gateway's own, as the cleaning of the session after the send.
    faulty.wire.cut_after(side, 20, mark=jobs.encode())
    answer = faulty.call("send", queue_name=jobs, message=1)
    told = error(answer)
    assert (answer.status_code, told["code"]) == (503, "PGRST001")
    assert told["details"] == "The call may or may not have been executed."
    assert faulty.call("send", queue_name=jobs, message=2).is_success
    ((stored,),) = faulty.sql(NOTES.format(jobs))
    # The message is stored if only the response was lost.
    assert stored == ([0, 1, 2] if side == "server" else [0, 2])


@pytest.mark.parametrize("side", SIDES)
def test_f6_a_call_with_an_unknown_outcome_can_be_repeated_with_its_key(faulty: Faulty, jobs: str, side: Side) -> None:
    def send(key: str, message: int) -> httpx.Response:
        arguments = {"queue_name": jobs, "message": message}
        return faulty.client.post("/rpc/send", json=arguments, headers={"Idempotency-Key": key})

    keys = [str(uuid.uuid4()) for _ in range(2)]
    assert send(keys[0], 0).is_success
    faulty.wire.cut_after(side, 20, mark=jobs.encode())
    assert refusal(send(keys[1], 1))[:2] == (503, "PGRST001")
    # Until Postgres has noticed that the connection is lost.
    answer = repeated(lambda: send(keys[1], 1), key_in_use)
    assert answer.is_success
    assert ("Idempotency-Replayed" in answer.headers) == (side == "server")
    assert faulty.sql(NOTES.format(jobs)) == [([0, 1],)]
    assert answer.json() == [id_ for (id_,) in faulty.sql(f"select max(msg_id) from pgmq.q_{jobs}")]


def test_f23_too_many_connections_are_503(faulty: Faulty, jobs: str) -> None:
    # With a limit of 1, calls that follow each other could share the one connection.
    faulty.sql("alter role authenticator connection limit 0")
    try:
        faulty.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgmq-gateway'")
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda n: faulty.call("send", queue_name=jobs, message=n), range(8)))
    finally:
        faulty.sql("alter role authenticator connection limit -1")
    refused = [answer for answer in answers if not answer.is_success]
    assert refused
    assert {(a.status_code, a.headers["retry-after"]) for a in refused} == {(503, "1")}
    assert {error(answer)["code"] for answer in refused} <= {"PGRST000", "PGRST001", "PGRST002", "57P01"}
    until(faulty.serves)
    stored = faulty.sql(NOTES.format(jobs))[0][0] or []
    assert set(stored) >= {number for number, answer in enumerate(answers) if answer.is_success}


@pytest.fixture
def small_disk(faulty: Faulty, jobs: str, directory: DataDirectory) -> Iterator[Path]:
    """A file system of 1.5 MB with the test's queue on it."""
    place = Path(tempfile.mkdtemp(prefix="pgmq-small-"))
    place.chmod(0o755)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1536k", "none", place], capture_output=True, check=False
    )
    if mounted.returncode:
        place.rmdir()
        pytest.skip(f"only who may mount can make a small disk: {mounted.stderr.decode().strip()}")
    try:
        shutil.chown(place, directory.postgres.stat().st_uid, directory.postgres.stat().st_gid)
        faulty.sql(f"create tablespace small location '{place}'")
        faulty.sql(f"alter table pgmq.q_{jobs} set tablespace small")
        yield place
        faulty.sql(f"alter table pgmq.q_{jobs} set tablespace pg_default")
        faulty.sql("drop tablespace small")
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
        place.rmdir()


def test_f23_a_full_disk_is_503_and_stores_nothing_partially(faulty: Faulty, jobs: str, small_disk: Path) -> None:
    # Incompressible, so that it fills the disk.
    faulty.sql(f"alter table pgmq.q_{jobs} alter column message set storage external")
    messages = [f"{number}" + "x" * 100_000 for number in range(4)]
    answers = [faulty.call("send_batch", queue_name=jobs, messages=messages) for _ in range(6)]
    full = [answer for answer in answers if not answer.is_success]
    assert full
    assert {(a.status_code, error(a)["code"], a.headers["retry-after"]) for a in full} == {(503, "53100", "1")}
    assert faulty.sql(f"select count(*) from pgmq.q_{jobs}") == [(4 * (len(answers) - len(full)),)]
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    assert faulty.call("send", queue_name=jobs, message="small").status_code == 200


def test_f25_the_time_zone_of_a_role_changes_no_lease(faulty: Faulty, jobs: str) -> None:
    faulty.sql("alter role service_role set timezone = 'Pacific/Chatham'")
    try:
        faulty.sql("notify pgrst")
        faulty.call("send", queue_name=jobs, message=1)
        zones = set()

        def chatham() -> bool:
            (row,) = faulty.call("read", queue_name=jobs, sleep_seconds=0, n=1).json()
            zones.add(row["vt"][-6:])
            return row["vt"][-6:] in {"+12:45", "+13:45"}

        until(chatham)
        (row,) = faulty.call("read", queue_name=jobs, sleep_seconds=600, n=1).json()
        lease = f"select extract(epoch from %s::timestamptz - now()) between 590 and 600 from pgmq.q_{jobs}"
        assert faulty.sql(lease, row["vt"]) == [(True,)]
        assert faulty.call("read", queue_name=jobs, sleep_seconds=600, n=1).json() == []
    finally:
        faulty.sql("alter role service_role reset timezone")
        faulty.sql("notify pgrst")


def test_f28_f29_a_dropped_queue_is_not_found_and_its_successor_is_used(faulty: Faulty, jobs: str) -> None:
    # Often enough for a cached plan.
    for number in range(8):
        assert faulty.call("send", queue_name=jobs, message=number).text == f"[{number + 1}]"
        assert len(faulty.call("read", queue_name=jobs, sleep_seconds=0, n=1).json()) == 1
    with ThreadPoolExecutor(4) as threads:
        polls = [threads.submit(faulty.call, "read", queue_name=jobs, sleep_seconds=0, n=1) for _ in range(40)]
        faulty.sql("select pgmq.drop_queue(%s)", jobs)
    assert {poll.result().status_code for poll in polls} <= {200, 404}
    assert refusal(faulty.call("read", queue_name=jobs, sleep_seconds=0, n=1))[:2] == (404, "42P01")
    faulty.sql("select pgmq_admin.create_queue(%s, 'unlogged')", jobs)
    assert faulty.call("delete", queue_name=jobs, message_id=8).text == "false"
    assert faulty.call("send", queue_name=jobs, message="new").text == "[1]"
    assert [row["message"] for row in faulty.call("pop", queue_name=jobs).json()] == ["new"]


def test_f30_altered_tables_and_replaced_functions_fail_concurrent_reads_only(faulty: Faulty, jobs: str) -> None:
    def call(number: int) -> tuple[int, str]:
        sent = faulty.call("send", queue_name=jobs, message=number)
        read = faulty.call("read", queue_name=jobs, sleep_seconds=0, n=2)
        return sent.status_code, "ok" if read.status_code == 200 else read.json()["code"]

    ((definition,),) = faulty.sql("select pg_get_functiondef('pgmq_public.read'::regproc)")
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(call, number) for number in range(80)]
        faulty.sql(f"alter table pgmq.q_{jobs} add column extra int default 7")
        faulty.sql("alter type pgmq.message_record add attribute extra int cascade")
        faulty.sql(str(definition))
        faulty.sql("notify pgrst")
        answers = [one.result() for one in calls]
    try:
        assert [sent for sent, _ in answers] == [200] * 80
        # A read that began before the new attribute and reached it fails with 42804.
        assert {read for _, read in answers} <= {"ok", "42804"}
        assert [call(number) for number in range(80, 90)] == [(200, "ok")] * 10
        (row, *_) = faulty.call("read", queue_name=jobs, sleep_seconds=0, n=1).json()
        assert row["message"] in range(90)
    finally:
        faulty.sql("alter type pgmq.message_record drop attribute extra cascade")
    assert faulty.sql(f"select count(*) from pgmq.q_{jobs}") == [(90,)]
