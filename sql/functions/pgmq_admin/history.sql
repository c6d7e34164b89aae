-- How queues did: samples of their numbers over time, and rates made of them.
--
-- Why: what Postgres and pgmq know is only ever the present, and a chart needs a past, also after a restart. The gateway
-- takes a sample of all queues at an interval. Numbers that only grow are kept as they are, not as differences, so that
-- samples can be missed and thinned, and a rate is right over any time.
-- Why SECURITY DEFINER: take_sample looks at all queues for a login role that may see none, and gives it nothing but
-- the time of the next sample. history shows service_role what it may see anyway.

create or replace function pgmq_admin.history(
    inout queue_name text default null,
    since timestamptz default now() - interval '15 minutes',
    buckets integer default 120,
    out at timestamptz,
    out messages bigint,
    out visible bigint,
    out delayed bigint,
    out in_flight bigint,
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
-- Thousands of points look costly to the planner, and compiling takes longer than they do.
set jit = off
as $history$
#variable_conflict use_column
declare
    most constant integer := 2000;
    wanted constant text := queue_name;
    day_ago constant timestamptz := now() - interval '1 day';
    step interval;
begin
    if wanted is not null then
        perform pgmq_gateway.check_queue_exists(wanted);
    end if;
    if buckets is null or buckets not between 1 and most then
        raise exception 'buckets "%" is not between 1 and %', buckets, most using
            errcode = 'invalid_parameter_value', hint = 'It is the number of points in time to answer: 120 for example.';
    elsif since is null or since >= clock_timestamp() or since < clock_timestamp() - interval '10 years' then
        raise exception 'since "%" is no time in the past', since using
            errcode = 'invalid_parameter_value', hint = 'Give the time that the history is to begin at.';
    end if;
    step := (clock_timestamp() - since) / buckets;
    -- A sample stands for what comes after it unless two are missing; after a day there is only one in five minutes.
    return query
    select
        q.queue_name::text, point.at, last.messages, last.visible, last.delayed, last.in_flight, last.archived,
        rows.sent / passed.seconds, rows.updated / passed.seconds, rows.archived / passed.seconds,
        greatest(rows.deleted - rows.archived, 0) / passed.seconds, last.oldest_seconds
    from pgmq.meta as q
    cross join (select since + n * step as at from generate_series(1, buckets) as n) as point
    left join lateral (
        select s.* from pgmq_gateway.samples as s
        where s.queue_name = q.queue_name and s.at <= point.at
        order by s.at desc
        limit 1
    ) as last on point.at - last.at
        <= make_interval(secs => greatest(2.5 * last.spacing, case when last.at < day_ago then 660 end))
    -- The last sample of the time before, or, where that is missing, the first of this one.
    left join lateral (
        select nearest.* from (
            select s.* from pgmq_gateway.samples as s
            where s.queue_name = q.queue_name and s.at < last.at and s.at <= point.at - step
            order by s.at desc
            limit 1
        ) as nearest
        where least(last.at, point.at - step) - nearest.at
            <= make_interval(secs => greatest(2.5 * nearest.spacing, case when nearest.at < day_ago then 660 end))
        union all
        (
            select s.* from pgmq_gateway.samples as s
            where s.queue_name = q.queue_name and s.at < last.at and s.at > point.at - step
            order by s.at
            limit 1
        )
        order by at
        limit 1
    ) as before on true
    -- What only grows and has shrunk began anew at nothing.
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
    where wanted is null or q.queue_name = wanted
    order by q.queue_name, point.at;
end;
$history$;
comment on function pgmq_admin.history is
    'How one queue, or each, did since a time, at as many points in time as buckets: messages by state, and how many '
    'were sent, read (or postponed), archived and deleted (or popped) in a second. Null where nothing was recorded.';
revoke all on function pgmq_admin.history from public;
grant execute on function pgmq_admin.history to service_role;
