-- The storage parameters of q_<queue>. A message is written once, again at each read, and deleted, so the table
-- collects dead rows however few messages it has: vacuum must not wait for a share of the table, nor pause between
-- pages. fillfactor stays 100: a read changes the indexed vt, so free space on a page cannot make it a HOT update.
-- Archives only grow, for which the defaults are good.
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
revoke all on function pgmq_gateway.queue_storage from public;

-- True if a queue can have this name. pgmq allows more, but different names can share one table: "Foo" and "foo", or long
-- ones cut at 63 bytes.
create or replace function pgmq_gateway.is_allowed_name(queue_name text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $allowed$
    select queue_name is not null and queue_name ~ '^[a-z0-9_-]{1,47}$' and queue_name not like '%--%';
$allowed$;
revoke all on function pgmq_gateway.is_allowed_name from public;

-- Raises unless a queue can have this name.
create or replace function pgmq_gateway.check_name(queue_name text)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if not pgmq_gateway.is_allowed_name(queue_name) then
        raise exception 'queue name "%" is not allowed', queue_name using
            errcode = 'invalid_name',
            hint = 'Use 1 to 47 characters of a-z, 0-9, _ and -, without two - in a row.';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_name from public;

-- Raises unless a queue of this name can be created and will share no table and no index with another.
create or replace function pgmq_gateway.check_new_name(queue_name text, queue_type text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
begin
    perform pgmq_gateway.check_name(queue_name);
    if exists (select from pgmq_gateway.orphans(array[queue_name])) then
        raise exception 'tables of a queue "%" exist that pgmq.meta does not list', queue_name using
            errcode = 'duplicate_table',
            hint = 'Make a queue of them with adopt (pgmq-gateway queue create --adopt), or drop them with '
                'pgmq_admin.drop_queue().';
    end if;
    if exists (
        select from pg_catalog.pg_class
        where relnamespace = 'pgmq'::regnamespace and (
            relname in ('q_' || queue_name, 'a_' || queue_name, 'q_' || queue_name || '_vt_idx')
            -- A partition of the new queue would have the name of an existing table.
            or queue_type = 'partitioned' and starts_with(relname, 'q_' || queue_name || '_')
                and substr(relname, length(queue_name) + 4) ~ '^(default|p[0-9_]+)$'
        )
    ) or exists (
        -- A future partition of an existing queue would have the name of the new table.
        select from pgmq.meta as m
        where m.is_partitioned and starts_with(check_new_name.queue_name, m.queue_name || '_')
          and substr(check_new_name.queue_name, length(m.queue_name) + 2) ~ '^(default|p[0-9_]+)$'
    ) then
        raise exception 'queue "%" would share a table or an index with another one', queue_name
            using errcode = 'duplicate_table', hint = 'Use another name.';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_new_name from public;

-- Creates the missing tables of a basic or unlogged queue, and lists it in pgmq.meta.
create or replace function pgmq_gateway.create_tables(queue_name text, queue_type text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $create$
begin
    if queue_type = 'unlogged' then
        perform pgmq.create_unlogged(queue_name);
    else
        perform pgmq.create_non_partitioned(queue_name);
    end if;
    execute format('alter table pgmq.%I set (%s)', 'q_' || queue_name, pgmq_gateway.queue_storage());
end;
$create$;
revoke all on function pgmq_gateway.create_tables from public;
