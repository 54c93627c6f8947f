import type { Statement } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.js'
import { parseManifest, type ManifestReference, type ReferenceKind } from '../../oci/manifest.js'
import type { Tag } from '../../oci/reference.js'
import type { CheckedRows, RowCheck, RowFault } from '../metadata-verification.js'
import type { Connection } from './connection.js'
import { BEFORE_ALL_TIME } from './dismantling.js'
import {
  isNeeded,
  isToBeListed,
  nameOfRepository,
  sumOfRepository,
  tagIsBroken,
} from './verify-conditions.js'

type Key = readonly (number | string)[]

/** How one kind of rows is walked, and what is wrong with some of them. */
interface Walk {
  readonly keys: Statement<unknown[], Key>
  readonly faults: Statement<unknown[], FaultRow>
  readonly beginning: Key
  readonly faultsOf: (rows: readonly FaultRow[]) => RowFault[]
}

/** What the statements below give, each a part of it. */
interface FaultRow {
  readonly repository: string | null
  readonly repository_id: number
  readonly name: Tag
  readonly digest: Digest
  readonly size_bytes: number
  readonly actual_bytes: number | null
  readonly manifest_id: number
  readonly target: Digest
  readonly kind: ReferenceKind
  readonly is_elsewhere: 0 | 1
  readonly counted: 0 | 1
  readonly logical_bytes: number
  readonly listed: 0 | 1
  readonly to_be_listed: 0 | 1
}

/** Rows that are looked at in one statement: some milliseconds. */
const stretchLength = 2_000

/** Each may have a million rows to be summed. */
const repositoriesAtOnce = 20

/**
 * Looks whether rows agree with each other, a stretch at a time. Each stretch is one statement, so what
 * it finds was so at one moment: nothing that others change meanwhile looks wrong.
 */
export class VerifyRows {
  readonly #walks: Readonly<Record<RowCheck, Walk>>
  readonly #manifest: Statement<[number], { readonly bytes: Buffer; readonly media_type: string }>

