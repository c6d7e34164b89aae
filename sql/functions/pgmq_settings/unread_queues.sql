-- Maintenance of a queue that no client reads with pgmq_api: burying dead messages, and removing old ones from the
-- archive.
--
-- Why SECURITY DEFINER, of pgmq_definer: as in burial.sql. Called by pgmq_gateway.maintain only.

-- Raises if policies hide messages of this table from the current role, or if it would run code of other roles.
create or replace function pgmq_settings.check_accessible(relation regclass)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
begin
    execute format('lock table %s in row exclusive mode', relation);
    perform pgmq_settings.check_own_code(array[relation]);
    perform pgmq_settings.check_sees_all(array[relation]);
end;
$check$;
revoke all on function pgmq_settings.check_accessible from public;
grant execute on function pgmq_settings.check_accessible to pgmq_definer;

-- The number of pages of a table, or of its longest partition.
--
-- Tables are searched by pages, because that work is bounded whatever they contain. An index can begin with millions of
-- entries of deleted rows, and a queue with living messages. Twenty pages at a time, because the headers of one page of
-- rows can be megabytes, which are read from elsewhere.
create or replace function pgmq_settings.page_count(relation regclass)
returns bigint
language sql
stable
set search_path = pg_catalog, pg_temp
as $count$
    select greatest(
        pg_relation_size(relation), (select max(pg_relation_size(t.relid)) from pg_partition_tree(relation) as t)
    ) / current_setting('block_size')::integer;
$count$;
revoke all on function pgmq_settings.page_count from public;
grant execute on function pgmq_settings.page_count to pgmq_definer;

-- The ids of dead messages that no consumer has leased, in some pages of a queue's table. Without those whose burial has
-- failed in the last hour.
create or replace function pgmq_settings.find_dead(
    queue_table text, settings pgmq_settings.queues, first_page bigint, end_page bigint
)
returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $find$
declare
    present constant timestamptz := clock_timestamp();
    ids bigint[];
begin
    execute format(
        $query$
        select array(
            select q.msg_id from pgmq.%I as q
            where q.ctid >= $1 and q.ctid < $3 and %s and not (%s) and %s
        )
        $query$,
        queue_table, pgmq_settings.buried_condition('q'), pgmq_settings.state_condition('in_flight', '$2'),
        pgmq_settings.retried_condition('q'))
    into ids
    using
        format('(%s,0)', first_page)::tid, present, format('(%s,0)', end_page)::tid, null,
        coalesce(settings.max_receives, 999999), pgmq_settings.expiry_text(present),
        present - make_interval(secs => settings.message_keep_seconds);
    return ids;
end;
$find$;
revoke all on function pgmq_settings.find_dead from public;
grant execute on function pgmq_settings.find_dead to pgmq_definer;

-- Buries the dead messages of a queue, 200 after another, until the given time or the end of its table.
--
-- With groups only one burial, even if it moves none: each locks groups in one order, two could wait for another
-- transaction that waits for them.
--
-- dead       the number of dead messages
-- buried     the number of those that were moved
-- next_page  the page to go on with
-- at_end     whether all pages from the first one have been searched
create or replace function pgmq_settings.bury_unread(
    queue_table text, first_page bigint, until timestamptz,
    out dead bigint, out buried bigint, out next_page bigint, out at_end boolean
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
as $bury$
declare
    -- Few, because burials that fail take a millisecond each.
    max_ids constant integer := 200;
    part_pages constant integer := 20;
    relation constant regclass := format('pgmq.%I', queue_table);
    settings pgmq_settings.queues;
    target text;
    pages bigint;
    grouped boolean;
    ids bigint[];
begin
    perform pgmq_settings.check_accessible(relation);
    pages := pgmq_settings.page_count(relation);
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = bury_unread.queue_table;
    target := pgmq_settings.burial_table(queue_table, settings.dead_letter_queue);
    grouped := exists (
        select from pgmq_settings.settings as s
        where s.queue_table in (bury_unread.queue_table, target) and s.group_limit is not null);
    dead := 0;
    buried := 0;
    at_end := false;
    next_page := case when first_page < pages then first_page else 0 end;
    <<walk>>
    loop
        ids := pgmq_settings.find_dead(queue_table, settings, next_page, next_page + part_pages);
        dead := dead + cardinality(ids);
        if ids <> '{}' then
            perform pgmq_settings.check_burial(queue_table, target);
        end if;
        -- The next visit begins with this part again, unless all of it was tried: other transactions may have locked rows.
        while ids <> '{}' loop
            buried := buried + pgmq_settings.bury(queue_table, ids[:max_ids]);
            ids := ids[max_ids + 1 :];
            exit walk when ids <> '{}' and (clock_timestamp() >= until or grouped);
        end loop;
        next_page := next_page + part_pages;
        at_end := next_page >= pages;
        exit when at_end or clock_timestamp() >= until or grouped and dead > 0;
    end loop;
    if at_end then
        next_page := 0;
    end if;
end;
$bury$;
revoke all on function pgmq_settings.bury_unread from public;
alter function pgmq_settings.bury_unread owner to pgmq_definer;

-- Deletes messages that were archived more than some seconds ago, until the given time. Without an index on archived_at
-- it searches the pages of the archive.
--
-- next_page  the page to go on with
-- at_end     whether there are no more
create or replace function pgmq_settings.trim_archive(
    queue_table text, keep_seconds bigint, first_page bigint, until timestamptz,
    out deleted bigint, out next_page bigint, out at_end boolean
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
set enable_seqscan = off
set enable_sort = off
as $trim$
declare
    max_messages constant integer := 1000;
    part_pages constant integer := 20;
    archive constant regclass := format('pgmq.%I', overlay(queue_table placing 'a' from 1 for 1));
    oldest constant timestamptz := clock_timestamp() - make_interval(secs => keep_seconds);
    by_age constant boolean := exists (
        select from pg_index as i
        join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = archive and i.indisvalid and a.attname = 'archived_at');
    part constant text := case
        when by_age then format('true order by a.archived_at limit %s', max_messages)
        else 'a.ctid >= $2 and a.ctid < $3'
    end;
    pages bigint;
    ids bigint[];
begin
    perform pgmq_settings.check_accessible(archive);
    pages := case when by_age then 0 else pgmq_settings.page_count(archive) end;
    deleted := 0;
    next_page := case when first_page < pages then first_page else 0 end;
    loop
        execute format(
            'select array(select a.msg_id from %s as a where a.archived_at < $1 and %s for update skip locked)',
            archive, part)
        into ids using oldest, format('(%s,0)', next_page)::tid, format('(%s,0)', next_page + part_pages)::tid;
        execute format('delete from %s as a where a.msg_id = any ($2) and a.archived_at < $1', archive) using oldest, ids;
        deleted := deleted + cardinality(ids);
        next_page := case when by_age then 0 else next_page + part_pages end;
        at_end := case when by_age then cardinality(ids) < max_messages else next_page >= pages end;
        exit when at_end or clock_timestamp() >= until;
    end loop;
    if at_end then
        next_page := 0;
    end if;
end;
$trim$;
revoke all on function pgmq_settings.trim_archive from public;
alter function pgmq_settings.trim_archive owner to pgmq_definer;
