create or replace function pgmq_admin.database_status(
    out postgres_version text,
    out pgmq_version text,
    out partman_version text,
    out started_at timestamptz,
    out is_standby boolean,
    out connections bigint,
    out max_connections integer,
    out oldest_transaction_seconds double precision,
    out database_bytes bigint,
    out live_tuples bigint,
    out dead_tuples bigint,
    out cache_hit_ratio double precision,
    out transactions_committed bigint,
    out transactions_rolled_back bigint,
    out deadlocks bigint
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $status$
    select
        current_setting('server_version'),
        coalesce(
            (select extversion from pg_catalog.pg_extension where extname = 'pgmq'),
            -- The installer's comment, where it ran pgmq's own SQL.
            substring(obj_description('pgmq'::regnamespace, 'pg_namespace') from '^pgmq ([0-9.]+)')
        ),
        (select extversion from pg_catalog.pg_extension where extname = 'pg_partman'),
        pg_postmaster_start_time(),
        pg_is_in_recovery(),
        (select sum(numbackends) from pg_catalog.pg_stat_database),
        current_setting('max_connections')::integer,
        -- Vacuum keeps all rows deleted since. Prepared transactions count: they are easily forgotten.
        extract(epoch from clock_timestamp() - least(
            (select min(xact_start) from pg_catalog.pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()),
            (select min(prepared) from pg_catalog.pg_prepared_xacts where database = current_database())
        ))::double precision,
        pg_database_size(current_database()),
        tables.live,
        tables.dead,
        d.blks_hit / nullif(d.blks_hit + d.blks_read, 0)::double precision,
        d.xact_commit,
        d.xact_rollback,
        d.deadlocks
    from pg_catalog.pg_stat_database as d, (
        select
            coalesce(sum(pg_stat_get_live_tuples(oid)), 0)::bigint as live,
            coalesce(sum(pg_stat_get_dead_tuples(oid)), 0)::bigint as dead
        from pg_catalog.pg_class
        where relnamespace = 'pgmq'::regnamespace and relkind = 'r'
    ) as tables
    where d.datname = current_database();
$status$;
comment on function pgmq_admin.database_status is
    'Versions, connections, the age of the oldest transaction, size, live and dead rows of all queues, and the '
    'share of reads served from memory.';
revoke all on function pgmq_admin.database_status from public;
grant execute on function pgmq_admin.database_status to service_role;
