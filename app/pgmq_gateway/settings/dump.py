"""Settings as a configuration file, secrets masked."""

import re
from typing import Any

from pydantic import SecretStr

from pgmq_gateway.settings.configfile import assignment
from pgmq_gateway.settings.model import EMPTY_ALLOWED, FIELDS, MASK, Settings

_EMBEDDED = "# The embedded database is used; a secret and keys that are empty here come from its data directory."

# Up to the last @, because a password may contain an unescaped one.
_USERINFO = re.compile(r"(://[^:@/?]*:).*(@)", re.DOTALL)
_IN_QUERY = re.compile(r"((?:^|[?&])[^=&]*password=)[^&]*", re.IGNORECASE)
_IN_WORDS = re.compile(r"(password\s*=\s*)(?:'(?:\\.|[^'\\])*'?|(?:\\.|\S)*)", re.IGNORECASE | re.DOTALL)


def dump(settings: Settings) -> str:
    """Lines of a configuration file, sorted by name."""
    lines = [assignment(name, _shown(field, getattr(settings, field))) for name, field in FIELDS.items()]
    lines += [assignment(name, MASK if value else "") for name, value in settings.app_settings]
    comment = [] if settings.db_uri else [_EMBEDDED]
    return "\n".join([*comment, *sorted(lines)])


def _shown(field: str, value: Any) -> str | float:  # noqa: ANN401 a field's
    """A field's value as an operator would write it, masked if it is secret."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return masked(value.get_secret_value()) if field == "db_uri" else MASK
    if field == "secret_keys":
        value = tuple(f"{pair.partition('=')[0]}={MASK}" for pair in value)
    if isinstance(value, tuple):
        default = Settings.model_fields[field].default
        # An empty value would select the default.
        return ",".join(value) or ("," if default and field not in EMPTY_ALLOWED else "")
    assert isinstance(value, str | int | float)
    return value


def masked(uri: str) -> str:
    """A connection string, as a URI or in keyword form, with masked passwords."""
    if "://" in uri:
        return _IN_QUERY.sub(rf"\1{MASK}", _USERINFO.sub(rf"\1{MASK}\2", uri))
    return _IN_WORDS.sub(rf"\1{MASK}", uri) if "=" in uri else MASK
