"""The U-Net of the product in PyTorch, with the reference's `state_dict` names, as a peer for timings and exports."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Config:
    """An architecture as a recipe of the product has it, beside the data set's size and channels."""

    imageSize: int
    inChannels: int
    outChannels: int
    modelChannels: int
    numResBlocks: int
    channelMult: list
    attentionResolutions: list
    dropout: float = 0.0
    numHeads: int = 4
    numHeadChannels: int = -1
    useScaleShiftNorm: bool = True
    resblockUpdown: bool = True
    convResample: bool = True
    useNewAttentionOrder: bool = True
    numClasses: int | None = None


def zeroed(module):
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


class Downsample(nn.Module):
    def __init__(self, channels, with_conv):
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1) if with_conv else nn.AvgPool2d(2)

    def forward(self, x):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, channels, with_conv):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if with_conv else nn.Identity()

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class ResBlock(nn.Module):
    def __init__(self, config, channels_in, channels_out, resampling=None):
        super().__init__()
        embedding = 4 * config.modelChannels
        self.scale_shift = config.useScaleShiftNorm
        resample = {"up": Upsample, "down": Downsample}.get(resampling, lambda *_: nn.Identity())
        self.resample_h, self.resample_x = resample(channels_in, False), resample(channels_in, False)
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, channels_in), nn.SiLU(), nn.Conv2d(channels_in, channels_out, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(
            nn.SiLU(), nn.Linear(embedding, (2 if self.scale_shift else 1) * channels_out)
        )
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, channels_out),
            nn.SiLU(),
            nn.Dropout(config.dropout),
            zeroed(nn.Conv2d(channels_out, channels_out, 3, padding=1)),
        )
        same = channels_in == channels_out
        self.skip_connection = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x, embedding):
        norm, activation, conv = self.in_layers
        hidden = conv(self.resample_h(activation(norm(x))))
        embedded = self.emb_layers(embedding)[:, :, None, None]
        norm, *rest = self.out_layers
        if self.scale_shift:
            scale, shift = embedded.chunk(2, dim=1)
            hidden = norm(hidden) * (1 + scale) + shift
        else:
            hidden = norm(hidden + embedded)
        for layer in rest:
            hidden = layer(hidden)
        return self.skip_connection(self.resample_x(x)) + hidden


class AttentionBlock(nn.Module):
    def __init__(self, config, channels):
        super().__init__()
        per_head = config.numHeadChannels
        self.heads = config.numHeads if per_head == -1 else channels // per_head
        self.new_order = config.useNewAttentionOrder
        self.norm = nn.GroupNorm(32, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x):
        images, channels = x.shape[:2]
        flat = x.reshape(images, channels, -1)
        qkv = self.qkv(self.norm(flat))
        size = (images, 3, self.heads, channels // self.heads, -1)
        if self.new_order:
            q, k, v = qkv.reshape(size).unbind(1)
        else:
            q, k, v = qkv.reshape(images, self.heads, 3, channels // self.heads, -1).unbind(2)
        attended = F.scaled_dot_product_attention(*(part.transpose(2, 3) for part in (q, k, v)))
        attended = attended.transpose(2, 3).reshape(images, channels, -1)
        return (flat + self.proj_out(attended)).reshape(x.shape)


class Block(nn.Sequential):
    def forward(self, x, embedding):
        for layer in self:
            x = layer(x, embedding) if isinstance(layer, ResBlock) else layer(x)
        return x


class UNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        width = config.modelChannels
        self.time_embed = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width))
        if config.numClasses is not None:
            self.label_emb = nn.Embedding(config.numClasses, 4 * width)
        first = channels = int(config.channelMult[0] * width)
        inputs, kept = [Block(nn.Conv2d(config.inChannels, channels, 3, padding=1))], [channels]
        last = len(config.channelMult) - 1

        def resample(channels, direction):
            if config.resblockUpdown:
                return ResBlock(config, channels, channels, direction)
            return {"up": Upsample, "down": Downsample}[direction](channels, config.convResample)

        def layers_of(level, channels_in, channels_out):
            layers = [ResBlock(config, channels_in, channels_out)]
            if config.imageSize // 2**level in config.attentionResolutions:
                layers.append(AttentionBlock(config, channels_out))
            return layers

        for level, mult in enumerate(config.channelMult):
            for _ in range(config.numResBlocks):
                inputs.append(Block(*layers_of(level, channels, int(mult * width))))
                channels = int(mult * width)
                kept.append(channels)
            if level < last:
                inputs.append(Block(resample(channels, "down")))
                kept.append(channels)
        self.input_blocks = nn.ModuleList(inputs)
        self.middle_block = Block(
            ResBlock(config, channels, channels), AttentionBlock(config, channels), ResBlock(config, channels, channels)
        )
        outputs = []
        for level, mult in reversed(list(enumerate(config.channelMult))):
            for i in range(config.numResBlocks + 1):
                layers = layers_of(level, channels + kept.pop(), int(mult * width))
                channels = int(mult * width)
                if level > 0 and i == config.numResBlocks:
                    layers.append(resample(channels, "up"))
                outputs.append(Block(*layers))
        self.output_blocks = nn.ModuleList(outputs)
        self.out = nn.Sequential(
            nn.GroupNorm(32, first), nn.SiLU(), zeroed(nn.Conv2d(first, config.outChannels, 3, padding=1))
        )

    def forward(self, x, t, y=None):
        half = self.config.modelChannels // 2
        frequencies = torch.exp(-math.log(10_000) * torch.arange(half, dtype=torch.float32, device=t.device) / half)
        angles = t.float()[:, None] * frequencies
        embedding = self.time_embed(torch.cat([angles.cos(), angles.sin()], dim=1))
        if y is not None:
            embedding = embedding + self.label_emb(y)
        kept = []
        for block in self.input_blocks:
            x = block(x, embedding)
            kept.append(x)
        x = self.middle_block(x, embedding)
        for block in self.output_blocks:
            x = block(torch.cat([x, kept.pop()], dim=1), embedding)
        return self.out(x)
