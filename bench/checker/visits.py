"""A user's function that reports what it finds in its transaction and session, and leaves something behind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.checker.people import OWNER_HEADER

CALLER = "coalesce(current_setting('request.jwt.claims', true)::json->>'sub', current_user)"
OWNER = f"coalesce(current_setting('request.headers', true)::json->>'{OWNER_HEADER.lower()}', {CALLER})"
ROWS = 8
LOCK_CLASS = 4713
# Without a lock, calls of `rest` return at once.
GATE = 4714

# Identifies a transaction: after a crash, Postgres assigns ids anew that left no trace on disk.
TRANSACTION = "concat_ws(' ', pg_postmaster_start_time(), pg_current_xact_id())"

# Each leaves its caller's name, where it can.
LEFT_BEHIND: Mapping[str, str] = {
    "a local setting": "perform set_config('my.local', owner, true)",
    "a local table": "execute format('create temporary table %I () on commit drop', 'local_' || owner)",
    "a deferred trigger": "insert into public.visitors values (owner)",
    "a locked row": f"update public.counters set n = n + 1 where id = (select floor({ROWS} * random())::int)",
    "a setting": "perform set_config('my.session', caller, false), set_config('datestyle', 'German', false)",
    "a time limit": "perform set_config('my.session', caller, false), set_config('statement_timeout', '1h', false)",
    "a table": "execute format('create temporary table if not exists %I ()', caller)",
    "a cursor": "execute format('close all; declare %I cursor with hold for select 1', caller)",
    "a channel": "execute format('listen %I', caller)",
    "a prepared statement": "if not exists (select from pg_prepared_statements where name = caller) then"
    " execute format('prepare %I as select 1', caller); end if",
    "a lock": f"perform pg_try_advisory_lock({LOCK_CLASS}, hashtext(caller))",
}

VISIT = (
    "create or replace function pgmq_public.visit(kind text) returns json language plpgsql as $f$ declare"
    f" caller constant text := {CALLER}; owner constant text := {OWNER};"
    f" found constant json := json_build_object('transaction', {TRANSACTION}, 'local', array("
    " select setting from nullif(current_setting('my.local', true), '') as setting where setting is not null"
    " union all select relname from pg_class where relnamespace = pg_my_temp_schema() and relname like 'local@_%'"
    " escape '@'), 'session', array("
    " select setting from nullif(current_setting('my.session', true), '') as setting where setting is not null"
    " union all select 'a changed setting' where nullif(current_setting('my.session', true), '') is null"
    " and (current_setting('datestyle') like 'German%' or current_setting('statement_timeout') = '1h')"
    " union all select relname from pg_class where relnamespace = pg_my_temp_schema() and relkind = 'r'"
    " and relname not like 'local@_%' escape '@'"
    " union all select name from pg_cursors where is_holdable"
    " union all select pg_listening_channels()"
    " union all select name from pg_prepared_statements where from_sql"
    " union all select case when objid::bigint = hashtext(caller)::bigint & 4294967295 then caller else 'a lock' end"
    f" from pg_locks where locktype = 'advisory' and classid = {LOCK_CLASS} and pid = pg_backend_pid()));"
    " begin case kind "
    + " ".join(f"when '{kind}' then {statement};" for kind, statement in LEFT_BEHIND.items())
    + " end case; return found; end $f$"
)

SQL = (
    "create table public.visitors (owner text); create table public.departures (found_by text, seen text, owner text);"
    "create table public.counters (id int primary key, n bigint not null);"
    f"insert into public.counters select number, 0 from generate_series(0, {ROWS - 1}) as number;"
    "grant all on public.visitors, public.departures, public.counters to public",
    # Runs at the commit.
    "create function public.depart() returns trigger language plpgsql as $f$ begin"
    f" insert into public.departures select 'a deferred trigger', {OWNER}, found.owner"
    " from (select coalesce(to_jsonb(new)->'message'->>'owner', to_jsonb(new)->>'owner') as owner) as found"
    f" where {OWNER} <> found.owner; return null; end $f$",
    "create constraint trigger depart after insert on public.visitors deferrable initially deferred"
    " for each row execute function public.depart()",
    # Keeps the header in a setting of the transaction, as row-level security by tenant does.
    "create function public.arrive() returns trigger language plpgsql as $f$ declare"
    f" named constant text := current_setting('request.headers', true)::json->>'{OWNER_HEADER.lower()}';"
    " seen text; begin if named is not null then perform set_config('my.owner', named, true); end if;"
    f" seen := coalesce(nullif(current_setting('my.owner', true), ''), {CALLER});"
    " if seen <> new.message->>'owner' then insert into public.departures"
    " values ('a setting of the transaction', seen, new.message->>'owner'); end if; return new; end $f$",
    VISIT,
    # For the order of calls: its number, then some work.
    "create sequence public.ticks; grant usage on sequence public.ticks to public;"
    "create function pgmq_public.tick(seconds float) returns bigint language plpgsql as $f$"
    " declare tick constant bigint := nextval('public.ticks'); begin perform pg_sleep(seconds); return tick; end $f$",
    "create function pgmq_public.rest() returns bigint language sql volatile as"
    f" 'select 1::bigint from pg_advisory_xact_lock_shared({GATE})'",
)


@dataclass(frozen=True, slots=True)
class Visit:
    """The result of a call of `visit`: its transaction's id, and the callers that left something."""

    transaction: str
    local: tuple[str, ...]
    session: tuple[str, ...]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Visit":
        return cls(body["transaction"], tuple(body["local"]), tuple(body["session"]))
