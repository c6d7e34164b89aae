-- Checks of set_queue_settings(), and what it creates.

-- Raises unless a queue can have this dead-letter queue: it must exist, and following dead-letter queues must not lead
-- back. A message would be moved in circles forever.
create or replace function pgmq_settings.check_dead_letter_queue(queue_name text, dead_letter_queue text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if dead_letter_queue is null then
        return;
    end if;
    perform pgmq_gateway.check_queue_exists(dead_letter_queue);
    if exists (
        with recursive path (queue_table) as (
            select lower('q_' || check_dead_letter_queue.dead_letter_queue)
            union
            select lower('q_' || s.dead_letter_queue)
            from path as p
            join pgmq_settings.queues as s on s.queue_table = p.queue_table
            where s.dead_letter_queue is not null
        )
        select from path as p where p.queue_table = lower('q_' || check_dead_letter_queue.queue_name)
    ) then
        raise exception 'queue "%" cannot be the dead-letter queue of "%": dead messages would return to it',
            dead_letter_queue, queue_name
            using errcode = 'invalid_parameter_value', hint = 'Use a queue whose own dead letters go elsewhere.';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_dead_letter_queue from public;

-- Refuses messages of more bytes than a queue accepts, however they are sent. A trigger, not a CHECK: each read is an
-- UPDATE, at which Postgres would evaluate a CHECK again. Null removes the limit.
create or replace function pgmq_settings.limit_message_bytes(queue_table text, bytes integer)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $limit$
begin
    execute format('drop trigger if exists pgmq_settings_message_bytes on pgmq.%I', queue_table);
    if bytes is not null then
        execute format(
            'create trigger pgmq_settings_message_bytes before insert on pgmq.%I for each row '
            'when (octet_length(new.message::text) > %s) execute function pgmq_settings.refuse_message_bytes(%2$s)',
            queue_table, bytes);
    end if;
end;
$limit$;
revoke all on function pgmq_settings.limit_message_bytes from public;

-- Runs as the role that inserts, and only raises.
create or replace function pgmq_settings.refuse_message_bytes()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $refuse$
begin
    raise sqlstate 'PT413' using
        message = format('a message of %s bytes is too large for this queue', octet_length(new.message::text)),
        hint = format('The queue accepts messages of at most %s bytes.', tg_argv[0]);
end;
$refuse$;
revoke all on function pgmq_settings.refuse_message_bytes from public;
