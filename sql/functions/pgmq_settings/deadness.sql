-- When a message is dead: its row alone decides, so that any caller can have it buried. A message that has expired is dead
-- while it is in flight, too: its consumer then finds it gone.

-- A condition on a row that is dead: it was received too often or rejected, it has expired, or it is too old. The
-- parameters are the same in all statements:
--
-- $5  max_receives; without, the largest number of receives that is no rejection: see receive_limit
-- $6  the present time as in the header x-pgmq-expires. Compared as text, because a header that is not a time must not
--     fail the reads of all messages
-- $7  the time before which messages are too old, or null
create or replace function pgmq_settings.dead_condition(row_name text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $condition$
begin
    return format(
        '(%1$s.read_ct > $5 or (%1$s.headers ->> ''x-pgmq-expires'') collate "C" < $6 or %1$s.enqueued_at < $7)',
        row_name);
end;
$condition$;
revoke all on function pgmq_settings.dead_condition from public;
grant execute on function pgmq_settings.dead_condition to anon, authenticated, service_role, pgmq_definer;

-- The same for a row that is not being read at this moment, at the time $2: its last lease may have ended.
create or replace function pgmq_settings.buried_condition(row_name text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $condition$
begin
    return format('(%s or %2$s.read_ct >= $5 and %2$s.vt <= $2)', pgmq_settings.dead_condition(row_name), row_name);
end;
$condition$;
revoke all on function pgmq_settings.buried_condition from public;
grant execute on function pgmq_settings.buried_condition to pgmq_definer;

-- A condition on a dead row that its burial can be tried again: none has failed in the last hour. The header has the
-- SQLSTATE and the time of the next attempt, which is ignored if it is later than any burial would set.
create or replace function pgmq_settings.retried_condition(row_name text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $condition$
begin
    return format(
        '(substr(%s.headers ->> ''x-pgmq-dead-failed'', 7) collate "C" '
        'between $6 and pgmq_settings.expiry_text(now() + interval ''2 hours'')) is not true',
        row_name);
end;
$condition$;
revoke all on function pgmq_settings.retried_condition from public;
grant execute on function pgmq_settings.retried_condition to pgmq_definer;

-- A further condition on a visible row named q, that a read would not find it dead.
create or replace function pgmq_settings.living_condition()
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $condition$
begin
    return 'and (' || pgmq_settings.dead_condition('q') || ' or q.read_ct >= $5) is not true';
end;
$condition$;
revoke all on function pgmq_settings.living_condition from public;
grant execute on function pgmq_settings.living_condition to anon, authenticated, service_role;

-- A time as in the header x-pgmq-expires: UTC, of fixed width.
create or replace function pgmq_settings.expiry_text(at timestamptz)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $text$
begin
    return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
end;
$text$;
revoke all on function pgmq_settings.expiry_text from public;
grant execute on function pgmq_settings.expiry_text to anon, authenticated, service_role, pgmq_definer;
