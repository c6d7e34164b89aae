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

-- What settling does to a row named q. `seconds` and `reason` are the SQL of those of this row.
--
-- $6  the present time
-- $7  max_receives, or the largest number of receives that is no rejection
create or replace function pgmq_settings.settle_change(operation text, seconds text, reason text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $change$
begin
    return case operation
        when 'retry' then format(
            'vt = case when q.read_ct >= $7 then $6 else $6 + make_interval(secs => %s) end, '
            'headers = case when %s is null then q.headers else pgmq_settings.headers_object(q.headers) '
            '|| jsonb_build_object(''x-pgmq-retry'', jsonb_build_object(''reason'', %2$s, ''at'', $6)) end',
            seconds, reason)
        when 'reject' then format(
            'vt = $6, read_ct = q.read_ct + 1000000, headers = pgmq_settings.headers_object(q.headers) '
            '|| jsonb_build_object(''x-pgmq-rejected'', %s)', reason)
        when 'extend' then format(
            'vt = case %s when 0 then $6 else greatest(q.vt, $6 + make_interval(secs => %1$s)) end', seconds)
    end;
end;
$change$;
revoke all on function pgmq_settings.settle_change from public;
grant execute on function pgmq_settings.settle_change to anon, authenticated, service_role;

-- An expression for whether a row named q is dead by being settled.
create or replace function pgmq_settings.settle_death(operation text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $death$
begin
    return case operation when 'retry' then 'q.read_ct >= $7' when 'reject' then 'true' else 'false' end;
end;
$death$;
revoke all on function pgmq_settings.settle_death from public;
grant execute on function pgmq_settings.settle_death to anon, authenticated, service_role;

-- A further condition on a row named q that is to be settled. A message is rejected once: each time adds to its receives.
create or replace function pgmq_settings.settle_condition(operation text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $condition$
begin
    return case operation when 'reject' then 'and q.read_ct < 1000000' else '' end;
end;
$condition$;
revoke all on function pgmq_settings.settle_condition from public;
grant execute on function pgmq_settings.settle_condition to anon, authenticated, service_role;

-- The statement that settles one delivery by an update, and returns whether its message is dead by that. A receipt whose
-- message is gone, or was read again, matches no row.
--
-- $1 to $3  the delivery
-- $4        seconds: the delay of a retry, the lease of an extension
-- $5        the reason
-- $6, $7    as in settle_change
create or replace function pgmq_settings.settle_statement(queue_table text, operation text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $statement$
begin
    return format(
        'update pgmq.%I as q set %s where q.msg_id = $1 and q.read_ct = $2 and q.enqueued_at = $3 %s returning %s',
        queue_table, pgmq_settings.settle_change(operation, '$4', '$5'), pgmq_settings.settle_condition(operation),
        pgmq_settings.settle_death(operation));
end;
$statement$;
revoke all on function pgmq_settings.settle_statement from public;
grant execute on function pgmq_settings.settle_statement to anon, authenticated, service_role;

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
            'with settled as (delete from pgmq.%I as q where %s returning q.msg_id, q.read_ct, q.enqueued_at, '
            'false as dead)', queue_table, condition);
    end if;
    if pgmq_settings.has_last_read_at(queue_table) and pgmq_settings.has_last_read_at(archive_table) then
        columns := columns || ', last_read_at';
    end if;
    return format(
        'with settled as (delete from pgmq.%I as q where %s returning q.*, false as dead), '
        'kept as (insert into pgmq.%I (%s) select %4$s from settled order by msg_id)',
        queue_table, condition, archive_table, columns);
end;
$removal$;
revoke all on function pgmq_settings.removal from public;
grant execute on function pgmq_settings.removal to anon, authenticated, service_role;

-- The statement that settles the deliveries of a list, and returns those that it has settled and the ids of messages
-- that are dead by it.
--
-- Rows are locked in the order of their ids, so that two lists cannot deadlock: settle_list() allows no other scan than
-- one of the index on msg_id. Locking them before would need the privilege to update, for deletes too.
--
-- $1      the ids
-- $2      the times at which the messages were enqueued: partitions can be by time
-- $3      the deliveries
-- $4, $5  seconds and reasons by msg_id.read_ct, as JSON objects
-- $6, $7  as in settle_change
create or replace function pgmq_settings.settle_list_statement(queue_table text, operation text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $statement$
declare
    condition constant text :=
        'q.msg_id = any ($1) and q.enqueued_at = any ($2) '
        'and (q.msg_id, q.read_ct, q.enqueued_at)::pgmq_settings.delivery = any ($3)';
    place constant text := 'concat(q.msg_id, ''.'', q.read_ct)';
begin
    return case
        when operation in ('ack', 'archive')
            then pgmq_settings.removal(queue_table, operation = 'archive', condition)
        else format(
            'with settled as (update pgmq.%I as q set %s where %s %s returning q.msg_id, %s as read_ct, q.enqueued_at, '
            '%s as dead)',
            queue_table,
            pgmq_settings.settle_change(
                operation, format('($4 ->> %s)::double precision', place), format('($5 ->> %s)', place)),
            condition, pgmq_settings.settle_condition(operation),
            case operation when 'reject' then 'q.read_ct - 1000000' else 'q.read_ct' end,
            pgmq_settings.settle_death(operation))
    end || ' select array_agg((s.msg_id, s.read_ct, s.enqueued_at)::pgmq_settings.delivery), '
        'array_agg(s.msg_id) filter (where s.dead) from settled as s';
end;
$statement$;
revoke all on function pgmq_settings.settle_list_statement from public;
grant execute on function pgmq_settings.settle_list_statement to anon, authenticated, service_role;

-- Those of some deliveries whose messages were read again.
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

-- Retries, rejects or extends one delivery, and returns the outcome: retried, rejected or extended, or stale if the
-- message was read again, or gone if it is not there for this caller.
--
-- seconds  for retry and extend; null for the default of the queue
create or replace function pgmq_settings.settle(
    queue_table text, operation text, receipt text, seconds integer, reason text
)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $settle$
declare
    delivery constant pgmq_settings.delivery := pgmq_settings.delivery(receipt);
    settings pgmq_settings.queues;
    wait double precision := seconds;
    dead boolean;
begin
    if operation in ('retry', 'extend') then
        select s.* into settings from pgmq_settings.settings as s where s.queue_table = settle.queue_table;
        perform pgmq_settings.check_delay(settings, seconds);
        wait := coalesce(
            seconds, pgmq_settings.default_seconds(settings, operation),
            pgmq_settings.backoff(settings, delivery.read_ct));
    end if;
    execute pgmq_settings.settle_statement(queue_table, operation) into dead using
        delivery.msg_id, delivery.read_ct, delivery.enqueued_at, wait, reason, clock_timestamp(),
        coalesce(settings.max_receives, 999999);
    if dead then
        perform pgmq_settings.bury(queue_table, array[delivery.msg_id]);
        return 'rejected';
    elsif not dead then
        return pgmq_settings.settled(operation);
    end if;
    return case when pgmq_settings.stale(queue_table, array[delivery]) is null then 'gone' else 'stale' end;
end;
$settle$;
revoke all on function pgmq_settings.settle from public;
grant execute on function pgmq_settings.settle to anon, authenticated, service_role;

-- The outcomes of some deliveries, in order. Without nested loops, which Postgres takes for short lists, whatever their
-- length is.
create or replace function pgmq_settings.outcomes(
    word text,
    deliveries pgmq_settings.delivery[],
    settled pgmq_settings.delivery[],
    stale pgmq_settings.delivery[],
    dead bigint[]
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
            when d.id is not null then 'rejected'
            when s.msg_id is not null then word
            when r.msg_id is not null then 'stale'
            else 'gone'
        end
        from unnest(deliveries) with ordinality as g (msg_id, read_ct, enqueued_at, place)
        left join unnest(settled) as s
            on s.msg_id = g.msg_id and s.read_ct = g.read_ct and s.enqueued_at = g.enqueued_at
        left join unnest(stale) as r
            on r.msg_id = g.msg_id and r.read_ct = g.read_ct and r.enqueued_at = g.enqueued_at
        left join unnest(dead) as d (id) on d.id = s.msg_id
        order by g.place);
end;
$outcomes$;
revoke all on function pgmq_settings.outcomes from public;
grant execute on function pgmq_settings.outcomes to anon, authenticated, service_role;

-- Settles the deliveries of a list, and returns their outcomes in order.
--
-- dead  the ids of messages to bury
create or replace function pgmq_settings.settle_list(
    queue_table text, operation text, receipts text[], seconds integer[], reasons text[],
    out outcomes text[], out dead bigint[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $settle$
declare
    word constant text := pgmq_settings.settled(operation);
    deliveries constant pgmq_settings.delivery[] := array(
        select pgmq_settings.delivery(r) from unnest(receipts) with ordinality as g (r, place) order by place);
    settings pgmq_settings.queues;
    fallback double precision;
    seconds_of jsonb;
    reasons_of jsonb;
    settled pgmq_settings.delivery[];
begin
    if operation in ('retry', 'extend') then
        select s.* into settings from pgmq_settings.settings as s where s.queue_table = settle_list.queue_table;
        perform pgmq_settings.check_delay(settings, max(s)) from unnest(seconds) as s;
        fallback := pgmq_settings.default_seconds(settings, operation);
        select jsonb_object_agg(
            concat(g.msg_id, '.', g.read_ct),
            coalesce(g.seconds, fallback, pgmq_settings.backoff(settings, g.read_ct)))
        into seconds_of
        from unnest(deliveries, seconds) as g (msg_id, read_ct, enqueued_at, seconds);
    end if;
    if operation in ('retry', 'reject') then
        select jsonb_object_agg(concat(g.msg_id, '.', g.read_ct), g.reason) into reasons_of
        from unnest(deliveries, reasons) as g (msg_id, read_ct, enqueued_at, reason);
    end if;
    execute pgmq_settings.settle_list_statement(queue_table, operation) into settled, dead using
        array(select d.msg_id from unnest(deliveries) as d), array(select d.enqueued_at from unnest(deliveries) as d),
        deliveries, seconds_of, reasons_of, clock_timestamp(), coalesce(settings.max_receives, 999999);
    if cardinality(settled) = cardinality(deliveries) and dead is null then
        outcomes := array_fill(word, array[cardinality(deliveries)]);
        return;
    end if;
    outcomes := pgmq_settings.outcomes(
        word, deliveries, settled, pgmq_settings.stale(queue_table, deliveries), dead);
end;
$settle$;
revoke all on function pgmq_settings.settle_list from public;
grant execute on function pgmq_settings.settle_list to anon, authenticated, service_role;

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
