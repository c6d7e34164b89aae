"""The command `openapi`."""

import json
from typing import Annotated

import typer

from pgmq_gateway.cli.manual import Commands
from pgmq_gateway.cli.options import DataDir, OwnerUri
from pgmq_gateway.cli.terminal import progress, run
from pgmq_gateway.distribution import release
from pgmq_gateway.embedded.datadir import DEFAULT_NAME, DataDirectory
from pgmq_gateway.install.owner import owner, require_installed
from pgmq_gateway.schemas import LEASES, MANAGEMENT, QUEUES

DESCRIBED = (QUEUES, LEASES, MANAGEMENT)


def _schema(text: str) -> str:
    if text not in DESCRIBED:
        raise typer.BadParameter(f"{text} is not one of {', '.join(DESCRIBED)}")
    return text


def openapi_command(
    schema: Annotated[
        str,
        typer.Option(
            "--schema",
            help=f"{QUEUES}: using queues. {LEASES}: with leases. {MANAGEMENT}: managing them.",
            metavar="SCHEMA",
            parser=_schema,
        ),
    ] = QUEUES,
    db_uri: OwnerUri = None,
    data_dir: DataDir = None,
) -> None:
    """Print the API as OpenAPI 3.1.

    A YAML document of the functions of a schema that service_role can execute.
    """

    # Imported here because only this command needs them, and imports take most of a short command's time.
    from pgmq_gateway import openapi
    from pgmq_gateway.calls.call import EXECUTABLE
    from pgmq_gateway.calls.catalog import Function, load
    from pgmq_gateway.openapi.yaml import as_yaml

    executable = EXECUTABLE.format(schema="$1", role="'service_role'")

    async def read() -> list[Function]:
        with progress() as report:
            async with owner(db_uri, DataDirectory(data_dir or DEFAULT_NAME), "openapi", report) as connection:
                await require_installed(connection, embedded=db_uri is None, progress=report)
                rows = [await connection.fetchrow(executable, described) for described in schemas]
                oids = {oid for row in rows if row for oid in json.loads(row["body"])}
                return [function for function in await load(connection, schemas) if function.oid in oids]

    # The resources of a document are those of pgmq_api.
    schemas = (schema, LEASES) if schema == QUEUES else (schema,)
    described = openapi.document(run(read()), release(), ("public", *schemas))
    print(as_yaml(described), end="")


COMMANDS: Commands = {"openapi": openapi_command}
