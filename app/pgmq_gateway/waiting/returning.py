"""Messages that a client no longer receives, because it has disconnected: they are returned to their queues."""

from collections.abc import Iterator
from contextlib import suppress

import msgspec

from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.calls.catalog import Catalog
from pgmq_gateway.errors import FunctionNotFound
from pgmq_gateway.postgrest.media import Shape
from pgmq_gateway.waiting.settling import settle


class Delivery(msgspec.Struct, frozen=True):
    """The part of pgmq_api.message that returns it."""

    queue_name: str
    receipt: str


_array = msgspec.json.Decoder(list[Delivery])
_object = msgspec.json.Decoder(Delivery)


def returns(catalog: Catalog, call: Call, answer: Answer) -> Iterator[Call]:
    """Calls that end the leases of the messages in an answer. Without receipts they end by themselves."""
    try:
        deliveries = _deliveries(call, answer)
    except msgspec.DecodeError:
        return
    for queue_name in {delivery.queue_name for delivery in deliveries}:
        receipts = [delivery.receipt for delivery in deliveries if delivery.queue_name == queue_name]
        retries = [{"receipt": receipt, "delay_seconds": 0} for receipt in receipts]
        with suppress(FunctionNotFound):
            yield settle(catalog, call, queue_name, "retries", retries)


def _deliveries(call: Call, answer: Answer) -> list[Delivery]:
    body = answer.body or ""
    return [_object.decode(body)] if call.representation.shape is Shape.OBJECT else _array.decode(body)
