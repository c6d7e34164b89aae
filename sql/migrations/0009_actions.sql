-- The log of actions: who has changed what with the functions of pgmq_admin.
--
-- Safe to repeat: what exists is kept.

-- id          in the order of the actions, but for transactions that run at the same time
-- actor_role  the role that the session had switched to, or else its user
-- key_name    name of the secret key, or the claim sub of the token; without a request, the user of the session
-- queue_name  null for actions that concern no single queue
-- operation   the function of pgmq_admin
-- count       messages that it has changed; null where it changes something else
create table if not exists pgmq_gateway.actions (
    id bigint generated always as identity primary key,
    at timestamptz not null,
    actor_role text not null,
    key_name text,
    queue_name text,
    operation text not null,
    count bigint
);
create index if not exists actions_queue_name on pgmq_gateway.actions (queue_name, id);
create index if not exists actions_at on pgmq_gateway.actions (at);
comment on table pgmq_gateway.actions is
    'Who has changed what with the functions of pgmq_admin, for 90 days. Only pgmq_settings.record_action writes it.';
grant insert on pgmq_gateway.actions to pgmq_definer;

-- A type, because a parameter and a column of a result cannot share the name queue_name.
do $action$
begin
    if to_regtype('pgmq_admin.action') is null then
        create type pgmq_admin.action as (
            id bigint, at timestamptz, actor_role text, key_name text, queue_name text, operation text, count bigint
        );
    end if;
end;
$action$;
