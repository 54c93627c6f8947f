import { stat } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { RegistryError } from '../../../src/errors.js'
import { openForWriting } from '../../../src/metadata/sqlite/connection.js'
import { GroupCommit } from '../../../src/metadata/sqlite/group-commit.js'
import { temporaryDirectory } from '../../support/directories.js'

const NORMAL = 1
const FULL = 2

async function openGroups() {
  const file = path.join(await temporaryDirectory(), 'berth.db')
  const connection = openForWriting(file)
  onTestFinished(() => void connection.close())
  connection.exec('create table things (name text not null)')
  return {
    file,
    connection,
    group: new GroupCommit(connection),
    setting: () => connection.pragma('synchronous', { simple: true }),
  }
}

describe('a group of operations', () => {
  it('is committed with a sync after whatever the one before it was', async () => {
    const { connection, group, setting } = await openGroups()
    const failing = () => connection.exec('insert into things values (null)')
    const befores = [
      () => group.run([setting], 'unsynced'),
      () => group.run([failing, setting], 'unsynced'),
      () => group.run([() => connection.exec('rollback')], 'unsynced'),
      () => group.run([setting], 'synced'),
    ]

    for (const before of befores) {
      before()
      expect(group.run([setting], 'synced')).toEqual([{ result: FULL }])
    }
    expect(group.run([setting], 'unsynced')).toEqual([{ result: NORMAL }])
  })

  it('is copied from the log into the database only when it has been synced', async () => {
    const { connection, group, file } = await openGroups()
    const databaseBytes = async () => (await stat(file)).size
    const insertMany = () =>
      connection.exec(
        `with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 6000)
         insert into things select hex(zeroblob(2000)) || n from numbers`,
      )
    const before = await databaseBytes()

    group.run([insertMany], 'unsynced')
    const unsynced = await databaseBytes()
    group.run([() => connection.exec(`insert into things values ('x')`)], 'synced')

    expect(unsynced).toBe(before)
    expect(await databaseBytes()).toBeGreaterThan(before + 6000 * 4000)
  })

  it('that cannot be told how to commit fails whole, and the next does not', async () => {
    const { connection, group } = await openGroups()
    connection.exec('begin')

    const outcomes = group.run([() => connection.exec(`insert into things values ('x')`)], 'synced')
    const next = group.run([() => 'done'], 'synced')

    expect(outcomes).toMatchObject([{ error: { message: expect.any(String) as string } }])
    expect(next).toEqual([{ result: 'done' }])
    expect(connection.prepare('select * from things').all()).toEqual([])
  })

  it.each([
    ['alone', []],
    ['with others', [() => 'another']],
  ])(
    'leaves nothing of an operation that throws, %s, and answers its own error',
    async (_, others) => {
      const { connection, group } = await openGroups()
      const refusal = new RegistryError('DENIED', 'no')
      const failingWith = (fail: () => unknown) => () => {
        connection.exec(`insert into things values ('half')`)
        return fail()
      }
      const refused = failingWith(() => {
        throw refusal
      })
      const wrong = failingWith(() => connection.exec('insert into things values (null)'))
      const things = () => connection.prepare('select name from things').pluck().all()

      for (const durability of ['synced', 'unsynced'] as const) {
        const [outcome] = group.run([refused, ...others], durability)
        const [violation] = group.run([wrong, ...others], durability)

        expect(connection.inTransaction).toBe(false)
        expect(things()).toEqual([])
        expect(outcome).toEqual({ error: refusal })
        expect((outcome as { error: unknown }).error).toBe(refusal)
        expect(violation).toMatchObject({ error: { code: 'SQLITE_CONSTRAINT_NOTNULL' } })
      }
      group.run([() => connection.exec(`insert into things values ('whole')`)], 'synced')
      expect(things()).toEqual(['whole'])
    },
  )
})
