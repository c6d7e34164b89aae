"""The programs of docs/guides/idempotency.md: their first attempt is executed, and its response is lost."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients.conftest import Project, node
from tests.databases import Sql
from tests.nodejs import NODE
from tests.pages import Page
from tests.proxy import Proxy

PAGE = Page("docs/guides/idempotency.md")


def program(language: str, queue: str) -> str:
    """The code block in a language, for a queue."""
    (block,) = PAGE.code(language)
    return block.replace("tasks", queue)


@pytest.fixture
def lossy(running: Project) -> Iterator[str]:
    """The URL of a proxy to the server that loses the first response."""
    port = urlsplit(running.url).port
    assert port is not None
    with Proxy(("127.0.0.1", port)) as wire:
        wire.cut_after("server")
        yield f"http://127.0.0.1:{wire.port}"


def test_supabase_js_sends_once(lossy: str, running: Project, queue: str, sql: Sql) -> None:
    script = NODE / "repeating.generated.mjs"
    script.write_text(
        program("js", queue).replace("await queues", "const sent = await queues")
        + "console.log(JSON.stringify(sent))\n"
    )
    try:
        sent = node(script.name, lossy, running.service_key, SUPABASE_SECRET_KEY=running.service_key)
    finally:
        script.unlink()
    assert (sent["status"], sent["data"]) == (200, [1])
    assert sql(f"select msg_id, message from pgmq.q_{queue}") == [(1, {"hello": "world"})]


@pytest.mark.filterwarnings("ignore:The 'timeout' parameter is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'verify' parameter is deprecated:DeprecationWarning")
def test_supabase_py_sends_once(
    lossy: str, running: Project, queue: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_URL", lossy)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", running.service_key)
    names: dict[str, Any] = {}
    exec(program("python", queue), names)  # noqa: S102 the documented program
    names["queues"].postgrest.aclose()
    assert sql(f"select msg_id, message from pgmq.q_{queue}") == [(1, {"hello": "world"})]
