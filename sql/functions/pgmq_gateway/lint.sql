-- The rules of pgmq_admin.lint().

-- True if pgmq's trigger finds the row without which it sends no notification. Versions before 1.8 have no such table.
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

-- The queues to look at: one, or all that still have their tables.
create or replace function pgmq_gateway.selected_queues(only_queue text)
returns table (queue_name text, queue_table regclass, archive_table regclass)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $selected$
begin
    if only_queue is not null then
        perform pgmq_gateway.check_queue_exists(only_queue);
    end if;
    return query
    select m.queue_name::text, t.queue_table, t.archive_table
    from pgmq.meta as m
    cross join lateral (
        select
            to_regclass(format('pgmq.%I', pgmq.format_table_name(m.queue_name::text, 'q'))),
            to_regclass(format('pgmq.%I', pgmq.format_table_name(m.queue_name::text, 'a')))
    ) as t (queue_table, archive_table)
    where t.queue_table is not null and t.archive_table is not null
      and (only_queue is null or m.queue_name = only_queue);
end;
$selected$;
revoke all on function pgmq_gateway.selected_queues from public;

-- The operations of each role that policies apply to and that has some privilege on a queue.
create or replace function pgmq_gateway.queue_access(only_queue text)
returns setof pgmq_gateway.queue_access
language sql
stable
set search_path = pg_catalog, pg_temp
as $access$
    with callers as materialized (
        select r.oid, r.role, o.operation, (pgmq_gateway.judge_functions(r.oid, o.operation)).blockers
        from pgmq_gateway.limited_roles() as r
        cross join pgmq_gateway.operation_privileges() as o
    )
    select
        q.queue_name, q.queue_table, q.archive_table, c.oid, c.role, c.operation, missing.lacks, c.blockers,
        (pgmq_gateway.judge_policies(q.queue_table, q.archive_table, c.oid, c.operation)).silent_blockers
    from pgmq_gateway.selected_queues(only_queue) as q
    join callers as c
        on has_any_column_privilege(c.oid, q.queue_table, 'SELECT, INSERT, UPDATE')
        or has_table_privilege(c.oid, q.queue_table, 'DELETE')
    cross join lateral (
        select string_agg(format('%s on %s', p.privilege, p.on_table), ', ') as lacks
        from pgmq_gateway.missing_privileges(q.queue_table, q.archive_table, c.oid, c.operation) as p
    ) as missing;
$access$;
revoke all on function pgmq_gateway.queue_access from public;

