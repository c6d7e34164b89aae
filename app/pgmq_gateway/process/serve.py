"""Serves the API in this process."""

from pgmq_gateway.gateway import Application, Gateway
from pgmq_gateway.http.acceptor import Rank
from pgmq_gateway.http.memory import return_large_blocks
from pgmq_gateway.http.server import server_for
from pgmq_gateway.process.admin_port import AdminApp
from pgmq_gateway.process.lifecycle import Lifecycle
from pgmq_gateway.process.reload import Reload
from pgmq_gateway.settings.model import Settings


async def serve(settings: Settings, lifecycle: Lifecycle, rank: Rank | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight.

    rank  of the worker that this process is; None: it is the only one that listens
    """
    return_large_blocks()
    await lifecycle.run(OneProcess(settings, lifecycle, rank))


class OneProcess:
    """The API served by this process."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle, rank: Rank | None) -> None:
        self._socket = lifecycle.addresses.api
        self._application = application = Application(Gateway(settings, outdated=lifecycle.outdated))
        self._server = server_for(
            application,
            lifespan="on",
            bounds=lambda: application.gateway.bounds,
            traffic=application.gateway.api.traffic,
            memory=application.gateway.memory,
            handle=application.handle,
            rank=rank,
            closing=application.end_waits,
        )
        self.apply = Reload(application, self._server).apply
        self.admin = AdminApp(lambda: application.gateway, self._serving)

    async def run(self) -> None:
        await self._server.serve([self._socket])

    async def started(self) -> None:
        await self._server.listening.wait()

    @property
    def draining(self) -> bool:
        return self._server.should_exit

    def drain(self) -> None:
        self._server.should_exit = True

    def hurry(self) -> None:
        self._server.force_exit = True

    def reload_functions(self) -> None:
        self._application.gateway.watch.ask_reload()

    def _serving(self) -> bool:
        return self._server.started and not self.draining
