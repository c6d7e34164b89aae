-- Policies of service_role, and of pgmq_definer, where they do not bypass row-level security.
--
-- Why: only a superuser, or since Postgres 16 a role with BYPASSRLS, can give service_role BYPASSRLS. The owners of
-- managed databases are neither. One policy on each queue and archive then gives service_role the same access. It is for
-- service_role, so it gives no access to other roles but those that inherit from it, which BYPASSRLS would not.
-- Restrictive policies limit service_role too.

-- True if policies apply to service_role.
create or replace function pgmq_gateway.service_role_needs_policies()
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $needs$
    select exists (
        select from pg_roles as r where r.rolname = 'service_role' and not (r.rolsuper or r.rolbypassrls));
$needs$;
revoke all on function pgmq_gateway.service_role_needs_policies from public;

-- The tables of queues that lack the policy of a role, if it needs one, each with the statements that create it. They are
-- null for tables of other owners, which the caller cannot give policies to.
create or replace function pgmq_gateway.missing_policies(role name, only_queue text)
returns table (queue_name text, on_table regclass, what text, statement text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $missing$
    select
        m.queue_name::text, c.oid::regclass,
        format('policy of %s, which has no BYPASSRLS, on table %s', r.rolname, c.oid::regclass),
        case
            when pg_has_role(c.relowner, 'usage')
            then concat(
                'drop policy ' || quote_ident(former.polname) || ' on ' || c.oid::regclass || '; ',
                format('create policy %I on %s to %I using (true)', n.policy, c.oid::regclass, r.rolname))
        end
    from pg_roles as r
    cross join pgmq.meta as m
    join pg_class as c
        on c.relnamespace = 'pgmq'::regnamespace and c.relkind in ('r', 'p')
        and c.relname in (lower('q_' || m.queue_name)::name, lower('a_' || m.queue_name)::name)
    cross join lateral (select (r.rolname || ': all messages')::name as policy) as n
    left join pg_policy as former on former.polrelid = c.oid and former.polname = n.policy
    where r.rolname = role and not (r.rolsuper or r.rolbypassrls)
      and (only_queue is null or m.queue_name = only_queue)
      and not exists (
          select from pg_policy as p
          where p.polrelid = c.oid and p.polcmd = '*' and p.polpermissive
            and p.polroles && array[0, r.oid]
            and pg_get_expr(p.polqual, p.polrelid) = 'true'
            and coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true'
      )
    order by m.queue_name, c.relname desc;
$missing$;
revoke all on function pgmq_gateway.missing_policies from public;

create or replace function pgmq_gateway.missing_service_policies(only_queue text default null)
returns table (queue_name text, on_table regclass, what text, statement text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $missing$
    select * from pgmq_gateway.missing_policies('service_role'::name, only_queue);
$missing$;
revoke all on function pgmq_gateway.missing_service_policies from public;

-- Creates the missing policies of a queue.
create or replace function pgmq_gateway.create_service_policies(queue_name text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $create$
declare
    missing record;
begin
    for missing in
        select p.statement from pgmq_gateway.missing_service_policies(queue_name) as p where p.statement is not null
    loop
        execute missing.statement;
    end loop;
end;
$create$;
revoke all on function pgmq_gateway.create_service_policies from public;

-- Queues with a table whose row-level security hides messages from service_role.
create or replace function pgmq_gateway.lint_service_policies(only_queue text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        p.queue_name, 'service_policy', 'error',
        format('service_role has no BYPASSRLS, and no policy gives it the messages of %s.',
            string_agg(p.on_table::text, ' and ')),
        case
            when bool_and(p.statement is not null)
            then format('pgmq_admin.set_rls(%L, true) creates the policy, pgmq-gateway install those of all queues.',
                p.queue_name)
            else format('As a superuser run: alter role service_role bypassrls; or make %I the owner of the queue''s tables.',
                current_user)
        end
    from pgmq_gateway.missing_service_policies(only_queue) as p
    join pg_class as c on c.oid = p.on_table and c.relrowsecurity
    group by p.queue_name;
$lint$;
revoke all on function pgmq_gateway.lint_service_policies from public;

-- Roles that inherit the privileges of service_role, and with them its policies. BYPASSRLS is never inherited. pgmq's
-- owner bypasses row-level security anyway.
create or replace function pgmq_gateway.lint_service_members()
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        null::text, 'service_member', 'warning',
        format('%I inherits from service_role, so the policies of service_role give it all messages.', r.rolname),
        format('Revoke service_role from it, or grant it without inheritance: alter role %I noinherit, since Postgres 16 '
            'grant service_role to %1$I with inherit false.', r.rolname)
    from pg_roles as r
    join pg_roles as s on s.rolname = 'service_role'
    where pgmq_gateway.service_role_needs_policies()
      and r.oid <> s.oid and not (r.rolsuper or r.rolbypassrls) and pg_has_role(r.oid, s.oid, 'usage')
      and not exists (
          select from pg_class as c where c.oid = to_regclass('pgmq.meta') and pg_has_role(r.oid, c.relowner, 'usage'));
$lint$;
revoke all on function pgmq_gateway.lint_service_members from public;
