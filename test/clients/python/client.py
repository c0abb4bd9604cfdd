"""Trains a model and samples from it: python client.py TRAINER_ADDRESS SAMPLER_ADDRESS FOLDER_OF_IMAGES

The trainer reads the folder, so it must be one of the trainer's machine. Prints one line of JSON.
"""

import hashlib
import json
import pathlib
import sys
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from diffusion.measure.v1 import measure_pb2, measure_pb2_grpc
from diffusion.sampler.v1 import sampler_pb2, sampler_pb2_grpc
from diffusion.trainer.v1 import trainer_pb2, trainer_pb2_grpc
from diffusion.types.v1 import recipe_pb2, sampling_pb2

SEED = 2**64 - 1


def tiny_recipe(folder: str) -> recipe_pb2.TrainingRecipe:
    """Trains in seconds. What is left unset is taken from the default preset."""
    return recipe_pb2.TrainingRecipe(
        dataset=recipe_pb2.Dataset(folder=recipe_pb2.FolderSource(path=folder), image_size=8),
        architecture=recipe_pb2.UNetArchitecture(
            model_channels=32, num_res_blocks=1, channel_mult=[1], num_head_channels=32
        ),
        training=recipe_pb2.TrainingSettings(
            steps=4, batch_size=4, checkpoint_every_steps=2, sample_every_steps=0
        ),
        evaluation=recipe_pb2.EvaluationSettings(images=0, every_steps=0),
    )


def train(trainer: trainer_pb2_grpc.TrainerServiceStub, folder: str) -> dict:
    """Creates a job and watches it to its end."""
    request = trainer_pb2.CreateTrainingJobRequest(recipe=tiny_recipe(folder), request_id=str(uuid.uuid4()))
    job = trainer.CreateTrainingJob(request).job
    # With the same request_id, a call that is sent again creates no second job.
    repeated = trainer.CreateTrainingJob(request).job
    states = []
    checkpoints = []
    for message in trainer.WatchTrainingJob(trainer_pb2.WatchTrainingJobRequest(job_id=job.job_id)):
        event = message.WhichOneof("event")
        if event == "state_changed":
            states.append(trainer_pb2.JobState.Name(message.state_changed.state))
        elif event == "checkpoint_committed":
            checkpoints.append(message.checkpoint_committed.step)
        elif event == "terminal":
            job = message.terminal
    return {
        "job": job.job_id,
        "repeatedJob": repeated.job_id,
        "model": job.model,
        "state": trainer_pb2.JobState.Name(job.state),
        "states": states,
        "checkpoints": checkpoints,
    }


def refusal(trainer: trainer_pb2_grpc.TrainerServiceStub, folder: str) -> dict:
    """What the trainer says to a recipe without steps."""
    recipe = tiny_recipe(folder)
    recipe.training.steps = 0
    try:
        trainer.CreateTrainingJob(trainer_pb2.CreateTrainingJobRequest(recipe=recipe))
    except grpc.RpcError as error:
        info = error_details_pb2.ErrorInfo()
        fields = error_details_pb2.BadRequest()
        for detail in rpc_status.from_call(error).details:
            # Unpack does nothing where the detail is of another type.
            detail.Unpack(info)
            detail.Unpack(fields)
        return {
            "code": error.code().value[0],
            "reason": info.reason,
            "domain": info.domain,
            "fields": [violation.field for violation in fields.field_violations],
        }
    raise RuntimeError("wanted a refusal; the recipe was taken")


def put_together(chunks: list) -> str:
    """Checks an image that came in pieces, and returns its SHA-256. The bytes are little-endian float32."""
    image = b""
    for chunk in chunks:
        if chunk.offset_bytes != len(image):
            raise RuntimeError(f"wanted bytes from {len(image)}; got them from {chunk.offset_bytes}")
        image += chunk.data
    sha256 = hashlib.sha256(image).hexdigest()
    wanted = chunks[0]
    if len(image) != wanted.total_size_bytes or sha256 != wanted.sha256:
        raise RuntimeError(f"an image is damaged: {len(image)} bytes of SHA-256 {sha256}")
    return sha256


def images_of(stream, event: str) -> list:
    """SHA-256 of each image of a stream, by its index."""
    chunks = {}
    for message in stream:
        if message.WhichOneof("event") == event:
            image = getattr(message, event)
            chunks.setdefault(image.index, []).append(image.chunk)
    return [put_together(chunks[index]) for index in sorted(chunks)]


def measured(measure: measure_pb2_grpc.MeasureServiceStub, model: str) -> dict:
    """Bits per dimension of one training image, in a bound of two steps."""
    spec = measure_pb2.MeasurementSpec(
        model=model, images=1, seed=SEED, likelihood=measure_pb2.LikelihoodSpec(steps=2)
    )
    request = measure_pb2.CreateMeasurementRequest(spec=spec, request_id=str(uuid.uuid4()))
    measurement = measure.CreateMeasurement(request).measurement
    measurement_id = measurement.measurement_id
    for message in measure.WatchMeasurement(measure_pb2.WatchMeasurementRequest(measurement_id=measurement_id)):
        if message.WhichOneof("event") == "terminal":
            measurement = message.terminal
    found = {"state": measure_pb2.MeasurementState.Name(measurement.state)}
    wanted = measure_pb2.GetMeasurementResultRequest(measurement_id=measurement_id)
    for part in measure.GetMeasurementResult(wanted):
        kind = part.WhichOneof("part")
        if kind == "contract":
            found["inputs"] = part.contract.inputs_sha256
        elif kind == "result":
            found["bits"] = part.result.findings[0].value
    return found


def main(trainer_address: str, sampler_address: str, folder: str) -> None:
    with grpc.insecure_channel(trainer_address) as channel:
        trainer = trainer_pb2_grpc.TrainerServiceStub(channel)
        found = {**train(trainer, folder), "refusal": refusal(trainer, folder)}
    model = found["model"]
    two_steps = sampling_pb2.SamplerSettings(steps=2)
    with grpc.insecure_channel(sampler_address) as channel:
        sampler = sampler_pb2_grpc.SamplerServiceStub(channel)
        models = sampler.ListModels(sampler_pb2.ListModelsRequest(name_prefix=model)).models
        checkpoint = sampler.GetCheckpoint(sampler_pb2.GetCheckpointRequest(model=model)).checkpoint
        new_images = sampler_pb2.NewImages(
            model=model,
            count=2,
            seed=SEED,
            settings=two_steps,
            format=sampling_pb2.IMAGE_FORMAT_RAW_FLOAT32,
        )
        images = images_of(sampler.Generate(sampler_pb2.GenerateRequest(new_images=new_images)), "image")
        picture = sorted(pathlib.Path(folder).iterdir())[0].read_bytes()
        encode = sampler_pb2.EncodeRequest(model=model, images=[picture], settings=two_steps)
        latents = images_of(sampler.Encode(encode), "latent")
        measurement = measured(measure_pb2_grpc.MeasureServiceStub(channel), model)
    found |= {
        "models": [{"name": each.name, "steps": list(each.checkpoint_steps)} for each in models],
        "checkpoint": {"step": checkpoint.step, "sha256": checkpoint.manifest_sha256},
        "images": images,
        "latents": latents,
        "measurement": measurement,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
