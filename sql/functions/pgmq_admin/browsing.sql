-- Browsing and counting messages.
--
-- Why: pgmq shows a message only by reading it, which hides it from its consumers for a while. These functions have no
-- effect on messages, and find them by their contents.
-- SECURITY INVOKER: service_role can read and write the tables anyway, and code of other roles on them must not run with
-- the privileges of the owner. The same holds for sending.sql and changing.sql.

create or replace function pgmq_admin.list_messages(
    queue_name text,
    filter jsonb default '{}',
    sort text default 'msg_id',
    descending boolean default false,
    after jsonb default null,
    before jsonb default null,
    max_rows integer default 30
)
returns setof pgmq_admin.message
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $list$
declare
    condition constant text := pgmq_settings.filter_condition(filter);
    archived constant boolean := pgmq_settings.is_about_archive(filter);
    source constant text := pgmq_gateway.source_table(queue_name, filter);
    -- The page before a row is the first page in the opposite direction.
    backward constant boolean := before is not null;
    falling constant boolean := coalesce(descending, false) <> backward;
    key constant record := pgmq_gateway.page_key(sort, coalesce(after, before));
begin
    perform pgmq_gateway.check_page(filter, sort, after, before, max_rows);
    -- Rows are selected before their messages are decompressed. The second comparison of a key implies the first, which
    -- lets Postgres exclude partitions.
    return query execute format(
        $query$
        with page as materialized (
            select q.* from pgmq.%1$I as q
            where %2$s %3$s
            order by q.%4$I %5$s, q.msg_id %5$s
            limit $6
        )
        select
            q.msg_id, q.read_ct, q.enqueued_at, %6$s, q.vt, %7$s, %8$s,
            octet_length(q.message::text), left(q.message::text, 200), q.message, q.headers
        from page as q
        order by q.%4$I %9$s, q.msg_id %9$s
        $query$,
        source,
        condition,
        case when key.id is not null then format(
            'and q.%1$I %2$s= %3$s and (q.%1$I, q.msg_id) %2$s (%3$s, $5)',
            sort, case when falling then '<' else '>' end, case when key.instant is null then '$3' else '$4' end) end,
        sort,
        case when falling then 'desc' end,
        case when pgmq_gateway.have_column('last_read_at', source) then 'q.last_read_at' else 'null::timestamptz' end,
        case when archived then 'q.archived_at' else 'null::timestamptz' end,
        case when archived then quote_literal('archived') else pgmq_settings.state_expression('$2') end,
        case when descending then 'desc' end
    ) using filter, clock_timestamp(), key.number, key.instant, key.id, max_rows;
end;
$list$;
comment on function pgmq_admin.list_messages is
    'The messages of a queue or its archive that a filter matches, page by page, without any effect on them. '
    'after, before: [value of the sort column, msg_id] of the last or first row of the page that you have.';
revoke all on function pgmq_admin.list_messages from public;
grant execute on function pgmq_admin.list_messages to service_role;

create or replace function pgmq_admin.count_messages(
    queue_name text, filter jsonb default '{}', max_count bigint default null
)
returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $count$
declare
    condition constant text := pgmq_settings.filter_condition(filter);
    number bigint;
begin
    if max_count < 1 then
        raise exception 'max_count is %, but must be at least 1', max_count using
            errcode = 'invalid_parameter_value', hint = 'Leave it out to count all messages.';
    end if;
    -- A limit prevents a parallel count.
    execute format(
        case when max_count is null then 'select count(*) from pgmq.%I as q where %s'
            else 'select count(*) from (select from pgmq.%I as q where %s limit $3) as m' end,
        pgmq_gateway.source_table(queue_name, filter), condition
    ) into number using filter, clock_timestamp(), max_count;
    return number;
end;
$count$;
comment on function pgmq_admin.count_messages is
    'How many messages of a queue or its archive a filter matches, exactly, without any effect on them. '
    'max_count: stops counting at this number.';
revoke all on function pgmq_admin.count_messages from public;
grant execute on function pgmq_admin.count_messages to service_role;

create or replace function pgmq_admin.get_message(queue_name text, msg_id bigint, archived boolean default false)
returns setof pgmq_admin.message
language sql
stable
set search_path = pg_catalog, pg_temp
as $get$
    select *
    from pgmq_admin.list_messages(
        get_message.queue_name,
        jsonb_build_object('msg_ids', jsonb_build_array(get_message.msg_id))
            || case when archived then '{"state": "archived"}'::jsonb else '{}' end);
$get$;
comment on function pgmq_admin.get_message is
    'One message of a queue, or of its archive, without any effect on it; no row if there is none with this id.';
revoke all on function pgmq_admin.get_message from public;
grant execute on function pgmq_admin.get_message to service_role;
