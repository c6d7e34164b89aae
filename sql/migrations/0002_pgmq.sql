-- pgmq itself.
--
-- Why: the queues are pgmq's tables and functions. A database that has pgmq, as an extension or from its SQL alone,
-- keeps it; else the extension is created if the server has it; else pgmq's own SQL is run, which the installer passes
-- in the setting pgmq_gateway.pgmq_sql.
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
        -- An extension records its version; pgmq's SQL alone does not.
        execute format('comment on schema pgmq is %L', 'pgmq ' || current_setting('pgmq_gateway.pgmq_version'));
    end if;
end;
$pgmq$;
