"""Maintenance of the queues by gateways with several workers."""

from pathlib import Path

import psycopg

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.databases import runner
from tests.server import SECRET
from tests.waiting import until


def test_90_gateways_bury_dead_messages_by_themselves(directory: DataDirectory, database: str, tmp_path: Path) -> None:
    env = {
        "PGRST_DB_URI": socket_uri(directory, "authenticator", database),
        "PGRST_JWT_SECRET": SECRET,
        "PGRST_DB_POOL": "1",
        "PGMQ_GATEWAY_BACKGROUND": "true",
    }
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as connection:
        sql = runner(connection)
        sql("select pgmq_admin.create_queue('jobs')")
        sql("select pgmq_admin.set_queue_settings('jobs', '{\"max_receives\": 1}')")
        sql("insert into pgmq.q_jobs (vt, read_ct, message) values (now(), 1, '1')")
        workers = server.start(tmp_path / "workers.log", "--workers", "2", env=env)
        try:
            until(lambda: sql("select 1 from pgmq.a_jobs"))
            # The portion with the burial, and the rest of the pass.
            until(lambda: sql("select 1 from pgmq_gateway.maintenance where runs > 1 and place = ''"))
        finally:
            assert workers.stop() == 0
        log = (tmp_path / "workers.log").read_text()
        assert "Traceback" not in log
        assert "ERROR" not in log
