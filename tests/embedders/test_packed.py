"""The unpadded runtime's parts, each against PyTorch or against plain arithmetic in float64."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from embedders import UnsupportedChoice, load
from embedders.alphabet import encode, encode_joined
from embedders.runtimes import Placement
from embedders.runtimes.packed import attention, kernel
from embedders.runtimes.packed.kernel import Kernel, KernelMissing, open_kernel
from embedders.runtimes.packed.linear import OneDnnLinear, PlainLinear, linear_kind
from embedders.runtimes.packed.packing import POOLED, mean_over_windows, pack

CPU = torch.device("cpu")
PROTEINS = st.lists(
    st.text("ACDEFGHIKLMNPQRSTVWY", min_size=1, max_size=50), min_size=1, max_size=6
)
HEAD_WIDTHS = (2, 16, 24, 32, 64, 128)
"""Those of ESM-2 are 16 (8M), 24, 32, 64 and 128 (15B); the minis have 32 and 16."""


@pytest.fixture(scope="module")
def native() -> Kernel:
    """The compiled kernel. Only a machine without a compiler may have none, and says so."""
    try:
        kernel._find_compiler()
    except KernelMissing as missing:
        pytest.skip(str(missing))
    return open_kernel()


def _turned(x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """RoFormer's turn in float64, written with complex numbers: pairs are (i, i + d / 2)."""
    half = x.shape[-1] // 2
    angles = positions[:, None, None].double() * 10_000.0 ** (-torch.arange(half) / half)
    turned = torch.complex(x[..., :half], x[..., half:]) * torch.polar(
        torch.ones_like(angles), angles
    )
    return torch.cat((turned.real, turned.imag), dim=-1)


def _reference(qkv: torch.Tensor, lengths: tuple[int, ...], heads: int) -> torch.Tensor:
    """Attention by its formula in float64, one sequence after the other."""
    found = []
    for part in torch.split(qkv.double(), list(lengths)):
        query, key, value = part.view(len(part), 3, heads, -1).unbind(1)
        positions = torch.arange(len(part))
        query, key = _turned(query, positions), _turned(key, positions)
        scores = torch.einsum("qhd,khd->hqk", query, key) / math.sqrt(query.shape[-1])
        found.append(torch.einsum("hqk,khd->qhd", scores.softmax(-1), value).flatten(1))
    return torch.cat(found)


def _run(
    implementation: attention.Attention, qkv: torch.Tensor, lengths: tuple[int, ...], heads: int
) -> torch.Tensor:
    packing = pack(["A" * (length - 2) for length in lengths], 1024, CPU)
    half = qkv.shape[1] // heads // 6
    frequencies = 10_000.0 ** (-torch.arange(half).float() / half)
    tables = implementation.tables(packing, frequencies)
    return implementation(qkv, packing, heads, tables)


def _draw(lengths: tuple[int, ...], heads: int, width: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(lengths) + width)
    return torch.randn((sum(lengths), 3 * heads * width), generator=generator) * scale


@pytest.mark.parametrize("width", HEAD_WIDTHS)
@pytest.mark.parametrize("lengths", [(3,), (16, 17, 8), (100, 3, 33), (1026, 5)], ids=str)
@pytest.mark.parametrize("name", ["native", "sdpa"])
def test_attention_is_the_formula_in_float64(
    native: Kernel, name: str, lengths: tuple[int, ...], width: int
) -> None:
    chosen = attention.NativeAttention(native) if name == "native" else attention.SdpaAttention()
    qkv = _draw(lengths, heads=3, width=width)
    expected = _reference(qkv, lengths, heads=3)
    # float32 angles near 1,000 radians are good to 6e-5
    torch.testing.assert_close(
        _run(chosen, qkv, lengths, 3).double(), expected, atol=2e-5, rtol=2e-5
    )
    half = qkv.bfloat16()
    found = _run(chosen, half, lengths, 3).double()
    reference = _reference(half.float(), lengths, heads=3)
    # bfloat16 keeps 8 bits: of the turned rows, of the weights and of the result
    assert (found - reference).norm() <= 2**-7 * reference.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_kernel_survives_scores_that_overflow_an_exponential(
    native: Kernel, dtype: torch.dtype
) -> None:
    qkv = _draw((40,), heads=2, width=16, scale=60.0).to(dtype)
    found = _run(attention.NativeAttention(native), qkv, (40,), 2).double()
    assert torch.isfinite(found).all()
    largest = qkv.double()[:, 2 * 32 :].abs().max()
    assert found.abs().max() <= largest  # a mean with weights that sum to 1


