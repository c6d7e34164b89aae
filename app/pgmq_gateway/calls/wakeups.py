"""Wake-ups: messages that a call made visible, as the transaction setting pgmq_gateway.wakeups reports them."""

from typing import NamedTuple

# Any function of the caller can set any text.
MAX_TEXT = 16_384
MAX_SECONDS = 366 * 86_400


class Wakeup(NamedTuple):
    """Messages that become visible at one moment.

    queue     the name of the queue in lower case
    messages  how many; 0: those that were sent are parked behind others of their groups
    seconds   until they are visible
    """

    queue: str
    messages: int
    seconds: float


def wakeups_in(text: str) -> tuple[Wakeup, ...]:
    """The wake-ups in lines of queue, number of messages and seconds, separated by tabs. Other lines are left out."""
    parsed = (_wakeup(line) for line in text[:MAX_TEXT].split("\n"))
    return tuple(wakeup for wakeup in parsed if wakeup is not None)


def _wakeup(line: str) -> Wakeup | None:
    queue, *numbers = line.split("\t")
    try:
        messages, seconds = numbers
        wakeup = Wakeup(queue, int(messages), float(seconds))
    except ValueError:
        return None
    return wakeup if wakeup.messages >= 0 and 0 <= wakeup.seconds <= MAX_SECONDS else None
