// Convolutions of 3x3 and their gradients as operations.
#include "conv3x3.h"
#include "registrar.h"

namespace {

// Refuses what `conv3x3.h` doesn't promise.
void check(Call& call, const Conv3x3& conv) {
  call.wantLanes(conv.in, "channels in");
  call.wantLanes(conv.out, "channels out");
  call.wantFew({conv.images, conv.height, conv.width}, "pixels");
  call.wantFew({conv.width, conv.in}, "numbers in a row of an image");
  call.wantFew({conv.width, conv.out}, "numbers in a row of an image");
  call.wantFew({9, conv.in, conv.out}, "numbers in a filter");
}

template <bool biased>
void convolution(Call& call, const Attributes& attributes) {
  const auto x = call.input(0, "x"), filter = call.input(1, "filter");
  call.wantShape(x, {kAny, kAny, kAny, kAny});
  if (!call.ok()) return;
  call.wantShape(filter, {3, 3, x.size(3), kAny});
  if (!call.ok()) return;
  const Conv3x3 conv{x.size(0), x.size(1), x.size(2), x.size(3), filter.size(3), attributes.factors()};
  check(call, conv);
  const float* bias = nullptr;
  if (biased) {
    const auto given = call.input(2, "bias");
    call.wantShape(given, {conv.out});
    bias = given.data;
  }
  float* y = call.output(0, {conv.images, conv.height, conv.width, conv.out});
  if (call.ok()) convolve(conv, x.data, filter.data, bias, y);
}

void inputGradient(Call& call, const Attributes& attributes) {
  const auto filter = call.input(0, "filter"), dy = call.input(1, "dy");
  call.wantShape(dy, {kAny, kAny, kAny, kAny});
  if (!call.ok()) return;
  call.wantShape(filter, {3, 3, kAny, dy.size(3)});
  if (!call.ok()) return;
  const Conv3x3 conv{dy.size(0), dy.size(1), dy.size(2), filter.size(2), filter.size(3), attributes.factors()};
  check(call, conv);
  float* dx = call.output(0, {conv.images, conv.height, conv.width, conv.in});
  if (call.ok()) convolveInputGradient(conv, dy.data, filter.data, dx);
}

void filterGradient(Call& call, const Attributes& attributes) {
  const auto x = call.input(0, "x"), dy = call.input(1, "dy");
  call.wantShape(x, {kAny, kAny, kAny, kAny});
  if (!call.ok()) return;
  call.wantShape(dy, {x.size(0), x.size(1), x.size(2), kAny});
  if (!call.ok()) return;
  const Conv3x3 conv{x.size(0), x.size(1), x.size(2), x.size(3), dy.size(3), attributes.factors()};
  check(call, conv);
  float* dFilter = call.output(0, {3, 3, conv.in, conv.out});
  if (call.ok()) convolveFilterGradient(conv, x.data, dy.data, dFilter);
}

void transformedFilter(Call& call, const Attributes& attributes) {
  const auto filter = call.input(0, "filter");
  const auto [height, width] = attributes.image;
  call.wantShape(filter, {3, 3, kAny, kAny});
  call.want(height > 0 && width > 0, "an image of one pixel at least");
  if (!call.ok()) return;
  const Conv3x3 conv{1, height, width, filter.size(2), filter.size(3), attributes.factors()};
  check(call, conv);
  float* u = call.output(0, {frequencies(conv), wordsOfTransformed(conv), conv.out});
  if (call.ok()) transformFilter(conv, filter.data, u);
}

template <bool biased>
void transformedConvolution(Call& call, const Attributes& attributes) {
  const auto x = call.input(0, "x"), u = call.input(1, "u");
  call.wantShape(x, {kAny, kAny, kAny, kAny});
  call.wantShape(u, {kAny, kAny, kAny});
  if (!call.ok()) return;
  const Conv3x3 conv{x.size(0), x.size(1), x.size(2), x.size(3), u.size(2), attributes.factors()};
  check(call, conv);
  call.wantShape(u, {frequencies(conv), wordsOfTransformed(conv), conv.out});
  const float* bias = nullptr;
  if (biased) {
    const auto given = call.input(2, "bias");
    call.wantShape(given, {conv.out});
    bias = given.data;
  }
  float* y = call.output(0, {conv.images, conv.height, conv.width, conv.out});
  if (call.ok()) convolveTransformed(conv, x.data, u.data, bias, y);
}

}  // namespace

void addConvolutions(Registrar& registrar) {
  const Names numbers = {"low_precision: bool = false", "pairs: bool = false"};
  const Names forImages = {"low_precision: bool = false", "pairs: bool = false", "image: list(int)"};
  registrar.add<convolution<false>>("NativeConv3x3", {"x", "filter"}, {"y"}, numbers);
  registrar.add<convolution<true>>("NativeBiasedConv3x3", {"x", "filter", "bias"}, {"y"}, numbers);
  registrar.add<inputGradient>("NativeConv3x3InputGradient", {"filter", "dy"}, {"dx"}, numbers);
  registrar.add<filterGradient>("NativeConv3x3FilterGradient", {"x", "dy"}, {"d_filter"}, numbers);
  registrar.add<transformedFilter>("NativeTransformedFilter", {"filter"}, {"u"}, forImages);
  registrar.add<transformedConvolution<false>>("NativeTransformedConv3x3", {"x", "u"}, {"y"}, numbers);
  registrar.add<transformedConvolution<true>>("NativeBiasedTransformedConv3x3", {"x", "u", "bias"}, {"y"}, numbers);
}
