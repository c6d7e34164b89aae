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
    select q.queue_type into present from pgmq_gateway.queues(create_queue.queue_name) as q
    where q.queue_name = create_queue.queue_name;
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
end;
$$;

COMMENT ON FUNCTION pgmq_admin.drop_queue(queue_name text) IS 'Drops a queue with its messages, its archive and its history.';

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
            where t.tgrelid = q.queue_table and t.tgname = 'trigger_notify_queue_insert_listeners'
        ),
        f.messages, coalesce(f.exact, false), f.visible, f.delayed, f.in_flight, f.archived,
        f.oldest_seconds, f.newest_seconds, f.sent,
        f.table_bytes, f.index_bytes, f.archive_bytes, f.dead_tuples, f.last_autovacuum
    from pgmq_gateway.queues() as q
    left join pg_catalog.pg_class as c on c.oid = q.queue_table
    left join lateral pgmq_gateway.queue_figures(q.queue_table, q.archive_table) as f on true
    order by q.queue_name;
$$;

COMMENT ON FUNCTION pgmq_admin.list_queues() IS 'All queues: type, row-level security, messages by state, ages of the oldest and the newest, how many were ever sent, sizes. exact: false where there are so many messages that their numbers are estimates.';

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

CREATE FUNCTION pgmq_gateway.count_messages(queue_table regclass, live_tuples bigint, dead_tuples bigint, OUT messages bigint, OUT exact boolean, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT oldest timestamp with time zone, OUT newest timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $_$
declare
    most constant bigint := 1000;
    sampled_pages constant integer := 60;
    present constant timestamptz := clock_timestamp();
    -- Queues that were partitioned by pgmq alone have no index on vt.
    indexed constant text[] := array(
        select a.attname
        from pg_catalog.pg_index as i
        join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = queue_table and i.indisvalid
    );
    by_age constant text := case when 'msg_id' = any (indexed) then 'msg_id' else 'enqueued_at' end;
    pages bigint;
    hidden bigint;
    share record;
begin
    -- An index leads through dead rows too, until vacuum takes them out: with very many this is no short way.
    if dead_tuples < 50 * most then
        execute format(
            $query$
            select
                count(*),
                count(*) filter (where vt <= $1),
                count(*) filter (where vt > $1 and read_ct = 0),
                count(*) filter (where vt > $1 and read_ct > 0),
                min(enqueued_at),
                max(enqueued_at)
            from (select vt, read_ct, enqueued_at from %s %s limit $2) as m
            $query$,
            queue_table, case when 'vt' = any (indexed) then 'order by vt' else '' end
        ) into messages, visible, delayed, in_flight, oldest, newest using present, most + 1;
        exact := messages <= most;
        if exact then
            return;
        end if;
    end if;
    exact := false;
    messages := greatest(live_tuples, messages);
    if by_age = any (indexed) and dead_tuples < 50 * most then
        execute format(
            'select (select enqueued_at from %1$s order by %2$I limit 1),'
            ' (select enqueued_at from %1$s order by %2$I desc limit 1)',
            queue_table, by_age
        ) into oldest, newest;
    end if;
    if 'vt' = any (indexed) and dead_tuples < 50 * most then
        execute format(
            'select count(*), count(*) filter (where read_ct = 0)'
            ' from (select read_ct from %s where vt > $1 order by vt desc limit $2) as m',
            queue_table
        ) into hidden, delayed using present, most + 1;
        if hidden <= most then
            visible := greatest(messages - hidden, 0);
            in_flight := hidden - delayed;
            return;
        end if;
        execute format(
            'select count(*) from (select from %s where vt <= $1 order by vt desc limit $2) as m', queue_table
        ) into visible using present, most + 1;
        visible := case when visible <= most then visible end;
    else
        visible := null;
    end if;
    select greatest(sum(pg_relation_size(coalesce(t.relid, queue_table))), 1) / current_setting('block_size')::integer
    into pages
    from (select) as one left join pg_partition_tree(queue_table) as t on t.isleaf;
    execute format(
        $query$
        select
            greatest(count(*), 1)::double precision as rows,
            count(*) filter (where vt <= $1) as visible,
            count(*) filter (where vt > $1 and read_ct = 0) as delayed,
            count(*) filter (where vt > $1) as hidden
        from %s tablesample system (least(100.0 * $2 / $3, 100)::real)
        $query$,
        queue_table
    ) into share using present, sampled_pages, greatest(pages, 1);
    visible := coalesce(visible, round(messages * share.visible / share.rows));
    delayed := round((messages - visible) * share.delayed / greatest(share.hidden, 1));
    in_flight := messages - visible - delayed;
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

CREATE FUNCTION pgmq_gateway.queue_figures(queue_table regclass, archive_table regclass, OUT messages bigint, OUT exact boolean, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT oldest_seconds double precision, OUT newest_seconds double precision, OUT sent bigint, OUT table_bytes bigint, OUT index_bytes bigint, OUT dead_tuples bigint, OUT last_autovacuum timestamp with time zone, OUT updated bigint, OUT deleted bigint, OUT archive_inserted bigint, OUT archive_bytes bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '20ms'
    AS $_$
declare
    most constant bigint := 1000;
    archive record;
    live bigint;
    oldest timestamptz;
    newest timestamptz;
begin
    if queue_table is null then
        return;
    end if;
    select f.table_bytes, f.index_bytes, f.live_tuples, f.dead_tuples, f.last_autovacuum, f.updated, f.deleted
    into table_bytes, index_bytes, live, dead_tuples, last_autovacuum, updated, deleted
    from pgmq_gateway.table_figures(queue_table) as f;
    select c.* into messages, exact, visible, delayed, in_flight, oldest, newest
    from pgmq_gateway.count_messages(queue_table, live, dead_tuples) as c;
    oldest_seconds := extract(epoch from clock_timestamp() - oldest);
    newest_seconds := extract(epoch from clock_timestamp() - newest);
    select coalesce(pg_sequence_last_value(s.oid), 0) into sent
    from pg_catalog.pg_depend as d
    join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
    where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
      and d.refobjid = queue_table and d.deptype = 'i';
    if archive_table is null then
        return;
    end if;
    select f.* into archive from pgmq_gateway.table_figures(archive_table) as f;
    archive_inserted := archive.inserted;
    archive_bytes := archive.table_bytes + archive.index_bytes;
    execute format('select count(*) from (select from %s limit $1) as a', archive_table) into archived using most + 1;
    if archived > most then
        archived := greatest(archive.live_tuples, archived);
    end if;
exception
    when lock_not_available or undefined_table then
        exact := false;
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

CREATE FUNCTION pgmq_gateway.queues(only_queue text DEFAULT NULL::text) RETURNS TABLE(queue_name text, queue_type text, created_at timestamp with time zone, queue_table regclass, archive_table regclass)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        m.queue_name::text,
        case when m.is_partitioned then 'partitioned' when m.is_unlogged then 'unlogged' else 'basic' end,
        m.created_at,
        q.oid::regclass,
        a.oid::regclass
    from pgmq.meta as m
    left join pg_catalog.pg_class as q
        on q.relnamespace = 'pgmq'::regnamespace and q.relname = lower('q_' || m.queue_name)
    left join pg_catalog.pg_class as a
        on a.relnamespace = 'pgmq'::regnamespace and a.relname = lower('a_' || m.queue_name)
    where only_queue is null or m.queue_name = only_queue;
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

CREATE FUNCTION pgmq_gateway.table_figures(relation regclass, OUT table_bytes bigint, OUT index_bytes bigint, OUT live_tuples bigint, OUT dead_tuples bigint, OUT last_autovacuum timestamp with time zone, OUT inserted bigint, OUT updated bigint, OUT deleted bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    select
        sum(pg_table_size(c.oid)),
        sum(pg_indexes_size(c.oid)),
        -- Statistics begin anew after a crash and on a standby. Then what the last vacuum or analyze left in the
        -- catalog tells more: how dense the pages are.
        sum(case
            when c.reltuples > 0 and coalesce(
                pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid),
                pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)
            ) is null
            then c.reltuples / greatest(c.relpages, 1) * pg_relation_size(c.oid) / current_setting('block_size')::integer
            else pg_stat_get_live_tuples(c.oid)
        end)::bigint,
        sum(pg_stat_get_dead_tuples(c.oid)),
        max(pg_stat_get_last_autovacuum_time(c.oid)),
        sum(pg_stat_get_tuples_inserted(c.oid)),
        sum(pg_stat_get_tuples_updated(c.oid)),
        sum(pg_stat_get_tuples_deleted(c.oid))
    into table_bytes, index_bytes, live_tuples, dead_tuples, last_autovacuum, inserted, updated, deleted
    from pg_catalog.pg_class as c
    where c.oid = relation and c.relkind <> 'p'
       or c.oid in (select relid from pg_partition_tree(relation) where isleaf);
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

ALTER TABLE ONLY pgmq_gateway.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (number);

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

REVOKE ALL ON FUNCTION pgmq_admin.drop_queue(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.drop_queue(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.expose_queues(replace boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.grant_public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.grant_queue(queue_name text, role name, operations text[]) FROM PUBLIC;

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

REVOKE ALL ON FUNCTION pgmq_gateway.count_messages(queue_table regclass, live_tuples bigint, dead_tuples bigint, OUT messages bigint, OUT exact boolean, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT oldest timestamp with time zone, OUT newest timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.create_partitioned(queue_name text, partition_interval text, retention_interval text, rls boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.drop_templates(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.queue_figures(queue_table regclass, archive_table regclass, OUT messages bigint, OUT exact boolean, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT oldest_seconds double precision, OUT newest_seconds double precision, OUT sent bigint, OUT table_bytes bigint, OUT index_bytes bigint, OUT dead_tuples bigint, OUT last_autovacuum timestamp with time zone, OUT updated bigint, OUT deleted bigint, OUT archive_inserted bigint, OUT archive_bytes bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.queue_storage() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.queues(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.run(role text, claims text, request text[], schemas text, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.run(role text, claims text, request text[], schemas text, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.table_figures(relation regclass, OUT table_bytes bigint, OUT index_bytes bigint, OUT live_tuples bigint, OUT dead_tuples bigint, OUT last_autovacuum timestamp with time zone, OUT inserted bigint, OUT updated bigint, OUT deleted bigint) FROM PUBLIC;

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
