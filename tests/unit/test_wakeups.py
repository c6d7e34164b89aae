"""Wake-ups that a call reports, as any function of a caller can set them."""

import pytest

from pgmq_gateway.calls.call import Answer
from pgmq_gateway.calls.wakeups import wakeups_in


def test_each_line_is_one_wakeup() -> None:
    answer = Answer(None, 1, "[1]", reported="tasks\t1\t0\nmails\t3\t2.500\ntasks\t0\t0\n")
    assert answer.wakeups == (("tasks", 1, 0.0), ("mails", 3, 2.5), ("tasks", 0, 0.0))


@pytest.mark.parametrize("reported", [None, ""])
def test_most_answers_have_none(reported: str | None) -> None:
    assert Answer(None, 1, "[1]", reported=reported).wakeups == ()


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        "q\t1",
        "q\t1\t0\t0",
        "q\tx\t0",
        "q\t-1\t0",
        "q\t1\t-1",
        "q\t1\tnan",
        "q\t1\tinf",
        "q\t1.5\t0",
        "q\t1\t1e99",
    ],
)
def test_other_lines_are_left_out(line: str) -> None:
    assert wakeups_in(f"{line}\nq\t1\t0\n{line}") == (("q", 1, 0.0),)


def test_a_long_text_is_cut() -> None:
    assert 0 < len(wakeups_in("q\t1\t0\n" * 1_000_000)) < 10_000
