/** The process that draws one SVG of this program's own making: SVG on standard input, PNG on standard output. */
import { buffer } from 'node:stream/consumers';
import { sharp, UNIT_DENSITY } from './svg-sharp.js';

const scale = Number(process.argv[2]);
const png = await sharp(await buffer(process.stdin), { density: UNIT_DENSITY * scale })
  .flatten({ background: '#ffffff' })
  .png({ compressionLevel: 9 })
  .toBuffer();
process.stdout.write(png);
