-- Who did what to what, when, from where, and what came of it.
create table audit_events (
  id integer primary key autoincrement,
  at integer not null,
  -- The name of whoever asked, as history has it.
  actor text not null,
  action text not null,
  -- The repository, account, group, grant, … it was done to; '' where there is none.
  target text not null,
  repository text,
  -- Where it came from; null for what Berth does by itself.
  address text,
  result text not null check (result in ('done', 'refused', 'failed')),
  -- JSON: what else there is to say.
  details text not null
) strict;

create index audit_events_at_idx on audit_events (at);

create index audit_events_actor_idx on audit_events (actor, id);

create index audit_events_action_idx on audit_events (action, id);

create index audit_events_repository_idx on audit_events (repository, id) where repository is not null;
