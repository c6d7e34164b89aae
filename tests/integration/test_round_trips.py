"""A request costs one round trip to Postgres: seen on the wire between gateway and server."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from app.cluster import SOCKET_NAME, socket_folder, socket_uri
from app.datadir import DataDirectory
from tests.server import Server

Bearer = Callable[..., dict[str, str]]


class Wire:
    """A relay between gateway and Postgres that notes the kinds of messages which the gateway sends."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.kinds = bytearray()
        self._folder, self._target = folder, target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._relay, self._folder / SOCKET_NAME)

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _relay(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, forth = await asyncio.open_unix_connection(self._target / SOCKET_NAME)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._answers(server, back))
                both.create_task(self._questions(client, forth))
        except* (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for writer in (back, forth):
                writer.close()

    async def _answers(self, server: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while chunk := await server.read(65536):
            back.write(chunk)
            await back.drain()
        raise ConnectionError

    async def _questions(self, client: asyncio.StreamReader, forth: asyncio.StreamWriter) -> None:
        # The first message has a length but no kind.
        length = await client.readexactly(4)
        forth.write(length + await client.readexactly(int.from_bytes(length) - 4))
        while True:
            kind, length = await client.readexactly(1), await client.readexactly(4)
            self.kinds += kind
            forth.write(kind + length + await client.readexactly(int.from_bytes(length) - 4))


@pytest.fixture
def wire(folder: Path, directory: DataDirectory) -> Iterator[Wire]:
    """A relay to the running server's Postgres, on a socket of its own."""
    place = folder / "wire"
    place.mkdir()
    relay = Wire(place, socket_folder(directory))
    relay.start()
    yield relay
    relay.stop()
    (place / SOCKET_NAME).unlink(missing_ok=True)
    place.rmdir()


def test_a_request_is_one_round_trip(
    wire: Wire, folder: Path, database: str, directory: DataDirectory, serve: Callable[..., Server], bearer: Bearer
) -> None:
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as owner:
        owner.execute("select pgmq_admin.create_queue('kept')")
    uri = f"postgresql://authenticator@/{database}?host={folder / 'wire'}&sslmode=disable"
    gateway = serve(database, PGRST_DB_URI=uri, PGRST_DB_POOL="1")
    headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}
    with httpx.Client(base_url=gateway.url, headers=headers) as client:
        message = {"queue_name": "kept", "message": {"n": 1}}
        # The first request connects, and has the statement prepared.
        assert client.post("/rpc/send", json=message).text == "[1]"
        wire.kinds.clear()
        for number in range(2, 12):
            assert client.post("/rpc/send", json=message).text == f"[{number}]"
        assert client.post("/rpc/send", json={**message, "queue_name": "nope"}).status_code == 404
        assert client.post("/rpc/read", json={"queue_name": "kept", "sleep_seconds": 0, "n": 20}).status_code == 200
    # Bind, Execute and Sync, sent together, and nothing before or after: 12 requests, 12 answers to wait for.
    assert bytes(wire.kinds) == b"BES" * 12
