-- Several calls as one statement, in the role of their caller. Each call has the result that it would have alone; if one
-- of them fails, so does the statement, and the gateway runs them one by one.
--
-- The functions return one row for each call, in order, or none: then an argument is one with which the calls have to be
-- run one by one, and nothing was done.
--
-- SECURITY INVOKER, for the login role only, as in `calls.sql`. Their search_path is that of the functions of
-- pgmq_public, because it applies to policies.
--
-- statement  from `fused_statement`
-- given      the arguments of each call

-- signatures  as in `calls`: whether a call has sleep_seconds; null is not the default
create or replace function pgmq_gateway.fused_send(
    role text, statement text, signatures text[], given json[], out row_count bigint, out body text
)
returns setof record
language plpgsql
set search_path = ''
as $send$
declare
    max_batch constant integer := coalesce(nullif(current_setting('pgmq_gateway.max_batch', true), '')::integer, 100000);
    sizes integer[];
    visible_at timestamptz[];
    messages jsonb[];
    ids bigint[];
begin
    with sent as materialized (
        select
            c.number, case when c.signature like 'send(%' then array[s.message] else s.messages end as messages,
            clock_timestamp() + make_interval(
                secs => case when c.signature like '%sleep_seconds%' then s.sleep_seconds else 0 end) as vt
        from unnest(given, signatures) with ordinality as c (arguments, signature, number),
            json_to_record(c.arguments) as s (message jsonb, messages jsonb[], sleep_seconds integer)
    )
    select
        array(select coalesce(cardinality(s.messages), 0) from sent as s order by s.number),
        m.times, m.messages
    into sizes, visible_at, messages
    from (
        select array_agg(s.vt order by s.number, m.place) as times, array_agg(m.message order by s.number, m.place)
        from sent as s, unnest(s.messages) with ordinality as m (message, place)
    ) as m (times, messages);
    if not 0 < all (sizes) or (signatures[1] like 'send_batch%' and not max_batch >= all (sizes)) then
        return;
    end if;
    role := set_config('role', role, true);
    execute statement into ids using visible_at, messages;
    role := set_config('role', 'none', true);
    return query
    select s.size::bigint, '[' || array_to_string(ids[s.last - s.size + 1 : s.last], ', ') || ']'
    from (
        select c.number, c.size, sum(c.size) over (order by c.number)::integer as last
        from unnest(sizes) with ordinality as c (size, number)
    ) as s
    order by s.number;
end;
$send$;
revoke all on function pgmq_gateway.fused_send from public;
grant execute on function pgmq_gateway.fused_send to authenticator;

-- One claim for all calls, dealt out in their order: none gets more than it asked for.
create or replace function pgmq_gateway.fused_receive(
    role text, statement text, signatures text[], given json[], out row_count bigint, out body text
)
returns setof record
language plpgsql
set search_path = ''
as $receive$
declare
    max_read constant integer := coalesce(nullif(current_setting('pgmq_gateway.max_read', true), '')::integer, 10000);
    firsts bigint[];
    leases integer[];
    total bigint;
    counts bigint[] := array_fill(0::bigint, array[cardinality(given)]);
    bodies text[] := array_fill('[]'::text, array[cardinality(given)]);
    received record;
begin
    -- A pop takes one message and has no lease. A message whose lease ends at once could be read by the next call.
    select
        array_agg(1 + c.last - c.wanted order by c.number), array_agg(c.lease order by c.number),
        case when bool_and(coalesce(c.wanted > 0 and c.lease > 0, false)) then sum(c.wanted) end
    into firsts, leases, total
    from (
        select a.number, a.wanted, a.lease, sum(a.wanted) over (order by a.number) as last
        from (
            select
                g.number, case when g.signature like 'pop%' then 1 else s.n end as wanted,
                case when g.signature like 'pop%' then 1 else s.sleep_seconds end as lease
            from unnest(given, signatures) with ordinality as g (arguments, signature, number),
                json_to_record(g.arguments) as s (sleep_seconds integer, n integer)
        ) as a
    ) as c;
    if total is null or total > max_read then
        return;
    end if;
    role := set_config('role', role, true);
    for received in execute statement using clock_timestamp(), total, firsts, leases loop
        counts[received.call] := received.count;
        bodies[received.call] := received.json_agg;
    end loop;
    role := set_config('role', 'none', true);
    return query select c.row_count, c.body from unnest(counts, bodies) as c (row_count, body);
end;
$receive$;
revoke all on function pgmq_gateway.fused_receive from public;
grant execute on function pgmq_gateway.fused_receive to authenticator;

-- Of several calls with one id, the first settles the message.
--
-- Settings: with a scan of the primary key, messages are locked in the order of their ids, as one by one.
create or replace function pgmq_gateway.fused_settle(
    role text, statement text, signatures text[], given json[], out row_count bigint, out body text
)
returns setof record
language plpgsql
set search_path = ''
set enable_seqscan = off
set enable_bitmapscan = off
as $settle$
declare
    ids constant bigint[] := array(
        select s.message_id
        from unnest(given) with ordinality as g (arguments, number),
            json_to_record(g.arguments) as s (message_id bigint)
        order by g.number);
    settled bigint[];
begin
    role := set_config('role', role, true);
    execute statement into settled using ids;
    role := set_config('role', 'none', true);
    return query
    select
        1::bigint,
        case when i.id = any (settled) and row_number() over (partition by i.id order by i.number) = 1
            then 'true' else 'false' end
    from unnest(ids) with ordinality as i (id, number)
    order by i.number;
end;
$settle$;
revoke all on function pgmq_gateway.fused_settle from public;
grant execute on function pgmq_gateway.fused_settle to authenticator;

-- Whether a role may execute all functions that one of the calls would execute.
create or replace function pgmq_gateway.may_execute(role text, fusion json)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $may$
declare
    -- As a constant, it is cast once.
    routines constant oid[] := fusion ->> 'routines';
begin
    return has_schema_privilege(role, 'pgmq_public', 'usage') and (
        select bool_and(has_function_privilege(role, r.oid, 'execute')) from unnest(routines) as r (oid));
end;
$may$;
revoke all on function pgmq_gateway.may_execute from public;
grant execute on function pgmq_gateway.may_execute to authenticator;

-- Runs calls by the function for their kind.
--
-- fusion  from the function of this name
create or replace function pgmq_gateway.fused_calls(
    role text, fusion json, signatures text[], given json[], out row_count bigint, out body text
)
returns setof record
language plpgsql
as $fused$
declare
    statement constant text := fusion ->> 'statement';
begin
    case fusion ->> 'kind'
        when 'send' then
            return query select f.* from pgmq_gateway.fused_send(role, statement, signatures, given) as f;
        when 'receive' then
            return query select f.* from pgmq_gateway.fused_receive(role, statement, signatures, given) as f;
        when 'settle' then
            return query select f.* from pgmq_gateway.fused_settle(role, statement, signatures, given) as f;
    end case;
end;
$fused$;
revoke all on function pgmq_gateway.fused_calls from public;
grant execute on function pgmq_gateway.fused_calls to authenticator;
