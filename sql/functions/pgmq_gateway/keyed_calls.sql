-- Runs calls with an Idempotency-Key: the first one executes and its answer is stored in the same transaction, further
-- ones return that answer.
--
-- A transaction-level advisory lock on the key makes calls with equal keys wait for each other, before they have
-- executed or locked anything else; so they cannot deadlock. A failed call leaves nothing. If two calls nevertheless
-- executed at once, the primary key would undo one of them.
--
-- Functions that read the table have enable_seqscan off, and find keys by id only: Postgres keeps a plan that it made while
-- the table was small.
--
-- keyed_call is SECURITY INVOKER like `call`. The others are SECURITY DEFINER, so that no role has privileges on the
-- table: any SQL of a request can return to the login role, which would be able to read the answers of all callers.

-- Identifies a request with a key. As jsonb, so that spaces and the order of members do not matter. Arguments of type json
-- can be what jsonb cannot be, such as 1e999999.
create or replace function pgmq_gateway.request_fingerprint(statement text, arguments text, parameters text[])
returns bytea
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $fingerprint$
declare
    normalized jsonb;
begin
    begin
        normalized := arguments;
    exception when data_exception or program_limit_exceeded then
        normalized := to_jsonb(arguments);
    end;
    return sha256(convert_to(jsonb_build_array(statement, normalized, parameters)::text, 'UTF8'));
end;
$fingerprint$;
revoke all on function pgmq_gateway.request_fingerprint from public;
grant execute on function pgmq_gateway.request_fingerprint to authenticator;

