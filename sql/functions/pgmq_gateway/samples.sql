-- Takes a sample of all queues unless there is one younger than `spacing` seconds, however many sessions ask. Returns
-- the seconds until the next sample is due. keep_days: how long samples are kept, all of them for the first day.
--
-- With more than 500 queues samples are further apart, so that the rows that are written in a day are bounded.
--
-- SECURITY DEFINER: the login role, which sees no queue, learns nothing but the time of the next sample.
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
    -- Nothing to do while another session takes the sample, or on a standby.
    if spacing <= 0 or pg_is_in_recovery() or not pg_try_advisory_xact_lock(hashtext('pgmq_gateway.take_sample')) then
        return greatest(spacing, 1);
    end if;
    spacing := spacing * greatest(1, ceil((select count(*) from pgmq.meta) / 500.0));
    -- Not now(): the transaction may have started while another one took its sample.
    present := clock_timestamp();
    select max(s.at) into last from pgmq_gateway.samples as s where s.at <= present + interval '1 minute';
    due := last + make_interval(secs => spacing);
    if due > present then
        return extract(epoch from due - present);
    end if;
    perform pgmq_gateway.check_foreign_code(array['pgmq_gateway.samples'::regclass]);
    insert into pgmq_gateway.samples (
        queue_name, at, spacing, lasting, messages, visible, delayed, in_flight, parked, archived, oldest_seconds,
        sent, updated, deleted, archive_inserted
    )
    select
        q.queue_name, present, take_sample.spacing, last is null or last < date_bin('5 minutes', present, 'epoch'),
        q.messages, q.visible, q.delayed, q.in_flight, q.parked, q.archived, q.oldest_seconds,
        q.sent, q.updated, q.deleted, q.archive_inserted
    from pgmq_gateway.queues as q;
    delete from pgmq_gateway.samples as s where not s.lasting and s.at < present - interval '1 day';
    delete from pgmq_gateway.samples as s where s.lasting and s.at < present - make_interval(secs => keep_days * 86400);
    -- Of queues that were dropped without pgmq_admin.drop_queue().
    delete from pgmq_gateway.samples as s
    where s.at = last and not exists (select from pgmq.meta as m where m.queue_name = s.queue_name);
    return spacing;
end;
$take$;
revoke all on function pgmq_gateway.take_sample from public;
grant execute on function pgmq_gateway.take_sample to authenticator;

-- Raises unless there can be a history for these arguments.
create or replace function pgmq_gateway.check_history(queue_name text, since timestamptz, buckets integer)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
declare
    max_buckets constant integer := 2000;
begin
    if queue_name is not null then
        perform pgmq_gateway.check_queue_exists(queue_name);
    end if;
    if buckets is null or buckets not between 1 and max_buckets then
        raise exception 'buckets is %, but must be between 1 and %', coalesce(buckets::text, 'null'), max_buckets using
            errcode = 'invalid_parameter_value',
            hint = 'It is the number of points in time to return: 120 for example.';
    elsif since is null or since >= clock_timestamp() or since < clock_timestamp() - interval '10 years' then
        raise exception 'since is %, but must be a time in the last ten years', coalesce(since::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'It is the time that the history starts at.';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_history from public;

-- The functions of history() that find samples. Without a search_path of their own they are inlined: a call for each
-- point in time would take longer than the search. They return columns: with rows of the table as their type, it could
-- not be dropped.

-- The time for which a sample is valid: until two more are missing. After a day one in five minutes is left.
create or replace function pgmq_gateway.sample_validity(at timestamptz, spacing real)
returns interval
language sql
stable
as $validity$
    select make_interval(secs => greatest(2.5 * spacing, case when at < now() - interval '1 day' then 660 end));
$validity$;
revoke all on function pgmq_gateway.sample_validity from public;

-- The sample that is valid at a time.
create or replace function pgmq_gateway.last_sample(queue_name text, present timestamptz)
returns table (
    at timestamptz, messages bigint, visible bigint, delayed bigint, in_flight bigint, parked bigint, archived bigint,
    oldest_seconds double precision, sent bigint, updated bigint, deleted bigint, archive_inserted bigint
)
language sql
stable
as $last$
    select
        last.at, last.messages, last.visible, last.delayed, last.in_flight, last.parked, last.archived,
        last.oldest_seconds, last.sent, last.updated, last.deleted, last.archive_inserted
    from (
        select s.* from pgmq_gateway.samples as s
        where s.queue_name = last_sample.queue_name and s.at <= present
        order by s.at desc
        limit 1
    ) as last
    where present - last.at <= pgmq_gateway.sample_validity(last.at, last.spacing);
$last$;
revoke all on function pgmq_gateway.last_sample from public;

-- The sample that a rate up to the sample at `until` is counted from: the last one before the step that begins at
-- `since`, if it is valid then; else the first one of the step.
create or replace function pgmq_gateway.first_sample(queue_name text, since timestamptz, until timestamptz)
returns table (at timestamptz, sent bigint, updated bigint, deleted bigint, archive_inserted bigint)
language sql
stable
as $first$
    select nearest.at, nearest.sent, nearest.updated, nearest.deleted, nearest.archive_inserted
    from (
        select s.* from pgmq_gateway.samples as s
        where s.queue_name = first_sample.queue_name and s.at < until and s.at <= since
        order by s.at desc
        limit 1
    ) as nearest
    where least(until, since) - nearest.at <= pgmq_gateway.sample_validity(nearest.at, nearest.spacing)
    union all
    (
        select s.at, s.sent, s.updated, s.deleted, s.archive_inserted
        from pgmq_gateway.samples as s
        where s.queue_name = first_sample.queue_name and s.at < until and s.at > since
        order by s.at
        limit 1
    )
    order by at
    limit 1;
$first$;
revoke all on function pgmq_gateway.first_sample from public;
