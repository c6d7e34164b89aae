-- Filters of messages, as a JSON object.

-- True if a JSON path is a predicate ($.n > 1), which has a result for every value; other paths select items or none.
create or replace function pgmq_settings.is_predicate(path jsonpath)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $predicate$
    select coalesce(jsonb_path_query_first('0', path, '{}', true) in ('true', 'false', 'null'), false);
$predicate$;
revoke all on function pgmq_settings.is_predicate from public;
grant execute on function pgmq_settings.is_predicate to anon, authenticated, service_role;

-- The members that a filter can have, their JSON types, and how to write them.
create or replace function pgmq_settings.filter_members()
returns table (member text, type text, hint text)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $members$
    values
        ('state', 'string',
            'Use visible, delayed, in_flight, parked or archived; leave it out for all messages that are in the queue.'),
        ('msg_ids', 'array', 'Use an array of ids: [1, 2]. Strings of digits are allowed.'),
        ('sent_after', 'string', 'Use a time as in "2026-01-31T12:00:00Z".'),
        ('sent_before', 'string', 'Use a time as in "2026-01-31T12:00:00Z".'),
        ('min_read_ct', 'number', 'Use a whole number.'),
        ('max_read_ct', 'number', 'Use a whole number.'),
        ('group', 'string', 'Use the name of a group: the header x-pgmq-group.'),
        ('text', 'string', 'Use a part of the message as text, in upper or lower case.'),
        ('contains', 'any', 'Use any JSON value.'),
        ('path', 'string',
            'Use a JSON path as a string: "$.status == \"failed\"" or "$.tags[*] ? (@ == \"x\")".'),
        ('headers_contain', 'any', 'Use any JSON value.'),
        ('dead', 'object', 'Use members of the header x-pgmq-dead: {"reason": "rejected", "queue": "tasks"}.');
$members$;
revoke all on function pgmq_settings.filter_members from public;
grant execute on function pgmq_settings.filter_members to anon, authenticated, service_role;

-- Raises unless Postgres can read the value of a filter's member.
create or replace function pgmq_settings.check_filter_value(member text, value jsonb, hint text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
declare
    plain constant text := value #>> '{}';
begin
    case member
        when 'msg_ids' then perform i::bigint from jsonb_array_elements_text(value) as i;
        when 'sent_after', 'sent_before' then perform plain::timestamptz;
        when 'min_read_ct', 'max_read_ct' then perform plain::integer;
        when 'path' then perform pgmq_settings.is_predicate(plain::jsonpath);
        else null;
    end case;
exception
    -- undefined_object: a path with a variable, of which there are none.
    when data_exception or syntax_error or feature_not_supported or program_limit_exceeded or undefined_object then
        raise exception 'filter member "%" cannot be read: %', member, sqlerrm using
            errcode = 'invalid_parameter_value', hint = hint;
end;
$check$;
revoke all on function pgmq_settings.check_filter_value from public;
grant execute on function pgmq_settings.check_filter_value to anon, authenticated, service_role;

-- Raises unless each member of a filter is known and has a value that Postgres can read.
create or replace function pgmq_settings.check_filter(filter jsonb)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
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
        left join pgmq_settings.filter_members() as m on m.member = f.key
    loop
        if found.type is null then
            raise exception 'filter member "%" is unknown', found.member using
                errcode = 'invalid_parameter_value',
                hint = (
                    select format('Known are %s.', string_agg(m.member, ', ')) from pgmq_settings.filter_members() as m);
        elsif found.type not in ('any', jsonb_typeof(found.value)) then
            raise exception 'filter member "%" must be of type %, not %',
                found.member, found.type, jsonb_typeof(found.value)
                using errcode = 'invalid_parameter_value', hint = found.hint;
        elsif found.member = 'state' and not pgmq_settings.is_about_archive(filter)
            and pgmq_settings.state_condition(found.value #>> '{}', '') is null
        then
            raise exception 'state "%" is unknown', found.value #>> '{}' using
                errcode = 'invalid_parameter_value', hint = found.hint;
        end if;
        perform pgmq_settings.check_filter_value(found.member, found.value, found.hint);
    end loop;
end;
$check$;
revoke all on function pgmq_settings.check_filter from public;
grant execute on function pgmq_settings.check_filter to anon, authenticated, service_role;

-- A filter as a condition on the rows of a queue or an archive, named q. Its text is fixed: the filter itself is its
-- $1, and the present time, which decides the state, its $2. Raises when the filter cannot be read.
create or replace function pgmq_settings.filter_condition(filter jsonb)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $condition$
begin
    perform pgmq_settings.check_filter(filter);
    return concat_ws(
        ' and ',
        'true',
        pgmq_settings.state_condition(filter ->> 'state', '$2'),
        case when filter ? 'msg_ids' then
            'q.msg_id = any (array(select i::bigint from jsonb_array_elements_text($1 -> ''msg_ids'') as i))' end,
        case when filter ? 'sent_after' then 'q.enqueued_at >= ($1 ->> ''sent_after'')::timestamptz' end,
        case when filter ? 'sent_before' then 'q.enqueued_at < ($1 ->> ''sent_before'')::timestamptz' end,
        case when filter ? 'min_read_ct' then 'q.read_ct >= ($1 ->> ''min_read_ct'')::integer' end,
        case when filter ? 'max_read_ct' then 'q.read_ct <= ($1 ->> ''max_read_ct'')::integer' end,
        case when filter ? 'group' then
            format('%s = $1 ->> ''group''', pgmq_settings.group_expression('q')) end,
        case when filter ? 'text' then
            -- As it is, and as it is written in a JSON string: with quotes, backslashes and line breaks escaped.
            '(strpos(lower(q.message::text), lower($1 ->> ''text'')) > 0'
            ' or strpos(lower(q.message::text), lower(left(substr(($1 -> ''text'')::text, 2), -1))) > 0)' end,
        case when filter ? 'contains' then 'q.message @> ($1 -> ''contains'')' end,
        case when filter ? 'headers_contain' then 'q.headers @> ($1 -> ''headers_contain'')' end,
        case when filter ? 'dead' then 'q.headers @> jsonb_build_object(''x-pgmq-dead'', $1 -> ''dead'')' end,
        case
            when not filter ? 'path' then null
            when pgmq_settings.is_predicate((filter ->> 'path')::jsonpath) then
                'q.message @@ ($1 ->> ''path'')::jsonpath'
            else 'q.message @? ($1 ->> ''path'')::jsonpath'
        end
    );
end;
$condition$;
revoke all on function pgmq_settings.filter_condition from public;
grant execute on function pgmq_settings.filter_condition to anon, authenticated, service_role;
