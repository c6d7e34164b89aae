-- The gateway's statements: they run calls in the role of their caller.
--
-- Privileges are checked against the role at the time a statement is planned and run, so the role has to be set before
-- the call's own statement starts. Doing both in one function saves a round trip.
--
-- SECURITY INVOKER, for the login role only: they give it no privilege that set_config does not give.
-- No search_path of their own, because the caller's must last until the commit, where deferred triggers run; so all
-- names are qualified, those of types too, which Postgres looks for in pg_temp first.
-- No smaller functions: each further level of calls makes a send 5 to 8 % slower, and what follows the change of role
-- could not call one.

-- One of the plain calls: eight of the six functions of pgmq_public, and the most frequent ones of pgmq_api. The caller's
-- role stays set.
--
-- Parsing and planning a statement takes longer than most calls. The most frequent calls are therefore static
-- statements, which Postgres plans once for each connection. The caller's privileges are checked at each call: those on
-- a function when its statement begins, those on tables, and policies, inside it.
--
-- statement   name(arguments), in alphabetical order; the name has its schema, except for pgmq_public
create or replace function pgmq_gateway.plain_call(
    role text, prepare text, statement text, given json, out row_count bigint, out body text
)
language plpgsql
as $plain$
begin
    -- An assignment, here and below, starts no executor, as PERFORM and SELECT INTO do.
    role := pg_catalog.set_config('role', role, true);
    if prepare is not null then
        execute prepare;
    end if;
    case statement
        when 'send(message,queue_name)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer.id)::pg_catalog.text, '[]')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, message pg_catalog.jsonb),
                lateral pgmq_public.send(queue_name => sent.queue_name, message => sent.message) as answer (id);
        when 'send(message,queue_name,sleep_seconds)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer.id)::pg_catalog.text, '[]')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (
                    queue_name pg_catalog.text, message pg_catalog.jsonb, sleep_seconds pg_catalog.int4
                ),
                lateral pgmq_public.send(
                    queue_name => sent.queue_name, message => sent.message, sleep_seconds => sent.sleep_seconds
                ) as answer (id);
        when 'send_batch(messages,queue_name)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer.id)::pg_catalog.text, '[]')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, messages pg_catalog.jsonb[]),
                lateral pgmq_public.send_batch(queue_name => sent.queue_name, messages => sent.messages) as answer (id);
        when 'send_batch(messages,queue_name,sleep_seconds)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer.id)::pg_catalog.text, '[]')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (
                    queue_name pg_catalog.text, messages pg_catalog.jsonb[], sleep_seconds pg_catalog.int4
                ),
                lateral pgmq_public.send_batch(
                    queue_name => sent.queue_name, messages => sent.messages, sleep_seconds => sent.sleep_seconds
                ) as answer (id);
        when 'read(n,queue_name,sleep_seconds)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select message.*
                from pg_catalog.json_to_record(given) as sent (
                        queue_name pg_catalog.text, sleep_seconds pg_catalog.int4, n pg_catalog.int4
                    ),
                    lateral pgmq_public.read(
                        queue_name => sent.queue_name, sleep_seconds => sent.sleep_seconds, n => sent.n
                    ) as message
            ) as answer;
        when 'pop(queue_name)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select message.*
                from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text),
                    lateral pgmq_public.pop(queue_name => sent.queue_name) as message
            ) as answer;
        when 'delete(message_id,queue_name)' then
            select pg_catalog.count(*), coalesce((pg_catalog.json_agg(answer.done) -> 0)::pg_catalog.text, 'null')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, message_id pg_catalog.int8),
                lateral pgmq_public.delete(
                    queue_name => sent.queue_name, message_id => sent.message_id
                ) as answer (done);
        when 'archive(message_id,queue_name)' then
            select pg_catalog.count(*), coalesce((pg_catalog.json_agg(answer.done) -> 0)::pg_catalog.text, 'null')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, message_id pg_catalog.int8),
                lateral pgmq_public.archive(
                    queue_name => sent.queue_name, message_id => sent.message_id
                ) as answer (done);
        -- An argument that is left out is null.
        when 'pgmq_api.send(message,queue_name)', 'pgmq_api.send(message,queue_name,sleep_seconds)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer.id)::pg_catalog.text, '[]')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (
                    queue_name pg_catalog.text, message pg_catalog.jsonb, sleep_seconds pg_catalog.int4
                ),
                lateral pgmq_api.send(
                    queue_name => sent.queue_name, message => sent.message, sleep_seconds => sent.sleep_seconds
                ) as answer (id);
        when 'pgmq_api.read(n,queue_name)', 'pgmq_api.read(n,queue_name,sleep_seconds)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select message.*
                from pg_catalog.json_to_record(given) as sent (
                        queue_name pg_catalog.text, sleep_seconds pg_catalog.int4, n pg_catalog.int4
                    ),
                    lateral pgmq_api.read(
                        queue_name => sent.queue_name, sleep_seconds => sent.sleep_seconds, n => sent.n
                    ) as message
            ) as answer;
        when 'pgmq_api.read(queue_name)', 'pgmq_api.read(queue_name,sleep_seconds)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select message.*
                from pg_catalog.json_to_record(given) as sent (
                        queue_name pg_catalog.text, sleep_seconds pg_catalog.int4
                    ),
                    lateral pgmq_api.read(
                        queue_name => sent.queue_name, sleep_seconds => sent.sleep_seconds
                    ) as message
            ) as answer;
        when 'pgmq_api.pop(queue_name)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select message.*
                from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text),
                    lateral pgmq_api.pop(queue_name => sent.queue_name) as message
            ) as answer;
        when 'pgmq_api.pop(n,queue_name)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select message.*
                from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, n pg_catalog.int4),
                    lateral pgmq_api.pop(queue_name => sent.queue_name, n => sent.n) as message
            ) as answer;
        when 'pgmq_api.ack(queue_name,receipt)' then
            select pg_catalog.count(*), coalesce((pg_catalog.json_agg(answer.outcome) -> 0)::pg_catalog.text, 'null')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, receipt pg_catalog.text),
                lateral pgmq_api.ack(
                    queue_name => sent.queue_name, receipt => sent.receipt
                ) as answer (outcome);
        when 'pgmq_api.settle(acks,queue_name)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select settled.*
                from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, acks pg_catalog.text[]),
                    lateral pgmq_api.settle(queue_name => sent.queue_name, acks => sent.acks) as settled
            ) as answer;
        when 'pgmq_api.delete(message_id,queue_name)' then
            select pg_catalog.count(*), coalesce((pg_catalog.json_agg(answer.done) -> 0)::pg_catalog.text, 'null')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, message_id pg_catalog.int8),
                lateral pgmq_api.delete(
                    queue_name => sent.queue_name, message_id => sent.message_id
                ) as answer (done);
        when 'pgmq_api.archive(message_id,queue_name)' then
            select pg_catalog.count(*), coalesce((pg_catalog.json_agg(answer.done) -> 0)::pg_catalog.text, 'null')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, message_id pg_catalog.int8),
                lateral pgmq_api.archive(
                    queue_name => sent.queue_name, message_id => sent.message_id
                ) as answer (done);
    end case;
