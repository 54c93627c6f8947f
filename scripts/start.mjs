// `npm start [-- options of berth serve]`. The server runs in this very process, so that a signal
// sent to npm's child reaches it.
import { prepare } from './prepare.mjs'

prepare()
process.argv.splice(2, 0, 'serve')
await import('../dist/cli/main.js')
