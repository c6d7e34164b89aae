-- Looking at messages and moving them about: browse, count, send, postpone, archive, delete, move, one or many.
--
-- Why: pgmq shows a message only by reading it, which takes it away from its consumers for a while. These functions
-- look without touching, find by what a message says, and act on lists of ids or on all that a filter matches.
-- SECURITY INVOKER, unlike what needs the owner's rights: service_role may do all this with the tables of pgmq anyway,
-- and it may create triggers on them, which must not run with the rights of the owner.
-- Safe to repeat: functions are replaced by themselves; no message is touched.

-- A message of a queue or its archive as one sees it from outside. preview: the first 200 characters of the message;
-- bytes: how long it is as text.
do $message$
begin
    if to_regtype('pgmq_admin.message') is null then
        create type pgmq_admin.message as (
            msg_id bigint, read_ct integer, enqueued_at timestamptz, last_read_at timestamptz, vt timestamptz,
            archived_at timestamptz, state text, bytes integer, preview text, message jsonb, headers jsonb
        );
    end if;
end;
$message$;

-- The name of a queue's table (q) or archive (a).
create or replace function pgmq_gateway.message_table(queue_name text, prefix text)
returns text
language plpgsql
stable
set search_path = ''
as $table$
begin
    if not exists (select from pgmq.meta as m where m.queue_name = message_table.queue_name) then
        raise exception 'queue "%" does not exist', queue_name using
            errcode = 'undefined_table',
            hint = 'pgmq_admin.list_queues() lists those that do.';
    end if;
    return pgmq.format_table_name(queue_name, prefix);
end;
$table$;

-- The table that a filter is about.
create or replace function pgmq_gateway.source_table(queue_name text, filter jsonb)
returns text
language sql
stable
set search_path = ''
as $source$
    select pgmq_gateway.message_table(queue_name, case filter ->> 'state' when 'archived' then 'a' else 'q' end);
$source$;

-- Whether all of these tables have a column: last_read_at came with pgmq 1.10.
create or replace function pgmq_gateway.have_column(column_name name, variadic tables text[])
returns boolean
language sql
stable
set search_path = ''
as $have$
    select bool_and(exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = to_regclass(format('pgmq.%I', t)) and a.attname = column_name and not a.attisdropped))
    from unnest(tables) as t;
$have$;

-- Whether a JSON path is a predicate ($.n > 1), which always has one answer, and so also for a value without members;
-- other paths find something or nothing.
create or replace function pgmq_gateway.is_predicate(path jsonpath)
returns boolean
language sql
immutable
set search_path = ''
as $predicate$
    select coalesce(jsonb_path_query_first('0', path, '{}', true) in ('true', 'false', 'null'), false);
$predicate$;

-- Raises unless each member of a filter is known and has a value that Postgres can read.
create or replace function pgmq_gateway.check_filter(filter jsonb)
returns void
language plpgsql
stable
set search_path = ''
as $check$
declare
    types constant jsonb := '{
        "state": "string", "msg_ids": "array", "sent_after": "string", "sent_before": "string",
        "min_read_ct": "number", "max_read_ct": "number", "contains": "any", "path": "string",
        "headers_contain": "any"
    }';
    hints constant jsonb := '{
        "state": "Choose visible, delayed, in_flight or archived; leave it out for all that are in the queue.",
        "msg_ids": "Give an array of ids: [1, 2]. Strings of digits will do.",
        "sent_after": "Give a time as in \"2026-01-31T12:00:00Z\".",
        "sent_before": "Give a time as in \"2026-01-31T12:00:00Z\".",
        "min_read_ct": "Give a whole number.",
        "max_read_ct": "Give a whole number.",
        "path": "Give a JSON path as text: \"$.status == \\\"failed\\\"\" or \"$.tags[*] ? (@ == \\\"x\\\")\"."
    }';
    found record;
