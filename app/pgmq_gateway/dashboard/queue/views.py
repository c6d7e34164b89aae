"""The views of a queue's messages: those in the queue, its dead letters, and its archive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pgmq_gateway.dashboard.queue.actions import OF_ARCHIVE, OF_LETTERS, OF_QUEUE, Action
from pgmq_gateway.dashboard.queue.client import LETTER_COLUMNS, LIST_COLUMNS, Place

FIRST_PAGE = Place()

# Name, title, sort key (empty: not sortable), class of the cells.
Column = tuple[str, str, str, str]


@dataclass(frozen=True)
class View:
    """A view.

    name     its title, also in the URL
    empty    what to show without messages
    columns  those of the table
    select   those to load
    filter   a condition on all of its messages
    place    the first page
    """

    name: str
    empty: str
    actions: Sequence[Action]
    columns: Sequence[Column]
    select: str = LIST_COLUMNS
    filter: Mapping[str, object] = field(default_factory=dict)
    place: Place = FIRST_PAGE


MESSAGES = View(
    "Queue",
    "The queue is empty.",
    OF_QUEUE,
    (
        ("msg_id", "Id", "msg_id", ""),
        ("state", "State", "", ""),
        ("preview", "Payload", "", "payload"),
        ("bytes", "Size", "", "wide number"),
        ("read_ct", "Reads", "read_ct", "medium number"),
        ("enqueued_at", "Age", "enqueued_at", "number"),
        ("vt", "Visible", "vt", "medium number"),
    ),
)
LETTERS = View(
    "Dead letters",
    "There are no dead letters.",
    OF_LETTERS,
    (
        ("msg_id", "Id", "msg_id", ""),
        ("reason", "Reason", "", "reason"),
        ("origin", "Origin", "", "medium name"),
        ("preview", "Payload", "", "payload"),
        ("note", "Note", "", "wide note"),
        ("receives", "Receives", "", "medium number"),
        ("died", "Died", "", "number"),
    ),
    LETTER_COLUMNS,
    {"dead": {}},
)
ARCHIVE = View(
    "Archive",
    "The archive is empty.",
    OF_ARCHIVE,
    (
        *(column for column in MESSAGES.columns if column[0] not in ("state", "vt")),
        ("archived_at", "Archived", "archived_at", "number"),
    ),
    filter={"state": "archived"},
    place=Place("archived_at", descending=True),
)
VIEWS = {view.name: view for view in (MESSAGES, LETTERS, ARCHIVE)}
