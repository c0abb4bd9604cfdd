"""Runs one piece of work again and again, as often as standard input asks.

argv[1] is JSON: {"work": "train" | "predict", "architecture": {...}, "batch": 32, "compile": true,
"precision": "float32" | "bfloat16"}, with "device": "cuda", "tf32" and "cudaGraphs" for a card, or {"library": NAME of libraries.py, "batch": 32}. Says {"parameters": n} when it is warm, then answers each line n with the times of n
runs {"ms": [...]}, and {"peakMb": n} at the end of its input, with "peakDeviceMb" of a card.
"""

import json
import math
import resource
import sys
import time
from contextlib import nullcontext

import torch

from unet import Config, UNet

T = 1000


def cosine_tables():
    f = lambda u: math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    betas = torch.tensor([min(1 - f((i + 1) / T) / f(i / T), 0.999) for i in range(T)], dtype=torch.float64)
    cumprod = torch.cumprod(1 - betas, 0)
    before = torch.cat([torch.ones(1, dtype=torch.float64), cumprod[:-1]])
    posterior = betas * (1 - before) / (1 - cumprod)
    tables = {
        "signal": cumprod.sqrt(),
        "noise": (1 - cumprod).sqrt(),
        "recip": (1 / cumprod).sqrt(),
        "recipm1": (1 / cumprod - 1).sqrt(),
        "least": torch.cat([posterior[1:2], posterior[1:]]).log(),
        "most": betas.log(),
        "coef1": betas * before.sqrt() / (1 - cumprod),
        "coef2": (1 - before) * (1 - betas).sqrt() / (1 - cumprod),
    }
    return {name: table.float() for name, table in tables.items()}


def cdf(x):
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def hybrid_loss(network, tables, x0, t, noise, xi):
    """ADM-IP's loss: mean squared error and the variational bound, each example's."""
    at = lambda name: tables[name][t][:, None, None, None]
    mean_of = lambda x: x.flatten(1).mean(1)
    x_t = at("signal") * x0 + at("noise") * (noise + 0.1 * xi)
    epsilon, fraction = network(x_t, t).float().chunk(2, dim=1)
    mse = mean_of((noise - epsilon) ** 2)
    share = (fraction + 1) / 2
    log_variance = share * at("most") + (1 - share) * at("least")
    predicted = at("recip") * x_t - at("recipm1") * epsilon.detach()
    mean = at("coef1") * predicted + at("coef2") * x_t
    true_mean = at("coef1") * x0 + at("coef2") * x_t
    ratio = log_variance - at("least")
    kl = 0.5 * (-1 + ratio + torch.exp(-ratio) + (true_mean - mean) ** 2 * torch.exp(-log_variance))
    inverse = torch.exp(-0.5 * log_variance)
    above, below = cdf(inverse * (x0 - mean + 1 / 255)), cdf(inverse * (x0 - mean - 1 / 255))
    log = lambda p: p.clamp(min=1e-12).log()
    inside = torch.where(x0 > 0.999, log(1 - below), log(above - below))
    likelihood = torch.where(x0 < -0.999, log(above), inside)
    bound = torch.where(t == 0, mean_of(-likelihood), mean_of(kl)) / math.log(2)
    return mse + bound


def train_step(network, config, batch, autocast):
    tables = cosine_tables()
    # The fastest optimizer that PyTorch has for CPUs, and one call for all EMA weights.
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
    ema = [parameter.detach().clone() for parameter in network.parameters()]
    size = (batch, config.inChannels, config.imageSize, config.imageSize)
    pixels = torch.randint(0, 256, size, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    weights = torch.ones(batch)

    def step():
        x0 = pixels.float() / 127.5 - 1
        t = torch.randint(0, T, (batch,))
        noise, xi = torch.randn_like(x0), torch.randn_like(x0)
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            loss = (hybrid_loss(network, tables, x0, t, noise, xi) * weights).mean()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(ema, list(network.parameters()), 1e-4)
        return loss.item()

    return step


def predict(network, config, batch, autocast):
    size = (batch, config.inChannels, config.imageSize, config.imageSize)
    x = torch.randn(size).contiguous(memory_format=torch.channels_last)
    t = torch.arange(batch)

    def run():
        with torch.inference_mode(), autocast():
            return network(x, t).float().sum().item()

    return run


def library(task):
    from libraries import LIBRARIES

    network, step = LIBRARIES[task["library"]](task["batch"])
    return count(network), step


def twin(task):
    config = Config(**task["architecture"])
    network = UNet(config).to(memory_format=torch.channels_last)
    network.train(task["work"] == "train")
    mode = {"mode": "reduce-overhead"} if task.get("cudaGraphs") else {}
    compiled = torch.compile(network, **mode) if task["compile"] else network
    low = task["precision"] == "bfloat16"
    device = task.get("device", "cpu")
    autocast = (lambda: torch.autocast(device, dtype=torch.bfloat16)) if low else nullcontext
    make = train_step if task["work"] == "train" else predict
    return count(network), make(compiled, config, task["batch"], autocast)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def main():
    task = json.loads(sys.argv[1])
    say = lambda **fields: print(json.dumps(fields), flush=True)
    torch.manual_seed(0)
    device = task.get("device", "cpu")
    if device != "cpu":
        torch.set_default_device(device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = task.get("tf32", False)
    torch.backends.cudnn.benchmark = device == "cuda"
    parameters, step = library(task) if "library" in task else twin(task)
    for _ in range(2):
        step()
    say(parameters=parameters)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            began = time.perf_counter()
            step()
            times.append((time.perf_counter() - began) * 1000)
        say(ms=times)
    on_card = {"peakDeviceMb": torch.cuda.max_memory_reserved() / 2**20} if device == "cuda" else {}
    say(**on_card, peakMb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


main()
