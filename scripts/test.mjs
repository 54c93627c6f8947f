// `npm test` and `npm run test:e2e`: vitest over what `npm start` would run.
import path from 'node:path'
import { prepare, root, run } from './prepare.mjs'

const [project, ...rest] = process.argv.slice(2)

prepare()
run(
  process.execPath,
  [path.join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--project', project, ...rest],
  { stdio: 'inherit' },
)
