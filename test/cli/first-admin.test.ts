import { existsSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import type { FirstAdmin } from '../../src/auth/first-admin.js'
import { basic } from '../support/accounts.js'
import { temporaryDirectory } from '../support/directories.js'
import { serveBerth } from '../support/process.js'
import { startTestServer } from '../support/server.js'

const withAccounts = { environment: { BERTH_ACCESS_MODE: 'accounts' } }
const accountsConfig = { access: { mode: 'accounts' } } as const

const WARNING = /Warning: no admin can log in[^]*?\n\n/

describe('the first start with accounts', () => {
  it('prints how somebody comes in, once, before the address', async () => {
    const dataDirectory = await temporaryDirectory()

    const { berth, url } = await serveBerth(dataDirectory, [], withAccounts)
    const [, name = '', password = ''] =
      /name {6}(\S+)\n {2}password {2}(\S+)\n[^]*\nBerth listens on/.exec(berth.stdout) ?? []
    const status = async (authorization: string) =>
      (await fetch(`${url}/v2/`, { headers: { authorization } })).status

    expect(name).toBe('admin')
    expect(await status(basic(name, password))).toBe(200)
    expect(await status(basic(name, 'another'))).toBe(401)
    expect(berth.stdout + berth.stderr).not.toMatch(WARNING)

    berth.signal('SIGTERM')
    await berth.exit()
    const again = await serveBerth(dataDirectory, [], withAccounts)
    expect(again.berth.stdout).not.toContain('password')
  })

  it('prints another password the next time when it ends before anybody could read the first', async () => {
    const dataDirectory = await temporaryDirectory()
    const told: FirstAdmin[] = []
    const start = (introduce: (admin: FirstAdmin) => Promise<void>) =>
      startTestServer({ dataDirectory, config: accountsConfig, introduce })

    const first = start(async (admin) => {
      told.push(admin)
      throw new Error('nobody reads this')
    })
    await expect(first).rejects.toThrow('nobody reads this')
    const { app } = await start(async (admin) => void told.push(admin))
    const statuses = told.map(async ({ name, password }) => {
      const headers = { authorization: basic(name, password) }
      return (await app.inject({ url: '/v2/', headers })).statusCode
    })

    expect(told.map(({ name }) => name)).toEqual(['admin', 'admin'])
    expect(await Promise.all(statuses)).toEqual([401, 200])
  })

  it('lets no command add users before that', async () => {
    const dataDirectory = await temporaryDirectory()
    const operatorFile = path.join(dataDirectory, 'berth.operator.json')
    let mayCommand: boolean | undefined

    await startTestServer({
      ...{ dataDirectory, config: accountsConfig },
      introduce: async () => {
        mayCommand = existsSync(operatorFile)
      },
    })

    expect([mayCommand, existsSync(operatorFile)]).toEqual([false, true])
  })

  it('notes in the audit trail who was added', async () => {
    const { server } = await startTestServer({ config: accountsConfig })
    await server.audit.flush()

    const { entries } = await server.stores.metadata.audit.listAudit({
      action: 'user.add',
      limit: 10,
    })

    expect(entries).toMatchObject([
      { actor: 'berth', target: 'admin', result: 'done', details: { isAdmin: true } },
    ])
  })
})

describe('a start with accounts where no admin can log in', () => {
  it('says so, and how to mend it', async () => {
    const dataDirectory = await temporaryDirectory()
    const open = await startTestServer({ dataDirectory })
    const { accounts } = open.server.stores.metadata
    const made = { identity: 'test', at: Date.now() }
    await accounts.addAccount({ kind: 'user', name: 'gwen', isAdmin: true, ...made })
    await open.server.close()

    const { berth } = await serveBerth(dataDirectory, [], withAccounts)
    const [warning] = await berth.output('stdout', WARNING)

    expect(warning).toContain('berth user add NAME --admin')
    expect(warning).toContain('berth user passwd NAME')
  })
})
