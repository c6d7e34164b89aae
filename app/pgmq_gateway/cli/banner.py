"""The banner of `serve`: addresses, keys, and three commands to paste."""

import json
import shlex
import sys
from pathlib import Path

from pgmq_gateway.auth.signing import Signer, api_key
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.process.worker_count import WorkerCount
from pgmq_gateway.queue_functions import FUNCTIONS
from pgmq_gateway.schemas import QUEUES

QUEUE = "hello"


def embedded(
    api_url: str,
    admin_url: str,
    directory: DataDirectory,
    signer: Signer,
    dashboard: str | None,
    workers: WorkerCount,
) -> str:
    """The banner of a gateway on its embedded database.

    dashboard  a link that signs in once
    """
    key = api_key(signer, "service_role")
    create = f"{_program()} queue create {QUEUE} --data-dir {shlex.quote(str(directory.path))}"
    return f"""
pgmq-gateway is ready.

  API URL           {api_url}
  Health            {admin_url}/ready
  Data              {directory.path}
  anon key          {api_key(signer, "anon")}
  service_role key  {key}
{f"  Workers           {workers}{chr(10)}" if workers.reason else ""}\
{f"  Dashboard         {dashboard}{chr(10)}" if dashboard else ""}
Create a queue, send to it, read from it (in another terminal):

  {create}

  {_curl(api_url, key, "send")}

  {_curl(api_url, key, "read")}

Ctrl-C stops it; the data stays.
"""


def external(api_url: str, public_url: str | None, admin_url: str, dashboard: str | None, workers: WorkerCount) -> str:
    """The banner of a gateway on another database. Without keys: service managers log stdout."""
    served = f"{public_url} on {api_url}" if public_url else api_url
    page = f", dashboard: {dashboard}" if dashboard else ""
    chosen = f", workers: {workers}" if workers.reason else ""
    return f"pgmq-gateway serves {served} (health: {admin_url}/ready{page}){chosen}"


def _program() -> str:
    """The path of this program, for a shell in another folder."""
    return shlex.quote(str(Path(sys.argv[0]).resolve()))


def _curl(api_url: str, key: str, function: str) -> str:
    body = json.dumps({"queue_name": QUEUE, **FUNCTIONS[function].example})
    return (
        f"curl -sS {api_url}/rest/v1/rpc/{function} -H 'apikey: {key}' -H 'Content-Profile: {QUEUES}' "
        f"-H 'Content-Type: application/json' -d '{body}' -w '\\n'"
    )
