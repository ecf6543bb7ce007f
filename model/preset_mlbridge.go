package model

func init() {
	presets.Register("mlbridge", preset{mlbridge,
		"the tiny network of the CoreDNS plugins mlplugin and mlbridge, for a resolver that must not wait"})
}

// mlbridgeEncoder writes a name's ASCII codes from the left into 256 zeros and keeps its case. A byte beyond ASCII,
// which no normalised name has, becomes 0.
func mlbridgeEncoder() Encoder {
	return Encoder{Alphabet: asciiCharacters(), Base: 1, Window: 256, PadSide: Right, Keep: First}
}

// mlbridge is DNS_Alert_Net, the network of the CoreDNS plugins mlplugin and mlbridge: three convolutions over the
// codes as a picture of 16×16 pixels. 1,913 parameters.
func mlbridge() Spec {
	conv := func(filters int) Layer { return Layer{Kind: KindConv2D, Filters: filters, Kernel: 2, Activation: ReLU} }
	pool := Layer{Kind: KindMaxPool2D, Pool: 2}
	return binarySpec("mlbridge", mlbridgeEncoder(),
		Layer{Kind: KindImage, Height: 16, Width: 16},
		conv(16), pool,
		conv(16), pool,
		conv(8),
		Layer{Kind: KindFlatten},
		Layer{Kind: KindDense, Units: 8, Activation: ReLU},
		Layer{Kind: KindDense, Units: 1, Activation: Sigmoid},
	)
}
