import { AsyncLocalStorage } from 'node:async_hooks'
import { aroundEach, onTestFinished, type TestContext } from 'vitest'

const running = new AsyncLocalStorage<TestContext>()

/**
 * To be called once in a file that has a `describe.concurrent`, whose tests run side by side: for those
 * that spend their time waiting. What they take from `test/support` is then theirs alone.
 */
export function runSideBySide(): void {
  aroundEach((run, context) => running.run(context, run))
}

/**
 * What `onTestFinished` does, which alone cannot tell whose test it is asked in while several run
 * ({@link runSideBySide}).
 */
export function whenFinished(handler: () => Promise<void> | void): void {
  const context = running.getStore()
  if (context) context.onTestFinished(handler)
  else onTestFinished(handler)
}
