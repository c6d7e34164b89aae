-- Looking at queues, without an effect on their messages. All count and return what the policies show the caller.

create or replace function pgmq_api.peek(queue_name text, n integer default 10, after bigint default 0)
returns table (
    msg_id bigint, read_ct integer, enqueued_at timestamptz, last_read_at timestamptz, vt timestamptz, state text,
    message jsonb, headers jsonb
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $peek$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
begin
    if n is null or n not between 1 and 1000 then
        raise exception 'n is %, but must be between 1 and 1000', coalesce(n::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Use after for further messages.';
    end if;
    return query execute format(
        'select q.msg_id, q.read_ct, q.enqueued_at, %s, q.vt, %s, q.message, q.headers '
        'from pgmq.%I as q where q.msg_id > $1 order by q.msg_id limit $2',
        case when pgmq_settings.has_last_read_at(table_name) then 'q.last_read_at' else 'null::timestamptz' end,
        pgmq_settings.state_expression('$3'), table_name)
    using coalesce(after, 0), n, clock_timestamp();
end;
$peek$;
comment on function pgmq_api.peek(text, integer, bigint) is
    'Up to n messages with ids above `after`, whatever their state, without reading them.';
revoke all on function pgmq_api.peek(text, integer, bigint) from public;
grant execute on function pgmq_api.peek(text, integer, bigint) to anon, authenticated, service_role;

create or replace function pgmq_api.metrics(queue_name text)
returns table (visible integer, in_flight integer, waiting integer, more boolean, oldest_seconds double precision)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $metrics$
begin
    return query execute format(
        $query$
        select
            least(v.visible, 1000), least(l.in_flight, 1000), least(l.waiting, 1000),
            v.visible > 1000 or l.in_flight > 1000 or l.waiting > 1000 or l.in_flight + l.waiting > 2000,
            case when v.oldest < 0 then 0 else v.oldest end
        from (
            select
                count(*)::integer as visible, extract(epoch from $1 - min(enqueued_at))::double precision as oldest
            from (select q.enqueued_at from pgmq.%1$I as q where q.vt <= $1 order by q.vt limit 1001) as x
        ) as v
        cross join (
            select
                count(*) filter (where read_ct > 0)::integer as in_flight,
                count(*) filter (where read_ct = 0)::integer as waiting
            from (select q.read_ct from pgmq.%1$I as q where q.vt > $1 order by q.vt limit 2001) as x
        ) as l
        $query$,
        pgmq.format_table_name(queue_name, 'q'))
    using clock_timestamp();
end;
$metrics$;
comment on function pgmq_api.metrics(text) is
    'Numbers of visible messages, those in flight and those waiting, each counted up to 1000, and the age of the oldest '
    'visible one. more: there are more than counted.';
revoke all on function pgmq_api.metrics(text) from public;
grant execute on function pgmq_api.metrics(text) to anon, authenticated, service_role;

-- From the catalog, because no role of requests but service_role can read pgmq.meta.
create or replace function pgmq_api.queues()
returns table (queue_name text, operations text[])
language sql
stable
set search_path = pg_catalog, pg_temp
as $queues$
    select h.queue_name, h.operations
    from (
        select
            substr(q.relname, 3) as queue_name,
            array_remove(array[
                case when p.inserts and p.selects then 'send' end,
                case when p.updates and p.selects then 'read' end,
                case when p.updates and p.selects and p.deletes then 'pop' end,
                case when p.selects and p.deletes and p.archives then 'archive' end,
                case when p.selects and p.deletes then 'delete' end
            ], null) as operations,
            p.inserts or p.selects or p.updates or p.deletes as any
        from pg_catalog.pg_class as q
        join pg_catalog.pg_class as a
            on a.relnamespace = q.relnamespace and a.relname = overlay(q.relname placing 'a' from 1 for 1)
        cross join lateral (
            select
                has_any_column_privilege(q.oid, 'INSERT') as inserts,
                has_any_column_privilege(q.oid, 'SELECT') as selects,
                has_any_column_privilege(q.oid, 'UPDATE') as updates,
                has_table_privilege(q.oid, 'DELETE') as deletes,
                has_any_column_privilege(a.oid, 'INSERT') and has_any_column_privilege(a.oid, 'SELECT') as archives
        ) as p
        where q.relnamespace = 'pgmq'::pg_catalog.regnamespace and q.relkind in ('r', 'p') and not q.relispartition
          and a.relkind in ('r', 'p') and q.relname like 'q\_%'
    ) as h
    where h.any
    order by h.queue_name;
$queues$;
comment on function pgmq_api.queues() is
    'The queues on which the caller has a privilege, with the operations that its privileges allow; policies decide on '
    'which messages.';
revoke all on function pgmq_api.queues() from public;
grant execute on function pgmq_api.queues() to anon, authenticated, service_role;

create or replace function pgmq_api.purge(queue_name text, max_messages integer default 10000)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $purge$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    ids bigint[];
begin
    if max_messages is null or max_messages not between 1 and 10000 then
        raise exception 'max_messages is %, but must be between 1 and 10000', coalesce(max_messages::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Repeat the call until it deletes none.';
    end if;
    execute format('select array(select q.msg_id from pgmq.%I as q order by q.msg_id limit $1)', table_name)
    into ids using max_messages;
    return (select pg_catalog.count(*) from pgmq_settings.remove_batch(table_name, ids, false));
end;
$purge$;
comment on function pgmq_api.purge(text, integer) is
    'Deletes up to max_messages messages, oldest first, those in flight too, and returns how many. Repeat until 0.';
revoke all on function pgmq_api.purge(text, integer) from public;
grant execute on function pgmq_api.purge(text, integer) to anon, authenticated, service_role;
