// The kernels as TensorFlow operations, through its C API: what a graph calls them, what they take and give.
#include <tensorflow/c/kernels.h>
#include <tensorflow/c/ops.h>
#include <tensorflow/c/tf_status.h>

#include <array>
#include <initializer_list>
#include <string>

#include "adam.h"
#include "attention.h"
#include "call.h"
#include "conv3x3.h"
#include "convolution.h"
#include "group-norm.h"
#include "numbers.h"
#include "simd.h"
#include "tiles.h"

namespace {

template <bool biased>
void conv3x3(Call& call, const Attributes& attributes) {
  const auto x = call.input(0), filter = call.input(1);
  const auto bias = biased ? call.input(2) : Call::Input{nullptr, nullptr};
  if (!call.ok()) return;
  const Conv3x3 conv{x.size(0), x.size(1), x.size(2), x.size(3), filter.size(3), attributes.factors()};
  float* y = call.output(0, {conv.images, conv.height, conv.width, conv.out});
  if (call.ok()) convolve(conv, x.data, filter.data, bias.data, y);
}

void transformedFilter(Call& call, const Attributes& attributes) {
  const auto filter = call.input(0);
  if (!call.ok()) return;
  const auto [height, width] = attributes.image;
  const Conv3x3 conv{1, height, width, filter.size(2), filter.size(3), attributes.factors()};
  float* u = call.output(0, {frequencies(conv), conv.in / (conv.factors == Factors::kPairs ? 2 : 1), conv.out});
  if (call.ok()) transformFilter(conv, filter.data, u);
}

template <bool biased>
void transformedConv3x3(Call& call, const Attributes& attributes) {
  const auto x = call.input(0), u = call.input(1);
  const auto bias = biased ? call.input(2) : Call::Input{nullptr, nullptr};
  if (!call.ok()) return;
  const Conv3x3 conv{x.size(0), x.size(1), x.size(2), x.size(3), u.size(2), attributes.factors()};
  float* y = call.output(0, {conv.images, conv.height, conv.width, conv.out});
  if (call.ok()) convolveTransformed(conv, x.data, u.data, bias.data, y);
}

void packedFilter(Call& call, const Attributes& attributes) {
  const auto filter = call.input(0);
  if (!call.ok()) return;
  const int out = filter.size(filter.rank() - 1), depth = static_cast<int>(filter.elements() / out);
  float* packed = call.output(0, {packedWords(depth, attributes.factors()), packedColumns(out)});
  if (call.ok()) packFilter(depth, out, attributes.factors(), filter.data, packed);
}

// Of images, or of rows, which are images of one pixel.
template <bool biased>
void packedConvolution(Call& call, const Attributes& attributes) {
  const auto x = call.input(0), packed = call.input(1);
  const auto bias = biased ? call.input(2) : Call::Input{nullptr, nullptr};
  if (!call.ok()) return;
  const bool rows = x.rank() == 2;
  const auto [windowHeight, windowWidth] = attributes.window;
  const auto [paddingHeight, paddingWidth] = attributes.padding;
  Convolution conv{};
  conv.images = x.size(0), conv.height = rows ? 1 : x.size(1), conv.width = rows ? 1 : x.size(2);
  conv.in = x.size(x.rank() - 1), conv.out = attributes.out;
  conv.windowHeight = windowHeight, conv.windowWidth = windowWidth, conv.stride = attributes.stride;
  conv.above = paddingHeight / 2, conv.left = paddingWidth / 2;
  conv.outHeight = (conv.height + paddingHeight - windowHeight) / conv.stride + 1;
  conv.outWidth = (conv.width + paddingWidth - windowWidth) / conv.stride + 1;
  conv.factors = attributes.factors();
  float* y = rows ? call.output(0, {conv.images, conv.out}) : call.output(0, {conv.images, conv.outHeight, conv.outWidth, conv.out});
  if (call.ok()) convolvePacked(conv, x.data, packed.data, bias.data, y);
}

void conv3x3InputGradient(Call& call, const Attributes& attributes) {
  const auto filter = call.input(0), dy = call.input(1);
  if (!call.ok()) return;
  const Conv3x3 conv{dy.size(0), dy.size(1), dy.size(2), filter.size(2), filter.size(3), attributes.factors()};
  float* dx = call.output(0, {conv.images, conv.height, conv.width, conv.in});
  if (call.ok()) convolveInputGradient(conv, dy.data, filter.data, dx);
}

void conv3x3FilterGradient(Call& call, const Attributes& attributes) {
  const auto x = call.input(0), dy = call.input(1);
  if (!call.ok()) return;
  const Conv3x3 conv{x.size(0), x.size(1), x.size(2), x.size(3), dy.size(3), attributes.factors()};
  float* dFilter = call.output(0, {3, 3, conv.in, conv.out});
  if (call.ok()) convolveFilterGradient(conv, x.data, dy.data, dFilter);
}

// Writes into its inputs, which are variables as they were read: TensorFlow gives those without a copy. The graph sees
// to it that nobody reads them any more, or not yet.
void adamInPlace(Call& call, const Attributes& attributes) {
  const auto commit = call.input(0), rates = call.input(1), gradient = call.input(2), parameter = call.input(3), m = call.input(4),
             v = call.input(5);
  std::array<float*, 8> averages{};
  for (int i = 0; i < attributes.count && call.ok(); i++) averages[i] = const_cast<float*>(call.input(6 + i).data);
  if (!call.ok() || commit.data[0] == 0) return;
  adam({attributes.beta1, attributes.beta2, attributes.epsilon, rates.data[0], rates.data[1], rates.data[2]}, gradient.elements(),
       gradient.data, const_cast<float*>(parameter.data), const_cast<float*>(m.data), const_cast<float*>(v.data), attributes.count,
       averages.data(), rates.data + 3);
}

void squares(Call& call, const Attributes&) {
  const auto x = call.input(0);
  if (!call.ok()) return;
  float* sum = call.output(0, {});
  if (call.ok()) *sum = sumOfSquares(x.data, x.elements());
}

GroupNorm groupNormOf(const Call::Input& x, const Call::Input& gain, const Attributes& attributes, bool silu) {
  const int channels = x.size(3);
  return {x.size(0), x.size(1) * x.size(2), channels, attributes.count, gain.size(0) != 1 || x.size(0) == 1, silu};
}

template <bool silu>
void groupNorm(Call& call, const Attributes& attributes) {
  const auto x = call.input(0), gain = call.input(1), offset = call.input(2);
  if (!call.ok()) return;
  const GroupNorm norm = groupNormOf(x, gain, attributes, silu);
  float* y = call.output(0, {x.size(0), x.size(1), x.size(2), x.size(3)});
  float* mean = call.output(1, {norm.images, norm.groups});
  float* rstd = call.output(2, {norm.images, norm.groups});
  if (call.ok()) normalise(norm, x.data, gain.data, offset.data, y, mean, rstd);
}

template <bool silu>
void groupNormGradient(Call& call, const Attributes& attributes) {
  const auto x = call.input(0), gain = call.input(1), offset = call.input(2), mean = call.input(3), rstd = call.input(4), dy = call.input(5);
  if (!call.ok()) return;
  const GroupNorm norm = groupNormOf(x, gain, attributes, silu);
  float* dx = call.output(0, {x.size(0), x.size(1), x.size(2), x.size(3)});
  float* dGain = call.output(1, {gain.size(0), gain.size(1)});
  float* dOffset = call.output(2, {gain.size(0), gain.size(1)});
  if (call.ok()) normaliseGradient(norm, x.data, gain.data, offset.data, mean.data, rstd.data, dy.data, dx, dGain, dOffset);
}

Attention attentionOf(const Call::Input& qkv, const Attributes& attributes) {
  return {qkv.size(0), qkv.size(1), attributes.count, qkv.size(2) / 3 / attributes.count, attributes.partsFirst, attributes.bfloat16};
}

void attention(Call& call, const Attributes& attributes) {
  const auto qkv = call.input(0);
  if (!call.ok()) return;
  float* y = call.output(0, {qkv.size(0), qkv.size(1), qkv.size(2) / 3});
  if (call.ok()) attend(attentionOf(qkv, attributes), qkv.data, y);
}

void attentionGradient(Call& call, const Attributes& attributes) {
  const auto qkv = call.input(0), dy = call.input(1);
  if (!call.ok()) return;
  float* dQkv = call.output(0, {qkv.size(0), qkv.size(1), qkv.size(2)});
  if (call.ok()) attendGradient(attentionOf(qkv, attributes), qkv.data, dy.data, dQkv);
}

void freeAttributes(void* attributes) { delete static_cast<Attributes*>(attributes); }

template <void (*compute)(Call&, const Attributes&)>
void computeKernel(void* attributes, TF_OpKernelContext* context) {
  Call call(context);
  compute(call, *static_cast<Attributes*>(attributes));
}

// Shapes are the graph's own business: it has been checked before TensorFlow sees it.
void unknownShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
}

