"""How torch's threads should wait for each other: ms per training step, alone and beside busy processes.

    python benchmarks/threads.py

GNU OpenMP spins for long before a waiting thread sleeps: fine alone, a stall when other processes want the cores. The
last line is JSON: policy → condition → ms per step, summed over the four recognition networks at 40×40, batch 64.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

POLICIES = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "spin 20000 (ours)": {"GOMP_SPINCOUNT": "20000"},
}
STEP = """
import time, torch
from torch.nn import functional
from cortigraph.regions.audio import REGIONS
torch.set_num_threads(2)
total = 0.0
for region in REGIONS:
    net, x, y = region.build(classes=10), torch.randn(64, 1, 40, 40), torch.randint(0, 10, (64,))
    optimizer = torch.optim.AdamW(net.parameters())
    times = []
    for _ in range(23):
        began = time.perf_counter()
        optimizer.zero_grad()
        functional.cross_entropy(net(x)["logits"], y).backward()
        optimizer.step()
        times.append(time.perf_counter() - began)
    total += sorted(times[3:])[10] * 1e3
print(total)
"""
HOG = "while True: pass"


def measure(policy: dict[str, str], hogs: int) -> float:
    """Milliseconds per step, medians summed over the networks, beside so many busy processes."""
    busy = [subprocess.Popen([sys.executable, "-c", HOG]) for _ in range(hogs)]
    try:
        env = {**{k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}, **policy}
        told = subprocess.run([sys.executable, "-c", STEP], env=env, capture_output=True, text=True, check=True)
        return round(float(told.stdout), 1)
    finally:
        for process in busy:
            process.kill()


if __name__ == "__main__":
    results = {
        name: {condition: measure(policy, hogs) for condition, hogs in (("alone", 0), ("beside two busy processes", 2))}
        for name, policy in POLICIES.items()
    }
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(json.dumps({"ms_per_step": results, "machine": machine}))
