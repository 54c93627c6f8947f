import { randomBytes } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import path from 'node:path'
import { loadColumns, loadRatios } from '../figures.mjs'
import { berthVerifyingReads, berthWithoutSendfile } from '../targets/berth.mjs'
import { nginx } from '../targets/nginx.mjs'
import { blobSizes, bytesPerRound, connectionsText } from './blob-sizes.mjs'
import { pushedBlob } from './pushed-blob.mjs'

const connectionCounts = [1, 8, 64]

const mebibyte = 2 ** 20

/**
 * A connection that moves at least this much has paid for its start, and what lies unread in the
 * kernel when it is closed is a small part of it.
 */
const shareBytesMin = 128 * mebibyte

const ranges = { bytes: mebibyte, blobBytesMax: 100 * mebibyte, connectionCounts: [1, 8] }

/**
 * Many connections that each pull a GiB would take minutes. There each asks for the whole blob, and
 * closes when it has its share, on every target alike; what it has is what counts.
 */
export const pulls = {
  name: 'pulls',
  title: 'Pulls of a blob, from a warm page cache',
  columns: loadColumns,
  ratios: loadRatios,
  alsoMeasures: [berthWithoutSendfile.name, berthVerifyingReads.name, nginx.name],

  async measure(run) {
    const targets = [...run.targets, berthWithoutSendfile, berthVerifyingReads]
    if (run.options.peer && nginx.isInstalled()) targets.push(nginx)
    await run.onEmptyStores(async (servers) => {
      const sizes = blobSizes(run.options)
      const paths = new Map()
      for (const running of servers) paths.set(running, await seeded(run, running, sizes))
      const row = (name, size, connections, { unit, ...job }) =>
        run.loadRow(servers, {
          name: `${name}, ${connectionsText(connections)}`,
          unit,
          warmsUp: job.limits.seconds !== undefined,
          work: (running) => ({
            load: 'pulls',
            job: { path: paths.get(running).get(size), sizeBytes: size.bytes, connections, ...job },
          }),
        })

      for (const size of sizes) {
        for (const connections of connectionCounts) {
          await row(size.name, size, connections, wholeJob(run.options, size, connections))
        }
      }
      const ranged = sizes.findLast(({ bytes }) => bytes <= ranges.blobBytesMax)
      for (const connections of ranges.connectionCounts) {
        const limits = { seconds: run.options.seconds }
        const job = { unit: 'bytes', rangeBytes: ranges.bytes, limits }
        await row(`1 MiB ranges of ${ranged.name}`, ranged, connections, job)
      }
    }, targets)
  },
}

/** Pushes a blob of each size; gives their paths. */
async function seeded(run, running, sizes) {
  if (running.target.servesFiles) return files(running, sizes)
  const repository = `bench/pulls-${process.pid}`
  const paths = new Map()
  for (const size of sizes) {
    paths.set(size, await pushedBlob(run, running, repository, size.bytes))
  }
  return paths
}

function files({ data }, sizes) {
  return new Map(
    sizes.map((size) => {
      const name = String(size.bytes)
      const file = openSync(path.join(data, name), 'w')
      for (let at = 0; at < size.bytes; at += mebibyte) {
        writeSync(file, randomBytes(Math.min(mebibyte, size.bytes - at)))
      }
      closeSync(file)
      return [size, `/${name}`]
    }),
  )
}

function wholeJob(options, { bytes, unit, isTimed }, connections) {
  if (isTimed) return { unit, limits: { seconds: options.seconds } }
  const share = Math.max(bytesPerRound(options) / connections, shareBytesMin)
  if (bytes > share) return { unit, shareBytes: Math.floor(share), limits: { count: connections } }
  return { unit, limits: { count: connections * Math.floor(share / bytes) } }
}
