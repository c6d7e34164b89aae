create or replace function pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer default 0)
returns setof bigint
language plpgsql
set search_path = ''
as $function$
begin
    return query
    select * from pgmq.send(queue_name := send.queue_name, msg := send.message, delay := send.sleep_seconds);
end;
$function$;
comment on function pgmq_public.send(text, jsonb, integer) is
    'Adds a message to a queue and returns its id. sleep_seconds: the delay until it becomes visible.';
grant execute on function pgmq_public.send(text, jsonb, integer) to anon, authenticated, service_role;
