import { prepare } from './prepare.mjs'

prepare()
await import('../bench/main.mjs')
