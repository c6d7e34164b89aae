-- Deduplication: within some time, a caller's second message with an id is not stored, and the id of the first one is
-- returned.
--
-- Why SECURITY DEFINER, of pgmq_definer: callers have no privileges on the table of ids. The ids are those of one caller,
-- so that no caller can use up those of another or learn that they exist. A function cannot know the role that calls its
-- caller, so the caller is an argument: in SQL, a role that can execute these functions can name another one, and so keep
-- messages out for a week and learn the ids of messages, but not read or change any. The insert itself is the caller's.
--
-- Settings: a plan for the arguments of each call would cost more than it saves, and the table can grow.

-- The caller: its role, and the claims `iss` and `sub` as JSON, because other issuers give the same `sub` to other users.
create or replace function pgmq_settings.deduplication_caller()
returns bytea
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $caller$
declare
    claims constant jsonb := nullif(current_setting('request.jwt.claims', true), '');
begin
    return sha256(convert_to(jsonb_build_array(current_user, claims -> 'iss', claims -> 'sub')::text, 'UTF8'));
end;
$caller$;
revoke all on function pgmq_settings.deduplication_caller from public;
grant execute on function pgmq_settings.deduplication_caller to anon, authenticated, service_role;

-- The id of a message without one, by its content. A time of expiry differs each time, and is left out.
create or replace function pgmq_settings.content_id(message jsonb, headers jsonb)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $id$
begin
    return encode(sha256(convert_to(concat_ws(e'\n', message, headers - 'x-pgmq-expires'), 'UTF8')), 'hex');
end;
$id$;
revoke all on function pgmq_settings.content_id from public;
grant execute on function pgmq_settings.content_id to anon, authenticated, service_role;

-- Raises if writing the table of ids would run code of other roles.
create or replace function pgmq_settings.check_deduplication()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
begin
    lock table pgmq_settings.deduplication_ids in row exclusive mode;
    perform pgmq_settings.check_own_code(array['pgmq_settings.deduplication_ids'::regclass]);
end;
$check$;
revoke all on function pgmq_settings.check_deduplication from public;
grant execute on function pgmq_settings.check_deduplication to pgmq_definer;

