-- The lists of pgmq_api.settle().

-- The members of an object in a list.
create or replace function pgmq_settings.check_settlement(operation text, entry jsonb)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
declare
    found record;
begin
    if jsonb_typeof(entry) is distinct from 'object' or not entry ? 'receipt' then
        raise exception 'an entry to % is neither a receipt nor an object with one: %',
            operation, left(entry::text, 100)
            using errcode = 'invalid_parameter_value', hint = 'For example: {"receipt": "1.1.1796043368362408"}';
    end if;
    for found in
        select e.key, e.value, m.type
        from jsonb_each(entry) as e
        left join (values
            ('retry', 'receipt', 'string'), ('retry', 'delay_seconds', 'number'), ('retry', 'reason', 'string'),
            ('reject', 'receipt', 'string'), ('reject', 'reason', 'string'),
            ('extend', 'receipt', 'string'), ('extend', 'sleep_seconds', 'number')
        ) as m (operation, member, type) on m.operation = check_settlement.operation and m.member = e.key
    loop
        if found.type is null then
            raise exception 'member "%" of an entry to % is unknown', found.key, operation using
                errcode = 'invalid_parameter_value',
                hint = 'Known are receipt; delay_seconds and reason to retry; reason to reject; sleep_seconds to extend.';
        elsif found.value <> 'null' and (
            jsonb_typeof(found.value) <> found.type or found.type = 'number' and found.value::text !~ '^-?[0-9]{1,9}$'
        ) then
            raise exception 'member "%" of an entry to % cannot be %',
                found.key, operation, left(found.value::text, 100)
                using errcode = 'invalid_parameter_value',
                      hint = case found.type when 'number' then 'Use a whole number.' else 'Use a string.' end;
        end if;
    end loop;
end;
$check$;
revoke all on function pgmq_settings.check_settlement from public;
grant execute on function pgmq_settings.check_settlement to anon, authenticated, service_role;

-- Raises unless a reason can be kept in a header.
create or replace function pgmq_settings.check_reason(reason text)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if length(reason) > 1000 then
        raise exception 'a reason of % characters is too long', length(reason) using
            errcode = 'invalid_parameter_value', hint = 'Use at most 1000 characters.';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_reason from public;
grant execute on function pgmq_settings.check_reason to anon, authenticated, service_role;

-- One list of objects, with the seconds and the reason of each.
create or replace function pgmq_settings.settlement(operation text, entries jsonb)
returns pgmq_settings.settlement
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $settlement$
declare
    member constant text := case operation when 'retry' then 'delay_seconds' else 'sleep_seconds' end;
    maximum constant integer := case operation when 'retry' then 31536000 else 604800 end;
    result pgmq_settings.settlement;
