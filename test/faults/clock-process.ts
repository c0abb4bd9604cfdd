/** Preloaded into a service: SIGUSR2 sets its wall clock a day ahead, then an hour back, and so on. */

const read = Date.now;
let shiftMs = 0;
let jumps = 0;
Date.now = () => read() + shiftMs;
process.on('SIGUSR2', () => {
  shiftMs += jumps % 2 === 0 ? 24 * 3_600_000 : -25 * 3_600_000;
  jumps += 1;
});
