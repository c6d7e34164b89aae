"""Things that a call can leave in its session, and functions that look for them."""

LAST_NUMBER = """
create function public.last_number() returns bigint language plpgsql volatile as $f$
begin
    return lastval();
exception when object_not_in_prerequisite_state then
    return null;
end $f$
"""

SHOW = """
create function public.show(expression text) returns text language plpgsql volatile as $f$
declare
    shown text;
begin
    execute 'select ' || expression into shown;
    return shown;
end $f$
"""

SESSION_FUNCTIONS = (
    "create sequence public.numbers; grant usage on sequence public.numbers to public; create table public.shadowed ()",
    *(SHOW, LAST_NUMBER),
)

# SQL that leaves something in the session, and an expression that shows it.
LEFT_BEHIND = {
    "a custom setting": ("set app.tenant = 'mine'", "coalesce(current_setting('app.tenant', true), '')"),
    "a long time limit": ("set statement_timeout = '3h'", "current_setting('statement_timeout')"),
    "a short time limit": ("set statement_timeout = 1", "current_setting('statement_timeout')"),
    "row-level security": ("set row_security = off", "current_setting('row_security')"),
    "the date style": ("set datestyle = 'German'", "current_setting('datestyle')"),
    "the time zone": ("set timezone = 'Asia/Tokyo'", "current_setting('timezone')"),
    "the encoding": ("set client_encoding = 'latin1'", "current_setting('client_encoding')"),
    "the isolation level": (
        "set session characteristics as transaction isolation level serializable",
        "current_setting('default_transaction_isolation')",
    ),
    "read-only transactions": ("set default_transaction_read_only = on", "current_setting('transaction_read_only')"),
    "the role": ("set role service_role", "current_user"),
    "the session's user": ("set session authorization default", "session_user"),
    "the search path": ("set search_path = pgmq", "current_setting('search_path')"),
    "a temporary table": ("create temporary table shadow as select 'mine' as what", "to_regclass('shadow')"),
    "a temporary table in the way": ("create temporary table shadowed ()", "'shadowed'::regclass::oid"),
    "a temporary function": (
        "create function pg_temp.f() returns int language sql as 'select 1'", "to_regproc('pg_temp.f')"
    ),
    "a cursor": (
        "declare mine cursor with hold for select 1", "(select count(*) from pg_cursors where name = 'mine')"
    ),
    "a prepared statement": (
        """prepare "mi""ne" as select 1""", "(select count(*) from pg_prepared_statements where from_sql)"
    ),
    "a lock": (
        "select pg_advisory_lock(9)",
        "(select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())",
    ),
    "a channel": ("listen mine", "(select count(*) from pg_listening_channels())"),
    "the last number of a sequence": ("select nextval('public.numbers')", "public.last_number()"),
}  # fmt: skip
