create or replace function pgmq_api.send(
    queue_name text,
    message jsonb,
    sleep_seconds integer default 0,
    headers jsonb default null,
    send_at timestamptz default null,
    expires_at timestamptz default null,
    group_id text default null,
    deduplication_id text default null
)
returns setof bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $send$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    visible_at constant timestamptz := pgmq_settings.visible_at(sleep_seconds, send_at);
    settings pgmq_settings.queues;
    reported text;
begin
    if message is null then
        raise exception 'message must not be null' using
            errcode = 'null_value_not_allowed', hint = 'The JSON value null is a message.';
    end if;
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = table_name;
    if settings.is_full then
        perform pgmq_settings.check_not_full(queue_name, settings.is_full);
    end if;
    if headers is not null or expires_at is not null or group_id is not null then
        headers := pgmq_settings.sent_headers(headers, expires_at, visible_at, group_id);
    end if;
    if deduplication_id is not null or settings.deduplication_by_content then
        return next pgmq_settings.send_one(table_name, settings, visible_at, message, headers, deduplication_id);
        return;
    end if;
    return query execute format(
        'insert into pgmq.%I (vt, message, headers) values ($1, $2, $3) returning msg_id', table_name)
    using visible_at, message, headers;
    reported := current_setting('pgmq_gateway.wakeups', true);
    if settings.group_limit is not null and headers ->> 'x-pgmq-group' is not null or length(reported) > 8000 then
        return;
    elsif sleep_seconds > 0 or send_at is not null then
        perform pgmq_settings.report_visible(table_name, 1, visible_at);
    else
        -- As report_visible() does, which takes four times as long, for the most frequent call.
        reported := set_config(
            'pgmq_gateway.wakeups',
            concat(reported, translate(substr(table_name, 3), e'\t\n', ''), e'\t1\t0\n'), true);
    end if;
end;
$send$;
comment on function pgmq_api.send(text, jsonb, integer, jsonb, timestamptz, timestamptz, text, text) is
    'Adds a message to a queue and returns its id. sleep_seconds: the delay until it becomes visible; or send_at: the '
    'time. expires_at: the time after which it is not delivered any more. group_id: of the messages with the same one, as '
    'many as the queue''s group_limit are visible or in flight, in the order in which they were sent. deduplication_id: the '
    'caller''s second message with it, within the queue''s deduplication_seconds, is not stored; the id of the first is '
    'returned.';
revoke all on function pgmq_api.send(text, jsonb, integer, jsonb, timestamptz, timestamptz, text, text) from public;
grant execute on function pgmq_api.send(text, jsonb, integer, jsonb, timestamptz, timestamptz, text, text)
    to anon, authenticated, service_role;

-- The messages can have several dimensions: a JSON array of arrays is cast to such an array, each number a message.
create or replace function pgmq_api.send_batch(queue_name text, messages jsonb[], sleep_seconds integer default 0)
returns setof bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $send$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    visible_at constant timestamptz := pgmq_settings.visible_at(sleep_seconds, null);
    settings pgmq_settings.queues;
begin
    perform pgmq_settings.check_batch(cardinality(messages));
    if exists (select from pg_catalog.unnest(messages) as m where m is null) then
        raise exception 'a message must not be null' using
            errcode = 'null_value_not_allowed', hint = 'The JSON value null is a message.';
    end if;
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = table_name;
    perform pgmq_settings.check_not_full(queue_name, settings.is_full);
    if settings.deduplication_by_content and cardinality(messages) > 0 then
        return query
        select s.msg_id
        from pgmq_settings.send_once(
            table_name, settings, array_fill(visible_at, array[cardinality(messages)]),
            array(select pg_catalog.unnest(messages)),
            array_fill(null::jsonb, array[cardinality(messages)]), array_fill(null::text, array[cardinality(messages)])
        ) with ordinality as s (msg_id, duplicate, place)
        order by s.place;
    elsif cardinality(messages) > 0 then
        return query execute pgmq_settings.send_statement(table_name)
        using array_fill(visible_at, array[cardinality(messages)]), messages, null::jsonb[];
        perform pgmq_settings.report_visible(table_name, cardinality(messages), visible_at);
    end if;
end;
$send$;
comment on function pgmq_api.send_batch(text, jsonb[], integer) is
    'Adds messages to a queue, all or none, and returns their ids in order.';
revoke all on function pgmq_api.send_batch(text, jsonb[], integer) from public;
grant execute on function pgmq_api.send_batch(text, jsonb[], integer) to anon, authenticated, service_role;

create or replace function pgmq_api.send_entries(queue_name text, entries jsonb)
returns table (entry integer, msg_id bigint, duplicate boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $send$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    settings pgmq_settings.queues;
    batch record;
    stored integer;
begin
    batch := pgmq_settings.read_entries(entries);
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = table_name;
    perform pgmq_settings.check_not_full(queue_name, settings.is_full);
    if settings.deduplication_by_content or array_remove(batch.ids, null) <> '{}' then
        return query
        select s.place::integer - 1, s.msg_id, s.duplicate
        from pgmq_settings.send_once(
            table_name, settings, batch.times, batch.messages, batch.headers, batch.ids
        ) with ordinality as s (msg_id, duplicate, place)
        order by s.place;
        return;
    elsif settings.group_limit is not null then
        perform pgmq_settings.lock_groups(table_name, array(
            select h ->> 'x-pgmq-group' from pg_catalog.unnest(batch.headers) as h));
    end if;
    return query execute
        'with sent as (' || pgmq_settings.send_statement(table_name) || ') '
        'select (row_number() over (order by s.msg_id))::integer - 1, s.msg_id, false from sent as s order by s.msg_id'
    using batch.times, batch.messages, batch.headers;
    get diagnostics stored = row_count;
    perform pgmq_settings.check_stored(coalesce(cardinality(batch.messages), 0), stored);
    perform pgmq_settings.report_sent(table_name, settings, batch.times, batch.headers);
end;
$send$;
comment on function pgmq_api.send_entries(text, jsonb) is
    'Adds messages to a queue, all or none, and returns for each entry, counted from 0, the id of its message, and whether '
    'that is a duplicate: of an earlier message with its deduplication_id. entries: '
    '[{"message": …, "headers": {…}, "sleep_seconds": 5, "send_at": "…", "expires_at": "…", "expires_in": 60, '
    '"group_id": "…", "deduplication_id": "…"}]';
revoke all on function pgmq_api.send_entries(text, jsonb) from public;
grant execute on function pgmq_api.send_entries(text, jsonb) to anon, authenticated, service_role;
