-- Whether the calls of a function on a queue can be one statement, and which. `fused_calls.sql` runs it.
--
-- To add a function: its statement here, and its name in `kind_of_fusion`.

-- Whether code could tell several calls in one statement from a statement for each: it reads the tables that the calls
-- write, a setting other than the claims and those of the operator (app.…), or a random value, which a subquery would get
-- once for all calls.
--
-- code     a node tree, or the source of a function; names and strings in trees are numbers
-- by_rows  whether it is evaluated for each row, as defaults are
create or replace function pgmq_gateway.tells_calls_apart(code text, tables oid[], by_rows boolean)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $apart$
    select coalesce(
        code ~ format(':relid (?:%s) ', array_to_string(tables, '|'))
        -- The bytes of request.jwt. or app. behind the four of the length.
        or code ~ format(
            $$:funcid (?:%s|%s) (?![^{]*\{CONST [^[}]*\[ (?:-?\d+ ){4}(?:%s|%s))$$,
            'current_setting(text)'::regprocedure::oid, 'current_setting(text, boolean)'::regprocedure::oid,
            '114 101 113 117 101 115 116 46 106 119 116 46 ', '97 112 112 46 ')
        or code ~* $$current_setting(?!\s*\(\s*'(?:request\.jwt|app)\.)$$
        or not by_rows and (
            code ~* 'random|uuidv'
            or code ~ format(
                ':funcid (?:%s) ',
                (select string_agg(p.oid::text, '|') from pg_proc as p
                where p.pronamespace = 'pg_catalog'::regnamespace and p.proname ~ 'random|^uuidv'))),
        false);
$apart$;
revoke all on function pgmq_gateway.tells_calls_apart from public;
grant execute on function pgmq_gateway.tells_calls_apart to authenticator;

-- Which function of `fused_calls.sql` runs the calls of a function; null for none.
create or replace function pgmq_gateway.kind_of_fusion(function_name text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $kind$
    select case
        when function_name in ('send', 'send_batch') then function_name
        when function_name in ('read', 'pop') then 'receive'
        when function_name in ('delete', 'archive') then 'settle'
    end;
$kind$;
revoke all on function pgmq_gateway.kind_of_fusion from public;
grant execute on function pgmq_gateway.kind_of_fusion to authenticator;

-- The statement for calls of a function on a queue, with the effects of a statement of pgmq for each call. It is run with
-- an empty search_path.
--
-- send, send_batch  $1 times at which the messages become visible, $2 messages; returns the ids in this order
-- read, pop         $1 the present, $2 the number of messages, $3 for each call the place of its first message, $4 for
--                   each call the visibility timeout; returns the number of the call and its messages: count, json_agg
-- delete, archive   $1 ids; returns those of messages that were there
--
-- columns    those of pgmq.message_record, which differ between versions of pgmq
-- claims_by  the column by which the function selects messages
create or replace function pgmq_gateway.fused_statement(
    queue_name text, function_name text, columns name[], claims_by name
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $statement$
    select format(
        case function_name
            when 'delete' then $$
                with settled as (delete from pgmq.%1$I where msg_id = any ($1) returning msg_id)
                select array_agg(msg_id) from settled $$
            when 'archive' then $$
                with deleted as (delete from pgmq.%1$I where msg_id = any ($1) returning %4$s),
                settled as (insert into pgmq.%2$I (%4$s) select %4$s from deleted returning msg_id)
                select array_agg(msg_id) from settled $$
            when 'read' then pgmq_gateway.receiving_statement($$
                update pgmq.%1$I as q
                set vt = $1 + make_interval(secs => ($4)[claimed.call]), read_ct = q.read_ct + 1 %5$s
                from claimed $$)
            when 'pop' then pgmq_gateway.receiving_statement('delete from pgmq.%1$I as q using claimed')
            else $$
                with sent as (
                    insert into pgmq.%1$I (vt, message %6$s)
                    select s.vt, s.message %7$s from unnest($1, $2) as s (vt, message)
                    returning msg_id
                )
                select array_agg(msg_id) from sent $$
        end,
        lower('q_' || queue_name), lower('a_' || queue_name), claims_by,
        (select string_agg(quote_ident(c), ', ') from unnest(columns) as c),
        case when 'last_read_at' = any (columns) then ', last_read_at = $1' end,
        case when 'headers' = any (columns) then ', headers' end,
        case when 'headers' = any (columns) then ', null::pg_catalog.jsonb' end);
$statement$;
revoke all on function pgmq_gateway.fused_statement from public;
grant execute on function pgmq_gateway.fused_statement to authenticator;

-- A statement that claims messages as read and pop do, for the reasons in ../pgmq_public/read.sql, and deals them out.
create or replace function pgmq_gateway.receiving_statement(change text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $statement$
    select $$
        with claimed as (
            select c.msg_id, width_bucket(row_number() over (), $3) as call
            from (
                select msg_id from pgmq.%1$I where vt <= $1 order by %3$I limit $2 for update skip locked
            ) as c
        ), received as ( $$ || change || $$ where q.msg_id = claimed.msg_id returning claimed.call, q.*)
        select call, count(*), json_agg(row(%4$s)::pgmq.message_record order by msg_id)
        from received group by call $$;
$statement$;
revoke all on function pgmq_gateway.receiving_statement from public;
grant execute on function pgmq_gateway.receiving_statement to authenticator;

-- What `calls` needs to run calls of a function on a queue as one statement, or null for a function without one: its
-- kind, the statement, and the functions that each call would execute.
--
-- functions  the names of these functions in pgmq
create or replace function pgmq_gateway.fusion(queue_name text, function_name text, functions text[])
returns json
language sql
stable
set search_path = pg_catalog, pg_temp
as $fusion$
    select json_build_object(
        'kind', pgmq_gateway.kind_of_fusion(function_name),
        'statement', pgmq_gateway.fused_statement(
            queue_name, function_name,
            array(
                select a.attname
                from pg_attribute as a
                join pg_class as c on c.oid = a.attrelid
                where c.relnamespace = to_regnamespace('pgmq') and c.relname = 'message_record'
                  and a.attnum > 0 and not a.attisdropped
                order by a.attnum),
            -- Supabase's functions call those of pgmq, which scan the primary key.
            (select case when r.prosrc ~ 'pgmq\.(?:read|pop)\s*\(' then 'msg_id' else 'vt' end)),
        -- As the text of an array, which is read faster.
        'routines', (array[r.oid] || array(
            select p.oid
            from pg_proc as p
            where p.pronamespace = to_regnamespace('pgmq') and p.proname = any (functions)))::text)
    from pg_proc as r
    where r.pronamespace = to_regnamespace('pgmq_public') and r.proname = function_name
      and pgmq_gateway.kind_of_fusion(function_name) is not null
      -- pgmq rejects other names at each call.
      and queue_name !~ '\$|;|--|''';
$fusion$;
revoke all on function pgmq_gateway.fusion from public;
grant execute on function pgmq_gateway.fusion to authenticator;
