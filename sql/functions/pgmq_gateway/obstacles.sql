-- Why calls on tables cannot share a transaction: what these tables run that could leave something behind.
--
-- In PL/pgSQL, because planning these queries takes longer than running them.

-- The expressions that Postgres evaluates for a table.
--
-- written        whether the calls write the table; tables that policies read are only read
-- class, object  as in pg_depend
create or replace function pgmq_gateway.expressions(relation oid, written boolean)
returns table (class oid, object oid, title text, tree text)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $expressions$
#variable_conflict use_column
begin
    return query
    select
        'pg_policy'::regclass::oid, p.oid, format('Policy %I of %s', p.polname, relation::regclass),
        concat_ws(' ', p.polqual, p.polwithcheck)
    from pg_policy as p
    where p.polrelid = relation
    union all
    select
        'pg_attrdef'::regclass, d.oid, format('The default of column %I of %s', a.attname, relation::regclass),
        d.adbin::text
    from pg_attrdef as d
    join pg_attribute as a on a.attrelid = d.adrelid and a.attnum = d.adnum
    where d.adrelid = relation and (written or a.attgenerated <> '')
    union all
    select
        'pg_constraint'::regclass, c.oid, format('Constraint %I of %s', c.conname, relation::regclass), c.conbin::text
    from pg_constraint as c
    where c.conrelid = relation and written and c.conbin is not null
    union all
    select
        'pg_class'::regclass, i.indexrelid, format('Index %s', i.indexrelid::regclass),
        concat_ws(' ', i.indexprs, i.indpred)
    from pg_index as i
    where i.indrelid = relation and written;
end;
$expressions$;
revoke all on function pgmq_gateway.expressions from public;
grant execute on function pgmq_gateway.expressions to authenticator;

-- The references of an object, by pg_depend and by the node trees of its expressions.
--
-- title  of the expression, if the object is a table
create or replace function pgmq_gateway.referred(class oid, object oid, written boolean)
returns table (title text, ref_class oid, ref_object oid)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $referred$
#variable_conflict use_column
begin
    return query
    with code as (
        select e.class, e.object, e.title, e.tree
        from pgmq_gateway.expressions(referred.object, written) as e
        where referred.class = 'pg_class'::regclass
        union all
        select referred.class, referred.object, null, concat_ws(' ', p.prosqlbody, p.proargdefaults)
        from pg_proc as p
        where referred.class = 'pg_proc'::regclass and p.oid = referred.object and p.oid >= 16384
        union all
        select referred.class, referred.object, format('Table %s', referred.object::regclass), ''
        where referred.class = 'pg_class'::regclass and written
    )
    select c.title, d.refclassid, d.refobjid
    from code as c
    join pg_depend as d on d.classid = c.class and d.objid = c.object
    union
    select c.title, 'pg_proc'::regclass::oid, r[1]::oid
    from code as c, regexp_matches(c.tree, ':(?:funcid|aggfnoid|winfnoid) (\d+)', 'g') as r
    union
    select c.title, 'pg_class'::regclass::oid, r[1]::oid
    from code as c, regexp_matches(c.tree, ':relid (\d+)', 'g') as r
    where r[1] <> '0';
end;
$referred$;
revoke all on function pgmq_gateway.referred from public;
grant execute on function pgmq_gateway.referred to authenticator;

-- The triggers of the setting wake on some tables. They are no obstacle: they wait for no other transaction, and leave
-- nothing that a caller can see. By name, because the login role may not use the schema pgmq_settings.
create or replace function pgmq_gateway.wake_triggers(tables oid[])
returns table (trigger oid, function name)
language sql
stable
set search_path = pg_catalog, pg_temp
as $triggers$
    select t.oid, p.proname
    from pg_trigger as t
    join pg_proc as p on p.oid = t.tgfoid
    join pg_namespace as n on n.oid = p.pronamespace
    where t.tgrelid = any (tables) and n.nspname = 'pgmq_settings' and p.proname = 'notify_wake'
      -- After an insert, for each statement.
      and t.tgtype = 4 and t.tgqual is null and not t.tgdeferrable and pgmq_gateway.is_shipped(p.oid);
$triggers$;
revoke all on function pgmq_gateway.wake_triggers from public;
grant execute on function pgmq_gateway.wake_triggers to authenticator;

-- Why a table itself is an obstacle, apart from its expressions.
create or replace function pgmq_gateway.table_faults(relation oid, written boolean)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $faults$
#variable_conflict use_column
begin
    return query
    select 'is not an ordinary table'
    from pg_class as c
    -- pgmq.message_record is a row type. A default can refer to a sequence.
    where c.oid = relation and c.relkind not in ('r', 'c', 'S')
    union all
    select 'inherits or is inherited'
    where exists (select from pg_inherits as i where relation in (i.inhrelid, i.inhparent))
    union all
    select format('has the rule %I', r.rulename)
    from pg_rewrite as r
    where r.ev_class = relation and r.rulename <> '_RETURN'
    union all
    select format('has the foreign key %I', c.conname)
    from pg_constraint as c
    where written and c.contype = 'f' and relation in (c.conrelid, c.confrelid)
    union all
    select format('has the trigger %I', t.tgname)
    from pg_trigger as t
    where written and t.tgrelid = relation
      and t.oid not in (select w.trigger from pgmq_gateway.wake_triggers(array[relation]) as w)
      and not exists (select from pg_constraint as c where c.oid = t.tgconstraint and c.contype = 'f')
    union all
    select format('has the constraint %s, which is deferrable or an exclusion', i.indexrelid::regclass)
    from pg_index as i
    where written and i.indrelid = relation and (i.indisexclusion or not i.indimmediate)
    union all
    -- Each transaction would hold the keys of all its calls. Index expressions have no attribute.
    select format('has the unique index %s, at which two transactions could deadlock', i.indexrelid::regclass)
    from pg_index as i
    left join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where written and i.indrelid = relation and i.indisunique
      and (i.indnkeyatts > 1 or a.attname is distinct from 'msg_id');
