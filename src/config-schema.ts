import { PATTERN_EXPRESSION, TAG_PATTERN_EXPRESSION } from './oci/patterns.js'

const tagPatterns = {
  type: 'array',
  maxItems: 1000,
  items: { type: 'string', pattern: TAG_PATTERN_EXPRESSION, examples: ['v*'] },
} as const

/** Tags by two patterns: that of their repositories, and their own. */
const tagEntries = {
  type: 'object',
  additionalProperties: false,
  required: ['repositories', 'tags'],
  properties: {
    repositories: {
      type: 'string',
      pattern: PATTERN_EXPRESSION,
      examples: ['team/**'],
      description: 'The repositories this is about; * within a path component, ** anything.',
    },
    tags: {
      type: 'string',
      pattern: TAG_PATTERN_EXPRESSION,
      examples: ['v*'],
      description: 'Their tags this is about; * is any part of a tag.',
    },
  },
} as const

/**
 * Every setting, with its default and its bounds: the one place that says so. From here come the
 * published JSON Schema, the check of a configuration file, the environment variables, and
 * `config.example.json`.
 */
export const configSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Berth configuration',
  type: 'object',
  additionalProperties: false,
  properties: {
    $schema: { type: 'string', description: 'Where an editor finds this schema.' },
    dataDirectory: {
      type: 'string',
      minLength: 1,
      default: './data',
      description: 'Where everything is kept. Relative to the working directory.',
    },
    http: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        host: {
          type: 'string',
          minLength: 1,
          default: '127.0.0.1',
          description: 'The address to listen on; 0.0.0.0 or :: for all.',
        },
        port: {
          type: 'integer',
          minimum: 0,
          maximum: 65535,
          default: 5000,
          description: 'The port to listen on; 0 takes a free one.',
        },
        idleSeconds: {
          type: 'integer',
          minimum: 1,
          maximum: 86400,
          default: 300,
          description:
            'A connection on which nothing moves for so long is closed. There is no other limit on how long a transfer takes.',
        },
        connectionsMax: {
          type: 'integer',
          minimum: 1,
          maximum: 1000000,
          default: 10000,
          description: 'Connections beyond this many are not accepted.',
        },
        connectionsPerAddressMax: {
          type: 'integer',
          minimum: 1,
          maximum: 1000000,
          default: 5000,
          description:
            'Connections of one address beyond this many are closed; the 64 bits of an IPv6 network count as one address. Those of http.trustedProxies are not counted.',
        },
        headerBytesMax: {
          type: 'integer',
          minimum: 8192,
          maximum: 1048576,
          default: 65536,
          description:
            'A request with more bytes before its body is refused. The default has room for a Range with a thousand parts, or a hundred tag parameters.',
        },
        headersSeconds: {
          type: 'integer',
          minimum: 1,
          maximum: 3600,
          default: 60,
          description: 'How long a request may take until its headers are there.',
        },
        minBytesPerSecond: {
          type: 'integer',
          minimum: 0,
          maximum: 1000000000,
          default: 100,
          description:
            'A client that sends a body, or reads an answer, at less than this rate over http.slowSeconds is cut. Only the time counts in which the registry waits for it. 0: never.',
        },
        slowSeconds: {
          type: 'integer',
          minimum: 1,
          maximum: 86400,
          default: 300,
          description:
            'Over how much waiting the rate of a client is taken. docker sends nothing while it compresses a layer, for as long as that takes: not much shorter than http.idleSeconds.',
        },
        shutdownSeconds: {
          type: 'integer',
          minimum: 0,
          maximum: 86400,
          default: 30,
          description: 'How long requests under way may take to end when the process is stopped.',
        },
        publicUrl: {
          type: 'string',
          maxLength: 300,
          pattern: '^(https?://[A-Za-z0-9.:[\\]_-]+)?$',
          default: '',
          examples: ['https://registry.example.com'],
          description:
            'What clients call this registry, where that is not what they say in their requests. Without a path. Empty: what they say.',
        },
        trustedProxies: {
          type: 'array',
          uniqueItems: true,
          maxItems: 1000,
          items: {
            type: 'string',
            pattern: '^[0-9A-Fa-f:.]+(/[0-9]+)?$',
            examples: ['10.1.2.3', '10.0.0.0/8'],
          },
          default: [],
          description:
            'Addresses, or networks of them, of proxies in front: what they say in X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host is believed, and of nobody else.',
        },
        rateLimit: {
          type: 'object',
          additionalProperties: false,
          default: {},
          properties: {
            requestsPerMinute: {
              type: 'integer',
              minimum: 0,
              maximum: 1000000000,
              default: 0,
              description:
                'How many requests an account may make, or an address where nobody is signed in. 0: any number.',
            },
            burst: {
              type: 'integer',
              minimum: 1,
              maximum: 1000000000,
              default: 300,
              description:
                'How many of them may come at once after a pause; one image of thirty layers takes about seventy.',
            },
          },
        },
        tls: {
          type: 'object',
          additionalProperties: false,
          default: {},
          properties: {
            mode: {
              enum: ['off', 'only', 'both'],
              default: 'off',
              description:
                'off: the port speaks plain HTTP. only: it speaks HTTPS. both: it speaks either, as the client begins. See docs/tls.md.',
            },
            certificateFile: {
              type: 'string',
              default: '',
              description:
                'The certificate of this server in PEM form, with those between it and its CA behind it. berth tls init makes one.',
            },
            keyFile: {
              type: 'string',
              default: '',
              description: 'Its private key in PEM form, without a password.',
            },
            caFile: {
              type: 'string',
              default: '',
              description:
                'What GET /ca.crt gives to clients that are to trust this server, in PEM form. Empty: the file ca.crt beside the certificate, where there is one.',
            },
            clientCertificates: {
              enum: ['none', 'optional', 'required'],
              default: 'none',
              description:
                'none: clients are not asked for a certificate. optional: one that a client shows must be valid. required: each client must show one.',
            },
            clientCaFile: {
              type: 'string',
              default: '',
              description: 'The CAs that certificates of clients may come from, in PEM form.',
            },
          },
        },
      },
    },
    access: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        mode: {
          enum: ['open', 'readOnly', 'accounts'],
          default: 'open',
          description:
            'open: whoever reaches the registry may pull, push and delete. readOnly: whoever reaches it may pull. accounts: everybody may do what they were granted.',
        },
        tokenSeconds: {
          type: 'integer',
          minimum: 60,
          maximum: 3600,
          default: 300,
          description:
            'With accounts: how long a client uses a bearer token before it asks for another. What somebody may do is looked at again each time it is used.',
        },
        refreshDays: {
          type: 'integer',
          minimum: 1,
          maximum: 3650,
          default: 90,
          description:
            'With accounts: how long docker login lasts when it is not used; what it keeps in place of the password is of no use after that.',
        },
      },
    },
    storage: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        inlineBytesMax: {
          type: 'integer',
          minimum: 0,
          maximum: 1048576,
          default: 65536,
          description: 'Blobs up to this size are kept in the database instead of in files.',
        },
        sendfile: {
          type: 'boolean',
          default: true,
          description:
            'Lets the kernel send large blobs where it can: on Linux, over plain HTTP, with the optional package koffi.',
        },
        accelRedirect: {
          type: 'string',
          maxLength: 200,
          pattern: '^((/[A-Za-z0-9_-][A-Za-z0-9._-]*)+/?)?$',
          default: '',
          examples: ['/berth-blobs'],
          description:
            'Where nginx in front has the folder blobs of the data directory, as an internal location: it sends the files itself then. Only where nobody reaches Berth but through it; see docs/nginx.md. Empty: Berth sends them.',
        },
        verifyReads: {
          type: 'boolean',
          default: false,
          description:
            'Hashes every blob while it is read, so that bytes which rotted on the disk end the connection instead of reaching a client whole. Costs half a CPU second more for each GiB, which makes large pulls two to four times as dear; a range costs as much as the whole blob. Not with storage.accelRedirect, and without the help of storage.sendfile.',
        },
        reserveBytes: {
          type: 'integer',
          minimum: 0,
          maximum: 1125899906842624,
          default: 268435456,
          description:
            'Free space that uploads must leave on the disk: they are refused with 507 when there is less, while reads, deletes and clean-up go on. Never more than a tenth of the disk; 0 for none.',
        },
      },
    },
    uploads: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        expireSeconds: {
          type: 'integer',
          minimum: 60,
          maximum: 31536000,
          default: 86400,
          description: 'An upload without progress for so long is given up.',
        },
        sessionsMax: {
          type: 'integer',
          minimum: 1,
          maximum: 1000000,
          default: 10000,
          description: 'How many uploads may be open at once.',
        },
      },
    },
    manifests: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        bytesMax: {
          type: 'integer',
          minimum: 4194304,
          maximum: 67108864,
          default: 4194304,
          description: 'A larger manifest is refused. Clients refuse to read more than 4 MiB.',
        },
        indexChildren: {
          enum: ['required', 'listed', 'none'],
          default: 'required',
          description:
            'Which children of an index must be here before it is accepted: all (required), those for one of manifests.indexPlatforms (listed), or none.',
        },
        indexPlatforms: {
          type: 'array',
          uniqueItems: true,
          maxItems: 100,
          items: {
            type: 'string',
            pattern: '^[a-z0-9]+/[a-z0-9]+$',
            examples: ['linux/amd64'],
          },
          default: [],
          description: 'os/architecture, as linux/amd64; for manifests.indexChildren: listed.',
        },
      },
    },
    deletes: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        enabled: {
          type: 'boolean',
          default: true,
          description: 'Whether tags, manifests and blobs can be deleted over the registry API.',
        },
        referencedBlobs: {
          enum: ['refuse', 'allow'],
          default: 'refuse',
          description: 'What to do when a blob shall be deleted that a manifest still needs.',
        },
      },
    },
    leases: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        seconds: {
          type: 'integer',
          minimum: 60,
          maximum: 31536000,
          default: 86400,
          description:
            'How long something stays that a client was told is here, even if nothing refers to it.',
        },
      },
    },
    undo: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        days: {
          type: 'integer',
          minimum: 0,
          maximum: 3650,
          default: 7,
          description: 'How long what was deleted or overwritten can be brought back.',
        },
      },
    },
    history: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        days: {
          type: 'integer',
          minimum: 1,
          maximum: 36500,
          default: 365,
          description:
            'How long it is remembered who moved, deleted and restored what; at least for undo.days.',
        },
      },
    },
    gc: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        enabled: {
          type: 'boolean',
          default: true,
          description:
            'Whether what nothing needs any more is removed while Berth runs. Without it, only by berth gc.',
        },
        everySeconds: {
          type: 'integer',
          minimum: 1,
          maximum: 86400,
          default: 60,
          description: 'How often is looked whether anything is due.',
        },
        sliceMs: {
          type: 'integer',
          minimum: 1,
          maximum: 50,
          default: 5,
          description:
            'How long one step may take, in milliseconds; requests have their turn between two steps. While nobody writes anything, up to six times as long, and no more than 30.',
        },
        brakePercent: {
          type: 'integer',
          minimum: 1,
          maximum: 100,
          default: 25,
          description:
            'A run that would remove more than this share of all bytes, or of the tags of a repository, does nothing but say so, until somebody confirms it. 100: never.',
        },
        untagged: {
          type: 'array',
          maxItems: 1000,
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['repositories'],
            properties: {
              repositories: {
                type: 'string',
                pattern: PATTERN_EXPRESSION,
                examples: ['team/**'],
                description:
                  'The repositories this is about; * within a path component, ** anything.',
              },
              collectAfterDays: {
                type: 'integer',
                minimum: 0,
                maximum: 36500,
                description: 'Without it they are kept.',
              },
            },
          },
          default: [{ repositories: '**', collectAfterDays: 30 }],
          description:
            'What becomes of manifests that no tag, index or subject holds: the first entry that fits decides. They are kept, or collected when nobody has pushed, tagged or pulled them for so many days, and never while undo.days could bring back the tag they had.',
        },
      },
    },
    tags: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        immutable: {
          type: 'array',
          maxItems: 1000,
          items: tagEntries,
          default: [],
          description:
            'Tags that are written once: never moved to another manifest, and never deleted.',
        },
        protected: {
          type: 'array',
          maxItems: 1000,
          items: tagEntries,
          default: [],
          description: 'Tags that are never deleted; they may move.',
        },
      },
    },
    retention: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        everyHours: {
          type: 'integer',
          minimum: 0,
          maximum: 8760,
          default: 24,
          description: 'How often the rules are applied; 0: only by berth retention run.',
        },
        rules: {
          type: 'array',
          maxItems: 1000,
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['repositories'],
            properties: {
              repositories: {
                type: 'string',
                pattern: PATTERN_EXPRESSION,
                examples: ['team/**'],
                description:
                  'The repositories this is about, each by itself; * within a path component, ** anything.',
              },
              tags: {
                ...tagPatterns,
                minItems: 1,
                default: ['**'],
                description: 'The tags of these repositories that this is about.',
              },
              keepNewest: {
                type: 'integer',
                minimum: 0,
                maximum: 1000000000,
                description: 'Keeps so many of these tags that were pushed or moved last.',
              },
              keepYoungerThanDays: {
                type: 'integer',
                minimum: 1,
                maximum: 36500,
                description: 'Keeps those that were pushed or moved in so many days.',
              },
              keepPulledWithinDays: {
                type: 'integer',
                minimum: 1,
                maximum: 36500,
                description: 'Keeps those that were pulled, pushed or moved in so many days.',
              },
              keepTags: {
                ...tagPatterns,
                default: [],
                description: 'Keeps those that any of these patterns has.',
              },
            },
          },
          default: [],
          description:
            'Which tags are deleted: those that a rule is about and no rule that is about them keeps.',
        },
      },
    },
    quotas: {
      type: 'array',
      maxItems: 1000,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['repositories', 'bytes'],
        properties: {
          repositories: {
            type: 'string',
            pattern: PATTERN_EXPRESSION,
            examples: ['team/**'],
            description: 'The repositories that share it; * within a path component, ** anything.',
          },
          bytes: {
            type: 'integer',
            minimum: 0,
            maximum: Number.MAX_SAFE_INTEGER,
            description:
              'What they may hold: their manifests and the blobs these refer to, in each repository in full.',
          },
        },
      },
      default: [],
      description: 'How much repositories may hold together. Each entry that fits has to be met.',
    },
    verify: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        everyDays: {
          type: 'integer',
          minimum: 0,
          maximum: 3650,
          default: 30,
          description:
            'How often every byte that is kept is read and hashed again, in the background. 0: only by berth verify --content.',
        },
        bytesPerSecond: {
          type: 'integer',
          minimum: 1024,
          maximum: 1099511627776,
          default: 67108864,
          description: 'How fast that goes at most, so that clients have the disk first.',
        },
      },
    },
    audit: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        days: {
          type: 'integer',
          minimum: 1,
          maximum: 3650,
          default: 90,
          description: 'How long it is remembered who did what, from where, with what result.',
        },
        pulls: {
          type: 'boolean',
          default: false,
          description:
            'Whether pulls of manifests are remembered, too: an event for each, which takes more space than anything else here.',
        },
        file: {
          type: 'string',
          maxLength: 4096,
          default: '',
          description:
            'A file to which each event is added as a line of JSON as well; SIGHUP has it opened again. Relative to the working directory. Empty: none.',
        },
      },
    },
    log: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        level: {
          enum: ['fatal', 'error', 'warn', 'info', 'debug', 'silent'],
          default: 'info',
          description: 'The least important messages to write.',
        },
        format: {
          enum: ['auto', 'json', 'pretty'],
          default: 'auto',
          description: 'auto: pretty on a terminal, else one JSON object a line.',
        },
      },
    },
  },
} as const

