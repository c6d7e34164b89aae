create or replace function pgmq_api.redrive(
    queue_name text,
    to_queue text default null,
    max_messages integer default 100,
    per_second double precision default null,
    filter jsonb default '{}'
)
returns table (moved integer, skipped integer, last_visible_at timestamptz)
language plpgsql
set search_path = pg_catalog, pg_temp
as $redrive$
declare
    source constant text := pgmq.format_table_name(queue_name, 'q');
    target constant text := pgmq.format_table_name(to_queue, 'q');
    present constant timestamptz := clock_timestamp();
    letters record;
begin
    perform pgmq_settings.check_redrive(max_messages, per_second, filter);
    if target = source then
        raise exception 'messages cannot be redriven from queue "%" to itself', queue_name using
            errcode = 'invalid_parameter_value', hint = 'Leave to_queue out to return them to their own queues.';
    end if;
    if target is not null then
        -- Raises for a queue that does not exist.
        execute format('select from pgmq.%I limit 0', target);
    end if;
    letters := pgmq_settings.letters(source, target, max_messages, present, filter);
    perform pgmq_settings.lock_groups_of(source, letters.ids, source || letters.targets);
    skipped := letters.skipped;
    select m.moved, m.last_visible_at into moved, last_visible_at
    from pgmq_settings.move_letters(source, letters.ids, letters.targets, per_second, present) as m;
    return next;
end;
$redrive$;
comment on function pgmq_api.redrive(text, text, integer, double precision, jsonb) is
    'Moves dead letters that are visible, oldest first, to one queue, or back to the queues they came from if this is '
    'still their dead_letter_queue; others are skipped. per_second: spreads the times at which they become visible. Repeat '
    'until it moves none.';
revoke all on function pgmq_api.redrive(text, text, integer, double precision, jsonb) from public;
grant execute on function pgmq_api.redrive(text, text, integer, double precision, jsonb)
    to anon, authenticated, service_role;

create or replace function pgmq_api.replay(
    queue_name text,
    max_messages integer default 100,
    per_second double precision default null,
    filter jsonb default '{}'
)
returns table (sent integer, last_visible_at timestamptz)
language plpgsql
set search_path = pg_catalog, pg_temp
as $replay$
declare
    present constant timestamptz := clock_timestamp();
begin
    perform pgmq_settings.check_redrive(max_messages, per_second, filter);
    execute format(
        $query$
        with chosen as (
            select
                q.msg_id, q.message, q.headers,
                $2 + make_interval(secs => coalesce((row_number() over (order by q.msg_id) - 1) / $4, 0)) as vt
            from pgmq.%1$I as q where %3$s order by q.msg_id limit $3
        ), sent as (
            insert into pgmq.%2$I (vt, message, headers)
            select c.vt, c.message, c.headers - array['x-pgmq-dead', 'x-pgmq-dead-failed', 'x-pgmq-expires']
            from (select vt, message, pgmq_settings.headers_object(headers) as headers, msg_id from chosen) as c
            order by c.msg_id
            returning msg_id
        )
        select (select count(*)::integer from sent), (select max(c.vt) from chosen as c)
        $query$,
        pgmq.format_table_name(queue_name, 'a'), pgmq.format_table_name(queue_name, 'q'),
        pgmq_settings.filter_condition(filter))
    into sent, last_visible_at using filter, present, max_messages, per_second;
    return next;
end;
$replay$;
comment on function pgmq_api.replay(text, integer, double precision, jsonb) is
    'Sends copies of archived messages, oldest first, to their queue; the archive stays. per_second: spreads the times at '
    'which they become visible. A second call sends the same messages again, unless the filter leaves them out.';
revoke all on function pgmq_api.replay(text, integer, double precision, jsonb) from public;
grant execute on function pgmq_api.replay(text, integer, double precision, jsonb) to anon, authenticated, service_role;
