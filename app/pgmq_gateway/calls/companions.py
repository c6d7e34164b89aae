"""Waiting calls that can run together: those of one caller, and those of several callers of one role."""

from collections import deque
from collections.abc import Iterator

from pgmq_gateway.calls.grouping import Crowd, Group
from pgmq_gateway.calls.waiting import WaitingCall


class Companions:
    """Waiting calls by crowd and group, each in order of arrival.

    Calls that are taken or ended stay until they are reached.
    """

    def __init__(self) -> None:
        self._crowds: dict[Crowd, dict[Group, deque[WaitingCall]]] = {}

    def add(self, call: WaitingCall, group: Group) -> None:
        self._crowds.setdefault(group.crowd, {}).setdefault(group, deque()).append(call)

    def of_group(self, group: Group) -> bool:
        """True if calls of the group wait."""
        groups = self._crowds.get(group.crowd)
        if groups is None or (waiting := groups.get(group)) is None:
            return False
        if _waits(waiting):
            return True
        del groups[group]
        if not groups:
            del self._crowds[group.crowd]
        return False

    def of_crowd(self, crowd: Crowd) -> bool:
        """True if calls of the crowd wait."""
        return any(self.of_group(group) for group in list(self._crowds.get(crowd, ())))

    def take_group(self, group: Group) -> Iterator[WaitingCall]:
        """Waiting calls of the group, removed one by one."""
        while self.of_group(group):
            yield self._oldest(group)

    def take_crowd(self, crowd: Crowd) -> Iterator[WaitingCall]:
        """The oldest waiting call of each group of the crowd, removed one by one."""
        for group in list(self._crowds.get(crowd, ())):
            if self.of_group(group):
                yield self._oldest(group)

    def _oldest(self, group: Group) -> WaitingCall:
        """Remove the oldest waiting call of a group that has one."""
        call = self._crowds[group.crowd][group].popleft()
        # An empty group is forgotten now, because its caller may never call again.
        self.of_group(group)
        return call


def _waits(waiting: deque[WaitingCall]) -> bool:
    """True if a call still waits. Those before it are removed."""
    while waiting and not waiting[0].startable():
        waiting.popleft()
    return bool(waiting)
