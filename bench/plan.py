"""The requests of the load generator: a first call, and deletes of its messages."""

from dataclasses import dataclass, field

from bench.cell import BATCH, Cell, Operation

# Longer than any run, so that no lease expires.
LEASE_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Step:
    """One request. %s stands for the id of the message that it names."""

    method: str
    path: str
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The requests of a cell. `tokens` are values of the header Authorization, in rotation; empty: without the header.

    first   the repeated request
    delete  the request for each message in the response to `first`
    settles whether `delete` is one request for all of them, with the list of their receipts for %s
    before  a request that alternates with `first`
    key     the beginning of the header Idempotency-Key, followed by a number
    keys    how many numbers there are, in rotation

    first_id  the id in the first request, where `first` names a message; the next request names the next one
    """

    first: Step
    delete: Step | None = None
    settles: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    tokens: tuple[str, ...] = ("",)
    before: Step | None = None
    key: str | None = None
    keys: int = 10**9
    first_id: int | None = None


def rpc(cell: Cell, queue: str, tokens: tuple[str, ...]) -> Plan:
    """The requests of the gateway and of PostgREST."""
    name = f'"queue_name":"{queue}"'
    read = f'{{{name},"sleep_seconds":{LEASE_SECONDS},"n":{cell.operation.messages}}}'
    by_id = f'{{{name},"message_id":%s}}'
    bodies = {
        Operation.SEND: ("send", f'{{{name},"message":{cell.message}}}'),
        Operation.SEND_BATCH: ("send_batch", f'{{{name},"messages":[{_batch(cell)}]}}'),
        Operation.READ: ("read", read),
        Operation.READ_BATCH: ("read", read),
        Operation.LEASE: ("read", read),
        Operation.POP: ("pop", f"{{{name}}}"),
        Operation.DELETE: ("delete", by_id),
        Operation.ARCHIVE: ("archive", by_id),
    }
    function, body = bodies[cell.operation]
    delete = Step("POST", "/rpc/delete", by_id) if cell.operation.deletes else None
    headers = {"Content-Type": "application/json", "Content-Profile": "pgmq_public"}
    return Plan(Step("POST", f"/rpc/{function}", body), delete, headers=headers, tokens=tokens)


def pgmq_api(cell: Cell, queue: str, tokens: tuple[str, ...]) -> Plan:  # noqa: ARG001 it knows no callers
    """The requests of pgmq.api."""
    base = f"/v1/queues/{queue}"
    read = f'{{"vt":{LEASE_SECONDS},"qty":{cell.operation.messages}}}'
    delete = Step("DELETE", f"{base}/messages/%s")
    steps = {
        Operation.SEND: Step("POST", f"{base}/messages", f'{{"message":{cell.message}}}'),
        Operation.SEND_BATCH: Step("POST", f"{base}/messages/batch", f'{{"messages":[{_batch(cell)}]}}'),
        Operation.READ: Step("POST", f"{base}/read", read),
        Operation.READ_BATCH: Step("POST", f"{base}/read", read),
        Operation.LEASE: Step("POST", f"{base}/read", read),
        Operation.POP: Step("POST", f"{base}/pop", '{"qty":1}'),
        Operation.DELETE: delete,
        Operation.ARCHIVE: Step("POST", f"{base}/messages/%s/archive"),
    }
    headers = {"Content-Type": "application/json"}
    return Plan(steps[cell.operation], delete if cell.operation.deletes else None, headers=headers)


def _batch(cell: Cell) -> str:
    return ",".join([cell.message] * BATCH)
