-- A manifest may be deleted while half a million tags point to it. Its delete says so in one row of
-- untaggings; their rows go later, a few at a time, and count as gone from the delete on.

-- Counts the deletes of a manifest that left tags behind. A push of it in the meantime makes tags
-- of the next generation, which those of the one before are told apart from.
alter table manifests add column generation integer not null default 0;

-- That of the manifest when the tag came to point to it.
alter table tags add column generation integer not null default 0;

drop index tags_manifest_idx;

create index tags_manifest_idx on tags (manifest_id, generation);

-- The tags of a manifest, of one generation, that count as gone and are still to be removed; and
-- what their history is to say of it.
create table untaggings (
  manifest_id integer not null references manifests (id),
  generation integer not null,
  repository_id integer not null references repositories (id),
  deleted_at integer not null,
  deleted_by text not null,
  primary key (manifest_id, generation)
) strict, without rowid;

create index untaggings_repository_idx on untaggings (repository_id);
