-- Deletes actions that are older than 90 days, the oldest first, and returns how many. For the background.
create or replace function pgmq_gateway.delete_old_actions(max_actions integer default 5000)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $delete$
declare
    oldest constant timestamptz := clock_timestamp() - interval '90 days';
    deleted integer;
begin
    if not exists (select from pgmq_gateway.actions as a where a.at < oldest) then
        return 0;
    end if;
    perform pgmq_gateway.check_foreign_code(array['pgmq_gateway.actions'::regclass]);
    delete from pgmq_gateway.actions as a
    where a.id in (
        select o.id from pgmq_gateway.actions as o
        where o.at < oldest order by o.at limit max_actions for update skip locked
    );
    get diagnostics deleted = row_count;
    return deleted;
end;
$delete$;
revoke all on function pgmq_gateway.delete_old_actions from public;
