import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { startBerth, type Berth } from './support/berth.js'
import { Docker } from './support/docker.js'
import { MIB, newFile, writeBuildContext, writeLayout } from './support/images.js'
import type { Outcome } from './support/run.js'
import { attemptCopy } from './support/skopeo.js'
import { walk } from './support/walk.js'

let docker: Docker

beforeAll(async () => {
  docker = await Docker.start()
  return () => docker.stop()
})

/** One push of one client, which can be repeated. */
interface Push {
  /** `name:tag` */
  readonly image: string
  readonly start: () => Promise<Outcome>
}

const moments = [
  ['while large blobs arrive', hasLargeUpload],
  ['when the first push was acknowledged', async (_berth: Berth, done: number) => done >= 1],
  ['when many pushes were acknowledged', async (_berth: Berth, done: number) => done >= 12],
] as const

describe('a registry killed during concurrent pushes', () => {
  it.each(moments)('has lost nothing it acknowledged: %s', async (_when, isMoment) => {
    const berth = await startBerth()
    const pushes = await preparePushes(berth.host)
    const acknowledged: string[] = []
    const running = pushAll(pushes, acknowledged)

    await waitFor(async () => isMoment(berth, acknowledged.length))
    const acknowledgedBefore = acknowledged.length
    await berth.kill()

    // docker tries again for a while, and so meets the registry that comes back.
    const { url } = await startBerth({ dataDirectory: berth.dataDirectory, port: berth.port })
    const outcomes = await running
    expect(acknowledgedBefore).toBeLessThan(pushes.length)
    expect([...(await walk(url)).keys()]).toEqual(expect.arrayContaining(acknowledged))

    const unfinished = pushes.filter((_push, index) => outcomes[index]?.succeeded === false)
    for (const { start } of unfinished) {
      const again = await start()
      expect(again.succeeded, again.report).toBe(true)
    }
    const wanted = pushes.map(({ image }) => image).sort()
    expect([...(await walk(url)).keys()].sort()).toEqual(wanted)
  })
})

/** Images of docker and skopeo, large and small, that have layers in common and that have not. */
async function preparePushes(host: string): Promise<Push[]> {
  const shared = newFile(MIB)
  const pushes: Push[] = []
  for (const name of ['docker/one', 'docker/two', 'three']) {
    const image = `${name}:1`
    const files = [shared, newFile(24 * MIB)]
    await docker.build(`${host}/${image}`, await writeBuildContext({ files }))
    pushes.push({ image, start: () => docker.attempt('push', `${host}/${image}`) })
  }
  for (let number = 0; number < 24; number++) {
    const files = number % 6 === 0 ? [shared, newFile(16 * MIB)] : [shared, newFile()]
    const { source } = await writeLayout(files)
    const image = `skopeo/${number % 4}:${number}`
    pushes.push({ image, start: () => attemptCopy(source, `docker://${host}/${image}`) })
  }
  return pushes
}

const pushesAtOnce = 8

async function pushAll(pushes: readonly Push[], acknowledged: string[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  const waiting = [...pushes.entries()]
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, { image, start }] = next
      const outcome = await start()
      outcomes[index] = outcome
      if (outcome.succeeded) acknowledged.push(image)
    }
  }
  await Promise.all(Array.from({ length: pushesAtOnce }, work))
  return outcomes
}

/** Whether a blob that is not small is partly there. */
async function hasLargeUpload({ dataDirectory }: Berth): Promise<boolean> {
  const uploads = path.join(dataDirectory, 'uploads')
  for (const name of await readdir(uploads)) {
    const upload = await stat(path.join(uploads, name)).catch(() => undefined)
    if (upload !== undefined && upload.size > MIB) return true
  }
  return false
}

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  const signal = AbortSignal.timeout(60_000)
  while (!(await condition())) await delay(2, undefined, { signal })
}
