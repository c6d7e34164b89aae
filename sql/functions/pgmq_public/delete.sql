create or replace function pgmq_public.delete(queue_name text, message_id bigint)
returns boolean
language plpgsql
set search_path = ''
as $function$
begin
    return pgmq.delete(queue_name := delete.queue_name, msg_id := delete.message_id);
end;
$function$;
comment on function pgmq_public.delete(text, bigint) is
    'Deletes a message permanently; false if there is none with this id.';
grant execute on function pgmq_public.delete(text, bigint) to anon, authenticated, service_role;
