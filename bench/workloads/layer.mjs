import { runLoad } from '../load-process.mjs'
import { ServerProcess } from '../server-process.mjs'

const heapMiB = 128
const mebibyte = 2 ** 20
const gibibyte = 2 ** 30

export const layer = {
  name: 'layer',
  title: `One large layer in and out, node --max-old-space-size=${heapMiB}`,
  promise: 'whatever its size, in 256 MiB of memory',
  columns: {
    mibPerSecond: 'MiB/s',
    cpuPerGiB: 'CPU s/GiB',
    peakMiB: 'peak RSS MiB',
    seconds: 'seconds',
  },

  async measure({ workspace, options }) {
    const sizeBytes = options.layer * mebibyte
    // While the second upload comes in, the first is still there.
    workspace.requireSpace(2 * sizeBytes + gibibyte)
    const data = workspace.folder('layer-store')
    const measure = (load, job) => measured(workspace, data, sizeBytes, load, job)

    const docker = await measure('upload-layer', { repository: 'bench/layer', sizeBytes })
    const { digest } = docker.result
    const whole = { repository: 'bench/layer-again', sizeBytes, digest }
    const put = await measure('upload-layer', whole)
    const got = await measure('download-layer', { repository: 'bench/layer', digest })
    workspace.remove(data)
    const size = `${options.layer} MiB`
    return [
      { name: `PATCH of ${size} in chunks`, ...docker.figures },
      { name: `PUT of ${size}`, ...put.figures },
      { name: `GET of ${size}`, ...got.figures },
    ]
  },
}

/** A server for each, so that the peak is its own. */
async function measured(workspace, data, sizeBytes, load, job) {
  const nodeOptions = [`--max-old-space-size=${heapMiB}`]
  const server = await ServerProcess.start(workspace, { data, nodeOptions })
  const cpuBefore = server.cpuSeconds
  const result = await runLoad(workspace, load, { port: server.port, ...job })
  const figures = {
    mibPerSecond: sizeBytes / mebibyte / result.seconds,
    cpuPerGiB: ((server.cpuSeconds - cpuBefore) / sizeBytes) * gibibyte,
    peakMiB: server.peakMiB,
    seconds: result.seconds,
  }
  await server.stop()
  return { figures, result }
}
