"""Enables tracing, by OpenTelemetry's variables OTEL_…; it needs the extra `otel`."""

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pgmq_gateway.distribution import install_command

if TYPE_CHECKING:
    from pgmq_gateway.observe.otel import Tracing

logger = logging.getLogger("pgmq_gateway")

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"


def enabled(environment: Mapping[str, str]) -> bool:
    """True if OpenTelemetry's variables enable traces."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    return exporter == "otlp" or (not exporter and any(environment.get(name) for name in ENDPOINTS))


def tracing(environment: Mapping[str, str] = os.environ) -> "Tracing | None":
    """Tracing if enabled; None if not, or, with a warning, if it cannot start."""
    if not enabled(environment):
        return None
    protocol = next((value for name in PROTOCOLS if (value := environment.get(name))), PROTOCOL)
    if protocol != PROTOCOL:
        logger.warning(
            "no traces: the protocol %s is not supported; set OTEL_EXPORTER_OTLP_PROTOCOL=%s", protocol, PROTOCOL
        )
        return None
    try:
        # Imported here because it is an optional dependency.
        from pgmq_gateway.observe.otel import Tracing

        return Tracing()
    except ImportError:
        logger.warning(
            "no traces, although OTEL_… enables them: OpenTelemetry is not installed; run %s", install_command("otel")
        )
    except Exception as error:
        # The SDK raises various errors for invalid values of its variables.
        logger.warning("no traces, because a variable OTEL_… is invalid: %s", error)
    return None
