// What changes parameters, and what is asked of them before, as operations.
#include "adam.h"
#include "registrar.h"

namespace {

// Writes into its inputs, which are variables as they were read: TensorFlow gives those without a copy. The graph sees
// to it that nobody reads them any more, or not yet.
void adamInPlace(Call& call, const Attributes& attributes) {
  const auto commit = call.input(0, "commit"), rates = call.input(1, "rates"), gradient = call.input(2, "gradient");
  if (!call.ok()) return;
  call.want(commit.elements() == 1, "one number that says whether to commit");
  call.wantShape(rates, {3 + int64_t{attributes.count}});
  std::vector<float*> written;
  for (int i = 0; i < 3 + attributes.count; i++) {
    const auto variable = call.input(3 + i, i == 0 ? "parameter" : i == 1 ? "m" : i == 2 ? "v" : "average");
    call.wantAlike(variable, gradient);
    if (!call.ok()) return;
    for (const float* other : written) call.want(other != variable.data || variable.elements() == 0, "variables with memory of their own");
    written.push_back(const_cast<float*>(variable.data));
  }
  if (!call.ok() || commit.data[0] == 0) return;
  adam({attributes.beta1, attributes.beta2, attributes.epsilon, rates.data[0], rates.data[1], rates.data[2]}, gradient.elements(),
       gradient.data, written[0], written[1], written[2], attributes.count, written.data() + 3, rates.data + 3);
}

void squares(Call& call, const Attributes&) {
  const auto x = call.input(0, "x");
  float* sum = call.output(0, {});
  if (call.ok()) *sum = sumOfSquares(x.data, x.elements());
}

}  // namespace

void addUpdates(Registrar& registrar) {
  registrar.add<adamInPlace>("NativeAdam", {"commit", "rates", "gradient", "parameter", "m", "v", "averages: count * float"}, {},
                             {"count: int >= 0", "beta1: float", "beta2: float", "epsilon: float"});
  registrar.add<squares>("NativeSumOfSquares", {"x"}, {"sum"}, {});
}
