// Products of bfloat16 in the processor's tiles (Intel AMX): 16 x 16 sums of 32 products each at once.
#pragma once

// Whether this is compiled for tiles, and the system lets the process use them. They take what else a vector's
// instruction for bfloat16 takes, and on the processors that have them that one is slower than float32.
bool hasTiles();

// The factors of a sum that a tile holds.
constexpr int kTileDepth = 32;

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#define COMPILED_FOR_TILES 1

#include <immintrin.h>

#include <cstdint>

// Rows and columns.
constexpr int kTile = 16;

// A number of bfloat16, by its bits.
using Half = std::uint16_t;

struct TileConfiguration {
  std::uint8_t palette = 1, startRow = 0, reserved[14] = {};
  std::uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {kTile, kTile, kTile, kTile, kTile, kTile, kTile, kTile};
};

// Not on the stack: compilers take it that only its beginning is read.
alignas(64) inline const TileConfiguration kTileConfiguration{};

// Makes the calling thread's tiles all of one size, as long as this lives.
class TileRegisters {
 public:
  TileRegisters() { _tile_loadconfig(&kTileConfiguration); }
  ~TileRegisters() { _tile_release(); }
  TileRegisters(const TileRegisters&) = delete;
};

// A product's left side: rows that begin `row` numbers apart. The depth of each is a window of runs, `down` and `right`
// numbers apart, of `blocks` * kTileDepth numbers each.
struct TileRows {
  const Half* first;
  long row;
  int windowRows = 1, windowColumns = 1;
  long down = 0, right = 0;
  int blocks;
};

// C[rows][columns] (+)= A B of one or two tiles in each direction; a row of B is a word of two numbers for every column.
template <bool TwoRows, bool TwoColumns, bool Accumulate>
inline void tileProduct(const TileRows& a, const float* b, long bWord, float* c, long cRow) {
  const long aBytes = a.row * static_cast<long>(sizeof(Half)), bBytes = bWord * static_cast<long>(sizeof(float)),
             cBytes = cRow * static_cast<long>(sizeof(float));
  float* const lower = c + kTile * cRow;
  if (Accumulate) {
    _tile_loadd(0, c, cBytes);
    if (TwoColumns) _tile_loadd(1, c + kTile, cBytes);
    if (TwoRows) _tile_loadd(2, lower, cBytes);
    if (TwoRows && TwoColumns) _tile_loadd(3, lower + kTile, cBytes);
  } else {
    _tile_zero(0);
    if (TwoColumns) _tile_zero(1);
    if (TwoRows) _tile_zero(2);
    if (TwoRows && TwoColumns) _tile_zero(3);
  }
  for (int i = 0; i < a.windowRows; i++)
    for (int j = 0; j < a.windowColumns; j++) {
      const Half* from = a.first + i * a.down + j * a.right;
      for (int block = 0; block < a.blocks; block++, from += kTileDepth, b += kTileDepth / 2 * bWord) {
        _tile_loadd(4, from, aBytes);
        if (TwoRows) _tile_loadd(5, from + kTile * a.row, aBytes);
        _tile_loadd(6, b, bBytes);
        if (TwoColumns) _tile_loadd(7, b + kTile, bBytes);
        _tile_dpbf16ps(0, 4, 6);
        if (TwoColumns) _tile_dpbf16ps(1, 4, 7);
        if (TwoRows) _tile_dpbf16ps(2, 5, 6);
        if (TwoRows && TwoColumns) _tile_dpbf16ps(3, 5, 7);
      }
    }
  _tile_stored(0, c, cBytes);
  if (TwoColumns) _tile_stored(1, c + kTile, cBytes);
  if (TwoRows) _tile_stored(2, lower, cBytes);
  if (TwoRows && TwoColumns) _tile_stored(3, lower + kTile, cBytes);
}

// Of a panel's width, kTile or twice that.
template <bool TwoRows, bool Accumulate>
inline void tileProduct(const TileRows& a, const float* b, int width, float* c, long cRow) {
  if (width > kTile) tileProduct<TwoRows, true, Accumulate>(a, b, width, c, cRow);
  else tileProduct<TwoRows, false, Accumulate>(a, b, width, c, cRow);
}
#endif
