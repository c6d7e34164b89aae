"""The committed OpenAPI documents, and the Markdown of their operations."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from website.reference.markdown import block, code, json_block, sentence, table

REPOSITORY = Path(__file__).parents[2]
PATHS = {"pgmq_public": "openapi.yaml", "pgmq_api": "docs/openapi-api.yaml", "pgmq_admin": "docs/openapi-admin.yaml"}

Schema = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """An operation with the document that defines its references."""

    method: str
    path: str
    members: dict[str, Any]
    document: dict[str, Any]

    def resolved(self, node: Schema) -> Schema:
        """A node, or that which it refers to."""
        found = node
        while reference := found.get("$ref"):
            found = self.document
            for name in reference.removeprefix("#/").split("/"):
                found = found[name]
        return found

    @property
    def body(self) -> Schema:
        """The schema of the body's JSON; empty without one."""
        schema: Schema = self._body.get("schema", {})
        return schema

    @property
    def parameters(self) -> list[Schema]:
        """The operation's own parameters, without the headers and the shaping that all functions have."""
        found = [one for one in self.members.get("parameters", []) if one.get("in") in ("path", "query")]
        return [one for one in found if one["name"] not in ("select", "order")]

    @property
    def success(self) -> tuple[str, Schema]:
        """The first successful response and its status."""
        status = min(self.members["responses"])
        return status, self.resolved(self.members["responses"][status])

    @property
    def errors(self) -> list[str]:
        """The statuses of error responses."""
        return [status for status in self.members["responses"] if status >= "4"]

    def described(self) -> Iterator[str]:
        """Paragraphs: description, request with arguments, example, response, errors."""
        yield sentence(self.members["description"])
        yield table(["argument", "type", "meaning"], self._arguments())
        yield from self._example("Request", self._body)
        status, response = self.success
        content = response.get("content", {}).get("application/json", {})
        result = self.type_of(content["schema"]) if content else "none"
        yield f"Response: {status}, {result}."
        yield from self._example("", content)
        yield f"[Errors](errors.md): {', '.join(self.errors)}."

    def type_of(self, schema: Schema) -> str:
        """A type in words."""
        schema = self.resolved(schema)
        if choices := schema.get("anyOf") or schema.get("oneOf"):
            return " or ".join(dict.fromkeys(self.type_of(choice) for choice in choices))
        if "enum" in schema:
            return " or ".join(code(value) for value in schema["enum"])
        names = schema.get("type", "any JSON")
        name = " or ".join(names) if isinstance(names, list) else names
        if "array" in name and schema.get("items"):
            return f"array of {self.type_of(schema['items'])}" + (" or null" if "null" in name else "")
        if "object" in name and schema.get("properties"):
            return f"object with {', '.join(map(code, schema['properties']))}"
        return str(schema.get("format") if schema.get("format") in ("date-time", "uuid") else name)

    @property
    def _body(self) -> Schema:
        content: Schema = self.members.get("requestBody", {}).get("content", {}).get("application/json", {})
        return content

    def _arguments(self) -> Iterator[list[str]]:
        for one in self.parameters:
            yield [code(one["name"]), *self._meaning(one["schema"], one.get("required", False), one)]
        schema = self.resolved(self.body)
        for choice in schema.get("anyOf", [schema]):
            members = self.resolved(choice)
            for name, member in members.get("properties", {}).items():
                yield [code(name), *self._meaning(member, name in members.get("required", ()), member)]

    def _meaning(self, schema: Schema, required: bool, described: Schema) -> list[str]:
        resolved = self.resolved(schema)
        default = f"Default {code(resolved['default'])}." if "default" in resolved else ""
        text = described.get("description") or resolved.get("description", "")
        return [self.type_of(schema), " ".join(filter(None, ["Required." if required else default, text]))]

    def _example(self, title: str, content: Schema) -> Iterator[str]:
        for example in list(content.get("examples", {}).values())[:1]:
            if title:
                yield f"{title}, {example['summary'][:1].lower()}{example['summary'][1:]}:"
            value = example["value"]
            yield json_block(value) if not isinstance(value, str) else block("text", value)


@cache
def document(schema: str) -> dict[str, Any]:
    """The document of an exposed schema."""
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / PATHS[schema]).read_text())
    return loaded


def operations(schema: str, prefix: str) -> list[Operation]:
    """The operations of a document at paths with this prefix."""
    found = document(schema)
    return [
        Operation(method.upper(), path, members, found)
        for path, methods in found["paths"].items()
        if path.startswith(prefix)
        for method, members in methods.items()
    ]
