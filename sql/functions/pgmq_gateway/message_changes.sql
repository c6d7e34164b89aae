-- The time at which a message becomes visible: in some seconds, or at a time; now if it has passed.
create or replace function pgmq_gateway.visible_from(seconds integer, at timestamptz)
returns timestamptz
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $visible$
begin
    if seconds is not null and at is not null then
        raise exception 'a number of seconds and a time exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Leave one of them out.';
    elsif seconds < 0 then
        raise exception 'a message cannot be delayed by % seconds', seconds using
            errcode = 'invalid_parameter_value', hint = 'Use 0 or more.';
    end if;
    return greatest(clock_timestamp() + make_interval(secs => coalesce(seconds, 0)), at);
end;
$visible$;
revoke all on function pgmq_gateway.visible_from from public;
grant execute on function pgmq_gateway.visible_from to service_role;

-- The part of the statement below that moves the messages of `allowed` to another table.
create or replace function pgmq_gateway.transfer_part(action text, source text, target text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $transfer$
declare
    columns constant text := 'message, headers, enqueued_at, vt, read_ct' || case
        when action = 'archive' and pgmq_gateway.have_column('last_read_at', source, target) then ', last_read_at'
        else ''
    end;
    -- In another queue a message keeps its age, unless that is partitioned by time: its retention would soon drop it.
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

-- The part of the statement below that does `action` to the messages of `allowed`.
create or replace function pgmq_gateway.change_part(action text, queue_name text, source text, to_queue text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $part$
    select case action
        when 'postpone' then format(
            'changed as ('
                'update pgmq.%I as q set vt = $4 from allowed where q.msg_id = allowed.msg_id '
                'returning q.msg_id, q.msg_id as new_msg_id)', source)
        when 'make_visible' then format(
            'changed as ('
                'update pgmq.%I as q set vt = least(q.vt, $2) from allowed where q.msg_id = allowed.msg_id '
                'returning q.msg_id, q.msg_id as new_msg_id)', source)
        when 'delete' then format(
            'changed as ('
                'delete from pgmq.%I as q using allowed where q.msg_id = allowed.msg_id '
                'returning q.msg_id, q.msg_id as new_msg_id)', source)
        when 'archive' then pgmq_gateway.transfer_part(action, source, pgmq_gateway.message_table(queue_name, 'a'))
        else pgmq_gateway.transfer_part(action, source, pgmq_gateway.message_table(to_queue, 'q'))
    end;
$part$;
revoke all on function pgmq_gateway.change_part from public;
grant execute on function pgmq_gateway.change_part to service_role;

-- Raises if some messages are still parked, after they should have been made visible: only their groups can do that.
create or replace function pgmq_gateway.check_not_parked(queue_table text, msg_ids bigint[])
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
declare
    parked bigint;
begin
    execute format(
        'select count(*) from pgmq.%I as q where q.msg_id = any ($1) and %s',
        queue_table, pgmq_settings.state_condition('parked', '$2'))
    into parked using msg_ids, clock_timestamp();
    if parked > 0 then
        -- HTTP status 409.
        raise exception '% of % messages are parked: their groups have as many messages as group_limit allows',
            parked, cardinality(msg_ids)
            using errcode = 'PT409', hint = 'Settle or delete the messages before them, or raise group_limit.';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_not_parked from public;
grant execute on function pgmq_gateway.check_not_parked to service_role;

-- Locks the groups of the messages that a filter matches, in their queue and in the one that they are moved to, as all
-- functions do before they remove several messages. Returns the ids of these messages: those that match later must not be
-- removed with them. Null if no group is limited.
create or replace function pgmq_gateway.lock_groups_of_matching(
    source text, target text, filter jsonb, present timestamptz
)
returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $lock$
declare
    tables constant text[] := array[source, target];
    ids bigint[];
begin
    if exists (
        select from pgmq_settings.settings as s where s.queue_table = any (tables) and s.group_limit is not null
    ) then
        execute format(
            'select array(select q.msg_id from pgmq.%I as q where %s)', source, pgmq_settings.filter_condition(filter))
        into ids using filter, present;
        perform pgmq_settings.lock_groups_of(source, ids, tables);
    end if;
    return ids;
end;
$lock$;
revoke all on function pgmq_gateway.lock_groups_of_matching from public;
grant execute on function pgmq_gateway.lock_groups_of_matching to service_role;

-- Does `action` to all messages that a filter matches, in one statement, and logs it.
--
-- Rows are locked in the order of their ids, so that two such calls cannot deadlock.
--
-- expected    nothing is done when another number of messages matches, unless null
-- visible_at  for postpone
-- to_queue    for move and requeue
-- matched     how many messages the filter matches
-- msg_ids     the messages that were changed, in order
-- new_msg_ids the ids that they have now
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
set search_path = pg_catalog, pg_temp
as $change$
declare
    condition text := pgmq_settings.filter_condition(filter);
    source constant text := pgmq_gateway.source_table(queue_name, filter);
    present constant timestamptz := clock_timestamp();
    locked bigint[];
begin
    if action not in ('postpone', 'make_visible') then
        locked := pgmq_gateway.lock_groups_of_matching(
            source, pgmq.format_table_name(to_queue, 'q'), filter, present);
    end if;
    if locked is not null then
        condition := condition || ' and q.msg_id = any ($5)';
    end if;
    execute format(
        $query$
        with selected as materialized (
            select q.msg_id from pgmq.%1$I as q where %2$s order by q.msg_id for update
        ), counted as materialized (
            select count(*) as matched from selected
        ), allowed as (
            select selected.msg_id from selected, counted where $3 is null or $3 = counted.matched
        ), %3$s
        select
            (select c.matched from counted as c),
            coalesce(array_agg(c.msg_id order by c.msg_id), '{}'),
            coalesce(array_agg(c.new_msg_id order by c.msg_id), '{}')
        from changed as c
        $query$,
        source,
        condition,
        pgmq_gateway.change_part(action, queue_name, source, to_queue)
    ) into matched, msg_ids, new_msg_ids using filter, present, expected, visible_at, locked;
    if action = 'make_visible' then
        perform pgmq_gateway.check_not_parked(source, msg_ids);
    end if;
    if action in ('postpone', 'make_visible', 'move', 'requeue') and msg_ids <> '{}' then
        perform pgmq_settings.report_visible(
            coalesce(pgmq.format_table_name(to_queue, 'q'), source), cardinality(msg_ids), visible_at);
    end if;
    perform pgmq_settings.record_action(
        queue_name,
        action || case when action = 'delete' and pgmq_settings.is_about_archive(filter) then '_archived' else '' end,
        cardinality(msg_ids)::bigint);
exception
    when unique_violation then
        if action <> 'archive' then
            raise;
        end if;
        raise exception 'the archive of queue "%" already has messages with the same ids', queue_name using
            errcode = 'unique_violation',
            detail = 'An unlogged queue starts with id 1 again after a crash.',
            hint = 'Delete them from the archive, or requeue them, then archive again.';
end;
$change$;
revoke all on function pgmq_gateway.change_messages from public;
grant execute on function pgmq_gateway.change_messages to service_role;

-- The filter that matches some ids.
create or replace function pgmq_gateway.with_ids(msg_ids bigint[], state text default null)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $with$
    select jsonb_strip_nulls(jsonb_build_object('state', state)) || jsonb_build_object('msg_ids', msg_ids);
$with$;
revoke all on function pgmq_gateway.with_ids from public;
grant execute on function pgmq_gateway.with_ids to service_role;

-- Raises unless messages can be moved from one queue to the other.
create or replace function pgmq_gateway.check_move(queue_name text, to_queue text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if to_queue is null then
        raise exception 'to_queue must not be null' using
            errcode = 'invalid_parameter_value', hint = 'It is the name of the queue that the messages are moved to.';
    elsif pgmq_gateway.message_table(queue_name, 'q') = pgmq_gateway.message_table(to_queue, 'q') then
        raise exception 'messages cannot be moved from queue "%" to itself', queue_name using
            errcode = 'invalid_parameter_value',
            hint = 'Use another to_queue; requeue() returns archived messages to their own queue.';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_move from public;
grant execute on function pgmq_gateway.check_move to service_role;
