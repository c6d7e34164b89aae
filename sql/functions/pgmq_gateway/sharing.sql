-- Whether calls can share a transaction that no caller can distinguish from several.

-- What a shared transaction compares before its first call and after its last: the versions of all rows of the catalog
-- that decide what the calls do. The result does not depend on the order of the rows.
--
-- relations  tables and row types. What is attached to them has rows in pg_depend: triggers, policies, defaults, indexes,
--            constraints, rules, inheriting tables. A row of pg_depend is replaced with what it belongs to.
-- functions  names of functions and operators, in any schema
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
    ) as v (kind, place, writer);
    return concat_ws(' ', to_regnamespace('pgmq')::oid, to_regnamespace('pgmq_public')::oid, combined);
end;
$fingerprint$;
revoke all on function pgmq_gateway.fingerprint from public;
grant execute on function pgmq_gateway.fingerprint to authenticator;

-- Why calls of a function on a queue cannot share a transaction, and what a shared transaction has to compare.
--
-- obstacles  sentences; empty if the calls can share
create or replace function pgmq_gateway.judgement(
    queue_name text,
    function_name text,
    out obstacles text[],
    out relations oid[],
    out functions text[],
    out fingerprint text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $judgement$
begin
    relations := array(
        select c.oid
        from pg_class as c
        join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'pgmq' and c.relname in (lower('q_' || queue_name), lower('a_' || queue_name)));
    functions := array[function_name, 'format_table_name'];
    fingerprint := pgmq_gateway.fingerprint(relations, functions);
    obstacles := array(
        select 'the queue does not exist'
        where cardinality(relations) < 2
        union all
        select format('%s is not an ordinary table', c.relname)
        from pg_class as c
        where c.oid = any (relations) and c.relkind <> 'r'
        union all
        select format('%s has the trigger %s', t.tgrelid::regclass, t.tgname)
        from pg_trigger as t
        where t.tgrelid = any (relations));
end;
$judgement$;
revoke all on function pgmq_gateway.judgement from public;
grant execute on function pgmq_gateway.judgement to authenticator;
