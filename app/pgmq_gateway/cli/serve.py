"""Starts what `serve` needs: settings, sockets, the embedded database and the dashboard."""

import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from pgmq_gateway.auth import signing
from pgmq_gateway.auth.keyset import own_keys
from pgmq_gateway.auth.signing import Signer
from pgmq_gateway.cli import banner
from pgmq_gateway.cli.ports import bind_option
from pgmq_gateway.cli.terminal import progress
from pgmq_gateway.cli.urls import public_url
from pgmq_gateway.distribution import MissingExtraError
from pgmq_gateway.embedded.cluster import installation
from pgmq_gateway.embedded.datadir import DEFAULT_NAME, DataDirectory
from pgmq_gateway.embedded.server import EmbeddedPostgres
from pgmq_gateway.http.hosts import Hosts
from pgmq_gateway.http.sockets import Addresses, ServeError, overlap, passed, url
from pgmq_gateway.install.installer import install
from pgmq_gateway.install.owner import owner
from pgmq_gateway.observe import logs
from pgmq_gateway.observe.output import STDOUT
from pgmq_gateway.process.dashboard import Dashboard, require_installed
from pgmq_gateway.process.signals import StopSignals
from pgmq_gateway.process.systemd import Manager
from pgmq_gateway.process.worker_count import WorkerCount, automatic, usable_processors
from pgmq_gateway.settings.model import Settings, load_settings, without_effect

LOOPBACK = "127.0.0.1"
API_PORT, ADMIN_PORT = "PGRST_SERVER_PORT", "PGRST_ADMIN_SERVER_PORT"

logger = logging.getLogger("pgmq_gateway")


@dataclass(frozen=True)
class Launch:
    """The options of `serve`.

    config     the configuration file
    options    settings given as options; None: not given
    workers    worker processes; None: chosen by the processors
    dashboard  the dashboard's port; None: no dashboard
    data_dir   the folder of the embedded database
    stop_signals  already installed
    """

    config: Path | None
    options: Mapping[str, object]
    workers: int | None
    dashboard: int | None
    data_dir: Path | None
    stop_signals: StopSignals

    async def settings(
        self, complete: Callable[[Settings], Settings] = lambda settings: settings, *, all_sources: bool = False
    ) -> Settings:
        """Read the settings from options, files, the environment and the database. Raises SettingsError.

        complete     fills in what they do not have
        all_sources  an unreachable database is an error. Otherwise its settings are left out, which is safe at the
                     start: a gateway does not serve before its database has the settings that it was made with
        """
        # Imported here because the import is slow and other commands do not need it.
        from pgmq_gateway.process.preflight import UnreadableSettings, settings_in_database

        settings = complete(self.given())
        logs.configure(settings.log_level, settings.log_format)
        try:
            found = await settings_in_database(settings)
        except UnreadableSettings:
            if all_sources:
                raise
            found = ()
        # The URI of the embedded database is not known in the first call.
        if settings.db_uri is not None and (names := without_effect(self.config, found)):
            logger.warning("these settings of PostgREST have no effect: %s", ", ".join(names))
        return complete(self.given(found)) if found else settings

    def given(self, in_database: tuple[tuple[str, str], ...] = ()) -> Settings:
        """The settings of options, files and the environment, with those found in the database."""
        settings = load_settings(self.config, in_database, **self.options)
        return settings if self.data_dir is None else settings.model_copy(update={"db_uri": None})

    async def serve(self) -> None:
        """Serve until a stop signal. Raises CancelledError if it arrives before."""
        manager = Manager.of(os.environ)
        with self.stop_signals.cancelling():
            settings = await self.settings()
            if settings.db_uri is not None:
                await self._on_database(settings, manager)
            else:
                await self._on_embedded(settings, manager, DataDirectory(self.data_dir or DEFAULT_NAME))

    async def _on_database(self, settings: Settings, manager: Manager) -> None:
        # First: wrong keys are reported before anything is bound.
        own_keys(settings)
        addresses = _addresses(settings)
        dashboard = self._dashboard(settings, addresses)
        workers = self._workers(settings, embedded=False)

        def ready() -> None:
            if dashboard:
                dashboard.ready()
            page = dashboard.url if dashboard else None
            api, admin = url(addresses.api), url(addresses.admin)
            STDOUT.write(banner.external(api, public_url(settings), admin, page, workers))

        async with dashboard.running() if dashboard else nullcontext():
            await self._run(
                settings, addresses, manager, ready, partial(self.settings, all_sources=True), workers.number
            )

    async def _on_embedded(self, settings: Settings, manager: Manager, directory: DataDirectory) -> None:
        # Before the folder is made.
        installation()
        with directory.hold("serve") as hold:
            addresses = _addresses(settings)
            served = with_keys(with_secret(settings, directory))
            dashboard = self._dashboard(served, addresses, directory.dashboard)
            # Wrong keys are reported before anything is started.
            Signer.of(served)
            postgres = await _started(directory)
            workers = self._workers(settings, embedded=True)

            def complete(settings: Settings) -> Settings:
                login = SecretStr(postgres.uri("authenticator"))
                return with_keys(with_secret(settings, directory)).model_copy(update={"db_uri": login})

            def ready() -> None:
                hold.announce(url(addresses.api), dashboard.url if dashboard else None)
                key = signing.api_key(Signer.of(settings), "service_role")
                link = sign_in_link(directory, dashboard.url, key) if dashboard else None
                if dashboard:
                    dashboard.ready()
                api, admin = public_url(settings) or url(addresses.api), url(addresses.admin)
                STDOUT.write(banner.embedded(api, admin, directory, link, workers))

            try:
                settings = await self.settings(complete)
                async with dashboard.running() if dashboard else nullcontext():
                    await self._run(
                        settings,
                        addresses,
                        manager,
                        ready,
                        partial(self.settings, complete, all_sources=True),
                        workers.number,
                        postgres.watch,
                    )
            finally:
                await postgres.stop()

    async def _run(
        self,
        settings: Settings,
        addresses: Addresses,
        manager: Manager,
        ready: Callable[[], None],
        reread: Callable[[], Awaitable[Settings]],
        workers: int,
        *others: Callable[[], Awaitable[None]],
    ) -> None:
        # Imported here because the import is slow and other commands do not need it.
        from pgmq_gateway.process.lifecycle import Lifecycle
        from pgmq_gateway.process.preflight import preflight
        from pgmq_gateway.process.reload import Reloading
        from pgmq_gateway.process.serve import serve
        from pgmq_gateway.process.supervisor import serve_many

        await preflight(settings)
        status = f"Serving {url(addresses.api)}"

        def announced() -> None:
            ready()
            manager.ready(status)

        reloading = Reloading(settings, reread, manager, status)
        run = serve if workers == 1 else partial(serve_many, workers)
        with reloading.on_signals():
            lifecycle = Lifecycle(
                addresses,
                manager,
                self.stop_signals,
                announced,
                reloading.run,
                reloading.outdated,
                [other() for other in others],
                admin_hosts(settings),
            )
            await run(settings, lifecycle)

    def _workers(self, settings: Settings, *, embedded: bool) -> WorkerCount:
        if self.workers is not None:
            return WorkerCount(self.workers)
        return automatic(settings, usable_processors(), embedded=embedded)

    def _dashboard(self, settings: Settings, addresses: Addresses, kept: Path | None = None) -> Dashboard | None:
        """The dashboard, not yet started, on a bound socket. Without its extra a warning, and None."""
        if self.dashboard is None:
            return None
        try:
            require_installed()
        except MissingExtraError as error:
            logger.warning("%s, or leave it out with --no-dashboard", error)
            return None
        bound = bind_option(LOOPBACK, self.dashboard, "--dashboard-port", instead=" or --no-dashboard")
        for name, other in ((API_PORT, addresses.api), (ADMIN_PORT, addresses.admin)):
            if overlap(bound, other):
                raise ServeError(
                    f"PGMQ_GATEWAY_DASHBOARD_PORT and {name} are both {self.dashboard}: "
                    "give another --dashboard-port, or --no-dashboard"
                )
        log = (settings.log_level, settings.log_format)
        key = next(iter(settings.publishable_keys), "")
        return Dashboard(bound, url(addresses.api), public_url(settings), url(addresses.admin), log, kept, key)


