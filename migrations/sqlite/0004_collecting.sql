-- What was deleted or overwritten can be brought back for a while; what nobody can come back to is
-- collected, and its bytes are freed.

-- Shown in the catalog: for as long as it has a manifest that is not deleted, or a description.
alter table repositories add column listed integer not null default 1 check (listed in (0, 1));

alter table repositories add column description text not null default '';

-- Of its manifests that are not deleted, and of the blobs these refer to; those that other
-- repositories have too count in full.
alter table repositories add column logical_bytes integer not null default 0;

create index repositories_listed_idx on repositories (name) where listed = 1;

-- A deleted repository gives its name back: until it is restored, or collected, it is called # and
-- its id, which no name begins with and which sorts before all of them.
create table deleted_repositories (
  repository_id integer primary key references repositories (id),
  name text not null,
  deleted_at integer not null,
  deleted_by text not null
) strict;

create index deleted_repositories_name_idx on deleted_repositories (name, deleted_at);

create index deleted_repositories_deleted_idx on deleted_repositories (deleted_at);

drop trigger repositories_name_insert;

drop trigger repositories_name_delete;

-- Search shows what the catalog shows.
create trigger repositories_name_insert after insert on repositories
when new.listed = 1 and new.name not like '#%' begin
  insert into repository_names (rowid, name) values (new.id, new.name);
end;

create trigger repositories_name_delete after delete on repositories
when old.listed = 1 and old.name not like '#%' begin
  insert into repository_names (repository_names, rowid, name) values ('delete', old.id, old.name);
end;

create trigger repositories_name_update after update of name, listed on repositories
when old.name <> new.name or old.listed <> new.listed begin
  insert into repository_names (repository_names, rowid, name)
  select 'delete', old.id, old.name where old.listed = 1 and old.name not like '#%';
  insert into repository_names (rowid, name)
  select new.id, new.name where new.listed = 1 and new.name not like '#%';
end;

-- Every move, delete and restore. tag is '' where it is about a manifest or the repository itself.
alter table tag_history rename to history;

alter table history add column action text not null default 'moved' check (
  action in ('moved', 'deleted', 'restored', 'repository deleted', 'repository restored')
);

update history set action = 'deleted' where to_digest is null;

drop index tag_history_changed_idx;

drop index tag_history_tag_idx;

create index history_tag_idx on history (repository_id, tag, id);

create index history_repository_idx on history (repository_id, id);

-- The tags that the delete of a manifest took along.
create index history_deleted_idx on history (repository_id, from_digest, changed_at, tag)
where action = 'deleted';

-- When it last lost what kept it without being deleted: a tag, an index, its subject.
alter table manifests add column released_at integer;

-- When it was last asked for, to the minute.
alter table manifests add column pulled_at integer;

create index manifests_live_idx on manifests (repository_id, digest) where deleted_at is null;

create index manifests_deleted_idx on manifests (repository_id, deleted_at)
where deleted_at is not null;

-- 1: a manifest of the repository that is not deleted refers to it, and its size is in logical_bytes.
alter table repository_blobs add column counted integer not null default 0
check (counted in (0, 1));

update repository_blobs set counted = 1 where exists (
  select 1 from manifest_references r join manifests m on m.id = r.manifest_id
  where r.digest = repository_blobs.digest and r.repository_id = repository_blobs.repository_id
    and m.deleted_at is null
);

update repositories set
  listed = exists (
    select 1 from manifests m where m.repository_id = repositories.id and m.deleted_at is null
  ),
  logical_bytes = (
    select coalesce(sum(m.size_bytes), 0) from manifests m
    where m.repository_id = repositories.id and m.deleted_at is null
  ) + (
    select coalesce(sum(b.size_bytes), 0) from repository_blobs rb join blobs b using (digest)
    where rb.repository_id = repositories.id and rb.counted = 1
  );

-- Leases and reviews may outlive their repository: they are only ever asked for by their digest.
create table new_leases (
  digest text not null,
  repository_id integer not null,
  expires_at integer not null,
  -- 1: a manifest that needs the digest has come since it was taken.
  fulfilled integer not null default 0 check (fulfilled in (0, 1)),
  primary key (digest, repository_id)
) strict, without rowid;

insert into new_leases (digest, repository_id, expires_at)
select digest, repository_id, expires_at from leases;

drop table leases;

alter table new_leases rename to leases;

create table new_reviews (
  digest text not null,
  repository_id integer not null,
  due_at integer not null,
  reason text not null,
  primary key (digest, repository_id)
) strict, without rowid;

insert into new_reviews (digest, repository_id, due_at, reason)
select digest, repository_id, due_at, reason from reviews;

drop table reviews;

alter table new_reviews rename to reviews;

create index reviews_due_idx on reviews (due_at);

-- What an upload is about to become, from before its bytes take their place until it is over.
alter table uploads add column committing text;

create index uploads_committing_idx on uploads (committing) where committing is not null;

-- Bytes with the blob store that no row speaks for any more and that are being removed, or moved to
-- quarantine; whoever would put bytes in their place waits until the row has gone.
create table file_removals (
  digest text primary key,
  destination text not null check (destination in ('nowhere', 'quarantine')),
  begun_at integer not null
) strict, without rowid;

-- Every run of what cleans up and checks, with what it was asked for and what it has found.
create table runs (
  id integer primary key,
  kind text not null check (kind in ('gc', 'retention', 'verify', 'backup')),
  status text not null check (
    status in ('running', 'done', 'braked', 'failed', 'stopped')
  ),
  started_at integer not null,
  finished_at integer,
  started_by text not null,
  -- JSON, as the run's own kind has it.
  options text not null,
  report text not null,
  -- Where a run that takes long goes on after a restart.
  position text not null default ''
) strict;

create index runs_kind_idx on runs (kind, id);
