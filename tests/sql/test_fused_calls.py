"""pgmq_gateway.calls with one statement for all calls: each has the result that it would have alone."""

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql import twins
from tests.sql.calls import CLAIMS, JUDGEMENT, SUPABASE, TYPES, calls
from tests.sql.conftest import Connect
from tests.sql.twins import (
    ENQUEUED,
    OTHER,
    SAME_IDS,
    STEP,
    add,
    alone,
    fill,
    protect,
    signature,
    stored,
    together,
)


@pytest.fixture
def gateway(directory: DataDirectory, database: str, connect: Connect) -> Sql:
    """Run SQL as the gateway's login role."""
    return runner(connect(socket_uri(directory, "authenticator", database)))


@pytest.fixture(autouse=True)
def queues(db: Sql) -> None:
    twins.create(db)


def message(picked: random.Random) -> dict[str, Any]:
    return {"owner": "somebody", "n": picked.randrange(100), "text": picked.choice(["", 'ä\n"', "x" * 3000])}


def delay(picked: random.Random, least: int = -STEP) -> dict[str, Any]:
    return picked.choice([{}, {}, {"sleep_seconds": picked.choice([0, STEP, "10000", least])}])


def receipt(picked: random.Random) -> str:
    return f"{picked.randrange(1, 42)}.{picked.randrange(1, 3)}.{ENQUEUED}000000"


# Arguments of a call, and those of one that fails or cannot be part of one statement.
Arguments = Callable[[random.Random], dict[str, Any]]
FUNCTIONS: dict[str, tuple[Arguments, list[dict[str, Any]]]] = {
    "send": (
        lambda r: {"message": message(r), **delay(r)},
        [
            {"message": -1},
            {"message": None},
            {"message": OTHER},
            {"message": {"owner": "somebody"}, "sleep_seconds": None},
            {"message": {"owner": "somebody"}, "sleep_seconds": 1.5},
        ],
    ),
    "send_batch": (
        lambda r: {"messages": [message(r) for _ in range(r.randrange(1, 4))], **delay(r)},
        [
            {"messages": []},
            {"messages": None},
            {"messages": [OTHER]},
            {"messages": [[{"owner": "somebody"}], [{"owner": "somebody"}]]},
            {"messages": 3},
            {"messages": [{"owner": "somebody"}], "sleep_seconds": None},
        ],
    ),
    "read": (
        lambda r: {"n": r.choice([1, 1, 2, "3", 10]), "sleep_seconds": r.choice([STEP, 2 * STEP])},
        [
            {"n": None, "sleep_seconds": STEP},
            {"n": -1, "sleep_seconds": STEP},
            {"n": 0, "sleep_seconds": STEP},
            {"n": 2**31, "sleep_seconds": STEP},
            {"n": 2**31 - 1, "sleep_seconds": STEP},
            {"n": 1, "sleep_seconds": 0},
            {"n": 1, "sleep_seconds": -STEP},
            {"n": 1, "sleep_seconds": None},
        ],
    ),
    "pop": (lambda _: {}, [{}]),
    **{
        function: (
            lambda r: {"message_id": r.choice([r.randrange(-1, 42), str(r.randrange(42))])},
            [{"message_id": None}, {"message_id": 2**63}, {"message_id": "one"}],
        )
        # pgmq_api.delete is pgmq_public's by another name.
        for function in ("delete", "archive", "pgmq_api.archive")
    },
    "pgmq_api.send": (
        lambda r: {"message": message(r), **delay(r, least=0)},
        [
            {"message": -1},
            {"message": None},
            {"message": OTHER},
            {"message": {"owner": "somebody"}, "sleep_seconds": None},
            {"message": {"owner": "somebody"}, "sleep_seconds": -1},
            {"message": {"owner": "somebody"}, "sleep_seconds": 1.5},
        ],
    ),
    "pgmq_api.read": (
        lambda r: r.choice([{}, {"n": 1}, {"n": r.choice([2, "3", 10]), "sleep_seconds": r.choice([STEP, None])}]),
        [
            {"n": None},
            {"n": -1},
            {"n": 0},
            {"n": 2**31},
            {"n": 2**31 - 1, "sleep_seconds": STEP},
            {"sleep_seconds": 0},
            {"sleep_seconds": -1},
            {"sleep_seconds": 700_000},
        ],
    ),
    "pgmq_api.pop": (lambda r: r.choice([{}, {"n": 1}, {"n": "2"}]), [{"n": 0}, {"n": None}, {"n": "one"}]),
    "pgmq_api.ack": (lambda r: {"receipt": receipt(r)}, [{"receipt": None}, {"receipt": "1.1"}, {"receipt": 1}]),
    "pgmq_api.settle": (
        lambda r: {"acks": [receipt(r) for _ in range(r.randrange(3))]},
        [{"acks": ["1.1.1", "1.1.1"]}, {"acks": None}, {"acks": [None]}, {"acks": "{}"}, {"acks": [["1.1.1"]]}],
    ),
}


