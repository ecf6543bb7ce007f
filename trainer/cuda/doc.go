// Package cuda trains on one NVIDIA GPU through gorgonia.org/cu, with kernels of its own and no cuDNN. Without the
// build tag gpu its engine says how to get it.
//
// A network is a list of layers over memory of the device. All of a step happens there; the host queues kernels and
// reads one number, the loss. The embedding is folded into its readers as on the CPU (docs/ARCHITECTURE.md). Every sum
// is taken in a fixed order, so the same seed gives the same weights on the same kind of device.
//
// The kernels also compile for the CPU, where the tests run the whole engine: with the tag emulate in the test's
// process, with gpu through a driver that stands in for NVIDIA's (scripts/gpu-build --emulated go test -tags gpu
// ./trainer/cuda/...).
package cuda
