CREATE SCHEMA pgmq_admin;

COMMENT ON SCHEMA pgmq_admin IS 'Management of queues: create, drop, purge, list, and who may do what.';

CREATE SCHEMA pgmq_gateway;

COMMENT ON SCHEMA pgmq_gateway IS 'Internal to pgmq-gateway: never exposed over HTTP.';

CREATE SCHEMA pgmq_public;

CREATE TYPE pgmq_admin.finding AS (
	queue_name text,
	rule text,
	level text,
	message text,
	hint text
);

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

CREATE FUNCTION pgmq_admin.create_policy(queue_name text, template text, role name DEFAULT 'authenticated'::name, claim text DEFAULT NULL::text, member text DEFAULT NULL::text) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    tables record;
    given record;
    wanted record;
begin
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    perform pgmq_gateway.check_role(role);
    select * into given from pgmq_gateway.check_template(template, tables.queue_table, role, claim, member);
    for wanted in
        select
            t.oid as on_table, c.word,
            pgmq_gateway.template_policy_name(template, role, c.word, given.claim, given.member) as policy,
            pgmq_gateway.template_condition(template, tables.queue_table, n.command, given.claim, given.member)
                as condition
        from (
            select distinct p.on_table, p.command
            from pgmq_gateway.operation_policies() as p where p.operation = any (given.operations)
        ) as n
        cross join lateral (
            select case n.on_table when 'queue' then tables.queue_table else tables.archive_table end
        ) as t (oid)
        join (values ('r'::"char", 'select'), ('a', 'insert'), ('w', 'update'), ('d', 'delete')) as c (command, word)
            using (command)
        order by n.on_table desc, c.word
    loop
        if exists (select from pg_policy where polrelid = wanted.on_table and polname = wanted.policy) then
            raise exception 'policy "%" on % exists already', wanted.policy, wanted.on_table using
                errcode = 'duplicate_object',
                hint = 'Keep it, or drop it first with pgmq_admin.drop_policy().';
        end if;
        execute format(
            'create policy %I on %s for %s to %I %s (%s)', wanted.policy, wanted.on_table, wanted.word, role,
            case wanted.word when 'insert' then 'with check' else 'using' end, wanted.condition);
        return next wanted.policy;
    end loop;
    if template = 'producer' then
        execute format('grant insert (vt, message, headers), select (msg_id) on %s to %I', tables.queue_table, role);
    end if;
    perform pgmq_admin.grant_queue(queue_name, role, given.operations);
end;
$$;

COMMENT ON FUNCTION pgmq_admin.create_policy(queue_name text, template text, role name, claim text, member text) IS 'Lets a role do what a template says, by policies and the rights that they need; answers the policies'' names. claim and member: the messages whose member equals this claim; a.b stands for b inside a.';

