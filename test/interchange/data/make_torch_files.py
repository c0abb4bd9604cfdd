"""Makes the .pt files beside it, with PyTorch 2.15.0 (torch.manual_seed isn't needed: all values are written here)."""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

folder = Path(__file__).parent
counting = torch.arange(6, dtype=torch.float32).reshape(2, 3)
shared = torch.arange(10, dtype=torch.float32)

# Every layout that parameters come in: as they are, transposed, with a step, repeated, as views of one storage, as the
# parameters that averages are saved as; every precision; nothing at all.
torch.save(
    OrderedDict(
        [
            ("plain", counting.clone()),
            ("transposed", counting.clone().t()),
            ("every_other", shared.clone()[1::2]),
            ("repeated", torch.tensor([7.0]).expand(2, 2)),
            ("view.0", shared[:4]),
            ("view.1", shared[4:].reshape(3, 2)),
            ("parameter", nn.Parameter(counting.clone() / 8)),
            ("half", torch.tensor([1.0, -2.5, 6.103515625e-05, 5.9604644775390625e-08, 65504.0], dtype=torch.float16)),
            ("bfloat16", torch.tensor([1.0, -2.5, 3.0e38], dtype=torch.bfloat16)),
            ("double", torch.tensor([0.1, -1e-3], dtype=torch.float64)),
            ("scalar", torch.tensor(3.0)),
            ("empty", torch.zeros(0, 4)),
        ]
    ),
    folder / "layouts.pt",
)

# A state_dict with its attributes, saved within DistributedDataParallel and among other things.
parallel = OrderedDict((f"module.{name}", value) for name, value in nn.Linear(3, 2).state_dict().items())
parallel["module.weight"], parallel["module.bias"] = counting.clone(), torch.tensor([0.5, -0.5])
parallel._metadata = OrderedDict(module={"version": 1})
torch.save({"epoch": 12, "lr": 1e-4, "betas": [0.9, 0.999], "state_dict": parallel}, folder / "wrapped.pt")

torch.save({"plain": counting.clone()}, folder / "legacy.pt", _use_new_zipfile_serialization=False)

# Not a state_dict: a module, with the name of its class.
torch.save(nn.Linear(1, 1), folder / "module.pt")
