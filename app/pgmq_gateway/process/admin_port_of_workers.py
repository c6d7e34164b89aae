"""The admin port of several workers: merges their responses."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import httpx
from fastapi import Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from pgmq_gateway.http.asgi import Receive, Scope, Send
from pgmq_gateway.observe.gauges import SHARED_PREFIXES

# Prefixes of metrics that report the maximum over all workers. All others are added up.
MAXIMA = ("pgrst_schema_cache_query_time_seconds", *SHARED_PREFIXES)
PAGES = ("/live", "/ready", "/metrics", "/schema_cache")
WORKER_TIMEOUT_SECONDS = 5.0


class Overview:
    """The pages of `AdminApp`. Live and ready only while all workers are."""

    def __init__(self, workers: Sequence[Path], stopping: asyncio.Event) -> None:
        self._workers = workers
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        response = await self._page(path) if path in PAGES else Response(status_code=404)
        await response(scope, receive, send)

    async def _page(self, path: str) -> Response:
        answers = await asyncio.gather(*(_get(worker, path) for worker in self._workers))
        responses = [answer for answer in answers if answer is not None]
        if path in ("/live", "/ready"):
            worst = max((answer.status_code for answer in responses), default=500)
            missing = len(responses) < len(answers)
            return Response(status_code=500 if self._stopping.is_set() else max(worst, 503) if missing else worst)
        if not responses:
            return Response(status_code=503)
        if path == "/metrics":
            # Not the number of those that responded: the alert compares it with the number of ready ones.
            text = merged((answer.text for answer in responses), {"pgmq_gateway_workers": len(self._workers)})
            return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
        return Response(responses[0].content, media_type="application/json")


async def _get(worker: Path, path: str) -> httpx.Response | None:
    """A worker's response; None while the worker is being replaced."""
    transport = httpx.AsyncHTTPTransport(uds=str(worker))
    try:
        async with httpx.AsyncClient(transport=transport, timeout=WORKER_TIMEOUT_SECONDS) as client:
            return await client.get(f"http://worker{path}")
    except httpx.HTTPError:
        return None


def merged(texts: Iterable[str], replaced: Mapping[str, float] = MappingProxyType({})) -> str:
    """The metrics of several workers as one text.

    replaced  values of metrics without labels, by name
    """
    families: dict[str, Metric] = {}
    # By family, then by name and labels of a sample: workers may have counted different labels.
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            families.setdefault(family.name, family)
            known = values.setdefault(family.name, {})
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                both = known.get(key, 0.0), sample.value
                known[key] = max(both) if sample.name.startswith(MAXIMA) else sum(both)
    for name, value in replaced.items():
        values[name] = {(name, ()): value}
    lines = []
    for family in families.values():
        name = family.name + "_total" * (family.type == "counter")
        lines += [f"# HELP {name} {family.documentation}", f"# TYPE {name} {family.type}"]
        lines += [f"{name}{_label_set(labels)} {value}" for (name, labels), value in values[family.name].items()]
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    """A label's value in Prometheus' text format. Names of queues can contain any character."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _label_set(labels: Iterable[tuple[str, str]]) -> str:
    shown = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels)
    return f"{{{shown}}}" if shown else ""
