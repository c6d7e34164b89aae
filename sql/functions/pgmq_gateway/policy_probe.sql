-- Which of many waiting callers see a new message of a queue, by its policies: they are woken, and then read in their own
-- role. A wrong result costs an empty read or a delay.
--
-- Everything is set for this transaction only, which is read-only. SECURITY INVOKER, as in calls.sql: it needs no
-- privilege that set_config does not need. No search_path of its own, because the policies run in the caller's; so the
-- operators of `probe_policy` are qualified, unless pg_catalog has one of exactly these types: it is searched first.

-- Whether policies of a queue can be evaluated for several callers in one transaction: the rule of sharing.sql for tables
-- that are only read.
--
-- queue_table     the table of the queue; null: there is none
-- obstacles       sentences; empty if they can
-- relations       as returned by `judgement`, like `functions` and `fingerprint`
-- reads_requests  whether policies read more than the claims of a request
create or replace function pgmq_gateway.policy_judgement(
    queue_name text,
    out queue_table oid,
    out obstacles text[],
    out relations oid[],
    out functions text[],
    out fingerprint text,
    out reads_requests boolean
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $judgement$
begin
    select c.oid into queue_table
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'pgmq' and c.relname = lower('q_' || policy_judgement.queue_name) and c.relkind in ('r', 'p');
    select t.obstacles, t.relations, t.functions, t.reads_requests
    into obstacles, relations, functions, reads_requests
    from pgmq_gateway.table_obstacles(array_remove(array[queue_table], null), writing => false) as t;
    fingerprint := pgmq_gateway.fingerprint(relations, functions);
end;
$judgement$;
revoke all on function pgmq_gateway.policy_judgement from public;
grant execute on function pgmq_gateway.policy_judgement to authenticator;

-- The callers that see a message which has become visible. All have the same role and settings.
--
-- The policy of a statement is selected when it is planned, and `(select auth.uid())` in it is evaluated once for each
-- execution. So one statement for all callers would find the same result for all.
--
-- queue_table     the table of a queue
-- since, overlap  the period: see `found_messages`
-- known, known_at the ids and times that the last probe returned
-- max_ids         the most that are new to callers of the last probe
-- role, schemas, settings, prepare, relations, functions, fingerprint: as in `call`
-- claims          those of each caller
-- timezones       of each caller, null for that of the session; null: no caller has one
-- requests        method, path, headers and cookies of each caller in turn; null: nothing reads them
-- established     the number of callers, the first ones, that were among those of the last probe. The others are asked
--                 for the known messages too: such a message may be newer than the caller's last attempt to read
-- seeing          the places of the callers that see a message, from 1
-- fresh           the number of messages that are new to callers of the last probe
-- ids, times      to pass as `known` and `known_at` next time
-- until, complete as returned by `found_messages`
create or replace function pgmq_gateway.probe_policy(
    queue_table regclass,
    since timestamptz,
    overlap double precision,
    known bigint[],
    known_at timestamptz[],
    max_ids integer,
    role text,
    schemas text,
    settings text[],
    claims text[],
    timezones text[],
    requests text[],
    established integer,
    prepare text,
    relations oid[],
    functions text[],
    fingerprint text,
    out seeing integer[],
    out fresh integer,
    out ids bigint[],
    out times timestamptz[],
    out until timestamptz,
    out complete boolean
)
language plpgsql
as $probe$
declare
    test constant pg_catalog.text := (
        select pg_catalog.format(
            'select exists (select from pgmq.%I as q where q.msg_id operator(pg_catalog.=) any ($1))', c.relname)
        from pg_catalog.pg_class as c
        where c.oid operator(pg_catalog.=) queue_table);
    messages pg_catalog.record;
    for_newcomers pg_catalog.int8[];
    asked pg_catalog.int8[];
    sees pg_catalog.bool;
    timezone pg_catalog.text;
begin
    perform pg_catalog.set_config('transaction_read_only', 'on', true);
    if pgmq_gateway.fingerprint(relations, functions) is distinct from fingerprint then
        raise sqlstate 'GW130' using message = 'the policies have changed';
    end if;
    messages := pgmq_gateway.found_messages(queue_table, since, overlap, known, known_at, max_ids);
    until := messages.until;
    complete := messages.complete;
    fresh := pg_catalog.cardinality(messages.fresh);
    ids := pg_catalog.array_cat(messages.recent, messages.fresh);
    times := messages.times;
    -- The last ones: what became visible before a newcomer's first attempt was seen by that.
    for_newcomers := pg_catalog.array_cat(
        messages.recent[greatest(1, pg_catalog.cardinality(messages.recent) - max_ids + 1) :], messages.fresh);
    seeing := '{}';
    if settings is not null then
        for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
            perform pg_catalog.set_config(settings[place], settings[place + 1], true);
        end loop;
    end if;
    perform
        -- Other probes wait for this one.
        pg_catalog.set_config('lock_timeout', '50ms', true),
        -- A plan that was made while the table was empty must not read all of it later.
        pg_catalog.set_config('enable_seqscan', 'off', true),
        pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true),
        pg_catalog.set_config('search_path', schemas, true),
        pg_catalog.set_config('response.headers', '', true),
        pg_catalog.set_config('response.status', '', true);
    timezone := pg_catalog.current_setting('timezone');
    role := pg_catalog.set_config('role', role, true);
    for n in 1 .. pg_catalog.cardinality(claims) loop
        asked := case when n <= established then messages.fresh else for_newcomers end;
        continue when pg_catalog.cardinality(asked) = 0;
        sees := true;
        -- A policy that raises does so for its caller only, who is woken and gets the error.
        begin
            role := pg_catalog.set_config('request.jwt.claims', claims[n], true);
            if requests is not null then
                perform
                    pg_catalog.set_config('request.method', requests[4 * n - 3], true),
                    pg_catalog.set_config('request.path', requests[4 * n - 2], true),
                    pg_catalog.set_config('request.headers', requests[4 * n - 1], true),
                    pg_catalog.set_config('request.cookies', requests[4 * n], true);
            end if;
            if timezones is not null then
                perform pg_catalog.set_config('timezone', coalesce(timezones[n], timezone), true);
            end if;
            if prepare is not null then
                execute prepare;
            end if;
            -- `create_policy_probe` replaces this line.
            execute test into sees using asked;
            if prepare is not null then
                -- The next caller must not find what this one has set.
                raise sqlstate 'GW134';
            end if;
        exception when others or assert_failure then null;
        end;
        if sees then
            seeing := pg_catalog.array_append(seeing, n);
        end if;
    end loop;
    role := pg_catalog.set_config('role', 'none', true);
    -- The locks on the tables that were read are kept, so from now on their policies do not change. One that has changed
    -- before may have set another search_path, with other operators.
    if (pgmq_gateway.fingerprint(relations, functions) operator(pg_catalog.=) fingerprint) is not true then
        raise sqlstate 'GW130' using message = 'the policies have changed';
    end if;
    if prepare is not null then
        -- What is not undone with a transaction, such as session-level advisory locks.
        perform pgmq_gateway.clean_session();
    end if;
end;
$probe$;
revoke all on function pgmq_gateway.probe_policy from public;
grant execute on function pgmq_gateway.probe_policy to authenticator;

-- Creates the function pg_temp.probe_policy_<oid> for one queue: the same with a static statement, which is planned once
-- and not for each caller. It lasts as long as the session, so it is of no use behind a pooler.
create or replace function pgmq_gateway.create_policy_probe(queue_table regclass)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $create$
begin
    execute replace(
        replace(
            pg_get_functiondef('pgmq_gateway.probe_policy'::regproc), 'FUNCTION pgmq_gateway.probe_policy(',
            format('FUNCTION pg_temp.probe_policy_%s(', queue_table::oid)),
        'execute test into sees using asked;',
        format(
            'sees := exists (select from %s as q where q.msg_id operator(pg_catalog.=) any (asked));', queue_table));
end;
$create$;
revoke all on function pgmq_gateway.create_policy_probe from public;
grant execute on function pgmq_gateway.create_policy_probe to authenticator;
