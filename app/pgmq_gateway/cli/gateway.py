"""The commands that serve: `serve` and `dashboard`."""

from asyncio import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from pgmq_gateway.auth.keyset import own_keys
from pgmq_gateway.cli.manual import Commands
from pgmq_gateway.cli.options import Config, ServedDataDir
from pgmq_gateway.cli.options import port as a_port
from pgmq_gateway.cli.ports import bind_option
from pgmq_gateway.cli.ready import ready_url
from pgmq_gateway.cli.serve import LOOPBACK, Launch
from pgmq_gateway.cli.terminal import run
from pgmq_gateway.http.sockets import url
from pgmq_gateway.observe.output import STDOUT
from pgmq_gateway.process.dashboard import require_installed as require_dashboard
from pgmq_gateway.process.signals import StopSignals
from pgmq_gateway.process.worker_count import MAX_WORKERS
from pgmq_gateway.settings.dump import dump

DASHBOARD_PORT = 3002


def serve_command(
    db_uri: Annotated[
        str | None,
        typer.Option(
            "--db-uri",
            metavar="URI",
            help="URI of the database, with the login role. Prefer PGRST_DB_URI: ps shows options.",
        ),
    ] = None,
    data_dir: ServedDataDir = None,
    config: Config = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="HOST", help="Address to listen on. Default: 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", parser=a_port, help="Port of the API; 0: any free port. Default: 3000."),
    ] = None,
    admin_port: Annotated[
        int | None,
        typer.Option(metavar="PORT", parser=a_port, help="Admin port: /live, /ready and /metrics. Default: 3001."),
    ] = None,
    workers: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="Worker processes. They share the port and divide the connection pool. auto: one for each processor, "
            "or half as many with the embedded database.",
        ),
    ] = "1",
    dashboard_port: Annotated[
        int,
        typer.Option(
            metavar="PORT",
            parser=a_port,
            envvar="PGMQ_GATEWAY_DASHBOARD_PORT",
            show_envvar=False,
            help="Port of the dashboard on 127.0.0.1; 0: any free port.",
        ),
    ] = DASHBOARD_PORT,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Do not start the dashboard.")] = False,
    reuse_port: Annotated[
        bool,
        typer.Option(
            "--reuse-port", help="Allow another gateway on the same ports, to restart without losing a request."
        ),
    ] = False,
    dump_config: Annotated[
        bool,
        typer.Option("--dump-config", help="Print the settings as a configuration file, secrets masked, and exit."),
    ] = False,
    ready: Annotated[
        bool,
        typer.Option("--ready", help="Ask a running gateway with these settings whether it is ready, and exit."),
    ] = False,
) -> None:
    """Serve queues over HTTP.

    From the embedded database, or from the one given by --db-uri or PGRST_DB_URI.
    """
    if db_uri and data_dir:
        raise typer.BadParameter("--db-uri and --data-dir exclude each other: give only one")
    options = {
        "db_uri": db_uri,
        "server_host": host,
        "server_port": port,
        "admin_server_port": admin_port,
        "reuse_port": reuse_port or None,
    }
    stop_signals = StopSignals().install()
    launch = Launch(
        config, options, _number_of_workers(workers), None if no_dashboard else dashboard_port, data_dir, stop_signals
    )
    if ready:
        print(f"OK: {ready_url(launch.given())}")
        return
    if dump_config:
        settings = run(launch.settings())
        if settings.jwt_secret is not None:
            own_keys(settings)
        print(dump(settings))
        return
    # Cancelled by a signal before it served.
    with suppress(CancelledError):
        run(launch.serve())


def postgrest_command(config: Annotated[Path | None, typer.Argument(metavar="FILE")] = None) -> None:
    """Serve with PostgREST's command line: `serve --no-dashboard --config FILE`, for compose files that have it."""
    serve_command(config=config, no_dashboard=True)


def _number_of_workers(text: str) -> int | None:
    """None: chosen by `serve`. Raises BadParameter."""
    if text == "auto":
        return None
    if text.isdecimal() and 1 <= int(text) <= MAX_WORKERS:
        return int(text)
    raise typer.BadParameter(f"{text} is not a number from 1 to {MAX_WORKERS}, or auto", param_hint="--workers")


def dashboard_command(
    api: Annotated[str, typer.Option(metavar="URL", help="URL of the gateway.")] = "http://127.0.0.1:3000",
    public: Annotated[
        str | None, typer.Option(metavar="URL", help="URL of the gateway for its clients. Default: that of --api.")
    ] = None,
    admin: Annotated[
        str | None, typer.Option(metavar="URL", help="URL of the gateway's admin port, for the Health page.")
    ] = None,
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="Address to listen on.")] = LOOPBACK,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", parser=a_port, help="Port to listen on; 0: any free port.")
    ] = DASHBOARD_PORT,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another host name of the dashboard; can be repeated."),
    ] = None,
) -> None:
    """Serve the dashboard.

    Of a gateway that runs elsewhere, or without one. It has the permissions of the key that you sign in with.
    """
    for name, address in (("--api", api), ("--public", public), ("--admin", admin)):
        if address is not None and urlsplit(address).scheme not in ("http", "https"):
            raise typer.BadParameter(f"{address} is not a URL: write http://HOST:PORT", param_hint=name)
    require_dashboard()
    bound = bind_option(host, port, "--port")
    # Imported here because the import is slow and only this command needs it.
    from pgmq_gateway.dashboard.web.server import Options, serve

    options = Options(api, public or "", admin, (host, *(allow_host or ())))
    run(serve(options, bound, lambda: STDOUT.write(f"the dashboard of {api} is on {url(bound)}")))


COMMANDS: Commands = {"serve": serve_command, "dashboard": dashboard_command}
