-- Messages that are not dead are popped, past dead ones; these are buried if they are among the first. In a group, that
-- lets the messages behind them have their turn.
create or replace function pgmq_api.pop(queue_name text, n integer default 1)
returns setof pgmq_api.message
language plpgsql
set search_path = pg_catalog, pg_temp
as $pop$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    present constant timestamptz := clock_timestamp();
    expiry constant text := pgmq_settings.expiry_text(present);
    wanted constant integer := pgmq_settings.read_count(n);
    settings pgmq_settings.settings;
    max_receives integer;
    oldest timestamptz;
    returned integer;
    dead bigint[];
    buried bigint;
begin
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = table_name;
    if settings.paused then
        return;
    end if;
    max_receives := coalesce(settings.max_receives, 999999);
    oldest := present - make_interval(secs => settings.message_keep_seconds);
    return query execute pgmq_settings.pop_statement(table_name)
    using present, wanted, 0, present, max_receives, expiry, oldest, null::jsonb, queue_name;
    get diagnostics returned = row_count;
    if returned = wanted and settings.max_receives is null and oldest is null then
        return;
    end if;
    execute pgmq_settings.front_statement(table_name) into dead
    using present, wanted, 0, present, max_receives, expiry, oldest;
    if dead is null then
        return;
    end if;
    buried := pgmq_settings.bury(table_name, dead);
    if settings.group_limit is not null and buried > 0 and returned < wanted then
        return query execute pgmq_settings.pop_statement(table_name)
        using clock_timestamp(), wanted - returned, 0, clock_timestamp(), max_receives, expiry, oldest, null::jsonb,
            queue_name;
    end if;
end;
$pop$;
comment on function pgmq_api.pop(text, integer) is
    'Reads and deletes up to n visible messages. At most once: if the response is lost, so are the messages. They have no '
    'receipt.';
revoke all on function pgmq_api.pop(text, integer) from public;
grant execute on function pgmq_api.pop(text, integer) to anon, authenticated, service_role;