-- The answer that is stored for a key, if there is one; otherwise no other call can use the key until the end of the
-- transaction. Raises PT422 if the key was used for another request, and PGMQ001 if it is in use for longer than
-- max_wait.
create or replace function pgmq_gateway.claim_key(
    key_id bytea,
    key_lock bigint,
    fingerprint bytea,
    max_wait text,
    out known boolean,
    out total bigint,
    out row_count bigint,
    out response_status text,
    out response_headers text,
    out body text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $claim$
declare
    former_wait constant text := current_setting('lock_timeout');
    stored pgmq_gateway.idempotency_keys;
begin
    if not pg_try_advisory_xact_lock(key_lock) then
        begin
            perform set_config('lock_timeout', max_wait, true);
            perform pg_advisory_xact_lock(key_lock);
            perform set_config('lock_timeout', former_wait, true);
        exception when lock_not_available then
            -- Of all 409 only this one can be repeated: a function can raise PT409 for any other reason.
            raise sqlstate 'PGRST' using
                message = json_build_object(
                    'code', 'PGMQ001',
                    'message', 'A request with this Idempotency-Key is still running',
                    'hint', 'Repeat the request after a second with the same key.'),
                detail = json_build_object('status', 409, 'headers', json_build_object('Retry-After', '1'));
        end;
    end if;
    -- A statement of its own, because it needs a snapshot taken after the wait.
    select k.* into stored from pgmq_gateway.idempotency_keys as k where k.id = key_id;
    known := coalesce(stored.expires_at > now(), false);
    if not known then
        return;
    elsif stored.fingerprint <> fingerprint then
        raise sqlstate 'PT422' using
            message = 'This Idempotency-Key was used for another request',
            hint = 'Use a new key for each request; repeat a key only with the same request.';
    end if;
    if current_setting('synchronous_standby_names') <> '' then
        -- The wait of the first call for a standby may have been interrupted. A row lock is written to the WAL, so this
        -- transaction waits for all WAL before it.
        perform from pgmq_gateway.idempotency_keys as k where k.id = key_id for no key update;
    end if;
    total := stored.total;
    row_count := stored.row_count;
    response_status := stored.response_status;
    response_headers := stored.response_headers;
    body := stored.body;
end;
$claim$;
revoke all on function pgmq_gateway.claim_key from public;
grant execute on function pgmq_gateway.claim_key to authenticator;

-- Stores answers of calls for their keys, except those without a key, those whose status is an error, and those whose body
-- matches `unstored`. The arrays have an element for each call, or are null.
create or replace function pgmq_gateway.store_answers(
    key_ids bytea[],
    fingerprints bytea[],
    keep_seconds double precision,
    unstored text,
    totals bigint[],
    row_counts bigint[],
    response_statuses text[],
    response_headers text[],
    bodies text[]
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $store$
declare
    max_bytes constant integer := 1024 * 1024;
    expiry constant timestamptz := now() + make_interval(secs => keep_seconds);
begin
    -- Until the end of the transaction no role can add a trigger.
    lock table pgmq_gateway.idempotency_keys in row exclusive mode;
    if not exists (
        select from pg_class as c
        where c.oid = 'pgmq_gateway.idempotency_keys'::regclass and not c.relhastriggers
          and pg_get_userbyid(c.relowner) = current_user
    ) then
        -- It takes longer than a call.
        perform pgmq_gateway.check_foreign_code(array['pgmq_gateway.idempotency_keys'::regclass]);
    end if;
    for n in 1 .. cardinality(key_ids) loop
        continue when key_ids[n] is null or bodies[n] ~ unstored or response_statuses[n] !~ '^(2[0-9]{2})?$';
        if octet_length(bodies[n]) > max_bytes then
            raise sqlstate 'PT413' using
                message = 'Response too large for a request with an Idempotency-Key',
                detail = format(
                    'It has %s bytes, and at most %s are stored. The call was rolled back.',
                    octet_length(bodies[n]), max_bytes),
                hint = 'Request fewer rows, or repeat the request without the key.';
        end if;
        insert into pgmq_gateway.idempotency_keys as k values (
            key_ids[n], fingerprints[n], expiry, totals[n], row_counts[n],
            nullif(response_statuses[n], ''), nullif(response_headers[n], ''), bodies[n]
        )
        on conflict (id) do update set
            fingerprint = excluded.fingerprint, expires_at = excluded.expires_at, total = excluded.total,
            row_count = excluded.row_count, response_status = excluded.response_status,
            response_headers = excluded.response_headers, body = excluded.body
            where k.expires_at <= now();
        if not found then
            -- In a shared transaction, or with a snapshot from before the wait for the lock, as at REPEATABLE READ.
            raise exception 'another transaction used the Idempotency-Key' using
                errcode = case when cardinality(key_ids) > 1 then 'GW132' else 'serialization_failure' end;
        end if;
    end loop;
end;
$store$;
revoke all on function pgmq_gateway.store_answers from public;
grant execute on function pgmq_gateway.store_answers to authenticator;

-- One call with a key, in its caller's role, which stays set as in `call`.
--
-- key_id        SHA-256 of caller and key
-- key_lock      the key of its advisory lock
-- max_wait      for how long to wait for another call with this key, as a lock_timeout
-- keep_seconds  for how long the answer is kept
-- unstored      a pattern of bodies that are not stored, because another attempt may have another result; or null
-- replayed      whether the answer is that of an earlier call, and nothing was executed but `prepare`
--
-- The other arguments are those of `call`, with its fingerprint as `judged`.
create or replace function pgmq_gateway.keyed_call(
    key_id bytea,
    key_lock bigint,
    max_wait text,
    keep_seconds double precision,
    unstored text,
    role text,
    claims text,
    request text[],
    schemas text,
    settings text[],
    prepare text,
    statement text,
    arguments text,
    parameters text[],
    singular boolean,
    max_affected bigint,
    row_offset bigint,
    queue_name text,
    relations oid[],
    functions text[],
    judged text,
    out total bigint,
    out row_count bigint,
    out body text,
    out response_headers text,
    out response_status text,
    out returned bigint,
    out clean boolean,
    out wakeups text,
    out replayed boolean
)
language plpgsql
as $keyed$
declare
    fingerprint constant pg_catalog.bytea := pgmq_gateway.request_fingerprint(statement, arguments, parameters);
    stored pg_catalog.record;
    answer pg_catalog.record;
    own_role pg_catalog.text;
begin
    stored := pgmq_gateway.claim_key(key_id, key_lock, fingerprint, max_wait);
    replayed := stored.known;
    if replayed then
        if prepare is not null then
            -- db-pre-request may reject the caller by now.
            perform from pgmq_gateway.call(
                role, claims, request, schemas, settings, false, prepare,
                'select null::pg_catalog.int8, null::pg_catalog.int8, null::pg_catalog.text, null::pg_catalog.int8',
                null, null, false, null, null, null, null, null, null);
        end if;
        clean := prepare is null;
        total := stored.total;
        row_count := stored.row_count;
        body := stored.body;
        response_headers := stored.response_headers;
        response_status := stored.response_status;
        return;
    end if;
    answer := pgmq_gateway.call(
        role, claims, request, schemas, settings, false, prepare, statement, arguments, parameters,
        singular, max_affected, row_offset, queue_name, relations, functions, judged);
    -- The caller has no privilege on `store_answers`. Its search_path may have other operators: none is used here.
    own_role := pg_catalog.set_config('role', 'none', true);
    perform pgmq_gateway.store_answers(
        array[key_id], array[fingerprint], keep_seconds, unstored, array[answer.total], array[answer.row_count],
        array[answer.response_status], array[answer.response_headers], array[answer.body]);
    clean := answer.clean;
    if clean is not true then
        -- Deferred triggers run in the caller's role.
        own_role := pg_catalog.set_config('role', role, true);
    end if;
    total := answer.total;
    row_count := answer.row_count;
    body := answer.body;
    response_headers := answer.response_headers;
    response_status := answer.response_status;
    returned := answer.returned;
    wakeups := answer.wakeups;
end;
$keyed$;
revoke all on function pgmq_gateway.keyed_call from public;
grant execute on function pgmq_gateway.keyed_call to authenticator;

-- Calls with new keys in one transaction. Raises GW132, and so undoes all, if one of the keys is in use or was used: then
-- the gateway runs the calls one by one.
--
-- The first arguments are those of `keyed_call`, for each call, and the others those of `calls`.
create or replace function pgmq_gateway.keyed_calls(
    key_ids bytea[],
    key_locks bigint[],
    keep_seconds double precision,
    unstored text,
    role text,
    claims text,
    settings text[],
    requests text[],
    schemas text,
    statements text[],
    arguments text[],
    queue_name text,
    relations oid[],
    functions text[],
    fingerprint text,
    fusion json,
    careful boolean,
    out row_count bigint,
    out body text,
    out failure text[],
    out seconds double precision,
    out wakeups text
)
returns setof record
language plpgsql
as $keyed$
declare
    fingerprints constant pg_catalog.bytea[] := array(
        select pgmq_gateway.request_fingerprint(r.statement, r.arguments, '{}')
        from rows from (pg_catalog.unnest(statements), pg_catalog.unnest(arguments)) with ordinality
            as r (statement, arguments, number)
        order by r.number);
    ids pg_catalog.bytea[] := key_ids;
    row_counts bigint[];
    bodies pg_catalog.text[];
    number pg_catalog.int4;
begin
    -- A shared transaction waits for no other one.
    if not (
        select pg_catalog.bool_and(pg_catalog.pg_try_advisory_xact_lock(k.lock)) from pg_catalog.unnest(key_locks) as k (lock)
    ) then
        raise sqlstate 'GW132' using message = 'an Idempotency-Key is in use';
    end if;
    -- All calls run before the first row is returned. After that the search_path is the caller's: no operator is used.
    for row_count, body, failure, seconds, wakeups, number in
        select c.row_count, c.body, c.failure, c.seconds, c.wakeups, c.number
        from pgmq_gateway.calls(
            role, claims, settings, requests, schemas, statements, arguments, queue_name, relations, functions,
            fingerprint, fusion, careful
        ) with ordinality as c (row_count, body, failure, seconds, wakeups, number)
    loop
        row_counts[number] := row_count;
        bodies[number] := body;
        if failure is not null then
            ids[number] := null;
        end if;
        return next;
    end loop;
    perform pgmq_gateway.store_answers(
        ids, fingerprints, keep_seconds, unstored, null, row_counts, null, null, bodies);
end;
$keyed$;
revoke all on function pgmq_gateway.keyed_calls from public;
grant execute on function pgmq_gateway.keyed_calls to authenticator;

-- Removes keys that have expired, at most max_rows of them. Returns how many.
create or replace function pgmq_gateway.remove_expired_keys(max_rows integer)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $remove$
declare
    removed integer;
begin
    if not exists (select from pgmq_gateway.idempotency_keys as k where k.expires_at <= now()) then
        return 0;
    end if;
    perform pgmq_gateway.check_foreign_code(array['pgmq_gateway.idempotency_keys'::regclass]);
    with expired as (
        select k.id from pgmq_gateway.idempotency_keys as k
        where k.expires_at <= now()
        order by k.expires_at
        limit max_rows
        for update skip locked
    )
    delete from pgmq_gateway.idempotency_keys as k using expired as e where k.id = e.id;
    get diagnostics removed = row_count;
    return removed;
end;
$remove$;
revoke all on function pgmq_gateway.remove_expired_keys from public;
grant execute on function pgmq_gateway.remove_expired_keys to authenticator;
