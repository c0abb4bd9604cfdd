/** Grafana's files of the dashboards. */
import { DASHBOARDS, type Dashboard, type Panel } from './panels.js';

const SOURCE = { type: 'prometheus', uid: '${source}' };
const [COLUMNS, WIDTH, HEIGHT] = [3, 8, 8];

/** What makes each file, by its path. */
export const DASHBOARD_FILES: Readonly<Record<string, () => string>> = Object.fromEntries(
  DASHBOARDS.map((dashboard) => [
    `deploy/grafana/dashboards/${dashboard.name}.json`,
    () => JSON.stringify(fileOf(dashboard), undefined, 2),
  ]),
);

function fileOf({ name, title, panels }: Dashboard): object {
  return {
    uid: `ip-diffusion-${name}`,
    title,
    tags: ['ip-diffusion'],
    schemaVersion: 39,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    templating: { list: [{ name: 'source', label: 'Data source', type: 'datasource', query: 'prometheus' }] },
    panels: panels.map(panelOf),
  };
}

function panelOf({ title, description, unit, queries }: Panel, index: number): object {
  return {
    id: index + 1,
    type: 'timeseries',
    title,
    description,
    datasource: SOURCE,
    gridPos: {
      ...{ x: (index % COLUMNS) * WIDTH, y: Math.floor(index / COLUMNS) * HEIGHT },
      ...{ w: WIDTH, h: HEIGHT },
    },
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    targets: queries.map(({ expression, legend }, which) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + which),
      datasource: SOURCE,
      expr: expression,
      legendFormat: legend,
    })),
  };
}
