"""What a migration file needs, and whether its choices work together here."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from embedders import RUNTIMES, UnknownName, UnsupportedChoice
from embedders.runtimes.packed import attention
from embedders.runtimes.packed.kernel import KernelMissing
from harness.doctor import Status, trial
from harness.doctor.data import examine as examine_data
from harness.doctor.needs import Need, cuda_reasons, examine_gates, intended_device, needs_of
from harness.doctor.storage import Amount
from harness.spec import Dna, MigrationSpec, read_spec
from tests.harness.doctor.conftest import DEMO, REAL


@pytest.fixture
def demo() -> MigrationSpec:
    return read_spec(DEMO)


@pytest.fixture
def real() -> MigrationSpec:
    return read_spec(REAL)


def test_both_arms_are_needed_with_every_choice_filled_in(demo: MigrationSpec) -> None:
    bare = replace(demo, baseline=replace(demo.baseline, runtime=None, weights=None, dtype=None))
    baseline, candidate = needs_of(bare)
    assert (baseline.part, baseline.runtime, baseline.weights, baseline.dtype) == (
        *("baseline", "fair-esm", "mini", "float32"),
    )
    assert (candidate.part, candidate.dtype, candidate.device.type) == (
        *("candidate", "bfloat16"),
        "cuda" if torch.cuda.is_available() else "cpu",
    )


def test_kmers_need_nothing_and_a_dna_model_needs_its_weights(demo: MigrationSpec) -> None:
    assert [need.part for need in needs_of(demo)] == ["baseline", "candidate"]
    with_model = replace(demo, dna=Dna("dnabert-s"))
    last = needs_of(with_model)[-1]
    assert (last.part, last.weights, last.runtime) == ("dna", "hub", "huggingface")
    proteins_only = tuple(replace(each, nucleotides=None) for each in with_model.datasets)
    assert len(needs_of(replace(with_model, datasets=proteins_only))) == 2


def test_an_embedder_that_is_in_no_table_is_refused(demo: MigrationSpec) -> None:
    with pytest.raises(UnknownName, match="did you mean"):
        needs_of(replace(demo, baseline=replace(demo.baseline, embedder="mini-basline")))


def test_a_device_may_be_asked_for_that_is_not_there() -> None:
    assert intended_device("cuda:97") == torch.device("cuda:97")
    assert intended_device("cpu") == torch.device("cpu")
    with pytest.raises(UnsupportedChoice, match="tpu"):
        intended_device("tpu")


def test_a_device_and_a_gate_on_its_memory_ask_for_cuda(
    demo: MigrationSpec, real: MigrationSpec
) -> None:
    assert cuda_reasons(demo) == []
    assert cuda_reasons(real) == ["gates.device_memory_at_most"]
    assert cuda_reasons(demo.with_overrides(device="cuda:1")) == ["embedding.device = 'cuda:1'"]


def test_a_gate_on_device_memory_is_never_measured_on_the_cpu(real: MigrationSpec) -> None:
    assert examine_gates(real) == []
    (finding,) = examine_gates(real.with_overrides(device="cpu"))
    assert finding.status is Status.MISSING


def test_every_runtime_embeds_here() -> None:
    finding = trial.examine_runtimes()
    assert finding.status is Status.OK
    assert set(finding.details) == set(RUNTIMES)


def test_a_library_that_cannot_be_imported_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "esm", None)
    finding = trial.examine_runtimes()
    assert finding.status is Status.NOTE
    assert "import of esm" in finding.found
    assert "these embed: huggingface" in finding.found
    assert "fair-esm" in finding.remedy


def test_a_missing_compiler_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise KernelMissing("there is no C++ compiler")

    monkeypatch.setattr(attention, "open_kernel", missing)
    finding = trial.examine_kernel()
    assert finding.status is Status.NOTE
    assert "no C++ compiler" in finding.found
    assert "g++" in finding.remedy


def test_the_kernel_that_works_is_told() -> None:
    assert trial.examine_kernel().status is Status.OK or not shutil.which("g++")


def baseline(spec: MigrationSpec, **choices: str | bool | None) -> Need:
    chosen = replace(spec.baseline, **choices)  # type: ignore[arg-type]
    return needs_of(replace(spec, baseline=chosen).with_overrides(device="cpu"))[0]


@pytest.mark.parametrize(
    ("choices", "fault"),
    [
        ({"dtype": "float16"}, "float16 on a CPU"),
        ({"dtype": "float8"}, "unknown dtype 'float8'"),
        ({"runtime": "fair_esm"}, "did you mean fair-esm"),
        ({"attention": "sdpa"}, "one attention of its own"),
        ({"runtime": "huggingface", "attention": "flash_attention_2"}, "a CUDA device"),
        ({"weights": "hub", "remote_code": True}, "named commit"),
    ],
)
def test_choices_that_do_not_go_together_are_missing_with_the_table_to_mend(
    demo: MigrationSpec, choices: dict[str, str | bool | None], fault: str
) -> None:
    finding = trial.examine_choices(baseline(demo, **choices), there=True)
    assert finding.status is Status.MISSING
    assert fault in finding.found
    assert "[baseline]" in finding.remedy


def test_float16_on_a_cpu_has_bfloat16_as_its_remedy(demo: MigrationSpec) -> None:
    finding = trial.examine_choices(baseline(demo, dtype="float16"), there=True)
    assert 'dtype = "bfloat16"' in finding.remedy


def test_choices_that_work_are_ok_and_named(demo: MigrationSpec) -> None:
    finding = trial.examine_choices(baseline(demo), there=True)
    assert finding.status is Status.OK
    assert finding.found == "mini-baseline on fair-esm, float32, cpu"


def test_nothing_is_tried_on_a_device_that_is_not_there(
    demo: MigrationSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise AssertionError("it was tried")

    monkeypatch.setattr(trial, "try_out", refuse)
    (need, _) = needs_of(demo.with_overrides(device="cuda:97"))
    finding = trial.examine_choices(replace(need, dtype="float16"), there=False)
    assert finding.status is Status.NOTE  # float16 is fine on a GPU; that it is gone is told apart


def test_data_sets_are_counted(demo: MigrationSpec) -> None:
    row = needs_of(replace(demo, dna=Dna("dnabert-s")))[-1].checkpoint
    finding, amounts = examine_data(demo, row)
    assert finding.status is Status.OK
    # the data sets' own attribution pages and labels: 2,002 contigs' frames, 1,720 proteins
    assert amounts == [Amount(2002, 768), Amount(1720)]


def test_a_number_of_sequences_spares_the_counting(
    demo: MigrationSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr("harness.doctor.data.survey_fasta", refuse)
    row = needs_of(demo)[0].checkpoint
    _, amounts = examine_data(demo, row, 77)
    assert amounts == [Amount(77, row.width)]


def test_a_data_set_that_is_no_fasta_is_missing(demo: MigrationSpec, tmp_path: Path) -> None:
    broken = tmp_path / "broken.faa"
    broken.write_text("no title\n", encoding="ascii")
    datasets = (replace(demo.datasets[0], proteins=broken), demo.datasets[1])
    finding, amounts = examine_data(replace(demo, datasets=datasets), needs_of(demo)[0].checkpoint)
    assert finding.status is Status.MISSING
    assert str(broken) in finding.found
    assert amounts == [Amount(1720)]
