-- Orphaned queues: tables of queues that pgmq.meta does not list, as after a partial restore.
--
-- Why: requests reach these tables by the queue's name, but pgmq lists, measures and drops only queues of pgmq.meta.

-- All orphaned queues, or those of these names; pgmq's names of tables are in lower case. One of the tables can be missing
-- (null). Left out are detached partitions, and the archives that pgmq keeps as a_NAME_old when it partitions one.
-- obstacle: why no queue can be made of the tables, or null. Partitions that were detached from a queue that has been
-- dropped have no sequence for their ids.
create or replace function pgmq_gateway.orphans(only_names text[] default null)
returns table (
    name text, queue_table regclass, archive_table regclass, is_partitioned boolean, is_unlogged boolean, obstacle text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $orphans$
    with unlisted as materialized (
        select
            c.oid::regclass as relation, substr(c.relname, 1, 1) as prefix, n.name,
            c.relkind = 'p' as is_partitioned, c.relpersistence = 'u' as is_unlogged
        from pg_class as c
        cross join lateral (select substr(c.relname, 3)) as n (name)
        where c.relnamespace = 'pgmq'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
          and c.relname ~ '^[qa]_.' and c.relname = lower(c.relname) and (only_names is null or n.name = any (only_names))
          -- NOT IN is hashed. NOT EXISTS took 2.7 s for 2,000 queues, in nested loops.
          and n.name not in (select lower(m.queue_name) from pgmq.meta as m)
          and (c.relname not like 'a\_%\_old' or not exists (
              select from pgmq.meta as m where lower(m.queue_name) || '_old' = n.name))
          and not exists (
              select from pg_class as p
              where p.relnamespace = c.relnamespace and p.relkind = 'p' and p.oid <> c.oid
                and p.relname = regexp_replace(c.relname, '_(default|p[0-9_]+)$', '')::name
          )
          and (
              select array_agg(a.attname::text) from pg_attribute as a where a.attrelid = c.oid and not a.attisdropped
          ) @> case
              when c.relname like 'q%' then array['msg_id', 'read_ct', 'enqueued_at', 'vt', 'message']
              else array['msg_id', 'archived_at', 'message']
          end
    )
    select
        o.*,
        case
            when not pgmq_gateway.is_allowed_name(o.name) then 'the name of the queue is not allowed'
            when o.is_partitioned and (o.queue_table is null or o.archive_table is null)
            then 'a table of the partitioned queue is missing'
            when pg_get_serial_sequence(o.queue_table::text, 'msg_id') is null and o.queue_table is not null
            then format('%s has no sequence for the ids of messages', o.queue_table)
            when exists (
                select from pg_class as c
                where c.relnamespace = 'pgmq'::regnamespace and c.relname in (('q_' || o.name)::name, ('a_' || o.name)::name)
                  and c.oid <> all (array_remove(array[o.queue_table, o.archive_table], null))
            ) then 'a table with the name of the queue does not have the columns of one'
        end
    from (
        select
            coalesce(q.name, a.name), q.relation, a.relation, coalesce(q.is_partitioned, a.is_partitioned),
            coalesce(q.is_unlogged, false)
        from (select * from unlisted where prefix = 'q') as q
        full join (select * from unlisted where prefix = 'a') as a on a.name = q.name
    ) as o (name, queue_table, archive_table, is_partitioned, is_unlogged)
    order by o.name;
$orphans$;
revoke all on function pgmq_gateway.orphans from public;

-- Makes a queue of the tables of an orphaned one, and creates the table that is missing. Their privileges and policies
-- stay.
create or replace function pgmq_gateway.adopt_queue(queue_name text, queue_type text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $adopt$
declare
    orphan record;
    present text;
begin
    perform pgmq_gateway.check_name(queue_name);
    select * into orphan from pgmq_gateway.orphans(array[queue_name]);
    present := case
        when orphan.is_partitioned then 'partitioned'
        when orphan.queue_table is null then coalesce(nullif(queue_type, 'partitioned'), 'basic')
        when orphan.is_unlogged then 'unlogged'
        else 'basic'
    end;
    if present <> queue_type then
        raise exception 'the tables of queue "%" are not of type %', queue_name, queue_type using
            errcode = 'duplicate_table', hint = format('Use type %s.', present);
    elsif orphan.obstacle is not null then
        raise exception 'no queue "%" can be made of its tables: %', queue_name, orphan.obstacle using
            errcode = 'duplicate_table', hint = 'Drop them with pgmq_admin.drop_queue().';
    end if;
    perform pgmq_gateway.check_foreign_code(array[orphan.queue_table, orphan.archive_table]);
    if present = 'partitioned' then
        insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values (adopt_queue.queue_name, true, false);
    else
        perform pgmq_gateway.create_tables(queue_name, queue_type);
    end if;
    perform pgmq_gateway.skip_used_ids(queue_name);
end;
$adopt$;
revoke all on function pgmq_gateway.adopt_queue from public;

-- Sets the sequence of a queue's ids to the highest in its tables: with a lower one, new messages would have the ids of
-- others, and could not be archived.
create or replace function pgmq_gateway.skip_used_ids(queue_name text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $skip$
declare
    ids constant regclass := pg_get_serial_sequence(format('pgmq.%I', 'q_' || queue_name), 'msg_id');
    used bigint;
begin
    execute format(
        'select greatest((select max(msg_id) from pgmq.%I), (select max(msg_id) from pgmq.%I))',
        'q_' || queue_name, 'a_' || queue_name
    ) into used;
    if used > coalesce(pg_sequence_last_value(ids), 0) then
        perform setval(ids, used);
    end if;
end;
$skip$;
revoke all on function pgmq_gateway.skip_used_ids from public;

-- Drops an orphaned queue, and the remaining tables of a listed one: pgmq.drop_queue returns early where the queue's table
-- is missing.
create or replace function pgmq_gateway.drop_remains(queue_name text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $drop$
declare
    remaining regclass;
begin
    delete from pgmq.meta as m where m.queue_name = drop_remains.queue_name;
    perform pgmq_settings.drop_group_functions(lower('q_' || queue_name));
    for remaining in
        select t.relation
        from pgmq_gateway.orphans(array[lower(queue_name)]) as o
        cross join unnest(array[o.queue_table, o.archive_table]) as t (relation)
        where t.relation is not null
    loop
        -- Before pgmq 1.6 the tables of queues are members of the extension.
        if exists (
            select from pg_depend as d
            where d.classid = 'pg_class'::regclass and d.objid = remaining and d.deptype = 'e'
        ) then
            execute format('alter extension pgmq drop table %s', remaining);
        end if;
        execute format('drop table %s', remaining);
    end loop;
    if pgmq_gateway.partman_config() is not null then
        execute format('delete from %s where parent_table = any ($1)', pgmq_gateway.partman_config())
            using array['pgmq.' || lower('q_' || queue_name), 'pgmq.' || lower('a_' || queue_name)];
    end if;
end;
$drop$;
revoke all on function pgmq_gateway.drop_remains from public;

-- Queues that lack a table, with the names of the tables that are missing.
create or replace function pgmq_gateway.incomplete_queues()
returns table (queue_name text, missing text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $incomplete$
    select m.queue_name::text, t.names
    from pgmq.meta as m
    cross join lateral (
        select string_agg('pgmq.' || quote_ident(n), ' and ' order by n desc)
        from unnest(array[lower('q_' || m.queue_name), lower('a_' || m.queue_name)]) as n
        where to_regclass(format('pgmq.%I', n)) is null
    ) as t (names)
    where t.names is not null
    order by 1;
$incomplete$;
revoke all on function pgmq_gateway.incomplete_queues from public;

-- Orphaned queues, and queues with a missing table. Orphans without row-level security are open to every role with
-- privileges on them.
create or replace function pgmq_gateway.lint_orphans()
returns setof pgmq_admin.finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $lint$
    select
        null::text, 'orphaned_queue',
        case
            when exists (
                select
                from pgmq_gateway.limited_roles() as r
                join pg_class as c on c.oid = o.queue_table and not c.relrowsecurity
                where has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE')
                   or has_table_privilege(r.oid, c.oid, 'DELETE')
            ) then 'error'
            else 'warning'
        end,
        case
            when o.archive_table is null
            then format('pgmq.meta does not list queue "%s", whose table %s is served.', o.name, o.queue_table)
            when o.queue_table is null
            then format('%s is left of a queue "%s" that pgmq.meta does not list.', o.archive_table, o.name)
            else format('pgmq.meta does not list queue "%s", whose tables %s and %s are served.', o.name, o.queue_table,
                o.archive_table)
        end,
        format(
            case
                when o.obstacle is null
                then 'pgmq_admin.create_queue(%1$L, %2$L, adopt => true) makes a queue of what is there, '
                    'pgmq_admin.drop_queue(%1$L) drops it.'
                else 'No queue can be made of it: %3$s. pgmq_admin.drop_queue(%1$L) drops it.'
            end,
            o.name,
            case when o.is_partitioned then 'partitioned' when o.is_unlogged then 'unlogged' else 'basic' end,
            o.obstacle)
    from pgmq_gateway.orphans() as o
    union all
    select
        i.queue_name, 'missing_table', 'warning', format('Calls fail, because tables are missing: %s.', i.missing),
        format('Restore it, or drop the rest of the queue with pgmq_admin.drop_queue(%L).', i.queue_name)
    from pgmq_gateway.incomplete_queues() as i;
$lint$;
revoke all on function pgmq_gateway.lint_orphans from public;
