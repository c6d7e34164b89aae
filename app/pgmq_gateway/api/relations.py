"""What a query string asks of relations between tables, which the results of functions do not have here."""

from pgmq_gateway.calls.catalog import Function
from pgmq_gateway.errors import AggregatesForbidden, NotEmbedded, UnknownRelation
from pgmq_gateway.postgrest.shaping import Shaping


def check_relations(function: Function, shaping: Shaping) -> None:
    """Refuse, in PostgREST's order and words, filters on and embedding of other resources, and aggregates.

    Raises NotEmbedded, UnknownRelation or AggregatesForbidden.
    """
    embedded = {other.name for other in shaping.embedded}
    for name in shaping.aimed:
        if name not in embedded:
            raise NotEmbedded(name)
    for other in shaping.embedded:
        raise UnknownRelation(function.relation or function.name, other.name, other.hint, function.schema)
    if any(selected.aggregate for selected in shaping.select):
        raise AggregatesForbidden
