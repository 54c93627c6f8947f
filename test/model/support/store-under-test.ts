import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pino } from 'pino'
import { assemble, type Assembly } from '../../../src/assembly.js'
import type { CollectTerms } from '../../../src/metadata/collecting.js'
import type { Config } from '../../../src/config.js'
import { parsePattern } from '../../../src/oci/patterns.js'
import { testConfig } from '../../support/server.js'
import type { CollectKind } from './commands.js'
import { inlineBytesMax } from './contents.js'
import type { Settings } from './model.js'
import { StoredState } from '../../support/stored-state.js'

const day = 24 * 60 * 60 * 1000

/** What a store is set to. */
export interface Setup {
  readonly undoDays: number
  readonly leaseSeconds: number
  readonly historyDays: number
  readonly referencedBlobs: 'refuse' | 'allow'
}

/** What becomes of untagged manifests, by the first entry that fits. */
const UNTAGGED = [
  { repositories: 'kept/**' },
  { repositories: 'quick/*', collectAfterDays: 1 },
  { repositories: '**', collectAfterDays: 30 },
]

/** Which tags go with a retention run. */
const RETENTION_RULES: Config['retention']['rules'] = [
  { repositories: 'team/**', tags: ['many-*'], keepNewest: 3, keepTags: [] },
  { repositories: 'quick/*', tags: ['**'], keepYoungerThanDays: 2, keepTags: ['c'] },
  { repositories: '**', tags: ['b', 'c'], keepNewest: 1, keepPulledWithinDays: 5, keepTags: [] },
]

const uploadExpireSeconds = 24 * 60 * 60

export function settingsOf(setup: Setup): Settings {
  const undoMs = setup.undoDays * day
  return {
    undoMs,
    leaseMs: setup.leaseSeconds * 1000,
    historyMs: Math.max(setup.historyDays, setup.undoDays) * day,
    expireMs: uploadExpireSeconds * 1000,
    mayDeleteReferencedBlobs: setup.referencedBlobs === 'allow',
    retentionRulesOf: (name) =>
      RETENTION_RULES.filter(({ repositories }) => parsePattern(repositories).matches(name)).map(
        ({
          tags,
          keepTags,
          keepNewest = 0,
          keepYoungerThanDays = 0,
          keepPulledWithinDays = 0,
        }) => ({
          selects: (tag: string) => tags.some((text) => parsePattern(text).matches(tag)),
          keepsTag: (tag: string) => keepTags.includes(tag),
          keepNewest,
          keepYoungerThanMs: keepYoungerThanDays * day,
          keepPulledWithinMs: keepPulledWithinDays * day,
        }),
      ),
    untaggedMs: (name) =>
      name.startsWith('kept/') ? undefined : (name.startsWith('quick/') ? 1 : 30) * day,
  }
}

/** A whole registry in a folder of its own, which does nothing by itself; and its clock. */
export class StoreUnderTest {
  readonly setup: Setup
  readonly state: StoredState
  readonly #directory: string
  readonly #clock: { now: number }
  #assembly: Assembly

  private constructor(setup: Setup, directory: string, clock: { now: number }, assembly: Assembly) {
    this.setup = setup
    this.#directory = directory
    this.#clock = clock
    this.#assembly = assembly
    this.state = new StoredState(directory)
  }

  static async open(setup: Setup): Promise<StoreUnderTest> {
    const directory = await mkdtemp(path.join(tmpdir(), 'berth-model-'))
    const clock = { now: Date.parse('2026-01-01T00:00:00Z') }
    return new StoreUnderTest(setup, directory, clock, await assembled(setup, directory, clock))
  }

  get registry() {
    return this.#assembly.registry
  }

  get metadata() {
    return this.#assembly.stores.metadata
  }

  get app() {
    return this.#assembly.app
  }

  get collector() {
    return this.#assembly.maintenance.collector
  }

  get retention() {
    return this.#assembly.maintenance.retention
  }

  get verification() {
    return this.#assembly.maintenance.verification
  }

  get now(): number {
    return this.#clock.now
  }

  /** Lets time pass. */
  wait(ms: number): void {
    this.#clock.now += ms
  }

  termsOf(kind: CollectKind): CollectTerms {
    return {
      at: this.now,
      undoMs: kind === 'purge' ? 0 : this.setup.undoDays * day,
      skipWaits: kind === 'now' || kind === 'purge',
      untagged: UNTAGGED.map(({ repositories, collectAfterDays }) => ({
        repositories,
        ...(collectAfterDays !== undefined && { collectAfterMs: collectAfterDays * day }),
      })),
    }
  }

  /** Ends the registry in good order, and starts another one in its folder. */
  async restart(): Promise<void> {
    // Nothing here would begin again what the end leaves to the next start.
    await this.registry.removals.finish()
    await this.#assembly.close()
    this.#assembly = await assembled(this.setup, this.#directory, this.#clock)
  }

  async close(): Promise<void> {
    this.state.close()
    await this.#assembly.close()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

async function assembled(
  setup: Setup,
  directory: string,
  clock: { readonly now: number },
): Promise<Assembly> {
  const config = testConfig(directory, {
    undo: { days: setup.undoDays },
    leases: { seconds: setup.leaseSeconds },
    history: { days: setup.historyDays },
    deletes: { referencedBlobs: setup.referencedBlobs },
    uploads: { expireSeconds: uploadExpireSeconds },
    // Whatever room there is: nothing here is large.
    storage: { inlineBytesMax, reserveBytes: 0 },
    retention: { everyHours: 0, rules: RETENTION_RULES },
    gc: { brakePercent: 100, sliceMs: 50, untagged: UNTAGGED },
  })
  return assemble({
    config,
    log: pino({ level: 'silent' }),
    now: () => clock.now,
    onDurabilityLost: (error) => {
      throw error
    },
  })
}
