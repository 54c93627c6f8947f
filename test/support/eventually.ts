import { setTimeout as delay } from 'node:timers/promises'

const patienceMs = 10_000

/** Asks again and again until the answer is what is wanted; fails when it never becomes so. */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  isWanted: (answer: T) => boolean,
): Promise<T> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    if (Date.now() > deadline) throw new Error(`still ${String(answer)}`)
    await delay(5)
  }
}
