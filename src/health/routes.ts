import type { FastifyInstance } from 'fastify'
import { DurabilityLostError } from '../errors.js'
import type { Stores } from '../registry/registry.js'
import { isFresh } from '../times.js'

/** However often somebody asks, the stores are tried no more than once in this time. */
const freshMs = 1000

/** `/healthz`: the process answers. `/readyz`: it can also read and write its stores. */
export async function healthRoutes(
  app: FastifyInstance,
  { stores, now }: { readonly stores: Stores; readonly now: () => number },
): Promise<void> {
  const readiness = new Readiness(stores, now)

  app.get('/healthz', async () => ({ status: 'ok' }))

  app.get('/readyz', async (request, reply) => {
    const failed = await readiness.failedStores((error, store) =>
      request.log.error({ err: error, store }, 'a store is not ready'),
    )
    if (failed.length === 0) return { status: 'ok' }
    return reply.code(503).send({ status: 'unavailable', failed })
  })
}

type StoreName = keyof Stores

/** Tries the stores, and shares the answer between those who ask at the same time. */
class Readiness {
  readonly #stores: Stores
  readonly #now: () => number
  #checkedAt = -Infinity
  #answer: Promise<StoreName[]> = Promise.resolve([])

  constructor(stores: Stores, now: () => number) {
    this.#stores = stores
    this.#now = now
  }

  failedStores(report: (error: unknown, store: StoreName) => void): Promise<StoreName[]> {
    const at = this.#now()
    if (isFresh(this.#checkedAt, at, freshMs)) return this.#answer
    this.#checkedAt = at
    this.#answer = this.#check(at, report)
    return this.#answer
  }

  async #check(
    at: number,
    report: (error: unknown, store: StoreName) => void,
  ): Promise<StoreName[]> {
    const { metadata, blobs } = this.#stores
    const failed: StoreName[] = []
    // Each has its catch from the beginning: the one that fails first may not be the first.
    const watch = (store: StoreName, check: Promise<void>) =>
      check.catch((error: unknown) => {
        if (error instanceof DurabilityLostError) throw error
        report(error, store)
        failed.push(store)
      })
    await Promise.all([
      watch('metadata', metadata.checkReady(at)),
      watch('blobs', blobs.checkReady()),
    ])
    return failed
  }
}
