// What the kernels of an LSTM share. Its input half is a table of rows [4·units], looked up by code or by position,
// after Keras: gates i, f, c, o. A block walks 32 names through all steps, its states on chip.
#pragma once
#include "common.cuh"

constexpr int NAMES = 32;

// Gates is one unit of one name.
struct Gates {
  float i, f, g, o;

  // state is that after the step.
  __device__ __forceinline__ float state(float before) const { return f * before + i * g; }

  // back turns the gates into the gradients of what they were made of; th is the tanh of the state after the step, and
  // dc becomes the gradient of that before.
  __device__ __forceinline__ void back(float th, float before, float dh, float& dc) {
    float d = dc + dh * o * (1.f - th * th);
    dc = d * f;
    float di = d * g * i * (1.f - i), df = d * before * f * (1.f - f), dg = d * i * (1.f - g * g);
    o = dh * th * o * (1.f - o);
    i = di;
    f = df;
    g = dg;
  }
};

// Walk says what a kernel walks over: names b, steps t and the row of the table that each step reads. A cell is one
// step of one name; cells are numbered [batch, time] in the order of the input.
struct Walk {
  const unsigned char* codes; // null where rows are found by position
  int batch, time, reverse;

  __device__ __forceinline__ int name(int row) const { return blockIdx.x * NAMES + row; }
  __device__ __forceinline__ long long place(int b, int t) const {
    return (long long)b * time + (reverse ? time - 1 - t : t);
  }
  __device__ __forceinline__ long long row(int b, int t) const {
    long long at = place(b, t);
    return codes ? codes[at] : at;
  }
};
