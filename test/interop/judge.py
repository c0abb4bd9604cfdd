"""Loads what the product exported into PyTorch and into TensorFlow, and says how far their outputs are from its own.

Takes a folder with weights.safetensors, saved/ and figures.safetensors; prints a line of JSON. Leaves weights.pt there,
the same state_dict as torch.save writes it."""

import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
sys.path.insert(0, str(Path(__file__).parent.parent / "bench" / "peers"))

import tensorflow as tf
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from unet import Config, UNet


def config_of(recipe):
    dataset, architecture, objective = recipe["dataset"], dict(recipe["architecture"]), recipe["objective"]
    learned = objective["varianceType"].startswith("learned")
    architecture["numClasses"] = architecture["numClasses"] or None
    architecture["numHeadChannels"] = architecture["numHeadChannels"] or -1
    return Config(
        imageSize=dataset["imageSize"],
        inChannels=dataset["channels"],
        outChannels=(2 if learned else 1) * dataset["channels"],
        **architecture,
    )


folder = Path(sys.argv[1])
with safe_open(folder / "weights.safetensors", "pt") as file:
    recipe = json.loads(file.metadata()["recipe"])
weights = load_file(folder / "weights.safetensors")
network = UNet(config_of(recipe)).eval()
network.load_state_dict(weights, strict=True)
torch.save(network.state_dict(), folder / "weights.pt")

figures = load_file(folder / "figures.safetensors")
wanted, y = figures["modelOutput"], figures.get("y")
with torch.no_grad():
    by_torch = network(figures["xT"].permute(0, 3, 1, 2), figures["t"], y).permute(0, 2, 3, 1)

served = tf.saved_model.load(str(folder / "saved")).signatures["serving_default"]
inputs = {name: tf.constant(values.numpy()) for name, values in figures.items() if name != "modelOutput"}
by_tensorflow = torch.from_numpy(served(**inputs)["modelOutput"].numpy())

largest = wanted.abs().max()
errors = {"PyTorch": by_torch, "TensorFlow": by_tensorflow}
print(json.dumps({name: float((output - wanted).abs().max() / largest) for name, output in errors.items()}))
