import fc from 'fast-check'
import { BLOBS, MANIFESTS } from './contents.js'

/** What commands are about: few of each, so that everything collides. */
export const NAMES = ['team/app', 'quick/app', 'kept/app'] as const
export const TAGS = ['a', 'b', 'c'] as const

/** More tags than the delete of a manifest removes at once, in as many pushes as it takes. */
export const MANY_TAGS: readonly (readonly string[])[] = [0, 1].map((part) =>
  Array.from({ length: 100 }, (_, index) => `many-${String(part * 100 + index).padStart(3, '0')}`),
)

export type Name = (typeof NAMES)[number]

/** Which reviews a run of the collector takes, and what it does not wait for. */
export type CollectKind = 'due' | 'normal' | 'now' | 'purge'

/** One thing that happens to a registry. Nothing in it depends on what has happened before. */
export type Command =
  | {
      readonly do: 'push image'
      readonly name: Name
      readonly manifest: string
      readonly tags: readonly string[]
    }
  | {
      readonly do: 'put manifest'
      readonly name: Name
      readonly manifest: string
      readonly tag?: string | undefined
    }
  | {
      readonly do: 'push blob'
      readonly name: Name
      readonly blob: string
      readonly by: 'post' | 'session' | 'chunks'
    }
  | {
      readonly do: 'open upload'
      readonly slot: number
      readonly name: Name
      readonly blob: string
    }
  | { readonly do: 'append'; readonly slot: number }
  | { readonly do: 'commit'; readonly slot: number; readonly digest: 'right' | 'wrong' }
  | { readonly do: 'cancel'; readonly slot: number }
  | {
      readonly do: 'mount'
      readonly name: Name
      readonly blob: string
      readonly from?: Name | undefined
    }
  | { readonly do: 'head blob'; readonly name: Name; readonly blob: string }
  | { readonly do: 'head manifest'; readonly name: Name; readonly manifest: string }
  | { readonly do: 'head tag'; readonly name: Name; readonly tag: string }
  | { readonly do: 'delete tag'; readonly name: Name; readonly tag: string }
  | { readonly do: 'delete manifest'; readonly name: Name; readonly manifest: string }
  | { readonly do: 'delete blob'; readonly name: Name; readonly blob: string }
  | { readonly do: 'delete repository'; readonly name: Name }
  | {
      readonly do: 'restore tag'
      readonly name: Name
      readonly tag: string
      readonly ago?: number | undefined
    }
  | { readonly do: 'restore manifest'; readonly name: Name; readonly manifest: string }
  | { readonly do: 'restore repository'; readonly name: Name; readonly as?: Name | undefined }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'collect'; readonly kind: CollectKind }
  | { readonly do: 'collect a step'; readonly kind: CollectKind }
  | { readonly do: 'dry run'; readonly kind: CollectKind }
  | { readonly do: 'keep house' }
  | { readonly do: 'forget history' }
  | { readonly do: 'restart' }

export type CommandOf<Kind extends Command['do']> = Extract<Command, { readonly do: Kind }>

const second = 1000
const hour = 3600 * second
const day = 24 * hour

const name = fc.constantFrom(...NAMES)
const tag = fc.constantFrom(...TAGS)
const blob = fc.constantFrom(...BLOBS.map((content) => content.name))
const manifest = fc.constantFrom(...MANIFESTS.map((content) => content.name))
const slot = fc.constantFrom(0, 1)
const kind = fc.constantFrom<CollectKind>('due', 'normal', 'now', 'purge')

/** Mostly one tag; none is a push by digest, and a hundred take all that a request may set. */
const tags = fc.oneof(
  { weight: 6, arbitrary: tag.map((one) => [one]) },
  { weight: 3, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.uniqueArray(tag, { minLength: 2 }) },
  { weight: 1, arbitrary: fc.constantFrom(...MANY_TAGS) },
)

/** Any of these, the more often the heavier. */
const commands: readonly { readonly weight: number; readonly arbitrary: fc.Arbitrary<Command> }[] =
  [
    of(16, 'push image', { name, manifest, tags }),
    of(4, 'put manifest', { name, manifest, tag: fc.option(tag, { nil: undefined }) }),
    of(6, 'push blob', { name, blob, by: fc.constantFrom('post', 'session', 'chunks') }),
    of(1, 'open upload', { slot, name, blob }),
    of(2, 'append', { slot }),
    of(2, 'commit', { slot, digest: fc.constantFrom('right', 'right', 'right', 'wrong') }),
    of(1, 'cancel', { slot }),
    of(4, 'mount', { name, blob, from: fc.option(name, { nil: undefined }) }),
    of(4, 'head blob', { name, blob }),
    of(3, 'head manifest', { name, manifest }),
    of(2, 'head tag', { name, tag }),
    of(5, 'delete tag', { name, tag }),
    of(7, 'delete manifest', { name, manifest }),
    of(4, 'delete blob', { name, blob }),
    of(2, 'delete repository', { name }),
    of(5, 'restore tag', {
      name,
      tag,
      ago: fc.constantFrom(undefined, undefined, 0, 1, hour, day, 3 * day, 6 * day, 10 * day),
    }),
    of(4, 'restore manifest', { name, manifest }),
    of(3, 'restore repository', { name, as: fc.option(name, { nil: undefined, freq: 2 }) }),
    of(10, 'wait', {
      ms: fc.constantFrom(
        ...[1, second, 0.6 * hour, 6 * hour, day, 2 * day, 3 * day, 5 * day],
        ...[7 * day, 8 * day, 31 * day, 100 * day],
      ),
    }),
    of(6, 'collect', { kind }),
    of(10, 'collect a step', { kind }),
    of(2, 'dry run', { kind }),
    of(3, 'keep house', {}),
    of(1, 'forget history', {}),
    of(0.1, 'restart', {}),
  ]

/** Up to `lengthMax` commands. */
export function sequences(lengthMax: number): fc.Arbitrary<Command[]> {
  const scaled = commands.map((one) => ({ ...one, weight: one.weight * 10 }))
  return fc.array(fc.oneof(...scaled), { maxLength: lengthMax, size: 'max' })
}

/** A command as a person reads it. */
export function textOf({ do: what, ...given }: Command): string {
  const parts = Object.entries(given)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]: [string, unknown]) => `${key}: ${valueText(key, value)}`)
  return parts.length === 0 ? what : `${what} { ${parts.join(', ')} }`
}

function valueText(key: string, value: unknown): string {
  if (Array.isArray(value)) {
    return value.length > 3 ? `[${value[0]} … ${value.at(-1)}]` : `[${value.join(', ')}]`
  }
  return key === 'ms' || key === 'ago' ? durationText(value as number) : String(value)
}

function durationText(ms: number): string {
  if (ms >= day) return `${ms / day} days`
  return ms >= hour / 2 ? `${ms / hour} hours` : `${ms} ms`
}

function of<Kind extends Command['do']>(
  weight: number,
  what: Kind,
  parts: {
    readonly [Key in Exclude<keyof CommandOf<Kind>, 'do'>]-?: fc.Arbitrary<CommandOf<Kind>[Key]>
  },
) {
  const record = fc.record({ do: fc.constant(what), ...parts }) as fc.Arbitrary<unknown>
  return { weight, arbitrary: record as fc.Arbitrary<Command> }
}
