-- Row-level security of queues: on and off, and policies from templates.
--
-- Why: a policy easily allows too much, or nothing. The templates are tested.
-- Why SECURITY DEFINER: as in rights.sql; the same four rules apply.

create or replace function pgmq_admin.list_policies(queue_name text)
returns table (
    policy_name text, on_table text, command text, roles name[], using_expression text, check_expression text,
    permissive boolean
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $list$
    select
        p.polname::text,
        case p.polrelid when t.queue_table then 'queue' else 'archive' end,
        pgmq_gateway.command_word(p.polcmd),
        (
            select array_agg(coalesce(r.rolname, 'public') order by r.rolname)
            from unnest(p.polroles) as m (oid) left join pg_roles as r on r.oid = m.oid
        ),
        case when s.can_change then pg_get_expr(p.polqual, p.polrelid) end,
        case when s.can_change then pg_get_expr(p.polwithcheck, p.polrelid) end,
        p.polpermissive
    from pgmq_gateway.queue_tables(queue_name) as t
    join pg_policy as p on p.polrelid in (t.queue_table, t.archive_table)
    -- A condition can contain a secret, such as the value of a header.
    cross join lateral (
        select has_function_privilege(
            case current_setting('role') when 'none' then session_user else current_setting('role')::name end,
            'pgmq_admin.create_policy(text,text,name,text,text,text[])', 'EXECUTE')
    ) as s (can_change)
    order by p.polrelid = t.archive_table, p.polname;
$list$;
comment on function pgmq_admin.list_policies is
    'The policies on a queue and on its archive. They apply where row-level security is on. The conditions are null for '
    'roles that cannot create policies.';
revoke all on function pgmq_admin.list_policies from public;
grant execute on function pgmq_admin.list_policies to service_role;

create or replace function pgmq_admin.set_rls(queue_name text, enabled boolean, archive boolean default false)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- While this waits for a table, all later statements on the table wait too.
set lock_timeout = '3s'
as $set$
declare
    tables record;
    part regclass;
begin
    if enabled is null then
        raise exception 'enabled must not be null' using
            errcode = 'null_value_not_allowed', hint = 'Use true or false.';
    end if;
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    if enabled then
        perform pgmq_gateway.create_service_policies(queue_name);
        perform pgmq_gateway.grant_definer_access(queue_name);
    end if;
    for part in
        select t.oid
        from unnest(array[tables.queue_table, case when archive then tables.archive_table end]) as root (oid)
        cross join lateral (
            select root.oid union select p.relid from pg_partition_tree(root.oid) as p
        ) as t (oid)
        where root.oid is not null
    loop
        execute format(
            'alter table %s %s row level security', part, case when enabled then 'enable' else 'disable' end);
    end loop;
    perform pgmq_settings.record_action(queue_name, 'set_rls');
end;
$set$;
comment on function pgmq_admin.set_rls is
    'Turns row-level security of a queue and its partitions on or off; archive: that of its archive too.';
revoke all on function pgmq_admin.set_rls from public;
grant execute on function pgmq_admin.set_rls to service_role;

create or replace function pgmq_admin.policy_templates()
returns table (template text, title text, description text, parameters jsonb, operations text[])
language sql
immutable
set search_path = pg_catalog, pg_temp
as $templates$
    values
        (
            'own_messages', 'Own messages',
            'Send, read, pop, archive and delete the messages whose member equals a claim of the caller''s token, '
            'such as its user id.',
            '[{"name": "claim", "default": "sub"}, {"name": "member", "default": "user_id"}]'::jsonb,
            '{send,read,pop,archive,delete}'::text[]
        ),
        (
            'tenant', 'Messages of the tenant',
            'Send, read, pop, archive and delete the messages of the caller''s tenant, given by a claim.',
            '[{"name": "claim", "default": "tenant_id"}, {"name": "member", "default": "tenant_id"}]',
            '{send,read,pop,archive,delete}'
        ),
        (
            'consumer', 'Consumer', 'Read, pop, archive and delete all messages, but send none.', '[]',
            '{read,pop,archive,delete}'
        ),
        ('producer', 'Producer', 'Send messages, but read none.', '[]', '{send}');
$templates$;
comment on function pgmq_admin.policy_templates is
    'The templates of create_policy(), their parameters, and the operations that they allow.';
revoke all on function pgmq_admin.policy_templates from public;
grant execute on function pgmq_admin.policy_templates to service_role;

create or replace function pgmq_admin.create_policy(
    queue_name text, template text, role name default 'authenticated', claim text default null,
    member text default null, operations text[] default null
)
returns setof text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $create$
declare
    tables record;
    given record;
    wanted record;
    kept text;
    created boolean := false;
begin
    perform pgmq_gateway.lock_privileges();
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    perform pgmq_gateway.check_role(role);
    select * into given from pgmq_gateway.check_template(
        template, tables.queue_table, role, claim, member, operations);
    for wanted in
        select
            t.oid as on_table, c.word,
            pgmq_gateway.template_policy_name(template, role, c.word, given.claim, given.member) as policy,
            pgmq_gateway.template_condition(template, tables.queue_table, n.command, given.claim, given.member)
                as condition
        from (
            select distinct p.on_table, p.command
            from pgmq_gateway.operation_policies() as p where p.operation = any (given.operations)
        ) as n
        cross join lateral (
            select case n.on_table when 'queue' then tables.queue_table else tables.archive_table end
        ) as t (oid)
        cross join lateral (select pgmq_gateway.command_word(n.command)) as c (word)
        order by n.on_table desc, c.word
    loop
        -- Operations share policies: those of earlier operations are kept.
        if exists (select from pg_policy where polrelid = wanted.on_table and polname = wanted.policy) then
            kept := coalesce(kept, format('policy "%s" on %s', wanted.policy, wanted.on_table));
            continue;
        end if;
        execute format(
            'create policy %I on %s for %s to %I %s (%s)', wanted.policy, wanted.on_table, wanted.word, role,
            case wanted.word when 'insert' then 'with check' else 'using' end, wanted.condition);
        created := true;
        return next wanted.policy;
    end loop;
    if not created then
        raise exception '% already exists', kept using
            errcode = 'duplicate_object',
            hint = 'Keep it, or drop it first with pgmq_admin.drop_policy().';
    end if;
    if template = 'producer' then
        execute format('grant insert, select (msg_id) on %s to %I', tables.queue_table, role);
    end if;
    perform pgmq_admin.grant_queue(queue_name, role, given.operations);
    perform pgmq_settings.record_action(queue_name, 'create_policy');
end;
$create$;
comment on function pgmq_admin.create_policy is
    'Creates the policies of a template for a role, grants the privileges that they need, and returns the policies'' '
    'names. claim and member: the messages whose member equals this claim; a.b is b inside a. operations: those of the '
    'template to allow; default: all of them.';
revoke all on function pgmq_admin.create_policy from public;
grant execute on function pgmq_admin.create_policy to service_role;

create or replace function pgmq_admin.change_policy(
    queue_name text, policy_names text[], template text, role name default 'authenticated', claim text default null,
    member text default null, operations text[] default null
)
returns setof text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $change$
declare
    policy_name text;
begin
    perform pgmq_gateway.lock_privileges();
    for policy_name in select distinct n from unnest(policy_names) as n loop
        perform pgmq_gateway.drop_policy_of(queue_name, policy_name);
    end loop;
    return query select pgmq_admin.create_policy(queue_name, template, role, claim, member, operations);
    perform pgmq_settings.record_action(queue_name, 'change_policy');
end;
$change$;
comment on function pgmq_admin.change_policy is
    'Replaces policies by those of a template, as create_policy() makes them, in one transaction, and returns the names '
    'of the new ones. Privileges that are not needed any more stay: revoke_queue() revokes them.';
revoke all on function pgmq_admin.change_policy from public;
grant execute on function pgmq_admin.change_policy to service_role;

create or replace function pgmq_admin.drop_policy(queue_name text, policy_name text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $drop$
begin
    perform pgmq_gateway.drop_policy_of(queue_name, policy_name);
    perform pgmq_settings.record_action(queue_name, 'drop_policy');
end;
$drop$;
comment on function pgmq_admin.drop_policy is
    'Drops a policy of a queue, on its archive too. Privileges stay, but without a policy they allow nothing.';
revoke all on function pgmq_admin.drop_policy from public;
grant execute on function pgmq_admin.drop_policy to service_role;
