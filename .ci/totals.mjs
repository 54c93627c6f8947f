// Adds up vitest's JSON reports: `node .ci/totals.mjs FOLDER NAME…` prints `N passed, N failed`.
import { readFileSync } from 'node:fs'
import path from 'node:path'

const [folder, ...names] = process.argv.slice(2)
const runs = names.map((name) => countsIn(path.join(folder, `${name}.json`)))
console.log(`${sum(runs, 'passed')} passed, ${sum(runs, 'failed')} failed`)

function countsIn(file) {
  const report = readReport(file)
  // A run that was ended before it could report has failed, and that must show.
  if (report === undefined) return { passed: 0, failed: 1 }
  const failed = report.numFailedTests + filesFailedAsAWhole(report)
  return { passed: report.numPassedTests, failed: report.success ? failed : Math.max(failed, 1) }
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

/** Files that could not be loaded, or whose hooks failed. */
function filesFailedAsAWhole({ testResults }) {
  return testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  ).length
}

function sum(counts, member) {
  return counts.reduce((total, { [member]: count }) => total + count, 0)
}
