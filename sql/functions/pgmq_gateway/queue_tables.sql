-- Raises unless the queue exists.
create or replace function pgmq_gateway.check_queue_exists(queue_name text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if not exists (select from pgmq.meta as m where m.queue_name = check_queue_exists.queue_name) then
        raise exception 'queue "%" does not exist', queue_name using
            errcode = 'undefined_table',
            hint = 'pgmq_admin.list_queues() lists all queues.';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_queue_exists from public;
grant execute on function pgmq_gateway.check_queue_exists to service_role;

-- The tables of a queue. Raises unless the queue and both of them exist.
create or replace function pgmq_gateway.queue_tables(
    queue_name text, out queue_table regclass, out archive_table regclass
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $tables$
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    queue_table := to_regclass(format('pgmq.%I', pgmq.format_table_name(queue_name, 'q')));
    archive_table := to_regclass(format('pgmq.%I', pgmq.format_table_name(queue_name, 'a')));
    if queue_table is null or archive_table is null then
        raise exception 'a table of queue "%" is missing', queue_name using
            errcode = 'undefined_table',
            hint = 'Drop the rest of the queue with pgmq_admin.drop_queue().';
    end if;
end;
$tables$;
revoke all on function pgmq_gateway.queue_tables from public;

-- The name of a queue's table (q) or archive (a).
create or replace function pgmq_gateway.message_table(queue_name text, prefix text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $table$
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    return pgmq.format_table_name(queue_name, prefix);
end;
$table$;
revoke all on function pgmq_gateway.message_table from public;
grant execute on function pgmq_gateway.message_table to service_role;

-- True if all of these tables have a column: last_read_at came with pgmq 1.10.
create or replace function pgmq_gateway.have_column(column_name name, variadic tables text[])
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $have$
    select bool_and(exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = to_regclass(format('pgmq.%I', t)) and a.attname = column_name and not a.attisdropped))
    from unnest(tables) as t;
$have$;
revoke all on function pgmq_gateway.have_column from public;
grant execute on function pgmq_gateway.have_column to service_role;