def test_a_nan_stays_in_its_own_sequence(native: Kernel) -> None:
    qkv = _draw((20, 20), heads=2, width=16)
    qkv[3, 5] = math.nan
    for dtype in (torch.float32, torch.bfloat16):
        found = _run(attention.NativeAttention(native), qkv.to(dtype), (20, 20), 2)
        assert torch.isnan(found[:20]).any()
        assert torch.isfinite(found[20:]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_mates_change_not_one_bit_of_attention(native: Kernel, dtype: torch.dtype) -> None:
    lengths = (50, 7, 130)
    qkv = _draw(lengths, heads=4, width=16).to(dtype)
    chosen = attention.NativeAttention(native)
    together = _run(chosen, qkv, lengths, 4)
    alone = [_run(chosen, part, (len(part),), 4) for part in torch.split(qkv, list(lengths))]
    assert torch.equal(together, torch.cat(alone))


def test_the_kernel_refuses_what_it_would_not_survive(native: Kernel) -> None:
    qkv, starts = _draw((8,), 1, 16), torch.tensor([0, 8], dtype=torch.int32)
    tables = torch.ones((8, 8)), torch.zeros((8, 8))
    bad: list[tuple[torch.Tensor, torch.Tensor, int, torch.Tensor, torch.Tensor]] = [
        (qkv, torch.tensor([0, 9], dtype=torch.int32), 1, *tables),
        (qkv, torch.tensor([1, 8], dtype=torch.int32), 1, *tables),
        (qkv, torch.tensor([0, 9, 8], dtype=torch.int32), 1, *tables),
        (qkv, starts.long(), 1, *tables),
        (qkv, starts, 5, *tables),
        (qkv, starts, 1, tables[0][:7], tables[1]),
        (qkv, starts, 1, tables[0].double(), tables[1]),
    ]
    for arguments in bad:
        with pytest.raises(ValueError, match="do not fit"):
            native.attend(*arguments)


@given(PROTEINS)
def test_packed_tokens_are_those_of_each_sequence_by_itself(sequences: list[str]) -> None:
    tokens, lengths = encode_joined(sequences)
    assert tokens.tolist() == torch.cat([encode(each) for each in sequences]).tolist()
    assert lengths.tolist() == [len(each) for each in sequences]


@given(PROTEINS, st.integers(1, 60))
@settings(deadline=None)
def test_pooling_is_the_mean_over_each_window(sequences: list[str], window: int) -> None:
    packing = pack(sequences, window, CPU)
    hidden = torch.randn((len(packing.tokens), 5), generator=torch.Generator().manual_seed(1))
    expected = []
    first = 0
    for sequence in sequences:
        taken = hidden[first + 1 : first + 1 + min(len(sequence), window)]
        expected.append(taken.double().mean(dim=0))
        first += len(sequence) + 2
    found = mean_over_windows(hidden, packing)
    torch.testing.assert_close(found.double(), torch.stack(expected), atol=1e-6, rtol=1e-5)
    # the form for a GPU, which is an operator of the CPU as well
    on_cuda = torch.segment_reduce(hidden, "mean", lengths=packing.stretches, axis=0, unsafe=True)[
        POOLED::3
    ]
    torch.testing.assert_close(found, on_cuda, atol=1e-6, rtol=1e-5)


@given(PROTEINS)
def test_every_sequence_counts_its_positions_from_zero(sequences: list[str]) -> None:
    packing = pack(sequences, 1024, CPU)
    expected = [place for each in sequences for place in range(len(each) + 2)]
    assert packing.positions.tolist() == expected
    ends = torch.tensor([len(each) + 2 for each in sequences]).cumsum(0).tolist()
    assert packing.starts.tolist() == [0, *ends]
    assert packing.longest == max(map(len, sequences)) + 2


@pytest.fixture(params=[PlainLinear, OneDnnLinear])
def linear(request: pytest.FixtureRequest) -> type[PlainLinear | OneDnnLinear]:
    if request.param is OneDnnLinear and linear_kind(CPU, torch.bfloat16) is PlainLinear:
        pytest.skip("this processor or this torch has no bfloat16 in oneDNN")
    chosen: type[PlainLinear | OneDnnLinear] = request.param
    return chosen


def test_fused_layers_are_the_plain_formulae(linear: type[PlainLinear | OneDnnLinear]) -> None:
    generator = torch.Generator().manual_seed(2)
    x, weight, bias, residual = (
        torch.randn(shape, generator=generator).bfloat16()
        for shape in ((37, 64), (48, 64), (48,), (37, 48))
    )
    layer = linear(weight, bias)
    exact = x.double() @ weight.double().T + bias.double()
    gelu = 0.5 * exact * (1 + torch.special.erf(exact / math.sqrt(2)))
    for found, expected in (
        (layer(x), exact),
        (layer.gelu(x), gelu),
        (layer.add(x, residual), exact + residual.double()),
    ):
        assert (found.double() - expected).norm() <= 2**-8 * expected.norm()


def test_float32_keeps_to_pytorch_s_own_linear_layer() -> None:
    assert linear_kind(CPU, torch.float32) is PlainLinear


def _choose(name: str | None, dtype: torch.dtype = torch.float32, device: str = "cpu") -> str:
    return attention.choose_attention(Placement(torch.device(device), dtype, name)).name


def test_a_cpu_takes_the_kernel_unless_told_otherwise(native: Kernel) -> None:
    del native
    assert _choose(None) == "native"
    assert _choose("sdpa") == "sdpa"


@pytest.mark.parametrize(
    ("name", "dtype", "device", "said"),
    [
        ("varlen", torch.bfloat16, "cpu", "needs a CUDA device"),
        ("varlen", torch.float32, "cuda", "bfloat16 or float16"),
        ("native", torch.bfloat16, "cuda", "a CPU kernel"),
    ],
)
def test_an_attention_that_cannot_work_is_refused(
    name: str, dtype: torch.dtype, device: str, said: str
) -> None:
    with pytest.raises(UnsupportedChoice, match=said):
        _choose(name, dtype, device)


def test_cuda_takes_the_variable_length_kernel_in_half_precision() -> None:
    assert _choose(None, torch.bfloat16, "cuda") == "varlen"
    assert _choose(None, torch.float32, "cuda") == "sdpa"


def test_the_variable_length_call_is_that_of_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the CUDA kernel by the formula, with the arguments of torch's signature."""

    def varlen_attn(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        cu_seq_q: torch.Tensor,
        cu_seq_k: torch.Tensor,
        max_q: int,
        max_k: int,
        *,
        num_splits: int | None = None,
    ) -> torch.Tensor:
        assert num_splits == 1
        assert torch.equal(cu_seq_q, cu_seq_k)
        assert cu_seq_q.dtype == torch.int32
        sizes = cu_seq_q.diff().tolist()
        assert max_q == max_k == max(sizes)
        parts = zip(*(torch.split(each, sizes) for each in (query, key, value)), strict=True)
        return torch.cat(
            [
                F.scaled_dot_product_attention(*(each.transpose(0, 1) for each in part)).transpose(
                    0, 1
                )
                for part in parts
            ]
        )

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", varlen_attn)
    attention._varlen.cache_clear()
    qkv = _draw((20, 5), heads=2, width=16)
    found = _run(attention.VarlenAttention(), qkv, (20, 5), 2)
    attention._varlen.cache_clear()
    expected = _reference(qkv, (20, 5), 2)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.fixture
def no_kernel_yet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty cache folder; the real kernel comes back afterwards."""
    monkeypatch.setenv("EMBEDDER_MIGRATION_CACHE", str(tmp_path))
    kernel.open_kernel.cache_clear()
    yield tmp_path
    kernel.open_kernel.cache_clear()


def test_without_a_compiler_the_choice_is_told_and_recorded(
    monkeypatch: pytest.MonkeyPatch, no_kernel_yet: Path
) -> None:
    del no_kernel_yet
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.warns(RuntimeWarning, match=r"'sdpa' is used.*no C\+\+ compiler.*install g\+\+"):
        embedder = load("mini-candidate", runtime="packed", device="cpu")
    assert embedder.spec.attention == "sdpa"
    with pytest.raises(UnsupportedChoice, match="no C\\+\\+ compiler"):
        load("mini-candidate", runtime="packed", attention="native", device="cpu")


def test_a_compiler_that_fails_is_quoted(
    monkeypatch: pytest.MonkeyPatch, no_kernel_yet: Path
) -> None:
    broken = no_kernel_yet / "g++"
    broken.write_text(
        "#!/bin/sh\n[ $1 = --version ] && exit 0\n"
        "echo 'x.cpp:1: error: no such thing' >&2\nexit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(KernelMissing, match="error: no such thing"):
        open_kernel()


def test_a_kernel_that_computes_something_else_is_refused(
    native: Kernel, no_kernel_yet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del native, no_kernel_yet
    honest = Kernel.attend

    def wrong(self: Kernel, *arguments: torch.Tensor) -> torch.Tensor:
        call: Callable[..., torch.Tensor] = honest
        return call(self, *arguments) * 1.001

    monkeypatch.setattr(Kernel, "attend", wrong)
    with pytest.raises(KernelMissing, match="computes something else"):
        open_kernel()


def test_a_compiled_kernel_is_found_again(
    native: Kernel, no_kernel_yet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del native
    open_kernel()
    made = list((no_kernel_yet / "kernels").iterdir())
    assert [each.suffix for each in made] == [".so"]
    kernel.open_kernel.cache_clear()

    def compile_again(*_: object) -> None:
        raise AssertionError("compiled twice")

    monkeypatch.setattr(kernel, "_compile", compile_again)
    open_kernel()


def test_the_kernel_shares_torch_s_threads(native: Kernel) -> None:
    """A second OpenMP library would bring a second pool, and the two would fight for the cores."""
    del native
    script = (
        "from pathlib import Path\n"
        "from embedders.runtimes.packed.kernel import open_kernel\n"
        "open_kernel()\n"
        "lines = Path('/proc/self/maps').read_text().splitlines()\n"
        "libraries = {each.split()[-1] for each in lines if 'libgomp' in each}\n"
        "assert len(libraries) <= 1, libraries\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)


def test_the_source_compiles_without_warnings(native: Kernel, tmp_path: Path) -> None:
    del native
    command = [kernel._find_compiler(), *kernel.OPTIONS, "-Wall", "-Wextra", "-Werror"]
    command.append("-Wno-maybe-uninitialized")  # of the compiler's own headers
    subprocess.run([*command, str(kernel.SOURCE), "-o", str(tmp_path / "k.so")], check=True)


@pytest.mark.parametrize("options", [("-march=x86-64-v3",), ("-march=x86-64-v4",), ()], ids=str)
def test_processors_without_bfloat16_pairs_have_a_kernel_too(
    native: Kernel, options: tuple[str, ...], tmp_path: Path
) -> None:
    del native
    general = [each for each in kernel.OPTIONS if each != "-march=native"]
    made = tmp_path / "k.so"
    command = [kernel._find_compiler(), *general, *options, str(kernel.SOURCE)]
    subprocess.run([*command, *kernel._openmp_of_torch(), "-o", str(made)], check=True)
    portable = attention.NativeAttention(Kernel(made))
    qkv = _draw((33, 4), heads=2, width=24)
    expected = _reference(qkv, (33, 4), 2)
    torch.testing.assert_close(
        _run(portable, qkv, (33, 4), 2).double(), expected, atol=1e-5, rtol=1e-5
    )
    found = _run(portable, qkv.bfloat16(), (33, 4), 2).double()
    reference = _reference(qkv.bfloat16().float(), (33, 4), 2)
    assert (found - reference).norm() <= 2**-7 * reference.norm()
