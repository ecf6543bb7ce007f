// Everything that goes into degas.ptx.
#include "conv.cu"
#include "elementwise.cu"
#include "feed.cu"
#include "gemm.cu"
#include "lstm.cu"
#include "lstm_bf16.cu"
#include "lstm_grad.cu"
