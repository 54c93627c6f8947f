import type { Statement } from 'better-sqlite3'
import type { Connection } from './connection.js'

/**
 * How many bytes would be freed if tags went: those of manifests that no tag holds then, and no index
 * or subject, with the children and referrers that go along; and those of blobs that no other manifest
 * refers to, in whatever repository. What has been deleted already holds nothing: it goes before, unless
 * an index has it, and then with that.
 *
 * Works in temporary tables, on a connection that may only read the rest.
 */
export class FreedBytes {
  readonly #connection: Connection
  readonly #add: Statement<[number]>
  readonly #begin: Statement<[]>
  readonly #addChildren: Statement<[]>
  readonly #addReferrers: Statement<[]>
  readonly #dropHeld: Statement<[]>
  readonly #count: Statement<[], number>
  readonly #bytes: Statement<[], number>

  constructor(connection: Connection) {
    this.#connection = connection
    connection.exec(`
      create temp table losing_tags (
        manifest_id integer primary key, tag_count integer not null
      );
      create temp table leaving_manifests (id integer primary key)`)
    this.#add = connection.prepare(
      `insert into temp.losing_tags (manifest_id, tag_count) values (?, 1)
       on conflict do update set tag_count = tag_count + 1`,
    )
    const isTagged = `exists (
      select 1 from tags t where t.manifest_id = m.id and t.generation = m.generation)`
    const leaves = (id: string) =>
      `exists (select 1 from temp.leaving_manifests l where l.id = ${id})`
    this.#begin = connection.prepare(
      `insert into temp.leaving_manifests (id)
       select m.id from temp.losing_tags g cross join manifests m on m.id = g.manifest_id
       where g.tag_count >= (
         select count(*) from tags t where t.manifest_id = m.id and t.generation = m.generation)`,
    )
    this.#addChildren = connection.prepare(
      `insert or ignore into temp.leaving_manifests (id)
       select m.id from temp.leaving_manifests g
       cross join manifest_references r on r.manifest_id = g.id and r.kind = 'child'
       cross join manifests m on m.repository_id = r.repository_id and m.digest = r.digest
       where not ${isTagged} and not ${leaves('m.id')}`,
    )
    this.#addReferrers = connection.prepare(
      `insert or ignore into temp.leaving_manifests (id)
       select m.id from temp.leaving_manifests g
       cross join manifests h on h.id = g.id
       cross join manifests m indexed by manifests_subject_idx
         on m.repository_id = h.repository_id and m.subject_digest = h.digest
       where m.deleted_at is null and not ${isTagged} and not ${leaves('m.id')}`,
    )
    this.#dropHeld = connection.prepare(
      `delete from temp.leaving_manifests where id in (
         select m.id from temp.leaving_manifests g cross join manifests m on m.id = g.id
         where exists (
             select 1 from manifest_references r cross join manifests h on h.id = r.manifest_id
             where r.digest = m.digest and r.repository_id = m.repository_id
               and h.deleted_at is null and not ${leaves('h.id')})
           or exists (
             select 1 from manifests s
             where s.repository_id = m.repository_id and s.digest = m.subject_digest
               and s.deleted_at is null and not ${leaves('s.id')}))`,
    )
    this.#count = connection
      .prepare<[], number>('select count(*) from temp.leaving_manifests')
      .pluck()
    const stays = `not ${leaves('h.id')}
      and (h.deleted_at is null or exists (
        select 1 from manifest_references i cross join manifests x on x.id = i.manifest_id
        where i.digest = h.digest and i.repository_id = h.repository_id
          and x.deleted_at is null and not ${leaves('x.id')}))
      and not exists (select 1 from deleted_repositories d where d.repository_id = h.repository_id)`
    this.#bytes = connection
      .prepare<[], number>(
        `select coalesce((
           select sum(size_bytes) from (
             select distinct m.digest, m.size_bytes from temp.leaving_manifests g
             cross join manifests m on m.id = g.id
             where not exists (select 1 from manifests h where h.digest = m.digest and ${stays}))
         ), 0) + coalesce((
           select sum(b.size_bytes) from (
             select distinct r.digest from temp.leaving_manifests g
             cross join manifest_references r on r.manifest_id = g.id) needed
           cross join blobs b on b.digest = needed.digest
           where not exists (
             select 1 from manifest_references o cross join manifests h on h.id = o.manifest_id
             where o.digest = b.digest and ${stays})
         ), 0)`,
      )
      .pluck()
  }

  /** One tag of a manifest would go. */
  add(manifestId: number): void {
    this.#add.run(manifestId)
  }

  /** What would follow from all tags that were added; they are forgotten. */
  measure(): { readonly manifests: number; readonly bytes: number } {
    this.#begin.run()
    while (this.#addChildren.run().changes + this.#addReferrers.run().changes > 0);
    while (this.#dropHeld.run().changes > 0);
    const result = { manifests: this.#count.get() ?? 0, bytes: this.#bytes.get() ?? 0 }
    this.clear()
    return result
  }

  clear(): void {
    this.#connection.exec('delete from temp.losing_tags; delete from temp.leaving_manifests')
  }
}
