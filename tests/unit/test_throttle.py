"""Rate limits: their syntax, and that a bucket never gives more than its rate and burst."""

import contextlib
import math
from contextlib import AbstractContextManager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.http.client import network_of
from pgmq_gateway.http.request import Head
from pgmq_gateway.limits import throttle
from pgmq_gateway.limits.places import WaitLimitReached
from pgmq_gateway.limits.throttle import Buckets, Throttle, TooMany, TooManyAtOnce
from pgmq_gateway.settings.ratelimit import Limit, RateLimit, WaitLimit, read_rate_limits
from tests.clock import Clock


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("anon=10/s", RateLimit("anon", 10, 1, 10, "requests", "")),
        ("anon = 10 requests / m burst 3 by ip", RateLimit("anon", 10, 60, 3, "requests", "ip")),
        ("*=100 messages/h by app_metadata.org", RateLimit("*", 100, 3600, 100, "messages", "app_metadata.org")),
        ("a-b=1/s by header:X-Real-IP", RateLimit("a-b", 1, 1, 1, "requests", "header:X-Real-IP")),
        ("anon = 2 waiting by ip", WaitLimit("anon", 2, "ip")),
        ("*=20 waiting", WaitLimit("*", 20, "")),
        ("anon=0 waiting", WaitLimit("anon", 0, "")),
    ],
)
def test_the_syntax_of_a_limit(text: str, limit: Limit) -> None:
    assert read_rate_limits([text]) == (limit,)


@pytest.mark.parametrize(
    "texts",
    [["anon"], ["anon=10"], ["anon=0/s"], ["anon=1/d"], ["anon=1/s burst 0"], ["anon=1.5/s"], ["=1/s"],
     ["anon=1 messages/s by ip"], ["anon=1/s", "anon=2/s"], ["anon=1/s by"], ["anon=9999999999/s"],
     ["anon=1 waiting/s"], ["anon=1 waiting burst 2"], ["anon=1 waiting", "anon=2 waiting"]],
)  # fmt: skip
def test_an_invalid_limit_is_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^limit 1 (is malformed|allows|counts)|^role anon has two limits"):
        read_rate_limits(texts)


steps = st.lists(st.tuples(st.floats(0, 5), st.integers(1, 12), st.integers(0, 12)), max_size=60)


@given(count=st.integers(1, 50), period=st.sampled_from([1, 60]), burst=st.integers(1, 20), steps=steps)
def test_a_bucket_never_gives_more_than_burst_and_rate(
    count: int, period: int, burst: int, steps: list[tuple[float, int, int]]
) -> None:
    clock = Clock()
    buckets = Buckets(RateLimit("anon", count, period, burst, "requests", ""), clock)
    given: list[tuple[float, int]] = []
    for seconds, amount, returned in steps:
        clock.now += seconds
        if buckets.wait("k", amount):
            assert amount > burst or buckets.left("k") < amount
            continue
        buckets.take("k", amount)
        back = min(amount, returned)
        buckets.take("k", -back)
        given.append((clock.now, amount - back))
        for index, (since, _) in enumerate(given):
            assert sum(n for _, n in given[index:]) <= burst + count / period * (clock.now - since) + 1e-3


@given(burst=st.integers(1, 20), amount=st.integers(1, 20))
def test_after_the_stated_wait_a_bucket_has_the_tokens(burst: int, amount: int) -> None:
    clock = Clock()
    buckets = Buckets(RateLimit("anon", 7, 1, burst, "requests", ""), clock)
    buckets.take("k", burst)
    wait = buckets.wait("k", amount)
    assert (wait == math.inf) == (amount > burst)
    if wait < math.inf:
        assert wait > 0
        clock.now += wait
        assert buckets.wait("k", amount) == 0


def test_a_bucket_is_not_evicted_until_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MAX_BUCKETS", 50)
    clock = Clock()
    buckets = Buckets(RateLimit("*", 1, 1, 2, "requests", "sub"), clock)
    buckets.take("mine", 2)
    for number in range(1000):
        buckets.take(f"stranger {number}", 1)
    assert len(buckets) <= 51
    assert buckets.wait("mine", 1) == pytest.approx(1)
    # Callers beyond the maximum share one bucket.
    assert buckets.wait("newcomer", 1) > 0
    clock.now += 1000
    buckets.take("newcomer", 1)
    assert len(buckets) == 1


def caller(role: str, claims: str = "{}") -> Caller:
    return Caller(role, claims, anonymous=False)


def spend(limits: Throttle, who: Caller, address: str = "192.0.2.1", **headers: str) -> None:
    raw = tuple((name.encode(), value.encode()) for name, value in headers.items())
    limits.of_request(who, Head("GET", b"/", b"", raw), network_of(address)).take(1, "requests")


def refused(limits: Throttle, who: Caller, address: str = "192.0.2.1", **headers: str) -> bool:
    try:
        spend(limits, who, address, **headers)
    except TooMany:
        return True
    return False


