#include "tile-attention.h"

#include <utility>

#include "attention-head.h"
#include "gemm.h"
#include "scratch.h"
#include "thread-pool.h"
#include "tiles.h"

#if COMPILED_FOR_TILES
namespace {

static_assert(kQueries == 2 * kTile && kQueries == kTileDepth, "a block of queries is two tiles high and one deep");

// A matrix of float32, as a head has them or as scores are.
struct Matrix {
  const float* first;
  long stride;
};

// [rows][columns] of bfloat16.
void convert(const Matrix& from, int rows, int columns, Half* to) {
  for (int row = 0; row < rows; row++)
    for (int c = 0; c < columns; c += kLanes) Bfloat16::storeNeighbours(to + row * columns + c, load(from.first + row * from.stride + c));
}

// [columns][rows] of bfloat16.
void convertTurned(const Matrix& from, int rows, int columns, Half* to) {
  for (int row = 0; row < rows; row += kLanes)
    for (int c = 0; c < columns; c += kLanes) {
      Vec block[kLanes];
      for (int i = 0; i < kLanes; i++) block[i] = load(from.first + (row + i) * from.stride + c);
      transpose(block);
      for (int i = 0; i < kLanes; i++) Bfloat16::storeNeighbours(to + (c + i) * rows + row, block[i]);
    }
}

// A product's right side, as words of two rows in panels.
void packRows(const Matrix& from, int rows, int columns, float* to) {
  const Panels panels{columns, rows / 2};
  for (int word = 0; word < rows / 2; word++)
    for (int c = 0; c < columns; c += kLanes) {
      const float* upper = from.first + 2 * word * from.stride + c;
      const Vec values[2] = {load(upper), load(upper + from.stride)};
      store(to + panels.at(word, c), Bfloat16::pack(values));
    }
}

// The same of the matrix turned over: words of two of its columns.
void packColumns(const Matrix& from, int rows, int columns, float* to) {
  const Panels panels{rows, columns / 2};
  for (int row = 0; row < rows; row += kLanes)
    for (int c = 0; c < columns; c += 2 * kLanes) {
      Vec words[kLanes];
      for (int i = 0; i < kLanes; i++) {
        const float* at = from.first + (row + i) * from.stride + c;
        float neighbours[kLanes];
        Bfloat16::storeNeighbours(neighbours, load(at));
        Bfloat16::storeNeighbours(neighbours + kLanes / 2, load(at + kLanes));
        words[i] = load(neighbours);
      }
      transpose(words);
      for (int i = 0; i < kLanes; i++) store(to + panels.at(c / 2 + i, row), words[i]);
    }
}

// C [rows][columns] (+)= A [rows][depth] times what was packed.
template <bool Accumulate>
void product(int rows, int columns, int depth, const Half* a, const float* packed, float* c, long cRow) {
  const Panels panels{columns, depth / 2};
  for (int column = 0; column < columns; column += kPanel)
    for (int row = 0; row < rows; row += 2 * kTile)
      tileProduct<true, Accumulate>({a + 1L * row * depth, depth, 1, 1, 0, 0, depth / kTileDepth}, packed + panels.at(0, column),
                                    panels.widthAt(column), c + row * cRow + column, cRow);
}

// Memory of a job, in the order it is asked for.
class Pieces {
 public:
  Pieces(int which, long floats) : next_(scratch(which, floats)) {}
  float* floats(long count) { return std::exchange(next_, next_ + count); }
  Half* halves(long count) { return reinterpret_cast<Half*>(floats(count / 2)); }

 private:
  float* next_;
};

template <typename Body>
void forEachHead(const Attention& attention, const float* qkv, Body body) {
  parallelFor(attention.images * attention.heads, [&](int job) {
    const TileRegisters registers;
    const int image = job / attention.heads, number = job % attention.heads;
    const long channels = 1L * attention.heads * attention.headChannels;
    body(AttentionHead(attention, image, number, qkv), image * attention.pixels * channels + number * attention.headChannels, channels);
  });
}

}  // namespace

