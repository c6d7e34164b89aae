-- The rules of pgmq_admin.lint() about dead messages, and about the role that moves them.

-- Dead messages that cannot be moved, or that no role can read where they go.
create or replace function pgmq_gateway.lint_dead_letters(only_queue text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    with queues as (
        select q.queue_name, q.queue_table, s.max_receives, s.dead_letter_queue
        from pgmq_gateway.selected_queues(only_queue) as q
        left join pgmq_settings.queues as s on s.queue_name = q.queue_name
    )
    -- Each is tried again after an hour.
    select
        q.queue_name, 'failed_burials', 'warning',
        format('Dead messages cannot be moved to %s: SQLSTATE %s.',
            coalesce('queue ' || quote_ident(q.dead_letter_queue), 'the archive'), b.failure),
        'They have the header x-pgmq-dead-failed. Look for a size limit, a constraint or a trigger there; they are moved '
            'within an hour after it no longer refuses them.'
    from queues as q
    cross join lateral (
        select b.failed_at, b.failure from pgmq_settings.burials as b
        where b.queue_table = (select c.relname from pg_class as c where c.oid = q.queue_table)
        order by b.failed_at desc nulls last
        limit 1
    ) as b
    where b.failed_at > clock_timestamp() - interval '2 hours'
    union all
    select
        q.queue_name, 'unread_dead_letters', 'warning',
        format('No role can read its dead-letter queue %s.', quote_ident(q.dead_letter_queue)),
        format('pgmq_admin.grant_queue(%L, ''service_role'', ''{read,archive,delete}'') grants it.', q.dead_letter_queue)
    from queues as q
    join pgmq_gateway.selected_queues(null) as d on d.queue_name = q.dead_letter_queue
    where not exists (
        select from pgmq_gateway.request_roles() as r
        where not exists (
            select from pgmq_gateway.missing_privileges(d.queue_table, d.archive_table, r.oid, 'read')))
    union all
    select
        q.queue_name, 'no_dead_letter_queue', 'info',
        'The queue has max_receives and no dead-letter queue: dead messages go to its archive.',
        format('pgmq_admin.set_queue_settings(%L, ''{"dead_letter_queue": "…"}'') names a queue for them.', q.queue_name)
    from queues as q
    where q.max_receives is not null and q.dead_letter_queue is null;
$lint$;
revoke all on function pgmq_gateway.lint_dead_letters from public;

-- Access that pgmq_definer lacks to bury messages, and to promote those of groups.
create or replace function pgmq_gateway.lint_definer_access(only_queue text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        m.queue_name, 'definer_access', 'warning',
        format('Dead messages stay where they are, and groups refuse sends. Missing: %s.',
            string_agg(m.what, ' and ' order by m.what)),
        case
            when bool_and(m.statement is not null) then 'pgmq-gateway install restores them.'
            else format('As the owner of the tables run: grant select, insert, update, delete on %s to pgmq_definer; as a '
                'superuser: alter role pgmq_definer bypassrls.', string_agg(distinct m.on_table::text, ', '))
        end
    from pgmq_gateway.missing_definer_access(only_queue) as m
    join pg_class as c on c.oid = m.on_table
    where c.relrowsecurity or m.what not like 'policy of %'
    group by m.queue_name
    union all
    select
        q.queue_name, 'definer_access', 'warning',
        format('Dead messages stay where they are, because policy %I of %s can hide messages from pgmq_definer.',
            p.polname, p.polrelid::regclass),
        format('Name the roles that it is for (alter policy %I on %s to …), or as a superuser run: alter role pgmq_definer '
            'bypassrls.', p.polname, p.polrelid::regclass)
    from pgmq_gateway.selected_queues(only_queue) as q
    join pg_policy as p on p.polrelid in (q.queue_table, q.archive_table) and not p.polpermissive
    join pg_class as c on c.oid = p.polrelid and c.relrowsecurity
    join pg_roles as r on r.rolname = 'pgmq_definer' and not r.rolbypassrls and p.polroles && array[0, r.oid]
    union all
    select
        null::text, 'definer_access', 'warning',
        format('%I is no member of pgmq_definer, so it cannot bury messages or install its functions again.', current_user),
        format('As a superuser run: grant pgmq_definer to %I.', current_user)
    from pg_roles as r
    where only_queue is null and r.rolname = 'pgmq_definer' and not pg_has_role(r.oid, 'usage')
      and exists (select from pg_proc as p where p.proowner = r.oid);
$lint$;
revoke all on function pgmq_gateway.lint_definer_access from public;

-- Finds ways of pgmq_definer to do more than move messages, and other roles that can act as it. The installer takes a role
-- of this name as it is.
create or replace function pgmq_gateway.lint_definer_role()
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        null::text, 'definer_role', 'error',
        format('pgmq_definer has %s, which code that runs as it can use.', string_agg(a.name, ', ' order by a.name)),
        format('As a superuser run: alter role pgmq_definer %s.', string_agg('no' || lower(a.name), ' ' order by a.name))
    from pg_roles as r
    cross join lateral (values
        ('LOGIN', r.rolcanlogin), ('SUPERUSER', r.rolsuper), ('CREATEROLE', r.rolcreaterole),
        ('CREATEDB', r.rolcreatedb), ('REPLICATION', r.rolreplication)
    ) as a (name, has)
    where r.rolname = 'pgmq_definer' and a.has
    having count(*) > 0
    union all
    select
        null, 'definer_role', 'error',
        format('%I, which requests can run as, is a member of pgmq_definer: it can access the messages of all queues.',
            q.role),
        format('Revoke that: revoke pgmq_definer from %I, or from the role of which it is a member.', q.role)
    from pgmq_gateway.request_roles() as q
    join pg_roles as r on r.oid = q.oid and not r.rolsuper
    where pg_has_role(q.oid, to_regrole('pgmq_definer')::oid, 'member');
$lint$;
revoke all on function pgmq_gateway.lint_definer_role from public;
