-- The maintenance of queues: burying dead messages in queues that no client reads with pgmq_api, marking full queues,
-- retention, sweeping groups, removing expired ids and keys, and old actions.
--
-- A pass over all tasks begins five seconds after the end of the last one, or at once if that had more to do. It is done
-- in portions, each a transaction of its own: the calls of maintain(). A portion ends at its time limit, or after the
-- first task that has changed something, because the groups of 58 queues fill Postgres' table of locks. So tasks without
-- work share a transaction, and one with work has its own. After a portion there is a pause of four times its duration.

-- The tasks of a pass, in the order of their places. Each concerns one queue, or none.
create or replace function pgmq_gateway.maintenance_tasks()
returns table (place text, task text, queue_table text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $tasks$
    select t.number || coalesce(' ' || s.queue_table, ''), t.task, s.queue_table
    from (values
        (1, 'mark full', true),
        (2, 'remove expired keys', false),
        (3, 'remove expired ids', false),
        (4, 'remove settings of dropped queues', false),
        (5, 'bury dead messages', true),
        (6, 'trim archive', true),
        (7, 'sweep groups', true),
        (8, 'remove old actions', false)
    ) as t (number, task, of_queue)
    left join pgmq_settings.queues as s on t.of_queue
    left join pgmq_settings.progress as p on p.task = t.task and p.queue_table = s.queue_table
    where (p.resumes_at <= clock_timestamp()) is not false
      and case t.task
          when 'mark full' then s.max_messages is not null
          when 'bury dead messages' then s.queue_table is not null
          when 'trim archive' then s.archive_keep_seconds is not null
          when 'sweep groups' then s.group_limit is not null
          else true
      end;
$tasks$;
revoke all on function pgmq_gateway.maintenance_tasks from public;

-- Sets or clears is_full of a queue with max_messages, and returns how many rows it has changed. Long queues are
-- estimated. A queue stays full until it has 5 % less than its maximum, so that it does not change at each message. If
-- another transaction changes the settings at this moment, the next pass does it.
create or replace function pgmq_gateway.mark_full(settings pgmq_settings.queues)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $mark$
declare
    messages bigint;
    full_now boolean;
begin
    select q.messages into messages
    from pgmq_gateway.tables as t
    cross join lateral pgmq_gateway.count_messages(t.relation, t.pages, t.live_tuples, t.dead_tuples) as q
    where t.name = settings.queue_table;
    full_now := messages >= settings.max_messages * case when settings.is_full then 0.95 else 1 end;
    if messages is null or full_now is not distinct from settings.is_full then
        return 0;
    end if;
    perform from pgmq_settings.queues as s
    where s.queue_table = settings.queue_table and s.max_messages = settings.max_messages
    for no key update skip locked;
    if not found then
        return 0;
    end if;
    update pgmq_settings.queues as s set is_full = full_now where s.queue_table = settings.queue_table;
    return 1;
end;
$mark$;
revoke all on function pgmq_gateway.mark_full from public;

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
    removed := removed + affected;
    delete from pgmq_settings.wake_throttles as w
    where w.queue_table not in (select lower('q_' || m.queue_name) from pgmq.meta as m);
    get diagnostics affected = row_count;
    return removed + affected;
end;
$remove$;
revoke all on function pgmq_gateway.remove_orphaned_settings from public;

-- Runs one of the functions that delete 5,000 rows, until the given time.
create or replace function pgmq_gateway.remove_expired(
    what text, until timestamptz, out changed bigint, out is_behind boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $remove$
declare
    max_rows constant integer := 5000;
    batch integer;
begin
    changed := 0;
    loop
        batch := case what
            when 'keys' then pgmq_gateway.remove_expired_keys(max_rows)
            when 'ids' then pgmq_gateway.delete_expired_ids(max_rows)
            else pgmq_gateway.delete_old_actions(max_rows)
        end;
        changed := changed + batch;
        is_behind := batch = max_rows;
        exit when not is_behind or clock_timestamp() >= until;
    end loop;
end;
$remove$;
revoke all on function pgmq_gateway.remove_expired from public;

-- Runs a task of a queue until the given time, from where the last visit has stopped. A queue with dead messages of which
-- none can be buried is left alone for a minute.
create or replace function pgmq_gateway.maintain_queue(
    task text, queue_table text, until timestamptz, out changed bigint, out is_behind boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $maintain$
declare
    settings pgmq_settings.queues;
    former pgmq_settings.progress;
    present pgmq_settings.progress;
    visit record;
begin
    select s.* into strict settings from pgmq_settings.queues as s where s.queue_table = maintain_queue.queue_table;
    select p.* into former from pgmq_settings.progress as p
    where p.task = maintain_queue.task and p.queue_table = maintain_queue.queue_table;
    former := (task, queue_table, coalesce(former.next_page, 0), coalesce(former.last_group, ''), former.resumes_at);
    present := (task, queue_table, former.next_page, former.last_group, null);
    case task
        when 'mark full' then
            changed := pgmq_gateway.mark_full(settings);
            is_behind := false;
        when 'bury dead messages' then
            visit := pgmq_settings.bury_unread(queue_table, former.next_page, until);
            -- Dead messages that cannot be buried are postponed, and the slots of their groups are locked.
            changed := visit.dead;
            is_behind := visit.buried > 0 and not visit.at_end;
            present.next_page := visit.next_page;
            if visit.dead > 0 and visit.buried = 0 then
                present.resumes_at := clock_timestamp() + interval '1 minute';
            end if;
        when 'trim archive' then
            visit := pgmq_settings.trim_archive(queue_table, settings.archive_keep_seconds, former.next_page, until);
            changed := visit.deleted;
            is_behind := visit.deleted > 0 and not visit.at_end;
            present.next_page := visit.next_page;
        when 'sweep groups' then
            visit := pgmq_settings.sweep_groups(queue_table, settings.group_limit, former.last_group, until);
            changed := visit.promoted;
            is_behind := visit.promoted > 0 and visit.next_group <> '';
            present.last_group := visit.next_group;
    end case;
    perform pgmq_gateway.save_progress(former, present);
end;
$maintain$;
revoke all on function pgmq_gateway.maintain_queue from public;

-- Stores how far a task of a queue has come, unless it is where it was. One without a row is at its start.
create or replace function pgmq_gateway.save_progress(former pgmq_settings.progress, present pgmq_settings.progress)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $save$
begin
    if present is distinct from former then
        insert into pgmq_settings.progress as p select present.*
        on conflict (task, queue_table) do update
        set next_page = present.next_page, last_group = present.last_group, resumes_at = present.resumes_at;
    end if;
end;
$save$;
revoke all on function pgmq_gateway.save_progress from public;

-- Leaves a task of a queue alone for a minute after a failure. Next time it begins some pages later, because the failure
-- may be caused by messages that it finds there.
create or replace function pgmq_gateway.postpone_task(task text, queue_table text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $postpone$
begin
    insert into pgmq_settings.progress as p
    values (task, queue_table, 0, '', clock_timestamp() + interval '1 minute')
    on conflict on constraint progress_pkey do update
    set next_page = p.next_page + 20, resumes_at = excluded.resumes_at;
end;
$postpone$;
revoke all on function pgmq_gateway.postpone_task from public;

-- Runs one task, which is undone if it fails, with a warning.
--
-- changed    the number of rows; null if the statement has been cancelled: then it has no time limit any more
-- is_behind  whether the task had more to do than there was time for
create or replace function pgmq_gateway.run_task(
    task text, queue_table text, until timestamptz, out changed bigint, out is_behind boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $run$
begin
    is_behind := false;
    case task
        when 'remove expired keys' then
            select r.* into changed, is_behind from pgmq_gateway.remove_expired('keys', until) as r;
        when 'remove expired ids' then
            select r.* into changed, is_behind from pgmq_gateway.remove_expired('ids', until) as r;
        when 'remove old actions' then
            select r.* into changed, is_behind from pgmq_gateway.remove_expired('actions', until) as r;
        when 'remove settings of dropped queues' then
            changed := pgmq_gateway.remove_orphaned_settings();
            delete from pgmq_settings.progress as p
            where not exists (select from pgmq_settings.queues as s where s.queue_table = p.queue_table);
        else
            select m.* into changed, is_behind from pgmq_gateway.maintain_queue(task, queue_table, until) as m;
    end case;
-- A cancel too: a task that takes longer than the time limit of the statement must not undo the others each time.
exception when query_canceled or others then
    raise warning 'maintenance: % failed: %', concat_ws(' ', task, queue_table), sqlstate;
    if queue_table is not null then
        perform pgmq_gateway.postpone_task(task, queue_table);
    end if;
    changed := case when sqlstate <> '57014' then 0 end;
    is_behind := false;
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
    visit record;
    is_over boolean := true;
    is_behind boolean;
    spent double precision;
    pause double precision;
begin
    -- Another session is doing a portion, or this is a standby.
    if pg_is_in_recovery() or not pg_try_advisory_xact_lock(hashtext('pgmq_gateway.maintain')) then
        return spacing;
    end if;
    select m.* into state from pgmq_gateway.maintenance as m;
    -- Later than that it can only be after the clock was set back.
    if state.due_at > began and state.due_at < began + interval '1 hour' then
        return extract(epoch from state.due_at - began);
    end if;
    perform pgmq_gateway.check_foreign_code(array[
        'pgmq_gateway.maintenance', 'pgmq_settings.queues', 'pgmq_settings.progress', 'pgmq_settings.burials',
        'pgmq_settings.wake_throttles'
    ]::regclass[]);
    -- What a crash undoes is done again, so no commit waits for the disk.
    perform set_config('synchronous_commit', 'off', true);
    is_behind := coalesce(state.is_behind, false);
    for step in
        select t.* from pgmq_gateway.maintenance_tasks() as t
        where t.place > coalesce(state.place, '') collate "C" order by t.place collate "C"
    loop
        visit := pgmq_gateway.run_task(step.task, step.queue_table, until);
        is_over := coalesce(visit.changed = 0, false) and clock_timestamp() < until;
        is_behind := is_behind or visit.is_behind;
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
