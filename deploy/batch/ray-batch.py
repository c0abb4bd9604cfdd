"""Workers of a batch as Ray tasks:

    python deploy/batch/ray-batch.py s3://images/flowers-50k --workers 16 -- --server sampler-a:50062

The plan must be there (`ip-diffusion batch MODEL --count ... --out ... --plan-only`). Each task runs the program on
whatever node Ray gives it: it must be installed there, and the output be a bucket or a folder that all nodes share. A task
whose node is lost is run again, and makes what its part still lacks.
"""

import argparse
import subprocess

import ray


@ray.remote(num_cpus=1, max_retries=5, retry_exceptions=True)
def work(program: list[str], output: str, index: int, workers: int, options: list[str]) -> int:
    command = [*program, "batch", "--out", output, "--shard", f"{index}/{workers}", *options]
    subprocess.run(command, check=True)
    return index


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", help="a folder or s3://bucket/prefix with a plan")
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--program", default="npx ip-diffusion", help="how the program is started")
    parser.add_argument("options", nargs="*", help="after --: options of `ip-diffusion batch`")
    arguments = parser.parse_args()
    ray.init()
    tasks = [
        work.remote(arguments.program.split(), arguments.output, index, arguments.workers, arguments.options)
        for index in range(arguments.workers)
    ]
    ray.get(tasks)


if __name__ == "__main__":
    main()
