-- The foreign keys of queue settings to pgmq's list of queues.
--
-- Why: settings go with their queue, however it is dropped, and a queue that is dropped is no dead-letter queue any more.
-- The keys are lost when pgmq is dropped. Where the installer has no REFERENCES on pgmq.meta there are none; then rows of
-- dropped queues are deleted in the background, and before a queue is created.

-- The missing keys, each with the statements that create it.
create or replace function pgmq_gateway.missing_setting_keys()
returns table (what text, statement text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $missing$
    select
        format('foreign key %s of table pgmq_settings.queues', k.name),
        format(
            '%s where s.%2$I is not null and not exists (select from pgmq.meta as m where m.queue_name = s.%2$I); '
            'alter table pgmq_settings.queues add constraint %3$I foreign key (%2$I) '
            'references pgmq.meta (queue_name) on delete %4$s',
            k.clearing, k.column_name, k.name, k.action)
    from (values
        ('queues_queue_name_fkey', 'queue_name', 'delete from pgmq_settings.queues as s', 'cascade'),
        ('queues_dead_letter_queue_fkey', 'dead_letter_queue',
            'update pgmq_settings.queues as s set dead_letter_queue = null', 'set null')
    ) as k (name, column_name, clearing, action)
    where has_table_privilege(to_regclass('pgmq.meta'), 'REFERENCES')
      and to_regclass('pgmq_settings.queues') is not null
      and not exists (
          select from pg_constraint as c
          where c.conrelid = to_regclass('pgmq_settings.queues') and c.conname = k.name);
$missing$;
revoke all on function pgmq_gateway.missing_setting_keys from public;
