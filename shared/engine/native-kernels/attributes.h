// What a node says beside its inputs.
#pragma once

#include <tensorflow/c/kernels.h>
#include <tensorflow/c/tf_status.h>

#include <array>

#include "factors.h"

// Each operation uses some of it.
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

class AttributeReader {
 public:
  AttributeReader(TF_OpKernelConstruction* construction, TF_Status* status) : construction_(construction), status_(status) {}

  void read(const char* name, int& value) {
    if (has(name)) TF_OpKernelConstruction_GetAttrInt32(construction_, name, &value, status_);
  }

  void read(const char* name, float& value) {
    if (has(name)) TF_OpKernelConstruction_GetAttrFloat(construction_, name, &value, status_);
  }

  void read(const char* name, bool& value) {
    if (!has(name)) return;
    TF_Bool flag = 0;
    TF_OpKernelConstruction_GetAttrBool(construction_, name, &flag, status_);
    value = flag != 0;
  }

  void read(const char* name, std::array<int, 2>& values) {
    if (!has(name)) return;
    int32_t length = 0, bytes = 0;
    TF_OpKernelConstruction_GetAttrSize(construction_, name, &length, &bytes, status_);
    if (TF_GetCode(status_) == TF_OK && length != 2) TF_SetStatus(status_, TF_INVALID_ARGUMENT, "wanted two numbers in each list");
    if (TF_GetCode(status_) == TF_OK) TF_OpKernelConstruction_GetAttrInt32List(construction_, name, values.data(), 2, status_);
  }

 private:
  // After the first failure nothing is read any more: the next call would take its place.
  bool has(const char* name) {
    return TF_GetCode(status_) == TF_OK && TF_OpKernelConstruction_HasAttr(construction_, name, status_) && TF_GetCode(status_) == TF_OK;
  }

  TF_OpKernelConstruction* construction_;
  TF_Status* status_;
};

inline void* readAttributes(TF_OpKernelConstruction* construction) {
  auto* attributes = new Attributes;
  TF_Status* status = TF_NewStatus();
  AttributeReader reader(construction, status);
  reader.read("count", attributes->count);
  reader.read("parts_first", attributes->partsFirst);
  reader.read("low_precision", attributes->bfloat16);
  reader.read("pairs", attributes->pairs);
  reader.read("window", attributes->window);
  reader.read("padding", attributes->padding);
  reader.read("stride", attributes->stride);
  reader.read("out", attributes->out);
  reader.read("image", attributes->image);
  reader.read("beta1", attributes->beta1);
  reader.read("beta2", attributes->beta2);
  reader.read("epsilon", attributes->epsilon);
  if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
  TF_DeleteStatus(status);
  return attributes;
}
