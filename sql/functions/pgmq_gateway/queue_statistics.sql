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
revoke all on function pgmq_gateway.count_messages from public;

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
revoke all on function pgmq_gateway.count_archived from public;

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
