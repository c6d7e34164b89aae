"""The banner of `serve`: the dashboard's link, addresses, and commands to paste."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from pgmq_gateway.embedded.datadir import DEFAULT_NAME, DataDirectory
from pgmq_gateway.http.request import PREFIX
from pgmq_gateway.process.worker_count import WorkerCount

QUEUE = "hello"
# Of a terminal: lines that are longer are broken after the folder.
COLUMNS = 80


def embedded(
    api_url: str, admin_url: str, directory: DataDirectory, dashboard: str | None, workers: WorkerCount
) -> str:
    """The banner of a gateway on its embedded database.

    dashboard  a link that signs in once
    """
    link = (
        f"→ Dashboard  {dashboard}\n             (the link signs you in, once, within an hour)\n" if dashboard else ""
    )
    chosen = f"  Workers    {workers}\n" if workers.reason else ""
    messages = f"$SUPABASE_URL{PREFIX}/queues/{QUEUE}/messages"
    return f"""
pgmq-gateway is ready.

{link}\
  API        {api_url}
  Health     {admin_url}/ready
  Data       {directory.path}
{chosen}
Create a queue, send, read and look (in another terminal):

  {_evaluation(directory)}
  pgmq-gateway queue create {QUEUE}
  pgmq-gateway send {QUEUE} '{{"hello":"world"}}'
  curl {messages} \\
    -H "apikey: $SUPABASE_SECRET_KEY" -w '\\n'
  pgmq-gateway peek {QUEUE}

Ctrl-C stops it; the data stays.
"""


def external(api_url: str, public_url: str | None, admin_url: str, dashboard: str | None, workers: WorkerCount) -> str:
    """The banner of a gateway on another database. Without keys: service managers log stdout."""
    served = f"{public_url} on {api_url}" if public_url else api_url
    page = f", dashboard: {dashboard}" if dashboard else ""
    chosen = f", workers: {workers}" if workers.reason else ""
    return f"pgmq-gateway serves {served} (health: {admin_url}/ready{page}){chosen}"


def _evaluation(directory: DataDirectory) -> str:
    """The line that sets URL, keys and database in a shell of any folder."""
    folder = directory.path.parent
    option = "" if directory.path.name == DEFAULT_NAME else f" --data-dir {shlex.quote(directory.path.name)}"
    parts = (f'eval "$(cd {_from_home(folder)} &&', f'{_program(folder)} keys{option})"')
    line = " ".join(parts)
    return line if len(line) + 2 <= COLUMNS else " \\\n    ".join(parts)


def _program(folder: Path) -> str:
    """This program for a shell in `folder`: its name if the shell finds it, or else its path."""
    program = Path(os.path.abspath(sys.argv[0]))
    on_path = shutil.which(program.name)
    if on_path is not None and os.path.samefile(on_path, program):
        return program.name
    return shlex.quote(str(program.relative_to(folder))) if program.is_relative_to(folder) else _from_home(program)


def _from_home(path: Path) -> str:
    home = Path.home()
    if path != home and path.is_relative_to(home) and len(home.parts) > 1:
        return f"~/{shlex.quote(str(path.relative_to(home)))}"
    return shlex.quote(str(path))
