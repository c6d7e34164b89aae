-- The role, the schemas, the type and the table behind pgmq_api: leases, dead letters and settings of queues.
--
-- Safe to repeat: what exists is kept.

-- pgmq_definer owns the SECURITY DEFINER functions that move messages between queues. An owner can replace its functions
-- and so lends its privileges to itself: hence it is no role of requests. Triggers of others on a queue would run with
-- its privileges: hence it is not the installer. It has DML on pgmq's tables and no other privileges. Where the installer
-- cannot give it BYPASSRLS, each queue gets a policy for it (definer_access.sql).
do $definer$
begin
    if to_regrole('pgmq_definer') is null then
        begin
            create role pgmq_definer nologin noinherit bypassrls;
        exception
            -- Roles belong to the whole server: the installer of another database may have created it meanwhile.
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then
                begin
                    create role pgmq_definer nologin noinherit;
                exception
                    when duplicate_object or unique_violation then null;
                    when insufficient_privilege then
                        raise exception 'role pgmq_definer is missing, and role % has no permission to create it',
                            current_user
                            using errcode = 'insufficient_privilege',
                                  hint = 'As a superuser run "create role pgmq_definer nologin noinherit bypassrls", '
                                         'then install again.';
                end;
        end;
    end if;
    if not pg_has_role('pgmq_definer', 'usage') then
        begin
            execute format(
                'grant pgmq_definer to %I%s', current_user,
                case when current_setting('server_version_num')::integer >= 160000 then ' with inherit true' else '' end);
        exception
            when unique_violation then null;
            -- It keeps the functions itself: another role has created the roles for it.
            when insufficient_privilege then
                raise notice 'role % has no permission to be a member of role pgmq_definer', current_user;
        end;
    end if;
    alter default privileges in schema pgmq grant select, insert, update, delete on tables to pgmq_definer;
end;
$definer$;

-- USAGE is granted with the schema only: unexpose() revokes it, for good.
do $api$
begin
    if to_regnamespace('pgmq_api') is null then
        create schema pgmq_api;
        comment on schema pgmq_api is 'Queues with leases, dead letters and settings: a superset of pgmq_public.';
        revoke all on schema pgmq_api from public;
        grant usage on schema pgmq_api to anon, authenticated, service_role;
    end if;
end;
$api$;

create schema if not exists pgmq_settings;
comment on schema pgmq_settings is 'Internal to pgmq_api: never exposed over HTTP.';
revoke all on schema pgmq_settings from public;
grant usage on schema pgmq_settings to anon, authenticated, service_role, pgmq_definer;
grant usage on schema pgmq, pgmq_gateway to pgmq_definer;

-- A message that was read. receipt: identifies this delivery; null for a popped message.
do $message$
begin
    if to_regtype('pgmq_api.message') is null then
        create type pgmq_api.message as (
            msg_id bigint, read_ct integer, enqueued_at timestamptz, last_read_at timestamptz, vt timestamptz,
            message jsonb, headers jsonb, receipt text, queue_name text
        );
    end if;
end;
$message$;

-- One delivery of one message: what a receipt says. read_ct changes with each read and with nothing else; enqueued_at
-- differs where ids repeat, as after a crash in an unlogged queue.
do $delivery$
begin
    if to_regtype('pgmq_settings.delivery') is null then
        create type pgmq_settings.delivery as (msg_id bigint, read_ct integer, enqueued_at timestamptz);
    end if;
end;
$delivery$;

-- A list of receipts to settle in one way. seconds, reasons: null, or one for each receipt.
do $settlement$
begin
    if to_regtype('pgmq_settings.settlement') is null then
        create type pgmq_settings.settlement as (
            operation text, receipts text[], seconds integer[], reasons text[]
        );
    end if;
end;
$settlement$;

-- Settings of queues: a row for each queue that has any; null stands for the default.
--
-- queue_table  the name of the queue's table, because several spellings of a queue's name reach one table
-- is_full      whether the queue has max_messages; maintained in the background
--
-- No role has privileges on it: roles of requests read the view `settings`. Its foreign keys are in setting_keys.sql.
create table if not exists pgmq_settings.queues (
    queue_table text primary key,
    queue_name text not null unique,
    lease_seconds integer,
    max_receives integer,
    dead_letter_queue text,
    backoff text,
    backoff_seconds integer,
    backoff_max_seconds integer,
    backoff_jitter double precision,
    on_expiry text,
    message_keep_seconds bigint,
    archive_keep_seconds bigint,
    max_message_bytes integer,
    max_messages bigint,
    is_full boolean,
    group_limit integer,
    deduplication_seconds integer,
    deduplication_by_content boolean,
    paused boolean
);
alter table pgmq_settings.queues enable row level security;

-- How far a task of the maintenance has come in a queue: see pgmq_gateway.maintain. No foreign key to the settings: an
-- insert would wait for a transaction that changes these.
--
-- next_page   the page of the table, or archive, to go on with
-- last_group  where the sweep over the groups has stopped: the name of a group, which only the owner may see
-- resumes_at  when to go on after a failure; null if the last visit succeeded
create table if not exists pgmq_settings.progress (
    task text,
    queue_table text,
    next_page bigint not null,
    last_group text not null,
    resumes_at timestamptz,
    primary key (task, queue_table)
);
alter table pgmq_settings.progress enable row level security;

-- Dead messages of queues by reason, since each queue had its first. Written by pgmq_settings.bury only.
--
-- failed     burials that failed, with the time and the SQLSTATE of the last one
-- slot       a queue has a row for each of its transactions at one moment: see burial_slot()
create table if not exists pgmq_settings.burials (
    queue_table text not null,
    max_receives bigint not null,
    rejected bigint not null,
    expired bigint not null,
    failed bigint not null,
    failed_at timestamptz,
    failure text,
    slot integer not null,
    primary key (queue_table, slot)
);
grant select, insert, update on pgmq_settings.burials to pgmq_definer;

-- How far the maintenance has come, in one row, for all gateways together.
--
-- due_at     when to go on
-- place      the task with which the last portion ended; '' after the last task
-- is_behind  whether a task of this pass had more to do than there was time for
-- runs       portions so far
-- seconds    time that they have taken
create table if not exists pgmq_gateway.maintenance (
    due_at timestamptz not null,
    place text not null,
    is_behind boolean not null,
    runs bigint not null,
    seconds double precision not null
);

-- Messages of full groups: see the setting group_limit.
alter table pgmq_gateway.samples add column if not exists parked bigint;

-- The ids of messages that must not be sent twice. Written by functions of pgmq_definer only.
--
-- relation    the oid of the queue's table: a queue that was dropped and created again, or restored, has another one
-- caller      a hash of the role and of the claims `iss` and `sub`
-- msg_id      the first message with the id
-- expires_at  when the id can be used again
create table if not exists pgmq_settings.deduplication_ids (
    queue_table text not null,
    caller bytea not null,
    deduplication_id text not null,
    relation oid not null,
    msg_id bigint,
    expires_at timestamptz not null,
    primary key (queue_table, caller, deduplication_id)
);
create index if not exists deduplication_ids_expires_at on pgmq_settings.deduplication_ids (expires_at);
grant select, insert, update, delete on pgmq_settings.deduplication_ids to pgmq_definer;
