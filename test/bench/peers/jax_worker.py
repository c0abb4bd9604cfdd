"""JAX's side of a comparison (work.py), in jax.numpy and jax.lax alone: a step is one compiled program whose state is donated.

Takes "plan", the layers as shared/model/plan.ts lays them out, and "parameters", their names and shapes in the engine's
layout. Products of bfloat16 give bfloat16, as with PyTorch's autocast; statistics of norms, loss and optimizer are float32.
"""

import math
import os
from contextlib import nullcontext
from functools import partial

# Workers share the card.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from work import T, alone, cosine_tables, hybrid_loss, lively, serve

GROUPS, NORM_EPSILON = 32, 1e-5


class Network:
    """The U-Net with scale and shift in its norms, residual blocks that resample, and q, k, v before heads."""

    def __init__(self, task):
        architecture = self.architecture = task["architecture"]
        for needed in ("useScaleShiftNorm", "resblockUpdown", "useNewAttentionOrder"):
            if not architecture[needed]:
                raise ValueError(f"wanted a network with {needed}")
        self.plan = task["plan"]
        self.dtype = jnp.bfloat16 if task["precision"] == "bfloat16" else jnp.float32

    def __call__(self, weights, x, t, key=None):
        """[N, H, W, C] -> [N, H, W, outChannels] in float32. With a key it drops out."""
        of = Layers(weights, self.dtype, "")
        half = self.architecture["modelChannels"] // 2
        angles = t.astype(jnp.float32)[:, None] * jnp.exp(-math.log(10_000) * jnp.arange(half) / half)
        embedding = jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=1)
        embedding = of("time_embed.2").linear(jax.nn.silu(of("time_embed.0").linear(embedding)))
        embedding = jax.nn.silu(embedding)

        def apply(block, x):
            for layer in block:
                x = getattr(self, layer["kind"])(of(layer["name"]), layer, x, embedding, key)
            return x

        kept = []
        for block in self.plan["inputBlocks"]:
            x = apply(block, x)
            kept.append(x)
        x = apply(self.plan["middleBlock"], x)
        for block in self.plan["outputBlocks"]:
            x = apply(block, jnp.concatenate([x, kept.pop()], axis=-1))
        return of("out.2").conv(jax.nn.silu(of("out.0").norm(x))).astype(jnp.float32)

    def conv(self, of, layer, x, embedding, key):
        return of.conv(x)

    def resblock(self, of, layer, x, embedding, key):
        resample = {"none": lambda x: x, "up": doubled, "down": halved}[layer["resampling"]]
        hidden = of("in_layers.2").conv(resample(jax.nn.silu(of("in_layers.0").norm(x))))
        scale, shift = jnp.split(of("emb_layers.1").linear(embedding)[:, None, None, :], 2, axis=-1)
        hidden = jax.nn.silu(of("out_layers.0").norm(hidden) * (1 + scale) + shift)
        rate = self.architecture["dropout"]
        if key is not None and rate > 0:
            keep = jax.random.bernoulli(jax.random.fold_in(key, layer["dropoutIndex"]), 1 - rate, hidden.shape)
            hidden = jnp.where(keep, hidden / (1 - rate), 0)
        skip = resample(x)
        if layer["inChannels"] != layer["outChannels"]:
            skip = of("skip_connection").conv(skip)
        return skip + of("out_layers.3").conv(hidden)

    def attention(self, of, layer, x, embedding, key):
        images, height, width, channels = x.shape
        flat = x.reshape(images, height * width, channels)
        qkv = of("qkv").linear(of("norm").norm(flat))
        parts = qkv.reshape(images, height * width, 3, layer["heads"], -1)
        mixed = jax.nn.dot_product_attention(*(parts[:, :, part] for part in range(3)))
        return (flat + of("proj_out").linear(mixed.reshape(flat.shape))).reshape(x.shape)


