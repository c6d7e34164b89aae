-- The one statement of the gateway: run a call in the role of its caller.
--
-- Why a function: rights are checked against the role at the time a statement is planned and run, so the role has to
-- be set before the call's own statement starts, and a second round trip is saved by doing both here.
-- Safe to repeat: the function is replaced by itself.

-- Everything is set for this transaction only: the next request on this connection finds nothing of it. What a
-- request may not inherit even from a function that set it for the whole session (its claims, the answer's headers and
-- status) is set each time, whether the request has a value for it or not.
--
-- role        the caller's role; the login role must be a member of it
-- claims      its claims, as JSON text
-- request     method, path, headers (JSON), cookies (JSON), as SQL sees them in request.method …
-- schemas     the search_path of the call
-- settings    more settings for the call: name, value, name, value …
-- read_only   whether the call is kept from writing
-- prepare     a statement to run before the call, in its role (db-pre-request), or null
-- statement   the call as SQL: $1 is `arguments`, $2 `parameters`; gives total, row_count and body; or an EXPLAIN of
--             that, whose lines become the body
-- singular    fails unless there is one row
-- most        fails when there are more rows, unless null
-- first       fails when rows were counted and there are fewer, unless null
--
-- The failures have the codes GW116, GW124 and GW103 and the number of rows as their message.
--
-- SECURITY INVOKER, and called by the login role only: it gives nobody a right that set_config would not.
-- No search_path of its own, because the caller's must last until the commit, where deferred triggers run; so all
-- names are qualified.
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
declare
    line text;
begin
    if read_only then
        perform pg_catalog.set_config('transaction_read_only', 'on', true);
    end if;
    perform pg_catalog.set_config('search_path', schemas, true);
    if settings is not null then
        for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
            perform pg_catalog.set_config(settings[place], settings[place + 1], true);
        end loop;
    end if;
    perform
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
    if pg_catalog.starts_with(statement, 'explain') then
        body := '';
        for line in execute statement using arguments::pg_catalog.json, parameters loop
            body := body || line || E'\n';
        end loop;
    else
        execute statement into total, row_count, body using arguments::pg_catalog.json, parameters;
    end if;
    response_headers := pg_catalog.current_setting('response.headers', true);
    response_status := pg_catalog.current_setting('response.status', true);
    if singular and row_count <> 1 then
        raise sqlstate 'GW116' using message = row_count;
    elsif row_count > most then
        raise sqlstate 'GW124' using message = row_count;
    elsif first > total then
        raise sqlstate 'GW103' using message = total;
    end if;
end;
$call$;

-- The same for several calls of one caller, in one transaction: each in a savepoint of its own, so that one that fails
-- leaves nothing and costs the others nothing but its time. Only calls of one and the same caller may be given here:
-- what a function sets for its transaction is still set when the next call begins.
--
-- requests    method, path, headers and cookies of each call in turn
-- arguments   the JSON of each call, the $1 of its statement, which has no $2
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
begin
    if settings is not null then
        for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
            perform pg_catalog.set_config(settings[place], settings[place + 1], true);
        end loop;
    end if;
    for n in 1 .. pg_catalog.cardinality(statements) loop
        begin
            -- All of it each time: the call before may have changed any of it.
            perform
                pg_catalog.set_config('search_path', schemas[n], true),
                pg_catalog.set_config('role', role, true),
                pg_catalog.set_config('request.jwt.claims', claims, true),
                pg_catalog.set_config('request.method', requests[4 * n - 3], true),
                pg_catalog.set_config('request.path', requests[4 * n - 2], true),
                pg_catalog.set_config('request.headers', requests[4 * n - 1], true),
                pg_catalog.set_config('request.cookies', requests[4 * n], true),
                pg_catalog.set_config('response.headers', '', true),
                pg_catalog.set_config('response.status', '', true);
            if prepare is not null then
                execute prepare;
            end if;
            execute statements[n] into total, row_count, body using arguments[n]::pg_catalog.json;
            if singular[n] and row_count <> 1 then
                raise sqlstate 'GW116' using message = row_count;
            elsif row_count > most[n] then
                raise sqlstate 'GW124' using message = row_count;
            elsif first[n] > total then
                raise sqlstate 'GW103' using message = total;
            end if;
            response_headers := pg_catalog.current_setting('response.headers', true);
            response_status := pg_catalog.current_setting('response.status', true);
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
        return next;
    end loop;
end;
$calls$;

revoke all on function pgmq_gateway.call from public;
grant execute on function pgmq_gateway.call to authenticator;
revoke all on function pgmq_gateway.calls from public;
grant execute on function pgmq_gateway.calls to authenticator;
