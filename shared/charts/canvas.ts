/** Antialiased lines and text on a white RGB canvas. */
import { at } from '../foundation/index.js';
import { CAP_HEIGHT, textStrokes } from './glyphs.js';
import type { Point } from './glyphs.js';

/** Red, green and blue from 0 to 255. */
export type Colour = readonly [number, number, number];

export interface LineStyle {
  readonly colour: Colour;
  /** In pixels. */
  readonly width: number;
  /** From 0 to 1; default 1. */
  readonly opacity?: number;
}

export interface TextStyle {
  readonly colour: Colour;
  /** Height of a capital letter, in pixels. */
  readonly height: number;
  /** Which point of the text `place` is; default left. */
  readonly align?: 'left' | 'centre' | 'right';
  /** Width of a stroke, in pixels; default 1.25. */
  readonly stroke?: number;
}

export interface Canvas {
  readonly width: number;
  readonly height: number;
  /** `[height, width, 3]` uint8. */
  readonly pixels: Uint8Array;
  /** Draws a line through points in pixels, with round ends; one point is a dot. */
  line(points: readonly Point[], style: LineStyle): void;
  /** Writes a line of text whose capitals' middle is at the height of `place`; returns its width in pixels. */
  text(text: string, place: Point, style: TextStyle): number;
}

/** A white canvas. */
export function createCanvas(width: number, height: number): Canvas {
  const pixels = new Uint8Array(width * height * 3).fill(255);
  // Coverage is gathered for the whole line before it is blended, or its joints would show through.
  const coverage = new Float32Array(width * height);

  function line(points: readonly Point[], { colour, width: lineWidth, opacity = 1 }: LineStyle): void {
    const touched: number[] = [];
    for (const [index, from] of points.entries()) {
      if (index > 0 && index === points.length - 1) break;
      cover(from, points[index + 1] ?? from, lineWidth / 2, touched);
    }
    for (const pixel of touched) {
      const alpha = at(coverage, pixel) * opacity;
      coverage[pixel] = 0;
      for (let channel = 0; channel < 3; channel++) {
        const under = at(pixels, pixel * 3 + channel);
        pixels[pixel * 3 + channel] = Math.round(under + (at(colour, channel) - under) * alpha);
      }
    }
  }

  function cover(from: Point, to: Point, radius: number, touched: number[]): void {
    const reach = radius + 1;
    const right = Math.min(width - 1, Math.ceil(Math.max(from[0], to[0]) + reach));
    const bottom = Math.min(height - 1, Math.ceil(Math.max(from[1], to[1]) + reach));
    for (let y = Math.max(0, Math.floor(Math.min(from[1], to[1]) - reach)); y <= bottom; y++) {
      for (let x = Math.max(0, Math.floor(Math.min(from[0], to[0]) - reach)); x <= right; x++) {
        const part = Math.min(1, radius + 0.5 - distance([x + 0.5, y + 0.5], from, to));
        const pixel = y * width + x;
        const before = at(coverage, pixel);
        if (part <= before) continue;
        if (before === 0) touched.push(pixel);
        coverage[pixel] = part;
      }
    }
  }

  function text(
    written: string,
    place: Point,
    { colour, height: size, align = 'left', stroke = 1.25 }: TextStyle,
  ): number {
    const unit = size / CAP_HEIGHT;
    const { strokes, width: units } = textStrokes(written);
    const shift = { left: 0, centre: units / 2, right: units }[align];
    for (const points of strokes) {
      const placed = points.map(([x, y]): Point => [
        place[0] + (x - shift) * unit,
        place[1] + (y - CAP_HEIGHT / 2) * unit,
      ]);
      line(placed, { colour, width: stroke });
    }
    return units * unit;
  }

  return { width, height, pixels, line, text };
}

/** From a point to the nearest point between two others. */
function distance([x, y]: Point, [x0, y0]: Point, [x1, y1]: Point): number {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const squared = dx * dx + dy * dy;
  const along = squared === 0 ? 0 : Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / squared));
  return Math.hypot(x - x0 - along * dx, y - y0 - along * dy);
}
