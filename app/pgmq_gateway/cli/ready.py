"""`pgmq-gateway serve --ready`: the health check of a container that has no curl."""

from http.client import HTTPConnection, HTTPException

from pgmq_gateway.http.sockets import ServeError, reachable_host, url_of
from pgmq_gateway.settings.model import Settings

TIMEOUT_SECONDS = 5


def ready_url(settings: Settings) -> str:
    """The URL at which the gateway with these settings said that it is ready. Raises ServeError."""
    host, port = reachable_host(settings.admin_server_host or settings.server_host), settings.admin_server_port
    if port == 0:
        raise ServeError("--ready needs the admin port of the running gateway: set PGRST_ADMIN_SERVER_PORT")
    url = f"{url_of(host, port)}/ready"
    # Not urllib.request, which would use a proxy.
    connection = HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/ready")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise ServeError(f"no gateway responds at {url}: {error}") from None
    finally:
        connection.close()
    if status != 200:
        raise ServeError(f"the gateway is not ready: {url} responds with {status}")
    return url
