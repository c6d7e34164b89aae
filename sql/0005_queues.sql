-- Creating, dropping and looking at queues.
--
-- Why: a migration file, psql, the command line and, over HTTP, service_role all manage queues through these. They blunt
-- pgmq's sharp edges: names that end up in one table, row-level security that somebody forgot, and rights per operation
-- that nobody knows by heart.
-- Why SECURITY DEFINER: creating and dropping tables, triggers and policies needs their owner, and service_role owns
-- none. It may do with queues whatever it likes anyway (it has all rights on pgmq's tables and no row-level security
-- holds it), so it gains no right over other people's data. The owner's rights reach no further than that: names of
-- tables come from pgmq.meta and the catalog, and arguments are only ever values. search_path is not just empty: then a
-- type that the caller made in its temporary schema would be found first, and a domain's check would run as the owner.
-- Safe to repeat: functions are replaced by themselves; no queue is touched.

grant usage on schema pgmq_admin to service_role;

create or replace function pgmq_admin.check_queue_exists(queue_name text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
begin
    if not exists (select from pgmq.meta as m where m.queue_name = check_queue_exists.queue_name) then
        raise exception 'queue "%" does not exist', queue_name using
            errcode = 'undefined_table',
            hint = 'pgmq_admin.list_queues() lists those that do.';
    end if;
end;
$check$;

-- How q_<queue> is stored. A message is written once, again at each read, and deleted: all that is ever left behind is
-- dead rows, however few messages wait, so vacuum must not wait for a share of the table, nor pause between pages.
-- fillfactor stays 100: a read changes the indexed vt, so no room on the page could make it a HOT update. Archives
-- only grow, which the defaults for inserts are made for.
create or replace function pgmq_gateway.queue_storage()
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $storage$
    select string_agg(prefix || option, ', ')
    from unnest(array['', 'toast.']) as prefix, unnest(array[
        'autovacuum_vacuum_scale_factor = 0.01', 'autovacuum_vacuum_threshold = 1000',
        'autovacuum_vacuum_cost_delay = 0'
    ]) as option;
$storage$;

-- Raises unless a queue of this name can be made and will share no table and no index with another.
create or replace function pgmq_gateway.check_new_name(queue_name text, queue_type text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
begin
    -- pgmq takes more, but lets different names share one table: "Foo" and "foo", or long ones cut at 63 bytes.
    if queue_name !~ '^[a-z0-9_-]{1,47}$' or queue_name like '%--%' or queue_name is null then
        raise exception 'queue name "%" is not allowed', queue_name using
            errcode = 'invalid_name',
            hint = 'Use 1 to 47 of: a-z, 0-9, _ and -, but not -- in a row.';
    end if;
    if exists (
        select from pg_catalog.pg_class
        where relnamespace = 'pgmq'::regnamespace and (
            relname in ('q_' || queue_name, 'a_' || queue_name, 'q_' || queue_name || '_vt_idx')
            -- A partition of the new queue would have the name of another queue's table.
            or queue_type = 'partitioned' and starts_with(relname, 'q_' || queue_name || '_')
                and substr(relname, length(queue_name) + 4) ~ '^(default|p[0-9_]+)$'
        )
    ) or exists (
        -- The other way round: partitions that are yet to come.
        select from pgmq.meta as m
        where m.is_partitioned and starts_with(check_new_name.queue_name, m.queue_name || '_')
          and substr(check_new_name.queue_name, length(m.queue_name) + 2) ~ '^(default|p[0-9_]+)$'
    ) then
        raise exception 'queue "%" would share a table or an index with another', queue_name
            using errcode = 'duplicate_table', hint = 'Choose another name.';
    end if;
end;
$check$;

-- Raises unless both intervals are numbers of messages, or both times, and make a sensible number of partitions.
create or replace function pgmq_gateway.check_partitioning(partition_interval text, retention_interval text)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
declare
    most constant integer := 1000;
    partitions numeric;
begin
    if partition_interval ~ '^[0-9]{1,9}$' and retention_interval ~ '^[0-9]{1,18}$' then
        partitions := retention_interval::numeric / greatest(partition_interval::numeric, 0.001);
        if partition_interval::integer < 10 then
            raise exception 'partition_interval "%" is too small', partition_interval using
                errcode = 'invalid_parameter_value', hint = 'A partition holds at least 10 messages.';
        end if;
    else
        begin
            if partition_interval ~ '^\s*[0-9]*\s*$' or retention_interval ~ '^\s*[0-9]*\s*$' then
                raise invalid_datetime_format;
            end if;
            partitions := extract(epoch from retention_interval::interval)
                / greatest(extract(epoch from partition_interval::interval), 0.001);
        exception
            when invalid_datetime_format or datetime_field_overflow or interval_field_overflow then
                partitions := null;
        end;
        if partitions is null then
            raise exception 'partition_interval "%" and retention_interval "%" do not go together',
                partition_interval, retention_interval using
                errcode = 'invalid_parameter_value',
                hint = 'Give both as numbers of messages ("10000", "100000"), or both as times ("1 day", "7 days").';
        end if;
        if partition_interval::interval < '1 minute' then
            raise exception 'partition_interval "%" is too short', partition_interval using
                errcode = 'invalid_parameter_value', hint = 'A partition holds the messages of at least one minute.';
        end if;
    end if;
    if partitions < 1 or partitions > most then
        raise exception 'a retention of % in partitions of % makes % partitions',
            retention_interval, partition_interval, trunc(partitions, 1) using
            errcode = 'invalid_parameter_value',
            hint = format('Choose them so that there are 1 to %s.', most);
    end if;
end;
$check$;

-- pgmq leaves a partitioned queue without an index on vt, so that each read would sort all messages, and, partitioned by
-- time, without one on msg_id, so that each delete would look at them all. Partitions of the future get such indexes
-- from the parent, storage parameters from pg_partman's template. Row-level security they have of their own: it only
-- matters to who names a partition, which needs rights that nobody but service_role is given, so it is a second lock.
create or replace function pgmq_gateway.create_partitioned(
    queue_name text, partition_interval text, retention_interval text, rls boolean
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $create$
declare
    partman constant text := (
        select n.nspname from pg_catalog.pg_extension as e join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
        where e.extname = 'pg_partman'
    );
    template text;
    leaf regclass;
begin
    if partman is null then
        raise exception 'partitioned queues need the extension pg_partman, which this database does not have' using
            errcode = 'feature_not_supported',
            hint = case
                when exists (select from pg_catalog.pg_available_extensions where name = 'pg_partman')
                    then 'As a superuser run "create schema partman; create extension pg_partman schema partman".'
                else 'Install it on the server (Debian: postgresql-NN-partman), or choose type basic.'
            end;
    end if;
    perform pgmq_gateway.check_partitioning(partition_interval, retention_interval);
    perform pgmq.create_partitioned(queue_name, partition_interval, retention_interval);
    execute format('create index %I on pgmq.%I (vt)', 'q_' || queue_name || '_vt_idx', 'q_' || queue_name);
    if partition_interval !~ '^[0-9]+$' then
        execute format('create index on pgmq.%I (msg_id)', 'q_' || queue_name);
        execute format('create index on pgmq.%I (msg_id)', 'a_' || queue_name);
    end if;
    execute format('select template_table from %I.part_config where parent_table = $1', partman)
        into template using 'pgmq.q_' || queue_name;
    if template is not null then
        execute format(
            'alter table %I.%I set (%s)',
            split_part(template, '.', 1), split_part(template, '.', 2), pgmq_gateway.queue_storage());
    end if;
    for leaf in select relid from pg_partition_tree(format('pgmq.%I', 'q_' || queue_name)) where isleaf loop
        execute format('alter table %s set (%s)', leaf, pgmq_gateway.queue_storage());
        if rls then
            execute format('alter table %s enable row level security', leaf);
        end if;
    end loop;
end;
$create$;

drop function if exists pgmq_admin.create_queue(text, text, boolean);

create or replace function pgmq_admin.create_queue(
    queue_name text,
    queue_type text default 'basic',
    rls boolean default true,
    partition_interval text default '10000',
    retention_interval text default '100000'
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $create$
declare
    wanted constant boolean := rls is distinct from false;
    present text;
begin
    if queue_type is null or queue_type not in ('basic', 'unlogged', 'partitioned') then
        raise exception 'queue type "%" is not known', queue_type using
            errcode = 'invalid_parameter_value',
            hint = 'Choose basic, unlogged or partitioned.';
    end if;
    -- Two at once: the second finds what the first made.
    perform pg_advisory_xact_lock(hashtext('pgmq_admin.create_queue'));
    select case when m.is_partitioned then 'partitioned' when m.is_unlogged then 'unlogged' else 'basic' end
    into present from pgmq.meta as m
    where m.queue_name = create_queue.queue_name;
    if present = queue_type then
        return false;
    elsif present is not null then
        raise exception 'queue "%" exists already, as % and not %', queue_name, present, queue_type
            using errcode = 'duplicate_table';
    end if;
    perform pgmq_gateway.check_new_name(queue_name, queue_type);
    case queue_type
        when 'basic' then
            perform pgmq.create_non_partitioned(queue_name);
        when 'unlogged' then
            perform pgmq.create_unlogged(queue_name);
        else
            perform pgmq_gateway.create_partitioned(queue_name, partition_interval, retention_interval, wanted);
    end case;
    if queue_type <> 'partitioned' then
        execute format('alter table pgmq.%I set (%s)', 'q_' || queue_name, pgmq_gateway.queue_storage());
    end if;
    if wanted then
        execute format('alter table pgmq.%I enable row level security', 'q_' || queue_name);
    end if;
    return true;
end;
$create$;
comment on function pgmq_admin.create_queue is
    'Creates a queue with row-level security; false when it is there already. queue_type: basic, unlogged (faster, empty '
    'after a crash) or partitioned (needs pg_partman; the intervals are numbers of messages, or times such as "1 day").';

-- pgmq.drop_queue keeps the templates that pg_partman made, and a next queue of that name would get their indexes.
create or replace function pgmq_gateway.drop_templates(queue_name text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $drop$
declare
    partman constant text := (
        select n.nspname from pg_catalog.pg_extension as e join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
        where e.extname = 'pg_partman'
    );
    template text;
begin
    if partman is null then
        return;
    end if;
    for template in execute format(
        'select template_table from %I.part_config where parent_table = any ($1) and template_table is not null', partman
    ) using array['pgmq.' || lower('q_' || queue_name), 'pgmq.' || lower('a_' || queue_name)]
    loop
        execute format('drop table if exists %I.%I', split_part(template, '.', 1), split_part(template, '.', 2));
    end loop;
end;
$drop$;

create or replace function pgmq_admin.drop_queue(queue_name text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $drop$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    perform pgmq_gateway.drop_templates(queue_name);
    perform pgmq.drop_queue(queue_name := drop_queue.queue_name);
    -- pgmq stops where the table is gone already, and would list the queue for ever.
    delete from pgmq.meta as m where m.queue_name = drop_queue.queue_name;
    delete from pgmq_gateway.samples as s where s.queue_name = drop_queue.queue_name;
end;
$drop$;
comment on function pgmq_admin.drop_queue is 'Drops a queue with its messages, its archive and its history.';

create or replace function pgmq_admin.purge_queue(queue_name text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $purge$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    return pgmq.purge_queue(queue_name := purge_queue.queue_name);
end;
$purge$;
comment on function pgmq_admin.purge_queue is
    'Deletes all messages of a queue, those in flight too, and returns how many; its archive stays.';

-- A table with what Postgres counts of it anyway, summed over its partitions; no row is read. Those are left out that
-- somebody else is purging or dropping, for whom one would have to wait.
create or replace view pgmq_gateway.tables as
with free as materialized (
    select c.oid, c.relname, c.relkind, c.reltuples, c.relpages
    from pg_catalog.pg_class as c
    where c.relnamespace = 'pgmq'::regnamespace
      and c.relkind in ('r', 'p')
      and not c.relispartition
      and not exists (
          select from pg_catalog.pg_locks as l
          where l.relation = c.oid and l.mode = 'AccessExclusiveLock' and l.pid <> pg_backend_pid()
      )
)
select
    c.oid::regclass as relation,
    c.relname as name,
    f.*
from free as c
cross join lateral (
    select
        sum(pg_relation_size(p.oid) / current_setting('block_size')::integer)::bigint as pages,
        sum(pg_table_size(p.oid))::bigint as table_bytes,
        sum(pg_indexes_size(p.oid))::bigint as index_bytes,
        -- Statistics begin anew after a crash and on a standby. Then what the last vacuum or analyze left in the catalog
        -- tells more: how dense the pages are.
        sum(case
            when p.reltuples > 0 and coalesce(
                pg_stat_get_last_vacuum_time(p.oid), pg_stat_get_last_autovacuum_time(p.oid),
                pg_stat_get_last_analyze_time(p.oid), pg_stat_get_last_autoanalyze_time(p.oid)
            ) is null
            then p.reltuples / greatest(p.relpages, 1) * pg_relation_size(p.oid) / current_setting('block_size')::integer
            else pg_stat_get_live_tuples(p.oid)
        end)::bigint as live_tuples,
        sum(pg_stat_get_dead_tuples(p.oid))::bigint as dead_tuples,
        max(pg_stat_get_last_autovacuum_time(p.oid)) as last_autovacuum,
        sum(pg_stat_get_tuples_inserted(p.oid))::bigint as inserted,
        sum(pg_stat_get_tuples_updated(p.oid))::bigint as updated,
        sum(pg_stat_get_tuples_deleted(p.oid))::bigint as deleted
    from (
        select c.oid, c.reltuples, c.relpages where c.relkind = 'r'
        union all
        select t.oid, t.reltuples, t.relpages
        from pg_partition_tree(case when c.relkind = 'p' then c.oid end) as leaf
        join pg_catalog.pg_class as t on t.oid = leaf.relid
        where leaf.isleaf
    ) as p
) as f;

-- The messages of a queue by state, without ever reading all of a long one: exact when the table is small or has few
-- messages. Else a state with few messages is counted, and what the others have is told by the statistics and a sample.
create or replace function pgmq_gateway.count_messages(
    queue_table regclass,
    pages bigint,
    live_tuples bigint,
    dead_tuples bigint,
    out messages bigint,
    out exact boolean,
    out visible bigint,
    out delayed bigint,
    out in_flight bigint,
    out oldest timestamptz,
    out newest timestamptz
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
-- The first plan for a queue that has just filled may rest on how it was when it was empty.
set enable_sort = off
as $count$
declare
    few_pages constant bigint := 60;
    few_messages constant bigint := 1000;
    present constant timestamptz := clock_timestamp();
    counting constant text := $query$
        select
            count(*),
            count(*) filter (where vt <= $1),
            count(*) filter (where vt > $1 and read_ct = 0),
            count(*) filter (where vt > $1 and read_ct > 0),
            min(enqueued_at),
            max(enqueued_at)
        from %s as m
    $query$;
    -- Queues that were partitioned by pgmq alone have no index on vt, and one on msg_id or on enqueued_at. An index
    -- leads through dead rows too, until vacuum takes them out: with very many of them it is no short way.
    indexed text[];
    by_age text;
    hidden bigint;
    percent real;
    sampled record;
begin
    exact := pages <= few_pages;
    if pages is null then
        return;
    elsif pages = 0 then
        messages := 0;
        visible := 0;
        delayed := 0;
        in_flight := 0;
        return;
    elsif exact then
        execute format(counting, queue_table)
            into messages, visible, delayed, in_flight, oldest, newest using present;
        return;
    end if;
    indexed := array(
        select a.attname
        from pg_catalog.pg_index as i
        join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = queue_table and i.indisvalid and dead_tuples < 50 * few_messages
    );
    by_age := case when 'msg_id' = any (indexed) then 'msg_id' else 'enqueued_at' end;
    if 'vt' = any (indexed) then
        execute format(counting, format('(select * from %s order by vt limit %s)', queue_table, few_messages + 1))
            into messages, visible, delayed, in_flight, oldest, newest using present;
        exact := messages <= few_messages;
        if exact then
            return;
        end if;
        execute format(
            'select count(*), count(*) filter (where read_ct = 0)'
            ' from (select read_ct from %s where vt > $1 order by vt desc limit $2) as m',
            queue_table
        ) into hidden, delayed using present, few_messages + 1;
    end if;
    oldest := null;
    newest := null;
    if by_age = any (indexed) then
        execute format(
            'select (select enqueued_at from %1$s order by %2$I limit 1),'
            ' (select enqueued_at from %1$s order by %2$I desc limit 1)',
            queue_table, by_age
        ) into oldest, newest;
    end if;
    percent := least(100.0 * few_pages / pages, 100);
    execute format(
        $query$
        select
            count(*) * 100 / $2 as messages,
            count(*) filter (where vt <= $1) / greatest(count(*), 1)::double precision as visible,
            count(*) filter (where vt > $1 and read_ct = 0)
                / greatest(count(*) filter (where vt > $1), 1)::double precision as delayed
        from %s tablesample system ($2) repeatable (0)
        $query$,
        queue_table
    ) into sampled using present, percent;
    -- Statistics come late, for a queue that has just filled too late.
    messages := greatest(case when live_tuples > few_messages then live_tuples else sampled.messages end, messages);
    if hidden <= few_messages then
        visible := messages - hidden;
        in_flight := hidden - delayed;
    else
        -- In the order of vt the visible ones come first, so fewer than were looked at are all of them.
        if visible is null or visible > few_messages then
            visible := round(messages * sampled.visible);
        end if;
        delayed := round((messages - visible) * sampled.delayed);
        in_flight := messages - visible - delayed;
    end if;
exception
    -- Dropped just now.
    when undefined_table or syntax_error then exact := false;
end;
$count$;

-- How many messages an archive has: exact as long as its table is small.
create or replace function pgmq_gateway.count_archived(archive_table regclass, pages bigint, live_tuples bigint)
returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $count$
declare
    archived bigint := case when pages = 0 then 0 else live_tuples end;
begin
    if pages between 1 and 60 then
        execute format('select count(*) from %s', archive_table) into archived;
    end if;
    return archived;
exception
    when undefined_table or syntax_error then return null;
end;
$count$;

-- All queues, with all that list_queues and the history tell of them; numbers are null where the tables are locked, or
-- were dropped behind pgmq's back.
create or replace view pgmq_gateway.queues as
select
    q.queue_name::text as queue_name,
    case when q.is_partitioned then 'partitioned' when q.is_unlogged then 'unlogged' else 'basic' end as queue_type,
    q.created_at,
    m.messages,
    coalesce(m.exact, false) as exact,
    m.visible,
    m.delayed,
    m.in_flight,
    pgmq_gateway.count_archived(archive.relation, archive.pages, archive.live_tuples) as archived,
    extract(epoch from clock_timestamp() - m.oldest)::double precision as oldest_seconds,
    extract(epoch from clock_timestamp() - m.newest)::double precision as newest_seconds,
    (
        select coalesce(pg_sequence_last_value(s.oid), 0)
        from pg_catalog.pg_depend as d
        join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
        where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
          and d.refobjid = live.relation and d.deptype = 'i'
    ) as sent,
    live.table_bytes,
    live.index_bytes,
    archive.table_bytes + archive.index_bytes as archive_bytes,
    live.dead_tuples,
    live.last_autovacuum,
    live.updated,
    live.deleted,
    archive.inserted as archive_inserted
from pgmq.meta as q
left join pgmq_gateway.tables as live on live.name = lower('q_' || q.queue_name)
left join pgmq_gateway.tables as archive on archive.name = lower('a_' || q.queue_name)
left join lateral pgmq_gateway.count_messages(live.relation, live.pages, live.live_tuples, live.dead_tuples) as m on true;

drop function if exists pgmq_admin.list_queues();

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
    archived bigint,
    oldest_seconds double precision,
    newest_seconds double precision,
    sent bigint,
    table_bytes bigint,
    index_bytes bigint,
    archive_bytes bigint,
    dead_tuples bigint,
    last_autovacuum timestamptz
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
        q.messages, q.exact, q.visible, q.delayed, q.in_flight, q.archived, q.oldest_seconds, q.newest_seconds, q.sent,
        q.table_bytes, q.index_bytes, q.archive_bytes, q.dead_tuples, q.last_autovacuum
    from pgmq_gateway.queues as q
    left join pg_catalog.pg_class as c
        on c.relnamespace = 'pgmq'::regnamespace and c.relname = lower('q_' || q.queue_name)
    order by q.queue_name;
$list$;
comment on function pgmq_admin.list_queues is
    'All queues: type, row-level security, messages by state, ages of the oldest and the newest, how many were ever '
    'sent, sizes. exact: false where there are so many messages that their numbers are estimates; of a large archive '
    'the number always is one.';

drop function if exists pgmq_admin.queue_status(text);

create or replace function pgmq_admin.queue_status(
    queue_name text,
    out messages bigint,
    out visible bigint,
    out delayed bigint,
    out in_flight bigint,
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
            extract(epoch from clock_timestamp() - min(enqueued_at)),
            extract(epoch from clock_timestamp() - max(enqueued_at)),
            coalesce(pg_sequence_last_value(pg_get_serial_sequence($1, 'msg_id')), 0)
        from pgmq.%I
        $query$,
        pgmq.format_table_name(queue_name, 'a'), pgmq.format_table_name(queue_name, 'q')
    ) into messages, visible, delayed, in_flight, archived, oldest_seconds, newest_seconds, sent
    using format('pgmq.%I', pgmq.format_table_name(queue_name, 'q'));
end;
$status$;
comment on function pgmq_admin.queue_status is
    'Exact counts of a queue: visible, delayed (never read) and in flight (leased) messages, ages of the oldest and the '
    'newest, how many were ever sent. It reads the whole queue.';

create or replace function pgmq_admin.enable_notify(queue_name text, throttle_interval_ms integer default 250)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $enable$
declare
    queue_table constant regclass := to_regclass(format('pgmq.%I', lower('q_' || queue_name)));
    partitioned constant boolean := exists (
        select from pg_catalog.pg_class where oid = queue_table and relkind = 'p'
    );
    sender oid;
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    if to_regprocedure('pgmq.enable_notify_insert(text,integer)') is null then
        raise exception 'this version of pgmq has no notifications with a throttle' using
            errcode = 'feature_not_supported', hint = 'Update pgmq to 1.8 or newer.';
    elsif partitioned or queue_name <> lower(queue_name) then
        -- pgmq's trigger looks its queue up by the name of the table that it fires on.
        raise exception 'pgmq cannot notify of queue "%"', queue_name using
            errcode = 'feature_not_supported',
            detail = case when partitioned then 'It is partitioned.' else 'Its name has capital letters.' end,
            hint = 'Poll it, or make a basic queue with a name in small letters.';
    elsif throttle_interval_ms is null or throttle_interval_ms < 0 then
        raise exception 'throttle_interval_ms "%" is no number of milliseconds', throttle_interval_ms using
            errcode = 'invalid_parameter_value', hint = 'Choose 0 or more; 250 is pgmq''s default.';
    end if;
    perform pgmq.enable_notify_insert(queue_name, throttle_interval_ms);
    -- From now on who sends also writes when the last notification was.
    for sender in
        select distinct a.grantee
        from pg_catalog.pg_class as c, aclexplode(c.relacl) as a
        where c.oid = queue_table and a.privilege_type = 'INSERT'
    loop
        execute format(
            'grant select, update on pgmq.notify_insert_throttle to %s',
            case sender when 0 then 'public' else sender::regrole::text end);
    end loop;
end;
$enable$;
comment on function pgmq_admin.enable_notify is
    'Postgres notifies channel pgmq.q_<queue>.INSERT of new messages, at most once in throttle_interval_ms. A hint: keep '
    'polling slowly, and expect fewer sends per second.';

create or replace function pgmq_admin.disable_notify(queue_name text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $disable$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    if to_regprocedure('pgmq.disable_notify_insert(text)') is not null then
        perform pgmq.disable_notify_insert(queue_name);
    end if;
end;
$disable$;
comment on function pgmq_admin.disable_notify is 'Ends the notifications of new messages; none is an error.';

create or replace function pgmq_admin.database_status(
    out postgres_version text,
    out pgmq_version text,
    out partman_version text,
    out started_at timestamptz,
    out is_standby boolean,
    out connections bigint,
    out max_connections integer,
    out oldest_transaction_seconds double precision,
    out database_bytes bigint,
    out live_tuples bigint,
    out dead_tuples bigint,
    out cache_hit_ratio double precision,
    out transactions_committed bigint,
    out transactions_rolled_back bigint,
    out deadlocks bigint
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $status$
    select
        current_setting('server_version'),
        coalesce(
            (select extversion from pg_catalog.pg_extension where extname = 'pgmq'),
            -- Left there by the installer, which ran pgmq's SQL.
            substring(obj_description('pgmq'::regnamespace, 'pg_namespace') from '^pgmq ([0-9.]+)')
        ),
        (select extversion from pg_catalog.pg_extension where extname = 'pg_partman'),
        pg_postmaster_start_time(),
        pg_is_in_recovery(),
        (select sum(numbackends) from pg_catalog.pg_stat_database),
        current_setting('max_connections')::integer,
        -- What is younger cannot be vacuumed. Prepared transactions are forgotten longest.
        extract(epoch from clock_timestamp() - least(
            (select min(xact_start) from pg_catalog.pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()),
            (select min(prepared) from pg_catalog.pg_prepared_xacts where database = current_database())
        ))::double precision,
        pg_database_size(current_database()),
        tables.live,
        tables.dead,
        d.blks_hit / nullif(d.blks_hit + d.blks_read, 0)::double precision,
        d.xact_commit,
        d.xact_rollback,
        d.deadlocks
    from pg_catalog.pg_stat_database as d, (
        select
            coalesce(sum(pg_stat_get_live_tuples(oid)), 0)::bigint as live,
            coalesce(sum(pg_stat_get_dead_tuples(oid)), 0)::bigint as dead
        from pg_catalog.pg_class
        where relnamespace = 'pgmq'::regnamespace and relkind = 'r'
    ) as tables
    where d.datname = current_database();
$status$;
comment on function pgmq_admin.database_status is
    'Versions, connections, the age of the oldest transaction, size, live and dead rows of all queues, and how much is '
    'read from memory.';

revoke all on all functions in schema pgmq_admin, pgmq_gateway from public;
grant execute on function
    pgmq_admin.create_queue, pgmq_admin.drop_queue, pgmq_admin.purge_queue,
    pgmq_admin.list_queues, pgmq_admin.queue_status, pgmq_admin.enable_notify, pgmq_admin.disable_notify,
    pgmq_admin.database_status
to service_role;
