-- Without helpers for its statement and for the usual receipt, because this is the most frequent of all calls.
create or replace function pgmq_api.ack(queue_name text, receipt text)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $ack$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    parts constant text[] := string_to_array(receipt, '.');
    deleted integer;
begin
    if (receipt ~ '^[1-9][0-9]*\.[1-9][0-9]*\.[1-9][0-9]*$'
        and length(parts[1]) < 19 and length(parts[2]) < 10 and length(parts[3]) < 18) is not true
    then
        perform pgmq_settings.delivery(receipt);
    end if;
    execute format(
        'delete from pgmq.%I as q where q.msg_id = $1 and q.read_ct = $2 and q.enqueued_at = $3', table_name)
    using
        parts[1]::bigint, parts[2]::integer,
        timestamptz '1970-01-01Z' + parts[3]::bigint * interval '1 microsecond';
    get diagnostics deleted = row_count;
    if deleted = 1 then
        return 'acked';
    end if;
    return case
        when pgmq_settings.stale(table_name, array[pgmq_settings.delivery(receipt)]) is null then 'gone'
        else 'stale'
    end;
end;
$ack$;
comment on function pgmq_api.ack(text, text) is
    'Deletes a message that was read: acked; stale if it was read again, gone if it is no longer there.';
revoke all on function pgmq_api.ack(text, text) from public;
grant execute on function pgmq_api.ack(text, text) to anon, authenticated, service_role;

create or replace function pgmq_api.retry(
    queue_name text, receipt text, delay_seconds integer default null, reason text default null
)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $retry$
begin
    perform pgmq_settings.check_seconds('delay_seconds', delay_seconds, 31536000);
    perform pgmq_settings.check_reason(reason);
    return pgmq_settings.settle(pgmq.format_table_name(queue_name, 'q'), 'retry', receipt, delay_seconds, reason);
end;
$retry$;
comment on function pgmq_api.retry(text, text, integer, text) is
    'Makes a message that was read visible after delay_seconds; without, after the back-off of the queue''s settings: '
    'retried; rejected if its receives are used up; stale, gone as for ack. reason: kept in the header x-pgmq-retry.';
revoke all on function pgmq_api.retry(text, text, integer, text) from public;
grant execute on function pgmq_api.retry(text, text, integer, text) to anon, authenticated, service_role;

create or replace function pgmq_api.reject(queue_name text, receipt text, reason text default null)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $reject$
begin
    perform pgmq_settings.check_reason(reason);
    return pgmq_settings.settle(pgmq.format_table_name(queue_name, 'q'), 'reject', receipt, null, reason);
end;
$reject$;
comment on function pgmq_api.reject(text, text, text) is
    'Moves a message that was read to the dead-letter queue, or the archive if there is none: rejected; stale, gone as '
    'for ack. reason: kept in the header x-pgmq-dead.';
revoke all on function pgmq_api.reject(text, text, text) from public;
grant execute on function pgmq_api.reject(text, text, text) to anon, authenticated, service_role;

create or replace function pgmq_api.extend(queue_name text, receipt text, sleep_seconds integer default null)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $extend$
begin
    perform pgmq_settings.check_seconds('sleep_seconds', sleep_seconds, 604800);
    return pgmq_settings.settle(pgmq.format_table_name(queue_name, 'q'), 'extend', receipt, sleep_seconds, null);
end;
$extend$;
comment on function pgmq_api.extend(text, text, integer) is
    'Keeps a message that was read invisible for sleep_seconds from now, and its receipt valid: extended; stale, gone as '
    'for ack. It never shortens a lease, except with 0, which ends it.';
revoke all on function pgmq_api.extend(text, text, integer) from public;
grant execute on function pgmq_api.extend(text, text, integer) to anon, authenticated, service_role;

create or replace function pgmq_api.settle(
    queue_name text,
    acks text[] default '{}',
    archives text[] default '{}',
    retries jsonb default '[]',
    rejects jsonb default '[]',
    extensions jsonb default '[]',
    strict boolean default false
)
returns table (receipt text, outcome text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $settle$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    lists constant pgmq_settings.settlement[] := pgmq_settings.settlements(acks, archives, retries, rejects, extensions);
    list pgmq_settings.settlement;
    receipts text[] := '{}';
    outcomes text[] := '{}';
    operations text[] := '{}';
    seconds integer[] := '{}';
    reasons text[] := '{}';
    changed record;
    dead bigint[];
begin
    perform pgmq_settings.lock_groups_of_settlements(table_name, lists);
    if lists = '{}' then
        -- Nothing else raises for a queue that does not exist, or that the caller must not use.
        execute format('select from pgmq.%I limit 0', table_name);
    end if;
    foreach list in array lists loop
        receipts := receipts || list.receipts;
        if list.operation in ('ack', 'archive') then
            outcomes := outcomes || pgmq_settings.settle_list(table_name, list.operation, list.receipts);
        else
            operations := operations || array_fill(list.operation, array[cardinality(list.receipts)]);
            seconds := seconds || list.seconds;
            reasons := reasons || list.reasons;
        end if;
    end loop;
    if operations <> '{}' then
        changed := pgmq_settings.settle_changes(
            table_name, operations, receipts[cardinality(outcomes) + 1 :], seconds, reasons);
        outcomes := outcomes || changed.outcomes;
        dead := changed.dead;
    end if;
    if strict then
        perform pgmq_settings.check_settled(receipts, outcomes);
    end if;
    if dead is not null then
        perform pgmq_settings.bury(table_name, dead);
    end if;
    return query select r.receipt, r.outcome from unnest(receipts, outcomes) as r (receipt, outcome);
end;
$settle$;
comment on function pgmq_api.settle(text, text[], text[], jsonb, jsonb, jsonb, boolean) is
    'Settles many messages that were read, and returns an outcome for each receipt, in order: acked, archived, retried, '
    'rejected, extended, stale or gone. retries: [{"receipt": …, "delay_seconds": 5, "reason": "…"}]; rejects: '
    '[{"receipt": …, "reason": "…"}]; extensions: [{"receipt": …, "sleep_seconds": 60}]; a string stands for an object '
    'with only a receipt. strict: nothing is done if any is stale or gone.';
revoke all on function pgmq_api.settle(text, text[], text[], jsonb, jsonb, jsonb, boolean) from public;
grant execute on function pgmq_api.settle(text, text[], text[], jsonb, jsonb, jsonb, boolean)
    to anon, authenticated, service_role;
