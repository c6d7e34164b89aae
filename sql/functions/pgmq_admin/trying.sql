-- Shows what a caller can do with a queue, by trying it.
--
-- Why: privileges and policies can be read, but whether a condition on claims allows a message can only be tried.
-- SECURITY INVOKER: a definer function cannot change roles, and the session decides which ones it can switch to. So
-- these three try as exactly those callers that tokens can name. Everything is undone, to the last row and setting,
-- because it happens in a block that always ends with an error; only ids of the queue are used up.

create or replace function pgmq_admin.try_as(
    queue_name text, role name, claims jsonb default '{}', message jsonb default '{}'
)
returns table (operation text, allowed boolean, code text, error text, rows bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $try$
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
$try$;
comment on function pgmq_admin.try_as is
    'Tries each operation as a caller with this role and these claims, and undoes it. The given message is in the '
    'queue meanwhile. Not allowed, but no error: policies hide the message. Uses up ids of the queue.';
revoke all on function pgmq_admin.try_as from public;
grant execute on function pgmq_admin.try_as to service_role;

create or replace function pgmq_admin.messages_as(
    queue_name text, role name, claims jsonb default '{}', max_rows integer default 10
)
returns table (
    msg_id bigint, read_ct integer, enqueued_at timestamptz, last_read_at timestamptz, vt timestamptz, message jsonb,
    headers jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $messages$
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
$messages$;
comment on function pgmq_admin.messages_as is
    'The oldest messages that a caller with this role and these claims could read, those in flight too.';
revoke all on function pgmq_admin.messages_as from public;
grant execute on function pgmq_admin.messages_as to service_role;

create or replace function pgmq_admin.try_policy(
    queue_name text, policy_names text[], template text, role name, claim text default null, member text default null,
    operations text[] default null, claims jsonb default '{}', message jsonb default '{}'
)
returns table (operation text, allowed boolean, code text, error text, rows bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $try$
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
$try$;
comment on function pgmq_admin.try_policy is
    'Tries each operation as a caller with these claims, as if the policies had been replaced by change_policy(), and '
    'undoes it all. policy_names can be empty: then as if create_policy() had been called.';
revoke all on function pgmq_admin.try_policy from public;
grant execute on function pgmq_admin.try_policy to service_role;
