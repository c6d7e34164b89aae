CREATE SCHEMA pgmq_admin;

COMMENT ON SCHEMA pgmq_admin IS 'Management of queues: create, drop, purge, list, and who may do what.';

CREATE SCHEMA pgmq_gateway;

COMMENT ON SCHEMA pgmq_gateway IS 'Internal to pgmq-gateway: never exposed over HTTP.';

CREATE SCHEMA pgmq_public;

CREATE FUNCTION pgmq_admin.check_operations(role name, operations text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    unknown text;
begin
    select o into unknown
    from unnest(operations) as o
    where o is null or o not in (select operation from pgmq_admin.operation_rights());
    if found or coalesce(cardinality(operations), 0) = 0 then
        raise exception 'operation "%" is not known', coalesce(unknown, '') using
            errcode = 'invalid_parameter_value',
            hint = 'Choose from send, read, pop, archive and delete.';
    end if;
    if to_regrole(quote_ident(role)) is null then
        raise exception 'role "%" does not exist', role using
            errcode = 'undefined_object',
            hint = format('Create it with: create role %I nologin noinherit; grant %I to authenticator;', role, role);
    end if;
end;
$$;

CREATE FUNCTION pgmq_admin.check_queue_exists(queue_name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if not exists (select from pgmq.meta as m where m.queue_name = check_queue_exists.queue_name) then
        raise exception 'queue "%" does not exist', queue_name using
            errcode = 'undefined_table',
            hint = 'pgmq_admin.list_queues() lists those that do.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_admin.create_public_functions() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
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
            ) using present, n, sleep_seconds;
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
$_$;

CREATE FUNCTION pgmq_admin.create_queue(queue_name text, queue_type text DEFAULT 'basic'::text, rls boolean DEFAULT true, partition_interval text DEFAULT '10000'::text, retention_interval text DEFAULT '100000'::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    wanted constant boolean := rls is distinct from false;
    present text;
begin
    if queue_type is null or queue_type not in ('basic', 'unlogged', 'partitioned') then
        raise exception 'queue type "%" is not known', queue_type using
            errcode = 'invalid_parameter_value',
            hint = 'Choose basic, unlogged or partitioned.';
    end if;
    -- Two at once: the second finds what the first made.
    perform pg_advisory_xact_lock(hashtext('pgmq_admin.create_queue'));
    select case when m.is_partitioned then 'partitioned' when m.is_unlogged then 'unlogged' else 'basic' end
    into present from pgmq.meta as m
    where m.queue_name = create_queue.queue_name;
    if present = queue_type then
        return false;
    elsif present is not null then
        raise exception 'queue "%" exists already, as % and not %', queue_name, present, queue_type
            using errcode = 'duplicate_table';
    end if;
    perform pgmq_gateway.check_new_name(queue_name, queue_type);
    case queue_type
        when 'basic' then
            perform pgmq.create_non_partitioned(queue_name);
        when 'unlogged' then
            perform pgmq.create_unlogged(queue_name);
        else
            perform pgmq_gateway.create_partitioned(queue_name, partition_interval, retention_interval, wanted);
    end case;
    if queue_type <> 'partitioned' then
        execute format('alter table pgmq.%I set (%s)', 'q_' || queue_name, pgmq_gateway.queue_storage());
    end if;
    if wanted then
        execute format('alter table pgmq.%I enable row level security', 'q_' || queue_name);
    end if;
    return true;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.create_queue(queue_name text, queue_type text, rls boolean, partition_interval text, retention_interval text) IS 'Creates a queue with row-level security; false when it is there already. queue_type: basic, unlogged (faster, empty after a crash) or partitioned (needs pg_partman; the intervals are numbers of messages, or times such as "1 day").';

CREATE FUNCTION pgmq_admin.database_status(OUT postgres_version text, OUT pgmq_version text, OUT partman_version text, OUT started_at timestamp with time zone, OUT is_standby boolean, OUT connections bigint, OUT max_connections integer, OUT oldest_transaction_seconds double precision, OUT database_bytes bigint, OUT live_tuples bigint, OUT dead_tuples bigint, OUT cache_hit_ratio double precision, OUT transactions_committed bigint, OUT transactions_rolled_back bigint, OUT deadlocks bigint) RETURNS record
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        current_setting('server_version'),
        coalesce(
            (select extversion from pg_catalog.pg_extension where extname = 'pgmq'),
            -- Left there by the installer, which ran pgmq's SQL.
            substring(obj_description('pgmq'::regnamespace, 'pg_namespace') from '^pgmq ([0-9.]+)')
        ),
        (select extversion from pg_catalog.pg_extension where extname = 'pg_partman'),
        pg_postmaster_start_time(),
        pg_is_in_recovery(),
        (select sum(numbackends) from pg_catalog.pg_stat_database),
        current_setting('max_connections')::integer,
        -- What is younger cannot be vacuumed. Prepared transactions are forgotten longest.
        extract(epoch from clock_timestamp() - least(
            (select min(xact_start) from pg_catalog.pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()),
            (select min(prepared) from pg_catalog.pg_prepared_xacts where database = current_database())
        ))::double precision,
        pg_database_size(current_database()),
        tables.live,
        tables.dead,
        d.blks_hit / nullif(d.blks_hit + d.blks_read, 0)::double precision,
        d.xact_commit,
        d.xact_rollback,
        d.deadlocks
    from pg_catalog.pg_stat_database as d, (
        select
            coalesce(sum(pg_stat_get_live_tuples(oid)), 0)::bigint as live,
            coalesce(sum(pg_stat_get_dead_tuples(oid)), 0)::bigint as dead
        from pg_catalog.pg_class
        where relnamespace = 'pgmq'::regnamespace and relkind = 'r'
    ) as tables
    where d.datname = current_database();
$$;

COMMENT ON FUNCTION pgmq_admin.database_status(OUT postgres_version text, OUT pgmq_version text, OUT partman_version text, OUT started_at timestamp with time zone, OUT is_standby boolean, OUT connections bigint, OUT max_connections integer, OUT oldest_transaction_seconds double precision, OUT database_bytes bigint, OUT live_tuples bigint, OUT dead_tuples bigint, OUT cache_hit_ratio double precision, OUT transactions_committed bigint, OUT transactions_rolled_back bigint, OUT deadlocks bigint) IS 'Versions, connections, the age of the oldest transaction, size, live and dead rows of all queues, and how much is read from memory.';

CREATE FUNCTION pgmq_admin.disable_notify(queue_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    if to_regprocedure('pgmq.disable_notify_insert(text)') is not null then
        perform pgmq.disable_notify_insert(queue_name);
    end if;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.disable_notify(queue_name text) IS 'Ends the notifications of new messages; none is an error.';

CREATE FUNCTION pgmq_admin.drop_queue(queue_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    perform pgmq_gateway.drop_templates(queue_name);
    perform pgmq.drop_queue(queue_name := drop_queue.queue_name);
    -- pgmq stops where the table is gone already, and would list the queue for ever.
    delete from pgmq.meta as m where m.queue_name = drop_queue.queue_name;
    delete from pgmq_gateway.samples as s where s.queue_name = drop_queue.queue_name;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.drop_queue(queue_name text) IS 'Drops a queue with its messages, its archive and its history.';

CREATE FUNCTION pgmq_admin.enable_notify(queue_name text, throttle_interval_ms integer DEFAULT 250) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    queue_table constant regclass := to_regclass(format('pgmq.%I', lower('q_' || queue_name)));
    partitioned constant boolean := exists (
        select from pg_catalog.pg_class where oid = queue_table and relkind = 'p'
    );
    sender oid;
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    if to_regprocedure('pgmq.enable_notify_insert(text,integer)') is null then
        raise exception 'this version of pgmq has no notifications with a throttle' using
            errcode = 'feature_not_supported', hint = 'Update pgmq to 1.8 or newer.';
    elsif partitioned or queue_name <> lower(queue_name) then
        -- pgmq's trigger looks its queue up by the name of the table that it fires on.
        raise exception 'pgmq cannot notify of queue "%"', queue_name using
            errcode = 'feature_not_supported',
            detail = case when partitioned then 'It is partitioned.' else 'Its name has capital letters.' end,
            hint = 'Poll it, or make a basic queue with a name in small letters.';
    elsif throttle_interval_ms is null or throttle_interval_ms < 0 then
        raise exception 'throttle_interval_ms "%" is no number of milliseconds', throttle_interval_ms using
            errcode = 'invalid_parameter_value', hint = 'Choose 0 or more; 250 is pgmq''s default.';
    end if;
    perform pgmq.enable_notify_insert(queue_name, throttle_interval_ms);
    -- From now on who sends also writes when the last notification was.
    for sender in
        select distinct a.grantee
        from pg_catalog.pg_class as c, aclexplode(c.relacl) as a
        where c.oid = queue_table and a.privilege_type = 'INSERT'
    loop
        execute format(
            'grant select, update on pgmq.notify_insert_throttle to %s',
            case sender when 0 then 'public' else sender::regrole::text end);
    end loop;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.enable_notify(queue_name text, throttle_interval_ms integer) IS 'Postgres notifies channel pgmq.q_<queue>.INSERT of new messages, at most once in throttle_interval_ms. A hint: keep polling slowly, and expect fewer sends per second.';

CREATE FUNCTION pgmq_admin.expose_queues(replace boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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
$$;

COMMENT ON FUNCTION pgmq_admin.expose_queues(replace boolean) IS 'Creates the six functions of pgmq_public and grants them to the API roles. replace: also those that exist.';

CREATE FUNCTION pgmq_admin.grant_public_functions() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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
$$;

CREATE FUNCTION pgmq_admin.grant_queue(queue_name text, role name, operations text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    queue_table constant text := pgmq.format_table_name(queue_name, 'q');
    wanted record;
    routine regprocedure;
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    perform pgmq_admin.check_operations(role, operations);
    execute format('grant usage on schema pgmq, pgmq_public to %I', role);
    for wanted in
        select * from pgmq_admin.operation_rights() as o where o.operation = any (operations)
    loop
        execute format('grant %s on pgmq.%I to %I', array_to_string(wanted.queue_rights, ', '), queue_table, role);
        if wanted.archive_rights <> '{}' then
            execute format(
                'grant %s on pgmq.%I to %I',
                array_to_string(wanted.archive_rights, ', '), pgmq.format_table_name(queue_name, 'a'), role);
        end if;
        for routine in
            select p.oid
            from pg_catalog.pg_proc as p
            where p.pronamespace in ('pgmq'::regnamespace, 'pgmq_public'::regnamespace)
              and p.proname in (wanted.operation, case wanted.operation when 'send' then 'send_batch' end)
        loop
            execute format('grant execute on function %s to %I', routine, role);
        end loop;
    end loop;
    -- Who sends to a queue with notifications also writes when the last one was sent.
    if 'send' = any (operations) and exists (
        select from pg_catalog.pg_trigger
        where tgrelid = to_regclass(format('pgmq.%I', queue_table))
          and tgname = 'trigger_notify_queue_insert_listeners'
    ) and to_regclass('pgmq.notify_insert_throttle') is not null then
        execute format('grant select, update on pgmq.notify_insert_throttle to %I', role);
    end if;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.grant_queue(queue_name text, role name, operations text[]) IS 'Gives a role the rights on a queue that the operations need: send, read, pop, archive, delete.';

CREATE FUNCTION pgmq_admin.history(INOUT queue_name text DEFAULT NULL::text, since timestamp with time zone DEFAULT (now() - '00:15:00'::interval), buckets integer DEFAULT 120, OUT at timestamp with time zone, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT sent_rate double precision, OUT read_rate double precision, OUT archived_rate double precision, OUT deleted_rate double precision, OUT oldest_seconds double precision) RETURNS SETOF record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
    most constant integer := 2000;
    wanted constant text := queue_name;
    day_ago constant timestamptz := now() - interval '1 day';
    step interval;
begin
    if wanted is not null then
        perform pgmq_admin.check_queue_exists(wanted);
    end if;
    if buckets is null or buckets not between 1 and most then
        raise exception 'buckets "%" is not between 1 and %', buckets, most using
            errcode = 'invalid_parameter_value', hint = 'It is the number of points in time to answer: 120 for example.';
    elsif since is null or since >= clock_timestamp() or since < clock_timestamp() - interval '10 years' then
        raise exception 'since "%" is no time in the past', since using
            errcode = 'invalid_parameter_value', hint = 'Give the time that the history is to begin at.';
    end if;
    step := (clock_timestamp() - since) / buckets;
    -- A sample stands for what comes after it unless two are missing; after a day there is only one in five minutes.
    return query
    select
        q.queue_name::text, point.at, last.messages, last.visible, last.delayed, last.in_flight, last.archived,
        rows.sent / passed.seconds, rows.updated / passed.seconds, rows.archived / passed.seconds,
        greatest(rows.deleted - rows.archived, 0) / passed.seconds, last.oldest_seconds
    from pgmq.meta as q
    cross join (select since + n * step as at from generate_series(1, buckets) as n) as point
    left join lateral (
        select s.* from pgmq_gateway.samples as s
        where s.queue_name = q.queue_name and s.at <= point.at
        order by s.at desc
        limit 1
    ) as last on point.at - last.at
        <= make_interval(secs => greatest(2.5 * last.spacing, case when last.at < day_ago then 660 end))
    -- The last sample of the time before, or, where that is missing, the first of this one.
    left join lateral (
        select nearest.* from (
            select s.* from pgmq_gateway.samples as s
            where s.queue_name = q.queue_name and s.at < last.at and s.at <= point.at - step
            order by s.at desc
            limit 1
        ) as nearest
        where least(last.at, point.at - step) - nearest.at
            <= make_interval(secs => greatest(2.5 * nearest.spacing, case when nearest.at < day_ago then 660 end))
        union all
        (
            select s.* from pgmq_gateway.samples as s
            where s.queue_name = q.queue_name and s.at < last.at and s.at > point.at - step
            order by s.at
            limit 1
        )
        order by at
        limit 1
    ) as before on true
    -- What only grows and has shrunk began anew at nothing.
    cross join lateral (
        select
            last.sent - case when last.sent < before.sent then 0 else before.sent end as sent,
            last.updated - case when last.updated < before.updated then 0 else before.updated end as updated,
            last.deleted - case when last.deleted < before.deleted then 0 else before.deleted end as deleted,
            last.archive_inserted
                - case when last.archive_inserted < before.archive_inserted then 0 else before.archive_inserted end
                as archived
    ) as rows
    cross join lateral (
        select extract(epoch from last.at - before.at)::double precision as seconds
    ) as passed
    where wanted is null or q.queue_name = wanted
    order by q.queue_name, point.at;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.history(INOUT queue_name text, since timestamp with time zone, buckets integer, OUT at timestamp with time zone, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT sent_rate double precision, OUT read_rate double precision, OUT archived_rate double precision, OUT deleted_rate double precision, OUT oldest_seconds double precision) IS 'How one queue, or each, did since a time, at as many points in time as buckets: messages by state, and how many were sent, read (or postponed), archived and deleted (or popped) in a second. Null where nothing was recorded.';

CREATE FUNCTION pgmq_admin.list_grants(queue_name text) RETURNS TABLE(role name, operations text[])
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select r.rolname, held.operations
    from pg_catalog.pg_roles as r
    cross join lateral (
        select coalesce(array_agg(o order by place), '{}') as operations
        from unnest(pgmq_admin.table_operations(queue_name, r.rolname)) with ordinality as t (o, place)
        where has_schema_privilege(r.rolname, 'pgmq', 'usage')
          and has_schema_privilege(r.rolname, to_regnamespace('pgmq_public')::oid, 'usage')
          and exists (
              select from pg_catalog.pg_proc as p
              where p.pronamespace = to_regnamespace('pgmq_public') and p.proname = o
                and has_function_privilege(r.rolname, p.oid, 'execute'))
    ) as held
    where r.rolname in ('anon', 'authenticated', 'service_role')
       or held.operations <> '{}' and not r.rolsuper and pg_has_role('authenticator', r.oid, 'member')
    order by r.rolname;
$$;

COMMENT ON FUNCTION pgmq_admin.list_grants(queue_name text) IS 'What each role that requests can run in may do with a queue. Row-level security then decides on which messages.';

CREATE FUNCTION pgmq_admin.list_queues() RETURNS TABLE(queue_name text, queue_type text, rls boolean, created_at timestamp with time zone, notify boolean, messages bigint, exact boolean, visible bigint, delayed bigint, in_flight bigint, archived bigint, oldest_seconds double precision, newest_seconds double precision, sent bigint, table_bytes bigint, index_bytes bigint, archive_bytes bigint, dead_tuples bigint, last_autovacuum timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        q.queue_name,
        q.queue_type,
        coalesce(c.relrowsecurity, false),
        q.created_at,
        exists (
            select from pg_catalog.pg_trigger as t
            where t.tgrelid = c.oid and t.tgname = 'trigger_notify_queue_insert_listeners'
        ),
        q.messages, q.exact, q.visible, q.delayed, q.in_flight, q.archived, q.oldest_seconds, q.newest_seconds, q.sent,
        q.table_bytes, q.index_bytes, q.archive_bytes, q.dead_tuples, q.last_autovacuum
    from pgmq_gateway.queues as q
    left join pg_catalog.pg_class as c
        on c.relnamespace = 'pgmq'::regnamespace and c.relname = lower('q_' || q.queue_name)
    order by q.queue_name;
$$;

COMMENT ON FUNCTION pgmq_admin.list_queues() IS 'All queues: type, row-level security, messages by state, ages of the oldest and the newest, how many were ever sent, sizes. exact: false where there are so many messages that their numbers are estimates; archived is one beyond a thousand.';

CREATE FUNCTION pgmq_admin.operation_rights() RETURNS TABLE(operation text, queue_rights text[], archive_rights text[])
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    values
        ('send', array['INSERT', 'SELECT'], '{}'::text[]),
        ('read', array['SELECT', 'UPDATE'], '{}'),
        ('pop', array['SELECT', 'UPDATE', 'DELETE'], '{}'),
        ('archive', array['SELECT', 'DELETE'], array['INSERT', 'SELECT']),
        ('delete', array['SELECT', 'DELETE'], '{}');
$$;

CREATE FUNCTION pgmq_admin.public_functions() RETURNS TABLE(signature text, function regprocedure)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select s, to_regprocedure('pgmq_public.' || s)
    from unnest(array[
        'send(text,jsonb,integer)', 'send_batch(text,jsonb[],integer)', 'read(text,integer,integer)', 'pop(text)',
        'archive(text,bigint)', 'delete(text,bigint)'
    ]) as s;
$$;

CREATE FUNCTION pgmq_admin.purge_queue(queue_name text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    return pgmq.purge_queue(queue_name := purge_queue.queue_name);
end;
$$;

COMMENT ON FUNCTION pgmq_admin.purge_queue(queue_name text) IS 'Deletes all messages of a queue, those in flight too, and returns how many; its archive stays.';

CREATE FUNCTION pgmq_admin.queue_status(queue_name text, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT oldest_seconds double precision, OUT newest_seconds double precision, OUT sent bigint) RETURNS record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    execute format(
        $query$
        select
            count(*),
            count(*) filter (where vt <= clock_timestamp()),
            count(*) filter (where vt > clock_timestamp() and read_ct = 0),
            count(*) filter (where vt > clock_timestamp() and read_ct > 0),
            (select count(*) from pgmq.%I),
            extract(epoch from clock_timestamp() - min(enqueued_at)),
            extract(epoch from clock_timestamp() - max(enqueued_at)),
            coalesce(pg_sequence_last_value(pg_get_serial_sequence($1, 'msg_id')), 0)
        from pgmq.%I
        $query$,
        pgmq.format_table_name(queue_name, 'a'), pgmq.format_table_name(queue_name, 'q')
    ) into messages, visible, delayed, in_flight, archived, oldest_seconds, newest_seconds, sent
    using format('pgmq.%I', pgmq.format_table_name(queue_name, 'q'));
end;
$_$;

COMMENT ON FUNCTION pgmq_admin.queue_status(queue_name text, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT oldest_seconds double precision, OUT newest_seconds double precision, OUT sent bigint) IS 'Exact counts of a queue: visible, delayed (never read) and in flight (leased) messages, ages of the oldest and the newest, how many were ever sent. It reads the whole queue.';

CREATE FUNCTION pgmq_admin.restore_public_functions() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if exists (select from pgmq_admin.public_functions() as f where f.function is null) then
        perform pgmq_admin.create_public_functions();
        perform pgmq_admin.grant_public_functions();
    end if;
end;
$$;

CREATE FUNCTION pgmq_admin.revoke_queue(queue_name text, role name, operations text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    queue_table constant text := pgmq.format_table_name(queue_name, 'q');
    archive_table constant text := pgmq.format_table_name(queue_name, 'a');
    remaining text[];
    kept text[];
    privilege text;
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    perform pgmq_admin.check_operations(role, operations);
    select coalesce(array_agg(o), '{}') into remaining
    from unnest(pgmq_admin.table_operations(queue_name, role)) as o
    where o <> all (operations);
    -- Operations share rights: take away what no remaining one needs.
    for privilege in
        select distinct unnest(o.queue_rights)
        from pgmq_admin.operation_rights() as o
        where o.operation = any (operations)
    loop
        if not exists (
            select from pgmq_admin.operation_rights() as o
            where o.operation = any (remaining) and privilege = any (o.queue_rights)
        ) then
            execute format('revoke %s on pgmq.%I from %I', privilege, queue_table, role);
        end if;
    end loop;
    if 'archive' = any (operations) then
        execute format('revoke insert, select on pgmq.%I from %I', archive_table, role);
    end if;
    select array_agg(o) into kept
    from unnest(pgmq_admin.table_operations(queue_name, role)) as o
    where o = any (operations);
    if kept is not null then
        raise exception 'role "%" can still % on queue "%"', role, array_to_string(kept, ', '), queue_name using
            errcode = 'invalid_grant_operation',
            detail = case remaining
                when '{}' then 'It has rights from another role.'
                else format('It may also %s, which together need the same rights.', array_to_string(remaining, ', '))
            end,
            hint = 'Revoke those too. Nothing was changed.';
    end if;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.revoke_queue(queue_name text, role name, operations text[]) IS 'Takes from a role the rights on a queue that only these operations need; fails when others keep them possible.';

CREATE FUNCTION pgmq_admin.table_operations(queue_name text, role name) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select coalesce(array_agg(o.operation order by o.place), '{}')
    from pgmq_admin.operation_rights() with ordinality as o (operation, queue_rights, archive_rights, place)
    where not exists (
        select from unnest(o.queue_rights) as needed
        where not has_table_privilege(
            role, format('pgmq.%I', pgmq.format_table_name(queue_name, 'q')), needed)
    ) and not exists (
        select from unnest(o.archive_rights) as needed
        where not has_table_privilege(
            role, format('pgmq.%I', pgmq.format_table_name(queue_name, 'a')), needed)
    );
$$;

CREATE FUNCTION pgmq_gateway.call(role text, claims text, request text[], schemas text, settings text[], read_only boolean, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) RETURNS record
    LANGUAGE plpgsql
    AS $$
begin
    if read_only then
        perform pg_catalog.set_config('transaction_read_only', 'on', true);
    end if;
    if settings is not null then
        for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
            perform pg_catalog.set_config(settings[place], settings[place + 1], true);
        end loop;
    end if;
    select answer.* into total, row_count, body, response_headers, response_status
    from pgmq_gateway.run(
        role, claims, request, schemas, prepare, statement, arguments, parameters, singular, most, first
    ) as answer;
end;
$$;

CREATE FUNCTION pgmq_gateway.calls(role text, claims text, settings text[], prepare text, requests text[], schemas text[], statements text[], arguments text[], singular boolean[], most bigint[], first bigint[], careful boolean, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT failure text[]) RETURNS SETOF record
    LANGUAGE plpgsql
    AS $$
declare
    code text;
    message text;
    detail text;
    hint text;
    context text;
    zone constant text := pg_catalog.current_setting('timezone');
    encoding constant text := pg_catalog.current_setting('client_encoding');
begin
    for n in 1 .. pg_catalog.cardinality(statements) loop
        -- The call before may have changed it, or made a table that was to go with its transaction.
        perform pg_catalog.set_config('timezone', zone, true);
        if settings is not null then
            for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
                perform pg_catalog.set_config(settings[place], settings[place + 1], true);
            end loop;
        end if;
        if n > 1 and pg_catalog.pg_my_temp_schema() <> 0 then
            discard temp;
        end if;
        if careful then
            begin
                select answer.* into total, row_count, body, response_headers, response_status
                from pgmq_gateway.run(
                    role, claims, requests[4 * n - 3 : 4 * n], schemas[n], prepare, statements[n], arguments[n], null,
                    singular[n], most[n], first[n]
                ) as answer;
                failure := null;
            exception when others then
                get stacked diagnostics
                    code = returned_sqlstate,
                    message = message_text,
                    detail = pg_exception_detail,
                    hint = pg_exception_hint,
                    context = pg_exception_context;
                failure := array[code, message, detail, hint, context];
            end;
        else
            select answer.* into total, row_count, body, response_headers, response_status
            from pgmq_gateway.run(
                role, claims, requests[4 * n - 3 : 4 * n], schemas[n], prepare, statements[n], arguments[n], null,
                singular[n], most[n], first[n]
            ) as answer;
        end if;
        -- Whoever may run the next call: not its caller, who may not run `run`.
        perform pg_catalog.set_config('role', 'none', true);
        return next;
    end loop;
    -- All answers leave in one encoding, which the driver must know.
    perform pg_catalog.set_config('client_encoding', encoding, true);
    -- Triggers that wait for the commit run in the caller's role.
    perform pg_catalog.set_config('role', role, true);
end;
$$;

CREATE FUNCTION pgmq_gateway.check_new_name(queue_name text, queue_type text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    -- pgmq takes more, but lets different names share one table: "Foo" and "foo", or long ones cut at 63 bytes.
    if queue_name !~ '^[a-z0-9_-]{1,47}$' or queue_name like '%--%' or queue_name is null then
        raise exception 'queue name "%" is not allowed', queue_name using
            errcode = 'invalid_name',
            hint = 'Use 1 to 47 of: a-z, 0-9, _ and -, but not -- in a row.';
    end if;
    if exists (
        select from pg_catalog.pg_class
        where relnamespace = 'pgmq'::regnamespace and (
            relname in ('q_' || queue_name, 'a_' || queue_name, 'q_' || queue_name || '_vt_idx')
            -- A partition of the new queue would have the name of another queue's table.
            or queue_type = 'partitioned' and starts_with(relname, 'q_' || queue_name || '_')
                and substr(relname, length(queue_name) + 4) ~ '^(default|p[0-9_]+)$'
        )
    ) or exists (
        -- The other way round: partitions that are yet to come.
        select from pgmq.meta as m
        where m.is_partitioned and starts_with(check_new_name.queue_name, m.queue_name || '_')
          and substr(check_new_name.queue_name, length(m.queue_name) + 2) ~ '^(default|p[0-9_]+)$'
    ) then
        raise exception 'queue "%" would share a table or an index with another', queue_name
            using errcode = 'duplicate_table', hint = 'Choose another name.';
    end if;
end;
$_$;

CREATE FUNCTION pgmq_gateway.check_partitioning(partition_interval text, retention_interval text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    most constant integer := 1000;
    partitions numeric;
begin
    if partition_interval ~ '^[0-9]{1,9}$' and retention_interval ~ '^[0-9]{1,18}$' then
        partitions := retention_interval::numeric / greatest(partition_interval::numeric, 0.001);
        if partition_interval::integer < 10 then
            raise exception 'partition_interval "%" is too small', partition_interval using
                errcode = 'invalid_parameter_value', hint = 'A partition holds at least 10 messages.';
        end if;
    else
        begin
            if partition_interval ~ '^\s*[0-9]*\s*$' or retention_interval ~ '^\s*[0-9]*\s*$' then
                raise invalid_datetime_format;
            end if;
            partitions := extract(epoch from retention_interval::interval)
                / greatest(extract(epoch from partition_interval::interval), 0.001);
        exception
            when invalid_datetime_format or datetime_field_overflow or interval_field_overflow then
                partitions := null;
        end;
        if partitions is null then
            raise exception 'partition_interval "%" and retention_interval "%" do not go together',
                partition_interval, retention_interval using
                errcode = 'invalid_parameter_value',
                hint = 'Give both as numbers of messages ("10000", "100000"), or both as times ("1 day", "7 days").';
        end if;
        if partition_interval::interval < '1 minute' then
            raise exception 'partition_interval "%" is too short', partition_interval using
                errcode = 'invalid_parameter_value', hint = 'A partition holds the messages of at least one minute.';
        end if;
    end if;
    if partitions < 1 or partitions > most then
        raise exception 'a retention of % in partitions of % makes % partitions',
            retention_interval, partition_interval, trunc(partitions, 1) using
            errcode = 'invalid_parameter_value',
            hint = format('Choose them so that there are 1 to %s.', most);
    end if;
end;
$_$;

CREATE FUNCTION pgmq_gateway.count_archived(archive_table regclass, pages bigint, live_tuples bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    archived bigint := case when pages = 0 then 0 else live_tuples end;
begin
    if pages between 1 and 60 then
        execute format('select count(*) from %s', archive_table) into archived;
    end if;
    return archived;
exception
    when undefined_table or syntax_error then return null;
end;
$$;

CREATE FUNCTION pgmq_gateway.count_messages(queue_table regclass, pages bigint, live_tuples bigint, dead_tuples bigint, OUT messages bigint, OUT exact boolean, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT oldest timestamp with time zone, OUT newest timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_sort TO 'off'
    AS $_$
declare
    few_pages constant bigint := 60;
    few_messages constant bigint := 1000;
    present constant timestamptz := clock_timestamp();
    counting constant text := $query$
        select
            count(*),
            count(*) filter (where vt <= $1),
            count(*) filter (where vt > $1 and read_ct = 0),
            count(*) filter (where vt > $1 and read_ct > 0),
            min(enqueued_at),
            max(enqueued_at)
        from %s as m
    $query$;
    -- Queues that were partitioned by pgmq alone have no index on vt, and one on msg_id or on enqueued_at. An index
    -- leads through dead rows too, until vacuum takes them out: with very many of them it is no short way.
    indexed text[];
    by_age text;
    hidden bigint;
    percent real;
    sampled record;
begin
    exact := pages <= few_pages;
    if pages is null then
        return;
    elsif pages = 0 then
        messages := 0;
        visible := 0;
        delayed := 0;
        in_flight := 0;
        return;
    elsif exact then
        execute format(counting, queue_table)
            into messages, visible, delayed, in_flight, oldest, newest using present;
        return;
    end if;
    indexed := array(
        select a.attname
        from pg_catalog.pg_index as i
        join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = queue_table and i.indisvalid and dead_tuples < 50 * few_messages
    );
    by_age := case when 'msg_id' = any (indexed) then 'msg_id' else 'enqueued_at' end;
    if 'vt' = any (indexed) then
        execute format(counting, format('(select * from %s order by vt limit %s)', queue_table, few_messages + 1))
            into messages, visible, delayed, in_flight, oldest, newest using present;
        exact := messages <= few_messages;
        if exact then
            return;
        end if;
        execute format(
            'select count(*), count(*) filter (where read_ct = 0)'
            ' from (select read_ct from %s where vt > $1 order by vt desc limit $2) as m',
            queue_table
        ) into hidden, delayed using present, few_messages + 1;
    end if;
    oldest := null;
    newest := null;
    if by_age = any (indexed) then
        execute format(
            'select (select enqueued_at from %1$s order by %2$I limit 1),'
            ' (select enqueued_at from %1$s order by %2$I desc limit 1)',
            queue_table, by_age
        ) into oldest, newest;
    end if;
    percent := least(100.0 * few_pages / pages, 100);
    execute format(
        $query$
        select
            count(*) * 100 / $2 as messages,
            count(*) filter (where vt <= $1) / greatest(count(*), 1)::double precision as visible,
            count(*) filter (where vt > $1 and read_ct = 0)
                / greatest(count(*) filter (where vt > $1), 1)::double precision as delayed
        from %s tablesample system ($2) repeatable (0)
        $query$,
        queue_table
    ) into sampled using present, percent;
    -- Statistics come late, for a queue that has just filled too late.
    messages := greatest(case when live_tuples > few_messages then live_tuples else sampled.messages end, messages);
    if hidden <= few_messages then
        visible := messages - hidden;
        in_flight := hidden - delayed;
    else
        -- In the order of vt the visible ones come first, so fewer than were looked at are all of them.
        if visible is null or visible > few_messages then
            visible := round(messages * sampled.visible);
        end if;
        delayed := round((messages - visible) * sampled.delayed);
        in_flight := messages - visible - delayed;
    end if;
exception
    -- Dropped just now.
    when undefined_table or syntax_error then exact := false;
end;
$_$;

CREATE FUNCTION pgmq_gateway.create_partitioned(queue_name text, partition_interval text, retention_interval text, rls boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    partman constant text := (
        select n.nspname from pg_catalog.pg_extension as e join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
        where e.extname = 'pg_partman'
    );
    template text;
    leaf regclass;
begin
    if partman is null then
        raise exception 'partitioned queues need the extension pg_partman, which this database does not have' using
            errcode = 'feature_not_supported',
            hint = case
                when exists (select from pg_catalog.pg_available_extensions where name = 'pg_partman')
                    then 'As a superuser run "create schema partman; create extension pg_partman schema partman".'
                else 'Install it on the server (Debian: postgresql-NN-partman), or choose type basic.'
            end;
    end if;
    perform pgmq_gateway.check_partitioning(partition_interval, retention_interval);
    perform pgmq.create_partitioned(queue_name, partition_interval, retention_interval);
    execute format('create index %I on pgmq.%I (vt)', 'q_' || queue_name || '_vt_idx', 'q_' || queue_name);
    if partition_interval !~ '^[0-9]+$' then
        execute format('create index on pgmq.%I (msg_id)', 'q_' || queue_name);
        execute format('create index on pgmq.%I (msg_id)', 'a_' || queue_name);
    end if;
    execute format('select template_table from %I.part_config where parent_table = $1', partman)
        into template using 'pgmq.q_' || queue_name;
    if template is not null then
        execute format(
            'alter table %I.%I set (%s)',
            split_part(template, '.', 1), split_part(template, '.', 2), pgmq_gateway.queue_storage());
    end if;
    for leaf in select relid from pg_partition_tree(format('pgmq.%I', 'q_' || queue_name)) where isleaf loop
        execute format('alter table %s set (%s)', leaf, pgmq_gateway.queue_storage());
        if rls then
            execute format('alter table %s enable row level security', leaf);
        end if;
    end loop;
end;
$_$;

CREATE FUNCTION pgmq_gateway.drop_templates(queue_name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    partman constant text := (
        select n.nspname from pg_catalog.pg_extension as e join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
        where e.extname = 'pg_partman'
    );
    template text;
begin
    if partman is null then
        return;
    end if;
    for template in execute format(
        'select template_table from %I.part_config where parent_table = any ($1) and template_table is not null', partman
    ) using array['pgmq.' || lower('q_' || queue_name), 'pgmq.' || lower('a_' || queue_name)]
    loop
        execute format('drop table if exists %I.%I', split_part(template, '.', 1), split_part(template, '.', 2));
    end loop;
end;
$_$;

CREATE FUNCTION pgmq_gateway.queue_storage() RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select string_agg(prefix || option, ', ')
    from unnest(array['', 'toast.']) as prefix, unnest(array[
        'autovacuum_vacuum_scale_factor = 0.01', 'autovacuum_vacuum_threshold = 1000',
        'autovacuum_vacuum_cost_delay = 0'
    ]) as option;
$$;

CREATE FUNCTION pgmq_gateway.run(role text, claims text, request text[], schemas text, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) RETURNS record
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
declare
    given constant json := arguments::pg_catalog.json;
    line text;
begin
    perform
        pg_catalog.set_config('search_path', schemas, true),
        pg_catalog.set_config('role', role, true),
        pg_catalog.set_config('request.jwt.claims', claims, true),
        pg_catalog.set_config('request.method', request[1], true),
        pg_catalog.set_config('request.path', request[2], true),
        pg_catalog.set_config('request.headers', request[3], true),
        pg_catalog.set_config('request.cookies', request[4], true),
        pg_catalog.set_config('response.headers', '', true),
        pg_catalog.set_config('response.status', '', true);
    if prepare is not null then
        execute prepare;
    end if;
    case statement
        when 'send(message,queue_name)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer.id)::pg_catalog.text, '[]')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, message pg_catalog.jsonb),
                lateral pgmq_public.send(queue_name => sent.queue_name, message => sent.message) as answer (id);
        when 'send(message,queue_name,sleep_seconds)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer.id)::pg_catalog.text, '[]')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (
                    queue_name pg_catalog.text, message pg_catalog.jsonb, sleep_seconds pg_catalog.int4
                ),
                lateral pgmq_public.send(
                    queue_name => sent.queue_name, message => sent.message, sleep_seconds => sent.sleep_seconds
                ) as answer (id);
        when 'send_batch(messages,queue_name)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer.id)::pg_catalog.text, '[]')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, messages pg_catalog.jsonb[]),
                lateral pgmq_public.send_batch(queue_name => sent.queue_name, messages => sent.messages) as answer (id);
        when 'send_batch(messages,queue_name,sleep_seconds)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer.id)::pg_catalog.text, '[]')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (
                    queue_name pg_catalog.text, messages pg_catalog.jsonb[], sleep_seconds pg_catalog.int4
                ),
                lateral pgmq_public.send_batch(
                    queue_name => sent.queue_name, messages => sent.messages, sleep_seconds => sent.sleep_seconds
                ) as answer (id);
        when 'read(n,queue_name,sleep_seconds)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select message.*
                from pg_catalog.json_to_record(given) as sent (
                        queue_name pg_catalog.text, sleep_seconds pg_catalog.int4, n pg_catalog.int4
                    ),
                    lateral pgmq_public.read(
                        queue_name => sent.queue_name, sleep_seconds => sent.sleep_seconds, n => sent.n
                    ) as message
            ) as answer;
        when 'pop(queue_name)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select message.*
                from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text),
                    lateral pgmq_public.pop(queue_name => sent.queue_name) as message
            ) as answer;
        when 'delete(message_id,queue_name)' then
            select pg_catalog.count(*), coalesce((pg_catalog.json_agg(answer.done) -> 0)::pg_catalog.text, 'null')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, message_id pg_catalog.int8),
                lateral pgmq_public.delete(
                    queue_name => sent.queue_name, message_id => sent.message_id
                ) as answer (done);
        when 'archive(message_id,queue_name)' then
            select pg_catalog.count(*), coalesce((pg_catalog.json_agg(answer.done) -> 0)::pg_catalog.text, 'null')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, message_id pg_catalog.int8),
                lateral pgmq_public.archive(
                    queue_name => sent.queue_name, message_id => sent.message_id
                ) as answer (done);
        else
            if pg_catalog.starts_with(statement, 'explain') then
                body := '';
                for line in execute statement using given, parameters loop
                    body := body || line || E'\n';
                end loop;
            else
                execute statement into total, row_count, body using given, parameters;
            end if;
    end case;
    if singular and row_count <> 1 then
        raise sqlstate 'GW116' using message = row_count;
    elsif row_count > most then
        raise sqlstate 'GW124' using message = row_count;
    elsif first > total then
        raise sqlstate 'GW103' using message = total;
    end if;
    response_headers := pg_catalog.current_setting('response.headers', true);
    response_status := pg_catalog.current_setting('response.status', true);
end;
$$;

CREATE FUNCTION pgmq_gateway.take_sample(spacing double precision, keep_days double precision) RETURNS double precision
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    last timestamptz;
    due timestamptz;
    present timestamptz;
begin
    -- Who comes while another takes it has nothing to do, and nor has a standby.
    if spacing <= 0 or pg_is_in_recovery() or not pg_try_advisory_xact_lock(hashtext('pgmq_gateway.take_sample')) then
        return greatest(spacing, 1);
    end if;
    -- Not now(): the transaction may have begun while another one took its sample.
    present := clock_timestamp();
    select max(s.at) into last from pgmq_gateway.samples as s where s.at <= present + interval '1 minute';
    due := last + make_interval(secs => spacing);
    if due > present then
        return extract(epoch from due - present);
    end if;
    insert into pgmq_gateway.samples
    select
        q.queue_name, present, take_sample.spacing, last is null or last < date_bin('5 minutes', present, 'epoch'),
        q.messages, q.visible, q.delayed, q.in_flight, q.archived, q.oldest_seconds,
        q.sent, q.updated, q.deleted, q.archive_inserted
    from pgmq_gateway.queues as q;
    delete from pgmq_gateway.samples as s where not s.lasting and s.at < present - interval '1 day';
    delete from pgmq_gateway.samples as s where s.lasting and s.at < present - make_interval(secs => keep_days * 86400);
    -- Dropped without pgmq_admin.drop_queue.
    delete from pgmq_gateway.samples as s
    where s.at = last and not exists (select from pgmq.meta as m where m.queue_name = s.queue_name);
    return spacing;
end;
$$;

CREATE FUNCTION pgmq_public.archive(queue_name text, message_id bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
        begin
            return pgmq.archive(queue_name := archive.queue_name, msg_id := archive.message_id);
        end;
        $$;

COMMENT ON FUNCTION pgmq_public.archive(queue_name text, message_id bigint) IS 'Moves a message to the archive of its queue; false when there is none with this id.';

CREATE FUNCTION pgmq_public.delete(queue_name text, message_id bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
        begin
            return pgmq.delete(queue_name := delete.queue_name, msg_id := delete.message_id);
        end;
        $$;

COMMENT ON FUNCTION pgmq_public.delete(queue_name text, message_id bigint) IS 'Deletes a message for good; false when there is none with this id.';

CREATE FUNCTION pgmq_public.pop(queue_name text) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
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
        $_$;

COMMENT ON FUNCTION pgmq_public.pop(queue_name text) IS 'Takes one visible message off the queue. At most once: a message whose answer is lost on the way is lost.';

CREATE FUNCTION pgmq_public.read(queue_name text, sleep_seconds integer, n integer) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
        -- pgmq.read walks the primary key and so past every message in flight (200 ms with 400,000 of them). Here the
        -- index on vt is walked, and only up to now: what is in flight lies behind. For that, now must be a constant
        -- to the planner, and ties in vt must not be sorted before the limit.
        -- The columns are asked for because they differ between versions of pgmq (last_read_at came with 1.10).
        declare
            queue_table constant text := pgmq.format_table_name(queue_name, 'q');
            present constant timestamptz := clock_timestamp();
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
            ) using present, n, sleep_seconds;
        end;
        $_$;

COMMENT ON FUNCTION pgmq_public.read(queue_name text, sleep_seconds integer, n integer) IS 'Leases up to n visible messages: nobody else reads them for sleep_seconds. Delete or archive them in time.';

CREATE FUNCTION pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer DEFAULT 0) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
        begin
            return query
            select * from pgmq.send(queue_name := send.queue_name, msg := send.message, delay := send.sleep_seconds);
        end;
        $$;

COMMENT ON FUNCTION pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer) IS 'Adds a message to a queue and returns its id. sleep_seconds: how long it stays invisible at first.';

CREATE FUNCTION pgmq_public.send_batch(queue_name text, messages jsonb[], sleep_seconds integer DEFAULT 0) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
        begin
            -- pgmq 1.5 takes an empty batch as nothing to do, later versions raise: stay with the former.
            if coalesce(cardinality(messages), 0) = 0 then
                return;
            end if;
            return query
            select * from pgmq.send_batch(
                queue_name := send_batch.queue_name, msgs := send_batch.messages, delay := send_batch.sleep_seconds);
        end;
        $$;

COMMENT ON FUNCTION pgmq_public.send_batch(queue_name text, messages jsonb[], sleep_seconds integer) IS 'Adds messages to a queue, all or none, and returns their ids in order.';

CREATE TABLE pgmq_gateway.migrations (
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE VIEW pgmq_gateway.tables AS
 WITH free AS MATERIALIZED (
         SELECT c_1.oid,
            c_1.relname,
            c_1.relkind,
            c_1.reltuples,
            c_1.relpages
           FROM pg_class c_1
          WHERE ((c_1.relnamespace = ('pgmq'::regnamespace)::oid) AND (c_1.relkind = ANY (ARRAY['r'::"char", 'p'::"char"])) AND (NOT c_1.relispartition) AND (NOT (EXISTS ( SELECT
                   FROM pg_locks l
                  WHERE ((l.relation = c_1.oid) AND (l.mode = 'AccessExclusiveLock'::text) AND (l.pid <> pg_backend_pid()))))))
        )
 SELECT (c.oid)::regclass AS relation,
    c.relname AS name,
    f.pages,
    f.table_bytes,
    f.index_bytes,
    f.live_tuples,
    f.dead_tuples,
    f.last_autovacuum,
    f.inserted,
    f.updated,
    f.deleted
   FROM (free c
     CROSS JOIN LATERAL ( SELECT (sum((pg_relation_size((p.oid)::regclass) / (current_setting('block_size'::text))::integer)))::bigint AS pages,
            (sum(pg_table_size((p.oid)::regclass)))::bigint AS table_bytes,
            (sum(pg_indexes_size((p.oid)::regclass)))::bigint AS index_bytes,
            (sum(
                CASE
                    WHEN ((p.reltuples > (0)::double precision) AND (COALESCE(pg_stat_get_last_vacuum_time(p.oid), pg_stat_get_last_autovacuum_time(p.oid), pg_stat_get_last_analyze_time(p.oid), pg_stat_get_last_autoanalyze_time(p.oid)) IS NULL)) THEN (((p.reltuples / (GREATEST(p.relpages, 1))::double precision) * (pg_relation_size((p.oid)::regclass))::double precision) / ((current_setting('block_size'::text))::integer)::double precision)
                    ELSE (pg_stat_get_live_tuples(p.oid))::double precision
                END))::bigint AS live_tuples,
            (sum(pg_stat_get_dead_tuples(p.oid)))::bigint AS dead_tuples,
            max(pg_stat_get_last_autovacuum_time(p.oid)) AS last_autovacuum,
            (sum(pg_stat_get_tuples_inserted(p.oid)))::bigint AS inserted,
            (sum(pg_stat_get_tuples_updated(p.oid)))::bigint AS updated,
            (sum(pg_stat_get_tuples_deleted(p.oid)))::bigint AS deleted
           FROM ( SELECT c.oid,
                    c.reltuples,
                    c.relpages
                  WHERE (c.relkind = 'r'::"char")
                UNION ALL
                 SELECT t.oid,
                    t.reltuples,
                    t.relpages
                   FROM (pg_partition_tree((
                        CASE
                            WHEN (c.relkind = 'p'::"char") THEN c.oid
                            ELSE NULL::oid
                        END)::regclass) leaf(relid, parentrelid, isleaf, level)
                     JOIN pg_class t ON ((t.oid = (leaf.relid)::oid)))
                  WHERE leaf.isleaf) p) f);

CREATE VIEW pgmq_gateway.queues AS
 SELECT (q.queue_name)::text AS queue_name,
        CASE
            WHEN q.is_partitioned THEN 'partitioned'::text
            WHEN q.is_unlogged THEN 'unlogged'::text
            ELSE 'basic'::text
        END AS queue_type,
    q.created_at,
    m.messages,
    COALESCE(m.exact, false) AS exact,
    m.visible,
    m.delayed,
    m.in_flight,
    pgmq_gateway.count_archived(archive.relation, archive.pages, archive.live_tuples) AS archived,
    (EXTRACT(epoch FROM (clock_timestamp() - m.oldest)))::double precision AS oldest_seconds,
    (EXTRACT(epoch FROM (clock_timestamp() - m.newest)))::double precision AS newest_seconds,
    ( SELECT COALESCE(pg_sequence_last_value((s.oid)::regclass), (0)::bigint) AS "coalesce"
           FROM (pg_depend d
             JOIN pg_class s ON (((s.oid = d.objid) AND (s.relkind = 'S'::"char"))))
          WHERE ((d.classid = ('pg_class'::regclass)::oid) AND (d.refclassid = ('pg_class'::regclass)::oid) AND (d.refobjid = (live.relation)::oid) AND (d.deptype = 'i'::"char"))) AS sent,
    live.table_bytes,
    live.index_bytes,
    (archive.table_bytes + archive.index_bytes) AS archive_bytes,
    live.dead_tuples,
    live.last_autovacuum,
    live.updated,
    live.deleted,
    archive.inserted AS archive_inserted
   FROM (((pgmq.meta q
     LEFT JOIN pgmq_gateway.tables live ON ((live.name = lower(('q_'::text || (q.queue_name)::text)))))
     LEFT JOIN pgmq_gateway.tables archive ON ((archive.name = lower(('a_'::text || (q.queue_name)::text)))))
     LEFT JOIN LATERAL pgmq_gateway.count_messages(live.relation, live.pages, live.live_tuples, live.dead_tuples) m(messages, exact, visible, delayed, in_flight, oldest, newest) ON (true));

CREATE TABLE pgmq_gateway.samples (
    queue_name text NOT NULL,
    at timestamp with time zone NOT NULL,
    spacing real NOT NULL,
    lasting boolean NOT NULL,
    messages bigint,
    visible bigint,
    delayed bigint,
    in_flight bigint,
    archived bigint,
    oldest_seconds double precision,
    sent bigint,
    updated bigint,
    deleted bigint,
    archive_inserted bigint
);

ALTER TABLE ONLY pgmq_gateway.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (number);

ALTER TABLE ONLY pgmq_gateway.samples
    ADD CONSTRAINT samples_pkey PRIMARY KEY (queue_name, at);

CREATE INDEX samples_age ON pgmq_gateway.samples USING btree (lasting, at);

GRANT USAGE ON SCHEMA pgmq_admin TO service_role;

GRANT USAGE ON SCHEMA pgmq_gateway TO authenticator;

GRANT USAGE ON SCHEMA pgmq_public TO anon;
GRANT USAGE ON SCHEMA pgmq_public TO authenticated;
GRANT USAGE ON SCHEMA pgmq_public TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.check_operations(role name, operations text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.check_queue_exists(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.create_public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.create_queue(queue_name text, queue_type text, rls boolean, partition_interval text, retention_interval text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.create_queue(queue_name text, queue_type text, rls boolean, partition_interval text, retention_interval text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.database_status(OUT postgres_version text, OUT pgmq_version text, OUT partman_version text, OUT started_at timestamp with time zone, OUT is_standby boolean, OUT connections bigint, OUT max_connections integer, OUT oldest_transaction_seconds double precision, OUT database_bytes bigint, OUT live_tuples bigint, OUT dead_tuples bigint, OUT cache_hit_ratio double precision, OUT transactions_committed bigint, OUT transactions_rolled_back bigint, OUT deadlocks bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.database_status(OUT postgres_version text, OUT pgmq_version text, OUT partman_version text, OUT started_at timestamp with time zone, OUT is_standby boolean, OUT connections bigint, OUT max_connections integer, OUT oldest_transaction_seconds double precision, OUT database_bytes bigint, OUT live_tuples bigint, OUT dead_tuples bigint, OUT cache_hit_ratio double precision, OUT transactions_committed bigint, OUT transactions_rolled_back bigint, OUT deadlocks bigint) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.disable_notify(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.disable_notify(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.drop_queue(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.drop_queue(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.enable_notify(queue_name text, throttle_interval_ms integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.enable_notify(queue_name text, throttle_interval_ms integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.expose_queues(replace boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.grant_public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.grant_queue(queue_name text, role name, operations text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.history(INOUT queue_name text, since timestamp with time zone, buckets integer, OUT at timestamp with time zone, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT sent_rate double precision, OUT read_rate double precision, OUT archived_rate double precision, OUT deleted_rate double precision, OUT oldest_seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.history(INOUT queue_name text, since timestamp with time zone, buckets integer, OUT at timestamp with time zone, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT sent_rate double precision, OUT read_rate double precision, OUT archived_rate double precision, OUT deleted_rate double precision, OUT oldest_seconds double precision) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.list_grants(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.list_queues() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.list_queues() TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.operation_rights() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.purge_queue(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.purge_queue(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.queue_status(queue_name text, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT oldest_seconds double precision, OUT newest_seconds double precision, OUT sent bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.queue_status(queue_name text, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT oldest_seconds double precision, OUT newest_seconds double precision, OUT sent bigint) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.restore_public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.revoke_queue(queue_name text, role name, operations text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.table_operations(queue_name text, role name) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.call(role text, claims text, request text[], schemas text, settings text[], read_only boolean, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.call(role text, claims text, request text[], schemas text, settings text[], read_only boolean, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.calls(role text, claims text, settings text[], prepare text, requests text[], schemas text[], statements text[], arguments text[], singular boolean[], most bigint[], first bigint[], careful boolean, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT failure text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.calls(role text, claims text, settings text[], prepare text, requests text[], schemas text[], statements text[], arguments text[], singular boolean[], most bigint[], first bigint[], careful boolean, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT failure text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.check_new_name(queue_name text, queue_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.check_partitioning(partition_interval text, retention_interval text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.count_archived(archive_table regclass, pages bigint, live_tuples bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.count_messages(queue_table regclass, pages bigint, live_tuples bigint, dead_tuples bigint, OUT messages bigint, OUT exact boolean, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT oldest timestamp with time zone, OUT newest timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.create_partitioned(queue_name text, partition_interval text, retention_interval text, rls boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.drop_templates(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.queue_storage() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.run(role text, claims text, request text[], schemas text, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.run(role text, claims text, request text[], schemas text, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.take_sample(spacing double precision, keep_days double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.take_sample(spacing double precision, keep_days double precision) TO authenticator;

GRANT ALL ON FUNCTION pgmq_public.archive(queue_name text, message_id bigint) TO anon;
GRANT ALL ON FUNCTION pgmq_public.archive(queue_name text, message_id bigint) TO authenticated;
GRANT ALL ON FUNCTION pgmq_public.archive(queue_name text, message_id bigint) TO service_role;

GRANT ALL ON FUNCTION pgmq_public.delete(queue_name text, message_id bigint) TO anon;
GRANT ALL ON FUNCTION pgmq_public.delete(queue_name text, message_id bigint) TO authenticated;
GRANT ALL ON FUNCTION pgmq_public.delete(queue_name text, message_id bigint) TO service_role;

GRANT ALL ON FUNCTION pgmq_public.pop(queue_name text) TO anon;
GRANT ALL ON FUNCTION pgmq_public.pop(queue_name text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_public.pop(queue_name text) TO service_role;

GRANT ALL ON FUNCTION pgmq_public.read(queue_name text, sleep_seconds integer, n integer) TO anon;
GRANT ALL ON FUNCTION pgmq_public.read(queue_name text, sleep_seconds integer, n integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_public.read(queue_name text, sleep_seconds integer, n integer) TO service_role;

GRANT ALL ON FUNCTION pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer) TO anon;
GRANT ALL ON FUNCTION pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer) TO service_role;

GRANT ALL ON FUNCTION pgmq_public.send_batch(queue_name text, messages jsonb[], sleep_seconds integer) TO anon;
GRANT ALL ON FUNCTION pgmq_public.send_batch(queue_name text, messages jsonb[], sleep_seconds integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_public.send_batch(queue_name text, messages jsonb[], sleep_seconds integer) TO service_role;

GRANT SELECT ON TABLE pgmq_gateway.migrations TO authenticator;
