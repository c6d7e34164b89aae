-- Whether calls can share a transaction that no caller can distinguish from several.

-- What a shared transaction compares before its first call and after its last: the versions of all rows of the catalog
-- that decide what the calls do. The result does not depend on the order of the rows.
--
-- relations  tables and row types. What is attached to them has rows in pg_depend that are replaced with it: triggers,
--            policies, defaults, indexes, constraints, rules, inheriting tables.
-- functions  names of functions and operators, in any schema
--
-- And casts between built-in types, which functions find without a name.
--
-- Settings: a plan for these arguments would cost more than it saves, and tables that are small now can grow.
create or replace function pgmq_gateway.fingerprint(relations oid[], functions text[])
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
as $fingerprint$
declare
    combined bigint;
begin
    select bit_xor(hashtidextended(v.place, hashint8extended(v.writer::text::bigint, v.kind)))
    into combined
    from (
        select 1, c.ctid, c.xmin from pg_class as c where c.oid = any (relations)
        union all
        select 2, d.ctid, d.xmin from pg_depend as d
        where d.refclassid = 'pg_class'::regclass and d.refobjid = any (relations)
        union all
        select 3, d.ctid, d.xmin from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = any (relations)
        union all
        select 4, p.ctid, p.xmin from pg_proc as p where p.proname = any (functions)
        union all
        select 5, o.ctid, o.xmin from pg_operator as o where o.oid >= 16384 and o.oprname = any (functions)
        union all
        select 6, k.ctid, k.xmin from pg_cast as k
        where k.oid >= 16384 and k.castfunc <> 0 and k.castsource < 16384 and k.casttarget < 16384
    ) as v (kind, place, writer);
    return concat_ws(' ', to_regnamespace('pgmq')::oid, to_regnamespace('pgmq_public')::oid, combined);
end;
$fingerprint$;
revoke all on function pgmq_gateway.fingerprint from public;
grant execute on function pgmq_gateway.fingerprint to authenticator;

-- The tables that calls of a function write, and the row type of messages. The login role may not use the schema
-- pgmq, so they are looked up by name.
create or replace function pgmq_gateway.written_tables(queue_name text, function_name text)
returns oid[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $tables$
    select array(
        select c.oid
        from pg_class as c
        join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'pgmq'
          and c.relname = any (
              array['message_record', lower('q_' || queue_name)]
              || case when function_name = 'archive' then lower('a_' || queue_name) end)
        order by c.relname desc);
$tables$;
revoke all on function pgmq_gateway.written_tables from public;
grant execute on function pgmq_gateway.written_tables to authenticator;

-- Why calls of a function on a queue cannot share a transaction, and what a shared transaction has to compare. One
-- snapshot shows all of it.
--
-- obstacles  sentences; empty if the calls can share
-- fusion     what `calls` needs to run them as one statement; null: they run one by one
create or replace function pgmq_gateway.judgement(
    queue_name text,
    function_name text,
    out obstacles text[],
    out relations oid[],
    out functions text[],
    out fingerprint text,
    out fusion json
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $judgement$
declare
    tables constant oid[] := pgmq_gateway.written_tables(queue_name, function_name);
    by_tables constant record := pgmq_gateway.table_obstacles(tables);
    by_function constant record := pgmq_gateway.function_obstacles(function_name);
begin
    obstacles := by_function.obstacles || by_tables.obstacles;
    -- archive writes two tables; the row type exists without the queue.
    if cardinality(tables) < 2 + (function_name = 'archive')::integer then
        obstacles := obstacles || 'The queue does not exist.'::text;
    end if;
    relations := by_tables.relations;
    functions := by_function.functions || by_tables.functions;
    fingerprint := pgmq_gateway.fingerprint(relations, functions);
    if obstacles = '{}' and by_tables.fusible then
        fusion := pgmq_gateway.fusion(
            queue_name, function_name, by_function.routines, by_tables.reads_requests);
    end if;
end;
$judgement$;
revoke all on function pgmq_gateway.judgement from public;
grant execute on function pgmq_gateway.judgement to authenticator;

-- The rule of the lint: queues whose calls cannot share, and functions, once for all queues or with the selected one.
create or replace function pgmq_gateway.lint_sharing(only_queue text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    with functions as (
        select coalesce(array_agg(distinct o order by o), '{}') as obstacles
        from unnest(array['send', 'send_batch', 'read', 'pop', 'archive', 'delete']) as f (name)
        cross join lateral pgmq_gateway.function_obstacles(f.name) as j
        cross join lateral unnest(j.obstacles) as o
    ), subjects (queue_name, obstacles) as (
        select q.queue_name, t.obstacles || case when only_queue is null then '{}' else f.obstacles end
        from functions as f
        cross join pgmq_gateway.selected_queues(only_queue) as q
        cross join lateral pgmq_gateway.table_obstacles(
            pgmq_gateway.written_tables(q.queue_name, 'read') || q.archive_table::oid) as t
        union all
        select null, f.obstacles from functions as f where only_queue is null
    )
    select
        s.queue_name, 'no_sharing', 'info',
        format(
            'Each call runs in a transaction of its own, although calls that arrive together could share one. %s',
            array_to_string(s.obstacles[:3], ' '))
            || case when cardinality(s.obstacles) > 3
                then format(' And %s more reasons.', cardinality(s.obstacles) - 3) else '' end,
        'This is correct, but slower under load. docs/admin.md lists which functions and tables prevent sharing.'
    from subjects as s
    where s.obstacles <> '{}';
$lint$;
revoke all on function pgmq_gateway.lint_sharing from public;
