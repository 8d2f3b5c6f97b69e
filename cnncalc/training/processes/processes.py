"""The processes of one run, as torchrun starts them: who is who, what they share and agree on.

Nothing else knows of ranks. Without torchrun there is one process: no process group is made, and
nothing here costs it anything. PyTorch is loaded only where several processes meet.
"""

from __future__ import annotations

import atexit
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from cnncalc.errors import CnncalcError, LostError, UsageError
from cnncalc.training.processes.shares import Share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

P = ParamSpec("P")
T = TypeVar("T")

BUFFERS = ("forward_sync_buffers", "broadcast_buffers")
"""DistributedDataParallel's option that has each step begin with the first one's buffers."""
LOST = "the run has lost one of its processes: its own message, or torchrun's, says why"


@dataclass(frozen=True)
class Processes:
    """One process among those of its run."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    restarts: int = 0
    """How often torchrun has started them again."""
    launch: str = ""
    """torchrun's name for the job; empty without torchrun."""
    agents: tuple[str, ...] = ()
    """The torchrun of each machine, as host:process. They outlive the processes they restart."""

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and speaks."""
        return self.rank == 0

    def about(self) -> dict[str, Any]:
        """What environment.json says of them."""
        if not self.launch:
            return {}
        return {"processes": self.count, "launch": self.launch, "agents": list(self.agents)}

    def share(self, whole: int, parts: int = 1) -> Share:
        """What this process has of a batch."""
        return Share(self.rank, self.count, whole, parts)

    def device(self, name: str) -> str:
        """The device that this process computes on, where the run's is `name`.

        Raises:
            UsageError: it has none, or `name` is a single one.
        """
        if self.count == 1 or name == "cpu":
            return name
        import torch

        if name not in ("auto", "cuda"):
            raise UsageError(
                f"--device {name} is one device, and there are {self.count} processes: with"
                " --device cuda each takes the GPU of its number, with --device cpu none does"
            )
        gpus = torch.cuda.device_count()
        if not gpus:
            return "cpu" if name == "auto" else name
        if self.local_count > gpus:
            raise UsageError(
                f"{self.local_count} processes on a machine with {gpus} GPUs: start torchrun with"
                f" --nproc-per-node={gpus}, or use --device cpu"
            )
        torch.cuda.set_device(self.local_rank)
        return f"cuda:{self.local_rank}"

    def replica(self, model: nn.Module, *, own_buffers: bool) -> nn.Module:
        """The model with its gradients averaged over the processes.

        Unless all have the same buffers by themselves, each step begins with the first one's.
        """
        if self.count == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        accepted = signature(DistributedDataParallel).parameters
        # Its name changed with PyTorch 2.15.
        option = next(name for name in BUFFERS if name in accepted)
        options: dict[str, Any] = {option: False} if own_buffers else {}
        return DistributedDataParallel(model, gradient_as_bucket_view=True, **options)

    def sum(self, x: Tensor) -> Tensor:
        """`x` summed over the processes, in place."""
        if self.count > 1:
            import torch.distributed as dist

            dist.all_reduce(x)
        return x

    def any(self, flag: bool) -> bool:
        """Whether it is true in any process."""
        if self.count == 1:
            return flag
        import torch

        return bool(self.sum(torch.tensor(int(flag))))

    def take_buffers(self, model: nn.Module) -> None:
        """Gives the model the buffers of the first process."""
        if self.count > 1:
            import torch.distributed as dist

            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def whole(self, x: Tensor, share: Share) -> Tensor:
        """The whole batch, of which each process gives its share: (n, …) -> (share.whole, …)."""
        import torch
        import torch.distributed as dist

        shares = [share._replace(rank=rank) for rank in range(self.count)]
        padded = x.new_zeros(max(sum(other.sizes) for other in shares), *x.shape[1:])
        padded[: len(x)] = x
        pieces = [torch.empty_like(padded) for _ in shares]
        dist.all_gather(pieces, padded)
        result = x.new_empty(share.whole, *x.shape[1:])
        for other, piece in zip(shares, pieces, strict=True):
            sizes = other.sizes
            rows_of = torch.split(piece[: sum(sizes)], sizes)
            for place, rows in zip(other.slices, rows_of, strict=True):
                result[place] = rows
        return result

    def all_of(self, value: T) -> list[T]:
        """The value of each process, by rank."""
        if self.count == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` gives in the first process, for all; its error is raised in all."""
        if self.count == 1:
            return make()
        import torch.distributed as dist

        box: list[Any] = [None]
        if self.is_first:
            try:
                box = [(make(), None)]
            except CnncalcError as error:
                box = [(None, error)]
        dist.broadcast_object_list(box, 0)
        value, failed = box[0]
        if failed is not None:
            raise of_process(0, failed)
        return value  # type: ignore[no-any-return]

    def in_turn(self, make: Callable[[], T]) -> T:
        """What `make` gives here: the first process goes first, then one of each other machine.

        So what one downloads the others find. An error of any process is raised in all.
        """
        if self.count == 1:
            return make()
        turn = 0 if self.is_first else 1 if self.local_rank == 0 else 2
        made: list[T] = []
        for now in range(3):
            failed: CnncalcError | None = None
            if turn == now:
                try:
                    made.append(make())
                except CnncalcError as error:
                    failed = error
            for rank, error_there in enumerate(self.all_of(failed)):
                if error_there is not None:
                    raise of_process(rank, error_there)
        return made[0]


