// What a kernel is called with: TensorFlow's C API as inputs, outputs and attributes.
#pragma once

#include <tensorflow/c/kernels.h>
#include <tensorflow/c/tf_status.h>
#include <tensorflow/c/tf_tensor.h>

#include <array>
#include <initializer_list>

#include "factors.h"

// One call of an operation: its inputs, its outputs, and the first thing that went wrong.
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {}
  ~Call() {
    if (TF_GetCode(status_) != TF_OK) TF_OpKernelContext_Failure(context_, status_);
    for (int i = 0; i < held_; i++) TF_DeleteTensor(tensors_[i]);
    TF_DeleteStatus(status_);
  }

  bool ok() const { return TF_GetCode(status_) == TF_OK; }

  struct Input {
    TF_Tensor* tensor;
    const float* data;
    int rank() const { return TF_NumDims(tensor); }
    int size(int axis) const { return static_cast<int>(TF_Dim(tensor, axis)); }
    long elements() const { return TF_TensorElementCount(tensor); }
  };

  Input input(int index) {
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context_, index, &tensor, status_);
    if (!ok()) return {nullptr, nullptr};
    return {hold(tensor), static_cast<const float*>(TF_TensorData(tensor))};
  }

  float* output(int index, std::initializer_list<int64_t> shape) {
    std::size_t bytes = sizeof(float);
    for (const int64_t length : shape) bytes *= length;
    TF_Tensor* tensor =
        TF_AllocateOutput(context_, index, TF_FLOAT, const_cast<int64_t*>(shape.begin()), static_cast<int>(shape.size()), bytes, status_);
    return ok() ? static_cast<float*>(TF_TensorData(hold(tensor))) : nullptr;
  }

 private:
  TF_Tensor* hold(TF_Tensor* tensor) { return tensors_[held_++] = tensor; }

  TF_OpKernelContext* context_;
  TF_Status* status_;
  std::array<TF_Tensor*, 16> tensors_{};
  int held_ = 0;
};

// What a node says beside its inputs; each operation uses some of it.
struct Attributes {
  // Groups of a group norm, heads of an attention, averages beside Adam's variables.
  int count = 0;
  bool partsFirst = false;
  bool bfloat16 = false, pairs = false;
  Factors factors() const { return pairs ? Factors::kPairs : bfloat16 ? Factors::kRounded : Factors::kFloat32; }
  // Of a convolution: height and width of its window, rows and columns of zeros around images, channels that come out.
  std::array<int, 2> window{1, 1}, padding{0, 0};
  int stride = 1, out = 0;
  // Height and width of those that a filter is transformed for.
  std::array<int, 2> image{0, 0};
  float beta1 = 0, beta2 = 0, epsilon = 0;
};

inline bool has(TF_OpKernelConstruction* construction, const char* name, TF_Status* status) {
  return TF_OpKernelConstruction_HasAttr(construction, name, status);
}

inline void readFlag(TF_OpKernelConstruction* construction, const char* name, bool& flag, TF_Status* status) {
  if (!has(construction, name, status)) return;
  TF_Bool value = 0;
  TF_OpKernelConstruction_GetAttrBool(construction, name, &value, status);
  flag = value != 0;
}

inline void* readAttributes(TF_OpKernelConstruction* construction) {
  auto* attributes = new Attributes;
  TF_Status* status = TF_NewStatus();
  if (has(construction, "count", status)) TF_OpKernelConstruction_GetAttrInt32(construction, "count", &attributes->count, status);
  readFlag(construction, "parts_first", attributes->partsFirst, status);
  readFlag(construction, "low_precision", attributes->bfloat16, status);
  readFlag(construction, "pairs", attributes->pairs, status);
  if (has(construction, "window", status)) {
    TF_OpKernelConstruction_GetAttrInt32List(construction, "window", attributes->window.data(), 2, status);
    TF_OpKernelConstruction_GetAttrInt32List(construction, "padding", attributes->padding.data(), 2, status);
    TF_OpKernelConstruction_GetAttrInt32(construction, "stride", &attributes->stride, status);
    TF_OpKernelConstruction_GetAttrInt32(construction, "out", &attributes->out, status);
  }
  if (has(construction, "image", status))
    TF_OpKernelConstruction_GetAttrInt32List(construction, "image", attributes->image.data(), 2, status);
  if (has(construction, "beta1", status)) {
    TF_OpKernelConstruction_GetAttrFloat(construction, "beta1", &attributes->beta1, status);
    TF_OpKernelConstruction_GetAttrFloat(construction, "beta2", &attributes->beta2, status);
    TF_OpKernelConstruction_GetAttrFloat(construction, "epsilon", &attributes->epsilon, status);
  }
  if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
  TF_DeleteStatus(status);
  return attributes;
}
