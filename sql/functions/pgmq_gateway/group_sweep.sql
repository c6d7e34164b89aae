-- Sweeps the groups of all queues with group_limit for about `budget_ms`, each from where the last sweep has stopped, and
-- returns how many groups it has promoted messages of. For the background: a call that finds another one at work does
-- nothing.
create or replace function pgmq_gateway.sweep_groups(budget_ms integer)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $sweep$
declare
    tables constant regclass[] := array['pgmq_settings.group_sweeps'];
    until constant timestamptz := clock_timestamp() + make_interval(secs => budget_ms / 1000.0);
    queue record;
    swept record;
    promoted integer := 0;
begin
    if not pg_try_advisory_xact_lock(hashtext('pgmq_gateway.sweep_groups')) then
        return 0;
    end if;
    perform pgmq_gateway.check_foreign_code(tables);
    for queue in
        select s.queue_table, s.group_limit, coalesce(g.last_group, '') as last_group
        from pgmq_settings.queues as s
        left join pgmq_settings.group_sweeps as g on g.queue_table = s.queue_table
        where s.group_limit is not null and to_regclass(format('pgmq.%I', s.queue_table)) is not null
        order by random()
    loop
        exit when clock_timestamp() >= until;
        begin
            swept := pgmq_settings.sweep_groups(
                queue.queue_table, queue.group_limit, queue.last_group, until);
        exception when insufficient_privilege or undefined_table then
            raise warning 'groups of % cannot be swept: %', queue.queue_table, sqlstate;
            continue;
        end;
        promoted := promoted + swept.promoted;
        if swept.next_group <> queue.last_group then
            insert into pgmq_settings.group_sweeps values (queue.queue_table, swept.next_group)
            on conflict (queue_table) do update set last_group = excluded.last_group;
        end if;
    end loop;
    return promoted;
end;
$sweep$;
revoke all on function pgmq_gateway.sweep_groups from public;
