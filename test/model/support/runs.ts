import fc from 'fast-check'
import { sequences, textOf, type Command } from './commands.js'
import { StoreUnderTest, type Setup } from './store-under-test.js'
import { World } from './world.js'

/** Sequences are made for each of these. */
const SETUPS: readonly Setup[] = [
  { undoDays: 7, leaseSeconds: 86_400, historyDays: 365, referencedBlobs: 'refuse' },
  { undoDays: 7, leaseSeconds: 3600, historyDays: 1, referencedBlobs: 'allow' },
  // Nothing but leases keeps what a client was told.
  { undoDays: 0, leaseSeconds: 86_400, historyDays: 1, referencedBlobs: 'refuse' },
  { undoDays: 2, leaseSeconds: 5 * 86_400, historyDays: 1, referencedBlobs: 'allow' },
]

const commandsMax = 240

/** So many commands are performed between two looks at the whole store. */
const checkEvery = 30

const sequencesEach = 20

/** Then its clock is centuries ahead. */
const usesMax = 300

/** Making what failed shorter is over after this time: a long sequence takes seconds each time. */
const shrinkMsMax = 2 * 60 * 1000

/** What a failure is seen again by. */
export interface Replay {
  readonly seed: number
  readonly path?: string
}

export interface Bounds {
  /** Goes on until so many commands were performed, */
  readonly steps: number
  /** or until this time, in milliseconds of the process. */
  readonly until: number
}

/**
 * Performs random sequences on registries, and on the model.
 *
 * @returns how many commands that were
 * @throws an error with the shortest sequence found that goes wrong, and how to see it again
 */
export async function runSequences(replay: Replay, { steps, until }: Bounds): Promise<number> {
  const stores = new Stores()
  let performed = 0
  let shrinksUntil = Infinity
  const property = fc.asyncProperty(
    fc.constantFrom(...SETUPS),
    sequences(commandsMax),
    fc.boolean(),
    async (setup, commands, isThorough) => {
      fc.pre(performance.now() < shrinksUntil)
      const store = await stores.take(setup)
      try {
        await perform(store, commands, isThorough)
      } catch (error) {
        shrinksUntil = Math.min(shrinksUntil, performance.now() + shrinkMsMax)
        throw error
      }
      await stores.giveBack(store)
      performed += commands.length
    },
  )
  try {
    for (let seed = replay.seed; performed < steps && performance.now() < until; seed++) {
      const { path } = replay
      const run = await fc.check(property, {
        ...{ seed, numRuns: sequencesEach },
        ...(path !== undefined && { path }),
      })
      if (run.failed) throw failureOf(run)
      if (path !== undefined) break
    }
    return performed
  } finally {
    await stores.close()
  }
}

async function perform(
  store: StoreUnderTest,
  commands: readonly Command[],
  isThorough: boolean,
): Promise<void> {
  const world = new World(store)
  let index = 0
  let doing = 'looking at the end'
  try {
    for (; index < commands.length; index++) {
      const command = commands[index] as Command
      doing = textOf(command)
      await world.perform(command)
      if (index % checkEvery === checkEvery - 1) await world.check()
    }
    doing = 'looking at the end'
    await world.check()
    if (isThorough) await world.checkThoroughly()
    doing = 'letting all time pass'
    await world.drain()
  } catch (error) {
    throw new Error(`${index + 1}. ${doing}: ${messageOf(error)}`, { cause: error })
  }
}

/** One registry for each setup: what has left one without content is followed by the next. */
class Stores {
  readonly #idle = new Map<Setup, StoreUnderTest>()
  readonly #taken = new Map<Setup, StoreUnderTest>()
  readonly #uses = new Map<StoreUnderTest, number>()

  async take(setup: Setup): Promise<StoreUnderTest> {
    // What has failed has left nobody knows what.
    await this.#taken.get(setup)?.close()
    this.#taken.delete(setup)
    const store = this.#idle.get(setup) ?? (await StoreUnderTest.open(setup))
    this.#idle.delete(setup)
    this.#taken.set(setup, store)
    return store
  }

  async giveBack(store: StoreUnderTest): Promise<void> {
    this.#taken.delete(store.setup)
    const uses = (this.#uses.get(store) ?? 0) + 1
    this.#uses.set(store, uses)
    if (uses < usesMax) this.#idle.set(store.setup, store)
    else await store.close()
  }

  async close(): Promise<void> {
    for (const store of [...this.#idle.values(), ...this.#taken.values()]) await store.close()
  }
}

function failureOf(run: fc.RunDetails<[Setup, Command[], boolean]>): Error {
  const [setup, commands = []] = run.counterexample ?? []
  const lines = [
    'the store did something else than the model says:',
    messageOf(run.errorInstance),
    '',
    `settings: ${JSON.stringify(setup)}`,
    ...commands.map((command, index) => `${String(index + 1).padStart(3)}. ${textOf(command)}`),
    '',
    `see it again: BERTH_MODEL_SEED=${run.seed} BERTH_MODEL_PATH=${run.counterexamplePath} npm run test:model`,
    `found after ${run.numRuns} sequences, made shorter ${run.numShrinks} times`,
  ]
  return new Error(lines.join('\n'), { cause: run.errorInstance })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
