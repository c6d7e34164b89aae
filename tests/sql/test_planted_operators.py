"""Operators of a role that can create them in public do not run as the login role, nor as a caller of the gateway."""

import json

import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.calls import CLAIMS, bodies, calls, sends
from tests.sql.conftest import Connect

# All operators on these types that pg_catalog lacks. For exactly such operands they precede its polymorphic ones.
PLANTED = """
do $do$ declare
    types constant regtype[] := '{text,int4,int8,bool,oid,regclass,timestamptz,float8,json,text[],int4[],int8[],oid[]}';
    l regtype; r regtype; name text;
begin
    foreach l in array types loop
        foreach r in array types loop
            execute format('create function public.trap(%s, %s) returns boolean language plpgsql as'
                ' $f$ begin raise ''fell into the trap (%1$s, %2$s)''; end $f$', l, r);
            foreach name in array '{=,<>,<,<=,>,>=,||,+,-,*,->>}'::text[] loop
                continue when exists (
                    select from pg_operator where oprname = name and oprleft = l and oprright = r);
                execute format(
                    'create operator public.%s (leftarg = %s, rightarg = %s, function = public.trap)', name, l, r);
            end loop;
        end loop;
    end loop;
end $do$
"""
JUDGEMENT = "select queue_table, relations::text, functions, fingerprint from pgmq_gateway.policy_judgement('q')"
CALL = """
select body from pgmq_gateway.call(
    'anon', %s, '{POST,/rpc/f,"{}","{}"}', 'public', null, false, null, %s, %s, null, false,
    null, null, null, null, null, null)
"""


@pytest.fixture
def gateway(directory: DataDirectory, database: str, connect: Connect, db: Sql) -> Sql:
    """Run SQL as the gateway's login role, in whose search path the operators are."""
    db("select pgmq_admin.create_queue('q'); select pgmq_admin.grant_queue('q', 'anon', '{send,read}')")
    db("alter table pgmq.q_q disable row level security")
    db(PLANTED)
    sql = runner(connect(socket_uri(directory, "authenticator", database)))
    with pytest.raises(psycopg.errors.RaiseException, match="fell into the trap"):
        sql("select '{1}'::int8[] || '{1}'::int8[]")
    return sql


def test_calls_use_no_planted_operators(db: Sql, gateway: Sql) -> None:
    for careful, equal in ((True, False), (False, False), (False, True)):
        sent = calls(gateway, sends("a", "b", "c"), careful=careful, equal=equal)
        assert len([body for body in bodies(sent) if json.loads(body)]) == 3
    (arguments,) = sends("d")
    assert gateway(CALL, CLAIMS, "send(message,queue_name)", arguments) == [("[10]",)]
    explained = gateway(CALL, CLAIMS, "explain select pgmq_public.send('q', '1')", "{}")
    assert "ProjectSet" in explained[0][0]
    assert db("select count(*) from pgmq.q_q") == [(10,)]


@pytest.mark.parametrize("static", [True, False])
def test_policy_probes_use_no_planted_operators(db: Sql, gateway: Sql, static: bool) -> None:
    db("alter table pgmq.q_q enable row level security")
    db("create policy p on pgmq.q_q to anon using (message ->> 'to' = current_setting('request.jwt.claims'))")
    db("select pgmq.send('q', '{\"to\": \"1\"}') from generate_series(1, 3)")
    ((table, *judged),) = gateway(JUDGEMENT)
    name = "pgmq_gateway.probe_policy"
    if static:
        gateway("select pgmq_gateway.create_policy_probe(%s::oid)", table)
        name = f"pg_temp.probe_policy_{table}"
    probe = (
        f"select seeing, fresh from {name}(%s::oid, null, 3600,"
        " '{1}', %s,"
        " 9, 'anon', 'public', null, %s, '{UTC,UTC,UTC}', %s, 1, null, %s::oid[], %s, %s)"
    )
    ((vt,),) = db("select vt from pgmq.q_q where msg_id = 1")
    requests = ["POST", "/", "{}", "{}"] * 3
    assert gateway(probe, table, [vt], ["0", "1", "1"], requests, *judged) == [([2, 3], 2)]
