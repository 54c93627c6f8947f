import { attempt, clientEnvironment, run, runToFailure, type Outcome } from './run.js'

const insecure = ['--src-tls-verify=false', '--dest-tls-verify=false']
const options = { environment: clientEnvironment(), timeoutMs: 120_000 }

/** `skopeo copy`, between any two places. */
export function copy(source: string, destination: string, ...args: string[]): Promise<string> {
  return run('skopeo', copyCommand(source, destination, args), options)
}

export function attemptCopy(source: string, destination: string): Promise<Outcome> {
  return attempt('skopeo', copyCommand(source, destination, []), options)
}

/** A command other than `copy` that has one registry to do with. */
export function skopeo(command: string, ...args: string[]): Promise<string> {
  return run('skopeo', [command, '--tls-verify=false', ...args], options)
}

export function skopeoToFailure(command: string, ...args: string[]): Promise<string> {
  return runToFailure('skopeo', [command, '--tls-verify=false', ...args], options)
}

export function sync(source: string, destination: string, ...args: string[]): Promise<string> {
  return run('skopeo', ['sync', ...insecure, ...args, source, destination], options)
}

function copyCommand(source: string, destination: string, args: readonly string[]): string[] {
  return ['copy', '--quiet', ...insecure, ...args, source, destination]
}
