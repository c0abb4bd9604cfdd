// One call of an operation: TensorFlow's C API as inputs and outputs, and what is wanted of their shapes.
#pragma once

#include <tensorflow/c/kernels.h>
#include <tensorflow/c/tf_status.h>
#include <tensorflow/c/tf_tensor.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

#include "simd.h"

// In a wanted shape: any length.
constexpr int64_t kAny = -1;

class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {}
  ~Call() {
    if (!ok()) TF_OpKernelContext_Failure(context_, status_);
    for (TF_Tensor* tensor : tensors_) TF_DeleteTensor(tensor);
    TF_DeleteStatus(status_);
  }
  Call(const Call&) = delete;

  bool ok() const { return TF_GetCode(status_) == TF_OK; }

  struct Input {
    const char* name;
    TF_Tensor* tensor;
    const float* data;
    int rank() const { return TF_NumDims(tensor); }
    // In 32 bits, which `wantShape` has seen to.
    int size(int axis) const { return static_cast<int>(TF_Dim(tensor, axis)); }
    int64_t elements() const { return TF_TensorElementCount(tensor); }
  };

  Input input(int index, const char* name) {
    TF_Tensor* tensor = nullptr;
    if (ok()) TF_GetInput(context_, index, &tensor, status_);
    if (!ok()) return {name, nullptr, nullptr};
    tensors_.push_back(tensor);
    return {name, tensor, static_cast<const float*>(TF_TensorData(tensor))};
  }

  float* output(int index, std::initializer_list<int64_t> shape) {
    if (!ok()) return nullptr;
    std::size_t bytes = sizeof(float);
    for (const int64_t length : shape) bytes *= length;
    TF_Tensor* tensor =
        TF_AllocateOutput(context_, index, TF_FLOAT, const_cast<int64_t*>(shape.begin()), static_cast<int>(shape.size()), bytes, status_);
    if (!ok()) return nullptr;
    tensors_.push_back(tensor);
    return static_cast<float*>(TF_TensorData(tensor));
  }

  // What goes wrong first is what is told.
  void fail(TF_Code code, const std::string& text) {
    if (ok()) TF_SetStatus(status_, code, text.c_str());
  }

  // Each of these refuses the call where what was given isn't what is wanted. Kernels rely on it: they check nothing.
  void want(bool met, const char* wanted) {
    if (!met) fail(TF_INVALID_ARGUMENT, std::string("wanted ") + wanted);
  }

  // No length may be 0, either.
  void wantShape(const Input& input, std::initializer_list<int64_t> shape) {
    if (!ok()) return;
    bool fits = input.rank() == static_cast<int>(shape.size());
    for (int axis = 0; fits && axis < input.rank(); axis++) {
      const int64_t length = TF_Dim(input.tensor, axis), wanted = shape.begin()[axis];
      fits = length > 0 && length <= std::numeric_limits<int32_t>::max() && (wanted == kAny || wanted == length);
    }
    if (!fits) refuse(input, inWords(shape));
  }

  void wantAlike(const Input& input, const Input& other) {
    if (!ok()) return;
    bool fits = input.rank() == other.rank();
    for (int axis = 0; fits && axis < input.rank(); axis++) fits = TF_Dim(input.tensor, axis) == TF_Dim(other.tensor, axis);
    if (!fits) refuse(input, inWords(shapeOf(other)));
  }

  // A count of channels or pixels, of which vectors are full.
  void wantLanes(int64_t count, const char* what) {
    if (count > 0 && count % kLanes == 0) return;
    fail(TF_INVALID_ARGUMENT, "wanted a multiple of " + std::to_string(kLanes) + " " + what + "; got " + std::to_string(count));
  }

  // What kernels count in 32 bits, with room for what they round up.
  void wantFew(std::initializer_list<int64_t> lengths, const char* what) {
    constexpr int64_t kMost = (int64_t{1} << 31) - (int64_t{1} << 20);
    int64_t room = kMost;
    for (const int64_t length : lengths) room = length > 0 ? room / length : 0;
    if (room == 0) fail(TF_INVALID_ARGUMENT, "wanted at most " + std::to_string(kMost) + " " + what);
  }

 private:
  void refuse(const Input& input, const std::string& shape) {
    fail(TF_INVALID_ARGUMENT, std::string("wanted ") + input.name + " of " + shape + "; got " + inWords(shapeOf(input)));
  }

  static std::vector<int64_t> shapeOf(const Input& input) {
    std::vector<int64_t> shape(input.rank());
    for (int axis = 0; axis < input.rank(); axis++) shape[axis] = TF_Dim(input.tensor, axis);
    return shape;
  }

  template <typename Lengths>
  static std::string inWords(const Lengths& shape) {
    std::string text;
    for (const int64_t length : shape) text += (text.empty() ? "" : ",") + (length == kAny ? "*" : std::to_string(length));
    return "[" + text + "]";
  }

  TF_OpKernelContext* context_;
  TF_Status* status_;
  std::vector<TF_Tensor*> tensors_;
};
