-- The history of queues: their numbers over time, and rates.
--
-- Why: Postgres and pgmq know only the present, and a chart needs the past, also after a restart. The gateway takes a
-- sample of all queues at an interval. Counters are kept as they are, not as differences, so that samples can be missed
-- and thinned out, and a rate is right over any time.
-- Why SECURITY DEFINER: the samples are not granted to service_role, which can see their contents anyway.

create or replace function pgmq_admin.history(
    inout queue_name text default null,
    since timestamptz default now() - interval '15 minutes',
    buckets integer default 120,
    out at timestamptz,
    out messages bigint,
    out visible bigint,
    out delayed bigint,
    out in_flight bigint,
    out parked bigint,
    out archived bigint,
    out sent_rate double precision,
    out read_rate double precision,
    out archived_rate double precision,
    out deleted_rate double precision,
    out oldest_seconds double precision
)
returns setof record
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
-- The planner overestimates thousands of points, and JIT compilation takes longer than the query.
set jit = off
as $history$
#variable_conflict use_column
declare
    max_queues constant integer := 100;
    only_queue constant text := queue_name;
    step interval;
begin
    perform pgmq_gateway.check_history(queue_name, since, buckets);
    step := (clock_timestamp() - since) / buckets;
    return query
    select
        q.queue_name::text, point.at, last.messages, last.visible, last.delayed, last.in_flight, last.parked,
        last.archived, rows.sent / passed.seconds, rows.updated / passed.seconds, rows.archived / passed.seconds,
        greatest(rows.deleted - rows.archived, 0) / passed.seconds, last.oldest_seconds
    from (
        select m.queue_name from pgmq.meta as m
        where only_queue is null or m.queue_name = only_queue
        order by m.queue_name
        limit max_queues
    ) as q
    cross join (select since + n * step as at from generate_series(1, buckets) as n) as point
    left join lateral pgmq_gateway.last_sample(q.queue_name::text, point.at) as last on true
    left join lateral pgmq_gateway.first_sample(q.queue_name::text, point.at - step, last.at) as before on true
    -- A counter that has shrunk was reset to zero.
    cross join lateral (
        select
            last.sent - case when last.sent < before.sent then 0 else before.sent end as sent,
            last.updated - case when last.updated < before.updated then 0 else before.updated end as updated,
            last.deleted - case when last.deleted < before.deleted then 0 else before.deleted end as deleted,
            last.archive_inserted
                - case when last.archive_inserted < before.archive_inserted then 0 else before.archive_inserted end
                as archived
    ) as rows
    cross join lateral (
        select extract(epoch from last.at - before.at)::double precision as seconds
    ) as passed
    order by q.queue_name, point.at;
end;
$history$;
comment on function pgmq_admin.history is
    'The history of one queue, or of the first hundred by name, since a time, at as many points in time as buckets: messages by state, and '
    'how many were sent, read (or postponed), archived and deleted (or popped) per second. Null where nothing was '
    'recorded.';
revoke all on function pgmq_admin.history from public;
grant execute on function pgmq_admin.history to service_role;
