/** The alerts as Prometheus reads them. JSON is YAML, and needs no library. */
import { ALERTS } from './alerts.js';

const RUN_BOOKS = 'docs/run-books.md';

/** deploy/prometheus/rules.json. */
export function rulesFile(): string {
  const rules = ALERTS.map(({ name, expression, holds, severity, summary }) => ({
    alert: name,
    expr: expression,
    for: holds,
    labels: { severity },
    annotations: { summary, runbook: `${RUN_BOOKS}#${name.toLowerCase()}` },
  }));
  return JSON.stringify({ groups: [{ name: 'ip-diffusion', rules }] }, undefined, 2);
}
