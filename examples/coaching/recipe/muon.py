"""Muon (Jordan et al. 2024): momentum, made orthogonal by five Newton-Schulz steps.

torch's own runs those steps in bfloat16, which processors without bfloat16 units do very slowly.
"""

import torch


class Muon(torch.optim.Optimizer):
    """For matrices alone; the update's size matches AdamW's (Liu et al. 2025, 0.2 * sqrt(max side))."""

    def __init__(self, matrices, lr, momentum=0.95, weight_decay=0.01):
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}
            for p in group["params"]:
                by_shape.setdefault(tuple(p.shape), []).append(p)
            for shape, params in by_shape.items():
                updates = []
                for p in params:
                    velocity = self.state[p].setdefault("velocity", torch.zeros_like(p))
                    velocity.lerp_(p.grad, 1 - group["momentum"])
                    updates.append(p.grad.lerp(velocity, group["momentum"]))
                steps = orthogonal(torch.stack(updates)) * (0.2 * max(shape) ** 0.5)
                for p, step in zip(params, steps):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(step, alpha=group["lr"])


def orthogonal(x):
    """Moves every matrix of `(n, rows, columns)` close to its nearest orthogonal one."""
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.transpose(1, 2) if tall else x
