import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openForWriting, type Connection } from '../../src/metadata/sqlite/connection.js'
import { migrate, MigrationError } from '../../src/metadata/sqlite/migrate.js'
import { SqliteMetadataStore } from '../../src/metadata/sqlite/sqlite-metadata-store.js'
import { temporaryDirectory } from '../support/directories.js'
import { sha256 } from '../support/images.js'
import { APP, digestRemoval, imageText, putImage, tag } from '../support/records.js'

const shipped = fileURLToPath(new URL('../../migrations/sqlite/', import.meta.url))

const FIRST = 'create table things (id integer primary key, name text) strict;'
const SECOND = `alter table things add column size integer;
  create index things_size_idx on things (size);`

/** A folder of steps and a database of one's own. */
async function prepare(migrations: Readonly<Record<string, string>>) {
  const root = await temporaryDirectory()
  const directory = path.join(root, 'migrations')
  await mkdir(directory)
  const file = path.join(root, 'berth.db')
  const write = async (files: Readonly<Record<string, string>>) => {
    for (const [name, sql] of Object.entries(files))
      await writeFile(path.join(directory, name), sql)
  }
  await write(migrations)
  return {
    directory,
    write,
    /** One start of the program: opens, migrates, does something, closes. */
    start: <T>(work: (connection: Connection, copy: string | undefined) => T): T => {
      const connection = openForWriting(file)
      try {
        const copy = migrate(connection, directory)
        return work(connection, copy)
      } finally {
        connection.close()
      }
    },
    copies: async () => (await readdir(root)).filter((name) => name.includes('before')),
    contents: () => contentsOf(file),
  }
}

/** Everything in a database: its schema, and the rows of all tables. */
function contentsOf(file: string): unknown {
  const connection = new Database(file, { readonly: true })
  try {
    const schema = connection
      .prepare('select type, name, sql from sqlite_schema order by name')
      .all()
    const tables = connection
      .prepare<[], string>(`select name from sqlite_schema where type = 'table' order by name`)
      .pluck()
      .all()
    return { schema, rows: tables.map((name) => connection.prepare(`select * from ${name}`).all()) }
  } finally {
    connection.close()
  }
}

function addThing(connection: Connection): void {
  connection.prepare('insert into things (name) values (?)').run('one')
}

