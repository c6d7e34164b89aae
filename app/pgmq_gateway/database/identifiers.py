"""Identifiers in the text of SQL statements."""


def quote(identifier: str) -> str:
    """A quoted SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def call_of(name: str) -> str:
    """A call without arguments of the function that a setting names, with or without its schema."""
    return f"select {'.'.join(quote(part) for part in name.split('.', 1))}()"
