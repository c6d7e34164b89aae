create or replace function pgmq_public.send_batch(queue_name text, messages jsonb[], sleep_seconds integer default 0)
returns setof bigint
language plpgsql
set search_path = ''
as $function$
begin
    -- The gateway's operator may set another limit.
    if cardinality(messages)
        > coalesce(nullif(current_setting('pgmq_gateway.max_batch', true), '')::integer, 100000)
    then
        raise exception 'a batch of % messages is too long', cardinality(messages) using
            errcode = 'invalid_parameter_value',
            hint = 'Send them in smaller batches.';
    end if;
    -- For an empty batch pgmq 1.5 returns nothing and later versions raise: do as 1.5.
    if coalesce(cardinality(messages), 0) = 0 then
        return;
    end if;
    return query
    select * from pgmq.send_batch(
        queue_name := send_batch.queue_name, msgs := send_batch.messages, delay := send_batch.sleep_seconds);
end;
$function$;
comment on function pgmq_public.send_batch(text, jsonb[], integer) is
    'Adds messages to a queue, all or none, and returns their ids in order.';
grant execute on function pgmq_public.send_batch(text, jsonb[], integer) to anon, authenticated, service_role;
