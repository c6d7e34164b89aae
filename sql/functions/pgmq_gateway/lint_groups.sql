-- The rules of pgmq_admin.lint() about queues with group_limit.

-- Permissive policies with which a role of callers can send to any group, where no restrictive one prevents it.
create or replace function pgmq_gateway.open_group_policies(queue_table regclass)
returns table (policy name, role name)
language sql
stable
set search_path = pg_catalog, pg_temp
as $open$
    with policies as (
        select
            p.polname, p.polpermissive, p.polroles,
            pg_get_expr(coalesce(p.polwithcheck, p.polqual), p.polrelid) ~ '\mheaders\M' as about_headers
        from pg_policy as p
        where p.polrelid = queue_table and p.polcmd in ('*', 'a')
    )
    select p.polname, r.role
    from policies as p
    join pgmq_gateway.limited_roles() as r on p.polroles && array[0, r.oid]
    where p.polpermissive and p.about_headers is not true
      and has_any_column_privilege(r.oid, queue_table, 'INSERT')
      and not exists (
          select from policies as o
          where not o.polpermissive and o.about_headers and o.polroles && array[0, r.oid]);
$open$;
revoke all on function pgmq_gateway.open_group_policies from public;

-- Groups that one message, one caller or one snapshot can stop.
create or replace function pgmq_gateway.lint_groups(only_queue text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    with limited as (
        select q.queue_name, q.queue_table, s.max_receives
        from pgmq_gateway.selected_queues(only_queue) as q
        join pgmq_settings.queues as s on s.queue_name = q.queue_name and s.group_limit is not null
    )
    select
        l.queue_name, 'group_without_max_receives', 'warning',
        'The queue has group_limit and no max_receives: a message that always fails stops its group forever.',
        format('pgmq_admin.set_queue_settings(%L, ''{"max_receives": 5}'') buries it after 5 receives.', l.queue_name)
    from limited as l
    where l.max_receives is null
    union all
    select
        l.queue_name, 'open_groups', 'warning',
        format('With policy "%s" %s can send to any group, and delay the messages of others.',
            p.policy, string_agg(p.role, ', ' order by p.role)),
        'Check the group in the policy: with check (headers ->> ''x-pgmq-group'' = (select auth.uid())::text).'
    from limited as l
    join pg_class as c on c.oid = l.queue_table and c.relrowsecurity
    cross join lateral pgmq_gateway.open_group_policies(l.queue_table) as p
    group by l.queue_name, p.policy
    union all
    select
        l.queue_name, 'group_snapshot', 'warning',
        format('A transaction is %s s old: busy groups get slower while it lasts, because the index keeps their deleted '
            'messages.', a.seconds),
        'Find it with: select pid, query from pg_stat_activity where backend_xmin is not null order by xact_start; '
            'end it with pg_terminate_backend(pid).'
    from limited as l
    cross join lateral (
        select round(extract(epoch from clock_timestamp() - min(a.xact_start))) as seconds
        from pg_stat_activity as a
        where a.datname = current_database() and a.backend_xmin is not null and a.pid <> pg_backend_pid()
    ) as a
    where a.seconds > 300;
$lint$;
revoke all on function pgmq_gateway.lint_groups from public;
