-- Setting, changing and removing the group_limit of a queue.
--
-- Why arrange_groups is SECURITY DEFINER, of pgmq_definer: the trigger that keeps parked messages parked lets only that
-- role pass, and the messages are not written with the installer's privileges.

-- Parks and promotes the messages of all groups of a queue, so that each has as many as it can that are not parked; null:
-- promotes all. Messages in flight are never parked. The caller holds a lock that excludes other writers.
create or replace function pgmq_settings.arrange_groups(queue_table text, group_limit integer)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
as $arrange$
declare
    tables constant regclass[] := array[to_regclass(format('pgmq.%I', queue_table))];
begin
    perform pgmq_gateway.check_foreign_code(tables);
    perform pgmq_settings.check_sees_all(tables);
    execute format(
        $query$
        with grouped as (
            select
                q.msg_id, %2$s as name, q.read_ct > 0 and q.vt > $1 and q.vt < 'infinity' as in_flight
            from pgmq.%1$I as q
            where %2$s is not null
        ), placed as (
            select g.*, row_number() over (partition by g.name order by g.in_flight desc, g.msg_id) > $2 as parked
            from grouped as g
        )
        update pgmq.%1$I as q
        set vt = case when p.parked then 'infinity' else %3$s end,
            headers = case
                when p.parked and q.vt > $1
                then q.headers || jsonb_build_object('x-pgmq-not-before', extract(epoch from q.vt))
                else q.headers - 'x-pgmq-not-before'
            end
        from placed as p
        where q.msg_id = p.msg_id and not p.in_flight and p.parked <> (q.vt = 'infinity')
        $query$,
        queue_table, pgmq_settings.group_expression('q'), pgmq_settings.promotion_time()
    ) using clock_timestamp(), coalesce(group_limit, 2147483647);
end;
$arrange$;
revoke all on function pgmq_settings.arrange_groups from public;
alter function pgmq_settings.arrange_groups owner to pgmq_definer;

-- Raises unless a queue can have group_limit.
create or replace function pgmq_settings.check_groups(queue_table text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
declare
    longest integer;
    shortest integer;
begin
    if exists (
        select from pg_class as c
        where c.oid = to_regclass(format('pgmq.%I', queue_table)) and c.relkind = 'p'
    ) then
        raise exception 'a partitioned queue cannot have group_limit' using
            errcode = 'feature_not_supported', hint = 'Use a queue of type basic.';
    end if;
    execute format(
        'select min(length(g.name)), max(length(g.name)) from (select %s as name from pgmq.%I as q) as g',
        pgmq_settings.group_expression('q'), queue_table)
    into shortest, longest;
    perform pgmq_settings.check_grouped(repeat('x', n), null)
    from unnest(array[shortest, longest]) as n where n not between 1 and 128;
end;
$check$;
revoke all on function pgmq_settings.check_groups from public;

-- Gives a queue a group_limit, another one, or none (null): index, trigger functions, triggers and messages. Triggers
-- come first: without them, messages that are sent meanwhile would not be counted.
create or replace function pgmq_settings.limit_groups(queue_table text, group_limit integer)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
set client_min_messages = warning
as $limit$
begin
    perform pgmq_settings.check_isolation();
    perform pgmq_gateway.check_owners(array[to_regclass(format('pgmq.%I', queue_table))]::oid[]);
    execute format('lock table pgmq.%I in share row exclusive mode', queue_table);
    perform pgmq_settings.drop_group_triggers(queue_table);
    if group_limit is null then
        perform pgmq_settings.arrange_groups(queue_table, null);
        perform pgmq_settings.drop_group_functions(queue_table);
        execute format('drop index if exists pgmq.%I', pgmq_settings.group_index(queue_table));
        return;
    end if;
    perform pgmq_settings.check_groups(queue_table);
    perform pgmq_settings.create_group_index(queue_table);
    perform pgmq_settings.create_group_functions(queue_table, group_limit);
    perform pgmq_settings.create_group_triggers(queue_table);
    perform pgmq_settings.arrange_groups(queue_table, group_limit);
end;
$limit$;
revoke all on function pgmq_settings.limit_groups from public;
