-- Who may do what with a queue: shown as it really is, given, taken away.
--
-- Why: a caller needs USAGE of two schemas, EXECUTE of functions, rights on one or two tables and policies for two or
-- three commands before a single `read` answers a message. These functions know that by heart.
-- Safe to repeat: functions are replaced by themselves; no queue is touched.
--
-- Why SECURITY DEFINER: only the owner of a queue's tables may give rights on them, and service_role is not that. What
-- its holder gains is the say over the tables of queues, which it reads and writes anyway:
-- * Rights and policies go to roles that requests can run in, never to a superuser or to another role that bypasses
--   policies (check_role). Only who has the owner's rights without these functions may name others.
-- * No text of a caller's becomes SQL. Tables are those that pgmq.meta leads to, in the schema pgmq; names are quoted
--   as names, claims and members of messages as literals.
-- * Nothing of a caller's runs: no queue is read, no policy is evaluated, no trigger fires.
-- * search_path ends with pg_temp, which else comes first where types and tables are looked up, and which callers fill.

-- What each operation needs on q_<queue> and on a_<queue>. INSERT and DELETE come with SELECT because pgmq's statements
-- return what they did, pop with UPDATE because it locks the row it takes.
create or replace function pgmq_gateway.operation_rights()
returns table (operation text, queue_rights text[], archive_rights text[])
language sql
immutable
set search_path = pg_catalog, pg_temp
as $rights$
    values
        ('send', array['INSERT', 'SELECT'], '{}'::text[]),
        ('read', array['SELECT', 'UPDATE'], '{}'),
        ('pop', array['SELECT', 'UPDATE', 'DELETE'], '{}'),
        ('archive', array['SELECT', 'DELETE'], array['INSERT', 'SELECT']),
        ('delete', array['SELECT', 'DELETE'], '{}');
$rights$;

-- The same as Postgres asks for it: on which columns. Null: all of the table; none named: any one will do.
create or replace function pgmq_gateway.operation_columns()
returns table (operation text, on_table text, privilege text, columns name[])
language sql
immutable
set search_path = pg_catalog, pg_temp
as $columns$
    values
        ('send', 'queue', 'INSERT', '{vt,message,headers}'::name[]),
        ('send', 'queue', 'SELECT', '{msg_id}'),
        ('read', 'queue', 'SELECT', null),
        ('read', 'queue', 'UPDATE', '{vt,read_ct,last_read_at}'),
        ('pop', 'queue', 'SELECT', '{msg_id,read_ct,enqueued_at,last_read_at,vt,message,headers}'),
        ('pop', 'queue', 'UPDATE', '{}'),
        ('pop', 'queue', 'DELETE', null),
        ('archive', 'queue', 'SELECT', '{msg_id,read_ct,enqueued_at,last_read_at,vt,message,headers}'),
        ('archive', 'queue', 'DELETE', null),
        ('archive', 'archive', 'INSERT', '{msg_id,read_ct,enqueued_at,last_read_at,vt,message,headers}'),
        ('archive', 'archive', 'SELECT', '{msg_id}'),
        ('delete', 'queue', 'SELECT', '{msg_id}'),
        ('delete', 'queue', 'DELETE', null);
$columns$;

-- Which policies an operation meets where row-level security is on, and what happens when none lets the row through.
-- command is as in pg_policy; `after` says that the row is judged as it will be.
create or replace function pgmq_gateway.operation_policies()
returns table (operation text, on_table text, command "char", after boolean, outcome text)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $policies$
    values
        ('send', 'queue', 'a'::"char", true, 'send fails'),
        ('send', 'queue', 'r', false, 'send fails'),
        ('read', 'queue', 'r', false, 'read answers nothing'),
        ('read', 'queue', 'w', false, 'read answers nothing'),
        ('read', 'queue', 'w', true, 'read fails'),
        ('pop', 'queue', 'r', false, 'pop answers nothing'),
        ('pop', 'queue', 'w', false, 'pop answers nothing'),
        ('pop', 'queue', 'd', false, 'pop answers nothing'),
        ('archive', 'queue', 'r', false, 'archive answers false'),
        ('archive', 'queue', 'd', false, 'archive answers false'),
        ('archive', 'archive', 'a', true, 'archive fails'),
        ('archive', 'archive', 'r', false, 'archive fails'),
        ('delete', 'queue', 'r', false, 'delete answers false'),
        ('delete', 'queue', 'd', false, 'delete answers false');
$policies$;

