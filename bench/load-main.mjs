/** The process that a load runs in: takes one job, answers with its result, ends. */

process.once('message', async ({ load, job }) => {
  const { run } = await import(`./loads/${load}.mjs`)
  const answer = await run(job).then(
    (result) => ({ result }),
    (error) => ({ error: `${load}: ${error.message}` }),
  )
  process.send(answer, () => process.exit())
})

// Nobody would take the result.
process.once('disconnect', () => process.exit(1))
