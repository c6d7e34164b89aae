-- pgmq_public, Supabase's six queue functions, and the rights that go with them.
--
-- Why: this is the API that supabase-js and all others call. Same names, parameters, defaults, results and grants as
-- Supabase's, so that an existing project behaves the same. Table rights are not given here: they are given per queue.
-- Safe to repeat: functions that exist are kept, unless replacing is asked for; grants are harmless when repeated.

create schema if not exists pgmq_admin;
comment on schema pgmq_admin is 'Management of queues: create, drop, purge, list, and who may do what.';
revoke all on schema pgmq_admin from public;

-- The six functions by signature, and which of them exist: somebody may have added overloads of their own.
create or replace function pgmq_admin.public_functions()
returns table (signature text, function regprocedure)
language sql
stable
set search_path = pg_catalog, pg_temp
as $functions$
    select s, to_regprocedure('pgmq_public.' || s)
    from unnest(array[
        'send(text,jsonb,integer)', 'send_batch(text,jsonb[],integer)', 'read(text,integer,integer)', 'pop(text)',
        'archive(text,bigint)', 'delete(text,bigint)'
    ]) as s;
$functions$;

create or replace function pgmq_admin.create_public_functions()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $create$
begin
    if to_regprocedure('pgmq_public.send(text,jsonb,integer)') is null then
        create function pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer default 0)
        returns setof bigint
        language plpgsql
        set search_path = ''
        as $function$
        begin
            return query
            select * from pgmq.send(queue_name := send.queue_name, msg := send.message, delay := send.sleep_seconds);
        end;
        $function$;
        comment on function pgmq_public.send(text, jsonb, integer) is
            'Adds a message to a queue and returns its id. sleep_seconds: how long it stays invisible at first.';
    end if;

    if to_regprocedure('pgmq_public.send_batch(text,jsonb[],integer)') is null then
        create function pgmq_public.send_batch(queue_name text, messages jsonb[], sleep_seconds integer default 0)
        returns setof bigint
        language plpgsql
        set search_path = ''
        as $function$
        begin
            -- The gateway says how many may come in one call, where its operator does.
            if cardinality(messages)
                > coalesce(nullif(current_setting('pgmq_gateway.max_batch', true), '')::integer, 100000)
            then
                raise exception 'a batch of % messages is too long', cardinality(messages) using
                    errcode = 'invalid_parameter_value',
                    hint = 'Send them in several batches.';
            end if;
            -- pgmq 1.5 takes an empty batch as nothing to do, later versions raise: stay with the former.
            if coalesce(cardinality(messages), 0) = 0 then
                return;
            end if;
            return query
            select * from pgmq.send_batch(
                queue_name := send_batch.queue_name, msgs := send_batch.messages, delay := send_batch.sleep_seconds);
        end;
        $function$;
        comment on function pgmq_public.send_batch(text, jsonb[], integer) is
            'Adds messages to a queue, all or none, and returns their ids in order.';
    end if;

    if to_regprocedure('pgmq_public.read(text,integer,integer)') is null then
        create function pgmq_public.read(queue_name text, sleep_seconds integer, n integer)
        returns setof pgmq.message_record
        language plpgsql
        set search_path = ''
        as $function$
        -- pgmq.read walks the primary key and so past every message in flight (200 ms with 400,000 of them). Here the
        -- index on vt is walked, and only up to now: what is in flight lies behind. For that, now must be a constant
        -- to the planner, and ties in vt must not be sorted before the limit.
        -- The columns are asked for because they differ between versions of pgmq (last_read_at came with 1.10).
        declare
            queue_table constant text := pgmq.format_table_name(queue_name, 'q');
            present constant timestamptz := clock_timestamp();
            -- A number beyond all sense must not mean all there are: fewer than asked for is always an answer.
            most constant integer := least(
                n, coalesce(nullif(current_setting('pgmq_gateway.max_read', true), '')::integer, 10000)
            );
            columns text;
            stamp text;
        begin
            if n is null then
                raise exception 'n must not be null' using
                    errcode = 'null_value_not_allowed',
                    hint = 'Say how many messages to read at most, 1 for example.';
            end if;
            if current_setting('transaction_read_only')::boolean then
                -- Fails as pgmq.read does: first for a queue that does not exist, then because this is an UPDATE.
                execute format('update pgmq.%I set vt = vt where false', queue_table);
            end if;
            select
                string_agg(format('m.%I', attname), ', ' order by attnum),
                case when bool_or(attname = 'last_read_at') then ', last_read_at = $1' else '' end
            into columns, stamp
            from pg_catalog.pg_attribute
            where attrelid = 'pgmq.message_record'::pg_catalog.regclass and attnum > 0 and not attisdropped;
            return query execute format(
                $query$
                with claimed as (
                    select msg_id from pgmq.%1$I where vt <= $1 order by vt limit $2 for update skip locked
                ), m as (
                    update pgmq.%1$I as q
                    set vt = $1 + make_interval(secs => $3), read_ct = q.read_ct + 1 %2$s
                    from claimed where q.msg_id = claimed.msg_id
                    returning q.*
                )
                select %3$s from m order by m.msg_id
                $query$,
                queue_table, stamp, columns
            ) using present, most, sleep_seconds;
        end;
        $function$;
        comment on function pgmq_public.read(text, integer, integer) is
            'Leases up to n visible messages: nobody else reads them for sleep_seconds. Delete or archive them in time.';
    end if;

    if to_regprocedure('pgmq_public.pop(text)') is null then
        create function pgmq_public.pop(queue_name text)
        returns setof pgmq.message_record
        language plpgsql
        set search_path = ''
        as $function$
        -- Claims like read, for the same reasons.
        declare
            queue_table constant text := pgmq.format_table_name(queue_name, 'q');
            columns text;
        begin
            select string_agg(format('m.%I', attname), ', ' order by attnum)
            into columns
            from pg_catalog.pg_attribute
            where attrelid = 'pgmq.message_record'::pg_catalog.regclass and attnum > 0 and not attisdropped;
            return query execute format(
                $query$
                with claimed as (
                    select msg_id from pgmq.%1$I where vt <= $1 order by vt limit 1 for update skip locked
                )
                delete from pgmq.%1$I as m using claimed where m.msg_id = claimed.msg_id
                returning %2$s
                $query$,
                queue_table, columns
            ) using clock_timestamp();
        end;
        $function$;
        comment on function pgmq_public.pop(text) is
            'Takes one visible message off the queue. At most once: a message whose answer is lost on the way is lost.';
    end if;

    if to_regprocedure('pgmq_public.archive(text,bigint)') is null then
        create function pgmq_public.archive(queue_name text, message_id bigint)
        returns boolean
        language plpgsql
        set search_path = ''
        as $function$
        begin
            return pgmq.archive(queue_name := archive.queue_name, msg_id := archive.message_id);
        end;
        $function$;
        comment on function pgmq_public.archive(text, bigint) is
            'Moves a message to the archive of its queue; false when there is none with this id.';
    end if;

    if to_regprocedure('pgmq_public.delete(text,bigint)') is null then
        create function pgmq_public.delete(queue_name text, message_id bigint)
        returns boolean
        language plpgsql
        set search_path = ''
        as $function$
        begin
            return pgmq.delete(queue_name := delete.queue_name, msg_id := delete.message_id);
        end;
        $function$;
        comment on function pgmq_public.delete(text, bigint) is
            'Deletes a message for good; false when there is none with this id.';
    end if;