-- Claims ids for the messages that the transaction is about to send, and returns those that were used before, with their
-- messages. In the order of the ids, so that two batches cannot deadlock; an id that another transaction has just claimed
-- is waited for.
--
-- seconds  how long they are remembered, a week at most
create or replace function pgmq_settings.claim_ids(queue_table text, caller bytea, ids text[], seconds integer)
returns table (id text, msg_id bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $claim$
#variable_conflict use_column
declare
    relation constant oid := format('pgmq.%I', queue_table)::regclass;
    claimed text[];
begin
    perform pgmq_settings.check_deduplication();
    with made as (
        insert into pgmq_settings.deduplication_ids as d (
            queue_table, caller, deduplication_id, relation, expires_at
        )
        select
            claim_ids.queue_table, claim_ids.caller, i.id, relation,
            clock_timestamp() + make_interval(secs => least(claim_ids.seconds, 604800))
        from (select distinct u.id from unnest(ids) as u (id) where u.id is not null order by u.id) as i
        on conflict (queue_table, caller, deduplication_id) do update
        set relation = excluded.relation, expires_at = excluded.expires_at, msg_id = null
        where d.relation <> excluded.relation or d.expires_at <= clock_timestamp()
        returning deduplication_id
    )
    select coalesce(array_agg(m.deduplication_id), '{}') into claimed from made as m;
    return query
    select d.deduplication_id, d.msg_id
    from pgmq_settings.deduplication_ids as d
    where d.queue_table = claim_ids.queue_table and d.caller = claim_ids.caller
      and d.deduplication_id = any (ids) and d.deduplication_id <> all (claimed);
end;
$claim$;
revoke all on function pgmq_settings.claim_ids from public;
grant execute on function pgmq_settings.claim_ids to anon, authenticated, service_role;
alter function pgmq_settings.claim_ids owner to pgmq_definer;

-- Records the messages of ids that this transaction has claimed.
create or replace function pgmq_settings.record_ids(queue_table text, caller bytea, ids text[], msg_ids bigint[])
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = on
set enable_seqscan = off
as $record$
begin
    perform pgmq_settings.check_deduplication();
    for place in 1..cardinality(ids) loop
        update pgmq_settings.deduplication_ids as d
        set msg_id = msg_ids[place]
        where d.queue_table = record_ids.queue_table and d.caller = record_ids.caller
          and d.deduplication_id = ids[place] and d.msg_id is null;
    end loop;
end;
$record$;
revoke all on function pgmq_settings.record_ids from public;
grant execute on function pgmq_settings.record_ids to anon, authenticated, service_role;
alter function pgmq_settings.record_ids owner to pgmq_definer;

-- Sends a message, unless its id was used before, and returns its id, or that of the first one. Like send_once() for one
-- message, which takes twice as long. The statement for a duplicate inserts none, but needs the privileges.
create or replace function pgmq_settings.send_one(
    queue_table text, settings pgmq_settings.queues, vt timestamptz, message jsonb, headers jsonb, id text
)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $send$
declare
    caller constant bytea := pgmq_settings.deduplication_caller();
    first bigint;
    duplicate boolean;
    sent bigint;
begin
    perform pgmq_settings.check_id('deduplication_id', id);
    id := coalesce(id, pgmq_settings.content_id(message, headers));
    select c.msg_id into first
    from pgmq_settings.claim_ids(queue_table, caller, array[id], coalesce(settings.deduplication_seconds, 300)) as c;
    duplicate := found;
    execute format(
        'insert into pgmq.%I (vt, message, headers) select $1, $2, $3 where not $4 returning msg_id', queue_table)
    into sent using vt, message, headers, duplicate;
    if duplicate then
        return first;
    end if;
    perform pgmq_settings.check_stored(1, num_nonnulls(sent));
    perform pgmq_settings.record_ids(queue_table, caller, array[id], array[sent]);
    perform pgmq_settings.report_sent(queue_table, settings, array[vt], array[headers]);
    return sent;
end;
$send$;
revoke all on function pgmq_settings.send_one from public;
grant execute on function pgmq_settings.send_one to anon, authenticated, service_role;

-- Sends messages, except those whose id was used before, or by an earlier one of the same call. Returns a row for each, in
-- order. A statement that inserts none still needs the privileges. Ids are claimed before the slots of groups are locked,
-- always, because both can wait.
--
-- ids  null for messages without one
create or replace function pgmq_settings.send_once(
    queue_table text, settings pgmq_settings.queues, times timestamptz[], messages jsonb[], headers jsonb[], ids text[]
)
returns table (msg_id bigint, duplicate boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $send$
declare
    caller constant bytea := pgmq_settings.deduplication_caller();
    known jsonb;
    sent_places integer[];
    sent bigint[];
begin
    perform pgmq_settings.check_id('deduplication_id', i) from unnest(ids) as i;
    if settings.deduplication_by_content then
        ids := array(
            select coalesce(u.id, pgmq_settings.content_id(u.message, u.headers))
            from unnest(ids, messages, headers) with ordinality as u (id, message, headers, place) order by u.place);
    end if;
    select coalesce(jsonb_object_agg(c.id, c.msg_id), '{}') into known
    from pgmq_settings.claim_ids(queue_table, caller, ids, coalesce(settings.deduplication_seconds, 300)) as c;
    if settings.group_limit is not null then
        perform pgmq_settings.lock_groups(queue_table, array(
            select h ->> 'x-pgmq-group' from unnest(headers) as h));
    end if;
    sent_places := array(
        select e.place from (
            select u.id, u.place, row_number() over (partition by u.id order by u.place) as nth
            from unnest(ids) with ordinality as u (id, place)
        ) as e
        where e.id is null or e.nth = 1 and not known ? e.id
        order by e.place);
    execute format('with sent as (%s) select array_agg(s.msg_id order by s.msg_id) from sent as s',
        pgmq_settings.send_statement(queue_table))
    into sent
    using
        array(select times[p] from unnest(sent_places) with ordinality as u (p, n) order by n),
        array(select messages[p] from unnest(sent_places) with ordinality as u (p, n) order by n),
        array(select headers[p] from unnest(sent_places) with ordinality as u (p, n) order by n);
    perform pgmq_settings.check_stored(cardinality(sent_places), coalesce(cardinality(sent), 0));
    perform pgmq_settings.report_sent(
        queue_table, settings, array(select times[p] from unnest(sent_places) as u (p)),
        array(select headers[p] from unnest(sent_places) as u (p)));
    perform pgmq_settings.record_ids(
        queue_table, caller, array(select ids[p] from unnest(sent_places) with ordinality as u (p, n) order by n), sent);
    return query
    select
        coalesce(s.msg_id, (known ->> e.id)::bigint, first_value(s.msg_id) over (partition by e.id order by e.place)),
        s.msg_id is null
    from unnest(ids) with ordinality as e (id, place)
    left join unnest(sent_places, sent) as s (place, msg_id) on s.place = e.place
    order by e.place;
end;
$send$;
revoke all on function pgmq_settings.send_once from public;
grant execute on function pgmq_settings.send_once to anon, authenticated, service_role;
