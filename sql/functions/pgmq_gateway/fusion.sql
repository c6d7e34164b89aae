-- The statement that several calls of a function on a queue can be, if they can be one. `fused_calls.sql` runs it.

-- True if code reads a setting whose name is not a constant that begins with one of these prefixes.
--
-- code  a node tree, or the source of a function; names and strings in trees are numbers
create or replace function pgmq_gateway.reads_other_settings(code text, prefixes text[])
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $reads$
    select
        -- The bytes of a prefix behind the four of the length.
        code ~ format(
            $$:funcid (?:%s|%s) (?![^{]*\{CONST [^[}]*\[ (?:-?\d+ ){4}(?:%s))$$,
            'current_setting(text)'::regprocedure::oid, 'current_setting(text, boolean)'::regprocedure::oid,
            (
                select string_agg(b.bytes, '|')
                from unnest(prefixes) as p (prefix)
                cross join lateral (
                    select string_agg(get_byte(prefix::bytea, n) || ' ', '' order by n)
                    from generate_series(0, length(prefix) - 1) as n
                ) as b (bytes)
            ))
        or code ~* format(
            $$current_setting(?!\s*\(\s*'(?:%s))$$, replace(array_to_string(prefixes, '|'), '.', '\.'))
        or code ~ format(':funcid %s ', 'pg_show_all_settings()'::regprocedure::oid)
        or code ~* 'pg_show_all_settings';
$reads$;
revoke all on function pgmq_gateway.reads_other_settings from public;
grant execute on function pgmq_gateway.reads_other_settings to authenticator;

-- True if code could distinguish several calls with equal requests in one statement from a statement for each: it reads
-- the tables that the calls write, a setting other than those of the request and of the operator (app.…), or a random
-- value or sample, which a subquery would get once for all calls.
--
-- code     as above
-- tables   with their sequences
-- per_row  whether it is evaluated for each row, as defaults are
create or replace function pgmq_gateway.distinguishes_calls(code text, tables oid[], per_row boolean)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $distinguishes$
    select coalesce(
        code ~ format(':relid (?:%s) ', array_to_string(tables, '|'))
        or pgmq_gateway.reads_other_settings(code, array['request.', 'app.'])
        or code ~ '\{TABLESAMPLECLAUSE '
        or not per_row and (
            code ~* 'random|uuidv'
            or code ~ format(
                ':funcid (?:%s) ',
                (select string_agg(p.oid::text, '|') from pg_proc as p
                where p.pronamespace = 'pg_catalog'::regnamespace and p.proname ~ 'random|^uuidv'))),
        false);
$distinguishes$;
revoke all on function pgmq_gateway.distinguishes_calls from public;
grant execute on function pgmq_gateway.distinguishes_calls to authenticator;

-- The statement for calls of a function on a queue, with the effects of a statement of pgmq for each call; null for a
-- function without one. It is run with an empty search_path.
--
-- send, send_batch  $1 times at which the messages become visible, $2 messages; returns the ids in this order
-- read, pop         $1 the time of the read, $2 the number of messages, $3 for each call the place of its first message,
--                   $4 for each call the visibility timeout; returns for each call that got messages, in order: its
--                   number, count, json_agg
-- delete, archive   $1 ids; returns those of messages that were there
--
-- columns        those of pgmq.message_record, which differ between versions of pgmq
-- other_columns  those of the queue that the function reads, too: it needs the privilege, and does not return them
-- ordered_by     the column by which the function selects messages
create or replace function pgmq_gateway.fused_statement(
    queue_name text, function_name text, columns name[], other_columns name[], ordered_by name
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $statement$
    select format(
        case
            when function_name = 'delete' then $$
                with settled as (delete from pgmq.%1$I where msg_id = any ($1) returning msg_id)
                select array_agg(msg_id) from settled $$
            when function_name = 'archive' then $$
                with deleted as (delete from pgmq.%1$I where msg_id = any ($1) returning %4$s),
                settled as (insert into pgmq.%2$I (%4$s) select %4$s from deleted returning msg_id)
                select array_agg(msg_id) from settled $$
            when function_name = 'read' then pgmq_gateway.receiving_statement($$
                update pgmq.%1$I as q
                set vt = $1 + make_interval(secs => ($4)[claimed.call]), read_ct = q.read_ct + 1 %6$s
                from claimed $$)
            when function_name = 'pop' then pgmq_gateway.receiving_statement('delete from pgmq.%1$I as q using claimed')
            -- As in pgmq.send_batch, rows are inserted and returned in the order in which unnest produces them.
            when function_name in ('send', 'send_batch') then $$
                with sent as (
                    insert into pgmq.%1$I (vt, message %7$s)
                    select s.vt, s.message %8$s from unnest($1, $2) as s (vt, message)
                    returning msg_id
                )
                select array_agg(msg_id) from sent $$
        end,
        lower('q_' || queue_name), lower('a_' || queue_name), ordered_by,
        (select string_agg(quote_ident(c), ', ') from unnest(columns) as c),
        (select ', row(' || string_agg('q.' || quote_ident(c), ', ') || ')' from unnest(other_columns) as c),
        case when 'last_read_at' = any (columns) then ', last_read_at = $1' end,
        case when 'headers' = any (columns) then ', headers' end,
        case when 'headers' = any (columns) then ', null::pg_catalog.jsonb' end);
$statement$;
revoke all on function pgmq_gateway.fused_statement from public;
grant execute on function pgmq_gateway.fused_statement to authenticator;

-- A statement that claims messages as read and pop do, for the reasons in ../pgmq_public/read.sql, and deals them out in
-- the order of the claim: the window has no order of its own.
--
-- command  an UPDATE or DELETE of q that names claimed
create or replace function pgmq_gateway.receiving_statement(command text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $statement$
    select $$
        with claimed as (
            select c.id, width_bucket(row_number() over (), $3) as call
            from (
                select msg_id as id from pgmq.%1$I where vt <= $1 order by %3$I limit $2 for update skip locked
            ) as c
        ), received as ( $$ || command || $$
            where q.msg_id = claimed.id
            returning claimed.call, row(%4$s)::pgmq.message_record as message %5$s
        )
        select call, count(*), json_agg(message order by (message).msg_id)
        from received group by call order by call $$;
$statement$;
revoke all on function pgmq_gateway.receiving_statement from public;
grant execute on function pgmq_gateway.receiving_statement to authenticator;

-- What `calls` needs to run calls of a function on a queue as one statement, or null: its kind, the statement, the
-- functions that each call would execute with the schema of the first one, and whether the requests have to be equal.
-- Those of kind `leases` depend on the settings of the queue; pgmq_settings.calls_together has their statements.
--
-- routines        these functions
-- reads_requests  whether policies read headers, cookies, path or method
create or replace function pgmq_gateway.fusion(
    queue_name text, function_name text, routines oid[], reads_requests boolean
)
returns json
language sql
stable
set search_path = pg_catalog, pg_temp
as $fusion$
    with tables as (
        select
            c.relname, array_agg(a.attname order by a.attnum) as names,
            array_agg(concat_ws(' ', a.attname, a.atttypid, a.atttypmod) order by a.attnum) as columns
        from pg_class as c
        join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = to_regnamespace('pgmq')
          and c.relname = any (array['message_record', lower('q_' || queue_name)])
        group by c.relname
    ), code as (
        select
            -- Supabase's functions call those of pgmq, which scan the primary key.
            case when bool_or(r.of_pgmq and r.proname = function_name) then 'msg_id' else 'vt' end as ordered_by,
            bool_or(r.whole_rows) as reads_whole_rows,
            bool_or(r.whole_rows and r.of_pgmq) as returns_whole_rows
        from (
            select
                p.proname, p.pronamespace = to_regnamespace('pgmq') as of_pgmq,
                p.prosrc ~* 'returning\s+(?:\w+\.)?\*' as whole_rows
            from pg_proc as p
            where p.oid = any (routines)
        ) as r
    )
    select json_build_object(
        'kind', k.kind,
        'function', function_name,
        'schema', case when function_name ~ '\.' then split_part(function_name, '.', 1) else 'pgmq_public' end,
        'statement', s.statement,
        'reads_requests', reads_requests,
        -- As the text of an array, which is read faster.
        'routines', routines::text)
    from (values
        ('send', 'send'), ('send_batch', 'send_batch'), ('read', 'receive'), ('pop', 'receive'), ('delete', 'settle'),
        ('archive', 'settle'), ('pgmq_api.delete', 'settle'), ('pgmq_api.archive', 'settle'), ('pgmq_api.send', 'leases'),
        ('pgmq_api.read', 'leases'), ('pgmq_api.pop', 'leases'), ('pgmq_api.ack', 'leases'), ('pgmq_api.settle', 'leases')
    ) as k (name, kind)
    cross join code
    join tables as message on message.relname = 'message_record'
    join tables as queue on queue.relname <> 'message_record'
    cross join lateral pgmq_gateway.fused_statement(
        queue_name, case k.kind when 'settle' then replace(k.name, 'pgmq_api.', '') else k.name end, message.names,
        case when code.reads_whole_rows then array(select unnest(queue.names) except select unnest(message.names)) end,
        code.ordered_by) as s (statement)
    where k.name = function_name
      and (s.statement is not null or k.kind = 'leases')
      -- Other types are an error of each call, and so are other columns where the function returns all.
      and (k.kind <> 'receive' or queue.columns @> message.columns)
      and (not code.returns_whole_rows or queue.columns = message.columns)
      -- pgmq rejects other names at each call.
      and queue_name !~ '\$|;|--|''';
$fusion$;
revoke all on function pgmq_gateway.fusion from public;
grant execute on function pgmq_gateway.fusion to authenticator;
