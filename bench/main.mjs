/**
 * `npm run bench`: measures what Berth promises of its speed and its memory, with clients in
 * processes of their own. See docs/performance.md.
 */
import { availableParallelism, cpus } from 'node:os'
import { helpText, parseOptions } from './options.mjs'
import { buildStore } from './store-builder.mjs'
import { tableOf } from './table.mjs'
import { layer } from './workloads/layer.mjs'
import { manifests } from './workloads/manifests.mjs'
import { pages } from './workloads/pages.mjs'
import { pushes } from './workloads/pushes.mjs'
import { startUp } from './workloads/start-up.mjs'
import { Workspace } from './workspace.mjs'

const workloads = [startUp, manifests, pages, pushes, layer]

async function main(args) {
  const names = workloads.map(({ name }) => name)
  const options = parseOptions(args, names)
  if (options.help) {
    process.stdout.write(helpText(workloads))
    return
  }
  if (process.platform !== 'linux')
    throw new Error('it reads CPU time and memory from /proc: Linux')
  const workspace = new Workspace()
  const context = { workspace, options, largeStore: largeStoreIn(workspace, options) }
  const machine = { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model }
  if (!options.json) {
    process.stdout.write(`Node.js ${machine.node}, ${machine.cores} cores (${machine.cpu})\n\n`)
  }

  const sections = []
  for (const { measure, ...workload } of workloads) {
    if (options.only.length > 0 && !options.only.includes(workload.name)) continue
    say(`measuring ${workload.name}`)
    const section = { ...workload, rows: await measure(context) }
    sections.push(section)
    if (!options.json) process.stdout.write(`${tableOf(section)}\n`)
  }
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ machine, options, sections }, null, 2)}\n`)
  }
}

/** Builds the large store for the first workload that asks for it. */
function largeStoreIn(workspace, options) {
  let store
  const build = async () => {
    const { repositories, tags } = options
    say(`building a store of ${repositories} repositories, one more with ${tags} tags`)
    const startedAt = performance.now()
    const built = await buildStore(workspace.folder('large-store'), options)
    say(`built in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
    return built
  }
  return () => (store ??= build())
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
