-- The operator's options of `pgmq-gateway install`, which later installs keep.
--
-- Safe to repeat: a table that exists is kept.

create table if not exists pgmq_gateway.install_options (
    name text primary key,
    value text not null
);
comment on table pgmq_gateway.install_options is
    'keep_trigger: whether roles of requests keep TRIGGER and other privileges on pgmq''s tables. '
    'default privileges of ROLE: the schema in which the installer granted them, and does not do so again.';
