-- Headers that the gateway sets. They begin with x-pgmq-.

-- The headers of a message as an object: others are kept in x-pgmq-headers.
create or replace function pgmq_settings.headers_object(headers jsonb)
returns jsonb
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $object$
begin
    return case
        when headers is null or headers = 'null' then '{}'
        when jsonb_typeof(headers) = 'object' then headers
        else jsonb_build_object('x-pgmq-headers', headers)
    end;
end;
$object$;
revoke all on function pgmq_settings.headers_object from public;
grant execute on function pgmq_settings.headers_object to anon, authenticated, service_role, pgmq_definer;
