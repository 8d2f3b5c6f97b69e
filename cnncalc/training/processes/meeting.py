"""How the processes of torchrun find each other."""

from __future__ import annotations

import atexit
import os
import time
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]

MEETING = timedelta(minutes=30)
"""For the processes to find each other: as long as PyTorch gives them."""
ANSWER = timedelta(seconds=2)
"""For one to answer at the address it left."""
PAUSE = 0.1
"""Seconds between two tries: where torchrun's own store is gone, each fails at once."""


def meet(rank: int, count: int) -> None:
    """Makes the process group, once: it lasts as long as the process, for this run and others."""
    if dist.is_initialized():
        return
    # What lies on the CPU goes by gloo beside nccl: agreeing on something waits for no device.
    on_gpus = torch.cuda.is_available() and dist.is_nccl_available()
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if on_gpus else "gloo",
        store=_store(is_first=rank == 0),
        rank=rank,
        world_size=count,
    )
    atexit.register(dist.destroy_process_group)


def _store(*, is_first: bool) -> Any:
    """Where these processes find each other: a store that the first one keeps.

    torchrun's own survives a restart, and with it the addresses of processes that are gone, to
    which new ones would connect, or wait for them. Of ours only the address may be an old one, and
    there nobody answers.
    """
    torchruns, _, _ = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
    host, key = os.environ["MASTER_ADDR"], "cnncalc's store"
    if is_first:
        own = TCPStore(host, 0, is_master=True, wait_for_workers=False)
        torchruns.set(key, str(own.port))
        return own
    until = time.monotonic() + MEETING.total_seconds()
    while True:
        try:
            store = TCPStore(host, int(torchruns.get(key)), timeout=ANSWER)
        except dist.DistError:
            if time.monotonic() > until:
                raise
            time.sleep(PAUSE)
        else:
            store.set_timeout(MEETING)
            return store
