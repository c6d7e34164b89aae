-- Checks of arguments.

-- The number of messages to read or pop: n, but not more than the gateway's operator allows.
create or replace function pgmq_settings.read_count(n integer)
returns integer
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $count$
begin
    if n is null then
        raise exception 'n must not be null' using
            errcode = 'null_value_not_allowed',
            hint = 'It is the maximum number of messages to read: 1 for example.';
    elsif n < 0 then
        raise exception 'n must not be negative: %', n using
            errcode = 'invalid_parameter_value',
            hint = 'It is the maximum number of messages to read: 1 for example.';
    end if;
    return least(n, coalesce(nullif(current_setting('pgmq_gateway.max_read', true), '')::integer, 10000));
end;
$count$;
revoke all on function pgmq_settings.read_count from public;
grant execute on function pgmq_settings.read_count to anon, authenticated, service_role;

-- Raises unless a number of seconds is between 0 and a maximum. Null is allowed.
create or replace function pgmq_settings.check_seconds(name text, seconds integer, maximum integer)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if seconds not between 0 and maximum then
        raise exception '% must be between 0 and %, not %', name, maximum, seconds using
            errcode = 'invalid_parameter_value', hint = 'It is a number of seconds.';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_seconds from public;
grant execute on function pgmq_settings.check_seconds to anon, authenticated, service_role;

-- Raises unless read_any() can read these queues. Several spellings of a name reach one queue.
create or replace function pgmq_settings.check_queue_names(queue_names text[])
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if coalesce(cardinality(queue_names), 0) not between 1 and 10 then
        raise exception '% queues cannot be read at once', coalesce(cardinality(queue_names), 0) using
            errcode = 'invalid_parameter_value', hint = 'Use 1 to 10 names of queues.';
    elsif (select count(distinct lower(q)) from unnest(queue_names) as q) < cardinality(queue_names) then
        raise exception 'queue_names has null or a queue twice' using
            errcode = 'invalid_parameter_value', hint = 'Name each queue once.';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_queue_names from public;
grant execute on function pgmq_settings.check_queue_names to anon, authenticated, service_role;
