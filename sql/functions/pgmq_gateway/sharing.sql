-- Decides if calls can share a transaction that no caller can distinguish from several.
--
-- function_name  that of one of the six functions, or with its schema that of one of pgmq_api, as in the names of plain
--                calls

-- The settings of queues that decide what calls of pgmq_api write, and the versions of their rows. A view, because the
-- login role has no privileges on pgmq_settings. With two tables, all releases of pg_dump qualify its columns.
create or replace view pgmq_gateway.sharing_settings as
select
    t.relation, s.queue_table, s.dead_letter_queue, s.deduplication_by_content, s.ctid as place, s.xmin as writer
from (select 'pgmq_settings.queues'::regclass::oid as relation) as t
cross join pgmq_settings.queues as s;
grant select on pgmq_gateway.sharing_settings to authenticator;

-- What a shared transaction compares before its first call and after its last: the versions of all rows of the catalog
-- that decide what the calls do. The result does not depend on the order of the rows.
--
-- relations  tables and row types. What is attached to them has rows in pg_depend that are replaced with it: triggers,
--            policies, defaults, indexes, constraints, rules, inheriting tables.
-- functions  names of functions and operators, in any schema
--
-- With pgmq_settings.queues, the settings of the queues among the tables count too.
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
        union all
        select 7, s.place, s.writer
        from pg_class as c
        join pgmq_gateway.sharing_settings as s on s.queue_table = c.relname::text
        where c.oid = any (relations) and s.relation = any (relations)
    ) as v (kind, place, writer);
    return concat_ws(' ', to_regnamespace('pgmq')::oid, to_regnamespace('pgmq_public')::oid, combined);
end;
$fingerprint$;
revoke all on function pgmq_gateway.fingerprint from public;
grant execute on function pgmq_gateway.fingerprint to authenticator;

-- True if calls of a function write the archive. Those of pgmq_api that receive messages bury dead ones there.
create or replace function pgmq_gateway.writes_archive(function_name text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $writes$
    select function_name in ('archive', 'pgmq_api.archive', 'pgmq_api.read', 'pgmq_api.pop');
$writes$;
revoke all on function pgmq_gateway.writes_archive from public;
grant execute on function pgmq_gateway.writes_archive to authenticator;

-- The tables that calls of a function write, and the row type of messages. The login role may not use the schemas
-- pgmq and pgmq_api, so they are looked up by name.
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
                array[lower('q_' || queue_name)]
                || case when function_name !~ '\.' then array['message_record'] end
                || case when pgmq_gateway.writes_archive(function_name) then lower('a_' || queue_name) end)
            or n.nspname = 'pgmq_api' and c.relname = 'message' and function_name ~ '\.'
        order by c.relname desc);
$tables$;
revoke all on function pgmq_gateway.written_tables from public;
grant execute on function pgmq_gateway.written_tables to authenticator;

-- The part of the settings of a queue in the judgement of a function of pgmq_api.
--
-- tables     the dead-letter queue, if the function writes it
-- relations  pgmq_settings.queues
create or replace function pgmq_gateway.judge_settings(
    queue_name text, function_name text, out obstacles text[], out tables oid[], out relations oid[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $judge$
declare
    settings pgmq_gateway.sharing_settings;
begin
    obstacles := '{}';
    tables := '{}';
    relations := '{}';
    if function_name !~ '\.' then
        return;
    end if;
    relations := array(
        select c.oid from pg_class as c
        where c.relnamespace = to_regnamespace('pgmq_settings') and c.relname = 'queues');
    select s.* into settings
    from pgmq_gateway.sharing_settings as s where s.queue_table = lower('q_' || judge_settings.queue_name);
    if settings.deduplication_by_content and function_name = 'pgmq_api.send' then
        -- The ids of all calls would stay locked until the last one has ended, in any order.
        obstacles := obstacles || 'Its setting deduplication_by_content makes sends wait for each other.'::text;
    end if;
    if settings.dead_letter_queue is not null and function_name in ('pgmq_api.read', 'pgmq_api.pop') then
        tables := pgmq_gateway.written_tables(settings.dead_letter_queue, 'pgmq_api.send');
        if cardinality(tables) < 2 then
            obstacles := obstacles || 'Its dead-letter queue does not exist.'::text;
        end if;
    end if;
end;
$judge$;
revoke all on function pgmq_gateway.judge_settings from public;
grant execute on function pgmq_gateway.judge_settings to authenticator;

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
    by_settings constant record := pgmq_gateway.judge_settings(queue_name, function_name);
    by_tables constant record := pgmq_gateway.table_obstacles(tables || by_settings.tables);
    by_function constant record := pgmq_gateway.function_obstacles(function_name);
begin
    obstacles := by_function.obstacles || by_settings.obstacles || by_tables.obstacles;
    -- The row type exists without the queue.
    if cardinality(tables) < 2 + pgmq_gateway.writes_archive(function_name)::integer then
        obstacles := obstacles || 'The queue does not exist.'::text;
    end if;
    relations := by_tables.relations || by_settings.relations;
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

-- The rule of the lint: queues whose calls cannot share, and functions, once for all queues or with the selected one. With
-- group_limit, calls run alone by design.
create or replace function pgmq_gateway.lint_sharing(only_queue text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    with functions as (
        select coalesce(array_agg(distinct o order by o), '{}') as obstacles
        from unnest(array[
            'send', 'send_batch', 'read', 'pop', 'archive', 'delete', 'pgmq_api.send', 'pgmq_api.read', 'pgmq_api.pop',
            'pgmq_api.ack', 'pgmq_api.settle', 'pgmq_api.delete', 'pgmq_api.archive'
        ]) as f (name)
        cross join lateral pgmq_gateway.function_obstacles(f.name) as j
        cross join lateral unnest(j.obstacles) as o
    ), subjects (queue_name, obstacles) as (
        select q.queue_name, t.obstacles || case when only_queue is null then '{}' else f.obstacles end
        from functions as f
        cross join pgmq_gateway.selected_queues(only_queue) as q
        cross join lateral pgmq_gateway.table_obstacles(
            pgmq_gateway.written_tables(q.queue_name, 'read') || q.archive_table::oid) as t
        where not exists (
            select from pgmq_settings.queues as s
            where s.queue_table = lower('q_' || q.queue_name) and s.group_limit is not null)
        union all
        select null, f.obstacles from functions as f where only_queue is null
    )
    select
        s.queue_name, 'no_sharing', 'info',
        format(
            'Each call runs in a transaction of its own, although calls that arrive together could share one. %s',
            array_to_string(s.obstacles[:3], ' '))
            || case when cardinality(s.obstacles) > 3
                then format(' And %s more.', cardinality(s.obstacles) - 3) else '' end,
        'This is correct, but slower under load. docs/reference/management.md lists the functions and tables that '
            'prevent sharing.'
    from subjects as s
    where s.obstacles <> '{}';
$lint$;
revoke all on function pgmq_gateway.lint_sharing from public;
