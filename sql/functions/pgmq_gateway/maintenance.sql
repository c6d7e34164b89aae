-- What must happen by itself: burying dead messages in queues that no client reads with pgmq_api, marking full queues,
-- retention, sweeping groups, removing expired ids and keys.
--
-- A pass over all tasks begins five seconds after the last one has ended, or at once if that had more to do. It is done in portions, each a transaction of
-- its own: the calls of maintain(). A portion ends at its time limit, or after the first task that has changed something,
-- because the groups of 58 queues fill Postgres' table of locks. So queues without work share a transaction, and one with
-- work has its own. After a portion there is a pause of four times its duration.

-- The tasks of a pass, in the order of their places.
create or replace function pgmq_gateway.maintenance_tasks()
returns table (place text, task text, queue_table text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $tasks$
    values
        ('1', 'mark full queues', null),
        ('2', 'remove expired keys', null),
        ('3', 'remove expired ids', null),
        ('4', 'remove settings of dropped queues', null)
    union all
    select '5 ' || s.queue_table, 'maintain queue', s.queue_table
    from pgmq_settings.queues as s
    left join pgmq_settings.progress as p on p.queue_table = s.queue_table
    where (p.resumes_at <= clock_timestamp()) is not false;
$tasks$;
revoke all on function pgmq_gateway.maintenance_tasks from public;

-- Sets and clears is_full of the queues with max_messages, and returns how many have changed. Long queues are estimated.
-- A queue stays full until it has 5 % less than its maximum, so that it does not change at each message.
create or replace function pgmq_gateway.mark_full_queues()
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $mark$
declare
    changed bigint;
begin
    with counted as materialized (
        select s.queue_table, q.messages >= s.max_messages * case when s.is_full then 0.95 else 1 end as is_full
        from pgmq_settings.queues as s
        join pgmq_gateway.tables as t on t.name = s.queue_table
        cross join lateral pgmq_gateway.count_messages(t.relation, t.pages, t.live_tuples, t.dead_tuples) as q
        where s.max_messages is not null and q.messages is not null
    )
    update pgmq_settings.queues as s
    set is_full = c.is_full
    from counted as c
    where s.queue_table = c.queue_table and s.max_messages is not null and c.is_full is distinct from s.is_full;
    get diagnostics changed = row_count;
    return changed;
end;
$mark$;
revoke all on function pgmq_gateway.mark_full_queues from public;

-- Removes settings of queues that were dropped, where foreign keys do not (see setting_keys.sql), and what is counted of
-- such queues. Returns the number of rows.
create or replace function pgmq_gateway.remove_orphaned_settings()
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $remove$
declare
    removed bigint := 0;
    affected bigint;
begin
    delete from pgmq_settings.queues as s
    where not exists (select from pgmq.meta as m where m.queue_name = s.queue_name);
    get diagnostics affected = row_count;
    removed := removed + affected;
    update pgmq_settings.queues as s
    set dead_letter_queue = null
    where s.dead_letter_queue is not null
      and not exists (select from pgmq.meta as m where m.queue_name = s.dead_letter_queue);
    get diagnostics affected = row_count;
    removed := removed + affected;
    delete from pgmq_settings.burials as b
    where b.queue_table not in (select lower('q_' || m.queue_name) from pgmq.meta as m);
    get diagnostics affected = row_count;
    return removed + affected;
end;
$remove$;
revoke all on function pgmq_gateway.remove_orphaned_settings from public;

-- Runs one of the functions that delete 5,000 rows, until the given time. Returns how many rows it has deleted.
create or replace function pgmq_gateway.remove_expired(what text, until timestamptz)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $remove$
declare
    max_rows constant integer := 5000;
    removed bigint := 0;
    batch integer;
begin
    loop
        batch := case what
            when 'keys' then pgmq_gateway.remove_expired_keys(max_rows)
            else pgmq_gateway.delete_expired_ids(max_rows)
        end;
        removed := removed + batch;
        exit when batch < max_rows or clock_timestamp() >= until;
    end loop;
    return removed;
end;
$remove$;
revoke all on function pgmq_gateway.remove_expired from public;

-- Buries the dead messages of a queue, removes old ones from its archive and promotes messages of stalled groups, until
-- the given time and from where the last visit has stopped. Returns the number of messages. A queue whose dead messages
-- cannot be buried is left alone for a minute.
create or replace function pgmq_gateway.maintain_queue(queue_table text, until timestamptz)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $maintain$
declare
    settings pgmq_settings.queues;
    former pgmq_settings.progress;
    present pgmq_settings.progress;
    burial record;
    swept record;
    changed bigint;
begin
    select s.* into strict settings from pgmq_settings.queues as s where s.queue_table = maintain_queue.queue_table;
    select p.* into former from pgmq_settings.progress as p where p.queue_table = maintain_queue.queue_table;
    present := (queue_table, coalesce(former.next_page, 0), coalesce(former.last_group, ''), null);
    burial := pgmq_settings.bury_unread(queue_table, present.next_page, until);
    present.next_page := burial.next_page;
    if burial.dead > 0 and burial.buried = 0 then
        present.resumes_at := clock_timestamp() + interval '1 minute';
    end if;
    changed := burial.buried;
    if settings.archive_keep_seconds is not null then
        changed := changed + pgmq_settings.trim_archive(queue_table, settings.archive_keep_seconds, until);
    end if;
    if settings.group_limit is not null then
        swept := pgmq_settings.sweep_groups(queue_table, settings.group_limit, present.last_group, until);
        present.last_group := swept.next_group;
        changed := changed + swept.promoted;
    end if;
    perform pgmq_gateway.save_progress(former, present);
    return changed;
end;
$maintain$;
revoke all on function pgmq_gateway.maintain_queue from public;

-- Stores how far the maintenance of a queue has come, unless it is where it was. A queue without a row is at its start.
create or replace function pgmq_gateway.save_progress(former pgmq_settings.progress, present pgmq_settings.progress)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $save$
begin
    former := (
        present.queue_table, coalesce(former.next_page, 0), coalesce(former.last_group, ''), former.resumes_at);
    if present is distinct from former then
        insert into pgmq_settings.progress as p select present.*
        on conflict (queue_table) do update
        set next_page = present.next_page, last_group = present.last_group, resumes_at = present.resumes_at;
    end if;
end;
$save$;
revoke all on function pgmq_gateway.save_progress from public;

-- Runs one task, and returns how many rows it has changed. One that fails is undone, with a warning; a queue is then left
-- alone for a minute.
create or replace function pgmq_gateway.run_task(task text, queue_table text, until timestamptz)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $run$
begin
    return case task
        when 'mark full queues' then pgmq_gateway.mark_full_queues()
        when 'remove expired keys' then pgmq_gateway.remove_expired('keys', until)
        when 'remove expired ids' then pgmq_gateway.remove_expired('ids', until)
        when 'remove settings of dropped queues' then pgmq_gateway.remove_orphaned_settings()
        else pgmq_gateway.maintain_queue(queue_table, until)
    end;
-- A cancel too: a queue that takes longer than the time limit of the statement must not undo the work on others each time.
exception when query_canceled or others then
    raise warning 'maintenance: % failed: %', concat_ws(' ', task, queue_table), sqlstate;
    if queue_table is not null then
        insert into pgmq_settings.progress as p (queue_table, next_page, last_group, resumes_at)
        select s.queue_table, 0, '', clock_timestamp() + interval '1 minute'
        from pgmq_settings.queues as s where s.queue_table = run_task.queue_table
        on conflict on constraint progress_pkey do update set resumes_at = excluded.resumes_at;
    end if;
    return 0;
end;
$run$;
revoke all on function pgmq_gateway.run_task from public;

-- Does a portion of the maintenance that is due, for about `budget_ms`, however many sessions ask. Returns the seconds
-- until the next portion is due.
--
-- SECURITY DEFINER: the login role, which sees no queue, learns nothing but that time. Rows of queues are touched by
-- functions of pgmq_definer.
create or replace function pgmq_gateway.maintain(budget_ms integer)
returns double precision
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $maintain$
declare
    spacing constant double precision := 5;
    -- Not now(): the transaction may have started while another one did a portion.
    began constant timestamptz := clock_timestamp();
    until constant timestamptz := began + make_interval(secs => budget_ms / 1000.0);
    state pgmq_gateway.maintenance;
    step record;
    changed bigint;
    is_over boolean := true;
    is_behind boolean;
    spent double precision;
    pause double precision;
begin
    -- Nothing to do while another session does, or on a standby.
    if pg_is_in_recovery() or not pg_try_advisory_xact_lock(hashtext('pgmq_gateway.maintain')) then
        return spacing;
    end if;
    select m.* into state from pgmq_gateway.maintenance as m;
    -- Later than that it can only be after the clock was set back.
    if state.due_at > began and state.due_at < began + interval '1 hour' then
        return extract(epoch from state.due_at - began);
    end if;
    perform pgmq_gateway.check_foreign_code(array[
        'pgmq_gateway.maintenance', 'pgmq_settings.queues', 'pgmq_settings.progress', 'pgmq_settings.burials'
    ]::regclass[]);
    -- What a crash undoes is done again, so no commit waits for the disk.
    perform set_config('synchronous_commit', 'off', true);
    is_behind := coalesce(state.is_behind, false);
    for step in
        select t.* from pgmq_gateway.maintenance_tasks() as t
        where t.place > coalesce(state.place, '') collate "C" order by t.place collate "C"
    loop
        changed := pgmq_gateway.run_task(step.task, step.queue_table, until);
        is_over := changed = 0 and clock_timestamp() < until;
        is_behind := is_behind or changed > 0 and clock_timestamp() >= until;
        exit when not is_over;
    end loop;
    spent := extract(epoch from clock_timestamp() - began);
    pause := case when is_over and not is_behind then spacing else 4 * spent end;
    state := (
        clock_timestamp() + make_interval(secs => pause), case when is_over then '' else step.place end,
        is_behind and not is_over, coalesce(state.runs, 0) + 1, coalesce(state.seconds, 0) + spent);
    delete from pgmq_gateway.maintenance;
    insert into pgmq_gateway.maintenance select state.*;
    return pause;
end;
$maintain$;
revoke all on function pgmq_gateway.maintain from public;
grant execute on function pgmq_gateway.maintain to authenticator;
