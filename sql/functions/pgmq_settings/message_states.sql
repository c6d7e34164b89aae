-- The states of the messages that are in a queue, each as a condition on a row named q. `present` is the SQL of the
-- time that decides. A message is parked while its group is full: see groups.sql.
create or replace function pgmq_settings.message_states(present text)
returns table (state text, condition text)
language sql
stable
set search_path = pg_catalog, pg_temp
as $states$
    values
        ('visible', format('q.vt <= %s', present)),
        ('delayed', format('q.vt > %s and q.vt < ''infinity'' and q.read_ct = 0', present)),
        ('in_flight', format('q.vt > %s and q.vt < ''infinity'' and q.read_ct > 0', present)),
        ('parked', 'q.vt = ''infinity''');
$states$;
revoke all on function pgmq_settings.message_states from public;
grant execute on function pgmq_settings.message_states to anon, authenticated, service_role, pgmq_definer;

-- The condition of one state.
create or replace function pgmq_settings.state_condition(state text, present text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $condition$
    select s.condition from pgmq_settings.message_states(present) as s where s.state = state_condition.state;
$condition$;
revoke all on function pgmq_settings.state_condition from public;
grant execute on function pgmq_settings.state_condition to anon, authenticated, service_role, pgmq_definer;

-- An expression for the state of a row named q.
create or replace function pgmq_settings.state_expression(present text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $expression$
    select format('case %s end', string_agg(format('when %s then %L', s.condition, s.state), ' '))
    from pgmq_settings.message_states(present) as s;
$expression$;
revoke all on function pgmq_settings.state_expression from public;
grant execute on function pgmq_settings.state_expression to anon, authenticated, service_role;

-- Expressions that count the visible, the delayed, the rows in flight and the parked ones, in this order.
create or replace function pgmq_settings.state_counts(present text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $counts$
    select string_agg(format('count(*) filter (where %s)', s.condition), ', ')
    from pgmq_settings.message_states(present) as s;
$counts$;
revoke all on function pgmq_settings.state_counts from public;
grant execute on function pgmq_settings.state_counts to anon, authenticated, service_role;

-- True if a filter is about the archive, whose messages have the state archived.
create or replace function pgmq_settings.is_about_archive(filter jsonb)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $archive$
    select coalesce(filter ->> 'state' = 'archived', false);
$archive$;
revoke all on function pgmq_settings.is_about_archive from public;
grant execute on function pgmq_settings.is_about_archive to anon, authenticated, service_role;
