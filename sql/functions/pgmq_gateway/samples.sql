-- Takes a sample of all queues unless there is one that is younger than `spacing` seconds, however many ask; gives the
-- seconds until the next is due. keep_days: how long samples are kept, of the first day all.
create or replace function pgmq_gateway.take_sample(spacing double precision, keep_days double precision)
returns double precision
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $take$
declare
    last timestamptz;
    due timestamptz;
    present timestamptz;
begin
    -- Who comes while another takes it has nothing to do, and nor has a standby.
    if spacing <= 0 or pg_is_in_recovery() or not pg_try_advisory_xact_lock(hashtext('pgmq_gateway.take_sample')) then
        return greatest(spacing, 1);
    end if;
    -- Not now(): the transaction may have begun while another one took its sample.
    present := clock_timestamp();
    select max(s.at) into last from pgmq_gateway.samples as s where s.at <= present + interval '1 minute';
    due := last + make_interval(secs => spacing);
    if due > present then
        return extract(epoch from due - present);
    end if;
    insert into pgmq_gateway.samples
    select
        q.queue_name, present, take_sample.spacing, last is null or last < date_bin('5 minutes', present, 'epoch'),
        q.messages, q.visible, q.delayed, q.in_flight, q.archived, q.oldest_seconds,
        q.sent, q.updated, q.deleted, q.archive_inserted
    from pgmq_gateway.queues as q;
    delete from pgmq_gateway.samples as s where not s.lasting and s.at < present - interval '1 day';
    delete from pgmq_gateway.samples as s where s.lasting and s.at < present - make_interval(secs => keep_days * 86400);
    -- Dropped without pgmq_admin.drop_queue.
    delete from pgmq_gateway.samples as s
    where s.at = last and not exists (select from pgmq.meta as m where m.queue_name = s.queue_name);
    return spacing;
end;
$take$;
revoke all on function pgmq_gateway.take_sample from public;
grant execute on function pgmq_gateway.take_sample to authenticator;
