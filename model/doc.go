// Package model is the noun the rest of degas shares: what a model is (Spec), how a name becomes numbers (Encoder),
// the numbers it learned (Weights), and the forward pass that turns one into a score.
//
// A Spec is data. Engines turn it into something that learns, exporters into another runtime's file, and both are
// checked against [Forward], the plain pass of this package. Whoever only runs a model needs this package alone: it
// imports no gorgonia, no Arrow and no plotting.
package model
