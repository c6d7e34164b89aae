-- Deletes ids for deduplication that can be used again, the oldest first, and returns how many. For the background.
create or replace function pgmq_gateway.delete_expired_ids(max_ids integer default 5000)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $delete$
declare
    deleted integer;
begin
    if not exists (select from pgmq_settings.deduplication_ids as d where d.expires_at <= clock_timestamp()) then
        return 0;
    end if;
    perform pgmq_gateway.check_foreign_code(array['pgmq_settings.deduplication_ids'::regclass]);
    delete from pgmq_settings.deduplication_ids as d
    where (d.queue_table, d.caller, d.deduplication_id) in (
        select e.queue_table, e.caller, e.deduplication_id from pgmq_settings.deduplication_ids as e
        where e.expires_at <= clock_timestamp()
        order by e.expires_at
        limit max_ids
        for update skip locked
    );
    get diagnostics deleted = row_count;
    return deleted;
end;
$delete$;
revoke all on function pgmq_gateway.delete_expired_ids from public;
