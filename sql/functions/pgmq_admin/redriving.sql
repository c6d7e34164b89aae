-- Dead letters: counting them; sending them, and archived messages, again. SECURITY INVOKER: see browsing.sql.

create or replace function pgmq_admin.dead_letters(queue_name text)
returns table (origin text, dead_letter_queue text, messages bigint, exact boolean)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $letters$
declare
    own_table constant text := pgmq_gateway.message_table(queue_name, 'q');
    own_letters constant text := (
        select s.dead_letter_queue from pgmq_settings.settings as s where s.queue_table = own_table);
    holder text;
begin
    foreach holder in array array[own_letters, queue_name] loop
        continue when holder is null;
        -- The rows of a long queue would take seconds.
        return query execute format(
            $query$
            with letters as materialized (
                select %s as queue_table from (select q.headers from pgmq.%I as q order by q.msg_id limit 10000) as q
            ), counted as (
                select l.queue_table, count(*) as messages from letters as l
                -- Senders can write any name: a longer one is that of no table.
                where length(l.queue_table) <= 63 group by l.queue_table
            ), origins as (
                select c.queue_table from counted as c
                union
                select s.queue_table from pgmq_settings.settings as s where s.dead_letter_queue = $1
            )
            select
                coalesce(m.queue_name::text, substr(o.queue_table, 3)), $1, coalesce(c.messages, 0),
                (select count(*) < 10000 from letters)
            from origins as o
            left join counted as c on c.queue_table = o.queue_table
            left join pgmq.meta as m on lower('q_' || m.queue_name) = o.queue_table
            where $2 is null or o.queue_table = $2
            order by m.queue_name is null, 3 desc, 1
            limit 100
            $query$,
            pgmq_settings.origin_expression(), pgmq_gateway.message_table(holder, 'q'))
        using holder, case when holder <> queue_name then own_table end;
    end loop;
end;
$letters$;
comment on function pgmq_admin.dead_letters is
    'The queues whose dead letters are in this one or that bury them here, and the dead-letter queue of this one, each '
    'with the number of letters among the 10,000 oldest messages; exact if there are no others.';
revoke all on function pgmq_admin.dead_letters from public;
grant execute on function pgmq_admin.dead_letters to service_role;

create or replace function pgmq_admin.redrive(
    queue_name text,
    to_queue text default null,
    max_messages integer default 100,
    per_second double precision default null,
    filter jsonb default '{}',
    start_at timestamptz default null
)
returns table (moved integer, skipped integer, last_visible_at timestamptz, refused jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
as $redrive$
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    perform pgmq_gateway.check_queue_exists(to_queue) where to_queue is not null;
    select r.* into moved, skipped, last_visible_at, refused
    from pgmq_settings.redrive(queue_name, to_queue, max_messages, per_second, filter, start_at) as r;
    perform pgmq_settings.record_action(queue_name, 'redrive', moved::bigint);
    return next;
end;
$redrive$;
comment on function pgmq_admin.redrive is
    'Moves dead letters that are visible, oldest first, back to the queues they came from, or to one queue; skipped are '
    'those without such a queue, and those that it refuses: refused has up to 100 of these, with their errors. '
    'per_second: spreads the times at which they become visible, from start_at on. Repeat until it moves none.';
revoke all on function pgmq_admin.redrive from public;
grant execute on function pgmq_admin.redrive to service_role;

create or replace function pgmq_admin.replay(
    queue_name text,
    max_messages integer default 100,
    per_second double precision default null,
    filter jsonb default '{}',
    start_at timestamptz default null
)
returns table (sent integer, last_visible_at timestamptz)
language plpgsql
set search_path = pg_catalog, pg_temp
as $replay$
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    select r.* into sent, last_visible_at
    from pgmq_settings.replay(queue_name, max_messages, per_second, filter, start_at) as r;
    perform pgmq_settings.record_action(queue_name, 'replay', sent::bigint);
    return next;
end;
$replay$;
comment on function pgmq_admin.replay is
    'Sends copies of archived messages, oldest first, to their queue; the archive stays. per_second: spreads the times at '
    'which they become visible, from start_at on.';
revoke all on function pgmq_admin.replay from public;
grant execute on function pgmq_admin.replay to service_role;
