-- The table that a filter is about.
create or replace function pgmq_gateway.source_table(queue_name text, filter jsonb)
returns text
language sql
stable
set search_path = ''
as $source$
    select pgmq_gateway.message_table(queue_name, case when pgmq_gateway.is_about_archive(filter) then 'a' else 'q' end);
$source$;
revoke all on function pgmq_gateway.source_table from public;
grant execute on function pgmq_gateway.source_table to service_role;

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
revoke all on function pgmq_gateway.is_predicate from public;
grant execute on function pgmq_gateway.is_predicate to service_role;

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
        elsif found.member = 'state' and not pgmq_gateway.is_about_archive(filter)
            and pgmq_gateway.state_condition(found.plain, '') is null
        then
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
revoke all on function pgmq_gateway.check_filter from public;
grant execute on function pgmq_gateway.check_filter to service_role;

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
        pgmq_gateway.state_condition(filter ->> 'state', '$2'),
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
revoke all on function pgmq_gateway.filter_condition from public;
grant execute on function pgmq_gateway.filter_condition to service_role;

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
revoke all on function pgmq_gateway.page_key from public;
grant execute on function pgmq_gateway.page_key to service_role;
