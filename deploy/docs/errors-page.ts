/** docs/errors.md: every reason of the contracts, with its code and what to do, from the comments in the proto. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One reason as `errors.proto` describes it. */
export interface DescribedReason {
  readonly name: string;
  readonly code: string;
  readonly text: string;
}

/** The reasons of `errors.proto`, in its order. @throws Error for a reason without a sentence and a code. */
export async function describedReasons(root: string): Promise<DescribedReason[]> {
  const proto = await readFile(join(root, 'proto/diffusion/types/v1/errors.proto'), 'utf8');
  const entries = proto.matchAll(/((?:^ {2}\/\/.*\n)*)^ {2}ERROR_REASON_(\w+) = \d+;$/gm);
  return [...entries].flatMap(([, comment = '', name = '']) => {
    if (name === 'UNSPECIFIED') return [];
    const sentences = comment
      .replace(/^ {2}\/\/ ?/gm, '')
      .replace(/\s+/g, ' ')
      .trim();
    const [, text, code] = /^(.+) \(([A-Z_]+)\)$/.exec(sentences) ?? [];
    if (text === undefined || code === undefined)
      throw new Error(`errors.proto: ${name} has no text and code`);
    return [{ name, code, text }];
  });
}

export async function errorsPage(root: string): Promise<string> {
  const reasons = await describedReasons(root);
  const rows = reasons.map(
    ({ name, code, text }) => `| \`${name}\` | \`${code}\` | ${text.replaceAll('|', '\\|')} |`,
  );
  return [
    '# Errors',
    '',
    "A failed call has a status code, a message for people, and in `google.rpc.ErrorInfo` a reason for programs. `domain` is the service's full name, such as `diffusion.trainer.v1.TrainerService`. `google.rpc.BadRequest` names the fields that were refused, by their path from the request; `google.rpc.RetryInfo` says how long to wait before the call is made again. A job that failed has its reason in `failure_reason`.",
    '',
    'Generated from `proto/diffusion/types/v1/errors.proto` by `npm run docs`.',
    '',
    '| Reason | Code | Meaning, and what to do |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}
