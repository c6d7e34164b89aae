-- Raises if pgmq_definer would run code of other roles by writing some tables: see pgmq_gateway/foreign_code.sql.

-- Raises if it would. The exact check takes a millisecond, so it is only made for tables with rules, constraints of type
-- CHECK, or tables that inherit from them or reference them, and where a table, a trigger, or a function that a policy, a
-- default or an index calls belongs to a role without the privileges of pgmq_definer. A trigger of pgmq_settings can have
-- a condition if only its owner can execute its function: others cannot have created it.
--
-- The caller holds a lock on the tables, as a statement that fires a trigger does: none can be added meanwhile. pgmq's own
-- functions are not checked: nothing that runs as pgmq_definer calls them.
create or replace function pgmq_settings.check_own_code(tables regclass[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $check$
begin
    if exists (
        select from pg_class as c
        where c.oid = any (tables) and (
            not pg_has_role(c.relowner, 'pgmq_definer', 'member')
            or c.relhassubclass or c.relhasrules or c.relchecks > 0
            or exists (
                select from pg_trigger as t
                join pg_proc as p on p.oid = t.tgfoid
                where t.tgrelid = c.oid and (
                    t.tgisinternal or not pg_has_role(p.proowner, 'pgmq_definer', 'member')
                    or t.tgqual is not null and (
                        p.pronamespace <> 'pgmq_settings'::regnamespace
                        or p.proacl is distinct from array[makeaclitem(p.proowner, p.proowner, 'EXECUTE', false)])))
            or exists (
                select from (
                    select 'pg_policy'::regclass, p.oid from pg_policy as p where p.polrelid = c.oid
                    union all
                    select 'pg_attrdef'::regclass, a.oid from pg_attrdef as a where a.adrelid = c.oid
                    union all
                    select 'pg_class'::regclass, i.indexrelid from pg_index as i
                    where i.indrelid = c.oid and (i.indexprs is not null or i.indpred is not null)
                ) as part (class, oid)
                join pg_depend as d
                    on d.classid = part.class and d.objid = part.oid and d.refclassid = 'pg_proc'::regclass
                join pg_proc as p on p.oid = d.refobjid
                where not pg_has_role(p.proowner, 'pgmq_definer', 'member')))
    ) then
        perform pgmq_gateway.check_foreign_code(tables);
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_own_code from public;
grant execute on function pgmq_settings.check_own_code to pgmq_definer;
