import { World } from './world.js'

/** Few enough for a small machine; while one waits for its threads and timers, others go on. */
const laneCount = 3

/** Worlds that are used for one trial after the other. */
export class Lanes {
  readonly #idle: World[] = []

  /**
   * Does something with each of many things, each in a world in which nothing is left of others.
   *
   * @returns what was thrown
   */
  async forEach<T>(
    things: readonly T[],
    work: (world: World, thing: T) => Promise<void>,
  ): Promise<unknown[]> {
    const failures: unknown[] = []
    const left = [...things].reverse()
    const lane = async () => {
      let world = this.#idle.pop() ?? (await World.open())
      for (let thing = left.pop(); thing !== undefined; thing = left.pop()) {
        try {
          await work(world, thing)
        } catch (error) {
          failures.push(error)
          await world.close()
          world = await World.open()
        }
      }
      this.#idle.push(world)
    }
    await Promise.all(Array.from({ length: laneCount }, lane))
    return failures
  }

  async close(): Promise<void> {
    for (const world of this.#idle.splice(0)) await world.close()
  }
}
