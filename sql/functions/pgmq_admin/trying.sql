-- Trying what a caller may do with a queue, by doing it.
--
-- Why: rights and policies can be read; whether a condition on claims lets a message through can only be tried.
--
-- SECURITY INVOKER: a definer function may not change roles, and the session decides which ones it may become. So these
-- two try as exactly those callers that tokens can name. What they do is undone to the last row and setting, because it
-- happens in a block that always ends with an error; only ids of the queue are used up. The statements are
-- fixed, and dynamic because one whose plan is kept would not ask for USAGE of the schema again.

create or replace function pgmq_admin.try_as(
    queue_name text, role name, claims jsonb default '{}', message jsonb default '{}'
)
returns table (operation text, allowed boolean, code text, error text, rows bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $try$
#variable_conflict use_column
declare
    tried record;
    done boolean;
    sample bigint;
    results jsonb := '[]';
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    perform pgmq_gateway.check_caller(role, claims);
    begin
        -- A sender that notifies holds a row that this insert may want too.
        perform set_config('lock_timeout', '1s', true);
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
$try$;
comment on function pgmq_admin.try_as is
    'Tries each operation as a caller with this role and these claims, and undoes it. A message like the given one is '
    'there for the try. Not allowed without an error: policies hide the message. Uses up ids of the queue.';
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
$messages$;
comment on function pgmq_admin.messages_as is
    'The oldest messages that read could answer to a caller with this role and these claims, in flight or not.';
revoke all on function pgmq_admin.messages_as from public;
grant execute on function pgmq_admin.messages_as to service_role;
