-- The groups of a queue with group_limit.
--
-- SECURITY INVOKER, as browsing.sql.

-- The cost does not depend on the length of the queue: 1,000 groups are found by a step in the index each, at most 1,000
-- parked messages of each are counted, and no group has more than group_limit other messages.
create or replace function pgmq_admin.list_groups(
    queue_name text, from_group text default '', max_groups integer default 50
)
returns table (
    group_name text,
    parked bigint,
    visible bigint,
    delayed bigint,
    in_flight bigint,
    oldest_seconds double precision
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $groups$
declare
    message_table constant text := pgmq_gateway.message_table(queue_name, 'q');
begin
    if max_groups is null or max_groups not between 1 and 1000 then
        raise exception 'max_groups is %, but must be between 1 and 1000', coalesce(max_groups::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Use from_group for further groups.';
    elsif not exists (
        select from pgmq_settings.settings as s
        where s.queue_table = message_table and s.group_limit is not null
    ) then
        return;
    end if;
    return query execute format(
        $query$
        with recursive walk (name, place) as (
            (select %2$s, 1 from pgmq.%1$I as q where %2$s >= $2 order by %2$s limit 1)
            union all
            select (select %2$s from pgmq.%1$I as q where %2$s > w.name order by %2$s limit 1), w.place + 1
            from walk as w where w.name is not null and w.place < 1000
        ), busiest as materialized (
            select
                w.name,
                (select count(*) from (select from pgmq.%1$I as q where %3$s limit 1000) as p) as parked
            from walk as w where w.name is not null
            order by parked desc, w.name
            limit $3
        )
        select
            b.name, b.parked, c.visible, c.delayed, c.in_flight,
            extract(epoch from $1 - least(c.oldest, p.enqueued_at))::double precision
        from busiest as b
        cross join lateral (
            select %5$s, min(q.enqueued_at) from pgmq.%1$I as q where %4$s
        ) as c (visible, delayed, in_flight, parked, oldest)
        left join lateral (
            select q.enqueued_at from pgmq.%1$I as q where %6$s order by %2$s, q.vt, q.msg_id limit 1
        ) as p on true
        order by b.parked desc, b.name
        $query$,
        message_table,
        pgmq_settings.group_expression('q'),
        pgmq_settings.group_condition('w.name', true),
        pgmq_settings.group_condition('b.name', false),
        pgmq_settings.state_counts('$1'),
        pgmq_settings.group_condition('b.name', true)
    ) using clock_timestamp(), coalesce(from_group, ''), max_groups;
end;
$groups$;
comment on function pgmq_admin.list_groups is
    'Of the first 1,000 groups of a queue in the order of their names, those with the most parked messages: the messages '
    'of each by state, the parked ones counted up to 1,000, and the age of the oldest. from_group: the name to begin with.';
revoke all on function pgmq_admin.list_groups from public;
grant execute on function pgmq_admin.list_groups to service_role;