CREATE FUNCTION pgmq_admin.create_public_functions() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION pgmq_admin.drop_policy(queue_name text, policy_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    place regclass;
begin
    for place in
        select p.polrelid
        from pgmq_gateway.queue_tables(queue_name) as t
        join pg_policy as p on p.polrelid in (t.queue_table, t.archive_table)
        where p.polname = policy_name
    loop
        execute format('drop policy %I on %s', policy_name, place);
    end loop;
    if not found then
        raise exception 'queue "%" has no policy "%"', queue_name, policy_name using
            errcode = 'undefined_object', hint = 'pgmq_admin.list_policies() lists those that it has.';
    end if;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.drop_policy(queue_name text, policy_name text) IS 'Drops a policy of a queue, on its archive too. Rights stay: without a policy they let nothing through.';

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

CREATE FUNCTION pgmq_admin.expose() RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select pgmq_admin.expose_queues();
$$;

COMMENT ON FUNCTION pgmq_admin.expose() IS 'Lets anon, authenticated and service_role call the six functions of pgmq_public; makes those that are gone.';

CREATE FUNCTION pgmq_admin.expose_queues(replace boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION pgmq_admin.exposed() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(bool_or(has_schema_privilege(r.oid, s.oid, 'usage')), false)
    from pgmq_gateway.request_roles() as r, to_regnamespace('pgmq_public') as s (oid)
    where s.oid is not null;
$$;

COMMENT ON FUNCTION pgmq_admin.exposed() IS 'Whether any role that requests run in may call functions of pgmq_public.';

CREATE FUNCTION pgmq_admin.grant_public_functions() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    tables record;
    wanted record;
    routine regprocedure;
begin
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    perform pgmq_gateway.check_operations(operations);
    perform pgmq_gateway.check_role(role);
    execute format('grant usage on schema pgmq, pgmq_public to %I', role);
    for wanted in
        select * from pgmq_gateway.operation_rights() as o where o.operation = any (operations)
    loop
        -- A producer sends without seeing messages: more rights would take that away.
        if wanted.operation <> 'send'
            or has_table_privilege(role, tables.queue_table, 'SELECT')
            or 'send' <> all (pgmq_gateway.table_operations(queue_name, role))
        then
            execute format(
                'grant %s on %s to %I', array_to_string(wanted.queue_rights, ', '), tables.queue_table, role);
        end if;
        if wanted.archive_rights <> '{}' then
            execute format(
                'grant %s on %s to %I', array_to_string(wanted.archive_rights, ', '), tables.archive_table, role);
        end if;
        for routine in
            select p.oid
            from pg_proc as p
            where p.pronamespace in ('pgmq'::regnamespace, 'pgmq_public'::regnamespace)
              and p.proname in (
                  wanted.operation, 'format_table_name', case wanted.operation when 'send' then 'send_batch' end)
        loop
            execute format('grant execute on function %s to %I', routine, role);
        end loop;
    end loop;
    if 'send' = any (operations)
        and pgmq_gateway.missing_throttle_rights(tables.queue_table, to_regrole(quote_ident(role))) <> ''
    then
        execute format('grant select, update on pgmq.notify_insert_throttle to %I', role);
    end if;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.grant_queue(queue_name text, role name, operations text[]) IS 'Gives a role the rights on a queue that the operations need: send, read, pop, archive, delete.';

CREATE FUNCTION pgmq_admin.lint(queue_name text DEFAULT NULL::text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select f.*
    from (
        select * from pgmq_gateway.lint_rights(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_tables(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_functions() where lint.queue_name is null
    ) as f
    order by f.level, f.queue_name, f.rule, f.message;
$$;

COMMENT ON FUNCTION pgmq_admin.lint(queue_name text) IS 'What is probably not meant: queues without row-level security, policies that hide all messages without an error, functions that go past policies, unlogged queues in use, notifications that fail, rights that lack a half.';

CREATE FUNCTION pgmq_admin.list_grants(queue_name text) RETURNS TABLE(role name, operations text[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select r.role, held.operations
    from pgmq_gateway.request_roles() as r
    cross join lateral (
        select coalesce(array_agg(o order by place), '{}') as operations
        from unnest(pgmq_gateway.table_operations(queue_name, r.role)) with ordinality as t (o, place)
        where (pgmq_gateway.judge_functions(r.oid, o)).obstacles = '{}'
    ) as held
    where r.role in ('anon', 'authenticated', 'service_role') or held.operations <> '{}'
    order by r.role;
$$;

COMMENT ON FUNCTION pgmq_admin.list_grants(queue_name text) IS 'What each role that requests run in may do with a queue by its grants; policies are left aside, see rights().';

CREATE FUNCTION pgmq_admin.list_policies(queue_name text) RETURNS TABLE(policy_name text, on_table text, command text, roles name[], using_expression text, check_expression text, permissive boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        p.polname::text,
        case p.polrelid when t.queue_table then 'queue' else 'archive' end,
        case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
            else 'all' end,
        (
            select array_agg(coalesce(r.rolname, 'public') order by r.rolname)
            from unnest(p.polroles) as m (oid) left join pg_roles as r on r.oid = m.oid
        ),
        pg_get_expr(p.polqual, p.polrelid),
        pg_get_expr(p.polwithcheck, p.polrelid),
        p.polpermissive
    from pgmq_gateway.queue_tables(queue_name) as t
    join pg_policy as p on p.polrelid in (t.queue_table, t.archive_table)
    order by p.polrelid = t.archive_table, p.polname;
$$;

COMMENT ON FUNCTION pgmq_admin.list_policies(queue_name text) IS 'The policies on a queue and on its archive. They count where row-level security is on.';

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

CREATE FUNCTION pgmq_admin.messages_as(queue_name text, role name, claims jsonb DEFAULT '{}'::jsonb, max_rows integer DEFAULT 10) RETURNS TABLE(msg_id bigint, read_ct integer, enqueued_at timestamp with time zone, last_read_at timestamp with time zone, vt timestamp with time zone, message jsonb, headers jsonb)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
declare
    seen jsonb;
begin
    if not exists (select from pgmq.meta as m where m.queue_name = messages_as.queue_name) then
        raise exception 'queue "%" does not exist', queue_name using
            errcode = 'undefined_table', hint = 'pgmq_admin.list_queues() lists those that do.';
    elsif max_rows is null or max_rows not between 1 and 1000 then
        raise exception 'max_rows must be from 1 to 1000' using errcode = 'invalid_parameter_value';
    end if;
    perform pgmq_gateway.check_caller(role, claims);
    begin
        perform pgmq_gateway.become(role, claims);
        -- As read takes them: the lock asks for the same rights and policies.
        execute format(
            'select coalesce(jsonb_agg(m), ''[]'') from ('
            'select * from pgmq.%I order by msg_id limit $1 for update skip locked) as m',
            pgmq.format_table_name(queue_name, 'q')
        ) into seen using max_rows;
        raise sqlstate 'GW000';
    exception when sqlstate 'GW000' then null;
    end;
    return query
    select s.*
    from jsonb_to_recordset(seen) as s (
        msg_id bigint, read_ct integer, enqueued_at timestamptz, last_read_at timestamptz, vt timestamptz,
        message jsonb, headers jsonb)
    order by s.msg_id;
end;
$_$;

COMMENT ON FUNCTION pgmq_admin.messages_as(queue_name text, role name, claims jsonb, max_rows integer) IS 'The oldest messages that read could answer to a caller with this role and these claims, in flight or not.';

CREATE FUNCTION pgmq_admin.policy_templates() RETURNS TABLE(template text, title text, description text, parameters jsonb)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    values
        (
            'own_messages', 'Own messages',
            'Send, read, pop, archive and delete the messages whose member equals a claim of the caller''s token, '
            'as its user id.',
            '[{"name": "claim", "default": "sub"}, {"name": "member", "default": "user_id"}]'::jsonb
        ),
        (
            'tenant', 'Messages of the tenant',
            'Send, read, pop, archive and delete the messages of the caller''s tenant, which a claim names.',
            '[{"name": "claim", "default": "tenant_id"}, {"name": "member", "default": "tenant_id"}]'
        ),
        ('consumer', 'Consumer', 'Read, pop, archive and delete all messages, send none.', '[]'),
        ('producer', 'Producer', 'Send messages, see none.', '[]');
$$;

COMMENT ON FUNCTION pgmq_admin.policy_templates() IS 'The templates of create_policy and the parameters that each takes.';

CREATE FUNCTION pgmq_admin.public_functions() RETURNS TABLE(signature text, function regprocedure)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION pgmq_admin.restore_public_functions() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if exists (select from pgmq_admin.public_functions() as f where f.function is null) then
        perform pgmq_admin.create_public_functions();
        perform pgmq_admin.grant_public_functions();
    end if;
end;
$$;

CREATE FUNCTION pgmq_admin.revoke_queue(queue_name text, role name, operations text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    tables record;
    remaining text[];
    kept text[];
    privilege text;
begin
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    perform pgmq_gateway.check_operations(operations);
    perform pgmq_gateway.check_role(role);
    select coalesce(array_agg(o), '{}') into remaining
    from unnest(pgmq_gateway.table_operations(queue_name, role)) as o
    where o <> all (operations);
    -- Operations share rights: take away what no remaining one needs.
    for privilege in
        select distinct unnest(o.queue_rights)
        from pgmq_gateway.operation_rights() as o
        where o.operation = any (operations)
    loop
        if not exists (
            select from pgmq_gateway.operation_rights() as o
            where o.operation = any (remaining) and privilege = any (o.queue_rights)
        ) then
            execute format('revoke %s on %s from %I', privilege, tables.queue_table, role);
        end if;
    end loop;
    if 'archive' = any (operations) then
        execute format('revoke insert, select on %s from %I', tables.archive_table, role);
    end if;
    select array_agg(o) into kept
    from unnest(pgmq_gateway.table_operations(queue_name, role)) as o
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

CREATE FUNCTION pgmq_admin.rights(queue_name text) RETURNS TABLE(role name, operation text, verdict text, reasons text[], policies text[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with judged as (
        select r.oid, r.role, o.operation, o.place, t.queue_table, j.verdict, j.reasons, j.policies
        from pgmq_gateway.queue_tables(queue_name) as t
        cross join pgmq_gateway.request_roles() as r
        cross join pgmq_gateway.operation_rights() with ordinality as o (operation, on_queue, on_archive, place)
        cross join lateral pgmq_gateway.judge(
            queue_name, t.queue_table, t.archive_table, r.oid, o.operation) as j
    )
    select j.role, j.operation, j.verdict, j.reasons, j.policies
    from judged as j
    where j.role in ('anon', 'authenticated', 'service_role')
       or has_any_column_privilege(j.oid, j.queue_table, 'SELECT, INSERT, UPDATE')
       or has_table_privilege(j.oid, j.queue_table, 'DELETE')
       or j.oid in (select s.oid from judged as s where s.verdict <> 'none')
    order by j.role, j.place;
$$;

COMMENT ON FUNCTION pgmq_admin.rights(queue_name text) IS 'What each role that requests run in may do with a queue: all, policy (policies decide on which messages) or none, with the reasons. Considers schemas, functions, tables, columns, row-level security, policies and memberships.';

CREATE FUNCTION pgmq_admin.set_rls(queue_name text, enabled boolean, archive boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    tables record;
    part regclass;
begin
    if enabled is null then
        raise exception 'enabled must not be null' using
            errcode = 'null_value_not_allowed', hint = 'Say true or false.';
    end if;
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    for part in
        select t.oid
        from unnest(array[tables.queue_table, case when archive then tables.archive_table end]) as root (oid)
        cross join lateral (
            select root.oid union select p.relid from pg_partition_tree(root.oid) as p
        ) as t (oid)
        where root.oid is not null
    loop
        execute format(
            'alter table %s %s row level security', part, case when enabled then 'enable' else 'disable' end);
    end loop;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.set_rls(queue_name text, enabled boolean, archive boolean) IS 'Row-level security of a queue and its partitions on or off; archive: of its archive too.';

CREATE FUNCTION pgmq_admin.try_as(queue_name text, role name, claims jsonb DEFAULT '{}'::jsonb, message jsonb DEFAULT '{}'::jsonb) RETURNS TABLE(operation text, allowed boolean, code text, error text, rows bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
declare
    tried record;
    done boolean;
    sample bigint;
    results jsonb := '[]';
begin
    if not exists (select from pgmq.meta as m where m.queue_name = try_as.queue_name) then
        raise exception 'queue "%" does not exist', queue_name using
            errcode = 'undefined_table', hint = 'pgmq_admin.list_queues() lists those that do.';
    end if;
    perform pgmq_gateway.check_caller(role, claims);
    begin
        -- Something to read, as old as can be so that it comes first.
        execute format(
            'insert into pgmq.%I (vt, message) values ($1, $2) returning msg_id',
            pgmq.format_table_name(queue_name, 'q')
        ) into sample using '-infinity'::timestamptz, message;
        for tried in
            select * from (values
                ('send', 'pgmq_public.send(queue_name => $1, message => $2)', 'true'),
                ('read', 'pgmq_public.read(queue_name => $1, sleep_seconds => 0, n => 1)', 'true'),
                ('pop', 'pgmq_public.pop(queue_name => $1)', 'true'),
                ('archive', 'pgmq_public.archive(queue_name => $1, message_id => $3)', 'r'),
                ('delete', 'pgmq_public.delete(queue_name => $1, message_id => $3)', 'r')
            ) as t (name, call, condition)
        loop
            operation := tried.name;
            allowed := false;
            code := null;
            error := null;
            rows := 0;
            done := false;
            begin
                perform pgmq_gateway.become(role, claims);
                execute format('select count(*) from %s as r where %s', tried.call, tried.condition)
                    into rows using queue_name, message, sample;
                done := true;
                raise sqlstate 'GW000';
            exception when others then
                if done then
                    allowed := rows > 0;
                else
                    get stacked diagnostics code = returned_sqlstate, error = message_text;
                end if;
            end;
            results := results || jsonb_build_object(
                'operation', operation, 'allowed', allowed, 'code', code, 'error', error, 'rows', rows);
        end loop;
        raise sqlstate 'GW000';
    exception when sqlstate 'GW000' then null;
    end;
    return query
    select r.* from jsonb_to_recordset(results)
        as r (operation text, allowed boolean, code text, error text, rows bigint);
end;
$_$;

COMMENT ON FUNCTION pgmq_admin.try_as(queue_name text, role name, claims jsonb, message jsonb) IS 'Tries each operation as a caller with this role and these claims, and undoes it. A message like the given one is there for the try. Not allowed without an error: policies hide the message. Uses up ids of the queue.';

CREATE FUNCTION pgmq_admin.unexpose() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    callers text;
    routine regprocedure;
begin
    if to_regnamespace('pgmq_public') is null then
        return;
    end if;
    select string_agg(quote_ident(r.role), ', ') into callers from pgmq_gateway.request_roles() as r;
    execute format('revoke usage on schema pgmq_public from public, %s', callers);
    for routine in select f.function from pgmq_admin.public_functions() as f where f.function is not null loop
        execute format('revoke execute on function %s from %s', routine, callers);
    end loop;
    if pgmq_admin.exposed() then
        raise exception 'pgmq_public can still be called' using
            errcode = 'invalid_grant_operation',
            detail = 'Roles that requests run in have USAGE of it from others, or from another grantor.',
            hint = 'Look at its access list in psql: \dn+ pgmq_public. Nothing was changed.';
    end if;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.unexpose() IS 'No request may call pgmq_public; its functions stay. Roles of your own need grant_queue() after expose().';

CREATE FUNCTION pgmq_gateway.become(role name, claims jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
    perform
        pg_catalog.set_config('lock_timeout', '1s', true),
        pg_catalog.set_config('search_path', 'pgmq_public, public, extensions', true),
        pg_catalog.set_config(
            'request.jwt.claims', (pg_catalog.jsonb_build_object('role', role) || claims)::pg_catalog.text, true),
        pg_catalog.set_config('role', role, true);
end;
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

CREATE FUNCTION pgmq_gateway.check_caller(role name, claims jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if to_regrole(quote_ident(role)) is null then
        raise exception 'role "%" does not exist', role using errcode = 'undefined_object';
    elsif not pg_has_role(
        session_user, role,
        case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end
    ) then
        raise exception 'role "%" is none that requests run in', role using
            errcode = 'insufficient_privilege',
            hint = format('If it should be one, run as the owner of the database: grant %I to authenticator;', role);
    elsif jsonb_typeof(claims) is distinct from 'object' then
        raise exception 'claims must be a JSON object' using
            errcode = 'invalid_parameter_value', hint = 'For example: {"sub": "1234"}';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_operations(operations text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    unknown text;
begin
    select o into unknown
    from unnest(operations) as o
    where o is null or o not in (select operation from pgmq_gateway.operation_rights());
    if found or coalesce(cardinality(operations), 0) = 0 then
        raise exception 'operation "%" is not known', coalesce(unknown, '') using
            errcode = 'invalid_parameter_value',
            hint = 'Choose from send, read, pop, archive and delete.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_role(role name) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if to_regrole(quote_ident(role)) is null then
        raise exception 'role "%" does not exist', role using
            errcode = 'undefined_object',
            hint = format('Create it with: create role %I nologin noinherit; grant %I to authenticator;', role, role);
    end if;
    if pg_has_role(session_user, current_user, 'usage') then
        return;
    end if;
    if not exists (select from pgmq_gateway.request_roles() as r where r.role = check_role.role) then
        raise exception 'role "%" is none that requests run in', role using
            errcode = 'insufficient_privilege',
            hint = format('If it should be one, run as the owner of the database: grant %I to authenticator;', role);
    end if;
    if exists (
        select from pg_roles as r
        where r.rolname = role and (r.rolsuper or r.rolbypassrls and r.rolname <> 'service_role')
    ) then
        raise exception 'role "%" bypasses row-level security', role using
            errcode = 'insufficient_privilege',
            hint = 'Only the owner of the database gives such a role rights, and takes them.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_template(template text, queue_table regclass, role name, INOUT claim text, INOUT member text, OUT operations text[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    id constant oid := to_regrole(quote_ident(role));
    takes jsonb;
begin
    select t.parameters into takes from pgmq_admin.policy_templates() as t where t.template = check_template.template;
    if takes is null then
        raise exception 'template "%" is not known', coalesce(template, '') using
            errcode = 'invalid_parameter_value',
            hint = 'Choose from own_messages, tenant, consumer and producer.';
    elsif takes = '[]' and (claim is not null or member is not null) then
        raise exception 'template "%" takes neither claim nor member', template using
            errcode = 'invalid_parameter_value',
            hint = 'Leave them out, or choose own_messages or tenant.';
    end if;
    claim := coalesce(claim, jsonb_path_query_first(takes, '$[*] ? (@.name == "claim").default') #>> '{}');
    member := coalesce(member, jsonb_path_query_first(takes, '$[*] ? (@.name == "member").default') #>> '{}');
    if '' in (claim, member) then
        raise exception 'claim and member must not be empty' using
            errcode = 'invalid_parameter_value', hint = 'Leave them out for the usual ones.';
    elsif claim ~ '^(user|raw_user_meta)_?(meta)?data(\.|$)' then
        raise exception 'claim "%" is not to be trusted', claim using
            errcode = 'invalid_parameter_value',
            detail = 'Users write their user_metadata themselves.',
            hint = 'Use sub, or a claim inside app_metadata.';
    elsif not pgmq_gateway.policies_count(queue_table, id) then
        raise exception 'a policy on % would not count for role "%"', queue_table, role using
            errcode = 'object_not_in_prerequisite_state',
            hint = case
                when (select relrowsecurity from pg_class where oid = queue_table)
                then 'The role is not held by row-level security: choose another.'
                else 'Turn row-level security on first: pgmq_admin.set_rls(queue_name, true).'
            end;
    elsif template = 'producer' and (
        has_column_privilege(id, queue_table, 'message', 'SELECT')
        or has_column_privilege(id, queue_table, 'headers', 'SELECT')
    ) then
        raise exception 'role "%" may see messages of %: it is no producer', role, queue_table using
            errcode = 'object_not_in_prerequisite_state',
            hint = 'Revoke its operations first, see pgmq_admin.revoke_queue(), or choose own_messages.';
    end if;
    operations := case template
        when 'consumer' then '{read,pop,archive,delete}'
        when 'producer' then '{send}'
        else '{send,read,pop,archive,delete}'
    end::text[];
end;
$_$;

CREATE FUNCTION pgmq_gateway.chosen_queues(chosen text) RETURNS TABLE(queue_name text, queue_table regclass, archive_table regclass)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if chosen is not null then
        perform pgmq_admin.check_queue_exists(chosen);
    end if;
    return query
    select m.queue_name::text, t.queue_table, t.archive_table
    from pgmq.meta as m
    cross join lateral (
        select
            to_regclass(format('pgmq.%I', pgmq.format_table_name(m.queue_name, 'q'))),
            to_regclass(format('pgmq.%I', pgmq.format_table_name(m.queue_name, 'a')))
    ) as t (queue_table, archive_table)
    where t.queue_table is not null and t.archive_table is not null
      and (chosen is null or m.queue_name = chosen);
end;
$$;

CREATE FUNCTION pgmq_gateway.conditions(on_table regclass, role oid, command "char", after boolean) RETURNS TABLE(policy name, permissive boolean, condition text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        p.polname, p.polpermissive,
        pg_get_expr(case when after then coalesce(p.polwithcheck, p.polqual) else p.polqual end, p.polrelid)
    from pg_policy as p
    where p.polrelid = on_table
      and p.polcmd in ('*', command)
      and exists (select from unnest(p.polroles) as m (oid) where m.oid = 0 or pg_has_role(role, m.oid, 'usage'));
$$;

CREATE FUNCTION pgmq_gateway.findings(chosen text) RETURNS TABLE(queue_name text, queue_table regclass, archive_table regclass, oid oid, role name, operation text, lacks text, way text[], obstacles text[])
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with callers as materialized (
        select r.oid, r.role, o.operation, (pgmq_gateway.judge_functions(r.oid, o.operation)).obstacles as way
        from pgmq_gateway.request_roles() as r
        join pg_roles as a on a.oid = r.oid and not a.rolsuper and not a.rolbypassrls
        cross join pgmq_gateway.operation_rights() as o
    )
    select
        q.queue_name, q.queue_table, q.archive_table, c.oid, c.role, c.operation, missing.lacks, c.way,
        (pgmq_gateway.judge_policies(q.queue_table, q.archive_table, c.oid, c.operation)).obstacles
    from pgmq_gateway.chosen_queues(chosen) as q
    join callers as c
        on has_any_column_privilege(c.oid, q.queue_table, 'SELECT, INSERT, UPDATE')
        or has_table_privilege(c.oid, q.queue_table, 'DELETE')
    cross join lateral (
        select string_agg(format('%s on %s', p.privilege, p.on_table), ', ') as lacks
        from pgmq_gateway.missing_privileges(q.queue_table, q.archive_table, c.oid, c.operation) as p
    ) as missing;
$$;

CREATE FUNCTION pgmq_gateway.judge(queue_name text, queue_table regclass, archive_table regclass, role oid, operation text, OUT verdict text, OUT reasons text[], OUT policies text[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    way record;
    limits record;
    missing record;
    throttle text;
begin
    select * into way from pgmq_gateway.judge_functions(role, operation);
    reasons := way.obstacles;
    for missing in
        select m.on_table, string_agg(m.privilege, ', ') as privileges
        from pgmq_gateway.missing_privileges(queue_table, archive_table, way.seen, operation) as m
        group by m.on_table order by m.on_table = archive_table
    loop
        reasons := reasons || format(
            '%s lacks %s on %s: pgmq_admin.grant_queue() gives it.',
            way.seen::regrole, missing.privileges, missing.on_table);
    end loop;
    if operation = 'send' then
        throttle := pgmq_gateway.missing_throttle_rights(queue_table, way.seen);
        if throttle <> '' then
            reasons := reasons || format(
                'The queue notifies, and %s lacks %s on pgmq.notify_insert_throttle: '
                'pgmq_admin.grant_queue() gives it.',
                way.seen::regrole, throttle);
        end if;
    end if;
    select * into limits from pgmq_gateway.judge_policies(queue_table, archive_table, way.seen, operation);
    reasons := reasons || limits.obstacles;
    policies := limits.policies;
    if reasons <> '{}' then
        verdict := 'none';
        return;
    end if;
    if way.disguise is not null then
        reasons := array[format('%s is SECURITY DEFINER: it runs as %s.', way.disguise, way.seen::regrole)];
    end if;
    if limits.limited then
        verdict := 'policy';
        reasons := reasons || 'Row-level security is on: policies decide on which messages.'::text;
    else
        verdict := 'all';
        reasons := reasons || case
            when not (select relrowsecurity from pg_class where oid = queue_table)
                then format('Row-level security is off on %s.', queue_table)
            when not pgmq_gateway.policies_count(queue_table, way.seen)
                then format('%s is not held by row-level security.', way.seen::regrole)
            else 'Row-level security is on, and policies let every message through.'
        end;
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.judge_functions(role oid, operation text, OUT obstacles text[], OUT seen oid, OUT disguise regprocedure) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    routine record;
    advice constant text := 'pgmq_admin.grant_queue() gives it.';
begin
    obstacles := '{}';
    seen := role;
    if to_regnamespace('pgmq_public') is null then
        obstacles := array['The schema pgmq_public does not exist: pgmq_admin.expose() makes it.'];
        return;
    elsif not has_schema_privilege(role, 'pgmq_public', 'usage') then
        obstacles := obstacles || format('%s lacks USAGE of schema pgmq_public: %s', role::regrole, advice);
    end if;
    for routine in
        select f.place, f.signature, f.function, p.prosecdef, p.proowner
        from pgmq_gateway.operation_functions(operation) as f
        left join pg_proc as p on p.oid = f.function
        order by f.place
    loop
        if routine.function is null then
            obstacles := obstacles || format('%s does not exist: pgmq_admin.expose() makes it.', routine.signature);
            return;
        elsif not has_function_privilege(seen, routine.function, 'execute') then
            obstacles := obstacles || format('%s lacks EXECUTE of %s: %s', seen::regrole, routine.signature, advice);
        end if;
        if routine.prosecdef then
            seen := routine.proowner;
            disguise := routine.function;
        end if;
        if routine.place = 0 and not has_schema_privilege(seen, 'pgmq', 'usage') then
            obstacles := obstacles || format('%s lacks USAGE of schema pgmq: %s', seen::regrole, advice);
        end if;
    end loop;
end;
$$;

CREATE FUNCTION pgmq_gateway.judge_policies(queue_table regclass, archive_table regclass, role oid, operation text, OUT obstacles text[], OUT limited boolean, OUT policies text[]) RETURNS record
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    with met as (
        select n.command, n.after, n.outcome, t.oid as on_table, c.policy, c.permissive, c.condition
        from pgmq_gateway.operation_policies() as n
        cross join lateral (select case n.on_table when 'queue' then queue_table else archive_table end) as t (oid)
        left join lateral pgmq_gateway.conditions(t.oid, judge_policies.role, n.command, n.after) as c on true
        where n.operation = judge_policies.operation and pgmq_gateway.policies_count(t.oid, judge_policies.role)
    ), judged as (
        select
            on_table, command, min(outcome) as outcome,
            -- A policy without a condition lets nothing through, or restricts nothing.
            coalesce(bool_or(condition <> 'false') filter (where permissive), false) as possible,
            coalesce(bool_or(condition = 'true') filter (where permissive), false) as free,
            array_agg(policy) filter (where not permissive and condition = 'false') as forbidding,
            coalesce(bool_or(condition <> 'true') filter (where not permissive), false) as restricted
        from met
        group by on_table, command, after
    ), said as (
        select
            on_table,
            format(
                case
                    when forbidding is null
                    then 'No policy on %2$s lets %1$s %3$s, so %4$s: pgmq_admin.create_policy() makes one.'
                    else 'Policy %5$s on %2$s lets nobody %3$s, so %4$s: drop it or change it.'
                end,
                pg_get_userbyid(role), on_table,
                string_agg(distinct case command
                    when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' else 'DELETE' end, ', '),
                -- Where a row cannot be reached, it does not matter what it may become.
                min(outcome), array_to_string(forbidding, ', ')) as obstacle
        from judged
        where not possible or forbidding is not null
        group by on_table, forbidding
    )
    select
        (select coalesce(array_agg(obstacle order by on_table = archive_table), '{}') from said),
        (select coalesce(bool_or(not free or restricted), false) from judged),
        (select coalesce(array_agg(distinct policy::text), '{}') from met where policy is not null);
$_$;

CREATE FUNCTION pgmq_gateway.lint_functions() RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        null::text, 'definer_function', case n.nspname when 'pgmq_public' then 'error' else 'warning' end,
        format('%s is SECURITY DEFINER: on queues it acts as %s, past the rights and policies of its callers.',
            p.oid::regprocedure, p.proowner::regrole),
        'Make it SECURITY INVOKER, or see to it that it decides itself who may do what.'
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where p.prosecdef
      and n.nspname not in ('pg_catalog', 'information_schema', 'pgmq', 'pgmq_admin', 'pgmq_gateway')
      and (n.nspname = 'pgmq_public' or coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) ~ '\mpgmq(_public)?\M')
      and exists (
          select from pgmq_gateway.request_roles() as r
          join pg_roles as a on a.oid = r.oid and not a.rolsuper and not a.rolbypassrls
          where has_schema_privilege(r.oid, n.oid, 'usage') and has_function_privilege(r.oid, p.oid, 'execute'));
$$;

CREATE FUNCTION pgmq_gateway.lint_rights(chosen text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    with found as materialized (
        select * from pgmq_gateway.findings(chosen)
    ), reach as (
        select by_role.queue_name, string_agg(by_role.said, ', ' order by by_role.said) as said
        from (
            select
                f.queue_name,
                format('%s may %s', f.role, string_agg(f.operation, ', ' order by f.operation)) as said
            from found as f
            where f.lacks is null and f.way = '{}'
            group by f.queue_name, f.role
        ) as by_role
        group by by_role.queue_name
    ), signs (operation, privilege, serves) as (
        -- The privilege that shows what somebody wanted a role to do.
        values
            ('send', 'INSERT', array['send']),
            ('read', 'UPDATE', array['read', 'pop']),
            ('delete', 'DELETE', array['delete', 'pop', 'archive'])
    ), halves as (
        select f.*, format('it has %s on %s and lacks %s', s.privilege, f.queue_table, f.lacks) as said
        from found as f
        join signs as s using (operation)
        where case s.privilege
                  when 'DELETE' then has_table_privilege(f.oid, f.queue_table, 'DELETE')
                  else has_any_column_privilege(f.oid, f.queue_table, s.privilege)
              end
          and not exists (
              select from found as g
              where g.queue_name = f.queue_name and g.oid = f.oid and g.operation = any (s.serves) and g.lacks is null)
        union all
        select f.*, format('it lacks %s', f.lacks)
        from found as f
        where f.operation = 'archive'
          and has_table_privilege(f.oid, f.queue_table, 'DELETE')
          and has_any_column_privilege(f.oid, f.archive_table, 'INSERT')
              <> has_any_column_privilege(f.oid, f.archive_table, 'SELECT')
        union all
        select f.*, 'it has the rights on the tables, but ' || array_to_string(f.way, ' ')
        from found as f
        where f.lacks is null and f.way <> '{}' and pgmq_admin.exposed()
    )
    select
        q.queue_name, 'rls_off', case when r.said is null then 'warning' else 'error' end,
        'Row-level security is off: ' || coalesce(r.said || ', all messages.', 'a right is one on all messages.'),
        format('pgmq_admin.set_rls(%L, true) turns it on; create_policy() says what is allowed then.', q.queue_name)
    from pgmq_gateway.chosen_queues(chosen) as q
    join pg_class as c on c.oid = q.queue_table and not c.relrowsecurity
    left join reach as r on r.queue_name = q.queue_name
    where pgmq_admin.exposed()
    union all
    select
        f.queue_name, 'silent_policy', 'warning',
        format('%s has the rights to %s, and policies hide all messages, without an error. %s', f.role,
            string_agg(f.operation, ', ' order by f.operation),
            (array_agg(o.obstacle order by f.operation = 'read' desc, f.operation))[1]),
        format('pgmq_admin.rights(%L) tells what each operation needs.', f.queue_name)
    from found as f
    cross join lateral unnest(f.obstacles) as o (obstacle)
    where f.lacks is null and f.way = '{}' and o.obstacle like '% answers %'
    group by f.queue_name, f.role
    union all
    select
        f.queue_name, 'notify_right', 'error',
        format('%s cannot send: the queue notifies, and the role lacks %s on pgmq.notify_insert_throttle.',
            f.role, lacking.privileges),
        format('pgmq_admin.grant_queue(%L, %L, ''{send}'') gives it.', f.queue_name, f.role)
    from found as f
    cross join lateral pgmq_gateway.missing_throttle_rights(f.queue_table, f.oid) as lacking (privileges)
    where f.operation = 'send' and f.lacks is null and lacking.privileges <> ''
    union all
    select
        h.queue_name, 'half_right', 'warning', format('%s cannot %s: %s', h.role, h.operation, h.said),
        format('pgmq_admin.grant_queue(%1$L, %2$L, ''{%3$s}'') gives what is missing, revoke_queue() takes the rest.',
            h.queue_name, h.role, h.operation)
    from halves as h;
$_$;

CREATE FUNCTION pgmq_gateway.lint_tables(chosen text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        q.queue_name, 'unlogged_in_use', 'warning',
        'The queue is unlogged and in use: a crash of the server empties it, and its ids begin at 1 again.',
        'For messages that must not be lost, create a queue of type basic and move them.'
    from pgmq_gateway.chosen_queues(chosen) as q
    join pg_class as c on c.oid = q.queue_table
    where c.relpersistence = 'u' and pg_relation_size(c.oid) > 0
    union all
    select
        q.queue_name, 'notify_row', 'warning',
        'The queue has the trigger that notifies, and nobody is notified: its row in pgmq.notify_insert_throttle is '
        'missing, as after a crash.',
        format('pgmq_admin.enable_notify(%L) puts it back.', q.queue_name)
    from pgmq_gateway.chosen_queues(chosen) as q
    join pg_trigger as t on t.tgrelid = q.queue_table and t.tgname = 'trigger_notify_queue_insert_listeners'
    where not pgmq_gateway.throttle_row_exists(q.queue_table);
$$;

CREATE FUNCTION pgmq_gateway.member_expression(value text, name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select case
        when name ~ '^\w+(\.\w+)+$' then format('%s #>> %L', value, string_to_array(name, '.')::text)
        else format('%s ->> %L', value, name)
    end;
$_$;

CREATE FUNCTION pgmq_gateway.missing_privileges(queue_table regclass, archive_table regclass, role oid, operation text) RETURNS TABLE(on_table regclass, privilege text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select t.oid, n.privilege
    from pgmq_gateway.operation_columns() as n
    cross join lateral (select case n.on_table when 'queue' then queue_table else archive_table end) as t (oid)
    where n.operation = missing_privileges.operation
      and case
          when n.privilege = 'DELETE' then not has_table_privilege(role, t.oid, 'DELETE')
          when n.columns = '{}' then not has_any_column_privilege(role, t.oid, n.privilege)
          else not has_table_privilege(role, t.oid, n.privilege) and exists (
              select from pg_attribute as a
              where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
                and (n.columns is null or a.attname = any (n.columns))
                and not has_column_privilege(role, t.oid, a.attnum, n.privilege))
      end;
$$;

CREATE FUNCTION pgmq_gateway.missing_throttle_rights(queue_table regclass, role oid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select concat_ws(
        ', ',
        case when exists (
            select from unnest(array['queue_name', 'throttle_interval_ms', 'last_notified_at']) as c
            where not has_column_privilege(role, throttle.oid, c, 'SELECT')
        ) then 'SELECT' end,
        case when not has_column_privilege(role, throttle.oid, 'last_notified_at', 'UPDATE') then 'UPDATE' end)
    from pg_trigger as t
    join pg_proc as p on p.oid = t.tgfoid
    cross join to_regclass('pgmq.notify_insert_throttle') as throttle (oid)
    where t.tgrelid = queue_table
      and t.tgname = 'trigger_notify_queue_insert_listeners'
      and t.tgenabled in ('O', 'A')
      and not p.prosecdef
      and throttle.oid is not null;
$$;

CREATE FUNCTION pgmq_gateway.operation_columns() RETURNS TABLE(operation text, on_table text, privilege text, columns name[])
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    values
        ('send', 'queue', 'INSERT', '{vt,message,headers}'::name[]),
        ('send', 'queue', 'SELECT', '{msg_id}'),
        ('read', 'queue', 'SELECT', null),
        ('read', 'queue', 'UPDATE', '{vt,read_ct,last_read_at}'),
        ('pop', 'queue', 'SELECT', '{msg_id,read_ct,enqueued_at,last_read_at,vt,message,headers}'),
        ('pop', 'queue', 'UPDATE', '{}'),
        ('pop', 'queue', 'DELETE', null),
        ('archive', 'queue', 'SELECT', '{msg_id,read_ct,enqueued_at,last_read_at,vt,message,headers}'),
        ('archive', 'queue', 'DELETE', null),
        ('archive', 'archive', 'INSERT', '{msg_id,read_ct,enqueued_at,last_read_at,vt,message,headers}'),
        ('archive', 'archive', 'SELECT', '{msg_id}'),
        ('delete', 'queue', 'SELECT', '{msg_id}'),
        ('delete', 'queue', 'DELETE', null);
$$;

CREATE FUNCTION pgmq_gateway.operation_functions(operation text) RETURNS TABLE(place bigint, signature text, function regprocedure)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with wrapper as (
        select f.signature, f.function, (select prosrc from pg_proc where oid = f.function) as source
        from pgmq_admin.public_functions() as f
        where split_part(f.signature, '(', 1) = operation
    )
    select 0::bigint, 'pgmq_public.' || w.signature, w.function from wrapper as w
    union all
    select o.place, o.signature, to_regprocedure(o.signature)
    from wrapper as w,
        unnest(array[
            'pgmq.send(text,jsonb,integer)', 'pgmq.send(text,jsonb,jsonb,timestamptz)',
            'pgmq.read(text,integer,integer,jsonb)', 'pgmq.pop(text)', 'pgmq.pop(text,integer)',
            'pgmq.archive(text,bigint)', 'pgmq.delete(text,bigint)'
        ]) with ordinality as o (signature, place)
    where o.signature like 'pgmq.' || operation || '(%'
      and w.source ~ ('\mpgmq\.' || operation || '\s*\(')
      and to_regprocedure(o.signature) is not null
    union all
    select 100, 'pgmq.format_table_name(text,text)', to_regprocedure('pgmq.format_table_name(text,text)')
    order by 1;
$$;

CREATE FUNCTION pgmq_gateway.operation_policies() RETURNS TABLE(operation text, on_table text, command "char", after boolean, outcome text)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    values
        ('send', 'queue', 'a'::"char", true, 'send fails'),
        ('send', 'queue', 'r', false, 'send fails'),
        ('read', 'queue', 'r', false, 'read answers nothing'),
        ('read', 'queue', 'w', false, 'read answers nothing'),
        ('read', 'queue', 'w', true, 'read fails'),
        ('pop', 'queue', 'r', false, 'pop answers nothing'),
        ('pop', 'queue', 'w', false, 'pop answers nothing'),
        ('pop', 'queue', 'd', false, 'pop answers nothing'),
        ('archive', 'queue', 'r', false, 'archive answers false'),
        ('archive', 'queue', 'd', false, 'archive answers false'),
        ('archive', 'archive', 'a', true, 'archive fails'),
        ('archive', 'archive', 'r', false, 'archive fails'),
        ('delete', 'queue', 'r', false, 'delete answers false'),
        ('delete', 'queue', 'd', false, 'delete answers false');
$$;

CREATE FUNCTION pgmq_gateway.operation_rights() RETURNS TABLE(operation text, queue_rights text[], archive_rights text[])
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    values
        ('send', array['INSERT', 'SELECT'], '{}'::text[]),
        ('read', array['SELECT', 'UPDATE'], '{}'),
        ('pop', array['SELECT', 'UPDATE', 'DELETE'], '{}'),
        ('archive', array['SELECT', 'DELETE'], array['INSERT', 'SELECT']),
        ('delete', array['SELECT', 'DELETE'], '{}');
$$;

CREATE FUNCTION pgmq_gateway.policies_count(on_table regclass, role oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select c.relrowsecurity
        and not (r.rolsuper or r.rolbypassrls)
        and (c.relforcerowsecurity or not pg_has_role(r.oid, c.relowner, 'usage'))
    from pg_class as c, pg_roles as r
    where c.oid = on_table and r.oid = role;
$$;

CREATE FUNCTION pgmq_gateway.queue_tables(queue_name text, OUT queue_table regclass, OUT archive_table regclass) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_admin.check_queue_exists(queue_name);
    queue_table := to_regclass(format('pgmq.%I', pgmq.format_table_name(queue_name, 'q')));
    archive_table := to_regclass(format('pgmq.%I', pgmq.format_table_name(queue_name, 'a')));
    if queue_table is null or archive_table is null then
        raise exception 'queue "%" has lost a table', queue_name using
            errcode = 'undefined_table',
            hint = 'pgmq_admin.drop_queue() removes what is left of it.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.request_roles() RETURNS TABLE(oid oid, role name)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select r.oid, r.rolname
    from pg_roles as r
    where r.rolname <> 'authenticator'
      and pg_has_role(
          'authenticator', r.oid,
          case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end);
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

CREATE FUNCTION pgmq_gateway.table_operations(queue_name text, role name) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(array_agg(o.operation order by o.place), '{}')
    from pgmq_gateway.queue_tables(queue_name) as t
    cross join pgmq_gateway.operation_rights() with ordinality as o (operation, queue_rights, archive_rights, place)
    where not exists (
        select from pgmq_gateway.missing_privileges(
            t.queue_table, t.archive_table, to_regrole(quote_ident(role)), o.operation)
    );
$$;

CREATE FUNCTION pgmq_gateway.template_condition(template text, queue_table regclass, command "char", claim text, member text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select case
        when template in ('own_messages', 'tenant') then format(
            -- As a scalar subquery the claim is looked up once, not for each row.
            '%s = (select %s)',
            pgmq_gateway.member_expression('message', member),
            pgmq_gateway.member_expression('nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb', claim))
        -- pgmq's INSERT returns the id, so a sender needs a SELECT policy that lets its own new row through, and
        -- policies cannot know whose row that is. So rows are shown, as long as the role sees no more of them than ids.
        when template = 'producer' and command = 'r' then format(
            '(select not (has_column_privilege(%1$L::regclass, ''message'', ''select'')'
            ' or has_column_privilege(%1$L::regclass, ''headers'', ''select'')))',
            queue_table)
        else 'true'
    end;
$_$;

CREATE FUNCTION pgmq_gateway.template_policy_name(template text, role name, command text, claim text, member text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case
        when octet_length(long.name) < 64 then long.name
        else format('%s %s %s', template, command, md5(long.name))
    end
    from (
        select format('%s of %s: %s', template, role, command)
            || case when claim is null then '' else format(' where %s = %s', member, claim) end
    ) as long (name);
$$;

CREATE FUNCTION pgmq_gateway.throttle_row_exists(queue_table regclass) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    present boolean := true;
begin
    if to_regclass('pgmq.notify_insert_throttle') is not null then
        execute 'select exists (select from pgmq.notify_insert_throttle where queue_name = $1)' into present
            using (select substr(relname, 3) from pg_class where oid = queue_table);
    end if;
    return present;
end;
$_$;

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

REVOKE ALL ON FUNCTION pgmq_admin.check_queue_exists(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.create_policy(queue_name text, template text, role name, claim text, member text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.create_policy(queue_name text, template text, role name, claim text, member text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.create_public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.create_queue(queue_name text, queue_type text, rls boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.drop_policy(queue_name text, policy_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.drop_policy(queue_name text, policy_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.drop_queue(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.expose() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.expose() TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.expose_queues(replace boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.exposed() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.exposed() TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.grant_public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.grant_queue(queue_name text, role name, operations text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.grant_queue(queue_name text, role name, operations text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.lint(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.lint(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.list_grants(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.list_grants(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.list_policies(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.list_policies(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.list_queues() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.messages_as(queue_name text, role name, claims jsonb, max_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.messages_as(queue_name text, role name, claims jsonb, max_rows integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.policy_templates() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.policy_templates() TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.purge_queue(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.queue_status(queue_name text, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT archived bigint, OUT oldest_seconds bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.restore_public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_admin.revoke_queue(queue_name text, role name, operations text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.revoke_queue(queue_name text, role name, operations text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.rights(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.rights(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.set_rls(queue_name text, enabled boolean, archive boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.set_rls(queue_name text, enabled boolean, archive boolean) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.try_as(queue_name text, role name, claims jsonb, message jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.try_as(queue_name text, role name, claims jsonb, message jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.unexpose() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.unexpose() TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.become(role name, claims jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.become(role name, claims jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.call(role text, claims text, request text[], schemas text, settings text[], read_only boolean, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.call(role text, claims text, request text[], schemas text, settings text[], read_only boolean, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.calls(role text, claims text, settings text[], prepare text, requests text[], schemas text[], statements text[], arguments text[], singular boolean[], most bigint[], first bigint[], careful boolean, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT failure text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.calls(role text, claims text, settings text[], prepare text, requests text[], schemas text[], statements text[], arguments text[], singular boolean[], most bigint[], first bigint[], careful boolean, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT failure text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.check_caller(role name, claims jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.check_caller(role name, claims jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.check_operations(operations text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.check_role(role name) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.check_template(template text, queue_table regclass, role name, INOUT claim text, INOUT member text, OUT operations text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.chosen_queues(chosen text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.conditions(on_table regclass, role oid, command "char", after boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.findings(chosen text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.judge(queue_name text, queue_table regclass, archive_table regclass, role oid, operation text, OUT verdict text, OUT reasons text[], OUT policies text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.judge_functions(role oid, operation text, OUT obstacles text[], OUT seen oid, OUT disguise regprocedure) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.judge_policies(queue_table regclass, archive_table regclass, role oid, operation text, OUT obstacles text[], OUT limited boolean, OUT policies text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_rights(chosen text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_tables(chosen text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.member_expression(value text, name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_privileges(queue_table regclass, archive_table regclass, role oid, operation text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_throttle_rights(queue_table regclass, role oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.operation_columns() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.operation_functions(operation text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.operation_policies() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.operation_rights() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.policies_count(on_table regclass, role oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.queue_tables(queue_name text, OUT queue_table regclass, OUT archive_table regclass) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.request_roles() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.run(role text, claims text, request text[], schemas text, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.run(role text, claims text, request text[], schemas text, prepare text, statement text, arguments text, parameters text[], singular boolean, most bigint, first bigint, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.table_operations(queue_name text, role name) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.template_condition(template text, queue_table regclass, command "char", claim text, member text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.template_policy_name(template text, role name, command text, claim text, member text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.throttle_row_exists(queue_table regclass) FROM PUBLIC;

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