end;
$faults$;
revoke all on function pgmq_gateway.table_faults from public;
grant execute on function pgmq_gateway.table_faults to authenticator;

-- The obstacles of tables that calls write, and of what these tables use in turn.
--
-- writing         false: the calls only read the tables
-- obstacles       sentences
-- relations       the tables, and those that their policies read
-- functions       the names of functions and operators that they use
-- fusible         whether nothing in them distinguishes one statement for several calls from several (`distinguishes_calls`)
-- reads_requests  whether that requires equal headers, cookies, paths and methods
create or replace function pgmq_gateway.table_obstacles(
    tables oid[],
    writing boolean default true,
    out obstacles text[],
    out relations oid[],
    out functions text[],
    out fusible boolean,
    out reads_requests boolean
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $obstacles$
#variable_conflict use_column
declare
    changed constant oid[] := case when writing then tables else '{}' end;
    -- With their sequences: a policy can read them too.
    written constant oid[] := tables || array(
        select d.objid
        from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = any (tables)
          and d.deptype in ('a', 'i'));
begin
    with recursive used (title, class, object) as (
        select null::text, 'pg_class'::regclass::oid, t.oid from unnest(tables) as t (oid)
        union
        select coalesce(u.title, r.title), r.ref_class, r.ref_object
        from used as u
        cross join lateral pgmq_gateway.referred(u.class, u.object, u.object = any (changed)) as r
        where u.class in ('pg_class'::regclass, 'pg_proc'::regclass) and u.object >= 16384
          and not (r.ref_class = 'pg_class'::regclass and r.ref_object = any (tables))
    ), relations as (
        select distinct object as oid from used where class = 'pg_class'::regclass
    ), routines as (
        select f.title, f.oid, p.proname, c.faults, c.names
        from (select title, object from used where class = 'pg_proc'::regclass) as f (title, oid)
        join pg_proc as p on p.oid = f.oid
        cross join lateral pgmq_gateway.function_faults(f.oid) as c
    ), sentences (sentence) as (
        select format('Table %s %s.', r.oid::regclass, f.fault)
        from relations as r, pgmq_gateway.table_faults(r.oid, r.oid = any (changed)) as f (fault)
        -- Policies of a partitioned table apply to all that is read by its name.
        where writing or r.oid <> all (tables)
        union all
        select format('%s %s.', e.title, f.fault)
        from relations as r, pgmq_gateway.expressions(r.oid, r.oid = any (changed)) as e,
            unnest(pgmq_gateway.tree_faults(e.tree)) as f (fault)
        union all
        select format('%s calls %s, which %s.', r.title, r.oid::regprocedure, f.fault)
        from routines as r, unnest(r.faults) as f (fault)
        union all
        select format('%s uses %s.', u.title, pg_describe_object(u.class, u.object, 0))
        from used as u
        left join pg_type as t on u.class = 'pg_type'::regclass and t.oid = u.object
        where case u.class
            when 'pg_type'::regclass then not pgmq_gateway.is_plain_type(t.oid) and t.typrelid <> all (tables)
            else u.class not in (
                'pg_class'::regclass, 'pg_proc'::regclass, 'pg_namespace'::regclass, 'pg_language'::regclass,
                'pg_constraint'::regclass, 'pg_collation'::regclass, 'pg_extension'::regclass)
        end
    ), code (text, per_row) as (
        select e.tree, e.class = 'pg_attrdef'::regclass
        from relations as r, pgmq_gateway.expressions(r.oid, r.oid = any (changed)) as e
        union all
        select concat_ws(' ', coalesce(p.prosqlbody::text, p.prosrc), p.proargdefaults), false
        from routines as r
        join pg_proc as p on p.oid = r.oid
        where r.oid >= 16384
    )
    select
        array(select distinct sentence from sentences order by 1),
        array(select oid from relations where oid >= 16384 order by 1),
        array(
            select proname::text from routines where oid >= 16384
            union
            select n from routines, unnest(names) as n
            union
            select w.function from pgmq_gateway.wake_triggers(tables) as w
            order by 1),
        not exists (select from code as c where pgmq_gateway.distinguishes_calls(c.text, written, c.per_row)),
        exists (
            select from code as c where pgmq_gateway.reads_other_settings(c.text, array['request.jwt.', 'app.']))
    into obstacles, relations, functions, fusible, reads_requests;
end;
$obstacles$;
revoke all on function pgmq_gateway.table_obstacles from public;
grant execute on function pgmq_gateway.table_obstacles to authenticator;
