-- Functions that rows.json calls to see what the queue functions cannot show.
create function public.raise_state(state text, message text default 'no') returns void language plpgsql as
$$ begin raise exception using errcode = state, message = raise_state.message, detail = 'why', hint = 'how'; end $$;
create function public.raise_plain(state text, message text) returns void language plpgsql as
$$ begin raise exception using errcode = state, message = raise_plain.message; end $$;
create function public.raise_pgrst(message text, detail text default null) returns void language plpgsql as
$$ begin
  if detail is null then raise sqlstate 'PGRST' using message = raise_pgrst.message;
  else raise sqlstate 'PGRST' using message = raise_pgrst.message, detail = raise_pgrst.detail; end if; end $$;
create function public.respond(headers text default null, status text default null) returns text language plpgsql as
$$ begin
  if headers is not null then perform set_config('response.headers', headers, true); end if;
  if status is not null then perform set_config('response.status', status, true); end if;
  return 'done'; end $$;
create function public.setting(name text) returns text language sql stable as $$ select current_setting(name, true) $$;
create function public.setting_volatile(name text) returns text language sql volatile as $$ select current_setting(name, true) $$;
create function public.nothing() returns void language sql as $$ $$;
create function public.no_value() returns text language sql immutable as $$ select null::text $$;
create function public.one_record(out a int, out b text) language sql stable as $$ select 1, 'x' $$;
create function public.numbers(n int) returns setof int language sql stable as $$ select generate_series(1, n) $$;
create function public.pairs(n int) returns table (i int, t text, j jsonb) language sql stable as
$$ select i, case when i % 2 = 0 then 't,"' || i end, jsonb_build_object('i', i, 'n', null, 'a b', 'x', 'arr', jsonb_build_array(1, i)) from generate_series(1, n) i $$;
create function public.variadic_sum(variadic v int[]) returns int language sql immutable as $$ select sum(x)::int from unnest(v) x $$;
create function public.whole(json) returns json language sql immutable as $$ select $1 $$;
create function public.whole_text(text) returns text language sql immutable as $$ select $1 $$;
create function public.overload(a int) returns int language sql immutable as $$ select 1 $$;
create function public.overload(a text) returns int language sql immutable as $$ select 2 $$;
create function public.when_is_it() returns timestamptz language sql stable as $$ select '2026-01-02 03:04:05.6+00'::timestamptz $$;
create function public.flag() returns boolean language sql stable as $$ select true $$;
create function public.array_back(a int[]) returns int[] language sql immutable as $$ select a $$;
create function public.slow() returns void language sql as $$ select pg_sleep(2) $$;
create role timed nologin; alter role timed set statement_timeout = '300ms'; grant timed to authenticator; grant usage on schema public to timed;
create role stranger nologin; grant stranger to authenticator; revoke stranger from authenticator;
comment on function public.numbers(int) is E'Counts.\n\nFrom one on.';
grant execute on all functions in schema public to public;
