-- pgmq_public, Supabase's six queue functions, and the rights that go with them.
--
-- Why: this is the API that supabase-js and all others call. Same names, parameters, defaults, results and grants as
-- Supabase's, so that an existing project behaves the same. Table rights are not given here: they are given per queue.

-- The six functions by signature, and which of them exist: somebody may have added overloads of their own.
create or replace function pgmq_admin.public_functions()
returns table (signature text, function regprocedure)
language sql
stable
set search_path = pg_catalog, pg_temp
as $functions$
    select s, to_regprocedure('pgmq_public.' || s)
    from unnest(array[
        'send(text,jsonb,integer)', 'send_batch(text,jsonb[],integer)', 'read(text,integer,integer)', 'pop(text)',
        'archive(text,bigint)', 'delete(text,bigint)'
    ]) as s;
$functions$;
revoke all on function pgmq_admin.public_functions from public;

create or replace function pgmq_admin.grant_public_functions()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $grant$
declare
    -- Supabase grants to postgres too; elsewhere that role may not exist.
    owner constant text := case when to_regrole('postgres') is null then 'service_role' else 'postgres' end;
    callers constant text := format('%I, anon, authenticated, service_role', owner);
    routine regprocedure;
begin
    execute format('grant usage on schema pgmq, pgmq_public to %s', callers);
    -- By name, not by signature: pop, for one, takes a quantity since pgmq 1.7.
    for routine in
        select p.oid
        from pg_catalog.pg_proc as p
        where p.pronamespace in ('pgmq'::regnamespace, 'pgmq_public'::regnamespace)
          and p.proname in ('send', 'send_batch', 'read', 'pop', 'archive', 'delete')
    loop
        execute format('grant execute on function %s to %s', routine, callers);
    end loop;
    execute format('grant all on all tables in schema pgmq to %I, service_role', owner);
    execute format('alter default privileges in schema pgmq grant all on tables to %I, service_role', owner);
    grant usage, select, update on all sequences in schema pgmq to anon, authenticated, service_role;
    alter default privileges in schema pgmq
        grant usage, select, update on sequences to anon, authenticated, service_role;
end;
$grant$;
revoke all on function pgmq_admin.grant_public_functions from public;

create or replace function pgmq_admin.expose()
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $expose$
begin
    if to_regnamespace('pgmq_public') is null then
        raise exception 'schema "pgmq_public" does not exist' using
            errcode = 'invalid_schema_name', hint = 'Create it with pgmq-gateway install --replace.';
    end if;
    perform pgmq_admin.grant_public_functions();
end;
$expose$;
comment on function pgmq_admin.expose is
    'Lets anon, authenticated and service_role call the six functions of pgmq_public.';
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
    from pgmq_gateway.request_roles() as r, to_regnamespace('pgmq_public') as s (oid)
    where s.oid is not null;
$exposed$;
comment on function pgmq_admin.exposed is 'Whether any role that requests run in may call functions of pgmq_public.';
revoke all on function pgmq_admin.exposed from public;
grant execute on function pgmq_admin.exposed to service_role;

create or replace function pgmq_admin.unexpose()
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $unexpose$
declare
    callers text;
    routine regprocedure;
begin
    if to_regnamespace('pgmq_public') is null then
        return;
    end if;
    select string_agg(quote_ident(r.role), ', ') into callers from pgmq_gateway.request_roles() as r;
    execute format('revoke usage on schema pgmq_public from public, %s', callers);
    for routine in select f.function from pgmq_admin.public_functions() as f where f.function is not null loop
        execute format('revoke execute on function %s from %s', routine, callers);
    end loop;
    if pgmq_admin.exposed() then
        raise exception 'pgmq_public can still be called' using
            errcode = 'invalid_grant_operation',
            detail = 'Roles that requests run in have USAGE of it from others, or from another grantor.',
            hint = 'Look at its access list in psql: \dn+ pgmq_public. Nothing was changed.';
    end if;
end;
$unexpose$;
comment on function pgmq_admin.unexpose is
    'No request may call pgmq_public; its functions stay. Roles of your own need grant_queue() after expose().';
revoke all on function pgmq_admin.unexpose from public;
grant execute on function pgmq_admin.unexpose to service_role;
