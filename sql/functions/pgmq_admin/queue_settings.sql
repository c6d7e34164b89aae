-- The settings of queues: leases, dead letters, back-off, limits, notifications.
--
-- Why SECURITY DEFINER: only the owner of the settings can write them, and only the owner of a queue's table can add a
-- trigger to it. The triggers' texts are fixed but for whole numbers and the name of the table. Before the settings are
-- written, check_foreign_code refuses triggers of other roles on them. search_path ends with pg_temp: see queues.sql.

create or replace function pgmq_admin.set_queue_settings(queue_name text, settings jsonb)
returns jsonb
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $set$
declare
    present pgmq_settings.queues;
    was_paused boolean;
begin
    perform pgmq_settings.check_members(settings);
    perform pgmq_gateway.check_queue_exists(queue_name);
    -- Of two calls at once, the second one finds the dead-letter queue of the first.
    perform pgmq_gateway.lock_privileges();
    perform pgmq_gateway.check_foreign_code(
        array['pgmq_settings.queues'::regclass, 'pgmq_settings.wake_throttles'::regclass]);
    select s.* into present from pgmq_settings.queues as s
    where s.queue_table = lower('q_' || set_queue_settings.queue_name);
    was_paused := present.paused;
    present.queue_table := lower('q_' || queue_name);
    -- Two names in pgmq.meta can share a table. Its settings stay with the one that they were made for.
    if not exists (select from pgmq.meta as m where m.queue_name = present.queue_name) then
        present.queue_name := queue_name;
    end if;
    present := jsonb_populate_record(present, settings);
    perform pgmq_settings.check_dead_letter_queue(queue_name, present.dead_letter_queue);
    if present.max_messages is null then
        present.is_full := null;
    end if;
    delete from pgmq_settings.queues as s where s.queue_table = present.queue_table;
    insert into pgmq_settings.queues select present.*;
    perform pgmq_gateway.grant_definer_access(queue_name);
    if present.dead_letter_queue is not null then
        perform pgmq_gateway.grant_definer_access(present.dead_letter_queue);
    end if;
    if settings ? 'max_message_bytes' then
        perform pgmq_settings.limit_message_bytes(present.queue_table, present.max_message_bytes);
    end if;
    if settings ? 'group_limit' then
        perform pgmq_settings.limit_groups(present.queue_table, present.group_limit);
    end if;
    if settings ?| array['wake', 'wake_throttle_ms'] then
        perform pgmq_settings.set_wake(present.queue_table, present.wake, present.wake_throttle_ms);
    end if;
    if was_paused and present.paused is not true then
        perform pgmq_settings.notify_queue(present.queue_table);
        perform pgmq_settings.report_visible(present.queue_table, 1);
    end if;
    perform pgmq_settings.record_action(queue_name, 'set_queue_settings');
    return pgmq_admin.queue_settings(queue_name);
end;
$set$;
comment on function pgmq_admin.set_queue_settings is
    'Changes settings of a queue, those that are named, and returns all: lease_seconds, max_receives, '
    'dead_letter_queue, backoff, backoff_seconds, backoff_max_seconds, backoff_jitter, on_expiry, '
    'message_keep_seconds, archive_keep_seconds, max_message_bytes, max_messages, group_limit, deduplication_seconds, '
    'deduplication_by_content, paused, wake, wake_throttle_ms. null restores a default. Clients that must obey queue settings use pgmq_api.';
revoke all on function pgmq_admin.set_queue_settings from public;
grant execute on function pgmq_admin.set_queue_settings to service_role;

create or replace function pgmq_admin.queue_settings(queue_name text)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $settings$
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    return (
        select jsonb_object_agg(m.member, coalesce(nullif(s.stored -> m.member, 'null'), m.initial, 'null'))
        from pgmq_settings.members() as m
        left join (
            select to_jsonb(q) as stored from pgmq_settings.queues as q
            where q.queue_table = lower('q_' || queue_settings.queue_name)
        ) as s on true
    );
end;
$settings$;
comment on function pgmq_admin.queue_settings is 'The settings of a queue in effect, with the defaults of those not set.';
revoke all on function pgmq_admin.queue_settings from public;
grant execute on function pgmq_admin.queue_settings to service_role;

create or replace function pgmq_admin.setting_ranges()
returns table (
    setting text, type text, smallest double precision, largest double precision, choices text[], initial jsonb
)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $ranges$
    select m.member, m.type, m.smallest, m.largest, m.choices, coalesce(m.initial, 'null')
    from pgmq_settings.members() as m;
$ranges$;
comment on function pgmq_admin.setting_ranges is
    'The settings that a queue can have: the JSON type of each, the range of numbers, the choices of strings, and the '
    'initial value, which null restores.';
revoke all on function pgmq_admin.setting_ranges from public;
grant execute on function pgmq_admin.setting_ranges to service_role;
