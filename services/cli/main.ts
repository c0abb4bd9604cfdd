#!/usr/bin/env node
/** The ip-diffusion program. */

import { readSettings } from './config.js';
import { listenForInterrupts } from './interrupts.js';
import { runProgram } from './program.js';

const { signal, stopListening } = listenForInterrupts();
const { stdout: out, stderr: err } = process;
process.exitCode = await runProgram(process.argv.slice(2), { out, err, settings: readSettings(), signal });
stopListening();