create or replace function pgmq_gateway.lint_rls(access pgmq_gateway.queue_access[], only_queue text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    with by_role as (
        select a.queue_name, format('%s (%s)', a.role, string_agg(a.operation, ', ' order by a.operation)) as operations
        from unnest(access) as a
        where a.lacks is null and a.path_blockers = '{}'
        group by a.queue_name, a.role
    ), by_queue as (
        select r.queue_name, string_agg(r.operations, ', ' order by r.operations) as roles
        from by_role as r
        group by r.queue_name
    )
    select
        q.queue_name, 'rls_off', case when r.roles is null then 'warning' else 'error' end,
        case
            when r.roles is null
            then 'Row-level security is off: every role that you grant privileges can access all messages.'
            else format('Row-level security is off, so these roles can access all messages: %s.', r.roles)
        end,
        format('pgmq_admin.set_rls(%L, true) turns it on; then create_policy() allows access.', q.queue_name)
    from pgmq_gateway.selected_queues(only_queue) as q
    join pg_class as c on c.oid = q.queue_table and not c.relrowsecurity
    left join by_queue as r on r.queue_name = q.queue_name
    where pgmq_admin.exposed();
$lint$;
revoke all on function pgmq_gateway.lint_rls from public;

create or replace function pgmq_gateway.lint_policies(access pgmq_gateway.queue_access[])
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        a.queue_name, 'silent_policy', 'warning',
        format(
            '%s has the privileges to %s, but policies hide all messages, without an error. %s', a.role,
            string_agg(a.operation, ', ' order by a.operation),
            (array_agg(b.blocker order by a.operation = 'read' desc, a.operation))[1]),
        format('pgmq_admin.rights(%L) shows what each operation needs.', a.queue_name)
    from unnest(access) as a
    cross join lateral unnest(a.silent_blockers) as b (blocker)
    where a.lacks is null and a.path_blockers = '{}'
    group by a.queue_name, a.role;
$lint$;
revoke all on function pgmq_gateway.lint_policies from public;

create or replace function pgmq_gateway.lint_notify_privileges(access pgmq_gateway.queue_access[])
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        a.queue_name, 'notify_right', 'error',
        format(
            '%s cannot send: the queue has notifications, and the role lacks %s on pgmq.notify_insert_throttle.',
            a.role, missing.privileges),
        format('Grant it with pgmq_admin.grant_queue(%L, %L, ''{send}'').', a.queue_name, a.role)
    from unnest(access) as a
    cross join lateral pgmq_gateway.missing_throttle_privileges(a.queue_table, a.oid) as missing (privileges)
    where a.operation = 'send' and a.lacks is null and missing.privileges <> '';
$lint$;
revoke all on function pgmq_gateway.lint_notify_privileges from public;

-- Operations that a role was meant to have, going by one privilege, and that another one is missing for.
create or replace function pgmq_gateway.half_privileges(access pgmq_gateway.queue_access[])
returns table (queue_name text, role name, operation text, explanation text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $half$
    with signs (operation, privilege, serves) as (
        values
            ('send', 'INSERT', array['send']),
            ('read', 'UPDATE', array['read', 'pop']),
            ('delete', 'DELETE', array['delete', 'pop', 'archive'])
    )
    select
        a.queue_name, a.role, a.operation,
        format('it has %s on %s and lacks %s', s.privilege, a.queue_table, a.lacks)
    from unnest(access) as a
    join signs as s using (operation)
    where case s.privilege
              when 'DELETE' then has_table_privilege(a.oid, a.queue_table, 'DELETE')
              else has_any_column_privilege(a.oid, a.queue_table, s.privilege)
          end
      and not exists (
          select from unnest(access) as other
          where other.queue_name = a.queue_name and other.oid = a.oid and other.operation = any (s.serves)
            and other.lacks is null)
    union all
    select a.queue_name, a.role, a.operation, format('it lacks %s', a.lacks)
    from unnest(access) as a
    where a.operation = 'archive'
      and has_table_privilege(a.oid, a.queue_table, 'DELETE')
      and has_any_column_privilege(a.oid, a.archive_table, 'INSERT')
          <> has_any_column_privilege(a.oid, a.archive_table, 'SELECT')
    union all
    select
        a.queue_name, a.role, a.operation,
        'it has the privileges on the tables, but ' || array_to_string(a.path_blockers, ' ')
    from unnest(access) as a
    where a.lacks is null and a.path_blockers <> '{}' and pgmq_admin.exposed();
$half$;
revoke all on function pgmq_gateway.half_privileges from public;

create or replace function pgmq_gateway.lint_half_privileges(access pgmq_gateway.queue_access[])
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        h.queue_name, 'half_right', 'warning', format('%s cannot %s: %s', h.role, h.operation, h.explanation),
        format(
            'pgmq_admin.grant_queue(%1$L, %2$L, ''{%3$s}'') grants what is missing, revoke_queue() revokes the rest.',
            h.queue_name, h.role, h.operation)
    from pgmq_gateway.half_privileges(access) as h;
$lint$;
revoke all on function pgmq_gateway.lint_half_privileges from public;

-- Queues whose tables lose messages or do not do what they are for.
create or replace function pgmq_gateway.lint_tables(only_queue text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        q.queue_name, 'unlogged_in_use', 'warning',
        'The queue is unlogged and in use: a crash of the server empties it, and its ids start at 1 again.',
        'For messages that must not be lost, create a queue of type basic and move them.'
    from pgmq_gateway.selected_queues(only_queue) as q
    join pg_class as c on c.oid = q.queue_table
    where c.relpersistence = 'u' and pg_relation_size(c.oid) > 0
    union all
    select
        q.queue_name, 'notify_row', 'warning',
        'The queue has the trigger for notifications, but none is ever sent: ' || case
            when unsupported.yes then 'pgmq looks up the queue by the name of a partition, or in lower case.'
            else 'its row in pgmq.notify_insert_throttle is missing, as after a crash.'
        end,
        format(
            case when unsupported.yes then 'pgmq_admin.disable_notify(%L) removes the useless trigger.'
                else 'pgmq_admin.enable_notify(%L) restores it.' end,
            q.queue_name)
    from pgmq_gateway.selected_queues(only_queue) as q
    join pg_class as c on c.oid = q.queue_table
    join pg_trigger as t on t.tgrelid = q.queue_table and t.tgname = 'trigger_notify_queue_insert_listeners'
    cross join lateral (select c.relkind = 'p' or q.queue_name <> lower(q.queue_name)) as unsupported (yes)
    where unsupported.yes or not pgmq_gateway.throttle_row_exists(q.queue_table)
    union all
    select
        q.queue_name, 'partitions_missing', 'warning',
        'Messages are in the default partition: pg_partman''s maintenance had created no partition for them.',
        'Run pg_partman''s run_maintenance() regularly, by pg_cron or by its background worker; '
            'partition_data_proc() moves the messages that are there already.'
    from pgmq_gateway.selected_queues(only_queue) as q
    where exists (
        select from pg_partitioned_table as p
        where p.partrelid in (q.queue_table, q.archive_table) and pg_relation_size(p.partdefid) > 0);
$lint$;
revoke all on function pgmq_gateway.lint_tables from public;

-- Functions that requests can execute, that access queues, and that do so with the privileges of their owner.
create or replace function pgmq_gateway.lint_functions()
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        null::text, 'definer_function', case n.nspname when 'pgmq_public' then 'error' else 'warning' end,
        format('%s is SECURITY DEFINER: it accesses queues as %s, whatever the privileges and policies of its callers.',
            p.oid::regprocedure, p.proowner::regrole),
        'Make it SECURITY INVOKER, or make sure that it checks itself what its callers may do.'
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where p.prosecdef
      and n.nspname not in (
          'pg_catalog', 'information_schema', 'pgmq', 'pgmq_admin', 'pgmq_settings', 'pgmq_gateway')
      and (n.nspname = 'pgmq_public' or coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) ~ '\mpgmq(_public)?\M')
      and exists (
          select from pgmq_gateway.limited_roles() as r
          where has_schema_privilege(r.oid, n.oid, 'usage') and has_function_privilege(r.oid, p.oid, 'execute'));
$lint$;
revoke all on function pgmq_gateway.lint_functions from public;

-- Roles of callers, except those that bypass policies, whose statements have no time limit of their own.
create or replace function pgmq_gateway.lint_time_limits()
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        null::text, 'no_time_limit', 'warning',
        format('%s has no statement_timeout: a few slow calls occupy all connections until authenticator''s ends them.',
            r.role),
        format(
            'alter role %I set statement_timeout = %L; the gateway applies it after notify pgrst, ''reload schema''.',
            r.role, case r.role when 'anon' then '3s' else '8s' end)
    from pgmq_gateway.limited_roles() as r
    where not exists (
        select
        from pg_db_role_setting as s
        cross join lateral unnest(s.setconfig) as c (setting)
        where s.setrole = r.oid
          and s.setdatabase in (0, (select d.oid from pg_database as d where d.datname = current_database()))
          and c.setting ~ '^statement_timeout=[^0]');
$lint$;
revoke all on function pgmq_gateway.lint_time_limits from public;
