/** What is right and what is not, for those who look at many rows and those who repair one. */

/** Of a tag, with the manifest that it points to, if there is one: neither there nor going. */
export function tagIsBroken(tag: string, manifest: string): string {
  return `(
    ${manifest}.id is null or ${manifest}.repository_id <> ${tag}.repository_id
    or ((${manifest}.generation <> ${tag}.generation or ${manifest}.deleted_at is not null)
      and not exists (
        select 1 from untaggings u
        where u.manifest_id = ${tag}.manifest_id and u.generation = ${tag}.generation)))`
}

/** Of a repository's right to a blob: a manifest that is there needs it. */
export function isNeeded(link: string): string {
  return `exists (
    select 1 from manifest_references r join manifests m on m.id = r.manifest_id
    where r.digest = ${link}.digest and r.repository_id = ${link}.repository_id
      and m.deleted_at is null)`
}

/** What the sum of a repository should be. */
export function sumOfRepository(repository: string): string {
  return `(
    (select coalesce(sum(m.size_bytes), 0) from manifests m
     where m.repository_id = ${repository}.id and m.deleted_at is null)
    + (select coalesce(sum(b.size_bytes), 0) from repository_blobs l join blobs b using (digest)
       where l.repository_id = ${repository}.id and l.counted = 1))`
}

/** Whether the catalog should show a repository. */
export function isToBeListed(repository: string): string {
  return `(
    not exists (select 1 from deleted_repositories d where d.repository_id = ${repository}.id)
    and (${repository}.description <> '' or exists (
      select 1 from manifests m
      where m.repository_id = ${repository}.id and m.deleted_at is null)))`
}

/** The name of a repository, also of one that was deleted and has given its name back. */
export function nameOfRepository(repository: string): string {
  return `coalesce(
    (select d.name from deleted_repositories d where d.repository_id = ${repository}.id),
    ${repository}.name)`
}
