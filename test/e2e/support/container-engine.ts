import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

const execFileAsync = promisify(execFile)

/** A Docker daemon of the test's own, with nothing in it. */
export interface ContainerEngine {
  /** `docker ARGS`; gives what it printed, without white space around it. */
  readonly docker: (args: readonly string[]) => Promise<string>
  /** `docker compose ARGS`, by the plugin or the program of that name. */
  readonly compose: (args: readonly string[], environment?: Environment) => Promise<string>
  /** A folder for the test's files, gone when the engine is. */
  readonly directory: string
  /** Ends containers and daemon, and removes everything that they kept. */
  readonly stop: () => Promise<void>
}

export type Environment = Readonly<Record<string, string>>

/**
 * Starts a daemon without a default network: containers run on the host's or on one of Compose.
 * The machine's firewall and routing stay as they are. Needs root, like any Docker daemon.
 */
export async function startContainerEngine(): Promise<ContainerEngine> {
  // Short, because the path of a socket has at most 107 characters.
  const home = await mkdtemp(path.join(tmpdir(), 'berth-dk-'))
  const socket = `unix://${home}/s`
  const logFile = path.join(home, 'log')
  const directory = path.join(home, 'files')
  await mkdir(directory)
  const log = await open(logFile, 'w')
  const daemon = spawn(
    'dockerd',
    [
      ...['--host', socket, '--pidfile', `${home}/pid`],
      ...['--data-root', `${home}/root`, '--exec-root', `${home}/exec`],
      ...['--bridge', 'none', '--iptables=false', '--ip-forward=false'],
      ...['--insecure-registry', '127.0.0.0/8'],
    ],
    { stdio: ['ignore', log.fd, log.fd] },
  )
  const ended = endOf(daemon)
  await log.close()

  const environment = {
    DOCKER_HOST: socket,
    DOCKER_CONFIG: `${home}/client`,
    // The builder that every daemon has.
    DOCKER_BUILDKIT: '0',
    COMPOSE_DOCKER_CLI_BUILD: '0',
  }
  const docker = (args: readonly string[]) => run('docker', args, environment)
  const stop = async () => {
    if (daemon.exitCode === null && daemon.pid !== undefined) {
      const containers = await docker(['ps', '--all', '--quiet']).catch(() => '')
      if (containers !== '') await docker(['rm', '--force', ...containers.split('\n')])
      daemon.kill('SIGTERM')
      await ended
    }
    await unmountBelow(home)
    await rm(home, { recursive: true, force: true })
  }

  try {
    await Promise.race([
      eventually('the Docker daemon to answer', async () => {
        await docker(['version'])
        return true
      }),
      ended.then(async (reason) => {
        const text = await readFile(logFile, 'utf8')
        throw new Error(`dockerd ${reason}:\n${text.slice(-4000)}`)
      }),
    ])
  } catch (error) {
    await stop()
    throw error
  }
  return {
    docker,
    async compose(args, extra = {}) {
      const [program, ...first] = await composeProgram(environment)
      return run(program, [...first, ...args], { ...environment, ...extra })
    },
    directory,
    stop,
  }
}

/** Runs a program to its end; gives its standard output, or throws with everything it said. */
export async function run(
  program: string,
  args: readonly string[],
  environment: Environment = {},
): Promise<string> {
  try {
    const { stdout } = await execFileAsync(program, args, {
      env: { ...process.env, ...environment },
      maxBuffer: 64 * 1024 * 1024,
    })
    return stdout.trim()
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    const said = `${stdout}\n${stderr}`.trim().slice(-8000)
    throw new Error(`${program} ${args.join(' ')} failed:\n${said}`, { cause: error })
  }
}

/**
 * Asks again until the answer is yes.
 *
 * @throws after `seconds`, naming what was waited for and why it was not so
 */
export async function eventually(
  what: string,
  isSo: () => Promise<boolean>,
  { seconds = 60 }: { readonly seconds?: number } = {},
): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  let reason: unknown
  while (Date.now() < deadline) {
    try {
      if (await isSo()) return
    } catch (error) {
      reason = error
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`waited ${seconds} s for ${what}`, { cause: reason })
}

/** A port of this machine's loopback address that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`did not start (${error.message})`))
    child.once('exit', (code, signal) => resolve(`ended with ${code ?? signal}`))
  })
}

/** The daemon leaves its network namespace mounted; one that was killed, more than that. */
async function unmountBelow(directory: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((target) => target.startsWith(`${directory}/`))
  for (const target of mounts.reverse()) await run('umount', [target])
}

async function composeProgram(environment: Environment): Promise<readonly [string, ...string[]]> {
  const hasPlugin = await run('docker', ['compose', 'version'], environment).then(
    () => true,
    () => false,
  )
  return hasPlugin ? ['docker', 'compose'] : ['docker-compose']
}
