-- Settling: the end of leases, by the receipts of the deliveries.

-- The seconds until a message is retried, by the settings of its queue and how often it was received.
create or replace function pgmq_settings.backoff(settings pgmq_settings.queues, read_ct integer)
returns double precision
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $backoff$
begin
    return least(
        coalesce(settings.backoff_max_seconds, 3600),
        coalesce(settings.backoff_seconds, 10)
            * case settings.backoff when 'exponential' then power(2, least(read_ct - 1, 60)) else 1 end
    ) * (1 - coalesce(settings.backoff_jitter, 0.2) * random());
end;
$backoff$;
revoke all on function pgmq_settings.backoff from public;
grant execute on function pgmq_settings.backoff to anon, authenticated, service_role;

-- The seconds of an operation that names none: the lease of an extension, the back-off of a retry. Null if that depends
-- on how often the message was received: see backoff().
create or replace function pgmq_settings.default_seconds(settings pgmq_settings.queues, operation text)
returns double precision
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $default$
begin
    return case
        when operation = 'extend' then coalesce(settings.lease_seconds, 30)
        when coalesce(settings.backoff, 'none') = 'none' then 0
    end;
end;
$default$;
revoke all on function pgmq_settings.default_seconds from public;
grant execute on function pgmq_settings.default_seconds to anon, authenticated, service_role;

