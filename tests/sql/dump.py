"""A dump of the schemas that the installer creates."""

import re
import subprocess

from pgmq_gateway.embedded.cluster import binary

SCHEMAS = ("pgmq_admin", "pgmq_api", "pgmq_gateway", "pgmq_public", "pgmq_settings")
# Comments and settings of the dump itself, which differ between releases of pg_dump, start a line; those inside
# functions are indented.
NOISE = re.compile(r"^(?:--.*|SET .*;|SELECT pg_catalog\.set_config\(.*|\\(?:un)?restrict .*)\n", re.MULTILINE)


def dump(uri: str) -> str:
    """The schemas as SQL, without lines that depend on the release of pg_dump."""
    chosen = [f"--schema={schema}" for schema in SCHEMAS]
    command = [str(binary("pg_dump")), "--schema-only", "--no-owner", *chosen, uri]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.sub(r"\n{3,}", "\n\n", NOISE.sub("", text)).strip() + "\n"
