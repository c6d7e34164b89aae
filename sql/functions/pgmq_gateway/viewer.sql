-- The role queue_viewer, which sees queues and changes nothing: pgmq-gateway install --viewer.
--
-- It has EXECUTE on the functions of pgmq_admin that are not volatile, and on those that they call as their caller. It sees
-- messages only with privileges and policies of its own. USAGE on the schema pgmq_admin marks a database that has the
-- role: roles belong to the whole server.

-- Whether this database has the role.
create or replace function pgmq_gateway.has_viewer()
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $has$
    select exists (
        select from pg_namespace as n, aclexplode(n.nspacl) as a
        where n.nspname = 'pgmq_admin' and a.grantee = to_regrole('queue_viewer') and a.privilege_type = 'USAGE');
$has$;
revoke all on function pgmq_gateway.has_viewer from public;

-- Creates the role unless the server has it, and lets requests run as it. missing_viewer_privileges() has the rest.
create or replace function pgmq_gateway.create_viewer()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $create$
begin
    if to_regrole('queue_viewer') is null then
        begin
            create role queue_viewer nologin noinherit;
            -- That of authenticated: anyone who has the key can count long queues.
            alter role queue_viewer set statement_timeout = '8s';
        exception
            -- The installer of another database may have created it meanwhile.
            when duplicate_object or unique_violation then null;
        end;
    elsif exists (
        select from pg_roles as r where r.rolname = 'queue_viewer' and (r.rolsuper or r.rolbypassrls or r.rolcreaterole)
    ) or exists (select from pg_auth_members as m where m.member = to_regrole('queue_viewer')) then
        raise exception 'role queue_viewer has privileges from an attribute or another role' using
            errcode = 'invalid_grant_operation',
            hint = 'Run "alter role queue_viewer nosuperuser nobypassrls nocreaterole", and revoke its roles; see \drg.';
    end if;
    if not pg_has_role('authenticator', 'queue_viewer', 'member') then
        grant queue_viewer to authenticator;
    end if;
    grant usage on schema pgmq_admin to queue_viewer;
exception
    when insufficient_privilege then
        raise exception 'role % has no permission to create role queue_viewer', current_user using
            errcode = 'insufficient_privilege',
            hint = 'As a superuser run "create role queue_viewer nologin noinherit; grant queue_viewer to authenticator", '
                'then install again.';
end;
$create$;
revoke all on function pgmq_gateway.create_viewer from public;

-- The functions that the role can execute.
create or replace function pgmq_gateway.viewer_functions()
returns table (oid oid)
language sql
stable
set search_path = pg_catalog, pg_temp
as $functions$
    select p.oid
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where p.provolatile <> 'v' and has_function_privilege('service_role', p.oid, 'EXECUTE')
      and (n.nspname = 'pgmq_admin' or n.nspname in ('pgmq_gateway', 'pgmq_settings') and not p.prosecdef);
$functions$;
revoke all on function pgmq_gateway.viewer_functions from public;

-- The privileges that the role lacks, in a database that has it, each with the statement that grants them.
create or replace function pgmq_gateway.missing_viewer_privileges()
returns table (what text, statement text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $missing$
    select m.what || ' for queue_viewer', format('grant %s to queue_viewer', m.privileges)
    from (
        select 'USAGE on schema ' || n.nspname, 'usage on schema ' || n.nspname
        from pg_namespace as n
        where n.nspname in ('pgmq', 'pgmq_gateway', 'pgmq_settings')
          and has_schema_privilege(to_regrole('queue_viewer'), n.oid, 'USAGE') is not true
        union all
        select 'SELECT on ' || c.oid::regclass, 'select on ' || c.oid::regclass
        from unnest(array[to_regclass('pgmq.meta'), to_regclass('pgmq_settings.settings')]) as c (oid)
        where has_table_privilege(to_regrole('queue_viewer'), c.oid, 'SELECT') is not true
        union all
        select
            format('EXECUTE on %s functions', count(*)),
            'execute on function ' || string_agg(f.oid::regprocedure::text, ', ' order by f.oid::regprocedure::text)
        from (
            select f.oid from pgmq_gateway.viewer_functions() as f
            union all
            select p.oid from pg_proc as p
            where p.pronamespace = to_regnamespace('pgmq') and p.proname = 'format_table_name'
        ) as f
        where has_function_privilege(to_regrole('queue_viewer'), f.oid, 'EXECUTE') is not true
        having count(*) > 0
    ) as m (what, privileges)
    where pgmq_gateway.has_viewer()
    union all
    -- A function that was stable in an earlier version keeps its grants.
    select
        format('read-only access: EXECUTE on %s of queue_viewer', p.oid::regprocedure),
        format('revoke execute on function %s from queue_viewer', p.oid::regprocedure)
    from pg_proc as p
    cross join aclexplode(p.proacl) as a
    where p.pronamespace = to_regnamespace('pgmq_admin') and p.provolatile = 'v'
      and a.grantee = to_regrole('queue_viewer');
$missing$;
revoke all on function pgmq_gateway.missing_viewer_privileges from public;
