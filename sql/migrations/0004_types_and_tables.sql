-- The types of the functions, and the history of queues.
--
-- Safe to repeat: types and tables that exist are kept.

-- A message of a queue or of its archive. preview: the first 200 characters of the message; bytes: its length as text.
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

-- A finding of the lint. A type, because a parameter and a column of a result cannot share the name queue_name.
do $finding$
begin
    if to_regtype('pgmq_admin.finding') is null then
        create type pgmq_admin.finding as (queue_name text, rule text, level text, message text, hint text);
    end if;
end;
$finding$;

-- What one role can do with one queue, operation by operation: what the lint's rules look at.
--
-- lacks            the privileges on the tables that the role lacks, or null
-- path_blockers    why the role does not get as far as the tables, in words
-- silent_blockers  why policies hide all messages without an error, in words
do $access$
begin
    if to_regtype('pgmq_gateway.queue_access') is null then
        create type pgmq_gateway.queue_access as (
            queue_name text, queue_table regclass, archive_table regclass, oid oid, role name, operation text,
            lacks text, path_blockers text[], silent_blockers text[]
        );
    end if;
end;
$access$;

-- Samples of all queues over time.
--
-- spacing   seconds until the next sample was due
-- lasting   whether it is the first of its five minutes, which are kept longer than a day
-- sent, updated, deleted, archive_inserted   rows since Postgres began its statistics
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
