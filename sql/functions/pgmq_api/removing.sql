-- Deleting and archiving by id, without a lease.

create or replace function pgmq_api.delete(queue_name text, message_id bigint)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $delete$
declare
    deleted integer;
begin
    execute format('delete from pgmq.%I as q where q.msg_id = $1', pgmq.format_table_name(queue_name, 'q'))
    using message_id;
    get diagnostics deleted = row_count;
    return deleted = 1;
end;
$delete$;
comment on function pgmq_api.delete(text, bigint) is
    'Deletes a message permanently, in flight or not; false if there is none with this id. To delete it only if it '
    'was not read again, use ack.';
revoke all on function pgmq_api.delete(text, bigint) from public;
grant execute on function pgmq_api.delete(text, bigint) to anon, authenticated, service_role;

create or replace function pgmq_api.archive(queue_name text, message_id bigint)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $archive$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    archived boolean;
begin
    execute pgmq_settings.removal(table_name, true, 'q.msg_id = $1') || ' select true from settled'
    into archived using message_id;
    return coalesce(archived, false);
end;
$archive$;
comment on function pgmq_api.archive(text, bigint) is
    'Moves a message to the archive of its queue, in flight or not; false if there is none with this id.';
revoke all on function pgmq_api.archive(text, bigint) from public;
grant execute on function pgmq_api.archive(text, bigint) to anon, authenticated, service_role;

create or replace function pgmq_api.delete_batch(queue_name text, message_ids bigint[])
returns setof bigint
language sql
set search_path = pg_catalog, pg_temp
as $delete$
    select * from pgmq_settings.remove_batch(pgmq.format_table_name(queue_name, 'q'), message_ids, false);
$delete$;
comment on function pgmq_api.delete_batch(text, bigint[]) is
    'Deletes up to 10000 messages permanently, in flight or not, and returns the ids of those that were there.';
revoke all on function pgmq_api.delete_batch(text, bigint[]) from public;
grant execute on function pgmq_api.delete_batch(text, bigint[]) to anon, authenticated, service_role;

create or replace function pgmq_api.archive_batch(queue_name text, message_ids bigint[])
returns setof bigint
language sql
set search_path = pg_catalog, pg_temp
as $archive$
    select * from pgmq_settings.remove_batch(pgmq.format_table_name(queue_name, 'q'), message_ids, true);
$archive$;
comment on function pgmq_api.archive_batch(text, bigint[]) is
    'Moves up to 10000 messages to the archive of their queue, in flight or not, and returns the ids of those that '
    'were there.';
revoke all on function pgmq_api.archive_batch(text, bigint[]) from public;
grant execute on function pgmq_api.archive_batch(text, bigint[]) to anon, authenticated, service_role;
