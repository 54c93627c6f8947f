import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Docker } from './support/docker.js'
import { newFile, writeBuildContext } from './support/images.js'
import { forgetAfterwards, startPrivateNetwork } from './support/private-network.js'
import { PASSWORDS, Teams, TRANSPORTS, type TeamsBerth, type Transport } from './support/teams.js'
import { lineFor } from './support/tls-berth.js'

const wrong = 'unauthorized: the name or the password is not right'

async function build(docker: Docker, reference: string, content = newFile()): Promise<void> {
  await docker.build(reference, await writeBuildContext({ files: [content] }))
}

async function logIn(docker: Docker, host: string, name: string, password: string) {
  const { succeeded, stdout, report } = await docker.login(host, name, password)
  if (!succeeded) throw new Error(report)
  return stdout
}

let teams: Teams

beforeAll(async () => {
  teams = await Teams.prepare()
  return () => teams.remove()
})

/** A daemon in a network of its own, where it trusts nobody but the CA that it is told of. */
async function startPlace(transport: Transport): Promise<{ docker: Docker; berth: TeamsBerth }> {
  const { address, under, shell } = await startPrivateNetwork()
  const docker = await Docker.start(under)
  onTestFinished(() => docker.stop())
  const network = { address, under, port: 5443 }
  if (transport === 'plain HTTP') return { docker, berth: await teams.start(network) }
  const berth = await teams.startTls(transport === 'TLS' ? 'only' : 'both', network)
  forgetAfterwards(`/etc/docker/certs.d/${berth.host}`)
  await shell(lineFor('docker', berth))
  return { docker, berth }
}

describe.each(TRANSPORTS)('docker over %s', (transport) => {
  it('pushes and pulls with a password and with a token, and neither without', async () => {
    const { docker, berth } = await startPlace(transport)
    const { host } = berth
    const [byPassword, byToken] = [`${host}/red/app:password`, `${host}/red/app:token`] as const
    const content = newFile()
    await build(docker, byPassword, content)
    await build(docker, byToken)

    const before = await docker.runToFailure('push', byPassword)
    const welcome = await logIn(docker, host, 'rob', PASSWORDS.rob)
    await docker.run('push', byPassword)
    await docker.run('logout', host)
    const between = await docker.runToFailure('push', byToken)
    await logIn(docker, host, 'ci', teams.token)
    await docker.run('push', byToken)
    await docker.removeAllImages()
    await docker.run('pull', byPassword)
    const pulled = await docker.readFile(byPassword, '/file-0')
    await docker.run('logout', host)
    await docker.removeAllImages()
    const after = await docker.runToFailure('pull', byPassword)

    expect(welcome).toContain('Login Succeeded')
    expect(content.equals(pulled)).toBe(true)
    for (const denied of [before, between, after])
      expect(denied).toContain('denied: requested access to the resource is denied')
  })
})

describe('docker', () => {
  let docker: Docker

  beforeAll(async () => {
    docker = await Docker.start()
    return () => docker.stop()
  })

  it('is told the same when a password is wrong and when nobody has the name', async () => {
    const { host } = await teams.start()

    const password = await docker.login(host, 'rob', 'the password of nobody')
    const name = await docker.login(host, 'nobody', PASSWORDS.rob)

    expect([password.succeeded, name.succeeded]).toEqual([false, false])
    expect(password.stderr).toContain(wrong)
    expect(name.stderr).toBe(password.stderr)
  })

  it('pulls what is public without a login, and pushes there with one alone', async () => {
    const { host } = await teams.start()
    const image = `${host}/mirror/alpine:3`
    await build(docker, image)
    await logIn(docker, host, 'ci', teams.token)
    await docker.run('push', image)
    await docker.run('logout', host)
    await docker.removeAllImages()

    await docker.run('pull', image)
    const denied = await docker.runToFailure('push', image)

    expect(denied).toContain('unauthorized: authentication required: log in to do this')
  })

  it('prints who may not move a tag that is there', async () => {
    const { host } = await teams.start()
    const image = `${host}/red/app:1`
    await logIn(docker, host, 'ci', teams.token)
    await build(docker, image)
    await docker.run('push', image)
    await docker.run('push', image)
    await build(docker, image)

    const denied = await docker.runToFailure('push', image)

    expect(denied).toContain(
      'denied: the tag 1 of red/app is there already, and ci may not overwrite it',
    )
  })

  it('is shown nothing of what another team has, and takes no layer of theirs', async () => {
    const { host } = await teams.start()
    const [red, green] = [`${host}/red/app:1`, `${host}/green/app:1`] as const
    const content = newFile()
    await build(docker, red, content)
    await logIn(docker, host, 'rob', PASSWORDS.rob)
    await docker.run('push', red)
    await logIn(docker, host, 'gwen', PASSWORDS.gwen)

    const pull = await docker.runToFailure('pull', red)
    const absent = await docker.runToFailure('pull', `${host}/red/none:1`)
    const push = await docker.runToFailure('push', red)
    await docker.run('tag', red, green)
    const own = await docker.run('push', green)

    expect(pull.replaceAll('red/app', 'red/none')).toBe(absent)
    expect(push).toContain('denied: gwen may not push to red/app')
    expect(own).toContain('Pushed')
    expect(own).not.toContain('Mounted')
  })

  it('finds by docker search what its user may pull', async () => {
    const { host } = await teams.start()
    const images = [`${host}/red/app:1`, `${host}/mirror/app:1`]
    await logIn(docker, host, 'ci', teams.token)
    for (const image of images) {
      await build(docker, image)
      await docker.run('push', image)
    }
    const search = () => docker.run('search', '--format', '{{.Name}}', `${host}/app`)

    const member = await search()
    await logIn(docker, host, 'gwen', PASSWORDS.gwen)
    const stranger = await search()
    await docker.run('logout', host)
    const nobody = await search()

    expect(member.split('\n').sort()).toEqual(['mirror/app', 'red/app'])
    expect([stranger, nobody]).toEqual(['mirror/app', 'mirror/app'])
  })

  it('is out as soon as the token is revoked with which it has logged in', async () => {
    const { host, command } = await teams.start()
    const image = `${host}/red/app:1`
    await build(docker, image)
    await logIn(docker, host, 'ci', teams.token)
    await docker.run('push', image)
    const [, id = ''] = /^([0-9a-f]+) +ci /m.exec(await command(['token', 'list', 'ci'])) ?? []

    await command(['token', 'revoke', id])
    const pull = await docker.runToFailure('pull', image)
    const login = await docker.login(host, 'ci', teams.token)

    expect(pull).toContain(wrong)
    expect(login.stderr).toContain(wrong)
  })

  it('has to log in again when the password is another one', async () => {
    const { host, command } = await teams.start()
    const image = `${host}/red/app:1`
    await build(docker, image)
    await logIn(docker, host, 'rob', PASSWORDS.rob)
    await docker.run('push', image)
    const logins = await command(['token', 'list', 'rob', '--logins'])

    await command(['user', 'passwd', 'rob', '--password-stdin'], 'another password')
    const pull = await docker.runToFailure('pull', image)
    await logIn(docker, host, 'rob', 'another password')
    await docker.run('pull', image)

    expect(logins).toMatch(/^[0-9a-f]+ +rob .*docker$/m)
    expect(pull).toContain(wrong)
  })
})
