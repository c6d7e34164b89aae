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

-- All queues, or one, with their tables; those are null where somebody dropped them behind pgmq's back.
create or replace function pgmq_gateway.queues(only_queue text default null)
returns table (queue_name text, queue_type text, created_at timestamptz, queue_table regclass, archive_table regclass)
language sql
stable
set search_path = pg_catalog, pg_temp
as $queues$
    select
        m.queue_name::text,
        case when m.is_partitioned then 'partitioned' when m.is_unlogged then 'unlogged' else 'basic' end,
        m.created_at,
        q.oid::regclass,
        a.oid::regclass
    from pgmq.meta as m
    left join pg_catalog.pg_class as q
        on q.relnamespace = 'pgmq'::regnamespace and q.relname = lower('q_' || m.queue_name)
    left join pg_catalog.pg_class as a
        on a.relnamespace = 'pgmq'::regnamespace and a.relname = lower('a_' || m.queue_name)
    where only_queue is null or m.queue_name = only_queue;
$queues$;

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
    select q.queue_type into present from pgmq_gateway.queues(create_queue.queue_name) as q
    where q.queue_name = create_queue.queue_name;
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

-- What Postgres counts of a table anyway, summed over partitions: no row is read.
create or replace function pgmq_gateway.table_figures(
    relation regclass,
    out table_bytes bigint,
    out index_bytes bigint,
    out live_tuples bigint,
    out dead_tuples bigint,
    out last_autovacuum timestamptz,
    out inserted bigint,
    out updated bigint,
    out deleted bigint
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $figures$
begin
    select
        sum(pg_table_size(c.oid)),
        sum(pg_indexes_size(c.oid)),
        -- Statistics begin anew after a crash and on a standby. Then what the last vacuum or analyze left in the
        -- catalog tells more: how dense the pages are.
        sum(case
            when c.reltuples > 0 and coalesce(
                pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid),
                pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)
            ) is null
            then c.reltuples / greatest(c.relpages, 1) * pg_relation_size(c.oid) / current_setting('block_size')::integer
            else pg_stat_get_live_tuples(c.oid)
        end)::bigint,
        sum(pg_stat_get_dead_tuples(c.oid)),
        max(pg_stat_get_last_autovacuum_time(c.oid)),
        sum(pg_stat_get_tuples_inserted(c.oid)),
        sum(pg_stat_get_tuples_updated(c.oid)),
        sum(pg_stat_get_tuples_deleted(c.oid))
    into table_bytes, index_bytes, live_tuples, dead_tuples, last_autovacuum, inserted, updated, deleted
    from pg_catalog.pg_class as c
    where c.oid = relation and c.relkind <> 'p'
       or c.oid in (select relid from pg_partition_tree(relation) where isleaf);
end;
$figures$;

