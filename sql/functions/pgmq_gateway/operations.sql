-- The privileges that each operation needs on q_<queue> and on a_<queue>. INSERT and DELETE need SELECT too, because
-- pgmq's statements have RETURNING; pop needs UPDATE, because it locks the row that it deletes.
create or replace function pgmq_gateway.operation_privileges()
returns table (operation text, queue_privileges text[], archive_privileges text[])
language sql
immutable
set search_path = pg_catalog, pg_temp
as $privileges$
    values
        ('send', array['INSERT', 'SELECT'], '{}'::text[]),
        ('read', array['SELECT', 'UPDATE'], '{}'),
        ('pop', array['SELECT', 'UPDATE', 'DELETE'], '{}'),
        ('archive', array['SELECT', 'DELETE'], array['INSERT', 'SELECT']),
        ('delete', array['SELECT', 'DELETE'], '{}');
$privileges$;
revoke all on function pgmq_gateway.operation_privileges from public;

-- The same by columns, as Postgres checks them. columns: null for the whole table, empty where any one is enough.
create or replace function pgmq_gateway.operation_columns()
returns table (operation text, on_table text, privilege text, columns name[])
language sql
immutable
set search_path = pg_catalog, pg_temp
as $columns$
    values
        ('send', 'queue', 'INSERT', '{vt,message,headers}'::name[]),
        ('send', 'queue', 'SELECT', '{msg_id}'),
        ('read', 'queue', 'SELECT', null),
        ('read', 'queue', 'UPDATE', '{vt,read_ct,last_read_at}'),
        ('pop', 'queue', 'SELECT', '{msg_id,read_ct,enqueued_at,last_read_at,vt,message,headers}'),
        ('pop', 'queue', 'UPDATE', '{}'),
        ('pop', 'queue', 'DELETE', null),
        ('archive', 'queue', 'SELECT', '{msg_id,read_ct,enqueued_at,last_read_at,vt,message,headers}'),
        ('archive', 'queue', 'DELETE', null),
        ('archive', 'archive', 'INSERT', '{msg_id,read_ct,enqueued_at,last_read_at,vt,message,headers}'),
        ('archive', 'archive', 'SELECT', '{msg_id}'),
        ('delete', 'queue', 'SELECT', '{msg_id}'),
        ('delete', 'queue', 'DELETE', null);
$columns$;
revoke all on function pgmq_gateway.operation_columns from public;

-- The policies that apply to an operation where row-level security is on.
--
-- command  as in pg_policy
-- after    whether the policies judge the row as it will be
-- fails    whether the operation fails when no policy allows the row; else it finds no row, without an error
create or replace function pgmq_gateway.operation_policies()
returns table (operation text, on_table text, command "char", after boolean, fails boolean)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $policies$
    values
        ('send', 'queue', 'a'::"char", true, true),
        ('send', 'queue', 'r', false, true),
        ('read', 'queue', 'r', false, false),
        ('read', 'queue', 'w', false, false),
        ('read', 'queue', 'w', true, true),
        ('pop', 'queue', 'r', false, false),
        ('pop', 'queue', 'w', false, false),
        ('pop', 'queue', 'd', false, false),
        ('archive', 'queue', 'r', false, false),
        ('archive', 'queue', 'd', false, false),
        ('archive', 'archive', 'a', true, true),
        ('archive', 'archive', 'r', false, true),
        ('delete', 'queue', 'r', false, false),
        ('delete', 'queue', 'd', false, false);
$policies$;
revoke all on function pgmq_gateway.operation_policies from public;

-- The functions that an operation calls, outermost first. Those of pgmq are included if the wrapper calls them.
create or replace function pgmq_gateway.operation_functions(operation text)
returns table (place bigint, signature text, function regprocedure)
language sql
stable
set search_path = pg_catalog, pg_temp
as $functions$
    with wrapper as (
        select f.signature, f.function, (select prosrc from pg_proc where oid = f.function) as source
        from pgmq_gateway.public_functions() as f
        where split_part(f.signature, '(', 1) = operation
    )
    select 0::bigint, 'pgmq_public.' || w.signature, w.function from wrapper as w
    union all
    select o.place, o.signature, to_regprocedure(o.signature)
    from wrapper as w,
        unnest(array[
            'pgmq.send(text,jsonb,integer)', 'pgmq.send(text,jsonb,jsonb,timestamptz)',
            'pgmq.read(text,integer,integer,jsonb)', 'pgmq.pop(text)', 'pgmq.pop(text,integer)',
            'pgmq.archive(text,bigint)', 'pgmq.delete(text,bigint)'
        ]) with ordinality as o (signature, place)
    where o.signature like 'pgmq.' || operation || '(%'
      and w.source ~ ('\mpgmq\.' || operation || '\s*\(')
      and to_regprocedure(o.signature) is not null
    union all
    select 100, 'pgmq.format_table_name(text,text)', to_regprocedure('pgmq.format_table_name(text,text)')
    order by 1;
$functions$;
revoke all on function pgmq_gateway.operation_functions from public;

-- The functions of pgmq_api that an operation includes. They need the same privileges, but for the lists of settle, each
-- of which needs those of its operation.
create or replace function pgmq_gateway.api_functions(operation text)
returns text[]
language sql
immutable
set search_path = pg_catalog, pg_temp
as $functions$
    select case operation
        when 'send' then array['send', 'send_batch', 'send_entries', 'replay']
        when 'read' then array['read', 'read_any', 'retry', 'reject', 'extend', 'settle', 'peek', 'metrics']
        when 'pop' then array['pop']
        when 'archive' then array['archive', 'archive_batch', 'settle']
        when 'delete' then array['delete', 'delete_batch', 'ack', 'settle', 'purge', 'redrive']
    end || array['queues'];
$functions$;
revoke all on function pgmq_gateway.api_functions from public;

-- Raises unless all operations are known.
create or replace function pgmq_gateway.check_operations(operations text[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $check$
declare
    unknown text;
begin
    select o into unknown
    from unnest(operations) as o
    where o is null or o not in (select operation from pgmq_gateway.operation_privileges());
    if found or coalesce(cardinality(operations), 0) = 0 then
        raise exception 'operation "%" is unknown', coalesce(unknown, '') using
            errcode = 'invalid_parameter_value',
            hint = 'Use send, read, pop, archive or delete.';
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_operations from public;
