-- Who may do what with a queue: shown as it really is, given, taken away, tried.
--
-- Why: a caller needs USAGE of two schemas, EXECUTE of functions, rights on one or two tables and policies for two or
-- three commands before a single `read` answers a message. These functions know that by heart.
-- Safe to repeat: functions are replaced by themselves; no queue is touched.

-- What each operation needs on q_<queue> and on a_<queue>. INSERT and DELETE come with SELECT because pgmq's statements
-- return what they did, pop with UPDATE because it locks the row it takes.
create or replace function pgmq_admin.operation_rights()
returns table (operation text, queue_rights text[], archive_rights text[])
language sql
immutable
set search_path = ''
as $rights$
    values
        ('send', array['INSERT', 'SELECT'], '{}'::text[]),
        ('read', array['SELECT', 'UPDATE'], '{}'),
        ('pop', array['SELECT', 'UPDATE', 'DELETE'], '{}'),
        ('archive', array['SELECT', 'DELETE'], array['INSERT', 'SELECT']),
        ('delete', array['SELECT', 'DELETE'], '{}');
$rights$;

-- Raises when an operation is not one of operation_rights(), or when the role does not exist.
create or replace function pgmq_admin.check_operations(role name, operations text[])
returns void
language plpgsql
set search_path = ''
as $check$
declare
    unknown text;
begin
    select o into unknown
    from unnest(operations) as o
    where o is null or o not in (select operation from pgmq_admin.operation_rights());
    if found or coalesce(cardinality(operations), 0) = 0 then
        raise exception 'operation "%" is not known', coalesce(unknown, '') using
            errcode = 'invalid_parameter_value',
            hint = 'Choose from send, read, pop, archive and delete.';
    end if;
    if to_regrole(quote_ident(role)) is null then
        raise exception 'role "%" does not exist', role using
            errcode = 'undefined_object',
            hint = format('Create it with: create role %I nologin noinherit; grant %I to authenticator;', role, role);
    end if;
end;
$check$;

-- What a role may do by the rights that it has on the tables, through whomever it got them.
create or replace function pgmq_admin.table_operations(queue_name text, role name)
returns text[]
language sql
stable
set search_path = ''
as $held$
    select coalesce(array_agg(o.operation order by o.place), '{}')
    from pgmq_admin.operation_rights() with ordinality as o (operation, queue_rights, archive_rights, place)
    where not exists (
        select from unnest(o.queue_rights) as needed
        where not has_table_privilege(
            role, format('pgmq.%I', pgmq.format_table_name(queue_name, 'q')), needed)
    ) and not exists (
        select from unnest(o.archive_rights) as needed
        where not has_table_privilege(
            role, format('pgmq.%I', pgmq.format_table_name(queue_name, 'a')), needed)
    );
$held$;

create or replace function pgmq_admin.grant_queue(queue_name text, role name, operations text[])
returns void
language plpgsql
set search_path = ''
as $grant$
declare
    queue_table constant text := pgmq.format_table_name(queue_name, 'q');
    wanted record;
    routine regprocedure;
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    perform pgmq_admin.check_operations(role, operations);
    execute format('grant usage on schema pgmq, pgmq_public to %I', role);
    for wanted in
        select * from pgmq_admin.operation_rights() as o where o.operation = any (operations)
    loop
        execute format('grant %s on pgmq.%I to %I', array_to_string(wanted.queue_rights, ', '), queue_table, role);
        if wanted.archive_rights <> '{}' then
            execute format(
                'grant %s on pgmq.%I to %I',
                array_to_string(wanted.archive_rights, ', '), pgmq.format_table_name(queue_name, 'a'), role);
        end if;
        for routine in
            select p.oid
            from pg_catalog.pg_proc as p
            where p.pronamespace in ('pgmq'::regnamespace, 'pgmq_public'::regnamespace)
              and p.proname in (wanted.operation, case wanted.operation when 'send' then 'send_batch' end)
        loop
            execute format('grant execute on function %s to %I', routine, role);
        end loop;
    end loop;
    -- Who sends to a queue with notifications also writes when the last one was sent.
    if 'send' = any (operations) and exists (
        select from pg_catalog.pg_trigger
        where tgrelid = to_regclass(format('pgmq.%I', queue_table))
          and tgname = 'trigger_notify_queue_insert_listeners'
    ) and to_regclass('pgmq.notify_insert_throttle') is not null then
        execute format('grant select, update on pgmq.notify_insert_throttle to %I', role);
    end if;
end;
$grant$;
comment on function pgmq_admin.grant_queue is
    'Gives a role the rights on a queue that the operations need: send, read, pop, archive, delete.';

create or replace function pgmq_admin.revoke_queue(queue_name text, role name, operations text[])
returns void
language plpgsql
set search_path = ''
as $revoke$
declare
    queue_table constant text := pgmq.format_table_name(queue_name, 'q');
    archive_table constant text := pgmq.format_table_name(queue_name, 'a');
    remaining text[];
    kept text[];
    privilege text;
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    perform pgmq_admin.check_operations(role, operations);
    select coalesce(array_agg(o), '{}') into remaining
    from unnest(pgmq_admin.table_operations(queue_name, role)) as o
    where o <> all (operations);
    -- Operations share rights: take away what no remaining one needs.
    for privilege in
        select distinct unnest(o.queue_rights)
        from pgmq_admin.operation_rights() as o
        where o.operation = any (operations)
    loop
        if not exists (
            select from pgmq_admin.operation_rights() as o
            where o.operation = any (remaining) and privilege = any (o.queue_rights)
        ) then
            execute format('revoke %s on pgmq.%I from %I', privilege, queue_table, role);
        end if;
    end loop;
    if 'archive' = any (operations) then
        execute format('revoke insert, select on pgmq.%I from %I', archive_table, role);
    end if;
    select array_agg(o) into kept
    from unnest(pgmq_admin.table_operations(queue_name, role)) as o
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
set search_path = ''
as $grants$
    select r.rolname, held.operations
    from pg_catalog.pg_roles as r
    cross join lateral (
        select coalesce(array_agg(o order by place), '{}') as operations
        from unnest(pgmq_admin.table_operations(queue_name, r.rolname)) with ordinality as t (o, place)
        where has_schema_privilege(r.rolname, 'pgmq', 'usage')
          and has_schema_privilege(r.rolname, to_regnamespace('pgmq_public')::oid, 'usage')
          and exists (
              select from pg_catalog.pg_proc as p
              where p.pronamespace = to_regnamespace('pgmq_public') and p.proname = o
                and has_function_privilege(r.rolname, p.oid, 'execute'))
    ) as held
    where r.rolname in ('anon', 'authenticated', 'service_role')
       or held.operations <> '{}' and not r.rolsuper and pg_has_role('authenticator', r.oid, 'member')
    order by r.rolname;
$grants$;
comment on function pgmq_admin.list_grants is
    'What each role that requests can run in may do with a queue. Row-level security then decides on which messages.';

revoke all on all functions in schema pgmq_admin from public;
