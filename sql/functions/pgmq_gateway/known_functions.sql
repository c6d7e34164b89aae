-- The functions of pgmq_public and pgmq that are known to leave nothing behind, in every supported version. Of those of
-- pgmq_api and pgmq_settings the installer has recorded the texts.
--
-- A function that was replaced is not on the list, so its calls run alone. tests/sql/test_known_functions.py prints the
-- rows that a new version of pgmq or a changed file of ../pgmq_public needs.

-- A digest of the behaviour of a function. White space is left out, as migration tools change it.
create or replace function pgmq_gateway.function_md5(routine oid)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $md5$
    select md5(concat_ws(
        E'\n', btrim(regexp_replace(p.prosrc, '\s+', ' ', 'g')), l.lanname, p.prosecdef, p.provolatile, p.proisstrict,
        p.proconfig, pg_get_function_result(p.oid), pg_get_function_arguments(p.oid)
    ))
    from pg_proc as p
    join pg_language as l on l.oid = p.prolang
    where p.oid = routine;
$md5$;
revoke all on function pgmq_gateway.function_md5 from public;
grant execute on function pgmq_gateway.function_md5 to authenticator;

create or replace function pgmq_gateway.known_functions()
returns table (schema name, name name, md5 text)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $known$
    values
        -- pgmq 1.4.4 to 1.13.
        ('pgmq', 'delete', '6e72740035a1d2c6c58669fc247afa5c'),
        ('pgmq', 'delete', 'a76fc0642e8837286f85268bf5a5b3c4'),
        ('pgmq', 'format_table_name', 'b9a76b74e7fbd2bf237451b0e5a532f6'),
        -- pgmq 1.4.4, some of them also 1.5.0.
        ('pgmq', 'archive', '3412a211d0c5b5b178ddccb7e74c9339'),
        ('pgmq', 'archive', '4b62402a667bb8ddfbc5161c9d46b8aa'),
        ('pgmq', 'pop', '589305f66082b81aa71bbe664e4e9c75'),
        ('pgmq', 'read', '721ee129e98999f5017c9179c28e1912'),
        ('pgmq', 'read', '7637518ff76c11559687ca31b8c3ea85'),
        ('pgmq', 'send', 'ea62d369c3beb79125e18951fb3490ce'),
        ('pgmq', 'send_batch', 'f36d1d297f0ff2fa672aae243da9723f'),
        -- pgmq 1.5 to 1.10.
        ('pgmq', 'archive', '14cfeb09a61e1798c71c420e6f44abbe'),
        ('pgmq', 'archive', '9cfe6e81dc74f02e5ee4d7bb25274179'),
        ('pgmq', 'read', '055882d24707d1a0cd6f7678c652f90a'),
        ('pgmq', 'send_batch', 'cace85ea26eb90be56716645083f94da'),
        -- pgmq 1.5.1 to 1.6.
        ('pgmq', 'pop', '827b150fc62e78894e711ec9adfebf6f'),
        -- pgmq 1.7 to 1.9.
        ('pgmq', 'pop', 'e904c01b3f7efdccbab012964ddc5537'),
        ('pgmq', 'read', 'fdaa36fc6c598451b63097b5ed7a7cd5'),
        -- pgmq 1.5 to 1.13.
        ('pgmq', 'send', '16c55e88e3d558c4c48557b6fc7ac63e'),
        ('pgmq', 'send', '211bb2018c514a16fc7651a352cec29c'),
        ('pgmq', 'send', '31062165e87f4fa1957261fad0910ac3'),
        ('pgmq', 'send', '619a1bf3bcfc353ecb778422010263cf'),
        ('pgmq', 'send', '6762f04b5373396d5aec0ea86b820452'),
        ('pgmq', 'send', 'f43a2fa287fb21a1d05c328bb8e74b0d'),
        ('pgmq', 'send_batch', '41b39822d28e38dd3bd9a7dd84520b3b'),
        ('pgmq', 'send_batch', '5acffa67ab88bbc7ae78471113587b93'),
        ('pgmq', 'send_batch', '9e61f4322fada632df1dc8c54735beb5'),
        ('pgmq', 'send_batch', 'c7a7fb489662022fcaf8c74474451719'),
        ('pgmq', 'send_batch', 'faad0b6e8871d3ba47e27f14b1dc3b2e'),
        -- pgmq 1.11 to 1.13; read, pop and archive since 1.10.
        ('pgmq', '_send_batch', 'cace85ea26eb90be56716645083f94da'),
        ('pgmq', '_validate_batch_params', '121588dbdb25fb843bcb77703e5af145'),
        ('pgmq', 'archive', '9aa5a6294c3b5d88840c808e993da4b5'),
        ('pgmq', 'archive', 'a62c756fea26a66ad60cbfdecb23620c'),
        ('pgmq', 'pop', 'f44587545a722681aff2bc14aff61439'),
        ('pgmq', 'read', 'c2606cd35b92dfe75170f5b1eda042c8'),
        ('pgmq', 'send_batch', '745ba6ac053e018075593c6f28e7549f'),
        -- Supabase, for pgmq 1.4 and for later versions.
        ('pgmq_public', 'archive', '3322e6c40499a38f0959b22eb9ba6d15'),
        ('pgmq_public', 'delete', 'f3f2bab294149394cf62bc90b4e352e9'),
        ('pgmq_public', 'pop', 'a79324390c83fa827624bc2cdad51911'),
        ('pgmq_public', 'read', '02d94dec39b010e53cf0b71607d83b0d'),
        ('pgmq_public', 'read', 'b1d84831a1108f27e9d05244e88c17a4'),
        ('pgmq_public', 'read', 'dd7e868abc7191d5cbbcec559cbbc2b0'),
        ('pgmq_public', 'send', '66752a2b17cb1a5aa54bce8d4dfa2d86'),
        ('pgmq_public', 'send_batch', '010a6054a9392ba8899c497690b672f0'),
        -- The gateway.
        ('pgmq_public', 'archive', 'bbe1842b76ddf5f218a25badf4861a55'),
        ('pgmq_public', 'delete', 'caed971796ca4e6d228a20cfdde96301'),
        ('pgmq_public', 'pop', '5785c99a2199a661f40e158133d9b942'),
        ('pgmq_public', 'read', 'c98d818dad411b254b3e22f723a9c501'),
        ('pgmq_public', 'send', 'da4de259a110aa53c97805ec0802a05b'),
        ('pgmq_public', 'send_batch', '711e1164e5b3444cb556895e428eb9b7')
