"""Pages of another origin that consume a stream, with the code of docs/guides/streams.md as it stands there."""

from collections.abc import Callable

import pytest
from playwright.async_api import Page

from pgmq_gateway.auth.signing import token
from tests.browser.conftest import Keys
from tests.databases import Sql
from tests.pages import Page as Document
from tests.server import SECRET, Server
from tests.waiting import until_async

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONSUME, LISTEN = Document("docs/guides/streams.md").code("js")
# Starts a consumer that fails on the first message once.
START = """({ url, key, token, name }) => {
    window.seen = [];
    window.controller = new AbortController();
    const work = async ({ n }) => {
        seen.push(n);
        if (n === 1 && seen.length === 1) throw new Error();
    };
    window.source = window[name]({ url, key, token: async () => token, work, signal: controller.signal });
}"""


async def has_seen(page: Page, *numbers: int) -> None:
    """Wait until the page has got these messages."""
    await page.wait_for_function("numbers => numbers.every((n) => seen.includes(n))", arg=numbers)


async def test_a_user_consumes_by_fetch_the_messages_that_a_policy_allows(
    page: Page, embedded: Server, keys: Keys, queue: str, grant: Callable[..., None], sql: Sql
) -> None:
    grant("authenticated", "read", "delete", "archive")
    owner = "message->>'owner' = current_setting('request.jwt.claims')::json->>'sub'"
    sql(f"create policy own on pgmq.q_{queue} to authenticated using ({owner})")
    send = "select pgmq.send(%s, jsonb_build_object('n', %s::int, 'owner', %s::text))"
    sql(send, queue, 1, "ann")
    sql(send, queue, 2, "bob")
    await page.add_script_tag(content=CONSUME)
    ann = token(SECRET.encode(), "authenticated", {"sub": "ann"}, 3600)
    url = f"{embedded.url}/rest/v1/queues/{queue}"
    async with page.expect_request("**/retry?delay_seconds=2"):
        await page.evaluate(START, {"url": url, "key": keys.publishable, "token": ann, "name": "consume"})
    await has_seen(page, 1)
    sql(send, queue, 3, "bob")
    sql(send, queue, 4, "ann")
    await has_seen(page, 4)
    # The first one failed, and was retried.
    await page.wait_for_function("() => seen.filter((n) => n === 1).length === 2")
    left = f"select message->'n', read_ct from pgmq.q_{queue} order by msg_id"
    await until_async(lambda: sql(left) == [(2, 0), (3, 0)])
    assert await page.evaluate("controller.abort(), source.then(() => 'over')") == "over"


@pytest.mark.usefixtures("no_rls")
async def test_the_anonymous_role_consumes_by_event_source(
    page: Page, embedded: Server, keys: Keys, queue: str, grant: Callable[..., None], sql: Sql
) -> None:
    grant("anon", "read", "delete")
    send = "select pgmq.send(%s, jsonb_build_object('n', %s::int))"
    sql(send, queue, 2)
    await page.add_script_tag(content=LISTEN)
    url = f"{embedded.url}/rest/v1/queues/{queue}"
    await page.evaluate(START, {"url": url, "key": keys.publishable, "token": None, "name": "listen"})
    await has_seen(page, 2)
    sql(send, queue, 3)
    await has_seen(page, 3)
    await until_async(lambda: sql(f"select msg_id from pgmq.q_{queue}") == [])
    await page.evaluate("source.close()")
