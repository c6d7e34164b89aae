-- The setting wake of a queue: a trigger announces inserts of all writers on the channel pgmq_gateway, and gateways wake
-- the callers that wait for messages. A payload is {"s": ["tasks"]}, with the names of queues in lower case.
--
-- A notification costs much more than a send: Postgres holds a lock for the whole database until its commit is on disk.
-- Hence one in wake_throttle_ms at most. It has no trailing edge: gateways look again when that time is over.
--
-- Why notify_wake is SECURITY DEFINER, of pgmq_definer: senders need no privilege on wake_throttles. No text of a caller is
-- in it: the name of the table comes from the catalog.

create or replace function pgmq_settings.notify_queue(queue_table text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $notify$
begin
    perform pg_notify('pgmq_gateway', json_build_object('s', json_build_array(substr(queue_table, 3)))::text);
end;
$notify$;
revoke all on function pgmq_settings.notify_queue from public;
grant execute on function pgmq_settings.notify_queue to pgmq_definer;

-- Fires once for each statement that inserts, with wake_throttle_ms as argument. It waits for no other transaction, so that
-- two that send to several queues cannot deadlock: if another one has announced the queue and is not committed, or is
-- making its row, this one does not. In other isolation levels than READ COMMITTED the update could fail, and with it the
-- send.
create or replace function pgmq_settings.notify_wake()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
as $wake$
declare
    queue_table constant text := tg_table_name;
    present constant timestamptz := clock_timestamp();
    throttle constant interval := tg_argv[0]::integer * interval '1 millisecond';
    former timestamptz;
begin
    select w.notified_at into former from pgmq_settings.wake_throttles as w where w.queue_table = tg_table_name;
    -- Later than now only after the clock was set back.
    if former between present - throttle and present
        or current_setting('transaction_isolation') <> 'read committed'
    then
        return null;
    end if;
    lock table pgmq_settings.wake_throttles in row exclusive mode;
    perform pgmq_settings.check_own_code(array['pgmq_settings.wake_throttles'::regclass]);
    if former is null then
        if not pg_try_advisory_xact_lock('pgmq_settings.wake_throttles'::regclass::oid::integer, tg_relid::integer) then
            return null;
        end if;
        insert into pgmq_settings.wake_throttles as w values (queue_table, present) on conflict do nothing;
    else
        perform from pgmq_settings.wake_throttles as w
        where w.queue_table = tg_table_name and w.notified_at = former
        for no key update skip locked;
        if found then
            update pgmq_settings.wake_throttles as w set notified_at = present where w.queue_table = tg_table_name;
        end if;
    end if;
    if found then
        perform pgmq_settings.notify_queue(queue_table);
    end if;
    return null;
end;
$wake$;
revoke all on function pgmq_settings.notify_wake from public;
alter function pgmq_settings.notify_wake owner to pgmq_definer;

-- Gives a queue the trigger, or removes it.
create or replace function pgmq_settings.set_wake(queue_table text, wake boolean, throttle_ms integer)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $set$
begin
    execute format('drop trigger if exists pgmq_settings_wake on pgmq.%I', queue_table);
    if wake then
        execute format(
            'create trigger pgmq_settings_wake after insert on pgmq.%I for each statement '
            'execute function pgmq_settings.notify_wake(%s)',
            queue_table, coalesce(throttle_ms, 100));
    else
        -- No sender has locked it, because DROP TRIGGER waits for them.
        delete from pgmq_settings.wake_throttles as w where w.queue_table = set_wake.queue_table;
    end if;
end;
$set$;
revoke all on function pgmq_settings.set_wake from public;
