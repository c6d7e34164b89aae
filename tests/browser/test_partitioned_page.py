"""Partitioned queues in a real browser, on Debian's Postgres with pg_partman."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.async_api import Page, expect

from pgmq_gateway.auth.signing import api_key
from tests import server
from tests.browser.conftest import Dashboard, accessible, screenshot
from tests.databases import runner
from tests.server import SECRET
from tests.sql.cluster import PARTMAN, Cluster, with_partman

PASSWORD = "let me in"

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def partman() -> Iterator[Cluster]:
    """A Postgres server with pg_partman."""
    with with_partman((PARTMAN or [None])[-1], PASSWORD) as own:
        yield own


@pytest.fixture(scope="module")
def partitioning(partman: Cluster, folder: Path) -> Iterator[Dashboard]:
    """The dashboard of a gateway for that server."""
    login = partman.uri(user="authenticator", password=PASSWORD)
    own = {"PGRST_DB_URI": login, "PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "2"}
    running = server.start(folder / "partitioning.log", "--dashboard-port", "0", env=own)
    found = re.search(r"dashboard: (http://[\d.]+:\d+)", running.output)
    assert found is not None, running.output
    yield Dashboard(found[1], "", api_key(SECRET.encode(), "service_role"), ("", ""))
    assert running.stop() == 0, running.log.read_text()


async def test_a_partitioned_queue_is_created_and_shown(tab: Page, partitioning: Dashboard, partman: Cluster) -> None:
    await tab.set_viewport_size({"width": 390, "height": 844})
    await tab.emulate_media(color_scheme="dark")
    await partitioning.sign_in(tab)
    await tab.get_by_role("button", name="Create queue").first.click()
    dialog = tab.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("parts")
    await dialog.get_by_role("radio", name="Partitioned").click()
    await dialog.get_by_label("per partition").fill("1000")
    await dialog.get_by_label("time to keep").fill("5000")
    await accessible(tab)
    await screenshot(tab, "create-partitioned-390-dark")
    await dialog.get_by_role("button", name="Create").click()
    await expect(dialog).to_have_count(0)
    with psycopg.connect(partman.uri(), autocommit=True) as connection:
        sql = runner(connection)
        assert sql("select distinct partition_interval, retention from partman.part_config") == [("1000", "5000")]
        # Into several partitions.
        sql("select pgmq.send_batch('parts', array(select to_jsonb(n) from generate_series(1, 2500) as n))")
    await tab.set_viewport_size({"width": 1440, "height": 900})
    await tab.emulate_media(color_scheme="light")
    await tab.goto(f"{partitioning.url}/queues/parts")
    main = tab.get_by_role("main")
    await expect(main.get_by_text("partitioned", exact=True)).to_be_visible()
    await expect(main.locator(".total").filter(has_text="Messages").first).to_contain_text("2,500")
    await expect(main.get_by_role("button", name="Open message")).to_have_count(50)
    await main.get_by_role("columnheader", name="Id").get_by_role("button").click()
    await expect(main.get_by_role("button", name="Open message").first).to_have_text("2500")
    await accessible(tab)
    await screenshot(tab, "queue-partitioned-1440-light")
