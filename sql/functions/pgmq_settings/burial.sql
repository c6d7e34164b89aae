-- Burying dead messages: they go to the dead-letter queue of their queue, or to its archive, or are deleted.
--
-- Why SECURITY DEFINER: readers need no privileges on the dead-letter queue, which the operator has set. The functions
-- only move messages that are dead by their row, so a call for any message at any time does no more than the background
-- does. They belong to pgmq_definer and run as it: see the migration 0006. Before it writes, a function refuses code of
-- other roles on the tables, and policies that hide rows from it.

-- True if an error can pass when the transaction is repeated: it must not be taken for a failed burial.
create or replace function pgmq_settings.is_transient(code text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $transient$
    select code ~ '^(40|57|55P03)';
$transient$;
revoke all on function pgmq_settings.is_transient from public;
grant execute on function pgmq_settings.is_transient to anon, authenticated, service_role, pgmq_definer;

-- Raises unless the current role sees all rows of these tables. A function that sees only some would do half of its
-- work, without an error.
create or replace function pgmq_settings.check_sees_all(tables regclass[])
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
declare
    relation regclass;
begin
    foreach relation in array tables loop
        if row_security_active(relation) and (
            not exists (
                select from pg_policy as p
                where p.polrelid = relation and p.polpermissive and p.polcmd = '*'
                  and p.polroles && array[0, to_regrole(current_user)::oid]
                  and pg_get_expr(p.polqual, relation) = 'true'
                  and coalesce(pg_get_expr(p.polwithcheck, relation), 'true') = 'true'
            ) or exists (
                select from pg_policy as p
                where p.polrelid = relation and not p.polpermissive
                  and p.polroles && array[0, to_regrole(current_user)::oid]
            )
        ) then
            raise exception 'policies of % hide messages from role %', relation, current_user using
                errcode = 'insufficient_privilege', hint = 'Run pgmq-gateway install, and drop restrictive policies.';
        end if;
    end loop;
end;
$check$;
revoke all on function pgmq_settings.check_sees_all from public;
grant execute on function pgmq_settings.check_sees_all to pgmq_definer;

-- Which row of pgmq_settings.burials a transaction counts in: the first that no other one has locked. With a single row,
-- transactions that bury messages of one queue would wait for each other.
create or replace function pgmq_settings.burial_slot(queue_table text)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $slot$
begin
    for slot in 0 .. 63 loop
        if pg_try_advisory_xact_lock(hashtext('pgmq_settings.burials.' || queue_table), slot) then
            return slot;
        end if;
    end loop;
    return 0;
end;
$slot$;
revoke all on function pgmq_settings.burial_slot from public;
grant execute on function pgmq_settings.burial_slot to pgmq_definer;

-- The headers of a dead letter. A group that a queue with group_limit would refuse is no group of it. A function, because
-- planning these expressions anew for each burial takes as long as ten calls.
create or replace function pgmq_settings.dead_headers(
    headers jsonb,
    queue_name text,
    msg_id bigint,
    receives integer,
    enqueued_at timestamptz,
    buried_at timestamptz,
    reason text
)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $headers$
declare
    nameless constant boolean := length(headers ->> 'x-pgmq-group') not between 1 and 128;
begin
    return pgmq_settings.headers_object(headers)
        - '{x-pgmq-expires,x-pgmq-rejected,x-pgmq-dead-failed}'::text[]
        - case when nameless then 'x-pgmq-group' else '' end
        || jsonb_build_object('x-pgmq-dead', jsonb_strip_nulls(jsonb_build_object(
            'queue', queue_name, 'msg_id', msg_id, 'read_ct', receives, 'enqueued_at', enqueued_at, 'at', buried_at,
            'reason', reason, 'note', headers -> 'x-pgmq-rejected', 'expires', headers -> 'x-pgmq-expires',
            'group', case when nameless then headers -> 'x-pgmq-group' end)));
end;
$headers$;
revoke all on function pgmq_settings.dead_headers from public;
grant execute on function pgmq_settings.dead_headers to pgmq_definer;

-- The statement that moves the dead among some messages to another table, and returns how many were dead. An archive
-- keeps their columns, a dead-letter queue starts anew.
--
-- A rejected message has 1,000,000 added to its receives. The read that found another one dead has counted itself, and
-- leased the message; it does not count as a receive.
--
-- $1  the ids
-- $2  the present time
-- $3  the name of the queue
-- $4  whether expired messages are deleted
-- $5 to $7  as in dead_condition
create or replace function pgmq_settings.burial_statement(queue_table text, target text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $statement$
declare
    archiving constant boolean := target = overlay(queue_table placing 'a' from 1 for 1);
    timed constant boolean := archiving
        and pgmq_settings.has_last_read_at(queue_table) and pgmq_settings.has_last_read_at(target);
    columns constant text := concat_ws(
        ', ', 'message', 'headers', 'vt',
        case when archiving then 'msg_id, read_ct, enqueued_at' end, case when timed then 'last_read_at' end);
begin
    return format(
        $query$
        with dead as materialized (
            select
                q.*,
                case
                    when q.read_ct >= 1000000 then 'rejected'
                    when (q.headers ->> 'x-pgmq-expires') collate "C" < $6 or q.enqueued_at < $7 then 'expired'
                    else 'max_receives'
                end as reason,
                case
                    when q.read_ct >= 1000000 then q.read_ct %% 1000000
                    else greatest(q.read_ct - (q.vt > $2)::integer, 0)
                end as receives
            from pgmq.%1$I as q
            where q.msg_id = any ($1) and %2$s
            order by q.msg_id
            for update skip locked
        ), gone as (
            delete from pgmq.%1$I as q using dead where q.msg_id = dead.msg_id
        ), kept as (
            select
                d.msg_id, d.enqueued_at, d.message, d.receives as read_ct, $2 as vt, %5$s
                pgmq_settings.dead_headers(d.headers, $3, d.msg_id, d.receives, d.enqueued_at, $2, d.reason) as headers
            from dead as d
            where not (d.reason = 'expired' and $4)
        ), moved as (
            insert into pgmq.%3$I (%4$s) select %4$s from kept order by msg_id
        ), counted as (
            insert into pgmq_settings.burials as b (queue_table, max_receives, rejected, expired, failed, slot)
            select
                %1$L, count(*) filter (where d.reason = 'max_receives'), count(*) filter (where d.reason = 'rejected'),
                count(*) filter (where d.reason = 'expired'), 0, pgmq_settings.burial_slot(%1$L)
            from dead as d
            having count(*) > 0
            on conflict (queue_table, slot) do update
            set max_receives = b.max_receives + excluded.max_receives, rejected = b.rejected + excluded.rejected,
                expired = b.expired + excluded.expired
        )
        select count(*) from dead
        $query$,
        queue_table, pgmq_settings.buried_condition('q'), target, columns,
        case when timed then 'd.last_read_at,' else '' end);
end;
$statement$;
revoke all on function pgmq_settings.burial_statement from public;
grant execute on function pgmq_settings.burial_statement to pgmq_definer;

-- The statement that postpones the dead among some messages by an hour, with the same parameters. A parked one stays so;
-- the time in the header applies to it.
create or replace function pgmq_settings.postponing_statement(queue_table text, code text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $statement$
    select format(
        $query$
        with postponed as (
            update pgmq.%1$I as q
            set vt = greatest(q.vt, $2 + interval '1 hour'),
                headers = pgmq_settings.headers_object(q.headers) || jsonb_build_object(
                    'x-pgmq-dead-failed', concat_ws(' ', %2$L, pgmq_settings.expiry_text($2 + interval '1 hour')))
            where q.msg_id = any ($1) and %3$s
            returning q.msg_id
        ), counted as (
            insert into pgmq_settings.burials as b
            select %1$L, 0, 0, 0, count(*), $2, %2$L, pgmq_settings.burial_slot(%1$L)
            from postponed
            having count(*) > 0
            on conflict (queue_table, slot) do update
            set failed = b.failed + excluded.failed, failed_at = excluded.failed_at, failure = excluded.failure
        )
        select count(*) from postponed
        $query$,
        queue_table, code, pgmq_settings.buried_condition('q'));
$statement$;
revoke all on function pgmq_settings.postponing_statement from public;
grant execute on function pgmq_settings.postponing_statement to pgmq_definer;

-- Raises unless pgmq_definer can write the tables of a burial without running code of other roles, and sees all rows.
create or replace function pgmq_settings.check_burial(queue_table text, target text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
declare
    tables constant regclass[] := array[
        to_regclass(format('pgmq.%I', queue_table)), to_regclass(format('pgmq.%I', target))];
begin
    execute format('lock table pgmq.%I, pgmq.%I, pgmq_settings.burials in row exclusive mode', queue_table, target);
    perform pgmq_settings.check_own_code(tables || 'pgmq_settings.burials'::regclass);
    perform pgmq_settings.check_sees_all(tables);
end;
$check$;
revoke all on function pgmq_settings.check_burial from public;
grant execute on function pgmq_settings.check_burial to pgmq_definer;

-- The table that the dead letters of a queue go to: its dead-letter queue if there is one, or its archive.
create or replace function pgmq_settings.burial_table(queue_table text, dead_letter_queue text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $table$
    select case
        when to_regclass('pgmq.' || quote_ident(lower('q_' || dead_letter_queue))) is not null
            then lower('q_' || dead_letter_queue)
        else overlay(queue_table placing 'a' from 1 for 1)
    end;
$table$;
revoke all on function pgmq_settings.burial_table from public;
grant execute on function pgmq_settings.burial_table to pgmq_definer;

-- Runs the statement of a burial, or the one that postpones: both have the same parameters.
create or replace function pgmq_settings.run_burial(
    statement text, ids bigint[], queue_table text, settings pgmq_settings.queues
)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $run$
declare
    present constant timestamptz := clock_timestamp();
    affected bigint;
begin
    execute statement into affected using
        ids, present, substr(queue_table, 3), settings.on_expiry is distinct from 'dead_letter',
        coalesce(settings.max_receives, 999999), pgmq_settings.expiry_text(present),
        present - make_interval(secs => settings.message_keep_seconds);
    return affected;
end;
$run$;
revoke all on function pgmq_settings.run_burial from public;
grant execute on function pgmq_settings.run_burial to pgmq_definer;

-- Moves the dead among the first 100 of some messages one by one, and returns how many. Those that cannot be moved are
-- postponed by an hour, with the SQLSTATE and that time in a header: texts of errors could contain payloads. A message
-- takes some milliseconds, and the caller has a time limit: the next burials take the others.
create or replace function pgmq_settings.bury_each(
    burial text, ids bigint[], queue_table text, settings pgmq_settings.queues
)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $bury$
declare
    id bigint;
    buried bigint := 0;
begin
    foreach id in array ids[:100] loop
        begin
            buried := buried + pgmq_settings.run_burial(burial, array[id], queue_table, settings);
        exception when others then
            if pgmq_settings.is_transient(sqlstate) then
                raise;
            end if;
            raise warning 'message % of % cannot be buried: %', id, queue_table, sqlstate;
            perform pgmq_settings.run_burial(
                pgmq_settings.postponing_statement(queue_table, sqlstate), array[id], queue_table, settings);
        end;
    end loop;
    return buried;
end;
$bury$;
revoke all on function pgmq_settings.bury_each from public;
grant execute on function pgmq_settings.bury_each to pgmq_definer;

-- The ids of dead messages that are parked behind some of a queue with group_limit. Buried with these, they delay no others.
create or replace function pgmq_settings.dead_behind(queue_table text, ids bigint[], settings pgmq_settings.queues)
returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $behind$
declare
    present constant timestamptz := clock_timestamp();
    result bigint[];
begin
    execute format(
        $query$
        select array_agg(q.msg_id)
        from (select distinct %2$s as name from pgmq.%1$I as q where q.msg_id = any ($1)) as g
        cross join lateral (
            select q.msg_id from pgmq.%1$I as q
            where %3$s and %4$s and %5$s and q.msg_id <> all ($1)
            order by q.msg_id
            limit 1000
        ) as q
        $query$,
        queue_table, pgmq_settings.group_expression('q'), pgmq_settings.group_condition('g.name', true),
        pgmq_settings.dead_condition('q'), pgmq_settings.retried_condition('q'))
    into result using
        ids, null, null, null, coalesce(settings.max_receives, 999999), pgmq_settings.expiry_text(present),
        present - make_interval(secs => settings.message_keep_seconds);
    return result;
end;
$behind$;
revoke all on function pgmq_settings.dead_behind from public;
grant execute on function pgmq_settings.dead_behind to pgmq_definer;

-- Buries the dead among some messages, and in a queue with group_limit those behind them; returns how many those were. If
-- the operator's own triggers or limits refuse them, the caller gets a warning, not an error.
create or replace function pgmq_settings.bury(queue_table text, ids bigint[])
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
as $bury$
declare
    settings pgmq_settings.queues;
    target text;
    burial text;
    buried bigint;
begin
    if queue_table !~ '^q_.' or not exists (
        select from pg_class as c
        where c.relnamespace = 'pgmq'::regnamespace and c.relname = queue_table and c.relkind in ('r', 'p')
          and not c.relispartition
    ) then
        raise exception 'table "%" is not that of a queue', queue_table using
            errcode = 'undefined_table', hint = 'It is the name of a queue in lower case, after q_.';
    end if;
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = bury.queue_table;
    target := pgmq_settings.burial_table(queue_table, settings.dead_letter_queue);
    burial := pgmq_settings.burial_statement(queue_table, target);
    begin
        perform pgmq_settings.check_burial(queue_table, target);
    exception when insufficient_privilege then
        raise warning 'messages of % cannot be buried in %: %', queue_table, target, sqlstate;
        return 0;
    end;
    if settings.group_limit is not null then
        ids := ids || pgmq_settings.dead_behind(queue_table, ids, settings);
    end if;
    perform pgmq_settings.lock_groups_of(queue_table, ids, array[queue_table, target]);
    begin
        buried := pgmq_settings.run_burial(burial, ids, queue_table, settings);
    exception when others then
        if pgmq_settings.is_transient(sqlstate) then
            raise;
        end if;
        buried := pgmq_settings.bury_each(burial, ids, queue_table, settings);
    end;
    if buried > 0 and target like 'q\_%' then
        perform pgmq_settings.report_visible(target, buried);
    end if;
    return buried;
exception when others then
    -- Not even postponing them succeeded.
    if pgmq_settings.is_transient(sqlstate) or sqlstate = '42P01' then
        raise;
    end if;
    raise warning 'messages of % cannot be buried: %', queue_table, sqlstate;
    return 0;
end;
$bury$;
comment on function pgmq_settings.bury is
    'Moves the dead among some messages of a queue to its dead-letter queue, or its archive, or deletes them.';
revoke all on function pgmq_settings.bury from public;
grant execute on function pgmq_settings.bury to anon, authenticated, service_role;
alter function pgmq_settings.bury owner to pgmq_definer;
