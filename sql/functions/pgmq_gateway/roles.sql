-- The roles that requests can run in: those that the gateway's login role may become.
create or replace function pgmq_gateway.request_roles()
returns table (oid oid, role name)
language sql
stable
set search_path = pg_catalog, pg_temp
as $roles$
    select r.oid, r.rolname
    from pg_roles as r
    where r.rolname <> 'authenticator'
      and pg_has_role(
          'authenticator', r.oid,
          case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end);
$roles$;
revoke all on function pgmq_gateway.request_roles from public;

-- Raises unless rights may be given to this role, or taken from it: it must be one that requests can run in. Who has
-- the rights of these functions' owner anyway, as somebody at psql or at the command line, may name any.
create or replace function pgmq_gateway.check_role(role name)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
begin
    if to_regrole(quote_ident(role)) is null then
        raise exception 'role "%" does not exist', role using
            errcode = 'undefined_object',
            hint = format('Create it with: create role %I nologin noinherit; grant %I to authenticator;', role, role);
    end if;
    if pg_has_role(session_user, current_user, 'usage') then
        return;
    end if;
    if not exists (select from pgmq_gateway.request_roles() as r where r.role = check_role.role) then
        raise exception 'role "%" is none that requests run in', role using
            errcode = 'insufficient_privilege',
            hint = format('If it should be one, run as the owner of the database: grant %I to authenticator;', role);
    end if;
    if exists (
        select from pg_roles as r
        where r.rolname = role and (r.rolsuper or r.rolbypassrls and r.rolname <> 'service_role')
    ) then
        raise exception 'role "%" bypasses row-level security', role using
            errcode = 'insufficient_privilege',
            hint = 'Only the owner of the database gives such a role rights, and takes them.';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_role from public;

-- Raises unless the session may become this caller.
create or replace function pgmq_gateway.check_caller(role name, claims jsonb)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if to_regrole(quote_ident(role)) is null then
        raise exception 'role "%" does not exist', role using errcode = 'undefined_object';
    elsif not pg_has_role(
        session_user, role,
        case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end
    ) then
        raise exception 'role "%" is none that requests run in', role using
            errcode = 'insufficient_privilege',
            hint = format('If it should be one, run as the owner of the database: grant %I to authenticator;', role);
    elsif jsonb_typeof(claims) is distinct from 'object' then
        raise exception 'claims must be a JSON object' using
            errcode = 'invalid_parameter_value', hint = 'For example: {"sub": "1234"}';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_caller from public;
grant execute on function pgmq_gateway.check_caller to service_role;

-- Be this caller until the block ends, as a request is. No search_path of its own: it would take the others with it.
create or replace function pgmq_gateway.become(role name, claims jsonb)
returns void
language plpgsql
as $become$
begin
    perform
        pg_catalog.set_config('lock_timeout', '1s', true),
        pg_catalog.set_config('search_path', 'pgmq_public, public, extensions', true),
        pg_catalog.set_config(
            'request.jwt.claims', (pg_catalog.jsonb_build_object('role', role) || claims)::pg_catalog.text, true),
        pg_catalog.set_config('role', role, true);
end;
$become$;
revoke all on function pgmq_gateway.become from public;
grant execute on function pgmq_gateway.become to service_role;
