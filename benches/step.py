"""A critic's and a generator's step of adversarial training beside PyTorch's double backward, on the same cores.

    cargo bench --no-run --workspace --bench step
    python benches/step.py --program target/release/deps/step-HASH [--threads 2] [--rounds 5] [--runs 3]
                           [--only mmd-gan] [--check-only] [--json FILE]

Needs torch, and torchvision and pytorch-fid for the module that the made-up numbers come from. Networks, losses,
clipping and Adam are written here from their formulas, with `torch.autograd.grad(create_graph=True)` where our
program has pullbacks. Before anything is timed, three steps of either network are compared. In the first the learning
rate is 0: there, losses and every tensor of gradients agree with PyTorch's in double precision: ours in double to 1e-10,
ours in single precision to 1e-3 or thrice the worst that PyTorch's own single precision has in a tensor of that
network, if that is more. (One pre-activation whose rounding puts it on the other side of 0 changes a gradient by
1e-3, and which one that is differs between two right programs.) The losses behind them show that both move alike: to
1e-5 in double precision (the engine keeps Adam's coefficients in single precision) and 1e-2 in single, since Adam's
first steps go by the signs of gradients, small ones too. Losses count relative to at least 1e-3: an unbiased MMD² is
a small difference of means near 1.

The two alternate, row by row and round by round. A round's time is the median of the runs in it; a row's ratio is the
median over rounds of the ratios.
"""

import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from beside import options, run_program, write

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "crates/kme-net/tests/golden"))
from networks import uniform  # noqa: E402

BATCH = 64
LATENTS = 128
LEARNING_RATE = 1e-4
CLIP = 1.0
WARM_UP = 20


class Layers(nn.Sequential):
    """Layers one after another; `seen` takes the outputs of those with matrices."""

    def forward(self, x, seen=None):
        for layer in self:
            x = layer(x)
            if seen is not None and isinstance(layer, (nn.Conv2d, nn.Linear)):
                seen.append(x)
        return x


def dcgan_critic(width, top):
    layers, inputs = [], 3
    for stage in range(4):
        outputs = width << stage
        layers += [nn.Conv2d(inputs, outputs, 5, stride=2, padding=2), nn.LeakyReLU(0.2)]
        inputs = outputs
    return Layers(*layers, nn.Flatten(), nn.Linear(inputs * 4, top))


def sngan_critic(width, top):
    layers, maps = [nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.2)], width
    for _ in range(3):
        layers += [nn.Conv2d(maps, 2 * maps, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        maps *= 2
        layers += [nn.Conv2d(maps, maps, 3, padding=1), nn.LeakyReLU(0.2)]
    return Layers(*layers, nn.Flatten(), nn.Linear(maps * 16, top))


def generator(maps, side, last):
    """Dense to maps[0] pictures of this side, doubled until there are maps[-1], then `last`."""
    layers = [nn.Linear(LATENTS, maps[0] * side * side), nn.Unflatten(1, (maps[0], side, side))]
    for inputs, outputs in zip(maps, maps[1:]):
        layers += [nn.BatchNorm2d(inputs), nn.ReLU()]
        layers.append(nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1))
    return Layers(*layers, *last)


def dcgan_generator():
    return generator([512, 256, 128, 64, 3], 2, [nn.Sigmoid()])


def sngan_generator():
    last = [nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 3, 3, padding=1), nn.Sigmoid()]
    return generator([512, 256, 128, 64], 4, last)


def squared_distances(x, y):
    return (x.square().sum(1)[:, None] + y.square().sum(1)[None] - 2 * x @ y.t()).clamp_min(0)


def gaussian(x, y):
    return torch.exp(-squared_distances(x, y) / 2)


def rational_quadratic(x, y):
    d2 = squared_distances(x, y)
    return sum((1 + d2 / (2 * alpha)) ** -alpha for alpha in (0.2, 0.5, 1, 2, 5)) + x @ y.t()


