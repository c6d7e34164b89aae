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

revoke all on all functions in schema pgmq_admin, pgmq_gateway from public;
grant usage on schema pgmq_admin, pgmq_gateway to service_role;
grant execute on function
    pgmq_admin.rights, pgmq_admin.grant_queue, pgmq_admin.revoke_queue, pgmq_admin.list_grants
to service_role;