  constructor(connection: Connection) {
    const walk = (
      table: string,
      columns: readonly string[],
      beginning: Key,
      faults: string,
      faultsOf: Walk['faultsOf'],
      length = stretchLength,
    ): Walk => {
      const key = columns.join(', ')
      const marks = columns.map(() => '?').join(', ')
      const ofAlias = (alias: string) => columns.map((column) => `${alias}.${column}`).join(', ')
      const range = (alias: string) =>
        `(${ofAlias(alias)}) > (${marks}) and (${ofAlias(alias)}) <= (${marks})`
      return {
        keys: connection
          .prepare<unknown[], Key>(
            `select ${key} from ${table} where (${key}) > (${marks})
             order by ${key} limit ${length}`,
          )
          .raw(),
        faults: connection.prepare(faults.replace('@range', range('x'))),
        beginning,
        faultsOf,
      }
    }

    this.#manifest = connection.prepare(
      `select c.bytes, m.media_type from manifests m
       join manifest_contents c on c.digest = m.digest where m.id = ?`,
    )
    this.#walks = {
      manifests: walk(
        'manifests',
        ['id'],
        [0],
        `select ${nameOfRepository('p')} as repository, x.digest, x.size_bytes, length(c.bytes) as actual_bytes
         from manifests x left join repositories p on p.id = x.repository_id
         left join manifest_contents c on c.digest = x.digest
         where @range and (c.digest is null or length(c.bytes) <> x.size_bytes)`,
        (rows) => rows.flatMap(manifestFaults),
      ),
      tags: walk(
        'tags',
        ['repository_id', 'name'],
        [0, ''],
        `select ${nameOfRepository('p')} as repository, x.repository_id, x.name, m.digest
         from tags x left join repositories p on p.id = x.repository_id
         left join manifests m on m.id = x.manifest_id
         where @range and ${tagIsBroken('x', 'm')}`,
        (rows) => rows.flatMap(tagFaults),
      ),
      references: walk(
        'manifest_references',
        ['manifest_id', 'digest', 'kind'],
        [0, '', ''],
        // Of what was deleted only the bytes must be there: a restore gives the right to them again. What
        // is being taken apart need not be whole.
        `select ${nameOfRepository('p')} as repository, x.manifest_id, m.digest,
           x.digest as target, x.kind,
           exists (select 1 from blobs b where b.digest = x.digest) as is_elsewhere
         from manifest_references x join manifests m on m.id = x.manifest_id
         join repositories p on p.id = m.repository_id
         where @range
           and not exists (
             select 1 from repository_blobs l
             where l.repository_id = m.repository_id and l.digest = x.digest)
           and not (m.deleted_at is not null
             and exists (select 1 from blobs b where b.digest = x.digest))
           and not (x.kind = 'child' and exists (
             select 1 from manifests c
             where c.repository_id = m.repository_id and c.digest = x.digest))
           and not exists (
             select 1 from deleted_repositories d
             where d.repository_id = m.repository_id and d.deleted_at = ${BEFORE_ALL_TIME})`,
        (rows) => this.#referenceFaults(rows),
      ),
      links: walk(
        'repository_blobs',
        ['repository_id', 'digest'],
        [0, ''],
        `select ${nameOfRepository('p')} as repository, x.repository_id, x.digest, x.counted
         from repository_blobs x left join repositories p on p.id = x.repository_id
         where @range and x.counted <> ${isNeeded('x')}`,
        (rows) => rows.flatMap(linkFaults),
      ),
      repositories: walk(
        'repositories',
        ['id'],
        [0],
        `select * from (
           select ${nameOfRepository('x')} as repository, x.id as repository_id, x.logical_bytes, x.listed,
             ${sumOfRepository('x')} as actual_bytes,
             ${isToBeListed('x')} as to_be_listed
           from repositories x where @range)
         where logical_bytes <> actual_bytes or listed <> to_be_listed`,
        (rows) => rows.flatMap(repositoryFaults),
        repositoriesAtOnce,
      ),
      contents: walk(
        'manifest_contents',
        ['digest'],
        [''],
        `select null as repository, x.digest from manifest_contents x
         where @range and not exists (select 1 from manifests m where m.digest = x.digest)`,
        (rows) => rows.flatMap(contentsFaults),
      ),
    }
  }

  check(check: RowCheck, after?: string): CheckedRows {
    const { keys, faults, beginning, faultsOf } = this.#walks[check]
    const from = after === undefined ? beginning : (JSON.parse(after) as Key)
    const stretch = keys.all(...from)
    const last = stretch.at(-1)
    if (last === undefined) return { checkedCount: 0, found: [] }
    return {
      checkedCount: stretch.length,
      found: faultsOf(faults.all(...from, ...last)),
      // One more stretch, which is empty, tells the end.
      next: JSON.stringify(last),
    }
  }

  /** What the manifests themselves say of references that are missing: it may be all right. */
  #referenceFaults(rows: readonly FaultRow[]): RowFault[] {
    const references = new Map<number, readonly ManifestReference[]>()
    return rows.map((row) => {
      const { manifest_id: id, digest, target, kind: targetKind } = row
      const all = references.get(id) ?? this.#referencesOf(id)
      references.set(id, all)
      const own = all.filter((own) => own.digest === target && own.kind === targetKind)
      const platform = own.find((own) => own.platform !== undefined)?.platform
      return {
        ...named(row),
        ...{ kind: 'reference', key: digest, digest, target, targetKind },
        isElsewhere: row.is_elsewhere === 1,
        isExternal: own.length > 0 && own.every(({ external }) => external),
        ...(platform !== undefined && { platform }),
      }
    })
  }

  /** None of a manifest whose bytes are damaged, which is found otherwise. */
  #referencesOf(manifestId: number): readonly ManifestReference[] {
    const row = this.#manifest.get(manifestId)
    if (row === undefined) return []
    try {
      return parseManifest(row.bytes, row.media_type).references
    } catch {
      return []
    }
  }
}

function named({ repository }: FaultRow): { repository?: string } {
  return repository === null ? {} : { repository }
}

function manifestFaults(row: FaultRow): RowFault[] {
  const { digest, size_bytes: sizeBytes, actual_bytes: actualBytes } = row
  const fault = { ...named(row), kind: 'manifestBytes', digest, sizeBytes, key: digest } as const
  return [{ ...fault, ...(actualBytes !== null && { actualBytes }) }]
}

function tagFaults(row: FaultRow): RowFault[] {
  const { repository_id: repositoryId, name: tag, digest } = row
  const key = JSON.stringify([repositoryId, tag])
  // None when there is no such manifest at all.
  const pointsTo = (digest as Digest | null) !== null && { digest }
  return [{ ...named(row), kind: 'tag', key, tag, ...pointsTo }]
}

function linkFaults(row: FaultRow): RowFault[] {
  const { repository_id: repositoryId, digest, counted } = row
  const key = JSON.stringify([repositoryId, digest])
  return [{ ...named(row), kind: 'link', key, digest, isCounted: counted === 1 }]
}

function repositoryFaults(row: FaultRow): RowFault[] {
  const { repository_id: id, logical_bytes: sumBytes, listed, to_be_listed: toBeListed } = row
  const actualBytes = row.actual_bytes ?? 0
  const faults: RowFault[] = []
  if (sumBytes !== actualBytes) {
    // By how much it is wrong: that stays true whatever is pushed or deleted meanwhile.
    const key = JSON.stringify([id, actualBytes - sumBytes])
    faults.push({ ...named(row), kind: 'sum', key, sumBytes, actualBytes })
  }
  if (listed !== toBeListed) {
    faults.push({
      ...named(row),
      kind: 'listed',
      key: JSON.stringify([id]),
      isListed: listed === 1,
    })
  }
  return faults
}

function contentsFaults({ digest }: FaultRow): RowFault[] {
  return [{ kind: 'contents', digest, key: digest }]
}
