"""The command line of the failover runs, and what they compute of the calls. `.ci/failover` runs them."""

import pytest

from bench.checker.history import Call, Outcome
from bench.failover.__main__ import main
from bench.failover.observations import Readiness, silence


def test_an_unknown_fault_is_named_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(faults="kill,fire")
    assert capsys.readouterr().err == (
        "failover: unknown fault 'fire': give --faults some of kill,freeze,cut-nodes,cut-clients,switchover\n"
    )


def send(returned: float, outcome: Outcome = Outcome.OK) -> Call:
    """A send that returned at this time."""
    return Call("send", "work", "user1", returned - 0.1, sent=(1,), returned=returned, outcome=outcome)


@pytest.mark.parametrize(
    ("sends", "expected"),
    [
        pytest.param([send(9), send(11), send(20), send(21)], (11, 20), id="between two sends"),
        pytest.param([send(11), send(15, Outcome.REFUSED), send(20)], (11, 20), id="errors are silence"),
        pytest.param([send(18), send(19)], (10, 18), id="from the fault"),
        pytest.param([send(11)], (11, float("inf")), id="never again"),
    ],
)
def test_the_silence_is_the_longest_time_without_an_acknowledged_send(
    sends: list[Call], expected: tuple[float, float]
) -> None:
    assert silence(sends, fault_at=10, until=24) == expected


@pytest.mark.parametrize(
    ("samples", "lag"),
    [
        pytest.param([(1, True), (2, False), (5, False), (7, True)], 2, id="after the first good call"),
        pytest.param([(1, False), (4, True)], 0, id="before it"),
        pytest.param([(1, False), (7, False)], float("inf"), id="never"),
    ],
)
def test_the_lag_of_readiness_counts_from_the_first_good_call(samples: list[tuple[float, bool]], lag: float) -> None:
    assert Readiness(samples).lag(5) == lag