bool fitsTiles(const Attention& attention) {
  return attention.bfloat16 && hasTiles() && attention.headChannels % kTileDepth == 0 && attention.pixels % kQueries == 0;
}

void attendOnTiles(const Attention& attention, const float* qkv, float* y) {
  forEachHead(attention, qkv, [&](const AttentionHead& head, long at, long channels) {
    const int pixels = head.pixels(), size = head.channels();
    Pieces pieces(0, 2L * pixels * size + kQueries * (pixels + pixels / 2 + size));
    float* keys = pieces.floats(1L * pixels * size / 2);
    float* values = pieces.floats(1L * pixels * size / 2);
    float* scores = pieces.floats(kQueries * pixels);
    Half* queries = pieces.halves(kQueries * size);
    Half* weights = pieces.halves(kQueries * pixels);
    packColumns({head.k(), head.stride()}, pixels, size, keys);
    packRows({head.v(), head.stride()}, pixels, size, values);
    for (int first = 0; first < pixels; first += kQueries) {
      convert({head.q() + first * head.stride(), head.stride()}, kQueries, size, queries);
      product<false>(kQueries, pixels, size, queries, keys, scores, pixels);
      head.softmax(kQueries, scores);
      convert({scores, pixels}, kQueries, pixels, weights);
      product<false>(kQueries, size, pixels, weights, values, y + at + first * channels, channels);
    }
  });
}

void attendGradientOnTiles(const Attention& attention, const float* qkv, const float* dy, float* dQkv) {
  forEachHead(attention, qkv, [&](const AttentionHead& head, long at, long channels) {
    const int pixels = head.pixels(), size = head.channels();
    const long stride = head.stride();
    Pieces pieces(0, 2L * pixels * size + 3L * kQueries * (pixels + size));
    float* turnedKeys = pieces.floats(1L * pixels * size / 2);
    float* turnedValues = pieces.floats(1L * pixels * size / 2);
    float* keys = pieces.floats(1L * pixels * size / 2);
    float* weights = pieces.floats(kQueries * pixels);
    float* gradients = pieces.floats(kQueries * pixels);
    float* packed = pieces.floats(kQueries * size / 2);
    Half* rows = pieces.halves(kQueries * size);
    Half* scores = pieces.halves(kQueries * pixels);
    packColumns({head.k(), stride}, pixels, size, turnedKeys);
    packColumns({head.v(), stride}, pixels, size, turnedValues);
    packRows({head.k(), stride}, pixels, size, keys);
    float* dQ = dQkv + head.offset();
    float* dK = dQ + head.part();
    float* dV = dK + head.part();
    for (int pixel = 0; pixel < pixels; pixel++) {
      std::fill_n(dK + pixel * stride, size, 0.0f);
      std::fill_n(dV + pixel * stride, size, 0.0f);
    }
    for (int first = 0; first < pixels; first += kQueries) {
      const Matrix q{head.q() + first * stride, stride}, d{dy + at + first * channels, channels};
      convert(q, kQueries, size, rows);
      product<false>(kQueries, pixels, size, rows, turnedKeys, weights, pixels);
      head.softmax(kQueries, weights);
      convert(d, kQueries, size, rows);
      product<false>(kQueries, pixels, size, rows, turnedValues, gradients, pixels);
      convertTurned({weights, pixels}, kQueries, pixels, scores);
      packRows(d, kQueries, size, packed);
      product<true>(pixels, size, kQueries, scores, packed, dV, stride);
      head.softmaxGradient(kQueries, weights, gradients);
      convert({gradients, pixels}, kQueries, pixels, scores);
      product<false>(kQueries, size, pixels, scores, keys, dQ + first * stride, stride);
      convertTurned({gradients, pixels}, kQueries, pixels, scores);
      packRows(q, kQueries, size, packed);
      product<true>(pixels, size, kQueries, scores, packed, dK, stride);
    }
  });
}
#else
bool fitsTiles(const Attention&) { return false; }

void attendOnTiles(const Attention&, const float*, float*) {}
void attendGradientOnTiles(const Attention&, const float*, const float*, float*) {}
#endif
