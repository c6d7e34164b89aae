-- Compares the code of queues with group_limit with that of this version: pg_restore --no-owner gives the functions
-- another owner, a queue can be renamed, and pgmq.drop_queue() leaves functions behind.

-- True if the index, the functions and the triggers of a queue's group_limit are complete.
create or replace function pgmq_gateway.has_group_code(queue_table text, group_limit integer)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $has$
    select pgmq_settings.has_group_index(queue_table)
        and not exists (
            select from pgmq_settings.group_functions(queue_table, group_limit) as f
            where not exists (
                select from pg_proc as p
                where p.pronamespace = 'pgmq_settings'::regnamespace and p.proname = f.name and p.prosrc = f.source
                  and p.prosecdef and p.proowner = to_regrole('pgmq_definer')
                  and p.proconfig = array[
                      'search_path=pg_catalog, pg_temp', 'plan_cache_mode=force_generic_plan',
                      'row_security=' || pgmq_settings.group_row_security()]
            ))
        and not exists (
            select from pgmq_settings.group_triggers(queue_table) as g
            where not exists (
                select from pg_trigger as t
                join pg_proc as p on p.oid = t.tgfoid
                where t.tgrelid = to_regclass(format('pgmq.%I', queue_table)) and t.tgname = g.name
                  and t.tgenabled in ('O', 'A')
                  and p.pronamespace = 'pgmq_settings'::regnamespace and p.proname = g.function
            ));
$has$;
revoke all on function pgmq_gateway.has_group_code from public;

-- Tables with triggers of a group_limit that they no longer have, and after them the functions of such tables.
create or replace function pgmq_gateway.former_group_code()
returns table (queue_name text, on_table regclass, what text, statement text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $former$
    with limited as materialized (
        select s.queue_table from pgmq_settings.queues as s where s.group_limit is not null
    )
    select
        null, c.oid::regclass, format('table %s without triggers of a former group_limit', c.oid::regclass),
        format('select pgmq_settings.limit_groups(%L, null)', c.relname)
    from pg_class as c
    where c.relnamespace = 'pgmq'::regnamespace
      and exists (select from pg_trigger as t where t.tgrelid = c.oid and t.tgname like 'pgmq\_settings\_group\_%')
      and c.relname not in (select l.queue_table from limited as l)
    union all
    select
        null, null, format('schema pgmq_settings without function %s of a former queue', p.proname),
        format('drop function if exists %s', p.oid::regprocedure)
    from pg_proc as p
    where p.pronamespace = 'pgmq_settings'::regnamespace and p.proname ~ '^(park|promote)_q_'
      and regexp_replace(p.proname, '^[a-z]+_', '') not in (select l.queue_table from limited as l)
      and not exists (
          select from pg_trigger as t
          join pg_class as c on c.oid = t.tgrelid
          where t.tgfoid = p.oid
            and (c.relnamespace <> 'pgmq'::regnamespace or c.relname in (select l.queue_table from limited as l)));
$former$;
revoke all on function pgmq_gateway.former_group_code from public;

-- Objects to restore, each with the statement that does.
create or replace function pgmq_gateway.missing_group_code()
returns table (queue_name text, on_table regclass, what text, statement text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $missing$
    select
        s.queue_name, r.relation, format('triggers of group_limit on table %s', r.relation),
        format('select pgmq_settings.limit_groups(%L, %s)', s.queue_table, s.group_limit)
    from pgmq_settings.queues as s
    cross join lateral (select to_regclass(format('pgmq.%I', s.queue_table)) as relation) as r
    where s.group_limit is not null and r.relation is not null
      and not pgmq_gateway.has_group_code(s.queue_table, s.group_limit)
    union all
    select * from pgmq_gateway.former_group_code();
$missing$;
revoke all on function pgmq_gateway.missing_group_code from public;