-- The outcome of an operation that was done.
create or replace function pgmq_settings.settled(operation text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $settled$
begin
    return case operation
        when 'ack' then 'acked'
        when 'archive' then 'archived'
        when 'retry' then 'retried'
        when 'reject' then 'rejected'
        when 'extend' then 'extended'
    end;
end;
$settled$;
revoke all on function pgmq_settings.settled from public;
grant execute on function pgmq_settings.settled to anon, authenticated, service_role;

-- The statement that retries, rejects and extends deliveries. A receipt whose message is gone, or was read again, matches
-- no row. Returns the places of the deliveries that were settled, of those that are dead by it, and the ids of these.
--
-- Rows are locked in the order of their ids, so that two lists cannot deadlock: settle_changes() allows no other plans than
-- to look up one id after the other, or to scan the index on msg_id, as in a small queue.
--
-- noting  whether any is rejected, or retried with a reason: otherwise only vt changes
--
-- $1  the deliveries
-- $2  the operations
-- $3  seconds: the delay of a retry, the lease of an extension
-- $4  reasons
-- $5  the present time
-- $6  max_receives, or the largest number of receives that is no rejection
create or replace function pgmq_settings.changes_statement(queue_table text, noting boolean)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $statement$
begin
    return format(
        $query$
        with changed as (
            update pgmq.%I as q
            set %s vt = case
                    when c.operation = 'reject' or c.operation = 'retry' and q.read_ct >= $6
                        or c.operation = 'extend' and c.seconds = 0
                    then $5
                    when c.operation = 'extend' then greatest(q.vt, $5 + make_interval(secs => c.seconds))
                    else $5 + make_interval(secs => c.seconds)
                end
            from (
                select *
                from unnest($1, $2, $3, $4) with ordinality
                    as c (msg_id, read_ct, enqueued_at, operation, seconds, reason, place)
                order by c.msg_id
            ) as c
            where q.msg_id = c.msg_id and q.read_ct = c.read_ct and q.enqueued_at = c.enqueued_at
                -- Each rejection adds to its receives.
                and (c.operation <> 'reject' or c.read_ct < 1000000)
            returning
                c.place, q.msg_id, c.operation = 'reject' or c.operation = 'retry' and c.read_ct >= $6 as dead
        )
        select
            array_agg(c.place), array_agg(c.place) filter (where c.dead), array_agg(c.msg_id) filter (where c.dead)
        from changed as c
        $query$,
        queue_table,
        case when noting then
            $assignments$
            read_ct = case c.operation when 'reject' then q.read_ct + 1000000 else q.read_ct end,
            headers = case
                when c.operation = 'reject' then
                    pgmq_settings.headers_object(q.headers) || jsonb_build_object('x-pgmq-rejected', c.reason)
                when c.operation = 'retry' and c.reason is not null then
                    pgmq_settings.headers_object(q.headers) || jsonb_build_object(
                        'x-pgmq-retry', jsonb_build_object('reason', c.reason, 'at', $5))
                else q.headers
            end,
            $assignments$
        end);
end;
$statement$;
revoke all on function pgmq_settings.changes_statement from public;
grant execute on function pgmq_settings.changes_statement to anon, authenticated, service_role;

-- The part of a statement that deletes the rows named q that meet a condition, or moves them to the archive.
create or replace function pgmq_settings.removal(queue_table text, archiving boolean, condition text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $removal$
declare
    archive_table constant text := overlay(queue_table placing 'a' from 1 for 1);
    columns text := 'msg_id, read_ct, enqueued_at, vt, message, headers';
begin
    if not archiving then
        return format(
            'with settled as (delete from pgmq.%I as q where %s returning q.msg_id, q.read_ct, q.enqueued_at)',
            queue_table, condition);
    end if;
    if pgmq_settings.has_last_read_at(queue_table) and pgmq_settings.has_last_read_at(archive_table) then
        columns := columns || ', last_read_at';
    end if;
    return format(
        'with settled as (delete from pgmq.%I as q where %s returning q.*), '
        'kept as (insert into pgmq.%I (%s) select %4$s from settled order by msg_id)',
        queue_table, condition, archive_table, columns);
end;
$removal$;
revoke all on function pgmq_settings.removal from public;
grant execute on function pgmq_settings.removal to anon, authenticated, service_role;

-- The statement that deletes or archives the messages of a list, and returns the deliveries that it has settled.
--
-- Rows are locked in the order of their ids, so that two lists cannot deadlock: settle_list() allows no other scan than
-- one of the index on msg_id. Locking them before would need the privilege to update, for deletes too.
--
-- $1  the ids
-- $2  the times at which the messages were enqueued: partitions can be by time
-- $3  the deliveries
create or replace function pgmq_settings.settle_list_statement(queue_table text, operation text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $statement$
begin
    return pgmq_settings.removal(
        queue_table, operation = 'archive',
        'q.msg_id = any ($1) and q.enqueued_at = any ($2) '
        'and (q.msg_id, q.read_ct, q.enqueued_at)::pgmq_settings.delivery = any ($3)')
    || ' select array_agg((s.msg_id, s.read_ct, s.enqueued_at)::pgmq_settings.delivery) from settled as s';
end;
$statement$;
revoke all on function pgmq_settings.settle_list_statement from public;
grant execute on function pgmq_settings.settle_list_statement to anon, authenticated, service_role;

-- The deliveries whose messages were read again.
create or replace function pgmq_settings.stale(queue_table text, deliveries pgmq_settings.delivery[])
returns pgmq_settings.delivery[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $stale$
declare
    result pgmq_settings.delivery[];
begin
    execute format(
        'select array_agg(d) from unnest($1) as d where exists (select from pgmq.%I as q '
        'where q.msg_id = d.msg_id and q.enqueued_at = d.enqueued_at and q.read_ct <> d.read_ct)', queue_table)
    into result using deliveries;
    return result;
end;
$stale$;
revoke all on function pgmq_settings.stale from public;
grant execute on function pgmq_settings.stale to anon, authenticated, service_role;

-- Raises unless a message can be retried after this time. Where groups are limited, those behind it wait as long.
create or replace function pgmq_settings.check_delay(settings pgmq_settings.queues, seconds integer)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if settings.group_limit is not null then
        perform pgmq_settings.check_seconds('delay_seconds', seconds, 604800);
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_delay from public;
grant execute on function pgmq_settings.check_delay to anon, authenticated, service_role;

-- The outcomes of deliveries that a list deletes or archives, in order. Without nested loops, which Postgres takes for short
-- lists, whatever their length is.
create or replace function pgmq_settings.outcomes(
    word text,
    deliveries pgmq_settings.delivery[],
    settled pgmq_settings.delivery[],
    stale pgmq_settings.delivery[]
)
returns text[]
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
as $outcomes$
begin
    return array(
        select case
            when s.msg_id is not null then word
            when r.msg_id is not null then 'stale'
            else 'gone'
        end
        from unnest(deliveries) with ordinality as g (msg_id, read_ct, enqueued_at, place)
        left join unnest(settled) as s
            on s.msg_id = g.msg_id and s.read_ct = g.read_ct and s.enqueued_at = g.enqueued_at
        left join unnest(stale) as r
            on r.msg_id = g.msg_id and r.read_ct = g.read_ct and r.enqueued_at = g.enqueued_at
        order by g.place);
end;
$outcomes$;
revoke all on function pgmq_settings.outcomes from public;
grant execute on function pgmq_settings.outcomes to anon, authenticated, service_role;

-- Deletes or archives the messages of a list, and returns the outcomes in order.
create or replace function pgmq_settings.settle_list(queue_table text, operation text, receipts text[])
returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $settle$
declare
    word constant text := pgmq_settings.settled(operation);
    deliveries constant pgmq_settings.delivery[] := pgmq_settings.deliveries(receipts);
    settled pgmq_settings.delivery[];
begin
    execute pgmq_settings.settle_list_statement(queue_table, operation) into settled using
        array(select d.msg_id from unnest(deliveries) as d), array(select d.enqueued_at from unnest(deliveries) as d),
        deliveries;
    if cardinality(settled) = cardinality(deliveries) then
        return array_fill(word, array[cardinality(deliveries)]);
    end if;
    return pgmq_settings.outcomes(word, deliveries, settled, pgmq_settings.stale(queue_table, deliveries));
end;
$settle$;
revoke all on function pgmq_settings.settle_list from public;
grant execute on function pgmq_settings.settle_list to anon, authenticated, service_role;

-- The seconds of deliveries that are retried or extended: where none are given, as the queue's settings say.
create or replace function pgmq_settings.change_seconds(
    queue_table text,
    settings pgmq_settings.queues,
    deliveries pgmq_settings.delivery[],
    operations text[],
    seconds integer[]
)
returns double precision[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $seconds$
begin
    perform pgmq_settings.check_delay(settings, c.seconds)
    from unnest(operations, seconds) as c (operation, seconds)
    where settings.group_limit is not null and c.operation = 'retry' and c.seconds is not null;
    return array(
        select coalesce(
            c.seconds, pgmq_settings.default_seconds(settings, c.operation), pgmq_settings.backoff(settings, c.read_ct))
        from unnest(deliveries, operations, seconds) with ordinality
            as c (msg_id, read_ct, enqueued_at, operation, seconds, place)
        order by c.place);
end;
$seconds$;
revoke all on function pgmq_settings.change_seconds from public;
grant execute on function pgmq_settings.change_seconds to anon, authenticated, service_role;

-- Retries, rejects and extends deliveries, and returns their outcomes in order: retried, rejected or extended, or stale if
-- the message was read again, or gone if it is not there for this caller.
--
-- operations, receipts, seconds, reasons  for each delivery; seconds are null for the default of the queue
-- dead  the ids of messages to bury
create or replace function pgmq_settings.settle_changes(
    queue_table text, operations text[], receipts text[], seconds integer[], reasons text[],
    out outcomes text[], out dead bigint[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $settle$
declare
    deliveries constant pgmq_settings.delivery[] := pgmq_settings.deliveries(receipts);
    noting constant boolean := 'reject' = any (operations) or array_remove(reasons, null) <> '{}';
    present constant timestamptz := clock_timestamp();
    settings pgmq_settings.queues;
    delays double precision[];
    settled bigint[];
    rejected bigint[];
    stale pgmq_settings.delivery[];
    place bigint;
begin
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = settle_changes.queue_table;
    delays := pgmq_settings.change_seconds(queue_table, settings, deliveries, operations, seconds);
    execute pgmq_settings.changes_statement(queue_table, noting) into settled, rejected, dead using
        deliveries, operations, delays, reasons, present, coalesce(settings.max_receives, 999999);
    if 'retry' = any (operations) or 0 = any (delays) then
        perform pgmq_settings.report_times(queue_table, array(
            select present + make_interval(secs => delays[s.place])
            from unnest(settled) as s (place)
            where (operations[s.place] = 'retry' or operations[s.place] = 'extend' and delays[s.place] = 0)
              and s.place <> all (coalesce(rejected, '{}'))));
    end if;
    outcomes := array(
        select pgmq_settings.settled(o.operation) from unnest(operations) with ordinality as o (operation, place)
        order by o.place);
    for place in select r.place from unnest(rejected) as r (place) loop
        outcomes[place] := 'rejected';
    end loop;
    if cardinality(settled) = cardinality(deliveries) then
        return;
    end if;
    stale := pgmq_settings.stale(queue_table, deliveries);
    for place in select n from generate_series(1, cardinality(deliveries)) as n except select unnest(settled) loop
        outcomes[place] := case when deliveries[place] = any (stale) then 'stale' else 'gone' end;
    end loop;
end;
$settle$;
revoke all on function pgmq_settings.settle_changes from public;
grant execute on function pgmq_settings.settle_changes to anon, authenticated, service_role;

-- Retries, rejects or extends one delivery, and returns the outcome.
create or replace function pgmq_settings.settle(
    queue_table text, operation text, receipt text, seconds integer, reason text
)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $settle$
declare
    changed constant record := pgmq_settings.settle_changes(
        queue_table, array[operation], array[receipt], array[seconds], array[reason]);
begin
    if changed.dead is not null then
        perform pgmq_settings.bury(queue_table, changed.dead);
    end if;
    return changed.outcomes[1];
end;
$settle$;
revoke all on function pgmq_settings.settle from public;
grant execute on function pgmq_settings.settle to anon, authenticated, service_role;

-- Deletes or archives messages by their ids, in the order of these, and returns the ids of those that were there.
create or replace function pgmq_settings.remove_batch(queue_table text, ids bigint[], archiving boolean)
returns setof bigint
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $remove$
begin
    if ids is null then
        raise exception 'message_ids must not be null' using
            errcode = 'null_value_not_allowed', hint = 'An empty list is {}.';
    elsif cardinality(ids) > 10000 then
        raise exception '% ids are too many', cardinality(ids) using
            errcode = 'invalid_parameter_value', hint = 'Use at most 10000 at once.';
    end if;
    perform pgmq_settings.lock_groups_of(queue_table, ids, array[queue_table]);
    return query execute pgmq_settings.removal(queue_table, archiving, 'q.msg_id = any ($1)')
        || ' select s.msg_id from settled as s order by s.msg_id' using ids;
end;
$remove$;
revoke all on function pgmq_settings.remove_batch from public;
grant execute on function pgmq_settings.remove_batch to anon, authenticated, service_role;
