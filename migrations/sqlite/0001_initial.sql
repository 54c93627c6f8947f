-- Berth's first schema. Times are milliseconds since 1970 UTC, sizes are bytes, digests and names
-- are text that compares by bytes. A row's being here is what makes a thing exist: a file without
-- a row is garbage.

create table repositories (
  id integer primary key,
  name text not null unique,
  created_at integer not null
) strict;

-- Finds names by any three characters or more inside them; kept in step by the trigger below.
-- Repositories are never renamed.
create virtual table repository_names using fts5 (
  name,
  content = 'repositories',
  content_rowid = 'id',
  tokenize = 'trigram',
  detail = full
);

create trigger repositories_name_insert after insert on repositories begin
  insert into repository_names (rowid, name) values (new.id, new.name);
end;

create trigger repositories_name_delete after delete on repositories begin
  insert into repository_names (repository_names, rowid, name) values ('delete', old.id, old.name);
end;

-- Bytes that the store holds, once each, whoever uses them.
create table blobs (
  digest text primary key,
  size_bytes integer not null check (size_bytes >= 0),
  -- 1: the bytes are in blob_contents. 0: they are with the blob store.
  inline integer not null check (inline in (0, 1)),
  -- Set when a read found the bytes damaged or gone. Such a blob counts as absent everywhere until
  -- its digest is pushed again.
  damaged_at integer,
  -- When these very bytes were stored; later than whenever they were stored before. Whoever found
  -- them damaged says which ones it read, so that a push that has healed them meanwhile stays.
  stored_at integer not null
) strict, without rowid;

-- Apart from blobs, so that those rows stay narrow.
create table blob_contents (
  digest text primary key references blobs (digest) on delete cascade,
  bytes blob not null
) strict;

-- A repository's right to a blob.
create table repository_blobs (
  repository_id integer not null references repositories (id),
  digest text not null references blobs (digest),
  linked_at integer not null,
  primary key (repository_id, digest)
) strict, without rowid;

-- Where else a blob may be read: mounts, and what the collector asks.
create index repository_blobs_digest_idx on repository_blobs (digest, repository_id);

-- The bytes of manifests, exactly as pushed, once each.
create table manifest_contents (
  digest text primary key,
  bytes blob not null
) strict;

create table manifests (
  id integer primary key,
  repository_id integer not null references repositories (id),
  digest text not null references manifest_contents (digest),
  media_type text not null,
  size_bytes integer not null,
  -- What a referrers list shows of it: distribution-spec, "Listing Referrers".
  artifact_type text,
  annotations text,
  subject_digest text,
  pushed_at integer not null,
  pushed_by text not null,
  -- Set by a delete. The row and its references stay until the undo window is over, so that what
  -- they hold stays too.
  deleted_at integer,
  deleted_by text,
  unique (repository_id, digest)
) strict;

create index manifests_digest_idx on manifests (digest);

create index manifests_subject_idx on manifests (repository_id, subject_digest, digest)
where subject_digest is not null and deleted_at is null;

create index manifests_subject_type_idx
on manifests (repository_id, subject_digest, artifact_type, digest)
where subject_digest is not null and deleted_at is null;

-- What a manifest keeps alive: its config, layers, children, blobs. Never its subject.
create table manifest_references (
  manifest_id integer not null references manifests (id) on delete cascade,
  digest text not null,
  -- The manifest's own, here too: "does this repository need it" must not walk all that do.
  repository_id integer not null,
  kind text not null check (kind in ('config', 'layer', 'child', 'blob')),
  size_bytes integer not null,
  primary key (manifest_id, digest, kind)
) strict, without rowid;

create index manifest_references_digest_idx
on manifest_references (digest, repository_id, manifest_id);

create table tags (
  repository_id integer not null references repositories (id),
  name text not null,
  manifest_id integer not null references manifests (id),
  updated_at integer not null,
  updated_by text not null,
  primary key (repository_id, name)
) strict, without rowid;

create index tags_manifest_idx on tags (manifest_id);

create index tags_updated_idx on tags (repository_id, updated_at);

-- Every move and delete of a tag. from_digest is null for a new tag, to_digest for a deleted one.
create table tag_history (
  id integer primary key,
  repository_id integer not null references repositories (id),
  tag text not null,
  from_digest text,
  to_digest text,
  changed_at integer not null,
  changed_by text not null
) strict;

create index tag_history_tag_idx on tag_history (repository_id, tag, id);

create index tag_history_changed_idx on tag_history (changed_at);

-- A promise to keep: we told a client that this repository has this digest, so it need not push it.
create table leases (
  digest text not null,
  repository_id integer not null references repositories (id),
  expires_at integer not null,
  primary key (digest, repository_id)
) strict, without rowid;

-- Digests that may be collectable in a repository (a blob's right, an untagged manifest) from
-- due_at on. Whoever takes one decides again by what is true then.
create table reviews (
  digest text not null,
  repository_id integer not null references repositories (id),
  due_at integer not null,
  reason text not null,
  primary key (digest, repository_id)
) strict, without rowid;

create index reviews_due_idx on reviews (due_at);

create table uploads (
  id text primary key,
  repository text not null,
  algorithm text not null,
  offset_bytes integer not null check (offset_bytes >= 0),
  -- The digest of bytes 0 to offset_bytes, while whoever received them could still tell.
  received_digest text,
  started_at integer not null,
  progressed_at integer not null,
  started_by text not null
) strict, without rowid;

create index uploads_progressed_idx on uploads (progressed_at);

-- Sessions that are over and whose received bytes may still lie in the blob store.
create table upload_remains (
  upload_id text primary key,
  over_at integer not null
) strict, without rowid;

-- One row that a readiness check writes, to learn whether the database can be written.
create table readiness (
  id integer primary key check (id = 1),
  checked_at integer not null
) strict;
