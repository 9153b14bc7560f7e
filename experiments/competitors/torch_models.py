"""PyTorch, eager and compiled."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from backends import HostArray
from experiments.competitors.models import Model, ModelCompetitor, Setting, thread_settings
from experiments.competitors.workloads import LeNet, Network, Workload

Tensor = Any
Module = Any


class Torch(ModelCompetitor):
    """A loop over batches that are selected as tensors; a DataLoader would be slower.

    The optimizer has its default implementation.
    """

    name = "torch"
    requires = ("torch",)

    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> "TorchModel":
        """Return the model."""
        return TorchModel(workload, x, y, seed, fused=None)


class TorchFused(ModelCompetitor):
    """`Torch` with a fused optimizer: one multi-threaded pass over all parameters, in C++."""

    name = "torch fused"
    requires = ("torch",)

    def supports(self, workload: Workload) -> bool:
        """Return whether the job is training; for prediction, it would be the same as `Torch`."""
        return workload.task == "train" and super().supports(workload)

    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> "TorchModel":
        """Return the model."""
        return TorchModel(workload, x, y, seed, fused=True)


class TorchCompile(ModelCompetitor):
    """A loop over batches in which a whole step is one compiled function.

    The step selects the batch, differentiates with `torch.func.grad`, and updates the parameters in
    place. This is twice as fast as a compiled loss with `backward` and an optimizer.
    """

    name = "torch.compile"
    requires = ("torch",)

    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> "CompiledTorchModel":
        """Return the model."""
        return CompiledTorchModel(workload, x, y, seed)


class TorchModel(Model):
    """A module, its optimizer, and the data."""

    def __init__(
        self, workload: Workload, x: HostArray, y: HostArray, seed: int, *, fused: bool | None
    ) -> None:
        import torch

        torch.manual_seed(seed)
        self._workload = workload
        self._module = _module(workload.network)
        self._loss = _loss_function(workload)
        self._x, self._y = _data(workload, x, y)
        make = torch.optim.Adam if workload.optimizer == "adam" else torch.optim.SGD
        self._optimizer = make(self._module.parameters(), lr=workload.learning_rate, fused=fused)

    def train(self) -> None:
        """Train for all epochs of a run."""
        import torch

        workload = self._workload
        for _ in range(workload.epochs):
            if workload.shuffle:
                for rows in torch.randperm(workload.examples).split(workload.batch_size):
                    self._step(self._x.index_select(0, rows), self._y.index_select(0, rows))
            else:
                self._step(self._x, self._y)

    def _step(self, x: Tensor, y: Tensor) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        self._loss(self._module(x), y).backward()
        self._optimizer.step()

    def outputs(self) -> HostArray:
        """Return the logits."""
        import torch

        with torch.inference_mode():
            result: HostArray = self._module(self._x).numpy()
        return result

    def settings(self) -> Sequence[Setting]:
        """Return the thread settings."""
        import torch

        return thread_settings(torch.set_num_threads)


class CompiledTorchModel(Model):
    """A module whose parameters are a dict of tensors, updated in place by one compiled step."""

    def __init__(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> None:
        import torch

        # Earlier models would count towards the limit of compilations.
        torch.compiler.reset()
        torch.manual_seed(seed)
        self._workload = workload
        self._x, self._y = _data(workload, x, y)
        module = _module(workload.network)
        self._parameters = {name: p.detach().clone() for name, p in module.named_parameters()}
        moments = [{name: torch.zeros_like(p) for name, p in self._parameters.items()} for _ in "mv"]
        self._state = (torch.zeros(()), *moments) if workload.optimizer == "adam" else None
        # A wrapper in C++ halves the time of a small step.
        compiled = {"dynamic": False, "fullgraph": True, "options": {"cpp_wrapper": True}}
        self._step = torch.compile(_compiled_step(workload, module), **compiled)
        self._outputs = torch.compile(partial(torch.func.functional_call, module), **compiled)

    def train(self) -> None:
        """Train for all epochs of a run."""
        import torch

        workload = self._workload
        everything = self._parameters, self._state, self._x, self._y
        for _ in range(workload.epochs):
            if workload.shuffle:
                for rows in torch.randperm(workload.examples).split(workload.batch_size):
                    self._step(*everything, rows)
            else:
                self._step(*everything)

    def outputs(self) -> HostArray:
        """Return the logits."""
        import torch

        with torch.inference_mode():
            result: HostArray = self._outputs(self._parameters, self._x).numpy()
        return result

    def settings(self) -> Sequence[Setting]:
        """Return the thread settings."""
        import torch

        return thread_settings(torch.set_num_threads)


def _compiled_step(workload: Workload, module: Module) -> Callable[..., None]:
    """Return a function that trains in place, on the given rows or on all examples."""
    from torch.func import functional_call, grad

    loss_function = _loss_function(workload)
    rate = workload.learning_rate

    def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return loss_function(functional_call(module, parameters, (x,)), y)

    def step(
        parameters: dict[str, Tensor], state: Any, x: Tensor, y: Tensor, rows: Tensor | None = None
    ) -> None:
        if rows is not None:
            x, y = x.index_select(0, rows), y.index_select(0, rows)
        gradients = grad(loss)(parameters, x, y)
        if state is None:
            for name, gradient in gradients.items():
                parameters[name].sub_(rate * gradient)
            return
        t, m, v = state
        t.add_(1)
        m_scale, v_scale = rate / (1 - 0.9**t), 1 / (1 - 0.999**t).sqrt()
        for name, gradient in gradients.items():
            m[name].lerp_(gradient, 0.1)
            v[name].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            parameters[name].sub_(m_scale * m[name] / (v_scale * v[name].sqrt() + 1e-8))

    return step


def _module(network: Network) -> Module:
    from torch import channels_last, nn

    if isinstance(network, LeNet):
        first, second = network.channels
        convolutions = [
            *(nn.Conv2d(1, first, network.kernel), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(first, second, network.kernel), nn.ReLU(), nn.MaxPool2d(2)),
        ]
        dense = nn.Linear(second * 4 * 4, network.classes)
        return nn.Sequential(*convolutions, nn.Flatten(), dense).to(memory_format=channels_last)
    activation = nn.Sigmoid if network.activation == "sigmoid" else nn.ReLU
    modules: list[Module] = []
    for inputs, units in zip(network.widths[:-1], network.widths[1:], strict=True):
        modules += [nn.Linear(inputs, units), activation()]
    return nn.Sequential(*(modules if network.activated_output else modules[:-1]))


def _loss_function(workload: Workload) -> Callable[[Tensor, Tensor], Tensor]:
    if workload.loss == "half_squared_error":
        return lambda outputs, targets: 0.5 * ((outputs - targets) ** 2).sum()
    from torch.nn.functional import cross_entropy

    return lambda logits, labels: cross_entropy(logits, labels)


def _data(workload: Workload, x: HostArray, y: HostArray) -> tuple[Tensor, Tensor]:
    """Return tensors: images (batch, channels, height, width), channels last in memory; int64 labels."""
    import torch

    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    if isinstance(workload.network, LeNet):
        inputs = inputs.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return inputs, targets.long() if workload.loss == "softmax_cross_entropy" else targets
