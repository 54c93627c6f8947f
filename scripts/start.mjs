// `npm start [-- options of berth serve]`. The server runs in this very process, and package.json
// starts it with `exec`: no shell stands between npm and it that would keep a signal to itself.
import { prepare } from './prepare.mjs'

prepare()
process.argv.splice(2, 0, 'serve')
await import('../dist/cli/main.js')
