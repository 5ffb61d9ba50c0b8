"""The first step of a run, tried before the run: what would give wrong numbers later is refused there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyflossing.modules.calling import Step, is_connected, on_flat, unwrap, with_graph
from pyflossing.modules.hidden import hides_gradient, rounding, through_no_grad, tolerance
from pyflossing.modules.own_state import random_state, require_no_own_state, same_random, untouched
from pyflossing.modules.state import StateLayout
from pyflossing.modules.steps import JacobianAction, as_step, require_out_of_place, widened
from pyflossing.modules.tangent import given_action
from pyflossing.modules.tree import leaves_of
from pyflossing.modules.ways import Method, Way, choose


@dataclass(frozen=True)
class FirstStep:
    """What a first step tells.

    Attributes:
        way: how the step is differentiated.
        eps: relative rounding error of the coarsest type in which it computes.
        draws: whether it draws random numbers.
    """

    way: Way
    eps: float
    draws: bool

    @classmethod
    def of(
        cls,
        step: Any,
        layout: StateLayout,
        flat: Tensor,
        inputs: Sequence[Any],
        *,
        dtype: torch.dtype | None,
        input_first: bool | None,
        method: Method,
        through_no_grad: bool | None,
        jacobian_action: JacobianAction | None,
        graph: bool,
        known: FirstStep | None = None,
    ) -> FirstStep:
        """Take the step, again and again, and leave the random state and the step's modules as they were.

        Args:
            inputs: of the first steps, of which all but the first only tell whether the step keeps a state of its own.

        Raises:
            ValueError: the step cannot be differentiated, or its exponents would be wrong; with what to do.
        """
        if known is not None:
            return known
        x = inputs[0]
        _require_no_layers(layout, x)
        with torch.no_grad(), untouched(unwrap(step), flat.device):
            called = as_step(step, layout, flat, x, dtype, input_first)
            with same_random(flat.device):
                before = random_state(flat.device)
                function = _in_type(called, layout, flat, x, dtype)
                draws = not torch.equal(random_state(flat.device), before)
            require_no_own_state(function, layout, flat, inputs)
            if graph and jacobian_action is None:
                _require_parameters(function, layout, flat, x)
            eps = rounding(function, layout, flat, x)
            if jacobian_action is not None:
                way = Way("jacobian_action", given_action(function, layout, jacobian_action), function)
            else:
                function = _seen_through(function, layout, flat, x, method, through_no_grad)
                way = choose(
                    function, layout, method, flat, x, _directions(flat),
                    eps=eps, graph=graph, without_no_grad=through_no_grad is False,
                )  # fmt: skip
            _require_examples_apart(way, layout, flat, x, eps)
        return cls(way, eps, draws)


def _in_type(step: Step, layout: StateLayout, flat: Tensor, x: Any, dtype: torch.dtype | None) -> Step:
    """The step, with what it needs to be computed in ``dtype``; it is taken once.

    Raises:
        ValueError: types that do not go together; a call that fails; or as :func:`require_out_of_place`.
    """
    try:
        require_out_of_place(step, layout, flat, x)
    except (RuntimeError, TypeError, AttributeError, LookupError, ValueError) as error:
        words = str(error)
        of_types = any(sign in words for sign in ("dtype", "scalar type", "has type"))
        if of_types and dtype == torch.float64:
            try:
                require_out_of_place(widened(step), layout, flat, x)
            except (RuntimeError, ValueError):
                pass
            else:
                return widened(step)
        if isinstance(error, ValueError):
            raise
        if of_types:
            raise ValueError(
                f"the step does not work in {layout.own} ({error}): give state, inputs and parameters one type, for "
                "instance with module.to(dtype)"
            ) from error
        raise ValueError(
            f"the step fails when it is called with {_shapes(layout.unflatten(flat), 'state')} and "
            f"{_shapes(x, 'x')}: {type(error).__name__}: {error}. A step takes the state and the input of one step, "
            "without a dimension of time, and returns the next state"
        ) from error
    return step


def _shapes(tree: Any, name: str) -> str:
    found = [f"{name} {tuple(leaf.shape)}" for name, leaf in leaves_of(tree, name)]
    return ", ".join(found) or f"{name} None"


def _require_parameters(step: Step, layout: StateLayout, flat: Tensor, x: Any) -> None:
    """Refuse a step of which nothing can be trained.

    Raises:
        ValueError: its next state has no graph although its state has none.
    """
    with torch.enable_grad(), same_random(flat.device):
        trainable = on_flat(step, layout)(flat.detach(), x).requires_grad
    if not trainable:
        raise ValueError(
            "no parameter that the step uses requires gradients, so that parameters have no influence on the "
            "exponents: call requires_grad_() on some of its own, or leave differentiable=True out"
        )


def _seen_through(step: Step, layout: StateLayout, flat: Tensor, x: Any, method: Method, wanted: bool | None) -> Step:
    """The step, differentiated through torch.no_grad if that is wanted.

    Raises:
        ValueError: it makes a difference, and nobody said which derivative is meant.
    """
    if wanted:
        return through_no_grad(step)
    if wanted is None and method == "auto" and hides_gradient(step, layout, flat, x):
        raise ValueError(
            "part of the step runs under torch.no_grad(), and the derivative depends on whether that part counts: say "
            "through_no_grad=True for the derivative of the whole step, whose exponents are those of the trajectory, "
            "or through_no_grad=False for the one with which the step is trained, in which that part is a constant"
        )
    return step


def _require_no_layers(layout: StateLayout, x: Any) -> None:
    """Refuse the layout (layers, B, H) of torch's recurrent modules with a single layer.

    Raises:
        ValueError: the inputs have examples where the state has its second dimension.
    """
    if layout.batch != (1,) or layout.batch_dim != 0 or any(len(shape) < 2 for shape in layout.shapes):
        return
    sizes = {shape[0] for shape in layout.shapes}
    inputs = {leaf.shape[0] for _, leaf in leaves_of(x, "inputs") if leaf.dim() > 1}
    if len(sizes) == 1 and sizes == inputs and sizes != {1}:
        raise ValueError(
            f"state has shape {(1, *layout.shapes[0])} and each input {sizes.pop()} examples: that looks like "
            "(layers, B, H), as nn.RNN, nn.GRU and nn.LSTM have it; give such a module itself as the step, or say "
            "batch_dim=1"
        )


def _require_examples_apart(way: Way, layout: StateLayout, flat: Tensor, x: Any, eps: float) -> None:
    """Refuse steps whose directions would be wrong without a word.

    Each example's direction is multiplied by a number of its own: so must be what comes out.

    Raises:
        ValueError: an example's next state depends on another example, or none depends on its state at all.
    """
    one = _directions(flat)
    n_examples = layout.batch[0] if layout.batch else 1
    factors = torch.linspace(-1, 1, n_examples, dtype=flat.dtype, device=flat.device)[:, None, None]
    factors = factors + torch.where(factors >= 0, 0.5, -0.5)
    probe = torch.cat([one, factors * one], dim=-1) if n_examples > 1 else one
    pushed = _probed(way, layout, flat, x, probe)
    if n_examples > 1:
        both, scaled = pushed.unbind(-1)
        error = (factors[..., 0] * both - scaled).abs()
        if bool((error > tolerance(eps) * (torch.finfo(flat.dtype).tiny + both.abs().max())).any()):
            raise ValueError(
                "the step mixes the examples of a batch (batch normalisation? a sum over the wrong dimension? a state "
                "(layers, B, H)?): call module.eval(), say batch_dim=, or compute one example at a time"
            )
    if way.name == "forward" and not pushed.any() and not is_connected(*with_graph(way.step, layout, flat, x)):
        raise ValueError(
            "the next state does not depend on the state by differentiable operations: look for detach(), "
            "torch.no_grad() and comparisons in the step; spikes need a surrogate gradient"
        )


def _directions(flat: Tensor) -> Tensor:
    """A direction of its own for every example, (*batch, n, 1)."""
    random = torch.Generator().manual_seed(1)  # not the caller's stream
    return torch.randn(*flat.shape, 1, generator=random, dtype=torch.float64).to(flat)


def _probed(way: Way, layout: StateLayout, flat: Tensor, x: Any, probe: Tensor) -> Tensor:
    """D V, or D' V where directions cannot be pushed: mixing shows in both."""
    if way.push is not None:
        return way.push(flat, x, probe)[1]
    origin, following = with_graph(way.step, layout, flat, x)
    pulled = [torch.autograd.grad(following, origin, w, retain_graph=True)[0] for w in probe.unbind(-1)]
    return torch.stack(pulled, dim=-1)
