-- The name of the table that a filter is about.
create or replace function pgmq_gateway.source_table(queue_name text, filter jsonb)
returns text
language sql
stable
set search_path = ''
as $source$
    select pgmq_gateway.message_table(
        queue_name, case when pgmq_gateway.is_about_archive(filter) then 'a' else 'q' end);
$source$;
revoke all on function pgmq_gateway.source_table from public;
grant execute on function pgmq_gateway.source_table to service_role;

-- Whether a JSON path is a predicate ($.n > 1), which has a result for every value; other paths select items or none.
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

-- The members that a filter can have, their JSON types, and how to write them.
create or replace function pgmq_gateway.filter_members()
returns table (member text, type text, hint text)
language sql
immutable
set search_path = ''
as $members$
    values
        ('state', 'string',
            'Use visible, delayed, in_flight or archived; leave it out for all messages that are in the queue.'),
        ('msg_ids', 'array', 'Use an array of ids: [1, 2]. Strings of digits are allowed.'),
        ('sent_after', 'string', 'Use a time as in "2026-01-31T12:00:00Z".'),
        ('sent_before', 'string', 'Use a time as in "2026-01-31T12:00:00Z".'),
        ('min_read_ct', 'number', 'Use a whole number.'),
        ('max_read_ct', 'number', 'Use a whole number.'),
        ('text', 'string', 'Use a part of the message as text, in upper or lower case.'),
        ('contains', 'any', 'Use any JSON value.'),
        ('path', 'string',
            'Use a JSON path as a string: "$.status == \"failed\"" or "$.tags[*] ? (@ == \"x\")".'),
        ('headers_contain', 'any', 'Use any JSON value.');
$members$;
revoke all on function pgmq_gateway.filter_members from public;
grant execute on function pgmq_gateway.filter_members to service_role;

-- Raises unless Postgres can read the value of a filter's member.
create or replace function pgmq_gateway.check_filter_value(member text, value jsonb, hint text)
returns void
language plpgsql
stable
set search_path = ''
as $check$
declare
    plain constant text := value #>> '{}';
begin
    case member
        when 'msg_ids' then perform i::bigint from jsonb_array_elements_text(value) as i;
        when 'sent_after', 'sent_before' then perform plain::timestamptz;
        when 'min_read_ct', 'max_read_ct' then perform plain::integer;
        when 'path' then perform pgmq_gateway.is_predicate(plain::jsonpath);
        else null;
    end case;
exception
    -- undefined_object: a path with a variable, of which there are none.
    when data_exception or syntax_error or feature_not_supported or program_limit_exceeded or undefined_object then
        raise exception 'filter member "%" cannot be read: %', member, sqlerrm using
            errcode = 'invalid_parameter_value', hint = hint;
end;
$check$;
revoke all on function pgmq_gateway.check_filter_value from public;
grant execute on function pgmq_gateway.check_filter_value to service_role;

-- Raises unless each member of a filter is known and has a value that Postgres can read.
create or replace function pgmq_gateway.check_filter(filter jsonb)
returns void
language plpgsql
stable
set search_path = ''
as $check$
declare
    found record;
begin
    if jsonb_typeof(filter) is distinct from 'object' then
        raise exception 'filter must be a JSON object, not %', coalesce(jsonb_typeof(filter), 'null') using
            errcode = 'invalid_parameter_value', hint = 'A filter without conditions is {}.';
    end if;
    for found in
        select f.key as member, f.value, m.type, m.hint
        from jsonb_each(filter) as f
        left join pgmq_gateway.filter_members() as m on m.member = f.key
    loop
        if found.type is null then
            raise exception 'filter member "%" is unknown', found.member using
                errcode = 'invalid_parameter_value',
                hint = (
                    select format('Known are %s.', string_agg(m.member, ', ')) from pgmq_gateway.filter_members() as m);
        elsif found.type not in ('any', jsonb_typeof(found.value)) then
            raise exception 'filter member "%" must be of type %, not %',
                found.member, found.type, jsonb_typeof(found.value)
                using errcode = 'invalid_parameter_value', hint = found.hint;
        elsif found.member = 'state' and not pgmq_gateway.is_about_archive(filter)
            and pgmq_gateway.state_condition(found.value #>> '{}', '') is null
        then
            raise exception 'state "%" is unknown', found.value #>> '{}' using
                errcode = 'invalid_parameter_value', hint = found.hint;
        end if;
        perform pgmq_gateway.check_filter_value(found.member, found.value, found.hint);
    end loop;
end;
$check$;
revoke all on function pgmq_gateway.check_filter from public;
grant execute on function pgmq_gateway.check_filter to service_role;

-- A filter as a condition on the rows of a queue or an archive, named q. Its text is fixed: the filter itself is its
-- $1, and the present time, which decides the state, its $2. Raises when the filter cannot be read.
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
        case when filter ? 'text' then
            -- As it is, and as it is written in a JSON string: with quotes, backslashes and line breaks escaped.
            '(strpos(lower(q.message::text), lower($1 ->> ''text'')) > 0'
            ' or strpos(lower(q.message::text), lower(left(substr(($1 -> ''text'')::text, 2), -1))) > 0)' end,
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

-- Raises unless list_messages() can return a page for these arguments.
create or replace function pgmq_gateway.check_page(
    filter jsonb, sort text, after jsonb, before jsonb, max_rows integer
)
returns void
language plpgsql
stable
set search_path = ''
as $check$
begin
    if sort is null or sort not in ('msg_id', 'enqueued_at', 'read_ct', 'vt', 'archived_at') then
        raise exception 'sort "%" is unknown', sort using
            errcode = 'invalid_parameter_value',
            hint = 'Use msg_id, enqueued_at, read_ct, vt, or archived_at in the archive.';
    elsif sort = 'archived_at' and not pgmq_gateway.is_about_archive(filter) then
        raise exception 'only archived messages can be sorted by archived_at' using
            errcode = 'invalid_parameter_value', hint = 'Add "state": "archived" to the filter.';
    elsif max_rows is null or max_rows not between 1 and 1000 then
        raise exception 'max_rows is %, but must be between 1 and 1000', coalesce(max_rows::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Use after and before for further pages.';
    elsif after is not null and before is not null then
        raise exception 'after and before exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Leave one of them out.';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_page from public;
grant execute on function pgmq_gateway.check_page to service_role;

-- The position of a row in the order by `sort`, from [value of that column, msg_id]; all null for a null `place`.
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
        raise data_exception using message = 'not an array of two values';
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
            hint = format('Use %s and msg_id of a row: %s.',
                sort, case when timed then '["2026-01-31T12:00:00Z", 7]' else '[7, 7]' end);
end;
$key$;
revoke all on function pgmq_gateway.page_key from public;
grant execute on function pgmq_gateway.page_key to service_role;