begin
    if jsonb_typeof(filter) is distinct from 'object' then
        raise exception 'filter must be a JSON object, not %', coalesce(jsonb_typeof(filter), 'null') using
            errcode = 'invalid_parameter_value', hint = 'Without conditions it is {}.';
    end if;
    for found in
        select f.key as member, f.value, f.value #>> '{}' as plain, types ->> f.key as type from jsonb_each(filter) as f
    loop
        if found.type is null then
            raise exception 'filter member "%" is not known', found.member using
                errcode = 'invalid_parameter_value',
                hint = 'Known are state, msg_ids, sent_after, sent_before, min_read_ct, max_read_ct, contains, path'
                    ' and headers_contain.';
        elsif found.type not in ('any', jsonb_typeof(found.value)) then
            raise exception 'filter member "%" must be of type %, not %',
                found.member, found.type, jsonb_typeof(found.value)
                using errcode = 'invalid_parameter_value', hint = hints ->> found.member;
        elsif found.member = 'state' and found.plain not in ('visible', 'delayed', 'in_flight', 'archived') then
            raise exception 'state "%" is not known', found.plain using
                errcode = 'invalid_parameter_value', hint = hints ->> 'state';
        end if;
        begin
            case found.member
                when 'msg_ids' then perform i::bigint from jsonb_array_elements_text(found.value) as i;
                when 'sent_after', 'sent_before' then perform found.plain::timestamptz;
                when 'min_read_ct', 'max_read_ct' then perform found.plain::integer;
                when 'path' then perform pgmq_gateway.is_predicate(found.plain::jsonpath);
                else null;
            end case;
        exception
            -- The last is for a path with a variable: there are none.
            when data_exception or syntax_error or feature_not_supported or program_limit_exceeded or undefined_object
            then
                raise exception 'filter member "%": %', found.member, sqlerrm using
                    errcode = 'invalid_parameter_value', hint = hints ->> found.member;
        end;
    end loop;
end;
$check$;

-- A filter as a condition on the rows of a queue or an archive, named q. It is made of fixed words only: it finds the
-- filter in $1 and the present time, which decides the state, in $2. Raises when the filter cannot be read.
create or replace function pgmq_gateway.filter_condition(filter jsonb)
returns text
language plpgsql
stable
set search_path = ''
as $condition$
begin
    perform pgmq_gateway.check_filter(filter);
    return concat_ws(
        ' and ',
        'true',
        case filter ->> 'state'
            when 'visible' then 'q.vt <= $2'
            when 'delayed' then 'q.vt > $2 and q.read_ct = 0'
            when 'in_flight' then 'q.vt > $2 and q.read_ct > 0'
        end,
        case when filter ? 'msg_ids' then
            'q.msg_id = any (array(select i::bigint from jsonb_array_elements_text($1 -> ''msg_ids'') as i))' end,
        case when filter ? 'sent_after' then 'q.enqueued_at >= ($1 ->> ''sent_after'')::timestamptz' end,
        case when filter ? 'sent_before' then 'q.enqueued_at < ($1 ->> ''sent_before'')::timestamptz' end,
        case when filter ? 'min_read_ct' then 'q.read_ct >= ($1 ->> ''min_read_ct'')::integer' end,
        case when filter ? 'max_read_ct' then 'q.read_ct <= ($1 ->> ''max_read_ct'')::integer' end,
        case when filter ? 'contains' then 'q.message @> ($1 -> ''contains'')' end,
        case when filter ? 'headers_contain' then 'q.headers @> ($1 -> ''headers_contain'')' end,
        case
            when not filter ? 'path' then null
            when pgmq_gateway.is_predicate((filter ->> 'path')::jsonpath) then
                'q.message @@ ($1 ->> ''path'')::jsonpath'
            else 'q.message @? ($1 ->> ''path'')::jsonpath'
        end
    );
end;
$condition$;

-- The place of a row in the order by `sort`, from [value of that column, msg_id]; all null when there is none.
create or replace function pgmq_gateway.page_key(
    sort text, place jsonb, out number bigint, out instant timestamptz, out id bigint
)
language plpgsql
stable
set search_path = ''
as $key$
declare
    timed constant boolean := sort in ('enqueued_at', 'vt', 'archived_at');
begin
    if jsonb_typeof(place) <> 'array' or jsonb_array_length(place) <> 2 or place @> '[null]' then
        raise data_exception using message = 'it is not an array of two values';
    end if;
    id := place ->> 1;
    if timed then
        instant := place ->> 0;
    else
        number := place ->> 0;
    end if;
exception
    when data_exception then
        raise exception 'after or before cannot be read: %', sqlerrm using
            errcode = 'invalid_parameter_value',
            hint = format('Give %s and msg_id of a row: %s.',
                sort, case when timed then '["2026-01-31T12:00:00Z", 7]' else '[7, 7]' end);
end;
$key$;

