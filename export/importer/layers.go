package importer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/degas-dns/degas/model"
)

// placed is a layer of a Spec with the Keras layer that it came from.
type placed struct {
	model.Layer
	from     *kerasLayer
	branches [][]placed    // of a parallel layer, instead of Layer.Branches
	norms    []*kerasLayer // what its parameters take in: before the activation
}

// convert turns a Keras layer into a layer of a Spec. ok is false for layers that do nothing.
func (l *kerasLayer) convert() (out model.Layer, ok bool, err error) {
	c := l.Config
	switch l.Class {
	case "Embedding":
		l.masks = get(c, false, "mask_zero")
		out = model.Layer{Kind: model.KindEmbedding, Rows: c.number(0, "input_dim"), Dim: c.number(0, "output_dim")}
	case "Conv1D", "Convolution1D":
		out, err = l.conv()
	case "Conv2D", "Convolution2D":
		out, err = l.conv2D()
	case "MaxPooling1D":
		out = model.Layer{Kind: model.KindMaxPool, Padding: c.text("padding", "border_mode")}
		out.Pool = c.number(2, "pool_size", "pool_length")
		err = cmp.Or(c.stride(c.number(out.Pool, "strides", "stride"), out.Pool), c.channelsLast())
	case "MaxPooling2D", "MaxPool2D":
		out = model.Layer{Kind: model.KindMaxPool2D, Padding: c.picturePadding()}
		if out.Pool, err = c.square(2, "pool_size"); err != nil {
			break
		}
		stride, wrong := c.square(out.Pool, "strides")
		err = cmp.Or(wrong, c.stride(stride, out.Pool), c.channelsLast())
	case "ThresholdedReLU":
		out = model.Layer{Kind: model.KindThresholdedReLU, Theta: get(c, 1.0, "theta")}
	case "ReLU":
		if get(c, 0.0, "max_value") != 0 || get(c, 0.0, "negative_slope") != 0 {
			err = errors.New("a maximum or a negative slope is not read")
		}
		out = model.Layer{Kind: model.KindThresholdedReLU, Theta: get(c, 0.0, "threshold")}
	case "GlobalMaxPooling1D", "GlobalMaxPool1D":
		out, err = model.Layer{Kind: model.KindGlobalMaxPool}, c.channelsLast()
	case "Flatten":
		out, err = model.Layer{Kind: model.KindFlatten}, c.channelsLast()
	case "LSTM", "CuDNNLSTM", "GRU":
		out, err = l.recurrent()
	case "Bidirectional":
		out, err = l.bidirectional()
	case "Dropout", "SpatialDropout1D", "AlphaDropout":
		out = model.Layer{Kind: model.KindDropout, Rate: get(c, 0.0, "rate", "p")}
		return out, out.Rate > 0, nil
	case "Dense":
		out = model.Layer{Kind: model.KindDense, Units: c.number(0, "units", "output_dim"), Activation: c.activation()}
	case "Activation":
		// ReLU is a layer of a Spec. Others are read only behind a layer that can take them: see appendLayer.
		out.Kind = model.KindThresholdedReLU
		switch a := c.activation(); a {
		case "":
			return out, false, nil
		case model.ReLU:
		default:
			err = fmt.Errorf("activation %s after this kind of layer is not read", a)
		}
	default:
		err = fmt.Errorf("a layer of class %s is not read", l.Class)
	}
	return out, err == nil, err
}

// activation is a layer's activation, "" for one that does nothing.
func (s settings) activation() string {
	if a := s.text("activation"); a != model.Linear {
		return a
	}
	return ""
}

// stride refuses a stride other than the pool.
func (s settings) stride(stride, pool int) error {
	if stride != pool {
		return fmt.Errorf("a stride of %d with a pool of %d is not read", stride, pool)
	}
	return nil
}

func (l *kerasLayer) conv() (out model.Layer, err error) {
	c := l.Config
	for _, n := range []string{"strides", "subsample_length", "dilation_rate", "groups"} {
		if v := c.number(1, n); v != 1 {
			return out, fmt.Errorf("%s of %d are not read", n, v)
		}
	}
	return model.Layer{
		Kind:       model.KindConv1D,
		Filters:    c.number(0, "filters", "nb_filter"),
		Kernel:     c.number(0, "kernel_size", "filter_length"),
		Padding:    c.text("padding", "border_mode"),
		Activation: c.activation(),
	}, c.channelsLast()
}

