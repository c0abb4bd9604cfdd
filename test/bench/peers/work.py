"""What the workers of all frameworks share: the protocol, the loss, and the check that they compute what the engine does.

argv[1] is JSON: {"work": "train" | "predict", "architecture": {...}, "batch": 32, "precision": "float32" | "bfloat16",
"optimizer": {...}}, with "device": "cuda" and "tf32" for a card, and what the framework's worker takes beside. A worker says
{"parameters": n, "firstStepMs": n} when it is warm, then answers each line n with the times of n runs {"ms": [...]}, and the
end of its input with {}, on a card {"peakDeviceMb": n}. Before that, on a card, it may say {"asks": true} and wait for a line:
then it has the card to itself until it says {"gives": true}. With "check", a file of arrays, in place of "batch" it says how far
its results are from the engine's instead, the length of the difference to that of what was wanted: {"prediction": n,
"losses": n, "weights": n, "ema": n}, the last two of what three steps changed.
"""

import json
import math
import sys
import time
from contextlib import contextmanager

import numpy as np

T = 1000
GAMMA = 0.1
CHECKED_STEPS = 3


def cosine_tables():
    f = lambda u: math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    betas = np.array([min(1 - f((i + 1) / T) / f(i / T), 0.999) for i in range(T)])
    cumprod = np.cumprod(1 - betas)
    before = np.concatenate([[1.0], cumprod[:-1]])
    posterior = betas * (1 - before) / (1 - cumprod)
    tables = {
        "signal": np.sqrt(cumprod),
        "noise": np.sqrt(1 - cumprod),
        "recip": np.sqrt(1 / cumprod),
        "recipm1": np.sqrt(1 / cumprod - 1),
        "least": np.log(np.concatenate([posterior[1:2], posterior[1:]])),
        "most": np.log(betas),
        "coef1": betas * np.sqrt(before) / (1 - cumprod),
        "coef2": (1 - before) * np.sqrt(1 - betas) / (1 - cumprod),
    }
    return {name: table.astype(np.float32) for name, table in tables.items()}


def hybrid_loss(xp, constant, network, tables, x0, t, noise, xi):
    """ADM-IP's loss, the mean over a batch: mean squared error and the variational bound.

    `xp` is torch or jax.numpy, `constant` keeps gradients from an array, `network` gives noise and variance in float32.
    """
    at = lambda name: tables[name][t][:, None, None, None]
    mean_of = lambda x: x.mean((1, 2, 3))
    x_t = at("signal") * x0 + at("noise") * (noise + GAMMA * xi)
    epsilon, fraction = network(x_t, t)
    mse = mean_of((noise - epsilon) ** 2)
    share = (fraction + 1) / 2
    log_variance = share * at("most") + (1 - share) * at("least")
    predicted = at("recip") * x_t - at("recipm1") * constant(epsilon)
    mean = at("coef1") * predicted + at("coef2") * x_t
    true_mean = at("coef1") * x0 + at("coef2") * x_t
    ratio = log_variance - at("least")
    kl = 0.5 * (-1 + ratio + xp.exp(-ratio) + (true_mean - mean) ** 2 * xp.exp(-log_variance))
    inverse = xp.exp(-0.5 * log_variance)
    cdf = lambda x: 0.5 * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    above, below = cdf(inverse * (x0 - mean + 1 / 255)), cdf(inverse * (x0 - mean - 1 / 255))
    log = lambda p: xp.log(p.clip(1e-12))
    inside = xp.where(x0 > 0.999, log(1 - below), log(above - below))
    likelihood = xp.where(x0 < -0.999, log(above), inside)
    bound = xp.where(t == 0, mean_of(-likelihood), mean_of(kl)) / math.log(2)
    return (mse + bound).mean()


def lively(shape):
    """Weights of usual size, the engine's own while it is timed: with zeros, some processors compute faster."""
    return (0.01 * (np.arange(math.prod(shape)) % 7 - 3)).astype(np.float32).reshape(shape)


waited = 0.0


def say(**fields):
    print(json.dumps(fields, allow_nan=False), flush=True)


@contextmanager
def alone():
    """While a framework measures which of several kernels is fastest, nobody else measures."""
    global waited
    began = time.perf_counter()
    say(asks=True)
    sys.stdin.readline()
    waited += time.perf_counter() - began
    try:
        yield
    finally:
        say(gives=True)


def serve(peer_of):
    """Answers for `peer_of(task, weights)`, a peer with `parameters`, `run` and `peak_device_mb`.

    With weights, which come by name in the engine's layout, it has `predict`, `train`, `weights` and `ema` as well.
    """
    task = json.loads(sys.argv[1])
    if "check" in task:
        say(**differences(task, peer_of))
        return
    peer = peer_of(task, None)
    began = time.perf_counter() - waited
    peer.run()
    first = time.perf_counter() - began - waited
    # CUDA graphs are recorded in the second run, and used from the third on.
    for _ in range(2):
        peer.run()
    say(parameters=peer.parameters, firstStepMs=first * 1000)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            began = time.perf_counter()
            peer.run()
            times.append((time.perf_counter() - began) * 1000)
        say(ms=times)
    say(**({"peakDeviceMb": peer.peak_device_mb()} if task.get("device") == "cuda" else {}))


def differences(task, peer_of):
    arrays = read_safetensors(task["check"])
    part = lambda prefix: {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
    start = part("start/")
    peer = peer_of(task, start)
    changes = lambda weights: np.concatenate([(weights[name] - start[name]).ravel() for name in start])
    difference = lambda got, wanted: float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))
    prediction = peer.predict(arrays["xT"], arrays["xT/t"])
    batches = [[arrays[f"step {n}/{name}"] for name in ("pixels", "t", "noise", "xi")] for n in range(CHECKED_STEPS)]
    losses = np.array([peer.train(*batch) for batch in batches])
    return {
        "prediction": difference(prediction, arrays["prediction"]),
        "losses": difference(losses, arrays["losses"]),
        "weights": difference(changes(peer.weights()), changes(part("weights/"))),
        "ema": difference(changes(peer.ema()), changes(part("ema/"))),
    }


def read_safetensors(path):
    """The arrays of a file that holds float32 alone."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    header.pop("__metadata__", None)
    array = lambda entry: np.frombuffer(data[slice(*entry["data_offsets"])], np.float32).reshape(entry["shape"])
    return {name: array(entry) for name, entry in header.items()}
