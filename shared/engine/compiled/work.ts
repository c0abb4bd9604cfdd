/** How much a graph computes. */
import { sizeOf, valueOf } from './graph.js';
import type { Graph, Node } from './graph.js';

const PRODUCT = /Conv|MatMul/;
const ATTENTION = 'NativeAttention';

/**
 * About how many operations of floating point a run of a graph takes. Convolutions count for a third of theirs at the
 * least, everything but products for none.
 */
export function flopsOf(graph: Graph): number {
  return Array.from(graph.values(), (node) => flopsOfNode(graph, node)).reduce((sum, each) => sum + each, 0);
}

function flopsOfNode(graph: Graph, { op, inputs, outputs }: Node): number {
  const sizes = (shapes: readonly (readonly number[])[]): number =>
    shapes.map(sizeOf).reduce((a, b) => a * b, 1);
  const result = outputs[0]?.shape ?? [];
  const given = inputs.map((ref) => valueOf(graph, ref)).filter(({ dtype }) => dtype !== 'int32');
  const shapes = given.map(({ shape }) => shape);
  // Every pixel with every pixel, twice; the gradient five times.
  if (op.startsWith(ATTENTION)) return (op === ATTENTION ? 4 : 10) * sizeOf(result) * (shapes[0]?.[1] ?? 0);
  if (!PRODUCT.test(op) || shapes.length < 2) return 0;
  // Of m x k, k x n and m x n values: the root of their product is m k n.
  const batch = op.startsWith('BatchMatMul') ? sizeOf(result.slice(0, -2)) : 1;
  return 2 * Math.sqrt(sizes([...shapes.slice(0, 2), result]) / batch);
}
