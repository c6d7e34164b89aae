-- Sending dead letters and archived messages again.

-- Raises unless redrive() or replay() can send so many messages at this rate.
create or replace function pgmq_settings.check_redrive(
    max_messages integer, per_second double precision, filter jsonb
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
    elsif not (per_second > 0 and per_second <= 1e6) then
        raise exception 'per_second is %, but must be above 0 and at most 1000000', per_second using
            errcode = 'invalid_parameter_value', hint = 'Leave it out to make all messages visible at once.';
    elsif filter ? 'state' then
        raise exception 'the filter cannot have a state here' using
            errcode = 'invalid_parameter_value', hint = 'Use the other members of a filter.';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_redrive from public;
grant execute on function pgmq_settings.check_redrive to anon, authenticated, service_role;

-- An expression for the table that a dead letter named q came from, or null if it is no dead letter. A header could name
-- any table, so the name is only used after q_.
create or replace function pgmq_settings.origin_expression()
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $expression$
    select $sql$'q_' || lower(left(case jsonb_typeof(q.headers -> 'x-pgmq-dead' -> 'queue')
        when 'string' then q.headers -> 'x-pgmq-dead' ->> 'queue' end, 60))$sql$;
$expression$;
revoke all on function pgmq_settings.origin_expression from public;
grant execute on function pgmq_settings.origin_expression to anon, authenticated, service_role;

-- The statement that moves messages to another queue, as if they were sent anew, and returns how many.
--
-- $1  the ids, in order
-- $2  the times at which they become visible
create or replace function pgmq_settings.redrive_statement(source text, target text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $statement$
    select format(
        $query$
        with gone as (
            delete from pgmq.%1$I as q where q.msg_id = any ($1) returning q.msg_id, q.message, q.headers
        ), sent as (
            insert into pgmq.%2$I (vt, message, headers)
            select
                w.vt, g.message,
                pgmq_settings.headers_object(g.headers) - array['x-pgmq-dead', 'x-pgmq-dead-failed']
                    || jsonb_build_object('x-pgmq-redrives', case jsonb_typeof(g.headers -> 'x-pgmq-redrives')
                        when 'number' then (g.headers ->> 'x-pgmq-redrives')::numeric + 1 else 1 end)
            from gone as g
            join unnest($1, $2) as w (msg_id, vt) on w.msg_id = g.msg_id
            order by g.msg_id
            returning msg_id
        )
        select count(*)::integer from sent
        $query$,
        source, target);
$statement$;
revoke all on function pgmq_settings.redrive_statement from public;
grant execute on function pgmq_settings.redrive_statement to anon, authenticated, service_role;

-- The dead letters to move, oldest first, with their targets, which exist, and when they become visible; and the number
-- of those that have no such target, of as many.
create or replace function pgmq_settings.letters(
    source text, target text, max_messages integer, per_second double precision, filter jsonb,
    out ids bigint[], out targets text[], out times timestamptz[], out skipped integer
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $letters$
declare
    present constant timestamptz := clock_timestamp();
    letters constant text := format(
        $query$
        select l.msg_id, l.target
        from (
            select q.msg_id, q.vt, coalesce($3, %s) as target from pgmq.%I as q where q.vt <= $2 and %s
        ) as l
        where ((l.target <> $4 and to_regclass('pgmq.' || quote_ident(l.target)) is not null) is true) = $7
        order by l.msg_id
        limit $5
        $query$,
        pgmq_settings.origin_expression(), source, pgmq_settings.filter_condition(filter));
begin
    execute
        'select coalesce(array_agg(l.msg_id order by l.place), ''{}''), '
        'coalesce(array_agg(l.target order by l.place), ''{}''), '
        'coalesce(array_agg($2 + make_interval(secs => coalesce((l.place - 1) / $6, 0)) order by l.place), ''{}'') '
        'from (select *, row_number() over (order by msg_id) as place from (' || letters || ') as x) as l'
    into ids, targets, times using filter, present, target, source, max_messages, per_second, true;
    execute 'select count(*) from (' || letters || ') as l'
    into skipped using filter, present, target, source, max_messages, per_second, false;
end;
$letters$;
revoke all on function pgmq_settings.letters from public;
grant execute on function pgmq_settings.letters to anon, authenticated, service_role;
