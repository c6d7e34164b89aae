-- A claim, or a member of a message, as an SQL expression. `a.b` is b inside a; a name with other characters than those
-- of words and dots, such as a URL, is one name.
create or replace function pgmq_gateway.member_expression(value text, name text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $expression$
    select case
        when name ~ '^\w+(\.\w+)+$' then format('%s #>> %L', value, string_to_array(name, '.')::text)
        else format('%s ->> %L', value, name)
    end;
$expression$;
revoke all on function pgmq_gateway.member_expression from public;

-- The condition of a template's policy.
create or replace function pgmq_gateway.template_condition(
    template text, queue_table regclass, command "char", claim text, member text
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $condition$
    select case
        when template in ('own_messages', 'tenant') then format(
            -- In a scalar subquery the claim is read once, not for each row.
            '%s = (select %s)',
            pgmq_gateway.member_expression('message', member),
            pgmq_gateway.member_expression('nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb', claim))
        -- pgmq's INSERT returns the id, so a sender needs a SELECT policy for its new row, and a policy cannot know
        -- whose row that is. So all rows are allowed, but only while the role has no privilege on more of them than the
        -- id.
        when template = 'producer' and command = 'r' then format(
            '(select not (has_column_privilege(%1$L::regclass, ''message'', ''select'')'
            ' or has_column_privilege(%1$L::regclass, ''headers'', ''select'')))',
            queue_table)
        else 'true'
    end;
$condition$;
revoke all on function pgmq_gateway.template_condition from public;

-- The name of a template's policy. It differs for each role, command, claim and member.
create or replace function pgmq_gateway.template_policy_name(
    template text, role name, command text, claim text, member text
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $name$
    select case
        when octet_length(long.name) < 64 then long.name
        else format('%s %s %s', template, command, md5(long.name))
    end
    from (
        select format('%s of %s: %s', template, role, command)
            || case when claim is null then '' else format(' where %s = %s', member, claim) end
    ) as long (name);
$name$;
revoke all on function pgmq_gateway.template_policy_name from public;

-- Raises unless a template can be applied. Returns claim, member and operations, with the template's defaults.
create or replace function pgmq_gateway.check_template(
    template text, queue_table regclass, role name, inout claim text, inout member text,
    inout operations text[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $check$
declare
    id constant oid := to_regrole(quote_ident(role));
    takes jsonb;
    allowed text[];
begin
    select t.parameters, t.operations into takes, allowed
    from pgmq_admin.policy_templates() as t where t.template = check_template.template;
    if takes is null then
        raise exception 'template "%" is unknown', coalesce(template, '') using
            errcode = 'invalid_parameter_value',
            hint = 'Use own_messages, tenant, consumer or producer.';
    elsif takes = '[]' and (claim is not null or member is not null) then
        raise exception 'template "%" takes neither claim nor member', template using
            errcode = 'invalid_parameter_value',
            hint = 'Leave them out, or use own_messages or tenant.';
    end if;
    claim := coalesce(claim, jsonb_path_query_first(takes, '$[*] ? (@.name == "claim").default') #>> '{}');
    member := coalesce(member, jsonb_path_query_first(takes, '$[*] ? (@.name == "member").default') #>> '{}');
    if '' in (claim, member) then
        raise exception 'claim and member must not be empty' using
            errcode = 'invalid_parameter_value', hint = 'Leave them out for the defaults.';
    elsif claim ~ '^(user|raw_user_meta)_?(meta)?data(\.|$)' then
        raise exception 'claim "%" cannot be trusted', claim using
            errcode = 'invalid_parameter_value',
            detail = 'Users can change their own user_metadata.',
            hint = 'Use sub, or a claim inside app_metadata.';
    elsif not pgmq_gateway.policies_apply(queue_table, id) then
        raise exception 'a policy on % would not apply to role "%"', queue_table, role using
            errcode = 'invalid_parameter_value',
            hint = case
                when (select relrowsecurity from pg_class where oid = queue_table)
                then 'The role bypasses row-level security: use another one.'
                else 'Turn row-level security on first: pgmq_admin.set_rls(queue_name, true).'
            end;
    elsif template = 'producer' and (
        has_column_privilege(id, queue_table, 'message', 'SELECT')
        or has_column_privilege(id, queue_table, 'headers', 'SELECT')
    ) then
        raise exception 'role "%" can read messages of %, so it cannot be a producer', role, queue_table using
            errcode = 'invalid_parameter_value',
            hint = 'Revoke its operations first with pgmq_admin.revoke_queue(), or use own_messages.';
    end if;
    operations := coalesce(operations, allowed);
    perform pgmq_gateway.check_operations(operations);
    if not operations <@ allowed then
        raise exception 'template "%" does not allow all of these operations: %',
            template, array_to_string(operations, ', ')
        using
            errcode = 'invalid_parameter_value', hint = format('It allows %s.', array_to_string(allowed, ', '));
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_template from public;
