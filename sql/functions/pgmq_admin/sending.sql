-- Over HTTP a JSON null arrives as SQL NULL, and is sent as JSON null. A batch is one JSON array, because as jsonb[] an
-- array of arrays is a matrix, of which pgmq would send each element.

create or replace function pgmq_admin.send(
    queue_name text,
    message jsonb,
    headers jsonb default null,
    sleep_seconds integer default 0,
    visible_at timestamptz default null
)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $send$
declare
    table_name constant text := pgmq_gateway.message_table(queue_name, 'q');
    first_visible_at constant timestamptz := pgmq_gateway.visible_from(nullif(sleep_seconds, 0), visible_at);
begin
    perform pgmq_settings.report_visible(table_name, 1, first_visible_at);
    perform pgmq_settings.record_action(queue_name, 'send', 1::bigint);
    return (
        select id
        from pgmq.send(
            queue_name => send.queue_name, msg => coalesce(send.message, 'null'), headers => send.headers,
            delay => first_visible_at) as id);
end;
$send$;
comment on function pgmq_admin.send is
    'Adds a message with headers to a queue and returns its id; invisible for sleep_seconds or until visible_at.';
revoke all on function pgmq_admin.send from public;
grant execute on function pgmq_admin.send to service_role;

create or replace function pgmq_admin.send_batch(
    queue_name text,
    messages jsonb,
    headers jsonb default null,
    sleep_seconds integer default 0,
    visible_at timestamptz default null
)
returns setof bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $send$
declare
    table_name constant text := pgmq_gateway.message_table(queue_name, 'q');
    first_visible_at constant timestamptz := pgmq_gateway.visible_from(nullif(sleep_seconds, 0), visible_at);
begin
    if jsonb_typeof(messages) is distinct from 'array' or jsonb_typeof(headers) <> 'array' then
        raise exception '% must be an array', case jsonb_typeof(messages)
            when 'array' then 'headers' else 'messages' end
            using errcode = 'invalid_parameter_value', hint = 'Use [{}, {}] for two messages.';
    elsif headers is not null and jsonb_array_length(headers) <> jsonb_array_length(messages) then
        raise exception 'there are % headers for % messages', jsonb_array_length(headers), jsonb_array_length(messages)
            using errcode = 'invalid_parameter_value', hint = 'Use one for each message, null for a message without.';
    elsif jsonb_array_length(messages) = 0 then
        return;
    end if;
    perform pgmq_settings.report_visible(table_name, jsonb_array_length(messages), first_visible_at);
    perform pgmq_settings.record_action(queue_name, 'send_batch', jsonb_array_length(messages)::bigint);
    return query
    select id
    from pgmq.send_batch(
        queue_name => send_batch.queue_name,
        msgs => (
            select array_agg(e.value order by e.n)
            from jsonb_array_elements(send_batch.messages) with ordinality as e (value, n)
        ),
        headers => (
            select array_agg(nullif(e.value, 'null') order by e.n)
            from jsonb_array_elements(send_batch.headers) with ordinality as e (value, n)
        ),
        delay => first_visible_at) as id
    order by id;
end;
$send$;
comment on function pgmq_admin.send_batch is
    'Adds messages, an array of any JSON, to a queue, all or none, each with its headers, and returns their ids in '
    'order.';
revoke all on function pgmq_admin.send_batch from public;
grant execute on function pgmq_admin.send_batch to service_role;
