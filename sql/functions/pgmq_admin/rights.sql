-- The privileges of roles on queues: effective ones, granting and revoking.
--
-- Why: before a role can read a message it needs USAGE on two schemas, EXECUTE on two functions or more, privileges on
-- one or two tables, and policies for two or three commands.
--
-- Why SECURITY DEFINER: only the owner of a queue's tables can grant privileges on them, and service_role is not the
-- owner. service_role gains control of the tables of queues, which it can read and write anyway. Four rules:
-- * Privileges and policies are granted to roles that requests can run as, never to a superuser or another role that
--   bypasses policies (check_role). Only sessions with the owner's own privileges can name other roles.
-- * No text of a caller becomes SQL. Tables are those of pgmq.meta, in the schema pgmq; names are quoted as
--   identifiers, claims and members of messages as literals.
-- * No code of a caller runs: no queue is read, no policy is evaluated, no trigger fires.
-- * search_path ends with pg_temp. Otherwise Postgres looks there first for types and tables, and callers can fill it.

create or replace function pgmq_admin.rights(queue_name text)
returns table (role name, operation text, verdict text, reasons text[], policies text[], functions text[])
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $rights$
    with judged as (
        select r.oid, r.role, o.operation, o.place, t.queue_table, j.verdict, j.reasons, j.policies
        from pgmq_gateway.queue_tables(queue_name) as t
        cross join pgmq_gateway.request_roles() as r
        cross join pgmq_gateway.operation_privileges() with ordinality as o (operation, on_queue, on_archive, place)
        cross join lateral pgmq_gateway.judge(
            queue_name, t.queue_table, t.archive_table, r.oid, o.operation) as j
    )
    select
        j.role, j.operation, j.verdict, j.reasons, j.policies,
        pgmq_gateway.executable_api_functions(j.oid, j.operation)
    from judged as j
    where j.role in ('anon', 'authenticated', 'service_role')
       or has_any_column_privilege(j.oid, j.queue_table, 'SELECT, INSERT, UPDATE')
       or has_table_privilege(j.oid, j.queue_table, 'DELETE')
       or j.oid in (select s.oid from judged as s where s.verdict <> 'none')
    order by j.role, j.place;
$rights$;
comment on function pgmq_admin.rights is
    'What each role that requests run as can do with a queue: all, policy (policies decide which messages) or none, '
    'with the reasons. Considers schemas, functions, tables, columns, row-level security, policies and memberships. '
    'functions: those of pgmq_api that the operation includes and the role may execute; settle takes the lists of the '
    'operations that the role has.';
revoke all on function pgmq_admin.rights from public;
grant execute on function pgmq_admin.rights to service_role;

create or replace function pgmq_admin.grant_queue(queue_name text, role name, operations text[])
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $grant$
declare
    tables record;
    wanted record;
    routine regprocedure;
    privileges text;
begin
    perform pgmq_gateway.lock_privileges();
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    perform pgmq_gateway.check_operations(operations);
    perform pgmq_gateway.check_role(role);
    execute format('grant usage on schema pgmq, pgmq_public, pgmq_api, pgmq_settings to %I', role);
    for privileges in select m.privileges from pgmq_gateway.missing_helpers(to_regrole(quote_ident(role))::oid) as m loop
        execute format('grant %s to %I', privileges, role);
    end loop;
    for wanted in
        select * from pgmq_gateway.operation_privileges() as o where o.operation = any (operations)
    loop
        -- A producer sends without reading: more privileges would allow it to read.
        if wanted.operation <> 'send'
            or has_table_privilege(role, tables.queue_table, 'SELECT')
            or 'send' <> all (pgmq_gateway.table_operations(queue_name, role))
        then
            execute format(
                'grant %s on %s to %I', array_to_string(wanted.queue_privileges, ', '), tables.queue_table, role);
        end if;
        if wanted.archive_privileges <> '{}' then
            execute format(
                'grant %s on %s to %I', array_to_string(wanted.archive_privileges, ', '), tables.archive_table, role);
        end if;
        for routine in
            select p.oid
            from pg_proc as p
            where p.pronamespace in ('pgmq'::regnamespace, 'pgmq_public'::regnamespace)
              and p.proname in (
                  wanted.operation, 'format_table_name', case wanted.operation when 'send' then 'send_batch' end)
            union all
            select p.oid
            from pg_proc as p
            where p.pronamespace = 'pgmq_api'::regnamespace
              and p.proname = any (pgmq_gateway.api_functions(wanted.operation))
        loop
            execute format('grant execute on function %s to %I', routine, role);
        end loop;
    end loop;
    if 'send' = any (operations)
        and pgmq_gateway.missing_throttle_privileges(tables.queue_table, to_regrole(quote_ident(role))::oid) <> ''
    then
        execute format('grant select, update on pgmq.notify_insert_throttle to %I', role);
    end if;
    perform pgmq_settings.record_action(queue_name, 'grant_queue');
