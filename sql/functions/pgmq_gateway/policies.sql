-- The command of a policy in words, from pg_policy.
create or replace function pgmq_gateway.command_word(command "char")
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $word$
    select case command
        when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all'
    end;
$word$;
revoke all on function pgmq_gateway.command_word from public;

-- True if policies apply to a role on a table.
create or replace function pgmq_gateway.policies_apply(on_table regclass, role oid)
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
revoke all on function pgmq_gateway.policies_apply from public;

-- The policies of a table that apply to a role and a command, with their condition for rows as they are, or as they
-- will be.
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

-- Drops a policy of a queue, on its archive too.
create or replace function pgmq_gateway.drop_policy_of(queue_name text, policy_name text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $drop$
declare
    place regclass;
begin
    for place in
        select p.polrelid
        from pgmq_gateway.queue_tables(queue_name) as t
        join pg_policy as p on p.polrelid in (t.queue_table, t.archive_table)
        where p.polname = policy_name
    loop
        execute format('drop policy %I on %s', policy_name, place);
    end loop;
    if not found then
        raise exception 'queue "%" has no policy "%"', queue_name, policy_name using
            errcode = 'undefined_object', hint = 'pgmq_admin.list_policies() lists its policies.';
    end if;
end;
$drop$;
revoke all on function pgmq_gateway.drop_policy_of from public;

-- The effect of policies on an operation of a role.
--
-- blockers         why no row can pass, in words
-- silent_blockers  those of them that raise no error
-- limited          whether some rows may pass and others not
-- policies         the names of the policies that apply
create or replace function pgmq_gateway.judge_policies(
    queue_table regclass, archive_table regclass, role oid, operation text,
    out blockers text[], out silent_blockers text[], out limited boolean, out policies text[]
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $judge$
    with applied as (
        select n.command, n.after, n.fails, t.oid as on_table, c.policy, c.permissive, c.condition
        from pgmq_gateway.operation_policies() as n
        cross join lateral (select case n.on_table when 'queue' then queue_table else archive_table end) as t (oid)
        left join lateral pgmq_gateway.conditions(t.oid, judge_policies.role, n.command, n.after) as c on true
        where n.operation = judge_policies.operation and pgmq_gateway.policies_apply(t.oid, judge_policies.role)
    ), judged as (
        select
            on_table, command, bool_and(fails) as fails,
            -- A policy without a condition allows no row, or restricts none.
            coalesce(bool_or(condition <> 'false') filter (where permissive), false) as possible,
            coalesce(bool_or(condition = 'true') filter (where permissive), false) as free,
            array_agg(policy) filter (where not permissive and condition = 'false') as forbidding,
            coalesce(bool_or(condition <> 'true') filter (where not permissive), false) as restricted
        from applied
        group by on_table, command, after
    ), blocked as (
        -- Where a row cannot be reached, it does not matter how it would be judged afterwards: no failure then.
        select on_table, forbidding, bool_and(fails) as fails, pgmq_gateway.blocker(
            role, on_table, forbidding, operation, bool_and(fails), array_agg(distinct command)) as blocker
        from judged
        where not possible or forbidding is not null
        group by on_table, forbidding
    )
    select
        (select coalesce(array_agg(blocker order by on_table = archive_table), '{}') from blocked),
        (select coalesce(array_agg(blocker order by on_table = archive_table) filter (where not fails), '{}')
            from blocked),
        (select coalesce(bool_or(not free or restricted), false) from judged),
        (select coalesce(array_agg(distinct policy::text), '{}') from applied where policy is not null);
$judge$;
revoke all on function pgmq_gateway.judge_policies from public;

-- Why policies block an operation, in words.
create or replace function pgmq_gateway.blocker(
    role oid, on_table regclass, forbidding name[], operation text, fails boolean, commands "char"[]
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $blocker$
    select format(
        case
            when forbidding is null
            then 'No policy on %2$s allows %1$s %3$s, so %4$s: create one with pgmq_admin.create_policy().'
            else 'Policy %5$s on %2$s forbids %3$s, so %4$s: drop it or change it.'
        end,
        pg_get_userbyid(role), on_table,
        (
            select string_agg(w.word, ', ' order by w.word)
            from unnest(commands) as c (command)
            cross join lateral (select upper(pgmq_gateway.command_word(c.command))) as w (word)
        ),
        case
            when fails then operation || ' fails'
            when operation in ('archive', 'delete') then operation || ' returns false'
            else operation || ' returns nothing'
        end,
        array_to_string(forbidding, ', '));
$blocker$;
revoke all on function pgmq_gateway.blocker from public;
