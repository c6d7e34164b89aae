-- Responses to calls with an Idempotency-Key.
--
-- Safe to repeat: a table that exists is kept.

-- id                     SHA-256 of caller and key: the key itself is not stored
-- fingerprint            of the request; another one cannot use the key
-- total … body           the call's answer, as pgmq_gateway.call returns it
create table if not exists pgmq_gateway.idempotency_keys (
    id bytea primary key,
    fingerprint bytea not null,
    expires_at timestamptz not null,
    total bigint,
    row_count bigint,
    response_status text,
    response_headers text,
    body text
);
-- Not BRIN: pages of removed rows are used again, so that every range of them soon contains old and new rows.
create index if not exists idempotency_keys_expiry on pgmq_gateway.idempotency_keys (expires_at);
comment on table pgmq_gateway.idempotency_keys is
    'Responses to calls with an Idempotency-Key. No role has privileges on it: pgmq_gateway.keyed_call uses it.';
