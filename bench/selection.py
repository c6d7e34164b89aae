"""The cells of a run: a preset or a selection."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from bench.cell import Cell, Depth, Operation
from bench.contenders import Name

CONNECTIONS = (1, 8, 32, 128, 512)
PAYLOADS = (100, 1024, 64 * 1024)
CALLERS = (1, 100)
DEPTHS = (Depth(), Depth(waiting=1_000_000), Depth(in_flight=400_000))

# A million messages of 64 KB exceed the disk, and hundreds of batches of them the memory.
MAX_BACKLOG_BYTES = 2_000_000_000
MAX_IN_FLIGHT_BYTES = 256_000_000


# Without --contenders, these are measured in one cell only, that of their goals.
ONE_CELL = {Name.GATEWAY_2: Cell(connections=128), Name.FLOOR: Cell(connections=128)}


class Preset(StrEnum):
    """The cells measured without a selection."""

    QUICK = "quick"
    DEFAULT = "default"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected values of each dimension; empty: all with --full, otherwise one default value."""

    operations: Sequence[Operation] = ()
    connections: Sequence[int] = ()
    payloads: Sequence[int] = ()
    callers: Sequence[int] = ()
    depths: Sequence[Depth] = ()

    def __bool__(self) -> bool:
        return any((self.operations, self.connections, self.payloads, self.callers, self.depths))

    def cells(self, preset: Preset) -> list[Cell]:
        """The cells, without duplicates."""
        if preset is not Preset.FULL and not self:
            return list(_QUICK if preset is Preset.QUICK else _DEFAULT)
        return list(self._product(everything=preset is Preset.FULL))

    def _product(self, *, everything: bool) -> Iterator[Cell]:
        default = Cell()
        depths = self.depths or (DEPTHS if everything else (default.depth,))
        payloads = self.payloads or (PAYLOADS if everything else (default.payload,))
        callers = self.callers or (CALLERS if everything else (default.callers,))
        operations = self.operations or (tuple(Operation) if everything else (default.operation,))
        connections = self.connections or (CONNECTIONS if everything else (default.connections,))
        # Ordered by depth, so that a large queue is filled only once.
        for depth, payload, caller, operation, connection in product(
            depths, payloads, callers, operations, connections
        ):
            cell = Cell(operation, connection, payload, caller, depth)
            if _fits(cell):
                yield cell


def _fits(cell: Cell) -> bool:
    backlog = (cell.depth.waiting + cell.depth.in_flight) * cell.payload
    in_flight = cell.connections * cell.operation.messages * cell.payload
    return backlog <= MAX_BACKLOG_BYTES and in_flight <= MAX_IN_FLIGHT_BYTES


_QUICK = (
    Cell(connections=1),
    Cell(),
    Cell(callers=100),
    Cell(Operation.READ),
)

_DEFAULT = (
    *(Cell(connections=connections) for connections in (1, 32, 128)),
    Cell(callers=100),
    Cell(payload=64 * 1024),
    Cell(Operation.SEND_BATCH),
    Cell(Operation.READ),
    Cell(Operation.POP),
    Cell(Operation.DELETE),
    Cell(Operation.ARCHIVE),
    Cell(Operation.READ_BATCH),
    Cell(Operation.READ, depth=Depth(waiting=1_000_000)),
    Cell(Operation.LEASE, connections=1),
    Cell(Operation.LEASE, connections=1, depth=Depth(in_flight=400_000)),
)
