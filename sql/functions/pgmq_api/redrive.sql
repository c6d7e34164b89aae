create or replace function pgmq_api.redrive(
    queue_name text,
    to_queue text default null,
    max_messages integer default 100,
    per_second double precision default null,
    filter jsonb default '{}'
)
returns table (moved integer, skipped integer, last_visible_at timestamptz, refused jsonb)
language sql
set search_path = pg_catalog, pg_temp
as $redrive$
    select r.* from pgmq_settings.redrive(queue_name, to_queue, max_messages, per_second, filter, null) as r;
$redrive$;
comment on function pgmq_api.redrive(text, text, integer, double precision, jsonb) is
    'Moves dead letters that are visible, oldest first, to one queue, or back to the queues they came from if this is '
    'still their dead_letter_queue. Others are skipped, and so are those that the queue refuses: refused has up to 100 of '
    'these, with their errors. per_second: spreads the times at which they become visible. Repeat until it moves none.';
revoke all on function pgmq_api.redrive(text, text, integer, double precision, jsonb) from public;
grant execute on function pgmq_api.redrive(text, text, integer, double precision, jsonb)
    to anon, authenticated, service_role;

create or replace function pgmq_api.replay(
    queue_name text,
    max_messages integer default 100,
    per_second double precision default null,
    filter jsonb default '{}'
)
returns table (sent integer, last_visible_at timestamptz)
language sql
set search_path = pg_catalog, pg_temp
as $replay$
    select r.* from pgmq_settings.replay(queue_name, max_messages, per_second, filter, null) as r;
$replay$;
comment on function pgmq_api.replay(text, integer, double precision, jsonb) is
    'Sends copies of archived messages, oldest first, to their queue; the archive stays. per_second: spreads the times at '
    'which they become visible. A second call sends the same messages again, unless the filter leaves them out.';
revoke all on function pgmq_api.replay(text, integer, double precision, jsonb) from public;
grant execute on function pgmq_api.replay(text, integer, double precision, jsonb) to anon, authenticated, service_role;
