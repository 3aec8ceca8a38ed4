"""Whole networks on kme's convolutions, on burn's own and in PyTorch, on the same cores in the same run.

    cargo bench -p kme-conv --bench networks --no-run      # prints the path of the program
    python benches/networks.py --program PATH [--threads 2] [--rounds 5] [--runs 3] [--only TEXT] [--json FILE]

Row by row and round by round the three alternate. A round's time is the median of the runs in it; a row's ratio is the median over
rounds of the ratios. Every round asserts that all three computed the same numbers: losses and gradients, after the same steps.
"""

import math
import statistics
import time

import numpy
import torch
from beside import options, run_program, write
from torch.nn.functional import batch_norm, conv2d, conv_transpose2d, leaky_relu, max_pool2d, relu

BATCH = 64
VGG = [(3, 64), (64, 64), None, (64, 128), (128, 128), None, (128, 256)]
# Inputs, outputs, kernel, stride, padding.
CRITIC = [(3, 64, 4, 2, 1), (64, 128, 4, 2, 1), (128, 256, 4, 2, 1), (256, 512, 4, 2, 1), (512, 16, 2, 1, 0)]
CODE = 128
GENERATOR = [512, 256, 128, 3]


def numbers(shape, seed, scale):
    """Uniform between -scale and scale, MurmurHash3's finaliser over multiples of an odd number: the program has the same."""
    word = 0xFFFFFFFF
    h = numpy.arange(1, math.prod(shape) + 1, dtype=numpy.uint64) * 0x9E3779B1 + seed * 0x9E3779B9 & word
    h = (h ^ h >> 16) * 0x85EBCA6B & word
    h = (h ^ h >> 13) * 0xC2B2AE35 & word
    h = h ^ h >> 16
    values = (h.astype(numpy.float64) / 2**32 - 0.5) * 2 * scale
    return torch.from_numpy(values.astype(numpy.float32)).reshape(shape)


def scale(gain, fan_in):
    return math.sqrt(gain / fan_in)


def vgg_params():
    layers = enumerate(layer for layer in VGG if layer)
    return [(numbers((o, i, 3, 3), 10 + k, scale(6, i * 9)), numbers((o,), 30 + k, 0.1)) for k, (i, o) in layers]


def vgg(params, x):
    params = iter(params)
    for layer in VGG:
        x = relu(conv2d(x, *next(params), padding=1)) if layer else max_pool2d(x, 2)
    return x


def critic_params():
    params = []
    for k, (inputs, outputs, kernel, _, _) in enumerate(CRITIC):
        weight = numbers((outputs, inputs, kernel, kernel), 200 + k, scale(6, inputs * kernel * kernel))
        params += [weight.requires_grad_(), numbers((outputs,), 220 + k, 0.05).requires_grad_()]
    return params


def critic(params, x):
    for k, (*_, stride, padding) in enumerate(CRITIC):
        x = conv2d(x, params[2 * k], params[2 * k + 1], stride=stride, padding=padding)
        if k + 1 < len(CRITIC):
            x = leaky_relu(x, 0.2)
    return x.flatten(1)


def generator_params():
    params = [numbers((CODE, GENERATOR[0] * 16), 100, 0.1)]
    for k, (inputs, outputs) in enumerate(zip(GENERATOR, GENERATOR[1:])):
        params += [torch.ones(inputs), torch.zeros(inputs), numbers((inputs, outputs, 4, 4), 101 + k, 0.03)]
    return [p.requires_grad_() for p in params]


def generator(params, codes):
    x = (codes @ params[0]).reshape(-1, GENERATOR[0], 4, 4)
    for gain, shift, weight in zip(params[1::3], params[2::3], params[3::3]):
        x = relu(batch_norm(x, None, None, gain, shift, training=True))
        x = conv_transpose2d(x, weight, stride=2, padding=1)
    return torch.tanh(x)


def kernel(x, y):
    distances = (x * x).sum(1, keepdim=True) + (y * y).sum(1)[None] - 2 * x @ y.t()
    distances = distances.clamp_min(0)
    return torch.exp(-distances / 2) + torch.exp(-distances / 8) + torch.exp(-distances / 32)


def mmd(x, y):
    return kernel(x, x).mean() + kernel(y, y).mean() - 2 * kernel(x, y).mean()


