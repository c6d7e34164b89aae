-- Waits until no other transaction changes privileges through these functions. Without that, of two GRANTs on one object
-- one fails: Postgres raises "tuple concurrently updated".
create or replace function pgmq_gateway.lock_privileges()
returns void
language sql
set search_path = pg_catalog, pg_temp
as $lock$
    select pg_advisory_xact_lock(hashtext('pgmq_gateway.lock_privileges'));
$lock$;
revoke all on function pgmq_gateway.lock_privileges from public;

-- The privileges on the tables of a queue that a role lacks for an operation.
create or replace function pgmq_gateway.missing_privileges(
    queue_table regclass, archive_table regclass, role oid, operation text
)
returns table (on_table regclass, privilege text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $missing$
    select t.oid, n.privilege
    from pgmq_gateway.operation_columns() as n
    cross join lateral (select case n.on_table when 'queue' then queue_table else archive_table end) as t (oid)
    where n.operation = missing_privileges.operation
      and case
          when n.privilege = 'DELETE' then not has_table_privilege(role, t.oid, 'DELETE')
          when n.columns = '{}' then not has_any_column_privilege(role, t.oid, n.privilege)
          else not has_table_privilege(role, t.oid, n.privilege) and exists (
              select from pg_attribute as a
              where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
                and (n.columns is null or a.attname = any (n.columns))
                and not has_column_privilege(role, t.oid, a.attnum, n.privilege))
      end;
$missing$;
revoke all on function pgmq_gateway.missing_privileges from public;

-- The operations for which a role has all privileges on the tables, its own or those of a role that it is a member of.
create or replace function pgmq_gateway.table_operations(queue_name text, role name)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $held$
    select coalesce(array_agg(o.operation order by o.place), '{}')
    from pgmq_gateway.queue_tables(queue_name) as t
    cross join pgmq_gateway.operation_privileges() with ordinality as o (operation, on_queue, on_archive, place)
    where not exists (
        select from pgmq_gateway.missing_privileges(
            t.queue_table, t.archive_table, to_regrole(quote_ident(role))::oid, o.operation)
    );
$held$;
revoke all on function pgmq_gateway.table_operations from public;

-- The privileges that a role lacks to send to a queue with notifications: a send records the time of the last one.
create or replace function pgmq_gateway.missing_throttle_privileges(queue_table regclass, role oid)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $throttle$
    select concat_ws(
        ', ',
        case when exists (
            select from unnest(array['queue_name', 'throttle_interval_ms', 'last_notified_at']) as c
            where not has_column_privilege(role, throttle.oid, c, 'SELECT')
        ) then 'SELECT' end,
        case when not has_column_privilege(role, throttle.oid, 'last_notified_at', 'UPDATE') then 'UPDATE' end)
    from pg_trigger as t
    join pg_proc as p on p.oid = t.tgfoid
    cross join to_regclass('pgmq.notify_insert_throttle') as throttle (oid)
    where t.tgrelid = queue_table
      and t.tgname = 'trigger_notify_queue_insert_listeners'
      and t.tgenabled in ('O', 'A')
      and not p.prosecdef
      and throttle.oid is not null;
$throttle$;
revoke all on function pgmq_gateway.missing_throttle_privileges from public;
