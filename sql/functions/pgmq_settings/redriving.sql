-- Sending dead letters and archived messages again.

-- Raises unless redrive() or replay() can send so many messages at this rate, from this time on.
create or replace function pgmq_settings.check_redrive(
    max_messages integer, per_second double precision, filter jsonb, start_at timestamptz
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if max_messages is null or max_messages not between 1 and 10000 then
        raise exception 'max_messages is %, but must be between 1 and 10000', coalesce(max_messages::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Repeat the call until it moves none.';
    elsif per_second not between 0.001 and 1e6 then
        raise exception 'per_second is %, but must be between 0.001 and 1000000', per_second using
            errcode = 'invalid_parameter_value', hint = 'Leave it out to make all messages visible at once.';
    elsif not isfinite(start_at) then
        raise exception 'start_at is %, which is no time', start_at using
            errcode = 'invalid_parameter_value', hint = 'Leave it out to start now.';
    elsif filter ? 'state' then
        raise exception 'the filter cannot have a state here' using
            errcode = 'invalid_parameter_value', hint = 'Use the other members of a filter.';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_redrive from public;
grant execute on function pgmq_settings.check_redrive to anon, authenticated, service_role;

-- An expression for the table that a dead letter named q came from by its header, or null if it is no dead letter.
create or replace function pgmq_settings.origin_expression()
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $expression$
    select $sql$'q_' || lower(case jsonb_typeof(q.headers -> 'x-pgmq-dead' -> 'queue')
        when 'string' then q.headers -> 'x-pgmq-dead' ->> 'queue' end)$sql$;
$expression$;
revoke all on function pgmq_settings.origin_expression from public;
grant execute on function pgmq_settings.origin_expression to anon, authenticated, service_role;

-- The statement that moves messages to other queues, as if they were sent anew, and returns how many, and when the last
-- becomes visible. Messages that another consumer has read meanwhile stay.
--
-- $1  the ids, in order
-- $2  the table of each
-- $3  the time at which they were visible
-- $4  how many become visible in a second; null: all at once
-- $5  when the first one becomes visible
create or replace function pgmq_settings.redrive_statement(source text, targets text[])
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $statement$
    select format(
        $query$
        with gone as (
            delete from pgmq.%I as q where q.msg_id = any ($1) and q.vt <= $3
            returning q.msg_id, q.message, pgmq_settings.headers_object(q.headers) as headers
        ), moved as (
            select
                g.msg_id, w.target, g.message, $5 + make_interval(secs => coalesce((w.place - 1) / $4, 0)) as vt,
                g.headers - array['x-pgmq-dead', 'x-pgmq-dead-failed']
                    || jsonb_build_object('x-pgmq-redrives', case jsonb_typeof(g.headers -> 'x-pgmq-redrives')
                        when 'number' then (g.headers ->> 'x-pgmq-redrives')::numeric + 1 else 1 end) as headers
            from gone as g
            join unnest($1, $2) with ordinality as w (msg_id, target, place) on w.msg_id = g.msg_id
        )%s
        select count(*)::integer, max(m.vt) from moved as m
        $query$,
        source,
        string_agg(format(
            ', %I as (insert into pgmq.%1$I (vt, message, headers) '
            'select m.vt, m.message, m.headers from moved as m where m.target = %1$L order by m.msg_id)',
            t), '' order by t))
    from (select distinct u.t from unnest(targets) as u (t)) as d;
$statement$;
revoke all on function pgmq_settings.redrive_statement from public;
grant execute on function pgmq_settings.redrive_statement to anon, authenticated, service_role;

-- Moves messages: see redrive_statement(). Rows are locked in the order of their ids, as by settle_list().
create or replace function pgmq_settings.move_letters(
    source text, ids bigint[], targets text[], per_second double precision, present timestamptz,
    start_at timestamptz, out moved integer, out last_visible_at timestamptz
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $move$
begin
    execute pgmq_settings.redrive_statement(source, targets)
    into moved, last_visible_at using ids, targets, present, per_second, start_at;
    if moved > 0 then
        perform pgmq_settings.report_times(
            w.target, array_agg(start_at + make_interval(secs => coalesce((w.place - 1) / per_second, 0))))
        from unnest(targets) with ordinality as w (target, place)
        group by w.target;
    end if;
end;
$move$;
revoke all on function pgmq_settings.move_letters from public;
grant execute on function pgmq_settings.move_letters to anon, authenticated, service_role;

-- Moves messages: see move_letters(). Those that their target refuses, by a limit, a constraint, a trigger or a policy,
-- stay, with their ids and errors in refused: the halves of a list are moved apart, until it has one message. Some refused
-- messages among 10,000 cost some dozen statements; if all are refused, two for each.
create or replace function pgmq_settings.move_accepted(
    source text, ids bigint[], targets text[], per_second double precision, present timestamptz,
    start_at timestamptz, out moved integer, out last_visible_at timestamptz, out refused jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $accepted$
declare
    half constant integer := cardinality(ids) / 2;
    early record;
    late record;
begin
    begin
        refused := '[]';
        select m.moved, m.last_visible_at into moved, last_visible_at
        from pgmq_settings.move_letters(source, ids, targets, per_second, present, start_at) as m;
        return;
    exception when others then
        if pgmq_settings.is_transient(sqlstate) then
            raise;
        end if;
        -- Fails, as for every message, if the caller lacks privileges.
        perform pgmq_settings.move_letters(source, '{}', targets, per_second, present, start_at);
        if half = 0 then
            moved := 0;
            refused := jsonb_build_array(
                jsonb_build_object('msg_id', ids[1], 'code', sqlstate, 'message', left(sqlerrm, 200)));
            return;
        end if;
    end;
    early := pgmq_settings.move_accepted(source, ids[:half], targets[:half], per_second, present, start_at);
    late := pgmq_settings.move_accepted(
        source, ids[half + 1:], targets[half + 1:], per_second, present,
        coalesce(early.last_visible_at + make_interval(secs => coalesce(1 / per_second, 0)), start_at));
    moved := early.moved + late.moved;
    last_visible_at := greatest(early.last_visible_at, late.last_visible_at);
    refused := early.refused || late.refused;
end;
$accepted$;
revoke all on function pgmq_settings.move_accepted from public;
grant execute on function pgmq_settings.move_accepted to anon, authenticated, service_role;

-- The dead letters that are visible at a time and can be moved, oldest first, with the tables to move them to; and the
-- number of those before them that have none, up to max_messages.
--
-- Any role that can send to a queue can write the header that names the origin, which a role with more privileges would
-- follow: hence only queues whose dead_letter_queue this is. The settings are those that the current role can see.
create or replace function pgmq_settings.letters(
    source text, target text, max_messages integer, present timestamptz, filter jsonb,
    out ids bigint[], out targets text[], out skipped integer
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $letters$
declare
    letters constant text := format(
        $query$
        select l.msg_id, l.target
        from (
            select q.msg_id, coalesce($3, %s) as target from pgmq.%I as q where q.vt <= $2 and q.msg_id <= $6 and %s
        ) as l
        where coalesce(l.target = any ($4), false) = $7
        order by l.msg_id
        limit $5
        $query$,
        pgmq_settings.origin_expression(), source, pgmq_settings.filter_condition(filter));
    movable constant text[] := case when target is not null then array[target] else array(
        select s.queue_table from pgmq_settings.settings as s where lower('q_' || s.dead_letter_queue) = source) end;
    last bigint := 9223372036854775807;
begin
    execute
        'select coalesce(array_agg(l.msg_id order by l.msg_id), ''{}''), '
        'coalesce(array_agg(l.target order by l.msg_id), ''{}'') from (' || letters || ') as l'
    into ids, targets using filter, present, target, movable, max_messages, last, true;
    if cardinality(ids) = max_messages then
        last := ids[max_messages];
    end if;
    execute 'select count(*) from (' || letters || ') as l'
    into skipped using filter, present, target, movable, max_messages, last, false;
end;
$letters$;
revoke all on function pgmq_settings.letters from public;
grant execute on function pgmq_settings.letters to anon, authenticated, service_role;

-- Moves dead letters, oldest first, each to the queue it came from or all to one, and returns how many.
--
-- skipped   the number of letters that stay: those without a queue to move to, and those that it refuses
-- refused   the first 100 of the latter, each with its error
-- start_at  when the first one becomes visible, unless that has passed: calls that follow one another keep a rate
create or replace function pgmq_settings.redrive(
    queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb,
    start_at timestamptz
)
returns table (moved integer, skipped integer, last_visible_at timestamptz, refused jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
as $redrive$
declare
    source constant text := pgmq.format_table_name(queue_name, 'q');
    target constant text := pgmq.format_table_name(to_queue, 'q');
    present constant timestamptz := clock_timestamp();
    letters record;
begin
    perform pgmq_settings.check_redrive(max_messages, per_second, filter, start_at);
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
    select m.moved, m.last_visible_at, m.refused into moved, last_visible_at, refused
    from pgmq_settings.move_accepted(
        source, letters.ids, letters.targets, per_second, present, greatest(present, start_at)) as m;
    skipped := letters.skipped + jsonb_array_length(refused);
    refused := jsonb_path_query_array(refused, '$[0 to 99]');
    return next;
end;
$redrive$;
revoke all on function pgmq_settings.redrive from public;
grant execute on function pgmq_settings.redrive to anon, authenticated, service_role;

-- Sends copies of archived messages, oldest first, and returns how many. start_at is as in redrive().
create or replace function pgmq_settings.replay(
    queue_name text, max_messages integer, per_second double precision, filter jsonb, start_at timestamptz
)
returns table (sent integer, last_visible_at timestamptz)
language plpgsql
set search_path = pg_catalog, pg_temp
as $replay$
declare
    first_visible_at constant timestamptz := greatest(clock_timestamp(), start_at);
begin
    perform pgmq_settings.check_redrive(max_messages, per_second, filter, start_at);
    execute format(
        $query$
        with page as materialized (
            select
                q.msg_id, q.message, q.headers,
                $2 + make_interval(secs => coalesce((row_number() over (order by q.msg_id) - 1) / $4, 0)) as vt
            from pgmq.%1$I as q where %3$s order by q.msg_id limit $3
        ), slots as materialized (
            -- Not of rows found by their ids: this call would not find those that another transaction has just removed.
            select pgmq_settings.lock_groups_in(array[%2$L], array_agg(distinct %4$s)) from page as c
        ), sent as (
            insert into pgmq.%2$I (vt, message, headers)
            select c.vt, c.message, c.headers - array['x-pgmq-dead', 'x-pgmq-dead-failed', 'x-pgmq-expires']
            from (select vt, message, pgmq_settings.headers_object(headers) as headers, msg_id from page) as c, slots
            order by c.msg_id
            returning msg_id
        )
        select (select count(*)::integer from sent), (select max(c.vt) from page as c)
        $query$,
        pgmq.format_table_name(queue_name, 'a'), pgmq.format_table_name(queue_name, 'q'),
        pgmq_settings.filter_condition(filter), pgmq_settings.group_expression('c'))
    into sent, last_visible_at using filter, first_visible_at, max_messages, per_second;
    perform pgmq_settings.report_times(pgmq.format_table_name(queue_name, 'q'), array(
        select first_visible_at + make_interval(secs => coalesce((place - 1) / per_second, 0))
        from generate_series(1, sent) as place));
    return next;
end;
$replay$;
revoke all on function pgmq_settings.replay from public;
grant execute on function pgmq_settings.replay to anon, authenticated, service_role;
