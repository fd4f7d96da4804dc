"""Correct functions: C through Clang and GCC, random IR through our compiler, and assembly.

Callees outside are named after what they take: `ext_21` has two integers and one double.
All integer parameters may be used as pointers into the harness's buffer.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from callproof.codegen.backend import compile_module
from callproof.codegen.objects import build_object
from callproof.object import read_object
from callproof.object.model import ObjectFile
from callproof.target import by_name
from tests.check.mutants.kernels import KERNELS
from tests.support.clang import ZIG_CC
from tests.support.random_ir import Size, random_module

GCC = "aarch64-linux-gnu-gcc"
COMMON = ["-c", "-ffreestanding", "-fno-stack-protector", "-fno-builtin", "-w"]
CLANG_LEVELS = (["-O1"], ["-O2", "-fno-vectorize"], ["-Os"], ["-O3", "-fno-omit-frame-pointer"])
GCC_LEVELS = (["-O1"], ["-O2"], ["-Os"], ["-O3", "-fomit-frame-pointer"])

PROLOGUE = """
typedef long L; typedef double D;
#define NI __attribute__((noinline))
L ext_00(void), ext_10(L), ext_20(L, L), ext_30(L, L, L), ext_40(L, L, L, L);
D extd_01(D), extd_02(D, D), extd_12(L, D, D);
"""
TEMPLATES = (
    """L loop(L a, L b, L *p, L n) { L s = a * %d + b, i;
  for (i = 0; i < (n & 7); i++) { s = s * %d ^ ext_30(s, i + %d, b); p[i & 7] += s; }
  return s + a - p[%d]; }""",
    """D series(D x, D y, L n, D *p) { D s = x * %d, t = y; L i;
  for (i = 0; i < (n & 7) + 1; i++) { s += extd_02(s, t) * y + %d; t = t * x - i; p[i & 3] = s; }
  return s + t * x + %d + p[%d]; }""",
    """L early(L *p, L a, L b) { if (p[0] & %d) return a + %d; L t = ext_20(a, b);
  if (t & 3) return t + b * %d; p[%d] = ext_10(t ^ b); return ext_20(p[1], t) + a + b; }""",
    """static NI L four(L a, L b, L c, L d) { return a * %d + b * 7 + (c ^ d) * %d; }
L unset(L a, L b, L *p) { L s = ext_10(a); L t = ext_20(b, s + %d);
  return four(s, t, b + %d, a) + four(t, a, s, p[3]) + ext_10(s) + a; }""",
    """L tail(L a, L b, L c) { L t = ext_20(a + %d, b); L u = ext_10(c * %d);
  ext_30(t, u, a); if (t & %d) return ext_30(b, t, u + %d); return ext_20(u ^ a, c); }""",
    """static NI L ten(L a, L b, L c, L d, L e, L f, L g, L h, L i, L j) {
  return a + b * 3 + c * 5 + d * %d + e + f * 7 + g + h * %d + (i ^ 21) * 9 + j * 31; }
