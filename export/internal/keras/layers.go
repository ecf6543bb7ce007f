package keras

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/degas-dns/degas/model"
)

// layer translates a node.
func layer(n model.Node) (Layer, error) {
	l := n.Layer
	switch n.Kind {
	case model.KindInput:
		return input(n), nil
	case model.KindEmbedding:
		return with(n, "Embedding", Object{"input_dim": l.Rows, "output_dim": l.Dim, "mask_zero": false}), nil
	case model.KindConv1D:
		return with(n, "Conv1D", conv(l, 1)), nil
	case model.KindConv2D:
		return with(n, "Conv2D", conv(l, 2)), nil
	case model.KindMaxPool:
		return with(n, "MaxPooling1D", pool(l, 1)), nil
	case model.KindMaxPool2D:
		return with(n, "MaxPooling2D", pool(l, 2)), nil
	case model.KindThresholdedReLU:
		// Keras 3 has no ThresholdedReLU. ReLU with a threshold is the same function: 0 where x <= theta.
		return with(n, "ReLU", Object{"max_value": nil, "negative_slope": 0.0, "threshold": l.Theta}), nil
	case model.KindGlobalMaxPool:
		return with(n, "GlobalMaxPooling1D", Object{"data_format": "channels_last"}), nil
	case model.KindFlatten:
		return with(n, "Flatten", Object{"data_format": "channels_last"}), nil
	case model.KindDropout:
		return with(n, "Dropout", Object{"rate": l.Rate, "noise_shape": nil, "seed": nil}), nil
	case model.KindDense:
		return with(n, "Dense", Object{"units": l.Units, "activation": activation(l), "use_bias": true}), nil
	case model.KindConcatenate:
		return with(n, "Concatenate", Object{"axis": -1}), nil
	case model.KindLSTM, model.KindGRU:
		class, config := recurrent(l)
		if !l.Bidirectional {
			return with(n, class, config), nil
		}
		return with(n, "Bidirectional", Object{"merge_mode": "concat", "layer": Object{
			"module":          "keras.layers", // by which Keras 3 finds the class; Keras 2 ignores it
			"registered_name": nil,
			"class_name":      class,
			"config":          base(n.Kind, config),
		}}), nil
	}
	return Layer{}, fmt.Errorf("no Keras layer for kind %q", n.Kind)
}

// conv is the configuration of a convolution along a number of axes.
func conv(l model.Layer, axes int) Object {
	ones := slices.Repeat([]int{1}, axes)
	return Object{
		"filters":       l.Filters,
		"kernel_size":   slices.Repeat([]int{l.Kernel}, axes),
		"strides":       ones,
		"padding":       cmp.Or(l.Padding, model.Valid),
		"data_format":   "channels_last",
		"dilation_rate": ones,
		"groups":        1,
		"activation":    activation(l),
		"use_bias":      true,
	}
}

// pool is the configuration of a pooling along a number of axes.
func pool(l model.Layer, axes int) Object {
	size := slices.Repeat([]int{l.Pool}, axes)
	return Object{
		"pool_size":   size,
		"strides":     size,
		"padding":     cmp.Or(l.Padding, model.Valid),
		"data_format": "channels_last",
	}
}

// input is codes, or a picture.
func input(n model.Node) Layer {
	shape, kind := []any{nil}, "int32"
	for _, d := range n.Shape {
		shape = append(shape, d)
	}
	if len(shape) > 2 {
		kind = "float32"
	}
	return Layer{Class: "InputLayer", Name: n.Name, Config: Object{
		"name": n.Name, "batch_input_shape": shape, "dtype": kind, "sparse": false, "ragged": false}}
}

func with(n model.Node, class string, config Object) Layer {
	return Layer{Class: class, Name: n.Name, Config: base(n.Name, config), Inputs: n.Inputs}
}

// base adds what every layer's configuration has.
func base(name string, config Object) Object {
	out := Object{"name": name, "trainable": true, "dtype": "float32"}
	maps.Copy(out, config)
	return out
}

// recurrent is the class and the configuration of an LSTM or a GRU.
func recurrent(l model.Layer) (class string, config Object) {
	config = Object{
		"units":                l.Units,
		"activation":           "tanh",
		"recurrent_activation": recurrentActivation(l),
		"use_bias":             true,
		"dropout":              0.0,
		"recurrent_dropout":    0.0,
		"return_sequences":     l.ReturnSequences,
		"return_state":         false,
		"go_backwards":         false,
		"stateful":             false,
		"unroll":               false,
	}
	if l.Kind == model.KindGRU {
		config["reset_after"] = l.ResetAfter
		return "GRU", config
	}
	config["unit_forget_bias"] = true
	return "LSTM", config
}

// recurrentActivation is a name or, for Clip, a ReLU of at most 1. The name hard_sigmoid would not do: Keras 3 computes
// another function than Keras 2 and TensorFlow.js.
func recurrentActivation(l model.Layer) any {
	if l.RecurrentActivation != model.Clip {
		return model.Sigmoid
	}
	return Object{
		"module":          "keras.layers", // by which Keras 3 finds the class
		"registered_name": nil,
		"class_name":      "ReLU",
		"config":          base("clip", Object{"max_value": 1.0, "negative_slope": 0.0, "threshold": 0.0}),
	}
}

func activation(l model.Layer) string { return cmp.Or(l.Activation, model.Linear) }
