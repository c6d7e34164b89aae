-- Plain calls of several callers in one round trip, each in a transaction of its own.
--
-- They are of one function on one queue and of one role, and leave nothing in their transaction or session, as a
-- judgement says (`sharing.sql`). A procedure, because only that can commit.
--
-- Only the last commit waits for the disk, or for a synchronous standby: the WAL of the others comes before its own.
-- Results are returned after that. Until then other transactions can see the messages, as with asynchronous commits;
-- but if they write, they are committed later in the WAL.
--
-- claims       of each call
-- requests     method, path, headers and cookies of each call in turn
-- relations    as returned by `judgement`, like `functions` and `fingerprint`
-- row_counts   of each call
-- bodies       of each call
-- failures     of each call null, or a JSON array: SQLSTATE, message, detail, hint and context
-- seconds      how long all calls took, without the last commit
-- wakeups      of each call, as in `call`
--
-- The other arguments are those of `calls`. Raises GW130 if the judgement no longer applies. If that is found after a
-- call, the call and those after it fail with GW130, and are not executed. A call of another queue fails with GW131. If
-- a call waits 50 ms for a lock, or is cancelled, those after it fail with the same code, and are not executed: alone,
-- they need not wait for it. After results of 16 MiB, the others fail with 55P03.
--
-- SECURITY INVOKER, and without a search_path, as in `calls.sql`.
create or replace procedure pgmq_gateway.calls_in_turn(
    role text,
    claims text[],
    settings text[],
    requests text[],
    schemas text,
    statements text[],
    arguments text[],
    queue_name text,
    relations oid[],
    functions text[],
    fingerprint text,
    inout row_counts bigint[],
    inout bodies text[],
    inout failures text[],
    inout seconds double precision,
    inout wakeups text[]
)
language plpgsql
as $turns$
declare
    number constant pg_catalog.int4 := pg_catalog.cardinality(arguments);
    given pg_catalog.json;
    plain pg_catalog.record;
    failure pg_catalog.text;
    skipped pg_catalog.int4 := number + 1;
    own_role pg_catalog.text;
    unflushed pg_catalog.bool := false;
    size pg_catalog.int8 := 0;
    stale pg_catalog.bool;
    code pg_catalog.text;
    message pg_catalog.text;
    detail pg_catalog.text;
    hint pg_catalog.text;
    context pg_catalog.text;
begin
    -- With another isolation level, a comparison would not see what was committed since the transaction began.
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed'
        or pgmq_gateway.fingerprint(relations, functions) is distinct from fingerprint
    then
        raise sqlstate 'GW130' using message = 'the calls can no longer share a connection';
    end if;
    for n in 1 .. number loop
        if n < number then
            perform pg_catalog.set_config('synchronous_commit', 'off', true);
        end if;
        if settings is not null then
            for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
                perform pg_catalog.set_config(settings[place], settings[place + 1], true);
            end loop;
        end if;
        perform
            pg_catalog.set_config('lock_timeout', '50ms', true),
            pg_catalog.set_config('search_path', schemas, true),
            pg_catalog.set_config('request.jwt.claims', claims[n], true),
            pg_catalog.set_config('request.method', requests[4 * n - 3], true),
            pg_catalog.set_config('request.path', requests[4 * n - 2], true),
            pg_catalog.set_config('request.headers', requests[4 * n - 1], true),
            pg_catalog.set_config('request.cookies', requests[4 * n], true),
            pg_catalog.set_config('response.headers', '', true),
            pg_catalog.set_config('response.status', '', true),
            pg_catalog.set_config('pgmq_gateway.wakeups', '', true);
        begin
            given := arguments[n];
            if given operator(pg_catalog.->>) 'queue_name' is distinct from queue_name then
                raise sqlstate 'GW131' using message = 'the call names another queue';
            end if;
            plain := pgmq_gateway.plain_call(role, null, statements[n], given);
            row_counts[n] := plain.row_count;
            bodies[n] := plain.body;
            failure := null;
        -- Others do not include these two, after which the results of the earlier calls would be lost.
        exception when query_canceled or assert_failure or others then
            get stacked diagnostics
                code = returned_sqlstate,
                message = message_text,
                detail = pg_exception_detail,
                hint = pg_exception_hint,
                context = pg_exception_context;
            row_counts[n] := null;
            bodies[n] := null;
            failure := pg_catalog.json_build_array(code, message, detail, hint, context);
        end;
        failures[n] := failure;
        own_role := pg_catalog.set_config('role', 'none', true);
        wakeups[n] := pg_catalog.current_setting('pgmq_gateway.wakeups', true);
        stale := pgmq_gateway.fingerprint(relations, functions) operator(pg_catalog.<>) fingerprint;
        if stale is not false then
            rollback;
            skipped := n;
            code := 'GW130';
            exit;
        end if;
        -- Another caller's lastval() would return an id of this call.
        discard sequences;
        if n = number then
            seconds := extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp());
        end if;
        if n < number then
            unflushed := unflushed or pg_catalog.pg_current_xact_id_if_assigned() is not null;
        elsif unflushed then
            -- A transaction without WAL would not wait for that of the others; one that finds no row has an id, and none.
            perform pg_catalog.pg_logical_emit_message(true, 'pgmq_gateway', '');
            unflushed := false;
        end if;
        -- As in `call`.
        perform pg_catalog.set_config('client_min_messages', 'warning', true);
        commit;
        size := size + coalesce(pg_catalog.octet_length(bodies[n]), 0);
        if failure is not null and code in ('55P03', '57014') then
            skipped := n + 1;
            exit;
        elsif size > 16777216 then
            -- All results are returned in one row.
            skipped := n + 1;
            code := '55P03';
            exit;
        end if;
    end loop;
    for n in skipped .. number loop
        row_counts[n] := null;
        bodies[n] := null;
        wakeups[n] := null;
        failures[n] := pg_catalog.json_build_array(code, '', '', '', '');
    end loop;
    if unflushed then
        perform
            pg_catalog.pg_logical_emit_message(true, 'pgmq_gateway', ''),
            pg_catalog.set_config('client_min_messages', 'warning', true);
        commit;
    end if;
end;
$turns$;
revoke all on procedure pgmq_gateway.calls_in_turn from public;
grant execute on procedure pgmq_gateway.calls_in_turn to authenticator;
