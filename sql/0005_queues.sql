-- Creating, dropping and looking at queues.
--
-- Why: a migration file, psql and the command line all manage queues through these. They blunt pgmq's sharp edges:
-- names that end up in one table, and row-level security that somebody forgot.
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

revoke all on all functions in schema pgmq_admin from public;