def test_the_keys_of_buckets() -> None:
    texts = ["a=1/h", "b=1/h by sub", "c=1/h by app.org", "d=1/h by ip", "e=1/h by header:x-real-ip", "*=1/h"]
    limits = Throttle(read_rate_limits(texts), Clock())
    others = [
        (caller("a", '{"sub":"1"}'), caller("a", '{"sub":"2"}'), True),
        (caller("b", '{"sub":"1"}'), caller("b", '{"sub":"2"}'), False),
        (caller("b", '{"sub":1}'), caller("b", '{"sub":2}'), False),
        (caller("b"), caller("b", '{"other":1}'), True),
        (caller("c", '{"app":{"org":"1"}}'), caller("c", '{"app":{"org":"2"}}'), False),
        (caller("c", '{"app":[]}'), caller("c", '{"app":"org"}'), True),
        (caller("x"), caller("x"), True),
        (caller("y"), caller("z"), False),
    ]
    for first, second, same in others:
        spend(limits, first)
        assert refused(limits, first)
        assert refused(limits, second) == same, (first, second)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        # A proxy can name a client without an address (RFC 7239, section 6).
        ("unknown", "192.0.2.1", False),
    ],
)
def test_ipv6_addresses_of_one_network_share_a_bucket(first: str, second: str, *, same: bool) -> None:
    limits = Throttle(read_rate_limits(["d=1/h by ip"]), Clock())
    spend(limits, caller("d"), first)
    assert refused(limits, caller("d"), second) == same


def test_a_header_of_the_proxy_is_a_key() -> None:
    limits = Throttle(read_rate_limits(["e=1/h by header:X-Real-IP"]), Clock())
    spend(limits, caller("e"), **{"x-real-ip": "192.0.2.1"})
    assert refused(limits, caller("e"), **{"x-real-ip": "192.0.2.1"})
    assert not refused(limits, caller("e"), **{"x-real-ip": "192.0.2.2"})


def test_all_limits_of_a_role_apply_and_a_refusal_takes_from_none() -> None:
    clock = Clock()
    limits = Throttle(read_rate_limits(["a=2/s", "a=3/h"]), clock)
    for _ in range(2):
        spend(limits, caller("a"))
    with pytest.raises(TooMany) as error:
        spend(limits, caller("a"))
    assert error.value.headers == (("Retry-After", "1"),)
    clock.now += 1
    spend(limits, caller("a"))
    with pytest.raises(TooMany) as error:
        spend(limits, caller("a"))
    assert error.value.headers == (("Retry-After", "1199"),)


def test_unchanged_limits_keep_their_buckets_on_reload() -> None:
    clock = Clock()
    before = Throttle(read_rate_limits(["a=1/h", "b=1/h"]), clock)
    for role in "ab":
        spend(before, caller(role))
    after = Throttle(read_rate_limits(["a=1/h", "b=2/h"]), clock, before)
    assert refused(after, caller("a"))
    assert not refused(after, caller("b"))


def test_a_call_above_the_capacity_is_refused_for_good() -> None:
    limits = Throttle(read_rate_limits(["a=5 messages/s"]), Clock())
    with pytest.raises(TooManyAtOnce):
        limits.of_messages(caller("a")).take(6, "messages")
    limits.of_messages(caller("a")).take(5, "messages")


def test_a_role_can_be_forbidden_to_wait() -> None:
    with pytest.raises(WaitLimitReached) as caught, waiting(Throttle(read_rate_limits(["a=0 waiting"])), caller("a")):
        raise AssertionError
    assert (caught.value.hint, caught.value.headers) == ("Read without waiting.", ())


def waiting(limits: Throttle, who: Caller) -> AbstractContextManager[None]:
    return limits.of_request(who, Head("GET", b"/", b"", ()), "192.0.2.1").waiting()


def test_as_many_wait_at_once_as_the_limit_allows() -> None:
    limits = Throttle(read_rate_limits(["a=2 waiting by sub", "a=3 waiting"]))
    one, another = caller("a", '{"sub":"1"}'), caller("a", '{"sub":"2"}')
    with waiting(limits, one), waiting(limits, one):
        with pytest.raises(WaitLimitReached, match="Too many waiting requests"), waiting(limits, one):
            pass
        with waiting(limits, another):
            # The refused request took no place of the other limit.
            with pytest.raises(WaitLimitReached), waiting(limits, another):
                pass
            assert places_left(limits, another) == '"waiting by sub";r=1, "waiting";r=0'
        with waiting(limits, caller("b")):
            pass
    assert [len(places) for places in limits.all] == [0, 0]
    assert places_left(limits, one) == '"waiting by sub";r=2, "waiting";r=3'


def places_left(limits: Throttle, who: Caller) -> str:
    return dict(limits.of_request(who, Head("GET", b"/", b"", ()), "").headers())["RateLimit"]


def test_places_outlive_a_reload_and_an_error() -> None:
    before = Throttle(read_rate_limits(["a=1 waiting"]))
    with contextlib.suppress(KeyError), waiting(before, caller("a")):
        after = Throttle(read_rate_limits(["a=1 waiting", "b=1/s"]), earlier=before)
        with pytest.raises(WaitLimitReached), waiting(after, caller("a")):
            pass
        raise KeyError
    with waiting(after, caller("a")):
        pass
