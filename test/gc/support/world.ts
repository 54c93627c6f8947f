import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { buildApp } from '../../../src/app.js'
import { createAuth } from '../../../src/auth/auth.js'
import { AuditLog } from '../../../src/events/audit.js'
import { Collector, type CollectRequest } from '../../../src/gc/collector.js'
import { createMaintenance, type Maintenance } from '../../../src/gc/maintenance.js'
import type { AuditTrail } from '../../../src/metadata/audit.js'
import { SqliteMetadataStore } from '../../../src/metadata/sqlite/sqlite-metadata-store.js'
import { createRegistry, type Registry, type Stores } from '../../../src/registry/registry.js'
import { dayMs } from '../../../src/times.js'
import { VerifyRun } from '../../../src/registry/verify/verify-run.js'
import { BackupFiles } from '../../../src/storage/backup-files.js'
import { FsBlobStore } from '../../../src/storage/fs-blob-store.js'
import { testConfig } from '../../support/server.js'
import { StoredState } from '../../support/stored-state.js'
import { inlineBytesMax } from './client.js'
import { tracked } from './track.js'

/** How somebody collects; `scheduled` is what happens by itself. */
export type Collecting = 'scheduled' | 'asked' | 'now' | 'purge'

const REQUESTS: Record<Exclude<Collecting, 'scheduled'>, CollectRequest> = {
  asked: {},
  now: { now: true },
  purge: { purge: true },
}

export const undoMs = 7 * dayMs
export const untaggedMs = 30 * dayMs
export const leaseMs = 60 * 60 * 1000
export const expireMs = 24 * 60 * 60 * 1000

/** An audit trail that nothing gets into. */
const unwritten: AuditTrail = {
  recordAudit: async () => undefined,
  listAudit: async () => ({ entries: [] }),
  forgetAudit: async () => false,
}

/**
 * A whole registry that does nothing by itself, whose stores can be watched and stopped, and its
 * clock. What it logs as worse than it should be is kept.
 */
export class World {
  readonly app: FastifyInstance
  readonly registry: Registry
  readonly stores: Stores
  readonly state: StoredState
  readonly complaints: string[]
  readonly #directory: string
  readonly #clock: { now: number }
  readonly #log: FastifyBaseLogger
  readonly #maintenance: Maintenance
  readonly #collector: Collector
  readonly #refusals: Refusals

  private constructor(parts: {
    readonly app: FastifyInstance
    readonly registry: Registry
    readonly stores: Stores
    readonly complaints: string[]
    readonly directory: string
    readonly clock: { now: number }
    readonly log: FastifyBaseLogger
    readonly maintenance: Maintenance
    readonly collector: Collector
    readonly refusals: Refusals
  }) {
    this.app = parts.app
    this.registry = parts.registry
    this.stores = parts.stores
    this.complaints = parts.complaints
    this.state = new StoredState(parts.directory)
    this.#directory = parts.directory
    this.#clock = parts.clock
    this.#log = parts.log
    this.#maintenance = parts.maintenance
    this.#collector = parts.collector
    this.#refusals = parts.refusals
  }

