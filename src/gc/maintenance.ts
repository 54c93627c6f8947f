import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config.js'
import type { DurabilityLostError } from '../errors.js'
import type { Registry, Stores } from '../registry/registry.js'
import { Collector } from './collector.js'
import { Repeating } from './repeating.js'

/** What keeps a registry tidy: by itself, and when somebody asks for it. */
export interface Maintenance {
  readonly collector: Collector
  /**
   * Has all of it done by itself from now on.
   *
   * @returns what stops it, and waits until it has
   */
  start(onDurabilityLost: (error: DurabilityLostError) => void): () => Promise<void>
}

/** How often is looked whether it is time to verify. */
const verifyEveryMs = 60_000

const dayMs = 24 * 60 * 60 * 1000

export function createMaintenance(
  { metadata }: Stores,
  { removals, verification }: Registry,
  config: Config,
  log: FastifyBaseLogger,
  now: () => number,
): Maintenance {
  const { gc, undo, history } = config
  const collector = new Collector(metadata, removals, log, {
    now,
    undoMs: undo.days * dayMs,
    sliceMs: gc.sliceMs,
    brakePercent: gc.brakePercent,
    untagged: gc.untagged.map(({ repositories, collectAfterDays }) => ({
      repositories,
      ...(collectAfterDays !== undefined && { collectAfterMs: collectAfterDays * dayMs }),
    })),
  })
  const historyMs = Math.max(history.days, undo.days) * dayMs

  const collect = async (signal: AbortSignal) => {
    // What a process before this one has begun is ended also where nothing is collected.
    await removals.finish()
    if (gc.enabled) await collector.runIfDue(signal)
    await collector.forgetHistory(now() - historyMs, signal)
  }
  return {
    collector,
    start(onDurabilityLost) {
      const options = { log, onDurabilityLost }
      const repeated = [
        new Repeating(collect, { ...options, name: 'gc', everyMs: gc.everySeconds * 1000 }),
        new Repeating(() => verification.startIfDue(), {
          ...options,
          name: 'verification',
          everyMs: verifyEveryMs,
        }),
      ]
      return async () => void (await Promise.all(repeated.map((one) => one.stop())))
    },
  }
}
