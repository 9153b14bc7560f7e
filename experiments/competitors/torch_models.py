"""PyTorch, eager and compiled."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from backends import HostArray
from experiments.competitors.models import Model, ModelCompetitor, Setting, thread_settings
from experiments.competitors.networks import (
    ConvNet,
    Mlp,
    Network,
    NormalizedMlp,
    Recurrent,
    ResNet,
    Transformer,
)
from experiments.competitors.workloads import Workload

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
        """Return whether the job is classic training.

        For prediction, it would be the same as `Torch`; in deep networks, the optimizer takes little of
        the time.
        """
        return workload.task == "train" and workload.group == "classic"

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

    def supports(self, workload: Workload) -> bool:
        """Return whether the job is a classic one: to compile deep networks takes minutes."""
        return workload.group == "classic"

    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> "CompiledTorchModel":
        """Return the model."""
        return CompiledTorchModel(workload, x, y, seed)


class TorchModel(Model):
    """A module, its optimizer, and the data.

    Attributes:
        module: the network.
    """

    def __init__(
        self, workload: Workload, x: HostArray, y: HostArray, seed: int, *, fused: bool | None
    ) -> None:
        import torch

        torch.manual_seed(seed)
        self._workload = workload
        self.module = _module(workload.network)
        self._loss = _loss_function(workload)
        self._x, self._y = _data(workload, x, y)
        make = torch.optim.Adam if workload.optimizer == "adam" else torch.optim.SGD
        self._optimizer = make(self.module.parameters(), lr=workload.learning_rate, fused=fused)

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
        self._loss(self.module(x), y).backward()
        self._optimizer.step()

    def outputs(self) -> HostArray:
        """Return the logits."""
        import torch

        with torch.inference_mode():
            result: HostArray = self.module(self._x).numpy()
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
    """Return the module, whose weights have the names that `multinn.exchange` gives them."""
    from torch import channels_last

    module = _MODULES[type(network)](network)
    has_images = isinstance(network, ConvNet | ResNet)
    return module.to(memory_format=channels_last) if has_images else module


def _mlp(network: Mlp) -> Module:
    from torch import nn

    activation = nn.Sigmoid if network.activation == "sigmoid" else nn.ReLU
    modules: list[Module] = []
    for inputs, units in itertools.pairwise(network.widths):
        modules += [nn.Linear(inputs, units), activation()]
    return nn.Sequential(*(modules if network.activated_output else modules[:-1]))


def _normalized_mlp(network: NormalizedMlp) -> Module:
    from torch import nn

    *hidden, classes = network.widths
    modules: list[Module] = []
    for inputs, units in itertools.pairwise(hidden):
        modules += [nn.Linear(inputs, units), nn.BatchNorm1d(units), nn.ReLU()]
    return nn.Sequential(*modules, nn.Linear(hidden[-1], classes))


def _convnet(network: ConvNet) -> Module:
    from torch import nn

    inputs = network.input_shape[-1]
    modules: list[Module] = []
    for stage in network.stages:
        for channels in stage:
            modules += [nn.Conv2d(inputs, channels, network.kernel, padding=network.padding), nn.ReLU()]
            inputs = channels
        modules.append(nn.MaxPool2d(2))
    return nn.Sequential(*modules, nn.Flatten(), nn.Linear(network.flat_features, network.classes))


def _resnet(network: ResNet) -> Module:
    from torch import nn

    class Residual(nn.ModuleList):  # type: ignore[misc]
        def forward(self, x: Tensor) -> Tensor:
            identity, inner = self
            return identity(x) + inner(x)

    def normalized(inputs: int) -> list[Module]:
        convolution = nn.Conv2d(inputs, channels, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(channels)]

    channels = network.channels
    modules: list[Module] = [*normalized(network.input_shape[-1]), nn.ReLU()]
    for _ in range(network.blocks):
        inner = [*normalized(channels), nn.ReLU(), *normalized(channels)]
        modules += [Residual([nn.Identity(), nn.Sequential(*inner)]), nn.ReLU()]
    pooling = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*modules, pooling, nn.Linear(channels, network.classes))


def _recurrent(network: Recurrent) -> Module:
    from torch import nn

    kind = nn.LSTM if network.kind == "lstm" else nn.GRU

    class LastOutput(kind):  # type: ignore[misc, valid-type]
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)[0][:, -1]

    layer = LastOutput(network.input_shape[1], network.units, batch_first=True)
    return nn.Sequential(layer, nn.Linear(network.units, network.classes))


def _transformer(network: Transformer) -> Module:
    from torch import nn

    class MeanOfSteps(nn.Module):  # type: ignore[misc]
        def forward(self, x: Tensor) -> Tensor:
            return x.mean(1)

    features = network.input_shape[1]
    sizes = (features, network.heads, network.hidden_units)
    options = {"dropout": 0.0, "batch_first": True, "norm_first": True}
    blocks = [nn.TransformerEncoderLayer(*sizes, **options) for _ in range(network.blocks)]
    return nn.Sequential(*blocks, MeanOfSteps(), nn.Linear(features, network.classes))


_MODULES: dict[type, Callable[[Any], Module]] = {
    Mlp: _mlp,
    NormalizedMlp: _normalized_mlp,
    ConvNet: _convnet,
    ResNet: _resnet,
    Recurrent: _recurrent,
    Transformer: _transformer,
}


def _loss_function(workload: Workload) -> Callable[[Tensor, Tensor], Tensor]:
    if workload.loss == "half_squared_error":
        return lambda outputs, targets: 0.5 * ((outputs - targets) ** 2).sum()
    from torch.nn.functional import cross_entropy

    return lambda logits, labels: cross_entropy(logits, labels)


def _data(workload: Workload, x: HostArray, y: HostArray) -> tuple[Tensor, Tensor]:
    """Return tensors: images (batch, channels, height, width), channels last in memory; int64 labels."""
    import torch

    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    if inputs.ndim == 4:
        inputs = inputs.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return inputs, targets.long() if workload.loss == "softmax_cross_entropy" else targets