class Mmd:
    """The unbiased estimate of MMD², and its witness without a norm."""

    def __init__(self, kernel):
        self.kernel = kernel

    def value(self, x, y):
        def within(z):
            k = self.kernel(z, z)
            return (k.sum() - k.diagonal().sum()) / (len(z) * (len(z) - 1))

        return within(x) + within(y) - 2 * self.kernel(x, y).mean()

    def witness(self, h, x, y):
        return self.kernel(h, x).mean(1) - self.kernel(h, y).mean(1)


class Wasserstein:
    def value(self, x, y):
        return x.mean() - y.mean()

    def witness(self, h, x, y):
        return h[:, 0]


def unit(x):
    return x / x.norm().clamp_min(1e-12)


def made_up(purpose, name, shape, gain=1.0):
    u = torch.from_numpy(uniform(f"{purpose} {name}", int(np.prod(shape)))).reshape(shape)
    if len(shape) > 1:
        return gain * (2 * u - 1) * (6 / np.prod(shape[1:])) ** 0.5
    if name.endswith("direction"):
        return 2 * u - 1
    if name.endswith("scale"):
        return 1.25 + 0.5 * u
    return 0.75 + 0.5 * u if name.endswith("weight") else 0.2 * u - 0.1


class Player:
    """A network and what moves it. `directions`: first left singular vectors, with spectral parametrisation."""

    def __init__(self, net, purpose, gain, spectral, dtype):
        self.net = net.to(dtype)
        shapes = {name: tuple(p.shape) for name, p in net.named_parameters()}
        weights = [name for name, shape in shapes.items() if len(shape) > 1] if spectral else []
        shapes |= {f"{name}.scale": (1,) for name in weights}
        self.params = {n: made_up(purpose, n, s, gain).to(dtype).requires_grad_() for n, s in shapes.items()}
        self.directions = {
            name: made_up(purpose, f"{name}.direction", shapes[name][:1]).to(dtype) for name in weights
        }
        self.power_iterate(WARM_UP)
        self.adam = torch.optim.Adam(self.params.values(), LEARNING_RATE, betas=(0.5, 0.9), eps=1e-8, fused=True)

    @torch.no_grad()
    def power_iterate(self, count):
        for name, u in self.directions.items():
            w = self.params[name].flatten(1)
            for _ in range(count):
                u = unit(w @ unit(w.t() @ u))
            self.directions[name] = u

    def function(self, constant=False):
        """The network as a function, of parameters that are s · W / (uᵀ W v) where it has spectral parametrisation."""
        params = {name: p.detach() if constant else p for name, p in self.params.items()}
        for name, u in self.directions.items():
            w = params[name]
            v = unit(w.detach().flatten(1).t() @ u)
            params[name] = w * (params[f"{name}.scale"] / (u @ (w.flatten(1) @ v)).clamp_min(1e-12))
        own = {name: p for name, p in params.items() if not name.endswith(".scale")}
        return lambda x, seen=None: functional_call(self.net, own, (x, seen))

    def step(self, loss):
        """Moves down the loss; returns the gradients before clipping."""
        gradients = torch.autograd.grad(loss, self.params.values())
        for p, g in zip(self.params.values(), gradients):
            # The fused optimiser goes through memory in order.
            p.grad = (g * (CLIP / g.norm().clamp_min(CLIP))).contiguous()
        self.adam.step()
        return gradients


