create or replace function pgmq_public.archive(queue_name text, message_id bigint)
returns boolean
language plpgsql
set search_path = ''
as $function$
begin
    return pgmq.archive(queue_name := archive.queue_name, msg_id := archive.message_id);
end;
$function$;
comment on function pgmq_public.archive(text, bigint) is
    'Moves a message to the archive of its queue; false if there is none with this id.';
grant execute on function pgmq_public.archive(text, bigint) to anon, authenticated, service_role;
