-- The four roles of a Supabase database, and the schema that the gateway keeps for itself.
--
-- Why: every request runs in the role of its caller; the gateway logs in as authenticator, which has no rights of its
-- own (NOINHERIT) and may only become one of the other three.
-- Safe to repeat: a role that exists is left as it is, whoever made it.

do $roles$
declare
    wanted record;
begin
    for wanted in
        select * from (values
            ('anon', 'nologin noinherit'),
            ('authenticated', 'nologin noinherit'),
            ('service_role', 'nologin noinherit bypassrls'),
            ('authenticator', 'login noinherit')
        ) as roles (name, attributes)
    loop
        if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
            begin
                execute format('create role %I %s', wanted.name, wanted.attributes);
            exception
                -- Roles belong to the whole server: another database's installer may have been faster.
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then
                    raise exception 'role % is missing and % may not create it', wanted.name, current_user
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
            end;
        end if;
    end loop;
end;
$roles$;

create schema if not exists pgmq_gateway;
comment on schema pgmq_gateway is 'Internal to pgmq-gateway: never exposed over HTTP.';
revoke all on schema pgmq_gateway from public;
grant usage on schema pgmq_gateway to authenticator;

-- The gateway compares what is installed with what it brings, as the login role.
grant select on pgmq_gateway.migrations to authenticator;
