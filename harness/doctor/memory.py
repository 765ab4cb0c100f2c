"""What each checkpoint takes in memory, against what is free on the host and on the device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from embedders import CHECKPOINTS, WINDOW_RESIDUES, Checkpoint, Family, Modality
from embedders.families import adapter_of
from harness.doctor.control_group import Limits
from harness.doctor.finding import Finding, Status, fine, lacking
from harness.doctor.graphics import Graphics
from harness.doctor.needs import Need
from harness.doctor.sizes import size

BYTES_PER_VALUE = {"float32": 4, "bfloat16": 2, "float16": 2}
HALF = "bfloat16"
HOST = "the host"
BATCH_TOKENS = 4096
"""Tokens of the batch whose activations are given where no migration file says another."""

_LONGEST_TOKENS = WINDOW_RESIDUES + 2


def parameters_of(row: Checkpoint, layers: int | None = None) -> int:
    """Return how many numbers an encoder has learnt, cut to ``layers`` if given."""
    return row.parameters if layers is None else adapter_of(row).parameters(row, layers)


def activation_bytes(row: Checkpoint, tokens: int, dtype: str, *, fused: bool) -> int:
    """Return about the most that one batch of an ESM-2 takes beside the weights; else 0: not known.

    In the feed-forward block, four times as wide as the model, the exact GELU
    ``x / 2 · (1 + erf(x / √2))`` as ESM writes it has five tensors alive at once: 5 · 4 · width
    values per token, and these are the peak where attention is fused. Where it is not, it has
    scores and their softmax alive, both float32, one value per head, token and token of the same
    sequence (here of full length), beside some eight tensors as wide as the model.

    Parameters
    ----------
    tokens
        Tokens of the batch, padding included.
    fused
        Whether attention never writes its scores out (SDPA, FlashAttention).
    """
    if row.family is not Family.ESM2:
        return 0
    value = BYTES_PER_VALUE[dtype]
    feed_forward = 5 * 4 * row.width * tokens * value
    if fused:
        return feed_forward
    scores = 2 * row.heads * tokens * min(tokens, _LONGEST_TOKENS) * BYTES_PER_VALUE["float32"]
    return max(feed_forward, scores + 8 * row.width * tokens * value)


def host_free_bytes(available: int, limits: Limits) -> int:
    """Return what this process may still take: of the machine, and of its control group."""
    if limits.memory_free_bytes is None:
        return available
    return min(available, limits.memory_free_bytes)


def examine_host(free: int, total: int, limits: Limits) -> Finding:
    """Say which checkpoints' weights fit into the host's memory, in float32 and in half of it."""
    of = size(total)
    if limits.memory_bytes is not None:
        of = f"the control group's {size(limits.memory_bytes)}"
    found, details = _what_fits(free, f"{size(free)} free of {of}")
    details |= {"total_bytes": total, "limit_bytes": limits.memory_bytes}
    return fine("host memory", found, details=details)


def examine_devices(graphics: Graphics) -> list[Finding]:
    """Say which checkpoints' weights fit into each device's memory."""
    findings = []
    for gpu in graphics.gpus:
        found, details = _what_fits(gpu.free_bytes, f"{size(gpu.free_bytes)} free")
        findings.append(fine(f"memory of cuda:{gpu.index}", found, details=details))
    return findings


def examine_needs(needs: Sequence[Need], host_free: int, graphics: Graphics) -> list[Finding]:
    """Say of each embedder, and of both arms together, whether its device has the memory.

    An embedder whose device is not there is left out.
    """
    free = {HOST: host_free} | {f"cuda:{gpu.index}": gpu.free_bytes for gpu in graphics.gpus}
    placed = [(need, _place(need)) for need in needs]
    findings = [_examine_need(need, free[place], place) for need, place in placed if place in free]
    arms = [need for need in needs if need.checkpoint.modality is Modality.PROTEIN]
    if arms and len(findings) == len(needs) and all(each.status is Status.OK for each in findings):
        place = _place(arms[0])
        findings += _examine_run(arms, free[place], place)
    return findings


def _what_fits(free: int, opening: str) -> tuple[str, dict[str, object]]:
    rows = sorted(CHECKPOINTS.values(), key=lambda row: row.parameters)
    rows = [row for row in rows if row.parameters]
    in_full = [row for row in rows if _weights(row, "float32") < free]
    in_half = [row for row in rows if row not in in_full and _weights(row, HALF) < free]
    too_large = [row for row in rows if row not in in_full and row not in in_half]
    sentences = [f"float32 fits up to {_sized(in_full[-1:], 'float32')}"] if in_full else []
    sentences += [f"{HALF} only: {_sized(in_half, HALF)}"] if in_half else []
    sentences += [f"too large: {_sized(too_large, HALF)} in {HALF}"] if too_large else []
    taken = activation_bytes(rows[-1], BATCH_TOKENS, "float32", fused=True)
    sentences.append(f"activations come on top, up to {size(taken)} for {BATCH_TOKENS:,} tokens")
    checkpoints = {
        row.name: {
            "float32_bytes": _weights(row, "float32"),
            "half_bytes": _weights(row, HALF),
            "fits_float32": row in in_full,
            "fits_half": row not in too_large,
        }
        for row in rows
    }
    return f"{opening}; {'; '.join(sentences)}", {"free_bytes": free, "checkpoints": checkpoints}


def _examine_need(need: Need, free: int, place: str) -> Finding:
    subject = f"{need.part} memory"
    weights = _needed(need)
    batch = activation_bytes(
        need.checkpoint, need.tokens_per_batch, _known(need.dtype), fused=_fused(need)
    )
    known = need.checkpoint.family is Family.ESM2
    details = {
        "weights_bytes": weights,
        "activation_bytes": batch if known else None,
        "free_bytes": free,
    }
    found = (
        f"{size(weights)} of weights in {need.dtype} and "
        f"{size(batch) if known else 'what is not known'} for a batch, of {size(free)} free on "
        f"{place}"
    )
    if weights >= free:
        halved = "" if BYTES_PER_VALUE[_known(need.dtype)] == 2 else f'; dtype = "{HALF}" halves it'
        remedy = f"free memory, or use a larger device{halved}"
        return lacking(subject, found, remedy, needed=True, details=details)
    if weights + batch >= free:
        remedy = f"lower tokens_per_batch in [{need.part}]: together they may not fit"
        return Finding(subject, Status.NOTE, True, found, remedy, details)
    return fine(subject, found, needed=True, details=details)


def _examine_run(arms: Sequence[Need], free: int, place: str) -> list[Finding]:
    """Add up what one run holds at once: both arms, and one of them again in float32.

    The parity check loads an arm a second time, in the other library and in float32, while both
    are loaded; the memory measurement does so in its own process, after that.
    """
    again = max(_weights(arm.checkpoint, "float32", arm.layers) for arm in arms)
    whole = sum(map(_needed, arms)) + again
    details = {"weights_bytes": whole, "free_bytes": free}
    found = (
        f"{size(whole)} of weights at once (both arms, one again for parity), "
        f"of {size(free)} free on {place}"
    )
    if whole < free:
        return [fine("memory of a run", found, details=details)]
    remedy = "use a larger device, or run each arm by itself with 'harness embed'"
    return [lacking("memory of a run", found, remedy, needed=False, details=details)]


def _place(need: Need) -> str:
    if need.device.type == "cpu":
        return HOST
    return f"cuda:{need.device.index or 0}"


def _needed(need: Need) -> int:
    return _weights(need.checkpoint, _known(need.dtype), need.layers)


def _known(dtype: str) -> str:
    """Return a dtype's name; one that is in no table is told elsewhere, and counts as float32."""
    return dtype if dtype in BYTES_PER_VALUE else "float32"


def _fused(need: Need) -> bool:
    return need.runtime != "fair-esm" and need.attention != "eager"


def _weights(row: Checkpoint, dtype: str, layers: int | None = None) -> int:
    return parameters_of(row, layers) * BYTES_PER_VALUE[dtype]


def _sized(rows: Iterable[Checkpoint], dtype: str) -> str:
    return ", ".join(f"{row.name} ({size(_weights(row, dtype))})" for row in rows)