-- The messages of a queue by state, without ever reading all of a long one: exact when there are at most `most`. Else
-- all are estimated, a state with few messages is counted, and how the others share the rest is asked of a few pages.
create or replace function pgmq_gateway.count_messages(
    queue_table regclass,
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
-- Statistics of a queue are always late, and a plan made by them might read it all.
set enable_seqscan = off
as $count$
declare
    most constant bigint := 1000;
    sampled_pages constant integer := 60;
    present constant timestamptz := clock_timestamp();
    -- Queues that were partitioned by pgmq alone have no index on vt.
    indexed constant text[] := array(
        select a.attname
        from pg_catalog.pg_index as i
        join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = queue_table and i.indisvalid
    );
    by_age constant text := case when 'msg_id' = any (indexed) then 'msg_id' else 'enqueued_at' end;
    pages bigint;
    hidden bigint;
    share record;
begin
    -- An index leads through dead rows too, until vacuum takes them out: with very many this is no short way.
    if dead_tuples < 50 * most then
        execute format(
            $query$
            select
                count(*),
                count(*) filter (where vt <= $1),
                count(*) filter (where vt > $1 and read_ct = 0),
                count(*) filter (where vt > $1 and read_ct > 0),
                min(enqueued_at),
                max(enqueued_at)
            from (select vt, read_ct, enqueued_at from %s %s limit $2) as m
            $query$,
            queue_table, case when 'vt' = any (indexed) then 'order by vt' else '' end
        ) into messages, visible, delayed, in_flight, oldest, newest using present, most + 1;
        exact := messages <= most;
        if exact then
            return;
        end if;
    end if;
    exact := false;
    messages := greatest(live_tuples, messages);
    if by_age = any (indexed) and dead_tuples < 50 * most then
        execute format(
            'select (select enqueued_at from %1$s order by %2$I limit 1),'
            ' (select enqueued_at from %1$s order by %2$I desc limit 1)',
            queue_table, by_age
        ) into oldest, newest;
    end if;
    if 'vt' = any (indexed) and dead_tuples < 50 * most then
        execute format(
            'select count(*), count(*) filter (where read_ct = 0)'
            ' from (select read_ct from %s where vt > $1 order by vt desc limit $2) as m',
            queue_table
        ) into hidden, delayed using present, most + 1;
        if hidden <= most then
            visible := greatest(messages - hidden, 0);
            in_flight := hidden - delayed;
            return;
        end if;
        execute format(
            'select count(*) from (select from %s where vt <= $1 order by vt desc limit $2) as m', queue_table
        ) into visible using present, most + 1;
        visible := case when visible <= most then visible end;
    else
        visible := null;
    end if;
    select greatest(sum(pg_relation_size(coalesce(t.relid, queue_table))), 1) / current_setting('block_size')::integer
    into pages
    from (select) as one left join pg_partition_tree(queue_table) as t on t.isleaf;
    execute format(
        $query$
        select
            greatest(count(*), 1)::double precision as rows,
            count(*) filter (where vt <= $1) as visible,
            count(*) filter (where vt > $1 and read_ct = 0) as delayed,
            count(*) filter (where vt > $1) as hidden
        from %s tablesample system (least(100.0 * $2 / $3, 100)::real)
        $query$,
        queue_table
    ) into share using present, sampled_pages, greatest(pages, 1);
    visible := coalesce(visible, round(messages * share.visible / share.rows));
    delayed := round((messages - visible) * share.delayed / greatest(share.hidden, 1));
    in_flight := messages - visible - delayed;
end;
$count$;

-- All that list_queues and the history tell of one queue.
create or replace function pgmq_gateway.queue_figures(
    queue_table regclass,
    archive_table regclass,
    out messages bigint,
    out exact boolean,
    out visible bigint,
    out delayed bigint,
    out in_flight bigint,
    out archived bigint,
    out oldest_seconds double precision,
    out newest_seconds double precision,
    out sent bigint,
    out table_bytes bigint,
    out index_bytes bigint,
    out dead_tuples bigint,
    out last_autovacuum timestamptz,
    out updated bigint,
    out deleted bigint,
    out archive_inserted bigint,
    out archive_bytes bigint
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
-- Somebody may be purging or dropping this queue: the others do not wait for that.
set lock_timeout = '20ms'
as $figures$
declare
    most constant bigint := 1000;
    archive record;
    live bigint;
    oldest timestamptz;
    newest timestamptz;
begin
    if queue_table is null then
        return;
    end if;
    select f.table_bytes, f.index_bytes, f.live_tuples, f.dead_tuples, f.last_autovacuum, f.updated, f.deleted
    into table_bytes, index_bytes, live, dead_tuples, last_autovacuum, updated, deleted
    from pgmq_gateway.table_figures(queue_table) as f;
    select c.* into messages, exact, visible, delayed, in_flight, oldest, newest
    from pgmq_gateway.count_messages(queue_table, live, dead_tuples) as c;
    oldest_seconds := extract(epoch from clock_timestamp() - oldest);
    newest_seconds := extract(epoch from clock_timestamp() - newest);
    select coalesce(pg_sequence_last_value(s.oid), 0) into sent
    from pg_catalog.pg_depend as d
    join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
    where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
      and d.refobjid = queue_table and d.deptype = 'i';
    if archive_table is null then
        return;
    end if;
    select f.* into archive from pgmq_gateway.table_figures(archive_table) as f;
    archive_inserted := archive.inserted;
    archive_bytes := archive.table_bytes + archive.index_bytes;
    execute format('select count(*) from (select from %s limit $1) as a', archive_table) into archived using most + 1;
    if archived > most then
        archived := greatest(archive.live_tuples, archived);
    end if;
exception
    when lock_not_available or undefined_table then
        exact := false;
end;
$figures$;

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
            where t.tgrelid = q.queue_table and t.tgname = 'trigger_notify_queue_insert_listeners'
        ),
        f.messages, coalesce(f.exact, false), f.visible, f.delayed, f.in_flight, f.archived,
        f.oldest_seconds, f.newest_seconds, f.sent,
        f.table_bytes, f.index_bytes, f.archive_bytes, f.dead_tuples, f.last_autovacuum
    from pgmq_gateway.queues() as q
    left join pg_catalog.pg_class as c on c.oid = q.queue_table
    left join lateral pgmq_gateway.queue_figures(q.queue_table, q.archive_table) as f on true
    order by q.queue_name;
$list$;
comment on function pgmq_admin.list_queues is
    'All queues: type, row-level security, messages by state, ages of the oldest and the newest, how many were ever '
    'sent, sizes. exact: false where there are so many messages that their numbers are estimates.';

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

revoke all on all functions in schema pgmq_admin, pgmq_gateway from public;
grant execute on function
    pgmq_admin.create_queue, pgmq_admin.drop_queue, pgmq_admin.purge_queue,
    pgmq_admin.list_queues, pgmq_admin.queue_status
to service_role;
