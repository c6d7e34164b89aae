-- The rules of pgmq_admin.lint() about code of roles that requests run as: see foreign_code.sql.

-- Tables of pgmq and of the gateway with their queue, those of one queue with its partitions, or all. Of tables that
-- belong to no queue the name is null.
create or replace function pgmq_gateway.lint_relations(only_queue text)
returns table (queue_name text, oid oid, owner oid)
language sql
stable
set search_path = pg_catalog, pg_temp
as $relations$
    with parts as (
        select q.queue_name, t.oid
        from pgmq_gateway.selected_queues(only_queue) as q
        cross join lateral (
            select q.queue_table union select q.archive_table
            union select relid from pg_partition_tree(q.queue_table)
            union select relid from pg_partition_tree(q.archive_table)
        ) as t (oid)
    )
    select p.queue_name, c.oid, c.relowner
    from pg_class as c
    left join parts as p on p.oid = c.oid
    where c.relnamespace in (
          to_regnamespace('pgmq'), to_regnamespace('pgmq_gateway'), to_regnamespace('pgmq_settings'))
      and c.relkind in ('r', 'p', 'f', 'v', 'm')
      and (only_queue is null or p.queue_name is not null);
$relations$;
revoke all on function pgmq_gateway.lint_relations from public;

create or replace function pgmq_gateway.lint_excess_privileges(only_queue text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        r.queue_name, 'excess_privilege', 'warning',
        format('%s has privileges that no call needs: %s.', case e.grantee when 'public' then 'Every role' else e.grantee end,
            string_agg(format('%s on %s', e.privileges, e.on_table), ', ' order by e.place)),
        'pgmq-gateway install revokes them; with --keep-trigger it keeps them.'
    from pgmq_gateway.excess_privileges() as e
    join pgmq_gateway.lint_relations(only_queue) as r on r.oid = e.on_table
    where not pgmq_gateway.keeps_excess_privileges()
    group by r.queue_name, e.grantee;
$lint$;
revoke all on function pgmq_gateway.lint_excess_privileges from public;

-- Triggers with code of roles of requests, and triggers because of which functions of pgmq_admin refuse to write.
create or replace function pgmq_gateway.lint_triggers(only_queue text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        r.queue_name, 'foreign_trigger', case when c.oid is null then 'warning' else 'error' end,
        format(
            case when t.owner is null
                then 'Trigger "%s" on %s has a WHEN condition, so functions that run as %s do not write the table.'
                else 'Trigger "%s" on %s runs a function of %4$s, with the privileges of each role that writes the table.'
            end,
            t.trigger_name, t.on_table, quote_ident(current_user), t.owner),
        format('Find out who created it, then drop it: drop trigger %I on %s.', t.trigger_name, t.on_table)
    from (select array_agg(l.oid) as tables from pgmq_gateway.lint_relations(only_queue) as l) as l
    cross join pgmq_gateway.foreign_triggers(l.tables) as t
    join pgmq_gateway.lint_relations(only_queue) as r on r.oid = t.on_table
    left join pgmq_gateway.caller_roles() as c on c.oid = t.owner
    where c.oid is not null or t.truncate or r.queue_name is null;
$lint$;
revoke all on function pgmq_gateway.lint_triggers from public;

-- Tables and functions that a role of requests owns. It can change them, and other roles run the result. Functions of
-- other schemas are considered if their text mentions pgmq, or if policies and the like of a table call them.
create or replace function pgmq_gateway.lint_owners(only_queue text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    with owned as (
        select r.queue_name, 'table ' || r.oid::regclass as what, r.owner
        from pgmq_gateway.lint_relations(only_queue) as r
        union
        select r.queue_name, 'function ' || t.function::regprocedure, p.proowner
        from (select array_agg(l.oid) as tables from pgmq_gateway.lint_relations(only_queue) as l) as l
        cross join pgmq_gateway.table_functions(l.tables) as t
        join pgmq_gateway.lint_relations(only_queue) as r on r.oid = t.on_table
        join pg_proc as p on p.oid = t.function
        union
        select null, 'function ' || p.oid::regprocedure, p.proowner
        from pg_proc as p
        join pg_namespace as n on n.oid = p.pronamespace
        where only_queue is null
          and (
              n.nspname in ('pgmq', 'pgmq_public', 'pgmq_api', 'pgmq_admin', 'pgmq_settings', 'pgmq_gateway')
              or n.nspname !~ '^pg_' and coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) ~ '\mpgmq(_public)?\M'
          )
    )
    select
        o.queue_name, 'caller_owns', 'error',
        format('%s is owned by %s, which requests can run as: it can change what other roles run.', o.what, c.role),
        format('Check it, then run: alter %s owner to %I.', o.what, current_user)
    from owned as o
    join pgmq_gateway.caller_roles() as c on c.oid = o.owner;
$lint$;
revoke all on function pgmq_gateway.lint_owners from public;
