"""Schemathesis: valid and invalid requests generated from openapi.yaml, with all of its checks.

FUZZ_EXAMPLES=40 makes more requests of each operation, as .ci/run does, FUZZ_SEED=2 other ones. Accepted failures
are in fuzzing/premises.py, with their reasons.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import server
from tests.gateways import RunningGateway

ROOT = Path(__file__).parents[2]
FUZZING = Path(__file__).with_name("fuzzing")
PROGRAM = server.PROGRAM.with_name("schemathesis")
PUBLISHABLE, SECRET = "sb_publishable_fuzzing", "sb_secret_fuzzing"
GATEWAY = {
    "PGMQ_GATEWAY_PUBLISHABLE_KEYS": PUBLISHABLE,
    "PGMQ_GATEWAY_SECRET_KEYS": f"fuzzing={SECRET}",
    "PGRST_DB_POOL": "4",
    # Waits for messages that no test sends would take their time.
    "PGMQ_GATEWAY_MAX_WAIT": "0",
}
QUEUES = ("tasks", "other_queue", "swept_queue")
DELAYED_MESSAGES = 40
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))
SEED = os.environ.get("FUZZ_SEED", "1")
OPERATIONS = {
    (method.upper(), path)
    for path, methods in yaml.safe_load((ROOT / "openapi.yaml").read_text())["paths"].items()
    for method in methods
}
CHECKS = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    "object_level_authorization",
}


@dataclass(frozen=True)
class Exchange:
    """A generated request, valid or not, and the status of its response.

    linked  whether it was made from the response to another request
    checks  names of the checks
    """

    operation: tuple[str, str]
    phase: str
    right: bool
    linked: bool
    status: int
    checks: frozenset[str]


@pytest.fixture(scope="module")
def queues(gateway: RunningGateway) -> RunningGateway:
    """The queues of fuzzing/schemathesis.toml, with messages that no call reads, for calls with ids."""
    for name in QUEUES:
        gateway.sql("select pgmq_admin.create_queue(%s)", name)
        gateway.sql("select pgmq.send(%s, '1', 86400) from generate_series(1, %s::int)", name, DELAYED_MESSAGES)
    return gateway


def test_service_role_gets_documented_responses(queues: RunningGateway, tmp_path: Path) -> None:
    exchanges = fuzzed(queues, SECRET, EXAMPLES, tmp_path, "--generation-with-security-parameters", "false")
    assert {exchange.phase for exchange in exchanges} == {"examples", "coverage", "fuzzing", "stateful"}
    assert set().union(*(exchange.checks for exchange in exchanges)) >= CHECKS
    assert {exchange.status for exchange in exchanges} >= {200, 201, 400, 401, 404, 405, 406, 416}
    # Which of them follow a message that is still there is up to the other steps.
    linked = {exchange.operation[1] for exchange in exchanges if exchange.linked and exchange.status == 200}
    assert any("{message_id}" in path or "{receipt}" in path for path in linked)
    for operation in OPERATIONS:
        mine = [exchange for exchange in exchanges if exchange.operation == operation]
        # Made-up receipts match no message.
        least = 0 if "{receipt}" in operation[1] else 1
        assert sum(exchange.right and exchange.status < 300 for exchange in mine) >= least, operation
        assert operation[1] == "/queues" or any(not one.right and one.status >= 400 for one in mine), operation
    # Only to check whether it can be absent or invalid.
    assert sum(exchange.status == 401 for exchange in exchanges) < len(exchanges) / 10


def test_invented_credentials_have_no_effect(queues: RunningGateway, tmp_path: Path) -> None:
    before = stored(queues)
    # The other phases repeat what the first test sends.
    options = ("--generation-with-security-parameters", "true", "--phases", "examples,fuzzing")
    exchanges = fuzzed(queues, PUBLISHABLE, EXAMPLES // 5, tmp_path, *options)
    assert {exchange.operation for exchange in exchanges} >= OPERATIONS
    # Empty batches need no privilege, and the list of queues has those of the caller.
    harmless = {"/rpc/send_batch", "/queues/{queue}/settle", "/queues"}
    assert {exchange.operation[1] for exchange in exchanges if exchange.status < 400} <= harmless
    assert stored(queues) == before


def stored(gateway: RunningGateway) -> list[tuple[Any, ...]]:
    """All messages in the queues."""
    return [row for name in QUEUES for row in gateway.sql(f"select msg_id, read_ct, vt from pgmq.q_{name} order by 1")]


def fuzzed(gateway: RunningGateway, key: str, examples: int, folder: Path, *options: str) -> list[Exchange]:
    """Run schemathesis, which must succeed, and return its report."""
    report = folder / "report.ndjson"
    ended = subprocess.run(
        [
            PROGRAM, "--config-file", FUZZING / "schemathesis.toml",
            "run", ROOT / "openapi.yaml", "--url", f"{gateway.server.url}/rest/v1", "--header", f"apikey: {key}",
            "--checks", "all", "--seed", SEED, "--max-examples", str(examples), *options,
            "--report", "ndjson", "--report-ndjson-path", report,
        ],
        cwd=folder,
        env=server.environment({"SCHEMATHESIS_HOOKS": str(FUZZING / "premises.py"), "NO_COLOR": "1"}),
        capture_output=True,
        text=True,
        timeout=60 + 5 * examples,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    with report.open() as lines:
        return [exchange for line in lines for exchange in exchanged(json.loads(line))]


def exchanged(event: dict[str, Any]) -> Iterator[Exchange]:
    """The requests of an event in the report that received a response."""
    scenario = event.get("ScenarioFinished", {})
    recorded = scenario.get("recorder", {})
    for name, interaction in recorded.get("interactions", {}).items():
        case, checks = recorded["cases"][name], recorded["checks"].get(name, ())
        made = case["value"]
        yield Exchange(
            (interaction["request"]["method"], made["path"]),
            scenario["phase"],
            made["meta"]["generation"]["mode"] == "positive",
            case["is_transition_applied"],
            interaction["response"]["status_code"],
            frozenset(check["name"] for check in checks),
        )
