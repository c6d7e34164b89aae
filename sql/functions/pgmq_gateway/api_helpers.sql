-- Functions of pgmq_settings that those of pgmq_api call as their caller. A role that can use the schema needs all.
--
-- Why not PUBLIC: the installer reports any function that it can execute.

-- Those that anon, authenticated and service_role may execute. Not all that one of them may: after a GRANT ALL, trigger
-- functions are among these, and a role that can execute one can give it another condition.
create or replace function pgmq_gateway.api_helpers()
returns table (oid oid)
language sql
stable
set search_path = pg_catalog, pg_temp
as $helpers$
    select p.oid
    from pg_proc as p
    where p.pronamespace = to_regnamespace('pgmq_settings') and p.prorettype <> 'trigger'::regtype
      and not exists (
          select from unnest(array['anon', 'authenticated', 'service_role']) as r (name)
          where not has_function_privilege(r.name, p.oid, 'execute'));
$helpers$;
revoke all on function pgmq_gateway.api_helpers from public;

-- The privileges that a role lacks to execute them, as grants without the role.
create or replace function pgmq_gateway.missing_helpers(role oid)
returns table (what text, privileges text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $missing$
    select 'SELECT on pgmq_settings.settings', 'select on pgmq_settings.settings'
    where has_table_privilege(role, to_regclass('pgmq_settings.settings'), 'select') is not true
    union all
    select
        format('EXECUTE on %s functions of pgmq_settings', count(*)),
        'execute on function ' || string_agg(h.oid::regprocedure::text, ', ')
    from pgmq_gateway.api_helpers() as h
    where not has_function_privilege(role, h.oid, 'execute')
    having count(*) > 0;
$missing$;
revoke all on function pgmq_gateway.missing_helpers from public;

-- Roles that can use pgmq_settings but not all helpers: this version has others than the one whose grant_queue() granted
-- them. Each with the statement that grants what they lack.
create or replace function pgmq_gateway.missing_helper_privileges()
returns table (what text, statement text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $missing$
    select format('%s for %s', m.what, a.grantee::regrole), format('grant %s to %s', m.privileges, a.grantee::regrole)
    from pg_namespace as n
    cross join aclexplode(n.nspacl) as a
    cross join pgmq_gateway.missing_helpers(a.grantee) as m
    where n.nspname = 'pgmq_settings' and a.privilege_type = 'USAGE' and pg_has_role(n.nspowner, 'usage')
      and a.grantee <> 0 and a.grantee <> n.nspowner
      and a.grantee <> all (
          array(select r.oid from pg_roles as r
                where r.rolname in ('anon', 'authenticated', 'service_role', 'pgmq_definer', 'queue_viewer')));
$missing$;
revoke all on function pgmq_gateway.missing_helper_privileges from public;
