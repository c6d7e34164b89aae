-- Several calls as one statement, in the role of their caller. Each call has the result that it would have alone; if one
-- of them fails, so does the statement, and the gateway runs them one by one.
--
-- The functions return the number of rows and the body of each call, in order, or nothing: then an argument is one with
-- which the calls have to be run one by one, and nothing was done.
--
-- SECURITY INVOKER, for the login role only, as in `calls.sql`. Their search_path is that of the functions of
-- pgmq_public, because policies are evaluated with it. With it Postgres looks for types in pg_temp first, so their names
-- are qualified.
--
-- Arrays keep the order of the calls: unnest produces elements in order, and nothing between it and array_agg sorts.
--
-- statement   from `fused_statement`
-- signatures  as in `calls`
-- given       the arguments of each call

-- fusion  from the function of this name
create or replace function pgmq_gateway.fused_calls(
    role text, fusion json, signatures text[], given json[], out row_counts bigint[], out bodies text[]
)
language plpgsql
set search_path = ''
as $fused$
declare
    statement constant pg_catalog.text := fusion ->> 'statement';
    fused pg_catalog.record;
begin
    if pgmq_gateway.may_execute(role, fusion) is not true then
        return;
    end if;
    case fusion ->> 'kind'
        when 'send' then fused := pgmq_gateway.fused_send(role, statement, signatures, given);
        when 'send_batch' then fused := pgmq_gateway.fused_send_batch(role, statement, signatures, given);
        when 'receive' then fused := pgmq_gateway.fused_receive(role, statement, signatures, given);
        when 'settle' then fused := pgmq_gateway.fused_settle(role, statement, signatures, given);
        when 'leases' then fused := pgmq_gateway.fused_leases(role, fusion ->> 'function', given);
    end case;
    bodies := fused.bodies;
    row_counts := fused.row_counts;
    if cardinality(bodies) <> cardinality(given) then
        raise exception 'one statement for % calls returned % results', cardinality(given), cardinality(bodies);
    end if;
end;
$fused$;
revoke all on function pgmq_gateway.fused_calls from public;
grant execute on function pgmq_gateway.fused_calls to authenticator;

-- True if a role may execute all functions that one of the calls would execute. Privileges on the schema pgmq and on
-- tables are checked when the statement runs.
create or replace function pgmq_gateway.may_execute(role text, fusion json)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $may$
declare
    -- A constant is cast once.
    routines constant oid[] := fusion ->> 'routines';
begin
    return has_schema_privilege(role, fusion ->> 'schema', 'usage') and (
        select bool_and(has_function_privilege(role, r.oid, 'execute')) from unnest(routines) as r (oid));
end;
$may$;
revoke all on function pgmq_gateway.may_execute from public;
grant execute on function pgmq_gateway.may_execute to authenticator;

-- A sleep_seconds of null is not the default, and fails.
create or replace function pgmq_gateway.fused_send(
    role text, statement text, signatures text[], given json[], out row_counts bigint[], out bodies text[]
)
language plpgsql
set search_path = ''
as $send$
declare
    visible_at pg_catalog.timestamptz[];
    messages pg_catalog.jsonb[];
    ids bigint[];
begin
    select
        array_agg(clock_timestamp() + make_interval(
            secs => case when c.signature like '%sleep_seconds%' then s.sleep_seconds else 0 end)),
        array_agg(s.message)
    into visible_at, messages
    from unnest(given, signatures) as c (arguments, signature),
        json_to_record(c.arguments) as s (message pg_catalog.jsonb, sleep_seconds integer);
    role := set_config('role', role, true);
    execute statement into ids using visible_at, messages;
    role := set_config('role', 'none', true);
    row_counts := array_fill(1, array[cardinality(ids)]);
    bodies := array(select '[' || i.id || ']' from unnest(ids) as i (id));
end;
$send$;
revoke all on function pgmq_gateway.fused_send from public;
grant execute on function pgmq_gateway.fused_send to authenticator;

create or replace function pgmq_gateway.fused_send_batch(
    role text, statement text, signatures text[], given json[], out row_counts bigint[], out bodies text[]
)
language plpgsql
set search_path = ''
as $send_batch$
declare
    max_batch constant integer := coalesce(nullif(current_setting('pgmq_gateway.max_batch', true), '')::integer, 100000);
    visible_at pg_catalog.timestamptz[];
    messages pg_catalog.jsonb[];
    ids bigint[];
    first integer := 1;
