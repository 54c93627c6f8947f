import { describe, expect, it } from 'vitest'
import { basic, startWithAccounts } from '../support/accounts.js'
import { pushImage } from '../support/images.js'
import { startTestServer } from '../support/server.js'

const REPOSITORY = '/api/v1/repositories/open%2Fapp'

/** Everything that tells who did something. */
async function world() {
  const started = await startWithAccounts()
  const image = await pushImage(started.as(started.admin), 'open/app', 'v1')
  const gone = await pushImage(started.as(started.admin), 'open/app', 'v2', { layers: ['other'] })
  await started.user('bob')
  await started.show('open/app', 'public')
  await started.grant('anonymous', 'open/**', 'pull')
  const manifest = `${REPOSITORY}/manifests/${image.digest}`
  const deletions = [
    `${REPOSITORY}/manifests/${gone.digest}`,
    '/api/v1/repositories/open%2Fgone?confirm=open/gone',
  ]
  await pushImage(started.as(started.admin), 'open/gone', 'v1')
  for (const url of deletions) {
    const { statusCode } = await started.ask({ method: 'DELETE', url }, started.admin)
    expect(statusCode).toBe(200)
  }
  const places = [
    ...[`${REPOSITORY}/history`, `${REPOSITORY}/tags`, `${REPOSITORY}/tags/v1`],
    ...[`${REPOSITORY}/manifests`, `${REPOSITORY}/manifests?deleted=true`, manifest],
    '/api/v1/deleted-repositories',
  ]
  return { started, places }
}

describe('who did something', () => {
  it('is told to whoever has an account, and to no stranger', async () => {
    const { started, places } = await world()

    for (const place of places) {
      const forBob = await started.get(place, basic('bob'))
      const forStranger = await started.get(place)

      expect([place, forBob.statusCode, forStranger.statusCode]).toEqual([place, 200, 200])
      expect(forBob.body).toMatch(/"\w*[bB]y":"admin"/)
      expect(forStranger.body).not.toContain('admin')
      // All the rest is the same.
      const withoutNames = forBob.body.replaceAll(
        /,?"(by|pushedBy|updatedBy|deletedBy)":"admin"/g,
        '',
      )
      expect(forStranger.json()).toEqual(JSON.parse(withoutNames))
    }
  })

  it('is told to everybody where there are no accounts', async () => {
    const { app } = await startTestServer()
    await pushImage(app, 'open/app', 'v1')

    const { items } = (await app.inject(`${REPOSITORY}/tags`)).json<{ items: object[] }>()

    expect(items).toMatchObject([{ updatedBy: 'anonymous' }])
  })
})
