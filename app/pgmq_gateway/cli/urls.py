"""URLs of the gateway for its clients and health checks."""

from pgmq_gateway.http.request import PREFIX
from pgmq_gateway.http.sockets import ALL_HOSTS, url_of
from pgmq_gateway.settings.model import Settings


def public_url(settings: Settings) -> str | None:
    """The URL that clients append /rest/v1 to, from openapi-server-proxy-uri; None: not configured."""
    uri = settings.openapi_server_proxy_uri
    return uri and uri.rstrip("/").removesuffix(PREFIX)


def local_url(settings: Settings) -> str:
    """The URL of the gateway with these settings for clients on its machine."""
    host = "localhost" if settings.server_host in ALL_HOSTS else settings.server_host
    return url_of(host, settings.server_port)
