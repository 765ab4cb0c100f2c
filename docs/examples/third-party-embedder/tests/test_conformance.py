"""Everything that embedder-migration asks of an embedder, asked of ours."""

from typing import ClassVar

from embedders.conformance import EmbedderConformance


class TestConvolution(EmbedderConformance):
    """As it is loaded by default."""

    name = "acme-convolution"


class TestReference(EmbedderConformance):
    """Its second runtime keeps the same promises."""

    name = "acme-convolution"
    options: ClassVar = {"runtime": "reference"}


class TestHalfPrecision(EmbedderConformance):
    """With other weights, in bfloat16."""

    name = "acme-convolution"
    options: ClassVar = {"dtype": "bfloat16", "weights": "random:3"}
