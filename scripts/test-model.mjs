// `npm run test:model`: the model test of `npm test` with far more steps. `-- --steps 1000000` asks for
// another number, `-- --hours 2` for a time; the rest goes to vitest.
import path from 'node:path'
import { parseArgs } from 'node:util'
import { prepare, root, run } from './prepare.mjs'

const { values, tokens } = parseArgs({
  options: { steps: { type: 'string', default: '100000' }, hours: { type: 'string' } },
  strict: false,
  tokens: true,
})
const forVitest = tokens
  .filter(({ kind, name }) => kind === 'option' && !['steps', 'hours'].includes(name))
  .map(({ rawName, value }) => (value === undefined ? rawName : `${rawName}=${value}`))

process.env.BERTH_MODEL_STEPS ??= values.steps
if (values.hours !== undefined) process.env.BERTH_MODEL_HOURS = values.hours

prepare()
run(
  process.execPath,
  [
    path.join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    ...['run', '--project', 'unit', 'test/model', ...forVitest],
  ],
  { stdio: 'inherit' },
)
