"""Writes documents in YAML."""

import yaml

from pgmq_gateway.openapi.schemas import Schema


def as_yaml(described: Schema) -> str:
    """The document in YAML, in the order of its members and without anchors."""
    return yaml.dump(described, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 no value has an alias
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Plain.add_representer(str, _Plain.represent_str)
