"""The shaping of a result as a tree: select, filters, order, limit and offset."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One arrow of a JSON path: `->` to a member or element as JSON, or `->>` as text."""

    key: str | int
    as_text: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or a JSON path inside it."""

    name: str
    path: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Selected:
    """An item of `select`; `field` is None for `*`."""

    field: Field | None
    alias: str | None = None
    cast: str | None = None
    aggregate: str | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """An embedded resource in `select`; `hint` names one of several relationships."""

    name: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter.

    values      one value, or the list of the operator `in`
    quantifier  any or all: the value is an array literal, and the field is compared with its elements
    language    the configuration of a full-text search
    """

    field: Field
    operator: str
    values: tuple[str, ...]
    negated: bool = False
    quantifier: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Filters joined by `and` or `or`."""

    conjunction: str
    members: "tuple[Condition | Group, ...]"
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Ordering:
    """A sort key; None for Postgres' default."""

    field: Field
    descending: bool | None = None
    nulls_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Shaping:
    """The shaping of a result.

    embedded           resources that `select` embeds
    embedded_targets   names of embedded resources that filters, order, limit and offset refer to
    """

    select: tuple[Selected, ...] = (Selected(None),)
    conditions: "tuple[Condition | Group, ...]" = ()
    order: tuple[Ordering, ...] = ()
    limit: int | None = None
    offset: int = 0
    embedded: tuple[Embedded, ...] = ()
    embedded_targets: tuple[str, ...] = ()
