-- Why a role cannot get as far as the rows; null when it can. Also the role that the tables see: a SECURITY DEFINER
-- function on the way changes it.
create or replace function pgmq_gateway.judge_functions(
    role oid, operation text, out obstacles text[], out seen oid, out disguise regprocedure
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $judge$
declare
    routine record;
    changed boolean;
    advice constant text := 'pgmq_admin.grant_queue() gives it.';
begin
    obstacles := '{}';
    seen := role;
    if to_regnamespace('pgmq_public') is null then
        obstacles := array['The schema pgmq_public does not exist: pgmq-gateway install --replace creates it.'];
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
            obstacles := obstacles || format('%s does not exist: pgmq-gateway install creates it.', routine.signature);
            return;
        elsif not has_function_privilege(seen, routine.function, 'execute') then
            obstacles := obstacles || format('%s lacks EXECUTE of %s: %s', seen::regrole, routine.signature, advice);
        end if;
        changed := routine.prosecdef and routine.place < 100;
        if changed then
            seen := routine.proowner;
            disguise := routine.function;
        end if;
        if (routine.place = 0 or changed) and not has_schema_privilege(seen, 'pgmq', 'usage') then
            obstacles := obstacles || format('%s lacks USAGE of schema pgmq: %s', seen::regrole, advice);
        end if;
    end loop;
end;
$judge$;
revoke all on function pgmq_gateway.judge_functions from public;

-- The truth about one role and one operation.
create or replace function pgmq_gateway.judge(
    queue_name text, queue_table regclass, archive_table regclass, role oid, operation text,
    out verdict text, out reasons text[], out policies text[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $judge$
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
$judge$;
revoke all on function pgmq_gateway.judge from public;
