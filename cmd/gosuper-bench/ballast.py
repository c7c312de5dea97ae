"""What an application may weigh: BENCH_BOOT seconds to load, BENCH_BALLAST MiB."""

import os
import time

time.sleep(float(os.environ.get("BENCH_BOOT", "0")))
BALLAST = bytearray(int(os.environ.get("BENCH_BALLAST", "0")) << 20)
BALLAST[::4096] = b"\1" * len(BALLAST[::4096])
