import type { CollectionPlan, CollectTerms } from '../metadata-store.js'
import { CollectPlan } from './collect-plan.js'
import type { Connection } from './connection.js'
import { Soundness } from './soundness.js'

/**
 * Questions whose answer may take seconds, as the survey thread has them answered: one after the other,
 * on a connection that only reads. Such a connection may write temporary tables of its own.
 *
 * What a question is asked with, and what it answers, must be such as a structured clone can carry.
 */
export interface SurveyQuestions {
  /** The names of all tables, for {@link checkTable}. */
  readonly listTables: () => string[]
  /** What is wrong with a table, its indexes and its foreign keys; some of it, where it is much. */
  readonly checkTable: (table: string) => string[]
  readonly planCollection: (terms: CollectTerms) => CollectionPlan
}

export function prepareSurvey(connection: Connection): SurveyQuestions {
  const soundness = new Soundness(connection)
  const collection = new CollectPlan(connection)
  return {
    listTables: () => soundness.listTables(),
    checkTable: (table) => soundness.checkTable(table),
    planCollection: (terms) => collection.plan(terms),
  }
}