begin
    with batches as materialized (
        select
            s.messages, coalesce(cardinality(s.messages), 0) as size,
            clock_timestamp() + make_interval(
                secs => case when c.signature like '%sleep_seconds%' then s.sleep_seconds else 0 end) as visible_at
        from unnest(given, signatures) as c (arguments, signature),
            json_to_record(c.arguments) as s (messages pg_catalog.jsonb[], sleep_seconds integer)
    )
    select array(select b.size from batches as b), m.times, m.messages
    into row_counts, visible_at, messages
    from (
        select array_agg(b.visible_at), array_agg(m.message) from batches as b, unnest(b.messages) as m (message)
    ) as m (times, messages);
    if not 0 < all (row_counts) or not max_batch >= all (row_counts) then
        row_counts := null;
        return;
    end if;
    role := set_config('role', role, true);
    execute statement into ids using visible_at, messages;
    role := set_config('role', 'none', true);
    if cardinality(ids) is distinct from cardinality(messages) then
        raise exception 'an INSERT of % messages returned % ids', cardinality(messages), cardinality(ids);
    end if;
    for number in 1 .. cardinality(given) loop
        bodies[number] := '[' || array_to_string(ids[first : first + row_counts[number] - 1], ', ') || ']';
        first := first + row_counts[number];
    end loop;
end;
$send_batch$;
revoke all on function pgmq_gateway.fused_send_batch from public;
grant execute on function pgmq_gateway.fused_send_batch to authenticator;

-- One claim for all reads, dealt out in their order: none gets more than it asked for. A pop takes one message, and its
-- statement ignores the lease.
create or replace function pgmq_gateway.fused_receive(
    role text, statement text, signatures text[], given json[], out row_counts bigint[], out bodies text[]
)
language plpgsql
set search_path = ''
as $receive$
declare
    -- To claim more, Postgres can prefer to scan the whole queue.
    max_total constant integer := least(
        1000, coalesce(nullif(current_setting('pgmq_gateway.max_read', true), '')::integer, 10000)
    );
    firsts bigint[];
    leases integer[];
    total bigint := 0;
    got bigint := 0;
    wanted integer;
    lease integer;
    received pg_catalog.record;
begin
    for number in 1 .. cardinality(given) loop
        wanted := 1;
        lease := 1;
        if signatures[number] like 'read(%' then
            wanted := given[number] ->> 'n';
            lease := given[number] ->> 'sleep_seconds';
        end if;
        -- A message whose lease ends at once could be read by the next call.
        if (wanted > 0 and lease > 0) is not true then
            return;
        end if;
        firsts[number] := total + 1;
        leases[number] := lease;
        total := total + wanted;
    end loop;
    if total > max_total then
        return;
    end if;
    row_counts := array_fill(0, array[cardinality(given)]);
    bodies := array_fill('[]'::pg_catalog.text, array[cardinality(given)]);
    role := set_config('role', role, true);
    for received in execute statement using clock_timestamp(), total, firsts, leases loop
        -- A policy for one of the commands can hide a claimed message. One by one, each later call would claim it again.
        if got < firsts[received.call] - 1 then
            raise exception 'a policy hides messages that earlier calls have claimed';
        end if;
        got := got + received.count;
        row_counts[received.call] := received.count;
        bodies[received.call] := received.json_agg;
    end loop;
    role := set_config('role', 'none', true);
end;
$receive$;
revoke all on function pgmq_gateway.fused_receive from public;
grant execute on function pgmq_gateway.fused_receive to authenticator;

-- Of several calls with one id, the first settles the message.
--
-- Settings: by the index on the ids, messages are locked in the order of the ids, as one by one. Before Postgres 18, what
-- cannot avoid a setting that is off looks expensive enough to be compiled.
create or replace function pgmq_gateway.fused_settle(
    role text, statement text, signatures text[], given json[], out row_counts bigint[], out bodies text[]
)
language plpgsql
set search_path = ''
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $settle$
declare
    ids bigint[];
    settled bigint[];
begin
    select array_agg(s.message_id) into ids
    from unnest(given) as c (arguments), json_to_record(c.arguments) as s (message_id bigint);
    role := set_config('role', role, true);
    execute statement into settled using ids;
    role := set_config('role', 'none', true);
    row_counts := array_fill(1, array[cardinality(ids)]);
    for number in 1 .. cardinality(ids) loop
        bodies[number] := coalesce(ids[number] = any (settled), false);
        settled := array_remove(settled, ids[number]);
    end loop;
end;
$settle$;
revoke all on function pgmq_gateway.fused_settle from public;
grant execute on function pgmq_gateway.fused_settle to authenticator;

-- Functions of pgmq_api, with their search_path.
create or replace function pgmq_gateway.fused_leases(
    role text, function_name text, given json[], out row_counts bigint[], out bodies text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $leases$
declare
    fused record;
begin
    role := set_config('role', role, true);
    fused := pgmq_settings.calls_together(function_name, given);
    role := set_config('role', 'none', true);
    row_counts := fused.row_counts;
    bodies := fused.bodies;
end;
$leases$;
revoke all on function pgmq_gateway.fused_leases from public;
grant execute on function pgmq_gateway.fused_leases to authenticator;
