-- The members of queue settings: what pgmq_admin.set_queue_settings() accepts.

-- type      as jsonb_typeof; other members are null or a string of `choices`
-- smallest, largest   of numbers
-- initial   the default
create or replace function pgmq_settings.members()
returns table (
    member text, type text, smallest numeric, largest numeric, choices text[], initial jsonb
)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $members$
    values
        ('lease_seconds', 'number', 0::numeric, 604800::numeric, null::text[], '30'::jsonb),
        ('max_receives', 'number', 1, 1000, null, null),
        ('dead_letter_queue', 'string', null, null, null, null),
        ('backoff', 'string', null, null, '{none,fixed,exponential}', '"none"'),
        ('backoff_seconds', 'number', 0, 86400, null, '10'),
        ('backoff_max_seconds', 'number', 1, 604800, null, '3600'),
        ('backoff_jitter', 'number', 0, 1, null, '0.2'),
        ('on_expiry', 'string', null, null, '{delete,dead_letter}', '"delete"'),
        ('message_keep_seconds', 'number', 60, 315360000, null, null),
        ('archive_keep_seconds', 'number', 60, 315360000, null, null),
        ('max_message_bytes', 'number', 1, 16777216, null, null),
        ('max_messages', 'number', 1, 9007199254740991, null, null),
        ('group_limit', 'number', 1, 1000, null, null),
        ('deduplication_seconds', 'number', 1, 604800, null, '300'),
        ('deduplication_by_content', 'boolean', null, null, null, 'false'),
        ('paused', 'boolean', null, null, null, 'false'),
        ('wake', 'boolean', null, null, null, 'false'),
        ('wake_throttle_ms', 'number', 10, 60000, null, '100');
$members$;
revoke all on function pgmq_settings.members from public;
grant execute on function pgmq_settings.members to service_role;

-- The values that a member can have, in words.
create or replace function pgmq_settings.member_range(
    type text, smallest numeric, largest numeric, choices text[]
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $range$
    select case
        when choices is not null then format('Use %s', array_to_string(choices, ', '))
        when type = 'number' then format('Use a number from %s to %s', smallest, largest)
        when type = 'boolean' then 'Use true or false'
        else 'Use the name of a queue'
    end || ', or null for the default.';
$range$;
revoke all on function pgmq_settings.member_range from public;

-- Raises unless all members of `settings` are known and have values in their range.
create or replace function pgmq_settings.check_members(settings jsonb)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
declare
    found record;
begin
    if jsonb_typeof(settings) is distinct from 'object' then
        raise exception 'settings must be a JSON object, not %', coalesce(jsonb_typeof(settings), 'null') using
            errcode = 'invalid_parameter_value', hint = 'For example: {"max_receives": 5}';
    end if;
    for found in
        select
            s.key as member, s.value, m.type,
            pgmq_settings.member_range(m.type, m.smallest, m.largest, m.choices) as range,
            jsonb_typeof(s.value) = m.type and case m.type
                when 'number' then
                    (s.value #>> '{}')::numeric between m.smallest and m.largest
                    and (m.largest = 1 or s.value #>> '{}' !~ '[.]')
                when 'string' then m.choices is null or s.value #>> '{}' = any (m.choices)
                else true
            end as valid
        from jsonb_each(settings) as s
        left join pgmq_settings.members() as m on m.member = s.key
    loop
        if found.type is null then
            raise exception 'queue setting "%" is unknown', found.member using
                errcode = 'invalid_parameter_value',
                hint = (select format('Known are %s.', string_agg(m.member, ', ')) from pgmq_settings.members() as m);
        elsif found.value <> 'null' and not found.valid then
            raise exception 'queue setting "%" cannot be %', found.member, left(found.value::text, 100) using
                errcode = 'invalid_parameter_value', hint = found.range;
        end if;
    end loop;
end;
$check$;
revoke all on function pgmq_settings.check_members from public;