create or replace function pgmq_admin.list_messages(
    queue_name text,
    filter jsonb default '{}',
    sort text default 'msg_id',
    descending boolean default false,
    after jsonb default null,
    before jsonb default null,
    max_rows integer default 30
)
returns setof pgmq_admin.message
language plpgsql
stable
set search_path = ''
as $list$
declare
    condition constant text := pgmq_gateway.filter_condition(filter);
    archived constant boolean := coalesce(filter ->> 'state' = 'archived', false);
    source constant text := pgmq_gateway.source_table(queue_name, filter);
    -- The page before is the first one in the opposite direction.
    backward constant boolean := before is not null;
    falling constant boolean := coalesce(descending, false) <> backward;
    key constant record := pgmq_gateway.page_key(sort, coalesce(after, before));
begin
    if sort is null or sort not in ('msg_id', 'enqueued_at', 'read_ct', 'vt', 'archived_at') then
        raise exception 'sort "%" is not known', sort using
            errcode = 'invalid_parameter_value',
            hint = 'Choose msg_id, enqueued_at, read_ct, vt, or archived_at in the archive.';
    elsif sort = 'archived_at' and not archived then
        raise exception 'only archived messages can be sorted by archived_at' using
            errcode = 'invalid_parameter_value', hint = 'Add "state": "archived" to the filter.';
    elsif max_rows is null or max_rows not between 1 and 1000 then
        raise exception 'max_rows is %, but must be between 1 and 1000', coalesce(max_rows::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Use after and before to page through more.';
    elsif after is not null and before is not null then
        raise exception 'after and before exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Give one of them.';
    end if;
    -- Rows are chosen before their messages are unpacked. The first comparison of a key is implied by the second; it
    -- is there for the partitions that it excludes.
    return query execute format(
        $query$
        with page as materialized (
            select q.* from pgmq.%1$I as q
            where %2$s %3$s
            order by q.%4$I %5$s, q.msg_id %5$s
            limit $6
        )
        select
            q.msg_id, q.read_ct, q.enqueued_at, %6$s, q.vt, %7$s,
            case
                when %8$L then 'archived' when q.vt <= $2 then 'visible' when q.read_ct = 0 then 'delayed'
                else 'in_flight'
            end,
            octet_length(q.message::text), left(q.message::text, 200), q.message, q.headers
        from page as q
        order by q.%4$I %9$s, q.msg_id %9$s
        $query$,
        source,
        condition,
        case when key.id is not null then format(
            'and q.%1$I %2$s= %3$s and (q.%1$I, q.msg_id) %2$s (%3$s, $5)',
            sort, case when falling then '<' else '>' end, case when key.instant is null then '$3' else '$4' end) end,
        sort,
        case when falling then 'desc' end,
        case when pgmq_gateway.have_column('last_read_at', source) then 'q.last_read_at' else 'null::timestamptz' end,
        case when archived then 'q.archived_at' else 'null::timestamptz' end,
        archived,
        case when descending then 'desc' end
    ) using filter, clock_timestamp(), key.number, key.instant, key.id, max_rows;
end;
$list$;
comment on function pgmq_admin.list_messages is
    'Messages of a queue or its archive that a filter matches, a page at a time, without any effect on them. '
    'after, before: [value of the sort column, msg_id] of the last or first row of the page that you have.';

create or replace function pgmq_admin.count_messages(queue_name text, filter jsonb default '{}')
returns bigint
language plpgsql
stable
set search_path = ''
as $count$
declare
    condition constant text := pgmq_gateway.filter_condition(filter);
    number bigint;
begin
    execute format(
        'select count(*) from pgmq.%I as q where %s', pgmq_gateway.source_table(queue_name, filter), condition
    ) into number using filter, clock_timestamp();
    return number;
end;
$count$;
comment on function pgmq_admin.count_messages is
    'How many messages of a queue or its archive a filter matches, exactly, without any effect on them.';

create or replace function pgmq_admin.get_message(queue_name text, msg_id bigint, archived boolean default false)
returns setof pgmq_admin.message
language sql
stable
set search_path = ''
as $get$
    select *
    from pgmq_admin.list_messages(
        get_message.queue_name,
        jsonb_build_object('msg_ids', jsonb_build_array(get_message.msg_id))
            || case when archived then '{"state": "archived"}'::jsonb else '{}' end);
$get$;
comment on function pgmq_admin.get_message is
    'One message of a queue, or of its archive, without any effect on it; no row when there is none with this id.';

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

create or replace function pgmq_admin.send(
    queue_name text,
    message jsonb,
    headers jsonb default null,
    sleep_seconds integer default 0,
    visible_at timestamptz default null
)
returns bigint
language plpgsql
set search_path = ''
as $send$
begin
    perform pgmq_gateway.message_table(queue_name, 'q');
    if message is null then
        raise exception 'message must not be null' using
            errcode = 'null_value_not_allowed', hint = 'Any other JSON value will do: {} for example.';
    end if;
    return (
        select id
        from pgmq.send(
            queue_name => send.queue_name, msg => send.message, headers => send.headers,
            delay => pgmq_gateway.visible_from(nullif(sleep_seconds, 0), visible_at)) as id);
end;
$send$;
comment on function pgmq_admin.send is
    'Adds a message with headers to a queue and returns its id; invisible for sleep_seconds or until visible_at.';

create or replace function pgmq_admin.send_batch(
    queue_name text,
    messages jsonb[],
    headers jsonb[] default null,
    sleep_seconds integer default 0,
    visible_at timestamptz default null
)
returns setof bigint
language plpgsql
set search_path = ''
as $send$
begin
    perform pgmq_gateway.message_table(queue_name, 'q');
    if array_ndims(messages) > 1 then
        -- Postgres reads an array of arrays as a table of values, of which pgmq would make a message each.
        raise exception 'a message of a batch cannot be a JSON array' using
            errcode = 'invalid_parameter_value', hint = 'Send it by itself, or put it into an object.';
    elsif array_position(messages, null) is not null then
        raise exception 'message % of the batch is null', array_position(messages, null) using
            errcode = 'null_value_not_allowed', hint = 'Any other JSON value will do: {} for example.';
    elsif headers is not null and cardinality(headers) <> coalesce(cardinality(messages), 0) then
        raise exception 'there are % headers for % messages', cardinality(headers), coalesce(cardinality(messages), 0)
            using errcode = 'invalid_parameter_value', hint = 'Give one for each message; null is one too.';
    elsif coalesce(cardinality(messages), 0) = 0 then
        return;
    end if;
    return query
    select id
    from pgmq.send_batch(
        queue_name => send_batch.queue_name, msgs => send_batch.messages, headers => send_batch.headers,
        delay => pgmq_gateway.visible_from(nullif(sleep_seconds, 0), visible_at)) as id
    order by id;
end;
$send$;
comment on function pgmq_admin.send_batch is
    'Adds messages to a queue, all or none, each with its headers, and returns their ids in order.';

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

-- The filter for some ids.
create or replace function pgmq_gateway.with_ids(msg_ids bigint[], state text default null)
returns jsonb
language sql
immutable
set search_path = ''
as $with$
    select jsonb_strip_nulls(jsonb_build_object('state', state)) || jsonb_build_object('msg_ids', msg_ids);
$with$;

create or replace function pgmq_admin.postpone(
    queue_name text,
    msg_ids bigint[],
    seconds integer default null,
    until timestamptz default null
)
returns setof bigint
language plpgsql
set search_path = ''
as $postpone$
begin
    if seconds is null and until is null then
        raise exception 'messages can only be postponed for some seconds or until a time' using
            errcode = 'invalid_parameter_value', hint = 'Give seconds or until.';
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
    'those that were there.';

create or replace function pgmq_admin.make_visible(queue_name text, msg_ids bigint[])
returns setof bigint
language sql
set search_path = ''
as $visible$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(queue_name, 'make_visible', pgmq_gateway.with_ids(make_visible.msg_ids)) as c;
$visible$;
comment on function pgmq_admin.make_visible is
    'Makes delayed messages and those in flight visible now and returns the ids of those that were there.';

create or replace function pgmq_admin.archive(queue_name text, msg_ids bigint[])
returns setof bigint
language sql
set search_path = ''
as $archive$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(queue_name, 'archive', pgmq_gateway.with_ids(archive.msg_ids)) as c;
$archive$;
comment on function pgmq_admin.archive is
    'Moves messages to the archive of their queue and returns the ids of those that were there.';

create or replace function pgmq_admin.delete(queue_name text, msg_ids bigint[])
returns setof bigint
language sql
set search_path = ''
as $delete$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(queue_name, 'delete', pgmq_gateway.with_ids(delete.msg_ids)) as c;
$delete$;
comment on function pgmq_admin.delete is
    'Deletes messages of a queue for good and returns the ids of those that were there.';

create or replace function pgmq_admin.delete_archived(queue_name text, msg_ids bigint[])
returns setof bigint
language sql
set search_path = ''
as $delete$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(
        queue_name, 'delete', pgmq_gateway.with_ids(delete_archived.msg_ids, 'archived')) as c;
$delete$;
comment on function pgmq_admin.delete_archived is
    'Deletes messages of the archive for good and returns the ids of those that were there.';

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

create or replace function pgmq_admin.move(queue_name text, msg_ids bigint[], to_queue text)
returns table (msg_id bigint, new_msg_id bigint)
language plpgsql
set search_path = ''
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
    'Moves messages to another queue, where they are visible at once, never read and as old as before, and returns '
    'the old and the new id of each.';

create or replace function pgmq_admin.requeue(queue_name text, msg_ids bigint[])
returns table (msg_id bigint, new_msg_id bigint)
language sql
set search_path = ''
as $requeue$
    select moved.*
    from pgmq_gateway.change_messages(
        queue_name, 'requeue', pgmq_gateway.with_ids(requeue.msg_ids, 'archived'), to_queue => queue_name) as c,
        unnest(c.msg_ids, c.new_msg_ids) as moved;
$requeue$;
comment on function pgmq_admin.requeue is
    'Brings messages back from the archive of their queue, visible at once, never read and as old as before, and '
    'returns the old and the new id of each.';

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
set search_path = ''
as $apply$
declare
    archived constant boolean := coalesce(filter ->> 'state' = 'archived', false);
    done record;
begin
    if action is null or action not in ('postpone', 'make_visible', 'archive', 'delete', 'move', 'requeue') then
        raise exception 'action "%" is not known', action using
            errcode = 'invalid_parameter_value',
            hint = 'Choose postpone, make_visible, archive, delete, move or requeue.';
    elsif action in ('postpone', 'make_visible', 'archive') and archived then
        raise exception 'action % is not for archived messages', action using
            errcode = 'invalid_parameter_value', hint = 'They can be deleted, moved and requeued.';
    elsif action = 'requeue' and not archived then
        raise exception 'only archived messages can be requeued' using
            errcode = 'invalid_parameter_value', hint = 'Add "state": "archived" to the filter.';
    elsif (action = 'postpone') <> (seconds is not null) then
        raise exception 'seconds belong to the action postpone, and only to that' using
            errcode = 'invalid_parameter_value', hint = 'Give both or neither.';
    elsif (action = 'move') <> (to_queue is not null) then
        raise exception 'to_queue belongs to the action move, and only to that' using
            errcode = 'invalid_parameter_value', hint = 'Give both or neither.';
    elsif action = 'move' then
        perform pgmq_gateway.check_move(queue_name, to_queue);
    end if;
    select * into done
    from pgmq_gateway.change_messages(
        queue_name, action, filter, expected, pgmq_gateway.visible_from(seconds, null),
        case action when 'requeue' then queue_name else to_queue end);
    if done.matched <> expected then
        -- A code that gives status 409.
        raise exception '% messages match, not %: nothing was done', done.matched, expected using
            errcode = 'PT409',
            detail = 'The queue has changed since they were counted.',
            hint = 'Count them again.';
    end if;
    return cardinality(done.msg_ids);
end;
$apply$;
comment on function pgmq_admin.apply is
    'Does one thing to all messages that a filter matches, in one transaction, and returns how many those were. '
    'expected: refuse when another number matches; null does not check.';

revoke all on all functions in schema pgmq_admin from public;
revoke all on function
    pgmq_gateway.message_table, pgmq_gateway.source_table, pgmq_gateway.have_column, pgmq_gateway.is_predicate,
    pgmq_gateway.check_filter, pgmq_gateway.filter_condition, pgmq_gateway.page_key, pgmq_gateway.visible_from,
    pgmq_gateway.transfer_part, pgmq_gateway.change_messages, pgmq_gateway.with_ids, pgmq_gateway.check_move
    from public;
grant usage on schema pgmq_admin, pgmq_gateway to service_role;
grant execute on function
    pgmq_gateway.message_table, pgmq_gateway.source_table, pgmq_gateway.have_column, pgmq_gateway.is_predicate,
    pgmq_gateway.check_filter, pgmq_gateway.filter_condition, pgmq_gateway.page_key, pgmq_gateway.visible_from,
    pgmq_gateway.transfer_part, pgmq_gateway.change_messages, pgmq_gateway.with_ids, pgmq_gateway.check_move,
    pgmq_admin.list_messages, pgmq_admin.count_messages, pgmq_admin.get_message, pgmq_admin.send,
    pgmq_admin.send_batch, pgmq_admin.postpone, pgmq_admin.make_visible, pgmq_admin.archive, pgmq_admin.delete,
    pgmq_admin.delete_archived, pgmq_admin.move, pgmq_admin.requeue, pgmq_admin.apply
    to service_role;