-- The functions that an operation goes through, outermost first. Those of pgmq count where the wrapper calls them.
create or replace function pgmq_gateway.operation_functions(operation text)
returns table (place bigint, signature text, function regprocedure)
language sql
stable
set search_path = pg_catalog, pg_temp
as $functions$
    with wrapper as (
        select f.signature, f.function, (select prosrc from pg_proc where oid = f.function) as source
        from pgmq_admin.public_functions() as f
        where split_part(f.signature, '(', 1) = operation
    )
    select 0::bigint, 'pgmq_public.' || w.signature, w.function from wrapper as w
    union all
    select o.place, o.signature, to_regprocedure(o.signature)
    from wrapper as w,
        unnest(array[
            'pgmq.send(text,jsonb,integer)', 'pgmq.send(text,jsonb,jsonb,timestamptz)',
            'pgmq.read(text,integer,integer,jsonb)', 'pgmq.pop(text)', 'pgmq.pop(text,integer)',
            'pgmq.archive(text,bigint)', 'pgmq.delete(text,bigint)'
        ]) with ordinality as o (signature, place)
    where o.signature like 'pgmq.' || operation || '(%'
      and w.source ~ ('\mpgmq\.' || operation || '\s*\(')
      and to_regprocedure(o.signature) is not null
    union all
    select 100, 'pgmq.format_table_name(text,text)', to_regprocedure('pgmq.format_table_name(text,text)')
    order by 1;
$functions$;