interface TagEntry {
  readonly repositories: string
  readonly tags: string
}

/** How the port speaks TLS; a file that is not named is empty. */
export interface TlsConfig {
  readonly mode: 'off' | 'only' | 'both'
  readonly certificateFile: string
  readonly keyFile: string
  readonly caFile: string
  readonly clientCertificates: 'none' | 'optional' | 'required'
  readonly clientCaFile: string
}

/** The configuration, complete: what the schema describes, with every default filled in. */
export interface Config {
  readonly dataDirectory: string
  readonly http: {
    readonly host: string
    readonly port: number
    readonly idleSeconds: number
    readonly connectionsMax: number
    readonly connectionsPerAddressMax: number
    readonly headerBytesMax: number
    readonly headersSeconds: number
    /** 0: no client is too slow. */
    readonly minBytesPerSecond: number
    readonly slowSeconds: number
    readonly shutdownSeconds: number
    /** `http` or `https`, a host, perhaps a port, nothing behind; or empty. */
    readonly publicUrl: string
    /** Each fits `isNetwork`. */
    readonly trustedProxies: readonly string[]
    readonly rateLimit: {
      /** 0: no limit. */
      readonly requestsPerMinute: number
      readonly burst: number
    }
    readonly tls: TlsConfig
  }
  readonly access: {
    readonly mode: 'open' | 'readOnly' | 'accounts'
    readonly tokenSeconds: number
    readonly refreshDays: number
  }
  readonly storage: {
    readonly inlineBytesMax: number
    readonly sendfile: boolean
    /** Empty, or the path of an internal location; a slash may end it. */
    readonly accelRedirect: string
    readonly verifyReads: boolean
    /** The disk may be too small for it. */
    readonly reserveBytes: number
  }
  readonly uploads: { readonly expireSeconds: number; readonly sessionsMax: number }
  readonly manifests: {
    readonly bytesMax: number
    readonly indexChildren: 'required' | 'listed' | 'none'
    readonly indexPlatforms: readonly string[]
  }
  readonly deletes: {
    readonly enabled: boolean
    readonly referencedBlobs: 'refuse' | 'allow'
  }
  readonly leases: { readonly seconds: number }
  readonly undo: { readonly days: number }
  readonly history: { readonly days: number }
  readonly gc: {
    readonly enabled: boolean
    readonly everySeconds: number
    readonly sliceMs: number
    readonly brakePercent: number
    readonly untagged: readonly {
      readonly repositories: string
      /** Absent: kept. */
      readonly collectAfterDays?: number
    }[]
  }
  readonly tags: {
    readonly immutable: readonly TagEntry[]
    readonly protected: readonly TagEntry[]
  }
  readonly retention: {
    /** 0: only by hand. */
    readonly everyHours: number
    readonly rules: readonly {
      readonly repositories: string
      readonly tags: readonly string[]
      readonly keepNewest?: number
      readonly keepYoungerThanDays?: number
      readonly keepPulledWithinDays?: number
      readonly keepTags: readonly string[]
    }[]
  }
  readonly quotas: readonly { readonly repositories: string; readonly bytes: number }[]
  readonly verify: {
    /** 0: never by itself. */
    readonly everyDays: number
    readonly bytesPerSecond: number
  }
  readonly audit: {
    readonly days: number
    readonly pulls: boolean
    /** Empty: none. */
    readonly file: string
  }
  readonly log: {
    readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'silent'
    readonly format: 'auto' | 'json' | 'pretty'
  }
}
