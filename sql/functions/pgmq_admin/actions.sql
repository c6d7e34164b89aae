-- The log of actions.
--
-- SECURITY DEFINER: the log is granted to no role of requests, so that none can change it.

create or replace function pgmq_admin.list_actions(
    queue_name text default null, before bigint default null, max_rows integer default 100
)
returns setof pgmq_admin.action
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $list$
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
$list$;
comment on function pgmq_admin.list_actions is
    'What was changed with the functions of pgmq_admin in the last 90 days, the latest first, of one queue or all: when, '
    'by which role and key, the function, and the number of messages. before: the id of the last row that you have.';
revoke all on function pgmq_admin.list_actions from public;
grant execute on function pgmq_admin.list_actions to service_role;
