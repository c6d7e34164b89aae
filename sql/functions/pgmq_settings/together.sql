-- Several calls of a function of pgmq_api on one queue as one statement, for pgmq_gateway.fused_calls.
--
-- Each call has the result that it would have alone. The functions return the number of rows and the body of each call,
-- in order; or nothing, and have done nothing, where the calls have to run one by one: because of the settings of the
-- queue, or of an argument. If they fail, everything is undone, and the calls run one by one too.
--
-- given  the arguments of each call; all name the same queue

create or replace function pgmq_settings.send_together(
    queue_name text, given json[], out row_counts bigint[], out bodies text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $send$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    times timestamptz[];
    messages jsonb[];
    ids bigint[];
begin
    if exists (
        select from pgmq_settings.settings as s
        where s.queue_table = table_name and (s.is_full or s.deduplication_by_content)
    ) then
        return;
    end if;
    -- In the order of the calls: nothing between unnest and array_agg sorts.
    select array_agg(pgmq_settings.visible_at(s.sleep_seconds, null)), array_agg(s.message)
    into times, messages
    from unnest(given) as c (arguments), json_to_record(c.arguments) as s (message jsonb, sleep_seconds integer);
    if array_position(messages, null) is not null then
        return;
    end if;
    execute format(
        'with sent as (%s) select array_agg(s.msg_id) from sent as s', pgmq_settings.send_statement(table_name))
    into ids using times, messages, null::jsonb[];
    if cardinality(ids) is distinct from cardinality(messages) then
        raise exception 'an INSERT of % messages returned % ids', cardinality(messages), cardinality(ids);
    end if;
    perform pgmq_settings.report_times(table_name, times);
    row_counts := array_fill(1, array[cardinality(ids)]);
    bodies := array(select '[' || i.id || ']' from unnest(ids) as i (id));
end;
$send$;
revoke all on function pgmq_settings.send_together from public;
grant execute on function pgmq_settings.send_together to anon, authenticated, service_role;

-- For each call of read or pop the place of its first message among those of all, and its lease in seconds; and the
-- number of messages. Nothing if one has an argument with which the calls have to run one by one.
create or replace function pgmq_settings.shares_of(
    given json[], default_lease integer, out firsts bigint[], out leases integer[], out total bigint
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $shares$
declare
    -- To claim more, Postgres can prefer to scan the whole queue.
    max_total constant integer := least(
        1000, coalesce(nullif(current_setting('pgmq_gateway.max_read', true), '')::integer, 10000));
    wanted integer;
begin
    total := 0;
    for number in 1 .. cardinality(given) loop
        wanted := case when given[number] -> 'n' is null then 1 else (given[number] ->> 'n')::integer end;
        firsts[number] := total + 1;
        leases[number] := coalesce((given[number] ->> 'sleep_seconds')::integer, default_lease);
        total := total + wanted;
        -- A message whose lease ends at once could be read by the next call.
        if (wanted > 0 and leases[number] between 1 and 604800 and total <= max_total) is not true then
            firsts := null;
            return;
        end if;
    end loop;
end;
$shares$;
revoke all on function pgmq_settings.shares_of from public;
grant execute on function pgmq_settings.shares_of to anon, authenticated, service_role;

-- Where calls meet dead messages, they run one by one and bury them.
create or replace function pgmq_settings.receive_together(
    queue_name text, popping boolean, given json[], out row_counts bigint[], out bodies text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $receive$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    present constant timestamptz := clock_timestamp();
    expiry constant text := pgmq_settings.expiry_text(present);
    settings pgmq_settings.settings;
    shares record;
    max_receives integer;
    oldest timestamptz;
    got bigint := 0;
    received record;
    dead bigint[];
begin
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = table_name;
    shares := pgmq_settings.shares_of(given, coalesce(settings.lease_seconds, 30));
    if settings.paused or shares.firsts is null then
        return;
    end if;
    max_receives := coalesce(settings.max_receives, 999999);
    oldest := present - make_interval(secs => settings.message_keep_seconds);
    row_counts := array_fill(0, array[cardinality(given)]);
    bodies := array_fill('[]'::text, array[cardinality(given)]);
    for received in
        execute pgmq_settings.shared_receive_statement(table_name, popping)
        using present, shares.total, shares.leases, present, max_receives, expiry, oldest, shares.firsts, queue_name
    loop
        -- A policy for one of the commands can hide a claimed message. One by one, each later call would claim it again.
        if (got >= shares.firsts[received.call] - 1) is not true then
            raise exception 'messages are dead, or a policy hides those that earlier calls have claimed';
        end if;
        got := got + received.count;
        row_counts[received.call] := received.count;
        bodies[received.call] := received.json_agg;
    end loop;
    if popping and (got < shares.total or settings.max_receives is not null or oldest is not null) then
        -- As pop does.
        execute pgmq_settings.front_statement(table_name) into dead
        using present, shares.total, 0, present, max_receives, expiry, oldest;
        if dead is not null then
            perform pgmq_settings.bury(table_name, dead);
        end if;
    end if;
end;
$receive$;
revoke all on function pgmq_settings.receive_together from public;
grant execute on function pgmq_settings.receive_together to anon, authenticated, service_role;

-- Acknowledges the receipts of several calls, and returns the outcomes. Null if a message is listed twice: the outcome of
-- the second receipt depends on that of the first; or for more receipts than one call can have.
create or replace function pgmq_settings.ack_all(queue_name text, receipts text[])
returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $ack$
begin
    if cardinality(receipts) > 10000
        or (select count(distinct split_part(r, '.', 1)) from unnest(receipts) as r) < cardinality(receipts)
    then
        return null;
    end if;
    return pgmq_settings.settle_list(pgmq.format_table_name(queue_name, 'q'), 'ack', receipts);
end;
$ack$;
revoke all on function pgmq_settings.ack_all from public;
grant execute on function pgmq_settings.ack_all to anon, authenticated, service_role;

create or replace function pgmq_settings.ack_together(
    queue_name text, given json[], out row_counts bigint[], out bodies text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $ack$
declare
    outcomes constant text[] := pgmq_settings.ack_all(
        queue_name, array(select c ->> 'receipt' from unnest(given) as c));
begin
    if outcomes is not null then
        row_counts := array_fill(1, array[cardinality(given)]);
        bodies := array(select to_json(o)::text from unnest(outcomes) as o);
    end if;
end;
$ack$;
revoke all on function pgmq_settings.ack_together from public;
grant execute on function pgmq_settings.ack_together to anon, authenticated, service_role;

-- Calls of settle with no list but acks.
create or replace function pgmq_settings.settle_together(
    queue_name text, given json[], out row_counts bigint[], out bodies text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $settle$
declare
    acks text[];
    receipts text[] := '{}';
    sizes bigint[] := '{}';
    outcomes text[] := '{}';
    first integer := 1;
begin
    for number in 1 .. cardinality(given) loop
        select s.acks into acks from json_to_record(given[number]) as s (acks text[]);
        sizes[number] := coalesce(cardinality(acks), 0);
        if array_ndims(acks) > 1 then
            return;
        end if;
        receipts := receipts || acks;
    end loop;
    if receipts <> '{}' then
        outcomes := pgmq_settings.ack_all(queue_name, receipts);
    end if;
    if outcomes is null then
        return;
    end if;
    row_counts := sizes;
    for number in 1 .. cardinality(given) loop
        bodies[number] := coalesce((
            select json_agg(s)::text
            from unnest(
                receipts[first : first + sizes[number] - 1], outcomes[first : first + sizes[number] - 1]
            ) as s (receipt, outcome)
        ), '[]');
        first := first + sizes[number];
    end loop;
end;
$settle$;
revoke all on function pgmq_settings.settle_together from public;
grant execute on function pgmq_settings.settle_together to anon, authenticated, service_role;

-- function_name  with its schema
create or replace function pgmq_settings.calls_together(
    function_name text, given json[], out row_counts bigint[], out bodies text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $together$
declare
    queue_name constant text := given[1] ->> 'queue_name';
    result record;
begin
    case function_name
        when 'pgmq_api.send' then result := pgmq_settings.send_together(queue_name, given);
        when 'pgmq_api.read' then result := pgmq_settings.receive_together(queue_name, false, given);
        when 'pgmq_api.pop' then result := pgmq_settings.receive_together(queue_name, true, given);
        when 'pgmq_api.ack' then result := pgmq_settings.ack_together(queue_name, given);
        when 'pgmq_api.settle' then result := pgmq_settings.settle_together(queue_name, given);
    end case;
    row_counts := result.row_counts;
    bodies := result.bodies;
end;
$together$;
revoke all on function pgmq_settings.calls_together from public;
grant execute on function pgmq_settings.calls_together to anon, authenticated, service_role;
