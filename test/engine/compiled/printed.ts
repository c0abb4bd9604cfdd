/** A graph as text: one line a node. */
import { createHash } from 'node:crypto';

import { describeOutput } from '../../../shared/engine/compiled/graph.js';
import type { Attribute, Graph } from '../../../shared/engine/compiled/graph.js';

const SHOWN_VALUES = 8;

export function printed(graph: Graph): string {
  const lines = Array.from(graph.values(), ({ name, op, inputs, controlInputs, attributes, outputs }) => {
    const taken = [...inputs, ...controlInputs.map((control) => `^${control}`)].join(', ');
    const settings = Object.entries(attributes).map(([key, value]) => ` ${key}=${attribute(value)}`);
    return `${name} = ${op}(${taken})${settings.join('')} -> ${outputs.map(describeOutput).join(', ')}`;
  });
  return `${lines.join('\n')}\n`;
}

function attribute(value: Attribute): string {
  if (!('constant' in value)) return JSON.stringify(Object.values(value)[0]);
  const { values } = value.constant;
  if (values.length <= SHOWN_VALUES) return `[${[...values].join(' ')}]`;
  return `sha256:${createHash('sha256').update(values).digest('hex').slice(0, 16)}`;
}
