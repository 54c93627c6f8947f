import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { AccountReads } from '../../../src/metadata/sqlite/account-reads.js'
import { AuditReads } from '../../../src/metadata/sqlite/audit-reads.js'
import { CollectPlan } from '../../../src/metadata/sqlite/collect-plan.js'
import { openForWriting, type Connection } from '../../../src/metadata/sqlite/connection.js'
import { GrantReads } from '../../../src/metadata/sqlite/grant-reads.js'
import { KeptTags } from '../../../src/metadata/sqlite/kept-tags.js'
import { migrate } from '../../../src/metadata/sqlite/migrate.js'
import { Reads } from '../../../src/metadata/sqlite/reads.js'
import { RunReads } from '../../../src/metadata/sqlite/run-reads.js'
import { RetentionPlan } from '../../../src/metadata/sqlite/retention-plan.js'
import { TokenReads } from '../../../src/metadata/sqlite/token-reads.js'
import { prepareWrites } from '../../../src/metadata/sqlite/writes.js'
import { temporaryDirectory } from '../../support/directories.js'

const migrations = fileURLToPath(new URL('../../../migrations/sqlite/', import.meta.url))

/** What may be walked, as something else bounds it. */
const MAY_BE_SCANNED = new Set([
  // One row each.
  'readiness',
  'origin',
  'access_version',
  // Those that were rotated lately.
  'signing_keys',
  // Not more than uploads.sessionsMax.
  'uploads',
  // As many as are asked for.
  'history',
  'upload_remains',
  // A few hundred of each kind, once at the start.
  'runs',
  // The first one, whichever it is.
  'untaggings',
  // No more than 64, from an end of an index.
  'holder',
  // What a survey has noted in temporary tables, and sums of that.
  'g',
  'leaving_manifests',
  'temp.queue',
  'needed',
  'CONSTANT',
  // The row that a subquery found, the list in a parameter, the full-text index.
  't',
  'json_each',
  'repository_names',
])

const MAY_SCAN = [
  // Reads all names when none has the one or two characters that are searched for.
  /instr\(name, \?\)/,
  // How much there is at all, once for each run that would remove anything.
  /sum\(size_bytes\) from blobs/,
]

async function openStore(): Promise<Connection> {
  const connection = openForWriting(path.join(await temporaryDirectory(), 'berth.db'))
  onTestFinished(() => void connection.close())
  migrate(connection, migrations)
  return connection
}

/** Everything that the store will ever ask of a connection. */
function statementsOf(connection: Connection): string[] {
  const statements = new Set<string>()
  const prepare = connection.prepare.bind(connection)
  connection.prepare = (sql: string) => {
    statements.add(sql)
    return prepare(sql)
  }
  new Reads(connection)
  new AccountReads(connection)
  new TokenReads(connection)
  new GrantReads(connection)
  new AuditReads(connection)
  new KeptTags(connection)
  new RunReads(connection)
  new RetentionPlan(connection)
  new CollectPlan(connection)
  prepareWrites(connection)
  connection.prepare = prepare
  // The plan of an insert tells what foreign keys would look at only if they were deferred.
  return [...statements].filter((sql) => !/^\s*insert/.test(sql))
}

function planOf(connection: Connection, sql: string): string[] {
  return connection
    .prepare<unknown[], { detail: string }>(`explain query plan ${sql}`)
    .all(...parametersOf(sql))
    .map(({ detail }) => detail)
}

/** What SQLite's machine does for it; a plan does not tell in which direction an index is read. */
function opcodesOf(connection: Connection, sql: string): string[] {
  return connection
    .prepare<unknown[], { opcode: string }>(`explain ${sql}`)
    .all(...parametersOf(sql))
    .map(({ opcode }) => opcode)
}

function parametersOf(sql: string): unknown[] {
  const named = [...sql.matchAll(/@(\w+)/g)].map(([, name]) => [name, 'x'])
  const positional = [...sql.matchAll(/\?/g)].map(() => 'x')
  return named.length > 0 ? [Object.fromEntries(named)] : positional
}

it('answers every question by an index, however large the store is', async () => {
  const connection = await openStore()

  const scans = statementsOf(connection)
    .filter((sql) => !MAY_SCAN.some((pattern) => pattern.test(sql)))
    .flatMap((sql) => planOf(connection, sql).map((detail) => ({ sql, detail })))
    .filter(({ detail }) => {
      const scanned = /^SCAN ([\w.]+)/.exec(detail)?.[1]
      return scanned !== undefined && !MAY_BE_SCANNED.has(scanned)
    })

  expect(scans).toEqual([])
})

it('finds referrers by their subject, not among all manifests of the repository', async () => {
  const connection = await openStore()

  const plans = statementsOf(connection)
    .filter((sql) => sql.includes('@subject'))
    .map((sql) => planOf(connection, sql).join('\n'))

  expect(plans).toHaveLength(2)
  for (const plan of plans) {
    expect(plan).toMatch(/manifests_subject(_type)?_idx \(repository_id=\? AND subject_digest=\?/)
    expect(plan).toContain('SEARCH r USING PRIMARY KEY (manifest_id=? AND digest>?)')
    expect(plan).not.toMatch(/SEARCH m .*\(repository_id=\? AND digest>\?\)/)
  }
})

it('walks lists in the order of an index: only what clients list by two ways is sorted', async () => {
  const connection = await openStore()

  const sorted = statementsOf(connection).filter((sql) =>
    planOf(connection, sql).some((detail) => detail.includes('TEMP B-TREE')),
  )

  // A survey adds up what it has noted, whatever that takes: nobody waits for it as for a list.
  // A hundred refresh tokens of an account. An account is in few groups, and a group has as many members as there are people.
  const lists = sorted.filter(
    (sql) => !/temp\.leaving_manifests|from group_members|last_used_at, created_at\)/.test(sql),
  )
  expect(lists.filter((sql) => !sql.includes('@subject'))).toEqual([])
})

it('looks for whoever needs a blob from both ends first, not past all that were deleted', async () => {
  const connection = await openStore()

  const looks = statementsOf(connection).filter((sql) => sql.includes('holder.manifest_id'))

  // One for all references of a manifest, and one for a single blob.
  expect(looks).toHaveLength(2)
  for (const sql of looks) {
    expect(sql).toMatch(/desc limit 64.*asc limit 64/s)
    expect(opcodesOf(connection, sql)).toEqual(expect.arrayContaining(['Prev', 'Next']))
    const range = 'SEARCH manifest_references USING COVERING INDEX manifest_references_digest_idx'
    const searches = planOf(connection, sql).filter((detail) => detail.startsWith(range))
    expect(searches).toEqual(Array(3).fill(`${range} (digest=? AND repository_id=?)`))
  }
})

it('finds what a manifest refers to by its digest, not among all that were deleted', async () => {
  const connection = await openStore()

  const looks = statementsOf(connection).filter(
    (sql) => sql.includes('manifest_references') && sql.includes('m.deleted_at is not null'),
  )

  const plans = looks.map((sql) => planOf(connection, sql).join('\n'))
  expect(plans).toEqual([
    expect.stringMatching(/SEARCH m USING INDEX \S+ \(repository_id=\? AND digest=\?\)/),
  ])
})
