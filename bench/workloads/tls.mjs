import { loadColumns, loadRatios } from '../figures.mjs'
import { blobSizes, bytesPerRound, connectionsText } from './blob-sizes.mjs'
import { pushedBlob } from './pushed-blob.mjs'

const connectionCounts = [1, 8]

/** Whole blobs of the largest size, over connections that are kept. */
export const tls = {
  name: 'tls',
  title: 'Pulls of a blob over TLS, from a warm page cache',
  columns: loadColumns,
  ratios: loadRatios,

  async measure(run) {
    const certificates = await makeCertificates(run)
    const targets = run.ownTargets.map((target) => target.overTls(certificates))
    await run.onEmptyStores(async (servers) => {
      const size = blobSizes(run.options).at(-1)
      const paths = new Map()
      for (const running of servers) {
        paths.set(running, await pushedBlob(run, running, `bench/tls-${process.pid}`, size.bytes))
      }
      for (const connections of connectionCounts) {
        const each = Math.max(1, Math.floor(bytesPerRound(run.options) / connections / size.bytes))
        await run.loadRow(servers, {
          name: `${size.name}, ${connectionsText(connections)}`,
          unit: size.unit,
          work: (running) => ({
            load: 'pulls',
            job: {
              path: paths.get(running),
              sizeBytes: size.bytes,
              connections,
              limits: { count: connections * each },
            },
          }),
        })
      }
    }, targets)
  },
}

/** As `berth tls init` makes them: a key on the curve P-256, which nearly all clients choose too. */
async function makeCertificates(run) {
  const { makeCertificateFiles } = await import('../../dist/tls/made-files.js')
  const wanted = { hosts: ['127.0.0.1'], days: 1, now: new Date() }
  return makeCertificateFiles(run.workspace.newFolder('tls'), wanted)
}
