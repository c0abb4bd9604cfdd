"""Training steps of libraries that users would pick, with networks as near to the product's as their options allow."""

import torch


def denoising_diffusion_pytorch(batch):
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet
    from ema_pytorch import EMA

    network = Unet(dim=64, dim_mults=(1, 2, 2), attn_dim_head=32, full_attn=(False, True, True))
    network = network.to(memory_format=torch.channels_last)
    diffusion = GaussianDiffusion(network, image_size=32, beta_schedule="cosine", objective="pred_noise")
    optimizer = torch.optim.Adam(diffusion.parameters(), lr=1e-4)
    ema = EMA(diffusion, beta=0.9999, update_every=1, update_after_step=0)
    images = torch.rand(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)

    def step():
        optimizer.zero_grad()
        loss = diffusion(images)
        loss.backward()
        optimizer.step()
        ema.update()
        return loss.item()

    return network, step


def diffusers(batch):
    from diffusers import DDPMScheduler, UNet2DModel
    from diffusers.training_utils import EMAModel

    network = UNet2DModel(
        sample_size=32,
        layers_per_block=2,
        block_out_channels=(64, 128, 128),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=32,
        resnet_time_scale_shift="scale_shift",
    ).to(memory_format=torch.channels_last)
    scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2")
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    ema = EMAModel(network.parameters(), decay=0.9999)
    images = torch.rand(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)

    def step():
        noise = torch.randn_like(images)
        t = torch.randint(0, 1000, (batch,))
        predicted = network(scheduler.add_noise(images, noise, t), t).sample
        loss = torch.nn.functional.mse_loss(predicted, noise)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        ema.step(network.parameters())
        return loss.item()

    return network, step


LIBRARIES = {"denoising-diffusion-pytorch": denoising_diffusion_pytorch, "diffusers": diffusers}
