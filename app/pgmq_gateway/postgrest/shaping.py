"""What becomes of the rows that a function returns, as a tree: columns, conditions, order, and how many."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One step into JSON: to a member or an element, as JSON or, at the end, as text."""

    key: str | int
    as_text: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or a place inside a column that holds JSON."""

    name: str
    path: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Selected:
    """A field of the result; `field` None stands for all columns."""

    field: Field | None
    alias: str | None = None
    cast: str | None = None
    aggregate: str | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """Another resource that is asked for along with the rows; `hint` says which of several relations is meant."""

    name: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. `quantifier` any or all: `values` is compared to each; `operator` in: to any of the values."""

    field: Field
    operator: str
    values: tuple[str, ...]
    negated: bool = False
    quantifier: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions of which all (`and`) or one (`or`) must hold."""

    conjunction: str
    members: "tuple[Condition | Group, ...]"
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Ordering:
    """A field to sort by; None where the database's own default holds."""

    field: Field
    descending: bool | None = None
    nulls_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Shaping:
    """What becomes of the rows that a function returns.

    embedded  other resources that `select` asks for
    aimed     names of embedded resources that filters, order, limit and offset are meant for
    """

    select: tuple[Selected, ...] = (Selected(None),)
    conditions: "tuple[Condition | Group, ...]" = ()
    order: tuple[Ordering, ...] = ()
    limit: int | None = None
    offset: int = 0
    embedded: tuple[Embedded, ...] = ()
    aimed: tuple[str, ...] = ()
