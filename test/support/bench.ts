import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import { temporaryDirectory } from './directories.js'

type Figures = Readonly<Record<string, number | undefined>>

export interface Section {
  readonly name: string
  readonly columns: Readonly<Record<string, unknown>>
  readonly rows: readonly {
    readonly name: string
    readonly targets: Readonly<Record<string, Figures>>
    readonly ratios: Readonly<Record<string, Figures>>
  }[]
}

/** As small as it can be: that there are figures is tested, never what they are. */
export const smallest = Object.entries({
  rounds: 1,
  seconds: 0.02,
  gib: 0.004,
  blob: 1,
  repositories: 300,
  tags: 300,
  referrers: 20,
  collected: 40,
  middle: 200,
  small: 100,
  images: 16,
  uploads: 4,
  upload: 1,
  readers: 8,
}).map(([name, number]) => `--${name}=${number}`)

export interface BenchRun {
  readonly stderr: string
  readonly sections: readonly Section[]
  /** What it has left in the folder for temporary files. */
  readonly left: readonly string[]
}

/** One run of the benchmark to its end; rejects when it fails. */
export async function runBench(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<BenchRun> {
  const temporary = await temporaryDirectory()
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['bench/main.mjs', '--json', ...args],
    { env: { ...process.env, TMPDIR: temporary, ...environment }, maxBuffer: 2 ** 26 },
  )
  const { sections } = JSON.parse(stdout) as { sections: Section[] }
  return { stderr, sections, left: await readdir(temporary) }
}

/** The cells of a target that have no number. */
export function unmeasured(sections: readonly Section[], target: string): string[] {
  return sections.flatMap(({ name: section, columns, rows }) =>
    rows.flatMap(({ name: row, targets }) =>
      Object.keys(columns)
        .filter((column) => !Number.isFinite(targets[target]?.[column]))
        .map((column) => `${section}: ${row}: ${column}`),
    ),
  )
}
