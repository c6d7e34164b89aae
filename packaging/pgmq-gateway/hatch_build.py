"""Completes the metadata of pgmq-gateway from that of pgmq-gateway-server, so that both have one version."""

import tomllib
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

SAME = ("version", "description", "requires-python", "license", "keywords")


class SameAsServer(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        repository = Path(self.root).parents[1]
        server = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
        metadata |= {name: server[name] for name in SAME}
        metadata["dependencies"] = [f"{server['name']}[dashboard,embedded]=={server['version']}"]
        metadata["readme"] = {"content-type": "text/markdown", "text": (repository / server["readme"]).read_text()}