end;
$grant$;
comment on function pgmq_admin.grant_queue is
    'Grants a role the privileges on a queue that the operations need: send, read, pop, archive, delete.';
revoke all on function pgmq_admin.grant_queue from public;
grant execute on function pgmq_admin.grant_queue to service_role;

create or replace function pgmq_admin.revoke_queue(queue_name text, role name, operations text[])
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $revoke$
declare
    tables record;
    remaining text[];
    kept text[];
    privilege text;
begin
    perform pgmq_gateway.lock_privileges();
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    perform pgmq_gateway.check_operations(operations);
    perform pgmq_gateway.check_role(role);
    select coalesce(array_agg(o), '{}') into remaining
    from unnest(pgmq_gateway.table_operations(queue_name, role)) as o
    where o <> all (operations);
    -- Operations share privileges: revoke those that no remaining operation needs.
    for privilege in
        select distinct unnest(o.queue_privileges)
        from pgmq_gateway.operation_privileges() as o
        where o.operation = any (operations)
    loop
        if not exists (
            select from pgmq_gateway.operation_privileges() as o
            where o.operation = any (remaining) and privilege = any (o.queue_privileges)
        ) then
            execute format('revoke %s on %s from %I', privilege, tables.queue_table, role);
        end if;
    end loop;
    if 'archive' = any (operations) then
        execute format('revoke insert, select on %s from %I', tables.archive_table, role);
    end if;
    select array_agg(o) into kept
    from unnest(pgmq_gateway.table_operations(queue_name, role)) as o
    where o = any (operations);
    if kept is not null then
        raise exception 'role "%" can still % on queue "%"', role, array_to_string(kept, ', '), queue_name using
            errcode = 'invalid_grant_operation',
            detail = case remaining
                when '{}' then 'It has privileges from another role.'
                else format('It can also %s, which need the same privileges.', array_to_string(remaining, ', '))
            end,
            hint = 'Revoke those too. Nothing has been changed.';
    end if;
    perform pgmq_settings.record_action(queue_name, 'revoke_queue');
end;
$revoke$;
comment on function pgmq_admin.revoke_queue is
    'Revokes from a role the privileges on a queue that only these operations need; fails if an operation remains '
    'possible.';
revoke all on function pgmq_admin.revoke_queue from public;
grant execute on function pgmq_admin.revoke_queue to service_role;

create or replace function pgmq_admin.list_grants(queue_name text)
returns table (role name, operations text[])
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $grants$
    select r.role, held.operations
    from pgmq_gateway.request_roles() as r
    cross join lateral (
        select coalesce(array_agg(o order by place), '{}') as operations
        from unnest(pgmq_gateway.table_operations(queue_name, r.role)) with ordinality as t (o, place)
        where (pgmq_gateway.judge_functions(r.oid, o)).blockers = '{}'
    ) as held
    where r.role in ('anon', 'authenticated', 'service_role') or held.operations <> '{}'
    order by r.role;
$grants$;
comment on function pgmq_admin.list_grants is
    'What each role that requests run as can do with a queue by its privileges, without regard to policies; see '
    'rights().';
revoke all on function pgmq_admin.list_grants from public;
grant execute on function pgmq_admin.list_grants to service_role;
