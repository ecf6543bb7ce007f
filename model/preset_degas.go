package model

func init() {
	presets.Register("degas", preset{degas,
		"the original degas network in Keras, exact to the layer"})
}

// degasAlphabet is the table of the original degas, in its order: the position is the code.
const degasAlphabet = "0123456789:-./_abcdefghijklmnopqrstuvwxyz"

// degas is the network of the Keras project of that name (its model "NYU"), exact to the layer: 254,337 parameters.
// Padding shares code 0 with the character '0', as in the original.
func degas() Spec {
	threshold := Layer{Kind: KindThresholdedReLU, Theta: 1e-6}
	pool := Layer{Kind: KindMaxPool, Pool: 2, Padding: Same}
	spec := binarySpec("degas", degasEncoder(),
		Layer{Kind: KindEmbedding, Rows: 128, Dim: 128},
		Layer{Kind: KindConv1D, Filters: 128, Kernel: 3, Padding: Same}, threshold, pool,
		Layer{Kind: KindConv1D, Filters: 128, Kernel: 2, Padding: Same}, threshold, pool,
		Layer{Kind: KindFlatten},
		Layer{Kind: KindDense, Units: 64}, threshold,
		Layer{Kind: KindDropout, Rate: 0.5},
		Layer{Kind: KindDense, Units: 1, Activation: Sigmoid},
	)
	spec.InputName = "main_input"
	return spec
}

func degasEncoder() Encoder {
	return Encoder{Alphabet: degasAlphabet, Unknown: 41, Window: 75, PadSide: Left, Keep: Last, Lower: true}
}
