-- Logs an action of pgmq_admin, in the transaction of the action: what is rolled back is not logged.
--
-- Why SECURITY DEFINER, of pgmq_definer: functions of pgmq_admin that run as service_role call it, and no role of requests
-- may write the log. service_role has EXECUTE, so SQL that runs as service_role can call it too, which no call over HTTP
-- does. What it can forge is bounded: it is no entry of another role, because the session decides who acts, no other
-- text than the name of an operation, all of which service_role may do anyway, and no entry can be changed or removed. The
-- key's name comes from settings of the transaction, which the gateway sets and SQL can change: a role that runs SQL of
-- its own can pretend another key, but not another role.
--
-- An insert waits for no other one, so actions do not wait for each other.
create or replace function pgmq_settings.record_action(queue_name text, operation text, count bigint default null)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
as $record$
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
$record$;
revoke all on function pgmq_settings.record_action from public;
grant execute on function pgmq_settings.record_action to service_role;
alter function pgmq_settings.record_action owner to pgmq_definer;