class Layers:
    """Operations with the parameters under a name."""

    def __init__(self, weights, dtype, prefix):
        self.parameters, self.dtype, self.prefix = weights, dtype, prefix

    def __call__(self, name):
        return Layers(self.parameters, self.dtype, f"{self.prefix}{name}.")

    def get(self, name, dtype):
        return self.parameters[self.prefix + name].astype(dtype)

    def linear(self, x):
        return x.astype(self.dtype) @ self.get("weight", self.dtype) + self.get("bias", self.dtype)

    def conv(self, x):
        weight = self.get("weight", self.dtype)
        layout = ("NHWC", "HWIO", "NHWC")
        y = lax.conv_general_dilated(x.astype(self.dtype), weight, (1, 1), "SAME", dimension_numbers=layout)
        return y + self.get("bias", self.dtype)

    def norm(self, x):
        grouped = x.astype(jnp.float32).reshape(x.shape[0], -1, GROUPS, x.shape[-1] // GROUPS)
        mean = grouped.mean((1, 3), keepdims=True)
        variance = grouped.var((1, 3), keepdims=True)
        normalised = ((grouped - mean) * lax.rsqrt(variance + NORM_EPSILON)).reshape(x.shape)
        scaled = normalised * self.get("weight", jnp.float32) + self.get("bias", jnp.float32)
        return scaled.astype(self.dtype)


def doubled(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def halved(x):
    images, height, width, channels = x.shape
    return x.reshape(images, height // 2, 2, width // 2, 2, channels).mean((2, 4))


class Peer:
    def __init__(self, task, weights):
        jax.config.update("jax_platforms", task.get("device", "cpu"))
        # Left alone, a card's products of float32 are of TF32.
        if not task.get("tf32"):
            jax.config.update("jax_default_matmul_precision", "highest")
        self.network = Network(task)
        self.rates = task["optimizer"]
        self.tables = {name: jnp.asarray(table) for name, table in cosine_tables().items()}
        shapes = dict(task["parameters"])
        self.parameters = sum(math.prod(shape) for shape in shapes.values())
        given = weights or {name: lively(shape) for name, shape in shapes.items()}
        # Each array once more, since a donated one can be given but once.
        copies = lambda: {name: jnp.array(values) for name, values in given.items()}
        zeros = lambda: {name: jnp.zeros(shape) for name, shape in shapes.items()}
        self.state = (copies(), zeros(), zeros(), copies(), jnp.zeros(()))
        if weights is None:
            self.alone = alone if task.get("device") == "cuda" else nullcontext
            self.run = self.timed(task["work"], task["batch"], task["architecture"])
        else:
            self.check_step = jax.jit(self.step, donate_argnums=0)

    def step(self, state, pixels, t, noise, xi, key=None):
        weights, m, v, ema, count = state
        rates = self.rates

        def loss_of(weights):
            network = lambda x, t: jnp.split(self.network(weights, x, t, key), 2, axis=-1)
            x0 = pixels.astype(jnp.float32) / 127.5 - 1
            return hybrid_loss(jnp, lax.stop_gradient, network, self.tables, x0, t, noise, xi)

        loss, gradients = jax.value_and_grad(loss_of)(weights)
        mixed = lambda rate, old, new: jax.tree.map(lambda a, b: rate * a + (1 - rate) * b, old, new)
        m = mixed(rates["beta1"], m, gradients)
        v = mixed(rates["beta2"], v, jax.tree.map(jnp.square, gradients))
        correction1, correction2 = (1 - rates[beta] ** (count + 1) for beta in ("beta1", "beta2"))
        kept = 1 - rates["learningRate"] * rates["weightDecay"]

        def adamw(weight, m, v):
            direction = (m / correction1) / (jnp.sqrt(v / correction2) + rates["epsilon"])
            return kept * weight - rates["learningRate"] * direction

        weights = jax.tree.map(adamw, weights, m, v)
        return (weights, m, v, mixed(rates["emaRate"], ema, weights), count + 1), loss

    def timed(self, work, batch, architecture):
        """What is timed: with its draws, and with a number that the processor waits for."""
        size = (batch, architecture["imageSize"], architecture["imageSize"], architecture["inChannels"])
        # The generator that is fast on cards; JAX's default one isn't.
        key = jax.random.key(0, impl="rbg")
        if work == "predict":
            weights, x, t = self.state[0], jax.random.normal(key, size), jnp.arange(batch)
            self.state = None
            total = self.compiled(jax.jit(lambda weights, x, t: self.network(weights, x, t).sum()))
            return lambda: float(total(weights, x, t))
        pixels = jax.random.randint(key, size, 0, 256).astype(jnp.uint8)

        @self.compiled
        @partial(jax.jit, donate_argnums=0)
        def drawn_step(state, pixels, key):
            following, of_t, of_noise, of_xi, of_dropout = jax.random.split(key, 5)
            t = jax.random.randint(of_t, (batch,), 0, T)
            noise, xi = jax.random.normal(of_noise, size), jax.random.normal(of_xi, size)
            return *self.step(state, pixels, t, noise, xi, of_dropout), following

        def train():
            nonlocal key
            self.state, loss, key = drawn_step(self.state, pixels, key)
            return float(loss)

        return train

    def compiled(self, function):
        """Compiled when it is first called, with the card to itself: the compiler measures kernels."""
        program = None

        def call(*args):
            nonlocal program
            if program is None:
                with self.alone():
                    program = function.lower(*args).compile()
            return program(*args)

        return call

    def predict(self, x, t):
        return np.asarray(jax.jit(self.network)(self.state[0], x, t))

    def train(self, pixels, t, noise, xi):
        self.state, loss = self.check_step(self.state, pixels, t.astype(np.int32), noise, xi)
        return float(loss)

    def weights(self):
        return {name: np.asarray(values) for name, values in self.state[0].items()}

    def ema(self):
        return {name: np.asarray(values) for name, values in self.state[3].items()}

    def peak_device_mb(self):
        return jax.local_devices()[0].memory_stats()["peak_bytes_in_use"] / 2**20


serve(Peer)