@pytest.mark.parametrize("wrong", [False, True], ids=["valid", "some odd"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_n6_random_calls_have_the_results_that_each_has_alone(
    db: Sql, gateway: Sql, function: str, wrong: bool
) -> None:
    valid, odd = FUNCTIONS[function]
    # Other tests check the statements of pgmq_api too.
    for seed in range(3, 6) if "." in function else range(8):
        picked = random.Random(f"{function} {wrong} {seed}")  # noqa: S311 the same calls each time
        if seed == 4:
            protect(db)
        fill(db, picked)
        arguments = [valid(picked) for _ in range(picked.choice([3, 4, 8, 32]))]
        if wrong:
            arguments[picked.randrange(len(arguments))] = (
                picked.choice(odd) if "." in function else odd[seed % len(odd)]
            )
        if function.endswith(("delete", "archive")):
            # In the gateway's order.
            arguments.sort(key=lambda given: int(given["message_id"]) if str(given["message_id"]).isdigit() else -1)
        fused = together(gateway, function, arguments, undone=lambda: db(SAME_IDS))
        assert wrong or commands(db) <= 1
        single = alone(gateway, function, arguments, "twin")
        assert fused == single, arguments
        assert list(stored(db, "q").values()) == list(stored(db, "twin").values()), arguments
        db("truncate pgmq.q_q, pgmq.a_q, pgmq.q_twin, pgmq.a_twin restart identity")


def commands(db: Sql) -> int:
    """The number of commands of the last transaction that wrote a row of the queue or of its archive."""
    rows = "select xmin, cmin::text from pgmq.q_q union all select xmin, cmin::text from pgmq.a_q"
    ((found,),) = db(
        f"select count(distinct cmin) from ({rows}) as r (xmin, cmin) "
        f"where xmin::text = (select max(xmin::text::bigint)::text from ({rows}) as r (xmin, cmin))"
    )
    assert isinstance(found, int)
    return found


def fusion(gateway: Sql, function: str = "send") -> dict[str, Any] | None:
    """The fusion of the judgement; None: the calls run one by one."""
    obstacles, *_, found = gateway(JUDGEMENT, "q", function)[0]
    assert obstacles == []
    return json.loads(found) if found else None


@pytest.mark.parametrize("function", FUNCTIONS)
def test_policies_on_claims_and_random_defaults_make_no_difference(db: Sql, gateway: Sql, function: str) -> None:
    protect(db)
    db("create function public.sub() returns text stable language sql as "
       "$$ select current_setting( 'request.jwt.claims', true)::json ->> 'sub' $$")  # fmt: skip
    db("create policy p on pgmq.q_q using (public.sub() = 'a')")
    db("create policy app on pgmq.q_q using (message ->> 'app' = current_setting('app.settings.name', true))")
    db("alter table pgmq.q_q add column id uuid default gen_random_uuid()")
    assert fusion(gateway, function) is not None


READING_REQUESTS = {
    "a header": ["create policy p on pgmq.q_q using (current_setting('request.headers')::json ->> 'x' = 'a')"],
    "a default that is a header": [
        "alter table pgmq.q_q add column origin text default current_setting('request.headers', true)"
    ],
    "a function that reads the path": [
        "create function public.path() returns text stable language sql as "
        "$$ select current_setting('request.jwt.claims', true) || current_setting('request.path', true) $$",
        "create policy p on pgmq.q_q using (public.path() = 'a')",
    ],
    "the default of an argument": [
        "create function public.path(given text default current_setting('request.path', true)) returns text "
        "stable language sql as 'select given'",
        "create policy p on pgmq.q_q using (public.path() = 'a')",
    ],
}


@pytest.mark.parametrize("changes", READING_REQUESTS.values(), ids=READING_REQUESTS)
def test_n6_policies_on_requests_need_equal_ones(db: Sql, gateway: Sql, changes: list[str]) -> None:
    found = fusion(gateway)
    assert found is not None
    assert not found["reads_requests"]
    for change in changes:
        db(change)
    found = fusion(gateway)
    assert found is not None
    assert found["reads_requests"]


@pytest.mark.parametrize(("equal", "count"), [(False, 4), (True, 1)])
def test_calls_with_equal_requests_are_one_statement(db: Sql, gateway: Sql, equal: bool, count: int) -> None:
    db("alter table pgmq.q_q enable row level security")
    db("create policy p on pgmq.q_q to anon using (message ->> 'n' = current_setting('request.headers')::json ->> 'n')")
    sent = [{"n": "0" if equal else str(n)} for n in range(4)]
    calls(gateway, [json.dumps({"queue_name": "q", "message": one}) for one in sent], careful=False, equal=equal)
    assert db("select message from pgmq.q_q order by msg_id") == [(one,) for one in sent]
    assert commands(db) == count


def test_a_policy_on_headers_hides_messages_of_equal_requests(db: Sql, gateway: Sql) -> None:
    db("alter table pgmq.q_q enable row level security")
    db("create policy p on pgmq.q_q to anon using (message ->> 'n' = current_setting('request.headers')::json ->> 'n')")
    db(
        "insert into pgmq.q_q (vt, message) "
        "select now(), json_build_object('n', mod(n, 2)) from generate_series(0, 7) as n"
    )
    arguments = ['{"queue_name": "q"}'] * 5
    rows = calls(gateway, arguments, statement="pop(queue_name)", careful=False, equal=True)
    assert [row_count for row_count, *_ in rows] == [1, 1, 1, 1, 0]
    assert db("select array_agg(msg_id order by msg_id) from pgmq.q_q") == [([2, 4, 6, 8],)]


DISTINGUISHING = {
    "a setting of the session": ["create policy p on pgmq.q_q using (current_setting('enable_seqscan') = 'on')"],
    "a setting with a computed name": [
        "create policy p on pgmq.q_q using (current_setting('request.' || (message ->> 'x')) = 'a')"
    ],
    "a number of messages": [
        "create function public.filled() returns bigint stable security definer language sql "
        "begin atomic select count(*) from pgmq.q_q; end",
        "create policy p on pgmq.q_q using (true) with check (public.filled() < 2)",
    ],
    "all settings": ["create policy p on pgmq.q_q using ((select count(*) from pg_show_all_settings()) > 0)"],
    "the last id": ["create policy p on pgmq.q_q using ((select last_value from pgmq.q_q_msg_id_seq) < 9)"],
    "a sample": [
        "create table public.members (id integer)",
        "create policy p on pgmq.q_q using (exists (select from public.members tablesample bernoulli (50)))",
    ],
    "chance": ["create policy p on pgmq.q_q using ((select random()) < 0.5)"],
}


@pytest.mark.parametrize("changes", DISTINGUISHING.values(), ids=DISTINGUISHING)
def test_n6_calls_that_a_policy_could_distinguish_run_one_by_one(db: Sql, gateway: Sql, changes: list[str]) -> None:
    for change in changes:
        db(change)
    assert fusion(gateway) is None


def test_the_number_of_messages_that_a_policy_allows_is_kept(db: Sql, gateway: Sql) -> None:
    for change in DISTINGUISHING["a number of messages"]:
        db(change)
    db("alter table pgmq.q_q enable row level security")
    arguments = [{"message": n} for n in range(5)]
    assert [first for first, _ in together(gateway, "send", arguments)] == [1, 1, "42501", "42501", "42501"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_n6_policies_for_single_commands_hide_the_same_messages(db: Sql, gateway: Sql, function: str) -> None:
    for queue in ("q", "twin"):
        db(f"alter table pgmq.q_{queue} enable row level security")
        db(f"create policy for_insert on pgmq.q_{queue} for insert to anon with check (true)")
        for command, n in (("select", 7), ("update", 5), ("delete", 3)):
            db(f"create policy for_{command} on pgmq.q_{queue} for {command} to anon using (mod(msg_id, {n}) > 0)")
        add(db, 40, queue)
    valid, _ = FUNCTIONS[function]
    for seed in range(3):
        picked = random.Random(f"{function} {seed}")  # noqa: S311 the same calls each time
        arguments = [valid(picked) for _ in range(4)]
        if function.endswith(("delete", "archive")):
            arguments.sort(key=lambda given: int(given["message_id"]))
        fused = together(gateway, function, arguments, undone=lambda: db(SAME_IDS))
        assert fused == alone(gateway, function, arguments, "twin"), arguments
        assert list(stored(db, "q").values()) == list(stored(db, "twin").values()), arguments


def test_a_message_hidden_from_deletes_is_claimed_by_each_pop(db: Sql, gateway: Sql) -> None:
    db("alter table pgmq.q_q enable row level security")
    db("create policy r on pgmq.q_q for select to anon using (true)")
    db("create policy u on pgmq.q_q for update to anon using (true)")
    db("create policy d on pgmq.q_q for delete to anon using (msg_id > 1)")
    add(db, 3)
    assert together(gateway, "pop", [{}] * 3) == [(0, "[]")] * 3
    assert db("select count(*) from pgmq.q_q") == [(3,)]


LACKING = {
    "the function": "revoke execute on function pgmq_public.send from anon, public",
    "the function of pgmq": "revoke execute on function pgmq.send(text, jsonb, integer) from anon, public",
    "the schema": "revoke usage on schema pgmq_public from anon, public",
    "the schema pgmq": "revoke usage on schema pgmq from anon, public",
    "the table": "revoke insert on pgmq.q_q from anon",
    "a column": "revoke insert on pgmq.q_q from anon; grant insert (vt, message) on pgmq.q_q to anon",
}


@pytest.mark.parametrize("change", LACKING.values(), ids=LACKING)
def test_n6_a_missing_privilege_is_the_error_of_each_call(db: Sql, gateway: Sql, change: str) -> None:
    db(change)
    arguments = [{"message": n} for n in range(3)]
    fused = together(gateway, "send", arguments)
    assert [code for code, _ in fused] == ["42501"] * 3
    assert fused == alone(gateway, "send", arguments)


@pytest.mark.parametrize(
    ("function", "installed"), [*((name, "") for name in FUNCTIONS), *SUPABASE.items()],
    ids=[*FUNCTIONS, *(f"{name} of Supabase" for name in SUPABASE)],
)  # fmt: skip
def test_the_privileges_on_functions_are_those_of_a_single_call(
    db: Sql, gateway: Sql, function: str, installed: str
) -> None:
    db(installed)
    found = fusion(gateway, function)
    assert found is not None
    routines = [r for (r,) in db("select r::regprocedure::text from unnest(%s::oid[]) as r", found["routines"])]
    db("revoke execute on all functions in schema pgmq, pgmq_public from public, anon")
    db(f"grant execute on function {', '.join(routines)} to anon")
    arguments = [FUNCTIONS[function][0](random.Random(n)) for n in range(3)]  # noqa: S311
    codes = [first for first, _ in alone(gateway, function, arguments)]
    assert "42501" not in codes
    assert may_execute(gateway, found)
    for routine in routines:
        db(f"revoke execute on function {routine} from anon")
        assert not may_execute(gateway, found)
        assert [first for first, _ in alone(gateway, function, arguments)] == ["42501"] * 3, routine
        db(f"grant execute on function {routine} to anon")


def may_execute(gateway: Sql, found: dict[str, Any]) -> bool:
    ((result,),) = gateway("select pgmq_gateway.may_execute('anon', %s)", json.dumps(found))
    assert isinstance(result, bool)
    return result


@pytest.mark.parametrize("function", ["read", "pop"])
def test_other_columns_are_read_where_a_single_call_reads_them(db: Sql, gateway: Sql, function: str) -> None:
    """The gateway's read does, its pop does not. The names are also those of the statement."""
    db("alter table pgmq.q_q add column call text, add column id integer")
    add(db, 3)
    arguments = [{"n": 1, "sleep_seconds": STEP} if function == "read" else {}] * 3
    bodies = [json.dumps({"queue_name": "q", **given}) for given in arguments]
    statement = signature(function, arguments[0])
    rows = calls(gateway, bodies, statement=statement, careful=False)
    assert [ids(row[1]) for row in rows] == [[1], [2], [3]]
    assert "call" not in rows[0][1]
    db("truncate pgmq.q_q")
    add(db, 3)
    db("revoke select on pgmq.q_q from anon")
    db("grant select (msg_id, read_ct, enqueued_at, last_read_at, vt, message, headers) on pgmq.q_q to anon")
    if function == "pop":
        rows = calls(gateway, bodies, statement=statement, careful=False)
        assert [ids(row[1]) for row in rows] == [[4], [5], [6]]
    else:
        assert [first for first, _ in together(gateway, function, arguments)] == ["42501"] * 3


def test_columns_of_another_type_are_an_error_of_each_call(db: Sql, gateway: Sql) -> None:
    db("alter table pgmq.q_q alter column read_ct type bigint")
    add(db, 3)
    assert fusion(gateway, "send") is not None
    assert fusion(gateway, "read") is None
    assert [first for first, _ in together(gateway, "pop", [{}] * 3)] == ["42804"] * 3


@pytest.mark.parametrize("function", FUNCTIONS)
def test_types_of_the_session_do_not_matter(db: Sql, gateway: Sql, function: str) -> None:
    add(db, 3)
    arguments = [FUNCTIONS[function][0](random.Random(n)) for n in range(3)]  # noqa: S311
    bodies = [json.dumps({"queue_name": "q", **given}) for given in arguments]
    statements = [signature(function, given) for given in arguments]
    (judgement,) = gateway(JUDGEMENT, "q", function)
    gateway(TYPES)
    rows = calls(gateway, bodies, statements=statements, judgement=judgement, careful=False)
    assert [failure for *_, failure in rows] == [None] * 3


def test_a_function_without_a_statement_has_none(db: Sql) -> None:
    statement = "select pgmq_gateway.fused_statement('q', 'purge', '{vt,message}', null, 'vt')"
    assert db(statement) == [(None,)]


WRONG: dict[str, dict[str, Any]] = {"send": {"message": 1}, "send_batch": {"messages": [1, 2]}}


@pytest.mark.parametrize("function", WRONG)
def test_a_statement_with_too_few_results_fails(gateway: Sql, function: str) -> None:
    found = fusion(gateway, function)
    assert found is not None
    few = json.dumps({**found, "statement": "select array[1]::bigint[] where $1 is not null and $2 is not null"})
    given = [json.dumps({"queue_name": "q", **WRONG[function]})] * 3
    gateway("select set_config('request.jwt.claims', %s, false)", CLAIMS)
    with pytest.raises(errors.RaiseException, match="returned 1 "):
        gateway("select pgmq_gateway.fused_calls('anon', %s, %s, %s::json[])", few,
                [signature(function, WRONG[function])] * 3, given)  # fmt: skip


def test_policies_have_the_search_path_of_a_single_call(db: Sql, gateway: Sql) -> None:
    """That of the functions of pgmq_public, which is empty."""
    db("alter table pgmq.q_q enable row level security")
    db("create policy p on pgmq.q_q to anon using (true) with check (current_schema() is null)")
    arguments = [{"message": n} for n in range(3)]
    assert together(gateway, "send", arguments) == [(1, f"[{n}]") for n in (1, 2, 3)]
    assert commands(db) == 1


def ids(body: str) -> list[int]:
    """The ids in the result of read or pop, whose timestamps `outcome` has removed."""
    return [int(n) for n in re.findall(r'"msg_id":(\d+)', body)]


@pytest.mark.parametrize("function", SUPABASE)
def test_messages_are_taken_in_the_order_of_the_installed_function(db: Sql, gateway: Sql, function: str) -> None:
    """That of Supabase takes them by id, that of the gateway by the time at which they became visible."""
    arguments = [{"n": 1, "sleep_seconds": STEP} if function == "read" else {}] * 3

    def taken() -> list[list[int]]:
        ages = "generate_series(1, 9) as age"
        db(f"insert into pgmq.q_q (vt, message) select now() - make_interval(secs => age), '1' from {ages}")
        found = [ids(body) for _, body in together(gateway, function, arguments)]
        assert commands(db) == 1
        db("truncate pgmq.q_q restart identity")
        return found

    assert taken() == [[9], [8], [7]]
    db(SUPABASE[function])
    assert taken() == [[1], [2], [3]]


def test_n6_messages_that_another_transaction_has_locked_are_left_to_it(db: Sql, gateway: Sql) -> None:
    db("insert into pgmq.q_q (vt, message) select now() - interval '9 s' + make_interval(secs => n), '1' "
       "from generate_series(1, 5) n")  # fmt: skip
    db("begin; select from pgmq.q_q where msg_id in (1, 3) for update")
    read = together(gateway, "read", [{"n": 1, "sleep_seconds": STEP}] * 4)
    assert [ids(body) for _, body in read] == [[2], [4], [5], []]
    with pytest.raises(errors.LockNotAvailable):
        calls(gateway, [json.dumps({"queue_name": "q", "message_id": n}) for n in (1, 2, 3)],
              statement="delete(message_id,queue_name)", careful=False)  # fmt: skip
    db("rollback")
    assert [n for (n,) in db("select msg_id from pgmq.q_q order by 1")] == [1, 2, 3, 4, 5]


def test_limits_of_the_operator_apply_to_each_call(db: Sql, gateway: Sql) -> None:
    settings = ["pgmq_gateway.max_batch", "2", "pgmq_gateway.max_read", "2"]
    batches = [json.dumps({"queue_name": "q", "messages": [1] * n}) for n in (2, 1, 2)]
    rows = calls(gateway, batches, statement="send_batch(messages,queue_name)", settings=settings, careful=False)
    assert [row[1] for row in rows] == ["[1, 2]", "[3]", "[4, 5]"]
    assert commands(db) == 1
    reads = [json.dumps({"queue_name": "q", "n": 3, "sleep_seconds": STEP})] * 3
    rows = calls(gateway, reads, statement="read(n,queue_name,sleep_seconds)", settings=settings, careful=False)
    assert [row[0] for row in rows] == [2, 2, 1]


def test_many_messages_are_claimed_call_by_call(db: Sql, gateway: Sql) -> None:
    """One claim of so many would be planned as a scan of the whole queue."""
    add(db, 1001)
    for n, claims in ((333, 1), (334, 3)):
        read = together(gateway, "read", [{"n": n, "sleep_seconds": 1}] * 3)
        assert [count for count, _ in read] == [n, n, min(n, 1001 - 2 * n)]
        assert commands(db) == claims
        db("update pgmq.q_q set vt = now() - interval '1 s'")
