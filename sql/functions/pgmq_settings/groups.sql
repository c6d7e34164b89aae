-- Groups: of the messages with the same header x-pgmq-group, a queue with group_limit k has at most k that are visible or
-- in flight. The others are parked until their turn: their vt is infinity, so that no read ever meets them, whatever
-- function, role and policy it uses. Where the state of a group is read or changed, its slot is locked: see lock_groups.
--
-- Triggers on the queue's table park and promote. An INSERT parks a message whose group is full; a DELETE promotes the
-- next ones. Their functions are generated for each queue (group_code.sql), because dynamic SQL would cost 200 µs a
-- message. A transaction that holds a parked message while the one before it is deleted can leave a group with too few
-- messages; the next send, delete or sweep promotes.

-- An expression for the group of a row.
create or replace function pgmq_settings.group_expression(row_name text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $expression$
    select format('(%s.headers ->> ''x-pgmq-group'')', row_name);
$expression$;
revoke all on function pgmq_settings.group_expression from public;
grant execute on function pgmq_settings.group_expression to anon, authenticated, service_role, pgmq_definer;

-- A condition for the rows named q of a group that are parked, or that are not. Without the comparison of rows, a cached
-- plan can scan the index on vt.
create or replace function pgmq_settings.group_condition(name text, parked boolean)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $condition$
    select format(
        '%1$s = %2$s and (%1$s, q.vt) %3$s (%2$s, timestamptz ''infinity'')',
        pgmq_settings.group_expression('q'), name, case when parked then '>=' else '<' end);
$condition$;
revoke all on function pgmq_settings.group_condition from public;
grant execute on function pgmq_settings.group_condition to service_role, pgmq_definer;

-- An expression for the number of rows of a group that are not parked, counted up to the limit.
create or replace function pgmq_settings.group_occupied(queue_table text, group_limit integer, name text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $occupied$
    select format(
        '(select count(*) from (select from pgmq.%I as q where %s limit %s) as occupied)',
        queue_table, pgmq_settings.group_condition(name, false), group_limit);
$occupied$;
revoke all on function pgmq_settings.group_occupied from public;
grant execute on function pgmq_settings.group_occupied to pgmq_definer;

-- A condition for whether a group has parked rows.
create or replace function pgmq_settings.group_waiting(queue_table text, name text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $waiting$
    select format('exists (select from pgmq.%I as q where %s)', queue_table, pgmq_settings.group_condition(name, true));
$waiting$;
revoke all on function pgmq_settings.group_waiting from public;
grant execute on function pgmq_settings.group_waiting to pgmq_definer;

-- An expression for the time at which a parked row named q becomes visible when it is promoted. A header can have any
-- value, and must not make the message before it undeletable.
create or replace function pgmq_settings.promotion_time()
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $time$
    select $sql$greatest(clock_timestamp(), case
        when q.headers ->> 'x-pgmq-not-before' ~ '^[0-9]{1,11}([.][0-9]{1,6})?$'
        then to_timestamp((q.headers ->> 'x-pgmq-not-before')::double precision)
    end)$sql$;
$time$;
revoke all on function pgmq_settings.promotion_time from public;
grant execute on function pgmq_settings.promotion_time to pgmq_definer;

-- The statement that promotes the lowest parked rows of some groups until each has as many as it can. Rows that another
-- transaction is deleting are passed over: waiting for them could deadlock, because that transaction waits for the slot.
--
-- groups  the SQL of rows named g with the column `name`
create or replace function pgmq_settings.promotion(queue_table text, group_limit integer, groups text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $promotion$
    select format(
        $query$
        update pgmq.%1$I as q
        set vt = %7$s, headers = q.headers - 'x-pgmq-not-before'
        where q.ctid = any (array(
            select p.ctid
            from %2$s
            cross join lateral (
                select q.ctid from pgmq.%1$I as q
                where %5$s
                order by %6$s, q.vt, q.msg_id
                limit %3$s - %4$s
                for update skip locked
            ) as p
        ))
        $query$,
        queue_table, groups, group_limit, pgmq_settings.group_occupied(queue_table, group_limit, 'g.name'),
        pgmq_settings.group_condition('g.name', true), pgmq_settings.group_expression('q'),
        pgmq_settings.promotion_time());
$promotion$;
revoke all on function pgmq_settings.promotion from public;
grant execute on function pgmq_settings.promotion to pgmq_definer;

-- Locks the slots of some groups of a queue until the end of the transaction, in ascending order, so that two
-- transactions that each call it once cannot deadlock. A queue has 256 slots: locks for each group could fill the lock
-- table. A slow transaction that has written to a group therefore delays others too.
create or replace function pgmq_settings.lock_groups(queue_table text, groups text[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $lock$
declare
    relation constant regclass := to_regclass(format('pgmq.%I', queue_table));
    slot integer;
begin
    for slot in
        select distinct hashtext(g) & 255 from unnest(groups) as g where g is not null order by 1
    loop
        perform pg_advisory_xact_lock(relation::oid::integer, slot);
    end loop;
end;
$lock$;
revoke all on function pgmq_settings.lock_groups from public;
grant execute on function pgmq_settings.lock_groups to anon, authenticated, service_role, pgmq_definer;

-- Locks the slots of some groups in those of some tables that have group_limit, in the order of the tables' names:
-- messages can be moved from one to another, and back, at the same time.
create or replace function pgmq_settings.lock_groups_in(tables text[], groups text[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $lock$
declare
    limited text;
begin
    for limited in
        select s.queue_table from pgmq_settings.settings as s
        where s.queue_table = any (tables) and s.group_limit is not null
        order by s.queue_table
    loop
        perform pgmq_settings.check_isolation();
        perform pgmq_settings.lock_groups(limited, groups);
    end loop;
end;
$lock$;
revoke all on function pgmq_settings.lock_groups_in from public;
grant execute on function pgmq_settings.lock_groups_in to anon, authenticated, service_role, pgmq_definer;

-- The groups that some messages are in, as far as the current role sees them.
create or replace function pgmq_settings.groups_of(queue_table text, ids bigint[])
returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $groups$
declare
    groups text[];
begin
    execute format(
        'select array_agg(distinct %s) from pgmq.%I as q where q.msg_id = any ($1)',
        pgmq_settings.group_expression('q'), queue_table)
    into groups using ids;
    return groups;
end;
$groups$;
revoke all on function pgmq_settings.groups_of from public;
grant execute on function pgmq_settings.groups_of to anon, authenticated, service_role, pgmq_definer;

-- Locks the slots of the groups that some messages are in: see groups_of() and lock_groups_in(). For several statements in
-- one transaction that each take slots, and for those that insert. They must write no other messages than these.
--
-- tables  the messages' own, and those that they are moved to
create or replace function pgmq_settings.lock_groups_of(queue_table text, ids bigint[], tables text[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $lock$
begin
    if exists (
        select from pgmq_settings.settings as s where s.queue_table = any (tables) and s.group_limit is not null
    ) then
        perform pgmq_settings.lock_groups_in(tables, pgmq_settings.groups_of(queue_table, ids));
    end if;
end;
$lock$;
revoke all on function pgmq_settings.lock_groups_of from public;
grant execute on function pgmq_settings.lock_groups_of to anon, authenticated, service_role, pgmq_definer;

-- Raises unless the transaction sees what others have committed: with a snapshot of its own, a trigger would count the
-- messages of a group as they were at its start.
create or replace function pgmq_settings.check_isolation()
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'messages of a group cannot be sent or deleted with transaction isolation %',
            current_setting('transaction_isolation')
            using errcode = 'feature_not_supported', hint = 'Use read committed in queues with group_limit.';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_isolation from public;
grant execute on function pgmq_settings.check_isolation to anon, authenticated, service_role, pgmq_definer;

-- Raises unless a message can be in this group, and become visible at this time. One that is delayed delays its group.
create or replace function pgmq_settings.check_grouped(name text, vt timestamptz)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $check$
begin
    if length(name) not between 1 and 128 then
        raise exception 'the name of a group must have 1 to 128 characters, not %', length(name) using
            errcode = 'invalid_parameter_value', hint = 'It is the header x-pgmq-group.';
    elsif vt > clock_timestamp() + interval '7 days' and isfinite(vt) then
        raise exception 'a message of a group cannot be delayed by more than 7 days' using
            errcode = 'invalid_parameter_value', hint = 'The messages behind it would wait as long.';
    end if;
end;
$check$;
revoke all on function pgmq_settings.check_grouped from public;
grant execute on function pgmq_settings.check_grouped to pgmq_definer;

-- Fires when a statement makes a parked message visible, or parks one: only promotion may. The message stays parked, and
-- its new time becomes the earliest at which it is promoted.
create or replace function pgmq_settings.keep_parked()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $keep$
begin
    if new.vt = 'infinity' then
        raise exception 'message % of a group cannot be postponed forever', old.msg_id using
            errcode = 'invalid_parameter_value', hint = 'Use a finite time, or delete the message.';
    end if;
    new.headers := new.headers - 'x-pgmq-not-before';
    if new.vt > clock_timestamp() then
        new.headers := new.headers || jsonb_build_object('x-pgmq-not-before', extract(epoch from new.vt));
    end if;
    new.vt := 'infinity';
    return new;
end;
$keep$;
revoke all on function pgmq_settings.keep_parked from public;

-- Fires when a statement changes the group of a message.
create or replace function pgmq_settings.refuse_group_change()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $refuse$
begin
    raise exception 'message % cannot change its group', old.msg_id using
        errcode = 'invalid_parameter_value',
        hint = 'The header x-pgmq-group is fixed in a queue with group_limit; send the message again.';
end;
$refuse$;
revoke all on function pgmq_settings.refuse_group_change from public;
