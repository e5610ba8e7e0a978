"""What PyTorch makes of a card: `gpu.ts` runs this and reads a line of JSON for each measurement.

    python3 gpu.py ceilings cuda|cpu SECONDS
    python3 gpu.py steps cuda|cpu SECONDS MODEL BATCH,… VARIANT,…

A variant is eager, graph (the step recorded as a CUDA graph) or compile (torch.compile, which records graphs of its
own), with "-tf32" behind it where factors of products may be rounded to 10 bits, "-nhwc" where images have their
channels last. A step is what celgc's is: forward, backward, the clipped update of plain SGD; its loss is fetched
every eighth time. cuDNN picks its convolutions by trying them out.
"""

import json
import resource
import statistics
import sys
import time

BEGAN = time.time()

import torch  # noqa: E402

AHEAD = 8


def say(**line):
    print(json.dumps(line), flush=True)


def wait():
    if device == "cuda":
        torch.cuda.synchronize()


def rounding(tf32):
    # By the names that every PyTorch has: 2.9 brings others, and its compiler asks for these, which must not be mixed.
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


def timed(work, seconds, least=3):
    """Milliseconds of each of as many calls as fit; every call ends with the device done."""
    work()
    wait()
    times, cpu, begin = [], time.process_time(), time.perf_counter()
    while len(times) < least or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        work()
        wait()
        times.append((time.perf_counter() - start) * 1000)
    return times, (time.process_time() - cpu) * 1000 / len(times)


def spread(times, calls=1):
    ordered = sorted(times)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))] / calls
    return {"ms": statistics.median(ordered) / calls, "low": at(0.1), "high": at(0.9), "runs": len(times) * calls}


def ceilings(seconds):
    size, edge = (1 << 28, 4096) if device == "cuda" else (1 << 22, 256)
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)

    def copies():
        for _ in range(AHEAD):
            target.copy_(source)

    times, _ = timed(copies, seconds)
    say(what="copy", engine="torch", variant="eager", bytes=size,
        gbPerSecond=2 * size * AHEAD / statistics.median(times) / 1e6)
    a, b = (torch.randn(edge, edge, device=device) for _ in range(2))
    for tf32 in (False, True):
        rounding(tf32)
        times, _ = timed(lambda: a @ b, seconds)
        say(what="matmul", engine="torch", variant="tf32" if tf32 else "float32", edge=edge,
            tflops=2 * edge**3 / statistics.median(times) / 1e9)


def stepper(training, variant):
    """A function that takes one step and returns its loss, on the device."""
    parameters = training.parameters
    loss_of = training.loss
    if variant == "compile":
        loss_of = torch.compile(loss_of, mode="reduce-overhead")
        training.compiles()
    foreach = hasattr(torch, "_foreach_norm")
    # What the graphs of the step before have left in their memory may be overwritten.
    begin = torch.compiler.cudagraph_mark_step_begin if variant == "compile" else lambda: None

    def step():
        begin()
        loss = loss_of()
        gradients = list(torch.autograd.grad(loss, parameters))
        with torch.no_grad():
            training.after_backward()
            if foreach:
                if training.weight_decay:
                    torch._foreach_add_(gradients, parameters, alpha=training.weight_decay)
                norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            else:
                norm = torch.sqrt(sum((g * g).sum() for g in gradients))
            scale = torch.clamp(training.clip / (norm + 1e-10), max=training.learning_rate)
            if foreach:
                torch._foreach_sub_(parameters, torch._foreach_mul(gradients, scale))
            else:
                for parameter, gradient in zip(parameters, gradients):
                    parameter.sub_(gradient * scale)
        return loss.detach()

    if variant != "graph":
        return step
    if device != "cuda":
        raise RuntimeError("CUDA graphs need CUDA")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # warms up as PyTorch's notes on CUDA graphs ask for
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replay():
        graph.replay()
        return loss

    return replay


def told(error):
    """An error in a line; the compiler's first says no more than that it is its own."""
    lines = [each.strip() for each in str(error).split("\n") if each.strip()]
    return " ".join(lines[:2] if lines and lines[0].endswith("raised:") else lines[:1])[:200] or type(error).__name__


def steps(seconds, model, batches, variants):
    from networks import training_of

    began = BEGAN  # the first step of the process counts from its start
    for batch in batches:
        for name in variants:
            variant, *modes = name.split("-")
            rounding("tf32" in modes)
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            say(what="doing", text=f"{model}, batch {batch}, {name}")
            line = {"what": "step", "engine": "torch", "model": model, "batch": batch, "variant": name}
            try:
                start, began = began or time.time(), None
                training = training_of(model, batch, "channels-last" if "nhwc" in modes else "contiguous", device)
                step = stepper(training, variant)

                def chunk():
                    for _ in range(AHEAD):
                        training.draw()
                        loss = step()
                    return loss.item()

                training.draw()
                step().item()
                first = time.time() - start
                if variant == "compile":
                    chunk()
                times, cpu = timed(chunk, seconds)
                memory = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else (
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
                say(**line, **spread(times, AHEAD), cpuMs=cpu / AHEAD, memoryMB=memory, firstStepS=first,
                    samples=training.samples)
            except Exception as error:  # what does not work is part of the result
                say(**line, error=told(error))
            finally:
                training = step = None
                if device == "cuda":
                    torch.cuda.empty_cache()


what, device, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
torch.backends.cudnn.benchmark = True
say(what="versions", engine="torch", torch=torch.__version__, cuda=torch.version.cuda,
    card=torch.cuda.get_device_name() if device == "cuda" else "cpu")
if what == "ceilings":
    ceilings(seconds)
else:
    steps(seconds, sys.argv[4], list(map(int, sys.argv[5].split(","))), sys.argv[6].split(","))
