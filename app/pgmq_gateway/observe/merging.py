"""Merges the metrics of several workers."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from pgmq_gateway.observe.gauges import SHARED_PREFIXES

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# Prefixes of metrics that report the maximum over all workers. All others are added up.
MAXIMA = ("pgrst_schema_cache_query_time_seconds", *SHARED_PREFIXES)


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
