-- Limits for the role that the gateway logs in with: how long a statement may run, and how long a transaction may do
-- nothing.
--
-- Why: calls share few connections, and one that waits for a lock for ever keeps one of them from all others. A
-- transaction whose gateway is gone without a word keeps its locks, and vacuum from its work.
-- Safe to repeat: what anybody has set, for the role, the database or the server, is left as it is. Where a role may
-- not be altered, as on some hosted databases, the limits stay as they are.

do $login$
declare
    wanted record;
begin
    for wanted in
        select * from (values
            -- Longer than any call on a queue, and most of management, should ever take.
            ('statement_timeout', '5min'),
            ('idle_in_transaction_session_timeout', '1min')
        ) as limits (name, value)
    loop
        if not exists (
            select
            from pg_catalog.pg_db_role_setting s
            cross join lateral unnest(s.setconfig) as c (setting)
            where s.setrole in (0, 'authenticator'::regrole)
              and split_part(c.setting, '=', 1) = wanted.name
        ) and not exists (
            select from pg_catalog.pg_settings p where p.name = wanted.name and p.source = 'configuration file'
        ) then
            begin
                execute format('alter role authenticator set %I = %L', wanted.name, wanted.value);
            exception
                when insufficient_privilege then
                    raise notice 'left as it is for authenticator, which % may not alter: %', current_user, wanted.name;
                -- Roles belong to the whole server: another database's installer is at it too.
                when internal_error then
                    if sqlerrm not like 'tuple concurrently updated%' then
                        raise;
                    end if;
            end;
        end if;
    end loop;
end;
$login$;
