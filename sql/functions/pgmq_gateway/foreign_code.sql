-- Code of other roles that a SECURITY DEFINER function could run on a table, and the check that refuses it.
--
-- Why: a trigger runs with the privileges of the role that writes. A role with TRIGGER on a table, as from GRANT ALL,
-- could create one there and then let a function write that table as its owner, a superuser perhaps. The same holds for
-- tables that reference the table (before Postgres 18, AFTER triggers behind ON DELETE CASCADE run as the role that
-- deletes), and for all that the owner of a table can add: defaults, constraints, rules, policies, indexes.

-- The roles that requests run as and those that they are members of, except those that have the privileges of the
-- current role anyway.
create or replace function pgmq_gateway.caller_roles()
returns table (oid oid, role name)
language sql
stable
set search_path = pg_catalog, pg_temp
as $callers$
    select r.oid, r.rolname
    from pg_roles as r
    where exists (
        select from pgmq_gateway.request_roles() as q
        where pg_has_role(q.oid, r.oid, 'member') and not pg_has_role(q.oid, current_user, 'member'));
$callers$;
revoke all on function pgmq_gateway.caller_roles from public;
grant execute on function pgmq_gateway.caller_roles to pgmq_definer;

-- Triggers that run code of a role without the privileges of the current one.
--
-- owner        of the function, or of one in the trigger's condition
-- conditional  whether it has a WHEN condition. Any condition is code of an unknown role, because the catalog does not
--              have the creator of a trigger, and functions of Postgres such as query_to_xml run SQL from text. Except
--              if its function is one of pgmq_settings: only a role that can execute it can create such a trigger
-- truncate     whether it fires at TRUNCATE; else at INSERT, UPDATE or DELETE
create or replace function pgmq_gateway.foreign_triggers(tables oid[])
returns table (on_table regclass, trigger_name name, owner regrole, conditional boolean, truncate boolean)
language sql
stable
set search_path = pg_catalog, pg_temp
as $triggers$
    select t.tgrelid, t.tgname, f.owner, c.conditional, t.tgtype & 32 <> 0
    from pg_trigger as t
    cross join lateral (
        select t.tgqual is not null and not exists (
            select from pg_proc as p
            where p.oid = t.tgfoid and p.pronamespace = to_regnamespace('pgmq_settings')
              and not exists (
                  select from pgmq_gateway.caller_roles() as r where has_function_privilege(r.oid, p.oid, 'EXECUTE'))
        ) as conditional
    ) as c
    cross join lateral (
        -- Functions of Postgres itself are not in pg_depend.
        select min(p.proowner)::regrole as owner
        from pg_depend as d
        join pg_proc as p on p.oid = d.refobjid
        where d.classid = 'pg_trigger'::regclass and d.objid = t.oid and d.refclassid = 'pg_proc'::regclass
          and not pg_has_role(p.proowner, current_user, 'member')
    ) as f
    where t.tgrelid = any (tables) and not t.tgisinternal and t.tgenabled <> 'D'
      and (f.owner is not null or c.conditional);
$triggers$;
revoke all on function pgmq_gateway.foreign_triggers from public;
grant execute on function pgmq_gateway.foreign_triggers to pgmq_definer;

-- The functions that policies, defaults, constraints, rules and indexes of these tables call, other than Postgres' own.
create or replace function pgmq_gateway.table_functions(tables oid[])
returns table (on_table oid, function oid)
language sql
stable
set search_path = pg_catalog, pg_temp
as $functions$
    select distinct part.relation, d.refobjid
    from (
        select 'pg_policy'::regclass, p.oid, p.polrelid from pg_policy as p
        union all
        select 'pg_attrdef'::regclass, a.oid, a.adrelid from pg_attrdef as a
        union all
        select 'pg_constraint'::regclass, c.oid, c.conrelid from pg_constraint as c
        union all
        select 'pg_rewrite'::regclass, r.oid, r.ev_class from pg_rewrite as r
        union all
        select 'pg_class'::regclass, i.indexrelid, i.indrelid from pg_index as i
    ) as part (class, oid, relation)
    join pg_depend as d on d.classid = part.class and d.objid = part.oid and d.refclassid = 'pg_proc'::regclass
    where part.relation = any (tables);
