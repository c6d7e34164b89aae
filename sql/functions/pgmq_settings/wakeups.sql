-- Wake-ups: the setting pgmq_gateway.wakeups of a transaction has a line for each time at which the transaction makes
-- messages visible, with the queue in lower case, how many messages, and the seconds until then, separated by tabs. The
-- gateway empties it at the start of a call, and after the commit wakes callers that wait for these messages.
--
-- A setting, because a function cannot add a column to the result of its caller, and because a rolled-back savepoint takes
-- its wake-ups back. Any role can set any text: that wakes callers in vain, who then read with their own privileges. The
-- name of a queue cannot add lines, because tabs and line breaks are removed from it.

-- Reports messages of a queue that are visible at a time; null: now. A text of more than 8000 characters gets no more
-- lines: a function that sends many messages would otherwise copy it each time. The gateway's poll finds those messages.
create or replace function pgmq_settings.report_visible(
    queue_table text, messages bigint, visible_at timestamptz default null
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $report$
declare
    reported text := current_setting('pgmq_gateway.wakeups', true);
    -- Of an infinite time too, which cannot be subtracted.
    seconds constant double precision := extract(epoch from visible_at) - extract(epoch from clock_timestamp());
begin
    if length(reported) > 8000 then
        return;
    end if;
    reported := set_config(
        'pgmq_gateway.wakeups',
        concat(
            reported, translate(substr(queue_table, 3), e'\t\n', ''), e'\t', messages, e'\t',
            -- Rounded up: an earlier read would find nothing.
            case when seconds > 0 then ceil(seconds * 1000) / 1000 else 0 end, e'\n'),
        true);
end;
$report$;
revoke all on function pgmq_settings.report_visible from public;
grant execute on function pgmq_settings.report_visible to anon, authenticated, service_role, pgmq_definer;

-- Reports messages that are visible at several times: a line for each of the first 20 seconds, when all of that second are
-- visible.
create or replace function pgmq_settings.report_times(queue_table text, times timestamptz[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $report$
declare
    present constant numeric := extract(epoch from clock_timestamp());
begin
    perform pgmq_settings.report_visible(queue_table, t.messages, t.visible_at)
    from (
        select count(*) as messages, max(u.visible_at) as visible_at
        from unnest(times) as u (visible_at)
        group by ceil(greatest(extract(epoch from u.visible_at) - present, 0))
        order by 2
        limit 20
    ) as t;
end;
$report$;
revoke all on function pgmq_settings.report_times from public;
grant execute on function pgmq_settings.report_times to anon, authenticated, service_role, pgmq_definer;

-- Reports messages that were sent to a queue. Of a queue with group_limit, the trigger reports those of groups: it knows
-- which are parked.
create or replace function pgmq_settings.report_sent(
    queue_table text, settings pgmq_settings.queues, times timestamptz[], headers jsonb[]
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $report$
begin
    if settings.group_limit is not null then
        times := array(
            select s.visible_at from unnest(times, headers) as s (visible_at, headers)
            where s.headers ->> 'x-pgmq-group' is null);
    end if;
    perform pgmq_settings.report_times(queue_table, times);
end;
$report$;
revoke all on function pgmq_settings.report_sent from public;
grant execute on function pgmq_settings.report_sent to anon, authenticated, service_role;
