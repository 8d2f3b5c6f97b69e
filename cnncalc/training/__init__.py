"""Training: data, batches, the loop, checkpoints, runs. Loads torch."""

import os

# PyTorch then asks Linux for huge pages, in place of a page fault for every 4 KiB of activations
# at every step. It reads this when it first takes memory.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
