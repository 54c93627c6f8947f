import { runLoad } from '../load-process.mjs'

/** What the rows of a load of many requests say. */
export const requestColumns = {
  perSecond: 'per second',
  p50Ms: 'p50 ms',
  p99Ms: 'p99 ms',
  cpuPer1000: 'CPU s/1000',
}

/**
 * Runs a load against a server, and tells what it took: the client its times, the kernel the CPU
 * time of the server.
 *
 * @returns {Promise<Record<keyof typeof requestColumns, number>>}
 */
export async function measureRequests(workspace, server, load, job) {
  const cpuBefore = server.cpuSeconds
  const { count, seconds, ...others } = await runLoad(workspace, load, {
    port: server.port,
    ...job,
  })
  const cpuPer1000 = ((server.cpuSeconds - cpuBefore) / count) * 1000
  return { ...others, perSecond: count / seconds, cpuPer1000 }
}
