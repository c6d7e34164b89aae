-- Selects the message as read does, for the same reasons.
create or replace function pgmq_public.pop(queue_name text)
returns setof pgmq.message_record
language plpgsql
set search_path = ''
as $function$
declare
    queue_table constant text := pgmq.format_table_name(queue_name, 'q');
    columns text;
begin
    select string_agg(format('m.%I', attname), ', ' order by attnum)
    into columns
    from pg_catalog.pg_attribute
    where attrelid = 'pgmq.message_record'::pg_catalog.regclass and attnum > 0 and not attisdropped;
    return query execute format(
        $query$
        with claimed as (
            select msg_id from pgmq.%1$I where vt <= $1 order by vt limit 1 for update skip locked
        )
        delete from pgmq.%1$I as m using claimed where m.msg_id = claimed.msg_id
        returning %2$s
        $query$,
        queue_table, columns
    ) using clock_timestamp();
end;
$function$;
comment on function pgmq_public.pop(text) is
    'Reads and deletes one visible message. At most once: if the response is lost, so is the message.';
grant execute on function pgmq_public.pop(text) to anon, authenticated, service_role;
