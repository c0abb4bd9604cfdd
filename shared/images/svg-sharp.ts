/** sharp as a process that draws trusted SVG may use it: it loads SVG and nothing else. */
import sharp from 'sharp';

sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: ['VipsForeignLoadSvg'] });
sharp.concurrency(1);
sharp.cache(false);

/** CSS pixels an inch: at this density a drawing of n units is n pixels wide. */
export const UNIT_DENSITY = 72;

export { sharp };
