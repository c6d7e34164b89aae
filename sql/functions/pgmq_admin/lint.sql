-- Probable mistakes in the configuration of queues, each with a remedy.
--
-- Why: Postgres gives every role access to a queue, hides it from the role that needs it, or empties it in a crash, all
-- without a warning. The lint reads catalogs only, never messages.
-- Why SECURITY DEFINER: as in rights.sql; nothing is changed here.

create or replace function pgmq_admin.lint(queue_name text default null)
returns setof pgmq_admin.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $lint$
    with access as materialized (
        select coalesce(array_agg(a), '{}') as entries from pgmq_gateway.queue_access(lint.queue_name) as a
    )
    select f.*
    from access
    cross join lateral (
        select * from pgmq_gateway.lint_rls(access.entries, lint.queue_name)
        union all
        select * from pgmq_gateway.lint_policies(access.entries)
        union all
        select * from pgmq_gateway.lint_notify_privileges(access.entries)
        union all
        select * from pgmq_gateway.lint_half_privileges(access.entries)
        union all
        select * from pgmq_gateway.lint_tables(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_service_policies(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_service_members() where lint.queue_name is null
        union all
        select * from pgmq_gateway.lint_orphans() where lint.queue_name is null
        union all
        select * from pgmq_gateway.lint_functions() where lint.queue_name is null
        union all
        select * from pgmq_gateway.lint_time_limits() where lint.queue_name is null
        union all
        select * from pgmq_gateway.lint_excess_privileges(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_triggers(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_owners(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_sharing(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_groups(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_wake(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_dead_letters(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_definer_access(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_definer_role() where lint.queue_name is null
    ) as f
    order by array_position(array['error', 'warning', 'info'], f.level), f.queue_name, f.rule, f.message;
$lint$;
comment on function pgmq_admin.lint is
    'Probable mistakes: queues without row-level security, policies that hide all messages without an error, functions '
    'that bypass policies, code of roles that requests run as, unlogged queues in use, notifications that fail, '
    'queues that pgmq.meta does not list or whose tables are missing, privileges that need another one, roles without a '
    'time limit, queues whose calls cannot share transactions, groups that one message or one caller can stop, '
    'dead messages that cannot be moved or that no role can read.';
revoke all on function pgmq_admin.lint from public;
grant execute on function pgmq_admin.lint to service_role;
