package importer

import (
	"fmt"

	"github.com/degas-dns/degas/model"
)

// placed is a layer of a Spec and the Keras layer it came from.
type placed struct {
	model.Layer
	from     *kerasLayer
	branches [][]placed // of a parallel layer, instead of Layer.Branches
}

// convert turns a Keras layer into a layer of a Spec. ok is false for layers that do nothing. The error says what of it
// degas cannot do.
func (l *kerasLayer) convert() (_ model.Layer, ok bool, err error) {
	c := l.Config
	switch l.Class {
	case "Embedding":
		if c.flag(false, "mask_zero") {
			return model.Layer{}, false, fmt.Errorf("mask_zero is not read")
		}
		return model.Layer{Kind: model.KindEmbedding, Rows: c.number(0, "input_dim"), Dim: c.number(0, "output_dim")}, true, nil
	case "Conv1D", "Convolution1D":
		out, err := l.conv()
		return out, true, err
	case "Conv2D", "Convolution2D":
		out, err := l.conv2D()
		return out, true, err
	case "MaxPooling2D", "MaxPool2D":
		pool, err := c.square(2, "pool_size")
		if err == nil && c.has("strides") {
			var stride int
			if stride, err = c.square(pool, "strides"); err == nil && stride != pool {
				err = fmt.Errorf("a stride of %d with a pool of %d is not read", stride, pool)
			}
		}
		if err == nil {
			err = c.channelsLast()
		}
		return model.Layer{Kind: model.KindMaxPool2D, Pool: pool, Padding: c.picturePadding()}, true, err
	case "ThresholdedReLU":
		return model.Layer{Kind: model.KindThresholdedReLU, Theta: c.float(1, "theta")}, true, nil
	case "ReLU":
		if c.float(0, "max_value") != 0 || c.float(0, "negative_slope") != 0 {
			return model.Layer{}, false, fmt.Errorf("a maximum or a negative slope is not read")
		}
		return model.Layer{Kind: model.KindThresholdedReLU, Theta: c.float(0, "threshold")}, true, nil
	case "MaxPooling1D":
		pool := c.number(2, "pool_size", "pool_length")
		if stride := c.number(pool, "strides", "stride"); stride != pool {
			return model.Layer{}, false, fmt.Errorf("a stride of %d with a pool of %d is not read", stride, pool)
		}
		return model.Layer{Kind: model.KindMaxPool, Pool: pool, Padding: c.text("padding", "border_mode")}, true, c.channelsLast()
	case "GlobalMaxPooling1D", "GlobalMaxPool1D":
		return model.Layer{Kind: model.KindGlobalMaxPool}, true, c.channelsLast()
	case "Flatten":
		return model.Layer{Kind: model.KindFlatten}, true, c.channelsLast()
	case "LSTM", "CuDNNLSTM":
		out, err := l.lstm()
		return out, true, err
	case "Bidirectional":
		out, err := l.bidirectional()
		return out, true, err
	case "Dropout", "SpatialDropout1D", "AlphaDropout":
		rate := c.float(0, "rate", "p")
		return model.Layer{Kind: model.KindDropout, Rate: rate}, rate > 0, nil
	case "Dense":
		return model.Layer{Kind: model.KindDense, Units: c.number(0, "units", "output_dim"), Activation: plain(c.text("activation"))}, true, nil
	case "Activation":
		return l.activation()
	}
	return model.Layer{}, false, fmt.Errorf("a layer of class %s is not read", l.Class)
}

// plain drops the activation that does nothing.
func plain(activation string) string {
	if activation == model.Linear {
		return ""
	}
	return activation
}

func (l *kerasLayer) conv() (model.Layer, error) {
	c := l.Config
	for _, n := range []string{"strides", "subsample_length", "dilation_rate", "groups"} {
		if v := c.number(1, n); v != 1 {
			return model.Layer{}, fmt.Errorf("%s of %d are not read", n, v)
		}
	}
	if err := c.channelsLast(); err != nil {
		return model.Layer{}, err
	}
	return model.Layer{Kind: model.KindConv1D, Filters: c.number(0, "filters", "nb_filter"), Kernel: c.number(0, "kernel_size", "filter_length"),
		Padding: c.text("padding", "border_mode"), Activation: plain(c.text("activation"))}, nil
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

func (l *kerasLayer) conv2D() (model.Layer, error) {
	c := l.Config
	for _, n := range []string{"strides", "dilation_rate", "groups"} {
		if v, err := c.square(1, n); err != nil || v != 1 {
			return model.Layer{}, fmt.Errorf("%s other than 1 are not read", n)
		}
	}
	if err := c.channelsLast(); err != nil {
		return model.Layer{}, err
	}
	kernel, err := c.square(0, "kernel_size")
	return model.Layer{Kind: model.KindConv2D, Filters: c.number(0, "filters", "nb_filter"), Kernel: kernel,
		Padding: c.picturePadding(), Activation: plain(c.text("activation"))}, err
}

func (l *kerasLayer) lstm() (model.Layer, error) {
	c := l.Config
	for _, wrong := range []string{"return_sequences", "return_state", "go_backwards", "stateful", "time_major"} {
		if c.flag(false, wrong) {
			return model.Layer{}, fmt.Errorf("%s is not read", wrong)
		}
	}
	if a := c.text("activation"); a != "" && a != model.Tanh {
		return model.Layer{}, fmt.Errorf("activation %s is not read, only tanh", a)
	}
	if a := c.text("recurrent_activation", "inner_activation"); a != "" && a != model.Sigmoid {
		return model.Layer{}, fmt.Errorf("recurrent_activation %s is not read, only sigmoid", a)
	}
	return model.Layer{Kind: model.KindLSTM, Units: c.number(0, "units", "output_dim")}, nil
}

func (l *kerasLayer) bidirectional() (model.Layer, error) {
	var inner rawLayer
	if l.Config.first(&inner, []string{"layer"}); inner.Class != "LSTM" {
		return model.Layer{}, fmt.Errorf("only an LSTM can run both ways, not %q", inner.Class)
	}
	if raw := l.Config.values["merge_mode"]; string(raw) == "null" {
		return model.Layer{}, fmt.Errorf("merge_mode null is not read, only concat")
	}
	if mode := l.Config.text("merge_mode"); mode != "" && mode != "concat" {
		return model.Layer{}, fmt.Errorf("merge_mode %s is not read, only concat", mode)
	}
	wrapped := inner.layer()
	out, err := wrapped.lstm()
	if wrong := wrapped.Config.err(); wrong != nil {
		err = wrong
	}
	out.Bidirectional = true
	return out, err
}

// activation reads the layer that is nothing but one. ReLU has a layer of its own; the others are an error unless they
// follow a layer that can take them, which the caller tries first.
func (l *kerasLayer) activation() (model.Layer, bool, error) {
	switch a := l.Config.text("activation"); a {
	case model.Linear, "":
		return model.Layer{}, false, nil
	case model.ReLU:
		return model.Layer{Kind: model.KindThresholdedReLU}, true, nil
	default:
		return model.Layer{}, false, fmt.Errorf("activation %s after this kind of layer is not read", a)
	}
}