-- The tables of a queue. Raises when there is no such queue.
create or replace function pgmq_gateway.queue_tables(
    queue_name text, out queue_table regclass, out archive_table regclass
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $tables$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    queue_table := to_regclass(format('pgmq.%I', pgmq.format_table_name(queue_name, 'q')));
    archive_table := to_regclass(format('pgmq.%I', pgmq.format_table_name(queue_name, 'a')));
    if queue_table is null or archive_table is null then
        raise exception 'queue "%" has lost a table', queue_name using
            errcode = 'undefined_table',
            hint = 'pgmq_admin.drop_queue() removes what is left of it.';
    end if;
end;
$tables$;

-- The roles that requests can run in: those that the gateway's login role may become.
create or replace function pgmq_gateway.request_roles()
returns table (oid oid, role name)
language sql
stable
set search_path = pg_catalog, pg_temp
as $roles$
    select r.oid, r.rolname
    from pg_roles as r
    where r.rolname <> 'authenticator'
      and pg_has_role(
          'authenticator', r.oid,
          case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end);
$roles$;

-- Raises when an operation is not one of operation_rights().
create or replace function pgmq_gateway.check_operations(operations text[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
declare
    unknown text;
begin
    select o into unknown
    from unnest(operations) as o
    where o is null or o not in (select operation from pgmq_gateway.operation_rights());
    if found or coalesce(cardinality(operations), 0) = 0 then
        raise exception 'operation "%" is not known', coalesce(unknown, '') using
            errcode = 'invalid_parameter_value',
            hint = 'Choose from send, read, pop, archive and delete.';
    end if;
end;
$check$;

-- Raises unless rights may be given to this role, or taken from it: it must be one that requests can run in. Who has
-- the rights of these functions' owner anyway, as somebody at psql or at the command line, may name any.
create or replace function pgmq_gateway.check_role(role name)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
begin
    if to_regrole(quote_ident(role)) is null then
        raise exception 'role "%" does not exist', role using
            errcode = 'undefined_object',
            hint = format('Create it with: create role %I nologin noinherit; grant %I to authenticator;', role, role);
    end if;
    if pg_has_role(session_user, current_user, 'usage') then
        return;
    end if;
    if not exists (select from pgmq_gateway.request_roles() as r where r.role = check_role.role) then
        raise exception 'role "%" is none that requests run in', role using
            errcode = 'insufficient_privilege',
            hint = format('If it should be one, run as the owner of the database: grant %I to authenticator;', role);
    end if;
    if exists (
        select from pg_roles as r
        where r.rolname = role and (r.rolsuper or r.rolbypassrls and r.rolname <> 'service_role')
    ) then
        raise exception 'role "%" bypasses row-level security', role using
            errcode = 'insufficient_privilege',
            hint = 'Only the owner of the database gives such a role rights, and takes them.';
    end if;
end;
$check$;

-- What a role lacks on the tables of a queue for an operation.
create or replace function pgmq_gateway.missing_privileges(
    queue_table regclass, archive_table regclass, role oid, operation text
)
returns table (on_table regclass, privilege text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $missing$
    select t.oid, n.privilege
    from pgmq_gateway.operation_columns() as n
    cross join lateral (select case n.on_table when 'queue' then queue_table else archive_table end) as t (oid)
    where n.operation = missing_privileges.operation
      and case
          when n.privilege = 'DELETE' then not has_table_privilege(role, t.oid, 'DELETE')
          when n.columns = '{}' then not has_any_column_privilege(role, t.oid, n.privilege)
          else not has_table_privilege(role, t.oid, n.privilege) and exists (
              select from pg_attribute as a
              where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
                and (n.columns is null or a.attname = any (n.columns))
                and not has_column_privilege(role, t.oid, a.attnum, n.privilege))
      end;
$missing$;

-- What a role may do by the rights that it has on the tables, through whomever it got them.
create or replace function pgmq_gateway.table_operations(queue_name text, role name)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $held$
    select coalesce(array_agg(o.operation order by o.place), '{}')
    from pgmq_gateway.queue_tables(queue_name) as t
    cross join pgmq_gateway.operation_rights() with ordinality as o (operation, queue_rights, archive_rights, place)
    where not exists (
        select from pgmq_gateway.missing_privileges(
            t.queue_table, t.archive_table, to_regrole(quote_ident(role)), o.operation)
    );
$held$;

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

-- Why a role cannot get as far as the rows; null when it can. Also the role that the tables see: a SECURITY DEFINER
-- function on the way changes it.
create or replace function pgmq_gateway.judge_functions(
    role oid, operation text, out obstacles text[], out seen oid, out disguise regprocedure
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $judge$
declare
    routine record;
    changed boolean;
    advice constant text := 'pgmq_admin.grant_queue() gives it.';
begin
    obstacles := '{}';
    seen := role;
    if to_regnamespace('pgmq_public') is null then
        obstacles := array['The schema pgmq_public does not exist: pgmq_admin.expose() makes it.'];
        return;
    elsif not has_schema_privilege(role, 'pgmq_public', 'usage') then
        obstacles := obstacles || format('%s lacks USAGE of schema pgmq_public: %s', role::regrole, advice);
    end if;
    for routine in
        select f.place, f.signature, f.function, p.prosecdef, p.proowner
        from pgmq_gateway.operation_functions(operation) as f
        left join pg_proc as p on p.oid = f.function
        order by f.place
    loop
        if routine.function is null then
            obstacles := obstacles || format('%s does not exist: pgmq_admin.expose() makes it.', routine.signature);
            return;
        elsif not has_function_privilege(seen, routine.function, 'execute') then
            obstacles := obstacles || format('%s lacks EXECUTE of %s: %s', seen::regrole, routine.signature, advice);
        end if;
        changed := routine.prosecdef and routine.place < 100;
        if changed then
            seen := routine.proowner;
            disguise := routine.function;
        end if;
        if (routine.place = 0 or changed) and not has_schema_privilege(seen, 'pgmq', 'usage') then
            obstacles := obstacles || format('%s lacks USAGE of schema pgmq: %s', seen::regrole, advice);
        end if;
    end loop;
end;
$judge$;

-- Whoever sends to a queue that notifies also writes when the last notification was: what the role lacks for that.
create or replace function pgmq_gateway.missing_throttle_rights(queue_table regclass, role oid)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $throttle$
    select concat_ws(
        ', ',
        case when exists (
            select from unnest(array['queue_name', 'throttle_interval_ms', 'last_notified_at']) as c
            where not has_column_privilege(role, throttle.oid, c, 'SELECT')
        ) then 'SELECT' end,
        case when not has_column_privilege(role, throttle.oid, 'last_notified_at', 'UPDATE') then 'UPDATE' end)
    from pg_trigger as t
    join pg_proc as p on p.oid = t.tgfoid
    cross join to_regclass('pgmq.notify_insert_throttle') as throttle (oid)
    where t.tgrelid = queue_table
      and t.tgname = 'trigger_notify_queue_insert_listeners'
      and t.tgenabled in ('O', 'A')
      and not p.prosecdef
      and throttle.oid is not null;
$throttle$;

-- The truth about one role and one operation.
create or replace function pgmq_gateway.judge(
    queue_name text, queue_table regclass, archive_table regclass, role oid, operation text,
    out verdict text, out reasons text[], out policies text[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $judge$
declare
    way record;
    limits record;
    missing record;
    throttle text;
begin
    select * into way from pgmq_gateway.judge_functions(role, operation);
    reasons := way.obstacles;
    for missing in
        select m.on_table, string_agg(m.privilege, ', ') as privileges
        from pgmq_gateway.missing_privileges(queue_table, archive_table, way.seen, operation) as m
        group by m.on_table order by m.on_table = archive_table
    loop
        reasons := reasons || format(
            '%s lacks %s on %s: pgmq_admin.grant_queue() gives it.',
            way.seen::regrole, missing.privileges, missing.on_table);
    end loop;
    if operation = 'send' then
        throttle := pgmq_gateway.missing_throttle_rights(queue_table, way.seen);
        if throttle <> '' then
            reasons := reasons || format(
                'The queue notifies, and %s lacks %s on pgmq.notify_insert_throttle: '
                'pgmq_admin.grant_queue() gives it.',
                way.seen::regrole, throttle);
        end if;
    end if;
    select * into limits from pgmq_gateway.judge_policies(queue_table, archive_table, way.seen, operation);
    reasons := reasons || limits.obstacles;
    policies := limits.policies;
    if reasons <> '{}' then
        verdict := 'none';
        return;
    end if;
    if way.disguise is not null then
        reasons := array[format('%s is SECURITY DEFINER: it runs as %s.', way.disguise, way.seen::regrole)];
    end if;
    if limits.limited then
        verdict := 'policy';
        reasons := reasons || 'Row-level security is on: policies decide on which messages.'::text;
    else
        verdict := 'all';
        reasons := reasons || case
            when not (select relrowsecurity from pg_class where oid = queue_table)
                then format('Row-level security is off on %s.', queue_table)
            when not pgmq_gateway.policies_count(queue_table, way.seen)
                then format('%s is not held by row-level security.', way.seen::regrole)
            else 'Row-level security is on, and policies let every message through.'
        end;
    end if;
end;
$judge$;

create or replace function pgmq_admin.rights(queue_name text)
returns table (role name, operation text, verdict text, reasons text[], policies text[])
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $rights$
    with judged as (
        select r.oid, r.role, o.operation, o.place, t.queue_table, j.verdict, j.reasons, j.policies
        from pgmq_gateway.queue_tables(queue_name) as t
        cross join pgmq_gateway.request_roles() as r
        cross join pgmq_gateway.operation_rights() with ordinality as o (operation, on_queue, on_archive, place)
        cross join lateral pgmq_gateway.judge(
            queue_name, t.queue_table, t.archive_table, r.oid, o.operation) as j
    )
    select j.role, j.operation, j.verdict, j.reasons, j.policies
    from judged as j
    where j.role in ('anon', 'authenticated', 'service_role')
       or has_any_column_privilege(j.oid, j.queue_table, 'SELECT, INSERT, UPDATE')
       or has_table_privilege(j.oid, j.queue_table, 'DELETE')
       or j.oid in (select s.oid from judged as s where s.verdict <> 'none')
    order by j.role, j.place;
$rights$;
comment on function pgmq_admin.rights is
    'What each role that requests run in may do with a queue: all, policy (policies decide on which messages) or none, '
    'with the reasons. Considers schemas, functions, tables, columns, row-level security, policies and memberships.';

create or replace function pgmq_admin.grant_queue(queue_name text, role name, operations text[])
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $grant$
declare
    tables record;
    wanted record;
    routine regprocedure;
begin
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    perform pgmq_gateway.check_operations(operations);
    perform pgmq_gateway.check_role(role);
    execute format('grant usage on schema pgmq, pgmq_public to %I', role);
    for wanted in
        select * from pgmq_gateway.operation_rights() as o where o.operation = any (operations)
    loop
        -- A producer sends without seeing messages: more rights would take that away.
        if wanted.operation <> 'send'
            or has_table_privilege(role, tables.queue_table, 'SELECT')
            or 'send' <> all (pgmq_gateway.table_operations(queue_name, role))
        then
            execute format(
                'grant %s on %s to %I', array_to_string(wanted.queue_rights, ', '), tables.queue_table, role);
        end if;
        if wanted.archive_rights <> '{}' then
            execute format(
                'grant %s on %s to %I', array_to_string(wanted.archive_rights, ', '), tables.archive_table, role);
        end if;
        for routine in
            select p.oid
            from pg_proc as p
            where p.pronamespace in ('pgmq'::regnamespace, 'pgmq_public'::regnamespace)
              and p.proname in (
                  wanted.operation, 'format_table_name', case wanted.operation when 'send' then 'send_batch' end)
        loop
            execute format('grant execute on function %s to %I', routine, role);
        end loop;
    end loop;
    if 'send' = any (operations)
        and pgmq_gateway.missing_throttle_rights(tables.queue_table, to_regrole(quote_ident(role))) <> ''
    then
        execute format('grant select, update on pgmq.notify_insert_throttle to %I', role);
    end if;
end;
$grant$;
comment on function pgmq_admin.grant_queue is
    'Gives a role the rights on a queue that the operations need: send, read, pop, archive, delete.';

create or replace function pgmq_admin.revoke_queue(queue_name text, role name, operations text[])
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $revoke$
declare
    tables record;
    remaining text[];
    kept text[];
    privilege text;
begin
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    perform pgmq_gateway.check_operations(operations);
    perform pgmq_gateway.check_role(role);
    select coalesce(array_agg(o), '{}') into remaining
    from unnest(pgmq_gateway.table_operations(queue_name, role)) as o
    where o <> all (operations);
    -- Operations share rights: take away what no remaining one needs.
    for privilege in
        select distinct unnest(o.queue_rights)
        from pgmq_gateway.operation_rights() as o
        where o.operation = any (operations)
    loop
        if not exists (
            select from pgmq_gateway.operation_rights() as o
            where o.operation = any (remaining) and privilege = any (o.queue_rights)
        ) then
            execute format('revoke %s on %s from %I', privilege, tables.queue_table, role);
        end if;
    end loop;
    if 'archive' = any (operations) then
        execute format('revoke insert, select on %s from %I', tables.archive_table, role);
    end if;
    select array_agg(o) into kept
    from unnest(pgmq_gateway.table_operations(queue_name, role)) as o
    where o = any (operations);
    if kept is not null then
        raise exception 'role "%" can still % on queue "%"', role, array_to_string(kept, ', '), queue_name using
            errcode = 'invalid_grant_operation',
            detail = case remaining
                when '{}' then 'It has rights from another role.'
                else format('It may also %s, which together need the same rights.', array_to_string(remaining, ', '))
            end,
            hint = 'Revoke those too. Nothing was changed.';
    end if;
end;
$revoke$;
comment on function pgmq_admin.revoke_queue is
    'Takes from a role the rights on a queue that only these operations need; fails when others keep them possible.';

create or replace function pgmq_admin.list_grants(queue_name text)
returns table (role name, operations text[])
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $grants$
    select r.role, held.operations
    from pgmq_gateway.request_roles() as r
    cross join lateral (
        select coalesce(array_agg(o order by place), '{}') as operations
        from unnest(pgmq_gateway.table_operations(queue_name, r.role)) with ordinality as t (o, place)
        where (pgmq_gateway.judge_functions(r.oid, o)).obstacles = '{}'
    ) as held
    where r.role in ('anon', 'authenticated', 'service_role') or held.operations <> '{}'
    order by r.role;
$grants$;
comment on function pgmq_admin.list_grants is
    'What each role that requests run in may do with a queue by its grants; policies are left aside, see rights().';

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

-- Whether pgmq's trigger finds the row without which it notifies nobody. Versions before 1.8 have no such table.
create or replace function pgmq_gateway.throttle_row_exists(queue_table regclass)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $row$
declare
    present boolean := true;
begin
    if to_regclass('pgmq.notify_insert_throttle') is not null then
        execute 'select exists (select from pgmq.notify_insert_throttle where queue_name = $1)' into present
            using (select substr(relname, 3) from pg_class where oid = queue_table);
    end if;
    return present;
end;
$row$;

-- The queues that lint looks at: one, or all that still have their tables.
create or replace function pgmq_gateway.chosen_queues(chosen text)
returns table (queue_name text, queue_table regclass, archive_table regclass)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $chosen$
begin
    if chosen is not null then
        perform pgmq_admin.check_queue_exists(chosen);
    end if;
    return query
    select m.queue_name::text, t.queue_table, t.archive_table
    from pgmq.meta as m
    cross join lateral (
        select
            to_regclass(format('pgmq.%I', pgmq.format_table_name(m.queue_name, 'q'))),
            to_regclass(format('pgmq.%I', pgmq.format_table_name(m.queue_name, 'a')))
    ) as t (queue_table, archive_table)
    where t.queue_table is not null and t.archive_table is not null
      and (chosen is null or m.queue_name = chosen);
end;
$chosen$;

-- What each role that policies hold, and that has some right on a queue, may and may not do with it: what it lacks on
-- the tables, what stops it before them, what the policies say.
create or replace function pgmq_gateway.findings(chosen text)
returns table (
    queue_name text, queue_table regclass, archive_table regclass, oid oid, role name, operation text,
    lacks text, way text[], obstacles text[]
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $findings$
    with callers as materialized (
        select r.oid, r.role, o.operation, (pgmq_gateway.judge_functions(r.oid, o.operation)).obstacles as way
        from pgmq_gateway.request_roles() as r
        join pg_roles as a on a.oid = r.oid and not a.rolsuper and not a.rolbypassrls
        cross join pgmq_gateway.operation_rights() as o
    )
    select
        q.queue_name, q.queue_table, q.archive_table, c.oid, c.role, c.operation, missing.lacks, c.way,
        (pgmq_gateway.judge_policies(q.queue_table, q.archive_table, c.oid, c.operation)).obstacles
    from pgmq_gateway.chosen_queues(chosen) as q
    join callers as c
        on has_any_column_privilege(c.oid, q.queue_table, 'SELECT, INSERT, UPDATE')
        or has_table_privilege(c.oid, q.queue_table, 'DELETE')
    cross join lateral (
        select string_agg(format('%s on %s', p.privilege, p.on_table), ', ') as lacks
        from pgmq_gateway.missing_privileges(q.queue_table, q.archive_table, c.oid, c.operation) as p
    ) as missing;
$findings$;

-- A type, because a function's parameter and a column of its table cannot share the name queue_name.
do $finding$
begin
    if to_regtype('pgmq_admin.finding') is null then
        create type pgmq_admin.finding as (queue_name text, rule text, level text, message text, hint text);
    end if;
end;
$finding$;

create or replace function pgmq_gateway.lint_rights(chosen text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    with found as materialized (
        select * from pgmq_gateway.findings(chosen)
    ), reach as (
        select by_role.queue_name, string_agg(by_role.said, ', ' order by by_role.said) as said
        from (
            select
                f.queue_name,
                format('%s may %s', f.role, string_agg(f.operation, ', ' order by f.operation)) as said
            from found as f
            where f.lacks is null and f.way = '{}'
            group by f.queue_name, f.role
        ) as by_role
        group by by_role.queue_name
    ), signs (operation, privilege, serves) as (
        -- The privilege that shows what somebody wanted a role to do.
        values
            ('send', 'INSERT', array['send']),
            ('read', 'UPDATE', array['read', 'pop']),
            ('delete', 'DELETE', array['delete', 'pop', 'archive'])
    ), halves as (
        select f.*, format('it has %s on %s and lacks %s', s.privilege, f.queue_table, f.lacks) as said
        from found as f
        join signs as s using (operation)
        where case s.privilege
                  when 'DELETE' then has_table_privilege(f.oid, f.queue_table, 'DELETE')
                  else has_any_column_privilege(f.oid, f.queue_table, s.privilege)
              end
          and not exists (
              select from found as g
              where g.queue_name = f.queue_name and g.oid = f.oid and g.operation = any (s.serves) and g.lacks is null)
        union all
        select f.*, format('it lacks %s', f.lacks)
        from found as f
        where f.operation = 'archive'
          and has_table_privilege(f.oid, f.queue_table, 'DELETE')
          and has_any_column_privilege(f.oid, f.archive_table, 'INSERT')
              <> has_any_column_privilege(f.oid, f.archive_table, 'SELECT')
        union all
        select f.*, 'it has the rights on the tables, but ' || array_to_string(f.way, ' ')
        from found as f
        where f.lacks is null and f.way <> '{}' and pgmq_admin.exposed()
    )
    select
        q.queue_name, 'rls_off', case when r.said is null then 'warning' else 'error' end,
        'Row-level security is off: ' || coalesce(r.said || ', all messages.', 'a right is one on all messages.'),
        format('pgmq_admin.set_rls(%L, true) turns it on; create_policy() says what is allowed then.', q.queue_name)
    from pgmq_gateway.chosen_queues(chosen) as q
    join pg_class as c on c.oid = q.queue_table and not c.relrowsecurity
    left join reach as r on r.queue_name = q.queue_name
    where pgmq_admin.exposed()
    union all
    select
        f.queue_name, 'silent_policy', 'warning',
        format('%s has the rights to %s, and policies hide all messages, without an error. %s', f.role,
            string_agg(f.operation, ', ' order by f.operation),
            (array_agg(o.obstacle order by f.operation = 'read' desc, f.operation))[1]),
        format('pgmq_admin.rights(%L) tells what each operation needs.', f.queue_name)
    from found as f
    cross join lateral unnest(f.obstacles) as o (obstacle)
    where f.lacks is null and f.way = '{}' and o.obstacle like '% answers %'
    group by f.queue_name, f.role
    union all
    select
        f.queue_name, 'notify_right', 'error',
        format('%s cannot send: the queue notifies, and the role lacks %s on pgmq.notify_insert_throttle.',
            f.role, lacking.privileges),
        format('pgmq_admin.grant_queue(%L, %L, ''{send}'') gives it.', f.queue_name, f.role)
    from found as f
    cross join lateral pgmq_gateway.missing_throttle_rights(f.queue_table, f.oid) as lacking (privileges)
    where f.operation = 'send' and f.lacks is null and lacking.privileges <> ''
    union all
    select
        h.queue_name, 'half_right', 'warning', format('%s cannot %s: %s', h.role, h.operation, h.said),
        format('pgmq_admin.grant_queue(%1$L, %2$L, ''{%3$s}'') gives what is missing, revoke_queue() takes the rest.',
            h.queue_name, h.role, h.operation)
    from halves as h;
$lint$;

create or replace function pgmq_gateway.lint_tables(chosen text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        q.queue_name, 'unlogged_in_use', 'warning',
        'The queue is unlogged and in use: a crash of the server empties it, and its ids begin at 1 again.',
        'For messages that must not be lost, create a queue of type basic and move them.'
    from pgmq_gateway.chosen_queues(chosen) as q
    join pg_class as c on c.oid = q.queue_table
    where c.relpersistence = 'u' and pg_relation_size(c.oid) > 0
    union all
    select
        q.queue_name, 'notify_row', 'warning',
        'The queue has the trigger that notifies, and nobody is notified: ' || case
            when never.so then 'pgmq looks it up by the name of a table, that of a partition or in small letters.'
            else 'its row in pgmq.notify_insert_throttle is missing, as after a crash.'
        end,
        format(
            case when never.so then 'pgmq_admin.disable_notify(%L) saves the work of it.'
                else 'pgmq_admin.enable_notify(%L) puts it back.' end,
            q.queue_name)
    from pgmq_gateway.chosen_queues(chosen) as q
    join pg_class as c on c.oid = q.queue_table
    join pg_trigger as t on t.tgrelid = q.queue_table and t.tgname = 'trigger_notify_queue_insert_listeners'
    cross join lateral (select c.relkind = 'p' or q.queue_name <> lower(q.queue_name)) as never (so)
    where never.so or not pgmq_gateway.throttle_row_exists(q.queue_table);
$lint$;

-- Functions that callers may execute, that work on queues, and that do it with their owner's rights.
create or replace function pgmq_gateway.lint_functions()
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        null::text, 'definer_function', case n.nspname when 'pgmq_public' then 'error' else 'warning' end,
        format('%s is SECURITY DEFINER: on queues it acts as %s, past the rights and policies of its callers.',
            p.oid::regprocedure, p.proowner::regrole),
        'Make it SECURITY INVOKER, or see to it that it decides itself who may do what.'
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where p.prosecdef
      and n.nspname not in ('pg_catalog', 'information_schema', 'pgmq', 'pgmq_admin', 'pgmq_gateway')
      and (n.nspname = 'pgmq_public' or coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) ~ '\mpgmq(_public)?\M')
      and exists (
          select from pgmq_gateway.request_roles() as r
          join pg_roles as a on a.oid = r.oid and not a.rolsuper and not a.rolbypassrls
          where has_schema_privilege(r.oid, n.oid, 'usage') and has_function_privilege(r.oid, p.oid, 'execute'));
$lint$;

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

-- SECURITY INVOKER: a definer function may not change roles, and the session decides which ones it may become. So these
-- two try as exactly those callers that tokens can name. What they do is undone to the last row and setting, because it
-- happens in a block that always ends with an error; only ids of the queue are used up. The statements are
-- fixed, and dynamic because one whose plan is kept would not ask for USAGE of the schema again.

-- Raises unless the session may become this caller.
create or replace function pgmq_gateway.check_caller(role name, claims jsonb)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if to_regrole(quote_ident(role)) is null then
        raise exception 'role "%" does not exist', role using errcode = 'undefined_object';
    elsif not pg_has_role(
        session_user, role,
        case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end
    ) then
        raise exception 'role "%" is none that requests run in', role using
            errcode = 'insufficient_privilege',
            hint = format('If it should be one, run as the owner of the database: grant %I to authenticator;', role);
    elsif jsonb_typeof(claims) is distinct from 'object' then
        raise exception 'claims must be a JSON object' using
            errcode = 'invalid_parameter_value', hint = 'For example: {"sub": "1234"}';
    end if;
end;
$check$;

-- Be this caller until the block ends, as a request is. No search_path of its own: it would take the others with it.
create or replace function pgmq_gateway.become(role name, claims jsonb)
returns void
language plpgsql
as $become$
begin
    perform
        pg_catalog.set_config('lock_timeout', '1s', true),
        pg_catalog.set_config('search_path', 'pgmq_public, public, extensions', true),
        pg_catalog.set_config(
            'request.jwt.claims', (pg_catalog.jsonb_build_object('role', role) || claims)::pg_catalog.text, true),
        pg_catalog.set_config('role', role, true);
end;
$become$;

create or replace function pgmq_admin.try_as(
    queue_name text, role name, claims jsonb default '{}', message jsonb default '{}'
)
returns table (operation text, allowed boolean, code text, error text, rows bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $try$
#variable_conflict use_column
declare
    tried record;
    done boolean;
    sample bigint;
    results jsonb := '[]';
begin
    if not exists (select from pgmq.meta as m where m.queue_name = try_as.queue_name) then
        raise exception 'queue "%" does not exist', queue_name using
            errcode = 'undefined_table', hint = 'pgmq_admin.list_queues() lists those that do.';
    end if;
    perform pgmq_gateway.check_caller(role, claims);
    begin
        -- A sender that notifies holds a row that this insert may want too.
        perform set_config('lock_timeout', '1s', true);
        -- Something to read, as old as can be so that it comes first.
        execute format(
            'insert into pgmq.%I (vt, message) values ($1, $2) returning msg_id',
            pgmq.format_table_name(queue_name, 'q')
        ) into sample using '-infinity'::timestamptz, message;
        for tried in
            select * from (values
                ('send', 'pgmq_public.send(queue_name => $1, message => $2)', 'true'),
                ('read', 'pgmq_public.read(queue_name => $1, sleep_seconds => 0, n => 1)', 'true'),
                ('pop', 'pgmq_public.pop(queue_name => $1)', 'true'),
                ('archive', 'pgmq_public.archive(queue_name => $1, message_id => $3)', 'r'),
                ('delete', 'pgmq_public.delete(queue_name => $1, message_id => $3)', 'r')
            ) as t (name, call, condition)
        loop
            operation := tried.name;
            allowed := false;
            code := null;
            error := null;
            rows := 0;
            done := false;
            begin
                perform pgmq_gateway.become(role, claims);
                execute format('select count(*) from %s as r where %s', tried.call, tried.condition)
                    into rows using queue_name, message, sample;
                done := true;
                raise sqlstate 'GW000';
            exception when others then
                if done then
                    allowed := rows > 0;
                else
                    get stacked diagnostics code = returned_sqlstate, error = message_text;
                end if;
            end;
            results := results || jsonb_build_object(
                'operation', operation, 'allowed', allowed, 'code', code, 'error', error, 'rows', rows);
        end loop;
        raise sqlstate 'GW000';
    exception when sqlstate 'GW000' then null;
    end;
    return query
    select r.* from jsonb_to_recordset(results)
        as r (operation text, allowed boolean, code text, error text, rows bigint);
end;
$try$;
comment on function pgmq_admin.try_as is
    'Tries each operation as a caller with this role and these claims, and undoes it. A message like the given one is '
    'there for the try. Not allowed without an error: policies hide the message. Uses up ids of the queue.';

create or replace function pgmq_admin.messages_as(
    queue_name text, role name, claims jsonb default '{}', max_rows integer default 10
)
returns table (
    msg_id bigint, read_ct integer, enqueued_at timestamptz, last_read_at timestamptz, vt timestamptz, message jsonb,
    headers jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $messages$
#variable_conflict use_column
declare
    seen jsonb;
begin
    if not exists (select from pgmq.meta as m where m.queue_name = messages_as.queue_name) then
        raise exception 'queue "%" does not exist', queue_name using
            errcode = 'undefined_table', hint = 'pgmq_admin.list_queues() lists those that do.';
    elsif max_rows is null or max_rows not between 1 and 1000 then
        raise exception 'max_rows must be from 1 to 1000' using errcode = 'invalid_parameter_value';
    end if;
    perform pgmq_gateway.check_caller(role, claims);
    begin
        perform pgmq_gateway.become(role, claims);
        -- As read takes them: the lock asks for the same rights and policies.
        execute format(
            'select coalesce(jsonb_agg(m), ''[]'') from ('
            'select * from pgmq.%I order by msg_id limit $1 for update skip locked) as m',
            pgmq.format_table_name(queue_name, 'q')
        ) into seen using max_rows;
        raise sqlstate 'GW000';
    exception when sqlstate 'GW000' then null;
    end;
    return query
    select s.*
    from jsonb_to_recordset(seen) as s (
        msg_id bigint, read_ct integer, enqueued_at timestamptz, last_read_at timestamptz, vt timestamptz,
        message jsonb, headers jsonb)
    order by s.msg_id;
end;
$messages$;
comment on function pgmq_admin.messages_as is
    'The oldest messages that read could answer to a caller with this role and these claims, in flight or not.';

revoke all on all functions in schema pgmq_admin, pgmq_gateway from public;
grant usage on schema pgmq_admin, pgmq_gateway to service_role;
grant execute on function pgmq_gateway.check_caller, pgmq_gateway.become to service_role;
grant execute on function
    pgmq_admin.rights, pgmq_admin.grant_queue, pgmq_admin.revoke_queue, pgmq_admin.list_grants, pgmq_admin.set_rls,
    pgmq_admin.list_policies, pgmq_admin.policy_templates, pgmq_admin.create_policy, pgmq_admin.drop_policy,
    pgmq_admin.expose, pgmq_admin.unexpose, pgmq_admin.exposed, pgmq_admin.lint, pgmq_admin.try_as,
    pgmq_admin.messages_as
to service_role;
