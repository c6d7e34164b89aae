"""Which cells a run has: a preset, or what was asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from bench.cell import Cell, Depth, Operation

CONNECTIONS = (1, 8, 32, 128, 512)
PAYLOADS = (100, 1024, 64 * 1024)
CALLERS = (1, 100)
DEPTHS = (Depth(), Depth(waiting=1_000_000), Depth(in_flight=400_000))

# A million messages of 64 KB would not fit on a disk, nor hundreds of batches of them into memory.
BACKLOG_LIMIT_BYTES = 2_000_000_000
ON_THE_WAY_LIMIT_BYTES = 256_000_000


class Preset(StrEnum):
    """How much is measured when nothing is selected."""

    QUICK = "quick"
    USUAL = "usual"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for; an empty one means: all of --full, else one usual value."""

    operations: Sequence[Operation] = ()
    connections: Sequence[int] = ()
    payloads: Sequence[int] = ()
    callers: Sequence[int] = ()
    depths: Sequence[Depth] = ()

    def __bool__(self) -> bool:
        return any((self.operations, self.connections, self.payloads, self.callers, self.depths))

    def cells(self, preset: Preset) -> list[Cell]:
        """The cells, each once."""
        if preset is not Preset.FULL and not self:
            return list(_QUICK if preset is Preset.QUICK else _USUAL)
        return list(self._product(everything=preset is Preset.FULL))

    def _product(self, *, everything: bool) -> Iterator[Cell]:
        usual = Cell()
        depths = self.depths or (DEPTHS if everything else (usual.depth,))
        payloads = self.payloads or (PAYLOADS if everything else (usual.payload,))
        callers = self.callers or (CALLERS if everything else (usual.callers,))
        operations = self.operations or (tuple(Operation) if everything else (usual.operation,))
        connections = self.connections or (CONNECTIONS if everything else (usual.connections,))
        # Depths first: a big queue is filled once for all that follows.
        for depth, payload, caller, operation, connection in product(
            depths, payloads, callers, operations, connections
        ):
            cell = Cell(operation, connection, payload, caller, depth)
            if _fits(cell):
                yield cell


def _fits(cell: Cell) -> bool:
    backlog = (cell.depth.waiting + cell.depth.in_flight) * cell.payload
    on_the_way = cell.connections * cell.operation.messages * cell.payload
    return backlog <= BACKLOG_LIMIT_BYTES and on_the_way <= ON_THE_WAY_LIMIT_BYTES


_QUICK = (
    Cell(connections=1),
    Cell(),
    Cell(callers=100),
    Cell(Operation.READ),
)

_USUAL = (
    *(Cell(connections=connections) for connections in (1, 32, 128, 512)),
    Cell(callers=100),
    Cell(payload=1024),
    Cell(payload=64 * 1024),
    Cell(Operation.SEND_BATCH),
    Cell(Operation.READ),
    Cell(Operation.POP),
    Cell(Operation.READ_BATCH),
    Cell(depth=Depth(waiting=1_000_000)),
    Cell(Operation.READ, depth=Depth(waiting=1_000_000)),
    Cell(Operation.LEASE, connections=1),
    Cell(Operation.LEASE, connections=1, depth=Depth(in_flight=400_000)),
)
