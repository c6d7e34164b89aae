"""The container files agree with the code: settings, ports and secrets."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from pgmq_gateway.settings.model import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, object]]:
    """The services of docker-compose.yml."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert isinstance(services, dict)
    return services


def test_every_gateway_setting_in_the_containers_exists() -> None:
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "Dockerfile").read_text()
    named = {name.lower() for name in re.findall(r"PGRST_(\w+)", text)}
    assert named
    assert named <= Settings.model_fields.keys()


def test_the_gateway_starts_after_the_install_step_and_that_after_the_database(
    services: dict[str, dict[str, object]],
) -> None:
    assert services["install"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert services["gateway"]["depends_on"] == {"install": {"condition": "service_completed_successfully"}}


def test_the_dashboard_reaches_the_metrics_by_a_name_that_the_admin_port_accepts(
    services: dict[str, Any],
) -> None:
    (admin,) = [option for option in services["dashboard"]["command"] if option.startswith("--admin=")]
    host = urlsplit(admin.removeprefix("--admin=")).hostname
    assert host in services["gateway"]["environment"]["PGMQ_GATEWAY_ADMIN_HOSTS"].split(",")


def test_every_secret_comes_from_the_file_that_make_writes() -> None:
    # Those that have a default are no secrets.
    wanted = set(re.findall(r"\$\{(\w+)(?!\w|:-)", (ROOT / "docker-compose.yml").read_text()))
    recipe = (ROOT / "Makefile").read_text().partition("\n.env:\n")[2].partition("\n\n")[0]
    assert wanted == set(re.findall(r'"([A-Z_]+)"', recipe))


def test_the_image_runs_as_nobody_in_particular_and_checks_its_health() -> None:
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER \d+$", last_stage, re.MULTILINE)
    assert ":${PGRST_ADMIN_SERVER_PORT:-3001}/live" in last_stage
    assert "pip install" not in last_stage


def test_the_image_gets_every_file_that_the_build_copies() -> None:
    kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {name for line in copied for name in line.split()} == kept
