"""Exponential back-off: its delays, its ceiling and its reset."""

from pgmq_gateway.backoff import Backoff


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(0.1, 0.5)
    assert [backoff.delay() for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]


def test_a_reset_starts_from_the_first_delay() -> None:
    backoff = Backoff(0.1, 5.0)
    for _ in range(3):
        backoff.delay()
    backoff.reset()
    assert [backoff.delay(), backoff.delay()] == [0.1, 0.2]


def test_a_reset_before_any_delay_changes_nothing() -> None:
    backoff = Backoff(1.0, 60.0)
    backoff.reset()
    assert backoff.delay() == 1.0
