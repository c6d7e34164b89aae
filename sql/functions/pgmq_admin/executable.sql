-- The functions of this schema that the caller may execute, for clients that show only what a key can do.
--
-- SECURITY INVOKER: Postgres answers for the role of the caller.
create or replace function pgmq_admin.executable_functions()
returns table (function_name text, changes boolean)
language sql
stable
set search_path = pg_catalog, pg_temp
as $executable$
    select p.proname::text, p.provolatile = 'v'
    from pg_proc as p
    where p.pronamespace = 'pgmq_admin'::regnamespace and has_function_privilege(p.oid, 'EXECUTE')
    order by p.proname;
$executable$;
comment on function pgmq_admin.executable_functions is
    'The functions of pgmq_admin that the caller may execute; changes: whether the function can change something.';
revoke all on function pgmq_admin.executable_functions from public;
grant execute on function pgmq_admin.executable_functions to service_role;
