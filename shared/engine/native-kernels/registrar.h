// Tells TensorFlow of operations and of what computes them.
#pragma once

#include <tensorflow/c/ops.h>

#include <exception>
#include <initializer_list>
#include <new>
#include <string>

#include "attributes.h"
#include "call.h"

using Names = std::initializer_list<const char*>;

inline void freeAttributes(void* attributes) { delete static_cast<Attributes*>(attributes); }

template <void (*compute)(Call&, const Attributes&)>
void computeKernel(void* attributes, TF_OpKernelContext* context) {
  Call call(context);
  // Nothing may be thrown through TensorFlow, which is called by way of C.
  try {
    compute(call, *static_cast<Attributes*>(attributes));
  } catch (const std::bad_alloc&) {
    call.fail(TF_RESOURCE_EXHAUSTED, "out of memory in a kernel of the engine's own");
  } catch (const std::exception& error) {
    call.fail(TF_INTERNAL, error.what());
  }
}

// A graph's shapes have been inferred before TensorFlow sees it.
inline void unknownShape(TF_ShapeInferenceContext* context, TF_Status* status) { TF_ShapeInferenceContextSetUnknownShape(context, status); }

class Registrar {
 public:
  Registrar() : status_(TF_NewStatus()) {}
  ~Registrar() { TF_DeleteStatus(status_); }
  Registrar(const Registrar&) = delete;

  // Whether TensorFlow has taken all.
  bool ok() const { return TF_GetCode(status_) == TF_OK; }

  // Inputs without a type, and all outputs, are of float32.
  template <void (*compute)(Call&, const Attributes&)>
  void add(const char* name, Names inputs, Names outputs, Names attributes) {
    if (!ok()) return;
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
    TF_RegisterOpDefinition(definition, status_);
    if (!ok()) return;
    TF_KernelBuilder* kernel = TF_NewKernelBuilder(name, "CPU", readAttributes, computeKernel<compute>, freeAttributes);
    TF_RegisterKernelBuilder(name, kernel, status_);
  }

 private:
  TF_Status* status_;
};

// The operations, file by file.
void addConvolutions(Registrar& registrar);
void addPackedConvolutions(Registrar& registrar);
void addNormsAndAttention(Registrar& registrar);
void addUpdates(Registrar& registrar);
