-- Session state that a call left on its connection.

-- Removes the session state that no SQL command removes by itself: advisory locks, prepared statements of SQL, the seed
-- of random(). The driver makes its statements by the protocol, so they stay.
create or replace function pgmq_gateway.clean_session()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $clean$
declare
    left_behind name;
begin
    perform pg_advisory_unlock_all();
    for left_behind in select s.name from pg_prepared_statements as s where s.from_sql loop
        execute format('deallocate %I', left_behind);
    end loop;
    perform setseed(('x' || left(gen_random_uuid()::text, 8))::bit(32)::integer / 2147483648.0);
end;
$clean$;
revoke all on function pgmq_gateway.clean_session from public;
grant execute on function pgmq_gateway.clean_session to authenticator;
