-- Whether policies are asked before a role gets to the rows of a table.
create or replace function pgmq_gateway.policies_count(on_table regclass, role oid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $count$
    select c.relrowsecurity
        and not (r.rolsuper or r.rolbypassrls)
        and (c.relforcerowsecurity or not pg_has_role(r.oid, c.relowner, 'usage'))
    from pg_class as c, pg_roles as r
    where c.oid = on_table and r.oid = role;
$count$;
revoke all on function pgmq_gateway.policies_count from public;

-- The policies of a table that hold for a role and a command: their condition for rows as they are, or as they will be.
create or replace function pgmq_gateway.conditions(on_table regclass, role oid, command "char", after boolean)
returns table (policy name, permissive boolean, condition text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $conditions$
    select
        p.polname, p.polpermissive,
        pg_get_expr(case when after then coalesce(p.polwithcheck, p.polqual) else p.polqual end, p.polrelid)
    from pg_policy as p
    where p.polrelid = on_table
      and p.polcmd in ('*', command)
      and exists (select from unnest(p.polroles) as m (oid) where m.oid = 0 or pg_has_role(role, m.oid, 'usage'));
$conditions$;
revoke all on function pgmq_gateway.conditions from public;

-- What the policies do to an operation of a role: obstacles in words, when no row can get through; whether they may let
-- some rows through and others not; their names.
create or replace function pgmq_gateway.judge_policies(
    queue_table regclass, archive_table regclass, role oid, operation text,
    out obstacles text[], out limited boolean, out policies text[]
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $judge$
    with met as (
        select n.command, n.after, n.outcome, t.oid as on_table, c.policy, c.permissive, c.condition
        from pgmq_gateway.operation_policies() as n
        cross join lateral (select case n.on_table when 'queue' then queue_table else archive_table end) as t (oid)
        left join lateral pgmq_gateway.conditions(t.oid, judge_policies.role, n.command, n.after) as c on true
        where n.operation = judge_policies.operation and pgmq_gateway.policies_count(t.oid, judge_policies.role)
    ), judged as (
        select
            on_table, command, min(outcome) as outcome,
            -- A policy without a condition lets nothing through, or restricts nothing.
            coalesce(bool_or(condition <> 'false') filter (where permissive), false) as possible,
            coalesce(bool_or(condition = 'true') filter (where permissive), false) as free,
            array_agg(policy) filter (where not permissive and condition = 'false') as forbidding,
            coalesce(bool_or(condition <> 'true') filter (where not permissive), false) as restricted
        from met
        group by on_table, command, after
    ), said as (
        select
            on_table,
            format(
                case
                    when forbidding is null
                    then 'No policy on %2$s lets %1$s %3$s, so %4$s: pgmq_admin.create_policy() makes one.'
                    else 'Policy %5$s on %2$s lets nobody %3$s, so %4$s: drop it or change it.'
                end,
                pg_get_userbyid(role), on_table,
                string_agg(distinct case command
                    when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' else 'DELETE' end, ', '),
                -- Where a row cannot be reached, it does not matter what it may become.
                min(outcome), array_to_string(forbidding, ', ')) as obstacle
        from judged
        where not possible or forbidding is not null
        group by on_table, forbidding
    )
    select
        (select coalesce(array_agg(obstacle order by on_table = archive_table), '{}') from said),
        (select coalesce(bool_or(not free or restricted), false) from judged),
        (select coalesce(array_agg(distinct policy::text), '{}') from met where policy is not null);
$judge$;
revoke all on function pgmq_gateway.judge_policies from public;
