-- pgmq.read scans the primary key, past every message in flight: 200 ms with 400,000 of them. This scans the index on
-- vt, and only up to the present: messages in flight come after that. So the present must be a constant to the planner,
-- and ties in vt must not be sorted before the limit. Columns are read from the catalog because they differ between
-- versions of pgmq: last_read_at came with 1.10.
create or replace function pgmq_public.read(queue_name text, sleep_seconds integer, n integer)
returns setof pgmq.message_record
language plpgsql
set search_path = ''
as $function$
declare
    queue_table constant text := pgmq.format_table_name(queue_name, 'q');
    present constant timestamptz := clock_timestamp();
    -- Reading fewer messages than n is always allowed, and a huge n must not read them all.
    max_messages constant integer := least(
        n, coalesce(nullif(current_setting('pgmq_gateway.max_read', true), '')::integer, 10000)
    );
    columns text;
    stamp text;
begin
    if n is null then
        raise exception 'n must not be null' using
            errcode = 'null_value_not_allowed',
            hint = 'It is the maximum number of messages to read: 1 for example.';
    end if;
    if current_setting('transaction_read_only')::boolean then
        -- Fails as pgmq.read does: for a queue that does not exist, else because this is an UPDATE.
        execute format('update pgmq.%I set vt = vt where false', queue_table);
    end if;
    select
        string_agg(format('m.%I', attname), ', ' order by attnum),
        case when bool_or(attname = 'last_read_at') then ', last_read_at = $1' else '' end
    into columns, stamp
    from pg_catalog.pg_attribute
    where attrelid = 'pgmq.message_record'::pg_catalog.regclass and attnum > 0 and not attisdropped;
    return query execute format(
        $query$
        with claimed as (
            select msg_id from pgmq.%1$I where vt <= $1 order by vt limit $2 for update skip locked
        ), m as (
            update pgmq.%1$I as q
            set vt = $1 + make_interval(secs => $3), read_ct = q.read_ct + 1 %2$s
            from claimed where q.msg_id = claimed.msg_id
            returning q.*
        )
        select %3$s from m order by m.msg_id
        $query$,
        queue_table, stamp, columns
    ) using present, max_messages, sleep_seconds;
end;
$function$;
comment on function pgmq_public.read(text, integer, integer) is
    'Reads up to n visible messages and makes them invisible for sleep_seconds. Delete or archive them in that time.';
grant execute on function pgmq_public.read(text, integer, integer) to anon, authenticated, service_role;
