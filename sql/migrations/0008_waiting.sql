-- Waiting for messages: the settings wake and wake_throttle_ms of a queue.
--
-- Safe to repeat: what exists is kept.

alter table pgmq_settings.queues
    add column if not exists wake boolean,
    add column if not exists wake_throttle_ms integer;

-- The last announcement of each queue with the setting wake: see notify_wake(), which makes the rows. Unlogged, because it is
-- written at sends; after a crash it is empty.
create unlogged table if not exists pgmq_settings.wake_throttles (
    queue_table text primary key,
    notified_at timestamptz not null
);
grant select, insert, update on pgmq_settings.wake_throttles to pgmq_definer;
