-- What is wrong with queues, or soon will be, and what to do about it.
--
-- Why: Postgres lets one open a queue to everybody, close it to the one who needs it, or lose it in a crash, without a
-- word. This looks at catalogs only, never at messages.
-- Why SECURITY DEFINER: as in rights.sql; nothing is changed here.

create or replace function pgmq_admin.lint(queue_name text default null)
returns setof pgmq_admin.finding
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $lint$
    select f.*
    from (
        select * from pgmq_gateway.lint_rights(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_tables(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_functions() where lint.queue_name is null
    ) as f
    order by f.level, f.queue_name, f.rule, f.message;
$lint$;
comment on function pgmq_admin.lint is
    'What is probably not meant: queues without row-level security, policies that hide all messages without an error, '
    'functions that go past policies, unlogged queues in use, notifications that fail, rights that lack a half.';
revoke all on function pgmq_admin.lint from public;
grant execute on function pgmq_admin.lint to service_role;
