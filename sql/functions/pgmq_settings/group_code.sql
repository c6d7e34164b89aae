-- The trigger functions of a queue with group_limit: generated, so that their statements are static.
--
-- Why SECURITY DEFINER: whether a group is full must not depend on which of its messages a caller sees, and promotion
-- changes messages of others. They belong to pgmq_definer. No text of a caller is in them: the name of the table comes
-- from the catalog, the limit is a number. Before promotion writes, check_own_code refuses code of other roles.

-- The functions of a queue: `park` fires before a message is inserted, `promote` after messages were deleted. An insert
-- that finds room in a group with parked messages first promotes those.
create or replace function pgmq_settings.group_functions(queue_table text, group_limit integer)
returns table (name text, source text)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $functions$
    values (
        'park_' || queue_table,
        format(
            $source$
declare
    group_name constant text := %2$s;
    occupied integer;
    waiting boolean;
begin
    if current_setting('transaction_isolation') <> 'read committed'
        or length(group_name) not between 1 and 128
        or new.vt > clock_timestamp() + interval '7 days'
    then
        perform pgmq_settings.check_isolation();
        perform pgmq_settings.check_grouped(group_name, new.vt);
    end if;
    perform pg_advisory_xact_lock(tg_relid::integer, hashtext(group_name) & 255);
    for round in 1..2 loop
        select %3$s, %4$s into occupied, waiting;
        exit when round = 2 or occupied >= %1$s or not waiting;
        perform pgmq_settings.check_own_code(array[tg_relid]);
        %5$s;
    end loop;
    new.headers := new.headers - 'x-pgmq-not-before';
    if new.vt = 'infinity' then
        new.vt := clock_timestamp();
    end if;
    if occupied >= %1$s or waiting then
        if new.vt > clock_timestamp() then
            new.headers := new.headers || jsonb_build_object('x-pgmq-not-before', extract(epoch from new.vt));
        end if;
        new.vt := 'infinity';
        perform pgmq_settings.report_visible(tg_table_name, 0);
    else
        perform pgmq_settings.report_visible(tg_table_name, 1, new.vt);
    end if;
    return new;
end;
$source$,
            group_limit, pgmq_settings.group_expression('new'),
            pgmq_settings.group_occupied(queue_table, group_limit, 'group_name'),
            pgmq_settings.group_waiting(queue_table, 'group_name'),
            pgmq_settings.promotion(queue_table, group_limit, '(select group_name as name) as g'))
    ), (
        'promote_' || queue_table,
        format(
            $source$
declare
    first_group text;
    last_group text;
    groups text[];
    slot integer;
    promoted bigint;
begin
    select min(%1$s), max(%1$s) into first_group, last_group from gone;
    if first_group is null then
        return null;
    elsif current_setting('transaction_isolation') <> 'read committed' then
        perform pgmq_settings.check_isolation();
    end if;
    if first_group = last_group then
        groups := array[first_group];
        perform pg_advisory_xact_lock(tg_relid::integer, hashtext(first_group) & 255);
    else
        groups := array(select distinct %1$s from gone where %1$s is not null);
        for slot in select distinct hashtext(name) & 255 from unnest(groups) as g (name) order by 1 loop
            perform pg_advisory_xact_lock(tg_relid::integer, slot);
        end loop;
    end if;
    perform pgmq_settings.check_own_code(array[tg_relid]);
    %2$s;
    get diagnostics promoted = row_count;
    if promoted > 0 then
        perform pgmq_settings.report_visible(tg_table_name, promoted);
    end if;
    return null;
end;
$source$,
            pgmq_settings.group_expression('gone'),
            pgmq_settings.promotion(queue_table, group_limit, 'unnest(groups) as g (name)'))
    );
$functions$;
revoke all on function pgmq_settings.group_functions from public;

-- The triggers of a queue with group_limit, with their functions and the rest of their definitions.
create or replace function pgmq_settings.group_triggers(queue_table text)
returns table (name text, function text, event text, condition text)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $triggers$
    values
        ('pgmq_settings_group_insert', 'park_' || queue_table, 'before insert',
            pgmq_settings.group_expression('new') || ' is not null'),
        ('pgmq_settings_group_delete', 'promote_' || queue_table, 'after delete', null),
        ('pgmq_settings_group_visible', 'keep_parked', 'before update of vt',
            '(old.vt = ''infinity'') <> (new.vt = ''infinity'') and current_user <> ''pgmq_definer'' and '
            || pgmq_settings.group_expression('old') || ' is not null'),
        ('pgmq_settings_group_header', 'refuse_group_change', 'before update of headers',
            pgmq_settings.group_expression('old') || ' is distinct from ' || pgmq_settings.group_expression('new'));
