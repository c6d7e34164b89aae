-- The four roles of a Supabase database.
--
-- Why: every request runs as the role of its caller; the gateway logs in as authenticator, which has no privileges of
-- its own (NOINHERIT) and can only switch to one of the other three.
-- The two roles that strangers get have Supabase's time limits, so that a few slow calls cannot occupy all connections.
-- service_role has BYPASSRLS where the installer can give it; else each queue gets a policy for it (service_policies.sql).
-- Safe to repeat: a role that exists is not changed, so it keeps its limit, or its lack of one.

do $roles$
declare
    wanted record;
begin
    for wanted in
        select * from (values
            ('anon', 'nologin noinherit', '3s'),
            ('authenticated', 'nologin noinherit', '8s'),
            ('service_role', 'nologin noinherit bypassrls', null),
            ('authenticator', 'login noinherit', null)
        ) as roles (name, attributes, time_limit)
    loop
        if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
            begin
                begin
                    execute format('create role %I %s', wanted.name, wanted.attributes);
                exception
                    when insufficient_privilege then
                        execute format('create role %I %s', wanted.name, replace(wanted.attributes, 'bypassrls', ''));
                end;
                if wanted.time_limit is not null then
                    execute format('alter role %I set statement_timeout = %L', wanted.name, wanted.time_limit);
                end if;
            exception
                -- Roles belong to the whole server: the installer of another database may have created it meanwhile.
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then
                    raise exception 'role % is missing, and role % has no permission to create it',
                        wanted.name, current_user
                        using errcode = 'insufficient_privilege',
                              hint = format('As a superuser run "create role %I %s", then install again.',
                                            wanted.name, wanted.attributes);
            end;
        end if;
    end loop;

    for wanted in select unnest(array['anon', 'authenticated', 'service_role']) as name loop
        if not pg_has_role('authenticator', wanted.name, 'member') then
            begin
                execute format('grant %I to authenticator', wanted.name);
            exception
                when unique_violation then null;
                when insufficient_privilege then
                    -- Since Postgres 16 CREATEROLE is not enough: a role's creator has ADMIN on it.
                    raise exception 'role % has no permission to grant role % to authenticator', current_user, wanted.name
                        using errcode = 'insufficient_privilege',
                              hint = format(
                                  'As a superuser run "grant %s to %I with admin option", then install again.',
                                  (
                                      select string_agg(r.rolname, ', ' order by r.rolname)
                                      from pg_catalog.pg_roles r
                                      where r.rolname in ('anon', 'authenticated', 'service_role')
                                        and not pg_has_role('authenticator', r.oid, 'member')
                                        and not pg_has_role(r.oid, 'member with admin option')
                                  ),
                                  current_user);
            end;
        end if;
    end loop;
end;
$roles$;

-- Time limits for statements and idle transactions of the role that the gateway logs in with.
--
-- Why: calls share few connections, and one that waits for a lock forever blocks a connection. A transaction whose
-- gateway has disappeared keeps its locks, and dead rows from being vacuumed.
-- Safe to repeat: a limit that is set, for the role, the database or the server, is not changed. Where the role cannot
-- be altered, as on some hosted databases, none is set.

do $login$
declare
    wanted record;
begin
    -- Roles belong to the whole server, where the installer of another database may do the same: that is an error once
    -- the other one has committed, so the next attempt finds its setting.
    for wanted in
        select * from (values
            -- Longer than any call on a queue should take, and than most calls that manage one.
            ('statement_timeout', '5min'),
            ('idle_in_transaction_session_timeout', '1min')
        ) as limits (name, value)
        cross join generate_series(1, 50) as attempt
        order by name, attempt
    loop
        if exists (
            select
            from pg_catalog.pg_db_role_setting s
            cross join lateral unnest(s.setconfig) as c (setting)
            where s.setrole in (0, 'authenticator'::regrole)
              and split_part(c.setting, '=', 1) = wanted.name
        ) or exists (
            select
            from pg_catalog.pg_settings p
            where p.name = wanted.name and p.source in ('configuration file', 'command line', 'environment variable')
        ) then
            continue;
        end if;
        begin
            execute format('alter role authenticator set %I = %L', wanted.name, wanted.value);
        exception
            when insufficient_privilege then
                raise notice 'role % has no permission to set % for role authenticator', current_user, wanted.name;
                exit;
            when internal_error then
                -- Postgres has no code of its own for this error.
                if sqlerrm not like 'tuple concurrently %' then
                    raise;
                end if;
            when unique_violation then null;
        end;
    end loop;
end;
$login$;
