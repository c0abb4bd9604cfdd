"""PyTorch's side of a comparison (work.py): the network of unet.py in channels_last, with autocast for bfloat16.

Takes "compile", and "cudaGraphs" for a card; or, in place of an architecture, {"library": NAME of libraries.py, "batch": 32}.
"""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import torch

from unet import Config, UNet
from work import T, alone, cosine_tables, hybrid_loss, lively, serve


def to_engine(parameter):
    """[out, in, kh, kw] -> [kh, kw, in, out], [out, in(, 1)] -> [in, out]."""
    values = parameter.detach().cpu().numpy()
    return values.transpose(2, 3, 1, 0) if values.ndim == 4 else values.squeeze(-1).T if values.ndim == 3 else values.T


def from_engine(values, shape):
    stored = values.transpose(3, 2, 0, 1) if values.ndim == 4 else values.T
    return torch.from_numpy(stored.reshape(shape).copy())


class Peer:
    def __init__(self, task, weights):
        device = self.device = task.get("device", "cpu")
        if device == "cuda":
            torch.set_float32_matmul_precision("high" if task["tf32"] else "highest")
            torch.backends.cudnn.allow_tf32 = task["tf32"]
            torch.backends.cudnn.benchmark = True
        config = Config(**task["architecture"])
        network = UNet(config)
        for name, parameter in network.named_parameters():
            shape = parameter.shape
            given = torch.from_numpy(lively(shape)) if weights is None else from_engine(weights[name], shape)
            parameter.data.copy_(given)
        network.to(device, memory_format=torch.channels_last).train(task["work"] == "train")
        self.names = [name for name, _ in network.named_parameters()]
        self.held = list(network.parameters())
        self.parameters = sum(parameter.numel() for parameter in self.held)
        mode = {"mode": "reduce-overhead"} if task.get("cudaGraphs") else {}
        compiled = torch.compile(network, **mode) if task["compile"] else network
        self.network = network
        low = task["precision"] == "bfloat16"
        self.autocast = (lambda: torch.autocast(device, dtype=torch.bfloat16)) if low else nullcontext
        self.tables = {name: torch.from_numpy(table).to(device) for name, table in cosine_tables().items()}
        rates = task["optimizer"]
        # The fastest optimizer that PyTorch has, and one call for all EMA weights.
        self.optimizer = torch.optim.AdamW(
            self.held,
            lr=rates["learningRate"],
            betas=(rates["beta1"], rates["beta2"]),
            eps=rates["epsilon"],
            weight_decay=rates["weightDecay"],
            fused=True,
        )
        self.average = [parameter.detach().clone() for parameter in self.held]
        self.ema_weight = 1 - rates["emaRate"]
        if weights is None:
            self.run = self.timed(task["work"], task["batch"], config)
            if device == "cuda":
                self.choose_kernels()
        self.network = compiled

    def noise_and_variance(self, x, t):
        with self.autocast():
            output = self.network(x, t)
        return output.float().chunk(2, dim=1)

    def step(self, pixels, t, noise, xi):
        x0 = pixels.float() / 127.5 - 1
        self.optimizer.zero_grad(set_to_none=True)
        loss = hybrid_loss(torch, torch.detach, self.noise_and_variance, self.tables, x0, t, noise, xi)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.held, self.ema_weight)
        return loss.item()

    def choose_kernels(self):
        """A run that isn't compiled: cuDNN measures its convolutions, and keeps to the fastest of each."""
        with alone():
            self.run()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def timed(self, work, batch, config):
        """What is timed: with its draws, and with a number that the processor waits for."""
        on_device = {"device": self.device}
        size = (batch, config.inChannels, config.imageSize, config.imageSize)
        if work == "predict":
            x, t = torch.randn(size, **on_device), torch.arange(batch, **on_device)
            x = x.contiguous(memory_format=torch.channels_last)

            def predict():
                with torch.inference_mode(), self.autocast():
                    return self.network(x, t).float().sum().item()

            return predict
        pixels = torch.randint(0, 256, size, dtype=torch.uint8, **on_device)
        pixels = pixels.contiguous(memory_format=torch.channels_last)

        def train():
            t = torch.randint(0, T, (batch,), **on_device)
            # Of one layout with the pixels, whose format it takes.
            noise, xi = (torch.randn_like(pixels, dtype=torch.float32) for _ in range(2))
            return self.step(pixels, t, noise, xi)

        return train

    def images(self, values):
        return torch.from_numpy(values.copy()).permute(0, 3, 1, 2).to(self.device)

    def times(self, values):
        return torch.from_numpy(values.astype(np.int64)).to(self.device)

    def predict(self, x, t):
        with torch.no_grad(), self.autocast():
            return self.network(self.images(x), self.times(t)).float().permute(0, 2, 3, 1).cpu().numpy()

    def train(self, pixels, t, noise, xi):
        return self.step(self.images(pixels), self.times(t), self.images(noise), self.images(xi))

    def weights(self):
        return {name: to_engine(parameter) for name, parameter in zip(self.names, self.held)}

    def ema(self):
        return {name: to_engine(parameter) for name, parameter in zip(self.names, self.average)}

    def peak_device_mb(self):
        return torch.cuda.max_memory_reserved() / 2**20


def library(task):
    from libraries import LIBRARIES

    network, step = LIBRARIES[task["library"]](task["batch"])
    return SimpleNamespace(parameters=sum(parameter.numel() for parameter in network.parameters()), run=step)


def main():
    torch.manual_seed(0)
    serve(lambda task, weights: library(task) if "library" in task else Peer(task, weights))


main()
