"""When tracing is enabled, and the warnings if it cannot start."""

import logging
import sys

import pytest

from pgmq_gateway.observe.tracing import enabled, tracing

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_variables_enable_tracing(environment: dict[str, str], expected: bool) -> None:
    assert enabled(environment) is expected


def test_without_the_extra_there_is_a_warning_and_no_tracing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [
        name for name in sys.modules if name == "pgmq_gateway.observe.otel" or name.startswith("opentelemetry.sdk")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    with caplog.at_level(logging.WARNING):
        assert tracing(ENDPOINT) is None
    assert [record.getMessage() for record in caplog.records] == [
        "no traces, although OTEL_… enables them: OpenTelemetry is not installed; "
        "run pip install 'pgmq-gateway-server[otel]'"
    ]


def test_another_protocol_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert tracing({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}) is None
    (record,) = caplog.records
    assert record.getMessage() == (
        "no traces: the protocol grpc is not supported; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
    )


def test_an_invalid_variable_is_a_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    assert tracing(ENDPOINT) is None
    (record,) = caplog.records
    assert record.getMessage().startswith("no traces, because a variable OTEL_… is invalid: max_queue_size must be")