class Game:
    """Both networks and what a step is fed with."""

    def __init__(self, case, batch, dtype):
        critic, maker, self.divergence, self.weights = case()
        self.scaled = self.weights is None
        self.critic = Player(critic, "critic", 1.0, self.scaled, dtype)
        self.generator = Player(maker, "generator", 0.25, False, dtype)

        def numbers(name, shape):
            return torch.from_numpy(uniform(name, int(np.prod(shape)))).reshape(shape)

        self.latents = (2 * numbers("latents", (batch, LATENTS)) - 1).to(dtype)
        # Noise upon a level that each picture has, so that the critic's features differ well beyond rounding.
        self.real = ((numbers("real", (batch, 3, 32, 32)) + numbers("levels", (batch, 1, 1, 1))) / 2).to(dtype)
        self.mix = numbers("mix", (batch, 1, 1, 1)).to(dtype)

    def scale(self, critic, create_graph):
        """Features of the real pictures and σ² for a Gaussian kernel of bandwidth 1 on one feature."""
        pictures = self.real.clone().requires_grad_()
        features = critic(pictures)
        (gradient,) = torch.autograd.grad(features.sum(), pictures, create_graph=create_graph, retain_graph=True)
        return features, 1 / (1 + 10 * gradient.flatten(1).square().sum(1).mean())

    def critic_loss(self):
        with torch.no_grad():
            fake = self.generator.function()(self.latents)
        self.critic.power_iterate(1)
        critic = self.critic.function()
        if self.scaled:
            features, scale = self.scale(critic, create_graph=True)
            return -self.divergence.value(features, critic(fake)) * scale
        gradient_weight, activation_weight = self.weights
        seen = [] if activation_weight else None
        x, y = critic(torch.cat([self.real, fake]), seen).chunk(2)
        between = (self.real + (fake - self.real) * self.mix).requires_grad_()
        witness = self.divergence.witness(critic(between), x, y)
        (gradient,) = torch.autograd.grad(witness.sum(), between, create_graph=True)
        norm = (gradient.square().sum((1, 2, 3)) + 1e-24).sqrt()
        loss = -self.divergence.value(x, y) + gradient_weight * (norm - 1).square().mean()
        if seen:
            loss = loss + activation_weight * sum(2 * a.square().mean() for a in seen)
        return loss

    def generator_loss(self):
        fake = self.generator.function()(self.latents)
        self.critic.power_iterate(1)
        critic = self.critic.function(constant=True)
        if self.scaled:
            features, scale = self.scale(critic, create_graph=False)
            return self.divergence.value(features.detach(), critic(fake)) * scale
        return self.divergence.value(critic(self.real), critic(fake))

    def step(self, who):
        loss = getattr(self, f"{who}_loss")()
        return loss.item(), getattr(self, who).step(loss)


# Critic, generator, divergence, weights of gradient and activation penalty or nothing for scaled and spectral.
ROWS = {
    "mmd-gan dcgan-16": lambda: (dcgan_critic(16, 16), dcgan_generator(), Mmd(rational_quadratic), (1, 1)),
    "mmd-gan dcgan-64": lambda: (dcgan_critic(64, 16), dcgan_generator(), Mmd(rational_quadratic), (1, 1)),
    "sn-smmd dcgan-64": lambda: (dcgan_critic(64, 1), dcgan_generator(), Mmd(gaussian), None),
    "sn-smmd sngan-16": lambda: (sngan_critic(16, 1), sngan_generator(), Mmd(gaussian), None),
    "sn-smmd sngan-64": lambda: (sngan_critic(64, 1), sngan_generator(), Mmd(gaussian), None),
    "wgan-gp dcgan-64": lambda: (dcgan_critic(64, 1), dcgan_generator(), Wasserstein(), (10, 0)),
}
STEPS = ["critic", "generator"]


def play(row, dtype):
    """Three steps of either network, of which the first moves nothing: all losses, the gradients of the first."""
    game = Game(ROWS[row], BATCH, dtype)
    losses, gradients = [], {}
    for rate in (0.0, LEARNING_RATE, LEARNING_RATE):
        for who in STEPS:
            getattr(game, who).adam.param_groups[0]["lr"] = rate
            loss, found = game.step(who)
            losses.append(loss)
            gradients.setdefault(who, [g.double().flatten() for g in found])
    names = {who: [n for n in getattr(game, who).params if not is_idle(game, who, n)] for who in STEPS}
    return losses, {w: dict(zip(getattr(game, w).params, gradients[w])) for w in STEPS}, names


