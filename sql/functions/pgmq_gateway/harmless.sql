-- Finds code that leaves anything behind that a later call of its transaction could observe: a setting, a lock, a row, a
-- notification. In doubt it does.
--
-- pg_depend has no rows for built-in objects, so the functions that an expression calls are read from its node tree, in
-- which only Postgres writes these words.

-- True if a built-in function leaves nothing behind.
create or replace function pgmq_gateway.is_harmless_builtin(routine oid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $builtin$
    select
        p.oid < 16384 and p.pronamespace = 'pg_catalog'::regnamespace
        and (p.provolatile <> 'v'
            or p.proname in (
                'clock_timestamp', 'timeofday', 'gen_random_uuid', 'uuidv4', 'uuidv7', 'random', 'random_normal'))
        -- They run SQL, keep their first result until the end of the transaction, or see whether it has written.
        and p.proname !~ '_to_xml|^pg_input_|^pg_stat_get_|_if_assigned$'
        -- They read the text of any type, with its checks.
        and not p.proargtypes::oid[] && array['cstring', 'internal']::regtype[]::oid[]
    from pg_proc as p
    where p.oid = routine;
$builtin$;
revoke all on function pgmq_gateway.is_harmless_builtin from public;
grant execute on function pgmq_gateway.is_harmless_builtin to authenticator;

-- True if the values of a type are read and compared by Postgres' own code.
create or replace function pgmq_gateway.is_plain_type(type oid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $plain$
    select t.oid < 16384 and t.typnamespace = 'pg_catalog'::regnamespace or coalesce(e.typtype, t.typtype) = 'e'
    from pg_type as t
    left join pg_type as e on e.oid = t.typelem and t.typcategory = 'A'
    where t.oid = type;
$plain$;
revoke all on function pgmq_gateway.is_plain_type from public;
grant execute on function pgmq_gateway.is_plain_type to authenticator;

-- The source of a function in lower case, with '' for each string and without comments; null in doubt.
create or replace function pgmq_gateway.outline(source text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $outline$
    select lower(o.outline)
    from regexp_replace(
        source, $$--[^\n\r]*|/\*(?:[^*]|\*+[^*/])*\*+/|('(?:[^']|'')*')$$, ' \1 ', 'g'
    ) as c (code)
    cross join regexp_replace(c.code, $$'(?:[^']|'')*'$$, '''''', 'g') as o (outline)
    -- Escapes and nested comments hide where a string or a comment ends. Quoted names and dollar quotes do too, but the
    -- first of them is still there.
    where source !~ '\\|/\*(?:[^*]|\*+[^*/])*/\*'
      and replace(o.outline, '''''', '') !~ '[''"]|\$\D|[a-zA-Z0-9_]\$|[^\x01-\x7f]|/\*';
$outline$;
revoke all on function pgmq_gateway.outline from public;
grant execute on function pgmq_gateway.outline to authenticator;

-- Why the source of a function in SQL or PL/pgSQL could leave something behind, and the names in it that Postgres looks
-- up at each call.
--
-- pinned  whether its search_path finds only pg_catalog, so that objects elsewhere cannot change it
create or replace function pgmq_gateway.source_faults(source text, pinned boolean, out faults text[], out names text[])
language sql
stable
set search_path = pg_catalog, pg_temp
as $faults$
    with outline as (
        -- Without the FROMs that read no table.
        select regexp_replace(
            regexp_replace(o, 'is\s+(?:not\s+)?distinct\s+from', '=', 'g'),
            'extract\s*\(\s*(?:\w+|'''')\s+from\s', 'extract(', 'g') as code
        from pgmq_gateway.outline(source) as o
        where o is not null
    ), words as (
        select distinct w[1] as word from outline, regexp_matches(code, '([a-z_][a-z0-9_]*)', 'g') as w
    ), called as (
        select c[1] as schema, c[2] as name, false as field
        from outline, regexp_matches(code, '(?:([a-z_][a-z0-9_]*)\s*\.\s*)?([a-z_][a-z0-9_]*)\s*\(', 'g') as c
        union
        -- A name behind a point can be a function too.
        select null, c[1], true
        from outline, regexp_matches(code, '\.\s*([a-z_][a-z0-9_]*)(?!\s*\(|[a-z0-9_])', 'g') as c
    ), functions as (
        select c.schema, c.name, c.field, k.catcode, p.oid, p.pronamespace = 'pg_catalog'::regnamespace as builtin
        from called as c
        left join pg_get_keywords() as k on k.word = c.name
        left join pg_proc as p
            on p.proname = c.name and (not pinned and c.schema is null or p.pronamespace = 'pg_catalog'::regnamespace)
    ), operators as (
        select distinct o[1] as name from outline, regexp_matches(code, '([-+*/<>=~!@#%^&|`?]+)', 'g') as o
        union
        -- A sign can follow without a space.
        select o[1] from outline, regexp_matches(code, '[*/<>=~!@#%^&|`?]([-+])', 'g') as o
        union
        -- Those behind words: =, for example, is behind CASE, IN and NULLIF.
        select i.name
        from (values
            ('=', ''), ('<>', 'in'), ('>=', 'between'), ('<=', 'between'), ('<', 'between'), ('>', 'between'),
            ('~~', 'like'), ('!~~', 'like'), ('~~*', 'ilike'), ('!~~*', 'ilike'), ('~', 'similar'), ('!~', 'similar')
        ) as i (name, word)
        where i.word = '' or exists (select from words where words.word = i.word)
    ), faults (fault) as (
        select 'cannot be read reliably' where not exists (select from outline)
        union all
        select format('contains the word %s', upper(w.word))
        from words as w
        where w.word in (
            'from', 'join', 'table', 'execute', 'perform', 'call', 'do', 'operator', 'rowtype', 'type', 'cast', 'open',
            'cursor', 'set', 'reset', 'lock', 'insert', 'update', 'delete', 'merge', 'notify', 'listen', 'copy',
            -- TREAT(x AS name) calls the function pg_catalog.name.
            'treat')
        union all
        select format('calls %s', f.name)
        from functions as f
        where case
            when f.schema <> 'pg_catalog' then true
            -- No function can have the name of such a keyword.
            when f.catcode in ('R', 'C') then false
            when f.oid is not null then not (f.builtin and pgmq_gateway.is_harmless_builtin(f.oid))
            else f.catcode is null and not f.field
                and f.name not in ('if', 'elsif', 'elseif', 'while', 'return', 'raise', 'assert', 'exit', 'continue')
                and not exists (
                    select from pg_type as t
                    where t.typname = f.name and t.typnamespace = 'pg_catalog'::regnamespace)
        end
        union all
        select format('names the schema %I', n.nspname)
        from pg_namespace as n
        where n.nspname <> 'pg_catalog'
          and exists (select from outline where code ~ ('(?<![a-z0-9_.])' || n.nspname || '\s*\.'))
        union all
        select format('can use the type %I.%I', t.typnamespace::regnamespace, t.typname)
        from words as w
        join pg_type as t on t.typname = w.word
        where not pinned and t.typnamespace <> 'pg_catalog'::regnamespace
          and (t.typtype <> 'c' or exists (select from words where word = 'declare'))
        union all
        select format('can use the operator %s', o.oid::regoperator)
        from operators
        join pg_operator as o on o.oprname = operators.name and o.oid >= 16384
        where not pinned
          and (o.oprleft = 0 or o.oprleft < 16384) and (o.oprright = 0 or o.oprright < 16384)
    )
    select
        array(select distinct fault from faults order by 1),
        case when pinned then '{}' else array(
            select name from functions where coalesce(catcode, '') not in ('R', 'C')
            union
            select name from operators
        ) end;
