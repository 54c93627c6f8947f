import { expect, it } from 'vitest'
import { runSequences } from './support/runs.js'

const { BERTH_MODEL_SEED, BERTH_MODEL_PATH, BERTH_MODEL_STEPS, BERTH_MODEL_HOURS } = process.env

/** A few seconds; `npm run test:model` asks for more. */
const steps = Number(BERTH_MODEL_STEPS ?? 2000)
const hours = Number(BERTH_MODEL_HOURS ?? 0)

const hourMs = 60 * 60 * 1000

it(
  'serves, keeps and collects exactly what a model of plain maps says, whatever happens',
  async () => {
    // Another one each time only where somebody is there to look into what it finds.
    const seed = Number(BERTH_MODEL_SEED ?? (hours > 0 ? Date.now() % 2 ** 31 : 1))
    const replay = { seed, ...(BERTH_MODEL_PATH && { path: BERTH_MODEL_PATH }) }
    process.stdout.write(`model: BERTH_MODEL_SEED=${seed}\n`)
    const startedAt = performance.now()

    const performed = await runSequences(replay, {
      steps: hours > 0 ? Infinity : steps,
      until: hours > 0 ? startedAt + hours * hourMs : Infinity,
    })

    const seconds = (performance.now() - startedAt) / 1000
    const rate = Math.round(performed / seconds)
    process.stdout.write(`model: ${performed} steps, ${rate} a second\n`)
    expect(performed).toBeGreaterThan(0)
  },
  hours > 0 ? 2 * hours * hourMs + hourMs : Math.max(180_000, steps * 50),
)
