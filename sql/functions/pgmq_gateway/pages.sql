-- The name of the table that a filter is about.
create or replace function pgmq_gateway.source_table(queue_name text, filter jsonb)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $source$
    select pgmq_gateway.message_table(
        queue_name, case when pgmq_settings.is_about_archive(filter) then 'a' else 'q' end);
$source$;
revoke all on function pgmq_gateway.source_table from public;
grant execute on function pgmq_gateway.source_table to service_role;

-- Raises unless list_messages() can return a page for these arguments.
create or replace function pgmq_gateway.check_page(
    filter jsonb, sort text, after jsonb, before jsonb, max_rows integer
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
begin
    if sort is null or sort not in ('msg_id', 'enqueued_at', 'read_ct', 'vt', 'archived_at') then
        raise exception 'sort "%" is unknown', sort using
            errcode = 'invalid_parameter_value',
            hint = 'Use msg_id, enqueued_at, read_ct, vt, or archived_at in the archive.';
    elsif sort = 'archived_at' and not pgmq_settings.is_about_archive(filter) then
        raise exception 'only archived messages can be sorted by archived_at' using
            errcode = 'invalid_parameter_value', hint = 'Add "state": "archived" to the filter.';
    elsif max_rows is null or max_rows not between 1 and 1000 then
        raise exception 'max_rows is %, but must be between 1 and 1000', coalesce(max_rows::text, 'null') using
            errcode = 'invalid_parameter_value', hint = 'Use after and before for further pages.';
    elsif after is not null and before is not null then
        raise exception 'after and before exclude each other' using
            errcode = 'invalid_parameter_value', hint = 'Leave one of them out.';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_page from public;
grant execute on function pgmq_gateway.check_page to service_role;

-- The position of a row in the order by `sort`, from [value of that column, msg_id]; all null for a null `place`.
create or replace function pgmq_gateway.page_key(
    sort text, place jsonb, out number bigint, out instant timestamptz, out id bigint
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $key$
declare
    timed constant boolean := sort in ('enqueued_at', 'vt', 'archived_at');
begin
    if jsonb_typeof(place) <> 'array' or jsonb_array_length(place) <> 2 or place @> '[null]' then
        raise data_exception using message = 'not an array of two values';
    end if;
    id := place ->> 1;
    if timed then
        instant := place ->> 0;
    else
        number := place ->> 0;
    end if;
exception
    when data_exception then
        raise exception 'after or before cannot be read: %', sqlerrm using
            errcode = 'invalid_parameter_value',
            hint = format('Use %s and msg_id of a row: %s.',
                sort, case when timed then '["2026-01-31T12:00:00Z", 7]' else '[7, 7]' end);
end;
$key$;
revoke all on function pgmq_gateway.page_key from public;
grant execute on function pgmq_gateway.page_key to service_role;
