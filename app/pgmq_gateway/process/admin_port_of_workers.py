"""The admin port over several workers: what each says on its own, put together."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

import httpx
from fastapi import Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.observe.gauges import SHARED_PREFIXES

# Names of values of which the largest is told, or their beginnings; all others are added up.
LARGEST = ("pgrst_schema_cache_query_time_seconds", *SHARED_PREFIXES)
PAGES = ("/live", "/ready", "/metrics", "/schema_cache")
SECONDS = 5.0


class Overview:
    """The same pages as a single worker's (health.py). Not live or ready as soon as one worker is not."""

    def __init__(self, workers: Sequence[Path], stopping: asyncio.Event) -> None:
        self._workers = workers
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        response = await self._page(path) if path in PAGES else Response(status_code=404)
        await response(scope, receive, send)

    async def _page(self, path: str) -> Response:
        answers = await asyncio.gather(*(_asked(worker, path) for worker in self._workers))
        there = [answer for answer in answers if answer is not None]
        if path in ("/live", "/ready"):
            worst = max((answer.status_code for answer in there), default=500)
            missing = len(there) < len(answers)
            return Response(status_code=500 if self._stopping.is_set() else max(worst, 503) if missing else worst)
        if not there:
            return Response(status_code=503)
        if path == "/metrics":
            text = together(answer.text for answer in there)
            return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
        return Response(there[0].content, media_type="application/json")


async def _asked(worker: Path, path: str) -> httpx.Response | None:
    """What a worker answers; None from one that does not, because it is just being replaced."""
    transport = httpx.AsyncHTTPTransport(uds=str(worker))
    try:
        async with httpx.AsyncClient(transport=transport, timeout=SECONDS) as client:
            return await client.get(f"http://worker{path}")
    except httpx.HTTPError:
        return None


def together(texts: Iterable[str]) -> str:
    """Metrics of several workers as one text."""
    families: dict[str, Metric] = {}
    # By family, then by a sample's name and labels: a worker may count what others have not seen.
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            families.setdefault(family.name, family)
            known = values.setdefault(family.name, {})
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                both = known.get(key, 0.0), sample.value
                known[key] = max(both) if sample.name.startswith(LARGEST) else sum(both)
    lines = []
    for family in families.values():
        name = family.name + "_total" * (family.type == "counter")
        lines += [f"# HELP {name} {family.documentation}", f"# TYPE {name} {family.type}"]
        lines += [f"{name}{_braced(labels)} {value}" for (name, labels), value in values[family.name].items()]
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    """As Prometheus' text format has a label's value: a queue's name may be anything."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _braced(labels: Iterable[tuple[str, str]]) -> str:
    shown = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels)
    return f"{{{shown}}}" if shown else ""
