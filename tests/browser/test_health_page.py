"""The page Health: figures of the gateway and of its database."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Locator, expect

from pgmq_gateway.auth.signing import api_key, token
from tests import server
from tests.browser.conftest import Desk
from tests.databases import Sql
from tests.server import SECRET, Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


def tile(desk: Desk, name: str) -> Locator:
    """The value of one figure."""
    title = desk.page.get_by_role("term").filter(has_text=re.compile(f"^{name}$"))
    return desk.page.locator(".total").filter(has=title).get_by_role("definition")


async def test_it_shows_figures_of_the_gateway_and_of_the_database(
    desk: Desk, embedded: Server, sql: Sql, queue: str
) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    sql("select pgmq.delete(%s, 1), pg_stat_force_next_flush()", queue)
    await desk.open("/health")
    await expect(tile(desk, "Connections in use")).to_contain_text("of 4")
    await expect(tile(desk, "Errors")).to_contain_text("no errors yet")
    key = token(SECRET.encode(), "anon", {}, 600)
    codes = desk.page.get_by_role("table", name="Errors by code")
    async with httpx.AsyncClient(base_url=embedded.url, headers={"Authorization": f"Bearer {key}"}) as client:
        for _ in range(20):
            assert (await client.post("/rpc/nothing", json={})).json()["code"] == "PGRST202"
    row = codes.get_by_role("row").filter(has_text="PGRST202")
    await expect(row).to_contain_text("no such function")
    await expect(tile(desk, "Errors")).to_contain_text(re.compile(r"[0-9.]*[1-9][0-9.]* ?per second"))
    await expect(tile(desk, "Requests")).to_contain_text(re.compile(r"[0-9.]*[1-9][0-9.]* ?per second"))
    for name in ("Latency p50", "Latency p95", "Latency p99"):
        await expect(tile(desk, name)).to_contain_text(re.compile(r"[0-9.]+ m?s"))
    await expect(desk.page.get_by_role("table", name="Responses by status")).to_contain_text("404 Not Found")
    await expect(desk.page.get_by_role("table", name="Transactions by number of calls")).to_contain_text("%")
    ((version, pgmq),) = sql("select postgres_version, pgmq_version from pgmq_admin.database_status()")
    await expect(tile(desk, "Postgres")).to_contain_text(version.split(" ")[0])
    await expect(tile(desk, "pgmq")).to_contain_text(pgmq)
    await expect(tile(desk, "Size")).to_contain_text("MB")
    dead = desk.page.get_by_role("table", name="Queues with the most dead rows")
    await expect(dead.get_by_role("row").filter(has_text=queue)).to_contain_text("never")
    await expect(desk.page.get_by_role("img", name=re.compile("^Requests over the last minutes"))).to_be_visible()
    await desk.picture("health", dark=True)


async def test_without_an_admin_address_only_the_metrics_are_missing(embedded: Server, tmp_path: Path) -> None:
    with server.dashboard(tmp_path / "log", "--api", embedded.url) as address:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            form = {"key": api_key(SECRET.encode(), "service_role")}
            assert (await client.post("/sign-in", data=form, headers={"Origin": address})).is_success
            page = (await client.get("/health")).text
    assert "--admin URL" in page
    assert "Cache hit ratio" in page
