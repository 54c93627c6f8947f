/** What has to be undone, last first, when a later step fails or all is closed. */
export class Unwinding {
  readonly #steps: (() => unknown)[] = []

  push(step: () => unknown): void {
    this.#steps.push(step)
  }

  /**
   * Undoes every step, also those behind one that fails: what is left open keeps the process alive.
   * A step is undone once.
   *
   * @throws what the first step that failed has thrown
   */
  async run(): Promise<void> {
    const failures: unknown[] = []
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
