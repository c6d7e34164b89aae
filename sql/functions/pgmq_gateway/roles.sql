-- True if a session of `login` can run requests as `role`. The gateway's login role itself runs none, and neither does the
-- owner of functions, which a superuser could switch to.
create or replace function pgmq_gateway.can_switch_to(login name, role name)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $can$
    select role not in ('authenticator', 'pgmq_definer')
        and pg_has_role(
            login, role,
            case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end);
$can$;
revoke all on function pgmq_gateway.can_switch_to from public;
grant execute on function pgmq_gateway.can_switch_to to service_role, pgmq_definer;

-- The roles that requests can run as: those that the gateway's login role can switch to.
create or replace function pgmq_gateway.request_roles()
returns table (oid oid, role name)
language sql
stable
set search_path = pg_catalog, pg_temp
as $roles$
    select r.oid, r.rolname from pg_roles as r where pgmq_gateway.can_switch_to('authenticator'::name, r.rolname);
$roles$;
revoke all on function pgmq_gateway.request_roles from public;
grant execute on function pgmq_gateway.request_roles to pgmq_definer;

-- The request roles whose access policies limit: service_role can access all messages, by BYPASSRLS or by its policies.
create or replace function pgmq_gateway.limited_roles()
returns table (oid oid, role name)
language sql
stable
set search_path = pg_catalog, pg_temp
as $roles$
    select r.oid, r.role
    from pgmq_gateway.request_roles() as r
    join pg_roles as a on a.oid = r.oid
    where not a.rolsuper and not a.rolbypassrls and r.role <> 'service_role';
$roles$;
revoke all on function pgmq_gateway.limited_roles from public;

-- Raises unless a session of `login` can run requests as `role`.
create or replace function pgmq_gateway.check_request_role(login name, role name)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if to_regrole(quote_ident(role)) is null then
        raise exception 'role "%" does not exist', role using
            errcode = 'undefined_object',
            hint = format(
                'Create it with: create role %1$I nologin noinherit; grant %1$I to authenticator;',
                coalesce(role, 'x'));
    elsif not pgmq_gateway.can_switch_to(login, role) then
        raise exception 'role "%" is not a role that requests can run as', role using
            errcode = 'insufficient_privilege',
            hint = format('To make it one, run as the owner of the database: grant %I to authenticator;', role);
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_request_role from public;
grant execute on function pgmq_gateway.check_request_role to service_role;

-- Raises unless privileges on queues can be granted to this role, or revoked from it. A session that has the privileges
-- of these functions' owner anyway, at psql or at the command line, can name any role.
create or replace function pgmq_gateway.check_role(role name)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
declare
    by_owner constant boolean := pg_has_role(session_user, current_user, 'usage');
begin
    if not by_owner or to_regrole(quote_ident(role)) is null then
        perform pgmq_gateway.check_request_role('authenticator', role);
    end if;
    if not by_owner and exists (
        select from pg_roles as r
        where r.rolname = role and (r.rolsuper or r.rolbypassrls and r.rolname <> 'service_role')
    ) then
        raise exception 'role "%" bypasses row-level security', role using
            errcode = 'insufficient_privilege',
            hint = 'Only the owner of the database can grant privileges to such a role or revoke them.';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_role from public;

-- Raises unless the session can switch to this caller.
create or replace function pgmq_gateway.check_caller(role name, claims jsonb)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
begin
    perform pgmq_gateway.check_request_role(session_user, role);
    if jsonb_typeof(claims) is distinct from 'object' then
        raise exception 'claims must be a JSON object' using
            errcode = 'invalid_parameter_value', hint = 'For example: {"sub": "1234"}';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_caller from public;
grant execute on function pgmq_gateway.check_caller to service_role;

-- Switches to this caller, as a request does, until the end of the block. Without a search_path of its own, because
-- leaving the function would reset the caller's.
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

-- Tries one operation as a caller and undoes it.
--
-- msg_id   of a message for archive and delete
-- allowed  whether it did something
-- rows     how many messages it returned, or changed
--
-- The statements are fixed. They are dynamic because a cached plan would not check USAGE on the schema again.
create or replace function pgmq_gateway.try_operation(
    inout operation text, queue_name text, role name, claims jsonb, message jsonb, msg_id bigint,
    out allowed boolean, out code text, out error text, out rows bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $try$
declare
    done boolean := false;
begin
    allowed := false;
    rows := 0;
    begin
        perform pgmq_gateway.become(role, claims);
        execute 'select count(*) from ' || case operation
            when 'send' then 'pgmq_public.send(queue_name => $1, message => $2)'
            when 'read' then 'pgmq_public.read(queue_name => $1, sleep_seconds => 0, n => 1)'
            when 'pop' then 'pgmq_public.pop(queue_name => $1)'
            when 'archive' then 'pgmq_public.archive(queue_name => $1, message_id => $3) as done where done'
            when 'delete' then 'pgmq_public.delete(queue_name => $1, message_id => $3) as done where done'
        end into rows using queue_name, message, msg_id;
        done := true;
        raise sqlstate 'GW000';
    exception when others then
        if done then
            allowed := rows > 0;
        else
            get stacked diagnostics code = returned_sqlstate, error = message_text;
        end if;
    end;
end;
$try$;
revoke all on function pgmq_gateway.try_operation from public;
grant execute on function pgmq_gateway.try_operation to service_role;
