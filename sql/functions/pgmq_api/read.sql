-- Dead messages that are read are found afterwards, by their vt, if fewer messages are returned than were wanted. Living
-- ones are then read in their place, and the dead are buried, with those that the next reads would find. Both leave out
-- messages that have become visible since the call began: with a lease of 0 those of the first read are visible again.
-- Where nothing was read, as in most polls, the transaction has no id, and none is searched for. A burial lets the
-- messages behind the dead of a group have their turn: they are read too.
create or replace function pgmq_api.read(
    queue_name text, sleep_seconds integer default null, n integer default 1, conditional jsonb default null
)
returns setof pgmq_api.message
language plpgsql
set search_path = pg_catalog, pg_temp
as $read$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    present constant timestamptz := clock_timestamp();
    expiry constant text := pgmq_settings.expiry_text(present);
    wanted constant integer := pgmq_settings.read_count(n);
    settings pgmq_settings.settings;
    lease integer;
    max_receives integer;
    oldest timestamptz;
    returned integer;
    more integer := 0;
    dead bigint[];
    front bigint[];
    buried bigint;
begin
    perform pgmq_settings.check_seconds('sleep_seconds', sleep_seconds, 604800);
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = table_name;
    if settings.paused then
        return;
    end if;
    lease := coalesce(sleep_seconds, settings.lease_seconds, 30);
    max_receives := coalesce(settings.max_receives, 999999);
    oldest := present - make_interval(secs => settings.message_keep_seconds);
    return query execute pgmq_settings.read_statement(table_name, conditional is not null)
    using present, wanted, lease, present, max_receives, expiry, oldest, conditional, queue_name;
    get diagnostics returned = row_count;
    if returned = wanted or pg_current_xact_id_if_assigned() is null then
        return;
    end if;
    execute pgmq_settings.dead_statement(table_name) into dead
    using present, wanted, lease, present, max_receives, expiry, oldest;
    if dead is null then
        return;
    elsif returned + cardinality(dead) >= wanted then
        return query execute pgmq_settings.read_statement(table_name, conditional is not null, living => true)
        using
            present, wanted - returned, lease, present - interval '1 microsecond', max_receives, expiry, oldest,
            conditional, queue_name;
        get diagnostics more = row_count;
    end if;
    execute pgmq_settings.front_statement(table_name) into front
    using present - interval '1 microsecond', wanted, lease, present, max_receives, expiry, oldest;
    buried := pgmq_settings.bury(table_name, dead || front);
    if settings.group_limit is not null and buried > 0 and lease > 0 and returned + more < wanted then
        return query execute pgmq_settings.read_statement(table_name, conditional is not null, living => true)
        using
            clock_timestamp(), wanted - returned - more, lease, clock_timestamp(), max_receives, expiry, oldest,
            conditional, queue_name;
    end if;
end;
$read$;
comment on function pgmq_api.read(text, integer, integer, jsonb) is
    'Reads up to n visible messages and makes them invisible for sleep_seconds; without, as the queue''s settings say, '
    'or 30. conditional: only messages that contain this value. Settle each with its receipt in that time.';
revoke all on function pgmq_api.read(text, integer, integer, jsonb) from public;
grant execute on function pgmq_api.read(text, integer, integer, jsonb) to anon, authenticated, service_role;
