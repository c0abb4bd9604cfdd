// The kernels as TensorFlow operations, through its C API: what a graph calls them, what they take and give.
#include <tensorflow/c/kernels.h>
#include <tensorflow/c/ops.h>
#include <tensorflow/c/tf_status.h>
#include <tensorflow/c/tf_tensor.h>

#include <array>
#include <initializer_list>
#include <string>

#include "conv3x3.h"
#include "simd.h"

namespace {

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
    int size(int axis) const { return static_cast<int>(TF_Dim(tensor, axis)); }
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
  std::array<TF_Tensor*, 12> tensors_{};
  int held_ = 0;
};

template <bool biased>
void conv3x3(Call& call) {
  const auto x = call.input(0), filter = call.input(1);
  const auto bias = biased ? call.input(2) : Call::Input{nullptr, nullptr};
  if (!call.ok()) return;
  const Conv3x3 conv{x.size(0), x.size(1), x.size(2), x.size(3), filter.size(3)};
  float* y = call.output(0, {conv.images, conv.height, conv.width, conv.out});
  if (call.ok()) convolve(conv, x.data, filter.data, bias.data, y);
}

void conv3x3InputGradient(Call& call) {
  const auto filter = call.input(0), dy = call.input(1);
  if (!call.ok()) return;
  const Conv3x3 conv{dy.size(0), dy.size(1), dy.size(2), filter.size(2), filter.size(3)};
  float* dx = call.output(0, {conv.images, conv.height, conv.width, conv.in});
  if (call.ok()) convolveInputGradient(conv, dy.data, filter.data, dx);
}

void conv3x3FilterGradient(Call& call) {
  const auto x = call.input(0), dy = call.input(1);
  if (!call.ok()) return;
  const Conv3x3 conv{x.size(0), x.size(1), x.size(2), x.size(3), dy.size(3)};
  float* dFilter = call.output(0, {3, 3, conv.in, conv.out});
  if (call.ok()) convolveFilterGradient(conv, x.data, dy.data, dFilter);
}

template <void (*compute)(Call&)>
void computeKernel(void*, TF_OpKernelContext* context) {
  Call call(context);
  compute(call);
}

// Shapes are the graph's own business: it has been checked before TensorFlow sees it.
void unknownShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
}

void add(const char* name, std::initializer_list<const char*> inputs, std::initializer_list<const char*> outputs,
         void (*compute)(void*, TF_OpKernelContext*), TF_Status* status) {
  if (TF_GetCode(status) != TF_OK) return;
  TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(name);
  for (const char* input : inputs) TF_OpDefinitionBuilderAddInput(definition, (std::string(input) + ": float").c_str());
  for (const char* output : outputs) TF_OpDefinitionBuilderAddOutput(definition, (std::string(output) + ": float").c_str());
  TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, unknownShape);
  TF_RegisterOpDefinition(definition, status);
  if (TF_GetCode(status) != TF_OK) return;
  TF_KernelBuilder* kernel = TF_NewKernelBuilder(name, "CPU", nullptr, compute, nullptr);
  TF_RegisterKernelBuilder(name, kernel, status);
}

}  // namespace

// Floats of a vector, to which channel counts must be multiples; 0 where TensorFlow refused the operations.
extern "C" int registerKernels() {
  TF_Status* status = TF_NewStatus();
  add("NativeConv3x3", {"x", "filter"}, {"y"}, computeKernel<conv3x3<false>>, status);
  add("NativeBiasedConv3x3", {"x", "filter", "bias"}, {"y"}, computeKernel<conv3x3<true>>, status);
  add("NativeConv3x3InputGradient", {"filter", "dy"}, {"dx"}, computeKernel<conv3x3InputGradient>, status);
  add("NativeConv3x3FilterGradient", {"x", "dy"}, {"d_filter"}, computeKernel<conv3x3FilterGradient>, status);
  const bool registered = TF_GetCode(status) == TF_OK;
  TF_DeleteStatus(status);
  return registered ? kLanes : 0;
}