L stacked(L a, L b, L c) { L s = ext_10(a + %d);
  return ten(a, b, c, s, a + 1, b + 2, c + 3, s ^ %d, s + a, b ^ s) + c; }""",
    """L local(L *p, L n, L k) { L v[12]; L i, s = 0;
  for (i = 0; i < 12; i++) v[i] = p[i] * %d + k; ext_20((L)p, n);
  for (i = 0; i < 12; i++) s += v[(i * %d) %% 12] ^ i; return s + ext_20(s, k) * %d + v[%d]; }""",
    """D mixed(D a, D b, D c, L n, D *p) { D s = extd_01(a), t = extd_12(n, b, c), u =
  extd_02(s, t);
  L k = ext_10(n + %d); if (k & %d) u = u * a + b; p[1] = s + t * c;
  return (s * a + t * b) * (u + c) + extd_01(u) * a - %d + k * %d; }""",
    """L many(L a, L b, L c, L d, L e, L f) { L g = ext_20(a, b), h = ext_20(c, d), i =
  ext_20(e, f),
  j = ext_10(g ^ %d); L k = ext_40(g, h, i, j); return a * g + b * h + c * i + d * j + e * k
  + (f ^ %d) * (g + %d) + h * %d; }""",
    """L pressure(L *p, L *q, L n) { L i, a = p[0], b = p[1], c = p[2], d = p[3], e =
  p[4], f = p[5],
  g = p[6], h = p[7], s = q[0], t = q[1], u = q[2], v = q[3], w = q[4], x = q[5], y = q[6];
  for (i = 0; i < (n & 15) + 2; i++) { a += b ^ s; b = b * %d + t; c ^= a + u; d += c *
  v; e -= d ^ w;
  f += e + x; g ^= f * y; h += g; s += a; t ^= b; u += c; v -= d; w ^= e; x += f; y ^= g + %d; }
  return a + b + c + d + e + f + g + h + s * t + u * v + w * x + y * %d + %d; }""",
    """D dense(D *p, D *q) { D a = p[0], b = p[1], c = p[2], d = p[3], e = p[4], f = p[5], g = p[6],
  h = p[7], i = q[0], j = q[1], k = q[2], l = q[3], m = q[4], n = q[5], o = q[6], r =
  q[7], s = q[8],
  t = q[9], u = q[10], v = q[11], w = q[12], x = q[13], y = q[14], z = q[15]; L z0;
  for (z0 = 0; z0 < %d %% 5 + 2; z0++) { a += b * i; c += d * j; e += f * k; g += h * l; b += a * m;
  d += c * n; f += e * o; h += g * r; i += s * t; j += u * v; k += w * x; l += y * z; m
  += a; n += b;
  o += c; r += d; s += e; t += f; u += g; v += h; w += i; x += j; y += k; z += l; }
  return a + b * %d + c + d + e + f + g + h + i + j + k + l * %d + m + n + o + r + s + t + u + v + w
  + x + y + z * %d; }""",
)


def c_source(seed: int) -> str:
    source = random.Random(seed)
    parts = [PROLOGUE]
    for template in TEMPLATES:
        numbers = tuple(source.randrange(1, 8) * 2 + 1 for _ in range(template.count("%d")))
        parts.append(template % numbers)
    return "\n".join(parts)


def compiled(folder: Path, seeds: int) -> Iterator[tuple[str, Path]]:
    """(compiler, object) of each C source at each level."""
    jobs = []
    for seed in range(seeds):
        path = folder / f"c{seed}.c"
        path.write_text(c_source(seed))
        for index, level in enumerate(CLANG_LEVELS):
            jobs.append(("clang", [*ZIG_CC, *COMMON, *level], path, f"clang{seed}_{index}"))
        if shutil.which(GCC):
            for index, level in enumerate(GCC_LEVELS):
                jobs.append(("gcc", [GCC, *COMMON, *level], path, f"gcc{seed}_{index}"))
    for name, text in KERNELS.items():
        path = folder / f"{name}.s"
        path.write_text(text)
        jobs.append(("assembly", [*ZIG_CC, "-c"], path, name))

    def one(job: tuple[str, list[str], Path, str]) -> tuple[str, Path]:
        compiler, command, path, name = job
        output = folder / f"{name}.o"
        done = subprocess.run(
            [*command, str(path), "-o", str(output)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[:2000]
        return compiler, output

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(one, jobs)


def ours(seed: int) -> ObjectFile:
    """A random module through our compiler."""
    target = by_name("aarch64-linux")
    module = random_module(seed, 6, Size(14))
    done = compile_module(module, target)
    return build_object(module, done.functions, done.pool, target, f"ours{seed}")


def objects(folder: Path, *, seeds: int, modules: int) -> Iterator[tuple[str, ObjectFile]]:
    for compiler, path in compiled(folder, seeds):
        yield compiler, read_object(path.read_bytes(), path.name)
    for seed in range(modules):
        yield "callproof", ours(seed)
