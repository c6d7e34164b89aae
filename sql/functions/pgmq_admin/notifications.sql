create or replace function pgmq_admin.enable_notify(queue_name text, throttle_interval_ms integer default 250)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $enable$
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
$enable$;
comment on function pgmq_admin.enable_notify is
    'Turns on notifications of new messages, on the channel pgmq.q_<queue>.INSERT, at most one in '
    'throttle_interval_ms. Some can be lost: keep polling slowly. Sending becomes slower.';
revoke all on function pgmq_admin.enable_notify from public;
grant execute on function pgmq_admin.enable_notify to service_role;

create or replace function pgmq_admin.disable_notify(queue_name text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '3s'
as $disable$
begin
    perform pgmq_gateway.check_queue_exists(queue_name);
    if to_regprocedure('pgmq.disable_notify_insert(text)') is not null then
        perform pgmq_gateway.check_foreign_code(array[to_regclass('pgmq.notify_insert_throttle')]);
        perform pgmq.disable_notify_insert(queue_name);
    end if;
    perform pgmq_settings.record_action(queue_name, 'disable_notify');
end;
$disable$;
comment on function pgmq_admin.disable_notify is 'Turns off notifications of new messages; no error if they are off.';
revoke all on function pgmq_admin.disable_notify from public;
grant execute on function pgmq_admin.disable_notify to service_role;
