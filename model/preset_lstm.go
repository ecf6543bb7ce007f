package model

func init() {
	presets.Register("lstm", preset{lstm,
		"one LSTM over the characters, the classic of Woodbridge et al. (2016)"})
}

// lstm is the network of Woodbridge et al., "Predicting Domain Generation Algorithms with Long Short-Term Memory
// Networks" (2016, arXiv:1611.00791).
func lstm() Spec {
	return binarySpec("lstm", nameEncoder(),
		namesEmbedding(),
		Layer{Kind: KindLSTM, Units: 128},
		Layer{Kind: KindDropout, Rate: 0.5},
		Layer{Kind: KindDense, Units: 1, Activation: Sigmoid},
	)
}