end;
$create$;

create or replace function pgmq_admin.grant_public_functions()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $grant$
declare
    -- Supabase grants to postgres too; elsewhere that role may not exist.
    owner constant text := case when to_regrole('postgres') is null then 'service_role' else 'postgres' end;
    callers constant text := format('%I, anon, authenticated, service_role', owner);
    routine regprocedure;
begin
    execute format('grant usage on schema pgmq, pgmq_public to %s', callers);
    -- By name, not by signature: pop, for one, takes a quantity since pgmq 1.7.
    for routine in
        select p.oid
        from pg_catalog.pg_proc as p
        where p.pronamespace in ('pgmq'::regnamespace, 'pgmq_public'::regnamespace)
          and p.proname in ('send', 'send_batch', 'read', 'pop', 'archive', 'delete')
    loop
        execute format('grant execute on function %s to %s', routine, callers);
    end loop;
    execute format('grant all on all tables in schema pgmq to %I, service_role', owner);
    execute format('alter default privileges in schema pgmq grant all on tables to %I, service_role', owner);
    grant usage, select, update on all sequences in schema pgmq to anon, authenticated, service_role;
    alter default privileges in schema pgmq
        grant usage, select, update on sequences to anon, authenticated, service_role;
end;
$grant$;

-- Brings back functions that are gone: upgrading pgmq to 1.10 drops read and pop with the type that they return.
create or replace function pgmq_admin.restore_public_functions()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $restore$
begin
    if exists (select from pgmq_admin.public_functions() as f where f.function is null) then
        perform pgmq_admin.create_public_functions();
        perform pgmq_admin.grant_public_functions();
    end if;
end;
$restore$;

create or replace function pgmq_admin.expose_queues(replace boolean default false)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $expose$
declare
    present regprocedure;
begin
    create schema if not exists pgmq_public;
    if replace then
        for present in select f.function from pgmq_admin.public_functions() as f where f.function is not null loop
            execute format('drop function %s', present);
        end loop;
    end if;
    perform pgmq_admin.create_public_functions();
    perform pgmq_admin.grant_public_functions();
end;
$expose$;
comment on function pgmq_admin.expose_queues is
    'Creates the six functions of pgmq_public and grants them to the API roles. replace: also those that exist.';

revoke all on all functions in schema pgmq_admin from public;

select pgmq_admin.expose_queues();
