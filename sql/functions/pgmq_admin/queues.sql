-- Creating, dropping and inspecting queues.
--
-- Why: migrations, psql, the command line and, over HTTP, service_role manage queues through these functions. They
-- prevent mistakes that pgmq allows: names that share one table, and queues without row-level security.
-- Why SECURITY DEFINER: only their owner can create and drop tables, triggers and policies, and service_role owns none.
-- It can read and write pgmq's tables and bypasses row-level security anyway, so it gains no access to data. The
-- owner's privileges are used for nothing else: names of tables come from pgmq.meta and the catalog, and arguments are
-- values, never SQL. Before a table is written, check_foreign_code refuses triggers of other roles on it. search_path
-- ends with pg_temp: with an empty path Postgres would look for types there first, and the check of a domain that the
-- caller created would run as the owner.

create or replace function pgmq_admin.create_queue(
    queue_name text,
    queue_type text default 'basic',
    rls boolean default true,
    partition_interval text default '10000',
    retention_interval text default '100000',
    adopt boolean default false
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $create$
declare
    wanted constant boolean := rls is distinct from false;
    present text;
begin
    if queue_type is null or queue_type not in ('basic', 'unlogged', 'partitioned') then
        raise exception 'queue type "%" is unknown', queue_type using
            errcode = 'invalid_parameter_value',
            hint = 'Use basic, unlogged or partitioned.';
    end if;
    -- Of two calls at once, the second one finds the queue of the first. The same lock as of drop_queue: an adoption that
    -- committed meanwhile would list a queue whose tables are being dropped.
    perform pgmq_gateway.lock_privileges();
    select case when m.is_partitioned then 'partitioned' when m.is_unlogged then 'unlogged' else 'basic' end
    into present from pgmq.meta as m
    where m.queue_name = create_queue.queue_name;
    if present = queue_type then
        return false;
    elsif present is not null then
        raise exception 'queue "%" already exists with type %, not %', queue_name, present, queue_type using
            errcode = 'duplicate_table', hint = 'Use another name, or drop that queue with its messages first.';
    end if;
    perform pgmq_gateway.check_foreign_code(
        array[
            'pgmq.meta'::regclass, 'pgmq_settings.queues'::regclass, 'pgmq_settings.burials'::regclass,
            'pgmq_settings.wake_throttles'::regclass, pgmq_gateway.partman_config()]);
    perform pgmq_gateway.remove_orphaned_settings();
    if adopt and exists (select from pgmq_gateway.orphans(array[queue_name])) then
        perform pgmq_gateway.adopt_queue(queue_name, queue_type);
    else
        perform pgmq_gateway.check_new_name(queue_name, queue_type);
        if queue_type = 'partitioned' then
            perform pgmq_gateway.create_partitioned(queue_name, partition_interval, retention_interval, wanted);
        else
            perform pgmq_gateway.create_tables(queue_name, queue_type);
        end if;
    end if;
    perform pgmq_gateway.create_service_policies(queue_name);
    perform pgmq_gateway.grant_definer_access(queue_name);
    if wanted then
        execute format('alter table pgmq.%I enable row level security', 'q_' || queue_name);
    end if;
    perform pgmq_settings.record_action(queue_name, 'create_queue');
    return true;
end;
$create$;
comment on function pgmq_admin.create_queue is
    'Creates a queue with row-level security; false if it already exists. queue_type: basic, unlogged (faster, empty '
    'after a crash) or partitioned (needs pg_partman; the intervals are numbers of messages, or times such as "1 day"). '
    'adopt: makes a queue of tables with its name that pgmq.meta does not list, as after a partial restore.';
revoke all on function pgmq_admin.create_queue from public;
grant execute on function pgmq_admin.create_queue to service_role;

create or replace function pgmq_admin.drop_queue(queue_name text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $drop$
declare
    orphaned boolean;
begin
    perform pgmq_gateway.lock_privileges();
    orphaned := exists (select from pgmq_gateway.orphans(array[queue_name]));
    if not orphaned then
        perform pgmq_gateway.check_queue_exists(queue_name);
    end if;
    perform pgmq_gateway.check_foreign_code(
        array[
            'pgmq.meta'::regclass, 'pgmq_gateway.samples'::regclass, 'pgmq_settings.deduplication_ids'::regclass,
            'pgmq_settings.queues'::regclass, 'pgmq_settings.burials'::regclass, 'pgmq_settings.wake_throttles'::regclass,
            pgmq_gateway.partman_config()]);
    perform pgmq_gateway.drop_templates(queue_name);
    if not orphaned then
        perform pgmq.drop_queue(queue_name := drop_queue.queue_name);
    end if;
    perform pgmq_gateway.drop_remains(queue_name);
    delete from pgmq_gateway.samples as s where s.queue_name = drop_queue.queue_name;
    delete from pgmq_settings.deduplication_ids as d where d.queue_table = lower('q_' || drop_queue.queue_name);
    perform pgmq_gateway.remove_orphaned_settings();
    perform pgmq_settings.record_action(queue_name, 'drop_queue');
end;
$drop$;
comment on function pgmq_admin.drop_queue is
    'Drops a queue with its messages, its archive and its history, and what is left of one after a partial restore.';
revoke all on function pgmq_admin.drop_queue from public;
grant execute on function pgmq_admin.drop_queue to service_role;

create or replace function pgmq_admin.purge_queue(queue_name text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $purge$
declare
    deleted bigint;
begin
    perform pgmq_gateway.check_foreign_code(
        array[to_regclass(format('pgmq.%I', pgmq_gateway.message_table(queue_name, 'q')))], truncating => true);
    deleted := pgmq.purge_queue(queue_name := purge_queue.queue_name);
    perform pgmq_settings.record_action(queue_name, 'purge_queue', deleted);
    return deleted;
end;
$purge$;
comment on function pgmq_admin.purge_queue is
    'Deletes all messages of a queue, those in flight too, and returns how many; its archive stays.';
revoke all on function pgmq_admin.purge_queue from public;
grant execute on function pgmq_admin.purge_queue to service_role;

create or replace function pgmq_admin.list_queues()
returns table (
    queue_name text,
    queue_type text,
    rls boolean,
    created_at timestamptz,
    notify boolean,
    messages bigint,
    exact boolean,
    visible bigint,
    delayed bigint,
    in_flight bigint,
    parked bigint,
    archived bigint,
    oldest_seconds double precision,
    newest_seconds double precision,
    sent bigint,
    table_bytes bigint,
    index_bytes bigint,
    archive_bytes bigint,
    dead_tuples bigint,
    last_autovacuum timestamptz,
    group_limit integer,
    paused boolean,
    is_full boolean
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $list$
    select
        q.queue_name,
        q.queue_type,
        coalesce(c.relrowsecurity, false),
        q.created_at,
        exists (
            select from pg_catalog.pg_trigger as t
            where t.tgrelid = c.oid and t.tgname = 'trigger_notify_queue_insert_listeners'
        ),
        q.messages, q.exact, q.visible, q.delayed, q.in_flight, q.parked, q.archived, q.oldest_seconds, q.newest_seconds,
        q.sent, q.table_bytes, q.index_bytes, q.archive_bytes, q.dead_tuples, q.last_autovacuum,
        s.group_limit, coalesce(s.paused, false), coalesce(s.is_full, false)
    from pgmq_gateway.queues as q
    left join pgmq_settings.queues as s on s.queue_table = lower('q_' || q.queue_name)
    left join pg_catalog.pg_class as c
        on c.relnamespace = 'pgmq'::regnamespace and c.relname = lower('q_' || q.queue_name)
    order by q.queue_name;
$list$;
comment on function pgmq_admin.list_queues is
    'All queues: type, row-level security, messages by state, ages of the oldest and the newest, how many were ever '
    'sent, sizes, and of its settings the group_limit and whether it is paused or full. exact: false where the numbers '
    'of messages are estimates, as for long queues; that of a large archive always is an estimate.';
revoke all on function pgmq_admin.list_queues from public;
grant execute on function pgmq_admin.list_queues to service_role;

create or replace function pgmq_admin.queue_status(
    queue_name text,
    out messages bigint,
    out visible bigint,
    out delayed bigint,
    out in_flight bigint,
    out parked bigint,
    out archived bigint,
    out oldest_seconds double precision,
    out newest_seconds double precision,
    out sent bigint
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $status$
declare
    queue_table constant text := pgmq_gateway.message_table(queue_name, 'q');
    archive_table constant text := pgmq_gateway.message_table(queue_name, 'a');
begin
    perform pgmq_gateway.check_owners(
        array[to_regclass(format('pgmq.%I', queue_table)), to_regclass(format('pgmq.%I', archive_table))]::oid[]);
    execute format(
        $query$
        select
            count(*), %s, (select count(*) from pgmq.%I),
            case when isfinite(min(q.enqueued_at)) then extract(epoch from $1 - min(q.enqueued_at)) end,
            case when isfinite(max(q.enqueued_at)) then extract(epoch from $1 - max(q.enqueued_at)) end,
            coalesce(pg_sequence_last_value(pg_get_serial_sequence($2, 'msg_id')), 0)
        from pgmq.%I as q
        $query$,
        pgmq_settings.state_counts('$1'), archive_table, queue_table
    ) into messages, visible, delayed, in_flight, parked, archived, oldest_seconds, newest_seconds, sent
    using clock_timestamp(), format('pgmq.%I', queue_table);
end;
$status$;
comment on function pgmq_admin.queue_status is
    'Exact counts of a queue: visible, delayed (never read), in flight (leased) and parked (their group is full) messages, '
    'ages of the oldest and the newest, how many were ever sent. Reads the whole queue.';
revoke all on function pgmq_admin.queue_status from public;
grant execute on function pgmq_admin.queue_status to service_role;
