create or replace function pgmq_admin.postpone(
    queue_name text,
    msg_ids bigint[],
    seconds integer default null,
    until timestamptz default null
)
returns setof bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $postpone$
begin
    if seconds is null and until is null then
        raise exception 'seconds and until are both null' using
            errcode = 'invalid_parameter_value', hint = 'Use one of them: how long, or until when, to postpone.';
    end if;
    return query
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(
        queue_name, 'postpone', pgmq_gateway.with_ids(msg_ids),
        visible_at => pgmq_gateway.visible_from(seconds, until)) as c;
end;
$postpone$;
comment on function pgmq_admin.postpone is
    'Makes messages invisible for some seconds from now or until a time, those in flight too, and returns the ids of '
    'those that exist.';
revoke all on function pgmq_admin.postpone from public;
grant execute on function pgmq_admin.postpone to service_role;

create or replace function pgmq_admin.make_visible(queue_name text, msg_ids bigint[])
returns setof bigint
language sql
set search_path = pg_catalog, pg_temp
as $visible$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(queue_name, 'make_visible', pgmq_gateway.with_ids(make_visible.msg_ids)) as c;
$visible$;
comment on function pgmq_admin.make_visible is
    'Makes delayed messages and those in flight visible now and returns the ids of those that exist.';
revoke all on function pgmq_admin.make_visible from public;
grant execute on function pgmq_admin.make_visible to service_role;

create or replace function pgmq_admin.archive(queue_name text, msg_ids bigint[])
returns setof bigint
language sql
set search_path = pg_catalog, pg_temp
as $archive$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(queue_name, 'archive', pgmq_gateway.with_ids(archive.msg_ids)) as c;
$archive$;
comment on function pgmq_admin.archive is
    'Moves messages to the archive of their queue and returns the ids of those that existed.';
revoke all on function pgmq_admin.archive from public;
grant execute on function pgmq_admin.archive to service_role;

create or replace function pgmq_admin.delete(queue_name text, msg_ids bigint[])
returns setof bigint
language sql
set search_path = pg_catalog, pg_temp
as $delete$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(queue_name, 'delete', pgmq_gateway.with_ids(delete.msg_ids)) as c;
$delete$;
comment on function pgmq_admin.delete is
    'Deletes messages of a queue permanently and returns the ids of those that existed.';
revoke all on function pgmq_admin.delete from public;
grant execute on function pgmq_admin.delete to service_role;

create or replace function pgmq_admin.delete_archived(queue_name text, msg_ids bigint[])
returns setof bigint
language sql
set search_path = pg_catalog, pg_temp
as $delete$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(
        queue_name, 'delete', pgmq_gateway.with_ids(delete_archived.msg_ids, 'archived')) as c;
$delete$;
comment on function pgmq_admin.delete_archived is
    'Deletes messages of the archive permanently and returns the ids of those that existed.';
revoke all on function pgmq_admin.delete_archived from public;
grant execute on function pgmq_admin.delete_archived to service_role;

create or replace function pgmq_admin.move(queue_name text, msg_ids bigint[], to_queue text)
returns table (msg_id bigint, new_msg_id bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $move$
begin
    perform pgmq_gateway.check_move(queue_name, to_queue);
    return query
    select moved.*
    from pgmq_gateway.change_messages(
        queue_name, 'move', pgmq_gateway.with_ids(msg_ids), to_queue => to_queue) as c,
        unnest(c.msg_ids, c.new_msg_ids) as moved;
end;
$move$;
comment on function pgmq_admin.move is
    'Moves messages to another queue, where they are visible at once, count as never read and keep their age. Returns '
    'the old and the new id of each.';
revoke all on function pgmq_admin.move from public;
grant execute on function pgmq_admin.move to service_role;

create or replace function pgmq_admin.requeue(queue_name text, msg_ids bigint[])
returns table (msg_id bigint, new_msg_id bigint)
language sql
set search_path = pg_catalog, pg_temp
as $requeue$
    select moved.*
    from pgmq_gateway.change_messages(
        queue_name, 'requeue', pgmq_gateway.with_ids(requeue.msg_ids, 'archived'), to_queue => queue_name) as c,
        unnest(c.msg_ids, c.new_msg_ids) as moved;
$requeue$;
comment on function pgmq_admin.requeue is
    'Moves messages from the archive back to their queue, where they are visible at once, count as never read and keep '
    'their age, and returns the old and the new id of each.';
revoke all on function pgmq_admin.requeue from public;
grant execute on function pgmq_admin.requeue to service_role;

create or replace function pgmq_admin.apply(
    queue_name text,
    action text,
    filter jsonb,
    expected bigint,
    seconds integer default null,
    to_queue text default null
)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $apply$
declare
    archived constant boolean := pgmq_settings.is_about_archive(filter);
    done record;
begin
    if action is null or action not in ('postpone', 'make_visible', 'archive', 'delete', 'move', 'requeue') then
        raise exception 'action "%" is unknown', action using
            errcode = 'invalid_parameter_value',
            hint = 'Use postpone, make_visible, archive, delete, move or requeue.';
    elsif action in ('postpone', 'make_visible', 'archive') and archived then
        raise exception 'action "%" is not possible in the archive', action using
            errcode = 'invalid_parameter_value', hint = 'Archived messages can be deleted, moved and requeued.';
    elsif action = 'requeue' and not archived then
        raise exception 'only archived messages can be requeued' using
            errcode = 'invalid_parameter_value', hint = 'Add "state": "archived" to the filter.';
    elsif (action = 'postpone') <> (seconds is not null) then
        raise exception 'postpone needs seconds, and other actions do not take any' using
            errcode = 'invalid_parameter_value', hint = 'Use both or neither.';
    elsif (action = 'move') <> (to_queue is not null) then
        raise exception 'move needs to_queue, and other actions do not take any' using
            errcode = 'invalid_parameter_value', hint = 'Use both or neither.';
    elsif action = 'move' then
        perform pgmq_gateway.check_move(queue_name, to_queue);
    end if;
    select * into done
    from pgmq_gateway.change_messages(
        queue_name, action, filter, expected, pgmq_gateway.visible_from(seconds, null),
        case action when 'requeue' then queue_name else to_queue end);
    if done.matched <> expected then
        -- HTTP status 409.
        raise exception '% messages match, not %: nothing has been changed', done.matched, expected using
            errcode = 'PT409',
            detail = 'The queue has changed since they were counted.',
            hint = 'Count them again with pgmq_admin.count_messages().';
    end if;
    return cardinality(done.msg_ids);
end;
$apply$;
comment on function pgmq_admin.apply is
    'Applies one action to all messages that a filter matches, in one transaction, and returns their number. '
    'expected: fail if another number matches, unless null.';
revoke all on function pgmq_admin.apply from public;
grant execute on function pgmq_admin.apply to service_role;
