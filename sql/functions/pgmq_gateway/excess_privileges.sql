-- Privileges on tables of pgmq and of the gateway that roles of requests have and no call needs.
--
-- Why: with TRIGGER a role can add code that other roles run when they write the table, with REFERENCES it can block
-- deletes, and with TRUNCATE or MAINTAIN lock a table against everyone. Supabase grants ALL to service_role.

-- One row for each table and role other than its owner, and for each default privilege for new tables in the schema
-- pgmq.
--
-- place       the table, or the new tables of a role
-- on_table    null for default privileges
-- grantor     the role that can revoke them
-- grantee     `public` for all roles
-- revocation  the statement that revokes them; null where the current role cannot run it
create or replace function pgmq_gateway.excess_privileges()
returns table (place text, on_table regclass, grantor name, grantee name, privileges text, revocation text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $excess$
    with granted as (
        select c.oid as relation, c.relowner as owner, a.grantor, a.grantee, a.privilege_type as privilege
        from pg_class as c
        cross join lateral (
            select c.relacl as acl
            union all
            select t.attacl from pg_attribute as t where t.attrelid = c.oid and t.attacl is not null
        ) as p
        cross join aclexplode(p.acl) as a
        where c.relnamespace in (
              to_regnamespace('pgmq'), to_regnamespace('pgmq_gateway'), to_regnamespace('pgmq_settings'))
          and c.relkind in ('r', 'p', 'f', 'v', 'm')
        union all
        select null, d.defaclrole, a.grantor, a.grantee, a.privilege_type
        from pg_default_acl as d, aclexplode(d.defaclacl) as a
        where d.defaclnamespace = to_regnamespace('pgmq') and d.defaclobjtype = 'r'
    ), excess as (
        select
            g.relation, g.grantor, coalesce(r.role, 'public') as role,
            case g.grantee when 0 then 'public' else quote_ident(r.role) end as quoted,
            g.grantor = g.owner and pg_has_role(g.owner, 'usage') as revocable,
            string_agg(distinct g.privilege, ', ' order by g.privilege) as privileges
        from granted as g
        left join pgmq_gateway.caller_roles() as r on r.oid = g.grantee
        where g.privilege in ('TRIGGER', 'REFERENCES', 'TRUNCATE', 'MAINTAIN')
          and (g.grantee = 0 or r.oid is not null)
          and g.grantee <> g.owner
        group by g.relation, g.owner, g.grantor, g.grantee, r.role
    )
    select
        coalesce('table ' || e.relation::regclass, format('new tables of %s in schema pgmq', e.grantor::regrole)),
        e.relation, pg_get_userbyid(e.grantor), e.role, e.privileges,
        case
            when not e.revocable then null
            when e.relation is null then format(
                'alter default privileges for role %s in schema pgmq revoke %s on tables from %s',
                e.grantor::regrole, e.privileges, e.quoted)
            else format('revoke %s on table %s from %s', e.privileges, e.relation::regclass, e.quoted)
        end
    from excess as e
    order by e.relation is null, 1, 4;
$excess$;
revoke all on function pgmq_gateway.excess_privileges from public;

-- True if the operator wants roles of requests to keep these privileges.
create or replace function pgmq_gateway.keeps_excess_privileges()
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $keeps$
    select coalesce((select o.value::boolean from pgmq_gateway.install_options as o where o.name = 'keep_trigger'), false);
$keeps$;
revoke all on function pgmq_gateway.keeps_excess_privileges from public;
