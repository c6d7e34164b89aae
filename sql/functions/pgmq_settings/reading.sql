-- The statements that read and pop messages. Each is built here only, for all kinds of queues.
--
-- All scan the index on vt, and only up to the present; see pgmq_public/read.sql for the reasons. Parameters:
--
-- $1  the present time
-- $2  the maximum number of messages
-- $3  the lease in seconds
-- $4  the latest vt
-- $5 to $7  as in dead_condition
-- $8  the value that a message must contain, if `conditional`
-- $9  the name of the queue

-- True if a table has the column last_read_at, which came with pgmq 1.10. By two constants, so that its plan is kept.
create or replace function pgmq_settings.has_last_read_at(table_name text)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $has$
declare
    relation constant oid := to_regclass('pgmq.' || quote_ident(table_name));
begin
    return exists (
        select from pg_attribute as a
        where a.attrelid = relation and a.attname = 'last_read_at' and not a.attisdropped);
end;
$has$;
revoke all on function pgmq_settings.has_last_read_at from public;
grant execute on function pgmq_settings.has_last_read_at to anon, authenticated, service_role, pgmq_definer;

-- The columns of pgmq_api.message, from a row named m.
create or replace function pgmq_settings.message_columns(queue_table text, receipt text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $columns$
begin
    return format(
        'm.msg_id, m.read_ct, m.enqueued_at, %s, m.vt, m.message, m.headers, %s, $9',
        case when pgmq_settings.has_last_read_at(queue_table) then 'm.last_read_at' else 'null::timestamptz' end,
        receipt);
end;
$columns$;
revoke all on function pgmq_settings.message_columns from public;
grant execute on function pgmq_settings.message_columns to anon, authenticated, service_role;

-- Reads messages. Dead ones are leased too, but not returned: this plan is cheaper than one that leaves them out first.
--
-- living  leave out dead messages, however many are in the way
create or replace function pgmq_settings.read_statement(
    queue_table text, conditional boolean, living boolean default false
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $statement$
declare
    columns constant text := pgmq_settings.message_columns(queue_table, pgmq_settings.receipt_expression('m'));
begin
    return format(
        $query$
        with claimed as (
            select q.msg_id from pgmq.%1$I as q
            where q.vt <= $4 %2$s
            order by q.vt limit $2
            for update skip locked
        ), m as (
            update pgmq.%1$I as q
            set vt = $1 + make_interval(secs => $3), read_ct = q.read_ct + 1 %3$s
            from claimed where q.msg_id = claimed.msg_id
            returning q.*
        )
        select %4$s from m where %5$s is not true order by m.msg_id
        $query$,
        queue_table,
        concat_ws(
            ' ',
            case when conditional then 'and q.message @> $8' end,
            case when living then pgmq_settings.living_condition() end),
        case when columns like '%m.last_read_at%' then ', last_read_at = $1' else '' end,
        columns,
        pgmq_settings.dead_condition('m'));
end;
$statement$;
revoke all on function pgmq_settings.read_statement from public;
grant execute on function pgmq_settings.read_statement to anon, authenticated, service_role;

-- The ids of dead messages that a read has leased a moment ago.
create or replace function pgmq_settings.dead_statement(queue_table text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $statement$
begin
    return format(
        'select array_agg(q.msg_id) from pgmq.%I as q where q.vt = $1 + make_interval(secs => $3) and %s',
        queue_table, pgmq_settings.dead_condition('q'));
end;
$statement$;
revoke all on function pgmq_settings.dead_statement from public;
grant execute on function pgmq_settings.dead_statement to anon, authenticated, service_role;

-- Pops messages that are not dead.
create or replace function pgmq_settings.pop_statement(queue_table text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $statement$
begin
    return format(
        $query$
        with claimed as (
            select q.msg_id from pgmq.%1$I as q
            where q.vt <= $4 %2$s
            order by q.vt limit $2
            for update skip locked
        ), m as (
            delete from pgmq.%1$I as q using claimed where q.msg_id = claimed.msg_id returning q.*
        )
        select %3$s from m order by m.msg_id
        $query$,
        queue_table, pgmq_settings.living_condition(), pgmq_settings.message_columns(queue_table, 'null::text'));
end;
$statement$;
revoke all on function pgmq_settings.pop_statement from public;
grant execute on function pgmq_settings.pop_statement to anon, authenticated, service_role;

-- Reads or pops messages for several calls at once, and deals them out in the order of the claim: the window has no
-- order of its own. Returns for each call that got messages its number, count and json_agg; dead messages are those of
-- no call.
--
-- $3  for each call the lease in seconds
-- $8  for each call the place of its first message
create or replace function pgmq_settings.shared_receive_statement(queue_table text, popping boolean)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $statement$
declare
    columns constant text := pgmq_settings.message_columns(
        queue_table, case when popping then 'null::text' else pgmq_settings.receipt_expression('m') end);
begin
    return format(
        $query$
        with claimed as (
            select c.msg_id, width_bucket(row_number() over (), $8) as claiming_call
            from (
                select q.msg_id from pgmq.%1$I as q where q.vt <= $4 order by q.vt limit $2 for update skip locked
            ) as c
        ), m as (
            %2$s where q.msg_id = claimed.msg_id returning q.*, claimed.claiming_call
        )
        select
            case when (%3$s) is not true then m.claiming_call end as call, count(*),
            json_agg(row(%4$s)::pgmq_api.message order by m.msg_id)
        from m group by 1
        $query$,
        queue_table,
        case
            when popping then format('delete from pgmq.%I as q using claimed', queue_table)
            else format(
                'update pgmq.%I as q set vt = $1 + make_interval(secs => ($3)[claimed.claiming_call]), '
                'read_ct = q.read_ct + 1 %s from claimed',
                queue_table, case when columns like '%m.last_read_at%' then ', last_read_at = $1' else '' end)
        end,
        pgmq_settings.dead_condition('m') || case when popping then ' or m.read_ct >= $5' else '' end,
        columns);
end;
$statement$;
revoke all on function pgmq_settings.shared_receive_statement from public;
grant execute on function pgmq_settings.shared_receive_statement to anon, authenticated, service_role;

-- The ids of the dead among the first visible messages. Dead ones are first, because nothing changes their vt.
create or replace function pgmq_settings.front_statement(queue_table text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $statement$
begin
    return format(
        'select array_agg(q.msg_id) from (select * from pgmq.%I where vt <= $1 order by vt limit 100) as q '
        'where %s or q.read_ct >= $5', queue_table, pgmq_settings.dead_condition('q'));
end;
$statement$;
revoke all on function pgmq_settings.front_statement from public;
grant execute on function pgmq_settings.front_statement to anon, authenticated, service_role;
