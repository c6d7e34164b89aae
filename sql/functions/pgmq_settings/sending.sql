-- Sending: what a message is made of, and the statement that stores it.

-- Raises if a queue has max_messages. The background keeps the flag, so the limit is exact to some seconds of sends.
create or replace function pgmq_settings.check_not_full(queue_name text, is_full boolean)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if is_full then
        raise sqlstate 'PT429' using
            message = format('queue "%s" is full', queue_name),
            hint = 'It has its max_messages. Send again when some have been consumed.';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_not_full from public;
grant execute on function pgmq_settings.check_not_full to anon, authenticated, service_role;

-- Raises for a batch with more messages than the gateway's operator allows.
create or replace function pgmq_settings.check_batch(messages integer)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if messages > coalesce(nullif(current_setting('pgmq_gateway.max_batch', true), '')::integer, 100000) then
        raise exception 'a batch of % messages is too long', messages using
            errcode = 'invalid_parameter_value', hint = 'Send them in smaller batches.';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_batch from public;
grant execute on function pgmq_settings.check_batch to anon, authenticated, service_role;

-- The time at which a message becomes visible: in some seconds, or at a time, or now if that has passed.
create or replace function pgmq_settings.visible_at(sleep_seconds integer, send_at timestamptz)
returns timestamptz
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $visible$
begin
    perform pgmq_settings.check_seconds('sleep_seconds', sleep_seconds, 31536000);
    if send_at is not null and sleep_seconds > 0 then
        raise exception 'sleep_seconds and send_at exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Leave one of them out.';
    elsif not isfinite(send_at) then
        raise exception 'send_at must be a time, not %', send_at using
            errcode = 'invalid_parameter_value', hint = 'For example: 2026-12-31T23:59:59Z';
    end if;
    return greatest(clock_timestamp() + make_interval(secs => coalesce(sleep_seconds, 0)), send_at);
end;
$visible$;
revoke all on function pgmq_settings.visible_at from public;
grant execute on function pgmq_settings.visible_at to anon, authenticated, service_role;

-- Raises unless a text can be the id of a group, or of a message for deduplication.
create or replace function pgmq_settings.check_id(name text, id text)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if length(id) not between 1 and 128 or id ~ '[[:cntrl:]]' then
        raise exception '% must have 1 to 128 characters, and no control characters', name using
            errcode = 'invalid_parameter_value', hint = 'For example: customer-42';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_id from public;
grant execute on function pgmq_settings.check_id to anon, authenticated, service_role;

-- The headers of a new message.
create or replace function pgmq_settings.sent_headers(
    headers jsonb, expires_at timestamptz, visible_at timestamptz, group_id text
)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $headers$
begin
    if jsonb_typeof(headers) not in ('object', 'null') then
        raise exception 'headers must be a JSON object, not %', jsonb_typeof(headers) using
            errcode = 'invalid_parameter_value', hint = 'For example: {"kind": "invoice"}';
    elsif octet_length(headers::text) > 65536 then
        raise exception 'headers of % bytes are too large', octet_length(headers::text) using
            errcode = 'invalid_parameter_value', hint = 'Use at most 65536 bytes; put data into the message.';
    elsif expires_at <= greatest(visible_at, clock_timestamp()) or expires_at > '9999-12-31Z' then
        raise exception 'a message cannot expire at %', expires_at using
            errcode = 'invalid_parameter_value',
            hint = 'Use a time in the future, after the message becomes visible, before the year 10000.';
    end if;
    perform pgmq_settings.check_id('group_id', group_id);
    if expires_at is not null or group_id is not null then
        headers := coalesce(nullif(headers, 'null'), '{}') || jsonb_strip_nulls(jsonb_build_object(
            'x-pgmq-expires', pgmq_settings.expiry_text(expires_at), 'x-pgmq-group', group_id));
    end if;
    return nullif(headers, 'null');
end;
$headers$;
revoke all on function pgmq_settings.sent_headers from public;
grant execute on function pgmq_settings.sent_headers to anon, authenticated, service_role;

-- The statement that stores messages in order, and returns their ids.
--
-- $1  the times at which they become visible
-- $2  the messages
-- $3  their headers, or null for none
create or replace function pgmq_settings.send_statement(queue_table text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $statement$
begin
    return format(
        'insert into pgmq.%I (vt, message, headers) '
        'select e.vt, e.message, e.headers '
        'from unnest($1, $2, $3) with ordinality as e (vt, message, headers, place) order by e.place '
        'returning msg_id', queue_table);
end;
$statement$;
revoke all on function pgmq_settings.send_statement from public;
grant execute on function pgmq_settings.send_statement to anon, authenticated, service_role;

-- Raises if a statement stored fewer messages than it was given: the ids it returned cannot be assigned to the messages.
create or replace function pgmq_settings.check_stored(given integer, stored integer)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if stored <> given then
        raise exception 'a trigger of the queue left out % of % messages', given - stored, given using
            errcode = 'triggered_action_exception', hint = 'Send them one by one without a deduplication_id.';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_stored from public;
grant execute on function pgmq_settings.check_stored to anon, authenticated, service_role;
