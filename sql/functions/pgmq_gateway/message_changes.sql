-- The time from which a message is visible: in some seconds, or at a given time, which is now if it has passed.
create or replace function pgmq_gateway.visible_from(seconds integer, at timestamptz)
returns timestamptz
language plpgsql
stable
set search_path = ''
as $visible$
begin
    if seconds is not null and at is not null then
        raise exception 'a number of seconds and a time exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Give one of them.';
    elsif seconds < 0 then
        raise exception 'a message cannot be delayed by % seconds', seconds using
            errcode = 'invalid_parameter_value', hint = 'Give 0 or more.';
    end if;
    return greatest(clock_timestamp() + make_interval(secs => coalesce(seconds, 0)), at);
end;
$visible$;
revoke all on function pgmq_gateway.visible_from from public;
grant execute on function pgmq_gateway.visible_from to service_role;

-- What happens to messages that leave their table for another, those of `allowed`, as parts of the statement below.
create or replace function pgmq_gateway.transfer_part(action text, source text, target text)
returns text
language plpgsql
stable
set search_path = ''
as $transfer$
declare
    columns constant text := 'message, headers, enqueued_at, vt, read_ct' || case
        when action = 'archive' and pgmq_gateway.have_column('last_read_at', source, target) then ', last_read_at'
        else ''
    end;
    -- In another queue a message keeps its age, unless partitions go by time: a retention would soon drop it.
    by_time constant boolean := pg_get_partkeydef(format('pgmq.%I', target)::regclass) = 'RANGE (enqueued_at)';
    anew constant text := format('message, headers, %s, $2, 0', case when by_time then '$2' else 'enqueued_at' end);
    sequence constant text := pg_get_serial_sequence(format('pgmq.%I', target), 'msg_id');
begin
    return format(
        $part$
        gone as (
            delete from pgmq.%1$I as q using allowed where q.msg_id = allowed.msg_id returning q.msg_id, %3$s
        ), changed as materialized (
            select g.*, %4$s as new_msg_id from (select * from gone order by msg_id) as g
        ), kept as (
            insert into pgmq.%2$I (msg_id, %3$s) overriding system value select new_msg_id, %5$s from changed
        )
        $part$,
        source, target, columns,
        case action when 'archive' then 'g.msg_id' else format('nextval(%L)', sequence) end,
        case action when 'archive' then columns else anew end);
end;
$transfer$;
revoke all on function pgmq_gateway.transfer_part from public;
grant execute on function pgmq_gateway.transfer_part to service_role;

-- Does something to all messages that a filter matches, in one statement: `matched` is how many those are, `msg_ids`
-- to which of them it was done, in order, and `new_msg_ids` the ids that they have now.
--
-- Rows are locked in the order of their ids, so that two such calls never wait for each other in a circle.
--
-- expected    nothing is done when another number matches, unless null
-- visible_at  for postpone
-- to_queue    for move and requeue
create or replace function pgmq_gateway.change_messages(
    queue_name text,
    action text,
    filter jsonb,
    expected bigint default null,
    visible_at timestamptz default null,
    to_queue text default null,
    out matched bigint,
    out msg_ids bigint[],
    out new_msg_ids bigint[]
)
language plpgsql
set search_path = ''
as $change$
declare
    condition constant text := pgmq_gateway.filter_condition(filter);
    source constant text := pgmq_gateway.source_table(queue_name, filter);
begin
    execute format(
        $query$
        with chosen as materialized (
            select q.msg_id from pgmq.%1$I as q where %2$s order by q.msg_id for update
        ), counted as materialized (
            select count(*) as matched from chosen
        ), allowed as (
            select chosen.msg_id from chosen, counted where $3 is null or $3 = counted.matched
        ), %3$s
        select
            (select c.matched from counted as c),
            coalesce(array_agg(c.msg_id order by c.msg_id), '{}'),
            coalesce(array_agg(c.new_msg_id order by c.msg_id), '{}')
        from changed as c
        $query$,
        source,
        condition,
        case
            when action in ('postpone', 'make_visible') then format(
                'changed as ('
                    'update pgmq.%I as q set vt = %s from allowed where q.msg_id = allowed.msg_id '
                    'returning q.msg_id, q.msg_id as new_msg_id)',
                source, case action when 'postpone' then '$4' else 'least(q.vt, $2)' end)
            when action = 'delete' then format(
                'changed as ('
                    'delete from pgmq.%I as q using allowed where q.msg_id = allowed.msg_id '
                    'returning q.msg_id, q.msg_id as new_msg_id)',
                source)
            when action = 'archive' then
                pgmq_gateway.transfer_part(action, source, pgmq_gateway.message_table(queue_name, 'a'))
            else pgmq_gateway.transfer_part(action, source, pgmq_gateway.message_table(to_queue, 'q'))
        end
    ) into matched, msg_ids, new_msg_ids using filter, clock_timestamp(), expected, visible_at;
exception
    when unique_violation then
        if action <> 'archive' then
            raise;
        end if;
        raise exception 'the archive of queue "%" has messages with the same ids already', queue_name using
            errcode = 'unique_violation',
            detail = 'An unlogged queue begins with id 1 again after a crash.',
            hint = 'Delete those from the archive, or requeue them, and archive again.';
end;
$change$;
revoke all on function pgmq_gateway.change_messages from public;
grant execute on function pgmq_gateway.change_messages to service_role;

-- The filter for some ids.
create or replace function pgmq_gateway.with_ids(msg_ids bigint[], state text default null)
returns jsonb
language sql
immutable
set search_path = ''
as $with$
    select jsonb_strip_nulls(jsonb_build_object('state', state)) || jsonb_build_object('msg_ids', msg_ids);
$with$;
revoke all on function pgmq_gateway.with_ids from public;
grant execute on function pgmq_gateway.with_ids to service_role;

-- Raises unless messages can go from one queue to another.
create or replace function pgmq_gateway.check_move(queue_name text, to_queue text)
returns void
language plpgsql
stable
set search_path = ''
as $check$
begin
    if to_queue is null then
        raise exception 'messages can only be moved to another queue' using
            errcode = 'invalid_parameter_value', hint = 'Give to_queue.';
    elsif pgmq_gateway.message_table(queue_name, 'q') = pgmq_gateway.message_table(to_queue, 'q') then
        raise exception 'messages are moved from queue "%" to itself', queue_name using
            errcode = 'invalid_parameter_value',
            hint = 'Give another queue; requeue brings archived messages back to their own.';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_move from public;
grant execute on function pgmq_gateway.check_move to service_role;