$functions$;
revoke all on function pgmq_gateway.table_functions from public;
grant execute on function pgmq_gateway.table_functions to pgmq_definer;

-- Raises if one of these tables, a function that it calls, or a function of pgmq is owned by a role of requests.
create or replace function pgmq_gateway.check_owners(tables oid[])
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
declare
    pgmq_schema constant oid := to_regnamespace('pgmq');
    owned record;
    what text;
begin
    select o.* into owned
    from (
        select c.oid, c.relowner as owner, true as is_table from pg_class as c where c.oid = any (tables)
        union all
        select p.oid, p.proowner, false from pg_proc as p
        where p.pronamespace = pgmq_schema
           or p.oid in (select t.function from pgmq_gateway.table_functions(tables) as t)
    ) as o
    join pgmq_gateway.caller_roles() as r on r.oid = o.owner
    limit 1;
    if found then
        what := case
            when owned.is_table then 'table ' || owned.oid::regclass
            else 'function ' || owned.oid::regprocedure
        end;
        raise exception '% is owned by role %, which requests can run as', what, owned.owner::regrole using
            errcode = 'insufficient_privilege',
            detail = format('Code of that role would run with the privileges of %s.', quote_ident(current_user)),
            hint = format('Check it, then run: alter %s owner to %I;', what, current_user);
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_owners from public;
grant execute on function pgmq_gateway.check_owners to pgmq_definer;

-- Raises if writing these tables, or truncating them, would run code of other roles. Until the end of the transaction
-- no role can add a trigger to them or to the tables that inherit from them or reference them: CREATE TRIGGER waits for
-- the locks. That of truncating also excludes another one, because two that hold a weaker lock and then wait for
-- TRUNCATE's would be a deadlock.
create or replace function pgmq_gateway.check_foreign_code(tables regclass[], truncating boolean default false)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
declare
    mode constant text := case when truncating then 'share update exclusive' else 'row exclusive' end;
    reached oid[] := '{}';
    remaining oid[] := array_remove(tables, null);
    relation regclass;
    trigger record;
begin
    while remaining <> '{}' loop
        foreach relation in array remaining loop
            -- A role other than the owner can write a table that references this one without a privilege on it.
            if has_table_privilege(relation, 'UPDATE, DELETE, TRUNCATE') then
                execute format('lock table %s in %s mode', relation, mode);
            end if;
        end loop;
        reached := reached || remaining;
        select coalesce(array_agg(distinct n.oid), '{}') into remaining
        from (
            select i.inhrelid from pg_inherits as i where i.inhparent = any (reached)
            union all
            select c.conrelid from pg_constraint as c where c.contype = 'f' and c.confrelid = any (reached)
        ) as n (oid)
        where n.oid <> all (reached);
    end loop;
    perform pgmq_gateway.check_owners(reached);
    select t.* into trigger
    from pgmq_gateway.foreign_triggers(reached) as t
    where t.truncate = truncating
    limit 1;
    if found then
        raise exception 'trigger "%" on % %', trigger.trigger_name, trigger.on_table,
            coalesce('runs a function of role ' || trigger.owner, 'has a WHEN condition')
            using
                errcode = 'insufficient_privilege',
                detail = format('It would run with the privileges of %s.', quote_ident(current_user)),
                hint = format(
                    'Find out who created it, then run: drop trigger %I on %s;',
                    trigger.trigger_name, trigger.on_table);
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_foreign_code from public;
grant execute on function pgmq_gateway.check_foreign_code to pgmq_definer;