describe('migrations', () => {
  it('make a new database, all of them in order, without a copy of nothing', async () => {
    const { start, copies } = await prepare({ '0001_first.sql': FIRST, '0002_second.sql': SECOND })

    const copy = start((connection, copy) => {
      connection.prepare('insert into things (name, size) values (?, ?)').run('one', 1)
      return copy
    })

    expect(copy).toBeUndefined()
    expect(await copies()).toEqual([])
  })

  it('are remembered with their number, name and time', async () => {
    const { start } = await prepare({ '0001_first.sql': FIRST, '0002_second.sql': SECOND })
    const startedAt = Date.now()

    const rows = start((connection) =>
      connection
        .prepare<[], { number: number; name: string; checksum: string; applied_at: number }>(
          'select * from schema_migrations order by number',
        )
        .all(),
    )

    expect(rows).toMatchObject([
      { number: 1, name: '0001_first.sql' },
      { number: 2, name: '0002_second.sql' },
    ])
    for (const { checksum, applied_at } of rows) {
      expect(checksum).toMatch(/^[0-9a-f]{64}$/)
      expect(applied_at).toBeGreaterThanOrEqual(startedAt)
    }
  })

  it('change nothing on a database that has them all', async () => {
    const { start, contents, copies } = await prepare({ '0001_first.sql': FIRST })
    start(addThing)
    const before = contents()

    const copy = start((_, copy) => copy)

    expect(copy).toBeUndefined()
    expect(contents()).toEqual(before)
    expect(await copies()).toEqual([])
  })

  it('run only those that are new, and keep what is there', async () => {
    const { start, write } = await prepare({ '0001_first.sql': FIRST })
    start(addThing)
    await write({
      '0002_second.sql': SECOND,
      '0003_third.sql': 'create table more (x) strict;'.replace('x', 'x text'),
    })

    const things = start((connection) => connection.prepare('select * from things').all())

    expect(things).toEqual([{ id: 1, name: 'one', size: null }])
  })

  it('copy existing data first: a whole database as it was before', async () => {
    const { start, write, contents, copies } = await prepare({ '0001_first.sql': FIRST })
    start(addThing)
    const before = contents()
    await write({ '0002_second.sql': SECOND })

    const copy = start((_, copy) => copy)

    expect(await copies()).toEqual([path.basename(copy ?? '')])
    expect(path.basename(copy ?? '')).toMatch(/^berth\.db\.before-0002-\d+$/)
    expect(contentsOf(copy ?? '')).toEqual(before)
    const connection = new Database(copy ?? '')
    onTestFinished(() => void connection.close())
    expect(connection.pragma('integrity_check', { simple: true })).toBe('ok')
  })

  it('make one copy for several steps', async () => {
    const { start, write, copies } = await prepare({ '0001_first.sql': FIRST })
    start(addThing)
    await write({ '0002_second.sql': SECOND, '0003_third.sql': 'drop table things;' })

    start(() => undefined)

    expect(await copies()).toHaveLength(1)
  })

  it.each([
    ['that SQLite does not understand', 'alter table things add column size integer; nonsense;'],
    [
      'that break a rule of the data',
      'update things set name = 1 where id = 1; drop table nothing;',
    ],
  ])('leave the database as it was when one has statements %s', async (_, sql) => {
    const { start, write, contents } = await prepare({ '0001_first.sql': FIRST })
    start(addThing)
    const before = contents()
    await write({ '0002_second.sql': sql })

    expect(() => start(() => undefined)).toThrow(/nonsense|nothing/)

    expect(contents()).toEqual(before)
  })

  it('keep the steps before the one that failed, and go on from there', async () => {
    const { start, write } = await prepare({ '0001_first.sql': FIRST })
    start(addThing)
    await write({ '0002_second.sql': SECOND, '0003_third.sql': 'nonsense;' })
    expect(() => start(() => undefined)).toThrow(/nonsense/)
    await write({ '0003_third.sql': 'update things set size = 3;' })

    const things = start((connection) => connection.prepare('select * from things').all())

    expect(things).toEqual([{ id: 1, name: 'one', size: 3 }])
  })

  it.each([
    ['another content', { '0001_first.sql': `${FIRST} ` }],
    ['nothing in it', { '0001_first.sql': '' }],
  ])('are refused when one that was applied has %s now', async (_, changed) => {
    const { start, write, contents } = await prepare({ '0001_first.sql': FIRST })
    start(addThing)
    const before = contents()
    await write({ ...changed, '0002_second.sql': SECOND })

    expect(() => start(() => undefined)).toThrow(MigrationError)
    expect(() => start(() => undefined)).toThrow(/0001_first\.sql is not the one/)

    expect(contents()).toEqual(before)
  })

  it('are refused when one that was applied has another name now', async () => {
    const old = await prepare({ '0001_first.sql': FIRST })
    old.start(addThing)
    const renamed = await prepare({ '0001_renamed.sql': FIRST })

    const open = () =>
      old.start((connection) => {
        migrate(connection, renamed.directory)
      })

    expect(open).toThrow(/0001_renamed\.sql is not the one .*0001_first\.sql/)
  })

  it('are refused for a database of a newer version, and leave it alone', async () => {
    const newer = await prepare({ '0001_first.sql': FIRST, '0002_second.sql': SECOND })
    newer.start(addThing)
    const older = await prepare({ '0001_first.sql': FIRST })
    const before = newer.contents()

    const open = () =>
      newer.start((connection) => {
        migrate(connection, older.directory)
      })

    expect(open).toThrow(MigrationError)
    expect(open).toThrow(/0002_second\.sql, which this version of Berth does not know/)
    expect(newer.contents()).toEqual(before)
  })

  it.each([
    ['a gap', ['0001_a.sql', '0003_c.sql']],
    ['a late beginning', ['0002_a.sql']],
    ['one number twice', ['0001_a.sql', '0001_b.sql']],
    ['a number of another length', ['0001_a.sql', '002_b.sql']],
    ['no number', ['0001_a.sql', 'more.sql']],
    ['a name in another form', ['0001-Initial.sql']],
  ])('are refused when their files have %s', async (_, names) => {
    const { start } = await prepare(Object.fromEntries(names.map((name) => [name, 'select 1;'])))

    expect(() => start(() => undefined)).toThrow(MigrationError)
  })

  it('are refused for a database whose history has a gap', async () => {
    const steps = { '0001_a.sql': FIRST, '0002_b.sql': 'select 1;', '0003_c.sql': 'select 1;' }
    const { start } = await prepare(steps)
    start((connection) => connection.exec('delete from schema_migrations where number = 2'))

    expect(() => start(() => undefined)).toThrow(MigrationError)
  })

  it('do not mind other files beside them', async () => {
    const { start } = await prepare({ '0001_first.sql': FIRST, 'README.md': '#', '.0002.swp': '' })

    expect(() => start(addThing)).not.toThrow()
  })
})

