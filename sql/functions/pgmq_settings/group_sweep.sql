-- The sweep of groups: promotes parked messages of groups that have fewer than they can. Such groups remain where the
-- deletion of a parked message was rolled back while the one before it was deleted.
--
-- Why SECURITY DEFINER, of pgmq_definer: as the triggers, it needs all messages, not those of its caller. It does no more than
-- they do.

-- Walks over the groups of a queue in the order of their names, each by a step in the index, not all of their messages.
--
-- after       the name to begin after; '' for the first
-- until       when to stop
-- promoted    the number of groups that had too few
-- next_group  the name to begin after next time; '' if the walk has reached the end
create or replace function pgmq_settings.sweep_groups(
    queue_table text, group_limit integer, after text, until timestamptz,
    out promoted integer, out next_group text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
as $sweep$
declare
    tables constant regclass[] := array[to_regclass(format('pgmq.%I', queue_table))];
    stalled text[];
begin
    perform pgmq_settings.check_isolation();
    perform pgmq_gateway.check_foreign_code(tables);
    perform pgmq_settings.check_sees_all(tables);
    execute format(
        $query$
        with recursive walk (name) as (
            (select %2$s from pgmq.%1$I as q where %2$s > $1 order by %2$s limit 1)
            union all
            select (select %2$s from pgmq.%1$I as q where %2$s > w.name order by %2$s limit 1)
            from walk as w where w.name is not null and clock_timestamp() < $2
        ), stalled as materialized (
            select w.name from walk as w
            where w.name is not null and %3$s and %4$s < %5$s
            limit 1000
        )
        select
            (select coalesce(array_agg(s.name), '{}') from stalled as s
                where pg_try_advisory_xact_lock($3, hashtext(s.name) & 255)),
            coalesce(
                (select max(s.name) from stalled as s having count(*) = 1000),
                (select max(w.name) from walk as w having bool_and(w.name is not null)), '')
        $query$,
        queue_table, pgmq_settings.group_expression('q'), pgmq_settings.group_waiting(queue_table, 'w.name'),
        pgmq_settings.group_occupied(queue_table, group_limit, 'w.name'), group_limit
    ) into stalled, next_group using after, until, tables[1]::oid::integer;
    if stalled <> '{}' then
        execute pgmq_settings.promotion(queue_table, group_limit, 'unnest($1) as g (name)') using stalled;
    end if;
    promoted := cardinality(stalled);
end;
$sweep$;
revoke all on function pgmq_settings.sweep_groups from public;
alter function pgmq_settings.sweep_groups owner to pgmq_definer;
