-- Who did what to what, when, from where, and what came of it.
create table audit_events (
  id integer primary key autoincrement,
  at integer not null,
  -- The name of whoever asked, as history has it.
  actor text not null,
  action text not null,
  -- The tag, digest, account, group, grant, … it was done to; '' where there is none.
  target text not null,
  repository text,
  -- Where it came from; null for what Berth does by itself.
  address text,
  result text not null check (result in ('done', 'refused', 'failed')),
  -- JSON: what else there is to say.
  details text not null
) strict;

-- Each goes on in the order of time, and at the same time in that of the ids.
create index audit_events_at_idx on audit_events (at);

create index audit_events_actor_idx on audit_events (actor, at);

create index audit_events_action_idx on audit_events (action, at);

create index audit_events_repository_idx on audit_events (repository, at) where repository is not null;

-- Few, and what people look for.
create index audit_events_result_idx on audit_events (result, at) where result <> 'done';
