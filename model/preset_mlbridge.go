package model

func init() { presets.Register("mlbridge", mlbridge) }

// mlbridgeEncoder writes a name's ASCII codes from the left into 256 zeros, its case as it is. A byte beyond ASCII, which
// no normalised name has, counts as nothing.
func mlbridgeEncoder() Encoder {
	return Encoder{Alphabet: asciiCharacters(), Base: 1, Window: 256, PadSide: Right, Keep: First}
}

// mlbridge is DNS_Alert_Net, the network of the CoreDNS plugins mlplugin and mlbridge: the codes as a picture of 16×16
// pixels under three convolutions. 1,913 parameters.
func mlbridge() Spec {
	conv := func(filters int) Layer { return Layer{Kind: KindConv2D, Filters: filters, Kernel: 2, Activation: ReLU} }
	pool := Layer{Kind: KindMaxPool2D, Pool: 2}
	return Spec{Version: SpecVersion, Name: "mlbridge", Encoder: mlbridgeEncoder(), Labels: BinaryLabels, Layers: []Layer{
		{Kind: KindImage, Height: 16, Width: 16},
		conv(16), pool,
		conv(16), pool,
		conv(8),
		{Kind: KindFlatten},
		{Kind: KindDense, Units: 8, Activation: ReLU},
		{Kind: KindDense, Units: 1, Activation: Sigmoid},
	}}
}
