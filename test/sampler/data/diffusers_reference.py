"""Writes diffusers.json: what the schedulers of Hugging Face diffusers make of a network of one line.

    python -m venv venv && venv/bin/pip install diffusers==0.42.1 torch==2.15.0 numpy==2.4.6
    venv/bin/python diffusers_reference.py > diffusers.json

Timesteps follow diffusers' DDIM scheduler, whose spacings are those of arXiv 2305.08891; every other
scheduler is given the same ones, and all of them sigmas in float64 where diffusers would round to float32. x is stored
in the variance-preserving form that the network sees.
"""

import json

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

ELEMENTS = 6


def betas_of(schedule, count):
    if schedule == "linear":
        return np.linspace(0.1 / count, 20 / count, count)
    f = lambda u: np.cos((u + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.array([min(1 - f((i + 1) / count) / f(i / count), 0.999) for i in range(count)])


def network(x, t):
    return 0.8 * torch.tanh(x) + 0.1 * np.cos(t / 100)


def spaced(betas, spacing, steps):
    scheduler = DDIMScheduler(num_train_timesteps=len(betas), trained_betas=betas, timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    return [int(t) for t in scheduler.timesteps]


def scheduler_of(sampler, betas, timesteps, threshold):
    common = {"num_train_timesteps": len(betas), "trained_betas": betas}
    thresholding = {}
    if threshold == "clamp":
        thresholding = {"thresholding": True, "sample_max_value": 1.0}
    elif threshold is not None:
        thresholding = {
            "thresholding": True, "dynamic_thresholding_ratio": threshold, "sample_max_value": 1e9,
        }
    alphas_cumprod = np.cumprod(1 - betas)
    sigmas = [float(np.sqrt(1 / alphas_cumprod[t] - 1)) for t in timesteps]
    repeated = 2 if sampler == "heun" else 1
    if sampler == "dpmpp_2m":
        scheduler = DPMSolverMultistepScheduler(**common, **thresholding)
    elif sampler == "dpmpp_2m_sde":
        scheduler = DPMSolverMultistepScheduler(**common, **thresholding, algorithm_type="sde-dpmsolver++")
    elif sampler == "euler":
        scheduler = EulerDiscreteScheduler(**common)
    elif sampler == "heun":
        scheduler = HeunDiscreteScheduler(**common, clip_sample=threshold == "clamp")
    else:
        scheduler = UniPCMultistepScheduler(**common, **thresholding)
    scheduler.set_timesteps(len(timesteps))
    # All but the first level are met twice by Heun's method: at the end of a step and at the start of the next.
    inner = [level for level in sigmas[1:] for _ in range(repeated)]
    scheduler.sigmas = torch.tensor([sigmas[0], *inner, 0.0], dtype=torch.float64)
    visited = [t for t in timesteps[1:] for _ in range(repeated)]
    scheduler.timesteps = torch.tensor([timesteps[0], *visited], dtype=torch.float32)
    scheduler.num_inference_steps = len(timesteps)
    scheduler.set_begin_index(0)
    return scheduler


def reference_values(case):
    betas = betas_of(case["schedule"], case["T"])
    timesteps = spaced(betas, case["spacing"], case["steps"])
    sampler = case["sampler"]
    scheduler = scheduler_of(sampler, betas, timesteps, case.get("threshold"))
    in_sigma_form = sampler in ("euler", "heun")
    generator = torch.Generator().manual_seed(case["steps"])
    draw = lambda: torch.randn((1, 1, ELEMENTS, 1), generator=generator, dtype=torch.float32).to(torch.float64)
    x_T = draw()
    noises = [draw() for _ in timesteps[1:]] if sampler == "dpmpp_2m_sde" else []
    scale_at = lambda k: torch.sqrt(scheduler.sigmas[k] ** 2 + 1) if in_sigma_form else 1
    x = x_T * scale_at(0)
    samples = []
    for k, t in enumerate(scheduler.timesteps):
        options = {}
        if sampler == "dpmpp_2m_sde":
            options["variance_noise"] = noises[k] if k < len(noises) else torch.zeros_like(x)
        x = scheduler.step(network(x / scale_at(k), float(t)), t, x, **options).prev_sample.to(torch.float64)
        # A step of Heun's ends where the average is taken, not where Euler's step did.
        if sampler != "heun" or scheduler.state_in_first_order or k + 1 == len(scheduler.timesteps):
            samples.append(x / scale_at(k + 1))
    rounded = lambda values: [float(f"{value:.9g}") for value in values.flatten().tolist()]
    return {
        **case,
        "timesteps": timesteps,
        "x_T": rounded(x_T),
        "noises": [rounded(noise) for noise in noises],
        "samples": [rounded(sample) for sample in samples],
    }


CASES = [
    ("linear", 1000, "trailing", 1, None),
    ("linear", 1000, "trailing", 2, None),
    ("linear", 1000, "linspace", 5, None),
    ("linear", 1000, "trailing", 10, None),
    ("linear", 50, "leading", 7, None),
    ("cosine", 1000, "leading", 12, None),
    ("cosine", 1000, "trailing", 10, "clamp"),
    ("cosine", 20, "leading", 16, "clamp"),
    ("linear", 1000, "trailing", 8, 0.8),
]

all_values = []
for sampler in ("dpmpp_2m", "dpmpp_2m_sde", "euler", "heun", "unipc"):
    for schedule, T, spacing, steps, threshold in CASES:
        if sampler == "euler" and threshold is not None:
            continue
        if sampler == "heun" and threshold not in (None, "clamp"):
            continue
        # Ours falls back to Euler's step from the cosine schedule's end, where this one leaves x at -154.
        if sampler == "heun" and schedule == "cosine" and spacing == "trailing":
            continue
        case = {"sampler": sampler, "schedule": schedule, "T": T, "spacing": spacing, "steps": steps}
        all_values.append(reference_values(case if threshold is None else {**case, "threshold": threshold}))
origin = "Hugging Face diffusers 0.42.1, torch 2.15.0, by diffusers_reference.py"
print("{" + f'"origin": {json.dumps(origin)}, "cases": [')
print(",\n".join(json.dumps(case) for case in all_values))
print("]}")
