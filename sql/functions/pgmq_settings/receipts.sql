-- Receipts: <msg_id>.<read_ct>.<enqueued_at in microseconds since 1970>.
--
-- A receipt is a fencing token, no secret: it prevents a late consumer from settling a message that was read again, and
-- grants nothing. Policies decide who can settle a message. Settling compares all three numbers with the row.

-- An expression for the receipt of a row. A time that has too many digits, such as infinity, makes one that matches no row.
create or replace function pgmq_settings.receipt_expression(row_name text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $expression$
begin
    return format(
        'concat(%1$s.msg_id, ''.'', %1$s.read_ct, ''.'', '
        'case when %1$s.enqueued_at between ''0001-01-01Z'' and ''9999-12-31Z'' '
        'then (extract(epoch from %1$s.enqueued_at) * 1000000)::bigint else 0 end)', row_name);
end;
$expression$;
revoke all on function pgmq_settings.receipt_expression from public;
grant execute on function pgmq_settings.receipt_expression to anon, authenticated, service_role;

-- The delivery that a receipt stands for. Raises for a malformed one. Numbers are compared as text before they are cast;
-- a bounded quantifier or a capture in the expression would cost more than all the rest.
create or replace function pgmq_settings.delivery(receipt text)
returns pgmq_settings.delivery
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $delivery$
declare
    parts constant text[] := string_to_array(receipt, '.');
begin
    if receipt is null
        or receipt !~ '^[1-9][0-9]*\.[1-9][0-9]*\.(0|-?[1-9][0-9]*)$'
        or length(receipt) > 49
        or length(parts[1]) > 19 or length(parts[1]) = 19 and parts[1] collate "C" > '9223372036854775807'
        or length(parts[2]) > 10 or length(parts[2]) = 10 and parts[2] collate "C" > '2147483647'
        or length(parts[3]) > 18
    then
        raise exception 'receipt "%" is malformed', coalesce(left(receipt, 100), 'null') using
            errcode = 'invalid_text_representation',
            hint = 'Use the receipt of a message as read() returned it.';
    end if;
    return row(
        parts[1]::bigint, parts[2]::integer, timestamptz '1970-01-01Z' + parts[3]::bigint * interval '1 microsecond'
    )::pgmq_settings.delivery;
end;
$delivery$;
revoke all on function pgmq_settings.delivery from public;
grant execute on function pgmq_settings.delivery to anon, authenticated, service_role;

-- The deliveries that receipts stand for, in order.
create or replace function pgmq_settings.deliveries(receipts text[])
returns pgmq_settings.delivery[]
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $deliveries$
begin
    return array(
        select pgmq_settings.delivery(r) from unnest(receipts) with ordinality as g (r, place) order by place);
end;
$deliveries$;
revoke all on function pgmq_settings.deliveries from public;
grant execute on function pgmq_settings.deliveries to anon, authenticated, service_role;
