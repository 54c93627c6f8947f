import { setTimeout as delay } from 'node:timers/promises'

const patienceMs = 60_000

/** Before somebody asks again who has waited so long: whoever waits long must not ask all the time. */
export function pauseMs(waitedMs: number): number {
  return Math.max(5, waitedMs / 10)
}

/** Asks again and again until the answer is what is wanted; fails when it never becomes so. */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  isWanted: (answer: T) => boolean,
): Promise<T> {
  const startedAt = performance.now()
  for (;;) {
    const answer = await ask()
    if (isWanted(answer)) return answer
    const waitedMs = performance.now() - startedAt
    if (waitedMs > patienceMs) throw new Error(`still ${String(answer)}`)
    await delay(pauseMs(waitedMs))
  }
}
