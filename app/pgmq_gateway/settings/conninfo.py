"""Parses libpq's connection strings: URIs, lists of keywords and values, and services.

Messages of errors name parameters, never values.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

_URI = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?(?P<hosts>[^/?@]*)"
    r"(?:/(?P<dbname>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST = re.compile(r"(?P<host>\[[^\]]+\]|[^:]*)(?::(?P<port>.*))?")
_KEYWORD = re.compile(
    r"\s*(?P<name>\w+)\s*=\s*(?:'(?P<quoted>(?:\\.|[^'\\])*)'|(?!')(?P<plain>(?:\\.|[^\s\\])*))", re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parameters(text: str) -> Mapping[str, str]:
    """The parameters of a connection string by libpq's names, without empty ones. Raises ValueError.

    `host` and `port` are lists, separated by commas.
    """
    found = dict(_of_uri(text) if text.startswith(("postgres://", "postgresql://")) else _of_keywords(text))
    if "\0" in "".join(found.values()):
        raise ValueError("a value contains a zero byte")
    if service := found.pop("service", ""):
        found = {**dict(_of_service(service)), **{name: value for name, value in found.items() if value}}
    return {name: value for name, value in found.items() if value}


def _of_uri(text: str) -> Iterator[tuple[str, str]]:
    parts = _URI.fullmatch(text)
    if parts is None:
        raise ValueError("not a connection URI: percent-encode / and @ in the user name and the password")
    hosts = [host for host in map(_HOST.fullmatch, parts["hosts"].split(",")) if host]
    yield "host", ",".join(unquote(host["host"].strip("[]")) for host in hosts)
    ports = [host["port"] or "" for host in hosts]
    yield "port", unquote(",".join(ports)) if any(ports) else ""
    for name in ("user", "password", "dbname"):
        yield name, unquote(parts[name] or "")
    for pair in filter(None, (parts["query"] or "").split("&")):
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError("a parameter has no value: write name=value, separated by &")
        yield unquote(name), unquote(value)


def _of_keywords(text: str) -> Iterator[tuple[str, str]]:
    position, end = 0, len(text.rstrip())
    while position < end:
        found = _KEYWORD.match(text, position)
        if found is None or not (found.end() >= end or text[found.end()].isspace()):
            raise ValueError(
                "not a connection string: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE or host=HOST user=USER …"
            )
        value = found["quoted"] if found["quoted"] is not None else found["plain"]
        yield found["name"], _ESCAPED.sub(r"\1", value)
        position = found.end()


def _of_service(name: str) -> Iterator[tuple[str, str]]:
    """The parameters of a service in the first file that has it."""
    files = _service_files()
    for file in files:
        lines = _lines_of(file, name)
        if lines is not None:
            for line in lines:
                keyword, equals, value = line.partition("=")
                if not equals or keyword == "service":
                    raise ValueError(f"the service {name} in {file} has a line that is not NAME=VALUE")
                yield keyword, value
            return
    raise ValueError(f"there is no service {name} in {' or '.join(map(str, files))}")


def _service_files() -> list[Path]:
    """Those of the user and of the system, as in libpq."""
    own = os.environ.get("PGSERVICEFILE")
    system = os.environ.get("PGSYSCONFDIR")
    return [
        Path(own) if own else Path("~/.pg_service.conf").expanduser(),
        *([Path(system) / "pg_service.conf"] if system else []),
    ]


def _lines_of(file: Path, service: str) -> list[str] | None:
    """The lines of a service's section, without comments; None if there is no such section."""
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"cannot read {file}") from None
    if f"[{service}]" not in lines:
        return None
    section = []
    for line in lines[lines.index(f"[{service}]") + 1 :]:
        if line.startswith("["):
            break
        if line and not line.startswith("#"):
            section.append(line)
    return section
