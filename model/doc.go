// Package model holds what a model is (Spec), how a name becomes numbers (Encoder), the numbers that were learned
// (Weights), and the forward pass that makes a score of them.
//
// A Spec is data. Engines train it, and exporters write it for other runtimes. Both are checked against [Forward], the
// plain pass. To run a model takes this package alone, which imports no gorgonia, no Arrow and no plotting.
package model