def vgg_forward():
    params, image = vgg_params(), numbers((1, 3, 256, 256), 5, 1)

    def run():
        with torch.no_grad():
            return [vgg(params, image).mean().item()]

    return run


def vgg_gradient():
    params, image = vgg_params(), numbers((1, 3, 256, 256), 5, 1).requires_grad_()

    def run():
        loss = vgg(params, image).square().mean()
        (gradient,) = torch.autograd.grad(loss, image)
        return [loss.item(), gradient.abs().sum().item()]

    return run


def training_step():
    of_critic, of_generator = critic_params(), generator_params()
    critic_adam = torch.optim.Adam(of_critic, 1e-4, betas=(0.5, 0.9))
    generator_adam = torch.optim.Adam(of_generator, 1e-4, betas=(0.5, 0.9))
    images, codes = numbers((BATCH, 3, 32, 32), 300, 1), numbers((BATCH, CODE), 301, 1.7)

    def run():
        with torch.no_grad():
            generated = generator(of_generator, codes)
        critic_loss = -mmd(critic(of_critic, images), critic(of_critic, generated))
        critic_adam.zero_grad()
        critic_loss.backward()
        critic_adam.step()

        constant = [p.detach() for p in of_critic]
        generator_loss = mmd(critic(constant, images), critic(constant, generator(of_generator, codes)))
        generator_adam.zero_grad()
        generator_loss.backward()
        generator_adam.step()
        return [critic_loss.item(), generator_loss.item()]

    return run


def gradient_penalty():
    params, images = critic_params(), numbers((BATCH, 3, 32, 32), 400, 1).requires_grad_()

    def run():
        (gradient,) = torch.autograd.grad(critic(params, images).sum(), images, create_graph=True)
        loss = ((gradient.flatten(1).square().sum(1) + 1e-12).sqrt() - 1).square().mean()
        return [loss.item()] + [g.abs().sum().item() for g in torch.autograd.grad(loss, params[::2])]

    return run


# With the largest relative difference allowed. Adam's first steps go by the signs of gradients, small ones too, and so spread more.
ROWS = {
    "VGG19 features": (vgg_forward, 1e-5),
    "VGG19 image gradient": (vgg_gradient, 1e-4),
    "DCGAN training step": (training_step, 1e-3),
    "gradient penalty": (gradient_penalty, 1e-4),
}


def run_torch(row, runs):
    """Milliseconds, the median of `runs`, and the third run's numbers, as the program does it."""
    run = ROWS[row][0]()
    check = [run() for _ in range(3)][-1]
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times), check


def difference(found, expected):
    """The largest relative difference."""
    assert len(found) == len(expected), (found, expected)
    return max(abs(f - e) / abs(e) for f, e in zip(found, expected))


def main():
    given = options(__doc__)
    results = []
    print("| network | burn (ms) | kme (ms) | PyTorch (ms) | kme / burn | kme / PyTorch |")
    print("|---|---|---|---|---|---|")
    for row, (_, tolerance) in ROWS.items():
        if given.only not in row:
            continue
        raw = {"row": row, "burn_ms": [], "kme_ms": [], "torch_ms": [], "difference": 0.0}
        for _ in range(given.rounds):
            checks = {}
            for who in ["burn", "kme"]:
                (found,) = run_program(given, given.runs, row, "--convolutions", who)
                raw[f"{who}_ms"].append(found["ms"])
                checks[who] = found["check"]
            ms, expected = run_torch(row, given.runs)
            raw["torch_ms"].append(ms)
            for who, found in checks.items():
                apart = difference(found, expected)
                assert apart < tolerance, f"{row}: {who} found {found}, PyTorch {expected}"
                raw["difference"] = max(raw["difference"], apart)
        for other in ["burn", "torch"]:
            ratios = [ours / theirs for ours, theirs in zip(raw["kme_ms"], raw[f"{other}_ms"])]
            raw[f"kme/{other}"] = statistics.median(ratios)
        results.append(raw)
        times = " | ".join(f"{statistics.median(raw[f'{who}_ms']):.1f}" for who in ["burn", "kme", "torch"])
        print(f"| {row} | {times} | {raw['kme/burn']:.2f} | {raw['kme/torch']:.2f} |", flush=True)
    write(given, rows=results)


main()
