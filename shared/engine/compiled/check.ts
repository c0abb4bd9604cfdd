/** Whether a graph is valid. */
import { outputsOf } from './builder.js';
import { describeOutput, parseRef, sameOutput, valueOf } from './graph.js';
import type { Graph, Node } from './graph.js';

/**
 * Checks that every input is an output of an earlier node, so that there is no cycle, and that every node's outputs
 * are what its operation makes of its inputs.
 *
 * @throws Error naming the first node that isn't so, with its inputs.
 */
export function checkGraph(graph: Graph): void {
  const earlier = new Set<string>();
  for (const [name, node] of graph) {
    if (name !== node.name) throw new Error(`node ${node.name} is stored under another name, ${name}`);
    for (const needed of [...node.inputs.map((ref) => parseRef(ref).node), ...node.controlInputs]) {
      if (!earlier.has(needed)) {
        const why = graph.has(needed) ? `comes after it or depends on it` : 'is not in the graph';
        throw new Error(`${describeNode(node)}: ${needed} ${why}`);
      }
    }
    checkOutputs(graph, node);
    earlier.add(name);
  }
}

function checkOutputs(graph: Graph, node: Node): void {
  const wanted = outputsOf(
    node,
    node.inputs.map((ref) => valueOf(graph, ref)),
  );
  const fits =
    wanted.length === node.outputs.length && wanted.every((output, i) => same(output, node.outputs[i]));
  if (fits) return;
  const [is, should] = [node.outputs, wanted].map((outputs) => outputs.map(describeOutput).join(', '));
  throw new Error(`${describeNode(node)}: wanted outputs (${should ?? ''}); got (${is ?? ''})`);
}

function same(a: Node['outputs'][number], b: Node['outputs'][number] | undefined): boolean {
  return b !== undefined && sameOutput(a, b);
}

function describeNode({ name, op, inputs, controlInputs }: Node): string {
  return `node ${name}, ${op}(${[...inputs, ...controlInputs.map((control) => `^${control}`)].join(', ')})`;
}
