-- The tables of pgmq in which rows are deleted and that have no replica identity, each with the statement that sets it.
--
-- Why: pgmq's tables have unique indexes and no primary keys. With a publication FOR ALL TABLES Postgres refuses to
-- delete a row that subscribers cannot identify, so no queue could be dropped. A replica identity that was
-- set is kept. Tables of other owners are not returned.
create or replace function pgmq_gateway.missing_replica_identities()
returns table (what text, statement text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $missing$
    select
        format('replica identity of table %s', c.oid::regclass),
        format('alter table %s replica identity using index %I', c.oid::regclass, i.index)
    from pg_class as c
    cross join lateral (
        select min(x.relname) as index
        from pg_index as u
        join pg_class as x on x.oid = u.indexrelid
        where u.indrelid = c.oid and u.indisunique and u.indisvalid and u.indimmediate and not u.indisprimary
          and u.indpred is null and u.indexprs is null
          and not exists (
              select from unnest(u.indkey) as k (number)
              join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.number and not a.attnotnull
          )
    ) as i
    where c.relnamespace = to_regnamespace('pgmq') and c.relname in ('meta', 'topic_bindings') and c.relkind = 'r'
      and c.relreplident = 'd' and i.index is not null and pg_has_role(c.relowner, 'usage')
      and not exists (select from pg_index as p where p.indrelid = c.oid and p.indisprimary);
$missing$;
revoke all on function pgmq_gateway.missing_replica_identities from public;
