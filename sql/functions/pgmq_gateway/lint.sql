-- Whether pgmq's trigger finds the row without which it notifies nobody. Versions before 1.8 have no such table.
create or replace function pgmq_gateway.throttle_row_exists(queue_table regclass)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $row$
declare
    present boolean := true;
begin
    if to_regclass('pgmq.notify_insert_throttle') is not null then
        execute 'select exists (select from pgmq.notify_insert_throttle where queue_name = $1)' into present
            using (select substr(relname, 3) from pg_class where oid = queue_table);
    end if;
    return present;
end;
$row$;
revoke all on function pgmq_gateway.throttle_row_exists from public;

-- The queues that lint looks at: one, or all that still have their tables.
create or replace function pgmq_gateway.chosen_queues(chosen text)
returns table (queue_name text, queue_table regclass, archive_table regclass)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $chosen$
begin
    if chosen is not null then
        perform pgmq_gateway.check_queue_exists(chosen);
    end if;
    return query
    select m.queue_name::text, t.queue_table, t.archive_table
    from pgmq.meta as m
    cross join lateral (
        select
            to_regclass(format('pgmq.%I', pgmq.format_table_name(m.queue_name, 'q'))),
            to_regclass(format('pgmq.%I', pgmq.format_table_name(m.queue_name, 'a')))
    ) as t (queue_table, archive_table)
    where t.queue_table is not null and t.archive_table is not null
      and (chosen is null or m.queue_name = chosen);
end;
$chosen$;
revoke all on function pgmq_gateway.chosen_queues from public;