begin
    if jsonb_typeof(entries) is distinct from 'array' then
        raise exception 'the list of messages to % must be an array, not %',
            operation, coalesce(jsonb_typeof(entries), 'null')
            using errcode = 'invalid_parameter_value', hint = 'An empty list is [].';
    end if;
    perform pgmq_settings.check_settlement(operation, e)
    from jsonb_array_elements(entries) as e where jsonb_typeof(e) <> 'string';
    result.operation := operation;
    select
        array_agg(coalesce(e ->> 'receipt', e #>> '{}') order by place),
        array_agg((e ->> member)::integer order by place), array_agg(e ->> 'reason' order by place)
    into result.receipts, result.seconds, result.reasons
    from jsonb_array_elements(entries) with ordinality as l (e, place);
    perform pgmq_settings.check_seconds(member, s, maximum)
    from unnest(result.seconds) as s where s not between 0 and maximum;
    perform pgmq_settings.check_reason(r) from unnest(result.reasons) as r where length(r) > 1000;
    return result;
end;
$settlement$;
revoke all on function pgmq_settings.settlement from public;
grant execute on function pgmq_settings.settlement to anon, authenticated, service_role;

-- The lists that are not empty, in the order of their results. Raises for too many receipts, or one that is listed
-- twice.
create or replace function pgmq_settings.settlements(
    acks text[], archives text[], retries jsonb, rejects jsonb, extensions jsonb
)
returns pgmq_settings.settlement[]
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $settlements$
declare
    lists pgmq_settings.settlement[] := '{}';
    list pgmq_settings.settlement;
    receipts text[] := '{}';
begin
    if array_ndims(acks) > 1 or array_ndims(archives) > 1 then
        raise exception 'a list of receipts contains a list' using
            errcode = 'invalid_parameter_value', hint = 'Use a list of strings.';
    end if;
    foreach list in array array[
        row('ack', acks, null, null)::pgmq_settings.settlement,
        row('archive', archives, null, null)::pgmq_settings.settlement,
        case when retries = '[]' then null else pgmq_settings.settlement('retry', retries) end,
        case when rejects = '[]' then null else pgmq_settings.settlement('reject', rejects) end,
        case when extensions = '[]' then null else pgmq_settings.settlement('extend', extensions) end
    ] loop
        if list.receipts <> '{}' then
            lists := lists || list;
            receipts := receipts || list.receipts;
        end if;
    end loop;
    if cardinality(receipts) > 10000 then
        raise exception '% receipts are too many', cardinality(receipts) using
            errcode = 'invalid_parameter_value', hint = 'Settle at most 10000 at once.';
    elsif (select count(distinct r) from unnest(receipts) as r) < cardinality(receipts)
        and not exists (select from unnest(receipts) as r where r is null)
    then
        raise exception 'receipt "%" is listed twice',
            (select left(r, 100) from unnest(receipts) as r group by r having count(*) > 1 limit 1)
            using errcode = 'invalid_parameter_value', hint = 'Settle each message in one way.';
    end if;
    return lists;
end;
$settlements$;
revoke all on function pgmq_settings.settlements from public;
grant execute on function pgmq_settings.settlements to anon, authenticated, service_role;

-- Raises if any outcome is stale or gone, with at most 100 of them.
create or replace function pgmq_settings.check_settled(receipts text[], outcomes text[])
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
declare
    lost constant text[] := array(
        select r.receipt || ' ' || r.outcome
        from unnest(receipts, outcomes) with ordinality as r (receipt, outcome, place)
        where r.outcome in ('stale', 'gone') order by r.place);
begin
    if lost <> '{}' then
        raise sqlstate 'PT409' using
            message = format('%s of %s messages could not be settled', cardinality(lost), cardinality(receipts)),
            detail = array_to_string(lost[:100], ', '),
            hint = 'Nothing was done. Settle the others without these.';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_settled from public;
grant execute on function pgmq_settings.check_settled to anon, authenticated, service_role;

-- Locks the slots of the groups of all messages in some lists, because each list takes those of its own: two calls could
-- deadlock. Messages that are retried or rejected can go to the dead-letter queue: its slots too, whether it has
-- group_limit or not, because the caller may not see its settings.
create or replace function pgmq_settings.lock_groups_of_settlements(queue_table text, lists pgmq_settings.settlement[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $lock$
declare
    settings pgmq_settings.queues;
    groups text[];
    relation text;
begin
    select s.* into settings from pgmq_settings.settings as s
    where s.queue_table = lock_groups_of_settlements.queue_table and s.group_limit is not null;
    if not found then
        return;
    end if;
    groups := pgmq_settings.groups_of(queue_table, array(
        select (pgmq_settings.delivery(r)).msg_id from unnest(lists) as l cross join unnest(l.receipts) as r));
    for relation in
        select queue_table
        union
        select lower('q_' || settings.dead_letter_queue)
        where settings.dead_letter_queue is not null
          and exists (select from unnest(lists) as l where l.operation in ('retry', 'reject'))
        order by 1
    loop
        perform pgmq_settings.lock_groups(relation, groups);
    end loop;
end;
$lock$;
revoke all on function pgmq_settings.lock_groups_of_settlements from public;
grant execute on function pgmq_settings.lock_groups_of_settlements to anon, authenticated, service_role;
