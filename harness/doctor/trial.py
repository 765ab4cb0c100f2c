"""Whether the runtimes compute here: each embeds one short protein with the smallest weights."""

from __future__ import annotations

import torch

from embedders import CHECKPOINTS, RUNTIMES, Checkpoint, InputError, load
from embedders.checkpoints import Family
from embedders.placement import choose_dtype
from harness.doctor.finding import Finding, Status, fine, lacking
from harness.doctor.needs import Need

PROTEIN = "MKTAYIAKQR"


def smallest() -> Checkpoint:
    """Return the bundled checkpoint with the fewest parameters."""
    bundled = [row for row in CHECKPOINTS.values() if row.bundled is not None]
    return min(bundled, key=lambda row: row.parameters)


def try_out(
    runtime: str, *, device: str = "cpu", dtype: str = "float32", attention: str | None = None
) -> str:
    """Embed one protein with these choices.

    Returns
    -------
    str
        Nothing if that went well, else what stands in the way: choices that do not go together,
        a library that is installed but cannot be imported, or a device that does not compute.
    """
    try:
        load(
            smallest().name, runtime=runtime, device=device, dtype=dtype, attention=attention
        ).embed([PROTEIN])
    except (InputError, ImportError, OSError, RuntimeError) as error:
        return str(error).partition("\n")[0] or type(error).__name__
    return ""


def examine_runtimes() -> Finding:
    """Say which runtimes compute on this machine's CPU."""
    faults = {name: try_out(name) for name in RUNTIMES}
    details: dict[str, object] = dict(faults)
    broken = [f"{name}: {fault}" for name, fault in faults.items() if fault]
    working = ", ".join(name for name, fault in faults.items() if not fault)
    if broken:
        distributions = {each for name in RUNTIMES for each in RUNTIMES[name].distributions}
        return lacking(
            "runtimes",
            "; ".join(broken) + (f"; these embed: {working}" if working else ""),
            f"install again: {', '.join(sorted(distributions))}",
            needed=False,
            details=details,
        )
    return fine("runtimes", f"{working} embed with {smallest().name} on the CPU", details=details)


def examine_kernel() -> Finding:
    """Say whether the fastest attention of the CPU can be built here."""
    fault = try_out("packed", attention="native")
    if fault:
        return lacking(
            "kernel", fault, "install g++, or let packed attend by sdpa on a CPU", needed=False
        )
    return fine("kernel", "packed attends by its own kernel on the CPU")


def examine_choices(need: Need, *, there: bool) -> Finding:
    """Say whether an embedder's runtime, device, dtype and attention work together here.

    Parameters
    ----------
    there
        Whether the device exists; if not, nothing can be tried on it.
    """
    name = need.checkpoint.name
    details = {
        "embedder": name,
        "runtime": need.runtime,
        "weights": need.weights,
        "dtype": need.dtype,
        "device": str(need.device),
    }
    chosen = f"{name} on {need.runtime}, {need.dtype}, {need.device}"
    fault, remedy = _fault(need, there=there)
    if fault:
        return lacking(need.part, fault, remedy, needed=True, details=details)
    if not there:
        remedy = f"mend CUDA first; {need.device} is not there to be tried"
        return Finding(need.part, Status.NOTE, True, f"{chosen}: not tried", remedy, details)
    return fine(need.part, chosen, needed=True, details=details)


def _fault(need: Need, *, there: bool) -> tuple[str, str]:
    """Return what is wrong with an embedder's choices and what to do; nothing twice if nothing."""
    table = f"[{need.part}]"
    if need.dtype == "float16" and need.device.type == "cpu":
        fault = f"{need.checkpoint.name} in float16 on a CPU, where its products are emulated"
        return fault, f'set dtype = "bfloat16" in {table}'
    if need.remote_code and need.from_hub and need.revision is None:
        return "remote code from the hub runs at a named commit only", f"set revision in {table}"
    try:
        choose_dtype(need.dtype, torch.device(need.device.type))
    except InputError as error:
        return str(error), f"change dtype in {table}"
    if need.checkpoint.family is not Family.ESM2 or not there:
        return "", ""
    fault = try_out(
        need.runtime, device=str(need.device), dtype=need.dtype, attention=need.attention
    )
    return fault, f"change {table}, or install what is missing" if fault else ""
