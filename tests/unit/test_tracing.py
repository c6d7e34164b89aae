"""When there are traces, and what is said when there cannot be any."""

import logging
import sys

import pytest

from pgmq_gateway.observe.tracing import tracing, wanted

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
def test_who_asks_for_traces_gets_them(environment: dict[str, str], expected: bool) -> None:
    assert wanted(environment) is expected


def test_without_the_extra_there_is_a_line_and_no_trace(
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
        "no traces, though OTEL_… asks for them: they need pip install 'pgmq-gateway[otel]'"
    ]


def test_another_protocol_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    assert tracing({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}) is None
    assert len(caplog.records) == 1
