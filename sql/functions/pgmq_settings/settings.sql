-- The settings of the queues on which the current role has any privilege, so that no role learns which others exist,
-- except the dead-letter queues of these.
--
-- A view, not policies: the plan of a statement on a table with policies is made again whenever a connection switches
-- its role, which costs more than the lookup. The columns are those of the table in their order.
create or replace view pgmq_settings.settings with (security_barrier) as
select
    s.queue_table, s.queue_name, s.lease_seconds, s.max_receives, s.dead_letter_queue, s.backoff, s.backoff_seconds,
    s.backoff_max_seconds, s.backoff_jitter, s.on_expiry, s.message_keep_seconds, s.archive_keep_seconds,
    s.max_message_bytes, s.max_messages, s.is_full, s.group_limit, s.deduplication_seconds, s.deduplication_by_content,
    s.paused, s.wake, s.wake_throttle_ms
from pgmq_settings.queues as s
cross join lateral (select pg_catalog.to_regclass(pg_catalog.format('pgmq.%I', s.queue_table)) as oid) as q
where pg_catalog.has_any_column_privilege(q.oid, 'SELECT, INSERT, UPDATE')
   or pg_catalog.has_table_privilege(q.oid, 'DELETE');
grant select on pgmq_settings.settings to anon, authenticated, service_role, pgmq_definer;