end;
$plain$;
revoke all on function pgmq_gateway.plain_call from public;
grant execute on function pgmq_gateway.plain_call to authenticator;

-- One call, in its caller's role, which stays set: the end of the transaction or `calls` undoes that.
--
-- Everything is set for this transaction only, so the next request on this connection inherits nothing. Claims, and
-- headers and status of the response, are set at each call, also to an empty value: a function may have set them for
-- the whole session.
--
-- role          the caller's role; the login role must be a member of it
-- claims        its claims, as JSON text
-- request       method, path, headers (JSON), cookies (JSON), as SQL sees them in request.method …
-- schemas       the search_path of the call
-- settings      more settings for the call: name, value, name, value …
-- read_only     whether the call is kept from writing
-- prepare       a statement to run before the call, in its role (db-pre-request), or null
-- statement     the call as SQL: $1 is `arguments`, $2 `parameters`; returns total, row_count, body and, if a message is
--               each row of the function, returned; or an EXPLAIN of that, whose lines become the body; or, without any
--               space, the signature of a plain call
-- singular      raise GW116 unless the result is one row
-- max_affected  raise GW124 for more rows; null: no limit
-- row_offset    raise GW103 if rows were counted and there are fewer; null: no check
-- queue_name    of a plain call, the queue that was judged
-- relations     as returned by `judgement`, like `functions` and `fingerprint`; null: `clean` is not wanted
-- clean         whether a plain call has left nothing in the session, as the judgement says: it still applies, and the
--               call names its queue
-- returned      rows of the function before they were shaped; null: row_count. Those of an EXPLAIN are in a setting,
--               which the statement sets if the plan is run.
-- wakeups       the messages that the call made visible, as report_visible() says; empty for none. The caller can have set
--               it to any text.
--
-- The message of these errors is the number of rows.
create or replace function pgmq_gateway.call(
    role text,
    claims text,
    request text[],
    schemas text,
    settings text[],
    read_only boolean,
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
    fingerprint text,
    out total bigint,
    out row_count bigint,
    out body text,
    out response_headers text,
    out response_status text,
    out returned bigint,
    out clean boolean,
    out wakeups text
)
language plpgsql
as $call$
declare
    given constant pg_catalog.json := arguments::pg_catalog.json;
    plain pg_catalog.record;
    line pg_catalog.text;
    own_role pg_catalog.text;
