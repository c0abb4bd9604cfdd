// Group norm, attention and their gradients as operations.
#include "attention.h"
#include "group-norm.h"
#include "registrar.h"

namespace {

// Refuses what `group-norm.h` doesn't promise; the result is of use where the call is still ok.
GroupNorm checkedNorm(Call& call, const Call::Input& x, const Call::Input& gain, const Call::Input& offset, int groups, bool silu) {
  call.wantShape(x, {kAny, kAny, kAny, kAny});
  call.wantShape(gain, {kAny, kAny});
  if (!call.ok()) return {};
  const int images = x.size(0), channels = x.size(3), rows = gain.size(0);
  call.wantLanes(channels, "channels");
  call.want(groups > 0 && channels % groups == 0, "groups of equally many channels");
  call.wantFew({images, x.size(1), x.size(2)}, "pixels");
  call.wantFew({images, channels}, "gains");
  call.wantShape(gain, {rows == 1 ? 1 : images, channels});
  call.wantAlike(offset, gain);
  return {images, x.size(1) * x.size(2), channels, groups, rows != 1 || images == 1, silu};
}

template <bool silu>
void groupNorm(Call& call, const Attributes& attributes) {
  const auto x = call.input(0, "x"), gain = call.input(1, "gain"), offset = call.input(2, "offset");
  const GroupNorm norm = checkedNorm(call, x, gain, offset, attributes.count, silu);
  if (!call.ok()) return;
  float* y = call.output(0, {x.size(0), x.size(1), x.size(2), x.size(3)});
  float* mean = call.output(1, {norm.images, norm.groups});
  float* rstd = call.output(2, {norm.images, norm.groups});
  if (call.ok()) normalise(norm, x.data, gain.data, offset.data, y, mean, rstd);
}

template <bool silu>
void groupNormGradient(Call& call, const Attributes& attributes) {
  const auto x = call.input(0, "x"), gain = call.input(1, "gain"), offset = call.input(2, "offset");
  const auto mean = call.input(3, "mean"), rstd = call.input(4, "rstd"), dy = call.input(5, "dy");
  const GroupNorm norm = checkedNorm(call, x, gain, offset, attributes.count, silu);
  call.wantShape(mean, {norm.images, norm.groups});
  call.wantShape(rstd, {norm.images, norm.groups});
  call.wantAlike(dy, x);
  if (!call.ok()) return;
  float* dx = call.output(0, {x.size(0), x.size(1), x.size(2), x.size(3)});
  float* dGain = call.output(1, {gain.size(0), gain.size(1)});
  float* dOffset = call.output(2, {gain.size(0), gain.size(1)});
  if (call.ok()) normaliseGradient(norm, x.data, gain.data, offset.data, mean.data, rstd.data, dy.data, dx, dGain, dOffset);
}

// Refuses what `attention.h` doesn't promise; the result is of use where the call is still ok.
Attention checkedAttention(Call& call, const Call::Input& qkv, const Attributes& attributes) {
  const int heads = attributes.count;
  call.wantShape(qkv, {kAny, kAny, kAny});
  call.want(heads > 0, "one head at least");
  if (!call.ok()) return {};
  const int images = qkv.size(0), pixels = qkv.size(1), channels = qkv.size(2);
  call.want(channels % (3L * heads) == 0, "q, k and v of every head");
  call.wantLanes(channels / 3 / heads, "channels of a head");
  call.wantLanes(pixels, "pixels");
  call.wantFew({images, heads}, "heads of all images");
  // Queries are weighed against all pixels by the block.
  call.wantFew({pixels, 256}, "weights of a block of queries");
  return {images, pixels, heads, channels / 3 / heads, attributes.partsFirst, attributes.bfloat16};
}

void attention(Call& call, const Attributes& attributes) {
  const auto qkv = call.input(0, "qkv");
  const Attention given = checkedAttention(call, qkv, attributes);
  if (!call.ok()) return;
  float* y = call.output(0, {qkv.size(0), qkv.size(1), qkv.size(2) / 3});
  if (call.ok()) attend(given, qkv.data, y);
}

void attentionGradient(Call& call, const Attributes& attributes) {
  const auto qkv = call.input(0, "qkv"), dy = call.input(1, "dy");
  const Attention given = checkedAttention(call, qkv, attributes);
  if (!call.ok()) return;
  call.wantShape(dy, {given.images, given.pixels, given.heads * given.headChannels});
  float* dQkv = call.output(0, {qkv.size(0), qkv.size(1), qkv.size(2)});
  if (call.ok()) attendGradient(given, qkv.data, dy.data, dQkv);
}

}  // namespace

void addNormsAndAttention(Registrar& registrar) {
  const Names inputs = {"x", "gain", "offset"}, outputs = {"y", "mean", "rstd"}, groups = {"count: int"};
  registrar.add<groupNorm<false>>("NativeGroupNorm", inputs, outputs, groups);
  registrar.add<groupNorm<true>>("NativeGroupNormSilu", inputs, outputs, groups);
  const Names gradientInputs = {"x", "gain", "offset", "mean", "rstd", "dy"}, gradientOutputs = {"dx", "d_gain", "d_offset"};
  registrar.add<groupNormGradient<false>>("NativeGroupNormGradient", gradientInputs, gradientOutputs, groups);
  registrar.add<groupNormGradient<true>>("NativeGroupNormSiluGradient", gradientInputs, gradientOutputs, groups);
  const Names heads = {"low_precision: bool = false", "count: int", "parts_first: bool"};
  registrar.add<attention>("NativeAttention", {"qkv"}, {"y"}, heads);
  registrar.add<attentionGradient>("NativeAttentionGradient", {"qkv", "dy"}, {"d_qkv"}, heads);
}
