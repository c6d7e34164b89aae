"""Calls that wait for messages."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.gateways import Bearer, Headers, RunningGateway


@pytest.fixture(scope="module", autouse=True)
def jobs(gateway: RunningGateway) -> None:
    gateway.sql("select pgmq_admin.create_queue('jobs')")


@pytest.fixture
def service(bearer: Bearer) -> Headers:
    return {**bearer("service_role"), "Content-Profile": "pgmq_api"}


def read(gateway: RunningGateway, headers: Headers, wait: int) -> httpx.Response:
    return gateway.client.post("/rpc/read", headers=headers | {"Prefer": f"wait={wait}"}, json={"queue_name": "jobs"})


def messages(response: httpx.Response) -> list[object]:
    assert response.status_code == 200, response.text
    return [row["message"] for row in response.json()]


def test_wait_returns_at_once_with_a_message(gateway: RunningGateway, service: Headers) -> None:
    gateway.sql("select pgmq.send('jobs', '1')")
    assert messages(read(gateway, service, 30)) == [1]


def test_time_up_is_an_empty_read(gateway: RunningGateway, service: Headers) -> None:
    response = read(gateway, service, 1)
    assert messages(response) == []
    assert response.headers["Preference-Applied"] == "wait=1"


def test_singular_wait_ends_in_406(gateway: RunningGateway, service: Headers) -> None:
    response = read(gateway, service | {"Accept": "application/vnd.pgrst.object+json"}, 1)
    assert (response.status_code, response.json()["code"]) == (406, "PGRST116")


@pytest.mark.parametrize("profile", ["pgmq_api", "pgmq_public"])
def test_send_in_this_process_wakes_a_waiter(gateway: RunningGateway, service: Headers, profile: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(read, gateway, service, 30)
        sent = {"queue_name": "jobs", "message": profile}
        gateway.client.post("/rpc/send", headers=service | {"Content-Profile": profile}, json=sent)
        assert messages(waiting.result()) == [profile]