using Names = std::initializer_list<const char*>;

void add(const char* name, Names inputs, Names outputs, Names attributes, void (*compute)(void*, TF_OpKernelContext*), TF_Status* status) {
  if (TF_GetCode(status) != TF_OK) return;
  TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(name);
  for (const char* input : inputs) {
    const bool typed = std::string(input).find(':') != std::string::npos;
    TF_OpDefinitionBuilderAddInput(definition, (input + std::string(typed ? "" : ": float")).c_str());
  }
  for (const char* output : outputs) TF_OpDefinitionBuilderAddOutput(definition, (std::string(output) + ": float").c_str());
  for (const char* attribute : attributes) TF_OpDefinitionBuilderAddAttr(definition, attribute);
  // Without outputs it is there for what it does, and must neither be left out nor done once for two nodes.
  if (outputs.size() == 0) TF_OpDefinitionBuilderSetIsStateful(definition, true);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, unknownShape);
  TF_RegisterOpDefinition(definition, status);
  if (TF_GetCode(status) != TF_OK) return;
  TF_KernelBuilder* kernel = TF_NewKernelBuilder(name, "CPU", readAttributes, compute, freeAttributes);
  TF_RegisterKernelBuilder(name, kernel, status);
}

}  // namespace

// Floats of a vector, to which channel counts must be multiples; 0 where TensorFlow refused the operations.
extern "C" int registerKernels() {
  TF_Status* status = TF_NewStatus();
  const Names numbers = {"low_precision: bool = false", "pairs: bool = false"};
  add("NativeConv3x3", {"x", "filter"}, {"y"}, numbers, computeKernel<conv3x3<false>>, status);
  add("NativeBiasedConv3x3", {"x", "filter", "bias"}, {"y"}, numbers, computeKernel<conv3x3<true>>, status);
  add("NativeTransformedFilter", {"filter"}, {"u"}, {"low_precision: bool = false", "pairs: bool = false", "image: list(int)"}, computeKernel<transformedFilter>, status);
  add("NativeTransformedConv3x3", {"x", "u"}, {"y"}, numbers, computeKernel<transformedConv3x3<false>>, status);
  add("NativeBiasedTransformedConv3x3", {"x", "u", "bias"}, {"y"}, numbers, computeKernel<transformedConv3x3<true>>, status);
  const Names geometry = {"low_precision: bool = false", "pairs: bool = false", "window: list(int)", "padding: list(int)", "stride: int", "out: int"};
  add("NativePackedFilter", {"filter"}, {"packed"}, numbers, computeKernel<packedFilter>, status);
  add("NativePackedConvolution", {"x", "packed"}, {"y"}, geometry, computeKernel<packedConvolution<false>>, status);
  add("NativeBiasedPackedConvolution", {"x", "packed", "bias"}, {"y"}, geometry, computeKernel<packedConvolution<true>>, status);
  add("NativeConv3x3InputGradient", {"filter", "dy"}, {"dx"}, numbers, computeKernel<conv3x3InputGradient>, status);
  add("NativeConv3x3FilterGradient", {"x", "dy"}, {"d_filter"}, numbers, computeKernel<conv3x3FilterGradient>, status);
  const Names normInputs = {"x", "gain", "offset"}, normOutputs = {"y", "mean", "rstd"}, groups = {"count: int"};
  add("NativeGroupNorm", normInputs, normOutputs, groups, computeKernel<groupNorm<false>>, status);
  add("NativeGroupNormSilu", normInputs, normOutputs, groups, computeKernel<groupNorm<true>>, status);
  const Names gradientInputs = {"x", "gain", "offset", "mean", "rstd", "dy"}, gradientOutputs = {"dx", "d_gain", "d_offset"};
  add("NativeGroupNormGradient", gradientInputs, gradientOutputs, groups, computeKernel<groupNormGradient<false>>, status);
  add("NativeGroupNormSiluGradient", gradientInputs, gradientOutputs, groups, computeKernel<groupNormGradient<true>>, status);
  const Names heads = {"low_precision: bool = false", "count: int", "parts_first: bool"};
  add("NativeAttention", {"qkv"}, {"y"}, heads, computeKernel<attention>, status);
  add("NativeAttentionGradient", {"qkv", "dy"}, {"d_qkv"}, heads, computeKernel<attentionGradient>, status);
  add("NativeAdam", {"commit", "rates", "gradient", "parameter", "m", "v", "averages: count * float"}, {},
      {"count: int >= 0", "beta1: float", "beta2: float", "epsilon: float"}, computeKernel<adamInPlace>, status);
  add("NativeSumOfSquares", {"x"}, {"sum"}, {}, computeKernel<squares>, status);
  const bool registered = TF_GetCode(status) == TF_OK;
  TF_DeleteStatus(status);
  return registered ? kLanes : 0;
}

// Whether products of bfloat16 are in tiles, where their depth fills these, and else whether they are in pairs.
extern "C" int usesTiles() { return hasTiles(); }
extern "C" int usesPairs() { return multipliesPairs(); }
