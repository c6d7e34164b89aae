-- The entries of pgmq_api.send_entries().

-- The members of an entry, and the JSON types that they can have besides null.
create or replace function pgmq_settings.entry_members()
returns table (member text, type text, hint text)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $members$
    values
        ('message', null, null),
        ('headers', 'object', 'Use a JSON object.'),
        ('sleep_seconds', 'number', 'Use a whole number of seconds.'),
        ('send_at', 'string', 'Use a time as in "2026-12-31T23:59:59Z".'),
        ('expires_at', 'string', 'Use a time as in "2026-12-31T23:59:59Z".'),
        ('expires_in', 'number', 'Use a whole number of seconds.'),
        ('group_id', 'string', 'Use a string of 1 to 128 characters.'),
        ('deduplication_id', 'string', 'Use a string of 1 to 128 characters.');
$members$;
revoke all on function pgmq_settings.entry_members from public;
grant execute on function pgmq_settings.entry_members to anon, authenticated, service_role;

-- Raises unless all entries are objects with a message, and with known members of the right types.
create or replace function pgmq_settings.check_entries(entries jsonb)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
declare
    found record;
begin
    if jsonb_typeof(entries) is distinct from 'array' then
        raise exception 'entries must be an array, not %', coalesce(jsonb_typeof(entries), 'null') using
            errcode = 'invalid_parameter_value', hint = 'For example: [{"message": {"id": 1}}]';
    end if;
    perform pgmq_settings.check_batch(jsonb_array_length(entries));
    select
        e.place - 1 as entry, m.key, k.member, k.hint,
        jsonb_typeof(e.value) = 'object' and e.value ? 'message' as has_message
    into found
    from jsonb_array_elements(entries) with ordinality as e (value, place)
    left join lateral jsonb_each(case jsonb_typeof(e.value) when 'object' then e.value else '{}' end) as m on true
    left join pgmq_settings.entry_members() as k on k.member = m.key
    where jsonb_typeof(e.value) <> 'object' or not e.value ? 'message' or k.member is null
       or m.value <> 'null' and (
           jsonb_typeof(m.value) <> k.type or k.type = 'number' and m.value::text !~ '^-?[0-9]{1,9}$')
    order by e.place
    limit 1;
    if found.entry is null then
        return;
    elsif not found.has_message then
        raise exception 'entry % is not an object with a message', found.entry using
            errcode = 'invalid_parameter_value', hint = 'For example: {"message": {"id": 1}}';
    elsif found.member is null then
        raise exception 'member "%" of entry % is unknown', found.key, found.entry using
            errcode = 'invalid_parameter_value',
            hint = (
                select format('Known are %s.', string_agg(k.member, ', ')) from pgmq_settings.entry_members() as k);
    end if;
    raise exception 'member "%" of entry % has the wrong type', found.key, found.entry using
        errcode = 'invalid_parameter_value', hint = found.hint;
end;
$check$;
revoke all on function pgmq_settings.check_entries from public;
grant execute on function pgmq_settings.check_entries to anon, authenticated, service_role;

-- The times, messages, headers and ids for deduplication of entries, in their order.
create or replace function pgmq_settings.read_entries(
    entries jsonb, out times timestamptz[], out messages jsonb[], out headers jsonb[], out ids text[]
)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $read$
begin
    perform pgmq_settings.check_entries(entries);
    if exists (
        select from jsonb_array_elements(entries) as e
        where e ->> 'expires_at' is not null and e ->> 'expires_in' is not null
    ) then
        raise exception 'expires_at and expires_in exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Leave one of them out.';
    end if;
    select
        array_agg(e.vt order by e.place), array_agg(e.value -> 'message' order by e.place),
        array_agg(pgmq_settings.sent_headers(e.value -> 'headers', coalesce(
            (e.value ->> 'expires_at')::timestamptz,
            clock_timestamp() + make_interval(secs => (e.value ->> 'expires_in')::integer)),
            e.vt, e.value ->> 'group_id') order by e.place),
        array_agg(e.value ->> 'deduplication_id' order by e.place)
    into times, messages, headers, ids
    from (
        select
            l.value, l.place,
            pgmq_settings.visible_at(
                (l.value ->> 'sleep_seconds')::integer, (l.value ->> 'send_at')::timestamptz) as vt
        from jsonb_array_elements(entries) with ordinality as l (value, place)
    ) as e;
exception
    when invalid_datetime_format or datetime_field_overflow then
        raise exception 'a time in entries cannot be read: %', sqlerrm using
            errcode = 'invalid_parameter_value', hint = 'Use times as in "2026-12-31T23:59:59Z".';
end;
$read$;
revoke all on function pgmq_settings.read_entries from public;
grant execute on function pgmq_settings.read_entries to anon, authenticated, service_role;
