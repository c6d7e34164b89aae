-- The schema of the extension pg_partman; null where the database does not have it.
create or replace function pgmq_gateway.partman_schema()
returns name
language sql
stable
set search_path = pg_catalog, pg_temp
as $partman$
    select n.nspname
    from pg_extension as e
    join pg_namespace as n on n.oid = e.extnamespace
    where e.extname = 'pg_partman';
$partman$;
revoke all on function pgmq_gateway.partman_schema from public;

-- pg_partman's table of partitioned tables; null where the database does not have it.
create or replace function pgmq_gateway.partman_config()
returns regclass
language sql
stable
set search_path = pg_catalog, pg_temp
as $config$
    select to_regclass(format('%I.part_config', s)) from pgmq_gateway.partman_schema() as s where s is not null;
$config$;
revoke all on function pgmq_gateway.partman_config from public;

-- Raises unless both intervals are numbers of messages, or both times, and make 1 to 1000 partitions.
create or replace function pgmq_gateway.check_partitioning(partition_interval text, retention_interval text)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $check$
declare
    max_partitions constant integer := 1000;
    partitions numeric;
begin
    if partition_interval ~ '^[0-9]{1,9}$' and retention_interval ~ '^[0-9]{1,18}$' then
        partitions := retention_interval::numeric / greatest(partition_interval::numeric, 0.001);
        if partition_interval::integer < 10 then
            raise exception 'partition_interval "%" is too small', partition_interval using
                errcode = 'invalid_parameter_value', hint = 'Use 10 messages or more.';
        end if;
    else
        begin
            if partition_interval ~ '^\s*[0-9]*\s*$' or retention_interval ~ '^\s*[0-9]*\s*$' then
                raise invalid_datetime_format;
            end if;
            partitions := extract(epoch from retention_interval::interval)
                / greatest(extract(epoch from partition_interval::interval), 0.001);
        exception
            when invalid_datetime_format or datetime_field_overflow or interval_field_overflow then
                partitions := null;
        end;
        if partitions is null then
            raise exception 'partition_interval "%" and retention_interval "%" are not of one kind',
                partition_interval, retention_interval using
                errcode = 'invalid_parameter_value',
                hint = 'Use numbers of messages for both ("10000", "100000"), or times for both ("1 day", "7 days").';
        end if;
        if partition_interval::interval < '1 minute' then
            raise exception 'partition_interval "%" is too short', partition_interval using
                errcode = 'invalid_parameter_value', hint = 'Use one minute or more.';
        end if;
    end if;
    if partitions < 1 or partitions > max_partitions then
        raise exception 'a retention of % in partitions of % makes % partitions',
            retention_interval, partition_interval, trunc(partitions, 1) using
            errcode = 'invalid_parameter_value',
            hint = format('Use intervals that make 1 to %s.', max_partitions);
    end if;
end;
$check$;
revoke all on function pgmq_gateway.check_partitioning from public;

-- Creates a partitioned queue, with the indexes that pgmq does not create: without one on vt each read would sort all
-- messages, and, partitioned by time, without one on msg_id each delete would scan them all. Future partitions inherit
-- the indexes from the parent and the storage parameters from pg_partman's template. Row-level security of a partition
-- only matters to statements that name it, which service_role alone has the privileges for: a second line of defence.
create or replace function pgmq_gateway.create_partitioned(
    queue_name text, partition_interval text, retention_interval text, rls boolean
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $create$
declare
    partman constant text := pgmq_gateway.partman_schema();
    template text;
    leaf regclass;
begin
    if partman is null then
        raise exception 'partitioned queues need the extension pg_partman, which this database does not have' using
            errcode = 'feature_not_supported',
            hint = case
                when exists (select from pg_catalog.pg_available_extensions where name = 'pg_partman')
                    then 'As a superuser run "create schema partman; create extension pg_partman schema partman".'
                else 'Install it on the server (Debian: postgresql-NN-partman), or use type basic.'
            end;
    end if;
    perform pgmq_gateway.check_partitioning(partition_interval, retention_interval);
    perform pgmq.create_partitioned(queue_name, partition_interval, retention_interval);
    execute format('create index %I on pgmq.%I (vt)', 'q_' || queue_name || '_vt_idx', 'q_' || queue_name);
    if partition_interval !~ '^[0-9]+$' then
        execute format('create index on pgmq.%I (msg_id)', 'q_' || queue_name);
        execute format('create index on pgmq.%I (msg_id)', 'a_' || queue_name);
    end if;
    execute format('select template_table from %I.part_config where parent_table = $1', partman)
        into template using 'pgmq.q_' || queue_name;
    if template is not null then
        execute format(
            'alter table %I.%I set (%s)',
            split_part(template, '.', 1), split_part(template, '.', 2), pgmq_gateway.queue_storage());
    end if;
    for leaf in select relid from pg_partition_tree(format('pgmq.%I', 'q_' || queue_name)) where isleaf loop
        execute format('alter table %s set (%s)', leaf, pgmq_gateway.queue_storage());
        if rls then
            execute format('alter table %s enable row level security', leaf);
        end if;
    end loop;
end;
$create$;
revoke all on function pgmq_gateway.create_partitioned from public;

-- Drops pg_partman's templates of a queue. pgmq.drop_queue keeps them, and a new queue of that name would get their
-- indexes.
create or replace function pgmq_gateway.drop_templates(queue_name text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $drop$
declare
    partman constant text := pgmq_gateway.partman_schema();
    template text;
begin
    if partman is null then
        return;
    end if;
    for template in execute format(
        'select template_table from %I.part_config where parent_table = any ($1) and template_table is not null', partman
    ) using array['pgmq.' || lower('q_' || queue_name), 'pgmq.' || lower('a_' || queue_name)]
    loop
        execute format('drop table if exists %I.%I', split_part(template, '.', 1), split_part(template, '.', 2));
    end loop;
end;
$drop$;
revoke all on function pgmq_gateway.drop_templates from public;
