// Convolutions and matrix products with packed filters as operations.
#include "convolution.h"
#include "registrar.h"

namespace {

void packedFilter(Call& call, const Attributes& attributes) {
  const auto filter = call.input(0, "filter");
  if (!call.ok()) return;
  call.want(filter.rank() > 1 && filter.elements() > 0, "a filter of two axes at least, and of one number");
  call.wantFew({filter.elements()}, "numbers in a filter");
  if (!call.ok()) return;
  const int out = filter.size(filter.rank() - 1), depth = static_cast<int>(filter.elements() / out);
  float* packed = call.output(0, {packedWords(depth, attributes.factors()), packedColumns(out)});
  if (call.ok()) packFilter(depth, out, attributes.factors(), filter.data, packed);
}

bool allFrom(int least, std::initializer_list<int> values) {
  for (const int value : values)
    if (value < least) return false;
  return true;
}

// Of images, or of rows, which are images of one pixel.
template <bool biased>
void packedConvolution(Call& call, const Attributes& attributes) {
  const auto x = call.input(0, "x"), packed = call.input(1, "packed");
  if (!call.ok()) return;
  const bool rows = x.rank() == 2;
  if (rows) call.wantShape(x, {kAny, kAny});
  else call.wantShape(x, {kAny, kAny, kAny, kAny});
  const auto [windowHeight, windowWidth] = attributes.window;
  const auto [paddingHeight, paddingWidth] = attributes.padding;
  call.want(allFrom(1, {windowHeight, windowWidth, attributes.stride, attributes.out}), "a window, a stride and channels out of 1 at least");
  call.want(allFrom(0, {paddingHeight, paddingWidth}), "no padding below 0");
  if (!call.ok()) return;
  Convolution conv{};
  conv.images = x.size(0), conv.height = rows ? 1 : x.size(1), conv.width = rows ? 1 : x.size(2);
  conv.in = x.size(x.rank() - 1), conv.out = attributes.out;
  conv.windowHeight = windowHeight, conv.windowWidth = windowWidth, conv.stride = attributes.stride;
  conv.above = paddingHeight / 2, conv.left = paddingWidth / 2;
  const int64_t padded[2] = {int64_t{conv.height} + paddingHeight, int64_t{conv.width} + paddingWidth};
  call.want(padded[0] >= windowHeight && padded[1] >= windowWidth, "images with their zeros as large as the window");
  call.wantFew({conv.images, padded[0], padded[1]}, "pixels with the zeros around them");
  call.wantFew({padded[1], conv.in}, "numbers in a row of an image");
  call.wantFew({windowHeight, windowWidth, conv.in}, "numbers in a window");
  call.wantFew({conv.out}, "channels out");
  if (!call.ok()) return;
  conv.outHeight = static_cast<int>((padded[0] - windowHeight) / conv.stride + 1);
  conv.outWidth = static_cast<int>((padded[1] - windowWidth) / conv.stride + 1);
  conv.factors = attributes.factors();
  call.wantShape(packed, {packedWords(conv.depth(), conv.factors), packedColumns(conv.out)});
  const float* bias = nullptr;
  if (biased) {
    const auto given = call.input(2, "bias");
    call.wantShape(given, {conv.out});
    bias = given.data;
  }
  call.want(!rows || (conv.outHeight == 1 && conv.outWidth == 1), "for rows no more than one pixel out");
  float* y = rows ? call.output(0, {conv.images, conv.out}) : call.output(0, {conv.images, conv.outHeight, conv.outWidth, conv.out});
  if (call.ok()) convolvePacked(conv, x.data, packed.data, bias, y);
}

}  // namespace

void addPackedConvolutions(Registrar& registrar) {
  const Names numbers = {"low_precision: bool = false", "pairs: bool = false"};
  const Names geometry = {"low_precision: bool = false", "pairs: bool = false", "window: list(int)", "padding: list(int)", "stride: int", "out: int"};
  registrar.add<packedFilter>("NativePackedFilter", {"filter"}, {"packed"}, numbers);
  registrar.add<packedConvolution<false>>("NativePackedConvolution", {"x", "packed"}, {"y"}, geometry);
  registrar.add<packedConvolution<true>>("NativeBiasedPackedConvolution", {"x", "packed", "bias"}, {"y"}, geometry);
}