ALONE = Processes()
_here = ALONE


def here() -> Processes:
    """The processes of the run that is going on."""
    return _here


def in_environment() -> Processes:
    """The processes that torchrun says there are, before they have met."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or "LOCAL_RANK" not in os.environ:
        return ALONE
    rank, count, local_rank, local_count, restarts = (
        int(os.environ.get(name, default))
        for name, default in (
            ("RANK", 0),
            ("WORLD_SIZE", 1),
            ("LOCAL_RANK", 0),
            ("LOCAL_WORLD_SIZE", 1),
            ("TORCHELASTIC_RESTART_COUNT", 0),
        )
    )
    import socket

    launch = os.environ["TORCHELASTIC_RUN_ID"]
    agent = f"{socket.gethostname()}:{os.getppid()}"
    return Processes(rank, count, local_rank, local_count, restarts, launch, (agent,))


def is_first() -> bool:
    """Whether this is the process that writes and speaks."""
    return in_environment().is_first


def says(error: CnncalcError) -> bool:
    """Whether this process is the one to say what went wrong; one a machine before they meet."""
    own = in_environment()
    return own.local_rank == 0 if error.process is None else own.rank == error.process


def jointly(do: Callable[P, T]) -> Callable[P, T]:
    """A function that all processes of torchrun call alike; within, `here()` knows them."""

    @wraps(do)
    def together(*args: P.args, **options: P.kwargs) -> T:
        if _here is not ALONE or (found := in_environment()) is ALONE:
            return do(*args, **options)
        with _met(found):
            return do(*args, **options)

    return together


def in_turn(do: Callable[P, T]) -> Callable[P, T]:
    """A function that all processes call alike, one after another; see `Processes.in_turn`."""

    @wraps(do)
    def each(*args: P.args, **options: P.kwargs) -> T:
        return here().in_turn(lambda: do(*args, **options))

    return jointly(each)


@contextmanager
def _met(found: Processes) -> Iterator[None]:
    """Within, the processes can speak with each other."""
    global _here  # noqa: PLW0603 - a process is in one run at a time
    try:
        with _named(found):
            if found.count == 1:
                _here = found
                yield
                return
            from cnncalc.training.processes.meeting import meet

            meet(found.rank, found.count)
            # Only the torchrun of the machine on which one failed counts a restart.
            restarts = max(found.all_of(found.restarts))
            agents = {agent for each in found.all_of(found.agents) for agent in each}
            _here = replace(found, restarts=restarts, agents=tuple(sorted(agents)))
            yield
    finally:
        _here = ALONE


@contextmanager
def _named(found: Processes) -> Iterator[None]:
    """An error of this process alone bears its number; that the others are gone is one message.

    Raises:
        LostError: the others are gone.
    """
    try:
        yield
    except CnncalcError as error:
        if error.process is None:
            error.process = found.rank
        raise
    except RuntimeError as error:
        if found.count == 1 or not _is_lost(error):
            raise
        from torch.distributed import destroy_process_group

        atexit.unregister(destroy_process_group)  # it would wait for the one that is gone
        raise of_process(0, LostError(LOST)) from None


def of_process(rank: int, error: CnncalcError) -> CnncalcError:
    """An error that all processes raise, and that one of them is to say."""
    error.process = rank
    return error


def _is_lost(error: RuntimeError) -> bool:
    from torch.distributed import DistError

    return isinstance(error, DistError) or "gloo" in str(error)
