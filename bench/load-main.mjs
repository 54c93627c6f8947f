/**
 * The process of the clients. It takes a job, gets ready for it, says so, and begins when it is
 * told to, so that only the work itself is between two looks at the server.
 */
import { once } from 'node:events'

process.on('message', async ({ load, job }) => {
  if (load === undefined) return
  try {
    const { prepare } = await import(`./loads/${load}.mjs`)
    const run = await prepare(job)
    process.send({ isReady: true })
    await once(process, 'message')
    const cpuBefore = process.cpuUsage()
    const result = await run()
    const { user, system } = process.cpuUsage(cpuBefore)
    process.send({ result: { ...result, clientCpuSeconds: (user + system) / 1e6 } })
  } catch (error) {
    process.send({ error: `${load}: ${error.message}` })
  }
})

// Nobody would take the result.
process.once('disconnect', () => process.exit(1))
