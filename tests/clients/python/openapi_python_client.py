"""All operations with the client that openapi-python-client made of openapi.yaml; run and checked beside it."""

import json
import os
from typing import TypeVar

from queue_client import AuthenticatedClient
from queue_client.api.pgmq_public import archive, delete, pop, read, send, send_batch
from queue_client.api.queues import (
    archive_message,
    delete_message,
    pop_message,
    read_messages,
    send_message,
    settle_messages,
)
from queue_client.models import (
    ApiError,
    ArchiveArguments,
    DeleteArguments,
    Message,
    MessageRecord,
    PopArguments,
    ReadArguments,
    SendArguments,
    SendBatchArguments,
    SendEntriesRow,
    SettleMessagesBody,
)
from queue_client.models.key_refused import KeyRefused
from queue_client.types import Response

T = TypeVar("T")

QUEUE = os.environ["QUEUE"]
CLIENT = AuthenticatedClient(base_url=f"{os.environ['SUPABASE_URL']}/rest/v1", token=os.environ["SUPABASE_KEY"])


def had(answer: T | ApiError | KeyRefused | None) -> T:
    """A response without an error."""
    if answer is None or isinstance(answer, ApiError | KeyRefused):
        raise AssertionError(answer)
    return answer


def brief(found: list[MessageRecord] | list[Message]) -> list[tuple[int, object]]:
    """Ids and messages."""
    return [(message.msg_id, message.message) for message in found]


def ids(answer: list[int] | list[SendEntriesRow] | ApiError | KeyRefused | None) -> list[int]:
    """The response to a message or a batch of messages."""
    assert isinstance(answer, list)
    return [one for one in answer if isinstance(one, int)]


def functions() -> dict[str, object]:
    """The six functions; the client names their schema by itself."""
    sent: list[int] = had(send.sync(client=CLIENT, body=SendArguments(QUEUE, {"hello": "world"})))
    batch = SendBatchArguments(QUEUE, [{"n": 2}, "three"])
    sent_batch: list[int] = had(send_batch.sync(client=CLIENT, body=batch))
    leased = had(read.sync(client=CLIENT, body=ReadArguments(QUEUE, sleep_seconds=60, n=1)))
    archived: bool = had(archive.sync(client=CLIENT, body=ArchiveArguments(QUEUE, 1)))
    again: bool = had(archive.sync(client=CLIENT, body=ArchiveArguments(QUEUE, 1)))
    popped = had(pop.sync(client=CLIENT, body=PopArguments(QUEUE)))
    deleted: bool = had(delete.sync(client=CLIENT, body=DeleteArguments(QUEUE, "3")))
    return {
        "sent": sent,
        "sentBatch": sent_batch,
        "read": brief(leased),
        "archived": archived,
        "again": again,
        "popped": brief(popped),
        "deleted": deleted,
    }


def resources() -> dict[str, object]:
    """Operations of resources."""
    sent = ids(send_message.sync(QUEUE, client=CLIENT, body={"via": "resources"}))
    leased = had(read_messages.sync(QUEUE, client=CLIENT, n=1, sleep_seconds=60))
    archived: bool = had(archive_message.sync(QUEUE, 4, client=CLIENT))
    batch = ids(send_message.sync(QUEUE, client=CLIENT, body={"messages": [5, 6]}))
    popped = had(pop_message.sync(QUEUE, client=CLIENT))
    deleted: bool = had(delete_message.sync(QUEUE, 6, client=CLIENT))
    # The client takes the rows for numbers, as it does not look into lists.
    entries = send_message.sync_detailed(QUEUE, client=CLIENT, body={"entries": [{"message": 7}]}).content
    acks = [message.receipt or "" for message in had(read_messages.sync(QUEUE, client=CLIENT))]
    settled = had(settle_messages.sync(QUEUE, client=CLIENT, body=SettleMessagesBody(acks=acks)))
    return {
        "sent": sent,
        "read": brief(leased),
        "archived": archived,
        "batch": batch,
        "popped": brief(popped),
        "deleted": deleted,
        "entries": json.loads(entries),
        "outcomes": [row.outcome for row in settled],
    }


def refusals() -> list[tuple[int, str | None]]:
    """Status and code of refused calls."""
    return [
        refusal(delete_message.sync_detailed(QUEUE, 6, client=CLIENT)),
        refusal(pop.sync_detailed(client=CLIENT, body=PopArguments("nowhere"))),
        refusal(archive.sync_detailed(client=CLIENT, body=ArchiveArguments(QUEUE, "one"))),
    ]


def refusal(answer: Response[T]) -> tuple[int, str | None]:
    """Status and code of a response."""
    return int(answer.status_code), answer.parsed.code if isinstance(answer.parsed, ApiError) else None


seen = {"functions": functions(), "resources": resources(), "refusals": refusals()}
send.sync(client=CLIENT, body=SendArguments(QUEUE, None, sleep_seconds=600))
print(json.dumps(seen))
