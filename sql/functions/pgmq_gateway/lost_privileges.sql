-- Supabase's privileges on pgmq that are missing, each with the statement that restores it.
--
-- A dump without privileges loses them (the privilege list is null), and so does dropping pgmq or its schema. Any other
-- change of a privilege list is the operator's and is kept. Privileges that the caller cannot grant are not returned.
-- The roles are those of grant_public_functions(). Default privileges that were revoked look like lost ones: those that
-- the installer has granted in this schema before, by record_default_privileges(), were revoked.
create or replace function pgmq_gateway.lost_privileges()
returns table (what text, statement text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $lost$
    with roles as (
        select
            string_agg(quote_ident(rolname), ', ' order by rolname) as all_roles,
            string_agg(quote_ident(rolname), ', ' order by rolname) filter (where rolname <> 'postgres') as callers
        from pg_roles
        where rolname in ('anon', 'authenticated', 'service_role', 'postgres')
    ), users (role, privileges) as (
        select u.* from (values ('postgres', 'all'), ('service_role', 'select, insert, update, delete')) as u
        where to_regrole(u.column1) is not null
    ), relations as (
        select
            c.oid::regclass as relation, c.relname, c.relkind, c.relacl is null as untouched,
            exists (select from aclexplode(c.relacl) as a where a.grantee = to_regrole('service_role')) as served
        from pg_class as c
        where c.relnamespace = to_regnamespace('pgmq') and c.relkind in ('r', 'p', 'S')
          and pg_has_role(c.relowner, 'usage')
    )
    select 'USAGE on schema pgmq for ' || r.all_roles, 'grant usage on schema pgmq to ' || r.all_roles
    from roles as r, pg_namespace as n
    where n.nspname = 'pgmq' and r.all_roles is not null and pg_has_role(n.nspowner, 'usage')
      and not exists (
          select from aclexplode(n.nspacl) as a
          where a.grantee in (to_regrole('anon'), to_regrole('authenticated'), to_regrole('service_role'))
      )
    union all
    select 'USAGE on schema pgmq_api for ' || r.callers, 'grant usage on schema pgmq_api to ' || r.callers
    from roles as r, pg_namespace as n
    where n.nspname = 'pgmq_api' and n.nspacl is null and r.callers is not null and pg_has_role(n.nspowner, 'usage')
    union all
    select
        format('privileges on table %s for %s', t.relation, u.role),
        format('grant %s on table %s to %s', u.privileges, t.relation, u.role)
    from users as u, relations as t
    where t.relkind <> 'S'
      and (t.untouched or (t.relname in ('meta', 'notify_insert_throttle', 'topic_bindings') and not t.served))
    union all
    select
        format('privileges on sequence %s for %s', s.relation, r.callers),
        format('grant usage, select, update on sequence %s to %s', s.relation, r.callers)
    from roles as r, relations as s
    where s.relkind = 'S' and s.untouched and r.callers is not null
    union all
    select
        format('default privileges on %s in schema pgmq for %s', d.objects, d.roles),
        format('alter default privileges in schema pgmq grant %s on %s to %s', d.privileges, d.objects, d.roles)
    from (
        select 'tables', 'r', u.privileges, u.role from users as u
        union all
        select 'sequences', 'S', 'usage, select, update', r.callers from roles as r
    ) as d (objects, kind, privileges, roles)
    where d.roles is not null and not exists (
        select from pg_default_acl as l, aclexplode(l.defaclacl) as a
        where l.defaclnamespace = to_regnamespace('pgmq')
          and l.defaclrole = to_regrole(quote_ident(current_user))
          and l.defaclobjtype = d.kind::"char"
          and a.grantee = to_regrole('service_role')
    ) and not exists (
        select from pgmq_gateway.install_options as o, pgmq_gateway.default_privileges_option() as present
        where o.name = present.name and o.value = present.value
    );
$lost$;
revoke all on function pgmq_gateway.lost_privileges from public;

-- The option that records that this role has granted default privileges in this schema, which differs from that of
-- another database and from a schema that was dropped and created again.
create or replace function pgmq_gateway.default_privileges_option(out name text, out value text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $option$
    select 'default privileges of ' || current_user, format('schema %s of database %s', n.oid, d.oid)
    from pg_namespace as n, pg_database as d
    where n.nspname = 'pgmq' and d.datname = current_database();
$option$;
revoke all on function pgmq_gateway.default_privileges_option from public;

create or replace function pgmq_gateway.record_default_privileges()
returns void
language sql
set search_path = pg_catalog, pg_temp
as $record$
    insert into pgmq_gateway.install_options (name, value)
    select o.name, o.value from pgmq_gateway.default_privileges_option() as o where o.name is not null
    on conflict (name) do update set value = excluded.value;
$record$;
revoke all on function pgmq_gateway.record_default_privileges from public;
