-- Row-level security of queues: on and off, policies from templates; and whether requests may use queues at all.
--
-- Why: a policy is easily written so that it lets through too much, or nothing. The templates are the ones that hold.
-- Why SECURITY DEFINER: as in 0007; the same four rules hold here.
-- Safe to repeat: functions are replaced by themselves; no queue is touched.

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
        case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
            else 'all' end,
        (
            select array_agg(coalesce(r.rolname, 'public') order by r.rolname)
            from unnest(p.polroles) as m (oid) left join pg_roles as r on r.oid = m.oid
        ),
        pg_get_expr(p.polqual, p.polrelid),
        pg_get_expr(p.polwithcheck, p.polrelid),
        p.polpermissive
    from pgmq_gateway.queue_tables(queue_name) as t
    join pg_policy as p on p.polrelid in (t.queue_table, t.archive_table)
    order by p.polrelid = t.archive_table, p.polname;
$list$;
comment on function pgmq_admin.list_policies is
    'The policies on a queue and on its archive. They count where row-level security is on.';

create or replace function pgmq_admin.set_rls(queue_name text, enabled boolean, archive boolean default false)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- Who waits for a table here makes all others wait too.
set lock_timeout = '3s'
as $set$
declare
    tables record;
    part regclass;
begin
    if enabled is null then
        raise exception 'enabled must not be null' using
            errcode = 'null_value_not_allowed', hint = 'Say true or false.';
    end if;
    select * into tables from pgmq_gateway.queue_tables(queue_name);
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
end;
$set$;
comment on function pgmq_admin.set_rls is
    'Row-level security of a queue and its partitions on or off; archive: of its archive too.';

create or replace function pgmq_admin.policy_templates()
returns table (template text, title text, description text, parameters jsonb)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $templates$
    values
        (
            'own_messages', 'Own messages',
            'Send, read, pop, archive and delete the messages whose member equals a claim of the caller''s token, '
            'as its user id.',
            '[{"name": "claim", "default": "sub"}, {"name": "member", "default": "user_id"}]'::jsonb
        ),
        (
            'tenant', 'Messages of the tenant',
            'Send, read, pop, archive and delete the messages of the caller''s tenant, which a claim names.',
            '[{"name": "claim", "default": "tenant_id"}, {"name": "member", "default": "tenant_id"}]'
        ),
        ('consumer', 'Consumer', 'Read, pop, archive and delete all messages, send none.', '[]'),
        ('producer', 'Producer', 'Send messages, see none.', '[]');
$templates$;
comment on function pgmq_admin.policy_templates is 'The templates of create_policy and the parameters that each takes.';