-- What each role that policies hold, and that has some right on a queue, may and may not do with it: what it lacks on
-- the tables, what stops it before them, what the policies say.
create or replace function pgmq_gateway.findings(chosen text)
returns table (
    queue_name text, queue_table regclass, archive_table regclass, oid oid, role name, operation text,
    lacks text, way text[], obstacles text[]
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $findings$
    with callers as materialized (
        select r.oid, r.role, o.operation, (pgmq_gateway.judge_functions(r.oid, o.operation)).obstacles as way
        from pgmq_gateway.request_roles() as r
        join pg_roles as a on a.oid = r.oid and not a.rolsuper and not a.rolbypassrls
        cross join pgmq_gateway.operation_rights() as o
    )
    select
        q.queue_name, q.queue_table, q.archive_table, c.oid, c.role, c.operation, missing.lacks, c.way,
        (pgmq_gateway.judge_policies(q.queue_table, q.archive_table, c.oid, c.operation)).obstacles
    from pgmq_gateway.chosen_queues(chosen) as q
    join callers as c
        on has_any_column_privilege(c.oid, q.queue_table, 'SELECT, INSERT, UPDATE')
        or has_table_privilege(c.oid, q.queue_table, 'DELETE')
    cross join lateral (
        select string_agg(format('%s on %s', p.privilege, p.on_table), ', ') as lacks
        from pgmq_gateway.missing_privileges(q.queue_table, q.archive_table, c.oid, c.operation) as p
    ) as missing;
$findings$;
revoke all on function pgmq_gateway.findings from public;

create or replace function pgmq_gateway.lint_rights(chosen text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    with found as materialized (
        select * from pgmq_gateway.findings(chosen)
    ), reach as (
        select by_role.queue_name, string_agg(by_role.said, ', ' order by by_role.said) as said
        from (
            select
                f.queue_name,
                format('%s may %s', f.role, string_agg(f.operation, ', ' order by f.operation)) as said
            from found as f
            where f.lacks is null and f.way = '{}'
            group by f.queue_name, f.role
        ) as by_role
        group by by_role.queue_name
    ), signs (operation, privilege, serves) as (
        -- The privilege that shows what somebody wanted a role to do.
        values
            ('send', 'INSERT', array['send']),
            ('read', 'UPDATE', array['read', 'pop']),
            ('delete', 'DELETE', array['delete', 'pop', 'archive'])
    ), halves as (
        select f.*, format('it has %s on %s and lacks %s', s.privilege, f.queue_table, f.lacks) as said
        from found as f
        join signs as s using (operation)
        where case s.privilege
                  when 'DELETE' then has_table_privilege(f.oid, f.queue_table, 'DELETE')
                  else has_any_column_privilege(f.oid, f.queue_table, s.privilege)
              end
          and not exists (
              select from found as g
              where g.queue_name = f.queue_name and g.oid = f.oid and g.operation = any (s.serves) and g.lacks is null)
        union all
        select f.*, format('it lacks %s', f.lacks)
        from found as f
        where f.operation = 'archive'
          and has_table_privilege(f.oid, f.queue_table, 'DELETE')
          and has_any_column_privilege(f.oid, f.archive_table, 'INSERT')
              <> has_any_column_privilege(f.oid, f.archive_table, 'SELECT')
        union all
        select f.*, 'it has the rights on the tables, but ' || array_to_string(f.way, ' ')
        from found as f
        where f.lacks is null and f.way <> '{}' and pgmq_admin.exposed()
    )
    select
        q.queue_name, 'rls_off', case when r.said is null then 'warning' else 'error' end,
        'Row-level security is off: ' || coalesce(r.said || ', all messages.', 'a right is one on all messages.'),
        format('pgmq_admin.set_rls(%L, true) turns it on; create_policy() says what is allowed then.', q.queue_name)
    from pgmq_gateway.chosen_queues(chosen) as q
    join pg_class as c on c.oid = q.queue_table and not c.relrowsecurity
    left join reach as r on r.queue_name = q.queue_name
    where pgmq_admin.exposed()
    union all
    select
        f.queue_name, 'silent_policy', 'warning',
        format('%s has the rights to %s, and policies hide all messages, without an error. %s', f.role,
            string_agg(f.operation, ', ' order by f.operation),
            (array_agg(o.obstacle order by f.operation = 'read' desc, f.operation))[1]),
        format('pgmq_admin.rights(%L) tells what each operation needs.', f.queue_name)
    from found as f
    cross join lateral unnest(f.obstacles) as o (obstacle)
    where f.lacks is null and f.way = '{}' and o.obstacle like '% answers %'
    group by f.queue_name, f.role
    union all
    select
        f.queue_name, 'notify_right', 'error',
        format('%s cannot send: the queue notifies, and the role lacks %s on pgmq.notify_insert_throttle.',
            f.role, lacking.privileges),
        format('pgmq_admin.grant_queue(%L, %L, ''{send}'') gives it.', f.queue_name, f.role)
    from found as f
    cross join lateral pgmq_gateway.missing_throttle_rights(f.queue_table, f.oid) as lacking (privileges)
    where f.operation = 'send' and f.lacks is null and lacking.privileges <> ''
    union all
    select
        h.queue_name, 'half_right', 'warning', format('%s cannot %s: %s', h.role, h.operation, h.said),
        format('pgmq_admin.grant_queue(%1$L, %2$L, ''{%3$s}'') gives what is missing, revoke_queue() takes the rest.',
            h.queue_name, h.role, h.operation)
    from halves as h;
$lint$;
revoke all on function pgmq_gateway.lint_rights from public;

create or replace function pgmq_gateway.lint_tables(chosen text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        q.queue_name, 'unlogged_in_use', 'warning',
        'The queue is unlogged and in use: a crash of the server empties it, and its ids begin at 1 again.',
        'For messages that must not be lost, create a queue of type basic and move them.'
    from pgmq_gateway.chosen_queues(chosen) as q
    join pg_class as c on c.oid = q.queue_table
    where c.relpersistence = 'u' and pg_relation_size(c.oid) > 0
    union all
    select
        q.queue_name, 'notify_row', 'warning',
        'The queue has the trigger that notifies, and nobody is notified: ' || case
            when never.so then 'pgmq looks it up by the name of a table, that of a partition or in small letters.'
            else 'its row in pgmq.notify_insert_throttle is missing, as after a crash.'
        end,
        format(
            case when never.so then 'pgmq_admin.disable_notify(%L) saves the work of it.'
                else 'pgmq_admin.enable_notify(%L) puts it back.' end,
            q.queue_name)
    from pgmq_gateway.chosen_queues(chosen) as q
    join pg_class as c on c.oid = q.queue_table
    join pg_trigger as t on t.tgrelid = q.queue_table and t.tgname = 'trigger_notify_queue_insert_listeners'
    cross join lateral (select c.relkind = 'p' or q.queue_name <> lower(q.queue_name)) as never (so)
    where never.so or not pgmq_gateway.throttle_row_exists(q.queue_table)
    union all
    select
        q.queue_name, 'partitions_missing', 'warning',
        'Messages came to the default partition: pg_partman''s maintenance had made no partition for them.',
        'Have run_maintenance() of pg_partman run now and then, by pg_cron or its background worker; '
            'partition_data_proc() moves what is there already.'
    from pgmq_gateway.chosen_queues(chosen) as q
    where exists (
        select from pg_partitioned_table as p
        where p.partrelid in (q.queue_table, q.archive_table) and pg_relation_size(p.partdefid) > 0);
$lint$;
revoke all on function pgmq_gateway.lint_tables from public;

-- Functions that callers may execute, that work on queues, and that do it with their owner's rights.
create or replace function pgmq_gateway.lint_functions()
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        null::text, 'definer_function', case n.nspname when 'pgmq_public' then 'error' else 'warning' end,
        format('%s is SECURITY DEFINER: on queues it acts as %s, past the rights and policies of its callers.',
            p.oid::regprocedure, p.proowner::regrole),
        'Make it SECURITY INVOKER, or see to it that it decides itself who may do what.'
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where p.prosecdef
      and n.nspname not in ('pg_catalog', 'information_schema', 'pgmq', 'pgmq_admin', 'pgmq_gateway')
      and (n.nspname = 'pgmq_public' or coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) ~ '\mpgmq(_public)?\M')
      and exists (
          select from pgmq_gateway.request_roles() as r
          join pg_roles as a on a.oid = r.oid and not a.rolsuper and not a.rolbypassrls
          where has_schema_privilege(r.oid, n.oid, 'usage') and has_function_privilege(r.oid, p.oid, 'execute'));
$lint$;
revoke all on function pgmq_gateway.lint_functions from public;
