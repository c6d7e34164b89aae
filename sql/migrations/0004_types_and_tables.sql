-- The types that functions of pgmq_admin return, and the history of queues.
--
-- Safe to repeat: types and tables that exist are kept.

-- A message of a queue or its archive as one sees it from outside. preview: the first 200 characters of the message;
-- bytes: how long it is as text.
do $message$
begin
    if to_regtype('pgmq_admin.message') is null then
        create type pgmq_admin.message as (
            msg_id bigint, read_ct integer, enqueued_at timestamptz, last_read_at timestamptz, vt timestamptz,
            archived_at timestamptz, state text, bytes integer, preview text, message jsonb, headers jsonb
        );
    end if;
end;
$message$;

-- A type, because a function's parameter and a column of its table cannot share the name queue_name.
do $finding$
begin
    if to_regtype('pgmq_admin.finding') is null then
        create type pgmq_admin.finding as (queue_name text, rule text, level text, message text, hint text);
    end if;
end;
$finding$;

-- Samples of all queues over time.
--
-- spacing   seconds until the next sample was due
-- lasting   the first of its five minutes: kept longer than a day
-- sent, updated, deleted, archive_inserted   rows since the beginning of Postgres' statistics
create table if not exists pgmq_gateway.samples (
    queue_name text not null,
    at timestamptz not null,
    spacing real not null,
    lasting boolean not null,
    messages bigint,
    visible bigint,
    delayed bigint,
    in_flight bigint,
    archived bigint,
    oldest_seconds double precision,
    sent bigint,
    updated bigint,
    deleted bigint,
    archive_inserted bigint,
    primary key (queue_name, at)
);
create index if not exists samples_age on pgmq_gateway.samples (lasting, at);