-- A claim or a member of a message as an expression: `a.b` is b inside a; a name that holds more than words and dots is
-- a name as it stands, such as an URL.
create or replace function pgmq_gateway.member_expression(value text, name text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $expression$
    select case
        when name ~ '^\w+(\.\w+)+$' then format('%s #>> %L', value, string_to_array(name, '.')::text)
        else format('%s ->> %L', value, name)
    end;
$expression$;

-- The condition of a template.
create or replace function pgmq_gateway.template_condition(
    template text, queue_table regclass, command "char", claim text, member text
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $condition$
    select case
        when template in ('own_messages', 'tenant') then format(
            -- As a scalar subquery the claim is looked up once, not for each row.
            '%s = (select %s)',
            pgmq_gateway.member_expression('message', member),
            pgmq_gateway.member_expression('nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb', claim))
        -- pgmq's INSERT returns the id, so a sender needs a SELECT policy that lets its own new row through, and
        -- policies cannot know whose row that is. So rows are shown, as long as the role sees no more of them than ids.
        when template = 'producer' and command = 'r' then format(
            '(select not (has_column_privilege(%1$L::regclass, ''message'', ''select'')'
            ' or has_column_privilege(%1$L::regclass, ''headers'', ''select'')))',
            queue_table)
        else 'true'
    end;
$condition$;

-- A name for a policy of a template, which is another for another claim or member.
create or replace function pgmq_gateway.template_policy_name(
    template text, role name, command text, claim text, member text
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $name$
    select case
        when octet_length(long.name) < 64 then long.name
        else format('%s %s %s', template, command, md5(long.name))
    end
    from (
        select format('%s of %s: %s', template, role, command)
            || case when claim is null then '' else format(' where %s = %s', member, claim) end
    ) as long (name);
$name$;

-- Raises when a template cannot be applied; else its claim and member, and the operations that it is for.
create or replace function pgmq_gateway.check_template(
    template text, queue_table regclass, role name, inout claim text, inout member text, out operations text[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
declare
    id constant oid := to_regrole(quote_ident(role));
    takes jsonb;
begin
    select t.parameters into takes from pgmq_admin.policy_templates() as t where t.template = check_template.template;
    if takes is null then
        raise exception 'template "%" is not known', coalesce(template, '') using
            errcode = 'invalid_parameter_value',
            hint = 'Choose from own_messages, tenant, consumer and producer.';
    elsif takes = '[]' and (claim is not null or member is not null) then
        raise exception 'template "%" takes neither claim nor member', template using
            errcode = 'invalid_parameter_value',
            hint = 'Leave them out, or choose own_messages or tenant.';
    end if;
    claim := coalesce(claim, jsonb_path_query_first(takes, '$[*] ? (@.name == "claim").default') #>> '{}');
    member := coalesce(member, jsonb_path_query_first(takes, '$[*] ? (@.name == "member").default') #>> '{}');
    if '' in (claim, member) then
        raise exception 'claim and member must not be empty' using
            errcode = 'invalid_parameter_value', hint = 'Leave them out for the usual ones.';
    elsif claim ~ '^(user|raw_user_meta)_?(meta)?data(\.|$)' then
        raise exception 'claim "%" is not to be trusted', claim using
            errcode = 'invalid_parameter_value',
            detail = 'Users write their user_metadata themselves.',
            hint = 'Use sub, or a claim inside app_metadata.';
    elsif not pgmq_gateway.policies_count(queue_table, id) then
        raise exception 'a policy on % would not count for role "%"', queue_table, role using
            errcode = 'object_not_in_prerequisite_state',
            hint = case
                when (select relrowsecurity from pg_class where oid = queue_table)
                then 'The role is not held by row-level security: choose another.'
                else 'Turn row-level security on first: pgmq_admin.set_rls(queue_name, true).'
            end;
    elsif template = 'producer' and (
        has_column_privilege(id, queue_table, 'message', 'SELECT')
        or has_column_privilege(id, queue_table, 'headers', 'SELECT')
    ) then
        raise exception 'role "%" may see messages of %: it is no producer', role, queue_table using
            errcode = 'object_not_in_prerequisite_state',
            hint = 'Revoke its operations first, see pgmq_admin.revoke_queue(), or choose own_messages.';
    end if;
    operations := case template
        when 'consumer' then '{read,pop,archive,delete}'
        when 'producer' then '{send}'
        else '{send,read,pop,archive,delete}'
    end::text[];
end;
$check$;

create or replace function pgmq_admin.create_policy(
    queue_name text, template text, role name default 'authenticated', claim text default null, member text default null
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
begin
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    perform pgmq_gateway.check_role(role);
    select * into given from pgmq_gateway.check_template(template, tables.queue_table, role, claim, member);
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
        join (values ('r'::"char", 'select'), ('a', 'insert'), ('w', 'update'), ('d', 'delete')) as c (command, word)
            using (command)
        order by n.on_table desc, c.word
    loop
        if exists (select from pg_policy where polrelid = wanted.on_table and polname = wanted.policy) then
            raise exception 'policy "%" on % exists already', wanted.policy, wanted.on_table using
                errcode = 'duplicate_object',
                hint = 'Keep it, or drop it first with pgmq_admin.drop_policy().';
        end if;
        execute format(
            'create policy %I on %s for %s to %I %s (%s)', wanted.policy, wanted.on_table, wanted.word, role,
            case wanted.word when 'insert' then 'with check' else 'using' end, wanted.condition);
        return next wanted.policy;
    end loop;
    if template = 'producer' then
        execute format('grant insert, select (msg_id) on %s to %I', tables.queue_table, role);
    end if;
    perform pgmq_admin.grant_queue(queue_name, role, given.operations);
end;
$create$;
comment on function pgmq_admin.create_policy is
    'Lets a role do what a template says, by policies and the rights that they need; answers the policies'' names. '
    'claim and member: the messages whose member equals this claim; a.b stands for b inside a.';

create or replace function pgmq_admin.drop_policy(queue_name text, policy_name text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
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
            errcode = 'undefined_object', hint = 'pgmq_admin.list_policies() lists those that it has.';
    end if;
end;
$drop$;
comment on function pgmq_admin.drop_policy is
    'Drops a policy of a queue, on its archive too. Rights stay: without a policy they let nothing through.';

create or replace function pgmq_admin.expose()
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $expose$
    select pgmq_admin.expose_queues();
$expose$;
comment on function pgmq_admin.expose is
    'Lets anon, authenticated and service_role call the six functions of pgmq_public; makes those that are gone.';

create or replace function pgmq_admin.exposed()
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $exposed$
    select coalesce(bool_or(has_schema_privilege(r.oid, s.oid, 'usage')), false)
    from pgmq_gateway.request_roles() as r, to_regnamespace('pgmq_public') as s (oid)
    where s.oid is not null;
$exposed$;
comment on function pgmq_admin.exposed is 'Whether any role that requests run in may call functions of pgmq_public.';

create or replace function pgmq_admin.unexpose()
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $unexpose$
declare
    callers text;
    routine regprocedure;
begin
    if to_regnamespace('pgmq_public') is null then
        return;
    end if;
    select string_agg(quote_ident(r.role), ', ') into callers from pgmq_gateway.request_roles() as r;
    execute format('revoke usage on schema pgmq_public from public, %s', callers);
    for routine in select f.function from pgmq_admin.public_functions() as f where f.function is not null loop
        execute format('revoke execute on function %s from %s', routine, callers);
    end loop;
    if pgmq_admin.exposed() then
        raise exception 'pgmq_public can still be called' using
            errcode = 'invalid_grant_operation',
            detail = 'Roles that requests run in have USAGE of it from others, or from another grantor.',
            hint = 'Look at its access list in psql: \dn+ pgmq_public. Nothing was changed.';
    end if;
end;
$unexpose$;
comment on function pgmq_admin.unexpose is
    'No request may call pgmq_public; its functions stay. Roles of your own need grant_queue() after expose().';

revoke all on all functions in schema pgmq_admin, pgmq_gateway from public;
grant execute on function
    pgmq_admin.set_rls, pgmq_admin.list_policies, pgmq_admin.policy_templates, pgmq_admin.create_policy,
    pgmq_admin.drop_policy, pgmq_admin.expose, pgmq_admin.unexpose, pgmq_admin.exposed
to service_role;
