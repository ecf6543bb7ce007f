package model

func init() { presets.Register("degas", degas) }

// degasAlphabet is the table of the original degas, in its order: the position is the code.
const degasAlphabet = "0123456789:-./_abcdefghijklmnopqrstuvwxyz"

// degas is the network of the Keras project of that name (its model "NYU"), exact to the layer: 254,337 parameters.
// Padding shares code 0 with the character '0', as in the original.
func degas() Spec {
	enc := degasEncoder()
	const theta = 1e-6
	return Spec{Version: SpecVersion, Name: "degas", Encoder: enc, Labels: BinaryLabels, InputName: "main_input", Layers: []Layer{
		{Kind: KindEmbedding, Rows: 128, Dim: 128},
		{Kind: KindConv1D, Filters: 128, Kernel: 3, Padding: Same},
		{Kind: KindThresholdedReLU, Theta: theta},
		{Kind: KindMaxPool, Pool: 2, Padding: Same},
		{Kind: KindConv1D, Filters: 128, Kernel: 2, Padding: Same},
		{Kind: KindThresholdedReLU, Theta: theta},
		{Kind: KindMaxPool, Pool: 2, Padding: Same},
		{Kind: KindFlatten},
		{Kind: KindDense, Units: 64},
		{Kind: KindThresholdedReLU, Theta: theta},
		{Kind: KindDropout, Rate: 0.5},
		{Kind: KindDense, Units: 1, Activation: Sigmoid},
	}}
}

func degasEncoder() Encoder {
	return Encoder{Alphabet: degasAlphabet, Base: 0, Pad: 0, Unknown: 41, Window: 75, PadSide: Left, Keep: Last, Lower: true}
}
