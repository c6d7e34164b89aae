"""A request costs one round trip to Postgres, counted on the wire."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import SOCKET_NAME, socket_folder, socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.proxy import Proxy
from tests.server import Server
from tests.waiting import until

Bearer = Callable[..., dict[str, str]]


# A type and a length, which includes itself.
HEAD = 5


class Kinds:
    """Records the types of the protocol messages that the gateway sends, in order."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self._rest: dict[int, bytes] = {}

    def note(self, connection: int, chunk: bytes) -> None:
        """Take the next bytes of a connection."""
        # The startup message has a length but no type: a blank stands for it.
        rest = self._rest.get(connection, b" ") + chunk
        while len(rest) >= HEAD and len(rest) > (length := int.from_bytes(rest[1:HEAD])):
            self.seen += rest[:1]
            rest = rest[1 + length :]
        self._rest[connection] = rest


@pytest.fixture
def kinds() -> Kinds:
    """The recorded types."""
    return Kinds()


@pytest.fixture
def wire(kinds: Kinds, folder: Path, directory: DataDirectory) -> Iterator[Path]:
    """The folder of a socket that relays to the server's Postgres through `kinds`."""
    place = folder / "wire"
    place.mkdir()
    with Proxy(socket_folder(directory) / SOCKET_NAME, place / SOCKET_NAME, kinds.note):
        yield place
    place.rmdir()


# Bind, Execute and Sync, sent together.
ROUND_TRIP = b"BES"


@pytest.fixture
def gateway(wire: Path, database: str, directory: DataDirectory, serve: Callable[..., Server]) -> Server:
    """A gateway with one recorded connection, and a queue. It greets no other gateway."""
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as owner:
        owner.execute("select pgmq_admin.create_queue('kept')")
    uri = f"postgresql://authenticator@/{database}?host={wire}&sslmode=disable"
    return serve(database, PGRST_DB_URI=uri, PGRST_DB_POOL="1", PGRST_DB_CHANNEL_ENABLED="false")


def test_a_request_is_one_round_trip(kinds: Kinds, gateway: Server, bearer: Bearer) -> None:
    headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}
    with httpx.Client(base_url=gateway.url, headers=headers) as client:
        message = {"queue_name": "kept", "message": {"n": 1}}
        # The first request connects and prepares the statement.
        assert client.post("/rpc/send", json=message).text == "[1]"
        kinds.seen.clear()
        for number in range(2, 12):
            assert client.post("/rpc/send", json=message).text == f"[{number}]"
        assert client.post("/rpc/send", json={**message, "queue_name": "nope"}).status_code == 404
        assert client.post("/rpc/read", json={"queue_name": "kept", "sleep_seconds": 0, "n": 20}).status_code == 200
    # 12 requests, 12 round trips. A query cleans the connection while it is
    # idle, if the next request takes longer to come.
    assert bytes(kinds.seen).replace(b"Q", b"") == ROUND_TRIP * 12


def test_requests_of_callers_in_turn_are_one_round_trip_each(kinds: Kinds, gateway: Server, bearer: Bearer) -> None:
    message = {"queue_name": "kept", "message": {"n": 1}}
    callers = [{"Content-Profile": "pgmq_public", **bearer("service_role", sub=name)} for name in ("ann", "bob")]
    with httpx.Client(base_url=gateway.url) as client:

        def queries() -> bytes:
            """The messages of the gateway for three requests."""
            kinds.seen.clear()
            for headers in (*callers, callers[0]):
                assert client.post("/rpc/send", json=message, headers=headers).status_code == 200
            return bytes(kinds.seen)

        # The queue is judged in the background. Until then, a query cleans the connection for the other caller.
        until(lambda: queries() == ROUND_TRIP * 3)


def test_calls_of_several_callers_that_wait_are_one_round_trip(kinds: Kinds, gateway: Server, bearer: Bearer) -> None:
    callers = [{"Content-Profile": "pgmq_public", **bearer("service_role", sub=str(n))} for n in range(12)]
    with httpx.Client(base_url=gateway.url) as client, ThreadPoolExecutor(len(callers)) as pool:

        def send(headers: dict[str, str]) -> int:
            message = {"queue_name": "kept", "message": {"n": 1}}
            return int(client.post("/rpc/send", json=message, headers=headers).json()[0])

        def round_trips() -> int:
            kinds.seen.clear()
            assert len(set(pool.map(send, callers))) == len(callers)
            return bytes(kinds.seen).count(ROUND_TRIP)

        # The queue is judged in the background, and how many calls wait depends on the machine.
        until(lambda: round_trips() < len(callers) / 2)
