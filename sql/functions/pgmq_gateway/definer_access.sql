-- The access of pgmq_definer, which owns the functions that move messages, to the tables of queues.

-- Privileges that pgmq_definer lacks on the tables of one queue, or of all, each with the statement that grants it. It is
-- null for tables of other owners, on which the caller cannot grant.
create or replace function pgmq_gateway.missing_definer_access(only_queue text default null)
returns table (queue_name text, on_table regclass, what text, statement text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $missing$
    select
        m.queue_name::text, c.oid::regclass, format('privileges of pgmq_definer on table %s', c.oid::regclass),
        case
            when pg_has_role(c.relowner, 'usage')
            then format('grant select, insert, update, delete on %s to pgmq_definer', c.oid::regclass)
        end
    from pgmq.meta as m
    join pg_class as c
        on c.relnamespace = 'pgmq'::regnamespace and c.relkind in ('r', 'p')
        and c.relname in (lower('q_' || m.queue_name)::name, lower('a_' || m.queue_name)::name)
    join pg_roles as r on r.rolname = 'pgmq_definer'
    where (only_queue is null or m.queue_name = only_queue)
      and exists (
          select from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) as privilege
          where not has_table_privilege(r.oid, c.oid, privilege))
    union all
    select * from pgmq_gateway.missing_policies('pgmq_definer'::name, only_queue);
$missing$;
revoke all on function pgmq_gateway.missing_definer_access from public;

-- Grants pgmq_definer what it lacks on the tables of a queue.
create or replace function pgmq_gateway.grant_definer_access(queue_name text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $grant$
declare
    missing record;
begin
    for missing in
        select m.statement from pgmq_gateway.missing_definer_access(queue_name) as m where m.statement is not null
    loop
        execute missing.statement;
    end loop;
end;
$grant$;
revoke all on function pgmq_gateway.grant_definer_access from public;