describe('the store', () => {
  it('migrates with what ships, and tells where it copied the database before', async () => {
    const { directory, write } = await prepare({})
    for (const name of await readdir(shipped)) {
      await copyFile(path.join(shipped, name), path.join(directory, name))
    }
    const count = (await readdir(shipped)).length
    const file = path.join(path.dirname(directory), 'berth.db')
    const first = await SqliteMetadataStore.open({ file, migrations: directory })
    const digest = await putImage(first, imageText(), { tags: ['v1'] })
    await first.close()
    const next = `${String(count + 1).padStart(4, '0')}_next.sql`
    await write({ [next]: 'create table later (x integer) strict;' })

    const second = await SqliteMetadataStore.open({ file, migrations: directory })
    onTestFinished(() => second.close())

    expect(first.migrationCopy).toBeUndefined()
    expect(await second.getManifest(APP, { tag: tag('v1') })).toMatchObject({ digest })
    const old = await SqliteMetadataStore.open({ file: second.migrationCopy ?? '' })
    onTestFinished(() => old.close())
    expect(await old.getManifest(APP, { tag: tag('v1') })).toMatchObject({ digest })
  })

  it('takes over tags from before they had a generation', async () => {
    const { directory } = await prepare({})
    const initial = '0001_initial.sql'
    await copyFile(path.join(shipped, initial), path.join(directory, initial))
    const file = path.join(path.dirname(directory), 'berth.db')
    const connection = openForWriting(file)
    migrate(connection, directory)
    const digest = sha256(imageText())
    connection.exec(`
      insert into repositories (id, name, created_at) values (1, '${APP}', 1);
      insert into manifest_contents (digest, bytes) values ('${digest}', x'7b7d');
      insert into manifests (id, repository_id, digest, media_type, size_bytes, pushed_at, pushed_by)
        values (1, 1, '${digest}', 'x/y', 2, 1, 'tester');
      insert into tags (repository_id, name, manifest_id, updated_at, updated_by)
        values (1, 'v1', 1, 1, 'tester')`)
    connection.close()

    const store = await SqliteMetadataStore.open({ file })
    onTestFinished(() => store.close())

    expect(await store.getManifest(APP, { tag: tag('v1') })).toMatchObject({ digest })
    await store.deleteManifest(digestRemoval(digest))
    expect(await store.listTags(APP, { limit: 1 })).toEqual({ entries: [], hasMore: false })
  })

  it('counts and lists what is there from before it did', async () => {
    const root = await temporaryDirectory()
    const directory = path.join(root, 'migrations')
    await mkdir(directory)
    for (const name of (await readdir(shipped)).filter((one) => one < '0004')) {
      await copyFile(path.join(shipped, name), path.join(directory, name))
    }
    const file = path.join(root, 'berth.db')
    const connection = openForWriting(file)
    migrate(connection, directory)
    const digest = sha256(imageText())
    connection.exec(`
      insert into repositories (id, name, created_at) values (1, '${APP}', 1), (2, 'team/gone', 1);
      insert into blobs (digest, size_bytes, inline, stored_at)
        values ('sha256:a', 1000, 0, 1), ('sha256:b', 50, 0, 1);
      insert into repository_blobs (repository_id, digest, linked_at)
        values (1, 'sha256:a', 1), (1, 'sha256:b', 1), (2, 'sha256:a', 1);
      insert into manifest_contents (digest, bytes) values ('${digest}', x'7b7d');
      insert into manifests (id, repository_id, digest, media_type, size_bytes, pushed_at, pushed_by,
          deleted_at)
        values (1, 1, '${digest}', 'x/y', 2, 1, 'tester', null),
          (2, 2, '${digest}', 'x/y', 2, 1, 'tester', 5);
      insert into manifest_references (manifest_id, digest, repository_id, kind, size_bytes)
        values (1, 'sha256:a', 1, 'layer', 1000), (2, 'sha256:a', 2, 'layer', 1000);
      insert into tags (repository_id, name, manifest_id, updated_at, updated_by)
        values (1, 'v1', 1, 1, 'tester');
      insert into tag_history (repository_id, tag, from_digest, to_digest, changed_at, changed_by)
        values (1, 'v1', null, '${digest}', 1, 'tester'), (1, 'v0', '${digest}', null, 2, 'tester');
      insert into leases (digest, repository_id, expires_at) values ('sha256:b', 1, 9);
      insert into reviews (digest, repository_id, due_at, reason)
        values ('sha256:b', 1, 9, 'lease over')`)
    connection.close()

    const store = await SqliteMetadataStore.open({ file })
    onTestFinished(() => store.close())

    const { entries } = await store.listRepositories({ limit: 10 })
    expect(entries).toEqual([APP])
    expect(await store.searchRepositories('team', 10)).toEqual([APP])
    expect(await store.getRepositoryRecord(APP)).toMatchObject({ logicalBytes: 1002 })
    const history = await store.listHistory({ repository: APP, limit: 10 })
    expect(history.entries.map(({ tag: name, action }) => [name, action])).toEqual([
      ['v0', 'deleted'],
      ['v1', 'moved'],
    ])
    const terms = { at: 10, undoMs: 0, skipWaits: false, untagged: [], sliceMs: 50 }
    const { removed } = await store.collect(terms)
    expect(removed.map(({ kind, digest: gone }) => [kind, gone])).toEqual([
      ['link', 'sha256:b'],
      ['blob', 'sha256:b'],
    ])
  })

  it('is not opened when they are refused, and says why', async () => {
    const file = path.join(await temporaryDirectory(), 'berth.db')
    await (await SqliteMetadataStore.open({ file })).close()
    const connection = new Database(file)
    connection.exec(`update schema_migrations set checksum = 'x'`)
    connection.close()

    await expect(SqliteMetadataStore.open({ file })).rejects.toThrow(/or reinstall this one/)
  })
})

describe('the migrations that ship', () => {
  it('are numbered from 1 without a gap, and end with a new line', async () => {
    const names = (await readdir(shipped)).toSorted()

    for (const [index, name] of names.entries()) {
      expect(name).toMatch(new RegExp(`^${String(index + 1).padStart(4, '0')}_[a-z0-9_]+\\.sql$`))
      expect(await readFile(path.join(shipped, name), 'utf8')).toMatch(/;\n$/)
    }
  })
})
