import { dayMs } from '../../../src/times.js'
import { Client } from './client.js'
import type { GarbageKind, Scene } from './garbage.js'
import type { Acts, Operation } from './operations.js'
import { Track, type Call, type StopPoint } from './track.js'
import type { World } from './world.js'

/** One way in which collecting and an operation of the same digests can come between each other. */
export interface Trial {
  readonly kind: GarbageKind
  readonly operation: Operation
  /** Who is stopped, while the other one goes on to its end. */
  readonly stopped: 'gc' | 'operation'
  /** Not stopped at all when absent: the other one comes after it. */
  readonly at?: (StopPoint & { readonly call: Call }) | undefined
}

/** Longer than anything waits, but for a deadlock. */
const patienceMs = 30_000

let count = 0

/**
 * Makes garbage, has it collected and something done with it at the same time, and looks whether all
 * is as it was promised; in the end everything is deleted, and nothing may be left.
 *
 * @returns what the one who is stopped has asked of the stores, in its order; nothing where there is
 *   nothing of this garbage to do that with
 * @throws an error that says what was not as promised
 */
export async function run(world: World, trial: Trial): Promise<Call[]> {
  const { kind, operation, at } = trial
  const seed = `trial ${++count}`
  const client = new Client(world)
  const scene: Scene = {
    client,
    world,
    name: `team/app-${count}`,
    other: `other/app-${count}`,
    seed,
  }
  const garbage = await kind.make(scene)
  if (operation.suits?.(garbage) === false) {
    await requireNoRemains(scene)
    return []
  }
  const acts = operation.begin(scene, garbage)
  await acts.before?.()
  const track = new Track(at)

  if (trial.stopped === 'gc') await stopCollecting(scene, kind, acts, track)
  else await stopOperation(scene, kind, acts, track)
  requireStopped(track, at)

  await inTime(world.tidyUpFast(kind.collecting))
  await acts.after?.()
  await inTime(world.tidyUpFast(kind.collecting))
  await client.requireServed()
  requireNone('verification', await world.verify())
  requireNone('the stores', await world.state.findings())
  await requireNoRemains(scene)
  const complaints = world.complaints.splice(0).filter((line) => !kind.tolerates?.test(line))
  requireNone('the log', complaints)
  return track.calls
}

async function stopCollecting(
  { client, world }: Scene,
  { collecting }: GarbageKind,
  acts: Acts,
  track: Track,
): Promise<void> {
  const collected = track.follow(() => world.tidyUp(collecting))
  await inTime(Promise.race([track.stopped, collected]))
  let isAlone = true
  client.whenAlone(() => isAlone)
  const mustWait = world.uploadMustWait()
  const done = acts.during()
  // Some wait until the removal of their bytes has ended, and so for whoever is stopped.
  await inTime(Promise.race([done, mustWait]))
  isAlone = false
  track.goOn()
  await inTime(Promise.all([collected, done]))
}

async function stopOperation(
  { world }: Scene,
  { collecting }: GarbageKind,
  acts: Acts,
  track: Track,
): Promise<void> {
  const mustWait = world.uploadMustWait()
  const done = track.follow(() => acts.during())
  await inTime(Promise.race([track.stopped, done, mustWait]))
  await inTime(world.tidyUpFast(collecting))
  track.goOn()
  await inTime(done)
}

/** Each trial asks the same in the same order, or nobody would know what has been tried. */
function requireStopped({ calls }: Track, at: Trial['at']): void {
  if (at === undefined) return
  const name = calls[at.index]?.name
  if (name !== at.call.name) throw new Error(`it was stopped at ${name ?? 'no call'}`)
}

async function requireNoRemains({ client, world, name, other }: Scene): Promise<void> {
  for (const repository of [name, other]) await client.deleteRepository(repository)
  // Longer than anything is kept for any reason.
  world.wait(60 * dayMs)
  await inTime(world.tidyUpFast('scheduled'))
  requireNone('what is left', [...world.state.remains(), ...(await world.state.findings())])
}

function requireNone(of: string, found: readonly string[]): void {
  if (found.length > 0) throw new Error(`${of}: ${found.join('; ')}`)
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('it waits for ever')), patienceMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
