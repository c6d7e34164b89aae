-- Each queue is read even if the ones before it had enough messages: a queue that the caller cannot read fails the call.
create or replace function pgmq_api.read_any(
    queue_names text[], sleep_seconds integer default null, n integer default 1
)
returns setof pgmq_api.message
language plpgsql
set search_path = pg_catalog, pg_temp
as $read$
declare
    missing integer := pgmq_settings.read_count(n);
    queue_name text;
    found_rows integer;
begin
    perform pgmq_settings.check_queue_names(queue_names);
    foreach queue_name in array queue_names loop
        return query select * from pgmq_api.read(queue_name, sleep_seconds, missing);
        get diagnostics found_rows = row_count;
        missing := missing - found_rows;
    end loop;
end;
$read$;
comment on function pgmq_api.read_any(text[], integer, integer) is
    'Reads up to n visible messages of 1 to 10 queues: from the first one that has any, and so on. Queues of several '
    'priorities can so be read in one call.';
revoke all on function pgmq_api.read_any(text[], integer, integer) from public;
grant execute on function pgmq_api.read_any(text[], integer, integer) to anon, authenticated, service_role;
