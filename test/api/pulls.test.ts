import Database from 'better-sqlite3'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { ABSENT, indexOf, pushImage, putManifest, OCI_INDEX } from '../support/images.js'
import { startTestServer, type TestServer } from '../support/server.js'

const name = 'team/app'
const AT = 1_700_000_000_000
const MINUTE = 60_000

/** When the manifest of a digest was last pulled, as it is written down. */
function pulledAt({ dataDirectory }: TestServer, digest: string): number | null | undefined {
  const connection = new Database(path.join(dataDirectory, 'berth.db'), { readonly: true })
  try {
    return connection
      .prepare<[string], number | null>('select pulled_at from manifests where digest = ?')
      .pluck()
      .get(digest)
  } finally {
    connection.close()
  }
}

/** A server with a clock of its own, which begins at AT. */
async function startWithClock() {
  const clock = { at: AT }
  const store = await startTestServer({ now: () => clock.at })
  const pull = async (method: 'GET' | 'HEAD', reference: string) => {
    await store.app.inject({ method, url: `/v2/${name}/manifests/${reference}` })
    await store.server.registry.pulls.flush()
  }
  return { store, clock, pull }
}

describe('the time of a pull', () => {
  it.each([
    ['GET', 'by tag'],
    ['HEAD', 'by tag'],
    ['GET', 'by digest'],
    ['HEAD', 'by digest'],
  ] as const)('is written down: %s %s', async (method, how) => {
    const { store, clock, pull } = await startWithClock()
    const { digest } = await pushImage(store.app, name, 'v1')
    expect(pulledAt(store, digest)).toBe(null)
    clock.at += 5

    await pull(method, how === 'by tag' ? 'v1' : digest)

    expect(pulledAt(store, digest)).toBe(AT + 5)
  })

  it('is written at most once a minute', async () => {
    const { store, clock, pull } = await startWithClock()
    const { digest } = await pushImage(store.app, name, 'v1')
    await pull('GET', 'v1')
    clock.at += MINUTE - 1
    await pull('GET', 'v1')
    expect(pulledAt(store, digest)).toBe(AT)

    clock.at += 1
    await pull('GET', 'v1')

    expect(pulledAt(store, digest)).toBe(AT + MINUTE)
  })

  it('is that of the index and of the manifest in it that was pulled, and of no other', async () => {
    const { store, pull } = await startWithClock()
    const one = await pushImage(store.app, name, undefined, { config: '{"a":1}' })
    const two = await pushImage(store.app, name, undefined, { config: '{"a":2}' })
    const index = indexOf(
      [one, two].map(({ digest, manifest }) => ({ digest, size: manifest.length })),
    )
    const put = await putManifest(store.app, name, 'multi', index, { contentType: OCI_INDEX })

    await pull('GET', 'multi')
    await pull('GET', one.digest)

    expect(pulledAt(store, String(put.headers['docker-content-digest']))).toBe(AT)
    expect(pulledAt(store, one.digest)).toBe(AT)
    expect(pulledAt(store, two.digest)).toBe(null)
  })

  it('is not that of what is not there, or was deleted before it was written', async () => {
    const { store, pull } = await startWithClock()
    const { digest } = await pushImage(store.app, name, 'v1')
    await store.app.inject(`/v2/${name}/manifests/v1`)
    await store.app.inject({ method: 'DELETE', url: `/v2/${name}/manifests/${digest}` })

    await pull('GET', ABSENT)

    expect(pulledAt(store, digest)).toBe(null)
  })

  it('of many manifests is written all the same', async () => {
    const { store } = await startWithClock()
    const digests: string[] = []
    for (let index = 0; index < 40; index++) {
      const image = { config: JSON.stringify({ index }) }
      digests.push((await pushImage(store.app, name, `v${index}`, image)).digest)
    }
    for (const digest of digests) await store.app.inject(`/v2/${name}/manifests/${digest}`)

    await store.server.registry.pulls.flush()

    expect(digests.map((digest) => pulledAt(store, digest))).toEqual(digests.map(() => AT))
  })

  it('is not lost when the server is closed', async () => {
    const { store } = await startWithClock()
    const { digest } = await pushImage(store.app, name, 'v1')
    await store.app.inject(`/v2/${name}/manifests/v1`)

    await store.server.close()

    expect(pulledAt(store, digest)).toBe(AT)
  })
})