// channelsLast refuses the other order of axes, which Keras 1 calls dim_ordering th.
func (s settings) channelsLast() error {
	if f := s.text("data_format", "dim_ordering"); f != "" && f != "channels_last" && f != "tf" {
		return fmt.Errorf("data_format %s is not read", f)
	}
	return nil
}

// picturePadding is empty for the one padding that layers over pictures have.
func (s settings) picturePadding() string {
	if p := s.text("padding", "border_mode"); p != model.Valid {
		return p
	}
	return ""
}

func (l *kerasLayer) conv2D() (out model.Layer, err error) {
	c := l.Config
	for _, n := range []string{"strides", "dilation_rate", "groups"} {
		if v, err := c.square(1, n); err != nil || v != 1 {
			return out, fmt.Errorf("%s other than 1 are not read", n)
		}
	}
	kernel, err := c.square(0, "kernel_size")
	return model.Layer{
		Kind:       model.KindConv2D,
		Filters:    c.number(0, "filters", "nb_filter"),
		Kernel:     kernel,
		Padding:    c.picturePadding(),
		Activation: c.activation(),
	}, cmp.Or(c.channelsLast(), err)
}

func (l *kerasLayer) recurrent() (out model.Layer, err error) {
	c := l.Config
	for _, wrong := range []string{"return_state", "go_backwards", "stateful", "time_major"} {
		if get(c, false, wrong) {
			return out, fmt.Errorf("%s is not read", wrong)
		}
	}
	if a := c.text("activation"); a != "" && a != model.Tanh {
		return out, fmt.Errorf("activation %s is not read, only tanh", a)
	}
	l.cuDNN = l.Class == "CuDNNLSTM"
	gates, err := l.recurrentActivation()
	out = model.Layer{
		Kind:                model.KindLSTM,
		Units:               c.number(0, "units", "output_dim"),
		RecurrentActivation: gates,
		ReturnSequences:     get(c, false, "return_sequences"),
	}
	if l.Class == "GRU" {
		out.Kind, out.ResetAfter = model.KindGRU, get(c, false, "reset_after")
	}
	return out, err
}

// recurrentActivation is the activation of the gates of an LSTM or a GRU. A hard sigmoid becomes Clip, and its slope
// goes into the weights. degas itself writes Clip as a ReLU of at most 1.
func (l *kerasLayer) recurrentActivation() (string, error) {
	var clip struct {
		Class  string `json:"class_name"`
		Config struct {
			Max       float64 `json:"max_value"`
			Slope     float64 `json:"negative_slope"`
			Threshold float64 `json:"threshold"`
		} `json:"config"`
	}
	if raw, ok := l.Config.values["recurrent_activation"]; ok && json.Unmarshal(raw, &clip) == nil &&
		clip.Class == "ReLU" && clip.Config.Max == 1 && clip.Config.Slope == 0 && clip.Config.Threshold == 0 {
		return model.Clip, nil
	}
	switch a := l.Config.text("recurrent_activation", "inner_activation"); a {
	case "", model.Sigmoid:
		return "", nil
	case "hard_sigmoid":
		l.hard = true
		return model.Clip, nil
	default:
		return "", fmt.Errorf("recurrent_activation %s is not read, only sigmoid and hard_sigmoid", a)
	}
}

func (l *kerasLayer) bidirectional() (out model.Layer, err error) {
	var inner rawLayer
	l.Config.first(&inner, []string{"layer"})
	if !slices.Contains([]string{"LSTM", "CuDNNLSTM", "GRU"}, inner.Class) {
		return out, fmt.Errorf("only an LSTM and a GRU can run both ways, not %q", inner.Class)
	}
	if raw := l.Config.values["merge_mode"]; string(raw) == "null" {
		return out, errors.New("merge_mode null is not read, only concat")
	}
	if mode := l.Config.text("merge_mode"); mode != "" && mode != "concat" {
		return out, fmt.Errorf("merge_mode %s is not read, only concat", mode)
	}
	wrapped := inner.layer()
	out, err = wrapped.recurrent()
	l.hard, l.cuDNN = wrapped.hard, wrapped.cuDNN
	out.Bidirectional = true
	return out, cmp.Or(wrapped.Config.err(), err)
}
