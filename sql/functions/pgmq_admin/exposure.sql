-- Exposure of pgmq_public and pgmq_api to requests.
--
-- Why SECURITY DEFINER: as in rights.sql; the same four rules apply.

create or replace function pgmq_admin.expose()
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $expose$
begin
    if to_regnamespace('pgmq_public') is null then
        raise exception 'schema "pgmq_public" does not exist' using
            errcode = 'invalid_schema_name', hint = 'Create it with pgmq-gateway install --replace.';
    end if;
    perform pgmq_gateway.lock_privileges();
    perform pgmq_gateway.grant_public_functions();
    grant usage on schema pgmq_api to anon, authenticated, service_role;
    perform pgmq_settings.record_action(null, 'expose');
end;
$expose$;
comment on function pgmq_admin.expose is
    'Allows anon, authenticated and service_role to call the six functions of pgmq_public, and those of pgmq_api.';
revoke all on function pgmq_admin.expose from public;
grant execute on function pgmq_admin.expose to service_role;

create or replace function pgmq_admin.exposed()
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $exposed$
    select coalesce(bool_or(has_schema_privilege(r.oid, s.oid, 'usage')), false)
    from pgmq_gateway.request_roles() as r, pg_namespace as s
    where s.nspname in ('pgmq_public', 'pgmq_api');
$exposed$;
comment on function pgmq_admin.exposed is
    'Whether any role that requests run as can call functions of pgmq_public or pgmq_api.';
revoke all on function pgmq_admin.exposed from public;
grant execute on function pgmq_admin.exposed to service_role;

create or replace function pgmq_admin.unexpose()
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $unexpose$
declare
    callers text;
    routine regprocedure;
begin
    perform pgmq_gateway.lock_privileges();
    select string_agg(quote_ident(r.role), ', ') into callers from pgmq_gateway.request_roles() as r;
    execute format('revoke usage on schema pgmq_api from public, %s', callers);
    if to_regnamespace('pgmq_public') is not null then
        execute format('revoke usage on schema pgmq_public from public, %s', callers);
    end if;
    for routine in select f.function from pgmq_gateway.public_functions() as f where f.function is not null loop
        execute format('revoke execute on function %s from %s', routine, callers);
    end loop;
    if pgmq_admin.exposed() then
        raise exception 'pgmq_public or pgmq_api can still be called' using
            errcode = 'invalid_grant_operation',
            detail = 'A role that requests run as has USAGE on it from another role or another grantor.',
            hint = 'See their privileges in psql: \dn+ pgmq_(public|api). Nothing has been changed.';
    end if;
    perform pgmq_settings.record_action(null, 'unexpose');
end;
$unexpose$;
comment on function pgmq_admin.unexpose is
    'Prevents requests from calling pgmq_public and pgmq_api; their functions stay. After expose(), other roles than anon, '
    'authenticated and service_role need grant_queue() again.';
revoke all on function pgmq_admin.unexpose from public;
grant execute on function pgmq_admin.unexpose to service_role;
