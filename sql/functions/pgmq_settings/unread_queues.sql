-- What remains to do in a queue that no client reads with pgmq_api: burying dead messages, and removing old ones from the
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

-- The ids of dead messages that no consumer has leased, at most max_ids in 500 pages (4 MB) of a queue's table, and the
-- page to go on with: the same one if there may be more in these, 0 after the last one.
--
-- By pages, because this work is bounded whatever the table contains. An index can begin with millions of entries of
-- deleted rows, and a queue with living messages.
create or replace function pgmq_settings.find_dead(
    queue_table text, settings pgmq_settings.queues, first_page bigint, max_ids integer,
    out ids bigint[], out next_page bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $find$
declare
    relation constant regclass := format('pgmq.%I', queue_table);
    pages constant bigint := greatest(
        pg_relation_size(relation), (select max(pg_relation_size(t.relid)) from pg_partition_tree(relation) as t)
    ) / current_setting('block_size')::integer;
    end_page constant bigint := first_page + 500;
    present constant timestamptz := clock_timestamp();
begin
    perform pgmq_settings.check_accessible(relation);
    execute format(
        $query$
        select array(
            select q.msg_id from %s as q
            where q.ctid >= $1 and q.ctid < $3 and %s and not (%s)
            limit $4
        )
        $query$,
        relation, pgmq_settings.buried_condition('q'), pgmq_settings.state_condition('in_flight', '$2'))
    into ids
    using
        format('(%s,0)', first_page)::tid, present, format('(%s,0)', end_page)::tid, max_ids,
        coalesce(settings.max_receives, 999999), pgmq_settings.expiry_text(present),
        present - make_interval(secs => settings.message_keep_seconds);
    next_page := case
        when cardinality(ids) = max_ids then first_page
        when end_page < pages then end_page
        else 0
    end;
end;
$find$;
revoke all on function pgmq_settings.find_dead from public;
grant execute on function pgmq_settings.find_dead to pgmq_definer;

-- Buries the dead messages of some pages of a queue, 200 after another until the given time.
--
-- dead       the number of dead messages
-- buried     the number of those that were moved
-- next_page  the page to go on with
create or replace function pgmq_settings.bury_unread(
    queue_table text, first_page bigint, until timestamptz, out dead integer, out buried bigint, out next_page bigint
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
as $bury$
declare
    -- Few, because burials that fail take a millisecond each.
    max_ids constant integer := 200;
    settings pgmq_settings.queues;
    part record;
    moved bigint;
begin
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = bury_unread.queue_table;
    dead := 0;
    buried := 0;
    next_page := first_page;
    loop
        select f.* into part from pgmq_settings.find_dead(queue_table, settings, next_page, max_ids) as f;
        next_page := part.next_page;
        exit when part.ids = '{}';
        moved := pgmq_settings.bury(queue_table, part.ids);
        dead := dead + cardinality(part.ids);
        buried := buried + moved;
        exit when moved = 0 or clock_timestamp() >= until or next_page = 0 and cardinality(part.ids) < max_ids;
    end loop;
end;
$bury$;
revoke all on function pgmq_settings.bury_unread from public;
alter function pgmq_settings.bury_unread owner to pgmq_definer;

-- Deletes messages that were archived more than some seconds ago, 1,000 after another until the given time, and returns
-- how many. An archive without an index on archived_at is searched in the order of the ids.
create or replace function pgmq_settings.trim_archive(queue_table text, keep_seconds bigint, until timestamptz)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
set enable_seqscan = off
set enable_sort = off
as $trim$
declare
    max_messages constant integer := 1000;
    archive constant regclass := format('pgmq.%I', overlay(queue_table placing 'a' from 1 for 1));
    by_age constant boolean := exists (
        select from pg_index as i
        join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = archive and i.indisvalid and a.attname = 'archived_at');
    batch constant text := format(
        'from (select msg_id, archived_at from %s %s limit %s for update skip locked) as o where o.archived_at < $1', archive,
        case when by_age then 'where archived_at < $1 order by archived_at' else 'order by msg_id' end, max_messages);
    oldest constant timestamptz := clock_timestamp() - make_interval(secs => keep_seconds);
    ids bigint[];
    deleted bigint := 0;
begin
    perform pgmq_settings.check_accessible(archive);
    loop
        execute 'select array(select o.msg_id ' || batch || ')' into ids using oldest;
        exit when ids = '{}';
        execute format('delete from %s as a where a.msg_id = any ($2) and a.archived_at < $1', archive) using oldest, ids;
        deleted := deleted + cardinality(ids);
        exit when cardinality(ids) < max_messages or clock_timestamp() >= until;
    end loop;
    return deleted;
end;
$trim$;
revoke all on function pgmq_settings.trim_archive from public;
alter function pgmq_settings.trim_archive owner to pgmq_definer;
