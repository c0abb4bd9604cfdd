/** docs/metrics.md: every metric of both services, from the tables of metrics. */

import { SAMPLER_METRICS } from '../../services/sampler/metrics.js';
import { TRAINER_METRICS } from '../../services/trainer/metrics.js';
import { buildInfo, OTHER, type MetricRow, type MetricTable } from '../../shared/metrics/index.js';
import { CALL_METRICS } from '../../shared/rpc/index.js';
import { STORE_METRICS } from '../../shared/store/index.js';

const TABLES: Readonly<Record<string, readonly MetricTable[]>> = {
  'Of both services': [CALL_METRICS, STORE_METRICS, { build: buildInfo({ version: '', node_version: '' }) }],
  'Of the sampler': [SAMPLER_METRICS],
  'Of the trainer': [TRAINER_METRICS],
};

/** More values than this are described in words. */
const LISTED = 15;

const WORDS: Readonly<Record<string, string>> = {
  method: '`package.Service/Method`',
  code: 'status codes of gRPC',
  outcome: '`OK` or a status code of gRPC',
  reason: 'see [errors.md](errors.md)',
};

const SCRAPE = `scrape_configs:
  - job_name: ip-diffusion
    scheme: https
    tls_config: { ca_file: /etc/prometheus/ip-diffusion-ca.pem, server_name: trainer.internal }
    bearer_token_file: /etc/prometheus/ip-diffusion-token
    static_configs:
      - targets: [trainer.internal:9464]`;

export function metricsPage(): string {
  const sections = Object.entries(TABLES).flatMap(([title, tables]) => [
    `## ${title}`,
    [
      '| Metric | Kind | Labels | Meaning |',
      '| --- | --- | --- | --- |',
      ...tables.flatMap((table) => Object.values(table).map(rowOf)),
    ].join('\n'),
  ]);
  const page = [
    '# Metrics',
    'A service serves metrics in the text format of Prometheus at `/metrics`, on a separate port, where `IP_DIFFUSION_METRICS_ADDRESS` or `serve --metrics-address HOST:PORT` sets one. On a network they need TLS and a token, as [below](#on-a-network).',
    `Times are in seconds and sizes in bytes. A label has the listed values and no others: whatever else came is \`${OTHER}\`. So no model, job, caller or text from a request is a label.`,
    "Besides, each service serves `process_*` and `nodejs_*` as prom-client measures them: memory, processor time, file descriptors, event-loop delay (`nodejs_eventloop_lag_*_seconds`), garbage collection. Engine processes are not in these; the sampler's are in `ip_diffusion_sampler_models_bytes`.",
    '## On a network',
    "An address other than loopback is refused without the service's certificate (`--tls-cert`, `--tls-key`) and a file with a token (`--metrics-token-file`). `/metrics` is then served over TLS with that certificate, and a request without the token gets 401. Both files are read again when they change. Prometheus reads it so:",
    `\`\`\`yaml\n${SCRAPE}\n\`\`\``,
    'In a closed network, `--metrics-insecure` (`IP_DIFFUSION_METRICS_INSECURE=on`) serves metrics without TLS, and without a token where none is set; the log and `doctor` warn of it. On loopback neither is needed; where a token is set, requests must send it.',
    'Generated from the tables of metrics by `npm run docs`.',
    ...sections,
  ];
  return `${page.join('\n\n')}\n`;
}

function rowOf({ name, kind, help, labels }: MetricRow): string {
  const cells = [`\`${name}\``, kind, Object.entries(labels).map(labelText).join('; '), help];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function labelText([label, values]: readonly [string, readonly string[]]): string {
  const isShort = values.length > 1 && values.length <= LISTED;
  const which = WORDS[label] ?? (isShort ? values.map((value) => `\`${value}\``).join(', ') : '');
  return which === '' ? `\`${label}\`` : `\`${label}\`: ${which}`;
}
