-- The schemas of the gateway's functions.
--
-- Safe to repeat: a schema that exists is kept.

create schema if not exists pgmq_gateway;
comment on schema pgmq_gateway is 'Internal to pgmq-gateway: never exposed over HTTP.';
revoke all on schema pgmq_gateway from public;
grant usage on schema pgmq_gateway to authenticator, service_role;

-- The gateway compares what is installed with what it brings, as the login role.
grant select on table pgmq_gateway.migrations, pgmq_gateway.shipped to authenticator;

create schema if not exists pgmq_admin;
comment on schema pgmq_admin is 'Management of queues, messages and privileges, for service_role.';
revoke all on schema pgmq_admin from public;
grant usage on schema pgmq_admin to service_role;

