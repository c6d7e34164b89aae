-- Creating, dropping and looking at queues, and who may do what with them.
--
-- Why: a migration file, psql and the command line all manage queues through these. They blunt pgmq's sharp edges:
-- names that end up in one table, row-level security that somebody forgot, and rights per operation that nobody knows
-- by heart.
-- Safe to repeat: functions are replaced by themselves; no queue is touched.

create or replace function pgmq_admin.check_queue_exists(queue_name text)
returns void
language plpgsql
set search_path = ''
as $check$
begin
    if not exists (select from pgmq.meta as m where m.queue_name = check_queue_exists.queue_name) then
        raise exception 'queue "%" does not exist', queue_name using
            errcode = 'undefined_table',
            hint = 'pgmq_admin.list_queues() lists those that do.';
    end if;
end;
$check$;

create or replace function pgmq_admin.create_queue(
    queue_name text,
    queue_type text default 'basic',
    rls boolean default true
)
returns boolean
language plpgsql
set search_path = ''
as $create$
declare
    present text;
begin
    -- pgmq takes more, but lets different names share one table: "Foo" and "foo", or long ones cut at 63 bytes.
    if queue_name !~ '^[a-z0-9_-]{1,47}$' or queue_name like '%--%' or queue_name is null then
        raise exception 'queue name "%" is not allowed', queue_name using
            errcode = 'invalid_name',
            hint = 'Use 1 to 47 of: a-z, 0-9, _ and -, but not -- in a row.';
    end if;
    select l.queue_type into present from pgmq_admin.list_queues() as l where l.queue_name = create_queue.queue_name;
    if present = queue_type then
        return false;
    elsif present is not null then
        raise exception 'queue "%" exists already, as % and not %', queue_name, present, queue_type
            using errcode = 'duplicate_table';
    end if;
    if exists (
        select from pg_catalog.pg_class
        where relnamespace = 'pgmq'::regnamespace
          and relname in ('q_' || queue_name, 'a_' || queue_name, 'q_' || queue_name || '_vt_idx')
    ) then
        raise exception 'queue "%" would share a table or an index with another', queue_name
            using errcode = 'duplicate_table', hint = 'Choose another name.';
    end if;
    case queue_type
        when 'basic' then
            perform pgmq.create_non_partitioned(queue_name);
        when 'unlogged' then
            perform pgmq.create_unlogged(queue_name);
        when 'partitioned' then
            if not exists (select from pg_catalog.pg_extension where extname = 'pg_partman') then
                raise exception 'partitioned queues need the extension pg_partman, which this database does not have'
                    using errcode = 'feature_not_supported',
                          hint = 'Run "create extension pg_partman" where the server has it, or choose type basic.';
            end if;
            perform pgmq.create_partitioned(queue_name);
        else
            raise exception 'queue type "%" is not known', queue_type using
                errcode = 'invalid_parameter_value',
                hint = 'Choose basic, unlogged or partitioned.';
    end case;
    if rls is distinct from false then
        execute format('alter table pgmq.%I enable row level security', pgmq.format_table_name(queue_name, 'q'));
    end if;
    return true;
end;
$create$;
comment on function pgmq_admin.create_queue is
    'Creates a queue with row-level security; false when it is there already. queue_type: basic, unlogged, partitioned.';

create or replace function pgmq_admin.drop_queue(queue_name text)
returns void
language plpgsql
set search_path = ''
as $drop$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    perform pgmq.drop_queue(queue_name := drop_queue.queue_name);
end;
$drop$;
comment on function pgmq_admin.drop_queue is 'Drops a queue with its messages and its archive.';

create or replace function pgmq_admin.purge_queue(queue_name text)
returns bigint
language plpgsql
set search_path = ''
as $purge$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    return pgmq.purge_queue(queue_name := purge_queue.queue_name);
end;
$purge$;
comment on function pgmq_admin.purge_queue is
    'Deletes all messages of a queue, those in flight too, and returns how many; its archive stays.';

create or replace function pgmq_admin.list_queues()
returns table (queue_name text, queue_type text, rls boolean, created_at timestamptz)
language sql
stable
set search_path = ''
as $list$
    select
        m.queue_name::text,
        case when m.is_partitioned then 'partitioned' when m.is_unlogged then 'unlogged' else 'basic' end,
        coalesce(c.relrowsecurity, false),
        m.created_at
    from pgmq.meta as m
    left join pg_catalog.pg_class as c
        on c.relnamespace = 'pgmq'::regnamespace and c.relname = lower('q_' || m.queue_name)
    order by m.queue_name;
$list$;
comment on function pgmq_admin.list_queues is 'All queues with their type and whether row-level security is on.';

create or replace function pgmq_admin.queue_status(
    queue_name text,
    out messages bigint,
    out visible bigint,
    out delayed bigint,
    out in_flight bigint,
    out archived bigint,
    out oldest_seconds bigint
)
language plpgsql
stable
set search_path = ''
as $status$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    execute format(
        $query$
        select
            count(*),
            count(*) filter (where vt <= clock_timestamp()),
            count(*) filter (where vt > clock_timestamp() and read_ct = 0),
            count(*) filter (where vt > clock_timestamp() and read_ct > 0),
            (select count(*) from pgmq.%I),
            extract(epoch from clock_timestamp() - min(enqueued_at))::bigint
        from pgmq.%I
        $query$,
        pgmq.format_table_name(queue_name, 'a'), pgmq.format_table_name(queue_name, 'q')
    ) into messages, visible, delayed, in_flight, archived, oldest_seconds;
end;
$status$;
comment on function pgmq_admin.queue_status is
    'Exact counts of a queue: visible, delayed (never read) and in flight (leased) messages; age of the oldest.';

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
