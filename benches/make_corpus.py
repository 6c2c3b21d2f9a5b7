#!/usr/bin/env python3
"""Draws the corpora of benches/peers.sh, the same each time.

usage: make_corpus.py {c1|c2|all} [--out bench-corpus] [--seed 20260101] [--procs 2]

C1 'library': 2,000 files (1,600 unique contents + 400 exact duplicates = 20 %), nested folders,
   JPEG 70 % / PNG 15 % / WebP 10 % / GIF 5 %, 50 KB..6 MB, ~2 GB.
   A few hundred base images are rendered (multi-octave noise = photo-like entropy); the other unique
   contents are derived from a base by a VALID metadata insertion (JPEG COM, PNG tEXt, GIF comment
   extension, WebP extra RIFF chunk), so every file decodes and every derived file has its own SHA-256.
C2 'many small': 100,000 unique files, PNG/JPEG, 4..20 KB, 1,000 folders (two levels) of 100 files.

Only numpy + Pillow. Same seed + same Pillow/numpy versions => same bytes. manifest_{c1,c2}.tsv lists
path, sha256 (c1 only), bytes, width, height.
"""
import argparse, hashlib, io, os, random, struct, sys, zlib
from multiprocessing import Pool
import numpy as np
from PIL import Image

def field(rng, w, h, noise):
    """photo-like RGB: octaves of smooth noise + sensor noise"""
    acc = np.zeros((h, w, 3), np.float32)
    amp = 90.0
    for n in (3, 9, 27, 81, 243):
        gw, gh = max(2, min(w, n)), max(2, min(h, int(n * h / w) or 2))
        g = rng.standard_normal((gh, gw, 3)).astype(np.float32)
        for c in range(3):
            im = Image.fromarray(g[:, :, c], mode=None).resize((w, h), Image.BICUBIC)
            acc[:, :, c] += amp * np.asarray(im)
        amp *= 0.55
    if noise:
        tile = rng.standard_normal((min(h, 512), min(w, 512), 1)).astype(np.float32) * noise
        acc += np.tile(tile, (h // tile.shape[0] + 1, w // tile.shape[1] + 1, 1))[:h, :w]
    return Image.fromarray(np.clip(acc + 128, 0, 255).astype(np.uint8), "RGB")

def enc(im, kind, q):
    b = io.BytesIO()
    if kind == "jpg": im.save(b, "JPEG", quality=q, subsampling=2)
    elif kind == "png": im.save(b, "PNG", compress_level=1)
    elif kind == "webp": im.save(b, "WEBP", quality=q, method=1)
    else: im.quantize(128, method=Image.FASTOCTREE, dither=0).save(b, "GIF")
    return b.getvalue()

def base_c1(job):
    seed, i, kind = job
    rng = np.random.default_rng([seed, 1, i])
    lo, hi = 50_000, 6_000_000
    # lognormal target size, median ~0.75 MB, mean ~1.1 MB
    target = float(np.clip(np.exp(rng.normal(np.log(750_000), 0.95)), 60_000, 5_600_000))
    bpp = {"jpg": 0.42, "png": 2.1, "webp": 0.30, "gif": 0.75}[kind]      # bytes per pixel, first guess
    noise = {"jpg": 9.0, "png": 3.0, "webp": 9.0, "gif": 4.0}[kind]
    ar = [(4, 3), (3, 2), (16, 9), (1, 1), (3, 4), (4, 5)][int(rng.integers(6))]
    q = int(rng.integers(78, 92))
    px = target / bpp
    for attempt in range(4):
        w = max(160, int((px * ar[0] / ar[1]) ** 0.5)); h = max(160, int(w * ar[1] / ar[0]))
        w, h = min(w, 6000), min(h, 6000)
        data = enc(field(np.random.default_rng([seed, 2, i]), w, h, noise), kind, q)
        if lo <= len(data) <= hi and 0.6 < len(data) / target < 1.6: break
        px *= min(3, max(0.3, target / len(data)))
    return i, kind, w, h, data

def base_c2(job):
    seed, i, kind = job
    rng = np.random.default_rng([seed, 3, i])
    target = float(rng.uniform(4_400, 19_500))
    px = target / (0.35 if kind == "jpg" else 1.9)
    for _ in range(5):
        w = max(24, int(px ** 0.5 * 1.15)); h = max(24, int(px ** 0.5 / 1.15))
        data = enc(field(np.random.default_rng([seed, 4, i]), w, h, 6.0 if kind == "jpg" else 2.0), kind, 82)
        if 4_200 <= len(data) <= 19_800: break
        px *= target / len(data)
    return i, kind, w, h, data

def derive(data, kind, tag):
    """insert `tag` (bytes, ASCII) as a comment, keeping the file valid"""
    if kind == "jpg":                                   # COM after SOI..APP0
        n = 2 + 2 + struct.unpack(">H", data[4:6])[0] if data[2:4] == b"\xff\xe0" else 2
        return data[:n] + b"\xff\xfe" + struct.pack(">H", len(tag) + 2) + tag + data[n:]
    if kind == "png":                                   # tEXt straight after IHDR
        body = b"tEXtComment\0" + tag
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        return data[:33] + chunk + data[33:]
    if kind == "gif":                                   # comment extension before trailer
        assert data[-1] == 0x3B
        return data[:-1] + b"\x21\xfe" + bytes([len(tag)]) + tag + b"\0" + b"\x3b"
    pad = tag + (b"\0" if len(tag) & 1 else b"")         # webp: extra chunk at the end of RIFF
    out = data + b"NOTE" + struct.pack("<I", len(tag)) + pad
    return out[:4] + struct.pack("<I", len(out) - 8) + out[8:]

def c1(out, seed, procs, n=2000, dup=0.20, bases=300):
    root = os.path.join(out, "C1"); os.makedirs(root, exist_ok=True)
    kinds = ["jpg"] * 14 + ["png"] * 3 + ["webp"] * 2 + ["gif"]
    with Pool(procs) as p:
        base = p.map(base_c1, [(seed, i, kinds[i % 20]) for i in range(bases)], chunksize=2)
    r = random.Random(seed)
    uniq = int(n * (1 - dup)); rows = []; blobs = []
    def path(k, ext):
        return f"{2019 + k % 7}/{k % 12 + 1:02d}/{['ads','press','raw','web'][k % 4]}/album {k % 23:02d}/IMG_{k:05d}.{ext}"
    for k in range(uniq):
        i, kind, w, h, d = base[k % bases]
        data = d if k < bases else derive(d, kind, b"reattach-%08d" % k)
        rel = path(k, kind); blobs.append((data, kind, w, h)); rows.append((rel, data, w, h))
    for k in range(uniq, n):
        data, kind, w, h = blobs[r.randrange(uniq)]
        rows.append((path(k, kind), data, w, h))
    tot = 0
    with open(os.path.join(out, "manifest_c1.tsv"), "w") as m:
        for rel, data, w, h in rows:
            f = os.path.join(root, rel); os.makedirs(os.path.dirname(f), exist_ok=True)
            with open(f, "wb") as o: o.write(data)
            os.utime(f, (1_700_000_000, 1_700_000_000)); tot += len(data)
            m.write(f"{rel}\t{hashlib.sha256(data).hexdigest()}\t{len(data)}\t{w}\t{h}\n")
    print("C1", len(rows), "files", tot, "bytes", "min", min(len(x[1]) for x in rows), "max", max(len(x[1]) for x in rows),
          "unique", len({hashlib.sha256(x[1]).digest() for x in rows}))

def c2(out, seed, procs, n=100_000, bases=500):
    root = os.path.join(out, "C2"); os.makedirs(root, exist_ok=True)
    with Pool(procs) as p:
        base = p.map(base_c2, [(seed, i, "jpg" if i % 2 else "png") for i in range(bases)], chunksize=8)
    tot = 0; mn = 1 << 60; mx = 0
    with open(os.path.join(out, "manifest_c2.tsv"), "w") as m:
        for k in range(n):
            i, kind, w, h, d = base[k % bases]
            data = derive(d, kind, b"reattach-small-%08d" % k)
            rel = f"{k // 10000:02d}/{k // 100 % 100:02d}/thumb_{k:06d}.{kind}"
            f = os.path.join(root, rel)
            if k % 100 == 0: os.makedirs(os.path.dirname(f), exist_ok=True)
            with open(f, "wb") as o: o.write(data)
            os.utime(f, (1_700_000_000, 1_700_000_000))
            tot += len(data); mn = min(mn, len(data)); mx = max(mx, len(data))
            m.write(f"{rel}\t{len(data)}\t{w}\t{h}\n")
    print("C2", n, "files", tot, "bytes min", mn, "max", mx)

if __name__ == "__main__":
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("what", choices=["c1", "c2", "all"]); a.add_argument("--out", default="bench-corpus")
    a.add_argument("--seed", type=int, default=20260101); a.add_argument("--procs", type=int, default=2)
    z = a.parse_args()
    if z.what in ("c1", "all"): c1(z.out, z.seed, z.procs)
    if z.what in ("c2", "all"): c2(z.out, z.seed, z.procs)