def ours(given, row, like, *more):
    """The same of our program; `like`: gradients with its names and shapes."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "gradients")
        (found,) = run_program(given, 0, row, "--batch", str(BATCH), "--gradients", str(file), *more)
        numbers = torch.from_numpy(np.fromfile(file, "<f8"))
    sizes = [g.numel() for who in STEPS for g in like[who].values()]
    assert len(numbers) == sum(sizes), f"{row}: {len(numbers)} numbers in our gradients, {sum(sizes)} in PyTorch's"
    parts = iter(numbers.split(sizes))
    return found["losses"], {who: {name: next(parts) for name in like[who]} for who in STEPS}


def check(given, row):
    """The largest relative differences from double precision, of losses and of any tensor of gradients."""
    losses, gradients, names = play(row, torch.float64)

    def apart(found):
        others, tensors = found
        result = {"losses": [abs(a - b) / max(abs(b), 1e-3) for a, b in zip(others, losses)]}
        for who in STEPS:
            exact = gradients[who]
            each = {n: ((tensors[who][n] - exact[n]).norm() / exact[n].norm()).item() for n in names[who]}
            result[who] = max((difference, name) for name, difference in each.items())
        return result

    double = apart(ours(given, row, gradients, "--double"))
    single = apart(ours(given, row, gradients))
    theirs = apart(play(row, torch.float32)[:2])
    for found, first, later in [(double, 1e-10, 1e-5), (single, 1e-3, 1e-2)]:
        assert max(found["losses"][:2]) < first and max(found["losses"]) < later, f"{row}: losses {found['losses']}"
        for who in STEPS:
            allowed = first if found is double else max(first, 3 * theirs[who][0])
            difference, name = found[who]
            assert difference < allowed, f"{row}: {who} {name} differs by {difference:.1e}, allowed {allowed:.1e}"
    return {"double": double, "single": single, "torch single": theirs}


def is_idle(game, who, name):
    """Whether a parameter has no effect, so that its gradient is rounding alone."""
    layer, part = name.split(".")[:2]
    if part != "bias":
        return False
    layers = list(getattr(game, who).net)
    after = layers[int(layer) + 1 :]
    if who == "critic":
        # Divergences do not see where all features are, activation penalties do.
        return not after and not (game.weights and game.weights[1])
    return bool(after) and isinstance(after[0], nn.BatchNorm2d)


def main():
    given = options(__doc__, "--check-only")
    results = []
    print("| objective, critic | step | kme (ms) | PyTorch (ms) | kme / PyTorch | off by (f64, f32, PyTorch's f32) |")
    print("|---|---|---|---|---|---|")
    for row in ROWS:
        if given.only not in row:
            continue
        raw = {"row": row, "batch": BATCH} | check(given, row)
        times = {f"{who}_{side}_ms": [] for who in STEPS for side in ["kme", "torch"]}
        game = Game(ROWS[row], BATCH, torch.float32)
        for _ in range(0 if given.check_only else given.rounds):
            (ours,) = run_program(given, given.runs, row)
            clocks = {who: [] for who in STEPS}
            for _ in range(given.runs + 1):
                for who in STEPS:
                    start = time.perf_counter()
                    game.step(who)
                    clocks[who].append((time.perf_counter() - start) * 1e3)
            for who in STEPS:
                times[f"{who}_kme_ms"].append(ours[f"{who}_ms"])
                # The first warms up.
                times[f"{who}_torch_ms"].append(statistics.median(clocks[who][1:]))
        for who in STEPS:
            cells = ["", "", ""]
            if not given.check_only:
                ours, theirs = times[f"{who}_kme_ms"], times[f"{who}_torch_ms"]
                raw[f"{who}_kme/torch"] = statistics.median(k / t for k, t in zip(ours, theirs))
                cells = [f"{statistics.median(t):.0f}" for t in (ours, theirs)] + [f"{raw[f'{who}_kme/torch']:.2f}"]
            apart = ", ".join(f"{raw[found][who][0]:.0e}" for found in ["double", "single", "torch single"])
            print(f"| {row} | {who} | {' | '.join(cells)} | {apart} |", flush=True)
        results.append(raw | times)
    write(given, rows=results)


main()
