-- Supabase's six queue functions and their grants. The functions themselves are in ../pgmq_public.
--
-- Why: supabase-js and other clients call this API. Names, parameters, defaults, results and grants are Supabase's, so
-- that an existing project behaves the same, but for the tables of pgmq: service_role can read and write them, and
-- cannot add triggers. No privileges on tables are granted to anon and authenticated: those are granted per queue.

-- The six functions by signature, as overloads may exist, and null for those that are missing.
create or replace function pgmq_gateway.public_functions()
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
revoke all on function pgmq_gateway.public_functions from public;

create or replace function pgmq_gateway.grant_public_functions()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $grant$
declare
    -- Supabase grants to postgres too, a role that may be missing elsewhere.
    owner constant text := case when to_regrole('postgres') is null then 'service_role' else 'postgres' end;
    callers constant text := format('%I, anon, authenticated, service_role', owner);
    routine regprocedure;
    relation record;
begin
    execute format('grant usage on schema pgmq, pgmq_public to %s', callers);
    -- By name, not by signature: pop, for example, has a quantity since pgmq 1.7.
    for routine in
        select p.oid
        from pg_catalog.pg_proc as p
        where p.pronamespace in ('pgmq'::regnamespace, 'pgmq_public'::regnamespace)
          and p.proname in ('send', 'send_batch', 'read', 'pop', 'archive', 'delete')
    loop
        execute format('grant execute on function %s to %s', routine, callers);
    end loop;
    -- Not ON ALL TABLES, which fails at the first table of another owner.
    for relation in
        select c.oid::regclass as name, c.relkind = 'S' as is_sequence
        from pg_catalog.pg_class as c
        where c.relnamespace = 'pgmq'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
          and pg_has_role(c.relowner, 'usage')
    loop
        if relation.is_sequence then
            execute format('grant usage, select, update on sequence %s to anon, authenticated, service_role', relation.name);
        else
            execute format('grant select, insert, update, delete on table %s to service_role', relation.name);
            if owner = 'postgres' then
                execute format('grant all on table %s to postgres', relation.name);
            end if;
        end if;
    end loop;
    alter default privileges in schema pgmq grant select, insert, update, delete on tables to service_role;
    if owner = 'postgres' then
        alter default privileges in schema pgmq grant all on tables to postgres;
    end if;
    alter default privileges in schema pgmq
        grant usage, select, update on sequences to anon, authenticated, service_role;
end;
$grant$;
revoke all on function pgmq_gateway.grant_public_functions from public;