$triggers$;
revoke all on function pgmq_settings.group_triggers from public;

-- The name of the index by which triggers find the messages of a group. Not q_NAME_group: a queue can have that name.
create or replace function pgmq_settings.group_index(queue_table text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $index$
    select 'group_idx_' || substr(queue_table, 3);
$index$;
revoke all on function pgmq_settings.group_index from public;

-- True if a valid index of this name has the definition of create_group_index().
create or replace function pgmq_settings.has_group_index(queue_table text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $has$
    select exists (
        select from pg_index as i
        join pg_class as c on c.oid = i.indexrelid
        where i.indrelid = to_regclass(format('pgmq.%I', queue_table))
          and c.relname = pgmq_settings.group_index(queue_table)
          and i.indisvalid
          and pg_get_indexdef(i.indexrelid) like '% USING btree (((headers ->> ''x-pgmq-group''::text)), vt, msg_id) '
              'WHERE ((headers ->> ''x-pgmq-group''::text) IS NOT NULL)');
$has$;
revoke all on function pgmq_settings.has_group_index from public;

create or replace function pgmq_settings.create_group_index(queue_table text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $index$
begin
    if not pgmq_settings.has_group_index(queue_table) then
        execute format('drop index if exists pgmq.%I', pgmq_settings.group_index(queue_table));
        execute format(
            'create index %I on pgmq.%I ((headers ->> ''x-pgmq-group''), vt, msg_id) '
            'where (headers ->> ''x-pgmq-group'') is not null',
            pgmq_settings.group_index(queue_table), queue_table);
    end if;
end;
$index$;
revoke all on function pgmq_settings.create_group_index from public;

-- The option row_security of the generated functions: with `off`, a policy that hides messages from pgmq_definer is an
-- error. Where it has no BYPASSRLS, each queue has a policy for it.
create or replace function pgmq_settings.group_row_security()
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $security$
    select case when r.rolbypassrls then 'off' else 'on' end from pg_roles as r where r.rolname = 'pgmq_definer';
$security$;
revoke all on function pgmq_settings.group_row_security from public;

-- Creates the functions of a queue. Their owner needs CREATE on the schema for it, and must not keep that. Generic plans:
-- Postgres would otherwise plan the promotion anew each time, because it takes an array for long before it knows its
-- length.
create or replace function pgmq_settings.create_group_functions(queue_table text, group_limit integer)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $create$
declare
    made record;
begin
    grant create on schema pgmq_settings to pgmq_definer;
    for made in select * from pgmq_settings.group_functions(queue_table, group_limit) loop
        execute format(
            'create or replace function pgmq_settings.%I() returns trigger language plpgsql security definer '
            'set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set row_security = %s as %L',
            made.name, pgmq_settings.group_row_security(), made.source);
        execute format('revoke all on function pgmq_settings.%I() from public', made.name);
        execute format('alter function pgmq_settings.%I() owner to pgmq_definer', made.name);
    end loop;
    revoke create on schema pgmq_settings from pgmq_definer;
end;
$create$;
revoke all on function pgmq_settings.create_group_functions from public;

create or replace function pgmq_settings.create_group_triggers(queue_table text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $create$
declare
    made record;
begin
    for made in select * from pgmq_settings.group_triggers(queue_table) loop
        execute format(
            'create trigger %I %s on pgmq.%I %s execute function pgmq_settings.%I()',
            made.name, made.event, queue_table,
            case when made.condition is null then 'referencing old table as gone for each statement'
                else format('for each row when (%s)', made.condition) end,
            made.function);
    end loop;
end;
$create$;
revoke all on function pgmq_settings.create_group_triggers from public;

create or replace function pgmq_settings.drop_group_triggers(queue_table text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $drop$
declare
    name text;
begin
    for name in select t.name from pgmq_settings.group_triggers(queue_table) as t loop
        execute format('drop trigger if exists %I on pgmq.%I', name, queue_table);
    end loop;
end;
$drop$;
revoke all on function pgmq_settings.drop_group_triggers from public;

create or replace function pgmq_settings.drop_group_functions(queue_table text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $drop$
declare
    name text;
begin
    for name in select f.name from pgmq_settings.group_functions(queue_table, 1) as f loop
        execute format('drop function if exists pgmq_settings.%I()', name);
    end loop;
end;
$drop$;
revoke all on function pgmq_settings.drop_group_functions from public;
