-- The state of the queues for which requests wait: one call for all of them, by their indexes on vt.
--
-- Why SECURITY DEFINER, of pgmq_definer: the login role can read no messages. It learns numbers and times, as from the
-- metrics, and ids, not what messages contain.

-- The tables of queues and archives.
--
-- indexed  whether messages can be found by an index on vt
create or replace view pgmq_gateway.message_tables as
select
    c.oid, c.relname, c.relrowsecurity,
    exists (
        select from pg_catalog.pg_index as i
        join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = c.oid and a.attname = 'vt' and i.indisvalid and i.indpred is null) as indexed
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'pgmq' and c.relkind in ('r', 'p');
grant select on pgmq_gateway.message_tables to pgmq_definer;

-- The state of one queue for each name, in their order.
--
-- queues            lower-case names
-- has_table         whether the queue exists
-- probed            whether the next three could be read; without an index on vt, for example, they are null
-- visible           the number of visible messages, at most 33
-- newest            the time at which the last of them became visible, in seconds since 1970
-- seconds_to_next   until the next message becomes visible, rounded up to milliseconds; null: none will
-- grouped, paused   whether the queue has a group_limit; whether it is paused
-- has_policies      whether policies apply to its messages
-- throttle          seconds after a notification of its setting wake in which there is no other; 0: it has no notifications
create or replace function pgmq_gateway.probe_queues(queues text[])
returns table (
    has_table boolean,
    probed boolean,
    visible integer,
    newest double precision,
    seconds_to_next double precision,
    grouped boolean,
    paused boolean,
    has_policies boolean,
    throttle double precision
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
set lock_timeout = '50ms'
set enable_seqscan = off
set enable_bitmapscan = off
as $probe$
#variable_conflict use_column
declare
    max_visible constant integer := 33;
    queue record;
    present timestamptz;
    next_at timestamptz;
begin
    for queue in
        select
            c.oid, c.relrowsecurity, c.indexed, s.group_limit is not null as grouped,
            coalesce(s.paused, false) as paused,
            case when s.wake then coalesce(s.wake_throttle_ms, 100) / 1000.0 else 0 end as throttle
        from unnest(queues) with ordinality as n (name, place)
        left join pgmq_gateway.message_tables as c on c.relname = ('q_' || n.name)::name
            -- A longer name would be cut, to that of another table.
            and octet_length(n.name) <= 61
        left join pgmq_settings.settings as s on s.queue_table = c.relname::text
        order by n.place
    loop
        has_table := queue.oid is not null;
        has_policies := coalesce(queue.relrowsecurity, false);
        grouped := queue.grouped;
        paused := queue.paused;
        throttle := queue.throttle;
        probed := false;
        visible := null;
        newest := null;
        seconds_to_next := null;
        if queue.indexed then
            begin
                -- Policies would run code of their owner. Nearly everywhere pgmq_definer has BYPASSRLS.
                if row_security_active(queue.oid) then
                    perform pgmq_gateway.check_owners(array[queue.oid]);
                end if;
                present := clock_timestamp();
                execute format(
                    'select count(*), extract(epoch from max(q.vt))'
                    ' from (select q.vt from %s as q where q.vt <= $1 order by q.vt desc limit %s) as q',
                    queue.oid::regclass, max_visible)
                into visible, newest using present;
                execute format(
                    'select q.vt from %s as q where q.vt > $1 and q.vt < ''infinity'' order by q.vt limit 1',
                    queue.oid::regclass)
                into next_at using present;
                seconds_to_next := ceil(1000 * extract(epoch from next_at - present)) / 1000;
                probed := true;
            exception
                -- The queue is locked, was dropped meanwhile, cannot be read, or its index has so many dead entries that
                -- the statement timeout has ended. The others are probed.
                when others or query_canceled then null;
            end;
        end if;
        return next;
    end loop;
end;
$probe$;
revoke all on function pgmq_gateway.probe_queues from public;
alter function pgmq_gateway.probe_queues owner to pgmq_definer;
grant execute on function pgmq_gateway.probe_queues to authenticator;

-- The ids of messages that have become visible in a period, in this order.
--
-- queue_table  the table of a queue
-- since        the beginning of the period; null: now
-- overlap      seconds before that, for messages that were committed later
-- known        ids that were found before
-- known_at     when each of them became visible. One that has become visible again, after a retry, is not known
-- max_ids      the most that are not known
-- recent       those that are known
-- fresh        those that are not
-- times        when they became visible: those of `recent`, then those of `fresh`
-- until        the end of the period, or the time of the last message if there are more
-- complete     whether there are no more
create or replace function pgmq_gateway.found_messages(
    queue_table regclass,
    since timestamptz,
    overlap double precision,
    known bigint[],
    known_at timestamptz[],
    max_ids integer,
    out recent bigint[],
    out fresh bigint[],
    out times timestamptz[],
    out until timestamptz,
    out complete boolean
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
set lock_timeout = '50ms'
set enable_seqscan = off
set enable_bitmapscan = off
as $found$
declare
    present constant timestamptz := clock_timestamp();
    beginning constant timestamptz := coalesce(since, present) - make_interval(secs => overlap);
    max_rows constant bigint := cardinality(known) + max_ids;
begin
    if not exists (
        select from pgmq_gateway.message_tables as c
        where c.oid = queue_table and starts_with(c.relname, 'q_') and c.indexed
    ) then
        raise exception 'table % is not that of a queue with an index on vt', queue_table using errcode = 'GW133';
    end if;
    if row_security_active(queue_table) then
        perform pgmq_gateway.check_owners(array[queue_table::oid]);
    end if;
    execute format(
        'select'
        '    coalesce(array_agg(q.msg_id order by q.vt) filter (where k.known), ''{}''),'
        '    coalesce(array_agg(q.msg_id order by q.vt) filter (where k.known is null), ''{}''),'
        '    coalesce(array_agg(q.vt order by k.known, q.vt), ''{}''),'
        '    count(*) < $4, max(q.vt)'
        ' from (select q.msg_id, q.vt from %s as q where q.vt > $1 and q.vt <= $2 order by q.vt limit $4) as q'
        ' left join (select k.msg_id, k.vt, true from unnest($3, $5) as k (msg_id, vt)) as k (msg_id, vt, known)'
        '     using (msg_id, vt)',
        queue_table)
    into recent, fresh, times, complete, until using beginning, present, known, max_rows, known_at;
    until := case when complete then present else until end;
end;
$found$;
revoke all on function pgmq_gateway.found_messages from public;
alter function pgmq_gateway.found_messages owner to pgmq_definer;
grant execute on function pgmq_gateway.found_messages to authenticator;
