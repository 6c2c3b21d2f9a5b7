// Pictures as PNG files, drawn here: each number gives another one.

import { deflateSync } from "node:zlib";

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

function checksum(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name), data]);
  const around = Buffer.alloc(8);
  around.writeUInt32BE(data.length, 0);
  around.writeUInt32BE(checksum(body), 4);
  return Buffer.concat([around.subarray(0, 4), body, around.subarray(4)]);
}

/** A PNG of `width` × `height` whose pixels `colour(x, y)` gives as [red, green, blue]. */
export function png(width, height, colour) {
  const lines = Buffer.alloc((width * 3 + 1) * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) lines.set(colour(x, y), y * (width * 3 + 1) + 1 + x * 3);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(lines)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** The smallest picture there is, in one of sixteen million colours. */
export const speck = (number) => png(1, 1, () => [(number >> 16) & 255, (number >> 8) & 255, number & 255]);

/** Hills under a sun, other ones for each number. */
export function hills(number, width = 480, height = 360) {
  const hue = (number * 47) % 360;
  const sky = [tone(hue, 0.62, 0.86), tone(hue + 40, 0.55, 0.66)];
  const ground = [tone(hue + 130, 0.34, 0.52), tone(hue + 150, 0.38, 0.36), tone(hue + 165, 0.42, 0.24)];
  const sun = tone(hue + 190, 0.85, 0.9);
  const [centre, radius] = [
    [width * (0.25 + ((number * 13) % 50) / 100), height * 0.32],
    Math.min(width, height) * 0.13,
  ];
  const ridge = (place, x) =>
    height * (0.55 + place * 0.14) + Math.sin(x / (width / (5 + place * 2)) + number + place * 2) * height * 0.09;
  return png(width, height, (x, y) => {
    const hill = [2, 1, 0].find((place) => y > ridge(place, x));
    if (hill !== undefined) return ground[hill];
    return Math.hypot(x - centre[0], y - centre[1]) < radius
      ? sun
      : sky[0].map((from, place) => from + ((sky[1][place] - from) * y) / height);
  });
}

function tone(hue, saturation, light) {
  const spread = saturation * Math.min(light, 1 - light);
  const part = (place) => {
    const angle = (place + hue / 30) % 12;
    return Math.round(255 * (light - spread * Math.max(-1, Math.min(angle - 3, 9 - angle, 1))));
  };
  return [part(0), part(8), part(4)];
}
