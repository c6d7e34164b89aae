-- True if a role can use pgmq_api for an operation. Its functions run as their caller.
create or replace function pgmq_gateway.can_use_api(role oid, operation text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $can$
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
$can$;
revoke all on function pgmq_gateway.can_use_api from public;

-- The functions of pgmq_api that an operation includes and a role may execute.
create or replace function pgmq_gateway.executable_api_functions(role oid, operation text)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $executable$
    select coalesce(array_agg(f.name order by f.place), '{}')
    from unnest(pgmq_gateway.api_functions(operation)) with ordinality as f (name, place)
    where pgmq_gateway.can_use_api(role, f.name);
$executable$;
revoke all on function pgmq_gateway.executable_api_functions from public;

-- Judges if the functions of pgmq_public lead a role to the tables.
--
-- blockers  why they do not, in words
-- seen      the role that accesses the tables: a SECURITY DEFINER function changes it
-- disguise  the last such function, or null
create or replace function pgmq_gateway.judge_public_functions(
    role oid, operation text, out blockers text[], out seen oid, out disguise regprocedure
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $judge$
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
$judge$;
revoke all on function pgmq_gateway.judge_public_functions from public;

-- The same for pgmq_public and pgmq_api: what one of them prevents, the other may allow.
create or replace function pgmq_gateway.judge_functions(
    role oid, operation text, out blockers text[], out seen oid, out disguise regprocedure
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $judge$
begin
    select j.* into blockers, seen, disguise from pgmq_gateway.judge_public_functions(role, operation) as j;
    if blockers <> '{}' and pgmq_gateway.can_use_api(role, operation) then
        blockers := '{}';
        seen := role;
        disguise := null;
    end if;
end;
$judge$;
revoke all on function pgmq_gateway.judge_functions from public;

-- What a role can do with a queue by one operation and why, where functions lead it to the tables as in
-- judge_functions().
create or replace function pgmq_gateway.judge_access(
    queue_table regclass, archive_table regclass, operation text, blockers text[], seen oid, disguise regprocedure,
    out verdict text, out reasons text[], out policies text[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $judge$
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
$judge$;
revoke all on function pgmq_gateway.judge_access from public;

-- What a role can do with a queue by one operation, and why. A wrapper in pgmq_public that is SECURITY DEFINER does not
-- take from it what it can do by pgmq_api.
create or replace function pgmq_gateway.judge(
    queue_name text, queue_table regclass, archive_table regclass, role oid, operation text,
    out verdict text, out reasons text[], out policies text[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $judge$
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
$judge$;
revoke all on function pgmq_gateway.judge from public;
