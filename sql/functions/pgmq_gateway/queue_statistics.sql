-- The tables of queues and archives with Postgres' own statistics, summed over their partitions; no row is read. Tables
-- that another session is purging or dropping are left out, because reading their size would wait for its lock, and so
-- are tables of roles of requests, because reading their rows can run code of their owner, and those of other owners that
-- the current role cannot read.
create or replace view pgmq_gateway.tables as
with free as materialized (
    select c.oid, c.relname, c.relkind, c.reltuples, c.relpages
    from pg_catalog.pg_class as c
    where c.relnamespace = 'pgmq'::regnamespace
      and c.relkind in ('r', 'p')
      and not c.relispartition
      and c.relowner not in (select r.oid from pgmq_gateway.caller_roles() as r)
      and has_table_privilege(c.oid, 'SELECT')
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
        -- Statistics are empty after a crash and on a standby. The catalog still has the density of pages then, from
        -- the last vacuum or analyze.
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

-- Raises an error again unless it is one of a table that was dropped meanwhile: its name has become a number then, which
-- is a syntax error, and opening it by that number has no SQLSTATE of its own.
create or replace function pgmq_gateway.check_dropped(code text, message text)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if code = 'XX000' and message !~ '^(could not open relation|cache lookup failed)' then
        raise exception '%', message using errcode = code;
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_dropped from public;

-- Counts the rows of `source`, the SQL of a table or of a subquery, by state. It reads them all.
create or replace function pgmq_gateway.count_rows(
    source text,
    present timestamptz,
    out messages bigint,
    out visible bigint,
    out delayed bigint,
    out in_flight bigint,
    out parked bigint,
    out oldest timestamptz,
    out newest timestamptz
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $count$
begin
    execute format(
        'select count(*), %s, min(q.enqueued_at), max(q.enqueued_at) from %s as q',
        pgmq_settings.state_counts('$1'), source
    ) into messages, visible, delayed, in_flight, parked, oldest, newest using present;
end;
$count$;
revoke all on function pgmq_gateway.count_rows from public;

-- Counts the messages that are not visible, and the delayed and the parked ones of them: at most `max_messages`, by the
-- index on vt.
create or replace function pgmq_gateway.count_hidden(
    queue_table regclass, present timestamptz, max_messages bigint,
    out hidden bigint, out delayed bigint, out parked bigint
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $count$
begin
    execute format(
        'select count(*), count(*) filter (where %s), count(*) filter (where %s)'
        ' from (select q.vt, q.read_ct from %s as q where not %s order by q.vt desc limit $2) as q',
        pgmq_settings.state_condition('delayed', '$1'), pgmq_settings.state_condition('parked', '$1'), queue_table,
        pgmq_settings.state_condition('visible', '$1')
    ) into hidden, delayed, parked using present, max_messages;
end;
$count$;
revoke all on function pgmq_gateway.count_hidden from public;

-- Estimates from a sample of a queue's pages: the number of messages, the share of the visible ones, and the shares of
-- the delayed and the parked ones among the others.
create or replace function pgmq_gateway.sample_messages(
    queue_table regclass,
    present timestamptz,
    percent real,
    out messages bigint,
    out visible_share double precision,
    out delayed_share double precision,
    out parked_share double precision
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $sample$
declare
    visible bigint;
    delayed bigint;
    in_flight bigint;
    parked bigint;
    sampled bigint;
begin
    execute format(
        'select count(*), %s from %s as q tablesample system ($2) repeatable (0)',
        pgmq_settings.state_counts('$1'), queue_table
    ) into sampled, visible, delayed, in_flight, parked using present, percent;
    messages := sampled * 100 / percent;
    visible_share := visible / greatest(sampled, 1)::double precision;
    delayed_share := delayed / greatest(sampled - visible, 1)::double precision;
    parked_share := parked / greatest(sampled - visible, 1)::double precision;
end;
$sample$;
revoke all on function pgmq_gateway.sample_messages from public;

-- The first columns of a queue's indexes. An index has entries of dead rows until vacuum removes them: with very many
-- of them it is not faster than the table, and none is returned.
create or replace function pgmq_gateway.usable_indexes(queue_table regclass, dead_tuples bigint)
returns name[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $indexes$
    select coalesce(array_agg(a.attname), '{}')
    from pg_index as i
    join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = queue_table and i.indisvalid and dead_tuples < 50000;
$indexes$;
revoke all on function pgmq_gateway.usable_indexes from public;

-- When the oldest and the newest message were sent, by an index. A queue that was partitioned by time, and not by this
-- gateway, has none on msg_id.
create or replace function pgmq_gateway.queue_ages(
    queue_table regclass, indexed name[], out oldest timestamptz, out newest timestamptz
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $ages$
declare
    by_age constant name := case when 'msg_id' = any (indexed) then 'msg_id' else 'enqueued_at' end;
begin
    if by_age = any (indexed) then
        execute format(
            'select (select enqueued_at from %1$s order by %2$I limit 1),'
            ' (select enqueued_at from %1$s order by %2$I desc limit 1)',
            queue_table, by_age
        ) into oldest, newest;
    end if;
end;
$ages$;
revoke all on function pgmq_gateway.queue_ages from public;

-- The messages of a long queue by state. A state with at most `few_messages` is counted, the others are estimated from
-- the statistics and a sample of the pages.
--
-- first_messages, first_visible   the number of messages among the first `few_messages` + 1 in the order of vt, and of
--                                 the visible ones among those; null without an index on vt
create or replace function pgmq_gateway.estimate_messages(
    queue_table regclass,
    present timestamptz,
    sampled_percent real,
    live_tuples bigint,
    few_messages bigint,
    first_messages bigint,
    first_visible bigint,
    out messages bigint,
    out visible bigint,
    out delayed bigint,
    out in_flight bigint,
    out parked bigint
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $estimate$
declare
    hidden bigint;
    estimate record;
begin
    if first_messages is not null then
        select c.* into hidden, delayed, parked
        from pgmq_gateway.count_hidden(queue_table, present, few_messages + 1) as c;
    end if;
    select s.* into estimate from pgmq_gateway.sample_messages(queue_table, present, sampled_percent) as s;
    -- Statistics lag behind: of a queue that has just been filled they know nothing.
    messages := greatest(
        case when live_tuples > few_messages then live_tuples else estimate.messages end, first_messages);
    if hidden <= few_messages then
        visible := messages - hidden;
        in_flight := hidden - delayed - parked;
        return;
    end if;
    -- The visible messages are the first ones in the order of vt: fewer than were counted there are all of them.
    visible := case
        when first_visible <= few_messages then first_visible
        else round(messages * estimate.visible_share)
    end;
    delayed := round((messages - visible) * estimate.delayed_share);
    parked := round((messages - visible) * estimate.parked_share);
    in_flight := greatest(messages - visible - delayed - parked, 0);
end;
$estimate$;
revoke all on function pgmq_gateway.estimate_messages from public;

-- The number of messages that were ever sent to a queue; null without a privilege on its sequence.
create or replace function pgmq_gateway.count_sent(queue_table regclass)
returns bigint
language sql
stable
set search_path = pg_catalog, pg_temp
as $count$
    select case when has_sequence_privilege(s.oid, 'USAGE, SELECT') then coalesce(pg_sequence_last_value(s.oid), 0) end
    from pg_depend as d
    join pg_class as s on s.oid = d.objid and s.relkind = 'S'
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
      and d.refobjid = queue_table and d.deptype = 'i';
$count$;
revoke all on function pgmq_gateway.count_sent from public;

-- The messages of a queue with more than `few_pages` pages by state: exact when it has few messages.
create or replace function pgmq_gateway.count_long_queue(
    queue_table regclass,
    pages bigint,
    few_pages bigint,
    live_tuples bigint,
    dead_tuples bigint,
    present timestamptz,
    out messages bigint,
    out exact boolean,
    out visible bigint,
    out delayed bigint,
    out in_flight bigint,
    out parked bigint,
    out oldest timestamptz,
    out newest timestamptz
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
-- The plan for a queue that has just been filled may come from its statistics as an empty one.
set enable_sort = off
as $count$
declare
    few_messages constant bigint := 1000;
    indexed constant name[] := pgmq_gateway.usable_indexes(queue_table, dead_tuples);
begin
    exact := false;
    if 'vt' = any (indexed) then
        select c.* into messages, visible, delayed, in_flight, parked, oldest, newest
        from pgmq_gateway.count_rows(
            format('(select * from %s order by vt limit %s)', queue_table, few_messages + 1), present) as c;
        exact := messages <= few_messages;
        if exact then
            return;
        end if;
    end if;
    select a.* into oldest, newest from pgmq_gateway.queue_ages(queue_table, indexed) as a;
    select e.* into messages, visible, delayed, in_flight, parked
    from pgmq_gateway.estimate_messages(
        queue_table, present, least(100.0 * few_pages / pages, 100)::real, live_tuples, few_messages, messages, visible
    ) as e;
end;
$count$;
revoke all on function pgmq_gateway.count_long_queue from public;

-- The messages of a queue by state, without ever reading all of a long one: exact when the table is small or has few
-- messages. All are null for a queue that is dropped meanwhile.
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
    out parked bigint,
    out oldest timestamptz,
    out newest timestamptz,
    out sent bigint
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $count$
declare
    few_pages constant bigint := 60;
    present constant timestamptz := clock_timestamp();
begin
    if pages = 0 then
        select 0, 0, 0, 0, 0, true into messages, visible, delayed, in_flight, parked, exact;
    elsif pages <= few_pages then
        select c.*, true into messages, visible, delayed, in_flight, parked, oldest, newest, exact
        from pgmq_gateway.count_rows(queue_table::text, present) as c;
    elsif pages > few_pages then
        select c.* into messages, exact, visible, delayed, in_flight, parked, oldest, newest
        from pgmq_gateway.count_long_queue(queue_table, pages, few_pages, live_tuples, dead_tuples, present) as c;
    end if;
    -- After the table and before the archive: drop_queue locks them in this order, and reading the sequence locks it
    -- until the end of the transaction.
    sent := pgmq_gateway.count_sent(queue_table);
exception
    when undefined_table or syntax_error or internal_error then
        perform pgmq_gateway.check_dropped(sqlstate, sqlerrm);
        exact := false;
end;
$count$;
revoke all on function pgmq_gateway.count_messages from public;

-- The number of messages in an archive, exact while its table is small.
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
    when undefined_table or syntax_error or internal_error then
        perform pgmq_gateway.check_dropped(sqlstate, sqlerrm);
        return null;
end;
$count$;
revoke all on function pgmq_gateway.count_archived from public;

-- All queues, with the columns of list_queues() and of the history; numbers are null where the tables are locked, or
-- were dropped without pgmq, and ages also for an infinite time, from which Postgres 16 and earlier cannot subtract.
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
    m.parked,
    pgmq_gateway.count_archived(archive.relation, archive.pages, archive.live_tuples) as archived,
    case when isfinite(m.oldest) then extract(epoch from clock_timestamp() - m.oldest) end::double precision
        as oldest_seconds,
    case when isfinite(m.newest) then extract(epoch from clock_timestamp() - m.newest) end::double precision
        as newest_seconds,
    m.sent,
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
