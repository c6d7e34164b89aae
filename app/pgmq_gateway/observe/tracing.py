"""Whether there are traces: OpenTelemetry's own variables say so, OTEL_…; it comes with the extra `otel`."""

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgmq_gateway.observe.otel import Tracing

logger = logging.getLogger("pgmq_gateway")

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the operator asks for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    return exporter == "otlp" or (not exporter and any(environment.get(name) for name in ENDPOINTS))


def tracing(environment: Mapping[str, str] = os.environ) -> "Tracing | None":
    """Traces, where the operator asks for them; None, with a line in the log, where they cannot be had."""
    if not wanted(environment):
        return None
    protocol = next((value for name in PROTOCOLS if (value := environment.get(name))), PROTOCOL)
    if protocol != PROTOCOL:
        logger.warning("no traces: they leave by %s only, and OTEL_… names another protocol", PROTOCOL)
        return None
    try:
        # Imported here because it is an extra, and who has no traces need not load it.
        from pgmq_gateway.observe.otel import Tracing

        return Tracing()
    except ImportError:
        logger.warning("no traces, though OTEL_… asks for them: they need pip install 'pgmq-gateway[otel]'")
    except Exception as error:
        # The SDK raises whatever the values of its variables lead to.
        logger.warning("no traces, because of what OTEL_… says: %s", error)
    return None