  static async open(): Promise<World> {
    const directory = await mkdtemp(path.join(tmpdir(), 'berth-interleavings-'))
    const clock = { now: Date.parse('2026-01-01T00:00:00Z') }
    const now = () => clock.now
    const complaints: string[] = []
    const log = pino({ level: 'warn' }, { write: (line: string) => void complaints.push(line) })
    const onDurabilityLost = (error: Error) => {
      throw error
    }
    const config = testConfig(directory, {
      undo: { days: undoMs / dayMs },
      leases: { seconds: leaseMs / 1000 },
      uploads: { expireSeconds: expireMs / 1000 },
      // Whatever room there is: nothing here is large.
      storage: { reserveBytes: 0, inlineBytesMax },
      gc: {
        brakePercent: 100,
        // One thing in each step, so that there is a place to stop between any two.
        sliceMs: 0,
        untagged: [{ repositories: '**', collectAfterDays: untaggedMs / dayMs }],
      },
    })
    const refusals = new Refusals()
    const stores = {
      metadata: tracked(
        'metadata',
        await SqliteMetadataStore.open({ file: path.join(directory, 'berth.db') }),
        (method, answer) => {
          if (method === 'beginCommit' && answer === false) refusals.note()
        },
      ),
      blobs: tracked('blobs', await FsBlobStore.open(directory)),
    }
    const registry = createRegistry(stores, config, { log, now, onDurabilityLost })
    // What it writes down comes by the clock on the wall: into no step of what is looked at here.
    const audit = new AuditLog({ ...{ log, now, onDurabilityLost }, trail: unwritten })
    const maintenance = createMaintenance(stores, registry, config, {
      ...{ audit, log, now, onDurabilityLost },
      openCopy: (file) => SqliteMetadataStore.open({ file }),
      openFiles: (to) => BackupFiles.open({ from: directory, to, mayLink: true }),
    })
    const collector = new Collector(registry.removals, {
      ...{ metadata: stores.metadata, audit, log, now, onDurabilityLost },
      ...{ undoMs, sliceMs: 50, brakePercent: 100 },
      untagged: [{ repositories: '**', collectAfterMs: untaggedMs }],
    })
    const auth = await createAuth(stores.metadata, config, {
      ...{ log, now, onDurabilityLost, onLogin: () => undefined },
      operatorToken: 'a-token',
    })
    const app = await buildApp({
      ...{ config, stores, registry, maintenance, audit, log, now, onDurabilityLost },
      auth,
    })
    return new World({
      ...{
        app,
        registry,
        stores,
        complaints,
        directory,
        clock,
        log,
        maintenance,
        collector,
        refusals,
      },
    })
  }

  get now(): number {
    return this.#clock.now
  }

  /** Lets time pass. */
  wait(ms: number): void {
    this.#clock.now += ms
  }

  /** Resolves when an upload was told to wait for a removal, from now on. */
  uploadMustWait(): Promise<void> {
    return this.#refusals.next()
  }

  /** All that is done to tidy up, once, in the smallest steps. */
  async tidyUp(collecting: Collecting): Promise<void> {
    await this.#tidyUp(this.#maintenance.collector, collecting)
  }

  /** The same in large steps. */
  async tidyUpFast(collecting: Collecting): Promise<void> {
    await this.#tidyUp(this.#collector, collecting)
  }

  /** What verification finds, a sentence each. */
  async verify(): Promise<string[]> {
    const { metadata, blobs } = this.stores
    const { registry, now } = this
    const run = new VerifyRun(
      {
        ...{ metadata, blobs, damage: registry.damage, log: this.#log, now: () => now },
        allowsMissingBlobs: false,
        isRequired: (child) => registry.manifests.isRequired(child),
        ...{ bytesPerSecond: 1e9, brakePercent: 100 },
        finishRemovals: () => registry.removals.finish(),
        identity: 'tester',
        signal: new AbortController().signal,
      },
      { content: true, repair: false, confirm: false },
    )
    await run.execute(async () => undefined)
    return run.report.findings.map((finding) => JSON.stringify(finding))
  }

  async close(): Promise<void> {
    this.state.close()
    await this.#collector.close()
    await this.#maintenance.close()
    await this.app.close()
    await this.registry.pulls.close()
    await this.stores.metadata.close()
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #tidyUp(collector: Collector, collecting: Collecting): Promise<void> {
    const { uploads, manifests, removals } = this.registry
    const { signal } = new AbortController()
    await uploads.expire()
    await manifests.untag(signal)
    await removals.finish()
    if (collecting === 'scheduled') await collector.runIfDue()
    else await (await collector.begin(REQUESTS[collecting], 'tester')).ended
    await collector.forgetHistory(this.now - 365 * dayMs, signal)
  }
}

/** Who waits for an upload that is told to wait. */
class Refusals {
  #listeners: (() => void)[] = []

  note(): void {
    for (const listener of this.#listeners.splice(0)) listener()
  }

  next(): Promise<void> {
    return new Promise((resolve) => this.#listeners.push(resolve))
  }
}
