-- pgmq itself.
--
-- Why: the queues are pgmq's tables and functions. A database that has them, as an extension or from its SQL alone,
-- keeps them; else the extension is created where the server offers it; else pgmq's own SQL, which the installer hands
-- over in the setting pgmq_gateway.pgmq_sql, is run.
-- Safe to repeat: nothing happens once pgmq.meta exists.

do $pgmq$
begin
    if to_regclass('pgmq.meta') is not null then
        return;
    end if;
    if exists (select from pg_catalog.pg_available_extensions where name = 'pgmq') then
        create extension pgmq;
    else
        execute current_setting('pgmq_gateway.pgmq_sql');
        -- Only an extension says which version it is.
        execute format('comment on schema pgmq is %L', 'pgmq ' || current_setting('pgmq_gateway.pgmq_version'));
    end if;
end;
$pgmq$;
