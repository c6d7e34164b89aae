"""The command line of the failover runs, and what they compute of the calls. `.ci/failover` runs them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.checker.history import Call, History, Outcome
from bench.checker.model import Promise, Violation
from bench.failover import records
from bench.failover.__main__ import main
from bench.failover.faults import Name
from bench.failover.observations import Observation, Readiness, Times, observe, silence
from bench.failover.rounds import Case, Run


def test_an_unknown_fault_is_named_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(faults="kill,fire")
    assert capsys.readouterr().err == (
        "failover: unknown fault 'fire': give --faults some of kill,freeze,cut-nodes,cut-clients,switchover\n"
    )


def test_a_log_has_all_figures_of_its_runs_and_keeps_the_programs_logs_of_violations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, folder = tmp_path / "runs", tmp_path / "site"
    (folder / "node1" / "data").mkdir(parents=True)
    (folder / "node1" / "log").write_text("promoted")
    seen = Observation(20.5, 1.25, 0.5, 3.5, {"503 PGRST000": 1200}, 5000)
    run = Run(Case(Name.KILL, limits=True), 19.0, 1.5, {"hosts": seen, "haproxy": seen}, [], [])
    broken = replace(run, violations=[Violation(Promise.LOST, "message 1", (send(1),))])
    for one in (run, broken):
        records.append(log, one, folder)

    assert records.read(log) == [run, replace(run, violations=[Violation(Promise.LOST, "message 1")])]
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.glob("runs.*/**/*")] == [
        "runs.run2/node1",
        "runs.run2/node1/log",
    ]
    with pytest.raises(SystemExit, match="1"):
        main(report=log)
    shown = capsys.readouterr().out
    assert re.search(r"\| kill +\| 2 +\| 2 +\| 20,000 +\| 1 +\| 0 +\| 0 +\| 0 +\| 0 +\|", shown), shown
    assert re.search(
        r"\| kill +\| haproxy +\| 19.0, at most 19.0 +\| 1.2, at most 1.2 .* 2,400 x 503 PGRST000", shown
    ), shown


def test_a_call_in_flight_counts_from_the_fault_until_its_response() -> None:
    calls = [
        Call("send", "work", "user1", began, returned=returned) for began, returned in [(9, 13), (10.5, 15), (12, 19)]
    ]
    seen = observe(History(calls), Readiness(), Times(fault=10, effective=10.1, recovery=18, until=30))
    assert seen.in_flight == 4.5


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