begin
    if read_only then
        perform pg_catalog.set_config('transaction_read_only', 'on', true);
    end if;
    if settings is not null then
        for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
            perform pg_catalog.set_config(settings[place], settings[place + 1], true);
        end loop;
    end if;
    perform
        pg_catalog.set_config('search_path', schemas, true),
        pg_catalog.set_config('request.jwt.claims', claims, true),
        pg_catalog.set_config('request.method', request[1], true),
        pg_catalog.set_config('request.path', request[2], true),
        pg_catalog.set_config('request.headers', request[3], true),
        pg_catalog.set_config('request.cookies', request[4], true),
        pg_catalog.set_config('response.headers', '', true),
        pg_catalog.set_config('response.status', '', true),
        pg_catalog.set_config('pgmq_gateway.wakeups', '', true);
    if pg_catalog.strpos(statement, ' ') = 0 then
        plain := pgmq_gateway.plain_call(role, prepare, statement, given);
        row_count := plain.row_count;
        body := plain.body;
        if fingerprint is not null then
            -- The login role compares: the caller has no privilege on `fingerprint`. If the judgement no longer
            -- applies, a function of the caller may have run, and set another search_path, so operators are qualified.
            -- One comparison is enough, because this transaction keeps the locks on the tables that the call used.
            own_role := pg_catalog.set_config('role', 'none', true);
            clean := coalesce(
                pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.=) 'read committed'
                and (given operator(pg_catalog.->>) 'queue_name') operator(pg_catalog.=) queue_name
                and pgmq_gateway.fingerprint(relations, functions) operator(pg_catalog.=) fingerprint,
                false);
            if clean then
                -- Another caller's lastval() would return an id of this call.
                discard sequences;
            else
                -- Deferred triggers run in the caller's role.
                role := pg_catalog.set_config('role', role, true);
            end if;
        end if;
    else
        role := pg_catalog.set_config('role', role, true);
        if prepare is not null then
            execute prepare;
        end if;
        if pg_catalog.starts_with(statement, 'explain') then
            body := '';
            perform pg_catalog.set_config('pgmq_gateway.returned', '0', true);
            for line in execute statement using given, parameters loop
                body := body || line || E'\n';
            end loop;
            returned := pg_catalog.current_setting('pgmq_gateway.returned');
        else
            execute statement into total, row_count, body, returned using given, parameters;
        end if;
    end if;
    if singular and row_count <> 1 then
        raise sqlstate 'GW116' using message = row_count;
    elsif row_count > max_affected then
        raise sqlstate 'GW124' using message = row_count;
    elsif row_offset > total then
        raise sqlstate 'GW103' using message = total;
    end if;
    response_headers := pg_catalog.current_setting('response.headers', true);
    response_status := pg_catalog.current_setting('response.status', true);
    wakeups := pg_catalog.current_setting('pgmq_gateway.wakeups', true);
    -- With `error`, Postgres would not report that it stopped waiting for a synchronous standby at the commit.
    role := pg_catalog.set_config('client_min_messages', 'warning', true);
