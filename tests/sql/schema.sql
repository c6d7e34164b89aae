CREATE SCHEMA pgmq_admin;

COMMENT ON SCHEMA pgmq_admin IS 'Management of queues, messages and privileges, for service_role.';

CREATE SCHEMA pgmq_api;

COMMENT ON SCHEMA pgmq_api IS 'Queues with leases, dead letters and settings: a superset of pgmq_public.';

CREATE SCHEMA pgmq_gateway;

COMMENT ON SCHEMA pgmq_gateway IS 'Internal to pgmq-gateway: never exposed over HTTP.';

CREATE SCHEMA pgmq_public;

CREATE SCHEMA pgmq_settings;

COMMENT ON SCHEMA pgmq_settings IS 'Internal to pgmq_api: never exposed over HTTP.';

CREATE TYPE pgmq_admin.action AS (
	id bigint,
	at timestamp with time zone,
	actor_role text,
	key_name text,
	queue_name text,
	operation text,
	count bigint
);

CREATE TYPE pgmq_admin.finding AS (
	queue_name text,
	rule text,
	level text,
	message text,
	hint text
);

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

CREATE TYPE pgmq_api.message AS (
	msg_id bigint,
	read_ct integer,
	enqueued_at timestamp with time zone,
	last_read_at timestamp with time zone,
	vt timestamp with time zone,
	message jsonb,
	headers jsonb,
	receipt text,
	queue_name text
);

CREATE TYPE pgmq_gateway.queue_access AS (
	queue_name text,
	queue_table regclass,
	archive_table regclass,
	oid oid,
	role name,
	operation text,
	lacks text,
	path_blockers text[],
	silent_blockers text[]
);

CREATE TYPE pgmq_settings.delivery AS (
	msg_id bigint,
	read_ct integer,
	enqueued_at timestamp with time zone
);

CREATE TYPE pgmq_settings.settlement AS (
	operation text,
	receipts text[],
	seconds integer[],
	reasons text[]
);

CREATE FUNCTION pgmq_admin.apply(queue_name text, action text, filter jsonb, expected bigint, seconds integer DEFAULT NULL::integer, to_queue text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    archived constant boolean := pgmq_settings.is_about_archive(filter);
    done record;
begin
    if action is null or action not in ('postpone', 'make_visible', 'archive', 'delete', 'move', 'requeue') then
        raise exception 'action "%" is unknown', action using
            errcode = 'invalid_parameter_value',
            hint = 'Use postpone, make_visible, archive, delete, move or requeue.';
    elsif action in ('postpone', 'make_visible', 'archive') and archived then
        raise exception 'action "%" is not possible in the archive', action using
            errcode = 'invalid_parameter_value', hint = 'Archived messages can be deleted, moved and requeued.';
    elsif action = 'requeue' and not archived then
        raise exception 'only archived messages can be requeued' using
            errcode = 'invalid_parameter_value', hint = 'Add "state": "archived" to the filter.';
    elsif (action = 'postpone') <> (seconds is not null) then
        raise exception 'postpone needs seconds, and other actions do not take any' using
            errcode = 'invalid_parameter_value', hint = 'Use both or neither.';
    elsif (action = 'move') <> (to_queue is not null) then
        raise exception 'move needs to_queue, and other actions do not take any' using
            errcode = 'invalid_parameter_value', hint = 'Use both or neither.';
    elsif action = 'move' then
        perform pgmq_gateway.check_move(queue_name, to_queue);
    end if;
    select * into done
    from pgmq_gateway.change_messages(
        queue_name, action, filter, expected, pgmq_gateway.visible_from(seconds, null),
        case action when 'requeue' then queue_name else to_queue end);
    if done.matched <> expected then
        -- HTTP status 409.
        raise exception '% messages match, not %: nothing has been changed', done.matched, expected using
            errcode = 'PT409',
            detail = 'The queue has changed since they were counted.',
            hint = 'Count them again with pgmq_admin.count_messages().';
    end if;
    return cardinality(done.msg_ids);
end;
$$;

COMMENT ON FUNCTION pgmq_admin.apply(queue_name text, action text, filter jsonb, expected bigint, seconds integer, to_queue text) IS 'Applies one action to all messages that a filter matches, in one transaction, and returns their number. expected: fail if another number matches, unless null.';

CREATE FUNCTION pgmq_admin.archive(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(queue_name, 'archive', pgmq_gateway.with_ids(archive.msg_ids)) as c;
$$;

COMMENT ON FUNCTION pgmq_admin.archive(queue_name text, msg_ids bigint[]) IS 'Moves messages to the archive of their queue and returns the ids of those that existed.';

CREATE FUNCTION pgmq_admin.change_policy(queue_name text, policy_names text[], template text, role name DEFAULT 'authenticated'::name, claim text DEFAULT NULL::text, member text DEFAULT NULL::text, operations text[] DEFAULT NULL::text[]) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    policy_name text;
begin
    perform pgmq_gateway.lock_privileges();
    for policy_name in select distinct n from unnest(policy_names) as n loop
        perform pgmq_gateway.drop_policy_of(queue_name, policy_name);
    end loop;
    return query select pgmq_admin.create_policy(queue_name, template, role, claim, member, operations);
    perform pgmq_settings.record_action(queue_name, 'change_policy');
end;
$$;

COMMENT ON FUNCTION pgmq_admin.change_policy(queue_name text, policy_names text[], template text, role name, claim text, member text, operations text[]) IS 'Replaces policies by those of a template, as create_policy() makes them, in one transaction, and returns the names of the new ones. Privileges that are not needed any more stay: revoke_queue() revokes them.';

CREATE FUNCTION pgmq_admin.count_messages(queue_name text, filter jsonb DEFAULT '{}'::jsonb, max_count bigint DEFAULT NULL::bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    condition constant text := pgmq_settings.filter_condition(filter);
    number bigint;
begin
    if max_count < 1 then
        raise exception 'max_count is %, but must be at least 1', max_count using
            errcode = 'invalid_parameter_value', hint = 'Leave it out to count all messages.';
    end if;
    -- A limit prevents a parallel count.
    execute format(
        case when max_count is null then 'select count(*) from pgmq.%I as q where %s'
            else 'select count(*) from (select from pgmq.%I as q where %s limit $3) as m' end,
        pgmq_gateway.source_table(queue_name, filter), condition
    ) into number using filter, clock_timestamp(), max_count;
    return number;
end;
$_$;

COMMENT ON FUNCTION pgmq_admin.count_messages(queue_name text, filter jsonb, max_count bigint) IS 'How many messages of a queue or its archive a filter matches, exactly, without any effect on them. max_count: stops counting at this number.';

CREATE FUNCTION pgmq_admin.create_policy(queue_name text, template text, role name DEFAULT 'authenticated'::name, claim text DEFAULT NULL::text, member text DEFAULT NULL::text, operations text[] DEFAULT NULL::text[]) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    tables record;
    given record;
    wanted record;
    kept text;
    created boolean := false;
begin
    perform pgmq_gateway.lock_privileges();
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    perform pgmq_gateway.check_role(role);
    select * into given from pgmq_gateway.check_template(
        template, tables.queue_table, role, claim, member, operations);
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
        cross join lateral (select pgmq_gateway.command_word(n.command)) as c (word)
        order by n.on_table desc, c.word
    loop
        -- Operations share policies: those of earlier operations are kept.
        if exists (select from pg_policy where polrelid = wanted.on_table and polname = wanted.policy) then
            kept := coalesce(kept, format('policy "%s" on %s', wanted.policy, wanted.on_table));
            continue;
        end if;
        execute format(
            'create policy %I on %s for %s to %I %s (%s)', wanted.policy, wanted.on_table, wanted.word, role,
            case wanted.word when 'insert' then 'with check' else 'using' end, wanted.condition);
        created := true;
        return next wanted.policy;
    end loop;
    if not created then
        raise exception '% already exists', kept using
            errcode = 'duplicate_object',
            hint = 'Keep it, or drop it first with pgmq_admin.drop_policy().';
    end if;
    if template = 'producer' then
        execute format('grant insert, select (msg_id) on %s to %I', tables.queue_table, role);
    end if;
    perform pgmq_admin.grant_queue(queue_name, role, given.operations);
    perform pgmq_settings.record_action(queue_name, 'create_policy');
end;
$$;

COMMENT ON FUNCTION pgmq_admin.create_policy(queue_name text, template text, role name, claim text, member text, operations text[]) IS 'Creates the policies of a template for a role, grants the privileges that they need, and returns the policies'' names. claim and member: the messages whose member equals this claim; a.b is b inside a. operations: those of the template to allow; default: all of them.';

CREATE FUNCTION pgmq_admin.create_queue(queue_name text, queue_type text DEFAULT 'basic'::text, rls boolean DEFAULT true, partition_interval text DEFAULT '10000'::text, retention_interval text DEFAULT '100000'::text, adopt boolean DEFAULT false) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    wanted constant boolean := rls is distinct from false;
    present text;
begin
    if queue_type is null or queue_type not in ('basic', 'unlogged', 'partitioned') then
        raise exception 'queue type "%" is unknown', queue_type using
            errcode = 'invalid_parameter_value',
            hint = 'Use basic, unlogged or partitioned.';
    end if;
    -- Of two calls at once, the second one finds the queue of the first. The same lock as of drop_queue: an adoption that
    -- committed meanwhile would list a queue whose tables are being dropped.
    perform pgmq_gateway.lock_privileges();
    select case when m.is_partitioned then 'partitioned' when m.is_unlogged then 'unlogged' else 'basic' end
    into present from pgmq.meta as m
    where m.queue_name = create_queue.queue_name;
    if present = queue_type then
        return false;
    elsif present is not null then
        raise exception 'queue "%" already exists with type %, not %', queue_name, present, queue_type using
            errcode = 'duplicate_table', hint = 'Use another name, or drop that queue with its messages first.';
    end if;
    perform pgmq_gateway.check_foreign_code(
        array[
            'pgmq.meta'::regclass, 'pgmq_settings.queues'::regclass, 'pgmq_settings.burials'::regclass,
            'pgmq_settings.wake_throttles'::regclass, pgmq_gateway.partman_config()]);
    perform pgmq_gateway.remove_orphaned_settings();
    if adopt and exists (select from pgmq_gateway.orphans(array[queue_name])) then
        perform pgmq_gateway.adopt_queue(queue_name, queue_type);
    else
        perform pgmq_gateway.check_new_name(queue_name, queue_type);
        if queue_type = 'partitioned' then
            perform pgmq_gateway.create_partitioned(queue_name, partition_interval, retention_interval, wanted);
        else
            perform pgmq_gateway.create_tables(queue_name, queue_type);
        end if;
    end if;
    perform pgmq_gateway.create_service_policies(queue_name);
    perform pgmq_gateway.grant_definer_access(queue_name);
    if wanted then
        execute format('alter table pgmq.%I enable row level security', 'q_' || queue_name);
    end if;
    perform pgmq_settings.record_action(queue_name, 'create_queue');
    return true;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.create_queue(queue_name text, queue_type text, rls boolean, partition_interval text, retention_interval text, adopt boolean) IS 'Creates a queue with row-level security; false if it already exists. queue_type: basic, unlogged (faster, empty after a crash) or partitioned (needs pg_partman; the intervals are numbers of messages, or times such as "1 day"). adopt: makes a queue of tables with its name that pgmq.meta does not list, as after a partial restore.';

CREATE FUNCTION pgmq_admin.database_status(OUT postgres_version text, OUT pgmq_version text, OUT partman_version text, OUT started_at timestamp with time zone, OUT is_standby boolean, OUT connections bigint, OUT max_connections integer, OUT oldest_transaction_seconds double precision, OUT database_bytes bigint, OUT live_tuples bigint, OUT dead_tuples bigint, OUT cache_hit_ratio double precision, OUT transactions_committed bigint, OUT transactions_rolled_back bigint, OUT deadlocks bigint) RETURNS record
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        current_setting('server_version'),
        coalesce(
            (select extversion from pg_catalog.pg_extension where extname = 'pgmq'),
            -- The installer's comment, where it ran pgmq's own SQL.
            substring(obj_description('pgmq'::regnamespace, 'pg_namespace') from '^pgmq ([0-9.]+)')
        ),
        (select extversion from pg_catalog.pg_extension where extname = 'pg_partman'),
        pg_postmaster_start_time(),
        pg_is_in_recovery(),
        (select sum(numbackends) from pg_catalog.pg_stat_database),
        current_setting('max_connections')::integer,
        -- Vacuum keeps all rows deleted since. Prepared transactions count: they are easily forgotten.
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

COMMENT ON FUNCTION pgmq_admin.database_status(OUT postgres_version text, OUT pgmq_version text, OUT partman_version text, OUT started_at timestamp with time zone, OUT is_standby boolean, OUT connections bigint, OUT max_connections integer, OUT oldest_transaction_seconds double precision, OUT database_bytes bigint, OUT live_tuples bigint, OUT dead_tuples bigint, OUT cache_hit_ratio double precision, OUT transactions_committed bigint, OUT transactions_rolled_back bigint, OUT deadlocks bigint) IS 'Versions, connections, the age of the oldest transaction, size, live and dead rows of all queues, and the share of reads served from memory.';

CREATE FUNCTION pgmq_admin.dead_letters(queue_name text) RETURNS TABLE(origin text, dead_letter_queue text, messages bigint, exact boolean)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    own_table constant text := pgmq_gateway.message_table(queue_name, 'q');
    own_letters constant text := (
        select s.dead_letter_queue from pgmq_settings.settings as s where s.queue_table = own_table);
    holder text;
begin
    foreach holder in array array[own_letters, queue_name] loop
        continue when holder is null;
        -- The rows of a long queue would take seconds.
        return query execute format(
            $query$
            with letters as materialized (
                select %s as queue_table from (select q.headers from pgmq.%I as q order by q.msg_id limit 10000) as q
            ), counted as (
                select l.queue_table, count(*) as messages from letters as l
                -- Senders can write any name: a longer one is that of no table.
                where length(l.queue_table) <= 63 group by l.queue_table
            ), origins as (
                select c.queue_table from counted as c
                union
                select s.queue_table from pgmq_settings.settings as s where s.dead_letter_queue = $1
            )
            select
                coalesce(m.queue_name::text, substr(o.queue_table, 3)), $1, coalesce(c.messages, 0),
                (select count(*) < 10000 from letters)
            from origins as o
            left join counted as c on c.queue_table = o.queue_table
            left join pgmq.meta as m on lower('q_' || m.queue_name) = o.queue_table
            where $2 is null or o.queue_table = $2
            order by m.queue_name is null, 3 desc, 1
            limit 100
            $query$,
            pgmq_settings.origin_expression(), pgmq_gateway.message_table(holder, 'q'))
        using holder, case when holder <> queue_name then own_table end;
    end loop;
end;
$_$;

COMMENT ON FUNCTION pgmq_admin.dead_letters(queue_name text) IS 'The queues whose dead letters are in this one or that bury them here, and the dead-letter queue of this one, each with the number of letters among the 10,000 oldest messages; exact if there are no others.';

CREATE FUNCTION pgmq_admin.delete(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(queue_name, 'delete', pgmq_gateway.with_ids(delete.msg_ids)) as c;
$$;

COMMENT ON FUNCTION pgmq_admin.delete(queue_name text, msg_ids bigint[]) IS 'Deletes messages of a queue permanently and returns the ids of those that existed.';

CREATE FUNCTION pgmq_admin.delete_archived(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(
        queue_name, 'delete', pgmq_gateway.with_ids(delete_archived.msg_ids, 'archived')) as c;
$$;

COMMENT ON FUNCTION pgmq_admin.delete_archived(queue_name text, msg_ids bigint[]) IS 'Deletes messages of the archive permanently and returns the ids of those that existed.';

CREATE FUNCTION pgmq_admin.disable_notify(queue_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    if to_regprocedure('pgmq.disable_notify_insert(text)') is not null then
        perform pgmq_gateway.check_foreign_code(array[to_regclass('pgmq.notify_insert_throttle')]);
        perform pgmq.disable_notify_insert(queue_name);
    end if;
    perform pgmq_settings.record_action(queue_name, 'disable_notify');
end;
$$;

COMMENT ON FUNCTION pgmq_admin.disable_notify(queue_name text) IS 'Turns off notifications of new messages; no error if they are off.';

CREATE FUNCTION pgmq_admin.drop_policy(queue_name text, policy_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
begin
    perform pgmq_gateway.drop_policy_of(queue_name, policy_name);
    perform pgmq_settings.record_action(queue_name, 'drop_policy');
end;
$$;

COMMENT ON FUNCTION pgmq_admin.drop_policy(queue_name text, policy_name text) IS 'Drops a policy of a queue, on its archive too. Privileges stay, but without a policy they allow nothing.';

CREATE FUNCTION pgmq_admin.drop_queue(queue_name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    orphaned boolean;
begin
    perform pgmq_gateway.lock_privileges();
    orphaned := exists (select from pgmq_gateway.orphans(array[queue_name]));
    if not orphaned then
        perform pgmq_gateway.check_queue_exists(queue_name);
    end if;
    perform pgmq_gateway.check_foreign_code(
        array[
            'pgmq.meta'::regclass, 'pgmq_gateway.samples'::regclass, 'pgmq_settings.deduplication_ids'::regclass,
            'pgmq_settings.queues'::regclass, 'pgmq_settings.burials'::regclass, 'pgmq_settings.wake_throttles'::regclass,
            pgmq_gateway.partman_config()]);
    perform pgmq_gateway.drop_templates(queue_name);
    if not orphaned then
        perform pgmq.drop_queue(queue_name := drop_queue.queue_name);
    end if;
    perform pgmq_gateway.drop_remains(queue_name);
    delete from pgmq_gateway.samples as s where s.queue_name = drop_queue.queue_name;
    delete from pgmq_settings.deduplication_ids as d where d.queue_table = lower('q_' || drop_queue.queue_name);
    perform pgmq_gateway.remove_orphaned_settings();
    perform pgmq_settings.record_action(queue_name, 'drop_queue');
end;
$$;

COMMENT ON FUNCTION pgmq_admin.drop_queue(queue_name text) IS 'Drops a queue with its messages, its archive and its history, and what is left of one after a partial restore.';

CREATE FUNCTION pgmq_admin.enable_notify(queue_name text, throttle_interval_ms integer DEFAULT 250) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    queue_table constant regclass := to_regclass(format('pgmq.%I', lower('q_' || queue_name)));
    partitioned constant boolean := exists (
        select from pg_catalog.pg_class where oid = queue_table and relkind = 'p'
    );
    sender oid;
begin
    perform pgmq_gateway.lock_privileges();
    perform pgmq_gateway.check_queue_exists(queue_name);
    if to_regprocedure('pgmq.enable_notify_insert(text,integer)') is null then
        raise exception 'this version of pgmq cannot throttle notifications' using
            errcode = 'feature_not_supported', hint = 'Update pgmq to 1.8 or newer.';
    elsif partitioned or queue_name <> lower(queue_name) then
        -- pgmq's trigger looks up its queue by the name of the table that it fires on.
        raise exception 'queue "%" cannot have notifications', queue_name using
            errcode = 'feature_not_supported',
            detail = case when partitioned then 'pgmq does not support them for partitioned queues.'
                else 'pgmq does not support them for names with upper-case letters.' end,
            hint = 'Poll it, or create a basic queue with a lower-case name.';
    elsif throttle_interval_ms is null or throttle_interval_ms < 0 then
        raise exception 'throttle_interval_ms is %, but must be 0 or more', coalesce(throttle_interval_ms::text, 'null')
            using errcode = 'invalid_parameter_value', hint = 'Leave it out for 250, pgmq''s default.';
    end if;
    perform pgmq_gateway.check_foreign_code(array[to_regclass('pgmq.notify_insert_throttle')]);
    perform pgmq.enable_notify_insert(queue_name, throttle_interval_ms);
    -- From now on each send also records the time of the last notification.
    for sender in
        select distinct a.grantee
        from pg_catalog.pg_class as c, aclexplode(c.relacl) as a
        where c.oid = queue_table and a.privilege_type = 'INSERT'
    loop
        execute format(
            'grant select, update on pgmq.notify_insert_throttle to %s',
            case sender when 0 then 'public' else sender::regrole::text end);
    end loop;
    perform pgmq_settings.record_action(queue_name, 'enable_notify');
end;
$$;

COMMENT ON FUNCTION pgmq_admin.enable_notify(queue_name text, throttle_interval_ms integer) IS 'Turns on notifications of new messages, on the channel pgmq.q_<queue>.INSERT, at most one in throttle_interval_ms. Some can be lost: keep polling slowly. Sending becomes slower.';

CREATE FUNCTION pgmq_admin.executable_functions() RETURNS TABLE(function_name text, changes boolean)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select p.proname::text, p.provolatile = 'v'
    from pg_proc as p
    where p.pronamespace = 'pgmq_admin'::regnamespace and has_function_privilege(p.oid, 'EXECUTE')
    order by p.proname;
$$;

COMMENT ON FUNCTION pgmq_admin.executable_functions() IS 'The functions of pgmq_admin that the caller may execute; changes: whether the function can change something.';

CREATE FUNCTION pgmq_admin.expose() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
begin
    if to_regnamespace('pgmq_public') is null then
        raise exception 'schema "pgmq_public" does not exist' using
            errcode = 'invalid_schema_name', hint = 'Create it with pgmq-gateway install --replace.';
    end if;
    perform pgmq_gateway.lock_privileges();
    perform pgmq_gateway.grant_public_functions();
    grant usage on schema pgmq_api to anon, authenticated, service_role;
    perform pgmq_settings.record_action(null, 'expose');
end;
$$;

COMMENT ON FUNCTION pgmq_admin.expose() IS 'Allows anon, authenticated and service_role to call the six functions of pgmq_public, and those of pgmq_api.';

CREATE FUNCTION pgmq_admin.exposed() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(bool_or(has_schema_privilege(r.oid, s.oid, 'usage')), false)
    from pgmq_gateway.request_roles() as r, pg_namespace as s
    where s.nspname in ('pgmq_public', 'pgmq_api');
$$;

COMMENT ON FUNCTION pgmq_admin.exposed() IS 'Whether any role that requests run as can call functions of pgmq_public or pgmq_api.';

CREATE FUNCTION pgmq_admin.get_message(queue_name text, msg_id bigint, archived boolean DEFAULT false) RETURNS SETOF pgmq_admin.message
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select *
    from pgmq_admin.list_messages(
        get_message.queue_name,
        jsonb_build_object('msg_ids', jsonb_build_array(get_message.msg_id))
            || case when archived then '{"state": "archived"}'::jsonb else '{}' end);
$$;

COMMENT ON FUNCTION pgmq_admin.get_message(queue_name text, msg_id bigint, archived boolean) IS 'One message of a queue, or of its archive, without any effect on it; no row if there is none with this id.';

CREATE FUNCTION pgmq_admin.grant_queue(queue_name text, role name, operations text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    tables record;
    wanted record;
    routine regprocedure;
    privileges text;
begin
    perform pgmq_gateway.lock_privileges();
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    perform pgmq_gateway.check_operations(operations);
    perform pgmq_gateway.check_role(role);
    execute format('grant usage on schema pgmq, pgmq_public, pgmq_api, pgmq_settings to %I', role);
    for privileges in select m.privileges from pgmq_gateway.missing_helpers(to_regrole(quote_ident(role))::oid) as m loop
        execute format('grant %s to %I', privileges, role);
    end loop;
    for wanted in
        select * from pgmq_gateway.operation_privileges() as o where o.operation = any (operations)
    loop
        -- A producer sends without reading: more privileges would allow it to read.
        if wanted.operation <> 'send'
            or has_table_privilege(role, tables.queue_table, 'SELECT')
            or 'send' <> all (pgmq_gateway.table_operations(queue_name, role))
        then
            execute format(
                'grant %s on %s to %I', array_to_string(wanted.queue_privileges, ', '), tables.queue_table, role);
        end if;
        if wanted.archive_privileges <> '{}' then
            execute format(
                'grant %s on %s to %I', array_to_string(wanted.archive_privileges, ', '), tables.archive_table, role);
        end if;
        for routine in
            select p.oid
            from pg_proc as p
            where p.pronamespace in ('pgmq'::regnamespace, 'pgmq_public'::regnamespace)
              and p.proname in (
                  wanted.operation, 'format_table_name', case wanted.operation when 'send' then 'send_batch' end)
            union all
            select p.oid
            from pg_proc as p
            where p.pronamespace = 'pgmq_api'::regnamespace
              and p.proname = any (pgmq_gateway.api_functions(wanted.operation))
        loop
            execute format('grant execute on function %s to %I', routine, role);
        end loop;
    end loop;
    if 'send' = any (operations)
        and pgmq_gateway.missing_throttle_privileges(tables.queue_table, to_regrole(quote_ident(role))::oid) <> ''
    then
        execute format('grant select, update on pgmq.notify_insert_throttle to %I', role);
    end if;
    perform pgmq_settings.record_action(queue_name, 'grant_queue');
end;
$$;

COMMENT ON FUNCTION pgmq_admin.grant_queue(queue_name text, role name, operations text[]) IS 'Grants a role the privileges on a queue that the operations need: send, read, pop, archive, delete.';

CREATE FUNCTION pgmq_admin.history(INOUT queue_name text DEFAULT NULL::text, since timestamp with time zone DEFAULT (now() - '00:15:00'::interval), buckets integer DEFAULT 120, OUT at timestamp with time zone, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT archived bigint, OUT sent_rate double precision, OUT read_rate double precision, OUT archived_rate double precision, OUT deleted_rate double precision, OUT oldest_seconds double precision) RETURNS SETOF record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
    max_queues constant integer := 100;
    only_queue constant text := queue_name;
    step interval;
begin
    perform pgmq_gateway.check_history(queue_name, since, buckets);
    step := (clock_timestamp() - since) / buckets;
    return query
    select
        q.queue_name::text, point.at, last.messages, last.visible, last.delayed, last.in_flight, last.parked,
        last.archived, rows.sent / passed.seconds, rows.updated / passed.seconds, rows.archived / passed.seconds,
        greatest(rows.deleted - rows.archived, 0) / passed.seconds, last.oldest_seconds
    from (
        select m.queue_name from pgmq.meta as m
        where only_queue is null or m.queue_name = only_queue
        order by m.queue_name
        limit max_queues
    ) as q
    cross join (select since + n * step as at from generate_series(1, buckets) as n) as point
    left join lateral pgmq_gateway.last_sample(q.queue_name::text, point.at) as last on true
    left join lateral pgmq_gateway.first_sample(q.queue_name::text, point.at - step, last.at) as before on true
    -- A counter that has shrunk was reset to zero.
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
    order by q.queue_name, point.at;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.history(INOUT queue_name text, since timestamp with time zone, buckets integer, OUT at timestamp with time zone, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT archived bigint, OUT sent_rate double precision, OUT read_rate double precision, OUT archived_rate double precision, OUT deleted_rate double precision, OUT oldest_seconds double precision) IS 'The history of one queue, or of the first hundred by name, since a time, at as many points in time as buckets: messages by state, and how many were sent, read (or postponed), archived and deleted (or popped) per second. Null where nothing was recorded.';

CREATE FUNCTION pgmq_admin.lint(queue_name text DEFAULT NULL::text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with access as materialized (
        select coalesce(array_agg(a), '{}') as entries from pgmq_gateway.queue_access(lint.queue_name) as a
    )
    select f.*
    from access
    cross join lateral (
        select * from pgmq_gateway.lint_rls(access.entries, lint.queue_name)
        union all
        select * from pgmq_gateway.lint_policies(access.entries)
        union all
        select * from pgmq_gateway.lint_notify_privileges(access.entries)
        union all
        select * from pgmq_gateway.lint_half_privileges(access.entries)
        union all
        select * from pgmq_gateway.lint_tables(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_service_policies(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_service_members() where lint.queue_name is null
        union all
        select * from pgmq_gateway.lint_orphans() where lint.queue_name is null
        union all
        select * from pgmq_gateway.lint_functions() where lint.queue_name is null
        union all
        select * from pgmq_gateway.lint_time_limits() where lint.queue_name is null
        union all
        select * from pgmq_gateway.lint_excess_privileges(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_triggers(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_owners(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_sharing(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_groups(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_wake(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_dead_letters(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_definer_access(lint.queue_name)
        union all
        select * from pgmq_gateway.lint_definer_role() where lint.queue_name is null
    ) as f
    order by array_position(array['error', 'warning', 'info'], f.level), f.queue_name, f.rule, f.message;
$$;

COMMENT ON FUNCTION pgmq_admin.lint(queue_name text) IS 'Probable mistakes: queues without row-level security, policies that hide all messages without an error, functions that bypass policies, code of roles that requests run as, unlogged queues in use, notifications that fail, queues that pgmq.meta does not list or whose tables are missing, privileges that need another one, roles without a time limit, queues whose calls cannot share transactions, groups that one message or one caller can stop, dead messages that cannot be moved or that no role can read.';

CREATE FUNCTION pgmq_admin.list_actions(queue_name text DEFAULT NULL::text, before bigint DEFAULT NULL::bigint, max_rows integer DEFAULT 100) RETURNS SETOF pgmq_admin.action
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    last_id constant bigint := coalesce(before, 9223372036854775807);
begin
    if max_rows is null or max_rows not between 1 and 1000 then
        raise exception 'max_rows is %, but must be between 1 and 1000', coalesce(max_rows::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Use before for further pages.';
    elsif queue_name is null then
        return query
        select a.id, a.at, a.actor_role, a.key_name, a.queue_name, a.operation, a.count
        from pgmq_gateway.actions as a
        where a.id < last_id
        order by a.id desc limit max_rows;
    else
        return query
        select a.id, a.at, a.actor_role, a.key_name, a.queue_name, a.operation, a.count
        from pgmq_gateway.actions as a
        where a.queue_name = list_actions.queue_name and a.id < last_id
        order by a.id desc limit max_rows;
    end if;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.list_actions(queue_name text, before bigint, max_rows integer) IS 'What was changed with the functions of pgmq_admin in the last 90 days, the latest first, of one queue or all: when, by which role and key, the function, and the number of messages. before: the id of the last row that you have.';

CREATE FUNCTION pgmq_admin.list_grants(queue_name text) RETURNS TABLE(role name, operations text[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select r.role, held.operations
    from pgmq_gateway.request_roles() as r
    cross join lateral (
        select coalesce(array_agg(o order by place), '{}') as operations
        from unnest(pgmq_gateway.table_operations(queue_name, r.role)) with ordinality as t (o, place)
        where (pgmq_gateway.judge_functions(r.oid, o)).blockers = '{}'
    ) as held
    where r.role in ('anon', 'authenticated', 'service_role') or held.operations <> '{}'
    order by r.role;
$$;

COMMENT ON FUNCTION pgmq_admin.list_grants(queue_name text) IS 'What each role that requests run as can do with a queue by its privileges, without regard to policies; see rights().';

CREATE FUNCTION pgmq_admin.list_groups(queue_name text, from_group text DEFAULT ''::text, max_groups integer DEFAULT 50) RETURNS TABLE(group_name text, parked bigint, visible bigint, delayed bigint, in_flight bigint, oldest_seconds double precision)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    message_table constant text := pgmq_gateway.message_table(queue_name, 'q');
begin
    if max_groups is null or max_groups not between 1 and 1000 then
        raise exception 'max_groups is %, but must be between 1 and 1000', coalesce(max_groups::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Use from_group for further groups.';
    elsif not exists (
        select from pgmq_settings.settings as s
        where s.queue_table = message_table and s.group_limit is not null
    ) then
        return;
    end if;
    return query execute format(
        $query$
        with recursive walk (name, place) as (
            (select %2$s, 1 from pgmq.%1$I as q where %2$s >= $2 order by %2$s limit 1)
            union all
            select (select %2$s from pgmq.%1$I as q where %2$s > w.name order by %2$s limit 1), w.place + 1
            from walk as w where w.name is not null and w.place < 1000
        ), busiest as materialized (
            select
                w.name,
                (select count(*) from (select from pgmq.%1$I as q where %3$s limit 1000) as p) as parked
            from walk as w where w.name is not null
            order by parked desc, w.name
            limit $3
        )
        select
            b.name, b.parked, c.visible, c.delayed, c.in_flight,
            extract(epoch from $1 - least(c.oldest, p.enqueued_at))::double precision
        from busiest as b
        cross join lateral (
            select %5$s, min(q.enqueued_at) from pgmq.%1$I as q where %4$s
        ) as c (visible, delayed, in_flight, parked, oldest)
        left join lateral (
            select q.enqueued_at from pgmq.%1$I as q where %6$s order by %2$s, q.vt, q.msg_id limit 1
        ) as p on true
        order by b.parked desc, b.name
        $query$,
        message_table,
        pgmq_settings.group_expression('q'),
        pgmq_settings.group_condition('w.name', true),
        pgmq_settings.group_condition('b.name', false),
        pgmq_settings.state_counts('$1'),
        pgmq_settings.group_condition('b.name', true)
    ) using clock_timestamp(), coalesce(from_group, ''), max_groups;
end;
$_$;

COMMENT ON FUNCTION pgmq_admin.list_groups(queue_name text, from_group text, max_groups integer) IS 'Of the first 1,000 groups of a queue in the order of their names, those with the most parked messages: the messages of each by state, the parked ones counted up to 1,000, and the age of the oldest. from_group: the name to begin with.';

CREATE FUNCTION pgmq_admin.list_messages(queue_name text, filter jsonb DEFAULT '{}'::jsonb, sort text DEFAULT 'msg_id'::text, descending boolean DEFAULT false, after jsonb DEFAULT NULL::jsonb, before jsonb DEFAULT NULL::jsonb, max_rows integer DEFAULT 30) RETURNS SETOF pgmq_admin.message
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    condition constant text := pgmq_settings.filter_condition(filter);
    archived constant boolean := pgmq_settings.is_about_archive(filter);
    source constant text := pgmq_gateway.source_table(queue_name, filter);
    -- The page before a row is the first page in the opposite direction.
    backward constant boolean := before is not null;
    falling constant boolean := coalesce(descending, false) <> backward;
    key constant record := pgmq_gateway.page_key(sort, coalesce(after, before));
begin
    perform pgmq_gateway.check_page(filter, sort, after, before, max_rows);
    -- Rows are selected before their messages are decompressed. The second comparison of a key implies the first, which
    -- lets Postgres exclude partitions.
    return query execute format(
        $query$
        with page as materialized (
            select q.* from pgmq.%1$I as q
            where %2$s %3$s
            order by q.%4$I %5$s, q.msg_id %5$s
            limit $6
        )
        select
            q.msg_id, q.read_ct, q.enqueued_at, %6$s, q.vt, %7$s, %8$s,
            octet_length(q.message::text), left(q.message::text, 200), q.message, q.headers
        from page as q
        order by q.%4$I %9$s, q.msg_id %9$s
        $query$,
        source,
        condition,
        case when key.id is not null then format(
            'and q.%1$I %2$s= %3$s and (q.%1$I, q.msg_id) %2$s (%3$s, $5)',
            sort, case when falling then '<' else '>' end, case when key.instant is null then '$3' else '$4' end) end,
        sort,
        case when falling then 'desc' end,
        case when pgmq_gateway.have_column('last_read_at', source) then 'q.last_read_at' else 'null::timestamptz' end,
        case when archived then 'q.archived_at' else 'null::timestamptz' end,
        case when archived then quote_literal('archived') else pgmq_settings.state_expression('$2') end,
        case when descending then 'desc' end
    ) using filter, clock_timestamp(), key.number, key.instant, key.id, max_rows;
end;
$_$;

COMMENT ON FUNCTION pgmq_admin.list_messages(queue_name text, filter jsonb, sort text, descending boolean, after jsonb, before jsonb, max_rows integer) IS 'The messages of a queue or its archive that a filter matches, page by page, without any effect on them. after, before: [value of the sort column, msg_id] of the last or first row of the page that you have.';

CREATE FUNCTION pgmq_admin.list_policies(queue_name text) RETURNS TABLE(policy_name text, on_table text, command text, roles name[], using_expression text, check_expression text, permissive boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        p.polname::text,
        case p.polrelid when t.queue_table then 'queue' else 'archive' end,
        pgmq_gateway.command_word(p.polcmd),
        (
            select array_agg(coalesce(r.rolname, 'public') order by r.rolname)
            from unnest(p.polroles) as m (oid) left join pg_roles as r on r.oid = m.oid
        ),
        case when s.can_change then pg_get_expr(p.polqual, p.polrelid) end,
        case when s.can_change then pg_get_expr(p.polwithcheck, p.polrelid) end,
        p.polpermissive
    from pgmq_gateway.queue_tables(queue_name) as t
    join pg_policy as p on p.polrelid in (t.queue_table, t.archive_table)
    -- A condition can contain a secret, such as the value of a header.
    cross join lateral (
        select has_function_privilege(
            case current_setting('role') when 'none' then session_user else current_setting('role')::name end,
            'pgmq_admin.create_policy(text,text,name,text,text,text[])', 'EXECUTE')
    ) as s (can_change)
    order by p.polrelid = t.archive_table, p.polname;
$$;

COMMENT ON FUNCTION pgmq_admin.list_policies(queue_name text) IS 'The policies on a queue and on its archive. They apply where row-level security is on. The conditions are null for roles that cannot create policies.';

CREATE FUNCTION pgmq_admin.list_queues() RETURNS TABLE(queue_name text, queue_type text, rls boolean, created_at timestamp with time zone, notify boolean, messages bigint, exact boolean, visible bigint, delayed bigint, in_flight bigint, parked bigint, archived bigint, oldest_seconds double precision, newest_seconds double precision, sent bigint, table_bytes bigint, index_bytes bigint, archive_bytes bigint, dead_tuples bigint, last_autovacuum timestamp with time zone, group_limit integer, paused boolean, is_full boolean)
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
        q.messages, q.exact, q.visible, q.delayed, q.in_flight, q.parked, q.archived, q.oldest_seconds, q.newest_seconds,
        q.sent, q.table_bytes, q.index_bytes, q.archive_bytes, q.dead_tuples, q.last_autovacuum,
        s.group_limit, coalesce(s.paused, false), coalesce(s.is_full, false)
    from pgmq_gateway.queues as q
    left join pgmq_settings.queues as s on s.queue_table = lower('q_' || q.queue_name)
    left join pg_catalog.pg_class as c
        on c.relnamespace = 'pgmq'::regnamespace and c.relname = lower('q_' || q.queue_name)
    order by q.queue_name;
$$;

COMMENT ON FUNCTION pgmq_admin.list_queues() IS 'All queues: type, row-level security, messages by state, ages of the oldest and the newest, how many were ever sent, sizes, and of its settings the group_limit and whether it is paused or full. exact: false where the numbers of messages are estimates, as for long queues; that of a large archive always is an estimate.';

CREATE FUNCTION pgmq_admin.make_visible(queue_name text, msg_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(queue_name, 'make_visible', pgmq_gateway.with_ids(make_visible.msg_ids)) as c;
$$;

COMMENT ON FUNCTION pgmq_admin.make_visible(queue_name text, msg_ids bigint[]) IS 'Makes delayed messages and those in flight visible now and returns the ids of those that exist.';

CREATE FUNCTION pgmq_admin.messages_as(queue_name text, role name, claims jsonb DEFAULT '{}'::jsonb, max_rows integer DEFAULT 10) RETURNS TABLE(msg_id bigint, read_ct integer, enqueued_at timestamp with time zone, last_read_at timestamp with time zone, vt timestamp with time zone, message jsonb, headers jsonb)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
declare
    seen jsonb;
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    if max_rows is null or max_rows not between 1 and 1000 then
        raise exception 'max_rows is %, but must be between 1 and 1000', coalesce(max_rows::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Leave it out for 10.';
    end if;
    perform pgmq_gateway.check_caller(role, claims);
    begin
        perform pgmq_gateway.become(role, claims);
        -- Locked as read does it, which needs the same privileges and policies.
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

COMMENT ON FUNCTION pgmq_admin.messages_as(queue_name text, role name, claims jsonb, max_rows integer) IS 'The oldest messages that a caller with this role and these claims could read, those in flight too.';

CREATE FUNCTION pgmq_admin.move(queue_name text, msg_ids bigint[], to_queue text) RETURNS TABLE(msg_id bigint, new_msg_id bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

COMMENT ON FUNCTION pgmq_admin.move(queue_name text, msg_ids bigint[], to_queue text) IS 'Moves messages to another queue, where they are visible at once, count as never read and keep their age. Returns the old and the new id of each.';

CREATE FUNCTION pgmq_admin.policy_templates() RETURNS TABLE(template text, title text, description text, parameters jsonb, operations text[])
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    values
        (
            'own_messages', 'Own messages',
            'Send, read, pop, archive and delete the messages whose member equals a claim of the caller''s token, '
            'such as its user id.',
            '[{"name": "claim", "default": "sub"}, {"name": "member", "default": "user_id"}]'::jsonb,
            '{send,read,pop,archive,delete}'::text[]
        ),
        (
            'tenant', 'Messages of the tenant',
            'Send, read, pop, archive and delete the messages of the caller''s tenant, given by a claim.',
            '[{"name": "claim", "default": "tenant_id"}, {"name": "member", "default": "tenant_id"}]',
            '{send,read,pop,archive,delete}'
        ),
        (
            'consumer', 'Consumer', 'Read, pop, archive and delete all messages, but send none.', '[]',
            '{read,pop,archive,delete}'
        ),
        ('producer', 'Producer', 'Send messages, but read none.', '[]', '{send}');
$$;

COMMENT ON FUNCTION pgmq_admin.policy_templates() IS 'The templates of create_policy(), their parameters, and the operations that they allow.';

CREATE FUNCTION pgmq_admin.postpone(queue_name text, msg_ids bigint[], seconds integer DEFAULT NULL::integer, until timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if seconds is null and until is null then
        raise exception 'seconds and until are both null' using
            errcode = 'invalid_parameter_value', hint = 'Use one of them: how long, or until when, to postpone.';
    end if;
    return query
    select unnest(c.msg_ids)
    from pgmq_gateway.change_messages(
        queue_name, 'postpone', pgmq_gateway.with_ids(msg_ids),
        visible_at => pgmq_gateway.visible_from(seconds, until)) as c;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.postpone(queue_name text, msg_ids bigint[], seconds integer, until timestamp with time zone) IS 'Makes messages invisible for some seconds from now or until a time, those in flight too, and returns the ids of those that exist.';

CREATE FUNCTION pgmq_admin.purge_queue(queue_name text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    deleted bigint;
begin
    perform pgmq_gateway.check_foreign_code(
        array[to_regclass(format('pgmq.%I', pgmq_gateway.message_table(queue_name, 'q')))], truncating => true);
    deleted := pgmq.purge_queue(queue_name := purge_queue.queue_name);
    perform pgmq_settings.record_action(queue_name, 'purge_queue', deleted);
    return deleted;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.purge_queue(queue_name text) IS 'Deletes all messages of a queue, those in flight too, and returns how many; its archive stays.';

CREATE FUNCTION pgmq_admin.queue_settings(queue_name text) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    return (
        select jsonb_object_agg(m.member, coalesce(nullif(s.stored -> m.member, 'null'), m.initial, 'null'))
        from pgmq_settings.members() as m
        left join (
            select to_jsonb(q) as stored from pgmq_settings.queues as q
            where q.queue_table = lower('q_' || queue_settings.queue_name)
        ) as s on true
    );
end;
$$;

COMMENT ON FUNCTION pgmq_admin.queue_settings(queue_name text) IS 'The settings of a queue in effect, with the defaults of those not set.';

CREATE FUNCTION pgmq_admin.queue_status(queue_name text, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT archived bigint, OUT oldest_seconds double precision, OUT newest_seconds double precision, OUT sent bigint) RETURNS record
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    queue_table constant text := pgmq_gateway.message_table(queue_name, 'q');
    archive_table constant text := pgmq_gateway.message_table(queue_name, 'a');
begin
    perform pgmq_gateway.check_owners(
        array[to_regclass(format('pgmq.%I', queue_table)), to_regclass(format('pgmq.%I', archive_table))]::oid[]);
    execute format(
        $query$
        select
            count(*), %s, (select count(*) from pgmq.%I),
            case when isfinite(min(q.enqueued_at)) then extract(epoch from $1 - min(q.enqueued_at)) end,
            case when isfinite(max(q.enqueued_at)) then extract(epoch from $1 - max(q.enqueued_at)) end,
            coalesce(pg_sequence_last_value(pg_get_serial_sequence($2, 'msg_id')), 0)
        from pgmq.%I as q
        $query$,
        pgmq_settings.state_counts('$1'), archive_table, queue_table
    ) into messages, visible, delayed, in_flight, parked, archived, oldest_seconds, newest_seconds, sent
    using clock_timestamp(), format('pgmq.%I', queue_table);
end;
$_$;

COMMENT ON FUNCTION pgmq_admin.queue_status(queue_name text, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT archived bigint, OUT oldest_seconds double precision, OUT newest_seconds double precision, OUT sent bigint) IS 'Exact counts of a queue: visible, delayed (never read), in flight (leased) and parked (their group is full) messages, ages of the oldest and the newest, how many were ever sent. Reads the whole queue.';

CREATE FUNCTION pgmq_admin.redrive(queue_name text, to_queue text DEFAULT NULL::text, max_messages integer DEFAULT 100, per_second double precision DEFAULT NULL::double precision, filter jsonb DEFAULT '{}'::jsonb, start_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS TABLE(moved integer, skipped integer, last_visible_at timestamp with time zone, refused jsonb)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    perform pgmq_gateway.check_queue_exists(to_queue) where to_queue is not null;
    select r.* into moved, skipped, last_visible_at, refused
    from pgmq_settings.redrive(queue_name, to_queue, max_messages, per_second, filter, start_at) as r;
    perform pgmq_settings.record_action(queue_name, 'redrive', moved::bigint);
    return next;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) IS 'Moves dead letters that are visible, oldest first, back to the queues they came from, or to one queue; skipped are those without such a queue, and those that it refuses: refused has up to 100 of these, with their errors. per_second: spreads the times at which they become visible, from start_at on. Repeat until it moves none.';

CREATE FUNCTION pgmq_admin.replay(queue_name text, max_messages integer DEFAULT 100, per_second double precision DEFAULT NULL::double precision, filter jsonb DEFAULT '{}'::jsonb, start_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS TABLE(sent integer, last_visible_at timestamp with time zone)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    select r.* into sent, last_visible_at
    from pgmq_settings.replay(queue_name, max_messages, per_second, filter, start_at) as r;
    perform pgmq_settings.record_action(queue_name, 'replay', sent::bigint);
    return next;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) IS 'Sends copies of archived messages, oldest first, to their queue; the archive stays. per_second: spreads the times at which they become visible, from start_at on.';

CREATE FUNCTION pgmq_admin.requeue(queue_name text, msg_ids bigint[]) RETURNS TABLE(msg_id bigint, new_msg_id bigint)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select moved.*
    from pgmq_gateway.change_messages(
        queue_name, 'requeue', pgmq_gateway.with_ids(requeue.msg_ids, 'archived'), to_queue => queue_name) as c,
        unnest(c.msg_ids, c.new_msg_ids) as moved;
$$;

COMMENT ON FUNCTION pgmq_admin.requeue(queue_name text, msg_ids bigint[]) IS 'Moves messages from the archive back to their queue, where they are visible at once, count as never read and keep their age, and returns the old and the new id of each.';

CREATE FUNCTION pgmq_admin.revoke_queue(queue_name text, role name, operations text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    tables record;
    remaining text[];
    kept text[];
    privilege text;
begin
    perform pgmq_gateway.lock_privileges();
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    perform pgmq_gateway.check_operations(operations);
    perform pgmq_gateway.check_role(role);
    select coalesce(array_agg(o), '{}') into remaining
    from unnest(pgmq_gateway.table_operations(queue_name, role)) as o
    where o <> all (operations);
    -- Operations share privileges: revoke those that no remaining operation needs.
    for privilege in
        select distinct unnest(o.queue_privileges)
        from pgmq_gateway.operation_privileges() as o
        where o.operation = any (operations)
    loop
        if not exists (
            select from pgmq_gateway.operation_privileges() as o
            where o.operation = any (remaining) and privilege = any (o.queue_privileges)
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
                when '{}' then 'It has privileges from another role.'
                else format('It can also %s, which need the same privileges.', array_to_string(remaining, ', '))
            end,
            hint = 'Revoke those too. Nothing has been changed.';
    end if;
    perform pgmq_settings.record_action(queue_name, 'revoke_queue');
end;
$$;

COMMENT ON FUNCTION pgmq_admin.revoke_queue(queue_name text, role name, operations text[]) IS 'Revokes from a role the privileges on a queue that only these operations need; fails if an operation remains possible.';

CREATE FUNCTION pgmq_admin.rights(queue_name text) RETURNS TABLE(role name, operation text, verdict text, reasons text[], policies text[], functions text[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with judged as (
        select r.oid, r.role, o.operation, o.place, t.queue_table, j.verdict, j.reasons, j.policies
        from pgmq_gateway.queue_tables(queue_name) as t
        cross join pgmq_gateway.request_roles() as r
        cross join pgmq_gateway.operation_privileges() with ordinality as o (operation, on_queue, on_archive, place)
        cross join lateral pgmq_gateway.judge(
            queue_name, t.queue_table, t.archive_table, r.oid, o.operation) as j
    )
    select
        j.role, j.operation, j.verdict, j.reasons, j.policies,
        pgmq_gateway.executable_api_functions(j.oid, j.operation)
    from judged as j
    where j.role in ('anon', 'authenticated', 'service_role')
       or has_any_column_privilege(j.oid, j.queue_table, 'SELECT, INSERT, UPDATE')
       or has_table_privilege(j.oid, j.queue_table, 'DELETE')
       or j.oid in (select s.oid from judged as s where s.verdict <> 'none')
    order by j.role, j.place;
$$;

COMMENT ON FUNCTION pgmq_admin.rights(queue_name text) IS 'What each role that requests run as can do with a queue: all, policy (policies decide which messages) or none, with the reasons. Considers schemas, functions, tables, columns, row-level security, policies and memberships. functions: those of pgmq_api that the operation includes and the role may execute; settle takes the lists of the operations that the role has.';

CREATE FUNCTION pgmq_admin.send(queue_name text, message jsonb, headers jsonb DEFAULT NULL::jsonb, sleep_seconds integer DEFAULT 0, visible_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    table_name constant text := pgmq_gateway.message_table(queue_name, 'q');
    first_visible_at constant timestamptz := pgmq_gateway.visible_from(nullif(sleep_seconds, 0), visible_at);
begin
    perform pgmq_settings.report_visible(table_name, 1, first_visible_at);
    perform pgmq_settings.record_action(queue_name, 'send', 1::bigint);
    return (
        select id
        from pgmq.send(
            queue_name => send.queue_name, msg => coalesce(send.message, 'null'), headers => send.headers,
            delay => first_visible_at) as id);
end;
$$;

COMMENT ON FUNCTION pgmq_admin.send(queue_name text, message jsonb, headers jsonb, sleep_seconds integer, visible_at timestamp with time zone) IS 'Adds a message with headers to a queue and returns its id; invisible for sleep_seconds or until visible_at.';

CREATE FUNCTION pgmq_admin.send_batch(queue_name text, messages jsonb, headers jsonb DEFAULT NULL::jsonb, sleep_seconds integer DEFAULT 0, visible_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    table_name constant text := pgmq_gateway.message_table(queue_name, 'q');
    first_visible_at constant timestamptz := pgmq_gateway.visible_from(nullif(sleep_seconds, 0), visible_at);
begin
    if jsonb_typeof(messages) is distinct from 'array' or jsonb_typeof(headers) <> 'array' then
        raise exception '% must be an array', case jsonb_typeof(messages)
            when 'array' then 'headers' else 'messages' end
            using errcode = 'invalid_parameter_value', hint = 'Use [{}, {}] for two messages.';
    elsif headers is not null and jsonb_array_length(headers) <> jsonb_array_length(messages) then
        raise exception 'there are % headers for % messages', jsonb_array_length(headers), jsonb_array_length(messages)
            using errcode = 'invalid_parameter_value', hint = 'Use one for each message, null for a message without.';
    elsif jsonb_array_length(messages) = 0 then
        return;
    end if;
    perform pgmq_settings.report_visible(table_name, jsonb_array_length(messages), first_visible_at);
    perform pgmq_settings.record_action(queue_name, 'send_batch', jsonb_array_length(messages)::bigint);
    return query
    select id
    from pgmq.send_batch(
        queue_name => send_batch.queue_name,
        msgs => (
            select array_agg(e.value order by e.n)
            from jsonb_array_elements(send_batch.messages) with ordinality as e (value, n)
        ),
        headers => (
            select array_agg(nullif(e.value, 'null') order by e.n)
            from jsonb_array_elements(send_batch.headers) with ordinality as e (value, n)
        ),
        delay => first_visible_at) as id
    order by id;
end;
$$;

COMMENT ON FUNCTION pgmq_admin.send_batch(queue_name text, messages jsonb, headers jsonb, sleep_seconds integer, visible_at timestamp with time zone) IS 'Adds messages, an array of any JSON, to a queue, all or none, each with its headers, and returns their ids in order.';

CREATE FUNCTION pgmq_admin.set_queue_settings(queue_name text, settings jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    present pgmq_settings.queues;
    was_paused boolean;
begin
    perform pgmq_settings.check_members(settings);
    perform pgmq_gateway.check_queue_exists(queue_name);
    -- Of two calls at once, the second one finds the dead-letter queue of the first.
    perform pgmq_gateway.lock_privileges();
    perform pgmq_gateway.check_foreign_code(
        array['pgmq_settings.queues'::regclass, 'pgmq_settings.wake_throttles'::regclass]);
    select s.* into present from pgmq_settings.queues as s
    where s.queue_table = lower('q_' || set_queue_settings.queue_name);
    was_paused := present.paused;
    present.queue_table := lower('q_' || queue_name);
    -- Two names in pgmq.meta can share a table. Its settings stay with the one that they were made for.
    if not exists (select from pgmq.meta as m where m.queue_name = present.queue_name) then
        present.queue_name := queue_name;
    end if;
    present := jsonb_populate_record(present, settings);
    perform pgmq_settings.check_dead_letter_queue(queue_name, present.dead_letter_queue);
    if present.max_messages is null then
        present.is_full := null;
    end if;
    delete from pgmq_settings.queues as s where s.queue_table = present.queue_table;
    insert into pgmq_settings.queues select present.*;
    perform pgmq_gateway.grant_definer_access(queue_name);
    if present.dead_letter_queue is not null then
        perform pgmq_gateway.grant_definer_access(present.dead_letter_queue);
    end if;
    if settings ? 'max_message_bytes' then
        perform pgmq_settings.limit_message_bytes(present.queue_table, present.max_message_bytes);
    end if;
    if settings ? 'group_limit' then
        perform pgmq_settings.limit_groups(present.queue_table, present.group_limit);
    end if;
    if settings ?| array['wake', 'wake_throttle_ms'] then
        perform pgmq_settings.set_wake(present.queue_table, present.wake, present.wake_throttle_ms);
    end if;
    if was_paused and present.paused is not true then
        perform pgmq_settings.notify_queue(present.queue_table);
        perform pgmq_settings.report_visible(present.queue_table, 1);
    end if;
    perform pgmq_settings.record_action(queue_name, 'set_queue_settings');
    return pgmq_admin.queue_settings(queue_name);
end;
$$;

COMMENT ON FUNCTION pgmq_admin.set_queue_settings(queue_name text, settings jsonb) IS 'Changes settings of a queue, those that are named, and returns all: lease_seconds, max_receives, dead_letter_queue, backoff, backoff_seconds, backoff_max_seconds, backoff_jitter, on_expiry, message_keep_seconds, archive_keep_seconds, max_message_bytes, max_messages, group_limit, deduplication_seconds, deduplication_by_content, paused, wake, wake_throttle_ms. null restores a default. Clients that must obey queue settings use pgmq_api.';

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
            errcode = 'null_value_not_allowed', hint = 'Use true or false.';
    end if;
    select * into tables from pgmq_gateway.queue_tables(queue_name);
    if enabled then
        perform pgmq_gateway.create_service_policies(queue_name);
        perform pgmq_gateway.grant_definer_access(queue_name);
    end if;
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
    perform pgmq_settings.record_action(queue_name, 'set_rls');
end;
$$;

COMMENT ON FUNCTION pgmq_admin.set_rls(queue_name text, enabled boolean, archive boolean) IS 'Turns row-level security of a queue and its partitions on or off; archive: that of its archive too.';

CREATE FUNCTION pgmq_admin.setting_ranges() RETURNS TABLE(setting text, type text, smallest double precision, largest double precision, choices text[], initial jsonb)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select m.member, m.type, m.smallest, m.largest, m.choices, coalesce(m.initial, 'null')
    from pgmq_settings.members() as m;
$$;

COMMENT ON FUNCTION pgmq_admin.setting_ranges() IS 'The settings that a queue can have: the JSON type of each, the range of numbers, the choices of strings, and the initial value, which null restores.';

CREATE FUNCTION pgmq_admin.try_as(queue_name text, role name, claims jsonb DEFAULT '{}'::jsonb, message jsonb DEFAULT '{}'::jsonb) RETURNS TABLE(operation text, allowed boolean, code text, error text, rows bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
declare
    operations constant text[] := '{send,read,pop,archive,delete}';
    sample bigint;
    results jsonb := '[]';
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    perform pgmq_gateway.check_caller(role, claims);
    begin
        -- A sender to a queue with notifications may hold a row that this insert needs too.
        perform set_config('lock_timeout', '1s', true);
        -- A message to read, as old as can be, so that it is the first one.
        begin
            execute format(
                'insert into pgmq.%I (vt, message) values ($1, $2) returning msg_id',
                pgmq.format_table_name(queue_name, 'q')
            ) into sample using '-infinity'::timestamptz, message;
        exception when lock_not_available then
            -- The operations would wait for the same lock, a second each.
            select jsonb_agg(jsonb_build_object(
                'operation', o.name, 'allowed', false, 'code', sqlstate, 'error', sqlerrm, 'rows', 0))
            into results
            from unnest(operations) as o (name);
            raise sqlstate 'GW000';
        end;
        foreach operation in array operations loop
            results := results
                || to_jsonb(pgmq_gateway.try_operation(operation, queue_name, role, claims, message, sample));
        end loop;
        raise sqlstate 'GW000';
    exception when sqlstate 'GW000' then null;
    end;
    return query
    select r.* from jsonb_to_recordset(results)
        as r (operation text, allowed boolean, code text, error text, rows bigint);
end;
$_$;

COMMENT ON FUNCTION pgmq_admin.try_as(queue_name text, role name, claims jsonb, message jsonb) IS 'Tries each operation as a caller with this role and these claims, and undoes it. The given message is in the queue meanwhile. Not allowed, but no error: policies hide the message. Uses up ids of the queue.';

CREATE FUNCTION pgmq_admin.try_policy(queue_name text, policy_names text[], template text, role name, claim text DEFAULT NULL::text, member text DEFAULT NULL::text, operations text[] DEFAULT NULL::text[], claims jsonb DEFAULT '{}'::jsonb, message jsonb DEFAULT '{}'::jsonb) RETURNS TABLE(operation text, allowed boolean, code text, error text, rows bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
    results jsonb;
begin
    -- The lock on the queue's tables, which policies need, is released with the block: milliseconds later.
    begin
        perform pgmq_admin.change_policy(queue_name, policy_names, template, role, claim, member, operations);
        select coalesce(jsonb_agg(t), '[]') into results
        from pgmq_admin.try_as(queue_name, role, claims, message) as t;
        raise sqlstate 'GW000';
    exception when sqlstate 'GW000' then null;
    end;
    return query
    select r.* from jsonb_to_recordset(results)
        as r (operation text, allowed boolean, code text, error text, rows bigint);
end;
$$;

COMMENT ON FUNCTION pgmq_admin.try_policy(queue_name text, policy_names text[], template text, role name, claim text, member text, operations text[], claims jsonb, message jsonb) IS 'Tries each operation as a caller with these claims, as if the policies had been replaced by change_policy(), and undoes it all. policy_names can be empty: then as if create_policy() had been called.';

CREATE FUNCTION pgmq_admin.unexpose() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $$
declare
    callers text;
    routine regprocedure;
begin
    perform pgmq_gateway.lock_privileges();
    select string_agg(quote_ident(r.role), ', ') into callers from pgmq_gateway.request_roles() as r;
    execute format('revoke usage on schema pgmq_api from public, %s', callers);
    if to_regnamespace('pgmq_public') is not null then
        execute format('revoke usage on schema pgmq_public from public, %s', callers);
    end if;
    for routine in select f.function from pgmq_gateway.public_functions() as f where f.function is not null loop
        execute format('revoke execute on function %s from %s', routine, callers);
    end loop;
    if pgmq_admin.exposed() then
        raise exception 'pgmq_public or pgmq_api can still be called' using
            errcode = 'invalid_grant_operation',
            detail = 'A role that requests run as has USAGE on it from another role or another grantor.',
            hint = 'See their privileges in psql: \dn+ pgmq_(public|api). Nothing has been changed.';
    end if;
    perform pgmq_settings.record_action(null, 'unexpose');
end;
$$;

COMMENT ON FUNCTION pgmq_admin.unexpose() IS 'Prevents requests from calling pgmq_public and pgmq_api; their functions stay. After expose(), other roles than anon, authenticated and service_role need grant_queue() again.';

CREATE FUNCTION pgmq_api.ack(queue_name text, receipt text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    parts constant text[] := string_to_array(receipt, '.');
    deleted integer;
begin
    if (receipt ~ '^[1-9][0-9]*\.[1-9][0-9]*\.[1-9][0-9]*$'
        and length(parts[1]) < 19 and length(parts[2]) < 10 and length(parts[3]) < 18) is not true
    then
        perform pgmq_settings.delivery(receipt);
    end if;
    execute format(
        'delete from pgmq.%I as q where q.msg_id = $1 and q.read_ct = $2 and q.enqueued_at = $3', table_name)
    using
        parts[1]::bigint, parts[2]::integer,
        timestamptz '1970-01-01Z' + parts[3]::bigint * interval '1 microsecond';
    get diagnostics deleted = row_count;
    if deleted = 1 then
        return 'acked';
    end if;
    return case
        when pgmq_settings.stale(table_name, array[pgmq_settings.delivery(receipt)]) is null then 'gone'
        else 'stale'
    end;
end;
$_$;

COMMENT ON FUNCTION pgmq_api.ack(queue_name text, receipt text) IS 'Deletes a message that was read: acked; stale if it was read again, gone if it is no longer there.';

CREATE FUNCTION pgmq_api.archive(queue_name text, message_id bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    archived boolean;
begin
    execute pgmq_settings.removal(table_name, true, 'q.msg_id = $1') || ' select true from settled'
    into archived using message_id;
    return coalesce(archived, false);
end;
$_$;

COMMENT ON FUNCTION pgmq_api.archive(queue_name text, message_id bigint) IS 'Moves a message to the archive of its queue, in flight or not; false if there is none with this id.';

CREATE FUNCTION pgmq_api.archive_batch(queue_name text, message_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select * from pgmq_settings.remove_batch(pgmq.format_table_name(queue_name, 'q'), message_ids, true);
$$;

COMMENT ON FUNCTION pgmq_api.archive_batch(queue_name text, message_ids bigint[]) IS 'Moves up to 10000 messages to the archive of their queue, in flight or not, and returns the ids of those that were there.';

CREATE FUNCTION pgmq_api.delete(queue_name text, message_id bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    deleted integer;
begin
    execute format('delete from pgmq.%I as q where q.msg_id = $1', pgmq.format_table_name(queue_name, 'q'))
    using message_id;
    get diagnostics deleted = row_count;
    return deleted = 1;
end;
$_$;

COMMENT ON FUNCTION pgmq_api.delete(queue_name text, message_id bigint) IS 'Deletes a message permanently, in flight or not; false if there is none with this id. To delete it only if it was not read again, use ack.';

CREATE FUNCTION pgmq_api.delete_batch(queue_name text, message_ids bigint[]) RETURNS SETOF bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select * from pgmq_settings.remove_batch(pgmq.format_table_name(queue_name, 'q'), message_ids, false);
$$;

COMMENT ON FUNCTION pgmq_api.delete_batch(queue_name text, message_ids bigint[]) IS 'Deletes up to 10000 messages permanently, in flight or not, and returns the ids of those that were there.';

CREATE FUNCTION pgmq_api.extend(queue_name text, receipt text, sleep_seconds integer DEFAULT NULL::integer) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_settings.check_seconds('sleep_seconds', sleep_seconds, 604800);
    return pgmq_settings.settle(pgmq.format_table_name(queue_name, 'q'), 'extend', receipt, sleep_seconds, null);
end;
$$;

COMMENT ON FUNCTION pgmq_api.extend(queue_name text, receipt text, sleep_seconds integer) IS 'Keeps a message that was read invisible for sleep_seconds from now, and its receipt valid: extended; stale, gone as for ack. It never shortens a lease, except with 0, which ends it.';

CREATE FUNCTION pgmq_api.metrics(queue_name text) RETURNS TABLE(visible integer, in_flight integer, waiting integer, more boolean, oldest_seconds double precision)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return query execute format(
        $query$
        select
            least(v.visible, 1000), least(l.in_flight, 1000), least(l.waiting, 1000),
            v.visible > 1000 or l.in_flight > 1000 or l.waiting > 1000 or l.in_flight + l.waiting > 2000,
            case when v.oldest < 0 then 0 else v.oldest end
        from (
            select
                count(*)::integer as visible, extract(epoch from $1 - min(enqueued_at))::double precision as oldest
            from (select q.enqueued_at from pgmq.%1$I as q where q.vt <= $1 order by q.vt limit 1001) as x
        ) as v
        cross join (
            select
                count(*) filter (where read_ct > 0)::integer as in_flight,
                count(*) filter (where read_ct = 0)::integer as waiting
            from (select q.read_ct from pgmq.%1$I as q where q.vt > $1 order by q.vt limit 2001) as x
        ) as l
        $query$,
        pgmq.format_table_name(queue_name, 'q'))
    using clock_timestamp();
end;
$_$;

COMMENT ON FUNCTION pgmq_api.metrics(queue_name text) IS 'Numbers of visible messages, those in flight and those waiting, each counted up to 1000, and the age of the oldest visible one. more: there are more than counted.';

CREATE FUNCTION pgmq_api.peek(queue_name text, n integer DEFAULT 10, after bigint DEFAULT 0) RETURNS TABLE(msg_id bigint, read_ct integer, enqueued_at timestamp with time zone, last_read_at timestamp with time zone, vt timestamp with time zone, state text, message jsonb, headers jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
begin
    if n is null or n not between 1 and 1000 then
        raise exception 'n is %, but must be between 1 and 1000', coalesce(n::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Use after for further messages.';
    end if;
    return query execute format(
        'select q.msg_id, q.read_ct, q.enqueued_at, %s, q.vt, %s, q.message, q.headers '
        'from pgmq.%I as q where q.msg_id > $1 order by q.msg_id limit $2',
        case when pgmq_settings.has_last_read_at(table_name) then 'q.last_read_at' else 'null::timestamptz' end,
        pgmq_settings.state_expression('$3'), table_name)
    using coalesce(after, 0), n, clock_timestamp();
end;
$_$;

COMMENT ON FUNCTION pgmq_api.peek(queue_name text, n integer, after bigint) IS 'Up to n messages with ids above `after`, whatever their state, without reading them.';

CREATE FUNCTION pgmq_api.pop(queue_name text, n integer DEFAULT 1) RETURNS SETOF pgmq_api.message
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    present constant timestamptz := clock_timestamp();
    expiry constant text := pgmq_settings.expiry_text(present);
    wanted constant integer := pgmq_settings.read_count(n);
    settings pgmq_settings.settings;
    max_receives integer;
    oldest timestamptz;
    returned integer;
    dead bigint[];
    buried bigint;
begin
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = table_name;
    if settings.paused then
        return;
    end if;
    max_receives := coalesce(settings.max_receives, 999999);
    oldest := present - make_interval(secs => settings.message_keep_seconds);
    return query execute pgmq_settings.pop_statement(table_name)
    using present, wanted, 0, present, max_receives, expiry, oldest, null::jsonb, queue_name;
    get diagnostics returned = row_count;
    if returned = wanted and settings.max_receives is null and oldest is null then
        return;
    end if;
    execute pgmq_settings.front_statement(table_name) into dead
    using present, wanted, 0, present, max_receives, expiry, oldest;
    if dead is null then
        return;
    end if;
    buried := pgmq_settings.bury(table_name, dead);
    if settings.group_limit is not null and buried > 0 and returned < wanted then
        return query execute pgmq_settings.pop_statement(table_name)
        using clock_timestamp(), wanted - returned, 0, clock_timestamp(), max_receives, expiry, oldest, null::jsonb,
            queue_name;
    end if;
end;
$$;

COMMENT ON FUNCTION pgmq_api.pop(queue_name text, n integer) IS 'Reads and deletes up to n visible messages. At most once: if the response is lost, so are the messages. They have no receipt.';

CREATE FUNCTION pgmq_api.purge(queue_name text, max_messages integer DEFAULT 10000) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    ids bigint[];
begin
    if max_messages is null or max_messages not between 1 and 10000 then
        raise exception 'max_messages is %, but must be between 1 and 10000', coalesce(max_messages::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Repeat the call until it deletes none.';
    end if;
    execute format('select array(select q.msg_id from pgmq.%I as q order by q.msg_id limit $1)', table_name)
    into ids using max_messages;
    return (select pg_catalog.count(*) from pgmq_settings.remove_batch(table_name, ids, false));
end;
$_$;

COMMENT ON FUNCTION pgmq_api.purge(queue_name text, max_messages integer) IS 'Deletes up to max_messages messages, oldest first, those in flight too, and returns how many. Repeat until 0.';

CREATE FUNCTION pgmq_api.queues() RETURNS TABLE(queue_name text, operations text[])
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select h.queue_name, h.operations
    from (
        select
            substr(q.relname, 3) as queue_name,
            array_remove(array[
                case when p.inserts and p.selects then 'send' end,
                case when p.updates and p.selects then 'read' end,
                case when p.updates and p.selects and p.deletes then 'pop' end,
                case when p.selects and p.deletes and p.archives then 'archive' end,
                case when p.selects and p.deletes then 'delete' end
            ], null) as operations,
            p.inserts or p.selects or p.updates or p.deletes as any
        from pg_catalog.pg_class as q
        join pg_catalog.pg_class as a
            on a.relnamespace = q.relnamespace and a.relname = overlay(q.relname placing 'a' from 1 for 1)
        cross join lateral (
            select
                has_any_column_privilege(q.oid, 'INSERT') as inserts,
                has_any_column_privilege(q.oid, 'SELECT') as selects,
                has_any_column_privilege(q.oid, 'UPDATE') as updates,
                has_table_privilege(q.oid, 'DELETE') as deletes,
                has_any_column_privilege(a.oid, 'INSERT') and has_any_column_privilege(a.oid, 'SELECT') as archives
        ) as p
        where q.relnamespace = 'pgmq'::pg_catalog.regnamespace and q.relkind in ('r', 'p') and not q.relispartition
          and a.relkind in ('r', 'p') and q.relname like 'q\_%'
    ) as h
    where h.any
    order by h.queue_name;
$$;

COMMENT ON FUNCTION pgmq_api.queues() IS 'The queues on which the caller has a privilege, with the operations that its privileges allow; policies decide on which messages.';

CREATE FUNCTION pgmq_api.read(queue_name text, sleep_seconds integer DEFAULT NULL::integer, n integer DEFAULT 1, conditional jsonb DEFAULT NULL::jsonb) RETURNS SETOF pgmq_api.message
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    present constant timestamptz := clock_timestamp();
    expiry constant text := pgmq_settings.expiry_text(present);
    wanted constant integer := pgmq_settings.read_count(n);
    settings pgmq_settings.settings;
    lease integer;
    max_receives integer;
    oldest timestamptz;
    returned integer;
    more integer := 0;
    dead bigint[];
    front bigint[];
    buried bigint;
begin
    perform pgmq_settings.check_seconds('sleep_seconds', sleep_seconds, 604800);
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = table_name;
    if settings.paused then
        return;
    end if;
    lease := coalesce(sleep_seconds, settings.lease_seconds, 30);
    max_receives := coalesce(settings.max_receives, 999999);
    oldest := present - make_interval(secs => settings.message_keep_seconds);
    return query execute pgmq_settings.read_statement(table_name, conditional is not null)
    using present, wanted, lease, present, max_receives, expiry, oldest, conditional, queue_name;
    get diagnostics returned = row_count;
    if returned = wanted or pg_current_xact_id_if_assigned() is null then
        return;
    end if;
    execute pgmq_settings.dead_statement(table_name) into dead
    using present, wanted, lease, present, max_receives, expiry, oldest;
    if dead is null then
        return;
    elsif returned + cardinality(dead) >= wanted then
        return query execute pgmq_settings.read_statement(table_name, conditional is not null, living => true)
        using
            present, wanted - returned, lease, present - interval '1 microsecond', max_receives, expiry, oldest,
            conditional, queue_name;
        get diagnostics more = row_count;
    end if;
    execute pgmq_settings.front_statement(table_name) into front
    using present - interval '1 microsecond', wanted, lease, present, max_receives, expiry, oldest;
    buried := pgmq_settings.bury(table_name, dead || front);
    if settings.group_limit is not null and buried > 0 and lease > 0 and returned + more < wanted then
        return query execute pgmq_settings.read_statement(table_name, conditional is not null, living => true)
        using
            clock_timestamp(), wanted - returned - more, lease, clock_timestamp(), max_receives, expiry, oldest,
            conditional, queue_name;
    end if;
end;
$$;

COMMENT ON FUNCTION pgmq_api.read(queue_name text, sleep_seconds integer, n integer, conditional jsonb) IS 'Reads up to n visible messages and makes them invisible for sleep_seconds; without, as the queue''s settings say, or 30. conditional: only messages that contain this value. Settle each with its receipt in that time.';

CREATE FUNCTION pgmq_api.read_any(queue_names text[], sleep_seconds integer DEFAULT NULL::integer, n integer DEFAULT 1) RETURNS SETOF pgmq_api.message
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    missing integer := pgmq_settings.read_count(n);
    queue_name text;
    found_rows integer;
begin
    perform pgmq_settings.check_queue_names(queue_names);
    foreach queue_name in array queue_names loop
        return query select * from pgmq_api.read(queue_name, sleep_seconds, missing);
        get diagnostics found_rows = row_count;
        missing := missing - found_rows;
    end loop;
end;
$$;

COMMENT ON FUNCTION pgmq_api.read_any(queue_names text[], sleep_seconds integer, n integer) IS 'Reads up to n visible messages of 1 to 10 queues: from the first one that has any, and so on. Queues of several priorities can so be read in one call.';

CREATE FUNCTION pgmq_api.redrive(queue_name text, to_queue text DEFAULT NULL::text, max_messages integer DEFAULT 100, per_second double precision DEFAULT NULL::double precision, filter jsonb DEFAULT '{}'::jsonb) RETURNS TABLE(moved integer, skipped integer, last_visible_at timestamp with time zone, refused jsonb)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select r.* from pgmq_settings.redrive(queue_name, to_queue, max_messages, per_second, filter, null) as r;
$$;

COMMENT ON FUNCTION pgmq_api.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb) IS 'Moves dead letters that are visible, oldest first, to one queue, or back to the queues they came from if this is still their dead_letter_queue. Others are skipped, and so are those that the queue refuses: refused has up to 100 of these, with their errors. per_second: spreads the times at which they become visible. Repeat until it moves none.';

CREATE FUNCTION pgmq_api.reject(queue_name text, receipt text, reason text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_settings.check_reason(reason);
    return pgmq_settings.settle(pgmq.format_table_name(queue_name, 'q'), 'reject', receipt, null, reason);
end;
$$;

COMMENT ON FUNCTION pgmq_api.reject(queue_name text, receipt text, reason text) IS 'Moves a message that was read to the dead-letter queue, or the archive if there is none: rejected; stale, gone as for ack. reason: kept in the header x-pgmq-dead.';

CREATE FUNCTION pgmq_api.replay(queue_name text, max_messages integer DEFAULT 100, per_second double precision DEFAULT NULL::double precision, filter jsonb DEFAULT '{}'::jsonb) RETURNS TABLE(sent integer, last_visible_at timestamp with time zone)
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select r.* from pgmq_settings.replay(queue_name, max_messages, per_second, filter, null) as r;
$$;

COMMENT ON FUNCTION pgmq_api.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb) IS 'Sends copies of archived messages, oldest first, to their queue; the archive stays. per_second: spreads the times at which they become visible. A second call sends the same messages again, unless the filter leaves them out.';

CREATE FUNCTION pgmq_api.retry(queue_name text, receipt text, delay_seconds integer DEFAULT NULL::integer, reason text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_settings.check_seconds('delay_seconds', delay_seconds, 31536000);
    perform pgmq_settings.check_reason(reason);
    return pgmq_settings.settle(pgmq.format_table_name(queue_name, 'q'), 'retry', receipt, delay_seconds, reason);
end;
$$;

COMMENT ON FUNCTION pgmq_api.retry(queue_name text, receipt text, delay_seconds integer, reason text) IS 'Makes a message that was read visible after delay_seconds; without, after the back-off of the queue''s settings: retried; rejected if its receives are used up; stale, gone as for ack. reason: kept in the header x-pgmq-retry.';

CREATE FUNCTION pgmq_api.send(queue_name text, message jsonb, sleep_seconds integer DEFAULT 0, headers jsonb DEFAULT NULL::jsonb, send_at timestamp with time zone DEFAULT NULL::timestamp with time zone, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, group_id text DEFAULT NULL::text, deduplication_id text DEFAULT NULL::text) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    visible_at constant timestamptz := pgmq_settings.visible_at(sleep_seconds, send_at);
    settings pgmq_settings.queues;
    reported text;
begin
    if message is null then
        raise exception 'message must not be null' using
            errcode = 'null_value_not_allowed', hint = 'The JSON value null is a message.';
    end if;
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = table_name;
    if settings.is_full then
        perform pgmq_settings.check_not_full(queue_name, settings.is_full);
    end if;
    if headers is not null or expires_at is not null or group_id is not null then
        headers := pgmq_settings.sent_headers(headers, expires_at, visible_at, group_id);
    end if;
    if deduplication_id is not null or settings.deduplication_by_content then
        return next pgmq_settings.send_one(table_name, settings, visible_at, message, headers, deduplication_id);
        return;
    end if;
    return query execute format(
        'insert into pgmq.%I (vt, message, headers) values ($1, $2, $3) returning msg_id', table_name)
    using visible_at, message, headers;
    reported := current_setting('pgmq_gateway.wakeups', true);
    if settings.group_limit is not null and headers ->> 'x-pgmq-group' is not null or length(reported) > 8000 then
        return;
    elsif sleep_seconds > 0 or send_at is not null then
        perform pgmq_settings.report_visible(table_name, 1, visible_at);
    else
        -- As report_visible() does, which takes four times as long, for the most frequent call.
        reported := set_config(
            'pgmq_gateway.wakeups',
            concat(reported, translate(substr(table_name, 3), e'\t\n', ''), e'\t1\t0\n'), true);
    end if;
end;
$_$;

COMMENT ON FUNCTION pgmq_api.send(queue_name text, message jsonb, sleep_seconds integer, headers jsonb, send_at timestamp with time zone, expires_at timestamp with time zone, group_id text, deduplication_id text) IS 'Adds a message to a queue and returns its id. sleep_seconds: the delay until it becomes visible; or send_at: the time. expires_at: the time after which it is not delivered any more. group_id: of the messages with the same one, as many as the queue''s group_limit are visible or in flight, in the order in which they were sent. deduplication_id: the caller''s second message with it, within the queue''s deduplication_seconds, is not stored; the id of the first is returned.';

CREATE FUNCTION pgmq_api.send_batch(queue_name text, messages jsonb[], sleep_seconds integer DEFAULT 0) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    visible_at constant timestamptz := pgmq_settings.visible_at(sleep_seconds, null);
    settings pgmq_settings.queues;
begin
    perform pgmq_settings.check_batch(cardinality(messages));
    if exists (select from pg_catalog.unnest(messages) as m where m is null) then
        raise exception 'a message must not be null' using
            errcode = 'null_value_not_allowed', hint = 'The JSON value null is a message.';
    end if;
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = table_name;
    perform pgmq_settings.check_not_full(queue_name, settings.is_full);
    if settings.deduplication_by_content and cardinality(messages) > 0 then
        return query
        select s.msg_id
        from pgmq_settings.send_once(
            table_name, settings, array_fill(visible_at, array[cardinality(messages)]),
            array(select pg_catalog.unnest(messages)),
            array_fill(null::jsonb, array[cardinality(messages)]), array_fill(null::text, array[cardinality(messages)])
        ) with ordinality as s (msg_id, duplicate, place)
        order by s.place;
    elsif cardinality(messages) > 0 then
        return query execute pgmq_settings.send_statement(table_name)
        using array_fill(visible_at, array[cardinality(messages)]), messages, null::jsonb[];
        perform pgmq_settings.report_visible(table_name, cardinality(messages), visible_at);
    end if;
end;
$$;

COMMENT ON FUNCTION pgmq_api.send_batch(queue_name text, messages jsonb[], sleep_seconds integer) IS 'Adds messages to a queue, all or none, and returns their ids in order.';

CREATE FUNCTION pgmq_api.send_entries(queue_name text, entries jsonb) RETURNS TABLE(entry integer, msg_id bigint, duplicate boolean)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    settings pgmq_settings.queues;
    batch record;
    stored integer;
begin
    batch := pgmq_settings.read_entries(entries);
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = table_name;
    perform pgmq_settings.check_not_full(queue_name, settings.is_full);
    if settings.deduplication_by_content or array_remove(batch.ids, null) <> '{}' then
        return query
        select s.place::integer - 1, s.msg_id, s.duplicate
        from pgmq_settings.send_once(
            table_name, settings, batch.times, batch.messages, batch.headers, batch.ids
        ) with ordinality as s (msg_id, duplicate, place)
        order by s.place;
        return;
    elsif settings.group_limit is not null then
        perform pgmq_settings.lock_groups(table_name, array(
            select h ->> 'x-pgmq-group' from pg_catalog.unnest(batch.headers) as h));
    end if;
    return query execute
        'with sent as (' || pgmq_settings.send_statement(table_name) || ') '
        'select (row_number() over (order by s.msg_id))::integer - 1, s.msg_id, false from sent as s order by s.msg_id'
    using batch.times, batch.messages, batch.headers;
    get diagnostics stored = row_count;
    perform pgmq_settings.check_stored(coalesce(cardinality(batch.messages), 0), stored);
    perform pgmq_settings.report_sent(table_name, settings, batch.times, batch.headers);
end;
$$;

COMMENT ON FUNCTION pgmq_api.send_entries(queue_name text, entries jsonb) IS 'Adds messages to a queue, all or none, and returns for each entry, counted from 0, the id of its message, and whether that is a duplicate: of an earlier message with its deduplication_id. entries: [{"message": …, "headers": {…}, "sleep_seconds": 5, "send_at": "…", "expires_at": "…", "expires_in": 60, "group_id": "…", "deduplication_id": "…"}]';

CREATE FUNCTION pgmq_api.settle(queue_name text, acks text[] DEFAULT '{}'::text[], archives text[] DEFAULT '{}'::text[], retries jsonb DEFAULT '[]'::jsonb, rejects jsonb DEFAULT '[]'::jsonb, extensions jsonb DEFAULT '[]'::jsonb, strict boolean DEFAULT false) RETURNS TABLE(receipt text, outcome text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    lists constant pgmq_settings.settlement[] := pgmq_settings.settlements(acks, archives, retries, rejects, extensions);
    list pgmq_settings.settlement;
    receipts text[] := '{}';
    outcomes text[] := '{}';
    operations text[] := '{}';
    seconds integer[] := '{}';
    reasons text[] := '{}';
    changed record;
    dead bigint[];
begin
    perform pgmq_settings.lock_groups_of_settlements(table_name, lists);
    if lists = '{}' then
        -- Nothing else raises for a queue that does not exist, or that the caller must not use.
        execute format('select from pgmq.%I limit 0', table_name);
    end if;
    foreach list in array lists loop
        receipts := receipts || list.receipts;
        if list.operation in ('ack', 'archive') then
            outcomes := outcomes || pgmq_settings.settle_list(table_name, list.operation, list.receipts);
        else
            operations := operations || array_fill(list.operation, array[cardinality(list.receipts)]);
            seconds := seconds || list.seconds;
            reasons := reasons || list.reasons;
        end if;
    end loop;
    if operations <> '{}' then
        changed := pgmq_settings.settle_changes(
            table_name, operations, receipts[cardinality(outcomes) + 1 :], seconds, reasons);
        outcomes := outcomes || changed.outcomes;
        dead := changed.dead;
    end if;
    if strict then
        perform pgmq_settings.check_settled(receipts, outcomes);
    end if;
    if dead is not null then
        perform pgmq_settings.bury(table_name, dead);
    end if;
    return query select r.receipt, r.outcome from unnest(receipts, outcomes) as r (receipt, outcome);
end;
$$;

COMMENT ON FUNCTION pgmq_api.settle(queue_name text, acks text[], archives text[], retries jsonb, rejects jsonb, extensions jsonb, strict boolean) IS 'Settles many messages that were read, and returns an outcome for each receipt, in order: acked, archived, retried, rejected, extended, stale or gone. retries: [{"receipt": …, "delay_seconds": 5, "reason": "…"}]; rejects: [{"receipt": …, "reason": "…"}]; extensions: [{"receipt": …, "sleep_seconds": 60}]; a string stands for an object with only a receipt. strict: nothing is done if any is stale or gone.';

CREATE FUNCTION pgmq_gateway.adopt_queue(queue_name text, queue_type text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    orphan record;
    present text;
begin
    perform pgmq_gateway.check_name(queue_name);
    select * into orphan from pgmq_gateway.orphans(array[queue_name]);
    present := case
        when orphan.is_partitioned then 'partitioned'
        when orphan.queue_table is null then coalesce(nullif(queue_type, 'partitioned'), 'basic')
        when orphan.is_unlogged then 'unlogged'
        else 'basic'
    end;
    if present <> queue_type then
        raise exception 'the tables of queue "%" are not of type %', queue_name, queue_type using
            errcode = 'duplicate_table', hint = format('Use type %s.', present);
    elsif orphan.obstacle is not null then
        raise exception 'no queue "%" can be made of its tables: %', queue_name, orphan.obstacle using
            errcode = 'duplicate_table', hint = 'Drop them with pgmq_admin.drop_queue().';
    end if;
    perform pgmq_gateway.check_foreign_code(array[orphan.queue_table, orphan.archive_table]);
    if present = 'partitioned' then
        insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values (adopt_queue.queue_name, true, false);
    else
        perform pgmq_gateway.create_tables(queue_name, queue_type);
    end if;
    perform pgmq_gateway.skip_used_ids(queue_name);
end;
$$;

CREATE FUNCTION pgmq_gateway.api_functions(operation text) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case operation
        when 'send' then array['send', 'send_batch', 'send_entries', 'replay']
        when 'read' then array['read', 'read_any', 'retry', 'reject', 'extend', 'settle', 'peek', 'metrics']
        when 'pop' then array['pop']
        when 'archive' then array['archive', 'archive_batch', 'settle']
        when 'delete' then array['delete', 'delete_batch', 'ack', 'settle', 'purge', 'redrive']
    end || array['queues'];
$$;

CREATE FUNCTION pgmq_gateway.api_helpers() RETURNS TABLE(oid oid)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select p.oid
    from pg_proc as p
    where p.pronamespace = to_regnamespace('pgmq_settings') and p.prorettype <> 'trigger'::regtype
      and not exists (
          select from unnest(array['anon', 'authenticated', 'service_role']) as r (name)
          where not has_function_privilege(r.name, p.oid, 'execute'));
$$;

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

CREATE FUNCTION pgmq_gateway.blocker(role oid, on_table regclass, forbidding name[], operation text, fails boolean, commands "char"[]) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select format(
        case
            when forbidding is null
            then 'No policy on %2$s allows %1$s %3$s, so %4$s: create one with pgmq_admin.create_policy().'
            else 'Policy %5$s on %2$s forbids %3$s, so %4$s: drop it or change it.'
        end,
        pg_get_userbyid(role), on_table,
        (
            select string_agg(w.word, ', ' order by w.word)
            from unnest(commands) as c (command)
            cross join lateral (select upper(pgmq_gateway.command_word(c.command))) as w (word)
        ),
        case
            when fails then operation || ' fails'
            when operation in ('archive', 'delete') then operation || ' returns false'
            else operation || ' returns nothing'
        end,
        array_to_string(forbidding, ', '));
$_$;

CREATE FUNCTION pgmq_gateway.call(role text, claims text, request text[], schemas text, settings text[], read_only boolean, prepare text, statement text, arguments text, parameters text[], singular boolean, max_affected bigint, row_offset bigint, queue_name text, relations oid[], functions text[], fingerprint text, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT returned bigint, OUT clean boolean, OUT wakeups text) RETURNS record
    LANGUAGE plpgsql
    AS $$
declare
    given constant pg_catalog.json := arguments::pg_catalog.json;
    plain pg_catalog.record;
    line pg_catalog.text;
    own_role pg_catalog.text;
begin
    if read_only then
        perform pg_catalog.set_config('transaction_read_only', 'on', true);
    end if;
    if settings is not null then
        for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
            perform pg_catalog.set_config(settings[place], settings[place + 1], true);
        end loop;
    end if;
    perform
        pg_catalog.set_config('search_path', schemas, true),
        pg_catalog.set_config('request.jwt.claims', claims, true),
        pg_catalog.set_config('request.method', request[1], true),
        pg_catalog.set_config('request.path', request[2], true),
        pg_catalog.set_config('request.headers', request[3], true),
        pg_catalog.set_config('request.cookies', request[4], true),
        pg_catalog.set_config('response.headers', '', true),
        pg_catalog.set_config('response.status', '', true),
        pg_catalog.set_config('pgmq_gateway.wakeups', '', true);
    if pg_catalog.strpos(statement, ' ') = 0 then
        plain := pgmq_gateway.plain_call(role, prepare, statement, given);
        row_count := plain.row_count;
        body := plain.body;
        if fingerprint is not null then
            -- The login role compares: the caller has no privilege on `fingerprint`. If the judgement no longer
            -- applies, a function of the caller may have run, and set another search_path, so operators are qualified.
            -- One comparison is enough, because this transaction keeps the locks on the tables that the call used.
            own_role := pg_catalog.set_config('role', 'none', true);
            clean := coalesce(
                pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.=) 'read committed'
                and (given operator(pg_catalog.->>) 'queue_name') operator(pg_catalog.=) queue_name
                and pgmq_gateway.fingerprint(relations, functions) operator(pg_catalog.=) fingerprint,
                false);
            if clean then
                -- Another caller's lastval() would return an id of this call.
                discard sequences;
            else
                -- Deferred triggers run in the caller's role.
                role := pg_catalog.set_config('role', role, true);
            end if;
        end if;
    else
        role := pg_catalog.set_config('role', role, true);
        if prepare is not null then
            execute prepare;
        end if;
        if pg_catalog.starts_with(statement, 'explain') then
            body := '';
            perform pg_catalog.set_config('pgmq_gateway.returned', '0', true);
            for line in execute statement using given, parameters loop
                body := body || line || E'\n';
            end loop;
            returned := pg_catalog.current_setting('pgmq_gateway.returned');
        else
            execute statement into total, row_count, body, returned using given, parameters;
        end if;
    end if;
    if singular and row_count <> 1 then
        raise sqlstate 'GW116' using message = row_count;
    elsif row_count > max_affected then
        raise sqlstate 'GW124' using message = row_count;
    elsif row_offset > total then
        raise sqlstate 'GW103' using message = total;
    end if;
    response_headers := pg_catalog.current_setting('response.headers', true);
    response_status := pg_catalog.current_setting('response.status', true);
    wakeups := pg_catalog.current_setting('pgmq_gateway.wakeups', true);
    -- With `error`, Postgres would not report that it stopped waiting for a synchronous standby at the commit.
    role := pg_catalog.set_config('client_min_messages', 'warning', true);
end;
$$;

CREATE FUNCTION pgmq_gateway.caller_roles() RETURNS TABLE(oid oid, role name)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select r.oid, r.rolname
    from pg_roles as r
    where exists (
        select from pgmq_gateway.request_roles() as q
        where pg_has_role(q.oid, r.oid, 'member') and not pg_has_role(q.oid, current_user, 'member'));
$$;

CREATE FUNCTION pgmq_gateway.calls(role text, claims text, settings text[], requests text[], schemas text, statements text[], arguments text[], queue_name text, relations oid[], functions text[], fingerprint text, fusion json, careful boolean, OUT row_count bigint, OUT body text, OUT failure text[], OUT seconds double precision, OUT wakeups text) RETURNS SETOF record
    LANGUAGE plpgsql
    AS $$
declare
    given constant pg_catalog.json[] := arguments;
    request pg_catalog.text[] := requests[:4];
    former pg_catalog.text[] := request;
    fused pg_catalog.record;
    row_counts bigint[];
    bodies pg_catalog.text[];
    plain pg_catalog.record;
    own_role pg_catalog.text;
    code pg_catalog.text;
    message pg_catalog.text;
    detail pg_catalog.text;
    hint pg_catalog.text;
    context pg_catalog.text;
begin
    -- With another isolation level, the last comparison would not see what was committed since the first one.
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed'
        or pgmq_gateway.fingerprint(relations, functions) is distinct from fingerprint
    then
        raise sqlstate 'GW130' using message = 'the calls can no longer share a transaction';
    end if;
    if exists (
        select from pg_catalog.unnest(given) as g (call)
        where g.call operator(pg_catalog.->>) 'queue_name' is distinct from calls.queue_name
    ) then
        raise sqlstate 'GW130' using message = 'the calls name several queues';
    end if;
    if settings is not null then
        for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
            perform pg_catalog.set_config(settings[place], settings[place + 1], true);
        end loop;
    end if;
    perform
        -- Each call keeps its locks until the last one has ended. So a call that waited for another transaction would
        -- block calls that need none of its locks, and could deadlock with that transaction.
        pg_catalog.set_config('lock_timeout', '50ms', true),
        pg_catalog.set_config('search_path', schemas, true),
        pg_catalog.set_config('request.jwt.claims', claims, true),
        pg_catalog.set_config('request.method', request[1], true),
        pg_catalog.set_config('request.path', request[2], true),
        pg_catalog.set_config('request.headers', request[3], true),
        pg_catalog.set_config('request.cookies', request[4], true),
        pg_catalog.set_config('response.headers', '', true),
        pg_catalog.set_config('response.status', '', true),
        pg_catalog.set_config('pgmq_gateway.wakeups', '', true);
    -- For two calls one statement is not faster.
    if not careful and fusion is not null and pg_catalog.cardinality(given) > 2
        -- Each request equals the one before it.
        and (not (fusion operator(pg_catalog.->>) 'reads_requests')::boolean
             or requests[5:] operator(pg_catalog.=) requests[:pg_catalog.cardinality(requests) - 4])
    then
        fused := pgmq_gateway.fused_calls(role, fusion, statements, given);
        bodies := fused.bodies;
        row_counts := fused.row_counts;
        wakeups := pg_catalog.current_setting('pgmq_gateway.wakeups', true);
        -- As below, a function may have set another search_path.
        seconds := extract(
            epoch from pg_catalog.clock_timestamp() operator(pg_catalog.-) pg_catalog.statement_timestamp());
        for n in 1 .. coalesce(pg_catalog.cardinality(bodies), 0) loop
            row_count := row_counts[n];
            body := bodies[n];
            return next;
            wakeups := null;
        end loop;
    end if;
    for n in coalesce(pg_catalog.cardinality(bodies), 0) operator(pg_catalog.+) 1 .. pg_catalog.cardinality(given) loop
        -- Policies may read them. Most calls of a group differ in their arguments only.
        request := requests[4 * n - 3 : 4 * n];
        if request operator(pg_catalog.<>) former then
            perform
                pg_catalog.set_config('request.method', request[1], true),
                pg_catalog.set_config('request.path', request[2], true),
                pg_catalog.set_config('request.headers', request[3], true),
                pg_catalog.set_config('request.cookies', request[4], true);
            former := request;
        end if;
        if careful then
            begin
                plain := pgmq_gateway.plain_call(role, null, statements[n], given[n]);
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
            plain := pgmq_gateway.plain_call(role, null, statements[n], given[n]);
        end if;
        if failure is null then
            row_count := plain.row_count;
            body := plain.body;
        else
            row_count := null;
            body := null;
        end if;
        -- The next call is run by the login role: the caller has no privilege on `plain_call`.
        own_role := pg_catalog.set_config('role', 'none', true);
        if pg_catalog.current_setting('search_path') operator(pg_catalog.<>) schemas then
            -- A function that the judgement does not know set it: from here on, operators could be its own.
            raise sqlstate 'GW130' using message = 'a call has changed the search_path';
        end if;
        wakeups := pg_catalog.current_setting('pgmq_gateway.wakeups', true);
        if wakeups operator(pg_catalog.<>) '' then
            perform pg_catalog.set_config('pgmq_gateway.wakeups', '', true);
        end if;
        if n = pg_catalog.cardinality(given) then
            seconds := extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp());
        end if;
        return next;
    end loop;
    if (pgmq_gateway.fingerprint(relations, functions) operator(pg_catalog.=) fingerprint) is not true then
        raise sqlstate 'GW130' using message = 'the calls can no longer share a transaction';
    end if;
    -- Another caller's lastval() would return an id of these calls.
    discard sequences;
    -- As in `call`.
    own_role := pg_catalog.set_config('client_min_messages', 'warning', true);
end;
$$;

CREATE PROCEDURE pgmq_gateway.calls_in_turn(IN role text, IN claims text[], IN settings text[], IN requests text[], IN schemas text, IN statements text[], IN arguments text[], IN queue_name text, IN relations oid[], IN functions text[], IN fingerprint text, INOUT row_counts bigint[], INOUT bodies text[], INOUT failures text[], INOUT seconds double precision, INOUT wakeups text[])
    LANGUAGE plpgsql
    AS $$
declare
    number constant pg_catalog.int4 := pg_catalog.cardinality(arguments);
    given pg_catalog.json;
    plain pg_catalog.record;
    failure pg_catalog.text;
    skipped pg_catalog.int4 := number + 1;
    own_role pg_catalog.text;
    unflushed pg_catalog.bool := false;
    size pg_catalog.int8 := 0;
    stale pg_catalog.bool;
    code pg_catalog.text;
    message pg_catalog.text;
    detail pg_catalog.text;
    hint pg_catalog.text;
    context pg_catalog.text;
begin
    -- With another isolation level, a comparison would not see what was committed since the transaction began.
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed'
        or pgmq_gateway.fingerprint(relations, functions) is distinct from fingerprint
    then
        raise sqlstate 'GW130' using message = 'the calls can no longer share a connection';
    end if;
    for n in 1 .. number loop
        if n < number then
            perform pg_catalog.set_config('synchronous_commit', 'off', true);
        end if;
        if settings is not null then
            for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
                perform pg_catalog.set_config(settings[place], settings[place + 1], true);
            end loop;
        end if;
        perform
            pg_catalog.set_config('lock_timeout', '50ms', true),
            pg_catalog.set_config('search_path', schemas, true),
            pg_catalog.set_config('request.jwt.claims', claims[n], true),
            pg_catalog.set_config('request.method', requests[4 * n - 3], true),
            pg_catalog.set_config('request.path', requests[4 * n - 2], true),
            pg_catalog.set_config('request.headers', requests[4 * n - 1], true),
            pg_catalog.set_config('request.cookies', requests[4 * n], true),
            pg_catalog.set_config('response.headers', '', true),
            pg_catalog.set_config('response.status', '', true),
            pg_catalog.set_config('pgmq_gateway.wakeups', '', true);
        begin
            given := arguments[n];
            if given operator(pg_catalog.->>) 'queue_name' is distinct from queue_name then
                raise sqlstate 'GW131' using message = 'the call names another queue';
            end if;
            plain := pgmq_gateway.plain_call(role, null, statements[n], given);
            row_counts[n] := plain.row_count;
            bodies[n] := plain.body;
            failure := null;
        -- Others do not include these two, after which the results of the earlier calls would be lost.
        exception when query_canceled or assert_failure or others then
            get stacked diagnostics
                code = returned_sqlstate,
                message = message_text,
                detail = pg_exception_detail,
                hint = pg_exception_hint,
                context = pg_exception_context;
            row_counts[n] := null;
            bodies[n] := null;
            failure := pg_catalog.json_build_array(code, message, detail, hint, context);
        end;
        failures[n] := failure;
        own_role := pg_catalog.set_config('role', 'none', true);
        wakeups[n] := pg_catalog.current_setting('pgmq_gateway.wakeups', true);
        stale := pgmq_gateway.fingerprint(relations, functions) operator(pg_catalog.<>) fingerprint;
        if stale is not false then
            rollback;
            skipped := n;
            code := 'GW130';
            exit;
        end if;
        -- Another caller's lastval() would return an id of this call.
        discard sequences;
        if n = number then
            seconds := extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp());
        end if;
        if n < number then
            unflushed := unflushed or pg_catalog.pg_current_xact_id_if_assigned() is not null;
        elsif unflushed then
            -- A transaction without WAL would not wait for that of the others; one that finds no row has an id, and none.
            perform pg_catalog.pg_logical_emit_message(true, 'pgmq_gateway', '');
            unflushed := false;
        end if;
        -- As in `call`.
        perform pg_catalog.set_config('client_min_messages', 'warning', true);
        commit;
        size := size + coalesce(pg_catalog.octet_length(bodies[n]), 0);
        if failure is not null and code in ('55P03', '57014') then
            skipped := n + 1;
            exit;
        elsif size > 16777216 then
            -- All results are returned in one row.
            skipped := n + 1;
            code := '55P03';
            exit;
        end if;
    end loop;
    for n in skipped .. number loop
        row_counts[n] := null;
        bodies[n] := null;
        wakeups[n] := null;
        failures[n] := pg_catalog.json_build_array(code, '', '', '', '');
    end loop;
    if unflushed then
        perform
            pg_catalog.pg_logical_emit_message(true, 'pgmq_gateway', ''),
            pg_catalog.set_config('client_min_messages', 'warning', true);
        commit;
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.can_switch_to(login name, role name) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select role not in ('authenticator', 'pgmq_definer')
        and pg_has_role(
            login, role,
            case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end);
$$;

CREATE FUNCTION pgmq_gateway.can_use_api(role oid, operation text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(bool_and(has_schema_privilege(role, n.nspname, 'usage')), false)
        and exists (
            select from pg_proc as p
            where p.pronamespace = to_regnamespace('pgmq_api') and p.proname = operation
              and has_function_privilege(role, p.oid, 'execute'))
        and coalesce(has_function_privilege(
            role, to_regprocedure('pgmq.format_table_name(text,text)')::oid, 'execute'), false)
        and not exists (select from pgmq_gateway.missing_helpers(role))
    from unnest(array['pgmq', 'pgmq_api', 'pgmq_settings']) as required (name)
    left join pg_namespace as n on n.nspname = required.name;
$$;

CREATE FUNCTION pgmq_gateway.change_messages(queue_name text, action text, filter jsonb, expected bigint DEFAULT NULL::bigint, visible_at timestamp with time zone DEFAULT NULL::timestamp with time zone, to_queue text DEFAULT NULL::text, OUT matched bigint, OUT msg_ids bigint[], OUT new_msg_ids bigint[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    condition text := pgmq_settings.filter_condition(filter);
    source constant text := pgmq_gateway.source_table(queue_name, filter);
    present constant timestamptz := clock_timestamp();
    locked bigint[];
begin
    if action not in ('postpone', 'make_visible') then
        locked := pgmq_gateway.lock_groups_of_matching(
            source, pgmq.format_table_name(to_queue, 'q'), filter, present);
    end if;
    if locked is not null then
        condition := condition || ' and q.msg_id = any ($5)';
    end if;
    execute format(
        $query$
        with selected as materialized (
            select q.msg_id from pgmq.%1$I as q where %2$s order by q.msg_id for update
        ), counted as materialized (
            select count(*) as matched from selected
        ), allowed as (
            select selected.msg_id from selected, counted where $3 is null or $3 = counted.matched
        ), %3$s
        select
            (select c.matched from counted as c),
            coalesce(array_agg(c.msg_id order by c.msg_id), '{}'),
            coalesce(array_agg(c.new_msg_id order by c.msg_id), '{}')
        from changed as c
        $query$,
        source,
        condition,
        pgmq_gateway.change_part(action, queue_name, source, to_queue)
    ) into matched, msg_ids, new_msg_ids using filter, present, expected, visible_at, locked;
    if action = 'make_visible' then
        perform pgmq_gateway.check_not_parked(source, msg_ids);
    end if;
    if action in ('postpone', 'make_visible', 'move', 'requeue') and msg_ids <> '{}' then
        perform pgmq_settings.report_visible(
            coalesce(pgmq.format_table_name(to_queue, 'q'), source), cardinality(msg_ids), visible_at);
    end if;
    perform pgmq_settings.record_action(
        queue_name,
        action || case when action = 'delete' and pgmq_settings.is_about_archive(filter) then '_archived' else '' end,
        cardinality(msg_ids)::bigint);
exception
    when unique_violation then
        if action <> 'archive' then
            raise;
        end if;
        raise exception 'the archive of queue "%" already has messages with the same ids', queue_name using
            errcode = 'unique_violation',
            detail = 'An unlogged queue starts with id 1 again after a crash.',
            hint = 'Delete them from the archive, or requeue them, then archive again.';
end;
$_$;

CREATE FUNCTION pgmq_gateway.change_part(action text, queue_name text, source text, to_queue text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select case action
        when 'postpone' then format(
            'changed as ('
                'update pgmq.%I as q set vt = $4 from allowed where q.msg_id = allowed.msg_id '
                'returning q.msg_id, q.msg_id as new_msg_id)', source)
        when 'make_visible' then format(
            'changed as ('
                'update pgmq.%I as q set vt = least(q.vt, $2) from allowed where q.msg_id = allowed.msg_id '
                'returning q.msg_id, q.msg_id as new_msg_id)', source)
        when 'delete' then format(
            'changed as ('
                'delete from pgmq.%I as q using allowed where q.msg_id = allowed.msg_id '
                'returning q.msg_id, q.msg_id as new_msg_id)', source)
        when 'archive' then pgmq_gateway.transfer_part(action, source, pgmq_gateway.message_table(queue_name, 'a'))
        else pgmq_gateway.transfer_part(action, source, pgmq_gateway.message_table(to_queue, 'q'))
    end;
$_$;

CREATE FUNCTION pgmq_gateway.check_caller(role name, claims jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_gateway.check_request_role(session_user, role);
    if jsonb_typeof(claims) is distinct from 'object' then
        raise exception 'claims must be a JSON object' using
            errcode = 'invalid_parameter_value', hint = 'For example: {"sub": "1234"}';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_dropped(code text, message text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if code = 'XX000' and message !~ '^(could not open relation|cache lookup failed)' then
        raise exception '%', message using errcode = code;
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_foreign_code(tables regclass[], truncating boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    mode constant text := case when truncating then 'share update exclusive' else 'row exclusive' end;
    reached oid[] := '{}';
    remaining oid[] := array_remove(tables, null);
    relation regclass;
    trigger record;
begin
    while remaining <> '{}' loop
        foreach relation in array remaining loop
            -- A role other than the owner can write a table that references this one without a privilege on it.
            if has_table_privilege(relation, 'UPDATE, DELETE, TRUNCATE') then
                execute format('lock table %s in %s mode', relation, mode);
            end if;
        end loop;
        reached := reached || remaining;
        select coalesce(array_agg(distinct n.oid), '{}') into remaining
        from (
            select i.inhrelid from pg_inherits as i where i.inhparent = any (reached)
            union all
            select c.conrelid from pg_constraint as c where c.contype = 'f' and c.confrelid = any (reached)
        ) as n (oid)
        where n.oid <> all (reached);
    end loop;
    perform pgmq_gateway.check_owners(reached);
    select t.* into trigger
    from pgmq_gateway.foreign_triggers(reached) as t
    where t.truncate = truncating
    limit 1;
    if found then
        raise exception 'trigger "%" on % %', trigger.trigger_name, trigger.on_table,
            coalesce('runs a function of role ' || trigger.owner, 'has a WHEN condition')
            using
                errcode = 'insufficient_privilege',
                detail = format('It would run with the privileges of %s.', quote_ident(current_user)),
                hint = format(
                    'Find out who created it, then run: drop trigger %I on %s;',
                    trigger.trigger_name, trigger.on_table);
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_history(queue_name text, since timestamp with time zone, buckets integer) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    max_buckets constant integer := 2000;
begin
    if queue_name is not null then
        perform pgmq_gateway.check_queue_exists(queue_name);
    end if;
    if buckets is null or buckets not between 1 and max_buckets then
        raise exception 'buckets is %, but must be between 1 and %', coalesce(buckets::text, 'null'), max_buckets using
            errcode = 'invalid_parameter_value',
            hint = 'It is the number of points in time to return: 120 for example.';
    elsif since is null or since >= clock_timestamp() or since < clock_timestamp() - interval '10 years' then
        raise exception 'since is %, but must be a time in the last ten years', coalesce(since::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'It is the time that the history starts at.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_move(queue_name text, to_queue text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if to_queue is null then
        raise exception 'to_queue must not be null' using
            errcode = 'invalid_parameter_value', hint = 'It is the name of the queue that the messages are moved to.';
    elsif pgmq_gateway.message_table(queue_name, 'q') = pgmq_gateway.message_table(to_queue, 'q') then
        raise exception 'messages cannot be moved from queue "%" to itself', queue_name using
            errcode = 'invalid_parameter_value',
            hint = 'Use another to_queue; requeue() returns archived messages to their own queue.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_name(queue_name text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if not pgmq_gateway.is_allowed_name(queue_name) then
        raise exception 'queue name "%" is not allowed', queue_name using
            errcode = 'invalid_name',
            hint = 'Use 1 to 47 characters of a-z, 0-9, _ and -, without two - in a row.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_new_name(queue_name text, queue_type text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    perform pgmq_gateway.check_name(queue_name);
    if exists (select from pgmq_gateway.orphans(array[queue_name])) then
        raise exception 'tables of a queue "%" exist that pgmq.meta does not list', queue_name using
            errcode = 'duplicate_table',
            hint = 'Make a queue of them with adopt (pgmq-gateway queue create --adopt), or drop them with '
                'pgmq_admin.drop_queue().';
    end if;
    if exists (
        select from pg_catalog.pg_class
        where relnamespace = 'pgmq'::regnamespace and (
            relname in ('q_' || queue_name, 'a_' || queue_name, 'q_' || queue_name || '_vt_idx')
            -- A partition of the new queue would have the name of an existing table.
            or queue_type = 'partitioned' and starts_with(relname, 'q_' || queue_name || '_')
                and substr(relname, length(queue_name) + 4) ~ '^(default|p[0-9_]+)$'
        )
    ) or exists (
        -- A future partition of an existing queue would have the name of the new table.
        select from pgmq.meta as m
        where m.is_partitioned and starts_with(check_new_name.queue_name, m.queue_name || '_')
          and substr(check_new_name.queue_name, length(m.queue_name) + 2) ~ '^(default|p[0-9_]+)$'
    ) then
        raise exception 'queue "%" would share a table or an index with another one', queue_name
            using errcode = 'duplicate_table', hint = 'Use another name.';
    end if;
end;
$_$;

CREATE FUNCTION pgmq_gateway.check_not_parked(queue_table text, msg_ids bigint[]) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    parked bigint;
begin
    execute format(
        'select count(*) from pgmq.%I as q where q.msg_id = any ($1) and %s',
        queue_table, pgmq_settings.state_condition('parked', '$2'))
    into parked using msg_ids, clock_timestamp();
    if parked > 0 then
        -- HTTP status 409.
        raise exception '% of % messages are parked: their groups have as many messages as group_limit allows',
            parked, cardinality(msg_ids)
            using errcode = 'PT409', hint = 'Settle or delete the messages before them, or raise group_limit.';
    end if;
end;
$_$;

CREATE FUNCTION pgmq_gateway.check_operations(operations text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    unknown text;
begin
    select o into unknown
    from unnest(operations) as o
    where o is null or o not in (select operation from pgmq_gateway.operation_privileges());
    if found or coalesce(cardinality(operations), 0) = 0 then
        raise exception 'operation "%" is unknown', coalesce(unknown, '') using
            errcode = 'invalid_parameter_value',
            hint = 'Use send, read, pop, archive or delete.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_owners(tables oid[]) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    pgmq_schema constant oid := to_regnamespace('pgmq');
    owned record;
    what text;
begin
    select o.* into owned
    from (
        select c.oid, c.relowner as owner, true as is_table from pg_class as c where c.oid = any (tables)
        union all
        select p.oid, p.proowner, false from pg_proc as p
        where p.pronamespace = pgmq_schema
           or p.oid in (select t.function from pgmq_gateway.table_functions(tables) as t)
    ) as o
    join pgmq_gateway.caller_roles() as r on r.oid = o.owner
    limit 1;
    if found then
        what := case
            when owned.is_table then 'table ' || owned.oid::regclass
            else 'function ' || owned.oid::regprocedure
        end;
        raise exception '% is owned by role %, which requests can run as', what, owned.owner::regrole using
            errcode = 'insufficient_privilege',
            detail = format('Code of that role would run with the privileges of %s.', quote_ident(current_user)),
            hint = format('Check it, then run: alter %s owner to %I;', what, current_user);
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_page(filter jsonb, sort text, after jsonb, before jsonb, max_rows integer) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if sort is null or sort not in ('msg_id', 'enqueued_at', 'read_ct', 'vt', 'archived_at') then
        raise exception 'sort "%" is unknown', sort using
            errcode = 'invalid_parameter_value',
            hint = 'Use msg_id, enqueued_at, read_ct, vt, or archived_at in the archive.';
    elsif sort = 'archived_at' and not pgmq_settings.is_about_archive(filter) then
        raise exception 'only archived messages can be sorted by archived_at' using
            errcode = 'invalid_parameter_value', hint = 'Add "state": "archived" to the filter.';
    elsif max_rows is null or max_rows not between 1 and 1000 then
        raise exception 'max_rows is %, but must be between 1 and 1000', coalesce(max_rows::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Use after and before for further pages.';
    elsif after is not null and before is not null then
        raise exception 'after and before exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Leave one of them out.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_partitioning(partition_interval text, retention_interval text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    max_partitions constant integer := 1000;
    partitions numeric;
begin
    if partition_interval ~ '^[0-9]{1,9}$' and retention_interval ~ '^[0-9]{1,18}$' then
        partitions := retention_interval::numeric / greatest(partition_interval::numeric, 0.001);
        if partition_interval::integer < 10 then
            raise exception 'partition_interval "%" is too small', partition_interval using
                errcode = 'invalid_parameter_value', hint = 'Use 10 messages or more.';
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
            raise exception 'partition_interval "%" and retention_interval "%" are not of one kind',
                partition_interval, retention_interval using
                errcode = 'invalid_parameter_value',
                hint = 'Use numbers of messages for both ("10000", "100000"), or times for both ("1 day", "7 days").';
        end if;
        if partition_interval::interval < '1 minute' then
            raise exception 'partition_interval "%" is too short', partition_interval using
                errcode = 'invalid_parameter_value', hint = 'Use one minute or more.';
        end if;
    end if;
    if partitions < 1 or partitions > max_partitions then
        raise exception 'a retention of % in partitions of % makes % partitions',
            retention_interval, partition_interval, trunc(partitions, 1) using
            errcode = 'invalid_parameter_value',
            hint = format('Use intervals that make 1 to %s.', max_partitions);
    end if;
end;
$_$;

CREATE FUNCTION pgmq_gateway.check_queue_exists(queue_name text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if not exists (select from pgmq.meta as m where m.queue_name = check_queue_exists.queue_name) then
        raise exception 'queue "%" does not exist', queue_name using
            errcode = 'undefined_table',
            hint = 'pgmq_admin.list_queues() lists all queues.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_request_role(login name, role name) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    if to_regrole(quote_ident(role)) is null then
        raise exception 'role "%" does not exist', role using
            errcode = 'undefined_object',
            hint = format(
                'Create it with: create role %1$I nologin noinherit; grant %1$I to authenticator;',
                coalesce(role, 'x'));
    elsif not pgmq_gateway.can_switch_to(login, role) then
        raise exception 'role "%" is not a role that requests can run as', role using
            errcode = 'insufficient_privilege',
            hint = format('To make it one, run as the owner of the database: grant %I to authenticator;', role);
    end if;
end;
$_$;

CREATE FUNCTION pgmq_gateway.check_role(role name) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    by_owner constant boolean := pg_has_role(session_user, current_user, 'usage');
begin
    if not by_owner or to_regrole(quote_ident(role)) is null then
        perform pgmq_gateway.check_request_role('authenticator', role);
    end if;
    if not by_owner and exists (
        select from pg_roles as r
        where r.rolname = role and (r.rolsuper or r.rolbypassrls and r.rolname <> 'service_role')
    ) then
        raise exception 'role "%" bypasses row-level security', role using
            errcode = 'insufficient_privilege',
            hint = 'Only the owner of the database can grant privileges to such a role or revoke them.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.check_template(template text, queue_table regclass, role name, INOUT claim text, INOUT member text, INOUT operations text[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    id constant oid := to_regrole(quote_ident(role));
    takes jsonb;
    allowed text[];
begin
    select t.parameters, t.operations into takes, allowed
    from pgmq_admin.policy_templates() as t where t.template = check_template.template;
    if takes is null then
        raise exception 'template "%" is unknown', coalesce(template, '') using
            errcode = 'invalid_parameter_value',
            hint = 'Use own_messages, tenant, consumer or producer.';
    elsif takes = '[]' and (claim is not null or member is not null) then
        raise exception 'template "%" takes neither claim nor member', template using
            errcode = 'invalid_parameter_value',
            hint = 'Leave them out, or use own_messages or tenant.';
    end if;
    claim := coalesce(claim, jsonb_path_query_first(takes, '$[*] ? (@.name == "claim").default') #>> '{}');
    member := coalesce(member, jsonb_path_query_first(takes, '$[*] ? (@.name == "member").default') #>> '{}');
    if '' in (claim, member) then
        raise exception 'claim and member must not be empty' using
            errcode = 'invalid_parameter_value', hint = 'Leave them out for the defaults.';
    elsif claim ~ '^(user|raw_user_meta)_?(meta)?data(\.|$)' then
        raise exception 'claim "%" cannot be trusted', claim using
            errcode = 'invalid_parameter_value',
            detail = 'Users can change their own user_metadata.',
            hint = 'Use sub, or a claim inside app_metadata.';
    elsif not pgmq_gateway.policies_apply(queue_table, id) then
        raise exception 'a policy on % would not apply to role "%"', queue_table, role using
            errcode = 'invalid_parameter_value',
            hint = case
                when (select relrowsecurity from pg_class where oid = queue_table)
                then 'The role bypasses row-level security: use another one.'
                else 'Turn row-level security on first: pgmq_admin.set_rls(queue_name, true).'
            end;
    elsif template = 'producer' and (
        has_column_privilege(id, queue_table, 'message', 'SELECT')
        or has_column_privilege(id, queue_table, 'headers', 'SELECT')
    ) then
        raise exception 'role "%" can read messages of %, so it cannot be a producer', role, queue_table using
            errcode = 'invalid_parameter_value',
            hint = 'Revoke its operations first with pgmq_admin.revoke_queue(), or use own_messages.';
    end if;
    operations := coalesce(operations, allowed);
    perform pgmq_gateway.check_operations(operations);
    if not operations <@ allowed then
        raise exception 'template "%" does not allow all of these operations: %',
            template, array_to_string(operations, ', ')
        using
            errcode = 'invalid_parameter_value', hint = format('It allows %s.', array_to_string(allowed, ', '));
    end if;
end;
$_$;

CREATE FUNCTION pgmq_gateway.claim_key(key_id bytea, key_lock bigint, fingerprint bytea, max_wait text, OUT known boolean, OUT total bigint, OUT row_count bigint, OUT response_status text, OUT response_headers text, OUT body text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
declare
    former_wait constant text := current_setting('lock_timeout');
    stored pgmq_gateway.idempotency_keys;
begin
    if not pg_try_advisory_xact_lock(key_lock) then
        begin
            perform set_config('lock_timeout', max_wait, true);
            perform pg_advisory_xact_lock(key_lock);
            perform set_config('lock_timeout', former_wait, true);
        exception when lock_not_available then
            -- Of all 409 only this one can be repeated: a function can raise PT409 for any other reason.
            raise sqlstate 'PGRST' using
                message = json_build_object(
                    'code', 'PGMQ001',
                    'message', 'A request with this Idempotency-Key is still running',
                    'hint', 'Repeat the request after a second with the same key.'),
                detail = json_build_object('status', 409, 'headers', json_build_object('Retry-After', '1'));
        end;
    end if;
    -- A statement of its own, because it needs a snapshot taken after the wait.
    select k.* into stored from pgmq_gateway.idempotency_keys as k where k.id = key_id;
    known := coalesce(stored.expires_at > now(), false);
    if not known then
        return;
    elsif stored.fingerprint <> fingerprint then
        raise sqlstate 'PT422' using
            message = 'This Idempotency-Key was used for another request',
            hint = 'Use a new key for each request; repeat a key only with the same request.';
    end if;
    if current_setting('synchronous_standby_names') <> '' then
        -- The wait of the first call for a standby may have been interrupted. A row lock is written to the WAL, so this
        -- transaction waits for all WAL before it.
        perform from pgmq_gateway.idempotency_keys as k where k.id = key_id for no key update;
    end if;
    total := stored.total;
    row_count := stored.row_count;
    response_status := stored.response_status;
    response_headers := stored.response_headers;
    body := stored.body;
end;
$$;

CREATE FUNCTION pgmq_gateway.clean_session() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    left_behind name;
begin
    perform pg_advisory_unlock_all();
    for left_behind in select s.name from pg_prepared_statements as s where s.from_sql loop
        execute format('deallocate %I', left_behind);
    end loop;
    perform setseed(('x' || left(gen_random_uuid()::text, 8))::bit(32)::integer / 2147483648.0);
end;
$$;

CREATE FUNCTION pgmq_gateway.command_word(command "char") RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case command
        when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all'
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
    when undefined_table or syntax_error or internal_error then
        perform pgmq_gateway.check_dropped(sqlstate, sqlerrm);
        return null;
end;
$$;

CREATE FUNCTION pgmq_gateway.count_hidden(queue_table regclass, present timestamp with time zone, max_messages bigint, OUT hidden bigint, OUT delayed bigint, OUT parked bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    execute format(
        'select count(*), count(*) filter (where %s), count(*) filter (where %s)'
        ' from (select q.vt, q.read_ct from %s as q where not %s order by q.vt desc limit $2) as q',
        pgmq_settings.state_condition('delayed', '$1'), pgmq_settings.state_condition('parked', '$1'), queue_table,
        pgmq_settings.state_condition('visible', '$1')
    ) into hidden, delayed, parked using present, max_messages;
end;
$_$;

CREATE FUNCTION pgmq_gateway.count_long_queue(queue_table regclass, pages bigint, few_pages bigint, live_tuples bigint, dead_tuples bigint, present timestamp with time zone, OUT messages bigint, OUT exact boolean, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT oldest timestamp with time zone, OUT newest timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_sort TO 'off'
    AS $$
declare
    few_messages constant bigint := 1000;
    indexed constant name[] := pgmq_gateway.usable_indexes(queue_table, dead_tuples);
begin
    exact := false;
    if 'vt' = any (indexed) then
        select c.* into messages, visible, delayed, in_flight, parked, oldest, newest
        from pgmq_gateway.count_rows(
            format('(select * from %s order by vt limit %s)', queue_table, few_messages + 1), present) as c;
        exact := messages <= few_messages;
        if exact then
            return;
        end if;
    end if;
    select a.* into oldest, newest from pgmq_gateway.queue_ages(queue_table, indexed) as a;
    select e.* into messages, visible, delayed, in_flight, parked
    from pgmq_gateway.estimate_messages(
        queue_table, present, least(100.0 * few_pages / pages, 100)::real, live_tuples, few_messages, messages, visible
    ) as e;
end;
$$;

CREATE FUNCTION pgmq_gateway.count_messages(queue_table regclass, pages bigint, live_tuples bigint, dead_tuples bigint, OUT messages bigint, OUT exact boolean, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT oldest timestamp with time zone, OUT newest timestamp with time zone, OUT sent bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    few_pages constant bigint := 60;
    present constant timestamptz := clock_timestamp();
begin
    if pages = 0 then
        select 0, 0, 0, 0, 0, true into messages, visible, delayed, in_flight, parked, exact;
    elsif pages <= few_pages then
        select c.*, true into messages, visible, delayed, in_flight, parked, oldest, newest, exact
        from pgmq_gateway.count_rows(queue_table::text, present) as c;
    elsif pages > few_pages then
        select c.* into messages, exact, visible, delayed, in_flight, parked, oldest, newest
        from pgmq_gateway.count_long_queue(queue_table, pages, few_pages, live_tuples, dead_tuples, present) as c;
    end if;
    -- After the table and before the archive: drop_queue locks them in this order, and reading the sequence locks it
    -- until the end of the transaction.
    sent := pgmq_gateway.count_sent(queue_table);
exception
    when undefined_table or syntax_error or internal_error then
        perform pgmq_gateway.check_dropped(sqlstate, sqlerrm);
        exact := false;
end;
$$;

CREATE FUNCTION pgmq_gateway.count_rows(source text, present timestamp with time zone, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT oldest timestamp with time zone, OUT newest timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    execute format(
        'select count(*), %s, min(q.enqueued_at), max(q.enqueued_at) from %s as q',
        pgmq_settings.state_counts('$1'), source
    ) into messages, visible, delayed, in_flight, parked, oldest, newest using present;
end;
$_$;

CREATE FUNCTION pgmq_gateway.count_sent(queue_table regclass) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case when has_sequence_privilege(s.oid, 'USAGE, SELECT') then coalesce(pg_sequence_last_value(s.oid), 0) end
    from pg_depend as d
    join pg_class as s on s.oid = d.objid and s.relkind = 'S'
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
      and d.refobjid = queue_table and d.deptype = 'i';
$$;

CREATE FUNCTION pgmq_gateway.create_partitioned(queue_name text, partition_interval text, retention_interval text, rls boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    partman constant text := pgmq_gateway.partman_schema();
    template text;
    leaf regclass;
begin
    if partman is null then
        raise exception 'partitioned queues need the extension pg_partman, which this database does not have' using
            errcode = 'feature_not_supported',
            hint = case
                when exists (select from pg_catalog.pg_available_extensions where name = 'pg_partman')
                    then 'As a superuser run "create schema partman; create extension pg_partman schema partman".'
                else 'Install it on the server (Debian: postgresql-NN-partman), or use type basic.'
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

CREATE FUNCTION pgmq_gateway.create_policy_probe(queue_table regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    execute replace(
        replace(
            pg_get_functiondef('pgmq_gateway.probe_policy'::regproc), 'FUNCTION pgmq_gateway.probe_policy(',
            format('FUNCTION pg_temp.probe_policy_%s(', queue_table::oid)),
        'execute test into sees using asked;',
        format(
            'sees := exists (select from %s as q where q.msg_id operator(pg_catalog.=) any (asked));', queue_table));
end;
$$;

CREATE FUNCTION pgmq_gateway.create_service_policies(queue_name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    missing record;
begin
    for missing in
        select p.statement from pgmq_gateway.missing_service_policies(queue_name) as p where p.statement is not null
    loop
        execute missing.statement;
    end loop;
end;
$$;

CREATE FUNCTION pgmq_gateway.create_tables(queue_name text, queue_type text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if queue_type = 'unlogged' then
        perform pgmq.create_unlogged(queue_name);
    else
        perform pgmq.create_non_partitioned(queue_name);
    end if;
    execute format('alter table pgmq.%I set (%s)', 'q_' || queue_name, pgmq_gateway.queue_storage());
end;
$$;

CREATE FUNCTION pgmq_gateway.create_viewer() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if to_regrole('queue_viewer') is null then
        begin
            create role queue_viewer nologin noinherit;
            -- That of authenticated: anyone who has the key can count long queues.
            alter role queue_viewer set statement_timeout = '8s';
        exception
            -- The installer of another database may have created it meanwhile.
            when duplicate_object or unique_violation then null;
        end;
    elsif exists (
        select from pg_roles as r where r.rolname = 'queue_viewer' and (r.rolsuper or r.rolbypassrls or r.rolcreaterole)
    ) or exists (select from pg_auth_members as m where m.member = to_regrole('queue_viewer')) then
        raise exception 'role queue_viewer has privileges from an attribute or another role' using
            errcode = 'invalid_grant_operation',
            hint = 'Run "alter role queue_viewer nosuperuser nobypassrls nocreaterole", and revoke its roles; see \drg.';
    end if;
    if not pg_has_role('authenticator', 'queue_viewer', 'member') then
        grant queue_viewer to authenticator;
    end if;
    grant usage on schema pgmq_admin to queue_viewer;
exception
    when insufficient_privilege then
        raise exception 'role % has no permission to create role queue_viewer', current_user using
            errcode = 'insufficient_privilege',
            hint = 'As a superuser run "create role queue_viewer nologin noinherit; grant queue_viewer to authenticator", '
                'then install again.';
end;
$$;

CREATE FUNCTION pgmq_gateway.database_metrics(OUT oldest_transaction_seconds double precision, OUT oldest_xmin_transactions bigint, OUT is_standby boolean, OUT standbys bigint, OUT synchronous_standbys bigint, OUT lag_bytes bigint, OUT maintenance_runs bigint, OUT maintenance_seconds double precision) RETURNS record
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        coalesce(extract(epoch from clock_timestamp() - least(
            (select min(xact_start) from pg_catalog.pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()),
            (select min(prepared) from pg_catalog.pg_prepared_xacts where database = current_database())
        )), 0)::double precision,
        coalesce(greatest(
            (select max(age(backend_xmin)) from pg_catalog.pg_stat_activity
                where (datname = current_database() or datname is null) and pid <> pg_backend_pid()),
            (select max(age(transaction)) from pg_catalog.pg_prepared_xacts where database = current_database()),
            (select max(age(xmin)) from pg_catalog.pg_replication_slots)
        ), 0)::bigint,
        pg_is_in_recovery(),
        count(*),
        count(*) filter (where r.sync_state in ('sync', 'quorum')),
        max(case when not pg_is_in_recovery() then pg_wal_lsn_diff(pg_current_wal_lsn(), r.flush_lsn) end)::bigint,
        coalesce((select m.runs from pgmq_gateway.maintenance as m), 0),
        coalesce((select m.seconds from pgmq_gateway.maintenance as m), 0)
    from pg_catalog.pg_stat_replication as r;
$$;

CREATE FUNCTION pgmq_gateway.default_privileges_option(OUT name text, OUT value text) RETURNS record
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select 'default privileges of ' || current_user, format('schema %s of database %s', n.oid, d.oid)
    from pg_namespace as n, pg_database as d
    where n.nspname = 'pgmq' and d.datname = current_database();
$$;

CREATE FUNCTION pgmq_gateway.delete_expired_ids(max_ids integer DEFAULT 5000) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    deleted integer;
begin
    if not exists (select from pgmq_settings.deduplication_ids as d where d.expires_at <= clock_timestamp()) then
        return 0;
    end if;
    perform pgmq_gateway.check_foreign_code(array['pgmq_settings.deduplication_ids'::regclass]);
    delete from pgmq_settings.deduplication_ids as d
    where (d.queue_table, d.caller, d.deduplication_id) in (
        select e.queue_table, e.caller, e.deduplication_id from pgmq_settings.deduplication_ids as e
        where e.expires_at <= clock_timestamp()
        order by e.expires_at
        limit max_ids
        for update skip locked
    );
    get diagnostics deleted = row_count;
    return deleted;
end;
$$;

CREATE FUNCTION pgmq_gateway.delete_old_actions(max_actions integer DEFAULT 5000) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    oldest constant timestamptz := clock_timestamp() - interval '90 days';
    deleted integer;
begin
    if not exists (select from pgmq_gateway.actions as a where a.at < oldest) then
        return 0;
    end if;
    perform pgmq_gateway.check_foreign_code(array['pgmq_gateway.actions'::regclass]);
    delete from pgmq_gateway.actions as a
    where a.id in (
        select o.id from pgmq_gateway.actions as o
        where o.at < oldest order by o.at limit max_actions for update skip locked
    );
    get diagnostics deleted = row_count;
    return deleted;
end;
$$;

CREATE FUNCTION pgmq_gateway.distinguishes_calls(code text, tables oid[], per_row boolean) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(
        code ~ format(':relid (?:%s) ', array_to_string(tables, '|'))
        or pgmq_gateway.reads_other_settings(code, array['request.', 'app.'])
        or code ~ '\{TABLESAMPLECLAUSE '
        or not per_row and (
            code ~* 'random|uuidv'
            or code ~ format(
                ':funcid (?:%s) ',
                (select string_agg(p.oid::text, '|') from pg_proc as p
                where p.pronamespace = 'pg_catalog'::regnamespace and p.proname ~ 'random|^uuidv'))),
        false);
$$;

CREATE FUNCTION pgmq_gateway.drop_policy_of(queue_name text, policy_name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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
            errcode = 'undefined_object', hint = 'pgmq_admin.list_policies() lists its policies.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.drop_remains(queue_name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    remaining regclass;
begin
    delete from pgmq.meta as m where m.queue_name = drop_remains.queue_name;
    perform pgmq_settings.drop_group_functions(lower('q_' || queue_name));
    for remaining in
        select t.relation
        from pgmq_gateway.orphans(array[lower(queue_name)]) as o
        cross join unnest(array[o.queue_table, o.archive_table]) as t (relation)
        where t.relation is not null
    loop
        -- Before pgmq 1.6 the tables of queues are members of the extension.
        if exists (
            select from pg_depend as d
            where d.classid = 'pg_class'::regclass and d.objid = remaining and d.deptype = 'e'
        ) then
            execute format('alter extension pgmq drop table %s', remaining);
        end if;
        execute format('drop table %s', remaining);
    end loop;
    if pgmq_gateway.partman_config() is not null then
        execute format('delete from %s where parent_table = any ($1)', pgmq_gateway.partman_config())
            using array['pgmq.' || lower('q_' || queue_name), 'pgmq.' || lower('a_' || queue_name)];
    end if;
end;
$_$;

CREATE FUNCTION pgmq_gateway.drop_templates(queue_name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    partman constant text := pgmq_gateway.partman_schema();
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

CREATE FUNCTION pgmq_gateway.estimate_messages(queue_table regclass, present timestamp with time zone, sampled_percent real, live_tuples bigint, few_messages bigint, first_messages bigint, first_visible bigint, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    hidden bigint;
    estimate record;
begin
    if first_messages is not null then
        select c.* into hidden, delayed, parked
        from pgmq_gateway.count_hidden(queue_table, present, few_messages + 1) as c;
    end if;
    select s.* into estimate from pgmq_gateway.sample_messages(queue_table, present, sampled_percent) as s;
    -- Statistics lag behind: of a queue that has just been filled they know nothing.
    messages := greatest(
        case when live_tuples > few_messages then live_tuples else estimate.messages end, first_messages);
    if hidden <= few_messages then
        visible := messages - hidden;
        in_flight := hidden - delayed - parked;
        return;
    end if;
    -- The visible messages are the first ones in the order of vt: fewer than were counted there are all of them.
    visible := case
        when first_visible <= few_messages then first_visible
        else round(messages * estimate.visible_share)
    end;
    delayed := round((messages - visible) * estimate.delayed_share);
    parked := round((messages - visible) * estimate.parked_share);
    in_flight := greatest(messages - visible - delayed - parked, 0);
end;
$$;

CREATE FUNCTION pgmq_gateway.excess_privileges() RETURNS TABLE(place text, on_table regclass, grantor name, grantee name, privileges text, revocation text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with granted as (
        select c.oid as relation, c.relowner as owner, a.grantor, a.grantee, a.privilege_type as privilege
        from pg_class as c
        cross join lateral (
            select c.relacl as acl
            union all
            select t.attacl from pg_attribute as t where t.attrelid = c.oid and t.attacl is not null
        ) as p
        cross join aclexplode(p.acl) as a
        where c.relnamespace in (
              to_regnamespace('pgmq'), to_regnamespace('pgmq_gateway'), to_regnamespace('pgmq_settings'))
          and c.relkind in ('r', 'p', 'f', 'v', 'm')
        union all
        select null, d.defaclrole, a.grantor, a.grantee, a.privilege_type
        from pg_default_acl as d, aclexplode(d.defaclacl) as a
        where d.defaclnamespace = to_regnamespace('pgmq') and d.defaclobjtype = 'r'
    ), excess as (
        select
            g.relation, g.grantor, coalesce(r.role, 'public') as role,
            case g.grantee when 0 then 'public' else quote_ident(r.role) end as quoted,
            g.grantor = g.owner and pg_has_role(g.owner, 'usage') as revocable,
            string_agg(distinct g.privilege, ', ' order by g.privilege) as privileges
        from granted as g
        left join pgmq_gateway.caller_roles() as r on r.oid = g.grantee
        where g.privilege in ('TRIGGER', 'REFERENCES', 'TRUNCATE', 'MAINTAIN')
          and (g.grantee = 0 or r.oid is not null)
          and g.grantee <> g.owner
        group by g.relation, g.owner, g.grantor, g.grantee, r.role
    )
    select
        coalesce('table ' || e.relation::regclass, format('new tables of %s in schema pgmq', e.grantor::regrole)),
        e.relation, pg_get_userbyid(e.grantor), e.role, e.privileges,
        case
            when not e.revocable then null
            when e.relation is null then format(
                'alter default privileges for role %s in schema pgmq revoke %s on tables from %s',
                e.grantor::regrole, e.privileges, e.quoted)
            else format('revoke %s on table %s from %s', e.privileges, e.relation::regclass, e.quoted)
        end
    from excess as e
    order by e.relation is null, 1, 4;
$$;

CREATE FUNCTION pgmq_gateway.executable_api_functions(role oid, operation text) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(array_agg(f.name order by f.place), '{}')
    from unnest(pgmq_gateway.api_functions(operation)) with ordinality as f (name, place)
    where pgmq_gateway.can_use_api(role, f.name);
$$;

CREATE FUNCTION pgmq_gateway.expressions(relation oid, written boolean) RETURNS TABLE(class oid, object oid, title text, tree text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
begin
    return query
    select
        'pg_policy'::regclass::oid, p.oid, format('Policy %I of %s', p.polname, relation::regclass),
        concat_ws(' ', p.polqual, p.polwithcheck)
    from pg_policy as p
    where p.polrelid = relation
    union all
    select
        'pg_attrdef'::regclass, d.oid, format('The default of column %I of %s', a.attname, relation::regclass),
        d.adbin::text
    from pg_attrdef as d
    join pg_attribute as a on a.attrelid = d.adrelid and a.attnum = d.adnum
    where d.adrelid = relation and (written or a.attgenerated <> '')
    union all
    select
        'pg_constraint'::regclass, c.oid, format('Constraint %I of %s', c.conname, relation::regclass), c.conbin::text
    from pg_constraint as c
    where c.conrelid = relation and written and c.conbin is not null
    union all
    select
        'pg_class'::regclass, i.indexrelid, format('Index %s', i.indexrelid::regclass),
        concat_ws(' ', i.indexprs, i.indpred)
    from pg_index as i
    where i.indrelid = relation and written;
end;
$$;

CREATE FUNCTION pgmq_gateway.fingerprint(relations oid[], functions text[]) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
declare
    combined bigint;
begin
    select bit_xor(hashtidextended(v.place, hashint8extended(v.writer::text::bigint, v.kind)))
    into combined
    from (
        select 1, c.ctid, c.xmin from pg_class as c where c.oid = any (relations)
        union all
        select 2, d.ctid, d.xmin from pg_depend as d
        where d.refclassid = 'pg_class'::regclass and d.refobjid = any (relations)
        union all
        select 3, d.ctid, d.xmin from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = any (relations)
        union all
        select 4, p.ctid, p.xmin from pg_proc as p where p.proname = any (functions)
        union all
        select 5, o.ctid, o.xmin from pg_operator as o where o.oid >= 16384 and o.oprname = any (functions)
        union all
        select 6, k.ctid, k.xmin from pg_cast as k
        where k.oid >= 16384 and k.castfunc <> 0 and k.castsource < 16384 and k.casttarget < 16384
        union all
        select 7, s.place, s.writer
        from pg_class as c
        join pgmq_gateway.sharing_settings as s on s.queue_table = c.relname::text
        where c.oid = any (relations) and s.relation = any (relations)
    ) as v (kind, place, writer);
    return concat_ws(' ', to_regnamespace('pgmq')::oid, to_regnamespace('pgmq_public')::oid, combined);
end;
$$;

CREATE FUNCTION pgmq_gateway.first_sample(queue_name text, since timestamp with time zone, until timestamp with time zone) RETURNS TABLE(at timestamp with time zone, sent bigint, updated bigint, deleted bigint, archive_inserted bigint)
    LANGUAGE sql STABLE
    AS $$
    select nearest.at, nearest.sent, nearest.updated, nearest.deleted, nearest.archive_inserted
    from (
        select s.* from pgmq_gateway.samples as s
        where s.queue_name = first_sample.queue_name and s.at < until and s.at <= since
        order by s.at desc
        limit 1
    ) as nearest
    where least(until, since) - nearest.at <= pgmq_gateway.sample_validity(nearest.at, nearest.spacing)
    union all
    (
        select s.at, s.sent, s.updated, s.deleted, s.archive_inserted
        from pgmq_gateway.samples as s
        where s.queue_name = first_sample.queue_name and s.at < until and s.at > since
        order by s.at
        limit 1
    )
    order by at
    limit 1;
$$;

CREATE FUNCTION pgmq_gateway.foreign_triggers(tables oid[]) RETURNS TABLE(on_table regclass, trigger_name name, owner regrole, conditional boolean, truncate boolean)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select t.tgrelid, t.tgname, f.owner, c.conditional, t.tgtype & 32 <> 0
    from pg_trigger as t
    cross join lateral (
        select t.tgqual is not null and not exists (
            select from pg_proc as p
            where p.oid = t.tgfoid and p.pronamespace = to_regnamespace('pgmq_settings')
              and not exists (
                  select from pgmq_gateway.caller_roles() as r where has_function_privilege(r.oid, p.oid, 'EXECUTE'))
        ) as conditional
    ) as c
    cross join lateral (
        -- Functions of Postgres itself are not in pg_depend.
        select min(p.proowner)::regrole as owner
        from pg_depend as d
        join pg_proc as p on p.oid = d.refobjid
        where d.classid = 'pg_trigger'::regclass and d.objid = t.oid and d.refclassid = 'pg_proc'::regclass
          and not pg_has_role(p.proowner, current_user, 'member')
    ) as f
    where t.tgrelid = any (tables) and not t.tgisinternal and t.tgenabled <> 'D'
      and (f.owner is not null or c.conditional);
$$;

CREATE FUNCTION pgmq_gateway.former_group_code() RETURNS TABLE(queue_name text, on_table regclass, what text, statement text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with limited as materialized (
        select s.queue_table from pgmq_settings.queues as s where s.group_limit is not null
    )
    select
        null, c.oid::regclass, format('table %s without triggers of a former group_limit', c.oid::regclass),
        format('select pgmq_settings.limit_groups(%L, null)', c.relname)
    from pg_class as c
    where c.relnamespace = 'pgmq'::regnamespace
      and exists (select from pg_trigger as t where t.tgrelid = c.oid and t.tgname like 'pgmq\_settings\_group\_%')
      and c.relname not in (select l.queue_table from limited as l)
    union all
    select
        null, null, format('schema pgmq_settings without function %s of a former queue', p.proname),
        format('drop function if exists %s', p.oid::regprocedure)
    from pg_proc as p
    where p.pronamespace = 'pgmq_settings'::regnamespace and p.proname ~ '^(park|promote)_q_'
      and regexp_replace(p.proname, '^[a-z]+_', '') not in (select l.queue_table from limited as l)
      and not exists (
          select from pg_trigger as t
          join pg_class as c on c.oid = t.tgrelid
          where t.tgfoid = p.oid
            and (c.relnamespace <> 'pgmq'::regnamespace or c.relname in (select l.queue_table from limited as l)));
$$;

CREATE FUNCTION pgmq_gateway.found_messages(queue_table regclass, since timestamp with time zone, overlap double precision, known bigint[], known_at timestamp with time zone[], max_ids integer, OUT recent bigint[], OUT fresh bigint[], OUT times timestamp with time zone[], OUT until timestamp with time zone, OUT complete boolean) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'on'
    SET lock_timeout TO '50ms'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $_$
declare
    present constant timestamptz := clock_timestamp();
    beginning constant timestamptz := coalesce(since, present) - make_interval(secs => overlap);
    max_rows constant bigint := cardinality(known) + max_ids;
begin
    if not exists (
        select from pgmq_gateway.message_tables as c
        where c.oid = queue_table and starts_with(c.relname, 'q_') and c.indexed
    ) then
        raise exception 'table % is not that of a queue with an index on vt', queue_table using errcode = 'GW133';
    end if;
    if row_security_active(queue_table) then
        perform pgmq_gateway.check_owners(array[queue_table::oid]);
    end if;
    execute format(
        'select'
        '    coalesce(array_agg(q.msg_id order by q.vt) filter (where k.known), ''{}''),'
        '    coalesce(array_agg(q.msg_id order by q.vt) filter (where k.known is null), ''{}''),'
        '    coalesce(array_agg(q.vt order by k.known, q.vt), ''{}''),'
        '    count(*) < $4, max(q.vt)'
        ' from (select q.msg_id, q.vt from %s as q where q.vt > $1 and q.vt <= $2 order by q.vt limit $4) as q'
        ' left join (select k.msg_id, k.vt, true from unnest($3, $5) as k (msg_id, vt)) as k (msg_id, vt, known)'
        '     using (msg_id, vt)',
        queue_table)
    into recent, fresh, times, complete, until using beginning, present, known, max_rows, known_at;
    until := case when complete then present else until end;
end;
$_$;

CREATE FUNCTION pgmq_gateway.function_faults(routine oid, OUT faults text[], OUT names text[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    code record;
begin
    select
        p.prosrc, p.prosqlbody::text as body, p.provolatile = 'v' as volatile, l.lanname as language,
        coalesce(p.proconfig, '{}') as settings
    into code
    from pg_proc as p
    join pg_language as l on l.oid = p.prolang
    where p.oid = routine;
    if not found then
        faults := '{"does not exist"}';
    elsif routine < 16384 and pgmq_gateway.is_harmless_builtin(routine) then
        faults := '{}';
    elsif routine < 16384 then
        faults := '{"can leave something behind"}';
    elsif code.language not in ('sql', 'plpgsql') then
        faults := array[format('is written in %s', code.language)];
    elsif exists (select from unnest(code.settings) as s where s not like 'search\_path=%') then
        faults := '{"changes settings"}';
    elsif code.body is not null then
        faults := pgmq_gateway.tree_faults(code.body);
    elsif code.volatile then
        faults := '{"is volatile"}';
    else
        select s.faults, s.names
        into faults, names
        from pgmq_gateway.source_faults(
            code.prosrc,
            code.settings && array[
                'search_path=""', 'search_path=pg_catalog', 'search_path=pg_catalog, pg_temp']) as s;
    end if;
    names := coalesce(names, '{}');
end;
$$;

CREATE FUNCTION pgmq_gateway.function_md5(routine oid) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select md5(concat_ws(
        E'\n', btrim(regexp_replace(p.prosrc, '\s+', ' ', 'g')), l.lanname, p.prosecdef, p.provolatile, p.proisstrict,
        p.proconfig, pg_get_function_result(p.oid), pg_get_function_arguments(p.oid)
    ))
    from pg_proc as p
    join pg_language as l on l.oid = p.prolang
    where p.oid = routine;
$$;

CREATE FUNCTION pgmq_gateway.function_obstacles(function_name text, OUT obstacles text[], OUT functions text[], OUT routines oid[]) RETURNS record
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with recursive called as (
        select
            case when function_name ~ '\.' then split_part(function_name, '.', 1) else 'pgmq_public' end as schema,
            split_part(function_name, '.', 1 + (function_name ~ '\.')::integer) as name
    ), routines as (
        select p.oid, n.nspname, p.proname, p.prosrc, p.proargtypes
        from pg_proc as p
        join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname in ('pgmq', 'pgmq_public', 'pgmq_api', 'pgmq_settings')
    ), used as (
        select r.* from called as c join routines as r on r.nspname = c.schema and r.proname = c.name
        union
        -- All overloads: which one is called depends on those that exist.
        select r.*
        from used as u
        cross join lateral regexp_matches(u.prosrc, '(pgmq|pgmq_settings)\.(\w+)\s*\(', 'gi') as c
        join routines as r on r.nspname = c[1] and r.proname = c[2]
    )
    select
        array(
            select format('Function %s is not that of pgmq or Supabase.', u.oid::regprocedure)
            from used as u
            where u.nspname in ('pgmq', 'pgmq_public') and not exists (
                select from pgmq_gateway.known_functions() as k
                where k.schema = u.nspname and k.name = u.proname and k.md5 = pgmq_gateway.function_md5(u.oid))
            union all
            select format('Function %s is not that of the gateway.', u.oid::regprocedure)
            from used as u
            where u.nspname in ('pgmq_api', 'pgmq_settings') and not pgmq_gateway.is_shipped(u.oid)
            union all
            select format('%s has %s functions named %s.', c.schema, count(u.oid), c.name)
            from called as c
            left join used as u on u.nspname = c.schema and u.proname = c.name
            group by c.schema, c.name
            having count(u.oid) <> 1
            union all
            -- It can take the place of a conversion by text that these functions, or those of policies, rely on.
            select format('The %s is not one of Postgres.', pg_describe_object('pg_cast'::regclass, c.oid, 0))
            from pg_cast as c
            where c.oid >= 16384 and c.castfunc <> 0 and c.castsource < 16384 and c.casttarget < 16384
            order by 1
        ),
        array(select name from called union select proname::text from used order by 1),
        array(
            select u.oid
            from used as u
            where u.nspname <> 'pgmq_settings'
              and format('%s(%s)', u.proname, oidvectortypes(u.proargtypes)) <> all (array[
                'send(text, jsonb)', 'send(text, jsonb, jsonb)', 'send(text, jsonb, timestamp with time zone)',
                'send(text, jsonb, jsonb, integer)', 'send_batch(text, jsonb[])', 'send_batch(text, jsonb[], jsonb[])',
                'send_batch(text, jsonb[], timestamp with time zone)', 'send_batch(text, jsonb[], jsonb[], integer)',
                'archive(text, bigint[])', 'delete(text, bigint[])'
            ])
            order by u.oid);
$$;

CREATE FUNCTION pgmq_gateway.fused_calls(role text, fusion json, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    statement constant pg_catalog.text := fusion ->> 'statement';
    fused pg_catalog.record;
begin
    if pgmq_gateway.may_execute(role, fusion) is not true then
        return;
    end if;
    case fusion ->> 'kind'
        when 'send' then fused := pgmq_gateway.fused_send(role, statement, signatures, given);
        when 'send_batch' then fused := pgmq_gateway.fused_send_batch(role, statement, signatures, given);
        when 'receive' then fused := pgmq_gateway.fused_receive(role, statement, signatures, given);
        when 'settle' then fused := pgmq_gateway.fused_settle(role, statement, signatures, given);
        when 'leases' then fused := pgmq_gateway.fused_leases(role, fusion ->> 'function', given);
    end case;
    bodies := fused.bodies;
    row_counts := fused.row_counts;
    if cardinality(bodies) <> cardinality(given) then
        raise exception 'one statement for % calls returned % results', cardinality(given), cardinality(bodies);
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.fused_leases(role text, function_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    fused record;
begin
    role := set_config('role', role, true);
    fused := pgmq_settings.calls_together(function_name, given);
    role := set_config('role', 'none', true);
    row_counts := fused.row_counts;
    bodies := fused.bodies;
end;
$$;

CREATE FUNCTION pgmq_gateway.fused_receive(role text, statement text, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    -- To claim more, Postgres can prefer to scan the whole queue.
    max_total constant integer := least(
        1000, coalesce(nullif(current_setting('pgmq_gateway.max_read', true), '')::integer, 10000)
    );
    firsts bigint[];
    leases integer[];
    total bigint := 0;
    got bigint := 0;
    wanted integer;
    lease integer;
    received pg_catalog.record;
begin
    for number in 1 .. cardinality(given) loop
        wanted := 1;
        lease := 1;
        if signatures[number] like 'read(%' then
            wanted := given[number] ->> 'n';
            lease := given[number] ->> 'sleep_seconds';
        end if;
        -- A message whose lease ends at once could be read by the next call.
        if (wanted > 0 and lease > 0) is not true then
            return;
        end if;
        firsts[number] := total + 1;
        leases[number] := lease;
        total := total + wanted;
    end loop;
    if total > max_total then
        return;
    end if;
    row_counts := array_fill(0, array[cardinality(given)]);
    bodies := array_fill('[]'::pg_catalog.text, array[cardinality(given)]);
    role := set_config('role', role, true);
    for received in execute statement using clock_timestamp(), total, firsts, leases loop
        -- A policy for one of the commands can hide a claimed message. One by one, each later call would claim it again.
        if got < firsts[received.call] - 1 then
            raise exception 'a policy hides messages that earlier calls have claimed';
        end if;
        got := got + received.count;
        row_counts[received.call] := received.count;
        bodies[received.call] := received.json_agg;
    end loop;
    role := set_config('role', 'none', true);
end;
$$;

CREATE FUNCTION pgmq_gateway.fused_send(role text, statement text, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    visible_at pg_catalog.timestamptz[];
    messages pg_catalog.jsonb[];
    ids bigint[];
begin
    select
        array_agg(clock_timestamp() + make_interval(
            secs => case when c.signature like '%sleep_seconds%' then s.sleep_seconds else 0 end)),
        array_agg(s.message)
    into visible_at, messages
    from unnest(given, signatures) as c (arguments, signature),
        json_to_record(c.arguments) as s (message pg_catalog.jsonb, sleep_seconds integer);
    role := set_config('role', role, true);
    execute statement into ids using visible_at, messages;
    role := set_config('role', 'none', true);
    row_counts := array_fill(1, array[cardinality(ids)]);
    bodies := array(select '[' || i.id || ']' from unnest(ids) as i (id));
end;
$$;

CREATE FUNCTION pgmq_gateway.fused_send_batch(role text, statement text, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    max_batch constant integer := coalesce(nullif(current_setting('pgmq_gateway.max_batch', true), '')::integer, 100000);
    visible_at pg_catalog.timestamptz[];
    messages pg_catalog.jsonb[];
    ids bigint[];
    first integer := 1;
begin
    with batches as materialized (
        select
            s.messages, coalesce(cardinality(s.messages), 0) as size,
            clock_timestamp() + make_interval(
                secs => case when c.signature like '%sleep_seconds%' then s.sleep_seconds else 0 end) as visible_at
        from unnest(given, signatures) as c (arguments, signature),
            json_to_record(c.arguments) as s (messages pg_catalog.jsonb[], sleep_seconds integer)
    )
    select array(select b.size from batches as b), m.times, m.messages
    into row_counts, visible_at, messages
    from (
        select array_agg(b.visible_at), array_agg(m.message) from batches as b, unnest(b.messages) as m (message)
    ) as m (times, messages);
    if not 0 < all (row_counts) or not max_batch >= all (row_counts) then
        row_counts := null;
        return;
    end if;
    role := set_config('role', role, true);
    execute statement into ids using visible_at, messages;
    role := set_config('role', 'none', true);
    if cardinality(ids) is distinct from cardinality(messages) then
        raise exception 'an INSERT of % messages returned % ids', cardinality(messages), cardinality(ids);
    end if;
    for number in 1 .. cardinality(given) loop
        bodies[number] := '[' || array_to_string(ids[first : first + row_counts[number] - 1], ', ') || ']';
        first := first + row_counts[number];
    end loop;
end;
$$;

CREATE FUNCTION pgmq_gateway.fused_settle(role text, statement text, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    AS $$
declare
    ids bigint[];
    settled bigint[];
begin
    select array_agg(s.message_id) into ids
    from unnest(given) as c (arguments), json_to_record(c.arguments) as s (message_id bigint);
    role := set_config('role', role, true);
    execute statement into settled using ids;
    role := set_config('role', 'none', true);
    row_counts := array_fill(1, array[cardinality(ids)]);
    for number in 1 .. cardinality(ids) loop
        bodies[number] := coalesce(ids[number] = any (settled), false);
        settled := array_remove(settled, ids[number]);
    end loop;
end;
$$;

CREATE FUNCTION pgmq_gateway.fused_statement(queue_name text, function_name text, columns name[], other_columns name[], ordered_by name) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select format(
        case
            when function_name = 'delete' then $$
                with settled as (delete from pgmq.%1$I where msg_id = any ($1) returning msg_id)
                select array_agg(msg_id) from settled $$
            when function_name = 'archive' then $$
                with deleted as (delete from pgmq.%1$I where msg_id = any ($1) returning %4$s),
                settled as (insert into pgmq.%2$I (%4$s) select %4$s from deleted returning msg_id)
                select array_agg(msg_id) from settled $$
            when function_name = 'read' then pgmq_gateway.receiving_statement($$
                update pgmq.%1$I as q
                set vt = $1 + make_interval(secs => ($4)[claimed.call]), read_ct = q.read_ct + 1 %6$s
                from claimed $$)
            when function_name = 'pop' then pgmq_gateway.receiving_statement('delete from pgmq.%1$I as q using claimed')
            -- As in pgmq.send_batch, rows are inserted and returned in the order in which unnest produces them.
            when function_name in ('send', 'send_batch') then $$
                with sent as (
                    insert into pgmq.%1$I (vt, message %7$s)
                    select s.vt, s.message %8$s from unnest($1, $2) as s (vt, message)
                    returning msg_id
                )
                select array_agg(msg_id) from sent $$
        end,
        lower('q_' || queue_name), lower('a_' || queue_name), ordered_by,
        (select string_agg(quote_ident(c), ', ') from unnest(columns) as c),
        (select ', row(' || string_agg('q.' || quote_ident(c), ', ') || ')' from unnest(other_columns) as c),
        case when 'last_read_at' = any (columns) then ', last_read_at = $1' end,
        case when 'headers' = any (columns) then ', headers' end,
        case when 'headers' = any (columns) then ', null::pg_catalog.jsonb' end);
$_$;

CREATE FUNCTION pgmq_gateway.fusion(queue_name text, function_name text, routines oid[], reads_requests boolean) RETURNS json
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    with tables as (
        select
            c.relname, array_agg(a.attname order by a.attnum) as names,
            array_agg(concat_ws(' ', a.attname, a.atttypid, a.atttypmod) order by a.attnum) as columns
        from pg_class as c
        join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = to_regnamespace('pgmq')
          and c.relname = any (array['message_record', lower('q_' || queue_name)])
        group by c.relname
    ), code as (
        select
            -- Supabase's functions call those of pgmq, which scan the primary key.
            case when bool_or(r.of_pgmq and r.proname = function_name) then 'msg_id' else 'vt' end as ordered_by,
            bool_or(r.whole_rows) as reads_whole_rows,
            bool_or(r.whole_rows and r.of_pgmq) as returns_whole_rows
        from (
            select
                p.proname, p.pronamespace = to_regnamespace('pgmq') as of_pgmq,
                p.prosrc ~* 'returning\s+(?:\w+\.)?\*' as whole_rows
            from pg_proc as p
            where p.oid = any (routines)
        ) as r
    )
    select json_build_object(
        'kind', k.kind,
        'function', function_name,
        'schema', case when function_name ~ '\.' then split_part(function_name, '.', 1) else 'pgmq_public' end,
        'statement', s.statement,
        'reads_requests', reads_requests,
        -- As the text of an array, which is read faster.
        'routines', routines::text)
    from (values
        ('send', 'send'), ('send_batch', 'send_batch'), ('read', 'receive'), ('pop', 'receive'), ('delete', 'settle'),
        ('archive', 'settle'), ('pgmq_api.delete', 'settle'), ('pgmq_api.archive', 'settle'), ('pgmq_api.send', 'leases'),
        ('pgmq_api.read', 'leases'), ('pgmq_api.pop', 'leases'), ('pgmq_api.ack', 'leases'), ('pgmq_api.settle', 'leases')
    ) as k (name, kind)
    cross join code
    join tables as message on message.relname = 'message_record'
    join tables as queue on queue.relname <> 'message_record'
    cross join lateral pgmq_gateway.fused_statement(
        queue_name, case k.kind when 'settle' then replace(k.name, 'pgmq_api.', '') else k.name end, message.names,
        case when code.reads_whole_rows then array(select unnest(queue.names) except select unnest(message.names)) end,
        code.ordered_by) as s (statement)
    where k.name = function_name
      and (s.statement is not null or k.kind = 'leases')
      -- Other types are an error of each call, and so are other columns where the function returns all.
      and (k.kind <> 'receive' or queue.columns @> message.columns)
      and (not code.returns_whole_rows or queue.columns = message.columns)
      -- pgmq rejects other names at each call.
      and queue_name !~ '\$|;|--|''';
$_$;

CREATE FUNCTION pgmq_gateway.grant_definer_access(queue_name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    missing record;
begin
    for missing in
        select m.statement from pgmq_gateway.missing_definer_access(queue_name) as m where m.statement is not null
    loop
        execute missing.statement;
    end loop;
end;
$$;

CREATE FUNCTION pgmq_gateway.grant_public_functions() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    -- Supabase grants to postgres too, a role that may be missing elsewhere.
    owner constant text := case when to_regrole('postgres') is null then 'service_role' else 'postgres' end;
    callers constant text := format('%I, anon, authenticated, service_role', owner);
    routine regprocedure;
    relation record;
begin
    execute format('grant usage on schema pgmq, pgmq_public to %s', callers);
    -- By name, not by signature: pop, for example, has a quantity since pgmq 1.7.
    for routine in
        select p.oid
        from pg_catalog.pg_proc as p
        where p.pronamespace in ('pgmq'::regnamespace, 'pgmq_public'::regnamespace)
          and p.proname in ('send', 'send_batch', 'read', 'pop', 'archive', 'delete')
    loop
        execute format('grant execute on function %s to %s', routine, callers);
    end loop;
    -- Not ON ALL TABLES, which fails at the first table of another owner.
    for relation in
        select c.oid::regclass as name, c.relkind = 'S' as is_sequence
        from pg_catalog.pg_class as c
        where c.relnamespace = 'pgmq'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
          and pg_has_role(c.relowner, 'usage')
    loop
        if relation.is_sequence then
            execute format('grant usage, select, update on sequence %s to anon, authenticated, service_role', relation.name);
        else
            execute format('grant select, insert, update, delete on table %s to service_role', relation.name);
            if owner = 'postgres' then
                execute format('grant all on table %s to postgres', relation.name);
            end if;
        end if;
    end loop;
    alter default privileges in schema pgmq grant select, insert, update, delete on tables to service_role;
    if owner = 'postgres' then
        alter default privileges in schema pgmq grant all on tables to postgres;
    end if;
    alter default privileges in schema pgmq
        grant usage, select, update on sequences to anon, authenticated, service_role;
end;
$$;

CREATE FUNCTION pgmq_gateway.half_privileges(access pgmq_gateway.queue_access[]) RETURNS TABLE(queue_name text, role name, operation text, explanation text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with signs (operation, privilege, serves) as (
        values
            ('send', 'INSERT', array['send']),
            ('read', 'UPDATE', array['read', 'pop']),
            ('delete', 'DELETE', array['delete', 'pop', 'archive'])
    )
    select
        a.queue_name, a.role, a.operation,
        format('it has %s on %s and lacks %s', s.privilege, a.queue_table, a.lacks)
    from unnest(access) as a
    join signs as s using (operation)
    where case s.privilege
              when 'DELETE' then has_table_privilege(a.oid, a.queue_table, 'DELETE')
              else has_any_column_privilege(a.oid, a.queue_table, s.privilege)
          end
      and not exists (
          select from unnest(access) as other
          where other.queue_name = a.queue_name and other.oid = a.oid and other.operation = any (s.serves)
            and other.lacks is null)
    union all
    select a.queue_name, a.role, a.operation, format('it lacks %s', a.lacks)
    from unnest(access) as a
    where a.operation = 'archive'
      and has_table_privilege(a.oid, a.queue_table, 'DELETE')
      and has_any_column_privilege(a.oid, a.archive_table, 'INSERT')
          <> has_any_column_privilege(a.oid, a.archive_table, 'SELECT')
    union all
    select
        a.queue_name, a.role, a.operation,
        'it has the privileges on the tables, but ' || array_to_string(a.path_blockers, ' ')
    from unnest(access) as a
    where a.lacks is null and a.path_blockers <> '{}' and pgmq_admin.exposed();
$$;

CREATE FUNCTION pgmq_gateway.has_group_code(queue_table text, group_limit integer) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select pgmq_settings.has_group_index(queue_table)
        and not exists (
            select from pgmq_settings.group_functions(queue_table, group_limit) as f
            where not exists (
                select from pg_proc as p
                where p.pronamespace = 'pgmq_settings'::regnamespace and p.proname = f.name and p.prosrc = f.source
                  and p.prosecdef and p.proowner = to_regrole('pgmq_definer')
                  and p.proconfig = array[
                      'search_path=pg_catalog, pg_temp', 'plan_cache_mode=force_generic_plan',
                      'row_security=' || pgmq_settings.group_row_security()]
            ))
        and not exists (
            select from pgmq_settings.group_triggers(queue_table) as g
            where not exists (
                select from pg_trigger as t
                join pg_proc as p on p.oid = t.tgfoid
                where t.tgrelid = to_regclass(format('pgmq.%I', queue_table)) and t.tgname = g.name
                  and t.tgenabled in ('O', 'A')
                  and p.pronamespace = 'pgmq_settings'::regnamespace and p.proname = g.function
            ));
$$;

CREATE FUNCTION pgmq_gateway.has_viewer() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select exists (
        select from pg_namespace as n, aclexplode(n.nspacl) as a
        where n.nspname = 'pgmq_admin' and a.grantee = to_regrole('queue_viewer') and a.privilege_type = 'USAGE');
$$;

CREATE FUNCTION pgmq_gateway.have_column(column_name name, VARIADIC tables text[]) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select bool_and(exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = to_regclass(format('pgmq.%I', t)) and a.attname = column_name and not a.attisdropped))
    from unnest(tables) as t;
$$;

CREATE FUNCTION pgmq_gateway.incomplete_queues() RETURNS TABLE(queue_name text, missing text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select m.queue_name::text, t.names
    from pgmq.meta as m
    cross join lateral (
        select string_agg('pgmq.' || quote_ident(n), ' and ' order by n desc)
        from unnest(array[lower('q_' || m.queue_name), lower('a_' || m.queue_name)]) as n
        where to_regclass(format('pgmq.%I', n)) is null
    ) as t (names)
    where t.names is not null
    order by 1;
$$;

CREATE FUNCTION pgmq_gateway.is_allowed_name(queue_name text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select queue_name is not null and queue_name ~ '^[a-z0-9_-]{1,47}$' and queue_name not like '%--%';
$_$;

CREATE FUNCTION pgmq_gateway.is_harmless_builtin(routine oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select
        p.oid < 16384 and p.pronamespace = 'pg_catalog'::regnamespace
        and (p.provolatile <> 'v'
            or p.proname in (
                'clock_timestamp', 'timeofday', 'gen_random_uuid', 'uuidv4', 'uuidv7', 'random', 'random_normal'))
        -- They run SQL, keep their first result until the end of the transaction, or see whether it has written.
        and p.proname !~ '_to_xml|^pg_input_|^pg_stat_get_|_if_assigned$'
        -- They read the text of any type, with its checks.
        and not p.proargtypes::oid[] && array['cstring', 'internal']::regtype[]::oid[]
    from pg_proc as p
    where p.oid = routine;
$_$;

CREATE FUNCTION pgmq_gateway.is_plain_type(type oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select t.oid < 16384 and t.typnamespace = 'pg_catalog'::regnamespace or coalesce(e.typtype, t.typtype) = 'e'
    from pg_type as t
    left join pg_type as e on e.oid = t.typelem and t.typcategory = 'A'
    where t.oid = type;
$$;

CREATE FUNCTION pgmq_gateway.is_shipped(routine oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select exists (
        select
        from pg_proc as p
        join pg_namespace as n on n.oid = p.pronamespace
        join pg_language as l on l.oid = p.prolang
        join pgmq_gateway.shipped as s
            on s.kind = 'function' and s.schema = n.nspname::text and s.name = p.proname::text
            and s.arguments = pg_get_function_identity_arguments(p.oid)
        where p.oid = routine
          -- As the installer computes it.
          and s.md5 = md5(concat_ws(
              E'\n', p.prosrc, l.lanname, p.prosecdef, p.provolatile, p.proisstrict,
              array(select c from unnest(p.proconfig) as c where c like 'search_path=%'),
              pg_get_function_result(p.oid), pg_get_function_arguments(p.oid))));
$$;

CREATE FUNCTION pgmq_gateway.judge(queue_name text, queue_table regclass, archive_table regclass, role oid, operation text, OUT verdict text, OUT reasons text[], OUT policies text[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    path record;
begin
    select * into path from pgmq_gateway.judge_functions(role, operation);
    select j.* into verdict, reasons, policies
    from (
        select path.blockers, path.seen, path.disguise
        union all
        select '{}', role, null where path.disguise is not null and pgmq_gateway.can_use_api(role, operation)
    ) as p
    cross join lateral pgmq_gateway.judge_access(
        queue_table, archive_table, operation, p.blockers, p.seen, p.disguise) as j
    order by array_position(array['all', 'policy', 'none'], j.verdict), p.disguise is null
    limit 1;
end;
$$;

CREATE FUNCTION pgmq_gateway.judge_access(queue_table regclass, archive_table regclass, operation text, blockers text[], seen oid, disguise regprocedure, OUT verdict text, OUT reasons text[], OUT policies text[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    limits record;
    missing record;
    throttle text;
begin
    reasons := blockers;
    for missing in
        select m.on_table, string_agg(m.privilege, ', ') as privileges
        from pgmq_gateway.missing_privileges(queue_table, archive_table, seen, operation) as m
        group by m.on_table order by m.on_table = archive_table
    loop
        reasons := reasons || format(
            '%s lacks %s on %s: grant it with pgmq_admin.grant_queue().',
            seen::regrole, missing.privileges, missing.on_table);
    end loop;
    if operation = 'send' then
        throttle := pgmq_gateway.missing_throttle_privileges(queue_table, seen);
        if throttle <> '' then
            reasons := reasons || format(
                'The queue has notifications, and %s lacks %s on pgmq.notify_insert_throttle: '
                'grant it with pgmq_admin.grant_queue().',
                seen::regrole, throttle);
        end if;
    end if;
    select * into limits from pgmq_gateway.judge_policies(queue_table, archive_table, seen, operation);
    reasons := reasons || limits.blockers;
    policies := limits.policies;
    if reasons <> '{}' then
        verdict := 'none';
        return;
    end if;
    if disguise is not null then
        reasons := array[format('%s is SECURITY DEFINER: it runs as %s.', disguise, seen::regrole)];
    end if;
    if limits.limited then
        verdict := 'policy';
        reasons := reasons || 'Row-level security is on: policies decide which messages.'::text;
    else
        verdict := 'all';
        reasons := reasons || case
            when not (select relrowsecurity from pg_class where oid = queue_table)
                then format('Row-level security is off on %s.', queue_table)
            when not pgmq_gateway.policies_apply(queue_table, seen)
                then format('%s bypasses row-level security.', seen::regrole)
            else 'Row-level security is on, and policies allow every message.'
        end;
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.judge_functions(role oid, operation text, OUT blockers text[], OUT seen oid, OUT disguise regprocedure) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    select j.* into blockers, seen, disguise from pgmq_gateway.judge_public_functions(role, operation) as j;
    if blockers <> '{}' and pgmq_gateway.can_use_api(role, operation) then
        blockers := '{}';
        seen := role;
        disguise := null;
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.judge_policies(queue_table regclass, archive_table regclass, role oid, operation text, OUT blockers text[], OUT silent_blockers text[], OUT limited boolean, OUT policies text[]) RETURNS record
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with applied as (
        select n.command, n.after, n.fails, t.oid as on_table, c.policy, c.permissive, c.condition
        from pgmq_gateway.operation_policies() as n
        cross join lateral (select case n.on_table when 'queue' then queue_table else archive_table end) as t (oid)
        left join lateral pgmq_gateway.conditions(t.oid, judge_policies.role, n.command, n.after) as c on true
        where n.operation = judge_policies.operation and pgmq_gateway.policies_apply(t.oid, judge_policies.role)
    ), judged as (
        select
            on_table, command, bool_and(fails) as fails,
            -- A policy without a condition allows no row, or restricts none.
            coalesce(bool_or(condition <> 'false') filter (where permissive), false) as possible,
            coalesce(bool_or(condition = 'true') filter (where permissive), false) as free,
            array_agg(policy) filter (where not permissive and condition = 'false') as forbidding,
            coalesce(bool_or(condition <> 'true') filter (where not permissive), false) as restricted
        from applied
        group by on_table, command, after
    ), blocked as (
        -- Where a row cannot be reached, it does not matter how it would be judged afterwards: no failure then.
        select on_table, forbidding, bool_and(fails) as fails, pgmq_gateway.blocker(
            role, on_table, forbidding, operation, bool_and(fails), array_agg(distinct command)) as blocker
        from judged
        where not possible or forbidding is not null
        group by on_table, forbidding
    )
    select
        (select coalesce(array_agg(blocker order by on_table = archive_table), '{}') from blocked),
        (select coalesce(array_agg(blocker order by on_table = archive_table) filter (where not fails), '{}')
            from blocked),
        (select coalesce(bool_or(not free or restricted), false) from judged),
        (select coalesce(array_agg(distinct policy::text), '{}') from applied where policy is not null);
$$;

CREATE FUNCTION pgmq_gateway.judge_public_functions(role oid, operation text, OUT blockers text[], OUT seen oid, OUT disguise regprocedure) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    routine record;
    changed boolean;
    advice constant text := 'grant it with pgmq_admin.grant_queue().';
begin
    blockers := '{}';
    seen := role;
    if to_regnamespace('pgmq_public') is null then
        blockers := array['The schema pgmq_public does not exist: create it with pgmq-gateway install --replace.'];
        return;
    elsif not has_schema_privilege(role, 'pgmq_public', 'usage') then
        blockers := blockers || format('%s lacks USAGE on schema pgmq_public: %s', role::regrole, advice);
    end if;
    for routine in
        select f.place, f.signature, f.function, p.prosecdef, p.proowner
        from pgmq_gateway.operation_functions(operation) as f
        left join pg_proc as p on p.oid = f.function
        order by f.place
    loop
        if routine.function is null then
            blockers := blockers
                || format('%s does not exist: create it with pgmq-gateway install.', routine.signature);
            return;
        elsif not has_function_privilege(seen, routine.function, 'execute') then
            blockers := blockers || format('%s lacks EXECUTE on %s: %s', seen::regrole, routine.signature, advice);
        end if;
        changed := routine.prosecdef and routine.place < 100;
        if changed then
            seen := routine.proowner;
            disguise := routine.function;
        end if;
        if (routine.place = 0 or changed) and not has_schema_privilege(seen, 'pgmq', 'usage') then
            blockers := blockers || format('%s lacks USAGE on schema pgmq: %s', seen::regrole, advice);
        end if;
    end loop;
end;
$$;

CREATE FUNCTION pgmq_gateway.judge_settings(queue_name text, function_name text, OUT obstacles text[], OUT tables oid[], OUT relations oid[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    settings pgmq_gateway.sharing_settings;
begin
    obstacles := '{}';
    tables := '{}';
    relations := '{}';
    if function_name !~ '\.' then
        return;
    end if;
    relations := array(
        select c.oid from pg_class as c
        where c.relnamespace = to_regnamespace('pgmq_settings') and c.relname = 'queues');
    select s.* into settings
    from pgmq_gateway.sharing_settings as s where s.queue_table = lower('q_' || judge_settings.queue_name);
    if settings.deduplication_by_content and function_name = 'pgmq_api.send' then
        -- The ids of all calls would stay locked until the last one has ended, in any order.
        obstacles := obstacles || 'Its setting deduplication_by_content makes sends wait for each other.'::text;
    end if;
    if settings.dead_letter_queue is not null and function_name in ('pgmq_api.read', 'pgmq_api.pop') then
        tables := pgmq_gateway.written_tables(settings.dead_letter_queue, 'pgmq_api.send');
        if cardinality(tables) < 2 then
            obstacles := obstacles || 'Its dead-letter queue does not exist.'::text;
        end if;
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.judgement(queue_name text, function_name text, OUT obstacles text[], OUT relations oid[], OUT functions text[], OUT fingerprint text, OUT fusion json) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    tables constant oid[] := pgmq_gateway.written_tables(queue_name, function_name);
    by_settings constant record := pgmq_gateway.judge_settings(queue_name, function_name);
    by_tables constant record := pgmq_gateway.table_obstacles(tables || by_settings.tables);
    by_function constant record := pgmq_gateway.function_obstacles(function_name);
begin
    obstacles := by_function.obstacles || by_settings.obstacles || by_tables.obstacles;
    -- The row type exists without the queue.
    if cardinality(tables) < 2 + pgmq_gateway.writes_archive(function_name)::integer then
        obstacles := obstacles || 'The queue does not exist.'::text;
    end if;
    relations := by_tables.relations || by_settings.relations;
    functions := by_function.functions || by_tables.functions;
    fingerprint := pgmq_gateway.fingerprint(relations, functions);
    if obstacles = '{}' and by_tables.fusible then
        fusion := pgmq_gateway.fusion(
            queue_name, function_name, by_function.routines, by_tables.reads_requests);
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.keeps_excess_privileges() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce((select o.value::boolean from pgmq_gateway.install_options as o where o.name = 'keep_trigger'), false);
$$;

CREATE FUNCTION pgmq_gateway.keyed_call(key_id bytea, key_lock bigint, max_wait text, keep_seconds double precision, unstored text, role text, claims text, request text[], schemas text, settings text[], prepare text, statement text, arguments text, parameters text[], singular boolean, max_affected bigint, row_offset bigint, queue_name text, relations oid[], functions text[], judged text, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT returned bigint, OUT clean boolean, OUT wakeups text, OUT replayed boolean) RETURNS record
    LANGUAGE plpgsql
    AS $$
declare
    fingerprint constant pg_catalog.bytea := pgmq_gateway.request_fingerprint(statement, arguments, parameters);
    stored pg_catalog.record;
    answer pg_catalog.record;
    own_role pg_catalog.text;
begin
    stored := pgmq_gateway.claim_key(key_id, key_lock, fingerprint, max_wait);
    replayed := stored.known;
    if replayed then
        if prepare is not null then
            -- db-pre-request may reject the caller by now.
            perform from pgmq_gateway.call(
                role, claims, request, schemas, settings, false, prepare,
                'select null::pg_catalog.int8, null::pg_catalog.int8, null::pg_catalog.text, null::pg_catalog.int8',
                null, null, false, null, null, null, null, null, null);
        end if;
        clean := prepare is null;
        total := stored.total;
        row_count := stored.row_count;
        body := stored.body;
        response_headers := stored.response_headers;
        response_status := stored.response_status;
        return;
    end if;
    answer := pgmq_gateway.call(
        role, claims, request, schemas, settings, false, prepare, statement, arguments, parameters,
        singular, max_affected, row_offset, queue_name, relations, functions, judged);
    -- The caller has no privilege on `store_answers`. Its search_path may have other operators: none is used here.
    own_role := pg_catalog.set_config('role', 'none', true);
    perform pgmq_gateway.store_answers(
        array[key_id], array[fingerprint], keep_seconds, unstored, array[answer.total], array[answer.row_count],
        array[answer.response_status], array[answer.response_headers], array[answer.body]);
    clean := answer.clean;
    if clean is not true then
        -- Deferred triggers run in the caller's role.
        own_role := pg_catalog.set_config('role', role, true);
    end if;
    total := answer.total;
    row_count := answer.row_count;
    body := answer.body;
    response_headers := answer.response_headers;
    response_status := answer.response_status;
    returned := answer.returned;
    wakeups := answer.wakeups;
end;
$$;

CREATE FUNCTION pgmq_gateway.keyed_calls(key_ids bytea[], key_locks bigint[], keep_seconds double precision, unstored text, role text, claims text, settings text[], requests text[], schemas text, statements text[], arguments text[], queue_name text, relations oid[], functions text[], fingerprint text, fusion json, careful boolean, OUT row_count bigint, OUT body text, OUT failure text[], OUT seconds double precision, OUT wakeups text) RETURNS SETOF record
    LANGUAGE plpgsql
    AS $$
declare
    fingerprints constant pg_catalog.bytea[] := array(
        select pgmq_gateway.request_fingerprint(r.statement, r.arguments, '{}')
        from rows from (pg_catalog.unnest(statements), pg_catalog.unnest(arguments)) with ordinality
            as r (statement, arguments, number)
        order by r.number);
    ids pg_catalog.bytea[] := key_ids;
    row_counts bigint[];
    bodies pg_catalog.text[];
    number pg_catalog.int4;
begin
    -- A shared transaction waits for no other one.
    if not (
        select pg_catalog.bool_and(pg_catalog.pg_try_advisory_xact_lock(k.lock)) from pg_catalog.unnest(key_locks) as k (lock)
    ) then
        raise sqlstate 'GW132' using message = 'an Idempotency-Key is in use';
    end if;
    -- All calls run before the first row is returned. After that the search_path is the caller's: no operator is used.
    for row_count, body, failure, seconds, wakeups, number in
        select c.row_count, c.body, c.failure, c.seconds, c.wakeups, c.number
        from pgmq_gateway.calls(
            role, claims, settings, requests, schemas, statements, arguments, queue_name, relations, functions,
            fingerprint, fusion, careful
        ) with ordinality as c (row_count, body, failure, seconds, wakeups, number)
    loop
        row_counts[number] := row_count;
        bodies[number] := body;
        if failure is not null then
            ids[number] := null;
        end if;
        return next;
    end loop;
    perform pgmq_gateway.store_answers(
        ids, fingerprints, keep_seconds, unstored, null, row_counts, null, null, bodies);
end;
$$;

CREATE FUNCTION pgmq_gateway.known_functions() RETURNS TABLE(schema name, name name, md5 text)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    values
        -- pgmq 1.4.4 to 1.13.
        ('pgmq', 'delete', '6e72740035a1d2c6c58669fc247afa5c'),
        ('pgmq', 'delete', 'a76fc0642e8837286f85268bf5a5b3c4'),
        ('pgmq', 'format_table_name', 'b9a76b74e7fbd2bf237451b0e5a532f6'),
        -- pgmq 1.4.4, some of them also 1.5.0.
        ('pgmq', 'archive', '3412a211d0c5b5b178ddccb7e74c9339'),
        ('pgmq', 'archive', '4b62402a667bb8ddfbc5161c9d46b8aa'),
        ('pgmq', 'pop', '589305f66082b81aa71bbe664e4e9c75'),
        ('pgmq', 'read', '721ee129e98999f5017c9179c28e1912'),
        ('pgmq', 'read', '7637518ff76c11559687ca31b8c3ea85'),
        ('pgmq', 'send', 'ea62d369c3beb79125e18951fb3490ce'),
        ('pgmq', 'send_batch', 'f36d1d297f0ff2fa672aae243da9723f'),
        -- pgmq 1.5 to 1.10.
        ('pgmq', 'archive', '14cfeb09a61e1798c71c420e6f44abbe'),
        ('pgmq', 'archive', '9cfe6e81dc74f02e5ee4d7bb25274179'),
        ('pgmq', 'read', '055882d24707d1a0cd6f7678c652f90a'),
        ('pgmq', 'send_batch', 'cace85ea26eb90be56716645083f94da'),
        -- pgmq 1.5.1 to 1.6.
        ('pgmq', 'pop', '827b150fc62e78894e711ec9adfebf6f'),
        -- pgmq 1.7 to 1.9.
        ('pgmq', 'pop', 'e904c01b3f7efdccbab012964ddc5537'),
        ('pgmq', 'read', 'fdaa36fc6c598451b63097b5ed7a7cd5'),
        -- pgmq 1.5 to 1.13.
        ('pgmq', 'send', '16c55e88e3d558c4c48557b6fc7ac63e'),
        ('pgmq', 'send', '211bb2018c514a16fc7651a352cec29c'),
        ('pgmq', 'send', '31062165e87f4fa1957261fad0910ac3'),
        ('pgmq', 'send', '619a1bf3bcfc353ecb778422010263cf'),
        ('pgmq', 'send', '6762f04b5373396d5aec0ea86b820452'),
        ('pgmq', 'send', 'f43a2fa287fb21a1d05c328bb8e74b0d'),
        ('pgmq', 'send_batch', '41b39822d28e38dd3bd9a7dd84520b3b'),
        ('pgmq', 'send_batch', '5acffa67ab88bbc7ae78471113587b93'),
        ('pgmq', 'send_batch', '9e61f4322fada632df1dc8c54735beb5'),
        ('pgmq', 'send_batch', 'c7a7fb489662022fcaf8c74474451719'),
        ('pgmq', 'send_batch', 'faad0b6e8871d3ba47e27f14b1dc3b2e'),
        -- pgmq 1.11 to 1.13; read, pop and archive since 1.10.
        ('pgmq', '_send_batch', 'cace85ea26eb90be56716645083f94da'),
        ('pgmq', '_validate_batch_params', '121588dbdb25fb843bcb77703e5af145'),
        ('pgmq', 'archive', '9aa5a6294c3b5d88840c808e993da4b5'),
        ('pgmq', 'archive', 'a62c756fea26a66ad60cbfdecb23620c'),
        ('pgmq', 'pop', 'f44587545a722681aff2bc14aff61439'),
        ('pgmq', 'read', 'c2606cd35b92dfe75170f5b1eda042c8'),
        ('pgmq', 'send_batch', '745ba6ac053e018075593c6f28e7549f'),
        -- Supabase, for pgmq 1.4 and for later versions.
        ('pgmq_public', 'archive', '3322e6c40499a38f0959b22eb9ba6d15'),
        ('pgmq_public', 'delete', 'f3f2bab294149394cf62bc90b4e352e9'),
        ('pgmq_public', 'pop', 'a79324390c83fa827624bc2cdad51911'),
        ('pgmq_public', 'read', '02d94dec39b010e53cf0b71607d83b0d'),
        ('pgmq_public', 'read', 'b1d84831a1108f27e9d05244e88c17a4'),
        ('pgmq_public', 'read', 'dd7e868abc7191d5cbbcec559cbbc2b0'),
        ('pgmq_public', 'send', '66752a2b17cb1a5aa54bce8d4dfa2d86'),
        ('pgmq_public', 'send_batch', '010a6054a9392ba8899c497690b672f0'),
        -- The gateway.
        ('pgmq_public', 'archive', 'bbe1842b76ddf5f218a25badf4861a55'),
        ('pgmq_public', 'delete', 'caed971796ca4e6d228a20cfdde96301'),
        ('pgmq_public', 'pop', '5785c99a2199a661f40e158133d9b942'),
        ('pgmq_public', 'read', 'c98d818dad411b254b3e22f723a9c501'),
        ('pgmq_public', 'send', 'da4de259a110aa53c97805ec0802a05b'),
        ('pgmq_public', 'send_batch', '711e1164e5b3444cb556895e428eb9b7')
$$;

CREATE FUNCTION pgmq_gateway.last_sample(queue_name text, present timestamp with time zone) RETURNS TABLE(at timestamp with time zone, messages bigint, visible bigint, delayed bigint, in_flight bigint, parked bigint, archived bigint, oldest_seconds double precision, sent bigint, updated bigint, deleted bigint, archive_inserted bigint)
    LANGUAGE sql STABLE
    AS $$
    select
        last.at, last.messages, last.visible, last.delayed, last.in_flight, last.parked, last.archived,
        last.oldest_seconds, last.sent, last.updated, last.deleted, last.archive_inserted
    from (
        select s.* from pgmq_gateway.samples as s
        where s.queue_name = last_sample.queue_name and s.at <= present
        order by s.at desc
        limit 1
    ) as last
    where present - last.at <= pgmq_gateway.sample_validity(last.at, last.spacing);
$$;

CREATE FUNCTION pgmq_gateway.limited_roles() RETURNS TABLE(oid oid, role name)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select r.oid, r.role
    from pgmq_gateway.request_roles() as r
    join pg_roles as a on a.oid = r.oid
    where not a.rolsuper and not a.rolbypassrls and r.role <> 'service_role';
$$;

CREATE FUNCTION pgmq_gateway.lint_dead_letters(only_queue text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with queues as (
        select q.queue_name, q.queue_table, s.max_receives, s.dead_letter_queue
        from pgmq_gateway.selected_queues(only_queue) as q
        left join pgmq_settings.queues as s on s.queue_name = q.queue_name
    )
    -- Each is tried again after an hour.
    select
        q.queue_name, 'failed_burials', 'warning',
        format('Dead messages cannot be moved to %s: SQLSTATE %s.',
            coalesce('queue ' || quote_ident(q.dead_letter_queue), 'the archive'), b.failure),
        'They have the header x-pgmq-dead-failed. Look for a size limit, a constraint or a trigger there; they are moved '
            'within an hour after it no longer refuses them.'
    from queues as q
    cross join lateral (
        select b.failed_at, b.failure from pgmq_settings.burials as b
        where b.queue_table = (select c.relname from pg_class as c where c.oid = q.queue_table)
        order by b.failed_at desc nulls last
        limit 1
    ) as b
    where b.failed_at > clock_timestamp() - interval '2 hours'
    union all
    select
        q.queue_name, 'unread_dead_letters', 'warning',
        format('No role can read its dead-letter queue %s.', quote_ident(q.dead_letter_queue)),
        format('pgmq_admin.grant_queue(%L, ''service_role'', ''{read,archive,delete}'') grants it.', q.dead_letter_queue)
    from queues as q
    join pgmq_gateway.selected_queues(null) as d on d.queue_name = q.dead_letter_queue
    where not exists (
        select from pgmq_gateway.request_roles() as r
        where not exists (
            select from pgmq_gateway.missing_privileges(d.queue_table, d.archive_table, r.oid, 'read')))
    union all
    select
        q.queue_name, 'no_dead_letter_queue', 'info',
        'The queue has max_receives and no dead-letter queue: dead messages go to its archive.',
        format('pgmq_admin.set_queue_settings(%L, ''{"dead_letter_queue": "…"}'') names a queue for them.', q.queue_name)
    from queues as q
    where q.max_receives is not null and q.dead_letter_queue is null;
$$;

CREATE FUNCTION pgmq_gateway.lint_definer_access(only_queue text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        m.queue_name, 'definer_access', 'warning',
        format('Dead messages stay where they are, and groups refuse sends. Missing: %s.',
            string_agg(m.what, ' and ' order by m.what)),
        case
            when bool_and(m.statement is not null) then 'pgmq-gateway install restores them.'
            else format('As the owner of the tables run: grant select, insert, update, delete on %s to pgmq_definer; as a '
                'superuser: alter role pgmq_definer bypassrls.', string_agg(distinct m.on_table::text, ', '))
        end
    from pgmq_gateway.missing_definer_access(only_queue) as m
    join pg_class as c on c.oid = m.on_table
    where c.relrowsecurity or m.what not like 'policy of %'
    group by m.queue_name
    union all
    select
        q.queue_name, 'definer_access', 'warning',
        format('Dead messages stay where they are, because policy %I of %s can hide messages from pgmq_definer.',
            p.polname, p.polrelid::regclass),
        format('Name the roles that it is for (alter policy %I on %s to …), or as a superuser run: alter role pgmq_definer '
            'bypassrls.', p.polname, p.polrelid::regclass)
    from pgmq_gateway.selected_queues(only_queue) as q
    join pg_policy as p on p.polrelid in (q.queue_table, q.archive_table) and not p.polpermissive
    join pg_class as c on c.oid = p.polrelid and c.relrowsecurity
    join pg_roles as r on r.rolname = 'pgmq_definer' and not r.rolbypassrls and p.polroles && array[0, r.oid]
    union all
    select
        null::text, 'definer_access', 'warning',
        format('%I is no member of pgmq_definer, so it cannot bury messages or install its functions again.', current_user),
        format('As a superuser run: grant pgmq_definer to %I.', current_user)
    from pg_roles as r
    where only_queue is null and r.rolname = 'pgmq_definer' and not pg_has_role(r.oid, 'usage')
      and exists (select from pg_proc as p where p.proowner = r.oid);
$$;

CREATE FUNCTION pgmq_gateway.lint_definer_role() RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        null::text, 'definer_role', 'error',
        format('pgmq_definer has %s, which code that runs as it can use.', string_agg(a.name, ', ' order by a.name)),
        format('As a superuser run: alter role pgmq_definer %s.', string_agg('no' || lower(a.name), ' ' order by a.name))
    from pg_roles as r
    cross join lateral (values
        ('LOGIN', r.rolcanlogin), ('SUPERUSER', r.rolsuper), ('CREATEROLE', r.rolcreaterole),
        ('CREATEDB', r.rolcreatedb), ('REPLICATION', r.rolreplication)
    ) as a (name, has)
    where r.rolname = 'pgmq_definer' and a.has
    having count(*) > 0
    union all
    select
        null, 'definer_role', 'error',
        format('%I, which requests can run as, is a member of pgmq_definer: it can access the messages of all queues.',
            q.role),
        format('Revoke that: revoke pgmq_definer from %I, or from the role of which it is a member.', q.role)
    from pgmq_gateway.request_roles() as q
    join pg_roles as r on r.oid = q.oid and not r.rolsuper
    where pg_has_role(q.oid, to_regrole('pgmq_definer')::oid, 'member');
$$;

CREATE FUNCTION pgmq_gateway.lint_excess_privileges(only_queue text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        r.queue_name, 'excess_privilege', 'warning',
        format('%s has privileges that no call needs: %s.', case e.grantee when 'public' then 'Every role' else e.grantee end,
            string_agg(format('%s on %s', e.privileges, e.on_table), ', ' order by e.place)),
        'pgmq-gateway install revokes them; with --keep-trigger it keeps them.'
    from pgmq_gateway.excess_privileges() as e
    join pgmq_gateway.lint_relations(only_queue) as r on r.oid = e.on_table
    where not pgmq_gateway.keeps_excess_privileges()
    group by r.queue_name, e.grantee;
$$;

CREATE FUNCTION pgmq_gateway.lint_functions() RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        null::text, 'definer_function', case n.nspname when 'pgmq_public' then 'error' else 'warning' end,
        format('%s is SECURITY DEFINER: it accesses queues as %s, whatever the privileges and policies of its callers.',
            p.oid::regprocedure, p.proowner::regrole),
        'Make it SECURITY INVOKER, or make sure that it checks itself what its callers may do.'
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where p.prosecdef
      and n.nspname not in (
          'pg_catalog', 'information_schema', 'pgmq', 'pgmq_admin', 'pgmq_settings', 'pgmq_gateway')
      and (n.nspname = 'pgmq_public' or coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) ~ '\mpgmq(_public)?\M')
      and exists (
          select from pgmq_gateway.limited_roles() as r
          where has_schema_privilege(r.oid, n.oid, 'usage') and has_function_privilege(r.oid, p.oid, 'execute'));
$$;

CREATE FUNCTION pgmq_gateway.lint_groups(only_queue text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with limited as (
        select q.queue_name, q.queue_table, s.max_receives
        from pgmq_gateway.selected_queues(only_queue) as q
        join pgmq_settings.queues as s on s.queue_name = q.queue_name and s.group_limit is not null
    )
    select
        l.queue_name, 'group_without_max_receives', 'warning',
        'The queue has group_limit and no max_receives: a message that always fails stops its group forever.',
        format('pgmq_admin.set_queue_settings(%L, ''{"max_receives": 5}'') buries it after 5 receives.', l.queue_name)
    from limited as l
    where l.max_receives is null
    union all
    select
        l.queue_name, 'open_groups', 'warning',
        format('With policy "%s" %s can send to any group, and delay the messages of others.',
            p.policy, string_agg(p.role, ', ' order by p.role)),
        'Check the group in the policy: with check (headers ->> ''x-pgmq-group'' = (select auth.uid())::text).'
    from limited as l
    join pg_class as c on c.oid = l.queue_table and c.relrowsecurity
    cross join lateral pgmq_gateway.open_group_policies(l.queue_table) as p
    group by l.queue_name, p.policy
    union all
    select
        l.queue_name, 'group_snapshot', 'warning',
        format('A transaction is %s s old: busy groups get slower while it lasts, because the index keeps their deleted '
            'messages.', a.seconds),
        'Find it with: select pid, query from pg_stat_activity where backend_xmin is not null order by xact_start; '
            'end it with pg_terminate_backend(pid).'
    from limited as l
    cross join lateral (
        select round(extract(epoch from clock_timestamp() - min(a.xact_start))) as seconds
        from pg_stat_activity as a
        where a.datname = current_database() and a.backend_xmin is not null and a.pid <> pg_backend_pid()
    ) as a
    where a.seconds > 300;
$$;

CREATE FUNCTION pgmq_gateway.lint_half_privileges(access pgmq_gateway.queue_access[]) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select
        h.queue_name, 'half_right', 'warning', format('%s cannot %s: %s', h.role, h.operation, h.explanation),
        format(
            'pgmq_admin.grant_queue(%1$L, %2$L, ''{%3$s}'') grants what is missing, revoke_queue() revokes the rest.',
            h.queue_name, h.role, h.operation)
    from pgmq_gateway.half_privileges(access) as h;
$_$;

CREATE FUNCTION pgmq_gateway.lint_notify_privileges(access pgmq_gateway.queue_access[]) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        a.queue_name, 'notify_right', 'error',
        format(
            '%s cannot send: the queue has notifications, and the role lacks %s on pgmq.notify_insert_throttle.',
            a.role, missing.privileges),
        format('Grant it with pgmq_admin.grant_queue(%L, %L, ''{send}'').', a.queue_name, a.role)
    from unnest(access) as a
    cross join lateral pgmq_gateway.missing_throttle_privileges(a.queue_table, a.oid) as missing (privileges)
    where a.operation = 'send' and a.lacks is null and missing.privileges <> '';
$$;

CREATE FUNCTION pgmq_gateway.lint_orphans() RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select
        null::text, 'orphaned_queue',
        case
            when exists (
                select
                from pgmq_gateway.limited_roles() as r
                join pg_class as c on c.oid = o.queue_table and not c.relrowsecurity
                where has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE')
                   or has_table_privilege(r.oid, c.oid, 'DELETE')
            ) then 'error'
            else 'warning'
        end,
        case
            when o.archive_table is null
            then format('pgmq.meta does not list queue "%s", whose table %s is served.', o.name, o.queue_table)
            when o.queue_table is null
            then format('%s is left of a queue "%s" that pgmq.meta does not list.', o.archive_table, o.name)
            else format('pgmq.meta does not list queue "%s", whose tables %s and %s are served.', o.name, o.queue_table,
                o.archive_table)
        end,
        format(
            case
                when o.obstacle is null
                then 'pgmq_admin.create_queue(%1$L, %2$L, adopt => true) makes a queue of what is there, '
                    'pgmq_admin.drop_queue(%1$L) drops it.'
                else 'No queue can be made of it: %3$s. pgmq_admin.drop_queue(%1$L) drops it.'
            end,
            o.name,
            case when o.is_partitioned then 'partitioned' when o.is_unlogged then 'unlogged' else 'basic' end,
            o.obstacle)
    from pgmq_gateway.orphans() as o
    union all
    select
        i.queue_name, 'missing_table', 'warning', format('Calls fail, because tables are missing: %s.', i.missing),
        format('Restore it, or drop the rest of the queue with pgmq_admin.drop_queue(%L).', i.queue_name)
    from pgmq_gateway.incomplete_queues() as i;
$_$;

CREATE FUNCTION pgmq_gateway.lint_owners(only_queue text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with owned as (
        select r.queue_name, 'table ' || r.oid::regclass as what, r.owner
        from pgmq_gateway.lint_relations(only_queue) as r
        union
        select r.queue_name, 'function ' || t.function::regprocedure, p.proowner
        from (select array_agg(l.oid) as tables from pgmq_gateway.lint_relations(only_queue) as l) as l
        cross join pgmq_gateway.table_functions(l.tables) as t
        join pgmq_gateway.lint_relations(only_queue) as r on r.oid = t.on_table
        join pg_proc as p on p.oid = t.function
        union
        select null, 'function ' || p.oid::regprocedure, p.proowner
        from pg_proc as p
        join pg_namespace as n on n.oid = p.pronamespace
        where only_queue is null
          and (
              n.nspname in ('pgmq', 'pgmq_public', 'pgmq_api', 'pgmq_admin', 'pgmq_settings', 'pgmq_gateway')
              or n.nspname !~ '^pg_' and coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) ~ '\mpgmq(_public)?\M'
          )
    )
    select
        o.queue_name, 'caller_owns', 'error',
        format('%s is owned by %s, which requests can run as: it can change what other roles run.', o.what, c.role),
        format('Check it, then run: alter %s owner to %I.', o.what, current_user)
    from owned as o
    join pgmq_gateway.caller_roles() as c on c.oid = o.owner;
$$;

CREATE FUNCTION pgmq_gateway.lint_policies(access pgmq_gateway.queue_access[]) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        a.queue_name, 'silent_policy', 'warning',
        format(
            '%s has the privileges to %s, but policies hide all messages, without an error. %s', a.role,
            string_agg(a.operation, ', ' order by a.operation),
            (array_agg(b.blocker order by a.operation = 'read' desc, a.operation))[1]),
        format('pgmq_admin.rights(%L) shows what each operation needs.', a.queue_name)
    from unnest(access) as a
    cross join lateral unnest(a.silent_blockers) as b (blocker)
    where a.lacks is null and a.path_blockers = '{}'
    group by a.queue_name, a.role;
$$;

CREATE FUNCTION pgmq_gateway.lint_relations(only_queue text) RETURNS TABLE(queue_name text, oid oid, owner oid)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with parts as (
        select q.queue_name, t.oid
        from pgmq_gateway.selected_queues(only_queue) as q
        cross join lateral (
            select q.queue_table union select q.archive_table
            union select relid from pg_partition_tree(q.queue_table)
            union select relid from pg_partition_tree(q.archive_table)
        ) as t (oid)
    )
    select p.queue_name, c.oid, c.relowner
    from pg_class as c
    left join parts as p on p.oid = c.oid
    where c.relnamespace in (
          to_regnamespace('pgmq'), to_regnamespace('pgmq_gateway'), to_regnamespace('pgmq_settings'))
      and c.relkind in ('r', 'p', 'f', 'v', 'm')
      and (only_queue is null or p.queue_name is not null);
$$;

CREATE FUNCTION pgmq_gateway.lint_rls(access pgmq_gateway.queue_access[], only_queue text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with by_role as (
        select a.queue_name, format('%s (%s)', a.role, string_agg(a.operation, ', ' order by a.operation)) as operations
        from unnest(access) as a
        where a.lacks is null and a.path_blockers = '{}'
        group by a.queue_name, a.role
    ), by_queue as (
        select r.queue_name, string_agg(r.operations, ', ' order by r.operations) as roles
        from by_role as r
        group by r.queue_name
    )
    select
        q.queue_name, 'rls_off', case when r.roles is null then 'warning' else 'error' end,
        case
            when r.roles is null
            then 'Row-level security is off: every role that you grant privileges can access all messages.'
            else format('Row-level security is off, so these roles can access all messages: %s.', r.roles)
        end,
        format('pgmq_admin.set_rls(%L, true) turns it on; then create_policy() allows access.', q.queue_name)
    from pgmq_gateway.selected_queues(only_queue) as q
    join pg_class as c on c.oid = q.queue_table and not c.relrowsecurity
    left join by_queue as r on r.queue_name = q.queue_name
    where pgmq_admin.exposed();
$$;

CREATE FUNCTION pgmq_gateway.lint_service_members() RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select
        null::text, 'service_member', 'warning',
        format('%I inherits from service_role, so the policies of service_role give it all messages.', r.rolname),
        format('Revoke service_role from it, or grant it without inheritance: alter role %I noinherit, since Postgres 16 '
            'grant service_role to %1$I with inherit false.', r.rolname)
    from pg_roles as r
    join pg_roles as s on s.rolname = 'service_role'
    where pgmq_gateway.service_role_needs_policies()
      and r.oid <> s.oid and not (r.rolsuper or r.rolbypassrls) and pg_has_role(r.oid, s.oid, 'usage')
      and not exists (
          select from pg_class as c where c.oid = to_regclass('pgmq.meta') and pg_has_role(r.oid, c.relowner, 'usage'));
$_$;

CREATE FUNCTION pgmq_gateway.lint_service_policies(only_queue text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        p.queue_name, 'service_policy', 'error',
        format('service_role has no BYPASSRLS, and no policy gives it the messages of %s.',
            string_agg(p.on_table::text, ' and ')),
        case
            when bool_and(p.statement is not null)
            then format('pgmq_admin.set_rls(%L, true) creates the policy, pgmq-gateway install those of all queues.',
                p.queue_name)
            else format('As a superuser run: alter role service_role bypassrls; or make %I the owner of the queue''s tables.',
                current_user)
        end
    from pgmq_gateway.missing_service_policies(only_queue) as p
    join pg_class as c on c.oid = p.on_table and c.relrowsecurity
    group by p.queue_name;
$$;

CREATE FUNCTION pgmq_gateway.lint_sharing(only_queue text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with functions as (
        select coalesce(array_agg(distinct o order by o), '{}') as obstacles
        from unnest(array[
            'send', 'send_batch', 'read', 'pop', 'archive', 'delete', 'pgmq_api.send', 'pgmq_api.read', 'pgmq_api.pop',
            'pgmq_api.ack', 'pgmq_api.settle', 'pgmq_api.delete', 'pgmq_api.archive'
        ]) as f (name)
        cross join lateral pgmq_gateway.function_obstacles(f.name) as j
        cross join lateral unnest(j.obstacles) as o
    ), subjects (queue_name, obstacles) as (
        select q.queue_name, t.obstacles || case when only_queue is null then '{}' else f.obstacles end
        from functions as f
        cross join pgmq_gateway.selected_queues(only_queue) as q
        cross join lateral pgmq_gateway.table_obstacles(
            pgmq_gateway.written_tables(q.queue_name, 'read') || q.archive_table::oid) as t
        where not exists (
            select from pgmq_settings.queues as s
            where s.queue_table = lower('q_' || q.queue_name) and s.group_limit is not null)
        union all
        select null, f.obstacles from functions as f where only_queue is null
    )
    select
        s.queue_name, 'no_sharing', 'info',
        format(
            'Each call runs in a transaction of its own, although calls that arrive together could share one. %s',
            array_to_string(s.obstacles[:3], ' '))
            || case when cardinality(s.obstacles) > 3
                then format(' And %s more.', cardinality(s.obstacles) - 3) else '' end,
        'This is correct, but slower under load. docs/reference/management.md lists the functions and tables that '
            'prevent sharing.'
    from subjects as s
    where s.obstacles <> '{}';
$$;

CREATE FUNCTION pgmq_gateway.lint_tables(only_queue text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        q.queue_name, 'unlogged_in_use', 'warning',
        'The queue is unlogged and in use: a crash of the server empties it, and its ids start at 1 again.',
        'For messages that must not be lost, create a queue of type basic and move them.'
    from pgmq_gateway.selected_queues(only_queue) as q
    join pg_class as c on c.oid = q.queue_table
    where c.relpersistence = 'u' and pg_relation_size(c.oid) > 0
    union all
    select
        q.queue_name, 'notify_row', 'warning',
        'The queue has the trigger for notifications, but none is ever sent: ' || case
            when unsupported.yes then 'pgmq looks up the queue by the name of a partition, or in lower case.'
            else 'its row in pgmq.notify_insert_throttle is missing, as after a crash.'
        end,
        format(
            case when unsupported.yes then 'pgmq_admin.disable_notify(%L) removes the useless trigger.'
                else 'pgmq_admin.enable_notify(%L) restores it.' end,
            q.queue_name)
    from pgmq_gateway.selected_queues(only_queue) as q
    join pg_class as c on c.oid = q.queue_table
    join pg_trigger as t on t.tgrelid = q.queue_table and t.tgname = 'trigger_notify_queue_insert_listeners'
    cross join lateral (select c.relkind = 'p' or q.queue_name <> lower(q.queue_name)) as unsupported (yes)
    where unsupported.yes or not pgmq_gateway.throttle_row_exists(q.queue_table)
    union all
    select
        q.queue_name, 'partitions_missing', 'warning',
        'Messages are in the default partition: pg_partman''s maintenance had created no partition for them.',
        'Run pg_partman''s run_maintenance() regularly, by pg_cron or by its background worker; '
            'partition_data_proc() moves the messages that are there already.'
    from pgmq_gateway.selected_queues(only_queue) as q
    where exists (
        select from pg_partitioned_table as p
        where p.partrelid in (q.queue_table, q.archive_table) and pg_relation_size(p.partdefid) > 0);
$$;

CREATE FUNCTION pgmq_gateway.lint_time_limits() RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        null::text, 'no_time_limit', 'warning',
        format('%s has no statement_timeout: a few slow calls occupy all connections until authenticator''s ends them.',
            r.role),
        format(
            'alter role %I set statement_timeout = %L; the gateway applies it after notify pgrst, ''reload schema''.',
            r.role, case r.role when 'anon' then '3s' else '8s' end)
    from pgmq_gateway.limited_roles() as r
    where not exists (
        select
        from pg_db_role_setting as s
        cross join lateral unnest(s.setconfig) as c (setting)
        where s.setrole = r.oid
          and s.setdatabase in (0, (select d.oid from pg_database as d where d.datname = current_database()))
          and c.setting ~ '^statement_timeout=[^0]');
$$;

CREATE FUNCTION pgmq_gateway.lint_triggers(only_queue text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select
        r.queue_name, 'foreign_trigger', case when c.oid is null then 'warning' else 'error' end,
        format(
            case when t.owner is null
                then 'Trigger "%s" on %s has a WHEN condition, so functions that run as %s do not write the table.'
                else 'Trigger "%s" on %s runs a function of %4$s, with the privileges of each role that writes the table.'
            end,
            t.trigger_name, t.on_table, quote_ident(current_user), t.owner),
        format('Find out who created it, then drop it: drop trigger %I on %s.', t.trigger_name, t.on_table)
    from (select array_agg(l.oid) as tables from pgmq_gateway.lint_relations(only_queue) as l) as l
    cross join pgmq_gateway.foreign_triggers(l.tables) as t
    join pgmq_gateway.lint_relations(only_queue) as r on r.oid = t.on_table
    left join pgmq_gateway.caller_roles() as c on c.oid = t.owner
    where c.oid is not null or t.truncate or r.queue_name is null;
$_$;

CREATE FUNCTION pgmq_gateway.lint_wake(only_queue text) RETURNS SETOF pgmq_admin.finding
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with woken as (
        select q.queue_name, q.queue_table
        from pgmq_gateway.selected_queues(only_queue) as q
        join pgmq_settings.queues as s on s.queue_table = lower('q_' || q.queue_name)
        where s.wake
    )
    select
        w.queue_name, 'notified_twice', 'warning',
        'Sends are announced twice: by the setting wake, for gateways, and by the trigger of pgmq.',
        format('If no other client listens to pgmq.%s.INSERT, run pgmq_admin.disable_notify(%L).',
            lower('q_' || w.queue_name), w.queue_name)
    from woken as w
    where exists (
        select from pg_trigger as t
        where t.tgrelid = w.queue_table and t.tgname = 'trigger_notify_queue_insert_listeners')
    union all
    select
        w.queue_name, 'wake_without_trigger', 'warning',
        'The queue has the setting wake, but sends are not announced: its trigger is missing, as after a partial restore.',
        format('pgmq_admin.set_queue_settings(%L, ''{"wake": true}'') restores it.', w.queue_name)
    from woken as w
    where not exists (select from pgmq_gateway.wake_triggers(array[w.queue_table::oid]));
$$;

CREATE FUNCTION pgmq_gateway.lock_groups_of_matching(source text, target text, filter jsonb, present timestamp with time zone) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    tables constant text[] := array[source, target];
    ids bigint[];
begin
    if exists (
        select from pgmq_settings.settings as s where s.queue_table = any (tables) and s.group_limit is not null
    ) then
        execute format(
            'select array(select q.msg_id from pgmq.%I as q where %s)', source, pgmq_settings.filter_condition(filter))
        into ids using filter, present;
        perform pgmq_settings.lock_groups_of(source, ids, tables);
    end if;
    return ids;
end;
$$;

CREATE FUNCTION pgmq_gateway.lock_privileges() RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select pg_advisory_xact_lock(hashtext('pgmq_gateway.lock_privileges'));
$$;

CREATE FUNCTION pgmq_gateway.lost_privileges() RETURNS TABLE(what text, statement text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with roles as (
        select
            string_agg(quote_ident(rolname), ', ' order by rolname) as all_roles,
            string_agg(quote_ident(rolname), ', ' order by rolname) filter (where rolname <> 'postgres') as callers
        from pg_roles
        where rolname in ('anon', 'authenticated', 'service_role', 'postgres')
    ), users (role, privileges) as (
        select u.* from (values ('postgres', 'all'), ('service_role', 'select, insert, update, delete')) as u
        where to_regrole(u.column1) is not null
    ), relations as (
        select
            c.oid::regclass as relation, c.relname, c.relkind, c.relacl is null as untouched,
            exists (select from aclexplode(c.relacl) as a where a.grantee = to_regrole('service_role')) as served
        from pg_class as c
        where c.relnamespace = to_regnamespace('pgmq') and c.relkind in ('r', 'p', 'S')
          and pg_has_role(c.relowner, 'usage')
    )
    select 'USAGE on schema pgmq for ' || r.all_roles, 'grant usage on schema pgmq to ' || r.all_roles
    from roles as r, pg_namespace as n
    where n.nspname = 'pgmq' and r.all_roles is not null and pg_has_role(n.nspowner, 'usage')
      and not exists (
          select from aclexplode(n.nspacl) as a
          where a.grantee in (to_regrole('anon'), to_regrole('authenticated'), to_regrole('service_role'))
      )
    union all
    select 'USAGE on schema pgmq_api for ' || r.callers, 'grant usage on schema pgmq_api to ' || r.callers
    from roles as r, pg_namespace as n
    where n.nspname = 'pgmq_api' and n.nspacl is null and r.callers is not null and pg_has_role(n.nspowner, 'usage')
    union all
    select
        format('privileges on table %s for %s', t.relation, u.role),
        format('grant %s on table %s to %s', u.privileges, t.relation, u.role)
    from users as u, relations as t
    where t.relkind <> 'S'
      and (t.untouched or (t.relname in ('meta', 'notify_insert_throttle', 'topic_bindings') and not t.served))
    union all
    select
        format('privileges on sequence %s for %s', s.relation, r.callers),
        format('grant usage, select, update on sequence %s to %s', s.relation, r.callers)
    from roles as r, relations as s
    where s.relkind = 'S' and s.untouched and r.callers is not null
    union all
    select
        format('default privileges on %s in schema pgmq for %s', d.objects, d.roles),
        format('alter default privileges in schema pgmq grant %s on %s to %s', d.privileges, d.objects, d.roles)
    from (
        select 'tables', 'r', u.privileges, u.role from users as u
        union all
        select 'sequences', 'S', 'usage, select, update', r.callers from roles as r
    ) as d (objects, kind, privileges, roles)
    where d.roles is not null and not exists (
        select from pg_default_acl as l, aclexplode(l.defaclacl) as a
        where l.defaclnamespace = to_regnamespace('pgmq')
          and l.defaclrole = to_regrole(quote_ident(current_user))
          and l.defaclobjtype = d.kind::"char"
          and a.grantee = to_regrole('service_role')
    ) and not exists (
        select from pgmq_gateway.install_options as o, pgmq_gateway.default_privileges_option() as present
        where o.name = present.name and o.value = present.value
    );
$$;

CREATE FUNCTION pgmq_gateway.maintain(budget_ms integer) RETURNS double precision
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '100ms'
    AS $$
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
$$;

CREATE FUNCTION pgmq_gateway.maintain_queue(task text, queue_table text, until timestamp with time zone, OUT changed bigint, OUT is_behind boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_gateway.maintenance_tasks() RETURNS TABLE(place text, task text, queue_table text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE TABLE pgmq_settings.queues (
    queue_table text NOT NULL,
    queue_name text NOT NULL,
    lease_seconds integer,
    max_receives integer,
    dead_letter_queue text,
    backoff text,
    backoff_seconds integer,
    backoff_max_seconds integer,
    backoff_jitter double precision,
    on_expiry text,
    message_keep_seconds bigint,
    archive_keep_seconds bigint,
    max_message_bytes integer,
    max_messages bigint,
    is_full boolean,
    group_limit integer,
    deduplication_seconds integer,
    deduplication_by_content boolean,
    paused boolean,
    wake boolean,
    wake_throttle_ms integer
);

CREATE FUNCTION pgmq_gateway.mark_full(settings pgmq_settings.queues) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_gateway.may_execute(role text, fusion json) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    -- A constant is cast once.
    routines constant oid[] := fusion ->> 'routines';
begin
    return has_schema_privilege(role, fusion ->> 'schema', 'usage') and (
        select bool_and(has_function_privilege(role, r.oid, 'execute')) from unnest(routines) as r (oid));
end;
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

CREATE FUNCTION pgmq_gateway.message_table(queue_name text, prefix text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    return pgmq.format_table_name(queue_name, prefix);
end;
$$;

CREATE FUNCTION pgmq_gateway.missing_definer_access(only_queue text DEFAULT NULL::text) RETURNS TABLE(queue_name text, on_table regclass, what text, statement text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        m.queue_name::text, c.oid::regclass, format('privileges of pgmq_definer on table %s', c.oid::regclass),
        case
            when pg_has_role(c.relowner, 'usage')
            then format('grant select, insert, update, delete on %s to pgmq_definer', c.oid::regclass)
        end
    from pgmq.meta as m
    join pg_class as c
        on c.relnamespace = 'pgmq'::regnamespace and c.relkind in ('r', 'p')
        and c.relname in (lower('q_' || m.queue_name)::name, lower('a_' || m.queue_name)::name)
    join pg_roles as r on r.rolname = 'pgmq_definer'
    where (only_queue is null or m.queue_name = only_queue)
      and exists (
          select from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) as privilege
          where not has_table_privilege(r.oid, c.oid, privilege))
    union all
    select * from pgmq_gateway.missing_policies('pgmq_definer'::name, only_queue);
$$;

CREATE FUNCTION pgmq_gateway.missing_group_code() RETURNS TABLE(queue_name text, on_table regclass, what text, statement text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        s.queue_name, r.relation, format('triggers of group_limit on table %s', r.relation),
        format('select pgmq_settings.limit_groups(%L, %s)', s.queue_table, s.group_limit)
    from pgmq_settings.queues as s
    cross join lateral (select to_regclass(format('pgmq.%I', s.queue_table)) as relation) as r
    where s.group_limit is not null and r.relation is not null
      and not pgmq_gateway.has_group_code(s.queue_table, s.group_limit)
    union all
    select * from pgmq_gateway.former_group_code();
$$;

CREATE FUNCTION pgmq_gateway.missing_helper_privileges() RETURNS TABLE(what text, statement text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select format('%s for %s', m.what, a.grantee::regrole), format('grant %s to %s', m.privileges, a.grantee::regrole)
    from pg_namespace as n
    cross join aclexplode(n.nspacl) as a
    cross join pgmq_gateway.missing_helpers(a.grantee) as m
    where n.nspname = 'pgmq_settings' and a.privilege_type = 'USAGE' and pg_has_role(n.nspowner, 'usage')
      and a.grantee <> 0 and a.grantee <> n.nspowner
      and a.grantee <> all (
          array(select r.oid from pg_roles as r
                where r.rolname in ('anon', 'authenticated', 'service_role', 'pgmq_definer', 'queue_viewer')));
$$;

CREATE FUNCTION pgmq_gateway.missing_helpers(role oid) RETURNS TABLE(what text, privileges text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select 'SELECT on pgmq_settings.settings', 'select on pgmq_settings.settings'
    where has_table_privilege(role, to_regclass('pgmq_settings.settings'), 'select') is not true
    union all
    select
        format('EXECUTE on %s functions of pgmq_settings', count(*)),
        'execute on function ' || string_agg(h.oid::regprocedure::text, ', ')
    from pgmq_gateway.api_helpers() as h
    where not has_function_privilege(role, h.oid, 'execute')
    having count(*) > 0;
$$;

CREATE FUNCTION pgmq_gateway.missing_policies(role name, only_queue text) RETURNS TABLE(queue_name text, on_table regclass, what text, statement text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        m.queue_name::text, c.oid::regclass,
        format('policy of %s, which has no BYPASSRLS, on table %s', r.rolname, c.oid::regclass),
        case
            when pg_has_role(c.relowner, 'usage')
            then concat(
                'drop policy ' || quote_ident(former.polname) || ' on ' || c.oid::regclass || '; ',
                format('create policy %I on %s to %I using (true)', n.policy, c.oid::regclass, r.rolname))
        end
    from pg_roles as r
    cross join pgmq.meta as m
    join pg_class as c
        on c.relnamespace = 'pgmq'::regnamespace and c.relkind in ('r', 'p')
        and c.relname in (lower('q_' || m.queue_name)::name, lower('a_' || m.queue_name)::name)
    cross join lateral (select (r.rolname || ': all messages')::name as policy) as n
    left join pg_policy as former on former.polrelid = c.oid and former.polname = n.policy
    where r.rolname = role and not (r.rolsuper or r.rolbypassrls)
      and (only_queue is null or m.queue_name = only_queue)
      and not exists (
          select from pg_policy as p
          where p.polrelid = c.oid and p.polcmd = '*' and p.polpermissive
            and p.polroles && array[0, r.oid]
            and pg_get_expr(p.polqual, p.polrelid) = 'true'
            and coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true'
      )
    order by m.queue_name, c.relname desc;
$$;

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

CREATE FUNCTION pgmq_gateway.missing_replica_identities() RETURNS TABLE(what text, statement text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select
        format('replica identity of table %s', c.oid::regclass),
        format('alter table %s replica identity using index %I', c.oid::regclass, i.index)
    from pg_class as c
    cross join lateral (
        select min(x.relname) as index
        from pg_index as u
        join pg_class as x on x.oid = u.indexrelid
        where u.indrelid = c.oid and u.indisunique and u.indisvalid and u.indimmediate and not u.indisprimary
          and u.indpred is null and u.indexprs is null
          and not exists (
              select from unnest(u.indkey) as k (number)
              join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.number and not a.attnotnull
          )
    ) as i
    where c.relnamespace = to_regnamespace('pgmq') and c.relname in ('meta', 'topic_bindings') and c.relkind = 'r'
      and c.relreplident = 'd' and i.index is not null and pg_has_role(c.relowner, 'usage')
      and not exists (select from pg_index as p where p.indrelid = c.oid and p.indisprimary);
$$;

CREATE FUNCTION pgmq_gateway.missing_service_policies(only_queue text DEFAULT NULL::text) RETURNS TABLE(queue_name text, on_table regclass, what text, statement text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select * from pgmq_gateway.missing_policies('service_role'::name, only_queue);
$$;

CREATE FUNCTION pgmq_gateway.missing_setting_keys() RETURNS TABLE(what text, statement text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select
        format('foreign key %s of table pgmq_settings.queues', k.name),
        format(
            '%s where s.%2$I is not null and not exists (select from pgmq.meta as m where m.queue_name = s.%2$I); '
            'alter table pgmq_settings.queues add constraint %3$I foreign key (%2$I) '
            'references pgmq.meta (queue_name) on delete %4$s',
            k.clearing, k.column_name, k.name, k.action)
    from (values
        ('queues_queue_name_fkey', 'queue_name', 'delete from pgmq_settings.queues as s', 'cascade'),
        ('queues_dead_letter_queue_fkey', 'dead_letter_queue',
            'update pgmq_settings.queues as s set dead_letter_queue = null', 'set null')
    ) as k (name, column_name, clearing, action)
    where has_table_privilege(to_regclass('pgmq.meta'), 'REFERENCES')
      and to_regclass('pgmq_settings.queues') is not null
      and not exists (
          select from pg_constraint as c
          where c.conrelid = to_regclass('pgmq_settings.queues') and c.conname = k.name);
$_$;

CREATE FUNCTION pgmq_gateway.missing_throttle_privileges(queue_table regclass, role oid) RETURNS text
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

CREATE FUNCTION pgmq_gateway.missing_viewer_privileges() RETURNS TABLE(what text, statement text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select m.what || ' for queue_viewer', format('grant %s to queue_viewer', m.privileges)
    from (
        select 'USAGE on schema ' || n.nspname, 'usage on schema ' || n.nspname
        from pg_namespace as n
        where n.nspname in ('pgmq', 'pgmq_gateway', 'pgmq_settings')
          and has_schema_privilege(to_regrole('queue_viewer'), n.oid, 'USAGE') is not true
        union all
        select 'SELECT on ' || c.oid::regclass, 'select on ' || c.oid::regclass
        from unnest(array[to_regclass('pgmq.meta'), to_regclass('pgmq_settings.settings')]) as c (oid)
        where has_table_privilege(to_regrole('queue_viewer'), c.oid, 'SELECT') is not true
        union all
        select
            format('EXECUTE on %s functions', count(*)),
            'execute on function ' || string_agg(f.oid::regprocedure::text, ', ' order by f.oid::regprocedure::text)
        from (
            select f.oid from pgmq_gateway.viewer_functions() as f
            union all
            select p.oid from pg_proc as p
            where p.pronamespace = to_regnamespace('pgmq') and p.proname = 'format_table_name'
        ) as f
        where has_function_privilege(to_regrole('queue_viewer'), f.oid, 'EXECUTE') is not true
        having count(*) > 0
    ) as m (what, privileges)
    where pgmq_gateway.has_viewer()
    union all
    -- A function that was stable in an earlier version keeps its grants.
    select
        format('read-only access: EXECUTE on %s of queue_viewer', p.oid::regprocedure),
        format('revoke execute on function %s from queue_viewer', p.oid::regprocedure)
    from pg_proc as p
    cross join aclexplode(p.proacl) as a
    where p.pronamespace = to_regnamespace('pgmq_admin') and p.provolatile = 'v'
      and a.grantee = to_regrole('queue_viewer');
$$;

CREATE FUNCTION pgmq_gateway.open_group_policies(queue_table regclass) RETURNS TABLE(policy name, role name)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with policies as (
        select
            p.polname, p.polpermissive, p.polroles,
            pg_get_expr(coalesce(p.polwithcheck, p.polqual), p.polrelid) ~ '\mheaders\M' as about_headers
        from pg_policy as p
        where p.polrelid = queue_table and p.polcmd in ('*', 'a')
    )
    select p.polname, r.role
    from policies as p
    join pgmq_gateway.limited_roles() as r on p.polroles && array[0, r.oid]
    where p.polpermissive and p.about_headers is not true
      and has_any_column_privilege(r.oid, queue_table, 'INSERT')
      and not exists (
          select from policies as o
          where not o.polpermissive and o.about_headers and o.polroles && array[0, r.oid]);
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
        from pgmq_gateway.public_functions() as f
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

CREATE FUNCTION pgmq_gateway.operation_policies() RETURNS TABLE(operation text, on_table text, command "char", after boolean, fails boolean)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    values
        ('send', 'queue', 'a'::"char", true, true),
        ('send', 'queue', 'r', false, true),
        ('read', 'queue', 'r', false, false),
        ('read', 'queue', 'w', false, false),
        ('read', 'queue', 'w', true, true),
        ('pop', 'queue', 'r', false, false),
        ('pop', 'queue', 'w', false, false),
        ('pop', 'queue', 'd', false, false),
        ('archive', 'queue', 'r', false, false),
        ('archive', 'queue', 'd', false, false),
        ('archive', 'archive', 'a', true, true),
        ('archive', 'archive', 'r', false, true),
        ('delete', 'queue', 'r', false, false),
        ('delete', 'queue', 'd', false, false);
$$;

CREATE FUNCTION pgmq_gateway.operation_privileges() RETURNS TABLE(operation text, queue_privileges text[], archive_privileges text[])
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

CREATE FUNCTION pgmq_gateway.orphans(only_names text[] DEFAULT NULL::text[]) RETURNS TABLE(name text, queue_table regclass, archive_table regclass, is_partitioned boolean, is_unlogged boolean, obstacle text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    with unlisted as materialized (
        select
            c.oid::regclass as relation, substr(c.relname, 1, 1) as prefix, n.name,
            c.relkind = 'p' as is_partitioned, c.relpersistence = 'u' as is_unlogged
        from pg_class as c
        cross join lateral (select substr(c.relname, 3)) as n (name)
        where c.relnamespace = 'pgmq'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
          and c.relname ~ '^[qa]_.' and c.relname = lower(c.relname) and (only_names is null or n.name = any (only_names))
          -- NOT IN is hashed. NOT EXISTS took 2.7 s for 2,000 queues, in nested loops.
          and n.name not in (select lower(m.queue_name) from pgmq.meta as m)
          and (c.relname not like 'a\_%\_old' or not exists (
              select from pgmq.meta as m where lower(m.queue_name) || '_old' = n.name))
          and not exists (
              select from pg_class as p
              where p.relnamespace = c.relnamespace and p.relkind = 'p' and p.oid <> c.oid
                and p.relname = regexp_replace(c.relname, '_(default|p[0-9_]+)$', '')::name
          )
          and (
              select array_agg(a.attname::text) from pg_attribute as a where a.attrelid = c.oid and not a.attisdropped
          ) @> case
              when c.relname like 'q%' then array['msg_id', 'read_ct', 'enqueued_at', 'vt', 'message']
              else array['msg_id', 'archived_at', 'message']
          end
    )
    select
        o.*,
        case
            when not pgmq_gateway.is_allowed_name(o.name) then 'the name of the queue is not allowed'
            when o.is_partitioned and (o.queue_table is null or o.archive_table is null)
            then 'a table of the partitioned queue is missing'
            when pg_get_serial_sequence(o.queue_table::text, 'msg_id') is null and o.queue_table is not null
            then format('%s has no sequence for the ids of messages', o.queue_table)
            when exists (
                select from pg_class as c
                where c.relnamespace = 'pgmq'::regnamespace and c.relname in (('q_' || o.name)::name, ('a_' || o.name)::name)
                  and c.oid <> all (array_remove(array[o.queue_table, o.archive_table], null))
            ) then 'a table with the name of the queue does not have the columns of one'
        end
    from (
        select
            coalesce(q.name, a.name), q.relation, a.relation, coalesce(q.is_partitioned, a.is_partitioned),
            coalesce(q.is_unlogged, false)
        from (select * from unlisted where prefix = 'q') as q
        full join (select * from unlisted where prefix = 'a') as a on a.name = q.name
    ) as o (name, queue_table, archive_table, is_partitioned, is_unlogged)
    order by o.name;
$_$;

CREATE FUNCTION pgmq_gateway.outline(source text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select lower(o.outline)
    from regexp_replace(
        source, $$--[^\n\r]*|/\*(?:[^*]|\*+[^*/])*\*+/|('(?:[^']|'')*')$$, ' \1 ', 'g'
    ) as c (code)
    cross join regexp_replace(c.code, $$'(?:[^']|'')*'$$, '''''', 'g') as o (outline)
    -- Escapes and nested comments hide where a string or a comment ends. Quoted names and dollar quotes do too, but the
    -- first of them is still there.
    where source !~ '\\|/\*(?:[^*]|\*+[^*/])*/\*'
      and replace(o.outline, '''''', '') !~ '[''"]|\$\D|[a-zA-Z0-9_]\$|[^\x01-\x7f]|/\*';
$_$;

CREATE FUNCTION pgmq_gateway.page_key(sort text, place jsonb, OUT number bigint, OUT instant timestamp with time zone, OUT id bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    timed constant boolean := sort in ('enqueued_at', 'vt', 'archived_at');
begin
    if jsonb_typeof(place) <> 'array' or jsonb_array_length(place) <> 2 or place @> '[null]' then
        raise data_exception using message = 'not an array of two values';
    end if;
    id := place ->> 1;
    if timed then
        instant := place ->> 0;
    else
        number := place ->> 0;
    end if;
exception
    when data_exception then
        raise exception 'after or before cannot be read: %', sqlerrm using
            errcode = 'invalid_parameter_value',
            hint = format('Use %s and msg_id of a row: %s.',
                sort, case when timed then '["2026-01-31T12:00:00Z", 7]' else '[7, 7]' end);
end;
$$;

CREATE FUNCTION pgmq_gateway.partman_config() RETURNS regclass
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select to_regclass(format('%I.part_config', s)) from pgmq_gateway.partman_schema() as s where s is not null;
$$;

CREATE FUNCTION pgmq_gateway.partman_schema() RETURNS name
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select n.nspname
    from pg_extension as e
    join pg_namespace as n on n.oid = e.extnamespace
    where e.extname = 'pg_partman';
$$;

CREATE FUNCTION pgmq_gateway.plain_call(role text, prepare text, statement text, given json, OUT row_count bigint, OUT body text) RETURNS record
    LANGUAGE plpgsql
    AS $$
begin
    -- An assignment, here and below, starts no executor, as PERFORM and SELECT INTO do.
    role := pg_catalog.set_config('role', role, true);
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
        -- An argument that is left out is null.
        when 'pgmq_api.send(message,queue_name)', 'pgmq_api.send(message,queue_name,sleep_seconds)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer.id)::pg_catalog.text, '[]')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (
                    queue_name pg_catalog.text, message pg_catalog.jsonb, sleep_seconds pg_catalog.int4
                ),
                lateral pgmq_api.send(
                    queue_name => sent.queue_name, message => sent.message, sleep_seconds => sent.sleep_seconds
                ) as answer (id);
        when 'pgmq_api.read(n,queue_name)', 'pgmq_api.read(n,queue_name,sleep_seconds)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select message.*
                from pg_catalog.json_to_record(given) as sent (
                        queue_name pg_catalog.text, sleep_seconds pg_catalog.int4, n pg_catalog.int4
                    ),
                    lateral pgmq_api.read(
                        queue_name => sent.queue_name, sleep_seconds => sent.sleep_seconds, n => sent.n
                    ) as message
            ) as answer;
        when 'pgmq_api.read(queue_name)', 'pgmq_api.read(queue_name,sleep_seconds)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select message.*
                from pg_catalog.json_to_record(given) as sent (
                        queue_name pg_catalog.text, sleep_seconds pg_catalog.int4
                    ),
                    lateral pgmq_api.read(
                        queue_name => sent.queue_name, sleep_seconds => sent.sleep_seconds
                    ) as message
            ) as answer;
        when 'pgmq_api.pop(queue_name)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select message.*
                from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text),
                    lateral pgmq_api.pop(queue_name => sent.queue_name) as message
            ) as answer;
        when 'pgmq_api.pop(n,queue_name)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select message.*
                from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, n pg_catalog.int4),
                    lateral pgmq_api.pop(queue_name => sent.queue_name, n => sent.n) as message
            ) as answer;
        when 'pgmq_api.ack(queue_name,receipt)' then
            select pg_catalog.count(*), coalesce((pg_catalog.json_agg(answer.outcome) -> 0)::pg_catalog.text, 'null')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, receipt pg_catalog.text),
                lateral pgmq_api.ack(
                    queue_name => sent.queue_name, receipt => sent.receipt
                ) as answer (outcome);
        when 'pgmq_api.settle(acks,queue_name)' then
            select pg_catalog.count(*), coalesce(pg_catalog.json_agg(answer)::pg_catalog.text, '[]')
            into row_count, body
            from (
                select settled.*
                from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, acks pg_catalog.text[]),
                    lateral pgmq_api.settle(queue_name => sent.queue_name, acks => sent.acks) as settled
            ) as answer;
        when 'pgmq_api.delete(message_id,queue_name)' then
            select pg_catalog.count(*), coalesce((pg_catalog.json_agg(answer.done) -> 0)::pg_catalog.text, 'null')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, message_id pg_catalog.int8),
                lateral pgmq_api.delete(
                    queue_name => sent.queue_name, message_id => sent.message_id
                ) as answer (done);
        when 'pgmq_api.archive(message_id,queue_name)' then
            select pg_catalog.count(*), coalesce((pg_catalog.json_agg(answer.done) -> 0)::pg_catalog.text, 'null')
            into row_count, body
            from pg_catalog.json_to_record(given) as sent (queue_name pg_catalog.text, message_id pg_catalog.int8),
                lateral pgmq_api.archive(
                    queue_name => sent.queue_name, message_id => sent.message_id
                ) as answer (done);
    end case;
end;
$$;

CREATE FUNCTION pgmq_gateway.policies_apply(on_table regclass, role oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select c.relrowsecurity
        and not (r.rolsuper or r.rolbypassrls)
        and (c.relforcerowsecurity or not pg_has_role(r.oid, c.relowner, 'usage'))
    from pg_class as c, pg_roles as r
    where c.oid = on_table and r.oid = role;
$$;

CREATE FUNCTION pgmq_gateway.policy_judgement(queue_name text, OUT queue_table oid, OUT obstacles text[], OUT relations oid[], OUT functions text[], OUT fingerprint text, OUT reads_requests boolean) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    select c.oid into queue_table
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'pgmq' and c.relname = lower('q_' || policy_judgement.queue_name) and c.relkind in ('r', 'p');
    select t.obstacles, t.relations, t.functions, t.reads_requests
    into obstacles, relations, functions, reads_requests
    from pgmq_gateway.table_obstacles(array_remove(array[queue_table], null), writing => false) as t;
    fingerprint := pgmq_gateway.fingerprint(relations, functions);
end;
$$;

CREATE FUNCTION pgmq_gateway.postpone_task(task text, queue_table text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into pgmq_settings.progress as p
    values (task, queue_table, 0, '', clock_timestamp() + interval '1 minute')
    on conflict on constraint progress_pkey do update
    set next_page = p.next_page + 20, resumes_at = excluded.resumes_at;
end;
$$;

CREATE FUNCTION pgmq_gateway.probe_policy(queue_table regclass, since timestamp with time zone, overlap double precision, known bigint[], known_at timestamp with time zone[], max_ids integer, role text, schemas text, settings text[], claims text[], timezones text[], requests text[], established integer, prepare text, relations oid[], functions text[], fingerprint text, OUT seeing integer[], OUT fresh integer, OUT ids bigint[], OUT times timestamp with time zone[], OUT until timestamp with time zone, OUT complete boolean) RETURNS record
    LANGUAGE plpgsql
    AS $_$
declare
    test constant pg_catalog.text := (
        select pg_catalog.format(
            'select exists (select from pgmq.%I as q where q.msg_id operator(pg_catalog.=) any ($1))', c.relname)
        from pg_catalog.pg_class as c
        where c.oid operator(pg_catalog.=) queue_table);
    messages pg_catalog.record;
    for_newcomers pg_catalog.int8[];
    asked pg_catalog.int8[];
    sees pg_catalog.bool;
    timezone pg_catalog.text;
begin
    perform pg_catalog.set_config('transaction_read_only', 'on', true);
    if pgmq_gateway.fingerprint(relations, functions) is distinct from fingerprint then
        raise sqlstate 'GW130' using message = 'the policies have changed';
    end if;
    messages := pgmq_gateway.found_messages(queue_table, since, overlap, known, known_at, max_ids);
    until := messages.until;
    complete := messages.complete;
    fresh := pg_catalog.cardinality(messages.fresh);
    ids := pg_catalog.array_cat(messages.recent, messages.fresh);
    times := messages.times;
    -- The last ones: what became visible before a newcomer's first attempt was seen by that.
    for_newcomers := pg_catalog.array_cat(
        messages.recent[greatest(1, pg_catalog.cardinality(messages.recent) - max_ids + 1) :], messages.fresh);
    seeing := '{}';
    if settings is not null then
        for place in 1 .. pg_catalog.cardinality(settings) by 2 loop
            perform pg_catalog.set_config(settings[place], settings[place + 1], true);
        end loop;
    end if;
    perform
        -- Other probes wait for this one.
        pg_catalog.set_config('lock_timeout', '50ms', true),
        -- A plan that was made while the table was empty must not read all of it later.
        pg_catalog.set_config('enable_seqscan', 'off', true),
        pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true),
        pg_catalog.set_config('search_path', schemas, true),
        pg_catalog.set_config('response.headers', '', true),
        pg_catalog.set_config('response.status', '', true);
    timezone := pg_catalog.current_setting('timezone');
    role := pg_catalog.set_config('role', role, true);
    for n in 1 .. pg_catalog.cardinality(claims) loop
        asked := case when n <= established then messages.fresh else for_newcomers end;
        continue when pg_catalog.cardinality(asked) = 0;
        sees := true;
        -- A policy that raises does so for its caller only, who is woken and gets the error.
        begin
            role := pg_catalog.set_config('request.jwt.claims', claims[n], true);
            if requests is not null then
                perform
                    pg_catalog.set_config('request.method', requests[4 * n - 3], true),
                    pg_catalog.set_config('request.path', requests[4 * n - 2], true),
                    pg_catalog.set_config('request.headers', requests[4 * n - 1], true),
                    pg_catalog.set_config('request.cookies', requests[4 * n], true);
            end if;
            if timezones is not null then
                perform pg_catalog.set_config('timezone', coalesce(timezones[n], timezone), true);
            end if;
            if prepare is not null then
                execute prepare;
            end if;
            -- `create_policy_probe` replaces this line.
            execute test into sees using asked;
            if prepare is not null then
                -- The next caller must not find what this one has set.
                raise sqlstate 'GW134';
            end if;
        exception when others or assert_failure then null;
        end;
        if sees then
            seeing := pg_catalog.array_append(seeing, n);
        end if;
    end loop;
    role := pg_catalog.set_config('role', 'none', true);
    -- The locks on the tables that were read are kept, so from now on their policies do not change. One that has changed
    -- before may have set another search_path, with other operators.
    if (pgmq_gateway.fingerprint(relations, functions) operator(pg_catalog.=) fingerprint) is not true then
        raise sqlstate 'GW130' using message = 'the policies have changed';
    end if;
    if prepare is not null then
        -- What is not undone with a transaction, such as session-level advisory locks.
        perform pgmq_gateway.clean_session();
    end if;
end;
$_$;

CREATE FUNCTION pgmq_gateway.probe_queues(queues text[]) RETURNS TABLE(has_table boolean, probed boolean, visible integer, newest double precision, seconds_to_next double precision, grouped boolean, paused boolean, has_policies boolean, throttle double precision)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'on'
    SET lock_timeout TO '50ms'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $_$
#variable_conflict use_column
declare
    max_visible constant integer := 33;
    queue record;
    present timestamptz;
    next_at timestamptz;
begin
    for queue in
        select
            c.oid, c.relrowsecurity, c.indexed, s.group_limit is not null as grouped,
            coalesce(s.paused, false) as paused,
            case when s.wake then coalesce(s.wake_throttle_ms, 100) / 1000.0 else 0 end as throttle
        from unnest(queues) with ordinality as n (name, place)
        left join pgmq_gateway.message_tables as c on c.relname = ('q_' || n.name)::name
            -- A longer name would be cut, to that of another table.
            and octet_length(n.name) <= 61
        left join pgmq_settings.settings as s on s.queue_table = c.relname::text
        order by n.place
    loop
        has_table := queue.oid is not null;
        has_policies := coalesce(queue.relrowsecurity, false);
        grouped := queue.grouped;
        paused := queue.paused;
        throttle := queue.throttle;
        probed := false;
        visible := null;
        newest := null;
        seconds_to_next := null;
        if queue.indexed then
            begin
                -- Policies would run code of their owner. Nearly everywhere pgmq_definer has BYPASSRLS.
                if row_security_active(queue.oid) then
                    perform pgmq_gateway.check_owners(array[queue.oid]);
                end if;
                present := clock_timestamp();
                execute format(
                    'select count(*), extract(epoch from max(q.vt))'
                    ' from (select q.vt from %s as q where q.vt <= $1 order by q.vt desc limit %s) as q',
                    queue.oid::regclass, max_visible)
                into visible, newest using present;
                execute format(
                    'select q.vt from %s as q where q.vt > $1 and q.vt < ''infinity'' order by q.vt limit 1',
                    queue.oid::regclass)
                into next_at using present;
                seconds_to_next := ceil(1000 * extract(epoch from next_at - present)) / 1000;
                probed := true;
            exception
                -- The queue is locked, was dropped meanwhile, cannot be read, or its index has so many dead entries that
                -- the statement timeout has ended. The others are probed.
                when others or query_canceled then null;
            end;
        end if;
        return next;
    end loop;
end;
$_$;

CREATE FUNCTION pgmq_gateway.public_functions() RETURNS TABLE(signature text, function regprocedure)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select s, to_regprocedure('pgmq_public.' || s)
    from unnest(array[
        'send(text,jsonb,integer)', 'send_batch(text,jsonb[],integer)', 'read(text,integer,integer)', 'pop(text)',
        'archive(text,bigint)', 'delete(text,bigint)'
    ]) as s;
$$;

CREATE FUNCTION pgmq_gateway.queue_access(only_queue text) RETURNS SETOF pgmq_gateway.queue_access
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with callers as materialized (
        select r.oid, r.role, o.operation, (pgmq_gateway.judge_functions(r.oid, o.operation)).blockers
        from pgmq_gateway.limited_roles() as r
        cross join pgmq_gateway.operation_privileges() as o
    )
    select
        q.queue_name, q.queue_table, q.archive_table, c.oid, c.role, c.operation, missing.lacks, c.blockers,
        (pgmq_gateway.judge_policies(q.queue_table, q.archive_table, c.oid, c.operation)).silent_blockers
    from pgmq_gateway.selected_queues(only_queue) as q
    join callers as c
        on has_any_column_privilege(c.oid, q.queue_table, 'SELECT, INSERT, UPDATE')
        or has_table_privilege(c.oid, q.queue_table, 'DELETE')
    cross join lateral (
        select string_agg(format('%s on %s', p.privilege, p.on_table), ', ') as lacks
        from pgmq_gateway.missing_privileges(q.queue_table, q.archive_table, c.oid, c.operation) as p
    ) as missing;
$$;

CREATE FUNCTION pgmq_gateway.queue_ages(queue_table regclass, indexed name[], OUT oldest timestamp with time zone, OUT newest timestamp with time zone) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    by_age constant name := case when 'msg_id' = any (indexed) then 'msg_id' else 'enqueued_at' end;
begin
    if by_age = any (indexed) then
        execute format(
            'select (select enqueued_at from %1$s order by %2$I limit 1),'
            ' (select enqueued_at from %1$s order by %2$I desc limit 1)',
            queue_table, by_age
        ) into oldest, newest;
    end if;
end;
$_$;

CREATE FUNCTION pgmq_gateway.queue_metrics(max_queues integer) RETURNS TABLE(queue_name text, queues bigint, messages bigint, visible bigint, delayed bigint, in_flight bigint, parked bigint, archived bigint, oldest_seconds double precision, sent bigint, updated bigint, deleted bigint, archive_inserted bigint, max_receives bigint, rejected bigint, expired bigint, failed_burials bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with newest as materialized (
        select s.*, b.max_receives, b.rejected, b.expired, b.failed from pgmq.meta as q
        cross join lateral (
            select s.* from pgmq_gateway.samples as s
            where s.queue_name = q.queue_name and s.at <= clock_timestamp() + interval '1 minute'
            order by s.at desc
            limit 1
        ) as s
        cross join lateral (
            select
                sum(b.max_receives)::bigint as max_receives, sum(b.rejected)::bigint as rejected,
                sum(b.expired)::bigint as expired, sum(b.failed)::bigint as failed
            from pgmq_settings.burials as b
            where b.queue_table = lower('q_' || q.queue_name)
        ) as b
        where clock_timestamp() - s.at <= make_interval(secs => 2.5 * s.spacing + 5)
    )
    select
        null, (select count(*) from pgmq.meta), sum(n.messages)::bigint, sum(n.visible)::bigint, sum(n.delayed)::bigint,
        sum(n.in_flight)::bigint, sum(n.parked)::bigint, sum(n.archived)::bigint, max(n.oldest_seconds), sum(n.sent)::bigint,
        sum(n.updated)::bigint, sum(n.deleted)::bigint, sum(n.archive_inserted)::bigint, sum(n.max_receives)::bigint,
        sum(n.rejected)::bigint, sum(n.expired)::bigint, sum(n.failed)::bigint
    from newest as n
    union all
    (
        select
            n.queue_name, 1, n.messages, n.visible, n.delayed, n.in_flight, n.parked, n.archived, n.oldest_seconds,
            n.sent, n.updated, n.deleted, n.archive_inserted, coalesce(n.max_receives, 0), coalesce(n.rejected, 0),
            coalesce(n.expired, 0), coalesce(n.failed, 0)
        from newest as n
        order by n.queue_name
        limit max_queues
    );
$$;

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

CREATE FUNCTION pgmq_gateway.queue_tables(queue_name text, OUT queue_table regclass, OUT archive_table regclass) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    queue_table := to_regclass(format('pgmq.%I', pgmq.format_table_name(queue_name, 'q')));
    archive_table := to_regclass(format('pgmq.%I', pgmq.format_table_name(queue_name, 'a')));
    if queue_table is null or archive_table is null then
        raise exception 'a table of queue "%" is missing', queue_name using
            errcode = 'undefined_table',
            hint = 'Drop the rest of the queue with pgmq_admin.drop_queue().';
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.reads_other_settings(code text, prefixes text[]) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select
        -- The bytes of a prefix behind the four of the length.
        code ~ format(
            $$:funcid (?:%s|%s) (?![^{]*\{CONST [^[}]*\[ (?:-?\d+ ){4}(?:%s))$$,
            'current_setting(text)'::regprocedure::oid, 'current_setting(text, boolean)'::regprocedure::oid,
            (
                select string_agg(b.bytes, '|')
                from unnest(prefixes) as p (prefix)
                cross join lateral (
                    select string_agg(get_byte(prefix::bytea, n) || ' ', '' order by n)
                    from generate_series(0, length(prefix) - 1) as n
                ) as b (bytes)
            ))
        or code ~* format(
            $$current_setting(?!\s*\(\s*'(?:%s))$$, replace(array_to_string(prefixes, '|'), '.', '\.'))
        or code ~ format(':funcid %s ', 'pg_show_all_settings()'::regprocedure::oid)
        or code ~* 'pg_show_all_settings';
$_$;

CREATE FUNCTION pgmq_gateway.receiving_statement(command text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select $$
        with claimed as (
            select c.id, width_bucket(row_number() over (), $3) as call
            from (
                select msg_id as id from pgmq.%1$I where vt <= $1 order by %3$I limit $2 for update skip locked
            ) as c
        ), received as ( $$ || command || $$
            where q.msg_id = claimed.id
            returning claimed.call, row(%4$s)::pgmq.message_record as message %5$s
        )
        select call, count(*), json_agg(message order by (message).msg_id)
        from received group by call order by call $$;
$_$;

CREATE FUNCTION pgmq_gateway.record_default_privileges() RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    insert into pgmq_gateway.install_options (name, value)
    select o.name, o.value from pgmq_gateway.default_privileges_option() as o where o.name is not null
    on conflict (name) do update set value = excluded.value;
$$;

CREATE FUNCTION pgmq_gateway.referred(class oid, object oid, written boolean) RETURNS TABLE(title text, ref_class oid, ref_object oid)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
begin
    return query
    with code as (
        select e.class, e.object, e.title, e.tree
        from pgmq_gateway.expressions(referred.object, written) as e
        where referred.class = 'pg_class'::regclass
        union all
        select referred.class, referred.object, null, concat_ws(' ', p.prosqlbody, p.proargdefaults)
        from pg_proc as p
        where referred.class = 'pg_proc'::regclass and p.oid = referred.object and p.oid >= 16384
        union all
        select referred.class, referred.object, format('Table %s', referred.object::regclass), ''
        where referred.class = 'pg_class'::regclass and written
    )
    select c.title, d.refclassid, d.refobjid
    from code as c
    join pg_depend as d on d.classid = c.class and d.objid = c.object
    union
    select c.title, 'pg_proc'::regclass::oid, r[1]::oid
    from code as c, regexp_matches(c.tree, ':(?:funcid|aggfnoid|winfnoid) (\d+)', 'g') as r
    union
    select c.title, 'pg_class'::regclass::oid, r[1]::oid
    from code as c, regexp_matches(c.tree, ':relid (\d+)', 'g') as r
    where r[1] <> '0';
end;
$$;

CREATE FUNCTION pgmq_gateway.remove_expired(what text, until timestamp with time zone, OUT changed bigint, OUT is_behind boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_gateway.remove_expired_keys(max_rows integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
declare
    removed integer;
begin
    if not exists (select from pgmq_gateway.idempotency_keys as k where k.expires_at <= now()) then
        return 0;
    end if;
    perform pgmq_gateway.check_foreign_code(array['pgmq_gateway.idempotency_keys'::regclass]);
    with expired as (
        select k.id from pgmq_gateway.idempotency_keys as k
        where k.expires_at <= now()
        order by k.expires_at
        limit max_rows
        for update skip locked
    )
    delete from pgmq_gateway.idempotency_keys as k using expired as e where k.id = e.id;
    get diagnostics removed = row_count;
    return removed;
end;
$$;

CREATE FUNCTION pgmq_gateway.remove_orphaned_settings() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_gateway.request_fingerprint(statement text, arguments text, parameters text[]) RETURNS bytea
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    normalized jsonb;
begin
    begin
        normalized := arguments;
    exception when data_exception or program_limit_exceeded then
        normalized := to_jsonb(arguments);
    end;
    return sha256(convert_to(jsonb_build_array(statement, normalized, parameters)::text, 'UTF8'));
end;
$$;

CREATE FUNCTION pgmq_gateway.request_roles() RETURNS TABLE(oid oid, role name)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select r.oid, r.rolname from pg_roles as r where pgmq_gateway.can_switch_to('authenticator'::name, r.rolname);
$$;

CREATE FUNCTION pgmq_gateway.run_task(task text, queue_table text, until timestamp with time zone, OUT changed bigint, OUT is_behind boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
exception when query_canceled or others then
    raise warning 'maintenance: % failed: %', concat_ws(' ', task, queue_table), sqlstate;
    if queue_table is not null then
        perform pgmq_gateway.postpone_task(task, queue_table);
    end if;
    changed := case when sqlstate <> '57014' then 0 end;
    is_behind := false;
end;
$$;

CREATE FUNCTION pgmq_gateway.sample_messages(queue_table regclass, present timestamp with time zone, percent real, OUT messages bigint, OUT visible_share double precision, OUT delayed_share double precision, OUT parked_share double precision) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    visible bigint;
    delayed bigint;
    in_flight bigint;
    parked bigint;
    sampled bigint;
begin
    execute format(
        'select count(*), %s from %s as q tablesample system ($2) repeatable (0)',
        pgmq_settings.state_counts('$1'), queue_table
    ) into sampled, visible, delayed, in_flight, parked using present, percent;
    messages := sampled * 100 / percent;
    visible_share := visible / greatest(sampled, 1)::double precision;
    delayed_share := delayed / greatest(sampled - visible, 1)::double precision;
    parked_share := parked / greatest(sampled - visible, 1)::double precision;
end;
$_$;

CREATE FUNCTION pgmq_gateway.sample_validity(at timestamp with time zone, spacing real) RETURNS interval
    LANGUAGE sql STABLE
    AS $$
    select make_interval(secs => greatest(2.5 * spacing, case when at < now() - interval '1 day' then 660 end));
$$;

CREATE TABLE pgmq_settings.progress (
    task text NOT NULL,
    queue_table text NOT NULL,
    next_page bigint NOT NULL,
    last_group text NOT NULL,
    resumes_at timestamp with time zone
);

CREATE FUNCTION pgmq_gateway.save_progress(former pgmq_settings.progress, present pgmq_settings.progress) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if present is distinct from former then
        insert into pgmq_settings.progress as p select present.*
        on conflict (task, queue_table) do update
        set next_page = present.next_page, last_group = present.last_group, resumes_at = present.resumes_at;
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.selected_queues(only_queue text) RETURNS TABLE(queue_name text, queue_table regclass, archive_table regclass)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if only_queue is not null then
        perform pgmq_gateway.check_queue_exists(only_queue);
    end if;
    return query
    select m.queue_name::text, t.queue_table, t.archive_table
    from pgmq.meta as m
    cross join lateral (
        select
            to_regclass(format('pgmq.%I', pgmq.format_table_name(m.queue_name::text, 'q'))),
            to_regclass(format('pgmq.%I', pgmq.format_table_name(m.queue_name::text, 'a')))
    ) as t (queue_table, archive_table)
    where t.queue_table is not null and t.archive_table is not null
      and (only_queue is null or m.queue_name = only_queue);
end;
$$;

CREATE FUNCTION pgmq_gateway.service_role_needs_policies() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select exists (
        select from pg_roles as r where r.rolname = 'service_role' and not (r.rolsuper or r.rolbypassrls));
$$;

CREATE FUNCTION pgmq_gateway.skip_used_ids(queue_name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    ids constant regclass := pg_get_serial_sequence(format('pgmq.%I', 'q_' || queue_name), 'msg_id');
    used bigint;
begin
    execute format(
        'select greatest((select max(msg_id) from pgmq.%I), (select max(msg_id) from pgmq.%I))',
        'q_' || queue_name, 'a_' || queue_name
    ) into used;
    if used > coalesce(pg_sequence_last_value(ids), 0) then
        perform setval(ids, used);
    end if;
end;
$$;

CREATE FUNCTION pgmq_gateway.source_faults(source text, pinned boolean, OUT faults text[], OUT names text[]) RETURNS record
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with outline as (
        -- Without the FROMs that read no table.
        select regexp_replace(
            regexp_replace(o, 'is\s+(?:not\s+)?distinct\s+from', '=', 'g'),
            'extract\s*\(\s*(?:\w+|'''')\s+from\s', 'extract(', 'g') as code
        from pgmq_gateway.outline(source) as o
        where o is not null
    ), words as (
        select distinct w[1] as word from outline, regexp_matches(code, '([a-z_][a-z0-9_]*)', 'g') as w
    ), called as (
        select c[1] as schema, c[2] as name, false as field
        from outline, regexp_matches(code, '(?:([a-z_][a-z0-9_]*)\s*\.\s*)?([a-z_][a-z0-9_]*)\s*\(', 'g') as c
        union
        -- A name behind a point can be a function too.
        select null, c[1], true
        from outline, regexp_matches(code, '\.\s*([a-z_][a-z0-9_]*)(?!\s*\(|[a-z0-9_])', 'g') as c
    ), functions as (
        select c.schema, c.name, c.field, k.catcode, p.oid, p.pronamespace = 'pg_catalog'::regnamespace as builtin
        from called as c
        left join pg_get_keywords() as k on k.word = c.name
        left join pg_proc as p
            on p.proname = c.name and (not pinned and c.schema is null or p.pronamespace = 'pg_catalog'::regnamespace)
    ), operators as (
        select distinct o[1] as name from outline, regexp_matches(code, '([-+*/<>=~!@#%^&|`?]+)', 'g') as o
        union
        -- A sign can follow without a space.
        select o[1] from outline, regexp_matches(code, '[*/<>=~!@#%^&|`?]([-+])', 'g') as o
        union
        -- Those behind words: =, for example, is behind CASE, IN and NULLIF.
        select i.name
        from (values
            ('=', ''), ('<>', 'in'), ('>=', 'between'), ('<=', 'between'), ('<', 'between'), ('>', 'between'),
            ('~~', 'like'), ('!~~', 'like'), ('~~*', 'ilike'), ('!~~*', 'ilike'), ('~', 'similar'), ('!~', 'similar')
        ) as i (name, word)
        where i.word = '' or exists (select from words where words.word = i.word)
    ), faults (fault) as (
        select 'cannot be read reliably' where not exists (select from outline)
        union all
        select format('contains the word %s', upper(w.word))
        from words as w
        where w.word in (
            'from', 'join', 'table', 'execute', 'perform', 'call', 'do', 'operator', 'rowtype', 'type', 'cast', 'open',
            'cursor', 'set', 'reset', 'lock', 'insert', 'update', 'delete', 'merge', 'notify', 'listen', 'copy',
            -- TREAT(x AS name) calls the function pg_catalog.name.
            'treat')
        union all
        select format('calls %s', f.name)
        from functions as f
        where case
            when f.schema <> 'pg_catalog' then true
            -- No function can have the name of such a keyword.
            when f.catcode in ('R', 'C') then false
            when f.oid is not null then not (f.builtin and pgmq_gateway.is_harmless_builtin(f.oid))
            else f.catcode is null and not f.field
                and f.name not in ('if', 'elsif', 'elseif', 'while', 'return', 'raise', 'assert', 'exit', 'continue')
                and not exists (
                    select from pg_type as t
                    where t.typname = f.name and t.typnamespace = 'pg_catalog'::regnamespace)
        end
        union all
        select format('names the schema %I', n.nspname)
        from pg_namespace as n
        where n.nspname <> 'pg_catalog'
          and exists (select from outline where code ~ ('(?<![a-z0-9_.])' || n.nspname || '\s*\.'))
        union all
        select format('can use the type %I.%I', t.typnamespace::regnamespace, t.typname)
        from words as w
        join pg_type as t on t.typname = w.word
        where not pinned and t.typnamespace <> 'pg_catalog'::regnamespace
          and (t.typtype <> 'c' or exists (select from words where word = 'declare'))
        union all
        select format('can use the operator %s', o.oid::regoperator)
        from operators
        join pg_operator as o on o.oprname = operators.name and o.oid >= 16384
        where not pinned
          and (o.oprleft = 0 or o.oprleft < 16384) and (o.oprright = 0 or o.oprright < 16384)
    )
    select
        array(select distinct fault from faults order by 1),
        case when pinned then '{}' else array(
            select name from functions where coalesce(catcode, '') not in ('R', 'C')
            union
            select name from operators
        ) end;
$$;

CREATE FUNCTION pgmq_gateway.source_table(queue_name text, filter jsonb) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select pgmq_gateway.message_table(
        queue_name, case when pgmq_settings.is_about_archive(filter) then 'a' else 'q' end);
$$;

CREATE FUNCTION pgmq_gateway.store_answers(key_ids bytea[], fingerprints bytea[], keep_seconds double precision, unstored text, totals bigint[], row_counts bigint[], response_statuses text[], response_headers text[], bodies text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    max_bytes constant integer := 1024 * 1024;
    expiry constant timestamptz := now() + make_interval(secs => keep_seconds);
begin
    -- Until the end of the transaction no role can add a trigger.
    lock table pgmq_gateway.idempotency_keys in row exclusive mode;
    if not exists (
        select from pg_class as c
        where c.oid = 'pgmq_gateway.idempotency_keys'::regclass and not c.relhastriggers
          and pg_get_userbyid(c.relowner) = current_user
    ) then
        -- It takes longer than a call.
        perform pgmq_gateway.check_foreign_code(array['pgmq_gateway.idempotency_keys'::regclass]);
    end if;
    for n in 1 .. cardinality(key_ids) loop
        continue when key_ids[n] is null or bodies[n] ~ unstored or response_statuses[n] !~ '^(2[0-9]{2})?$';
        if octet_length(bodies[n]) > max_bytes then
            raise sqlstate 'PT413' using
                message = 'Response too large for a request with an Idempotency-Key',
                detail = format(
                    'It has %s bytes, and at most %s are stored. The call was rolled back.',
                    octet_length(bodies[n]), max_bytes),
                hint = 'Request fewer rows, or repeat the request without the key.';
        end if;
        insert into pgmq_gateway.idempotency_keys as k values (
            key_ids[n], fingerprints[n], expiry, totals[n], row_counts[n],
            nullif(response_statuses[n], ''), nullif(response_headers[n], ''), bodies[n]
        )
        on conflict (id) do update set
            fingerprint = excluded.fingerprint, expires_at = excluded.expires_at, total = excluded.total,
            row_count = excluded.row_count, response_status = excluded.response_status,
            response_headers = excluded.response_headers, body = excluded.body
            where k.expires_at <= now();
        if not found then
            -- In a shared transaction, or with a snapshot from before the wait for the lock, as at REPEATABLE READ.
            raise exception 'another transaction used the Idempotency-Key' using
                errcode = case when cardinality(key_ids) > 1 then 'GW132' else 'serialization_failure' end;
        end if;
    end loop;
end;
$_$;

CREATE FUNCTION pgmq_gateway.table_faults(relation oid, written boolean) RETURNS SETOF text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
begin
    return query
    select 'is not an ordinary table'
    from pg_class as c
    -- pgmq.message_record is a row type. A default can refer to a sequence.
    where c.oid = relation and c.relkind not in ('r', 'c', 'S')
    union all
    select 'inherits or is inherited'
    where exists (select from pg_inherits as i where relation in (i.inhrelid, i.inhparent))
    union all
    select format('has the rule %I', r.rulename)
    from pg_rewrite as r
    where r.ev_class = relation and r.rulename <> '_RETURN'
    union all
    select format('has the foreign key %I', c.conname)
    from pg_constraint as c
    where written and c.contype = 'f' and relation in (c.conrelid, c.confrelid)
    union all
    select format('has the trigger %I', t.tgname)
    from pg_trigger as t
    where written and t.tgrelid = relation
      and t.oid not in (select w.trigger from pgmq_gateway.wake_triggers(array[relation]) as w)
      and not exists (select from pg_constraint as c where c.oid = t.tgconstraint and c.contype = 'f')
    union all
    select format('has the constraint %s, which is deferrable or an exclusion', i.indexrelid::regclass)
    from pg_index as i
    where written and i.indrelid = relation and (i.indisexclusion or not i.indimmediate)
    union all
    -- Each transaction would hold the keys of all its calls. Index expressions have no attribute.
    select format('has the unique index %s, at which two transactions could deadlock', i.indexrelid::regclass)
    from pg_index as i
    left join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where written and i.indrelid = relation and i.indisunique
      and (i.indnkeyatts > 1 or a.attname is distinct from 'msg_id');
end;
$$;

CREATE FUNCTION pgmq_gateway.table_functions(tables oid[]) RETURNS TABLE(on_table oid, function oid)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select distinct part.relation, d.refobjid
    from (
        select 'pg_policy'::regclass, p.oid, p.polrelid from pg_policy as p
        union all
        select 'pg_attrdef'::regclass, a.oid, a.adrelid from pg_attrdef as a
        union all
        select 'pg_constraint'::regclass, c.oid, c.conrelid from pg_constraint as c
        union all
        select 'pg_rewrite'::regclass, r.oid, r.ev_class from pg_rewrite as r
        union all
        select 'pg_class'::regclass, i.indexrelid, i.indrelid from pg_index as i
    ) as part (class, oid, relation)
    join pg_depend as d on d.classid = part.class and d.objid = part.oid and d.refclassid = 'pg_proc'::regclass
    where part.relation = any (tables);
$$;

CREATE FUNCTION pgmq_gateway.table_obstacles(tables oid[], writing boolean DEFAULT true, OUT obstacles text[], OUT relations oid[], OUT functions text[], OUT fusible boolean, OUT reads_requests boolean) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
    changed constant oid[] := case when writing then tables else '{}' end;
    -- With their sequences: a policy can read them too.
    written constant oid[] := tables || array(
        select d.objid
        from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = any (tables)
          and d.deptype in ('a', 'i'));
begin
    with recursive used (title, class, object) as (
        select null::text, 'pg_class'::regclass::oid, t.oid from unnest(tables) as t (oid)
        union
        select coalesce(u.title, r.title), r.ref_class, r.ref_object
        from used as u
        cross join lateral pgmq_gateway.referred(u.class, u.object, u.object = any (changed)) as r
        where u.class in ('pg_class'::regclass, 'pg_proc'::regclass) and u.object >= 16384
          and not (r.ref_class = 'pg_class'::regclass and r.ref_object = any (tables))
    ), relations as (
        select distinct object as oid from used where class = 'pg_class'::regclass
    ), routines as (
        select f.title, f.oid, p.proname, c.faults, c.names
        from (select title, object from used where class = 'pg_proc'::regclass) as f (title, oid)
        join pg_proc as p on p.oid = f.oid
        cross join lateral pgmq_gateway.function_faults(f.oid) as c
    ), sentences (sentence) as (
        select format('Table %s %s.', r.oid::regclass, f.fault)
        from relations as r, pgmq_gateway.table_faults(r.oid, r.oid = any (changed)) as f (fault)
        -- Policies of a partitioned table apply to all that is read by its name.
        where writing or r.oid <> all (tables)
        union all
        select format('%s %s.', e.title, f.fault)
        from relations as r, pgmq_gateway.expressions(r.oid, r.oid = any (changed)) as e,
            unnest(pgmq_gateway.tree_faults(e.tree)) as f (fault)
        union all
        select format('%s calls %s, which %s.', r.title, r.oid::regprocedure, f.fault)
        from routines as r, unnest(r.faults) as f (fault)
        union all
        select format('%s uses %s.', u.title, pg_describe_object(u.class, u.object, 0))
        from used as u
        left join pg_type as t on u.class = 'pg_type'::regclass and t.oid = u.object
        where case u.class
            when 'pg_type'::regclass then not pgmq_gateway.is_plain_type(t.oid) and t.typrelid <> all (tables)
            else u.class not in (
                'pg_class'::regclass, 'pg_proc'::regclass, 'pg_namespace'::regclass, 'pg_language'::regclass,
                'pg_constraint'::regclass, 'pg_collation'::regclass, 'pg_extension'::regclass)
        end
    ), code (text, per_row) as (
        select e.tree, e.class = 'pg_attrdef'::regclass
        from relations as r, pgmq_gateway.expressions(r.oid, r.oid = any (changed)) as e
        union all
        select concat_ws(' ', coalesce(p.prosqlbody::text, p.prosrc), p.proargdefaults), false
        from routines as r
        join pg_proc as p on p.oid = r.oid
        where r.oid >= 16384
    )
    select
        array(select distinct sentence from sentences order by 1),
        array(select oid from relations where oid >= 16384 order by 1),
        array(
            select proname::text from routines where oid >= 16384
            union
            select n from routines, unnest(names) as n
            union
            select w.function from pgmq_gateway.wake_triggers(tables) as w
            order by 1),
        not exists (select from code as c where pgmq_gateway.distinguishes_calls(c.text, written, c.per_row)),
        exists (
            select from code as c where pgmq_gateway.reads_other_settings(c.text, array['request.jwt.', 'app.']))
    into obstacles, relations, functions, fusible, reads_requests;
end;
$$;

CREATE FUNCTION pgmq_gateway.table_operations(queue_name text, role name) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(array_agg(o.operation order by o.place), '{}')
    from pgmq_gateway.queue_tables(queue_name) as t
    cross join pgmq_gateway.operation_privileges() with ordinality as o (operation, on_queue, on_archive, place)
    where not exists (
        select from pgmq_gateway.missing_privileges(
            t.queue_table, t.archive_table, to_regrole(quote_ident(role))::oid, o.operation)
    );
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
    -- Nothing to do while another session takes the sample, or on a standby.
    if spacing <= 0 or pg_is_in_recovery() or not pg_try_advisory_xact_lock(hashtext('pgmq_gateway.take_sample')) then
        return greatest(spacing, 1);
    end if;
    spacing := spacing * greatest(1, ceil((select count(*) from pgmq.meta) / 500.0));
    -- Not now(): the transaction may have started while another one took its sample.
    present := clock_timestamp();
    select max(s.at) into last from pgmq_gateway.samples as s where s.at <= present + interval '1 minute';
    due := last + make_interval(secs => spacing);
    if due > present then
        return extract(epoch from due - present);
    end if;
    perform pgmq_gateway.check_foreign_code(array['pgmq_gateway.samples'::regclass]);
    insert into pgmq_gateway.samples (
        queue_name, at, spacing, lasting, messages, visible, delayed, in_flight, parked, archived, oldest_seconds,
        sent, updated, deleted, archive_inserted
    )
    select
        q.queue_name, present, take_sample.spacing, last is null or last < date_bin('5 minutes', present, 'epoch'),
        q.messages, q.visible, q.delayed, q.in_flight, q.parked, q.archived, q.oldest_seconds,
        q.sent, q.updated, q.deleted, q.archive_inserted
    from pgmq_gateway.queues as q;
    delete from pgmq_gateway.samples as s where not s.lasting and s.at < present - interval '1 day';
    delete from pgmq_gateway.samples as s where s.lasting and s.at < present - make_interval(secs => keep_days * 86400);
    -- Of queues that were dropped without pgmq_admin.drop_queue().
    delete from pgmq_gateway.samples as s
    where s.at = last and not exists (select from pgmq.meta as m where m.queue_name = s.queue_name);
    return spacing;
end;
$$;

CREATE FUNCTION pgmq_gateway.template_condition(template text, queue_table regclass, command "char", claim text, member text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select case
        when template in ('own_messages', 'tenant') then format(
            -- In a scalar subquery the claim is read once, not for each row.
            '%s = (select %s)',
            pgmq_gateway.member_expression('message', member),
            pgmq_gateway.member_expression('nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb', claim))
        -- pgmq's INSERT returns the id, so a sender needs a SELECT policy for its new row, and a policy cannot know
        -- whose row that is. So all rows are allowed, but only while the role has no privilege on more of them than the
        -- id.
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

CREATE FUNCTION pgmq_gateway.transfer_part(action text, source text, target text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    columns constant text := 'message, headers, enqueued_at, vt, read_ct' || case
        when action = 'archive' and pgmq_gateway.have_column('last_read_at', source, target) then ', last_read_at'
        else ''
    end;
    -- In another queue a message keeps its age, unless that is partitioned by time: its retention would soon drop it.
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

CREATE FUNCTION pgmq_gateway.tree_faults(tree text) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select array(
        select fault
        from (values
            ('\{QUERY :commandType (?!1 )', 'contains a statement that is not a query'),
            (':rowMarks \(', 'locks rows'),
            (':varattno -[2-5] ', 'reads a system column')
        ) as f (pattern, fault)
        where tree ~ f.pattern);
$$;

CREATE FUNCTION pgmq_gateway.try_operation(INOUT operation text, queue_name text, role name, claims jsonb, message jsonb, msg_id bigint, OUT allowed boolean, OUT code text, OUT error text, OUT rows bigint) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    done boolean := false;
begin
    allowed := false;
    rows := 0;
    begin
        perform pgmq_gateway.become(role, claims);
        execute 'select count(*) from ' || case operation
            when 'send' then 'pgmq_public.send(queue_name => $1, message => $2)'
            when 'read' then 'pgmq_public.read(queue_name => $1, sleep_seconds => 0, n => 1)'
            when 'pop' then 'pgmq_public.pop(queue_name => $1)'
            when 'archive' then 'pgmq_public.archive(queue_name => $1, message_id => $3) as done where done'
            when 'delete' then 'pgmq_public.delete(queue_name => $1, message_id => $3) as done where done'
        end into rows using queue_name, message, msg_id;
        done := true;
        raise sqlstate 'GW000';
    exception when others then
        if done then
            allowed := rows > 0;
        else
            get stacked diagnostics code = returned_sqlstate, error = message_text;
        end if;
    end;
end;
$_$;

CREATE FUNCTION pgmq_gateway.usable_indexes(queue_table regclass, dead_tuples bigint) RETURNS name[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(array_agg(a.attname), '{}')
    from pg_index as i
    join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = queue_table and i.indisvalid and dead_tuples < 50000;
$$;

CREATE FUNCTION pgmq_gateway.viewer_functions() RETURNS TABLE(oid oid)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select p.oid
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where p.provolatile <> 'v' and has_function_privilege('service_role', p.oid, 'EXECUTE')
      and (n.nspname = 'pgmq_admin' or n.nspname in ('pgmq_gateway', 'pgmq_settings') and not p.prosecdef);
$$;

CREATE FUNCTION pgmq_gateway.visible_from(seconds integer, at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if seconds is not null and at is not null then
        raise exception 'a number of seconds and a time exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Leave one of them out.';
    elsif seconds < 0 then
        raise exception 'a message cannot be delayed by % seconds', seconds using
            errcode = 'invalid_parameter_value', hint = 'Use 0 or more.';
    end if;
    return greatest(clock_timestamp() + make_interval(secs => coalesce(seconds, 0)), at);
end;
$$;

CREATE FUNCTION pgmq_gateway.wake_triggers(tables oid[]) RETURNS TABLE(trigger oid, function name)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select t.oid, p.proname
    from pg_trigger as t
    join pg_proc as p on p.oid = t.tgfoid
    join pg_namespace as n on n.oid = p.pronamespace
    where t.tgrelid = any (tables) and n.nspname = 'pgmq_settings' and p.proname = 'notify_wake'
      -- After an insert, for each statement.
      and t.tgtype = 4 and t.tgqual is null and not t.tgdeferrable and pgmq_gateway.is_shipped(p.oid);
$$;

CREATE FUNCTION pgmq_gateway.with_ids(msg_ids bigint[], state text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select jsonb_strip_nulls(jsonb_build_object('state', state)) || jsonb_build_object('msg_ids', msg_ids);
$$;

CREATE FUNCTION pgmq_gateway.writes_archive(function_name text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select function_name in ('archive', 'pgmq_api.archive', 'pgmq_api.read', 'pgmq_api.pop');
$$;

CREATE FUNCTION pgmq_gateway.written_tables(queue_name text, function_name text) RETURNS oid[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select array(
        select c.oid
        from pg_class as c
        join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'pgmq'
            and c.relname = any (
                array[lower('q_' || queue_name)]
                || case when function_name !~ '\.' then array['message_record'] end
                || case when pgmq_gateway.writes_archive(function_name) then lower('a_' || queue_name) end)
            or n.nspname = 'pgmq_api' and c.relname = 'message' and function_name ~ '\.'
        order by c.relname desc);
$$;

CREATE FUNCTION pgmq_public.archive(queue_name text, message_id bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    return pgmq.archive(queue_name := archive.queue_name, msg_id := archive.message_id);
end;
$$;

COMMENT ON FUNCTION pgmq_public.archive(queue_name text, message_id bigint) IS 'Moves a message to the archive of its queue; false if there is none with this id.';

CREATE FUNCTION pgmq_public.delete(queue_name text, message_id bigint) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    return pgmq.delete(queue_name := delete.queue_name, msg_id := delete.message_id);
end;
$$;

COMMENT ON FUNCTION pgmq_public.delete(queue_name text, message_id bigint) IS 'Deletes a message permanently; false if there is none with this id.';

CREATE FUNCTION pgmq_public.pop(queue_name text) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
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

COMMENT ON FUNCTION pgmq_public.pop(queue_name text) IS 'Reads and deletes one visible message. At most once: if the response is lost, so is the message.';

CREATE FUNCTION pgmq_public.read(queue_name text, sleep_seconds integer, n integer) RETURNS SETOF pgmq.message_record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $_$
declare
    queue_table constant text := pgmq.format_table_name(queue_name, 'q');
    present constant timestamptz := clock_timestamp();
    -- Reading fewer messages than n is always allowed, and a huge n must not read them all.
    max_messages constant integer := least(
        n, coalesce(nullif(current_setting('pgmq_gateway.max_read', true), '')::integer, 10000)
    );
    columns text;
    stamp text;
begin
    if n is null then
        raise exception 'n must not be null' using
            errcode = 'null_value_not_allowed',
            hint = 'It is the maximum number of messages to read: 1 for example.';
    end if;
    if current_setting('transaction_read_only')::boolean then
        -- Fails as pgmq.read does: for a queue that does not exist, else because this is an UPDATE.
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
    ) using present, max_messages, sleep_seconds;
end;
$_$;

COMMENT ON FUNCTION pgmq_public.read(queue_name text, sleep_seconds integer, n integer) IS 'Reads up to n visible messages and makes them invisible for sleep_seconds. Delete or archive them in that time.';

CREATE FUNCTION pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer DEFAULT 0) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    return query
    select * from pgmq.send(queue_name := send.queue_name, msg := send.message, delay := send.sleep_seconds);
end;
$$;

COMMENT ON FUNCTION pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer) IS 'Adds a message to a queue and returns its id. sleep_seconds: the delay until it becomes visible.';

CREATE FUNCTION pgmq_public.send_batch(queue_name text, messages jsonb[], sleep_seconds integer DEFAULT 0) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    -- The gateway's operator may set another limit.
    if cardinality(messages)
        > coalesce(nullif(current_setting('pgmq_gateway.max_batch', true), '')::integer, 100000)
    then
        raise exception 'a batch of % messages is too long', cardinality(messages) using
            errcode = 'invalid_parameter_value',
            hint = 'Send them in smaller batches.';
    end if;
    -- For an empty batch pgmq 1.5 returns nothing and later versions raise: do as 1.5.
    if coalesce(cardinality(messages), 0) = 0 then
        return;
    end if;
    return query
    select * from pgmq.send_batch(
        queue_name := send_batch.queue_name, msgs := send_batch.messages, delay := send_batch.sleep_seconds);
end;
$$;

COMMENT ON FUNCTION pgmq_public.send_batch(queue_name text, messages jsonb[], sleep_seconds integer) IS 'Adds messages to a queue, all or none, and returns their ids in order.';

CREATE FUNCTION pgmq_settings.ack_all(queue_name text, receipts text[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if cardinality(receipts) > 10000
        or (select count(distinct split_part(r, '.', 1)) from unnest(receipts) as r) < cardinality(receipts)
    then
        return null;
    end if;
    return pgmq_settings.settle_list(pgmq.format_table_name(queue_name, 'q'), 'ack', receipts);
end;
$$;

CREATE FUNCTION pgmq_settings.ack_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    outcomes constant text[] := pgmq_settings.ack_all(
        queue_name, array(select c ->> 'receipt' from unnest(given) as c));
begin
    if outcomes is not null then
        row_counts := array_fill(1, array[cardinality(given)]);
        bodies := array(select to_json(o)::text from unnest(outcomes) as o);
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.arrange_groups(queue_table text, group_limit integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'on'
    AS $_$
declare
    tables constant regclass[] := array[to_regclass(format('pgmq.%I', queue_table))];
begin
    perform pgmq_gateway.check_foreign_code(tables);
    perform pgmq_settings.check_sees_all(tables);
    execute format(
        $query$
        with grouped as (
            select
                q.msg_id, %2$s as name, q.read_ct > 0 and q.vt > $1 and q.vt < 'infinity' as in_flight
            from pgmq.%1$I as q
            where %2$s is not null
        ), placed as (
            select g.*, row_number() over (partition by g.name order by g.in_flight desc, g.msg_id) > $2 as parked
            from grouped as g
        )
        update pgmq.%1$I as q
        set vt = case when p.parked then 'infinity' else %3$s end,
            headers = case
                when p.parked and q.vt > $1
                then q.headers || jsonb_build_object('x-pgmq-not-before', extract(epoch from q.vt))
                else q.headers - 'x-pgmq-not-before'
            end
        from placed as p
        where q.msg_id = p.msg_id and not p.in_flight and p.parked <> (q.vt = 'infinity')
        $query$,
        queue_table, pgmq_settings.group_expression('q'), pgmq_settings.promotion_time()
    ) using clock_timestamp(), coalesce(group_limit, 2147483647);
end;
$_$;

CREATE FUNCTION pgmq_settings.backoff(settings pgmq_settings.queues, read_ct integer) RETURNS double precision
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    return least(
        coalesce(settings.backoff_max_seconds, 3600),
        coalesce(settings.backoff_seconds, 10)
            * case settings.backoff when 'exponential' then power(2, least(read_ct - 1, 60)) else 1 end
    ) * (1 - coalesce(settings.backoff_jitter, 0.2) * random());
end;
$$;

CREATE FUNCTION pgmq_settings.burial_slot(queue_table text) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    for slot in 0 .. 63 loop
        if pg_try_advisory_xact_lock(hashtext('pgmq_settings.burials.' || queue_table), slot) then
            return slot;
        end if;
    end loop;
    return 0;
end;
$$;

CREATE FUNCTION pgmq_settings.burial_statement(queue_table text, target text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

CREATE FUNCTION pgmq_settings.burial_table(queue_table text, dead_letter_queue text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case
        when to_regclass('pgmq.' || quote_ident(lower('q_' || dead_letter_queue))) is not null
            then lower('q_' || dead_letter_queue)
        else overlay(queue_table placing 'a' from 1 for 1)
    end;
$$;

CREATE FUNCTION pgmq_settings.buried_condition(row_name text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return format('(%s or %2$s.read_ct >= $5 and %2$s.vt <= $2)', pgmq_settings.dead_condition(row_name), row_name);
end;
$_$;

CREATE FUNCTION pgmq_settings.bury(queue_table text, ids bigint[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'on'
    AS $$
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
$$;

COMMENT ON FUNCTION pgmq_settings.bury(queue_table text, ids bigint[]) IS 'Moves the dead among some messages of a queue to its dead-letter queue, or its archive, or deletes them.';

CREATE FUNCTION pgmq_settings.bury_each(burial text, ids bigint[], queue_table text, settings pgmq_settings.queues) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_settings.bury_unread(queue_table text, first_page bigint, until timestamp with time zone, OUT dead bigint, OUT buried bigint, OUT next_page bigint, OUT at_end boolean) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'on'
    AS $$
declare
    -- Few, because burials that fail take a millisecond each.
    max_ids constant integer := 200;
    part_pages constant integer := 20;
    relation constant regclass := format('pgmq.%I', queue_table);
    settings pgmq_settings.queues;
    target text;
    pages bigint;
    grouped boolean;
    ids bigint[];
begin
    perform pgmq_settings.check_accessible(relation);
    pages := pgmq_settings.page_count(relation);
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = bury_unread.queue_table;
    target := pgmq_settings.burial_table(queue_table, settings.dead_letter_queue);
    grouped := exists (
        select from pgmq_settings.settings as s
        where s.queue_table in (bury_unread.queue_table, target) and s.group_limit is not null);
    dead := 0;
    buried := 0;
    at_end := false;
    next_page := case when first_page < pages then first_page else 0 end;
    <<walk>>
    loop
        ids := pgmq_settings.find_dead(queue_table, settings, next_page, next_page + part_pages);
        dead := dead + cardinality(ids);
        if ids <> '{}' then
            perform pgmq_settings.check_burial(queue_table, target);
        end if;
        -- The next visit begins with this part again, unless all of it was tried: other transactions may have locked rows.
        while ids <> '{}' loop
            buried := buried + pgmq_settings.bury(queue_table, ids[:max_ids]);
            ids := ids[max_ids + 1 :];
            exit walk when ids <> '{}' and (clock_timestamp() >= until or grouped);
        end loop;
        next_page := next_page + part_pages;
        at_end := next_page >= pages;
        exit when at_end or clock_timestamp() >= until or grouped and dead > 0;
    end loop;
    if at_end then
        next_page := 0;
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.calls_together(function_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    queue_name constant text := given[1] ->> 'queue_name';
    result record;
begin
    case function_name
        when 'pgmq_api.send' then result := pgmq_settings.send_together(queue_name, given);
        when 'pgmq_api.read' then result := pgmq_settings.receive_together(queue_name, false, given);
        when 'pgmq_api.pop' then result := pgmq_settings.receive_together(queue_name, true, given);
        when 'pgmq_api.ack' then result := pgmq_settings.ack_together(queue_name, given);
        when 'pgmq_api.settle' then result := pgmq_settings.settle_together(queue_name, given);
    end case;
    row_counts := result.row_counts;
    bodies := result.bodies;
end;
$$;

CREATE FUNCTION pgmq_settings.change_seconds(queue_table text, settings pgmq_settings.queues, deliveries pgmq_settings.delivery[], operations text[], seconds integer[]) RETURNS double precision[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_settings.check_delay(settings, c.seconds)
    from unnest(operations, seconds) as c (operation, seconds)
    where settings.group_limit is not null and c.operation = 'retry' and c.seconds is not null;
    return array(
        select coalesce(
            c.seconds, pgmq_settings.default_seconds(settings, c.operation), pgmq_settings.backoff(settings, c.read_ct))
        from unnest(deliveries, operations, seconds) with ordinality
            as c (msg_id, read_ct, enqueued_at, operation, seconds, place)
        order by c.place);
end;
$$;

CREATE FUNCTION pgmq_settings.changes_statement(queue_table text, noting boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return format(
        $query$
        with changed as (
            update pgmq.%I as q
            set %s vt = case
                    when c.operation = 'reject' or c.operation = 'retry' and q.read_ct >= $6
                        or c.operation = 'extend' and c.seconds = 0
                    then $5
                    when c.operation = 'extend' then greatest(q.vt, $5 + make_interval(secs => c.seconds))
                    else $5 + make_interval(secs => c.seconds)
                end
            from (
                select *
                from unnest($1, $2, $3, $4) with ordinality
                    as c (msg_id, read_ct, enqueued_at, operation, seconds, reason, place)
                order by c.msg_id
            ) as c
            where q.msg_id = c.msg_id and q.read_ct = c.read_ct and q.enqueued_at = c.enqueued_at
                -- Each rejection adds to its receives.
                and (c.operation <> 'reject' or c.read_ct < 1000000)
            returning
                c.place, q.msg_id, c.operation = 'reject' or c.operation = 'retry' and c.read_ct >= $6 as dead
        )
        select
            array_agg(c.place), array_agg(c.place) filter (where c.dead), array_agg(c.msg_id) filter (where c.dead)
        from changed as c
        $query$,
        queue_table,
        case when noting then
            $assignments$
            read_ct = case c.operation when 'reject' then q.read_ct + 1000000 else q.read_ct end,
            headers = case
                when c.operation = 'reject' then
                    pgmq_settings.headers_object(q.headers) || jsonb_build_object('x-pgmq-rejected', c.reason)
                when c.operation = 'retry' and c.reason is not null then
                    pgmq_settings.headers_object(q.headers) || jsonb_build_object(
                        'x-pgmq-retry', jsonb_build_object('reason', c.reason, 'at', $5))
                else q.headers
            end,
            $assignments$
        end);
end;
$_$;

CREATE FUNCTION pgmq_settings.check_accessible(relation regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    execute format('lock table %s in row exclusive mode', relation);
    perform pgmq_settings.check_own_code(array[relation]);
    perform pgmq_settings.check_sees_all(array[relation]);
end;
$$;

CREATE FUNCTION pgmq_settings.check_batch(messages integer) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if messages > coalesce(nullif(current_setting('pgmq_gateway.max_batch', true), '')::integer, 100000) then
        raise exception 'a batch of % messages is too long', messages using
            errcode = 'invalid_parameter_value', hint = 'Send them in smaller batches.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_burial(queue_table text, target text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    tables constant regclass[] := array[
        to_regclass(format('pgmq.%I', queue_table)), to_regclass(format('pgmq.%I', target))];
begin
    execute format('lock table pgmq.%I, pgmq.%I, pgmq_settings.burials in row exclusive mode', queue_table, target);
    perform pgmq_settings.check_own_code(tables || 'pgmq_settings.burials'::regclass);
    perform pgmq_settings.check_sees_all(tables);
end;
$$;

CREATE FUNCTION pgmq_settings.check_dead_letter_queue(queue_name text, dead_letter_queue text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if dead_letter_queue is null then
        return;
    end if;
    perform pgmq_gateway.check_queue_exists(dead_letter_queue);
    if exists (
        with recursive path (queue_table) as (
            select lower('q_' || check_dead_letter_queue.dead_letter_queue)
            union
            select lower('q_' || s.dead_letter_queue)
            from path as p
            join pgmq_settings.queues as s on s.queue_table = p.queue_table
            where s.dead_letter_queue is not null
        )
        select from path as p where p.queue_table = lower('q_' || check_dead_letter_queue.queue_name)
    ) then
        raise exception 'queue "%" cannot be the dead-letter queue of "%": dead messages would return to it',
            dead_letter_queue, queue_name
            using errcode = 'invalid_parameter_value', hint = 'Use a queue whose own dead letters go elsewhere.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_deduplication() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    lock table pgmq_settings.deduplication_ids in row exclusive mode;
    perform pgmq_settings.check_own_code(array['pgmq_settings.deduplication_ids'::regclass]);
end;
$$;

CREATE FUNCTION pgmq_settings.check_delay(settings pgmq_settings.queues, seconds integer) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if settings.group_limit is not null then
        perform pgmq_settings.check_seconds('delay_seconds', seconds, 604800);
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_entries(entries jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    found record;
begin
    if jsonb_typeof(entries) is distinct from 'array' then
        raise exception 'entries must be an array, not %', coalesce(jsonb_typeof(entries), 'null') using
            errcode = 'invalid_parameter_value', hint = 'For example: [{"message": {"id": 1}}]';
    end if;
    perform pgmq_settings.check_batch(jsonb_array_length(entries));
    select
        e.place - 1 as entry, m.key, k.member, k.hint,
        jsonb_typeof(e.value) = 'object' and e.value ? 'message' as has_message
    into found
    from jsonb_array_elements(entries) with ordinality as e (value, place)
    left join lateral jsonb_each(case jsonb_typeof(e.value) when 'object' then e.value else '{}' end) as m on true
    left join pgmq_settings.entry_members() as k on k.member = m.key
    where jsonb_typeof(e.value) <> 'object' or not e.value ? 'message' or k.member is null
       or m.value <> 'null' and (
           jsonb_typeof(m.value) <> k.type or k.type = 'number' and m.value::text !~ '^-?[0-9]{1,9}$')
    order by e.place
    limit 1;
    if found.entry is null then
        return;
    elsif not found.has_message then
        raise exception 'entry % is not an object with a message', found.entry using
            errcode = 'invalid_parameter_value', hint = 'For example: {"message": {"id": 1}}';
    elsif found.member is null then
        raise exception 'member "%" of entry % is unknown', found.key, found.entry using
            errcode = 'invalid_parameter_value',
            hint = (
                select format('Known are %s.', string_agg(k.member, ', ')) from pgmq_settings.entry_members() as k);
    end if;
    raise exception 'member "%" of entry % has the wrong type', found.key, found.entry using
        errcode = 'invalid_parameter_value', hint = found.hint;
end;
$_$;

CREATE FUNCTION pgmq_settings.check_filter(filter jsonb) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    found record;
begin
    if jsonb_typeof(filter) is distinct from 'object' then
        raise exception 'filter must be a JSON object, not %', coalesce(jsonb_typeof(filter), 'null') using
            errcode = 'invalid_parameter_value', hint = 'A filter without conditions is {}.';
    end if;
    for found in
        select f.key as member, f.value, m.type, m.hint
        from jsonb_each(filter) as f
        left join pgmq_settings.filter_members() as m on m.member = f.key
    loop
        if found.type is null then
            raise exception 'filter member "%" is unknown', found.member using
                errcode = 'invalid_parameter_value',
                hint = (
                    select format('Known are %s.', string_agg(m.member, ', ')) from pgmq_settings.filter_members() as m);
        elsif found.type not in ('any', jsonb_typeof(found.value)) then
            raise exception 'filter member "%" must be of type %, not %',
                found.member, found.type, jsonb_typeof(found.value)
                using errcode = 'invalid_parameter_value', hint = found.hint;
        elsif found.member = 'state' and not pgmq_settings.is_about_archive(filter)
            and pgmq_settings.state_condition(found.value #>> '{}', '') is null
        then
            raise exception 'state "%" is unknown', found.value #>> '{}' using
                errcode = 'invalid_parameter_value', hint = found.hint;
        end if;
        perform pgmq_settings.check_filter_value(found.member, found.value, found.hint);
    end loop;
end;
$$;

CREATE FUNCTION pgmq_settings.check_filter_value(member text, value jsonb, hint text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    plain constant text := value #>> '{}';
begin
    case member
        when 'msg_ids' then perform i::bigint from jsonb_array_elements_text(value) as i;
        when 'sent_after', 'sent_before' then perform plain::timestamptz;
        when 'min_read_ct', 'max_read_ct' then perform plain::integer;
        when 'path' then perform pgmq_settings.is_predicate(plain::jsonpath);
        else null;
    end case;
exception
    -- undefined_object: a path with a variable, of which there are none.
    when data_exception or syntax_error or feature_not_supported or program_limit_exceeded or undefined_object then
        raise exception 'filter member "%" cannot be read: %', member, sqlerrm using
            errcode = 'invalid_parameter_value', hint = hint;
end;
$$;

CREATE FUNCTION pgmq_settings.check_grouped(name text, vt timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if length(name) not between 1 and 128 then
        raise exception 'the name of a group must have 1 to 128 characters, not %', length(name) using
            errcode = 'invalid_parameter_value', hint = 'It is the header x-pgmq-group.';
    elsif vt > clock_timestamp() + interval '7 days' and isfinite(vt) then
        raise exception 'a message of a group cannot be delayed by more than 7 days' using
            errcode = 'invalid_parameter_value', hint = 'The messages behind it would wait as long.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_groups(queue_table text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    longest integer;
    shortest integer;
begin
    if exists (
        select from pg_class as c
        where c.oid = to_regclass(format('pgmq.%I', queue_table)) and c.relkind = 'p'
    ) then
        raise exception 'a partitioned queue cannot have group_limit' using
            errcode = 'feature_not_supported', hint = 'Use a queue of type basic.';
    end if;
    execute format(
        'select min(length(g.name)), max(length(g.name)) from (select %s as name from pgmq.%I as q) as g',
        pgmq_settings.group_expression('q'), queue_table)
    into shortest, longest;
    perform pgmq_settings.check_grouped(repeat('x', n), null)
    from unnest(array[shortest, longest]) as n where n not between 1 and 128;
end;
$$;

CREATE FUNCTION pgmq_settings.check_id(name text, id text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if length(id) not between 1 and 128 or id ~ '[[:cntrl:]]' then
        raise exception '% must have 1 to 128 characters, and no control characters', name using
            errcode = 'invalid_parameter_value', hint = 'For example: customer-42';
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_isolation() RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'messages of a group cannot be sent or deleted with transaction isolation %',
            current_setting('transaction_isolation')
            using errcode = 'feature_not_supported', hint = 'Use read committed in queues with group_limit.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_members(settings jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    found record;
begin
    if jsonb_typeof(settings) is distinct from 'object' then
        raise exception 'settings must be a JSON object, not %', coalesce(jsonb_typeof(settings), 'null') using
            errcode = 'invalid_parameter_value', hint = 'For example: {"max_receives": 5}';
    end if;
    for found in
        select
            s.key as member, s.value, m.type,
            pgmq_settings.member_range(m.type, m.smallest, m.largest, m.choices) as range,
            jsonb_typeof(s.value) = m.type and case m.type
                when 'number' then
                    (s.value #>> '{}')::numeric between m.smallest and m.largest
                    and (m.largest = 1 or s.value #>> '{}' !~ '[.]')
                when 'string' then m.choices is null or s.value #>> '{}' = any (m.choices)
                else true
            end as valid
        from jsonb_each(settings) as s
        left join pgmq_settings.members() as m on m.member = s.key
    loop
        if found.type is null then
            raise exception 'queue setting "%" is unknown', found.member using
                errcode = 'invalid_parameter_value',
                hint = (select format('Known are %s.', string_agg(m.member, ', ')) from pgmq_settings.members() as m);
        elsif found.value <> 'null' and not found.valid then
            raise exception 'queue setting "%" cannot be %', found.member, left(found.value::text, 100) using
                errcode = 'invalid_parameter_value', hint = found.range;
        end if;
    end loop;
end;
$$;

CREATE FUNCTION pgmq_settings.check_not_full(queue_name text, is_full boolean) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if is_full then
        raise sqlstate 'PT429' using
            message = format('queue "%s" is full', queue_name),
            hint = 'It has its max_messages. Send again when some have been consumed.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_own_code(tables regclass[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
begin
    if exists (
        select from pg_class as c
        where c.oid = any (tables) and (
            not pg_has_role(c.relowner, 'pgmq_definer', 'member')
            or c.relhassubclass or c.relhasrules or c.relchecks > 0
            or exists (
                select from pg_trigger as t
                join pg_proc as p on p.oid = t.tgfoid
                where t.tgrelid = c.oid and (
                    t.tgisinternal or not pg_has_role(p.proowner, 'pgmq_definer', 'member')
                    or t.tgqual is not null and (
                        p.pronamespace <> 'pgmq_settings'::regnamespace
                        or p.proacl is distinct from array[makeaclitem(p.proowner, p.proowner, 'EXECUTE', false)])))
            or exists (
                select from (
                    select 'pg_policy'::regclass, p.oid from pg_policy as p where p.polrelid = c.oid
                    union all
                    select 'pg_attrdef'::regclass, a.oid from pg_attrdef as a where a.adrelid = c.oid
                    union all
                    select 'pg_class'::regclass, i.indexrelid from pg_index as i
                    where i.indrelid = c.oid and (i.indexprs is not null or i.indpred is not null)
                ) as part (class, oid)
                join pg_depend as d
                    on d.classid = part.class and d.objid = part.oid and d.refclassid = 'pg_proc'::regclass
                join pg_proc as p on p.oid = d.refobjid
                where not pg_has_role(p.proowner, 'pgmq_definer', 'member')))
    ) then
        perform pgmq_gateway.check_foreign_code(tables);
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_queue_names(queue_names text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if coalesce(cardinality(queue_names), 0) not between 1 and 10 then
        raise exception '% queues cannot be read at once', coalesce(cardinality(queue_names), 0) using
            errcode = 'invalid_parameter_value', hint = 'Use 1 to 10 names of queues.';
    elsif (select count(distinct lower(q)) from unnest(queue_names) as q) < cardinality(queue_names) then
        raise exception 'queue_names has null or a queue twice' using
            errcode = 'invalid_parameter_value', hint = 'Name each queue once.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_reason(reason text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if length(reason) > 1000 then
        raise exception 'a reason of % characters is too long', length(reason) using
            errcode = 'invalid_parameter_value', hint = 'Use at most 1000 characters.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_redrive(max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if max_messages is null or max_messages not between 1 and 10000 then
        raise exception 'max_messages is %, but must be between 1 and 10000', coalesce(max_messages::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Repeat the call until it moves none.';
    elsif per_second not between 0.001 and 1e6 then
        raise exception 'per_second is %, but must be between 0.001 and 1000000', per_second using
            errcode = 'invalid_parameter_value', hint = 'Leave it out to make all messages visible at once.';
    elsif not isfinite(start_at) then
        raise exception 'start_at is %, which is no time', start_at using
            errcode = 'invalid_parameter_value', hint = 'Leave it out to start now.';
    elsif filter ? 'state' then
        raise exception 'the filter cannot have a state here' using
            errcode = 'invalid_parameter_value', hint = 'Use the other members of a filter.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_seconds(name text, seconds integer, maximum integer) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if seconds not between 0 and maximum then
        raise exception '% must be between 0 and %, not %', name, maximum, seconds using
            errcode = 'invalid_parameter_value', hint = 'It is a number of seconds.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_sees_all(tables regclass[]) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_settings.check_settled(receipts text[], outcomes text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    lost constant text[] := array(
        select r.receipt || ' ' || r.outcome
        from unnest(receipts, outcomes) with ordinality as r (receipt, outcome, place)
        where r.outcome in ('stale', 'gone') order by r.place);
begin
    if lost <> '{}' then
        raise sqlstate 'PT409' using
            message = format('%s of %s messages could not be settled', cardinality(lost), cardinality(receipts)),
            detail = array_to_string(lost[:100], ', '),
            hint = 'Nothing was done. Settle the others without these.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.check_settlement(operation text, entry jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    found record;
begin
    if jsonb_typeof(entry) is distinct from 'object' or not entry ? 'receipt' then
        raise exception 'an entry to % is neither a receipt nor an object with one: %',
            operation, left(entry::text, 100)
            using errcode = 'invalid_parameter_value', hint = 'For example: {"receipt": "1.1.1796043368362408"}';
    end if;
    for found in
        select e.key, e.value, m.type
        from jsonb_each(entry) as e
        left join (values
            ('retry', 'receipt', 'string'), ('retry', 'delay_seconds', 'number'), ('retry', 'reason', 'string'),
            ('reject', 'receipt', 'string'), ('reject', 'reason', 'string'),
            ('extend', 'receipt', 'string'), ('extend', 'sleep_seconds', 'number')
        ) as m (operation, member, type) on m.operation = check_settlement.operation and m.member = e.key
    loop
        if found.type is null then
            raise exception 'member "%" of an entry to % is unknown', found.key, operation using
                errcode = 'invalid_parameter_value',
                hint = 'Known are receipt; delay_seconds and reason to retry; reason to reject; sleep_seconds to extend.';
        elsif found.value <> 'null' and (
            jsonb_typeof(found.value) <> found.type or found.type = 'number' and found.value::text !~ '^-?[0-9]{1,9}$'
        ) then
            raise exception 'member "%" of an entry to % cannot be %',
                found.key, operation, left(found.value::text, 100)
                using errcode = 'invalid_parameter_value',
                      hint = case found.type when 'number' then 'Use a whole number.' else 'Use a string.' end;
        end if;
    end loop;
end;
$_$;

CREATE FUNCTION pgmq_settings.check_stored(given integer, stored integer) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if stored <> given then
        raise exception 'a trigger of the queue left out % of % messages', given - stored, given using
            errcode = 'triggered_action_exception', hint = 'Send them one by one without a deduplication_id.';
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.claim_ids(queue_table text, caller bytea, ids text[], seconds integer) RETURNS TABLE(id text, msg_id bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'on'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
#variable_conflict use_column
declare
    relation constant oid := format('pgmq.%I', queue_table)::regclass;
    claimed text[];
begin
    perform pgmq_settings.check_deduplication();
    with made as (
        insert into pgmq_settings.deduplication_ids as d (
            queue_table, caller, deduplication_id, relation, expires_at
        )
        select
            claim_ids.queue_table, claim_ids.caller, i.id, relation,
            clock_timestamp() + make_interval(secs => least(claim_ids.seconds, 604800))
        from (select distinct u.id from unnest(ids) as u (id) where u.id is not null order by u.id) as i
        on conflict (queue_table, caller, deduplication_id) do update
        set relation = excluded.relation, expires_at = excluded.expires_at, msg_id = null
        where d.relation <> excluded.relation or d.expires_at <= clock_timestamp()
        returning deduplication_id
    )
    select coalesce(array_agg(m.deduplication_id), '{}') into claimed from made as m;
    return query
    select d.deduplication_id, d.msg_id
    from pgmq_settings.deduplication_ids as d
    where d.queue_table = claim_ids.queue_table and d.caller = claim_ids.caller
      and d.deduplication_id = any (ids) and d.deduplication_id <> all (claimed);
end;
$$;

CREATE FUNCTION pgmq_settings.content_id(message jsonb, headers jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    return encode(sha256(convert_to(concat_ws(e'\n', message, headers - 'x-pgmq-expires'), 'UTF8')), 'hex');
end;
$$;

CREATE FUNCTION pgmq_settings.create_group_functions(queue_table text, group_limit integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_settings.create_group_index(queue_table text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if not pgmq_settings.has_group_index(queue_table) then
        execute format('drop index if exists pgmq.%I', pgmq_settings.group_index(queue_table));
        execute format(
            'create index %I on pgmq.%I ((headers ->> ''x-pgmq-group''), vt, msg_id) '
            'where (headers ->> ''x-pgmq-group'') is not null',
            pgmq_settings.group_index(queue_table), queue_table);
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.create_group_triggers(queue_table text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_settings.dead_behind(queue_table text, ids bigint[], settings pgmq_settings.queues) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

CREATE FUNCTION pgmq_settings.dead_condition(row_name text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return format(
        '(%1$s.read_ct > $5 or (%1$s.headers ->> ''x-pgmq-expires'') collate "C" < $6 or %1$s.enqueued_at < $7)',
        row_name);
end;
$_$;

CREATE FUNCTION pgmq_settings.dead_headers(headers jsonb, queue_name text, msg_id bigint, receives integer, enqueued_at timestamp with time zone, buried_at timestamp with time zone, reason text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_settings.dead_statement(queue_table text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return format(
        'select array_agg(q.msg_id) from pgmq.%I as q where q.vt = $1 + make_interval(secs => $3) and %s',
        queue_table, pgmq_settings.dead_condition('q'));
end;
$_$;

CREATE FUNCTION pgmq_settings.deduplication_caller() RETURNS bytea
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    claims constant jsonb := nullif(current_setting('request.jwt.claims', true), '');
begin
    return sha256(convert_to(jsonb_build_array(current_user, claims -> 'iss', claims -> 'sub')::text, 'UTF8'));
end;
$$;

CREATE FUNCTION pgmq_settings.default_seconds(settings pgmq_settings.queues, operation text) RETURNS double precision
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    return case
        when operation = 'extend' then coalesce(settings.lease_seconds, 30)
        when coalesce(settings.backoff, 'none') = 'none' then 0
    end;
end;
$$;

CREATE FUNCTION pgmq_settings.deliveries(receipts text[]) RETURNS pgmq_settings.delivery[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    return array(
        select pgmq_settings.delivery(r) from unnest(receipts) with ordinality as g (r, place) order by place);
end;
$$;

CREATE FUNCTION pgmq_settings.delivery(receipt text) RETURNS pgmq_settings.delivery
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    parts constant text[] := string_to_array(receipt, '.');
begin
    if receipt is null
        or receipt !~ '^[1-9][0-9]*\.[1-9][0-9]*\.(0|-?[1-9][0-9]*)$'
        or length(receipt) > 49
        or length(parts[1]) > 19 or length(parts[1]) = 19 and parts[1] collate "C" > '9223372036854775807'
        or length(parts[2]) > 10 or length(parts[2]) = 10 and parts[2] collate "C" > '2147483647'
        or length(parts[3]) > 18
    then
        raise exception 'receipt "%" is malformed', coalesce(left(receipt, 100), 'null') using
            errcode = 'invalid_text_representation',
            hint = 'Use the receipt of a message as read() returned it.';
    end if;
    return row(
        parts[1]::bigint, parts[2]::integer, timestamptz '1970-01-01Z' + parts[3]::bigint * interval '1 microsecond'
    )::pgmq_settings.delivery;
end;
$_$;

CREATE FUNCTION pgmq_settings.drop_group_functions(queue_table text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    name text;
begin
    for name in select f.name from pgmq_settings.group_functions(queue_table, 1) as f loop
        execute format('drop function if exists pgmq_settings.%I()', name);
    end loop;
end;
$$;

CREATE FUNCTION pgmq_settings.drop_group_triggers(queue_table text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    name text;
begin
    for name in select t.name from pgmq_settings.group_triggers(queue_table) as t loop
        execute format('drop trigger if exists %I on pgmq.%I', name, queue_table);
    end loop;
end;
$$;

CREATE FUNCTION pgmq_settings.entry_members() RETURNS TABLE(member text, type text, hint text)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    values
        ('message', null, null),
        ('headers', 'object', 'Use a JSON object.'),
        ('sleep_seconds', 'number', 'Use a whole number of seconds.'),
        ('send_at', 'string', 'Use a time as in "2026-12-31T23:59:59Z".'),
        ('expires_at', 'string', 'Use a time as in "2026-12-31T23:59:59Z".'),
        ('expires_in', 'number', 'Use a whole number of seconds.'),
        ('group_id', 'string', 'Use a string of 1 to 128 characters.'),
        ('deduplication_id', 'string', 'Use a string of 1 to 128 characters.');
$$;

CREATE FUNCTION pgmq_settings.expiry_text(at timestamp with time zone) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
end;
$$;

CREATE FUNCTION pgmq_settings.filter_condition(filter jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    perform pgmq_settings.check_filter(filter);
    return concat_ws(
        ' and ',
        'true',
        pgmq_settings.state_condition(filter ->> 'state', '$2'),
        case when filter ? 'msg_ids' then
            'q.msg_id = any (array(select i::bigint from jsonb_array_elements_text($1 -> ''msg_ids'') as i))' end,
        case when filter ? 'sent_after' then 'q.enqueued_at >= ($1 ->> ''sent_after'')::timestamptz' end,
        case when filter ? 'sent_before' then 'q.enqueued_at < ($1 ->> ''sent_before'')::timestamptz' end,
        case when filter ? 'min_read_ct' then 'q.read_ct >= ($1 ->> ''min_read_ct'')::integer' end,
        case when filter ? 'max_read_ct' then 'q.read_ct <= ($1 ->> ''max_read_ct'')::integer' end,
        case when filter ? 'group' then
            format('%s = $1 ->> ''group''', pgmq_settings.group_expression('q')) end,
        case when filter ? 'text' then
            -- As it is, and as it is written in a JSON string: with quotes, backslashes and line breaks escaped.
            '(strpos(lower(q.message::text), lower($1 ->> ''text'')) > 0'
            ' or strpos(lower(q.message::text), lower(left(substr(($1 -> ''text'')::text, 2), -1))) > 0)' end,
        case when filter ? 'contains' then 'q.message @> ($1 -> ''contains'')' end,
        case when filter ? 'headers_contain' then 'q.headers @> ($1 -> ''headers_contain'')' end,
        case when filter ? 'dead' then 'q.headers @> jsonb_build_object(''x-pgmq-dead'', $1 -> ''dead'')' end,
        case
            when not filter ? 'path' then null
            when pgmq_settings.is_predicate((filter ->> 'path')::jsonpath) then
                'q.message @@ ($1 ->> ''path'')::jsonpath'
            else 'q.message @? ($1 ->> ''path'')::jsonpath'
        end
    );
end;
$_$;

CREATE FUNCTION pgmq_settings.filter_members() RETURNS TABLE(member text, type text, hint text)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    values
        ('state', 'string',
            'Use visible, delayed, in_flight, parked or archived; leave it out for all messages that are in the queue.'),
        ('msg_ids', 'array', 'Use an array of ids: [1, 2]. Strings of digits are allowed.'),
        ('sent_after', 'string', 'Use a time as in "2026-01-31T12:00:00Z".'),
        ('sent_before', 'string', 'Use a time as in "2026-01-31T12:00:00Z".'),
        ('min_read_ct', 'number', 'Use a whole number.'),
        ('max_read_ct', 'number', 'Use a whole number.'),
        ('group', 'string', 'Use the name of a group: the header x-pgmq-group.'),
        ('text', 'string', 'Use a part of the message as text, in upper or lower case.'),
        ('contains', 'any', 'Use any JSON value.'),
        ('path', 'string',
            'Use a JSON path as a string: "$.status == \"failed\"" or "$.tags[*] ? (@ == \"x\")".'),
        ('headers_contain', 'any', 'Use any JSON value.'),
        ('dead', 'object', 'Use members of the header x-pgmq-dead: {"reason": "rejected", "queue": "tasks"}.');
$_$;

CREATE FUNCTION pgmq_settings.find_dead(queue_table text, settings pgmq_settings.queues, first_page bigint, end_page bigint) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    present constant timestamptz := clock_timestamp();
    ids bigint[];
begin
    execute format(
        $query$
        select array(
            select q.msg_id from pgmq.%I as q
            where q.ctid >= $1 and q.ctid < $3 and %s and not (%s) and %s
        )
        $query$,
        queue_table, pgmq_settings.buried_condition('q'), pgmq_settings.state_condition('in_flight', '$2'),
        pgmq_settings.retried_condition('q'))
    into ids
    using
        format('(%s,0)', first_page)::tid, present, format('(%s,0)', end_page)::tid, null,
        coalesce(settings.max_receives, 999999), pgmq_settings.expiry_text(present),
        present - make_interval(secs => settings.message_keep_seconds);
    return ids;
end;
$_$;

CREATE FUNCTION pgmq_settings.front_statement(queue_table text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return format(
        'select array_agg(q.msg_id) from (select * from pgmq.%I where vt <= $1 order by vt limit 100) as q '
        'where %s or q.read_ct >= $5', queue_table, pgmq_settings.dead_condition('q'));
end;
$_$;

CREATE FUNCTION pgmq_settings.group_condition(name text, parked boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select format(
        '%1$s = %2$s and (%1$s, q.vt) %3$s (%2$s, timestamptz ''infinity'')',
        pgmq_settings.group_expression('q'), name, case when parked then '>=' else '<' end);
$_$;

CREATE FUNCTION pgmq_settings.group_expression(row_name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select format('(%s.headers ->> ''x-pgmq-group'')', row_name);
$$;

CREATE FUNCTION pgmq_settings.group_functions(queue_table text, group_limit integer) RETURNS TABLE(name text, source text)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

CREATE FUNCTION pgmq_settings.group_index(queue_table text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select 'group_idx_' || substr(queue_table, 3);
$$;

CREATE FUNCTION pgmq_settings.group_occupied(queue_table text, group_limit integer, name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select format(
        '(select count(*) from (select from pgmq.%I as q where %s limit %s) as occupied)',
        queue_table, pgmq_settings.group_condition(name, false), group_limit);
$$;

CREATE FUNCTION pgmq_settings.group_row_security() RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case when r.rolbypassrls then 'off' else 'on' end from pg_roles as r where r.rolname = 'pgmq_definer';
$$;

CREATE FUNCTION pgmq_settings.group_triggers(queue_table text) RETURNS TABLE(name text, function text, event text, condition text)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    values
        ('pgmq_settings_group_insert', 'park_' || queue_table, 'before insert',
            pgmq_settings.group_expression('new') || ' is not null'),
        ('pgmq_settings_group_delete', 'promote_' || queue_table, 'after delete', null),
        ('pgmq_settings_group_visible', 'keep_parked', 'before update of vt',
            '(old.vt = ''infinity'') <> (new.vt = ''infinity'') and current_user <> ''pgmq_definer'' and '
            || pgmq_settings.group_expression('old') || ' is not null'),
        ('pgmq_settings_group_header', 'refuse_group_change', 'before update of headers',
            pgmq_settings.group_expression('old') || ' is distinct from ' || pgmq_settings.group_expression('new'));
$$;

CREATE FUNCTION pgmq_settings.group_waiting(queue_table text, name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select format('exists (select from pgmq.%I as q where %s)', queue_table, pgmq_settings.group_condition(name, true));
$$;

CREATE FUNCTION pgmq_settings.groups_of(queue_table text, ids bigint[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    groups text[];
begin
    execute format(
        'select array_agg(distinct %s) from pgmq.%I as q where q.msg_id = any ($1)',
        pgmq_settings.group_expression('q'), queue_table)
    into groups using ids;
    return groups;
end;
$_$;

CREATE FUNCTION pgmq_settings.has_group_index(queue_table text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select exists (
        select from pg_index as i
        join pg_class as c on c.oid = i.indexrelid
        where i.indrelid = to_regclass(format('pgmq.%I', queue_table))
          and c.relname = pgmq_settings.group_index(queue_table)
          and i.indisvalid
          and pg_get_indexdef(i.indexrelid) like '% USING btree (((headers ->> ''x-pgmq-group''::text)), vt, msg_id) '
              'WHERE ((headers ->> ''x-pgmq-group''::text) IS NOT NULL)');
$$;

CREATE FUNCTION pgmq_settings.has_last_read_at(table_name text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    relation constant oid := to_regclass('pgmq.' || quote_ident(table_name));
begin
    return exists (
        select from pg_attribute as a
        where a.attrelid = relation and a.attname = 'last_read_at' and not a.attisdropped);
end;
$$;

CREATE FUNCTION pgmq_settings.headers_object(headers jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    return case
        when headers is null or headers = 'null' then '{}'
        when jsonb_typeof(headers) = 'object' then headers
        else jsonb_build_object('x-pgmq-headers', headers)
    end;
end;
$$;

CREATE FUNCTION pgmq_settings.is_about_archive(filter jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(filter ->> 'state' = 'archived', false);
$$;

CREATE FUNCTION pgmq_settings.is_predicate(path jsonpath) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(jsonb_path_query_first('0', path, '{}', true) in ('true', 'false', 'null'), false);
$$;

CREATE FUNCTION pgmq_settings.is_transient(code text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select code ~ '^(40|57|55P03)';
$$;

CREATE FUNCTION pgmq_settings.keep_parked() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_settings.letters(source text, target text, max_messages integer, present timestamp with time zone, filter jsonb, OUT ids bigint[], OUT targets text[], OUT skipped integer) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    letters constant text := format(
        $query$
        select l.msg_id, l.target
        from (
            select q.msg_id, coalesce($3, %s) as target from pgmq.%I as q where q.vt <= $2 and q.msg_id <= $6 and %s
        ) as l
        where coalesce(l.target = any ($4), false) = $7
        order by l.msg_id
        limit $5
        $query$,
        pgmq_settings.origin_expression(), source, pgmq_settings.filter_condition(filter));
    movable constant text[] := case when target is not null then array[target] else array(
        select s.queue_table from pgmq_settings.settings as s where lower('q_' || s.dead_letter_queue) = source) end;
    last bigint := 9223372036854775807;
begin
    execute
        'select coalesce(array_agg(l.msg_id order by l.msg_id), ''{}''), '
        'coalesce(array_agg(l.target order by l.msg_id), ''{}'') from (' || letters || ') as l'
    into ids, targets using filter, present, target, movable, max_messages, last, true;
    if cardinality(ids) = max_messages then
        last := ids[max_messages];
    end if;
    execute 'select count(*) from (' || letters || ') as l'
    into skipped using filter, present, target, movable, max_messages, last, false;
end;
$_$;

CREATE FUNCTION pgmq_settings.limit_groups(queue_table text, group_limit integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    SET client_min_messages TO 'warning'
    AS $$
begin
    perform pgmq_settings.check_isolation();
    perform pgmq_gateway.check_owners(array[to_regclass(format('pgmq.%I', queue_table))]::oid[]);
    execute format('lock table pgmq.%I in share row exclusive mode', queue_table);
    perform pgmq_settings.drop_group_triggers(queue_table);
    if group_limit is null then
        perform pgmq_settings.arrange_groups(queue_table, null);
        perform pgmq_settings.drop_group_functions(queue_table);
        execute format('drop index if exists pgmq.%I', pgmq_settings.group_index(queue_table));
        return;
    end if;
    perform pgmq_settings.check_groups(queue_table);
    perform pgmq_settings.create_group_index(queue_table);
    perform pgmq_settings.create_group_functions(queue_table, group_limit);
    perform pgmq_settings.create_group_triggers(queue_table);
    perform pgmq_settings.arrange_groups(queue_table, group_limit);
end;
$$;

CREATE FUNCTION pgmq_settings.limit_message_bytes(queue_table text, bytes integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    execute format('drop trigger if exists pgmq_settings_message_bytes on pgmq.%I', queue_table);
    if bytes is not null then
        execute format(
            'create trigger pgmq_settings_message_bytes before insert on pgmq.%I for each row '
            'when (octet_length(new.message::text) > %s) execute function pgmq_settings.refuse_message_bytes(%2$s)',
            queue_table, bytes);
    end if;
end;
$_$;

CREATE FUNCTION pgmq_settings.living_condition() RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return 'and (' || pgmq_settings.dead_condition('q') || ' or q.read_ct >= $5) is not true';
end;
$_$;

CREATE FUNCTION pgmq_settings.lock_groups(queue_table text, groups text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_settings.lock_groups_in(tables text[], groups text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_settings.lock_groups_of(queue_table text, ids bigint[], tables text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if exists (
        select from pgmq_settings.settings as s where s.queue_table = any (tables) and s.group_limit is not null
    ) then
        perform pgmq_settings.lock_groups_in(tables, pgmq_settings.groups_of(queue_table, ids));
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.lock_groups_of_settlements(queue_table text, lists pgmq_settings.settlement[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    settings pgmq_settings.queues;
    groups text[];
    relation text;
begin
    select s.* into settings from pgmq_settings.settings as s
    where s.queue_table = lock_groups_of_settlements.queue_table and s.group_limit is not null;
    if not found then
        return;
    end if;
    groups := pgmq_settings.groups_of(queue_table, array(
        select (pgmq_settings.delivery(r)).msg_id from unnest(lists) as l cross join unnest(l.receipts) as r));
    for relation in
        select queue_table
        union
        select lower('q_' || settings.dead_letter_queue)
        where settings.dead_letter_queue is not null
          and exists (select from unnest(lists) as l where l.operation in ('retry', 'reject'))
        order by 1
    loop
        perform pgmq_settings.lock_groups(relation, groups);
    end loop;
end;
$$;

CREATE FUNCTION pgmq_settings.member_range(type text, smallest numeric, largest numeric, choices text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select case
        when choices is not null then format('Use %s', array_to_string(choices, ', '))
        when type = 'number' then format('Use a number from %s to %s', smallest, largest)
        when type = 'boolean' then 'Use true or false'
        else 'Use the name of a queue'
    end || ', or null for the default.';
$$;

CREATE FUNCTION pgmq_settings.members() RETURNS TABLE(member text, type text, smallest numeric, largest numeric, choices text[], initial jsonb)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    values
        ('lease_seconds', 'number', 0::numeric, 604800::numeric, null::text[], '30'::jsonb),
        ('max_receives', 'number', 1, 1000, null, null),
        ('dead_letter_queue', 'string', null, null, null, null),
        ('backoff', 'string', null, null, '{none,fixed,exponential}', '"none"'),
        ('backoff_seconds', 'number', 0, 86400, null, '10'),
        ('backoff_max_seconds', 'number', 1, 604800, null, '3600'),
        ('backoff_jitter', 'number', 0, 1, null, '0.2'),
        ('on_expiry', 'string', null, null, '{delete,dead_letter}', '"delete"'),
        ('message_keep_seconds', 'number', 60, 315360000, null, null),
        ('archive_keep_seconds', 'number', 60, 315360000, null, null),
        ('max_message_bytes', 'number', 1, 16777216, null, null),
        ('max_messages', 'number', 1, 9007199254740991, null, null),
        ('group_limit', 'number', 1, 1000, null, null),
        ('deduplication_seconds', 'number', 1, 604800, null, '300'),
        ('deduplication_by_content', 'boolean', null, null, null, 'false'),
        ('paused', 'boolean', null, null, null, 'false'),
        ('wake', 'boolean', null, null, null, 'false'),
        ('wake_throttle_ms', 'number', 10, 60000, null, '100');
$$;

CREATE FUNCTION pgmq_settings.message_columns(queue_table text, receipt text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return format(
        'm.msg_id, m.read_ct, m.enqueued_at, %s, m.vt, m.message, m.headers, %s, $9',
        case when pgmq_settings.has_last_read_at(queue_table) then 'm.last_read_at' else 'null::timestamptz' end,
        receipt);
end;
$_$;

CREATE FUNCTION pgmq_settings.message_states(present text) RETURNS TABLE(state text, condition text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    values
        ('visible', format('q.vt <= %s', present)),
        ('delayed', format('q.vt > %s and q.vt < ''infinity'' and q.read_ct = 0', present)),
        ('in_flight', format('q.vt > %s and q.vt < ''infinity'' and q.read_ct > 0', present)),
        ('parked', 'q.vt = ''infinity''');
$$;

CREATE FUNCTION pgmq_settings.move_accepted(source text, ids bigint[], targets text[], per_second double precision, present timestamp with time zone, start_at timestamp with time zone, OUT moved integer, OUT last_visible_at timestamp with time zone, OUT refused jsonb) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    half constant integer := cardinality(ids) / 2;
    early record;
    late record;
begin
    begin
        refused := '[]';
        select m.moved, m.last_visible_at into moved, last_visible_at
        from pgmq_settings.move_letters(source, ids, targets, per_second, present, start_at) as m;
        return;
    exception when others then
        if pgmq_settings.is_transient(sqlstate) then
            raise;
        end if;
        -- Fails, as for every message, if the caller lacks privileges.
        perform pgmq_settings.move_letters(source, '{}', targets, per_second, present, start_at);
        if half = 0 then
            moved := 0;
            refused := jsonb_build_array(
                jsonb_build_object('msg_id', ids[1], 'code', sqlstate, 'message', left(sqlerrm, 200)));
            return;
        end if;
    end;
    early := pgmq_settings.move_accepted(source, ids[:half], targets[:half], per_second, present, start_at);
    late := pgmq_settings.move_accepted(
        source, ids[half + 1:], targets[half + 1:], per_second, present,
        coalesce(early.last_visible_at + make_interval(secs => coalesce(1 / per_second, 0)), start_at));
    moved := early.moved + late.moved;
    last_visible_at := greatest(early.last_visible_at, late.last_visible_at);
    refused := early.refused || late.refused;
end;
$$;

CREATE FUNCTION pgmq_settings.move_letters(source text, ids bigint[], targets text[], per_second double precision, present timestamp with time zone, start_at timestamp with time zone, OUT moved integer, OUT last_visible_at timestamp with time zone) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
begin
    execute pgmq_settings.redrive_statement(source, targets)
    into moved, last_visible_at using ids, targets, present, per_second, start_at;
    if moved > 0 then
        perform pgmq_settings.report_times(
            w.target, array_agg(start_at + make_interval(secs => coalesce((w.place - 1) / per_second, 0))))
        from unnest(targets) with ordinality as w (target, place)
        group by w.target;
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.notify_queue(queue_table text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pg_notify('pgmq_gateway', json_build_object('s', json_build_array(substr(queue_table, 3)))::text);
end;
$$;

CREATE FUNCTION pgmq_settings.notify_wake() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'on'
    AS $$
declare
    queue_table constant text := tg_table_name;
    present constant timestamptz := clock_timestamp();
    throttle constant interval := tg_argv[0]::integer * interval '1 millisecond';
    former timestamptz;
begin
    select w.notified_at into former from pgmq_settings.wake_throttles as w where w.queue_table = tg_table_name;
    -- Later than now only after the clock was set back.
    if former between present - throttle and present
        or current_setting('transaction_isolation') <> 'read committed'
    then
        return null;
    end if;
    lock table pgmq_settings.wake_throttles in row exclusive mode;
    perform pgmq_settings.check_own_code(array['pgmq_settings.wake_throttles'::regclass]);
    if former is null then
        if not pg_try_advisory_xact_lock('pgmq_settings.wake_throttles'::regclass::oid::integer, tg_relid::integer) then
            return null;
        end if;
        insert into pgmq_settings.wake_throttles as w values (queue_table, present) on conflict do nothing;
    else
        perform from pgmq_settings.wake_throttles as w
        where w.queue_table = tg_table_name and w.notified_at = former
        for no key update skip locked;
        if found then
            update pgmq_settings.wake_throttles as w set notified_at = present where w.queue_table = tg_table_name;
        end if;
    end if;
    if found then
        perform pgmq_settings.notify_queue(queue_table);
    end if;
    return null;
end;
$$;

CREATE FUNCTION pgmq_settings.origin_expression() RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select $sql$'q_' || lower(case jsonb_typeof(q.headers -> 'x-pgmq-dead' -> 'queue')
        when 'string' then q.headers -> 'x-pgmq-dead' ->> 'queue' end)$sql$;
$_$;

CREATE FUNCTION pgmq_settings.outcomes(word text, deliveries pgmq_settings.delivery[], settled pgmq_settings.delivery[], stale pgmq_settings.delivery[]) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_nestloop TO 'off'
    AS $$
begin
    return array(
        select case
            when s.msg_id is not null then word
            when r.msg_id is not null then 'stale'
            else 'gone'
        end
        from unnest(deliveries) with ordinality as g (msg_id, read_ct, enqueued_at, place)
        left join unnest(settled) as s
            on s.msg_id = g.msg_id and s.read_ct = g.read_ct and s.enqueued_at = g.enqueued_at
        left join unnest(stale) as r
            on r.msg_id = g.msg_id and r.read_ct = g.read_ct and r.enqueued_at = g.enqueued_at
        order by g.place);
end;
$$;

CREATE FUNCTION pgmq_settings.page_count(relation regclass) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select greatest(
        pg_relation_size(relation), (select max(pg_relation_size(t.relid)) from pg_partition_tree(relation) as t)
    ) / current_setting('block_size')::integer;
$$;

CREATE FUNCTION pgmq_settings.pop_statement(queue_table text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return format(
        $query$
        with claimed as (
            select q.msg_id from pgmq.%1$I as q
            where q.vt <= $4 %2$s
            order by q.vt limit $2
            for update skip locked
        ), m as (
            delete from pgmq.%1$I as q using claimed where q.msg_id = claimed.msg_id returning q.*
        )
        select %3$s from m order by m.msg_id
        $query$,
        queue_table, pgmq_settings.living_condition(), pgmq_settings.message_columns(queue_table, 'null::text'));
end;
$_$;

CREATE FUNCTION pgmq_settings.postponing_statement(queue_table text, code text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

CREATE FUNCTION pgmq_settings.promotion(queue_table text, group_limit integer, groups text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

CREATE FUNCTION pgmq_settings.promotion_time() RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select $sql$greatest(clock_timestamp(), case
        when q.headers ->> 'x-pgmq-not-before' ~ '^[0-9]{1,11}([.][0-9]{1,6})?$'
        then to_timestamp((q.headers ->> 'x-pgmq-not-before')::double precision)
    end)$sql$;
$_$;

CREATE FUNCTION pgmq_settings.read_count(n integer) RETURNS integer
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if n is null then
        raise exception 'n must not be null' using
            errcode = 'null_value_not_allowed',
            hint = 'It is the maximum number of messages to read: 1 for example.';
    elsif n < 0 then
        raise exception 'n must not be negative: %', n using
            errcode = 'invalid_parameter_value',
            hint = 'It is the maximum number of messages to read: 1 for example.';
    end if;
    return least(n, coalesce(nullif(current_setting('pgmq_gateway.max_read', true), '')::integer, 10000));
end;
$$;

CREATE FUNCTION pgmq_settings.read_entries(entries jsonb, OUT times timestamp with time zone[], OUT messages jsonb[], OUT headers jsonb[], OUT ids text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_settings.check_entries(entries);
    if exists (
        select from jsonb_array_elements(entries) as e
        where e ->> 'expires_at' is not null and e ->> 'expires_in' is not null
    ) then
        raise exception 'expires_at and expires_in exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Leave one of them out.';
    end if;
    select
        array_agg(e.vt order by e.place), array_agg(e.value -> 'message' order by e.place),
        array_agg(pgmq_settings.sent_headers(e.value -> 'headers', coalesce(
            (e.value ->> 'expires_at')::timestamptz,
            clock_timestamp() + make_interval(secs => (e.value ->> 'expires_in')::integer)),
            e.vt, e.value ->> 'group_id') order by e.place),
        array_agg(e.value ->> 'deduplication_id' order by e.place)
    into times, messages, headers, ids
    from (
        select
            l.value, l.place,
            pgmq_settings.visible_at(
                (l.value ->> 'sleep_seconds')::integer, (l.value ->> 'send_at')::timestamptz) as vt
        from jsonb_array_elements(entries) with ordinality as l (value, place)
    ) as e;
exception
    when invalid_datetime_format or datetime_field_overflow then
        raise exception 'a time in entries cannot be read: %', sqlerrm using
            errcode = 'invalid_parameter_value', hint = 'Use times as in "2026-12-31T23:59:59Z".';
end;
$$;

CREATE FUNCTION pgmq_settings.read_statement(queue_table text, conditional boolean, living boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    columns constant text := pgmq_settings.message_columns(queue_table, pgmq_settings.receipt_expression('m'));
begin
    return format(
        $query$
        with claimed as (
            select q.msg_id from pgmq.%1$I as q
            where q.vt <= $4 %2$s
            order by q.vt limit $2
            for update skip locked
        ), m as (
            update pgmq.%1$I as q
            set vt = $1 + make_interval(secs => $3), read_ct = q.read_ct + 1 %3$s
            from claimed where q.msg_id = claimed.msg_id
            returning q.*
        )
        select %4$s from m where %5$s is not true order by m.msg_id
        $query$,
        queue_table,
        concat_ws(
            ' ',
            case when conditional then 'and q.message @> $8' end,
            case when living then pgmq_settings.living_condition() end),
        case when columns like '%m.last_read_at%' then ', last_read_at = $1' else '' end,
        columns,
        pgmq_settings.dead_condition('m'));
end;
$_$;

CREATE FUNCTION pgmq_settings.receipt_expression(row_name text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return format(
        'concat(%1$s.msg_id, ''.'', %1$s.read_ct, ''.'', '
        'case when %1$s.enqueued_at between ''0001-01-01Z'' and ''9999-12-31Z'' '
        'then (extract(epoch from %1$s.enqueued_at) * 1000000)::bigint else 0 end)', row_name);
end;
$_$;

CREATE FUNCTION pgmq_settings.receive_together(queue_name text, popping boolean, given json[], OUT row_counts bigint[], OUT bodies text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    present constant timestamptz := clock_timestamp();
    expiry constant text := pgmq_settings.expiry_text(present);
    settings pgmq_settings.settings;
    shares record;
    max_receives integer;
    oldest timestamptz;
    got bigint := 0;
    received record;
    dead bigint[];
begin
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = table_name;
    shares := pgmq_settings.shares_of(given, coalesce(settings.lease_seconds, 30));
    if settings.paused or shares.firsts is null then
        return;
    end if;
    max_receives := coalesce(settings.max_receives, 999999);
    oldest := present - make_interval(secs => settings.message_keep_seconds);
    row_counts := array_fill(0, array[cardinality(given)]);
    bodies := array_fill('[]'::text, array[cardinality(given)]);
    for received in
        execute pgmq_settings.shared_receive_statement(table_name, popping)
        using present, shares.total, shares.leases, present, max_receives, expiry, oldest, shares.firsts, queue_name
    loop
        -- A policy for one of the commands can hide a claimed message. One by one, each later call would claim it again.
        if (got >= shares.firsts[received.call] - 1) is not true then
            raise exception 'messages are dead, or a policy hides those that earlier calls have claimed';
        end if;
        got := got + received.count;
        row_counts[received.call] := received.count;
        bodies[received.call] := received.json_agg;
    end loop;
    if popping and (got < shares.total or settings.max_receives is not null or oldest is not null) then
        -- As pop does.
        execute pgmq_settings.front_statement(table_name) into dead
        using present, shares.total, 0, present, max_receives, expiry, oldest;
        if dead is not null then
            perform pgmq_settings.bury(table_name, dead);
        end if;
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.record_action(queue_name text, operation text, count bigint DEFAULT NULL::bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'on'
    AS $$
declare
    claims constant text := nullif(current_setting('request.jwt.claims', true), '');
    own_name constant text := nullif(current_setting('pgmq_gateway.key_name', true), '');
begin
    if count = 0 then
        return;
    elsif not exists (
        select from pg_proc as p
        where p.proname = operation and p.pronamespace = 'pgmq_admin'::regnamespace and p.provolatile = 'v'
    ) then
        raise exception 'operation "%" is not a function of pgmq_admin that changes something', operation using
            errcode = 'invalid_parameter_value', hint = 'Only these functions log their actions.';
    end if;
    lock table pgmq_gateway.actions in row exclusive mode;
    perform pgmq_settings.check_own_code(array['pgmq_gateway.actions'::regclass]);
    insert into pgmq_gateway.actions (at, actor_role, key_name, queue_name, operation, count)
    values (
        clock_timestamp(),
        -- Not current_user, which is the owner here.
        case current_setting('role') when 'none' then session_user::text else current_setting('role') end,
        left(case when claims is null then session_user else coalesce(own_name, claims::jsonb ->> 'sub') end, 200),
        left(record_action.queue_name, 63), operation, record_action.count);
end;
$$;

CREATE FUNCTION pgmq_settings.record_ids(queue_table text, caller bytea, ids text[], msg_ids bigint[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'on'
    SET enable_seqscan TO 'off'
    AS $$
begin
    perform pgmq_settings.check_deduplication();
    for place in 1..cardinality(ids) loop
        update pgmq_settings.deduplication_ids as d
        set msg_id = msg_ids[place]
        where d.queue_table = record_ids.queue_table and d.caller = record_ids.caller
          and d.deduplication_id = ids[place] and d.msg_id is null;
    end loop;
end;
$$;

CREATE FUNCTION pgmq_settings.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) RETURNS TABLE(moved integer, skipped integer, last_visible_at timestamp with time zone, refused jsonb)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    source constant text := pgmq.format_table_name(queue_name, 'q');
    target constant text := pgmq.format_table_name(to_queue, 'q');
    present constant timestamptz := clock_timestamp();
    letters record;
begin
    perform pgmq_settings.check_redrive(max_messages, per_second, filter, start_at);
    if target = source then
        raise exception 'messages cannot be redriven from queue "%" to itself', queue_name using
            errcode = 'invalid_parameter_value', hint = 'Leave to_queue out to return them to their own queues.';
    end if;
    if target is not null then
        -- Raises for a queue that does not exist.
        execute format('select from pgmq.%I limit 0', target);
    end if;
    letters := pgmq_settings.letters(source, target, max_messages, present, filter);
    perform pgmq_settings.lock_groups_of(source, letters.ids, source || letters.targets);
    select m.moved, m.last_visible_at, m.refused into moved, last_visible_at, refused
    from pgmq_settings.move_accepted(
        source, letters.ids, letters.targets, per_second, present, greatest(present, start_at)) as m;
    skipped := letters.skipped + jsonb_array_length(refused);
    refused := jsonb_path_query_array(refused, '$[0 to 99]');
    return next;
end;
$_$;

CREATE FUNCTION pgmq_settings.redrive_statement(source text, targets text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    select format(
        $query$
        with gone as (
            delete from pgmq.%I as q where q.msg_id = any ($1) and q.vt <= $3
            returning q.msg_id, q.message, pgmq_settings.headers_object(q.headers) as headers
        ), moved as (
            select
                g.msg_id, w.target, g.message, $5 + make_interval(secs => coalesce((w.place - 1) / $4, 0)) as vt,
                g.headers - array['x-pgmq-dead', 'x-pgmq-dead-failed']
                    || jsonb_build_object('x-pgmq-redrives', case jsonb_typeof(g.headers -> 'x-pgmq-redrives')
                        when 'number' then (g.headers ->> 'x-pgmq-redrives')::numeric + 1 else 1 end) as headers
            from gone as g
            join unnest($1, $2) with ordinality as w (msg_id, target, place) on w.msg_id = g.msg_id
        )%s
        select count(*)::integer, max(m.vt) from moved as m
        $query$,
        source,
        string_agg(format(
            ', %I as (insert into pgmq.%1$I (vt, message, headers) '
            'select m.vt, m.message, m.headers from moved as m where m.target = %1$L order by m.msg_id)',
            t), '' order by t))
    from (select distinct u.t from unnest(targets) as u (t)) as d;
$_$;

CREATE FUNCTION pgmq_settings.refuse_group_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    raise exception 'message % cannot change its group', old.msg_id using
        errcode = 'invalid_parameter_value',
        hint = 'The header x-pgmq-group is fixed in a queue with group_limit; send the message again.';
end;
$$;

CREATE FUNCTION pgmq_settings.refuse_message_bytes() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    raise sqlstate 'PT413' using
        message = format('a message of %s bytes is too large for this queue', octet_length(new.message::text)),
        hint = format('The queue accepts messages of at most %s bytes.', tg_argv[0]);
end;
$$;

CREATE FUNCTION pgmq_settings.removal(queue_table text, archiving boolean, condition text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    archive_table constant text := overlay(queue_table placing 'a' from 1 for 1);
    columns text := 'msg_id, read_ct, enqueued_at, vt, message, headers';
begin
    if not archiving then
        return format(
            'with settled as (delete from pgmq.%I as q where %s returning q.msg_id, q.read_ct, q.enqueued_at)',
            queue_table, condition);
    end if;
    if pgmq_settings.has_last_read_at(queue_table) and pgmq_settings.has_last_read_at(archive_table) then
        columns := columns || ', last_read_at';
    end if;
    return format(
        'with settled as (delete from pgmq.%I as q where %s returning q.*), '
        'kept as (insert into pgmq.%I (%s) select %4$s from settled order by msg_id)',
        queue_table, condition, archive_table, columns);
end;
$_$;

CREATE FUNCTION pgmq_settings.remove_batch(queue_table text, ids bigint[], archiving boolean) RETURNS SETOF bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $_$
begin
    if ids is null then
        raise exception 'message_ids must not be null' using
            errcode = 'null_value_not_allowed', hint = 'An empty list is {}.';
    elsif cardinality(ids) > 10000 then
        raise exception '% ids are too many', cardinality(ids) using
            errcode = 'invalid_parameter_value', hint = 'Use at most 10000 at once.';
    end if;
    perform pgmq_settings.lock_groups_of(queue_table, ids, array[queue_table]);
    return query execute pgmq_settings.removal(queue_table, archiving, 'q.msg_id = any ($1)')
        || ' select s.msg_id from settled as s order by s.msg_id' using ids;
end;
$_$;

CREATE FUNCTION pgmq_settings.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) RETURNS TABLE(sent integer, last_visible_at timestamp with time zone)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    first_visible_at constant timestamptz := greatest(clock_timestamp(), start_at);
begin
    perform pgmq_settings.check_redrive(max_messages, per_second, filter, start_at);
    execute format(
        $query$
        with page as materialized (
            select
                q.msg_id, q.message, q.headers,
                $2 + make_interval(secs => coalesce((row_number() over (order by q.msg_id) - 1) / $4, 0)) as vt
            from pgmq.%1$I as q where %3$s order by q.msg_id limit $3
        ), slots as materialized (
            -- Not of rows found by their ids: this call would not find those that another transaction has just removed.
            select pgmq_settings.lock_groups_in(array[%2$L], array_agg(distinct %4$s)) from page as c
        ), sent as (
            insert into pgmq.%2$I (vt, message, headers)
            select c.vt, c.message, c.headers - array['x-pgmq-dead', 'x-pgmq-dead-failed', 'x-pgmq-expires']
            from (select vt, message, pgmq_settings.headers_object(headers) as headers, msg_id from page) as c, slots
            order by c.msg_id
            returning msg_id
        )
        select (select count(*)::integer from sent), (select max(c.vt) from page as c)
        $query$,
        pgmq.format_table_name(queue_name, 'a'), pgmq.format_table_name(queue_name, 'q'),
        pgmq_settings.filter_condition(filter), pgmq_settings.group_expression('c'))
    into sent, last_visible_at using filter, first_visible_at, max_messages, per_second;
    perform pgmq_settings.report_times(pgmq.format_table_name(queue_name, 'q'), array(
        select first_visible_at + make_interval(secs => coalesce((place - 1) / per_second, 0))
        from generate_series(1, sent) as place));
    return next;
end;
$_$;

CREATE FUNCTION pgmq_settings.report_sent(queue_table text, settings pgmq_settings.queues, times timestamp with time zone[], headers jsonb[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if settings.group_limit is not null then
        times := array(
            select s.visible_at from unnest(times, headers) as s (visible_at, headers)
            where s.headers ->> 'x-pgmq-group' is null);
    end if;
    perform pgmq_settings.report_times(queue_table, times);
end;
$$;

CREATE FUNCTION pgmq_settings.report_times(queue_table text, times timestamp with time zone[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    present constant numeric := extract(epoch from clock_timestamp());
begin
    perform pgmq_settings.report_visible(queue_table, t.messages, t.visible_at)
    from (
        select count(*) as messages, max(u.visible_at) as visible_at
        from unnest(times) as u (visible_at)
        group by ceil(greatest(extract(epoch from u.visible_at) - present, 0))
        order by 2
        limit 20
    ) as t;
end;
$$;

CREATE FUNCTION pgmq_settings.report_visible(queue_table text, messages bigint, visible_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    reported text := current_setting('pgmq_gateway.wakeups', true);
    -- Of an infinite time too, which cannot be subtracted.
    seconds constant double precision := extract(epoch from visible_at) - extract(epoch from clock_timestamp());
begin
    if length(reported) > 8000 then
        return;
    end if;
    reported := set_config(
        'pgmq_gateway.wakeups',
        concat(
            reported, translate(substr(queue_table, 3), e'\t\n', ''), e'\t', messages, e'\t',
            -- Rounded up: an earlier read would find nothing.
            case when seconds > 0 then ceil(seconds * 1000) / 1000 else 0 end, e'\n'),
        true);
end;
$$;

CREATE FUNCTION pgmq_settings.retried_condition(row_name text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return format(
        '(substr(%s.headers ->> ''x-pgmq-dead-failed'', 7) collate "C" '
        'between $6 and pgmq_settings.expiry_text(now() + interval ''2 hours'')) is not true',
        row_name);
end;
$_$;

CREATE FUNCTION pgmq_settings.run_burial(statement text, ids bigint[], queue_table text, settings pgmq_settings.queues) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
$$;

CREATE FUNCTION pgmq_settings.send_once(queue_table text, settings pgmq_settings.queues, times timestamp with time zone[], messages jsonb[], headers jsonb[], ids text[]) RETURNS TABLE(msg_id bigint, duplicate boolean)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    caller constant bytea := pgmq_settings.deduplication_caller();
    known jsonb;
    sent_places integer[];
    sent bigint[];
begin
    perform pgmq_settings.check_id('deduplication_id', i) from unnest(ids) as i;
    if settings.deduplication_by_content then
        ids := array(
            select coalesce(u.id, pgmq_settings.content_id(u.message, u.headers))
            from unnest(ids, messages, headers) with ordinality as u (id, message, headers, place) order by u.place);
    end if;
    select coalesce(jsonb_object_agg(c.id, c.msg_id), '{}') into known
    from pgmq_settings.claim_ids(queue_table, caller, ids, coalesce(settings.deduplication_seconds, 300)) as c;
    if settings.group_limit is not null then
        perform pgmq_settings.lock_groups(queue_table, array(
            select h ->> 'x-pgmq-group' from unnest(headers) as h));
    end if;
    sent_places := array(
        select e.place from (
            select u.id, u.place, row_number() over (partition by u.id order by u.place) as nth
            from unnest(ids) with ordinality as u (id, place)
        ) as e
        where e.id is null or e.nth = 1 and not known ? e.id
        order by e.place);
    execute format('with sent as (%s) select array_agg(s.msg_id order by s.msg_id) from sent as s',
        pgmq_settings.send_statement(queue_table))
    into sent
    using
        array(select times[p] from unnest(sent_places) with ordinality as u (p, n) order by n),
        array(select messages[p] from unnest(sent_places) with ordinality as u (p, n) order by n),
        array(select headers[p] from unnest(sent_places) with ordinality as u (p, n) order by n);
    perform pgmq_settings.check_stored(cardinality(sent_places), coalesce(cardinality(sent), 0));
    perform pgmq_settings.report_sent(
        queue_table, settings, array(select times[p] from unnest(sent_places) as u (p)),
        array(select headers[p] from unnest(sent_places) as u (p)));
    perform pgmq_settings.record_ids(
        queue_table, caller, array(select ids[p] from unnest(sent_places) with ordinality as u (p, n) order by n), sent);
    return query
    select
        coalesce(s.msg_id, (known ->> e.id)::bigint, first_value(s.msg_id) over (partition by e.id order by e.place)),
        s.msg_id is null
    from unnest(ids) with ordinality as e (id, place)
    left join unnest(sent_places, sent) as s (place, msg_id) on s.place = e.place
    order by e.place;
end;
$$;

CREATE FUNCTION pgmq_settings.send_one(queue_table text, settings pgmq_settings.queues, vt timestamp with time zone, message jsonb, headers jsonb, id text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    caller constant bytea := pgmq_settings.deduplication_caller();
    first bigint;
    duplicate boolean;
    sent bigint;
begin
    perform pgmq_settings.check_id('deduplication_id', id);
    id := coalesce(id, pgmq_settings.content_id(message, headers));
    select c.msg_id into first
    from pgmq_settings.claim_ids(queue_table, caller, array[id], coalesce(settings.deduplication_seconds, 300)) as c;
    duplicate := found;
    execute format(
        'insert into pgmq.%I (vt, message, headers) select $1, $2, $3 where not $4 returning msg_id', queue_table)
    into sent using vt, message, headers, duplicate;
    if duplicate then
        return first;
    end if;
    perform pgmq_settings.check_stored(1, num_nonnulls(sent));
    perform pgmq_settings.record_ids(queue_table, caller, array[id], array[sent]);
    perform pgmq_settings.report_sent(queue_table, settings, array[vt], array[headers]);
    return sent;
end;
$_$;

CREATE FUNCTION pgmq_settings.send_statement(queue_table text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return format(
        'insert into pgmq.%I (vt, message, headers) '
        'select e.vt, e.message, e.headers '
        'from unnest($1, $2, $3) with ordinality as e (vt, message, headers, place) order by e.place '
        'returning msg_id', queue_table);
end;
$_$;

CREATE FUNCTION pgmq_settings.send_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    table_name constant text := pgmq.format_table_name(queue_name, 'q');
    times timestamptz[];
    messages jsonb[];
    ids bigint[];
begin
    if exists (
        select from pgmq_settings.settings as s
        where s.queue_table = table_name and (s.is_full or s.deduplication_by_content)
    ) then
        return;
    end if;
    -- In the order of the calls: nothing between unnest and array_agg sorts.
    select array_agg(pgmq_settings.visible_at(s.sleep_seconds, null)), array_agg(s.message)
    into times, messages
    from unnest(given) as c (arguments), json_to_record(c.arguments) as s (message jsonb, sleep_seconds integer);
    if array_position(messages, null) is not null then
        return;
    end if;
    execute format(
        'with sent as (%s) select array_agg(s.msg_id) from sent as s', pgmq_settings.send_statement(table_name))
    into ids using times, messages, null::jsonb[];
    if cardinality(ids) is distinct from cardinality(messages) then
        raise exception 'an INSERT of % messages returned % ids', cardinality(messages), cardinality(ids);
    end if;
    perform pgmq_settings.report_times(table_name, times);
    row_counts := array_fill(1, array[cardinality(ids)]);
    bodies := array(select '[' || i.id || ']' from unnest(ids) as i (id));
end;
$$;

CREATE FUNCTION pgmq_settings.sent_headers(headers jsonb, expires_at timestamp with time zone, visible_at timestamp with time zone, group_id text) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if jsonb_typeof(headers) not in ('object', 'null') then
        raise exception 'headers must be a JSON object, not %', jsonb_typeof(headers) using
            errcode = 'invalid_parameter_value', hint = 'For example: {"kind": "invoice"}';
    elsif octet_length(headers::text) > 65536 then
        raise exception 'headers of % bytes are too large', octet_length(headers::text) using
            errcode = 'invalid_parameter_value', hint = 'Use at most 65536 bytes; put data into the message.';
    elsif expires_at <= greatest(visible_at, clock_timestamp()) or expires_at > '9999-12-31Z' then
        raise exception 'a message cannot expire at %', expires_at using
            errcode = 'invalid_parameter_value',
            hint = 'Use a time in the future, after the message becomes visible, before the year 10000.';
    end if;
    perform pgmq_settings.check_id('group_id', group_id);
    if expires_at is not null or group_id is not null then
        headers := coalesce(nullif(headers, 'null'), '{}') || jsonb_strip_nulls(jsonb_build_object(
            'x-pgmq-expires', pgmq_settings.expiry_text(expires_at), 'x-pgmq-group', group_id));
    end if;
    return nullif(headers, 'null');
end;
$$;

CREATE FUNCTION pgmq_settings.set_wake(queue_table text, wake boolean, throttle_ms integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    execute format('drop trigger if exists pgmq_settings_wake on pgmq.%I', queue_table);
    if wake then
        execute format(
            'create trigger pgmq_settings_wake after insert on pgmq.%I for each statement '
            'execute function pgmq_settings.notify_wake(%s)',
            queue_table, coalesce(throttle_ms, 100));
    else
        -- No sender has locked it, because DROP TRIGGER waits for them.
        delete from pgmq_settings.wake_throttles as w where w.queue_table = set_wake.queue_table;
    end if;
end;
$$;

CREATE FUNCTION pgmq_settings.settle(queue_table text, operation text, receipt text, seconds integer, reason text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    changed constant record := pgmq_settings.settle_changes(
        queue_table, array[operation], array[receipt], array[seconds], array[reason]);
begin
    if changed.dead is not null then
        perform pgmq_settings.bury(queue_table, changed.dead);
    end if;
    return changed.outcomes[1];
end;
$$;

CREATE FUNCTION pgmq_settings.settle_changes(queue_table text, operations text[], receipts text[], seconds integer[], reasons text[], OUT outcomes text[], OUT dead bigint[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
declare
    deliveries constant pgmq_settings.delivery[] := pgmq_settings.deliveries(receipts);
    noting constant boolean := 'reject' = any (operations) or array_remove(reasons, null) <> '{}';
    present constant timestamptz := clock_timestamp();
    settings pgmq_settings.queues;
    delays double precision[];
    settled bigint[];
    rejected bigint[];
    stale pgmq_settings.delivery[];
    place bigint;
begin
    select s.* into settings from pgmq_settings.settings as s where s.queue_table = settle_changes.queue_table;
    delays := pgmq_settings.change_seconds(queue_table, settings, deliveries, operations, seconds);
    execute pgmq_settings.changes_statement(queue_table, noting) into settled, rejected, dead using
        deliveries, operations, delays, reasons, present, coalesce(settings.max_receives, 999999);
    if 'retry' = any (operations) or 0 = any (delays) then
        perform pgmq_settings.report_times(queue_table, array(
            select present + make_interval(secs => delays[s.place])
            from unnest(settled) as s (place)
            where (operations[s.place] = 'retry' or operations[s.place] = 'extend' and delays[s.place] = 0)
              and s.place <> all (coalesce(rejected, '{}'))));
    end if;
    outcomes := array(
        select pgmq_settings.settled(o.operation) from unnest(operations) with ordinality as o (operation, place)
        order by o.place);
    for place in select r.place from unnest(rejected) as r (place) loop
        outcomes[place] := 'rejected';
    end loop;
    if cardinality(settled) = cardinality(deliveries) then
        return;
    end if;
    stale := pgmq_settings.stale(queue_table, deliveries);
    for place in select n from generate_series(1, cardinality(deliveries)) as n except select unnest(settled) loop
        outcomes[place] := case when deliveries[place] = any (stale) then 'stale' else 'gone' end;
    end loop;
end;
$$;

CREATE FUNCTION pgmq_settings.settle_list(queue_table text, operation text, receipts text[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
declare
    word constant text := pgmq_settings.settled(operation);
    deliveries constant pgmq_settings.delivery[] := pgmq_settings.deliveries(receipts);
    settled pgmq_settings.delivery[];
begin
    execute pgmq_settings.settle_list_statement(queue_table, operation) into settled using
        array(select d.msg_id from unnest(deliveries) as d), array(select d.enqueued_at from unnest(deliveries) as d),
        deliveries;
    if cardinality(settled) = cardinality(deliveries) then
        return array_fill(word, array[cardinality(deliveries)]);
    end if;
    return pgmq_settings.outcomes(word, deliveries, settled, pgmq_settings.stale(queue_table, deliveries));
end;
$$;

CREATE FUNCTION pgmq_settings.settle_list_statement(queue_table text, operation text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    return pgmq_settings.removal(
        queue_table, operation = 'archive',
        'q.msg_id = any ($1) and q.enqueued_at = any ($2) '
        'and (q.msg_id, q.read_ct, q.enqueued_at)::pgmq_settings.delivery = any ($3)')
    || ' select array_agg((s.msg_id, s.read_ct, s.enqueued_at)::pgmq_settings.delivery) from settled as s';
end;
$_$;

CREATE FUNCTION pgmq_settings.settle_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    acks text[];
    receipts text[] := '{}';
    sizes bigint[] := '{}';
    outcomes text[] := '{}';
    first integer := 1;
begin
    for number in 1 .. cardinality(given) loop
        select s.acks into acks from json_to_record(given[number]) as s (acks text[]);
        sizes[number] := coalesce(cardinality(acks), 0);
        if array_ndims(acks) > 1 then
            return;
        end if;
        receipts := receipts || acks;
    end loop;
    if receipts <> '{}' then
        outcomes := pgmq_settings.ack_all(queue_name, receipts);
    end if;
    if outcomes is null then
        return;
    end if;
    row_counts := sizes;
    for number in 1 .. cardinality(given) loop
        bodies[number] := coalesce((
            select json_agg(s)::text
            from unnest(
                receipts[first : first + sizes[number] - 1], outcomes[first : first + sizes[number] - 1]
            ) as s (receipt, outcome)
        ), '[]');
        first := first + sizes[number];
    end loop;
end;
$$;

CREATE FUNCTION pgmq_settings.settled(operation text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    return case operation
        when 'ack' then 'acked'
        when 'archive' then 'archived'
        when 'retry' then 'retried'
        when 'reject' then 'rejected'
        when 'extend' then 'extended'
    end;
end;
$$;

CREATE FUNCTION pgmq_settings.settlement(operation text, entries jsonb) RETURNS pgmq_settings.settlement
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    member constant text := case operation when 'retry' then 'delay_seconds' else 'sleep_seconds' end;
    maximum constant integer := case operation when 'retry' then 31536000 else 604800 end;
    result pgmq_settings.settlement;
begin
    if jsonb_typeof(entries) is distinct from 'array' then
        raise exception 'the list of messages to % must be an array, not %',
            operation, coalesce(jsonb_typeof(entries), 'null')
            using errcode = 'invalid_parameter_value', hint = 'An empty list is [].';
    end if;
    perform pgmq_settings.check_settlement(operation, e)
    from jsonb_array_elements(entries) as e where jsonb_typeof(e) <> 'string';
    result.operation := operation;
    select
        array_agg(coalesce(e ->> 'receipt', e #>> '{}') order by place),
        array_agg((e ->> member)::integer order by place), array_agg(e ->> 'reason' order by place)
    into result.receipts, result.seconds, result.reasons
    from jsonb_array_elements(entries) with ordinality as l (e, place);
    perform pgmq_settings.check_seconds(member, s, maximum)
    from unnest(result.seconds) as s where s not between 0 and maximum;
    perform pgmq_settings.check_reason(r) from unnest(result.reasons) as r where length(r) > 1000;
    return result;
end;
$$;

CREATE FUNCTION pgmq_settings.settlements(acks text[], archives text[], retries jsonb, rejects jsonb, extensions jsonb) RETURNS pgmq_settings.settlement[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    lists pgmq_settings.settlement[] := '{}';
    list pgmq_settings.settlement;
    receipts text[] := '{}';
begin
    if array_ndims(acks) > 1 or array_ndims(archives) > 1 then
        raise exception 'a list of receipts contains a list' using
            errcode = 'invalid_parameter_value', hint = 'Use a list of strings.';
    end if;
    foreach list in array array[
        row('ack', acks, null, null)::pgmq_settings.settlement,
        row('archive', archives, null, null)::pgmq_settings.settlement,
        case when retries = '[]' then null else pgmq_settings.settlement('retry', retries) end,
        case when rejects = '[]' then null else pgmq_settings.settlement('reject', rejects) end,
        case when extensions = '[]' then null else pgmq_settings.settlement('extend', extensions) end
    ] loop
        if list.receipts <> '{}' then
            lists := lists || list;
            receipts := receipts || list.receipts;
        end if;
    end loop;
    if cardinality(receipts) > 10000 then
        raise exception '% receipts are too many', cardinality(receipts) using
            errcode = 'invalid_parameter_value', hint = 'Settle at most 10000 at once.';
    elsif (select count(distinct r) from unnest(receipts) as r) < cardinality(receipts)
        and not exists (select from unnest(receipts) as r where r is null)
    then
        raise exception 'receipt "%" is listed twice',
            (select left(r, 100) from unnest(receipts) as r group by r having count(*) > 1 limit 1)
            using errcode = 'invalid_parameter_value', hint = 'Settle each message in one way.';
    end if;
    return lists;
end;
$$;

CREATE FUNCTION pgmq_settings.shared_receive_statement(queue_table text, popping boolean) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    columns constant text := pgmq_settings.message_columns(
        queue_table, case when popping then 'null::text' else pgmq_settings.receipt_expression('m') end);
begin
    return format(
        $query$
        with claimed as (
            select c.msg_id, width_bucket(row_number() over (), $8) as claiming_call
            from (
                select q.msg_id from pgmq.%1$I as q where q.vt <= $4 order by q.vt limit $2 for update skip locked
            ) as c
        ), m as (
            %2$s where q.msg_id = claimed.msg_id returning q.*, claimed.claiming_call
        )
        select
            case when (%3$s) is not true then m.claiming_call end as call, count(*),
            json_agg(row(%4$s)::pgmq_api.message order by m.msg_id)
        from m group by 1
        $query$,
        queue_table,
        case
            when popping then format('delete from pgmq.%I as q using claimed', queue_table)
            else format(
                'update pgmq.%I as q set vt = $1 + make_interval(secs => ($3)[claimed.claiming_call]), '
                'read_ct = q.read_ct + 1 %s from claimed',
                queue_table, case when columns like '%m.last_read_at%' then ', last_read_at = $1' else '' end)
        end,
        pgmq_settings.dead_condition('m') || case when popping then ' or m.read_ct >= $5' else '' end,
        columns);
end;
$_$;

CREATE FUNCTION pgmq_settings.shares_of(given json[], default_lease integer, OUT firsts bigint[], OUT leases integer[], OUT total bigint) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    -- To claim more, Postgres can prefer to scan the whole queue.
    max_total constant integer := least(
        1000, coalesce(nullif(current_setting('pgmq_gateway.max_read', true), '')::integer, 10000));
    wanted integer;
begin
    total := 0;
    for number in 1 .. cardinality(given) loop
        wanted := case when given[number] -> 'n' is null then 1 else (given[number] ->> 'n')::integer end;
        firsts[number] := total + 1;
        leases[number] := coalesce((given[number] ->> 'sleep_seconds')::integer, default_lease);
        total := total + wanted;
        -- A message whose lease ends at once could be read by the next call.
        if (wanted > 0 and leases[number] between 1 and 604800 and total <= max_total) is not true then
            firsts := null;
            return;
        end if;
    end loop;
end;
$$;

CREATE FUNCTION pgmq_settings.stale(queue_table text, deliveries pgmq_settings.delivery[]) RETURNS pgmq_settings.delivery[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    result pgmq_settings.delivery[];
begin
    execute format(
        'select array_agg(d) from unnest($1) as d where exists (select from pgmq.%I as q '
        'where q.msg_id = d.msg_id and q.enqueued_at = d.enqueued_at and q.read_ct <> d.read_ct)', queue_table)
    into result using deliveries;
    return result;
end;
$_$;

CREATE FUNCTION pgmq_settings.state_condition(state text, present text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select s.condition from pgmq_settings.message_states(present) as s where s.state = state_condition.state;
$$;

CREATE FUNCTION pgmq_settings.state_counts(present text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select string_agg(format('count(*) filter (where %s)', s.condition), ', ')
    from pgmq_settings.message_states(present) as s;
$$;

CREATE FUNCTION pgmq_settings.state_expression(present text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select format('case %s end', string_agg(format('when %s then %L', s.condition, s.state), ' '))
    from pgmq_settings.message_states(present) as s;
$$;

CREATE FUNCTION pgmq_settings.sweep_groups(queue_table text, group_limit integer, after text, until timestamp with time zone, OUT promoted integer, OUT next_group text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'on'
    AS $_$
declare
    tables constant regclass[] := array[to_regclass(format('pgmq.%I', queue_table))];
    stalled text[];
begin
    perform pgmq_settings.check_isolation();
    perform pgmq_gateway.check_foreign_code(tables);
    perform pgmq_settings.check_sees_all(tables);
    execute format(
        $query$
        with recursive walk (name) as (
            (select %2$s from pgmq.%1$I as q where %2$s > $1 order by %2$s limit 1)
            union all
            select (select %2$s from pgmq.%1$I as q where %2$s > w.name order by %2$s limit 1)
            from walk as w where w.name is not null and clock_timestamp() < $2
        ), stalled as materialized (
            select w.name from walk as w
            where w.name is not null and %3$s and %4$s < %5$s
            limit 1000
        )
        select
            (select coalesce(array_agg(s.name), '{}') from stalled as s
                where pg_try_advisory_xact_lock($3, hashtext(s.name) & 255)),
            coalesce(
                (select max(s.name) from stalled as s having count(*) = 1000),
                (select max(w.name) from walk as w having bool_and(w.name is not null)), '')
        $query$,
        queue_table, pgmq_settings.group_expression('q'), pgmq_settings.group_waiting(queue_table, 'w.name'),
        pgmq_settings.group_occupied(queue_table, group_limit, 'w.name'), group_limit
    ) into stalled, next_group using after, until, tables[1]::oid::integer;
    if stalled <> '{}' then
        execute pgmq_settings.promotion(queue_table, group_limit, 'unnest($1) as g (name)') using stalled;
    end if;
    promoted := cardinality(stalled);
end;
$_$;

CREATE FUNCTION pgmq_settings.trim_archive(queue_table text, keep_seconds bigint, first_page bigint, until timestamp with time zone, OUT deleted bigint, OUT next_page bigint, OUT at_end boolean) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'on'
    SET enable_seqscan TO 'off'
    SET enable_sort TO 'off'
    AS $_$
declare
    max_messages constant integer := 1000;
    part_pages constant integer := 20;
    archive constant regclass := format('pgmq.%I', overlay(queue_table placing 'a' from 1 for 1));
    oldest constant timestamptz := clock_timestamp() - make_interval(secs => keep_seconds);
    by_age constant boolean := exists (
        select from pg_index as i
        join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = archive and i.indisvalid and a.attname = 'archived_at');
    part constant text := case
        when by_age then format('true order by a.archived_at limit %s', max_messages)
        else 'a.ctid >= $2 and a.ctid < $3'
    end;
    pages bigint;
    ids bigint[];
begin
    perform pgmq_settings.check_accessible(archive);
    pages := case when by_age then 0 else pgmq_settings.page_count(archive) end;
    deleted := 0;
    next_page := case when first_page < pages then first_page else 0 end;
    loop
        execute format(
            'select array(select a.msg_id from %s as a where a.archived_at < $1 and %s for update skip locked)',
            archive, part)
        into ids using oldest, format('(%s,0)', next_page)::tid, format('(%s,0)', next_page + part_pages)::tid;
        execute format('delete from %s as a where a.msg_id = any ($2) and a.archived_at < $1', archive) using oldest, ids;
        deleted := deleted + cardinality(ids);
        next_page := case when by_age then 0 else next_page + part_pages end;
        at_end := case when by_age then cardinality(ids) < max_messages else next_page >= pages end;
        exit when at_end or clock_timestamp() >= until;
    end loop;
    if at_end then
        next_page := 0;
    end if;
end;
$_$;

CREATE FUNCTION pgmq_settings.unsettled(queue_name text, receipts text[]) RETURNS TABLE(receipt text, seconds double precision)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $_$
begin
    if cardinality(receipts) > 10000 then
        raise exception '% receipts are too many', cardinality(receipts) using
            errcode = 'invalid_parameter_value', hint = 'Use at most 10000 at once.';
    end if;
    return query execute format(
        $query$
        select ($2)[d.place], (ceil(extract(epoch from q.vt - $3) * 1000) / 1000)::double precision
        from unnest($1) with ordinality as d (msg_id, read_ct, enqueued_at, place)
        join pgmq.%I as q on q.msg_id = d.msg_id and q.read_ct = d.read_ct and q.enqueued_at = d.enqueued_at
        where q.vt > $3 and q.vt < 'infinity'
        $query$,
        pgmq.format_table_name(queue_name, 'q'))
    using pgmq_settings.deliveries(receipts), receipts, clock_timestamp();
end;
$_$;

CREATE FUNCTION pgmq_settings.visible_at(sleep_seconds integer, send_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform pgmq_settings.check_seconds('sleep_seconds', sleep_seconds, 31536000);
    if send_at is not null and sleep_seconds > 0 then
        raise exception 'sleep_seconds and send_at exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Leave one of them out.';
    elsif not isfinite(send_at) then
        raise exception 'send_at must be a time, not %', send_at using
            errcode = 'invalid_parameter_value', hint = 'For example: 2026-12-31T23:59:59Z';
    end if;
    return greatest(clock_timestamp() + make_interval(secs => coalesce(sleep_seconds, 0)), send_at);
end;
$$;

CREATE TABLE pgmq_gateway.actions (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor_role text NOT NULL,
    key_name text,
    queue_name text,
    operation text NOT NULL,
    count bigint
);

COMMENT ON TABLE pgmq_gateway.actions IS 'Who has changed what with the functions of pgmq_admin, for 90 days. Only pgmq_settings.record_action writes it.';

ALTER TABLE pgmq_gateway.actions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pgmq_gateway.actions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE pgmq_gateway.function_files (
    file text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE pgmq_gateway.idempotency_keys (
    id bytea NOT NULL,
    fingerprint bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    total bigint,
    row_count bigint,
    response_status text,
    response_headers text,
    body text
);

COMMENT ON TABLE pgmq_gateway.idempotency_keys IS 'Responses to calls with an Idempotency-Key. No role has privileges on it: pgmq_gateway.keyed_call uses it.';

CREATE TABLE pgmq_gateway.install_options (
    name text NOT NULL,
    value text NOT NULL
);

COMMENT ON TABLE pgmq_gateway.install_options IS 'keep_trigger: whether roles of requests keep TRIGGER and other privileges on pgmq''s tables. default privileges of ROLE: the schema in which the installer granted them, and does not do so again.';

CREATE TABLE pgmq_gateway.maintenance (
    due_at timestamp with time zone NOT NULL,
    place text NOT NULL,
    is_behind boolean NOT NULL,
    runs bigint NOT NULL,
    seconds double precision NOT NULL
);

CREATE VIEW pgmq_gateway.message_tables AS
 SELECT c.oid,
    c.relname,
    c.relrowsecurity,
    (EXISTS ( SELECT
           FROM (pg_index i
             JOIN pg_attribute a ON (((a.attrelid = i.indrelid) AND (a.attnum = i.indkey[0]))))
          WHERE ((i.indrelid = c.oid) AND (a.attname = 'vt'::name) AND i.indisvalid AND (i.indpred IS NULL)))) AS indexed
   FROM (pg_class c
     JOIN pg_namespace n ON ((n.oid = c.relnamespace)))
  WHERE ((n.nspname = 'pgmq'::name) AND (c.relkind = ANY (ARRAY['r'::"char", 'p'::"char"])));

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
          WHERE ((c_1.relnamespace = ('pgmq'::regnamespace)::oid) AND (c_1.relkind = ANY (ARRAY['r'::"char", 'p'::"char"])) AND (NOT c_1.relispartition) AND (NOT (c_1.relowner IN ( SELECT r.oid
                   FROM pgmq_gateway.caller_roles() r(oid, role)))) AND has_table_privilege(c_1.oid, 'SELECT'::text) AND (NOT (EXISTS ( SELECT
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
    m.parked,
    pgmq_gateway.count_archived(archive.relation, archive.pages, archive.live_tuples) AS archived,
    (
        CASE
            WHEN isfinite(m.oldest) THEN EXTRACT(epoch FROM (clock_timestamp() - m.oldest))
            ELSE NULL::numeric
        END)::double precision AS oldest_seconds,
    (
        CASE
            WHEN isfinite(m.newest) THEN EXTRACT(epoch FROM (clock_timestamp() - m.newest))
            ELSE NULL::numeric
        END)::double precision AS newest_seconds,
    m.sent,
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
     LEFT JOIN LATERAL pgmq_gateway.count_messages(live.relation, live.pages, live.live_tuples, live.dead_tuples) m(messages, exact, visible, delayed, in_flight, parked, oldest, newest, sent) ON (true));

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
    archive_inserted bigint,
    parked bigint
);

CREATE VIEW pgmq_gateway.sharing_settings AS
 SELECT t.relation,
    s.queue_table,
    s.dead_letter_queue,
    s.deduplication_by_content,
    s.ctid AS place,
    s.xmin AS writer
   FROM (( SELECT ('pgmq_settings.queues'::regclass)::oid AS relation) t
     CROSS JOIN pgmq_settings.queues s);

CREATE TABLE pgmq_gateway.shipped (
    kind text NOT NULL,
    schema text NOT NULL,
    name text NOT NULL,
    arguments text NOT NULL,
    md5 text NOT NULL,
    file text NOT NULL
);

COMMENT ON TABLE pgmq_gateway.shipped IS 'The functions and views that the installer made, with the md5 of each.';

CREATE TABLE pgmq_settings.burials (
    queue_table text NOT NULL,
    max_receives bigint NOT NULL,
    rejected bigint NOT NULL,
    expired bigint NOT NULL,
    failed bigint NOT NULL,
    failed_at timestamp with time zone,
    failure text,
    slot integer NOT NULL
);

CREATE TABLE pgmq_settings.deduplication_ids (
    queue_table text NOT NULL,
    caller bytea NOT NULL,
    deduplication_id text NOT NULL,
    relation oid NOT NULL,
    msg_id bigint,
    expires_at timestamp with time zone NOT NULL
);

CREATE VIEW pgmq_settings.settings WITH (security_barrier='true') AS
 SELECT s.queue_table,
    s.queue_name,
    s.lease_seconds,
    s.max_receives,
    s.dead_letter_queue,
    s.backoff,
    s.backoff_seconds,
    s.backoff_max_seconds,
    s.backoff_jitter,
    s.on_expiry,
    s.message_keep_seconds,
    s.archive_keep_seconds,
    s.max_message_bytes,
    s.max_messages,
    s.is_full,
    s.group_limit,
    s.deduplication_seconds,
    s.deduplication_by_content,
    s.paused,
    s.wake,
    s.wake_throttle_ms
   FROM (pgmq_settings.queues s
     CROSS JOIN LATERAL ( SELECT to_regclass(format('pgmq.%I'::text, s.queue_table)) AS oid) q)
  WHERE (has_any_column_privilege((q.oid)::oid, 'SELECT, INSERT, UPDATE'::text) OR has_table_privilege((q.oid)::oid, 'DELETE'::text));

CREATE UNLOGGED TABLE pgmq_settings.wake_throttles (
    queue_table text NOT NULL,
    notified_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY pgmq_gateway.actions
    ADD CONSTRAINT actions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY pgmq_gateway.function_files
    ADD CONSTRAINT function_files_pkey PRIMARY KEY (file);

ALTER TABLE ONLY pgmq_gateway.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY pgmq_gateway.install_options
    ADD CONSTRAINT install_options_pkey PRIMARY KEY (name);

ALTER TABLE ONLY pgmq_gateway.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (number);

ALTER TABLE ONLY pgmq_gateway.samples
    ADD CONSTRAINT samples_pkey PRIMARY KEY (queue_name, at);

ALTER TABLE ONLY pgmq_gateway.shipped
    ADD CONSTRAINT shipped_pkey PRIMARY KEY (kind, schema, name, arguments);

ALTER TABLE ONLY pgmq_settings.burials
    ADD CONSTRAINT burials_pkey PRIMARY KEY (queue_table, slot);

ALTER TABLE ONLY pgmq_settings.deduplication_ids
    ADD CONSTRAINT deduplication_ids_pkey PRIMARY KEY (queue_table, caller, deduplication_id);

ALTER TABLE ONLY pgmq_settings.progress
    ADD CONSTRAINT progress_pkey PRIMARY KEY (task, queue_table);

ALTER TABLE ONLY pgmq_settings.queues
    ADD CONSTRAINT queues_pkey PRIMARY KEY (queue_table);

ALTER TABLE ONLY pgmq_settings.queues
    ADD CONSTRAINT queues_queue_name_key UNIQUE (queue_name);

ALTER TABLE ONLY pgmq_settings.wake_throttles
    ADD CONSTRAINT wake_throttles_pkey PRIMARY KEY (queue_table);

CREATE INDEX actions_at ON pgmq_gateway.actions USING btree (at);

CREATE INDEX actions_queue_name ON pgmq_gateway.actions USING btree (queue_name, id);

CREATE INDEX idempotency_keys_expiry ON pgmq_gateway.idempotency_keys USING btree (expires_at);

CREATE INDEX samples_age ON pgmq_gateway.samples USING btree (lasting, at);

CREATE INDEX deduplication_ids_expires_at ON pgmq_settings.deduplication_ids USING btree (expires_at);

ALTER TABLE ONLY pgmq_settings.queues
    ADD CONSTRAINT queues_dead_letter_queue_fkey FOREIGN KEY (dead_letter_queue) REFERENCES pgmq.meta(queue_name) ON DELETE SET NULL;

ALTER TABLE ONLY pgmq_settings.queues
    ADD CONSTRAINT queues_queue_name_fkey FOREIGN KEY (queue_name) REFERENCES pgmq.meta(queue_name) ON DELETE CASCADE;

ALTER TABLE pgmq_settings.progress ENABLE ROW LEVEL SECURITY;

ALTER TABLE pgmq_settings.queues ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA pgmq_admin TO service_role;

GRANT USAGE ON SCHEMA pgmq_api TO anon;
GRANT USAGE ON SCHEMA pgmq_api TO authenticated;
GRANT USAGE ON SCHEMA pgmq_api TO service_role;

GRANT USAGE ON SCHEMA pgmq_gateway TO authenticator;
GRANT USAGE ON SCHEMA pgmq_gateway TO service_role;
GRANT USAGE ON SCHEMA pgmq_gateway TO pgmq_definer;

GRANT USAGE ON SCHEMA pgmq_public TO anon;
GRANT USAGE ON SCHEMA pgmq_public TO authenticated;
GRANT USAGE ON SCHEMA pgmq_public TO service_role;

GRANT USAGE ON SCHEMA pgmq_settings TO anon;
GRANT USAGE ON SCHEMA pgmq_settings TO authenticated;
GRANT USAGE ON SCHEMA pgmq_settings TO service_role;
GRANT USAGE ON SCHEMA pgmq_settings TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_admin.apply(queue_name text, action text, filter jsonb, expected bigint, seconds integer, to_queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.apply(queue_name text, action text, filter jsonb, expected bigint, seconds integer, to_queue text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.archive(queue_name text, msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.archive(queue_name text, msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.change_policy(queue_name text, policy_names text[], template text, role name, claim text, member text, operations text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.change_policy(queue_name text, policy_names text[], template text, role name, claim text, member text, operations text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.count_messages(queue_name text, filter jsonb, max_count bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.count_messages(queue_name text, filter jsonb, max_count bigint) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.create_policy(queue_name text, template text, role name, claim text, member text, operations text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.create_policy(queue_name text, template text, role name, claim text, member text, operations text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.create_queue(queue_name text, queue_type text, rls boolean, partition_interval text, retention_interval text, adopt boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.create_queue(queue_name text, queue_type text, rls boolean, partition_interval text, retention_interval text, adopt boolean) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.database_status(OUT postgres_version text, OUT pgmq_version text, OUT partman_version text, OUT started_at timestamp with time zone, OUT is_standby boolean, OUT connections bigint, OUT max_connections integer, OUT oldest_transaction_seconds double precision, OUT database_bytes bigint, OUT live_tuples bigint, OUT dead_tuples bigint, OUT cache_hit_ratio double precision, OUT transactions_committed bigint, OUT transactions_rolled_back bigint, OUT deadlocks bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.database_status(OUT postgres_version text, OUT pgmq_version text, OUT partman_version text, OUT started_at timestamp with time zone, OUT is_standby boolean, OUT connections bigint, OUT max_connections integer, OUT oldest_transaction_seconds double precision, OUT database_bytes bigint, OUT live_tuples bigint, OUT dead_tuples bigint, OUT cache_hit_ratio double precision, OUT transactions_committed bigint, OUT transactions_rolled_back bigint, OUT deadlocks bigint) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.dead_letters(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.dead_letters(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.delete(queue_name text, msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.delete(queue_name text, msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.delete_archived(queue_name text, msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.delete_archived(queue_name text, msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.disable_notify(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.disable_notify(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.drop_policy(queue_name text, policy_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.drop_policy(queue_name text, policy_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.drop_queue(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.drop_queue(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.enable_notify(queue_name text, throttle_interval_ms integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.enable_notify(queue_name text, throttle_interval_ms integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.executable_functions() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.executable_functions() TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.expose() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.expose() TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.exposed() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.exposed() TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.get_message(queue_name text, msg_id bigint, archived boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.get_message(queue_name text, msg_id bigint, archived boolean) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.grant_queue(queue_name text, role name, operations text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.grant_queue(queue_name text, role name, operations text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.history(INOUT queue_name text, since timestamp with time zone, buckets integer, OUT at timestamp with time zone, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT archived bigint, OUT sent_rate double precision, OUT read_rate double precision, OUT archived_rate double precision, OUT deleted_rate double precision, OUT oldest_seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.history(INOUT queue_name text, since timestamp with time zone, buckets integer, OUT at timestamp with time zone, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT archived bigint, OUT sent_rate double precision, OUT read_rate double precision, OUT archived_rate double precision, OUT deleted_rate double precision, OUT oldest_seconds double precision) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.lint(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.lint(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.list_actions(queue_name text, before bigint, max_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.list_actions(queue_name text, before bigint, max_rows integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.list_grants(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.list_grants(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.list_groups(queue_name text, from_group text, max_groups integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.list_groups(queue_name text, from_group text, max_groups integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.list_messages(queue_name text, filter jsonb, sort text, descending boolean, after jsonb, before jsonb, max_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.list_messages(queue_name text, filter jsonb, sort text, descending boolean, after jsonb, before jsonb, max_rows integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.list_policies(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.list_policies(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.list_queues() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.list_queues() TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.make_visible(queue_name text, msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.make_visible(queue_name text, msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.messages_as(queue_name text, role name, claims jsonb, max_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.messages_as(queue_name text, role name, claims jsonb, max_rows integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.move(queue_name text, msg_ids bigint[], to_queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.move(queue_name text, msg_ids bigint[], to_queue text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.policy_templates() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.policy_templates() TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.postpone(queue_name text, msg_ids bigint[], seconds integer, until timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.postpone(queue_name text, msg_ids bigint[], seconds integer, until timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.purge_queue(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.purge_queue(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.queue_settings(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.queue_settings(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.queue_status(queue_name text, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT archived bigint, OUT oldest_seconds double precision, OUT newest_seconds double precision, OUT sent bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.queue_status(queue_name text, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT archived bigint, OUT oldest_seconds double precision, OUT newest_seconds double precision, OUT sent bigint) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.requeue(queue_name text, msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.requeue(queue_name text, msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.revoke_queue(queue_name text, role name, operations text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.revoke_queue(queue_name text, role name, operations text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.rights(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.rights(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.send(queue_name text, message jsonb, headers jsonb, sleep_seconds integer, visible_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.send(queue_name text, message jsonb, headers jsonb, sleep_seconds integer, visible_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.send_batch(queue_name text, messages jsonb, headers jsonb, sleep_seconds integer, visible_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.send_batch(queue_name text, messages jsonb, headers jsonb, sleep_seconds integer, visible_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.set_queue_settings(queue_name text, settings jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.set_queue_settings(queue_name text, settings jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.set_rls(queue_name text, enabled boolean, archive boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.set_rls(queue_name text, enabled boolean, archive boolean) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.setting_ranges() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.setting_ranges() TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.try_as(queue_name text, role name, claims jsonb, message jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.try_as(queue_name text, role name, claims jsonb, message jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.try_policy(queue_name text, policy_names text[], template text, role name, claim text, member text, operations text[], claims jsonb, message jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.try_policy(queue_name text, policy_names text[], template text, role name, claim text, member text, operations text[], claims jsonb, message jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_admin.unexpose() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_admin.unexpose() TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.ack(queue_name text, receipt text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.ack(queue_name text, receipt text) TO anon;
GRANT ALL ON FUNCTION pgmq_api.ack(queue_name text, receipt text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.ack(queue_name text, receipt text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.archive(queue_name text, message_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.archive(queue_name text, message_id bigint) TO anon;
GRANT ALL ON FUNCTION pgmq_api.archive(queue_name text, message_id bigint) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.archive(queue_name text, message_id bigint) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.archive_batch(queue_name text, message_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.archive_batch(queue_name text, message_ids bigint[]) TO anon;
GRANT ALL ON FUNCTION pgmq_api.archive_batch(queue_name text, message_ids bigint[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.archive_batch(queue_name text, message_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.delete(queue_name text, message_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.delete(queue_name text, message_id bigint) TO anon;
GRANT ALL ON FUNCTION pgmq_api.delete(queue_name text, message_id bigint) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.delete(queue_name text, message_id bigint) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.delete_batch(queue_name text, message_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.delete_batch(queue_name text, message_ids bigint[]) TO anon;
GRANT ALL ON FUNCTION pgmq_api.delete_batch(queue_name text, message_ids bigint[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.delete_batch(queue_name text, message_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.extend(queue_name text, receipt text, sleep_seconds integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.extend(queue_name text, receipt text, sleep_seconds integer) TO anon;
GRANT ALL ON FUNCTION pgmq_api.extend(queue_name text, receipt text, sleep_seconds integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.extend(queue_name text, receipt text, sleep_seconds integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.metrics(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.metrics(queue_name text) TO anon;
GRANT ALL ON FUNCTION pgmq_api.metrics(queue_name text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.metrics(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.peek(queue_name text, n integer, after bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.peek(queue_name text, n integer, after bigint) TO anon;
GRANT ALL ON FUNCTION pgmq_api.peek(queue_name text, n integer, after bigint) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.peek(queue_name text, n integer, after bigint) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.pop(queue_name text, n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.pop(queue_name text, n integer) TO anon;
GRANT ALL ON FUNCTION pgmq_api.pop(queue_name text, n integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.pop(queue_name text, n integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.purge(queue_name text, max_messages integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.purge(queue_name text, max_messages integer) TO anon;
GRANT ALL ON FUNCTION pgmq_api.purge(queue_name text, max_messages integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.purge(queue_name text, max_messages integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.queues() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.queues() TO anon;
GRANT ALL ON FUNCTION pgmq_api.queues() TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.queues() TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.read(queue_name text, sleep_seconds integer, n integer, conditional jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.read(queue_name text, sleep_seconds integer, n integer, conditional jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_api.read(queue_name text, sleep_seconds integer, n integer, conditional jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.read(queue_name text, sleep_seconds integer, n integer, conditional jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.read_any(queue_names text[], sleep_seconds integer, n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.read_any(queue_names text[], sleep_seconds integer, n integer) TO anon;
GRANT ALL ON FUNCTION pgmq_api.read_any(queue_names text[], sleep_seconds integer, n integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.read_any(queue_names text[], sleep_seconds integer, n integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_api.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.reject(queue_name text, receipt text, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.reject(queue_name text, receipt text, reason text) TO anon;
GRANT ALL ON FUNCTION pgmq_api.reject(queue_name text, receipt text, reason text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.reject(queue_name text, receipt text, reason text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_api.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.retry(queue_name text, receipt text, delay_seconds integer, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.retry(queue_name text, receipt text, delay_seconds integer, reason text) TO anon;
GRANT ALL ON FUNCTION pgmq_api.retry(queue_name text, receipt text, delay_seconds integer, reason text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.retry(queue_name text, receipt text, delay_seconds integer, reason text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.send(queue_name text, message jsonb, sleep_seconds integer, headers jsonb, send_at timestamp with time zone, expires_at timestamp with time zone, group_id text, deduplication_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.send(queue_name text, message jsonb, sleep_seconds integer, headers jsonb, send_at timestamp with time zone, expires_at timestamp with time zone, group_id text, deduplication_id text) TO anon;
GRANT ALL ON FUNCTION pgmq_api.send(queue_name text, message jsonb, sleep_seconds integer, headers jsonb, send_at timestamp with time zone, expires_at timestamp with time zone, group_id text, deduplication_id text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.send(queue_name text, message jsonb, sleep_seconds integer, headers jsonb, send_at timestamp with time zone, expires_at timestamp with time zone, group_id text, deduplication_id text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.send_batch(queue_name text, messages jsonb[], sleep_seconds integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.send_batch(queue_name text, messages jsonb[], sleep_seconds integer) TO anon;
GRANT ALL ON FUNCTION pgmq_api.send_batch(queue_name text, messages jsonb[], sleep_seconds integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.send_batch(queue_name text, messages jsonb[], sleep_seconds integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.send_entries(queue_name text, entries jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.send_entries(queue_name text, entries jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_api.send_entries(queue_name text, entries jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.send_entries(queue_name text, entries jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_api.settle(queue_name text, acks text[], archives text[], retries jsonb, rejects jsonb, extensions jsonb, strict boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_api.settle(queue_name text, acks text[], archives text[], retries jsonb, rejects jsonb, extensions jsonb, strict boolean) TO anon;
GRANT ALL ON FUNCTION pgmq_api.settle(queue_name text, acks text[], archives text[], retries jsonb, rejects jsonb, extensions jsonb, strict boolean) TO authenticated;
GRANT ALL ON FUNCTION pgmq_api.settle(queue_name text, acks text[], archives text[], retries jsonb, rejects jsonb, extensions jsonb, strict boolean) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.adopt_queue(queue_name text, queue_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.api_functions(operation text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.api_helpers() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.become(role name, claims jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.become(role name, claims jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.blocker(role oid, on_table regclass, forbidding name[], operation text, fails boolean, commands "char"[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.call(role text, claims text, request text[], schemas text, settings text[], read_only boolean, prepare text, statement text, arguments text, parameters text[], singular boolean, max_affected bigint, row_offset bigint, queue_name text, relations oid[], functions text[], fingerprint text, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT returned bigint, OUT clean boolean, OUT wakeups text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.call(role text, claims text, request text[], schemas text, settings text[], read_only boolean, prepare text, statement text, arguments text, parameters text[], singular boolean, max_affected bigint, row_offset bigint, queue_name text, relations oid[], functions text[], fingerprint text, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT returned bigint, OUT clean boolean, OUT wakeups text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.caller_roles() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.caller_roles() TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_gateway.calls(role text, claims text, settings text[], requests text[], schemas text, statements text[], arguments text[], queue_name text, relations oid[], functions text[], fingerprint text, fusion json, careful boolean, OUT row_count bigint, OUT body text, OUT failure text[], OUT seconds double precision, OUT wakeups text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.calls(role text, claims text, settings text[], requests text[], schemas text, statements text[], arguments text[], queue_name text, relations oid[], functions text[], fingerprint text, fusion json, careful boolean, OUT row_count bigint, OUT body text, OUT failure text[], OUT seconds double precision, OUT wakeups text) TO authenticator;

REVOKE ALL ON PROCEDURE pgmq_gateway.calls_in_turn(IN role text, IN claims text[], IN settings text[], IN requests text[], IN schemas text, IN statements text[], IN arguments text[], IN queue_name text, IN relations oid[], IN functions text[], IN fingerprint text, INOUT row_counts bigint[], INOUT bodies text[], INOUT failures text[], INOUT seconds double precision, INOUT wakeups text[]) FROM PUBLIC;
GRANT ALL ON PROCEDURE pgmq_gateway.calls_in_turn(IN role text, IN claims text[], IN settings text[], IN requests text[], IN schemas text, IN statements text[], IN arguments text[], IN queue_name text, IN relations oid[], IN functions text[], IN fingerprint text, INOUT row_counts bigint[], INOUT bodies text[], INOUT failures text[], INOUT seconds double precision, INOUT wakeups text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.can_switch_to(login name, role name) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.can_switch_to(login name, role name) TO service_role;
GRANT ALL ON FUNCTION pgmq_gateway.can_switch_to(login name, role name) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_gateway.can_use_api(role oid, operation text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.change_messages(queue_name text, action text, filter jsonb, expected bigint, visible_at timestamp with time zone, to_queue text, OUT matched bigint, OUT msg_ids bigint[], OUT new_msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.change_messages(queue_name text, action text, filter jsonb, expected bigint, visible_at timestamp with time zone, to_queue text, OUT matched bigint, OUT msg_ids bigint[], OUT new_msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.change_part(action text, queue_name text, source text, to_queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.change_part(action text, queue_name text, source text, to_queue text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.check_caller(role name, claims jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.check_caller(role name, claims jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.check_dropped(code text, message text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.check_foreign_code(tables regclass[], truncating boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.check_foreign_code(tables regclass[], truncating boolean) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_gateway.check_history(queue_name text, since timestamp with time zone, buckets integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.check_move(queue_name text, to_queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.check_move(queue_name text, to_queue text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.check_name(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.check_new_name(queue_name text, queue_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.check_not_parked(queue_table text, msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.check_not_parked(queue_table text, msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.check_operations(operations text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.check_owners(tables oid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.check_owners(tables oid[]) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_gateway.check_page(filter jsonb, sort text, after jsonb, before jsonb, max_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.check_page(filter jsonb, sort text, after jsonb, before jsonb, max_rows integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.check_partitioning(partition_interval text, retention_interval text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.check_queue_exists(queue_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.check_queue_exists(queue_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.check_request_role(login name, role name) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.check_request_role(login name, role name) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.check_role(role name) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.check_template(template text, queue_table regclass, role name, INOUT claim text, INOUT member text, INOUT operations text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.claim_key(key_id bytea, key_lock bigint, fingerprint bytea, max_wait text, OUT known boolean, OUT total bigint, OUT row_count bigint, OUT response_status text, OUT response_headers text, OUT body text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.claim_key(key_id bytea, key_lock bigint, fingerprint bytea, max_wait text, OUT known boolean, OUT total bigint, OUT row_count bigint, OUT response_status text, OUT response_headers text, OUT body text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.clean_session() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.clean_session() TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.command_word(command "char") FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.conditions(on_table regclass, role oid, command "char", after boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.count_archived(archive_table regclass, pages bigint, live_tuples bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.count_hidden(queue_table regclass, present timestamp with time zone, max_messages bigint, OUT hidden bigint, OUT delayed bigint, OUT parked bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.count_long_queue(queue_table regclass, pages bigint, few_pages bigint, live_tuples bigint, dead_tuples bigint, present timestamp with time zone, OUT messages bigint, OUT exact boolean, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT oldest timestamp with time zone, OUT newest timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.count_messages(queue_table regclass, pages bigint, live_tuples bigint, dead_tuples bigint, OUT messages bigint, OUT exact boolean, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT oldest timestamp with time zone, OUT newest timestamp with time zone, OUT sent bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.count_rows(source text, present timestamp with time zone, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint, OUT oldest timestamp with time zone, OUT newest timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.count_sent(queue_table regclass) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.create_partitioned(queue_name text, partition_interval text, retention_interval text, rls boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.create_policy_probe(queue_table regclass) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.create_policy_probe(queue_table regclass) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.create_service_policies(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.create_tables(queue_name text, queue_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.create_viewer() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.database_metrics(OUT oldest_transaction_seconds double precision, OUT oldest_xmin_transactions bigint, OUT is_standby boolean, OUT standbys bigint, OUT synchronous_standbys bigint, OUT lag_bytes bigint, OUT maintenance_runs bigint, OUT maintenance_seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.database_metrics(OUT oldest_transaction_seconds double precision, OUT oldest_xmin_transactions bigint, OUT is_standby boolean, OUT standbys bigint, OUT synchronous_standbys bigint, OUT lag_bytes bigint, OUT maintenance_runs bigint, OUT maintenance_seconds double precision) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.default_privileges_option(OUT name text, OUT value text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.delete_expired_ids(max_ids integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.delete_old_actions(max_actions integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.distinguishes_calls(code text, tables oid[], per_row boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.distinguishes_calls(code text, tables oid[], per_row boolean) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.drop_policy_of(queue_name text, policy_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.drop_remains(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.drop_templates(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.estimate_messages(queue_table regclass, present timestamp with time zone, sampled_percent real, live_tuples bigint, few_messages bigint, first_messages bigint, first_visible bigint, OUT messages bigint, OUT visible bigint, OUT delayed bigint, OUT in_flight bigint, OUT parked bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.excess_privileges() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.executable_api_functions(role oid, operation text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.expressions(relation oid, written boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.expressions(relation oid, written boolean) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.fingerprint(relations oid[], functions text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.fingerprint(relations oid[], functions text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.first_sample(queue_name text, since timestamp with time zone, until timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.foreign_triggers(tables oid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.foreign_triggers(tables oid[]) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_gateway.former_group_code() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.found_messages(queue_table regclass, since timestamp with time zone, overlap double precision, known bigint[], known_at timestamp with time zone[], max_ids integer, OUT recent bigint[], OUT fresh bigint[], OUT times timestamp with time zone[], OUT until timestamp with time zone, OUT complete boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.found_messages(queue_table regclass, since timestamp with time zone, overlap double precision, known bigint[], known_at timestamp with time zone[], max_ids integer, OUT recent bigint[], OUT fresh bigint[], OUT times timestamp with time zone[], OUT until timestamp with time zone, OUT complete boolean) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.function_faults(routine oid, OUT faults text[], OUT names text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.function_faults(routine oid, OUT faults text[], OUT names text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.function_md5(routine oid) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.function_md5(routine oid) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.function_obstacles(function_name text, OUT obstacles text[], OUT functions text[], OUT routines oid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.function_obstacles(function_name text, OUT obstacles text[], OUT functions text[], OUT routines oid[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.fused_calls(role text, fusion json, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.fused_calls(role text, fusion json, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.fused_leases(role text, function_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.fused_leases(role text, function_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.fused_receive(role text, statement text, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.fused_receive(role text, statement text, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.fused_send(role text, statement text, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.fused_send(role text, statement text, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.fused_send_batch(role text, statement text, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.fused_send_batch(role text, statement text, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.fused_settle(role text, statement text, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.fused_settle(role text, statement text, signatures text[], given json[], OUT row_counts bigint[], OUT bodies text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.fused_statement(queue_name text, function_name text, columns name[], other_columns name[], ordered_by name) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.fused_statement(queue_name text, function_name text, columns name[], other_columns name[], ordered_by name) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.fusion(queue_name text, function_name text, routines oid[], reads_requests boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.fusion(queue_name text, function_name text, routines oid[], reads_requests boolean) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.grant_definer_access(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.grant_public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.half_privileges(access pgmq_gateway.queue_access[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.has_group_code(queue_table text, group_limit integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.has_viewer() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.have_column(column_name name, VARIADIC tables text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.have_column(column_name name, VARIADIC tables text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.incomplete_queues() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.is_allowed_name(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.is_harmless_builtin(routine oid) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.is_harmless_builtin(routine oid) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.is_plain_type(type oid) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.is_plain_type(type oid) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.is_shipped(routine oid) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.is_shipped(routine oid) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.judge(queue_name text, queue_table regclass, archive_table regclass, role oid, operation text, OUT verdict text, OUT reasons text[], OUT policies text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.judge_access(queue_table regclass, archive_table regclass, operation text, blockers text[], seen oid, disguise regprocedure, OUT verdict text, OUT reasons text[], OUT policies text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.judge_functions(role oid, operation text, OUT blockers text[], OUT seen oid, OUT disguise regprocedure) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.judge_policies(queue_table regclass, archive_table regclass, role oid, operation text, OUT blockers text[], OUT silent_blockers text[], OUT limited boolean, OUT policies text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.judge_public_functions(role oid, operation text, OUT blockers text[], OUT seen oid, OUT disguise regprocedure) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.judge_settings(queue_name text, function_name text, OUT obstacles text[], OUT tables oid[], OUT relations oid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.judge_settings(queue_name text, function_name text, OUT obstacles text[], OUT tables oid[], OUT relations oid[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.judgement(queue_name text, function_name text, OUT obstacles text[], OUT relations oid[], OUT functions text[], OUT fingerprint text, OUT fusion json) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.judgement(queue_name text, function_name text, OUT obstacles text[], OUT relations oid[], OUT functions text[], OUT fingerprint text, OUT fusion json) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.keeps_excess_privileges() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.keyed_call(key_id bytea, key_lock bigint, max_wait text, keep_seconds double precision, unstored text, role text, claims text, request text[], schemas text, settings text[], prepare text, statement text, arguments text, parameters text[], singular boolean, max_affected bigint, row_offset bigint, queue_name text, relations oid[], functions text[], judged text, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT returned bigint, OUT clean boolean, OUT wakeups text, OUT replayed boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.keyed_call(key_id bytea, key_lock bigint, max_wait text, keep_seconds double precision, unstored text, role text, claims text, request text[], schemas text, settings text[], prepare text, statement text, arguments text, parameters text[], singular boolean, max_affected bigint, row_offset bigint, queue_name text, relations oid[], functions text[], judged text, OUT total bigint, OUT row_count bigint, OUT body text, OUT response_headers text, OUT response_status text, OUT returned bigint, OUT clean boolean, OUT wakeups text, OUT replayed boolean) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.keyed_calls(key_ids bytea[], key_locks bigint[], keep_seconds double precision, unstored text, role text, claims text, settings text[], requests text[], schemas text, statements text[], arguments text[], queue_name text, relations oid[], functions text[], fingerprint text, fusion json, careful boolean, OUT row_count bigint, OUT body text, OUT failure text[], OUT seconds double precision, OUT wakeups text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.keyed_calls(key_ids bytea[], key_locks bigint[], keep_seconds double precision, unstored text, role text, claims text, settings text[], requests text[], schemas text, statements text[], arguments text[], queue_name text, relations oid[], functions text[], fingerprint text, fusion json, careful boolean, OUT row_count bigint, OUT body text, OUT failure text[], OUT seconds double precision, OUT wakeups text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.known_functions() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.known_functions() TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.last_sample(queue_name text, present timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.limited_roles() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_dead_letters(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_definer_access(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_definer_role() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_excess_privileges(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_groups(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_half_privileges(access pgmq_gateway.queue_access[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_notify_privileges(access pgmq_gateway.queue_access[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_orphans() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_owners(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_policies(access pgmq_gateway.queue_access[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_relations(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_rls(access pgmq_gateway.queue_access[], only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_service_members() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_service_policies(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_sharing(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_tables(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_time_limits() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_triggers(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lint_wake(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lock_groups_of_matching(source text, target text, filter jsonb, present timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.lock_groups_of_matching(source text, target text, filter jsonb, present timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.lock_privileges() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.lost_privileges() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.maintain(budget_ms integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.maintain(budget_ms integer) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.maintain_queue(task text, queue_table text, until timestamp with time zone, OUT changed bigint, OUT is_behind boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.maintenance_tasks() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.mark_full(settings pgmq_settings.queues) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.may_execute(role text, fusion json) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.may_execute(role text, fusion json) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.member_expression(value text, name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.message_table(queue_name text, prefix text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.message_table(queue_name text, prefix text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_definer_access(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_group_code() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_helper_privileges() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_helpers(role oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_policies(role name, only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_privileges(queue_table regclass, archive_table regclass, role oid, operation text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_replica_identities() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_service_policies(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_setting_keys() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_throttle_privileges(queue_table regclass, role oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.missing_viewer_privileges() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.open_group_policies(queue_table regclass) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.operation_columns() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.operation_functions(operation text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.operation_policies() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.operation_privileges() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.orphans(only_names text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.outline(source text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.outline(source text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.page_key(sort text, place jsonb, OUT number bigint, OUT instant timestamp with time zone, OUT id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.page_key(sort text, place jsonb, OUT number bigint, OUT instant timestamp with time zone, OUT id bigint) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.partman_config() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.partman_schema() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.plain_call(role text, prepare text, statement text, given json, OUT row_count bigint, OUT body text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.plain_call(role text, prepare text, statement text, given json, OUT row_count bigint, OUT body text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.policies_apply(on_table regclass, role oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.policy_judgement(queue_name text, OUT queue_table oid, OUT obstacles text[], OUT relations oid[], OUT functions text[], OUT fingerprint text, OUT reads_requests boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.policy_judgement(queue_name text, OUT queue_table oid, OUT obstacles text[], OUT relations oid[], OUT functions text[], OUT fingerprint text, OUT reads_requests boolean) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.postpone_task(task text, queue_table text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.probe_policy(queue_table regclass, since timestamp with time zone, overlap double precision, known bigint[], known_at timestamp with time zone[], max_ids integer, role text, schemas text, settings text[], claims text[], timezones text[], requests text[], established integer, prepare text, relations oid[], functions text[], fingerprint text, OUT seeing integer[], OUT fresh integer, OUT ids bigint[], OUT times timestamp with time zone[], OUT until timestamp with time zone, OUT complete boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.probe_policy(queue_table regclass, since timestamp with time zone, overlap double precision, known bigint[], known_at timestamp with time zone[], max_ids integer, role text, schemas text, settings text[], claims text[], timezones text[], requests text[], established integer, prepare text, relations oid[], functions text[], fingerprint text, OUT seeing integer[], OUT fresh integer, OUT ids bigint[], OUT times timestamp with time zone[], OUT until timestamp with time zone, OUT complete boolean) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.probe_queues(queues text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.probe_queues(queues text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.public_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.queue_access(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.queue_ages(queue_table regclass, indexed name[], OUT oldest timestamp with time zone, OUT newest timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.queue_metrics(max_queues integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.queue_metrics(max_queues integer) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.queue_storage() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.queue_tables(queue_name text, OUT queue_table regclass, OUT archive_table regclass) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.reads_other_settings(code text, prefixes text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.reads_other_settings(code text, prefixes text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.receiving_statement(command text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.receiving_statement(command text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.record_default_privileges() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.referred(class oid, object oid, written boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.referred(class oid, object oid, written boolean) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.remove_expired(what text, until timestamp with time zone, OUT changed bigint, OUT is_behind boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.remove_expired_keys(max_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.remove_expired_keys(max_rows integer) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.remove_orphaned_settings() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.request_fingerprint(statement text, arguments text, parameters text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.request_fingerprint(statement text, arguments text, parameters text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.request_roles() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.request_roles() TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_gateway.run_task(task text, queue_table text, until timestamp with time zone, OUT changed bigint, OUT is_behind boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.sample_messages(queue_table regclass, present timestamp with time zone, percent real, OUT messages bigint, OUT visible_share double precision, OUT delayed_share double precision, OUT parked_share double precision) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.sample_validity(at timestamp with time zone, spacing real) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.save_progress(former pgmq_settings.progress, present pgmq_settings.progress) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.selected_queues(only_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.service_role_needs_policies() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.skip_used_ids(queue_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.source_faults(source text, pinned boolean, OUT faults text[], OUT names text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.source_faults(source text, pinned boolean, OUT faults text[], OUT names text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.source_table(queue_name text, filter jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.source_table(queue_name text, filter jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.store_answers(key_ids bytea[], fingerprints bytea[], keep_seconds double precision, unstored text, totals bigint[], row_counts bigint[], response_statuses text[], response_headers text[], bodies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.store_answers(key_ids bytea[], fingerprints bytea[], keep_seconds double precision, unstored text, totals bigint[], row_counts bigint[], response_statuses text[], response_headers text[], bodies text[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.table_faults(relation oid, written boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.table_faults(relation oid, written boolean) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.table_functions(tables oid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.table_functions(tables oid[]) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_gateway.table_obstacles(tables oid[], writing boolean, OUT obstacles text[], OUT relations oid[], OUT functions text[], OUT fusible boolean, OUT reads_requests boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.table_obstacles(tables oid[], writing boolean, OUT obstacles text[], OUT relations oid[], OUT functions text[], OUT fusible boolean, OUT reads_requests boolean) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.table_operations(queue_name text, role name) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.take_sample(spacing double precision, keep_days double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.take_sample(spacing double precision, keep_days double precision) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.template_condition(template text, queue_table regclass, command "char", claim text, member text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.template_policy_name(template text, role name, command text, claim text, member text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.throttle_row_exists(queue_table regclass) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.transfer_part(action text, source text, target text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.transfer_part(action text, source text, target text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.tree_faults(tree text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.tree_faults(tree text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.try_operation(INOUT operation text, queue_name text, role name, claims jsonb, message jsonb, msg_id bigint, OUT allowed boolean, OUT code text, OUT error text, OUT rows bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.try_operation(INOUT operation text, queue_name text, role name, claims jsonb, message jsonb, msg_id bigint, OUT allowed boolean, OUT code text, OUT error text, OUT rows bigint) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.usable_indexes(queue_table regclass, dead_tuples bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.viewer_functions() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_gateway.visible_from(seconds integer, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.visible_from(seconds integer, at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.wake_triggers(tables oid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.wake_triggers(tables oid[]) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.with_ids(msg_ids bigint[], state text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.with_ids(msg_ids bigint[], state text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_gateway.writes_archive(function_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.writes_archive(function_name text) TO authenticator;

REVOKE ALL ON FUNCTION pgmq_gateway.written_tables(queue_name text, function_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_gateway.written_tables(queue_name text, function_name text) TO authenticator;

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

REVOKE ALL ON FUNCTION pgmq_settings.ack_all(queue_name text, receipts text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.ack_all(queue_name text, receipts text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.ack_all(queue_name text, receipts text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.ack_all(queue_name text, receipts text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.ack_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.ack_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.ack_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.ack_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.arrange_groups(queue_table text, group_limit integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.backoff(settings pgmq_settings.queues, read_ct integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.backoff(settings pgmq_settings.queues, read_ct integer) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.backoff(settings pgmq_settings.queues, read_ct integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.backoff(settings pgmq_settings.queues, read_ct integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.burial_slot(queue_table text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.burial_slot(queue_table text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.burial_statement(queue_table text, target text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.burial_statement(queue_table text, target text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.burial_table(queue_table text, dead_letter_queue text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.burial_table(queue_table text, dead_letter_queue text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.buried_condition(row_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.buried_condition(row_name text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.bury(queue_table text, ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.bury(queue_table text, ids bigint[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.bury(queue_table text, ids bigint[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.bury(queue_table text, ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.bury_each(burial text, ids bigint[], queue_table text, settings pgmq_settings.queues) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.bury_each(burial text, ids bigint[], queue_table text, settings pgmq_settings.queues) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.bury_unread(queue_table text, first_page bigint, until timestamp with time zone, OUT dead bigint, OUT buried bigint, OUT next_page bigint, OUT at_end boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.calls_together(function_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.calls_together(function_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.calls_together(function_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.calls_together(function_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.change_seconds(queue_table text, settings pgmq_settings.queues, deliveries pgmq_settings.delivery[], operations text[], seconds integer[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.change_seconds(queue_table text, settings pgmq_settings.queues, deliveries pgmq_settings.delivery[], operations text[], seconds integer[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.change_seconds(queue_table text, settings pgmq_settings.queues, deliveries pgmq_settings.delivery[], operations text[], seconds integer[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.change_seconds(queue_table text, settings pgmq_settings.queues, deliveries pgmq_settings.delivery[], operations text[], seconds integer[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.changes_statement(queue_table text, noting boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.changes_statement(queue_table text, noting boolean) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.changes_statement(queue_table text, noting boolean) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.changes_statement(queue_table text, noting boolean) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_accessible(relation regclass) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_accessible(relation regclass) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.check_batch(messages integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_batch(messages integer) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_batch(messages integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_batch(messages integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_burial(queue_table text, target text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_burial(queue_table text, target text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.check_dead_letter_queue(queue_name text, dead_letter_queue text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.check_deduplication() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_deduplication() TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.check_delay(settings pgmq_settings.queues, seconds integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_delay(settings pgmq_settings.queues, seconds integer) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_delay(settings pgmq_settings.queues, seconds integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_delay(settings pgmq_settings.queues, seconds integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_entries(entries jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_entries(entries jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_entries(entries jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_entries(entries jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_filter(filter jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_filter(filter jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_filter(filter jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_filter(filter jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_filter_value(member text, value jsonb, hint text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_filter_value(member text, value jsonb, hint text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_filter_value(member text, value jsonb, hint text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_filter_value(member text, value jsonb, hint text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_grouped(name text, vt timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_grouped(name text, vt timestamp with time zone) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.check_groups(queue_table text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.check_id(name text, id text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_id(name text, id text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_id(name text, id text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_id(name text, id text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_isolation() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_isolation() TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_isolation() TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_isolation() TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.check_isolation() TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.check_members(settings jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.check_not_full(queue_name text, is_full boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_not_full(queue_name text, is_full boolean) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_not_full(queue_name text, is_full boolean) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_not_full(queue_name text, is_full boolean) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_own_code(tables regclass[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_own_code(tables regclass[]) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.check_queue_names(queue_names text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_queue_names(queue_names text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_queue_names(queue_names text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_queue_names(queue_names text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_reason(reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_reason(reason text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_reason(reason text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_reason(reason text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_redrive(max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_redrive(max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_redrive(max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_redrive(max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_seconds(name text, seconds integer, maximum integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_seconds(name text, seconds integer, maximum integer) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_seconds(name text, seconds integer, maximum integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_seconds(name text, seconds integer, maximum integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_sees_all(tables regclass[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_sees_all(tables regclass[]) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.check_settled(receipts text[], outcomes text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_settled(receipts text[], outcomes text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_settled(receipts text[], outcomes text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_settled(receipts text[], outcomes text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_settlement(operation text, entry jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_settlement(operation text, entry jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_settlement(operation text, entry jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_settlement(operation text, entry jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.check_stored(given integer, stored integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.check_stored(given integer, stored integer) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.check_stored(given integer, stored integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.check_stored(given integer, stored integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.claim_ids(queue_table text, caller bytea, ids text[], seconds integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.claim_ids(queue_table text, caller bytea, ids text[], seconds integer) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.claim_ids(queue_table text, caller bytea, ids text[], seconds integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.claim_ids(queue_table text, caller bytea, ids text[], seconds integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.content_id(message jsonb, headers jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.content_id(message jsonb, headers jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.content_id(message jsonb, headers jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.content_id(message jsonb, headers jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.create_group_functions(queue_table text, group_limit integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.create_group_index(queue_table text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.create_group_triggers(queue_table text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.dead_behind(queue_table text, ids bigint[], settings pgmq_settings.queues) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.dead_behind(queue_table text, ids bigint[], settings pgmq_settings.queues) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.dead_condition(row_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.dead_condition(row_name text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.dead_condition(row_name text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.dead_condition(row_name text) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.dead_condition(row_name text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.dead_headers(headers jsonb, queue_name text, msg_id bigint, receives integer, enqueued_at timestamp with time zone, buried_at timestamp with time zone, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.dead_headers(headers jsonb, queue_name text, msg_id bigint, receives integer, enqueued_at timestamp with time zone, buried_at timestamp with time zone, reason text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.dead_statement(queue_table text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.dead_statement(queue_table text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.dead_statement(queue_table text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.dead_statement(queue_table text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.deduplication_caller() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.deduplication_caller() TO anon;
GRANT ALL ON FUNCTION pgmq_settings.deduplication_caller() TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.deduplication_caller() TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.default_seconds(settings pgmq_settings.queues, operation text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.default_seconds(settings pgmq_settings.queues, operation text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.default_seconds(settings pgmq_settings.queues, operation text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.default_seconds(settings pgmq_settings.queues, operation text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.deliveries(receipts text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.deliveries(receipts text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.deliveries(receipts text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.deliveries(receipts text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.delivery(receipt text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.delivery(receipt text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.delivery(receipt text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.delivery(receipt text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.drop_group_functions(queue_table text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.drop_group_triggers(queue_table text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.entry_members() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.entry_members() TO anon;
GRANT ALL ON FUNCTION pgmq_settings.entry_members() TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.entry_members() TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.expiry_text(at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.expiry_text(at timestamp with time zone) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.expiry_text(at timestamp with time zone) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.expiry_text(at timestamp with time zone) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.expiry_text(at timestamp with time zone) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.filter_condition(filter jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.filter_condition(filter jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.filter_condition(filter jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.filter_condition(filter jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.filter_members() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.filter_members() TO anon;
GRANT ALL ON FUNCTION pgmq_settings.filter_members() TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.filter_members() TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.find_dead(queue_table text, settings pgmq_settings.queues, first_page bigint, end_page bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.find_dead(queue_table text, settings pgmq_settings.queues, first_page bigint, end_page bigint) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.front_statement(queue_table text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.front_statement(queue_table text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.front_statement(queue_table text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.front_statement(queue_table text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.group_condition(name text, parked boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.group_condition(name text, parked boolean) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.group_condition(name text, parked boolean) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.group_expression(row_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.group_expression(row_name text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.group_expression(row_name text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.group_expression(row_name text) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.group_expression(row_name text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.group_functions(queue_table text, group_limit integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.group_index(queue_table text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.group_occupied(queue_table text, group_limit integer, name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.group_occupied(queue_table text, group_limit integer, name text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.group_row_security() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.group_triggers(queue_table text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.group_waiting(queue_table text, name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.group_waiting(queue_table text, name text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.groups_of(queue_table text, ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.groups_of(queue_table text, ids bigint[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.groups_of(queue_table text, ids bigint[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.groups_of(queue_table text, ids bigint[]) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.groups_of(queue_table text, ids bigint[]) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.has_group_index(queue_table text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.has_last_read_at(table_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.has_last_read_at(table_name text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.has_last_read_at(table_name text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.has_last_read_at(table_name text) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.has_last_read_at(table_name text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.headers_object(headers jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.headers_object(headers jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.headers_object(headers jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.headers_object(headers jsonb) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.headers_object(headers jsonb) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.is_about_archive(filter jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.is_about_archive(filter jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.is_about_archive(filter jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.is_about_archive(filter jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.is_predicate(path jsonpath) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.is_predicate(path jsonpath) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.is_predicate(path jsonpath) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.is_predicate(path jsonpath) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.is_transient(code text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.is_transient(code text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.is_transient(code text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.is_transient(code text) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.is_transient(code text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.keep_parked() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.letters(source text, target text, max_messages integer, present timestamp with time zone, filter jsonb, OUT ids bigint[], OUT targets text[], OUT skipped integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.letters(source text, target text, max_messages integer, present timestamp with time zone, filter jsonb, OUT ids bigint[], OUT targets text[], OUT skipped integer) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.letters(source text, target text, max_messages integer, present timestamp with time zone, filter jsonb, OUT ids bigint[], OUT targets text[], OUT skipped integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.letters(source text, target text, max_messages integer, present timestamp with time zone, filter jsonb, OUT ids bigint[], OUT targets text[], OUT skipped integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.limit_groups(queue_table text, group_limit integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.limit_message_bytes(queue_table text, bytes integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.living_condition() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.living_condition() TO anon;
GRANT ALL ON FUNCTION pgmq_settings.living_condition() TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.living_condition() TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.lock_groups(queue_table text, groups text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups(queue_table text, groups text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups(queue_table text, groups text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups(queue_table text, groups text[]) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups(queue_table text, groups text[]) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.lock_groups_in(tables text[], groups text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups_in(tables text[], groups text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups_in(tables text[], groups text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups_in(tables text[], groups text[]) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups_in(tables text[], groups text[]) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.lock_groups_of(queue_table text, ids bigint[], tables text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups_of(queue_table text, ids bigint[], tables text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups_of(queue_table text, ids bigint[], tables text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups_of(queue_table text, ids bigint[], tables text[]) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups_of(queue_table text, ids bigint[], tables text[]) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.lock_groups_of_settlements(queue_table text, lists pgmq_settings.settlement[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups_of_settlements(queue_table text, lists pgmq_settings.settlement[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups_of_settlements(queue_table text, lists pgmq_settings.settlement[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.lock_groups_of_settlements(queue_table text, lists pgmq_settings.settlement[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.member_range(type text, smallest numeric, largest numeric, choices text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.members() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.members() TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.message_columns(queue_table text, receipt text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.message_columns(queue_table text, receipt text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.message_columns(queue_table text, receipt text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.message_columns(queue_table text, receipt text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.message_states(present text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.message_states(present text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.message_states(present text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.message_states(present text) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.message_states(present text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.move_accepted(source text, ids bigint[], targets text[], per_second double precision, present timestamp with time zone, start_at timestamp with time zone, OUT moved integer, OUT last_visible_at timestamp with time zone, OUT refused jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.move_accepted(source text, ids bigint[], targets text[], per_second double precision, present timestamp with time zone, start_at timestamp with time zone, OUT moved integer, OUT last_visible_at timestamp with time zone, OUT refused jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.move_accepted(source text, ids bigint[], targets text[], per_second double precision, present timestamp with time zone, start_at timestamp with time zone, OUT moved integer, OUT last_visible_at timestamp with time zone, OUT refused jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.move_accepted(source text, ids bigint[], targets text[], per_second double precision, present timestamp with time zone, start_at timestamp with time zone, OUT moved integer, OUT last_visible_at timestamp with time zone, OUT refused jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.move_letters(source text, ids bigint[], targets text[], per_second double precision, present timestamp with time zone, start_at timestamp with time zone, OUT moved integer, OUT last_visible_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.move_letters(source text, ids bigint[], targets text[], per_second double precision, present timestamp with time zone, start_at timestamp with time zone, OUT moved integer, OUT last_visible_at timestamp with time zone) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.move_letters(source text, ids bigint[], targets text[], per_second double precision, present timestamp with time zone, start_at timestamp with time zone, OUT moved integer, OUT last_visible_at timestamp with time zone) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.move_letters(source text, ids bigint[], targets text[], per_second double precision, present timestamp with time zone, start_at timestamp with time zone, OUT moved integer, OUT last_visible_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.notify_queue(queue_table text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.notify_queue(queue_table text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.notify_wake() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.origin_expression() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.origin_expression() TO anon;
GRANT ALL ON FUNCTION pgmq_settings.origin_expression() TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.origin_expression() TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.outcomes(word text, deliveries pgmq_settings.delivery[], settled pgmq_settings.delivery[], stale pgmq_settings.delivery[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.outcomes(word text, deliveries pgmq_settings.delivery[], settled pgmq_settings.delivery[], stale pgmq_settings.delivery[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.outcomes(word text, deliveries pgmq_settings.delivery[], settled pgmq_settings.delivery[], stale pgmq_settings.delivery[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.outcomes(word text, deliveries pgmq_settings.delivery[], settled pgmq_settings.delivery[], stale pgmq_settings.delivery[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.page_count(relation regclass) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.page_count(relation regclass) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.pop_statement(queue_table text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.pop_statement(queue_table text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.pop_statement(queue_table text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.pop_statement(queue_table text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.postponing_statement(queue_table text, code text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.postponing_statement(queue_table text, code text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.promotion(queue_table text, group_limit integer, groups text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.promotion(queue_table text, group_limit integer, groups text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.promotion_time() FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.promotion_time() TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.read_count(n integer) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.read_count(n integer) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.read_count(n integer) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.read_count(n integer) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.read_entries(entries jsonb, OUT times timestamp with time zone[], OUT messages jsonb[], OUT headers jsonb[], OUT ids text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.read_entries(entries jsonb, OUT times timestamp with time zone[], OUT messages jsonb[], OUT headers jsonb[], OUT ids text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.read_entries(entries jsonb, OUT times timestamp with time zone[], OUT messages jsonb[], OUT headers jsonb[], OUT ids text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.read_entries(entries jsonb, OUT times timestamp with time zone[], OUT messages jsonb[], OUT headers jsonb[], OUT ids text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.read_statement(queue_table text, conditional boolean, living boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.read_statement(queue_table text, conditional boolean, living boolean) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.read_statement(queue_table text, conditional boolean, living boolean) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.read_statement(queue_table text, conditional boolean, living boolean) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.receipt_expression(row_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.receipt_expression(row_name text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.receipt_expression(row_name text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.receipt_expression(row_name text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.receive_together(queue_name text, popping boolean, given json[], OUT row_counts bigint[], OUT bodies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.receive_together(queue_name text, popping boolean, given json[], OUT row_counts bigint[], OUT bodies text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.receive_together(queue_name text, popping boolean, given json[], OUT row_counts bigint[], OUT bodies text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.receive_together(queue_name text, popping boolean, given json[], OUT row_counts bigint[], OUT bodies text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.record_action(queue_name text, operation text, count bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.record_action(queue_name text, operation text, count bigint) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.record_ids(queue_table text, caller bytea, ids text[], msg_ids bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.record_ids(queue_table text, caller bytea, ids text[], msg_ids bigint[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.record_ids(queue_table text, caller bytea, ids text[], msg_ids bigint[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.record_ids(queue_table text, caller bytea, ids text[], msg_ids bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.redrive(queue_name text, to_queue text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.redrive_statement(source text, targets text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.redrive_statement(source text, targets text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.redrive_statement(source text, targets text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.redrive_statement(source text, targets text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.refuse_group_change() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.refuse_message_bytes() FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.removal(queue_table text, archiving boolean, condition text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.removal(queue_table text, archiving boolean, condition text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.removal(queue_table text, archiving boolean, condition text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.removal(queue_table text, archiving boolean, condition text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.remove_batch(queue_table text, ids bigint[], archiving boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.remove_batch(queue_table text, ids bigint[], archiving boolean) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.remove_batch(queue_table text, ids bigint[], archiving boolean) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.remove_batch(queue_table text, ids bigint[], archiving boolean) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.replay(queue_name text, max_messages integer, per_second double precision, filter jsonb, start_at timestamp with time zone) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.report_sent(queue_table text, settings pgmq_settings.queues, times timestamp with time zone[], headers jsonb[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.report_sent(queue_table text, settings pgmq_settings.queues, times timestamp with time zone[], headers jsonb[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.report_sent(queue_table text, settings pgmq_settings.queues, times timestamp with time zone[], headers jsonb[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.report_sent(queue_table text, settings pgmq_settings.queues, times timestamp with time zone[], headers jsonb[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.report_times(queue_table text, times timestamp with time zone[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.report_times(queue_table text, times timestamp with time zone[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.report_times(queue_table text, times timestamp with time zone[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.report_times(queue_table text, times timestamp with time zone[]) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.report_times(queue_table text, times timestamp with time zone[]) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.report_visible(queue_table text, messages bigint, visible_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.report_visible(queue_table text, messages bigint, visible_at timestamp with time zone) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.report_visible(queue_table text, messages bigint, visible_at timestamp with time zone) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.report_visible(queue_table text, messages bigint, visible_at timestamp with time zone) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.report_visible(queue_table text, messages bigint, visible_at timestamp with time zone) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.retried_condition(row_name text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.retried_condition(row_name text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.run_burial(statement text, ids bigint[], queue_table text, settings pgmq_settings.queues) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.run_burial(statement text, ids bigint[], queue_table text, settings pgmq_settings.queues) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.send_once(queue_table text, settings pgmq_settings.queues, times timestamp with time zone[], messages jsonb[], headers jsonb[], ids text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.send_once(queue_table text, settings pgmq_settings.queues, times timestamp with time zone[], messages jsonb[], headers jsonb[], ids text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.send_once(queue_table text, settings pgmq_settings.queues, times timestamp with time zone[], messages jsonb[], headers jsonb[], ids text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.send_once(queue_table text, settings pgmq_settings.queues, times timestamp with time zone[], messages jsonb[], headers jsonb[], ids text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.send_one(queue_table text, settings pgmq_settings.queues, vt timestamp with time zone, message jsonb, headers jsonb, id text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.send_one(queue_table text, settings pgmq_settings.queues, vt timestamp with time zone, message jsonb, headers jsonb, id text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.send_one(queue_table text, settings pgmq_settings.queues, vt timestamp with time zone, message jsonb, headers jsonb, id text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.send_one(queue_table text, settings pgmq_settings.queues, vt timestamp with time zone, message jsonb, headers jsonb, id text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.send_statement(queue_table text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.send_statement(queue_table text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.send_statement(queue_table text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.send_statement(queue_table text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.send_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.send_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.send_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.send_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.sent_headers(headers jsonb, expires_at timestamp with time zone, visible_at timestamp with time zone, group_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.sent_headers(headers jsonb, expires_at timestamp with time zone, visible_at timestamp with time zone, group_id text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.sent_headers(headers jsonb, expires_at timestamp with time zone, visible_at timestamp with time zone, group_id text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.sent_headers(headers jsonb, expires_at timestamp with time zone, visible_at timestamp with time zone, group_id text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.set_wake(queue_table text, wake boolean, throttle_ms integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.settle(queue_table text, operation text, receipt text, seconds integer, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.settle(queue_table text, operation text, receipt text, seconds integer, reason text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.settle(queue_table text, operation text, receipt text, seconds integer, reason text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.settle(queue_table text, operation text, receipt text, seconds integer, reason text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.settle_changes(queue_table text, operations text[], receipts text[], seconds integer[], reasons text[], OUT outcomes text[], OUT dead bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.settle_changes(queue_table text, operations text[], receipts text[], seconds integer[], reasons text[], OUT outcomes text[], OUT dead bigint[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.settle_changes(queue_table text, operations text[], receipts text[], seconds integer[], reasons text[], OUT outcomes text[], OUT dead bigint[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.settle_changes(queue_table text, operations text[], receipts text[], seconds integer[], reasons text[], OUT outcomes text[], OUT dead bigint[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.settle_list(queue_table text, operation text, receipts text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.settle_list(queue_table text, operation text, receipts text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.settle_list(queue_table text, operation text, receipts text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.settle_list(queue_table text, operation text, receipts text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.settle_list_statement(queue_table text, operation text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.settle_list_statement(queue_table text, operation text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.settle_list_statement(queue_table text, operation text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.settle_list_statement(queue_table text, operation text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.settle_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.settle_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.settle_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.settle_together(queue_name text, given json[], OUT row_counts bigint[], OUT bodies text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.settled(operation text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.settled(operation text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.settled(operation text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.settled(operation text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.settlement(operation text, entries jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.settlement(operation text, entries jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.settlement(operation text, entries jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.settlement(operation text, entries jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.settlements(acks text[], archives text[], retries jsonb, rejects jsonb, extensions jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.settlements(acks text[], archives text[], retries jsonb, rejects jsonb, extensions jsonb) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.settlements(acks text[], archives text[], retries jsonb, rejects jsonb, extensions jsonb) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.settlements(acks text[], archives text[], retries jsonb, rejects jsonb, extensions jsonb) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.shared_receive_statement(queue_table text, popping boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.shared_receive_statement(queue_table text, popping boolean) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.shared_receive_statement(queue_table text, popping boolean) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.shared_receive_statement(queue_table text, popping boolean) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.shares_of(given json[], default_lease integer, OUT firsts bigint[], OUT leases integer[], OUT total bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.shares_of(given json[], default_lease integer, OUT firsts bigint[], OUT leases integer[], OUT total bigint) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.shares_of(given json[], default_lease integer, OUT firsts bigint[], OUT leases integer[], OUT total bigint) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.shares_of(given json[], default_lease integer, OUT firsts bigint[], OUT leases integer[], OUT total bigint) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.stale(queue_table text, deliveries pgmq_settings.delivery[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.stale(queue_table text, deliveries pgmq_settings.delivery[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.stale(queue_table text, deliveries pgmq_settings.delivery[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.stale(queue_table text, deliveries pgmq_settings.delivery[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.state_condition(state text, present text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.state_condition(state text, present text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.state_condition(state text, present text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.state_condition(state text, present text) TO service_role;
GRANT ALL ON FUNCTION pgmq_settings.state_condition(state text, present text) TO pgmq_definer;

REVOKE ALL ON FUNCTION pgmq_settings.state_counts(present text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.state_counts(present text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.state_counts(present text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.state_counts(present text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.state_expression(present text) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.state_expression(present text) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.state_expression(present text) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.state_expression(present text) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.sweep_groups(queue_table text, group_limit integer, after text, until timestamp with time zone, OUT promoted integer, OUT next_group text) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.trim_archive(queue_table text, keep_seconds bigint, first_page bigint, until timestamp with time zone, OUT deleted bigint, OUT next_page bigint, OUT at_end boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION pgmq_settings.unsettled(queue_name text, receipts text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.unsettled(queue_name text, receipts text[]) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.unsettled(queue_name text, receipts text[]) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.unsettled(queue_name text, receipts text[]) TO service_role;

REVOKE ALL ON FUNCTION pgmq_settings.visible_at(sleep_seconds integer, send_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION pgmq_settings.visible_at(sleep_seconds integer, send_at timestamp with time zone) TO anon;
GRANT ALL ON FUNCTION pgmq_settings.visible_at(sleep_seconds integer, send_at timestamp with time zone) TO authenticated;
GRANT ALL ON FUNCTION pgmq_settings.visible_at(sleep_seconds integer, send_at timestamp with time zone) TO service_role;

GRANT INSERT ON TABLE pgmq_gateway.actions TO pgmq_definer;

GRANT SELECT ON TABLE pgmq_gateway.message_tables TO pgmq_definer;

GRANT SELECT ON TABLE pgmq_gateway.migrations TO authenticator;

GRANT SELECT ON TABLE pgmq_gateway.sharing_settings TO authenticator;

GRANT SELECT ON TABLE pgmq_gateway.shipped TO authenticator;

GRANT SELECT,INSERT,UPDATE ON TABLE pgmq_settings.burials TO pgmq_definer;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE pgmq_settings.deduplication_ids TO pgmq_definer;

GRANT SELECT ON TABLE pgmq_settings.settings TO anon;
GRANT SELECT ON TABLE pgmq_settings.settings TO authenticated;
GRANT SELECT ON TABLE pgmq_settings.settings TO service_role;
GRANT SELECT ON TABLE pgmq_settings.settings TO pgmq_definer;

GRANT SELECT,INSERT,UPDATE ON TABLE pgmq_settings.wake_throttles TO pgmq_definer;
