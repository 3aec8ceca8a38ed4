"""Activations of networks with made-up weights, by the definitions of torchvision and pytorch-fid, in double precision.

Made on 2026-11-24 with Python 3.11.7, torch 2.13.0, torchvision 0.28.0, pytorch-fid 0.3.0, NumPy 2.4.6; writes
networks.json beside itself. Weights and pictures come from `made_up` and `uniform`, which src/made_up.rs repeats;
nothing is downloaded. The file changes only when the definition of a network does.
"""

import json
import pathlib

import numpy as np
import torch
import torchvision.models as models
from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2

# Numbers that are kept of each layer.
KEPT = 24


def uniform(name, count):
    """`count` numbers in [0, 1): SplitMix64 from the FNV-1a hash of the name, upper 24 bits."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float64) / 2**24


def made_up(name, shape):
    """A tensor of that name: weights of variance 2 / fan in, the parts of batch normalisation near where they are usual."""
    u = uniform(name, int(np.prod(shape)))
    if len(shape) > 1:
        values = (2 * u - 1) * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        values = 0.5 + u
    elif name.endswith(".weight"):
        values = 0.75 + 0.5 * u
    else:
        values = 0.2 * u - 0.1
    return torch.from_numpy(values.astype(np.float32).reshape(shape)).double()


def inception():
    net = models.inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    net.Mixed_5b = FIDInceptionA(192, pool_features=32)
    net.Mixed_5c = FIDInceptionA(256, pool_features=64)
    net.Mixed_5d = FIDInceptionA(288, pool_features=64)
    net.Mixed_6b = FIDInceptionC(768, channels_7x7=128)
    net.Mixed_6c = FIDInceptionC(768, channels_7x7=160)
    net.Mixed_6d = FIDInceptionC(768, channels_7x7=160)
    net.Mixed_6e = FIDInceptionC(768, channels_7x7=192)
    net.Mixed_7b = FIDInceptionE_1(1280)
    net.Mixed_7c = FIDInceptionE_2(2048)
    return net


def vgg19():
    # The dense layers would be 124 million more numbers.
    net = models.vgg19(weights=None)
    net.avgpool, net.classifier = torch.nn.Identity(), torch.nn.Identity()
    return net


# Definition, height and width, modules by whose names layers are known (ours: theirs, where they differ).
NETWORKS = {
    "inception": (
        inception,
        [107, 99],
        ["Conv2d_1a_3x3", "Conv2d_4a_3x3", "Mixed_5b", "Mixed_5d", "Mixed_6a", "Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c"],
        {"pool3": "avgpool", "logits": "fc"},
    ),
    "vgg19": (
        vgg19,
        [67, 45],
        ["features.0", "features.18", "features.28"],
        {"relu1_1": "features.1", "pool2": "features.9", "relu3_1": "features.11", "pool4": "features.27", "pool5": "features.36"},
    ),
    "mobilenet_v2": (
        lambda: models.mobilenet_v2(weights=None),
        [75, 61],
        ["features.0", "features.1", "features.2", "features.3", "features.14", "features.18"],
        {"logits": "classifier"},
    ),
    "squeezenet1_1": (
        lambda: models.squeezenet1_1(weights=None),
        [75, 62],
        ["features.0", "features.2", "features.3", "features.5"],
        {"fire9": "features.12", "conv10": "classifier.1", "pool10": "classifier"},
    ),
    "resnet18": (
        lambda: models.resnet18(weights=None),
        [75, 61],
        ["maxpool", "layer1.0", "layer2.0", "layer3", "layer4.1", "avgpool", "fc"],
        {},
    ),
}


def golden(name, define, size, same, renamed):
    net = define().double().eval()
    state = net.state_dict()
    shapes = {key: list(tensor.shape) for key, tensor in state.items() if not key.endswith("num_batches_tracked")}
    net.load_state_dict({key: made_up(key, shape) for key, shape in shapes.items()}, strict=False)
    picture = torch.from_numpy(uniform(f"{name} picture", 3 * size[0] * size[1]).reshape(1, 3, *size))
    layers, modules = {}, dict(net.named_modules())
    for ours, theirs in ({layer: layer for layer in same} | renamed).items():

        def keep(module, inputs, output, ours=ours):
            # The inception score is taken from the logits without their bias.
            output = output - module.bias if (name, ours) == ("inception", "logits") else output
            flat = output.flatten(2).mean(2) if output.ndim == 4 else output
            layers[ours] = [float(x) for x in flat[0, :KEPT]]

        modules[theirs].register_forward_hook(keep)
    if name == "inception":
        net(picture * (255 / 128) - 1)
    else:
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        of = lambda values: values.double().reshape(1, 3, 1, 1)
        net((picture - of(mean)) / of(deviation))
    return {"size": size, "tensors": shapes, "layers": layers}


def main():
    torch.manual_seed(0)
    with torch.no_grad():
        found = {name: golden(name, *about) for name, about in NETWORKS.items()}
    path = pathlib.Path(__file__).with_suffix(".json")
    lines = [f"{json.dumps(name)}: {json.dumps(about, separators=(',', ':'))}" for name, about in found.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
