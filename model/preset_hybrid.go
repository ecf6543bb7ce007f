package model

func init() {
	presets.Register("hybrid", preset{hybrid,
		"letter groups beside an LSTM: the most accurate here, and what auto stands for"})
}

// hybrid runs the convolutions of cnn beside the LSTM of lstm, and a dense layer weighs both, as in Bilbo (Highnam et
// al. 2021, arXiv:2003.12805). Convolutions find letter groups anywhere in a name; the LSTM knows their order.
func hybrid() Spec {
	return binarySpec("hybrid", nameEncoder(),
		namesEmbedding(),
		Layer{Kind: KindParallel, Branches: append(letterGroups(5, 192, ReLU), []Layer{{Kind: KindLSTM, Units: 128}})},
		Layer{Kind: KindDropout, Rate: 0.2},
		Layer{Kind: KindDense, Units: 256, Activation: ReLU},
		Layer{Kind: KindDropout, Rate: 0.5},
		Layer{Kind: KindDense, Units: 1, Activation: Sigmoid},
	)
}
