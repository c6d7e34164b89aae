create or replace function pgmq_admin.send(
    queue_name text,
    message jsonb,
    headers jsonb default null,
    sleep_seconds integer default 0,
    visible_at timestamptz default null
)
returns bigint
language plpgsql
set search_path = ''
as $send$
begin
    perform pgmq_gateway.message_table(queue_name, 'q');
    if message is null then
        raise exception 'message must not be null' using
            errcode = 'null_value_not_allowed', hint = 'Use any other JSON value: {} for example.';
    end if;
    return (
        select id
        from pgmq.send(
            queue_name => send.queue_name, msg => send.message, headers => send.headers,
            delay => pgmq_gateway.visible_from(nullif(sleep_seconds, 0), visible_at)) as id);
end;
$send$;
comment on function pgmq_admin.send is
    'Adds a message with headers to a queue and returns its id; invisible for sleep_seconds or until visible_at.';
revoke all on function pgmq_admin.send from public;
grant execute on function pgmq_admin.send to service_role;

create or replace function pgmq_admin.send_batch(
    queue_name text,
    messages jsonb[],
    headers jsonb[] default null,
    sleep_seconds integer default 0,
    visible_at timestamptz default null
)
returns setof bigint
language plpgsql
set search_path = ''
as $send$
begin
    perform pgmq_gateway.message_table(queue_name, 'q');
    if array_ndims(messages) > 1 then
        -- Postgres reads an array of arrays as a matrix, and pgmq would make a message of each element.
        raise exception 'a message of a batch cannot be a JSON array' using
            errcode = 'invalid_parameter_value', hint = 'Send it alone, or put it into an object.';
    elsif array_position(messages, null) is not null then
        raise exception 'message % of the batch is null', array_position(messages, null) using
            errcode = 'null_value_not_allowed', hint = 'Use any other JSON value: {} for example.';
    elsif headers is not null and cardinality(headers) <> coalesce(cardinality(messages), 0) then
        raise exception 'there are % headers for % messages', cardinality(headers), coalesce(cardinality(messages), 0)
            using errcode = 'invalid_parameter_value', hint = 'Use one for each message, null for a message without.';
    elsif coalesce(cardinality(messages), 0) = 0 then
        return;
    end if;
    return query
    select id
    from pgmq.send_batch(
        queue_name => send_batch.queue_name, msgs => send_batch.messages, headers => send_batch.headers,
        delay => pgmq_gateway.visible_from(nullif(sleep_seconds, 0), visible_at)) as id
    order by id;
end;
$send$;
comment on function pgmq_admin.send_batch is
    'Adds messages to a queue, all or none, each with its headers, and returns their ids in order.';
revoke all on function pgmq_admin.send_batch from public;
grant execute on function pgmq_admin.send_batch to service_role;
