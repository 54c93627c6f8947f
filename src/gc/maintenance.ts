import path from 'node:path'
import type { Config } from '../config.js'
import type { AuditLog } from '../events/audit.js'
import type { RetentionRule } from '../metadata/retention.js'
import type { Registry, Stores } from '../registry/registry.js'
import { dayMs } from '../times.js'
import { berthVersion } from '../version.js'
import { Backups, type BackupsOptions } from './backups.js'
import { Collector } from './collector.js'
import { Repeating } from './repeating.js'
import { Retention } from './retention.js'
import type { RunsOptions } from './runs.js'
import { Usage } from './usage.js'
import { Verification } from './verification.js'

/** What keeps a registry tidy: by itself, and when somebody asks for it. */
export interface Maintenance {
  readonly collector: Collector
  readonly retention: Retention
  readonly usage: Usage
  readonly verification: Verification
  readonly backups: Backups
  /** Has all of it done by itself from now on. */
  start(): void
  /** Asks what is under way to end soon, and waits until it has. */
  close(): Promise<void>
}

/** Pulls of the last few seconds are in memory alone. */
const pullsMs = 5_000

/** How often is looked whether it is time to verify. */
const verifyMs = 60_000

/** How often events of the audit trail are forgotten. */
const auditMs = 60_000

/** How often is looked whether retention is due. */
const retentionMs = 60_000

const hourMs = 60 * 60 * 1000

export function createMaintenance(
  { metadata, blobs }: Stores,
  { damage, manifests, pulls, removals }: Registry,
  config: Config,
  given: Omit<RunsOptions, 'metadata' | 'audit'> & { readonly audit: AuditLog } & Pick<
      BackupsOptions,
      'openCopy' | 'openFiles'
    >,
): Maintenance {
  const { gc, undo, history, audit } = config
  const options = { ...given, metadata }
  const { log, now, onDurabilityLost } = options
  const undoMs = undo.days * dayMs
  const untagged = gc.untagged.map(({ repositories, collectAfterDays }) => ({
    repositories,
    ...(collectAfterDays !== undefined && { collectAfterMs: collectAfterDays * dayMs }),
  }))
  const collector = new Collector(removals, {
    ...options,
    undoMs,
    sliceMs: gc.sliceMs,
    brakePercent: gc.brakePercent,
    untagged,
  })
  const verification = new Verification({
    ...{ ...options, blobs, damage },
    allowsMissingBlobs: config.deletes.referencedBlobs === 'allow',
    isRequired: (child) => manifests.isRequired(child),
    bytesPerSecond: config.verify.bytesPerSecond,
    finishRemovals: () => removals.finish(),
    everyMs: config.verify.everyDays * dayMs,
    brakePercent: gc.brakePercent,
  })
  const backups = new Backups({
    ...{ ...options, damage, removals },
    dataDirectory: path.resolve(config.dataDirectory),
    berth: berthVersion(),
    brakePercent: gc.brakePercent,
    bytesPerSecond: config.verify.bytesPerSecond,
  })
  const historyMs = Math.max(history.days, undo.days) * dayMs
  const collect = async (signal: AbortSignal) => {
    // What a process before this one has begun is ended also where nothing is collected.
    await removals.finish()
    if (gc.enabled) await collector.runIfDue()
    await collector.forgetHistory(now() - historyMs, signal)
  }

  const { brakePercent } = gc
  const retention = new Retention(manifests, pulls, {
    ...options,
    brakePercent,
    everyMs: config.retention.everyHours * hourMs,
    rules: config.retention.rules.map(ruleOf),
    neverDeleted: [...config.tags.immutable, ...config.tags.protected],
    untagged,
  })

  const repeated: Repeating[] = []
  return {
    collector,
    retention,
    verification,
    backups,
    usage: new Usage(collector, { metadata, blobs, now, undoMs }),
    start() {
      const repeat = (
        name: string,
        everyMs: number,
        work: (signal: AbortSignal) => Promise<void>,
      ) => void repeated.push(new Repeating(work, { name, everyMs, log, onDurabilityLost }))
      repeat('pull times', pullsMs, () => pulls.flush())
      repeat('verification', verifyMs, () => verification.beginIfDue())
      repeat('gc', gc.everySeconds * 1000, collect)
      repeat('retention', retentionMs, () => retention.runIfDue())
      repeat('audit retention', auditMs, (signal) =>
        given.audit.forget(now() - audit.days * dayMs, signal),
      )
    },
    async close() {
      const stopped = repeated.map((one) => one.stop())
      await Promise.all([
        collector.close(),
        retention.close(),
        verification.close(),
        backups.close(),
      ])
      await Promise.all(stopped)
    },
  }
}

function ruleOf(rule: Config['retention']['rules'][number]): RetentionRule {
  const { repositories, tags, keepTags, keepNewest, keepYoungerThanDays, keepPulledWithinDays } =
    rule
  return {
    repositories,
    tags,
    keepTags,
    ...(keepNewest !== undefined && { keepNewest }),
    ...(keepYoungerThanDays !== undefined && { keepYoungerThanMs: keepYoungerThanDays * dayMs }),
    ...(keepPulledWithinDays !== undefined && { keepPulledWithinMs: keepPulledWithinDays * dayMs }),
  }
}
