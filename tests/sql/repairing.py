"""Fills a database with all kinds of objects before a repair, and checks them afterwards."""

from pgmq_gateway.install.installer import check, install
from tests.databases import Sql
from tests.sql.conftest import as_role, connected


async def installed(uri: str, *, replace: bool = False) -> list[str]:
    async with connected(uri) as connection:
        return list(await install(connection, replace=replace))


async def found(uri: str) -> list[str]:
    async with connected(uri) as connection:
        return [str(finding) for finding in await check(connection)]


def fill(sql: Sql) -> None:
    """Queues of two kinds, messages, an archive, grants, policies and a sample of the history."""
    sql("create table if not exists public.notes (id int)")
    sql("select pgmq_admin.create_queue('mail')")
    sql("select pgmq_admin.create_queue('fast', 'unlogged')")
    sql("select pgmq.send('mail', '{\"n\": 1}'), pgmq.send('mail', '{\"n\": 2}'), pgmq.send('fast', '{\"n\": 3}')")
    sql("select pgmq.archive('mail', 2)")
    sql("select pgmq_admin.grant_queue('mail', 'authenticated', '{send,read}')")
    sql("create policy everybody on pgmq.q_mail for all using (true) with check (true)")
    sql("create policy members on pgmq.q_mail for select to authenticated using (true)")
    sql("select pgmq_gateway.take_sample(60, 1)")


SURVIVORS = (
    "select msg_id, message from pgmq.q_mail",
    "select msg_id, message from pgmq.a_mail",
    "select msg_id, message from pgmq.q_fast",
    "select queue_name, messages from pgmq_gateway.samples order by 1",
    "select polname from pg_policy order by 1",
    "select relname, relrowsecurity from pg_class where relname in ('q_mail', 'q_fast', 'a_mail') order by 1",
    "select relpersistence::text from pg_class where relname = 'q_fast'",
)


def survivors(sql: Sql) -> list[object]:
    return [sql(query) for query in SURVIVORS]


def works(sql: Sql, queue: str = "mail") -> None:
    """A caller with a grant reads the message that has survived, and sends another."""
    (sent,) = as_role(sql, "authenticated", "select * from pgmq_public.send(%s, '{}')", queue)
    read = as_role(sql, "authenticated", "select msg_id from pgmq_public.read(%s, 0, 10)", queue)
    assert read == [(1,), sent]
    assert as_role(sql, "service_role", "select queue_name, queue_type from pgmq_admin.list_queues() order by 1") == [
        ("fast", "unlogged"), (queue, "basic")
    ]  # fmt: skip
