-- Selects the receipts whose messages are still leased to their holder, as far as the current role sees them, with the
-- seconds until their leases end. The gateway calls it for streams: a message that is not returned was settled, or read
-- again, or its lease has ended.
--
-- Settings: one message after the other is looked up by its id, whatever the number of receipts is.
create or replace function pgmq_settings.unsettled(queue_name text, receipts text[])
returns table (receipt text, seconds double precision)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $unsettled$
begin
    if cardinality(receipts) > 10000 then
        raise exception '% receipts are too many', cardinality(receipts) using
            errcode = 'invalid_parameter_value', hint = 'Use at most 10000 at once.';
    end if;
    return query execute format(
        $query$
        select ($2)[d.place], (ceil(extract(epoch from q.vt - $3) * 1000) / 1000)::double precision
        from unnest($1) with ordinality as d (msg_id, read_ct, enqueued_at, place)
        join pgmq.%I as q on q.msg_id = d.msg_id and q.read_ct = d.read_ct and q.enqueued_at = d.enqueued_at
        where q.vt > $3 and q.vt < 'infinity'
        $query$,
        pgmq.format_table_name(queue_name, 'q'))
    using pgmq_settings.deliveries(receipts), receipts, clock_timestamp();
end;
$unsettled$;
revoke all on function pgmq_settings.unsettled from public;
grant execute on function pgmq_settings.unsettled to anon, authenticated, service_role;
