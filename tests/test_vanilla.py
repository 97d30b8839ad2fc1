"""The vanilla twin's counts, against the table that was worked out by hand from the published sizes."""

import pytest

from evsim.auditing.vanilla import TransformerSize, vanilla_transformer_macs
from evsim.errors import NetworkError


def imagenet(n_channels, depth):
    return vanilla_transformer_macs(TransformerSize(224, 224, 3, n_channels, depth, n_classes=1000))


def millions(macs, layer):
    return round(macs[layer] / 1e6, 2)


STEM = ("patch_embed.proj_conv1", "patch_embed.proj_conv2", "patch_embed.proj_conv3")


@pytest.mark.parametrize(
    ("n_channels", "first", "stem", "rpe", "qkv", "proj", "fc"),
    [
        (384, 65.03, 520.22, 260.11, 86.70, 28.90, 115.61),
        (512, 86.70, 924.84, 462.42, 154.14, 51.38, 205.52),
        (768, 130.06, 2080.90, 1040.45, 346.82, 115.61, 462.42),
    ],
)
def test_each_layer_of_an_imagenet_transformer(n_channels, first, stem, rpe, qkv, proj, fc):
    macs = imagenet(n_channels, 1)
    assert millions(macs, "patch_embed.proj_conv") == first
    assert {millions(macs, layer) for layer in STEM} == {stem}
    assert millions(macs, "patch_embed.rpe_conv") == rpe
    assert millions(macs, "block.0.attn.qkv") == qkv
    assert millions(macs, "block.0.attn.proj") == proj
    assert millions(macs, "block.0.mlp.fc1") == millions(macs, "block.0.mlp.fc2") == fc


@pytest.mark.parametrize(
    ("n_channels", "depth", "total"), [(384, 8, 4660), (512, 6, 7023), (512, 8, 8256), (512, 10, 9489), (768, 8, 18511)]
)
def test_the_sum_without_attention_products_and_head(n_channels, depth, total):
    macs = imagenet(n_channels, depth)
    left_out = ("scores", "mix", "head")
    assert round(sum(n for layer, n in macs.items() if not layer.endswith(left_out)) / 1e6) == total


def test_attention_products_and_head():
    macs = imagenet(384, 8)  # 14 x 14 = 196 tokens
    assert macs["block.7.attn.scores"] == macs["block.7.attn.mix"] == 196 * 196 * 384 == 14_751_744
    assert macs["head"] == 384 * 1000
    attention = sum(macs[f"block.0.attn.{part}"] for part in ("qkv", "scores", "mix", "proj"))
    assert round(4.6 * attention / 1e8, 3) == 6.675  # pJ of one block, as published for 8-384


def test_every_layer_once_in_order():
    macs = imagenet(384, 2)
    assert list(macs)[:5] == ["patch_embed.proj_conv", *STEM, "patch_embed.rpe_conv"]
    assert list(macs)[-1] == "head"
    assert len(macs) == 5 + 2 * 6 + 1


def test_pooling_decides_where_convolutions_run():
    size = TransformerSize(33, 32, 2, 16, 1, n_classes=10, mlp_ratio=2, pooling_stat="0011")
    macs = vanilla_transformer_macs(size)
    assert macs["patch_embed.proj_conv"] == 9 * 33 * 32 * 2 * 2
    assert macs["patch_embed.proj_conv2"] == 9 * 33 * 32 * 4 * 8
    assert macs["patch_embed.proj_conv3"] == 9 * 17 * 16 * 8 * 16
    assert macs["patch_embed.rpe_conv"] == 9 * 9 * 8 * 16 * 16
    assert macs["block.0.mlp.fc1"] == 2 * 72 * 16 * 16


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"n_channels": 12}, {"pooling_stat": "11"}, {"pooling_stat": "0012"}])
def test_sizes_that_are_none_are_refused(wrong):
    sizes = {"height": 32, "width": 32, "in_channels": 3, "n_channels": 64, "depth": 2, "n_classes": 10}
    with pytest.raises(NetworkError, match="vanilla transformer"):
        TransformerSize(**sizes | wrong)