$faults$;
revoke all on function pgmq_gateway.source_faults from public;
grant execute on function pgmq_gateway.source_faults to authenticator;

-- Why a function could leave something behind, apart from what it refers to, and the names that it looks up.
create or replace function pgmq_gateway.function_faults(routine oid, out faults text[], out names text[])
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $faults$
declare
    code record;
begin
    select
        p.prosrc, p.prosqlbody::text as body, p.provolatile = 'v' as volatile, l.lanname as language,
        coalesce(p.proconfig, '{}') as settings
    into code
    from pg_proc as p
    join pg_language as l on l.oid = p.prolang
    where p.oid = routine;
    if not found then
        faults := '{"does not exist"}';
    elsif routine < 16384 and pgmq_gateway.is_harmless_builtin(routine) then
        faults := '{}';
    elsif routine < 16384 then
        faults := '{"can leave something behind"}';
    elsif code.language not in ('sql', 'plpgsql') then
        faults := array[format('is written in %s', code.language)];
    elsif exists (select from unnest(code.settings) as s where s not like 'search\_path=%') then
        faults := '{"changes settings"}';
    elsif code.body is not null then
        faults := pgmq_gateway.tree_faults(code.body);
    elsif code.volatile then
        faults := '{"is volatile"}';
    else
        select s.faults, s.names
        into faults, names
        from pgmq_gateway.source_faults(
            code.prosrc,
            code.settings && array[
                'search_path=""', 'search_path=pg_catalog', 'search_path=pg_catalog, pg_temp']) as s;
    end if;
    names := coalesce(names, '{}');
end;
$faults$;
revoke all on function pgmq_gateway.function_faults from public;
grant execute on function pgmq_gateway.function_faults to authenticator;

-- Why a node tree could leave something behind or observe what an earlier call left, apart from what it refers to.
create or replace function pgmq_gateway.tree_faults(tree text)
returns text[]
language sql
immutable
set search_path = pg_catalog, pg_temp
as $faults$
    select array(
        select fault
        from (values
            ('\{QUERY :commandType (?!1 )', 'contains a statement that is not a query'),
            (':rowMarks \(', 'locks rows'),
            (':varattno -[2-5] ', 'reads a system column')
        ) as f (pattern, fault)
        where tree ~ f.pattern);
$faults$;
revoke all on function pgmq_gateway.tree_faults from public;
grant execute on function pgmq_gateway.tree_faults to authenticator;
