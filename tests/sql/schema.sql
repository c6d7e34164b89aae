CREATE SCHEMA pgmq_admin;

COMMENT ON SCHEMA pgmq_admin IS 'Management of queues: create, drop, purge, list, and who may do what.';

CREATE SCHEMA pgmq_gateway;

COMMENT ON SCHEMA pgmq_gateway IS 'Internal to pgmq-gateway: never exposed over HTTP.';

CREATE SCHEMA pgmq_public;

CREATE TYPE pgmq_admin.message AS (
	msg_id bigint,
	read_ct integer,
	enqueued_at timestamp with time zone,
	last_read_at timestamp with time zone,
	vt timestamp with time zone,
	archived_at timestamp with time zone,
	state text,
	bytes integer,
	preview text,
	message jsonb,
	headers jsonb
);

CREATE FUNCTION pgmq_admin.apply(queue_name text, action text, filter jsonb, expected bigint, seconds integer DEFAULT NULL::integer, to_queue text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    archived constant boolean := coalesce(filter ->> 'state' = 'archived', false);
    done record;
begin
    if action is null or action not in ('postpone', 'make_visible', 'archive', 'delete', 'move', 'requeue') then
        raise exception 'action "%" is not known', action using
            errcode = 'invalid_parameter_value',
            hint = 'Choose postpone, make_visible, archive, delete, move or requeue.';
    elsif action in ('postpone', 'make_visible', 'archive') and archived then
        raise exception 'action % is not for archived messages', action using
            errcode = 'invalid_parameter_value', hint = 'They can be deleted, moved and requeued.';
    elsif action = 'requeue' and not archived then
        raise exception 'only archived messages can be requeued' using
            errcode = 'invalid_parameter_value', hint = 'Add "state": "archived" to the filter.';
    elsif (action = 'postpone') <> (seconds is not null) then
        raise exception 'seconds belong to the action postpone, and only to that' using
            errcode = 'invalid_parameter_value', hint = 'Give both or neither.';
    elsif (action = 'move') <> (to_queue is not null) then
        raise exception 'to_queue belongs to the action move, and only to that' using
            errcode = 'invalid_parameter_value', hint = 'Give both or neither.';
    elsif action = 'move' then
        perform pgmq_gateway.check_move(queue_name, to_queue);
    end if;
    select * into done
    from pgmq_gateway.change_messages(
        queue_name, action, filter, expected, pgmq_gateway.visible_from(seconds, null),
        case action when 'requeue' then queue_name else to_queue end);
    if done.matched <> expected then
        -- A code that gives status 409.
        raise exception '% messages match, not %: nothing was done', done.matched, expected using
            errcode = 'PT409',
            detail = 'The queue has changed since they were counted.',
            hint = 'Count them again.';
    end if;
    return cardinality(done.msg_ids);
end;
$$;

COMMENT ON FUNCTION pgmq_admin.apply(queue_name text, action text, filter jsonb, expected bigint, seconds integer, to_queue text) IS 'Does one thing to all messages that a filter matches, in one transaction, and returns how many those were. expected: refuse when another number matches; null does not check.';

CREATE FUNCTION pgmq_admin.archive(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(queue_name, 'archive', pgmq_gateway.with_ids(archive.msg_ids)) as c;
$$;

COMMENT ON FUNCTION pgmq_admin.archive(queue_name text, msg_ids bigint[]) IS 'Moves messages to the archive of their queue and returns the ids of those that were there.';

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
    SET search_path TO ''
    AS $$
begin
    if not exists (select from pgmq.meta as m where m.queue_name = check_queue_exists.queue_name) then
        raise exception 'queue "%" does not exist', queue_name using
            errcode = 'undefined_table',
            hint = 'pgmq_admin.list_queues() lists those that do.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_admin.count_messages(queue_name text, filter jsonb DEFAULT '{}'::jsonb) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
declare
    condition constant text := pgmq_gateway.filter_condition(filter);
    number bigint;
begin
    execute format(
        'select count(*) from pgmq.%I as q where %s', pgmq_gateway.source_table(queue_name, filter), condition
    ) into number using filter, clock_timestamp();
    return number;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.count_messages(queue_name text, filter jsonb) IS 'How many messages of a queue or its archive a filter matches, exactly, without any effect on them.';

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

CREATE FUNCTION pgmq_admin.create_queue(queue_name text, queue_type text DEFAULT 'basic'::text, rls boolean DEFAULT true) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
declare
    present text;
begin
    -- pgmq takes more, but lets different names share one table: "Foo" and "foo", or long ones cut at 63 bytes.
    if queue_name !~ '^[a-z0-9_-]{1,47}$' or queue_name like '%--%' or queue_name is null then
        raise exception 'queue name "%" is not allowed', queue_name using
            errcode = 'invalid_name',
            hint = 'Use 1 to 47 of: a-z, 0-9, _ and -, but not -- in a row.';
    end if;
    select l.queue_type into present from pgmq_admin.list_queues() as l where l.queue_name = create_queue.queue_name;
    if present = queue_type then
        return false;
    elsif present is not null then
        raise exception 'queue "%" exists already, as % and not %', queue_name, present, queue_type
            using errcode = 'duplicate_table';
    end if;
    if exists (
        select from pg_catalog.pg_class
        where relnamespace = 'pgmq'::regnamespace
          and relname in ('q_' || queue_name, 'a_' || queue_name, 'q_' || queue_name || '_vt_idx')
    ) then
        raise exception 'queue "%" would share a table or an index with another', queue_name
            using errcode = 'duplicate_table', hint = 'Choose another name.';
    end if;
    case queue_type
        when 'basic' then
            perform pgmq.create_non_partitioned(queue_name);
        when 'unlogged' then
            perform pgmq.create_unlogged(queue_name);
        when 'partitioned' then
            if not exists (select from pg_catalog.pg_extension where extname = 'pg_partman') then
                raise exception 'partitioned queues need the extension pg_partman, which this database does not have'
                    using errcode = 'feature_not_supported',
                          hint = 'Run "create extension pg_partman" where the server has it, or choose type basic.';
            end if;
            perform pgmq.create_partitioned(queue_name);
        else
            raise exception 'queue type "%" is not known', queue_type using
                errcode = 'invalid_parameter_value',
                hint = 'Choose basic, unlogged or partitioned.';
    end case;
    if rls is distinct from false then
        execute format('alter table pgmq.%I enable row level security', pgmq.format_table_name(queue_name, 'q'));
    end if;
    return true;
end;
$_$;

COMMENT ON FUNCTION pgmq_admin.create_queue(queue_name text, queue_type text, rls boolean) IS 'Creates a queue with row-level security; false when it is there already. queue_type: basic, unlogged, partitioned.';

CREATE FUNCTION pgmq_admin.delete(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(queue_name, 'delete', pgmq_gateway.with_ids(delete.msg_ids)) as c;
$$;

COMMENT ON FUNCTION pgmq_admin.delete(queue_name text, msg_ids bigint[]) IS 'Deletes messages of a queue for good and returns the ids of those that were there.';

CREATE FUNCTION pgmq_admin.delete_archived(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(
        queue_name, 'delete', pgmq_gateway.with_ids(delete_archived.msg_ids, 'archived')) as c;
$$;

COMMENT ON FUNCTION pgmq_admin.delete_archived(queue_name text, msg_ids bigint[]) IS 'Deletes messages of the archive for good and returns the ids of those that were there.';

CREATE FUNCTION pgmq_admin.drop_queue(queue_name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    perform pgmq.drop_queue(queue_name := drop_queue.queue_name);
end;
$$;

COMMENT ON FUNCTION pgmq_admin.drop_queue(queue_name text) IS 'Drops a queue with its messages and its archive.';

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

CREATE FUNCTION pgmq_admin.get_message(queue_name text, msg_id bigint, archived boolean DEFAULT false) RETURNS SETOF pgmq_admin.message
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select *
    from pgmq_admin.list_messages(
        get_message.queue_name,
        jsonb_build_object('msg_ids', jsonb_build_array(get_message.msg_id))
            || case when archived then '{"state": "archived"}'::jsonb else '{}' end);
$$;

COMMENT ON FUNCTION pgmq_admin.get_message(queue_name text, msg_id bigint, archived boolean) IS 'One message of a queue, or of its archive, without any effect on it; no row when there is none with this id.';

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

CREATE FUNCTION pgmq_admin.list_messages(queue_name text, filter jsonb DEFAULT '{}'::jsonb, sort text DEFAULT 'msg_id'::text, descending boolean DEFAULT false, after jsonb DEFAULT NULL::jsonb, before jsonb DEFAULT NULL::jsonb, max_rows integer DEFAULT 30) RETURNS SETOF pgmq_admin.message
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    condition constant text := pgmq_gateway.filter_condition(filter);
    archived constant boolean := coalesce(filter ->> 'state' = 'archived', false);
    source constant text := pgmq_gateway.source_table(queue_name, filter);
    last_key constant jsonb := coalesce(after, before);
    -- The page before is the first one in the opposite direction.
    backward constant boolean := before is not null;
    timed constant boolean := sort in ('enqueued_at', 'vt', 'archived_at');
    falling constant boolean := coalesce(descending, false) <> backward;
    last_number bigint;
    last_time timestamptz;
    last_id bigint;
begin
    if sort is null or sort not in ('msg_id', 'enqueued_at', 'read_ct', 'vt', 'archived_at') then
        raise exception 'sort "%" is not known', sort using
            errcode = 'invalid_parameter_value',
            hint = 'Choose msg_id, enqueued_at, read_ct, vt, or archived_at in the archive.';
    elsif sort = 'archived_at' and not archived then
        raise exception 'only archived messages can be sorted by archived_at' using
            errcode = 'invalid_parameter_value', hint = 'Add "state": "archived" to the filter.';
    elsif max_rows is null or max_rows not between 1 and 1000 then
        raise exception 'max_rows is %, but must be between 1 and 1000', coalesce(max_rows::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Use after and before to page through more.';
    elsif after is not null and before is not null then
        raise exception 'after and before exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Give one of them.';
    end if;
    if last_key is not null then
        begin
            if jsonb_typeof(last_key) <> 'array' or jsonb_array_length(last_key) <> 2 or last_key @> '[null]' then
                raise data_exception using message = 'it is not an array of two values';
            end if;
            last_id := last_key ->> 1;
            if timed then
                last_time := last_key ->> 0;
            else
                last_number := last_key ->> 0;
            end if;
        exception
            when data_exception then
                raise exception '% cannot be read: %', case when backward then 'before' else 'after' end, sqlerrm using
                    errcode = 'invalid_parameter_value',
                    hint = format('Give %s and msg_id of a row: %s.',
                        sort, case when timed then '["2026-01-31T12:00:00Z", 7]' else '[7, 7]' end);
        end;
    end if;
    -- Rows are chosen before their messages are unpacked. The first comparison of a key is implied by the second; it
    -- is there for the partitions that it excludes.
    return query execute format(
        $query$
        with page as materialized (
            select q.* from pgmq.%1$I as q
            where %2$s %3$s
            order by q.%4$I %5$s, q.msg_id %5$s
            limit $6
        )
        select
            q.msg_id, q.read_ct, q.enqueued_at, %6$s, q.vt, %7$s,
            case
                when %8$L then 'archived' when q.vt <= $2 then 'visible' when q.read_ct = 0 then 'delayed'
                else 'in_flight'
            end,
            octet_length(q.message::text), left(q.message::text, 200), q.message, q.headers
        from page as q
        order by q.%4$I %9$s, q.msg_id %9$s
        $query$,
        source,
        condition,
        case when last_key is not null then format(
            'and q.%1$I %2$s= %3$s and (q.%1$I, q.msg_id) %2$s (%3$s, $5)',
            sort, case when falling then '<' else '>' end, case when timed then '$4' else '$3' end) end,
        sort,
        case when falling then 'desc' end,
        case when pgmq_gateway.have_column('last_read_at', source) then 'q.last_read_at' else 'null::timestamptz' end,
        case when archived then 'q.archived_at' else 'null::timestamptz' end,
        archived,
        case when descending then 'desc' end
    ) using filter, clock_timestamp(), last_number, last_time, last_id, max_rows;
end;
$_$;

COMMENT ON FUNCTION pgmq_admin.list_messages(queue_name text, filter jsonb, sort text, descending boolean, after jsonb, before jsonb, max_rows integer) IS 'Messages of a queue or its archive that a filter matches, a page at a time, without any effect on them. after, before: [value of the sort column, msg_id] of the last or first row of the page that you have.';

CREATE FUNCTION pgmq_admin.list_queues() RETURNS TABLE(queue_name text, queue_type text, rls boolean, created_at timestamp with time zone)
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select
        m.queue_name::text,
        case when m.is_partitioned then 'partitioned' when m.is_unlogged then 'unlogged' else 'basic' end,
        coalesce(c.relrowsecurity, false),
        m.created_at
    from pgmq.meta as m
    left join pg_catalog.pg_class as c
        on c.relnamespace = 'pgmq'::regnamespace and c.relname = lower('q_' || m.queue_name)
    order by m.queue_name;
$$;

COMMENT ON FUNCTION pgmq_admin.list_queues() IS 'All queues with their type and whether row-level security is on.';

CREATE FUNCTION pgmq_admin.make_visible(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(queue_name, 'make_visible', pgmq_gateway.with_ids(make_visible.msg_ids)) as c;
$$;

COMMENT ON FUNCTION pgmq_admin.make_visible(queue_name text, msg_ids bigint[]) IS 'Makes delayed messages and those in flight visible now and returns the ids of those that were there.';

CREATE FUNCTION pgmq_admin.move(queue_name text, msg_ids bigint[], to_queue text) RETURNS TABLE(msg_id bigint, new_msg_id bigint)
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform pgmq_gateway.check_move(queue_name, to_queue);
    return query
    select moved.*
    from pgmq_gateway.change_messages(
        queue_name, 'move', pgmq_gateway.with_ids(msg_ids), to_queue => to_queue) as c,
        unnest(c.msg_ids, c.new_msg_ids) as moved;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.move(queue_name text, msg_ids bigint[], to_queue text) IS 'Moves messages to another queue, where they are visible at once, never read and as old as before, and returns the old and the new id of each.';

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

CREATE FUNCTION pgmq_admin.postpone(queue_name text, msg_ids bigint[], seconds integer DEFAULT NULL::integer, until timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    if seconds is null and until is null then
        raise exception 'messages can only be postponed for some seconds or until a time' using
            errcode = 'invalid_parameter_value', hint = 'Give seconds or until.';
    end if;
    return query
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(
        queue_name, 'postpone', pgmq_gateway.with_ids(msg_ids),
        visible_at => pgmq_gateway.visible_from(seconds, until)) as c;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.postpone(queue_name text, msg_ids bigint[], seconds integer, until timestamp with time zone) IS 'Makes messages invisible for some seconds from now or until a time, those in flight too, and returns the ids of those that were there.';

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
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    return pgmq.purge_queue(queue_name := purge_queue.queue_name);
end;
$$;

COMMENT ON FUNCTION pgmq_admin.purge_queue(queue_name text) IS 'Deletes all messages of a queue, those in flight too, and returns how many; its archive stays.';

CREATE FUNCTION pgmq_admin.queue_status(queue_name text, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT oldest_seconds bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
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
            extract(epoch from clock_timestamp() - min(enqueued_at))::bigint
        from pgmq.%I
        $query$,
        pgmq.format_table_name(queue_name, 'a'), pgmq.format_table_name(queue_name, 'q')
    ) into messages, visible, delayed, in_flight, archived, oldest_seconds;
end;
$_$;

COMMENT ON FUNCTION pgmq_admin.queue_status(queue_name text, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT oldest_seconds bigint) IS 'Exact counts of a queue: visible, delayed (never read) and in flight (leased) messages; age of the oldest.';

CREATE FUNCTION pgmq_admin.requeue(queue_name text, msg_ids bigint[]) RETURNS TABLE(msg_id bigint, new_msg_id bigint)
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    select moved.*
    from pgmq_gateway.change_messages(
        queue_name, 'requeue', pgmq_gateway.with_ids(requeue.msg_ids, 'archived'), to_queue => queue_name) as c,
        unnest(c.msg_ids, c.new_msg_ids) as moved;
$$;

COMMENT ON FUNCTION pgmq_admin.requeue(queue_name text, msg_ids bigint[]) IS 'Brings messages back from the archive of their queue, visible at once, never read and as old as before, and returns the old and the new id of each.';

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

CREATE FUNCTION pgmq_admin.send(queue_name text, message jsonb, headers jsonb DEFAULT NULL::jsonb, sleep_seconds integer DEFAULT 0, visible_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform pgmq_gateway.message_table(queue_name, 'q');
    if message is null then
        raise exception 'message must not be null' using
            errcode = 'null_value_not_allowed', hint = 'Any other JSON value will do: {} for example.';
    end if;
    return (
        select id
        from pgmq.send(
            queue_name => send.queue_name, msg => send.message, headers => send.headers,
            delay => pgmq_gateway.visible_from(nullif(sleep_seconds, 0), visible_at)) as id);
end;
$$;

COMMENT ON FUNCTION pgmq_admin.send(queue_name text, message jsonb, headers jsonb, sleep_seconds integer, visible_at timestamp with time zone) IS 'Adds a message with headers to a queue and returns its id; invisible for sleep_seconds or until visible_at.';

CREATE FUNCTION pgmq_admin.send_batch(queue_name text, messages jsonb[], headers jsonb[] DEFAULT NULL::jsonb[], sleep_seconds integer DEFAULT 0, visible_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    perform pgmq_gateway.message_table(queue_name, 'q');
    if array_ndims(messages) > 1 then
        -- Postgres reads an array of arrays as a table of values, of which pgmq would make a message each.
        raise exception 'a message of a batch cannot be a JSON array' using
            errcode = 'invalid_parameter_value', hint = 'Send it by itself, or put it into an object.';
    elsif array_position(messages, null) is not null then
        raise exception 'message % of the batch is null', array_position(messages, null) using
            errcode = 'null_value_not_allowed', hint = 'Any other JSON value will do: {} for example.';
    elsif headers is not null and cardinality(headers) <> coalesce(cardinality(messages), 0) then
        raise exception 'there are % headers for % messages', cardinality(headers), coalesce(cardinality(messages), 0)
            using errcode = 'invalid_parameter_value', hint = 'Give one for each message; null is one too.';
    elsif coalesce(cardinality(messages), 0) = 0 then
        return;
    end if;
    return query
    select id
    from pgmq.send_batch(
        queue_name => send_batch.queue_name, msgs => send_batch.messages, headers => send_batch.headers,
        delay => pgmq_gateway.visible_from(nullif(sleep_seconds, 0), visible_at)) as id
    order by id;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.send_batch(queue_name text, messages jsonb[], headers jsonb[], sleep_seconds integer, visible_at timestamp with time zone) IS 'Adds messages to a queue, all or none, each with its headers, and returns their ids in order.';

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

CREATE FUNCTION pgmq_gateway.change_messages(queue_name text, action text, filter jsonb, expected bigint DEFAULT NULL::bigint, visible_at timestamp with time zone DEFAULT NULL::timestamp with time zone, to_queue text DEFAULT NULL::text, OUT matched bigint, OUT msg_ids bigint[], OUT new_msg_ids bigint[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
declare
    condition constant text := pgmq_gateway.filter_condition(filter);
    source constant text := pgmq_gateway.source_table(queue_name, filter);
begin
    execute format(
        $query$
        with chosen as materialized (
            select q.msg_id from pgmq.%1$I as q where %2$s order by q.msg_id for update
        ), counted as materialized (
            select count(*) as matched from chosen
        ), allowed as (
            select chosen.msg_id from chosen, counted where $3 is null or $3 = counted.matched
        ), %3$s
        select
            (select c.matched from counted as c),
            coalesce(array_agg(c.msg_id order by c.msg_id), '{}'),
            coalesce(array_agg(c.new_msg_id order by c.msg_id), '{}')
        from changed as c
        $query$,
        source,
        condition,
        case
            when action in ('postpone', 'make_visible') then format(
                'changed as ('
                    'update pgmq.%I as q set vt = %s from allowed where q.msg_id = allowed.msg_id '
                    'returning q.msg_id, q.msg_id as new_msg_id)',
                source, case action when 'postpone' then '$4' else 'least(q.vt, $2)' end)
            when action = 'delete' then format(
                'changed as ('
                    'delete from pgmq.%I as q using allowed where q.msg_id = allowed.msg_id '
                    'returning q.msg_id, q.msg_id as new_msg_id)',
                source)
            when action = 'archive' then
                pgmq_gateway.transfer_part(action, source, pgmq_gateway.message_table(queue_name, 'a'))
            else pgmq_gateway.transfer_part(action, source, pgmq_gateway.message_table(to_queue, 'q'))
        end
    ) into matched, msg_ids, new_msg_ids using filter, clock_timestamp(), expected, visible_at;
exception
    when unique_violation then
        if action <> 'archive' then
            raise;
        end if;
        raise exception 'the archive of queue "%" has messages with the same ids already', queue_name using
            errcode = 'unique_violation',
            detail = 'An unlogged queue begins with id 1 again after a crash.',
            hint = 'Delete those from the archive, or requeue them, and archive again.';
end;
$_$;

CREATE FUNCTION pgmq_gateway.check_filter(filter jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    types constant jsonb := '{
        "state": "string", "msg_ids": "array", "sent_after": "string", "sent_before": "string",
        "min_read_ct": "number", "max_read_ct": "number", "contains": "any", "path": "string",
        "headers_contain": "any"
    }';
    hints constant jsonb := '{
        "state": "Choose visible, delayed, in_flight or archived; leave it out for all that are in the queue.",
        "msg_ids": "Give an array of ids: [1, 2]. Strings of digits will do.",
        "sent_after": "Give a time as in \"2026-01-31T12:00:00Z\".",
        "sent_before": "Give a time as in \"2026-01-31T12:00:00Z\".",
        "min_read_ct": "Give a whole number.",
        "max_read_ct": "Give a whole number.",
        "path": "Give a JSON path as text: \"$.status == \\\"failed\\\"\" or \"$.tags[*] ? (@ == \\\"x\\\")\"."
    }';
    found record;
begin
    if jsonb_typeof(filter) is distinct from 'object' then
        raise exception 'filter must be a JSON object, not %', coalesce(jsonb_typeof(filter), 'null') using
            errcode = 'invalid_parameter_value', hint = 'Without conditions it is {}.';
    end if;
    for found in
        select f.key as member, f.value, f.value #>> '{}' as plain, types ->> f.key as type from jsonb_each(filter) as f
    loop
        if found.type is null then
            raise exception 'filter member "%" is not known', found.member using
                errcode = 'invalid_parameter_value',
                hint = 'Known are state, msg_ids, sent_after, sent_before, min_read_ct, max_read_ct, contains, path'
                    ' and headers_contain.';
        elsif found.type not in ('any', jsonb_typeof(found.value)) then
            raise exception 'filter member "%" must be of type %, not %',
                found.member, found.type, jsonb_typeof(found.value)
                using errcode = 'invalid_parameter_value', hint = hints ->> found.member;
        elsif found.member = 'state' and found.plain not in ('visible', 'delayed', 'in_flight', 'archived') then
            raise exception 'state "%" is not known', found.plain using
                errcode = 'invalid_parameter_value', hint = hints ->> 'state';
        end if;
        begin
            case found.member
                when 'msg_ids' then perform i::bigint from jsonb_array_elements_text(found.value) as i;
                when 'sent_after', 'sent_before' then perform found.plain::timestamptz;
                when 'min_read_ct', 'max_read_ct' then perform found.plain::integer;
                when 'path' then perform pgmq_gateway.is_predicate(found.plain::jsonpath);
                else null;
            end case;
        exception
            -- The last is for a path with a variable: there are none.
            when data_exception or syntax_error or feature_not_supported or program_limit_exceeded or undefined_object
            then
                raise exception 'filter member "%": %', found.member, sqlerrm using
                    errcode = 'invalid_parameter_value', hint = hints ->> found.member;
        end;
    end loop;
end;
$_$;

CREATE FUNCTION pgmq_gateway.check_move(queue_name text, to_queue text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    if to_queue is null then
        raise exception 'messages can only be moved to another queue' using
            errcode = 'invalid_parameter_value', hint = 'Give to_queue.';
    elsif pgmq_gateway.message_table(queue_name, 'q') = pgmq_gateway.message_table(to_queue, 'q') then
        raise exception 'messages are moved from queue "%" to itself', queue_name using
            errcode = 'invalid_parameter_value',
            hint = 'Give another queue; requeue brings archived messages back to their own.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.filter_condition(filter jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
begin
    perform pgmq_gateway.check_filter(filter);
    return concat_ws(
        ' and ',
        'true',
        case filter ->> 'state'
            when 'visible' then 'q.vt <= $2'
            when 'delayed' then 'q.vt > $2 and q.read_ct = 0'
            when 'in_flight' then 'q.vt > $2 and q.read_ct > 0'
        end,
        case when filter ? 'msg_ids' then
            'q.msg_id = any (array(select i::bigint from jsonb_array_elements_text($1 -> ''msg_ids'') as i))' end,
        case when filter ? 'sent_after' then 'q.enqueued_at >= ($1 ->> ''sent_after'')::timestamptz' end,
        case when filter ? 'sent_before' then 'q.enqueued_at < ($1 ->> ''sent_before'')::timestamptz' end,
        case when filter ? 'min_read_ct' then 'q.read_ct >= ($1 ->> ''min_read_ct'')::integer' end,
        case when filter ? 'max_read_ct' then 'q.read_ct <= ($1 ->> ''max_read_ct'')::integer' end,
        case when filter ? 'contains' then 'q.message @> ($1 -> ''contains'')' end,
        case when filter ? 'headers_contain' then 'q.headers @> ($1 -> ''headers_contain'')' end,
        case
            when not filter ? 'path' then null
            when pgmq_gateway.is_predicate((filter ->> 'path')::jsonpath) then
                'q.message @@ ($1 ->> ''path'')::jsonpath'
            else 'q.message @? ($1 ->> ''path'')::jsonpath'
        end
    );
end;
$_$;

CREATE FUNCTION pgmq_gateway.have_column(column_name name, VARIADIC tables text[]) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select bool_and(exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = to_regclass(format('pgmq.%I', t)) and a.attname = column_name and not a.attisdropped))
    from unnest(tables) as t;
$$;

CREATE FUNCTION pgmq_gateway.is_predicate(path jsonpath) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select coalesce(jsonb_path_query_first('0', path, '{}', true) in ('true', 'false', 'null'), false);
$$;

CREATE FUNCTION pgmq_gateway.message_table(queue_name text, prefix text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    if not exists (select from pgmq.meta as m where m.queue_name = message_table.queue_name) then
        raise exception 'queue "%" does not exist', queue_name using
            errcode = 'undefined_table',
            hint = 'pgmq_admin.list_queues() lists those that do.';
    end if;
    return pgmq.format_table_name(queue_name, prefix);
end;
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

CREATE FUNCTION pgmq_gateway.source_table(queue_name text, filter jsonb) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select pgmq_gateway.message_table(queue_name, case filter ->> 'state' when 'archived' then 'a' else 'q' end);
$$;

CREATE FUNCTION pgmq_gateway.transfer_part(action text, source text, target text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    columns constant text := 'message, headers, enqueued_at, vt, read_ct' || case
        when action = 'archive' and pgmq_gateway.have_column('last_read_at', source, target) then ', last_read_at'
        else ''
    end;
    -- In another queue a message keeps its age, unless partitions go by time: a retention would soon drop it.
    by_time constant boolean := pg_get_partkeydef(format('pgmq.%I', target)::regclass) = 'RANGE (enqueued_at)';
    anew constant text := format('message, headers, %s, $2, 0', case when by_time then '$2' else 'enqueued_at' end);
    sequence constant text := pg_get_serial_sequence(format('pgmq.%I', target), 'msg_id');
begin
    return format(
        $part$
        gone as (
            delete from pgmq.%1$I as q using allowed where q.msg_id = allowed.msg_id returning q.msg_id, %3$s
        ), changed as materialized (
            select g.*, %4$s as new_msg_id from (select * from gone order by msg_id) as g
        ), kept as (
            insert into pgmq.%2$I (msg_id, %3$s) overriding system value select new_msg_id, %5$s from changed
        )
        $part$,
        source, target, columns,
        case action when 'archive' then 'g.msg_id' else format('nextval(%L)', sequence) end,
        case action when 'archive' then columns else anew end);
end;
$_$;

CREATE FUNCTION pgmq_gateway.visible_from(seconds integer, at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
    if seconds is not null and at is not null then
        raise exception 'a number of seconds and a time exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Give one of them.';
    elsif seconds < 0 then
        raise exception 'a message cannot be delayed by % seconds', seconds using
            errcode = 'invalid_parameter_value', hint = 'Give 0 or more.';
    end if;
    return greatest(clock_timestamp() + make_interval(secs => coalesce(seconds, 0)), at);
end;
$$;

CREATE FUNCTION pgmq_gateway.with_ids(msg_ids bigint[], state text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select jsonb_strip_nulls(jsonb_build_object('state', state)) || jsonb_build_object('msg_ids', msg_ids);
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
GRANT USAGE ON SCHEMA pgmq_gateway TO service_role;

GRANT USAGE ON SCHEMA pgmq_public TO anon;
GRANT USAGE ON SCHEMA pgmq_public TO authenticated;
GRANT USAGE ON SCHEMA pgmq_public TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.apply(queue_name text, action text, filter jsonb, expected bigint, seconds integer, to_queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.apply(queue_name text, action text, filter jsonb, expected bigint, seconds integer, to_queue text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.archive(queue_name text, msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.archive(queue_name text, msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.check_operations(role name, operations text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.check_queue_exists(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.count_messages(queue_name text, filter jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.count_messages(queue_name text, filter jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.create_public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.create_queue(queue_name text, queue_type text, rls boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.delete(queue_name text, msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.delete(queue_name text, msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.delete_archived(queue_name text, msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.delete_archived(queue_name text, msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.drop_queue(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.expose_queues(replace boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.get_message(queue_name text, msg_id bigint, archived boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.get_message(queue_name text, msg_id bigint, archived boolean) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.grant_public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.grant_queue(queue_name text, role name, operations text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.list_grants(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.list_messages(queue_name text, filter jsonb, sort text, descending boolean, after jsonb, before jsonb, max_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.list_messages(queue_name text, filter jsonb, sort text, descending boolean, after jsonb, before jsonb, max_rows integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.list_queues() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.make_visible(queue_name text, msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.make_visible(queue_name text, msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.move(queue_name text, msg_ids bigint[], to_queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.move(queue_name text, msg_ids bigint[], to_queue text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.operation_rights() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.postpone(queue_name text, msg_ids bigint[], seconds integer, until timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.postpone(queue_name text, msg_ids bigint[], seconds integer, until timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.purge_queue(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.queue_status(queue_name text, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT oldest_seconds bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.requeue(queue_name text, msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.requeue(queue_name text, msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.restore_public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.revoke_queue(queue_name text, role name, operations text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.send(queue_name text, message jsonb, headers jsonb, sleep_seconds integer, visible_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.send(queue_name text, message jsonb, headers jsonb, sleep_seconds integer, visible_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.send_batch(queue_name text, messages jsonb[], headers jsonb[], sleep_seconds integer, visible_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.send_batch(queue_name text, messages jsonb[], headers jsonb[], sleep_seconds integer, visible_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.table_operations(queue_name text, role name) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.call(role text, claims text, request text[], schemas text, settings text[], read_only boolean, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.call(role text, claims text, request text[], schemas text, settings text[], read_only boolean, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.calls(role text, claims text, settings text[], prepare text, requests text[], schemas text[], statements text[], arguments text[], singular boolean[], most bigint[], first bigint[], careful boolean, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT failure text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.calls(role text, claims text, settings text[], prepare text, requests text[], schemas text[], statements text[], arguments text[], singular boolean[], most bigint[], first bigint[], careful boolean, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT failure text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.change_messages(queue_name text, action text, filter jsonb, expected bigint, visible_at timestamp with time zone, to_queue text, OUT matched bigint, OUT msg_ids bigint[], OUT new_msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.change_messages(queue_name text, action text, filter jsonb, expected bigint, visible_at timestamp with time zone, to_queue text, OUT matched bigint, OUT msg_ids bigint[], OUT new_msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.check_filter(filter jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.check_filter(filter jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.check_move(queue_name text, to_queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.check_move(queue_name text, to_queue text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.filter_condition(filter jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.filter_condition(filter jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.have_column(column_name name, VARIADIC tables text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.have_column(column_name name, VARIADIC tables text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.is_predicate(path jsonpath) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.is_predicate(path jsonpath) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.message_table(queue_name text, prefix text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.message_table(queue_name text, prefix text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.run(role text, claims text, request text[], schemas text, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.run(role text, claims text, request text[], schemas text, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.source_table(queue_name text, filter jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.source_table(queue_name text, filter jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.transfer_part(action text, source text, target text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.transfer_part(action text, source text, target text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.visible_from(seconds integer, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.visible_from(seconds integer, at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.with_ids(msg_ids bigint[], state text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.with_ids(msg_ids bigint[], state text) TO service_role;

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