async def _started(directory: DataDirectory) -> EmbeddedPostgres:
    """The embedded database, started and installed."""
    with progress() as report:
        postgres = EmbeddedPostgres(directory, report)
        await postgres.start()
        try:
            async with owner(postgres.uri(), directory, "serve", report) as connection:
                await install(connection, progress=report)
        except BaseException:
            await postgres.stop()
            raise
    return postgres


def _addresses(settings: Settings) -> Addresses:
    """The sockets of the API and of the admin port, bound early or passed by systemd."""
    found = passed(os.environ)
    shared, admin_host = settings.reuse_port, settings.admin_server_host or settings.server_host
    api = found[0] if found else bind_option(settings.server_host, settings.server_port, "--port", shared=shared)
    admin = (
        found[1]
        if len(found) > 1
        else bind_option(admin_host, settings.admin_server_port, "--admin-port", shared=shared)
    )
    return Addresses(api, admin)


def sign_in_link(directory: DataDirectory, dashboard: str, key: str) -> str:
    """A URL that signs in to the dashboard of an embedded database, once, within an hour. Raises ServeError."""
    # Imported here because the import is slow and other commands do not need it.
    from pgmq_gateway.dashboard.kept import Links

    try:
        return f"{dashboard}/sign-in?code={Links(directory.dashboard).make(key)}"
    except OSError as error:
        raise ServeError(f"cannot make a sign-in link: {directory.dashboard}: {error.strerror}") from None


def admin_hosts(settings: Settings) -> Hosts:
    """The hosts that the admin port answers to. An address is no danger, and probes of containers use one."""
    return Hosts((settings.admin_server_host or settings.server_host, *settings.admin_hosts), addresses=True)


def with_secret(settings: Settings, directory: DataDirectory) -> Settings:
    """The settings with the secret of the data directory, unless they have one."""
    if settings.jwt_secret is not None:
        return settings
    return settings.model_copy(update={"jwt_secret": SecretStr(directory.secrets().jwt_secret)})


def with_keys(settings: Settings) -> Settings:
    """The settings with keys derived from the secret, unless they have keys."""
    if settings.publishable_keys or settings.secret_keys:
        return settings
    publishable, secret = signing.derived_keys(settings)
    return settings.model_copy(update={"publishable_keys": publishable, "secret_keys": secret})