end;
$call$;
revoke all on function pgmq_gateway.call from public;
grant execute on function pgmq_gateway.call to authenticator;

-- Plain calls of one function on one queue, for one caller, in one transaction that no caller can distinguish from
-- several (`sharing.sql`). Raises GW130, and so undoes all, if that is not sure: then the gateway runs them one by one.
--
-- requests     method, path, headers and cookies of each call in turn
-- schemas      the search_path of all calls
-- statements   the signature of each call
-- arguments    the JSON of each call
-- queue_name   the queue that all calls name
-- relations    as returned by `judgement`, like `functions` and `fingerprint`
-- fusion       as returned by `judgement`: the calls run as one statement where that gives the same results; null: one
--              by one
-- careful      whether the calls run one by one, each with a savepoint, so that a failed one is undone and the others
--              continue; otherwise the first error is that of the whole transaction. A savepoint costs as much as a
--              small call.
-- failure      SQLSTATE, message, detail, hint and context of a failed call, otherwise null
-- seconds      how long all calls took, without the commit; in the last row
-- wakeups      of each call, as in `call`; of calls that ran as one statement, in the first row
--
-- The rows are in the order of the calls. If the statement is cancelled, or waits 50 ms for a lock, all calls fail, and the
-- gateway runs them one by one: a time limit is that of a single call. The other arguments are those of `call`.
create or replace function pgmq_gateway.calls(
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
as $calls$
declare
    given constant pg_catalog.json[] := arguments;
    request pg_catalog.text[] := requests[:4];
    former pg_catalog.text[] := request;
    fused pg_catalog.record;
    row_counts bigint[];
    bodies pg_catalog.text[];
    plain pg_catalog.record;
    own_role pg_catalog.text;
    code pg_catalog.text;
    message pg_catalog.text;
    detail pg_catalog.text;
    hint pg_catalog.text;
    context pg_catalog.text;
begin
    -- With another isolation level, the last comparison would not see what was committed since the first one.
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed'
        or pgmq_gateway.fingerprint(relations, functions) is distinct from fingerprint
    then
        raise sqlstate 'GW130' using message = 'the calls can no longer share a transaction';
    end if;
    if exists (
        select from pg_catalog.unnest(given) as g (call)
        where g.call operator(pg_catalog.->>) 'queue_name' is distinct from calls.queue_name
    ) then
        raise sqlstate 'GW130' using message = 'the calls name several queues';
    end if;
    if settings is not null then
        for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
            perform pg_catalog.set_config(settings[place], settings[place + 1], true);
        end loop;
    end if;
    perform
        -- Each call keeps its locks until the last one has ended. So a call that waited for another transaction would
        -- block calls that need none of its locks, and could deadlock with that transaction.
        pg_catalog.set_config('lock_timeout', '50ms', true),
        pg_catalog.set_config('search_path', schemas, true),
        pg_catalog.set_config('request.jwt.claims', claims, true),
        pg_catalog.set_config('request.method', request[1], true),
        pg_catalog.set_config('request.path', request[2], true),
        pg_catalog.set_config('request.headers', request[3], true),
        pg_catalog.set_config('request.cookies', request[4], true),
        pg_catalog.set_config('response.headers', '', true),
        pg_catalog.set_config('response.status', '', true),
        pg_catalog.set_config('pgmq_gateway.wakeups', '', true);
    -- For two calls one statement is not faster.
    if not careful and fusion is not null and pg_catalog.cardinality(given) > 2
        -- Each request equals the one before it.
        and (not (fusion operator(pg_catalog.->>) 'reads_requests')::boolean
             or requests[5:] operator(pg_catalog.=) requests[:pg_catalog.cardinality(requests) - 4])
    then
        fused := pgmq_gateway.fused_calls(role, fusion, statements, given);
        bodies := fused.bodies;
        row_counts := fused.row_counts;
        wakeups := pg_catalog.current_setting('pgmq_gateway.wakeups', true);
        -- As below, a function may have set another search_path.
        seconds := extract(
            epoch from pg_catalog.clock_timestamp() operator(pg_catalog.-) pg_catalog.statement_timestamp());
        for n in 1 .. coalesce(pg_catalog.cardinality(bodies), 0) loop
            row_count := row_counts[n];
            body := bodies[n];
            return next;
            wakeups := null;
        end loop;
    end if;
    for n in coalesce(pg_catalog.cardinality(bodies), 0) operator(pg_catalog.+) 1 .. pg_catalog.cardinality(given) loop
        -- Policies may read them. Most calls of a group differ in their arguments only.
        request := requests[4 * n - 3 : 4 * n];
        if request operator(pg_catalog.<>) former then
            perform
                pg_catalog.set_config('request.method', request[1], true),
                pg_catalog.set_config('request.path', request[2], true),
                pg_catalog.set_config('request.headers', request[3], true),
                pg_catalog.set_config('request.cookies', request[4], true);
            former := request;
        end if;
        if careful then
            begin
                plain := pgmq_gateway.plain_call(role, null, statements[n], given[n]);
                failure := null;
            exception when others then
                get stacked diagnostics
                    code = returned_sqlstate,
                    message = message_text,
                    detail = pg_exception_detail,
                    hint = pg_exception_hint,
                    context = pg_exception_context;
                failure := array[code, message, detail, hint, context];
            end;
        else
            plain := pgmq_gateway.plain_call(role, null, statements[n], given[n]);
        end if;
        if failure is null then
            row_count := plain.row_count;
            body := plain.body;
        else
            row_count := null;
            body := null;
        end if;
        -- The next call is run by the login role: the caller has no privilege on `plain_call`.
        own_role := pg_catalog.set_config('role', 'none', true);
        if pg_catalog.current_setting('search_path') operator(pg_catalog.<>) schemas then
            -- A function that the judgement does not know set it: from here on, operators could be its own.
            raise sqlstate 'GW130' using message = 'a call has changed the search_path';
        end if;
        wakeups := pg_catalog.current_setting('pgmq_gateway.wakeups', true);
        if wakeups operator(pg_catalog.<>) '' then
            perform pg_catalog.set_config('pgmq_gateway.wakeups', '', true);
        end if;
        if n = pg_catalog.cardinality(given) then
            seconds := extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp());
        end if;
        return next;
    end loop;
    if (pgmq_gateway.fingerprint(relations, functions) operator(pg_catalog.=) fingerprint) is not true then
        raise sqlstate 'GW130' using message = 'the calls can no longer share a transaction';
    end if;
    -- Another caller's lastval() would return an id of these calls.
    discard sequences;
    -- As in `call`.
    own_role := pg_catalog.set_config('client_min_messages', 'warning', true);
end;
$calls$;
revoke all on function pgmq_gateway.calls from public;
grant execute on function pgmq_gateway.calls to authenticator;
