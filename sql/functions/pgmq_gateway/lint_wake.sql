-- The rules of pgmq_admin.lint() about queues with the setting wake.
create or replace function pgmq_gateway.lint_wake(only_queue text)
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    with woken as (
        select q.queue_name, q.queue_table
        from pgmq_gateway.selected_queues(only_queue) as q
        join pgmq_settings.queues as s on s.queue_table = lower('q_' || q.queue_name)
        where s.wake
    )
    select
        w.queue_name, 'notified_twice', 'warning',
        'Sends are announced twice: by the setting wake, for gateways, and by the trigger of pgmq.',
        format('If no other client listens to pgmq.%s.INSERT, run pgmq_admin.disable_notify(%L).',
            lower('q_' || w.queue_name), w.queue_name)
    from woken as w
    where exists (
        select from pg_trigger as t
        where t.tgrelid = w.queue_table and t.tgname = 'trigger_notify_queue_insert_listeners')
    union all
    select
        w.queue_name, 'wake_without_trigger', 'warning',
        'The queue has the setting wake, but sends are not announced: its trigger is missing, as after a partial restore.',
        format('pgmq_admin.set_queue_settings(%L, ''{"wake": true}'') restores it.', w.queue_name)
    from woken as w
    where not exists (select from pgmq_gateway.wake_triggers(array[w.queue_table::oid]));
$lint$;
revoke all on function pgmq_gateway.lint_wake from public;
