-- Metrics of queues and of the database.
--
-- Why: metrics are scraped every few seconds, from several gateways, and must cost next to nothing however long the
-- queues are. So no queue is read here: the numbers are those of the newest sample of the history. Dead
-- messages are counted when they are buried.
-- Why SECURITY DEFINER: the login role sees neither samples nor other sessions. It learns numbers of queues and ages of
-- transactions, not whose they are nor what they contain. Sessions that the owner cannot see (it is neither a superuser
-- nor in pg_monitor) are left out.

-- All queues together in a row without a name, and `max_queues` of them by name. A sample is valid until two more are
-- missing.
create or replace function pgmq_gateway.queue_metrics(max_queues integer)
returns table (
    queue_name text,
    queues bigint,
    messages bigint,
    visible bigint,
    delayed bigint,
    in_flight bigint,
    parked bigint,
    archived bigint,
    oldest_seconds double precision,
    sent bigint,
    updated bigint,
    deleted bigint,
    archive_inserted bigint,
    max_receives bigint,
    rejected bigint,
    expired bigint,
    failed_burials bigint
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $metrics$
    with newest as materialized (
        select s.*, b.max_receives, b.rejected, b.expired, b.failed from pgmq.meta as q
        cross join lateral (
            select s.* from pgmq_gateway.samples as s
            where s.queue_name = q.queue_name and s.at <= clock_timestamp() + interval '1 minute'
            order by s.at desc
            limit 1
        ) as s
        cross join lateral (
            select
                sum(b.max_receives)::bigint as max_receives, sum(b.rejected)::bigint as rejected,
                sum(b.expired)::bigint as expired, sum(b.failed)::bigint as failed
            from pgmq_settings.burials as b
            where b.queue_table = lower('q_' || q.queue_name)
        ) as b
        where clock_timestamp() - s.at <= make_interval(secs => 2.5 * s.spacing + 5)
    )
    select
        null, (select count(*) from pgmq.meta), sum(n.messages)::bigint, sum(n.visible)::bigint, sum(n.delayed)::bigint,
        sum(n.in_flight)::bigint, sum(n.parked)::bigint, sum(n.archived)::bigint, max(n.oldest_seconds), sum(n.sent)::bigint,
        sum(n.updated)::bigint, sum(n.deleted)::bigint, sum(n.archive_inserted)::bigint, sum(n.max_receives)::bigint,
        sum(n.rejected)::bigint, sum(n.expired)::bigint, sum(n.failed)::bigint
    from newest as n
    union all
    (
        select
            n.queue_name, 1, n.messages, n.visible, n.delayed, n.in_flight, n.parked, n.archived, n.oldest_seconds,
            n.sent, n.updated, n.deleted, n.archive_inserted, coalesce(n.max_receives, 0), coalesce(n.rejected, 0),
            coalesce(n.expired, 0), coalesce(n.failed, 0)
        from newest as n
        order by n.queue_name
        limit max_queues
    );
$metrics$;
revoke all on function pgmq_gateway.queue_metrics from public;
grant execute on function pgmq_gateway.queue_metrics to authenticator;

-- Obstacles to vacuum, and the lag of the standbys.
--
-- oldest_transaction_seconds  0 without a transaction
-- oldest_xmin_transactions    transactions since the oldest snapshot: vacuum keeps the dead rows of all of them
-- lag_bytes                   the part of the log that the slowest standby has not flushed, which a failover to it
--                             would lose; null without a standby
-- maintenance_runs, …_seconds  portions of pgmq_gateway.maintain, of all gateways, and the time that they have taken
create or replace function pgmq_gateway.database_metrics(
    out oldest_transaction_seconds double precision,
    out oldest_xmin_transactions bigint,
    out is_standby boolean,
    out standbys bigint,
    out synchronous_standbys bigint,
    out lag_bytes bigint,
    out maintenance_runs bigint,
    out maintenance_seconds double precision
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $metrics$
    select
        coalesce(extract(epoch from clock_timestamp() - least(
            (select min(xact_start) from pg_catalog.pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()),
            (select min(prepared) from pg_catalog.pg_prepared_xacts where database = current_database())
        )), 0)::double precision,
        coalesce(greatest(
            (select max(age(backend_xmin)) from pg_catalog.pg_stat_activity
                where (datname = current_database() or datname is null) and pid <> pg_backend_pid()),
            (select max(age(transaction)) from pg_catalog.pg_prepared_xacts where database = current_database()),
            (select max(age(xmin)) from pg_catalog.pg_replication_slots)
        ), 0)::bigint,
        pg_is_in_recovery(),
        count(*),
        count(*) filter (where r.sync_state in ('sync', 'quorum')),
        max(case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_lsn(), r.flush_lsn) end)::bigint,
        coalesce((select m.runs from pgmq_gateway.maintenance as m), 0),
        coalesce((select m.seconds from pgmq_gateway.maintenance as m), 0)
    from pg_catalog.pg_stat_replication as r;
$metrics$;
revoke all on function pgmq_gateway.database_metrics from public;
grant execute on function pgmq_gateway.database_metrics to authenticator;
