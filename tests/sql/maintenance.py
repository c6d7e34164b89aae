"""The maintenance of queues, without waiting for its times."""

from collections.abc import Iterator

from tests.databases import Sql
from tests.sql.conftest import as_role


def portions(sql: Sql, budget_ms: int = 60_000) -> Iterator[tuple[str, float]]:
    """The portions of a pass, though they may not be due yet: where each has ended, and the seconds until the next."""
    place = None
    while place != "":
        sql("update pgmq_gateway.maintenance set due_at = '-infinity'")
        ((due,),) = as_role(sql, "authenticator", "select pgmq_gateway.maintain(%s)", budget_ms)
        ((place,),) = sql("select place from pgmq_gateway.maintenance")
        yield place, due


def whole_pass(sql: Sql) -> int:
    """The number of portions of a pass."""
    return len([*portions(sql)])
