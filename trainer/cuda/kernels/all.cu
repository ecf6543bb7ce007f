// Everything that goes into degas.ptx.
#include "conv.cu"
#include "elementwise.cu"
#include "feed.cu"
#include "gemm.cu"
#include "gemm_tensor.cu"
#include "lstm.cu"
#include "towers.cu"
