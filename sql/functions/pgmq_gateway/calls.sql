-- The one statement of the gateway: run a call in the role of its caller.
--
-- Why functions: rights are checked against the role at the time a statement is planned and run, so the role has to be
-- set before the call's own statement starts, and a second round trip is saved by doing both here.

-- A call in its caller's role, which stays set: `call` and `calls` end or undo that.
--
-- Everything is set for this transaction only: the next request on this connection finds nothing of it. What a
-- request may not inherit even from a function that set it for the whole session (its claims, the answer's headers and
-- status) is set each time, whether the request has a value for it or not.
--
-- role        the caller's role; the login role must be a member of it
-- claims      its claims, as JSON text
-- request     method, path, headers (JSON), cookies (JSON), as SQL sees them in request.method …
-- schemas     the search_path of the call
-- prepare     a statement to run before the call, in its role (db-pre-request), or null
-- statement   the call as SQL: $1 is `arguments`, $2 `parameters`; gives total, row_count and body; or an EXPLAIN of
--             that, whose lines become the body; or the signature of one of the six queue functions, called plainly
-- singular    fails unless there is one row
-- most        fails when there are more rows, unless null
-- first       fails when rows were counted and there are fewer, unless null
--
-- The failures have the codes GW116, GW124 and GW103 and the number of rows as their message.
--
-- Parsing and planning a statement takes longer than most calls do. So the plain calls of the six functions, nearly all
-- that there are, stand here as statements of their own, which Postgres plans once for a connection. What they may do
-- is found out each time all the same: a function's rights are checked when a statement begins, and the rights and
-- policies of tables inside the function.
--
-- SECURITY INVOKER, and called by the login role only: it gives nobody a right that set_config would not.
-- No search_path of its own, because the caller's must last until the commit, where deferred triggers run; so all
-- names are qualified.
create or replace function pgmq_gateway.run(
    role text,
    claims text,
    request text[],
    schemas text,
    prepare text,
    statement text,
    arguments text,
    parameters text[],
    singular boolean,
    most bigint,
    first bigint,
    out total bigint,
    out row_count bigint,
    out body text,
    out response_headers text,
    out response_status text
)
language plpgsql
as $run$
#variable_conflict use_column
declare
    given constant json := arguments::pg_catalog.json;
    line text;
begin
    perform
        pg_catalog.set_config('search_path', schemas, true),
        pg_catalog.set_config('role', role, true),
        pg_catalog.set_config('request.jwt.claims', claims, true),
        pg_catalog.set_config('request.method', request[1], true),
        pg_catalog.set_config('request.path', request[2], true),
        pg_catalog.set_config('request.headers', request[3], true),
        pg_catalog.set_config('request.cookies', request[4], true),
        pg_catalog.set_config('response.headers', '', true),
        pg_catalog.set_config('response.status', '', true);
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
        else
            if pg_catalog.starts_with(statement, 'explain') then
                body := '';
                for line in execute statement using given, parameters loop
                    body := body || line || E'\n';
                end loop;
            else
                execute statement into total, row_count, body using given, parameters;
            end if;
    end case;
    if singular and row_count <> 1 then
        raise sqlstate 'GW116' using message = row_count;
    elsif row_count > most then
        raise sqlstate 'GW124' using message = row_count;
    elsif first > total then
        raise sqlstate 'GW103' using message = total;
    end if;
    response_headers := pg_catalog.current_setting('response.headers', true);
    response_status := pg_catalog.current_setting('response.status', true);
end;
$run$;
revoke all on function pgmq_gateway.run from public;
grant execute on function pgmq_gateway.run to authenticator;

-- One call, in a transaction of its own.
--
-- settings    more settings for the call: name, value, name, value …
-- read_only   whether the call is kept from writing
--
-- The rest is as in `run`.
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
    most bigint,
    first bigint,
    out total bigint,
    out row_count bigint,
    out body text,
    out response_headers text,
    out response_status text
)
language plpgsql
as $call$
begin
    if read_only then
        perform pg_catalog.set_config('transaction_read_only', 'on', true);
    end if;
    if settings is not null then
        for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
            perform pg_catalog.set_config(settings[place], settings[place + 1], true);
        end loop;
    end if;
    select answer.* into total, row_count, body, response_headers, response_status
    from pgmq_gateway.run(
        role, claims, request, schemas, prepare, statement, arguments, parameters, singular, most, first
    ) as answer;
end;
$call$;
revoke all on function pgmq_gateway.call from public;
grant execute on function pgmq_gateway.call to authenticator;

-- Several calls of one caller, in one transaction. Only calls of one and the same caller may be given here: what a
-- function sets for its transaction is still set when the next call begins.
--
-- requests    method, path, headers and cookies of each call in turn
-- arguments   the JSON of each call, the $1 of its statement, which has no $2
-- careful     whether each call stands in a savepoint of its own: one that fails then leaves nothing and costs the
--             others nothing; else the first failure is that of all of them. A savepoint costs as much as a small call.
-- failure     of a call that failed: SQLSTATE, message, detail, hint and where it came from; else null
--
-- An answer stands in the row of its call. A statement that is cancelled ends all of them, because a time limit is one
-- of a single call: the gateway runs them again, one by one.
create or replace function pgmq_gateway.calls(
    role text,
    claims text,
    settings text[],
    prepare text,
    requests text[],
    schemas text[],
    statements text[],
    arguments text[],
    singular boolean[],
    most bigint[],
    first bigint[],
    careful boolean,
    out total bigint,
    out row_count bigint,
    out body text,
    out response_headers text,
    out response_status text,
    out failure text[]
)
returns setof record
language plpgsql
as $calls$
declare
    code text;
    message text;
    detail text;
    hint text;
    context text;
    zone constant text := pg_catalog.current_setting('timezone');
    encoding constant text := pg_catalog.current_setting('client_encoding');
begin
    for n in 1 .. pg_catalog.cardinality(statements) loop
        -- The call before may have changed it, or made a table that was to go with its transaction.
        perform pg_catalog.set_config('timezone', zone, true);
        if settings is not null then
            for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
                perform pg_catalog.set_config(settings[place], settings[place + 1], true);
            end loop;
        end if;
        if n > 1 and pg_catalog.pg_my_temp_schema() <> 0 then
            discard temp;
        end if;
        if careful then
            begin
                select answer.* into total, row_count, body, response_headers, response_status
                from pgmq_gateway.run(
                    role, claims, requests[4 * n - 3 : 4 * n], schemas[n], prepare, statements[n], arguments[n], null,
                    singular[n], most[n], first[n]
                ) as answer;
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
            select answer.* into total, row_count, body, response_headers, response_status
            from pgmq_gateway.run(
                role, claims, requests[4 * n - 3 : 4 * n], schemas[n], prepare, statements[n], arguments[n], null,
                singular[n], most[n], first[n]
            ) as answer;
        end if;
        -- Whoever may run the next call: not its caller, who may not run `run`.
        perform pg_catalog.set_config('role', 'none', true);
        return next;
    end loop;
    -- All answers leave in one encoding, which the driver must know.
    perform pg_catalog.set_config('client_encoding', encoding, true);
    -- Triggers that wait for the commit run in the caller's role.
    perform pg_catalog.set_config('role', role, true);
end;
$calls$;
revoke all on function pgmq_gateway.calls from public;
grant execute on function pgmq_gateway.calls to authenticator;
