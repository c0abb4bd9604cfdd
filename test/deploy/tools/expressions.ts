/** Every expression of the dashboards and alerts, by promtool. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DASHBOARDS, INTERVAL } from '../../../deploy/grafana/panels.js';
import { ALERTS } from '../../../deploy/prometheus/alerts.js';
import { ROOT } from '../../programs.js';
import { program } from '../../images/programs.js';
import { FIRING } from './firing-alerts.js';
import { recordRun, type Recording } from './recorded-metrics.js';

const RULES = join(ROOT, 'deploy/prometheus/rules.json');
/** What the readings are taken to be apart. */
const STEP_SECONDS = 15;
const STEP = `${STEP_SECONDS}s`;

/** @throws AssertionError naming each panel whose query is empty at every reading. */
export async function checkPanels(promtool: string): Promise<string> {
  const recording = await recordRun();
  const readings = Math.max(...[...recording.values()].map((values) => values.length));
  const series = [...recording].map(([name, values]) => ({ series: name, values: valuesText(values) }));
  const empty: string[] = [];
  const queries = DASHBOARDS.flatMap(({ title, panels }) =>
    panels.flatMap((panel) =>
      panel.queries.map(({ expression }) => ({ name: `${title}, ${panel.title}`, expression })),
    ),
  );
  for (const { name, expression } of queries) {
    const expr = expression.replaceAll(INTERVAL, '1m');
    // At some moment of the run: training and sampling do not happen at the same time. NaN is no data, and nothing is negative.
    const whole = `count(count_over_time(((${expr}) >= 0)[${readings * STEP_SECONDS}s:${STEP}])) > bool 0`;
    const wanted = {
      expr: whole,
      eval_time: `${readings * STEP_SECONDS}s`,
      exp_samples: [{ labels: '{}', value: 1 }],
    };
    const found = await tested(promtool, [
      { interval: STEP, input_series: series, promql_expr_test: [wanted] },
    ]);
    if (found !== undefined) empty.push(`${name}: ${expr}\n${found}`);
  }
  assert.deepEqual(empty, [], 'panels without data');
  return `${queries.length} queries of ${DASHBOARDS.length} dashboards have data in ${readings} readings of a run with ${recording.size} series`;
}

/** @throws AssertionError naming each alert that does not fire where it should, or fires in a healthy run. */
export async function checkAlerts(promtool: string): Promise<string> {
  await program(promtool, ['check', 'rules', RULES]);
  assert.deepEqual(Object.keys(FIRING).sort(), ALERTS.map(({ name }) => name).sort());
  for (const { name } of ALERTS) {
    const { series, healthy } = FIRING[name] ?? { series: [], healthy: [] };
    const count = (values: typeof series, value: number) => ({
      interval: '1m',
      input_series: values,
      promql_expr_test: [
        {
          expr: `count(ALERTS{alertname="${name}",alertstate="firing"}) or vector(0)`,
          eval_time: '30m',
          exp_samples: [{ labels: '{}', value }],
        },
      ],
    });
    for (const [title, test] of Object.entries({
      fires: count(series, 1),
      'stays silent': count(healthy, 0),
    })) {
      const found = await tested(promtool, [test]);
      assert.equal(found, undefined, `${name} ${title}: ${found}`);
    }
  }
  return `${ALERTS.length} alerts fire where they should, and only there`;
}

function valuesText(values: Recording extends ReadonlyMap<string, infer V> ? V : never): string {
  return values.map((value) => (value === undefined ? '_' : numberText(value))).join(' ');
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? String(value) : '_';
}

/** What promtool says where a test of rules does not hold; undefined where it does. */
async function tested(promtool: string, tests: readonly object[]): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'promtool-'));
  try {
    const file = join(folder, 'test.json');
    await writeFile(file, JSON.stringify({ rule_files: [RULES], evaluation_interval: STEP, tests }));
    return await program(promtool, ['test', 'rules', file]).then(
      () => undefined,
      (error: unknown) => String(error).slice(0, 2000),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}