$known$;
revoke all on function pgmq_gateway.known_functions from public;
grant execute on function pgmq_gateway.known_functions to authenticator;

-- True if a function of pgmq_api or pgmq_settings is as the installer made it.
create or replace function pgmq_gateway.is_shipped(routine oid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $shipped$
    select exists (
        select
        from pg_proc as p
        join pg_namespace as n on n.oid = p.pronamespace
        join pg_language as l on l.oid = p.prolang
        join pgmq_gateway.shipped as s
            on s.kind = 'function' and s.schema = n.nspname::text and s.name = p.proname::text
            and s.arguments = pg_get_function_identity_arguments(p.oid)
        where p.oid = routine
          -- As the installer computes it.
          and s.md5 = md5(concat_ws(
              E'\n', p.prosrc, l.lanname, p.prosecdef, p.provolatile, p.proisstrict,
              array(select c from unnest(p.proconfig) as c where c like 'search_path=%'),
              pg_get_function_result(p.oid), pg_get_function_arguments(p.oid))));
$shipped$;
revoke all on function pgmq_gateway.is_shipped from public;
grant execute on function pgmq_gateway.is_shipped to authenticator;

-- The obstacles of a function itself: it, or a function of pgmq or pgmq_settings that it calls, is not known, or a
-- user-defined cast converts Postgres' own types.
--
-- functions  the names of all these functions
-- routines   those that a caller needs privileges on: not the overloads for other arguments
create or replace function pgmq_gateway.function_obstacles(
    function_name text, out obstacles text[], out functions text[], out routines oid[]
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $obstacles$
    with recursive called as (
        select
            case when function_name ~ '\.' then split_part(function_name, '.', 1) else 'pgmq_public' end as schema,
            split_part(function_name, '.', 1 + (function_name ~ '\.')::integer) as name
    ), routines as (
        select p.oid, n.nspname, p.proname, p.prosrc, p.proargtypes
        from pg_proc as p
        join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname in ('pgmq', 'pgmq_public', 'pgmq_api', 'pgmq_settings')
    ), used as (
        select r.* from called as c join routines as r on r.nspname = c.schema and r.proname = c.name
        union
        -- All overloads: which one is called depends on those that exist.
        select r.*
        from used as u
        cross join lateral regexp_matches(u.prosrc, '(pgmq|pgmq_settings)\.(\w+)\s*\(', 'gi') as c
        join routines as r on r.nspname = c[1] and r.proname = c[2]
    )
    select
        array(
            select format('Function %s is not that of pgmq or Supabase.', u.oid::regprocedure)
            from used as u
            where u.nspname in ('pgmq', 'pgmq_public') and not exists (
                select from pgmq_gateway.known_functions() as k
                where k.schema = u.nspname and k.name = u.proname and k.md5 = pgmq_gateway.function_md5(u.oid))
            union all
            select format('Function %s is not that of the gateway.', u.oid::regprocedure)
            from used as u
            where u.nspname in ('pgmq_api', 'pgmq_settings') and not pgmq_gateway.is_shipped(u.oid)
            union all
            select format('%s has %s functions named %s.', c.schema, count(u.oid), c.name)
            from called as c
            left join used as u on u.nspname = c.schema and u.proname = c.name
            group by c.schema, c.name
            having count(u.oid) <> 1
            union all
            -- It can take the place of a conversion by text that these functions, or those of policies, rely on.
            select format('The %s is not one of Postgres.', pg_describe_object('pg_cast'::regclass, c.oid, 0))
            from pg_cast as c
            where c.oid >= 16384 and c.castfunc <> 0 and c.castsource < 16384 and c.casttarget < 16384
            order by 1
        ),
        array(select name from called union select proname::text from used order by 1),
        array(
            select u.oid
            from used as u
            where u.nspname <> 'pgmq_settings'
              and format('%s(%s)', u.proname, oidvectortypes(u.proargtypes)) <> all (array[
                'send(text, jsonb)', 'send(text, jsonb, jsonb)', 'send(text, jsonb, timestamp with time zone)',
                'send(text, jsonb, jsonb, integer)', 'send_batch(text, jsonb[])', 'send_batch(text, jsonb[], jsonb[])',
                'send_batch(text, jsonb[], timestamp with time zone)', 'send_batch(text, jsonb[], jsonb[], integer)',
                'archive(text, bigint[])', 'delete(text, bigint[])'
            ])
            order by u.oid);
$obstacles$;
revoke all on function pgmq_gateway.function_obstacles from public;
grant execute on function pgmq_gateway.function_obstacles to authenticator;
