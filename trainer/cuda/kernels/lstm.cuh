// What the kernels of an LSTM share. Its input half is a table of rows [4·units], looked up by code or by position, after Keras:
// gates i, f, c, o. A block walks 32 names through all steps, its states on chip.
#pragma once
#include "common.cuh"

constexpr int NAMES = 32;

// Walk says what a kernel walks over: names b, steps t and the row of the table that each step reads. A cell is one step of one
// name; cells are numbered [batch, time] in the order of the input.
struct Walk {
  const unsigned char* codes; // null where rows are found by position
  int batch, time, reverse;

  __device__ __forceinline__ int name(int row) const { return blockIdx.x * NAMES + row; }
  __device__ __forceinline__ long long place(int b, int t) const { return (long long)b * time + (reverse ? time - 1 - t : t); }
  __device__ __forceinline__ long long row(int b, int t) const {
    long long at = place(b, t);
    return codes ? codes[at] : at;
  }
};
