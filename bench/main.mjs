/**
 * `npm run bench`: measures Berth, and other registries beside it, with all clients in a process of
 * their own. See docs/performance.md.
 */
import { availableParallelism, cpus } from 'node:os'
import { LoadGenerator } from './load-generator.mjs'
import { helpText, parseOptions } from './options.mjs'
import { Profiles } from './profiles.mjs'
import { Report } from './report.mjs'
import { Run } from './run.mjs'
import { Stores } from './stores/stores.mjs'
import { chooseTargets } from './targets/choose.mjs'
import { accounts } from './workloads/accounts.mjs'
import { collect } from './workloads/collect.mjs'
import { deletes } from './workloads/deletes.mjs'
import { disk } from './workloads/disk.mjs'
import { manifests } from './workloads/manifests.mjs'
import { memory } from './workloads/memory.mjs'
import { mixed } from './workloads/mixed.mjs'
import { pages } from './workloads/pages.mjs'
import { pulls } from './workloads/pulls.mjs'
import { pushes } from './workloads/pushes.mjs'
import { startUp } from './workloads/start-up.mjs'
import { tls } from './workloads/tls.mjs'
import { tiny } from './workloads/tiny.mjs'
import { Workspace } from './workspace.mjs'

const workloads = [
  manifests,
  pulls,
  tls,
  accounts,
  pushes,
  tiny,
  mixed,
  memory,
  disk,
  startUp,
  pages,
  // These change the large stores.
  deletes,
  collect,
]

async function main(args) {
  const names = workloads.map(({ name }) => name)
  const options = parseOptions(args, names)
  if (options.help) {
    process.stdout.write(helpText(workloads))
    return
  }
  if (process.platform !== 'linux') {
    throw new Error('it reads CPU time and memory from /proc: Linux')
  }
  const startedAt = performance.now()
  const workspace = new Workspace(options.minutes)
  const profiles = options.profile && new Profiles(options.profile, workspace)
  const { targets, versions } = chooseTargets(options, say, profiles)
  const machine = { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model }
  const out = options.json ? process.stderr : process.stdout
  const report = new Report(Object.keys(versions), (text) => out.write(text))
  const generator = new LoadGenerator(workspace)
  const stores = new Stores({ workspace, keptIn: options.stores, say })
  const run = new Run({ options, workspace, targets, generator, stores, report, say })

  out.write(`Node.js ${machine.node}, ${machine.cores} cores (${machine.cpu})\n`)
  out.write(`${Object.values(versions).join(', ')}\n`)
  if (targets.length > 1) out.write('×: the figure of Berth divided by that of the line\n')
  out.write('\n')
  for (const workload of workloads) {
    if (options.only.length > 0 && !options.only.includes(workload.name)) continue
    // Without columns it has several tables.
    if (workload.columns === undefined) await workload.measure(run)
    else await run.section(workload, () => workload.measure(run))
    profiles?.write(workload)
  }
  const minutes = (performance.now() - startedAt) / 60_000
  say(`done in ${minutes.toFixed(1)} minutes`)
  if (options.json) {
    const { sections } = report
    const result = { machine, versions, options, minutes, sections }
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
  }
}

/** Standard output is for the figures. */
function say(text) {
  process.stderr.write(`bench: ${text}\n`)
}

try {
  await main(process.argv.slice(2))
  process.exit(0)
} catch (error) {
  say(error.message)
  process.exit(1)
}
